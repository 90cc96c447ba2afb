"""Functions that copy elements elsewhere: tile, flip, roll, pad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib.errors import ShapeError, mistake
from arraylib.hlo.ir import known, type_of
from arraylib.hlo.ops import dynamic as dy, elementwise as ew, shape as sh, structured as st
from arraylib.numpy.elementwise import like
from arraylib.numpy.layout import cut, ravel, reshape, swapaxes
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    Shape,
    as_axes,
    as_axis,
    as_shape,
    literal,
    operand,
    shape_of,
)


def tile(A: ArrayLike, reps: Shape) -> Array:
    """A repeated as a whole along each axis.

    >>> jnp.tile(jnp.array([1, 2]), 2)
    Array([1, 2, 1, 2], dtype=int32)
    """
    a = operand("tile", A)
    counts = as_shape("tile", reps)
    rank = sorted((len(counts), len(shape_of(a))))[1]
    counts = (1,) * (rank - len(counts)) + counts
    sizes = (1,) * (rank - len(shape_of(a))) + shape_of(a)
    pairs = tuple(n for pair in zip(counts, sizes) for n in pair)
    kept = tuple(2 * i + 1 for i in range(rank))
    wide = st.broadcast_in_dim(reshape(a, sizes), shape=pairs, broadcast_dimensions=kept)
    return reshape(wide, tuple(c * n for c, n in zip(counts, sizes)))


def flip(m: ArrayLike, axis: int | Sequence[int] | None = None) -> Array:
    """m with the order along these axes (all for None) turned round.

    >>> jnp.flip(jnp.arange(3))
    Array([2, 1, 0], dtype=int32)
    """
    m = operand("flip", m)
    axes = as_axes("flip", axis, len(shape_of(m)))
    return sh.reverse(m, dimensions=axes) if axes else literal(m)


def fliplr(m: ArrayLike) -> Array:
    """m with its columns in reverse order.

    >>> jnp.fliplr(jnp.array([[1, 2], [3, 4]]))
    Array([[2, 1],
           [4, 3]], dtype=int32)
    """
    return flip(m, 1)


def flipud(m: ArrayLike) -> Array:
    """m with its rows in reverse order.

    >>> jnp.flipud(jnp.array([[1, 2], [3, 4]]))
    Array([[3, 4],
           [1, 2]], dtype=int32)
    """
    return flip(m, 0)


def rot90(m: ArrayLike, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Array:
    """m turned by k quarters, from the first of the axes towards the second.

    >>> jnp.rot90(jnp.array([[1, 2], [3, 4]]))
    Array([[2, 4],
           [1, 3]], dtype=int32)
    """
    first, second = as_axes("rot90", axes, len(shape_of(m)))
    k %= 4
    if k == 2:
        return flip(m, (first, second))
    if k == 0:
        return literal(operand("rot90", m))
    turned = swapaxes(m, first, second)
    return flip(turned, first if k == 1 else second)


def roll(a: ArrayLike, shift: Any, axis: int | Sequence[int] | None = None) -> Array:
    """`a` moved along axes, what leaves at one end coming in at the other. Shifts may be traced.

    >>> jnp.roll(jnp.arange(4), 1)
    Array([3, 0, 1, 2], dtype=int32)
    """
    a = operand("roll", a)
    shifts = _shifts(shift)
    if axis is None:
        flat = ravel(a)
        for by in shifts:
            flat = _rolled(flat, by, 0)
        return literal(reshape(flat, shape_of(a)))
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    shifts = shifts * len(axes) if len(shifts) == 1 else shifts
    if len(axes) != len(shifts):
        raise mistake(ShapeError, "roll", f"{len(shifts)} shifts for {len(axes)} axes",
                      hint="one shift for each axis, or one for all")
    for by, along in zip(shifts, axes):
        a = _rolled(a, by, as_axis("roll", along, len(shape_of(a))))
    return literal(a)


def _shifts(shift: Any) -> tuple[Any, ...]:
    """One shift, or those of a sequence or vector."""
    if isinstance(shift, (tuple, list)):
        return tuple(shift)
    if not shape_of(shift):
        return (shift,)
    vector = operand("roll", ravel(shift))
    return tuple(reshape(cut(vector, 0, i, i + 1), ()) for i in range(shape_of(vector)[0]))


def _rolled(a: Array, by: Any, axis: int) -> Array:
    n, static = shape_of(a)[axis], known(by)
    if n == 0:
        return a
    if static is None:
        return _rolled_by_traced(a, operand("roll", by), axis)
    by = int(static) % n
    if not by:
        return a
    return sh.concatenate(cut(a, axis, n - by, n), cut(a, axis, 0, n - by), dimension=axis)


def _rolled_by_traced(a: Array, by: Array, axis: int) -> Array:
    """The window of two copies in a row that starts `by` before the second."""
    sizes = shape_of(a)
    n = like(by, sizes[axis])
    rest = ew.remainder(by, n)
    rest = ew.select(ew.compare(rest, like(rest, 0), direction="LT"), ew.add(rest, n), rest)
    start = ew.subtract(n, rest)
    starts = [start if i == axis else np.zeros((), type_of(by).dtype) for i in range(len(sizes))]
    return dy.dynamic_slice(sh.concatenate(a, a, dimension=axis), *starts, sizes=sizes)
