"""Derivatives of functions on nested containers: jvp, linearize, grad and their relatives.

`vjp` is in pullback.py.

Every one traces its function once, makes the graph of values and tangents, cuts it after what needs
no tangent, and runs, keeps or transposes the linear rest. All of it is emitted wherever operations
go at the time, so that transforms nest in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial, wraps
from itertools import chain, repeat
from typing import Any

from arraylib import dtypes as dt, tree
from arraylib.errors import (
    ArgumentError,
    DtypeError,
    ShapeError,
    TraceError,
    mistake,
    what_is,
)
from arraylib.hlo.ir import Builder, Graph, Type, given_type, is_weak, run, type_of
from arraylib.hlo.ops.constant import full, zeros
from arraylib.hlo.ops.control import NO_REVERSE
from arraylib.hlo.ops.derivative import direction
from arraylib.hlo.passes.attend import attend
from arraylib.hlo.passes.dce import dce
from arraylib.hlo.passes.rewrite import everywhere
from arraylib.hlo.split import split
from arraylib.record import record
from arraylib.tracing.cells import Ref
from arraylib.tracing.core import (
    Flat,
    ShapeDtypeStruct,
    alike,
    as_operand,
    flatten_arguments,
    has_no_tangent,
    marked,
    must_call,
    owned,
    trace,
)
from arraylib.tracing.jit import derived
from arraylib.tracing.jvp import jvp as jvp_pass
from arraylib.tracing.replay import Emission, Replay, recalled
from arraylib.tracing.shares import Shares, refuse_unknown, shares
from arraylib.tracing.tangents import checked_cotangents, checked_tangents, no_change
from arraylib.tracing.transpose import transpose
from arraylib.tracing.typed import Given, Result

Function = Callable[..., Any]


@record(eq=False)
class Linear:
    """The derivative of a function at one point: a graph linear in its last inputs."""

    cut: _Cut
    residuals: tuple[Any, ...]
    shares: Shares | None = None  # inside of shard_map

    def forward(self, tangents: Sequence[Any]) -> list[Any]:
        cut = self.cut
        some = iter(run(cut.linear, [*self.residuals, *tangents]))
        return [next(some) if h else no_change(t)
                for t, h in zip(cut.output_types, cut.has_tangent)]

    def backward(self, cotangents: Sequence[Any],
                 wanted: tuple[bool, ...] | None = None) -> list[Any]:
        cut, shares = self.cut, self.shares
        if shares is not None:
            cotangents = shares.parts(cotangents)
        given = [c for c, h in zip(cotangents, cut.has_tangent) if h]
        cts = cut.backward(self.residuals, given, wanted)
        if shares is not None:
            cts = shares.totals(cts)
        return [zeros(t) if c is None else c for c, t in zip(cts, cut.tangent_types)]


@record(eq=False)
class _Forward:
    """The derivative of a graph whose values and tangents are computed by the same loops."""

    graph: Graph
    operands: Sequence[Any]
    wrt: Sequence[int]
    count: int  # of outputs with a derivative

    def forward(self, tangents: Sequence[Any]) -> list[Any]:
        given: list[Any] = [None] * len(self.operands)
        for i, t in zip(self.wrt, tangents, strict=True):
            given[i] = t
        with direction(forwards=True):
            pairs = jvp_pass(self.graph, self.operands, given)[:self.count]
        return [no_change(v.type) if t is None else t
                for v, (_, t) in zip(self.graph.outputs, pairs)]


def linearized(name: str, function: Function, operands: Sequence[Any], wrt: Sequence[int],
               main: Callable[[], int] | None = None) -> tuple[list[Any], Linear]:
    """(outputs, derivative in the operands numbered `wrt`) of a flat function.

    Only the first `main()` outputs are differentiated.
    """
    outs, linear = _at_point(function, operands, wrt, main)
    if isinstance(linear, _Forward):
        raise mistake(TraceError, name, "reverse-mode differentiation of a while_loop whose number "
                      "of steps is not known", hint=NO_REVERSE)
    found = shares(name, [operands[i] for i in wrt], outs[:len(linear.cut.has_tangent)])
    return outs, Linear(linear.cut, linear.residuals, found)


class _Cut:
    """The graph of values and tangents in two: what needs no tangent, and the linear rest."""

    def __init__(self, graph: Graph, wrt: Sequence[int], count: int, forwards: bool) -> None:
        graph = everywhere(partial(attend, differentiable=True))(graph)
        with direction(forwards):
            whole, has, self.moved, more = _with_tangents(graph, wrt, count)
        part = split(dce(whole),
                     [True] * len(graph.inputs) + [False] * len(wrt) + [True] * len(more),
                     pruned=True)
        self.is_known = all(part.is_known[:len(graph.outputs)])
        self.known = Replay(part.known, more)
        self.count = sum(part.is_known)  # outputs of it that are not residuals
        self.linear = part.unknown
        self.tangent_types = tuple(graph.inputs[i].type for i in wrt)
        self.output_types = tuple(v.type for v in graph.outputs[:count])
        # A tangent that depends on no tangent is a zero written out; it needs no graph.
        self.has_tangent = tuple(h and not k for h, k in
                                 zip(has, _spread(part.is_known[len(graph.outputs):], has)))
        self._backward: dict[Any, Emission] = {}

    def sources(self, count: int) -> tuple[int | None, ...]:
        """For each residual, which of the first `count` inputs it is; None if it is none."""
        graph = self.known.graph
        number = {v: i for i, v in enumerate(graph.inputs[:count])}
        return tuple([number.get(v) for v in graph.outputs[self.count:]])

    def backward(self, residuals: Sequence[Any], cotangents: Sequence[Any],
                 wanted: tuple[bool, ...] | None = None) -> list[Any]:
        """The cotangents of the inputs that are wanted; None for zeros that nobody computed."""
        has = tuple([ct is not None for ct in cotangents])
        emission = self._backward.get((has, wanted))
        if emission is None:
            emission = self._backward[has, wanted] = Emission(
                partial(self._transposed, has, wanted))
        return emission([*residuals, *[ct for ct in cotangents if ct is not None]])

    def _transposed(self, has: Sequence[bool], wanted: Sequence[bool] | None,
                    *operands: Any) -> list[Any]:
        linear = len(self.tangent_types)
        known = len(self.linear.inputs) - linear
        cts = iter(operands[known:])
        found = transpose(
            self.linear, [False] * known + [True] * linear,
            [*operands[:known], *[None] * linear], [next(cts) if h else None for h in has])
        return [ct if want else None for ct, want in zip(found, wanted or [True] * linear)]


def _at_point(function: Function, operands: Sequence[Any], wrt: Sequence[int],
              main: Callable[[], int] | None,
              forwards: bool = False) -> tuple[list[Any], Linear | _Forward]:
    """As `linearized`; what has loops of unknown length has a derivative forwards only."""
    operands = owned(operands)
    graph, captured = trace(function, list(map(given_type, operands)), operands)
    count = main() if main else len(graph.outputs)
    cut = recalled(("linearized", forwards, *wrt, count), graph,
                   lambda: _Cut(graph, wrt, count, forwards))
    if isinstance(function, Flat):
        _check_written(function, cut.moved)
    everything = [*operands, *captured]
    if not cut.is_known:
        return list(run(graph, everything)), _Forward(graph, everything, wrt, count)
    results = cut.known(everything)
    return list(results[:len(graph.outputs)]), Linear(cut, tuple(results[cut.count:]))


def _check_written(flat: Flat, moved: Sequence[bool]) -> None:
    """Refuse derivatives that would be lost in refs; `moved` says what has one, the refs last."""
    for ref, lost in zip(reversed(flat.written), reversed(moved)):
        if lost and ref.__class__ is Ref:  # those that were passed have a derivative themselves
            raise mistake(TraceError, flat.name, f"a value that has a derivative is written to a "
                          f"{ref.type} of the outside", hint="lax.stop_gradient(value), or a ref "
                          "that is an argument the derivative is taken in")


def _spread(values: Sequence[bool], mask: Sequence[bool]) -> list[bool]:
    rest = iter(values)
    return [next(rest) if m else False for m in mask]


def _with_tangents(graph: Graph, wrt: Sequence[int],
                   count: int) -> tuple[Graph, list[bool], list[bool], list[Any]]:
    """(inputs, tangents of those in wrt) -> (outputs, tangents of the first `count` with one).

    With which outputs have one: of the first `count`, and of the others; and values for the last
    inputs of the graph, which rules of users' read from outside.
    """
    with Builder() as b:
        primals = b.inputs_like(graph.inputs)
        tangents: list[Any] = [None] * len(primals)
        for i in wrt:
            tangents[i] = b.input(graph.inputs[i].type)
        pairs = jvp_pass(graph, primals, tangents)
        has, moved = ([t is not None for _, t in part] for part in (pairs[:count], pairs[count:]))
        some = [t for _, t in pairs[:count] if t is not None]
        whole, outside = b.build([*(p for p, _ in pairs), *some])
    return whole, has, moved, outside


# -- forward --------------------------------------------------------------------------------------


def jvp(fun: Function, primals: Sequence[Any], tangents: Sequence[Any],
        has_aux: bool = False) -> Any:
    """(fun(*primals), its directional derivative along `tangents`).

    Args:
        fun: a function of arrays in nested containers.
        primals, tangents: tuples of one entry an argument, of equal structure and shapes.
        has_aux: fun returns (output, auxiliary data); the data comes back as a third result.

    Raises: StructureError, ShapeError where tangents do not fit the primals.

        >>> jvp(lambda x: x * x, (3.0,), (1.0,))
        (Array(9., dtype=float32), Array(6., dtype=float32))
    """
    must_call("jvp", fun)
    for what, each in (("primals", primals), ("tangents", tangents)):
        if not isinstance(each, (tuple, list)):
            raise mistake(ArgumentError, "jvp", f"the {what} are {what_is(each)}, not a tuple",
                          hint="one entry an argument: jvp(f, (x,), (t,))")
    operands, given, structure = checked_tangents("jvp", tuple(primals), tuple(tangents))
    operands, flat = owned(operands), Flat("jvp", fun, structure, has_aux, refs=True)
    graph, captured = trace(flat, list(map(given_type, operands)), operands)
    has = tuple([t is not None for t in given])
    both = recalled(("jvp", has), graph, lambda: Emission(partial(_pushed, graph, has)))
    found = both([*operands, *captured, *[t for t in given if t is not None]])
    count = len(graph.outputs)
    _check_written(flat, [t is not None for t in found[count:]])
    results = _alike(found[:count], chain(flat.weak, repeat(False)))
    flat.write_back(results)
    out, aux = flat.unflatten(results)
    out_tangent = flat.tangents(_alike([
        no_change(v.type) if t is None else t
        for v, t in zip(graph.outputs[:flat.main], found[count:])], flat.weak))
    return (out, out_tangent, aux) if has_aux else (out, out_tangent)


def _pushed(graph: Graph, has: Sequence[bool], *operands: Any) -> list[Any]:
    """(inputs, the tangents that there are) -> outputs, then tangents, some of which are None."""
    count = len(graph.inputs)
    some = iter(operands[count:])
    tangents = [next(some) if h else None for h in has] + [None] * (count - len(has))
    with direction(forwards=True):
        pairs = jvp_pass(graph, operands[:count], tangents)
    return [*[p for p, _ in pairs], *[t for _, t in pairs]]


def linearize(fun: Function, *primals: Any, has_aux: bool = False) -> Any:
    """(fun(*primals), the function from tangents to the output's tangent at this point).

    Cheaper than calling `jvp` often at one point: what depends on the point only is computed once.

        >>> y, f = linearize(lambda x: x ** 3, 2.0)
        >>> f(1.0)
        Array(12., dtype=float32)
    """
    must_call("linearize", fun)
    operands, structure = flatten_arguments("linearize", primals)
    flat = Flat("linearize", fun, structure, has_aux, refs=True)
    wrt = _inexact(operands)
    outs, linear = _at_point(flat, operands, wrt, lambda: flat.main, forwards=True)
    outs = marked(outs, flat.weak)
    flat.write_back(outs)
    out, aux = flat.unflatten(outs)

    def tangent_of(*tangents: Any) -> Any:
        _, given, _ = checked_tangents("linearize", primals, tangents)
        return flat.tangents(_alike(linear.forward([given[i] for i in wrt]), flat.weak))

    return (out, tangent_of, aux) if has_aux else (out, tangent_of)


def _alike(changes: Sequence[Any], weak: Iterable[bool]) -> list[Any]:
    """Derivatives or what rules of users return, weak where what they stand for is."""
    return [x if has_no_tangent(x) else alike(x, w) for x, w in zip(changes, weak)]


def _inexact(operands: Sequence[Any]) -> list[int]:
    return [i for i, x in enumerate(operands) if dt.is_inexact(type_of(x).dtype)]


# -- reverse --------------------------------------------------------------------------------------


def value_and_grad(fun: Callable[Given, Result], argnums: int | Sequence[int] = 0,
                   has_aux: bool = False, holomorphic: bool = False, allow_int: bool = False
                   ) -> Callable[Given, tuple[Result, Any]]:
    """A function that returns (fun(...), its gradient).

    Args:
        fun: returns a scalar float, or with `has_aux` a pair (scalar, auxiliary data).
        argnums: which positional arguments to differentiate; a tuple gives a tuple of gradients.
            The others may be anything that `fun` takes.
        holomorphic: arguments and result are complex, and fun has a complex derivative. Without,
            complex arguments have the gradient u - iv, with u and v the derivatives of the real
            result by their real and imaginary parts.
        allow_int: allow arguments of integers and bools, whose gradients are zeros of dtype float0.

    Raises: ShapeError if the result is no scalar, DtypeError if an argument or the result is of a
    dtype that has no gradient, ArgumentError if an argument is missing.

        >>> value_and_grad(lambda x: (x ** 2).sum())(jnp.array([1., 2.]))
        (Array(5., dtype=float32), Array([2., 4.], dtype=float32))
    """
    must_call("grad", fun)
    name, single = "grad", isinstance(argnums, int)
    numbers = argument_numbers(argnums)
    allowed = "c" if holomorphic else "fcbiu" if allow_int else "fc"

    @wraps(fun)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        part, chosen = in_chosen(name, fun, numbers, args, kwargs, allowed)
        operands, structure = flatten_arguments(name, chosen)
        flat, wrt = Flat(name, part, structure, has_aux, refs=True), _inexact(operands)
        outs, linear = linearized(name, flat, operands, wrt, lambda: flat.main)
        outs = marked(outs, flat.weak)
        flat.write_back(outs)
        out, aux = flat.unflatten(outs)
        type = _check_scalar(name, fun, out, holomorphic)
        found = dict(zip(wrt, linear.backward([full((), 1, type.dtype)])))
        grads = tree.unflatten(structure, _alike([
            found[i] if i in found else no_change(type_of(x)) for i, x in enumerate(operands)],
            map(is_weak, operands)))
        gradient = grads[0] if single else grads
        return ((out, aux), gradient) if has_aux else (out, gradient)

    return derived("value_and_grad", wrapped, fun, numbers, single, has_aux, holomorphic, allow_int)


def grad(fun: Callable[Given, Any], argnums: int | Sequence[int] = 0, has_aux: bool = False,
         holomorphic: bool = False, allow_int: bool = False) -> Callable[Given, Any]:
    """A function that returns the gradient of `fun`; see `value_and_grad` for the arguments.

    With `has_aux` it returns (gradient, auxiliary data).

        >>> grad(jnp.sin)(0.0)
        Array(1., dtype=float32)
    """
    argnums = argnums if isinstance(argnums, int) else tuple(argnums)
    both = value_and_grad(fun, argnums, has_aux, holomorphic, allow_int)

    @wraps(fun)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return derived("grad", wrapped, fun, argnums, has_aux, holomorphic, allow_int)


def argument_numbers(argnums: int | Sequence[int]) -> tuple[int, ...]:
    return (argnums,) if isinstance(argnums, int) else tuple(argnums)


def in_chosen(name: str, fun: Function, numbers: Sequence[int], args: tuple[Any, ...],
              kwargs: dict[str, Any], allowed: str) -> tuple[Function, tuple[Any, ...]]:
    """`fun` as a function of the arguments with these numbers, and those arguments.

    `allowed` has the kinds of dtypes that those may be of. The others are passed on as they are:
    settings and functions may be among them.
    """
    chosen = [_positional(name, i, args) for i in numbers]
    if len(set(chosen)) < len(chosen):
        raise mistake(ArgumentError, name, f"argnums {tuple(numbers)} names an argument twice")
    for i in chosen:
        _check_differentiable(name, i, args[i], allowed)

    def part(*some: Any) -> Any:
        everything = list(args)
        for i, x in zip(chosen, some):
            everything[i] = x
        return fun(*everything, **kwargs)
    return part, tuple(args[i] for i in chosen)


def _positional(name: str, i: int, args: Sequence[Any]) -> int:
    if -len(args) <= i < len(args):
        return i % len(args)
    raise mistake(ArgumentError, name, f"argnums names argument {i}, but the call has {len(args)} "
                  "positional arguments", hint="pass the differentiated arguments by position")


def _check_differentiable(name: str, number: int, argument: Any, allowed: str) -> None:
    for i, leaf in enumerate(tree.leaves(argument)):
        def where(i: int = i) -> str:
            return f"argument {number}{tree.keystr(tree.flatten_with_path(argument)[0][i][0])}"
        dtype = type_of(as_operand(leaf, name, where)).dtype
        if dt.kind(dtype) in allowed:
            continue
        if allowed == "c":
            raise mistake(DtypeError, name, f"{where()} is {dt.name(dtype)}, but holomorphic=True "
                          "is for complex arguments", hint="leave holomorphic out")
        hint = ("pass holomorphic=True, or differentiate real and imaginary parts"
                if dt.is_complex(dtype) else "pass floats (x.astype(jnp.float32)), or leave the "
                "argument out of argnums")
        raise mistake(DtypeError, name, f"{where()} is {dt.name(dtype)}, which has no gradient",
                      hint=hint)


def _check_scalar(name: str, fun: Function, out: Any, holomorphic: bool) -> Type:
    """The type of the one output; an error if it cannot be differentiated in reverse."""
    leaves, structure = tree.flatten(out)
    function = getattr(fun, "__name__", "the function")
    if len(leaves) != 1 or structure is not tree.structure(leaves[0]):
        raise mistake(ShapeError, name, f"{function} returns {structure}, not one scalar",
                      hint="return the loss alone, or (loss, other) with has_aux=True")
    type = type_of(leaves[0])
    if type.shape != ():
        raise mistake(ShapeError, name, f"{function} returns {type}, not a scalar",
                      hint="reduce it, as in loss.mean() or loss.sum(); for a derivative of every "
                           "output use jacrev or jacfwd")
    if not (dt.is_float(type.dtype) or holomorphic and dt.is_complex(type.dtype)):
        raise mistake(DtypeError, name, f"{function} returns {dt.name(type.dtype)}, which has no "
                      "gradient", hint="return a float" + (
                          ", or pass holomorphic=True" if dt.is_complex(type.dtype) else ""))
    return type


def linear_transpose(fun: Function, *primals: Any) -> Function:
    """The transpose of a linear function: from a cotangent of its output to those of its arguments.

    `primals` give shapes and dtypes only; ShapeDtypeStruct will do, or what `typeof` gives.

        >>> linear_transpose(lambda x: 2 * x, 1.0)(3.0)
        (Array(6., dtype=float32),)
    """
    refuse_unknown("linear_transpose")
    return transposed(fun, *primals)


def transposed(fun: Function, *primals: Any) -> Function:
    """As `linear_transpose`; inside of shard_map, each device's part of that of all."""
    operands, structure = flatten_arguments("linear_transpose", tree.map(
        lambda x: ShapeDtypeStruct.of(x) if isinstance(x, Type) else x, primals))
    flat = Flat("linear_transpose", fun, structure)
    graph, captured = trace(flat, list(map(given_type, operands)))
    out = flat.tangents(graph.outputs)

    def back(cotangent: Any) -> Any:
        cts = checked_cotangents("linear_transpose", out, cotangent, linear=True)
        linear = [True] * len(operands) + [False] * len(captured)
        found = transpose(graph, linear, [*[None] * len(operands), *captured], cts)
        return tree.unflatten(structure, [zeros(type_of(x)) if c is None else c
                                          for c, x in zip(found, operands)])
    return back
