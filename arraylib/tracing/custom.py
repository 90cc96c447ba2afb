"""Derivatives that users write: custom_jvp, custom_vjp.

A function becomes one operation whose body is what the function does, and whose rule is a graph
that is traced when a derivative is first taken.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial, update_wrapper
from typing import Any

import numpy as np

from arraylib import dtypes as dt, tree
from arraylib.errors import (
    ArgumentError,
    DtypeError,
    ShapeError,
    StructureError,
    TraceError,
    mistake,
    what_is,
)
from arraylib.hlo.ir import (
    Builder,
    Type,
    Value,
    current,
    given_type,
    is_tracing,
    known,
    type_of,
)
from arraylib.hlo.ops import derivative as ops
from arraylib.hlo.ops.constant import constant, zeros
from arraylib.hlo.ops.control import keep, run_inside
from arraylib.hlo.ops.derivative import Drawn, Rule
from arraylib.hlo.ops.elementwise import convert
from arraylib.record import record
from arraylib.tracing.axis_names import within_axes
from arraylib.tracing.cells import Ref, changed, claim, put_all, resolved
from arraylib.tracing.core import (
    Flat,
    as_operand,
    flatten_arguments,
    hold_refs,
    marked,
    trace,
    trace_with_refs,
)
from arraylib.tracing.layouts import variation_of
from arraylib.tracing.shares import Spread, within_checks
from arraylib.tracing.symbolic import SymbolicZero, with_perturbed, with_symbolic

Function = Callable[..., Any]
Mask = Sequence[bool] | None
_NUMBERS = frozenset((bool, int, float, complex))


def drawn(function: Function, types: Sequence[Type], values: Sequence[Any] = (),
          alike: Sequence[Any] | None = None) -> Drawn:
    """The graph of a rule; arrays that it closes over are constants in it.

    `values` are those of the first inputs, if Python looks at them. Refs are among the values from
    outside: what they hold is asked for at each use.
    """
    graph, captured = trace_with_refs(function, types, values or None, alike)
    from_outside = [isinstance(x, (Value, Ref)) for x in captured]
    with Builder() as b:
        own = [b.input(t) for t in types]
        closed = [b.input(t) if outside else constant(value=np.asarray(x)) for x, t, outside
                  in zip(captured, graph.input_types[len(types):], from_outside)]
        whole = b.build_closed(run_inside(graph, [*own, *closed]))
    return whole, tuple([x for x, outside in zip(captured, from_outside) if outside])


@record(eq=False, repr=False)
class RefRule(Rule):
    """A rule that reads and writes refs of the outside where it is used."""

    written: list[Ref]  # once it is drawn: those whose contents come after the outputs
    function: Function  # what it draws

    def __call__(self, *xs: Any) -> list[Any]:
        if not is_tracing():  # on arrays, at which Python may look
            return [current().own(x) for x in self.function(*xs)]
        graph, closed = self.drawn
        found = run_inside(graph, [*xs, *resolved(closed)])
        count = len(found) - len(self.written)
        put_all(self.written, found[count:])
        return found[:count]

    @property
    def types(self) -> tuple[Type, ...]:
        found = self.drawn[0].output_types
        return found[:len(found) - len(self.written)]

    def batched(self, batch: Any, has: Sequence[bool] | None, size: int,
                outs: Sequence[bool] = ()) -> Rule:
        def draw() -> Drawn:
            graph, closed = self.drawn
            if self.written:
                raise mistake(TraceError, "vmap", "the rule of a derivative writes to one "
                              f"{self.written[0].type} for every example",
                              hint="call the function outside vmap, or let it return the values")
            return graph, tuple(resolved(closed))
        return Rule(draw).batched(batch, has, size, outs)


def rule_of(function: Function, types: Callable[[], Sequence[Type]], values: Sequence[Any] = (),
            alike: Callable[[], Sequence[Any] | None] = lambda: None) -> RefRule:
    """The rule that a flat function draws.

    `types`, of its inputs, are asked for then, and how they differ inside of shard_map.
    """
    written: list[Ref] = []

    def with_refs(*xs: Any) -> list[Any]:
        outputs = function(*xs)
        written[:] = changed()
        return [*outputs, *claim(written)]
    return RefRule(_there(lambda: drawn(with_refs, types(), values, alike())), written, function)


def _there(function: Function) -> Function:
    """`function` as if it were called here, with the axes that have names."""
    return within_axes(within_checks(function))


class Ruled(ABC):
    """A function with a rule of the user's for one transform; its rules take arguments by position.
    """

    kind = ""

    def __init__(self, fun: Function) -> None:
        update_wrapper(self, fun, updated=())  # not its rules, should it have some of its own
        self.fun = fun

    @property
    def name(self) -> str:
        return getattr(self.fun, "__name__", type(self.fun).__name__)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else partial(self, instance)

    def __repr__(self) -> str:
        return f"<{self.kind} function {self.name}>"

    @abstractmethod
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function returns; while tracing, one operation with its rules."""

    def _bound(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position."""
        if not kwargs:
            return tuple(args)
        try:
            bound = inspect.signature(self.fun).bind(*args, **kwargs)
        except TypeError as error:
            raise mistake(ArgumentError, self.name, str(error),
                          hint="call it as the function is defined") from None
        bound.apply_defaults()
        if bound.kwargs:
            raise mistake(ArgumentError, self.name, f"the rules of a {self.kind} function take "
                          f"arguments by position, but {min(bound.kwargs)!r} is by name only",
                          hint="give the parameter a position: remove the * before it")
        return bound.args


class _Custom(Ruled):
    """A function with a derivative of its own: what both kinds have in common."""

    def __init__(self, fun: Function, nondiff_argnums: Sequence[int] = ()) -> None:
        super().__init__(fun)
        self.nondiff = tuple(sorted(int(i) for i in nondiff_argnums))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._check_rules()
        bound = self._bound(args, kwargs)
        if self.nondiff and self.nondiff[-1] >= len(bound):
            raise mistake(ArgumentError, self.name, f"nondiff_argnums names argument "
                          f"{self.nondiff[-1]}, but {len(bound)} are given",
                          hint="a number of an argument that is always given")
        if not is_tracing():
            return self.fun(*bound)
        return _Call(self, bound).emitted()

    @abstractmethod
    def _check_rules(self) -> None:
        """Refuse a call while there is no derivative."""

    @abstractmethod
    def emit(self, call: _Call, operands: Sequence[Any], attrs: dict[str, Any]) -> Sequence[Any]:
        """The outputs of the operation with the rules for this call."""


class _Call:
    """One call while tracing: arguments as operands, those with a derivative first."""

    def __init__(self, custom: _Custom, args: tuple[Any, ...]) -> None:
        self.custom, self.args = custom, args
        self.wrt = [i for i in range(len(args)) if i not in custom.nondiff]
        self.operands, self.structure = flatten_arguments(
            custom.name, tuple(args[i] for i in self.wrt))
        self.count = len(self.operands)
        leaves, self.fixed_structure = tree.flatten(tuple(args[i] for i in custom.nondiff))
        self.places = [i for i, x in enumerate(leaves) if isinstance(x, (Value, np.ndarray))
                       or getattr(x, "type", None).__class__ is Type]
        self.leaves = leaves
        self.operands += [as_operand(leaves[i], custom.name, lambda: "a nondiff argument")
                          for i in self.places]
        self.flat: Flat | None = None
        self.output_types: tuple[Type, ...] = ()
        self.values: list[Any] = []  # of the operands, where the function's Python code asks
        self.spread = Spread.of(self.operands)  # inside of shard_map

    @property
    def types(self) -> list[Type]:
        return list(map(given_type, self.operands))

    def fixed(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments without derivative, with these arrays among them."""
        leaves = list(self.leaves)
        for place, x in zip(self.places, arrays):
            leaves[place] = x
        return tuple(tree.unflatten(self.fixed_structure, leaves))

    def arguments(self, xs: Sequence[Any]) -> list[Any]:
        """The function's arguments from operands."""
        found: list[Any] = [None] * len(self.args)
        for i, x in zip(self.wrt, tree.unflatten(self.structure, xs[:self.count])):
            found[i] = x
        for i, x in zip(self.custom.nondiff, self.fixed(xs[self.count:])):
            found[i] = x
        return found

    def emitted(self) -> Any:
        self.flat = Flat(self.custom.name, lambda *xs: self.custom.fun(*self.arguments(xs)),
                         tree.structure(tuple(self.operands)))
        try:
            graph, captured = trace(self.flat, self.types, alike=self.operands)
        except TraceError:
            # Under `grad` outside `jit` Python may look at what the arguments are.
            values = [known(x) for x in self.operands]
            if any(x is None for x in values):
                raise
            self.values = values
            graph, captured = trace(self.flat, self.types, values)
        self.output_types = graph.output_types
        attrs = {"body": graph, "wrt": self.count, "closed": len(captured),
                 "name": self.custom.name}
        outs = self.custom.emit(self, [*self.operands, *captured], attrs)
        return self.flat.unflatten(marked(outs, self.flat.weak))[0]

    def moved_types(self) -> list[Type]:
        """The types of the tangents that a rule is given."""
        return [t.strong for t in self.types[:self.count] if dt.is_inexact(t.dtype)]

    def outputs(self, what: str, out: Any) -> list[Any]:
        """What a rule returned as the function's output, as flat as that, and checked."""
        assert self.flat is not None
        structure = tree.structure(self.flat.unflatten(self.output_types)[0])
        given = tree.structure(out)
        if given is not structure:
            raise mistake(StructureError, self.custom.name, f"its rule returned {what} of "
                          f"structure {given}, but the function's output is {structure}",
                          hint="return the structure that the function returns")
        return [_checked(self.custom.name, f"{what}{tree.keystr(path)}", x, type)
                for (path, x), type in zip(tree.flatten_with_path(out)[0], self.output_types)]


def _checked(name: str, what: str, x: Any, type: Type) -> Any:
    """A result of a rule as a value of the type it must have."""
    if _is_zero(x) or not dt.is_inexact(type.dtype) and type_of(x).dtype != type.dtype:
        return zeros(type)
    x = as_operand(x, name, lambda: what)
    if type_of(x).shape != type.shape:
        raise mistake(ShapeError, name, f"its rule returned {what} of shape {type_of(x).shape}, "
                      f"but {type.shape} is needed",
                      hint="a rule's value has the type of what it belongs to")
    if type_of(x).dtype == type.dtype:
        return x
    if dt.kind(type_of(x).dtype) == "c" and dt.kind(type.dtype) != "c":
        raise mistake(DtypeError, name, f"its rule returned {what} of complex dtype "
                      f"{dt.name(type_of(x).dtype)}, but {dt.name(type.dtype)} is needed",
                      hint="a rule's value has the type of what it belongs to")
    return convert(x, dtype=type.dtype)


def _is_zero(x: Any) -> bool:
    return x is None or isinstance(x, SymbolicZero) or getattr(x, "dtype", None) == dt.float0


def _with_zeros(values: Sequence[Any], types: Sequence[Type]) -> list[Any]:
    """Tangents of all leaves from those of floats: others have float0."""
    rest = iter(values)
    return [next(rest) if dt.is_inexact(t.dtype) else np.zeros(t.shape, dt.float0) for t in types]


# -- forwards -------------------------------------------------------------------------------------


class custom_jvp(_Custom):  # a decorator's name
    """A function whose tangents are computed as `defjvp` or `defjvps` say.

    Args:
        fun: a function of arrays in nested containers.
        nondiff_argnums: arguments that have no derivative; the rule gets them first, one by one.

    Raises: ArgumentError if there is no rule; StructureError, ShapeError where what the rule
    returns does not fit the output; TraceError where a derivative is taken in something that the
    function reads, but is no argument.

        >>> @custom_jvp
        ... def log1pexp(x):
        ...     return jnp.log(1 + jnp.exp(x))
        >>> @log1pexp.defjvp
        ... def rule(primals, tangents):
        ...     (x,), (t,) = primals, tangents
        ...     return log1pexp(x), t * (1 - 1 / (1 + jnp.exp(x)))
        >>> grad(log1pexp)(100.0)
        Array(1., dtype=float32)
    """

    kind = "custom_jvp"
    rule: Function | None = None
    symbolic_zeros = False

    def defjvp(self, jvp: Function, symbolic_zeros: bool = False) -> Function:
        """Take `jvp(*nondiff, primals, tangents) -> (output, tangent of it)` for the rule.

        Tangents of integers are zeros of dtype float0. With `symbolic_zeros`, tangents that are
        known to be zero are `SymbolicZero`, which the rule may return too.
        """
        self.rule, self.symbolic_zeros = jvp, symbolic_zeros
        return jvp

    def defjvps(self, *jvps: Function | None) -> None:
        """Take the tangent for a sum of `jvp(tangent, output, *primals)`, one an argument.

        None stands for zero.
        """
        def rule(*args: Any) -> Any:
            *nondiff, primals, tangents = args
            if nondiff:
                raise mistake(ArgumentError, self.name, "defjvps is for functions without "
                              "nondiff_argnums", hint="use defjvp")
            out = self(*primals)
            parts = [jvp(t, out, *primals) for jvp, t in zip(jvps, tangents, strict=True)
                     if jvp is not None]
            if not parts:
                return out, tree.map(lambda x: zeros(type_of(x)), out)
            return out, tree.map(lambda *xs: sum(xs[1:], xs[0]), *parts)
        self.rule = rule

    def _check_rules(self) -> None:
        if self.rule is None:
            raise mistake(ArgumentError, self.name, "has no derivative yet",
                          hint=f"define it by @{self.name}.defjvp")

    def emit(self, call: _Call, operands: Sequence[Any], attrs: dict[str, Any]) -> Sequence[Any]:
        assert self.rule is not None
        rule: Any = (ops.Masked(_there(partial(_pushing, self.rule, call)), tangents=True)
                     if self.symbolic_zeros else _pushing(self.rule, call))
        return ops.custom_jvp(*operands, **attrs, rule=rule)  # type: ignore[no-any-return]


def _pushed(rule: Function, call: _Call, mask: Sequence[bool] | None, nonzero: list[bool],
            *xs: Any) -> list[Any]:
    """The rule on flat values: outputs, then the tangents of those that are floats.

    With a mask, of the floats in it, and `nonzero` is which of the outputs have one.
    """
    own, types = len(call.types), call.types[:call.count]
    tangents = (_with_zeros(xs[own:], types) if mask is None else
                with_symbolic(xs[own:], types, mask))
    found = rule(*call.fixed(xs[call.count:own]), tree.unflatten(call.structure, xs[:call.count]),
                 tree.unflatten(call.structure, tangents))
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise mistake(StructureError, call.custom.name, "its rule must return a pair (output, "
                      f"tangent), not {what_is(found)}", hint="return f(*primals), tangent")
    outs, moved = (call.outputs(what, x) for what, x in zip(("an output", "a tangent"), found))
    moves = [dt.is_inexact(type_of(t).dtype) for t in moved]
    if mask is not None:
        zero = [isinstance(t, SymbolicZero) for t in tree.leaves(found[1])]
        moves = [m and not z for m, z in zip(moves, zero, strict=True)]
        nonzero[:] = moves
    return [*outs, *keep(moved, moves)]


def _pushing(rule: Function, call: _Call, mask: Sequence[bool] | None = None) -> Rule:
    """The rule of a derivative forwards, for one call; see `_pushed`."""
    nonzero: list[bool] = []
    types = call.moved_types()
    moved = types if mask is None else keep(types, mask)
    found = rule_of(partial(_pushed, rule, call, mask, nonzero), lambda: [*call.types, *moved],
                    call.values)
    return replace(found, nonzero=nonzero)


# -- backwards ------------------------------------------------------------------------------------


class custom_vjp(_Custom):  # a decorator's name
    """A function whose cotangents are computed as `defvjp` says.

    Args:
        fun: a function of arrays in nested containers.
        nondiff_argnums: arguments that have no derivative; the backward rule gets them first.

    Raises: as `custom_jvp`; TraceError where a derivative is taken forwards.

        >>> @custom_vjp
        ... def clipped(x):
        ...     return x
        >>> clipped.defvjp(lambda x: (x, None), lambda _, ct: (jnp.clip(ct, -1, 1),))
        >>> grad(lambda x: 5 * clipped(x))(2.0)
        Array(1., dtype=float32)
    """

    kind = "custom_vjp"
    symbolic_zeros = False
    fwd: Function | None = None
    bwd: Function
    jvp: Function | None = None  # a rule as that of custom_jvp, for derivatives taken forwards

    def defvjp(self, fwd: Function, bwd: Function, symbolic_zeros: bool = False,
               optimize_remat: bool = False) -> None:
        """Take `fwd(*args) -> (output, residuals)` and `bwd(*nondiff, residuals, cotangent)`.

        bwd returns a tuple, one an argument; None stands for zero. What `optimize_remat` asks for,
        that an unused forward rule costs nothing, is always so. With `symbolic_zeros`, fwd gets
        each leaf as a `CustomVJPPrimal`, which says whether a derivative is taken in it; bwd gets a
        `SymbolicZero` for a cotangent that is known to be zero, and may return one.

        Of the residuals, what is traced or an array is an array in bwd; Python's numbers stay what
        they are, so that rules may branch on them.
        """
        self.fwd, self.bwd, self.symbolic_zeros = fwd, bwd, symbolic_zeros

    def _check_rules(self) -> None:
        if self.fwd is None:
            raise mistake(ArgumentError, self.name, "has no derivative yet",
                          hint=f"define it by {self.name}.defvjp(forward, backward)")

    def emit(self, call: _Call, operands: Sequence[Any], attrs: dict[str, Any]) -> Sequence[Any]:
        if self.symbolic_zeros:
            pair = cache(_there(partial(self._rules, call)))
            rules: Any = (ops.Masked(lambda mask: pair(mask)[0]),
                          ops.Masked(lambda mask: pair(mask)[1]))
        else:
            rules = self._rules(call)
        if self.jvp is not None:
            attrs = {**attrs, "rule": _pushing(self.jvp, call)}
        return ops.custom_vjp(  # type: ignore[no-any-return]
            *operands, **attrs, forward=rules[0], backward=rules[1])

    def _rules(self, call: _Call, mask: Mask = None) -> tuple[Rule, Rule | ops.Masked]:
        """Forwards and backwards; with a mask, where these of the floats have a tangent."""
        residuals = _Residuals()
        forward = rule_of(lambda *xs: self._forward(call, residuals, *xs, mask=mask),
                          lambda: call.types, call.values,
                          lambda: call.spread.each if call.spread else None)
        given = [t for t in call.output_types if dt.is_inexact(t.dtype)]

        def backward(some: Mask) -> Rule:
            nonzero: list[bool] = []
            found = rule_of(
                lambda *xs: self._backward(call, residuals, nonzero, *xs, mask=some),
                lambda: [*forward.types[len(call.output_types):],
                         *(given if some is None else keep(given, some))], (),
                lambda: [*residuals.differ, *[call.spread.together] * sum(
                    some or [True] * len(given))] if call.spread else None)
            return replace(found, nonzero=nonzero)
        if mask is None:
            return forward, backward(None)
        return forward, ops.Masked(_there(backward), tangents=True)

    def _forward(self, call: _Call, residuals: _Residuals, *xs: Any,
                 mask: Mask = None) -> list[Any]:
        """Outputs, residuals, and the arrays among arguments without derivative."""
        assert self.fwd is not None
        leaves = xs if mask is None else [
            *with_perturbed(xs[:call.count], call.types, mask), *xs[call.count:]]
        found = self.fwd(*call.arguments(leaves))
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise mistake(StructureError, self.name, "its forward rule must return a pair "
                          f"(output, residuals), not {what_is(found)}",
                          hint="return output, what_backward_needs")
        kept = [as_operand(x, self.name, lambda: "a residual",
                           "residuals are arrays in nested containers")
                for x in residuals.arrays(found[1])]
        if call.spread:
            residuals.differ = list(map(variation_of, [*kept, *xs[call.count:]]))
        return [*call.outputs("an output", found[0]), *kept, *xs[call.count:]]

    def _backward(self, call: _Call, residuals: _Residuals, nonzero: list[bool], *xs: Any,
                  mask: Mask = None) -> list[Any]:
        """Cotangents of the operands that are floats, but for zeros; `nonzero` is which."""
        assert call.flat is not None
        count = residuals.count
        kept, fixed, given = xs[:count], xs[count:count + len(call.places)], \
            xs[count + len(call.places):]
        types = call.output_types
        cotangents = call.flat.unflatten(
            _with_zeros(given, types) if mask is None else with_symbolic(given, types, mask))[0]
        found = self.bwd(*call.fixed(fixed), residuals.whole(kept), cotangents)
        args = tree.unflatten(call.structure, call.types[:call.count])
        if not isinstance(found, (tuple, list)) or len(found) != len(args):
            raise mistake(StructureError, self.name, "its backward rule must return a tuple of "
                          f"{len(args)} cotangents, one an argument, not {what_is(found)}",
                          hint="return (cotangent,) for one argument; None for one without")
        whole = [ct for i, (x, arg) in enumerate(zip(found, args))
                 for ct in self._cotangents(i, x, arg)]
        if call.spread:
            whole = call.spread.parts(whole)
        moved = [ct for ct, t in zip(whole, call.types) if dt.is_inexact(t.dtype)]
        nonzero[:] = [ct is not None for ct in moved]
        return [ct for ct in moved if ct is not None]

    def _cotangents(self, number: int, given: Any, argument: Any) -> list[Any]:
        """The leaves of one argument's cotangent; None is zero."""
        types, structure = tree.flatten(hold_refs(argument))
        if given is None:
            return [None] * len(types)
        leaves = tree.flatten_up_to(structure, given, op=self.name,
                                    names=(f"argument {number}", "its cotangent"))
        return [None if _is_zero(x) else
                _checked(self.name, f"the cotangent of argument {number}", x, t)
                for x, t in zip(leaves, types)]


class _Residuals:
    """What a forward rule keeps, taken apart: once that has run, its structure and its numbers."""

    def __init__(self) -> None:
        self.structure: Any = None
        self.numbers: dict[int, Any] = {}  # leaves that are Python's own, by their place
        self.count = 0  # of the others
        self.differ: list[Any] = []  # how they, and arguments without derivative, do in shard_map

    def arrays(self, kept: Any) -> list[Any]:
        """The leaves that are arrays."""
        leaves, self.structure = tree.flatten(hold_refs(kept))
        self.numbers = {i: x for i, x in enumerate(leaves) if x.__class__ in _NUMBERS}
        found = [x for i, x in enumerate(leaves) if i not in self.numbers]
        self.count = len(found)
        return found

    def whole(self, arrays: Sequence[Any]) -> Any:
        """What was kept, with these arrays in it."""
        rest = iter(arrays)
        return tree.unflatten(self.structure, [
            self.numbers[i] if i in self.numbers else next(rest)
            for i in range(self.structure.num_leaves)])
