"""Operations that move, cut, join and sort; products; running and plain reductions."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np

from arraylib import dtypes as dt, numpy as jnp
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import (
    constant as co,
    reduction as rd,
    shape as sh,
    sort as so,
    structured as st,
)
from arraylib.hlo.ops.cumulative import cumulative, doubling, neutral
from arraylib.lax.elementwise import aligned
from arraylib.lax.examples import EXAMPLES
from arraylib.numpy import sorting
from arraylib.numpy.cumulative import LOGIC
from arraylib.numpy.layout import cut
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    Shape,
    as_axes,
    as_axis,
    as_shape,
    beside_array,
    literal,
    operand as owned,
    operands as all_owned,
    shape_of,
)
from arraylib.numpy.tables import named

Ints = Sequence[int]


class Precision(Enum):
    """How exactly products of float32 are made: here always as exactly as float32 allows.

    >>> lax.Precision.HIGHEST
    <Precision.HIGHEST: 2>
    """

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2


# -- making ----------------------------------------------------------------------------------------


def full(shape: Shape, fill_value: ArrayLike, dtype: Any = None) -> Array:
    """An array that repeats one value.

    >>> lax.full((2, 2), 7.0)
    Array([[7., 7.],
           [7., 7.]], dtype=float32)
    """
    return jnp.full(shape, fill_value, dtype)


def full_like(x: ArrayLike, fill_value: ArrayLike, dtype: Any = None,
              shape: Shape | None = None) -> Array:
    """An array that repeats one value, with the shape and dtype of x unless others are given.

    >>> lax.full_like(jnp.arange(3), 9)
    Array([9, 9, 9], dtype=int32)
    """
    return jnp.full_like(x, fill_value, dtype, shape)


def iota(dtype: Any, size: int) -> Array:
    """The numbers 0 to size - 1.

    >>> lax.iota("int32", 4)
    Array([0, 1, 2, 3], dtype=int32)
    """
    return broadcasted_iota(dtype, (size,), 0)


def broadcasted_iota(dtype: Any, shape: Shape, dimension: int) -> Array:
    """The index along an axis, in an array of `shape`.

    >>> lax.broadcasted_iota("int32", (2, 3), 1)
    Array([[0, 1, 2],
           [0, 1, 2]], dtype=int32)
    """
    return co.iota(shape=as_shape("iota", shape), dimension=dimension,
                   dtype=dt.dtype(dtype, op="iota"))


# -- shape -----------------------------------------------------------------------------------------


def broadcast(operand: ArrayLike, sizes: Ints) -> Array:
    """`operand` repeated along new leading axes.

    >>> lax.broadcast(jnp.array([1, 2]), (3,))
    Array([[1, 2],
           [1, 2],
           [1, 2]], dtype=int32)
    """
    x = owned("broadcast", operand)
    lead, own = tuple(sizes), shape_of(x)
    kept = tuple(range(len(lead), len(lead) + len(own)))
    return st.broadcast_in_dim(x, shape=lead + own, broadcast_dimensions=kept)


def broadcast_in_dim(operand: ArrayLike, shape: Shape, broadcast_dimensions: Ints) -> Array:
    """`operand` repeated: its axis i becomes axis broadcast_dimensions[i] of `shape`.

    >>> lax.broadcast_in_dim(jnp.array([1, 2]), (2, 3), (0,))
    Array([[1, 1, 1],
           [2, 2, 2]], dtype=int32)
    """
    return st.broadcast_in_dim(owned("broadcast_in_dim", operand),
                               shape=as_shape("broadcast_in_dim", shape),
                               broadcast_dimensions=tuple(broadcast_dimensions))


def reshape(operand: ArrayLike, new_sizes: Shape, dimensions: Ints | None = None) -> Array:
    """The elements in another shape, the axes first put in the order `dimensions`.

    >>> lax.reshape(jnp.arange(6), (2, 3))
    Array([[0, 1, 2],
           [3, 4, 5]], dtype=int32)
    """
    x = owned("reshape", operand)
    return jnp.reshape(x if dimensions is None else jnp.transpose(x, dimensions), new_sizes)


def transpose(operand: ArrayLike, permutation: Ints) -> Array:
    """The axes in another order.

    >>> lax.transpose(jnp.ones((2, 3)), (1, 0)).shape
    (3, 2)
    """
    return jnp.transpose(operand, tuple(permutation))


def expand_dims(array: ArrayLike, dimensions: Ints) -> Array:
    """New axes of size 1 at these places of the result.

    >>> lax.expand_dims(jnp.ones((2, 3)), (0, 2)).shape
    (1, 2, 1, 3)
    """
    return jnp.expand_dims(array, tuple(dimensions))


def squeeze(array: ArrayLike, dimensions: Ints) -> Array:
    """Without these axes of size 1.

    >>> lax.squeeze(jnp.ones((1, 3)), (0,)).shape
    (3,)
    """
    return jnp.squeeze(array, tuple(dimensions))


def collapse(operand: ArrayLike, start_dimension: int, stop_dimension: int | None = None) -> Array:
    """The axes from start to before stop as one.

    >>> lax.collapse(jnp.ones((2, 3, 4)), 0, 2).shape
    (6, 4)
    """
    sizes = shape_of(operand)
    low, high, _ = _bounds(start_dimension, stop_dimension, len(sizes))
    return jnp.reshape(operand, (*sizes[:low], math.prod(sizes[low:high]), *sizes[high:]))


def _bounds(start: int | None, stop: int | None, size: int) -> tuple[int, int, int]:
    """Python's meaning of start:stop on an axis of `size`."""
    return builtins.slice(start, stop).indices(size)


def rev(operand: ArrayLike, dimensions: Ints) -> Array:
    """The order along these axes turned round.

    >>> lax.rev(jnp.arange(3), (0,))
    Array([2, 1, 0], dtype=int32)
    """
    return jnp.flip(operand, tuple(dimensions))


def concatenate(operands: Sequence[ArrayLike], dimension: int) -> Array:
    """The operands, of one dtype, joined along an axis.

    >>> lax.concatenate([jnp.array([1]), jnp.array([2, 3])], 0)
    Array([1, 2, 3], dtype=int32)
    """
    xs = all_owned("concatenate", operands)
    if not xs:
        raise mistake(ArgumentError, "concatenate", "no arrays are given", hint="at least one")
    return literal(xs[0]) if len(xs) == 1 else sh.concatenate(*xs, dimension=dimension)


def pad(operand: ArrayLike, padding_value: ArrayLike,
        padding_config: Sequence[tuple[int, int, int]]) -> Array:
    """`operand` with (low, high, interior) copies of a value on each axis; negative ones cut.

    >>> lax.pad(jnp.array([1, 2]), 0, [(1, 0, 1)])
    Array([0, 1, 0, 2], dtype=int32)
    """
    x = owned("pad", operand)
    low, high, interior = zip(*padding_config) if padding_config else ((), (), ())
    return sh.pad(x, beside_array("pad", padding_value, type_of(x).dtype), low=tuple(low),
                  high=tuple(high), interior=tuple(interior))


def slice(operand: ArrayLike, start_indices: Ints, limit_indices: Ints,
          strides: Ints | None = None) -> Array:
    """The elements start:limit:stride along each axis.

    >>> lax.slice(jnp.arange(6), (1,), (6,), (2,))
    Array([1, 3, 5], dtype=int32)
    """
    steps = (1,) * len(start_indices) if strides is None else strides
    return sh.slice_(owned("slice", operand), start=tuple(start_indices),
                     limit=tuple(limit_indices), strides=tuple(steps))


def slice_in_dim(operand: ArrayLike, start_index: int | None, limit_index: int | None,
                 stride: int = 1, axis: int = 0) -> Array:
    """The elements start:limit:stride along one axis; negative places count from the end.

    >>> lax.slice_in_dim(jnp.arange(6), 1, 4)
    Array([1, 2, 3], dtype=int32)
    """
    x = owned("slice_in_dim", operand)
    axis = as_axis("slice_in_dim", axis, len(shape_of(x)))
    low, high, _ = _bounds(start_index, limit_index, shape_of(x)[axis])
    return cut(x, axis, low, max(low, high), stride)


def index_in_dim(operand: ArrayLike, index: int, axis: int = 0, keepdims: bool = True) -> Array:
    """The slice at one place along an axis.

    >>> lax.index_in_dim(jnp.array([10, 20, 30]), 1)
    Array([20], dtype=int32)
    """
    x = owned("index_in_dim", operand)
    axis = as_axis("index_in_dim", axis, len(shape_of(x)))
    found = jnp.take(x, np.asarray([index]), axis)
    return found if keepdims else jnp.squeeze(found, axis)


# -- order -----------------------------------------------------------------------------------------


def sort(operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1) -> Any:
    """Sorted along an axis; of several arrays, all reordered as the first `num_keys` ascend.

    >>> lax.sort(jnp.array([3, 1, 2]))
    Array([1, 2, 3], dtype=int32)
    """
    if not isinstance(operand, (tuple, list)):
        return sorting.sort(operand, dimension)
    xs = all_owned("sort", operand)
    along = as_axis("sort", dimension, len(shape_of(xs[0])))
    return so.sort(*xs, dimension=along, num_keys=num_keys)


def sort_key_val(keys: ArrayLike, values: ArrayLike, dimension: int = -1,
                 is_stable: bool = True) -> tuple[Array, Array]:
    """Keys sorted along an axis, and values in the same order.

    >>> lax.sort_key_val(jnp.array([3, 1, 2]), jnp.array([10, 20, 30]))
    (Array([1, 2, 3], dtype=int32), Array([20, 30, 10], dtype=int32))
    """
    found: tuple[Array, Array] = sort((keys, values), dimension)
    return found


def top_k(operand: ArrayLike, k: int, *, axis: int = -1) -> tuple[Array, Array]:
    """The k largest along an axis in descending order, and their places; of equals the first.

    >>> lax.top_k(jnp.array([3, 1, 2]), 2)
    (Array([3, 2], dtype=int32), Array([0, 2], dtype=int32))
    """
    return sorting.top_k(operand, k, axis)


# -- products --------------------------------------------------------------------------------------


def dot_general(lhs: ArrayLike, rhs: ArrayLike, dimension_numbers: Any, precision: Any = None,
                preferred_element_type: Any = None) -> Array:
    """The sum of products over contracting axes, for each index of batching axes.

    `dimension_numbers` is ((lhs contracting, rhs contracting), (lhs batching, rhs batching)).

    >>> x, y = jnp.ones((5, 2, 3)), jnp.ones((5, 3, 4))
    >>> lax.dot_general(x, y, (((2,), (1,)), ((0,), (0,)))).shape
    (5, 2, 4)
    """
    x, y = aligned("dot_general", lhs, rhs)
    (left, right), (left_batch, right_batch) = dimension_numbers
    wanted = None if preferred_element_type is None else dt.dtype(preferred_element_type,
                                                                  op="dot_general")
    return rd.dot_general(
        x, y, lhs_batching=tuple(left_batch), rhs_batching=tuple(right_batch),
        lhs_contracting=tuple(left), rhs_contracting=tuple(right),
        dtype=None if wanted == type_of(x).dtype else wanted)


def dot(lhs: ArrayLike, rhs: ArrayLike, precision: Any = None,
        preferred_element_type: Any = None) -> Array:
    """The product of vectors and matrices: the last axis of one with the first of the other.

    >>> lax.dot(jnp.array([1, 2]), jnp.array([3, 4]))
    Array(11, dtype=int32)
    """
    rank = len(shape_of(lhs))
    if not 1 <= rank <= 2 or not 1 <= len(shape_of(rhs)) <= 2:
        raise mistake(ShapeError, "dot", "vectors and matrices only",
                      operands=[type_of(lhs), type_of(rhs)], hint="jnp.matmul or lax.dot_general")
    return dot_general(lhs, rhs, (((rank - 1,), (0,)), ((), ())), precision,
                       preferred_element_type)


def batch_matmul(lhs: ArrayLike, rhs: ArrayLike, precision: Any = None) -> Array:
    """The matrix product for each index of the leading axes, which are equal.

    >>> lax.batch_matmul(jnp.ones((5, 2, 3)), jnp.ones((5, 3, 4))).shape
    (5, 2, 4)
    """
    return jnp.matmul(lhs, rhs)


# -- reductions ------------------------------------------------------------------------------------


def _reduction(name: str, op: OpDef) -> Callable[..., Array]:
    def function(operand: ArrayLike, axes: Ints) -> Array:
        x = owned(name, operand)
        dimensions = as_axes(name, tuple(axes), len(shape_of(x)))
        return op(x, dimensions=dimensions) if dimensions else literal(x)
    return named(function, name, op.doc, EXAMPLES)


reduce_sum = _reduction("reduce_sum", st.reduce_add)
reduce_prod = _reduction("reduce_prod", rd.reduce_multiply)
reduce_max = _reduction("reduce_max", rd.reduce_maximum)
reduce_min = _reduction("reduce_min", rd.reduce_minimum)
reduce_and = _reduction("reduce_and", rd.reduce_and)
reduce_or = _reduction("reduce_or", rd.reduce_or)

def argmax(operand: ArrayLike, axis: int, index_dtype: Any) -> Array:
    """The first place of the largest along an axis.

    >>> lax.argmax(jnp.array([1, 5, 3]), 0, "int32")
    Array(1, dtype=int32)
    """
    return rd.argmax(owned("argmax", operand), dimensions=(axis,),
                     dtype=dt.dtype(index_dtype, op="argmax"))


def argmin(operand: ArrayLike, axis: int, index_dtype: Any) -> Array:
    """The first place of the smallest along an axis.

    >>> lax.argmin(jnp.array([1, 5, 3]), 0, "int32")
    Array(0, dtype=int32)
    """
    return rd.argmin(owned("argmin", operand), dimensions=(axis,),
                     dtype=dt.dtype(index_dtype, op="argmin"))


def _running(name: str, kind: str, what: str) -> Callable[..., Array]:
    def function(operand: ArrayLike, axis: int = 0, reverse: bool = False) -> Array:
        x = owned(name, operand)
        along = as_axis(name, axis, len(shape_of(x)))
        own = LOGIC.get(kind, kind) if dt.is_bool(type_of(x).dtype) else kind
        return cumulative(x, kind=own, dimension=along, reverse=bool(reverse))
    return _documented(name, what, function)


def _documented(name: str, what: str, function: Callable[..., Array]) -> Callable[..., Array]:
    doc = f"{what} of each element and all before it, or after it if `reverse`."
    return one_program()(named(function, name, doc, EXAMPLES))


def _log_sum_exp(operand: ArrayLike, axis: int = 0, reverse: bool = False) -> Array:
    x = owned("cumlogsumexp", operand)
    along = as_axis("cumlogsumexp", axis, len(shape_of(x)))
    return doubling(jnp.logaddexp, x, along, neutral("maximum", type_of(x).dtype), reverse)


cumsum = _running("cumsum", "add", "The sum")
cumprod = _running("cumprod", "multiply", "The product")
cummax = _running("cummax", "maximum", "The largest")
cummin = _running("cummin", "minimum", "The smallest")
cumlogsumexp = _documented("cumlogsumexp", "The logsumexp", _log_sum_exp)
