"""Windows at places that are data: dynamic slices, gather and scatter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np

from arraylib import dtypes as dt, tree
from arraylib.errors import ArgumentError, DtypeError, ShapeError, mistake
from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.ops import (
    dynamic as dy,
    elementwise as ew,
    indexed as ix,
    reduction as rd,
    structured as st,
)
from arraylib.hlo.ops.general_scatter import scatter_with
from arraylib.lax.examples import EXAMPLES
from arraylib.lax.regions import region
from arraylib.numpy.bounds import check_window
from arraylib.numpy.elementwise import like
from arraylib.numpy.layout import squeeze, unstack
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axis,
    convert,
    converted,
    operand as owned,
    shape_of,
    splat,
)
from arraylib.numpy.tables import named
from arraylib.record import record

Ints = Sequence[int]


# -- dynamic slices --------------------------------------------------------------------------------


def _starts(op: str, x: Array, starts: Any) -> list[Array]:
    """A start for each axis, negative ones counted from the end, all in one dtype."""
    if not isinstance(starts, (tuple, list)):
        starts = unstack(starts)
    sizes = shape_of(x)
    if len(starts) != len(sizes):
        raise mistake(ShapeError, op, f"{len(starts)} starts for {len(sizes)} axes",
                      operands=[type_of(x)], hint="one start for each axis")
    if any(dt.is_bool(type_of(s).dtype) for s in starts):
        raise mistake(DtypeError, op, "a start is bool, not an integer",
                      operands=[type_of(x)], hint="lax.select or jnp.where choose by a truth value")
    wide = any(dt.bits(type_of(s).dtype) > 32 for s in starts if not isinstance(s, int))
    dtype = dt.int64 if wide else dt.int32
    return [_from_front(converted(op, s, dtype), n) for s, n in zip(starts, sizes)]


def _from_front(i: Array, size: int) -> Array:
    if isinstance(i, np.ndarray):
        return np.where(i < 0, i + size, i).astype(i.dtype)
    return ew.select(ew.compare(i, like(i, 0), direction="LT"), ew.add(i, like(i, size)), i)


def _along(op: str, x: Array, start: ArrayLike, axis: int) -> list[Any]:
    """Starts of 0 but for one axis."""
    axis = as_axis(op, axis, len(shape_of(x)))
    return [start if i == axis else 0 for i in range(len(shape_of(x)))]


def dynamic_slice(operand: ArrayLike, start_indices: Any, slice_sizes: Ints) -> Array:
    """The window of these sizes that begins at `start_indices`, moved inside if it sticks out.

    >>> lax.dynamic_slice(jnp.arange(6), (2,), (3,))
    Array([2, 3, 4], dtype=int32)
    """
    x = owned("dynamic_slice", operand)
    starts, sizes = _starts("dynamic_slice", x, start_indices), tuple(slice_sizes)
    if len(sizes) == len(starts):
        check_window("dynamic_slice", type_of(x), starts, sizes)
    return dy.dynamic_slice(x, *starts, sizes=sizes)


def dynamic_slice_in_dim(operand: ArrayLike, start_index: ArrayLike, slice_size: int,
                         axis: int = 0) -> Array:
    """`slice_size` elements from `start_index` on along one axis.

    >>> lax.dynamic_slice_in_dim(jnp.arange(6), 2, 3)
    Array([2, 3, 4], dtype=int32)
    """
    x = owned("dynamic_slice_in_dim", operand)
    axis = as_axis("dynamic_slice_in_dim", axis, len(shape_of(x)))
    sizes = [slice_size if i == axis else n for i, n in enumerate(shape_of(x))]
    return dynamic_slice(x, _along("dynamic_slice_in_dim", x, start_index, axis), sizes)


def dynamic_index_in_dim(operand: ArrayLike, index: ArrayLike, axis: int = 0,
                         keepdims: bool = True) -> Array:
    """The slice at one place along an axis.

    >>> lax.dynamic_index_in_dim(jnp.array([10, 20, 30]), 1, keepdims=False)
    Array(20, dtype=int32)
    """
    found = dynamic_slice_in_dim(operand, index, 1, axis)
    return found if keepdims else squeeze(found, axis)


def dynamic_update_slice(operand: ArrayLike, update: ArrayLike, start_indices: Any) -> Array:
    """`operand` with a window replaced, which is moved inside if it sticks out.

    >>> lax.dynamic_update_slice(jnp.zeros(5), jnp.ones(2), (1,))
    Array([0., 1., 1., 0., 0.], dtype=float32)
    """
    x, new = owned("dynamic_update_slice", operand), owned("dynamic_update_slice", update)
    starts = _starts("dynamic_update_slice", x, start_indices)
    if len(shape_of(new)) == len(starts):
        check_window("dynamic_update_slice", type_of(x), starts, shape_of(new))
    return dy.dynamic_update_slice(x, new, *starts)


def dynamic_update_slice_in_dim(operand: ArrayLike, update: ArrayLike, start_index: ArrayLike,
                                axis: int) -> Array:
    """`operand` with the elements from `start_index` on along one axis replaced.

    >>> lax.dynamic_update_slice_in_dim(jnp.zeros(5), jnp.ones(2), 3, axis=0)
    Array([0., 0., 0., 1., 1.], dtype=float32)
    """
    x = owned("dynamic_update_slice_in_dim", operand)
    return dynamic_update_slice(x, update,
                                _along("dynamic_update_slice_in_dim", x, start_index, axis))


def dynamic_update_index_in_dim(operand: ArrayLike, update: ArrayLike, index: ArrayLike,
                                axis: int) -> Array:
    """`operand` with the slice at one place along an axis replaced.

    >>> lax.dynamic_update_index_in_dim(jnp.zeros(3), 5.0, 1, axis=0)
    Array([0., 5., 0.], dtype=float32)
    """
    x, new = owned("dynamic_update_index_in_dim", operand), owned("update", update)
    axis = as_axis("dynamic_update_index_in_dim", axis, len(shape_of(x)))
    if len(shape_of(new)) != len(shape_of(x)):
        sizes = shape_of(new)
        new = st.reshape(new, shape=(*sizes[:axis], 1, *sizes[axis:]))
    return dynamic_update_slice_in_dim(x, new, index, axis)


# -- gather and scatter ----------------------------------------------------------------------------


class GatherScatterMode(Enum):
    """What an index out of bounds means.

    >>> lax.GatherScatterMode.CLIP
    <GatherScatterMode.CLIP: 0>
    """

    CLIP = 0
    FILL_OR_DROP = 1
    PROMISE_IN_BOUNDS = 2


_MODES = {None: None, "clip": GatherScatterMode.CLIP, "fill": GatherScatterMode.FILL_OR_DROP,
          "drop": GatherScatterMode.FILL_OR_DROP,
          "promise_in_bounds": GatherScatterMode.PROMISE_IN_BOUNDS}


@record
class GatherDimensionNumbers:
    """Which axes of a gather are what: see StableHLO. Index vectors lie along the last axis.

    >>> rows = lax.GatherDimensionNumbers((1,), (0,), (0,))
    >>> lax.gather(jnp.eye(3), jnp.array([[2], [0]]), rows, (1, 3))
    Array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """

    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    start_indices_batching_dims: tuple[int, ...] = ()


@record
class ScatterDimensionNumbers:
    """Which axes of a scatter are what: see StableHLO. Index vectors lie along the last axis.

    >>> at = lax.ScatterDimensionNumbers((), (0,), (0,))
    >>> lax.scatter_add(jnp.zeros(3), jnp.array([[1], [1]]), jnp.array([2.0, 3.0]), at)
    Array([0., 5., 0.], dtype=float32)
    """

    update_window_dims: tuple[int, ...]
    inserted_window_dims: tuple[int, ...]
    scatter_dims_to_operand_dims: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    scatter_indices_batching_dims: tuple[int, ...] = ()


def _mode(op: str, mode: Any) -> GatherScatterMode | None:
    if isinstance(mode, GatherScatterMode):
        return mode
    if mode not in _MODES:
        raise mistake(ArgumentError, op, f"mode = {mode!r}", hint="clip, fill, drop or "
                      "promise_in_bounds")
    return _MODES[mode]


def gather(operand: ArrayLike, start_indices: ArrayLike,
           dimension_numbers: GatherDimensionNumbers, slice_sizes: Ints, *,
           unique_indices: bool = False, indices_are_sorted: bool = False, mode: Any = None,
           fill_value: ArrayLike | None = None) -> Array:
    """Windows that start at the given indices, moved inside where they stick out.

    `mode="fill"` puts `fill_value` (nan) where a window sticks out instead.

    >>> rows = lax.GatherDimensionNumbers((1,), (0,), (0,))
    >>> lax.gather(jnp.arange(6).reshape(3, 2), jnp.array([[2], [0]]), rows, (1, 2))
    Array([[4, 5],
           [0, 1]], dtype=int32)
    """
    x, indices, d = owned("gather", operand), owned("gather", start_indices), dimension_numbers
    chosen = _mode("gather", mode)
    found = ix.gather(
        x, indices, offset_dims=tuple(d.offset_dims),
        collapsed_slice_dims=tuple(d.collapsed_slice_dims),
        operand_batching_dims=tuple(d.operand_batching_dims),
        start_indices_batching_dims=tuple(d.start_indices_batching_dims),
        start_index_map=tuple(d.start_index_map), index_vector_dim=len(shape_of(indices)) - 1,
        slice_sizes=tuple(slice_sizes))
    if chosen != GatherScatterMode.FILL_OR_DROP:
        return found
    limits = [shape_of(x)[a] - slice_sizes[a] for a in d.start_index_map]
    inside = _inside(indices, limits)
    type = type_of(found)
    outer = tuple(i for i in range(type.rank) if i not in d.offset_dims)
    inside = st.broadcast_in_dim(inside, shape=type.shape, broadcast_dimensions=outer)
    value = np.nan if fill_value is None and dt.is_inexact(type.dtype) else fill_value or 0
    return ew.select(inside, found, splat(value, type.dtype, type.shape))


def _inside(indices: Array, limits: Ints) -> Array:
    """Whether each index vector lies between 0 and the limits."""
    type = type_of(indices)
    bound = st.broadcast_in_dim(np.asarray(limits, type.dtype), shape=type.shape,
                                broadcast_dimensions=(type.rank - 1,))
    each = ew.and_(ew.compare(indices, like(indices, 0), direction="GE"),
                   ew.compare(indices, bound, direction="LE"))
    return rd.reduce_and(each, dimensions=(type.rank - 1,))


def _scatter(name: str, kind: str) -> Callable[..., Array]:
    def function(operand: ArrayLike, scatter_indices: ArrayLike, updates: ArrayLike,
                 dimension_numbers: ScatterDimensionNumbers, *, indices_are_sorted: bool = False,
                 unique_indices: bool = False, mode: Any = None) -> Array:
        x, new = owned(name, operand), owned(name, updates)
        indices, attrs = _scattered(name, x, scatter_indices, new, dimension_numbers,
                                    unique_indices, mode)
        return ix.scatter(x, indices, convert(new, type_of(x).dtype), kind=kind, **attrs)
    doc = f"Windows of updates at the given indices ({kind}); those that stick out are left out."
    return named(function, name, doc, EXAMPLES)


def _scattered(op: str, x: Array, scatter_indices: ArrayLike, updates: Array,
               d: ScatterDimensionNumbers, unique: bool, mode: Any) -> tuple[Array, dict[str, Any]]:
    """The indices as the mode wants them, and the attributes of the operation."""
    indices = owned(op, scatter_indices)
    if _mode(op, mode) == GatherScatterMode.CLIP:
        indices = _clipped(x, indices, updates, d)
    return indices, {
        "update_window_dims": tuple(d.update_window_dims),
        "inserted_window_dims": tuple(d.inserted_window_dims),
        "input_batching_dims": tuple(d.operand_batching_dims),
        "scatter_indices_batching_dims": tuple(d.scatter_indices_batching_dims),
        "scatter_dims_to_operand_dims": tuple(d.scatter_dims_to_operand_dims),
        "index_vector_dim": len(shape_of(indices)) - 1, "unique_indices": unique}


def _clipped(x: Array, indices: Array, updates: Array, d: ScatterDimensionNumbers) -> Array:
    """The indices moved to where whole windows fit."""
    gone = (*d.inserted_window_dims, *d.operand_batching_dims)
    kept = [a for a in range(len(shape_of(x))) if a not in gone]
    window = dict(zip(kept, (shape_of(updates)[i] for i in d.update_window_dims)))
    limits = [shape_of(x)[a] - window.get(a, 1) for a in d.scatter_dims_to_operand_dims]
    type = type_of(indices)
    bound = st.broadcast_in_dim(np.asarray(limits, type.dtype), shape=type.shape,
                                broadcast_dimensions=(type.rank - 1,))
    return ew.clamp(like(indices, 0), indices, bound)


scatter = _scatter("scatter", "set")
scatter_add = _scatter("scatter_add", "add")
scatter_mul = _scatter("scatter_mul", "multiply")
scatter_min = _scatter("scatter_min", "minimum")
scatter_max = _scatter("scatter_max", "maximum")


def scatter_sub(operand: ArrayLike, scatter_indices: ArrayLike, updates: ArrayLike,
                dimension_numbers: ScatterDimensionNumbers, *, indices_are_sorted: bool = False,
                unique_indices: bool = False, mode: Any = None) -> Array:
    """Windows of updates subtracted at the given indices; those that stick out are left out.

    >>> at = lax.ScatterDimensionNumbers((), (0,), (0,))
    >>> lax.scatter_sub(jnp.ones(3), jnp.array([[2], [0]]), jnp.array([5.0, 7.0]), at)
    Array([-6.,  1., -4.], dtype=float32)
    """
    return scatter_add(operand, scatter_indices, ew.negate(owned("scatter_sub", updates)),
                       dimension_numbers, unique_indices=unique_indices, mode=mode)


def scatter_apply(operand: ArrayLike, scatter_indices: ArrayLike, func: Callable[[Array], Array],
                  dimension_numbers: ScatterDimensionNumbers, *, update_shape: Ints = (),
                  indices_are_sorted: bool = False, unique_indices: bool = False,
                  mode: Any = None) -> Array:
    """`func` of the elements in windows at the given indices, once for each index that meets one.

    `update_shape` is the shape that updates would have; windows that stick out are left out.

    >>> at = lax.ScatterDimensionNumbers((), (0,), (0,))
    >>> lax.scatter_apply(jnp.arange(3.0), jnp.array([[2]]), jnp.square, at, update_shape=(1,))
    Array([0., 1., 4.], dtype=float32)
    """
    op = "scatter_apply"
    x = owned(op, operand)
    none = splat(0, type_of(x).dtype, tuple(update_shape))
    indices, attrs = _scattered(op, x, scatter_indices, none, dimension_numbers, unique_indices,
                                mode)
    body = region(op, lambda there, _: func(there), [Type(type_of(x).dtype, ())], tree.LEAF)
    (result,) = scatter_with(x, indices, none, body=body, **attrs)
    return result
