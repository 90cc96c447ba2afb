"""CHLO: operations that repeat their operands to a common shape, and constants like an operand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib.hlo.ir import Type, Value, type_of
from arraylib.hlo.mlir.attributes import Dense, Float, Integer, number_of
from arraylib.hlo.ops.constant import constant
from arraylib.hlo.ops.structured import broadcast_in_dim
from arraylib.hlo.passes.rules.operation import Foreign, Rule

# Of each operation its name without operands that are repeated, and how many it takes.
_NAMES: dict[str, tuple[str, int]] = {
    **{f"chlo.broadcast_{name}": (f"stablehlo.{name}", 2) for name in (
        "add", "and", "atan2", "compare", "complex", "divide", "maximum", "minimum", "multiply",
        "or", "power", "remainder", "shift_left", "shift_right_arithmetic", "shift_right_logical",
        "subtract", "xor")},
    **{f"chlo.broadcast_{name}": (f"chlo.{name}", 2)
       for name in ("next_after", "polygamma", "zeta")},
    "chlo.broadcast_select": ("stablehlo.select", 3)}


def _broadcasting(op: Foreign) -> Sequence[Any]:
    name, count = _NAMES[op.name]
    operands = op.arrays(count)
    properties = {k: v for k, v in op.written.items() if k != "broadcast_dimensions"}
    places = [_places(op, x, operands) for x in operands]
    shape = _common(op, operands, places)
    wide = [x if type_of(x).shape == shape else
            broadcast_in_dim(x, shape=shape, broadcast_dimensions=axes)
            for x, axes in zip(operands, places)]
    dtype = op.results[0].dtype or type_of(operands[-1]).dtype
    return op.read_as(name, wide, properties, results=[Type(dtype, shape)])


def _places(op: Foreign, x: Value, operands: Sequence[Value]) -> tuple[int, ...]:
    """Which axes of the result those of an operand are: the last, or what the program says."""
    rank, most = x.type.rank, max(v.type.rank for v in operands)
    given = op.axes("broadcast_dimensions")
    if given is None or rank == most and given != tuple(range(rank)):
        return tuple(range(most - rank, most))
    if rank == most:
        return given  # type: ignore[no-any-return]
    if len(given) != rank or any(not 0 <= d < most for d in given) or len(set(given)) != rank:
        raise op.wrong(f"broadcast_dimensions {given} do not place {rank} axes among {most}")
    return given  # type: ignore[no-any-return]


def _common(op: Foreign, operands: Sequence[Value],
            places: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The shape to which all operands can be repeated."""
    shape = [1] * max(v.type.rank for v in operands)
    for x, axes in zip(operands, places):
        for n, axis in zip(x.type.shape, axes):
            if n != 1 and shape[axis] not in (1, n):
                raise op.wrong(f"axis {axis} has {shape[axis]} elements and {n}",
                               "only an axis of size 1 can be repeated")
            shape[axis] = n if n != 1 else shape[axis]
    return tuple(shape)


def _constant_like(op: Foreign) -> Sequence[Any]:
    """One number in the shape of an operand."""
    (x,), value = op.arrays(1), op.written.get("value")
    if isinstance(value, Dense) and value.array.size == 1:
        number = value.array.reshape(())
    elif isinstance(value, (Integer, Float)):
        number = np.asarray(value.value if isinstance(value, Integer) else number_of(value))
    else:
        raise op.refusal("its value is no number", "stablehlo.constant")
    dtype = op.results[0].dtype or type_of(x).dtype
    return [constant(value=np.broadcast_to(number.astype(dtype), type_of(x).shape))]


RULES: dict[str, Rule] = {
    **dict.fromkeys(_NAMES, _broadcasting),
    "chlo.constant_like": _constant_like,
}
