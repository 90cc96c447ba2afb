"""The larger and the smaller of numbers, in NumPy, as IEEE 754 has them: +0 is above -0, nan wins.

NumPy's functions take one of two zeros, whatever its sign, so that what they give depends on the
order of the operands. What they find is mended where it is zero.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from arraylib import dtypes as dt

Array: TypeAlias = Any


def maximum(x: Array, y: Array) -> Array:
    """The larger of x and y, element by element."""
    return _chosen(np.maximum, np.bitwise_and, x, y)


def minimum(x: Array, y: Array) -> Array:
    """The smaller of x and y, element by element."""
    return _chosen(np.minimum, np.bitwise_or, x, y)


def reduced(function: np.ufunc, x: Array, axis: tuple[int, ...], initial: Array) -> Array:
    """np.maximum or np.minimum over axes, from `initial` on, which is no zero."""
    found = function.reduce(x, axis=axis, initial=initial)
    if not _some_zero(found):
        return found
    return _signed(function, found, np.any(_wins(function, x), axis=axis))


def accumulated(function: np.ufunc, x: Array, axis: int) -> Array:
    """np.maximum or np.minimum of each element and all before it along an axis."""
    found = function.accumulate(x, axis=axis, dtype=x.dtype)
    if not _some_zero(found):
        return found
    return _signed(function, found, np.logical_or.accumulate(_wins(function, x), axis=axis))


def combined_at(function: np.ufunc) -> Callable[[Array, Array, Array], None]:
    """A function that combines elements of an array, at places, with updates, in place."""
    def combine(out: Array, places: Array, updates: Array) -> None:
        wins = _wins(function, out) if dt.is_float(out.dtype) else None
        function.at(out, places, updates)
        if wins is not None and _some_zero(out):
            np.logical_or.at(wins, places, _wins(function, updates))
            out[...] = _signed(function, out, wins)
    return combine


def _chosen(function: np.ufunc, both: np.ufunc, x: Array, y: Array) -> Array:
    """One of x and y; where both are zeros, `both` gives its bits."""
    found = function(x, y)
    if not _some_zero(found):
        return found
    bits = np.dtype(f"u{x.dtype.itemsize}")
    zero = both(x.view(bits), y.view(bits)).view(x.dtype)
    return np.where((x == y) & (found == 0), zero, found)


def _some_zero(found: Array) -> bool:
    return dt.is_float(found.dtype) and not np.all(found)


def _wins(function: np.ufunc, x: Array) -> Array:
    """Where x is the zero that is taken if there are both."""
    return (x == 0) & (np.signbit(x) == (function is np.minimum))


def _signed(function: np.ufunc, found: Array, wins: Array) -> Array:
    """`found` with its zeros of the sign that wins where it was met, else of the other."""
    zero = np.zeros((), found.dtype)
    first, second = (-zero, zero) if function is np.minimum else (zero, -zero)
    return np.where(found == 0, np.where(wins, first, second), found)
