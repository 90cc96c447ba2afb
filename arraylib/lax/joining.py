"""Arrays cut up, put together, repeated, and made to fit one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt, numpy as jnp
from arraylib.errors import ShapeError, mistake
from arraylib.lax.structural import broadcast, concatenate
from arraylib.numpy.layout import cut
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    Shape,
    as_axis,
    broadcast_all,
    literal,
    operand as owned,
    operands as all_owned,
    shape_of,
)

Ints = Sequence[int]


def empty(shape: Shape, dtype: Any) -> Array:
    """An array of zeros: uninitialised memory would be of no use to pure functions.

    >>> lax.empty((2, 3), "float32").shape
    (2, 3)
    """
    return jnp.zeros(shape, dtype)


def split(operand: ArrayLike, sizes: Ints, axis: int = 0) -> list[Array]:
    """Consecutive parts of these sizes along an axis.

    Raises: ShapeError unless the sizes add up to the axis.

        >>> [part.tolist() for part in split(jnp.arange(5), (2, 0, 3))]
        [[0, 1], [], [2, 3, 4]]
    """
    x = literal(owned("split", operand))
    axis, sizes = as_axis("split", axis, len(shape_of(x))), tuple(sizes)
    if sum(sizes) != shape_of(x)[axis] or min(sizes, default=0) < 0:
        raise mistake(ShapeError, "split", f"sizes {sizes} of axis {axis}, which has "
                      f"{shape_of(x)[axis]}", hint="sizes that add up to the axis")
    ends = np.cumsum(sizes, dtype=np.int64).tolist()
    return [cut(x, axis, end - size, end, 1) for size, end in zip(sizes, ends)]


def stack(operands: Sequence[ArrayLike], axis: int = 0) -> Array:
    """The operands, of one dtype and shape, along a new axis.

    >>> lax.stack([jnp.array([1, 2]), jnp.array([3, 4])])
    Array([[1, 2],
           [3, 4]], dtype=int32)
    """
    xs = [jnp.expand_dims(x, axis) for x in all_owned("stack", operands)]
    return concatenate(xs, as_axis("stack", axis, len(shape_of(xs[0]))) if xs else 0)


def unstack(x: ArrayLike, axis: int = 0) -> tuple[Array, ...]:
    """The slices along an axis, without it.

    >>> lax.unstack(jnp.array([[1, 2], [3, 4]]))
    (Array([1, 2], dtype=int32), Array([3, 4], dtype=int32))
    """
    return tuple(jnp.unstack(x, axis=axis))


def tile(operand: ArrayLike, reps: Ints) -> Array:
    """`operand` repeated reps[i] times along axis i.

    Raises: ShapeError unless there is a number for each axis.

    >>> lax.tile(jnp.array([1, 2]), (2,))
    Array([1, 2, 1, 2], dtype=int32)
    """
    x, reps = owned("tile", operand), tuple(reps)
    if len(reps) != len(shape_of(x)):
        raise mistake(ShapeError, "tile", f"{len(reps)} repetitions for {len(shape_of(x))} axes",
                      hint="one for each; jnp.tile adds axes")
    return jnp.tile(x, reps)


def broadcast_to_rank(x: ArrayLike, rank: int) -> Array:
    """`x` with leading axes of size 1, up to `rank` axes.

    Raises: ShapeError if there are more already.

    >>> lax.broadcast_to_rank(jnp.ones(3), 3).shape
    (1, 1, 3)
    """
    own = len(shape_of(x))
    if own > rank:
        raise mistake(ShapeError, "broadcast_to_rank", f"{own} axes for {rank}",
                      hint="as many axes or fewer")
    return broadcast(x, (1,) * (rank - own))


def broadcast_like(arr: ArrayLike, like_arr: ArrayLike) -> Array:
    """`arr` repeated to the shape of `like_arr`.

    >>> lax.broadcast_like(jnp.ones(3), jnp.ones((2, 3))).shape
    (2, 3)
    """
    return jnp.broadcast_to(arr, shape_of(like_arr))


def shape_as_value(shape: Ints) -> Array:
    """A shape as an array of integers.

    >>> lax.shape_as_value((2, 3))
    Array([2, 3], dtype=int32)
    """
    return jnp.asarray(np.asarray(shape, np.int64).reshape(-1), dtype=dt.default_int())


def index_take(src: ArrayLike, idxs: Sequence[ArrayLike], axes: Ints) -> Array:
    """What stands at places along some axes: a leading axis of places, then the other axes.

    Raises: ShapeError unless there is a vector of places for each axis.

        >>> index_take(jnp.arange(6).reshape(2, 3), (jnp.array([1, 0]), jnp.array([2, -1])), (0, 1))
        Array([5, 2], dtype=int32)
    """
    x = owned("index_take", src)
    if len(idxs) != len(axes) or not axes:
        raise mistake(ShapeError, "index_take", f"{len(idxs)} arrays of places for axes "
                      f"{tuple(axes)}", hint="one for each")
    rows = jnp.moveaxis(x, tuple(axes), tuple(range(len(axes))))
    places = broadcast_all("index_take", all_owned("index_take", idxs))
    return rows[tuple([i % n for i, n in zip(places, shape_of(rows))])]
