"""vjp: a function's value, and its derivative backwards as a value of its own.

What `vjp` returns beside the output, a `VJP`, is called with a cotangent. It is a container as
well, whose leaves are the arrays that the backward pass reads: jitted functions return it and take
it, so that forward and backward passes are compiled apart. Those of them that are arguments as they
were passed are kept in `args_res`, from which they can be left out (`saveable_args`) and put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from arraylib import dtypes as dt, tree
from arraylib.errors import ArgumentError, mistake, what_is
from arraylib.hlo.ir import is_weak, type_of
from arraylib.record import record
from arraylib.tracing.cells import Ref, contents, only_once, put, shown, write
from arraylib.tracing.core import (
    Flat,
    ShapeDtypeStruct,
    alike,
    argument_path,
    as_operand,
    marked,
    must_call,
)
from arraylib.tracing.derivatives import Linear, argument_numbers, in_chosen, linearized
from arraylib.tracing.jit import jit
from arraylib.tracing.shares import Shares
from arraylib.tracing.tangents import checked_cotangents, no_change

Function = Callable[..., Any]


def _mark(name: str, meaning: str) -> type:
    """The class of a word in the place of an array: equal to others of its class, without leaves.
    """
    found = type(name, (), {
        "__doc__": meaning, "__module__": __name__, "__slots__": (),
        "__repr__": lambda self: f"{name}()", "__hash__": lambda self: hash(name),
        "__eq__": lambda self, other: self.__class__ is other.__class__})
    tree.register_node(found, lambda _: ((), None), lambda *_: found())
    return found


GradValue = _mark("GradValue", "In `with_refs`: return this argument's gradient.")
DontWant = _mark("DontWant", "In `with_refs`: do not compute this argument's gradient.")
GradRef = _mark("GradRef", "In the place of a gradient that was added to a ref.")
DidntWant = _mark("DidntWant", "In the place of a gradient that was not computed.")
NotNeeded = _mark("NotNeeded", "In `args_res`: an argument that the backward pass does not read.")
NotSaveable = _mark("NotSaveable", "In `args_res`: an argument to be put back before the call.")

_MARKS = (GradValue, DontWant, NotNeeded, NotSaveable)


@record
class _Backward:
    """All of a derivative but arrays; equal where calls do the same."""

    cut: Any
    wrt: tuple[int, ...]  # the leaves of the arguments that are differentiated
    sources: tuple[int | None, ...]  # for each residual, which leaf it is, or None
    structure: Any  # of the arguments
    types: tuple[Any, ...]  # of their leaves
    refs: tuple[int, ...]  # the leaves that are refs
    output: Any  # structure
    avals: tuple[Any, ...]  # shapes and dtypes of the output's leaves
    weak: tuple[bool, ...]  # which leaves of the arguments depend on Python numbers alone
    shares: Shares | None  # inside of shard_map


class VJP:
    """The derivative of a function at a point, backwards: from a cotangent of its output.

    `vjp(ct)` returns a tuple of cotangents, one an argument. A container whose leaves are arrays:
    `args_res`, a list with a tree for each argument, of what the backward pass reads of it, and
    `opaque_residuals`, what was computed on the way forwards.
    """

    structured_residuals: tuple[()] = ()

    def __init__(self, back: _Backward, args_res: Sequence[Any], opaque_residuals: Sequence[Any],
                 entries: Sequence[Any] | None = None) -> None:
        self._back, self._entries = back, entries
        self.args_res, self.opaque_residuals = list(args_res), list(opaque_residuals)

    def __repr__(self) -> str:
        return f"<VJP of {len(self._back.structure.children)} arguments>"

    def replace(self, **changed: Any) -> VJP:
        """The same with other `args_res` or `opaque_residuals`."""
        state = {"args_res": self.args_res, "opaque_residuals": self.opaque_residuals, **changed}
        return VJP(self._back, state["args_res"], state["opaque_residuals"], self._entries)

    def with_refs(self, *entries: Any) -> VJP:
        """The same, with a ref for each argument to which its cotangent is added.

        Or a tree of refs; GradValue() returns the cotangent, DontWant() leaves it out. For an
        argument that is a ref, the new contents of its ref are the derivative by what it held at
        first, if the contents before are that by what it held at last.
        """
        flat = tree.broadcast_prefix(entries, tree.unflatten(
            self._back.structure, range(len(self._back.types))), _is_mark,
            op="with_refs", names=("the refs", "the arguments"))
        for entry, type in zip(flat, self._back.types, strict=True):
            if not _is_mark(entry) or entry.__class__ is Ref and entry.type.type is not type:
                raise mistake(ArgumentError, "with_refs", f"{entry!r} for an argument of type "
                              f"{type}", hint=f"a ref to {type}, GradValue() or DontWant()")
        return VJP(self._back, self.args_res, self.opaque_residuals, flat)

    def __call__(self, cotangent: Any) -> Any:
        back = self._back
        entries = self._entries or [GradValue()] * len(back.types)
        only_once("vjp", [e for e in entries if e.__class__ is Ref], ())
        for i in back.refs:
            if entries[i].__class__ is not Ref and dt.is_inexact(back.types[i].dtype):
                raise mistake(ArgumentError, "vjp", f"argument {_path(back, i)} is a ref, whose "
                              "gradient must be accumulated into a ref",
                              hint="bind one: f_vjp.with_refs(grad_ref)(cotangent)")
        ends = [contents(entries[i]) if entries[i].__class__ is Ref else no_change(back.types[i])
                for i in back.refs]
        out, rest = tree.unflatten(back.output, [_example(a) for a in back.avals])
        given = [*checked_cotangents("vjp", out, cotangent),
                 *checked_cotangents("vjp", rest, ends)]
        wanted = tuple([entries[i].__class__ is not DontWant for i in back.wrt])
        cts = Linear(back.cut, self._residuals(), back.shares).backward(given, wanted)
        found = {i: ct if ct is None else alike(ct, back.weak[i])
                 for i, ct in zip(back.wrt, cts)}
        return tree.unflatten(back.structure, [
            _delivered(entry, found.get(i), type, i in back.refs)
            for i, (entry, type) in enumerate(zip(entries, back.types))])

    def _residuals(self) -> tuple[Any, ...]:
        """What the backward pass reads, in its order."""
        back = self._back
        leaves = tree.flatten_up_to(back.structure, tuple(self.args_res), op="args_res",
                                    names=("the arguments", "args_res"))
        missing = [_path(back, i) for i, x in enumerate(leaves) if x.__class__ is NotSaveable]
        if missing:
            raise mistake(ArgumentError, "vjp", "arguments that were not saved have to be put back "
                          f"first: {', '.join(missing)}", hint="f_vjp.args_res[0] = x")
        rest = iter(self.opaque_residuals)
        return tuple([next(rest) if i is None else self._argument(i, leaves[i])
                      for i in back.sources])

    def _argument(self, leaf: int, x: Any) -> Any:
        """An argument that is kept, or was put back."""
        operand = as_operand(x, "vjp", lambda: f"args_res for {_path(self._back, leaf)}")
        if type_of(operand) is not self._back.types[leaf]:
            raise mistake(ArgumentError, "vjp", f"args_res has {type_of(operand)} for "
                          f"{_path(self._back, leaf)}, which was {self._back.types[leaf]}")
        return operand


tree.register_node(
    VJP, lambda f: ((f.args_res, f.opaque_residuals, f._entries), f._back),
    lambda back, children: VJP(back, *children))


def _is_mark(x: Any) -> bool:
    return x.__class__ is Ref or isinstance(x, _MARKS)


def _path(back: _Backward, leaf: int) -> str:
    path = tree.paths(back.structure)[leaf]
    return f"{path[0].idx}{tree.keystr(path[1:])}"


def _example(aval: Any) -> Any:
    return no_change(type_of(aval)) if aval.dtype == dt.float0 else aval


def _delivered(entry: Any, cotangent: Any, type: Any, is_ref: bool) -> Any:
    """The cotangent, or what stands for it where a ref took it."""
    if entry.__class__ is DontWant:
        return DidntWant()
    if entry.__class__ is not Ref:
        return no_change(type) if cotangent is None else cotangent
    if cotangent is None:  # of integers
        return GradRef()
    if is_ref:
        put(entry, cotangent)
    else:
        write(entry, ..., cotangent, add=True)
    return GradRef()


def vjp(fun: Function, *primals: Any, has_aux: bool = False, saveable_args: Any = True) -> Any:
    """(fun(*primals), the function from the output's cotangent to the arguments' cotangents).

    The second result takes a container like the output and returns a tuple, one an argument. It
    is a `VJP`: a container of the arrays that the backward pass reads, which jitted functions may
    return and take. Arguments may be refs: see `VJP.with_refs`.

    Args:
        fun: a function of arrays in nested containers.
        has_aux: fun returns (output, auxiliary data); the data comes back as a third result.
        saveable_args: False for arguments that are not kept and will be put back into `args_res`;
            nested tuples for parts of containers.

        >>> y, back = vjp(lambda x, y: x * y, 2.0, 3.0)
        >>> back(1.0)
        (Array(3., dtype=float32), Array(2., dtype=float32))
    """
    must_call("vjp", fun)
    leaves, structure = tree.flatten(primals)
    refs = tuple([i for i, x in enumerate(leaves) if x.__class__ is Ref])
    operands = [shown(x) if x.__class__ is Ref
                else as_operand(x, "vjp", partial(argument_path, primals, i))
                for i, x in enumerate(leaves)]
    types = tuple(map(type_of, operands))
    wrt = tuple([i for i, t in enumerate(types) if dt.is_inexact(t.dtype)])
    flat = Flat("vjp", _with_ends(fun, has_aux), structure, True, refs=True, passed=refs)
    outs, linear = linearized("vjp", flat, operands, wrt, lambda: flat.main)
    outs = marked(outs, flat.weak)
    flat.write_back(outs, leaves)
    main, aux = flat.unflatten(outs)
    sources = linear.cut.sources(len(operands))
    avals, output = tree.flatten(main)
    back = _Backward(linear.cut, wrt, sources, structure, types, refs, output,
                     tuple([ShapeDtypeStruct(x.shape, x.dtype) for x in avals]),
                     tuple(map(is_weak, operands)), linear.shares)
    kept = dict(zip(sources, linear.residuals))
    saved = _saveable(saveable_args, structure)
    args_res = tree.unflatten(structure, [
        (kept[i] if save else NotSaveable()) if i in kept else NotNeeded()
        for i, save in enumerate(saved)])
    opaque = [x for x, i in zip(linear.residuals, sources) if i is None]
    pullback = VJP(back, args_res, opaque)
    return (main[0], pullback, aux) if has_aux else (main[0], pullback)


def _with_ends(fun: Function, has_aux: bool) -> Function:
    """The function, with what its refs hold at the end as outputs that have derivatives."""
    def wrapped(*args: Any) -> Any:
        out = fun(*args)
        if has_aux and not (isinstance(out, tuple) and len(out) == 2):
            raise mistake(ArgumentError, "vjp", f"with has_aux=True the function must return a "
                          f"pair (output, auxiliary data), not {what_is(out)}",
                          hint="return loss, {'accuracy': accuracy}")
        main, aux = out if has_aux else (out, ())
        return (main, [contents(x) for x in tree.leaves(args) if x.__class__ is Ref]), aux
    return wrapped


def _saveable(entry: Any, structure: Any) -> Iterator[bool]:
    """For each leaf whether it may be kept; containers are matched by their number of children."""
    if isinstance(entry, bool):
        yield from [entry] * structure.num_leaves
    elif isinstance(entry, tuple) and len(entry) == len(structure.children):
        for each, child in zip(entry, structure.children):
            yield from _saveable(each, child)
    else:
        raise mistake(ArgumentError, "vjp", f"saveable_args has {entry!r} for {structure}",
                      hint="True, False, or a tuple with one of them for each part")


def fwd_and_bwd(fun: Function, argnums: int | Sequence[int], has_aux: bool = False,
                jitted: bool = True) -> tuple[Function, Function]:
    """(fwd, bwd): the forward and the backward pass of `fun` as two functions, each compiled.

    `fwd(*args)` returns (output, residuals), and auxiliary data as a third; `bwd(residuals, ct)`
    the gradient by the arguments in `argnums`, a tuple if that is one.

        >>> fwd, bwd = fwd_and_bwd(lambda x, y: x * y, 0)
        >>> out, residuals = fwd(2.0, 3.0)
        >>> bwd(residuals, 1.0)
        Array(3., dtype=float32)
    """
    numbers = argument_numbers(argnums)

    def fwd(*args: Any, **kwargs: Any) -> Any:
        part, chosen = in_chosen("fwd_and_bwd", fun, numbers, args, kwargs, "fcbiu")
        return vjp(part, *chosen, has_aux=has_aux)

    def bwd(residuals: VJP, cotangent: Any) -> Any:
        found = residuals(cotangent)
        return found[0] if isinstance(argnums, int) else found

    return (jit(fwd), jit(bwd)) if jitted else (fwd, bwd)
