"""Operations whose sizes are operands: once these are known, the ones that state them.

    %1 = dynamic_reshape(%0, %shape)    ->    %1 = reshape(%0) {shape = (2, 3)}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.mlir.attributes import Dense, Integers
from arraylib.hlo.mlir.fields import matrix
from arraylib.hlo.ops import elementwise as ew, structured as st
from arraylib.hlo.ops.constant import constant, iota
from arraylib.hlo.ops.dynamic import dynamic_slice
from arraylib.hlo.ops.shape import pad, slice_
from arraylib.hlo.passes.rules.operation import Foreign, Rule
from arraylib.hlo.passes.rules.values import whole_numbers


def _dimension_size(op: Foreign) -> Sequence[Any]:
    (x,) = op.arrays(1)
    axis = op.axis("dimension", type_of(x).rank)
    return [constant(value=np.asarray(type_of(x).shape[axis], np.int32))]


def _set_dimension_size(op: Foreign) -> Sequence[Any]:
    """Sizes here are those of the array: another one would leave elements that do not count."""
    x, _ = op.arrays(2)
    axis = op.axis("dimension", type_of(x).rank)
    if op.numbers(1) != (type_of(x).shape[axis],):
        raise op.refusal(f"makes axis {axis} of {type_of(x)} {op.numbers(1)[0]} long, and arrays "
                         "have no elements here that do not count",
                         "stablehlo.slice, or stablehlo.pad and a mask")
    return [x]


def _iota(op: Foreign) -> Sequence[Any]:
    shape = op.shape(0)
    return [iota(shape=shape, dimension=op.axis("iota_dimension", len(shape)),
                 dtype=op.results[0].dtype)]


def _broadcast_in_dim(op: Foreign) -> Sequence[Any]:
    x, _ = op.arrays(2)
    axes = op.axes("broadcast_dimensions", ())
    return [st.broadcast_in_dim(x, shape=op.shape(1), broadcast_dimensions=axes)]


def _broadcast(op: Foreign) -> Sequence[Any]:
    """New axes in front."""
    (x,), sizes = op.arrays(1), op.axes("broadcast_sizes", ())
    shape = (*sizes, *type_of(x).shape)
    return [st.broadcast_in_dim(x, shape=shape,
                                broadcast_dimensions=tuple(range(len(sizes), len(shape))))]


def _reshape(op: Foreign) -> Sequence[Any]:
    x, _ = op.arrays(2)
    return [st.reshape(x, shape=op.shape(1))]


def _pad(op: Foreign) -> Sequence[Any]:
    x, value, *_ = op.arrays(5)
    return [pad(x, value, low=op.numbers(2), high=op.numbers(3), interior=op.numbers(4))]


def _slice(op: Foreign) -> Sequence[Any]:
    """Starts may be found at run time, if it is known how many elements there are from there."""
    x, start, limit, _ = op.arrays(4)
    strides = op.numbers(3)
    if whole_numbers(start) is None and (count := _distance(start, limit)) is not None:
        return [_moving_slice(x, start, strides, [-(-n // s) for n, s in zip(count, strides)])]
    if whole_numbers(start) is None and isinstance(op.results[0], Type):
        return [_moving_slice(x, start, strides, op.results[0].shape)]
    return [slice_(x, start=op.numbers(1), limit=op.numbers(2), strides=strides)]


def _distance(start: Any, limit: Any) -> tuple[int, ...] | None:
    """The numbers that were added to the starts to make the limits, if they are known."""
    node = limit.builder.definition(limit)
    if node is None or node.op is not ew.add or start not in node.inputs:
        return None
    return whole_numbers(node.inputs[node.inputs[0] is start])


def _moving_slice(x: Any, start: Any, strides: Sequence[int], shape: Sequence[int]) -> Any:
    reach = tuple((n - 1) * step + 1 if n else 0 for n, step in zip(shape, strides))
    places = [st.reshape(slice_(start, start=(i,), limit=(i + 1,), strides=(1,)), shape=())
              for i in range(len(shape))]
    whole = dynamic_slice(x, *places, sizes=reach)
    return slice_(whole, start=(0,) * len(reach), limit=reach, strides=tuple(strides))


def _gather(op: Foreign) -> Sequence[Any]:
    x, indices, _ = op.arrays(3)
    properties = {**op.written, "slice_sizes": Integers(op.numbers(2))}
    return op.read_as("stablehlo.gather", [x, indices], properties)


def _convolution(op: Foreign) -> Sequence[Any]:
    x, kernel, _ = op.arrays(3)
    sizes = op.numbers(2)
    padding = matrix(tuple(zip(sizes[::2], sizes[1::2])), 2)
    return op.read_as("stablehlo.convolution", [x, kernel], {**op.written, "padding": padding})


def _constant(op: Foreign) -> Sequence[Any]:
    """One of another type than arrays have here: whole numbers that count."""
    value = op.written.get("value")
    if not isinstance(value, Dense):
        raise op.refusal(f"is no constant of {op.results[0]}")
    return [constant(value=value.array)]


# -- numbers that count, and shapes, as other dialects compute with them ---------------------------


def _index_cast(op: Foreign) -> Sequence[Any]:
    (x,) = op.arrays(1)
    return [ew.convert(x, dtype=op.results[0].dtype or dt.int64)]


def _shape_of(op: Foreign) -> Sequence[Any]:
    (x,) = op.arrays(1)
    dtype = op.results[0].dtype or dt.int64
    return [constant(value=np.asarray(type_of(x).shape, dtype))]


RULES: dict[str, Rule] = {
    "stablehlo.get_dimension_size": _dimension_size,
    "stablehlo.set_dimension_size": _set_dimension_size,
    "stablehlo.dynamic_iota": _iota,
    "stablehlo.broadcast": _broadcast,
    "stablehlo.dynamic_broadcast_in_dim": _broadcast_in_dim,
    "stablehlo.dynamic_reshape": _reshape,
    "stablehlo.dynamic_pad": _pad,
    "stablehlo.real_dynamic_slice": _slice,
    "stablehlo.dynamic_gather": _gather,
    "stablehlo.dynamic_conv": _convolution,
    "stablehlo.constant": _constant,
    "arith.constant": _constant,
    "arith.index_cast": _index_cast,
    "shape.shape_of": _shape_of,
}
