"""Arrays with elements added around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import is_weak, type_of
from arraylib.hlo.ops import elementwise as ew, shape as sh
from arraylib.numpy.creation import counting, linspace
from arraylib.numpy.elementwise import divmod, floor_divide, round
from arraylib.numpy.layout import cut, reshape
from arraylib.numpy.mapping import apply_along_axis
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    broadcast,
    convert,
    converted,
    operand,
    shape_of,
    splat,
)
from arraylib.numpy.quantiles import median
from arraylib.numpy.rearrange import tile
from arraylib.numpy.reductions import max, mean, min

Pairs = list[tuple[int, int]]


def pad(array: ArrayLike, pad_width: Any, mode: str | Callable[..., Any] = "constant",
        constant_values: Any = None, **options: Any) -> Array:
    """`array` with elements added before and after each axis.

    `pad_width` is one number, a pair, or a pair for each axis. Modes: constant (with
    `constant_values`, 0), edge, wrap, empty; reflect and symmetric (with `reflect_type`, "even" or
    "odd"); linear_ramp (with `end_values`); maximum, minimum, mean, median of the axis, or of
    `stat_length` elements at its ends. A function changes each vector along each axis of the array
    padded with zeros: `mode(vector, (before, after), axis, options)`.

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
    if constant_values is not None:
        options["constant_values"] = constant_values
    if callable(mode):
        return _pad_by(mode, x, widths, options)
    _check_options(mode, options)
    if mode in ("constant", "empty"):
        return _pad_constant(x, widths, options.get("constant_values", 0))
    for axis, (before, after) in enumerate(widths):
        if before or after:
            if not shape_of(x)[axis]:
                raise mistake(ShapeError, "pad", f"axis {axis} has no elements for mode {mode!r}",
                              operands=[type_of(x)], hint="'constant' or 'empty'")
            x = _RULES[mode](x, axis, before, after, **options)
    return x


def _check_options(mode: str, options: dict[str, Any]) -> None:
    """ArgumentError for a mode that there is not, or with an option that it does not take."""
    if mode not in _OPTIONS:
        raise mistake(ArgumentError, "pad", f"mode = {mode!r}",
                      hint=", ".join(_OPTIONS) + ", or a function")
    wrong = [name for name in options if name != _OPTIONS[mode]]
    if wrong:
        raise mistake(ArgumentError, "pad", f"mode {mode!r} takes no {wrong[0]}=",
                      hint=f"{_OPTIONS[mode]}=..." if _OPTIONS[mode] else "no option at all")


def _pad_by(change: Callable[..., Any], x: Array, widths: Pairs, options: dict[str, Any]) -> Array:
    """What a function makes of the vectors along each axis, one axis after the other."""
    x = _pad_constant(x, widths, 0)
    for axis, pair in enumerate(widths):
        x = apply_along_axis(change, axis, x, pair, axis, options)
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
    filling = lambda value: converted("pad", value, dtype, is_weak(x))
    if not isinstance(values, (tuple, list)) and not shape_of(values):
        return sh.pad(x, filling(values), low=tuple(a for a, _ in widths),
                      high=tuple(b for _, b in widths), interior=(0,) * rank)
    pairs = np.broadcast_to(np.asarray(values), (rank, 2))
    for axis, ((before, after), (left, right)) in enumerate(zip(widths, pairs)):
        for low, high, value in ((before, 0, left), (0, after, right)):
            x = sh.pad(x, filling(value.item()), low=_only(axis, low, rank),
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
        if reflect_type not in ("even", "odd"):
            raise mistake(ArgumentError, "pad", f"reflect_type = {reflect_type!r}",
                          hint="'even' or 'odd'")
        while before or after:
            n = shape_of(x)[axis]
            if n == 1:
                return _edge(x, axis, before, after)
            left, right = np.minimum((before, after), n - skip).tolist()
            front = sh.reverse(cut(x, axis, skip, skip + left), dimensions=(axis,))
            back = sh.reverse(cut(x, axis, n - skip - right, n - skip), dimensions=(axis,))
            if reflect_type == "odd":
                front = _turned(front, cut(x, axis, 0, 1), axis)
                back = _turned(back, cut(x, axis, n - 1, n), axis)
            x = _joined([front, x, back], axis)
            before, after = before - left, after - right
        return x
    return rule


def _turned(part: Array, edge: Array, axis: int) -> Array:
    """A mirror image that goes on with the slope at the edge: 2 edge - part."""
    wide = _repeated(edge, axis, shape_of(part)[axis])
    return ew.subtract(ew.add(wide, wide), part)


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
        value = lambda part: _as_whole(function(part, axis, keepdims=True), type_of(x).dtype)
        return _joined([_repeated(value(cut(x, axis, 0, left)), axis, before), x,
                        _repeated(value(cut(x, axis, n - right, n)), axis, after)], axis)
    return rule


def _as_whole(value: Array, dtype: dt.Dtype) -> Array:
    """A mean of integers as the nearest one."""
    is_rounded = dt.is_integer(dtype) and dt.is_float(type_of(value).dtype)
    return convert(round(value) if is_rounded else value, dtype)


def _ramp(x: Array, axis: int, before: int, after: int, end_values: Any = 0) -> Array:
    """Even steps from the edge to an end value; of integers, rounded down."""
    sizes, dtype = shape_of(x), type_of(x).dtype
    ends = np.broadcast_to(np.asarray(end_values), (len(sizes), 2))[axis]

    def ramp(low: int, steps: int, end: Any) -> Array:
        edge = cut(x, axis, low, low + 1)
        if dt.is_integer(dtype):
            return _whole_ramp(edge, steps, end.item(), axis)
        edge = reshape(edge, sizes[:axis] + sizes[axis + 1:])
        return linspace(end.item(), edge, steps, endpoint=False, dtype=dtype, axis=axis)

    back = sh.reverse(ramp(sizes[axis] - 1, after, ends[1]), dimensions=(axis,))
    return _joined([ramp(0, before, ends[0]), x, back], axis)


def _whole_ramp(edge: Array, steps: int, end: int, axis: int) -> Array:
    """The same of integers, exactly: end + floor(i (edge - end) / steps)."""
    dtype, shape = type_of(edge).dtype, tuple(
        steps if d == axis else n for d, n in enumerate(shape_of(edge)))
    first = convert(splat(end, dtype, shape), dt.int64)
    way = ew.subtract(convert(_repeated(edge, axis, steps), dt.int64), first)
    whole, rest = divmod(way, steps)
    i = counting(shape, axis, dt.int64)
    return convert(ew.add(first, ew.add(ew.multiply(whole, i), floor_divide(
        ew.multiply(rest, i), steps))), dtype)


_RULES: dict[str, Callable[..., Array]] = {
    "edge": _edge, "reflect": _mirrored(1), "symmetric": _mirrored(0), "wrap": _wrap,
    "maximum": _statistic(max), "minimum": _statistic(min), "mean": _statistic(mean),
    "median": _statistic(median), "linear_ramp": _ramp}
_OPTIONS = {"constant": "constant_values", "edge": "", "reflect": "reflect_type",
            "symmetric": "reflect_type", "wrap": "", "linear_ramp": "end_values",
            "maximum": "stat_length", "minimum": "stat_length", "mean": "stat_length",
            "median": "stat_length", "empty": ""}
