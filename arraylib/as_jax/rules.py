"""The rules of primitives: jax.interpreters.ad, .batching and .mlir as far as they register them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from arraylib import dtypes as dt, numpy as jnp, tree
from arraylib.as_jax.moving import JVPTracer as JVPTracer
from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.ops.constant import zeros
from arraylib.numpy import moveaxis
from arraylib.record import record

Rule = Callable[..., Any]

primitive_jvps: dict[Any, Rule] = {}
primitive_transposes: dict[Any, Rule] = {}
primitive_batchers: dict[Any, Rule] = {}
axis_primitive_batchers: dict[Any, Rule] = {}
fancy_primitive_batchers: dict[Any, Rule] = {}
lowerings: dict[Any, Rule] = {}
_for_cpu: set[Any] = set()  # primitives whose rule for compiled code names the CPU

not_mapped = None


class AxisData(NamedTuple):
    """Of the axis of the examples what `fancy_primitive_batchers` are told: its name and size."""

    name: Any
    size: int
    spmd_name: Any = None
    explicit_mesh_axis: Any = None


@record
class Zero:
    """A tangent or cotangent that is zero and that nobody computed."""

    aval: Type

    @staticmethod
    def from_primal_value(x: Any) -> Zero:
        """The zero tangent of a value."""
        return Zero(type_of(x))


@record
class UndefinedPrimal:
    """Stands for an operand that a primitive is linear in, where it is transposed."""

    aval: Type


tree.register_node(Zero, lambda zero: ((), zero.aval), lambda aval, _: Zero(aval))
tree.register_node(UndefinedPrimal, lambda x: ((), x.aval), lambda aval, _: UndefinedPrimal(aval))


def is_undefined_primal(x: Any) -> bool:
    """Whether x stands for an operand that a primitive is linear in."""
    return isinstance(x, UndefinedPrimal)


def instantiate_zeros(x: Any) -> Any:
    """A tangent with a symbolic zero written out."""
    return zeros_like_aval(x.aval) if isinstance(x, Zero) else x


def zeros_like_aval(aval: Type) -> Any:
    """Zeros of a type."""
    return np.zeros(aval.shape, dt.float0) if aval.dtype == dt.float0 else zeros(aval)


def add_tangents(x: Any, y: Any) -> Any:
    """The sum of two tangents."""
    return y if isinstance(x, Zero) else x if isinstance(y, Zero) else jnp.add(x, y)


def defjvp(primitive: Any, *jvps: Rule | None) -> None:
    """Rules (tangent, *operands, **params) -> its part of the tangent of the result."""
    def rule(primals: Any, tangents: Any, **params: Any) -> Any:
        out = primitive.bind(*primals, **params)
        parts = [jvp(t, *primals, **params) for jvp, t in zip(jvps, tangents)
                 if jvp is not None and not isinstance(t, Zero)]
        total: Any = Zero(type_of(out))
        for part in parts:
            total = add_tangents(total, part)
        return out, total
    primitive_jvps[primitive] = rule


def deflinear2(primitive: Any, transpose: Rule) -> None:
    """A primitive that is linear in all its operands together, and its transpose."""
    def rule(primals: Any, tangents: Any, **params: Any) -> Any:
        out = primitive.bind(*primals, **params)
        return out, primitive.bind(*map(instantiate_zeros, tangents), **params)
    primitive_jvps[primitive] = rule
    primitive_transposes[primitive] = transpose


def deflinear(primitive: Any, transpose: Rule) -> None:
    """The same with a transpose that takes nothing but the cotangent."""
    deflinear2(primitive, lambda ct, *operands, **params: transpose(ct, **params))


def to_front(x: Any, axis: int | None) -> Any:
    """x with the axis of the examples first."""
    return x if axis is None or axis == 0 else moveaxis(x, axis, 0)


def bdim_at_front(x: Any, axis: int | None, size: int) -> Any:
    """x with an axis of `size` examples first, repeated if it has none."""
    return jnp.broadcast_to(x, (size, *jnp.shape(x))) if axis is None else to_front(x, axis)


def broadcast(x: Any, size: int, axis: int, *options: Any) -> Any:
    """x repeated along a new axis."""
    return jnp.repeat(jnp.expand_dims(x, axis), size, axis)


def _vectorized(primitive: Any, args: Any, dims: Any, **params: Any) -> Any:
    """The batch of a primitive that works element by element."""
    size = next(jnp.shape(x)[d] for x, d in zip(args, dims) if d is not None)
    return primitive.bind(*[bdim_at_front(x, d, size) for x, d in zip(args, dims)], **params), 0


def defvectorized(primitive: Any) -> None:
    """Let a batch be the primitive on arrays with one more axis."""
    primitive_batchers[primitive] = partial(_vectorized, primitive)


defbroadcasting = defvectorized


@record
class LoweringContext:
    """What a rule for compiled code is told."""

    primitive: Any


def register_lowering(primitive: Any, rule: Rule | None = None, platform: str | None = None,
                      **options: Any) -> Any:
    """What compiled code runs for a primitive: `rule(context, *operands, **params)`.

    Operands are values with which `arraylib.numpy` and the operations of `dialects.hlo` compute.
    Rules for platforms other than the CPU are not used; one for the CPU goes before one for all.
    """
    if rule is None:
        return partial(register_lowering, primitive, platform=platform)
    if platform == "cpu":
        _for_cpu.add(primitive)
    if platform == "cpu" or platform is None and primitive not in _for_cpu:
        lowerings[primitive] = rule
    return rule


def lower_fun(fun: Rule, multiple_results: bool = True) -> Rule:
    """A function of arrays as the rule for compiled code."""
    def rule(context: LoweringContext, *operands: Any, **params: Any) -> Any:
        out = fun(*operands, **params)
        return list(out) if multiple_results else [out]
    return rule


