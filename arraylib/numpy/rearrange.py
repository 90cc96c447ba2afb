"""Functions that copy elements elsewhere: tile, flip, roll, pad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib.errors import ArgumentError, ShapeError, mistake
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
    broadcast,
    convert,
    converted,
    literal,
    operand,
    shape_of,
)
from arraylib.numpy.reductions import max, mean, min
from arraylib.numpy.sorting import median


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
    if axis is None:
        return reshape(roll(ravel(a), shift, 0), shape_of(a))
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    shifts = tuple(shift) if isinstance(shift, (tuple, list)) else (shift,) * len(axes)
    if len(axes) != len(shifts):
        raise mistake(ShapeError, "roll", f"{len(shifts)} shifts for {len(axes)} axes",
                      hint="one shift for each axis, or one for all")
    for by, along in zip(shifts, axes):
        a = _rolled(a, by, as_axis("roll", along, len(shape_of(a))))
    return literal(a)


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


# -- pad -------------------------------------------------------------------------------------------

Pairs = list[tuple[int, int]]


def pad(array: ArrayLike, pad_width: Any, mode: str | Callable[..., Any] = "constant",
        constant_values: Any = 0, **options: Any) -> Array:
    """`array` with elements added before and after each axis.

    `pad_width` is one number, a pair, or a pair for each axis. Modes: constant, edge, reflect,
    symmetric, wrap, linear_ramp (with `end_values`); maximum, minimum, mean, median of the axis.

        jnp.pad(x, ((1, 1), (0, 2)), constant_values=-1.0)

    >>> jnp.pad(jnp.array([1, 2]), (1, 2))
    Array([0, 1, 2, 0, 0], dtype=int32)
    >>> jnp.pad(jnp.array([1, 2, 3]), 2, mode="reflect")
    Array([3, 2, 1, 2, 3, 2, 1], dtype=int32)
    """
    x = operand("pad", array)
    widths = _pairs("pad_width", pad_width, len(shape_of(x)))
    if any(w < 0 for pair in widths for w in pair):
        raise mistake(ArgumentError, "pad", f"a negative width in {widths}", hint="slice instead")
    if mode == "constant":
        return _pad_constant(x, widths, constant_values)
    rule = _RULES.get(mode) if isinstance(mode, str) else None
    if rule is None:
        raise mistake(ArgumentError, "pad", f"mode = {mode!r}",
                      hint=", ".join(("constant", *_RULES)))
    for axis, (before, after) in enumerate(widths):
        if before or after:
            x = rule(x, axis, before, after, **options)
    return x


def _pairs(what: str, given: Any, rank: int) -> Pairs:
    array = np.asarray(given)
    if array.dtype.kind not in "iu":
        raise mistake(ArgumentError, "pad", f"{what} = {given!r}", hint="integers")
    try:
        return [(int(a), int(b)) for a, b in np.broadcast_to(array, (rank, 2))]
    except ValueError:
        raise mistake(ShapeError, "pad", f"{what} of shape {array.shape} for {rank} axes",
                      hint="a number, a pair, or a pair for each axis") from None


def _pad_constant(x: Array, widths: Pairs, values: Any) -> Array:
    rank, dtype = len(widths), type_of(x).dtype
    if not isinstance(values, (tuple, list)) and not shape_of(values):
        return sh.pad(x, converted("pad", values, dtype), low=tuple(a for a, _ in widths),
                      high=tuple(b for _, b in widths), interior=(0,) * rank)
    pairs = np.broadcast_to(np.asarray(values), (rank, 2))
    for axis, ((before, after), (left, right)) in enumerate(zip(widths, pairs)):
        for low, high, value in ((before, 0, left), (0, after, right)):
            x = sh.pad(x, converted("pad", value.item(), dtype), low=_only(axis, low, rank),
                       high=_only(axis, high, rank), interior=(0,) * rank)
    return x


def _only(axis: int, n: int, rank: int) -> tuple[int, ...]:
    return tuple(n if i == axis else 0 for i in range(rank))


def _joined(parts: Sequence[Array | None], axis: int) -> Array:
    return sh.concatenate(*[p for p in parts if p is not None and shape_of(p)[axis]],
                          dimension=axis)


def _repeated(x: Array, axis: int, n: int) -> Array:
    return broadcast("pad", x, tuple(n if i == axis else m for i, m in enumerate(shape_of(x))))


def _edge(x: Array, axis: int, before: int, after: int) -> Array:
    n = shape_of(x)[axis]
    return _joined([_repeated(cut(x, axis, 0, 1), axis, before), x,
                    _repeated(cut(x, axis, n - 1, n), axis, after)], axis)


def _mirrored(skip: int) -> Callable[..., Array]:
    """Mirror images at both ends; `skip` says whether the edge itself is left out of them."""
    def rule(x: Array, axis: int, before: int, after: int, reflect_type: str = "even") -> Array:
        if reflect_type != "even":
            raise mistake(ArgumentError, "pad", f"reflect_type = {reflect_type!r}", hint="'even'")
        while before or after:
            n = shape_of(x)[axis]
            if n == 1:
                return _edge(x, axis, before, after)
            left, right = np.minimum((before, after), n - skip).tolist()
            front = sh.reverse(cut(x, axis, skip, skip + left), dimensions=(axis,))
            back = sh.reverse(cut(x, axis, n - skip - right, n - skip), dimensions=(axis,))
            x = _joined([front, x, back], axis)
            before, after = before - left, after - right
        return x
    return rule


def _wrap(x: Array, axis: int, before: int, after: int) -> Array:
    n = shape_of(x)[axis]
    whole = tile(x, [-(-(before + n + after) // n) + 1 if i == axis else 1
                     for i in range(len(shape_of(x)))])
    start = -before % n
    return cut(whole, axis, start, start + before + n + after)


def _statistic(function: Callable[..., Array]) -> Callable[..., Array]:
    def rule(x: Array, axis: int, before: int, after: int, stat_length: Any = None) -> Array:
        n = shape_of(x)[axis]
        pairs = _pairs("stat_length", n if stat_length is None else stat_length,
                       len(shape_of(x)))[axis]
        left, right = (np.minimum(length, n) for length in pairs)
        value = lambda part: convert(function(part, axis, keepdims=True), type_of(x).dtype)
        return _joined([_repeated(value(cut(x, axis, 0, left)), axis, before), x,
                        _repeated(value(cut(x, axis, n - right, n)), axis, after)], axis)
    return rule


def _ramp(x: Array, axis: int, before: int, after: int, end_values: Any = 0) -> Array:
    n = shape_of(x)[axis]
    ends = np.broadcast_to(np.asarray(end_values), (len(shape_of(x)), 2))[axis]
    def slope(edge: Array, steps: int, end: Any, rising: bool) -> Array | None:
        if not steps:
            return None
        shares = np.arange(steps)[::1 if rising else -1] / steps
        along = [steps if i == axis else 1 for i in range(len(shape_of(x)))]
        share = convert(operand("pad", shares.astype(np.float32).reshape(along)),
                        type_of(x).dtype)
        wide = _repeated(edge, axis, steps)
        share = broadcast("pad", share, shape_of(wide))
        return ew.add(ew.multiply(ew.subtract(wide, like(wide, end.item())), share),
                      like(wide, end.item()))
    return _joined([slope(cut(x, axis, 0, 1), before, ends[0], True), x,
                    slope(cut(x, axis, n - 1, n), after, ends[1], False)], axis)


_RULES: dict[str, Callable[..., Array]] = {
    "edge": _edge, "reflect": _mirrored(1), "symmetric": _mirrored(0), "wrap": _wrap,
    "maximum": _statistic(max), "minimum": _statistic(min), "mean": _statistic(mean),
    "median": _statistic(median), "linear_ramp": _ramp}
