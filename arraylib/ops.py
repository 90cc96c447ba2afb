"""Sums and their kin over the rows of each segment: for graphs, ragged batches, grouping."""

from __future__ import annotations

import operator

import arraylib.numpy as jnp
from arraylib.errors import TraceError, mistake
from arraylib.hlo.ir import current, known, type_of
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.tile.ir import identity


def segment_sum(data: ArrayLike, segment_ids: ArrayLike, num_segments: int | None = None,
                indices_are_sorted: bool = False, unique_indices: bool = False,
                bucket_size: int | None = None, mode: str | None = None) -> Array:
    """The sum of the rows of `data` that have the same segment id, in row `id` of the result.

    Rows whose id is not from 0 to num_segments - 1 are left out. Without `num_segments` the
    largest id decides, which must be known while tracing. The other arguments are hints that
    change nothing here.

        >>> segment_sum(jnp.array([5, 1, 7]), jnp.array([0, 0, 2]))
        Array([6, 0, 7], dtype=int32)
    """
    return _combined("segment_sum", "add", data, segment_ids, num_segments)


def segment_prod(data: ArrayLike, segment_ids: ArrayLike, num_segments: int | None = None,
                 indices_are_sorted: bool = False, unique_indices: bool = False,
                 bucket_size: int | None = None, mode: str | None = None) -> Array:
    """The product of the rows of each segment, 1 for an empty one; see segment_sum.

    >>> arraylib.ops.segment_prod(jnp.array([5, 2, 7]), jnp.array([0, 0, 2]))
    Array([10,  1,  7], dtype=int32)
    """
    return _combined("segment_prod", "multiply", data, segment_ids, num_segments)


def segment_max(data: ArrayLike, segment_ids: ArrayLike, num_segments: int | None = None,
                indices_are_sorted: bool = False, unique_indices: bool = False,
                bucket_size: int | None = None, mode: str | None = None) -> Array:
    """The largest of the rows of each segment, -inf or the least integer for an empty one.

    >>> arraylib.ops.segment_max(jnp.array([5, 1, 7]), jnp.array([0, 0, 1]))
    Array([5, 7], dtype=int32)
    """
    return _combined("segment_max", "max", data, segment_ids, num_segments)


def segment_min(data: ArrayLike, segment_ids: ArrayLike, num_segments: int | None = None,
                indices_are_sorted: bool = False, unique_indices: bool = False,
                bucket_size: int | None = None, mode: str | None = None) -> Array:
    """The smallest of the rows of each segment, inf or the largest integer for an empty one.

    >>> arraylib.ops.segment_min(jnp.array([5, 1, 7]), jnp.array([0, 0, 1]))
    Array([1, 7], dtype=int32)
    """
    return _combined("segment_min", "min", data, segment_ids, num_segments)


def _combined(op: str, update: str, data: ArrayLike, ids: ArrayLike,
              num_segments: int | None) -> Array:
    data, ids = jnp.asarray(data), jnp.asarray(ids)
    count = _count(op, ids, num_segments)
    type = type_of(data)
    start = jnp.full((count, *type.shape[1:]), identity(_WORDS[update], type.dtype), type.dtype)
    places = jnp.where(ids < 0, count, ids)  # where a negative index would count from the end
    result: Array = getattr(start.at[places], update)(data, mode="drop")
    return result


_WORDS = {"add": "add", "multiply": "multiply", "max": "maximum", "min": "minimum"}


def _count(op: str, ids: Array, num_segments: int | None) -> int:
    if num_segments is not None:
        return operator.index(num_segments)
    array = known(current().own(ids))
    if array is None:
        raise mistake(TraceError, op, "how many segments there are is not known while tracing",
                      operands=[type_of(ids)], hint="num_segments=...")
    return int(array.max(initial=-1)) + 1
