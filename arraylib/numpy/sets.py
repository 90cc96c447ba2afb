"""Sets: the different elements of arrays.

How many there are depends on the elements, so those are known, or `size` says how many to give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, TraceError, mistake
from arraylib.hlo.ir import known, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.numpy.creation import asarray, counting
from arraylib.numpy.cumulative import cumsum
from arraylib.numpy.elementwise import isnan, like
from arraylib.numpy.indexing import getitem
from arraylib.numpy.layout import concatenate, cut, ravel, reshape
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    beside,
    broadcast,
    convert,
    converted,
    literal,
    operand,
    promote,
    shape_of,
    splat,
)
from arraylib.numpy.reductions import sum
from arraylib.numpy.selection import extract, nonzero, take, where
from arraylib.numpy.sorting import argsort, isin, searchsorted, sort, sorted_with_places
from arraylib.numpy.updates import Updates


class UniqueAllResult(NamedTuple):
    """What unique_all gives."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCountsResult(NamedTuple):
    """What unique_counts gives."""

    values: Array
    counts: Array


class UniqueInverseResult(NamedTuple):
    """What unique_inverse gives."""

    values: Array
    inverse_indices: Array


def _known_elements(op: str, x: ArrayLike) -> Any:
    x = operand(op, x)
    array = known(x)
    if array is None:
        raise mistake(TraceError, op, "how many different elements there are is not known while "
                      "tracing", operands=[type_of(x)],
                      hint="pass size=, or do this outside jit" if op == "unique" else
                      "do this outside jit")
    return array


def unique(ar: ArrayLike, return_index: bool = False, return_inverse: bool = False,
           return_counts: bool = False, axis: int | None = None, *,
           equal_nan: bool = True, size: int | None = None,
           fill_value: ArrayLike | None = None, sorted: bool = True) -> Any:
    """The different elements (or slices along an axis) in ascending order; they must be known.

    Also, if asked for: where each occurs first, which one each element is, and how often each
    occurs. With `size`, which tracing needs, of all elements: the first `size` of them, followed
    by `fill_value` (the least element) as often as there are fewer.

    >>> jnp.unique(jnp.array([3, 1, 3]), return_counts=True)
    (Array([1, 3], dtype=int32), Array([1, 2], dtype=int32))
    """
    wanted: dict[str, Any] = {"return_index": return_index, "return_inverse": return_inverse,
                              "return_counts": return_counts}
    if size is not None:
        if axis is not None:
            raise mistake(ArgumentError, "unique", "size= is given, and axis=, too",
                          hint="one of the two: slices must be known")
        found = _unique(operand("unique", ar), int(size), fill_value, equal_nan)
        asked = [True, return_index, return_inverse, return_counts]
        parts = tuple(x for x, given in zip(found, asked) if given)
        return parts if len(parts) > 1 else parts[0]
    given = _known_elements("unique", ar)
    found = np.unique(_sortable(given), axis=axis, equal_nan=equal_nan, **wanted)
    if isinstance(found, tuple):
        return _elements(found[0], given), *map(asarray, found[1:])
    return _elements(found, given)


def _sortable(x: Any) -> Any:
    """The same elements where NumPy knows how to put nan last."""
    return x.astype(np.float32) if dt.is_narrow_float(x.dtype) else x


def _elements(found: Any, given: Any) -> Array:
    """Elements that NumPy found, in the dtype of those given."""
    return literal(found.astype(given.dtype))


@one_program()
def _unique(x: Array, size: int, fill_value: ArrayLike | None, equal_nan: bool) -> UniqueAllResult:
    """Sorted elements, of which the first of each run is one of the results."""
    shape, n = shape_of(x), math.prod(shape_of(x))
    if not n:
        raise mistake(ShapeError, "unique", "there are no elements to choose from",
                      operands=[type_of(x)], hint="size=None outside jit")
    ordered, places = sorted_with_places(ravel(x), 0)
    before, after = cut(ordered, 0, 0, n - 1), cut(ordered, 0, 1, n)
    differs = ew.compare(before, after, direction="NE")
    if equal_nan:
        differs = ew.and_(differs, ew.not_(ew.and_(isnan(before), isnan(after))))
    starts = concatenate([splat(True, dt.bool_, (1,)), differs])
    (heads,) = nonzero(starts, size=size + 1, fill_value=n)
    number = cumsum(starts)
    group = ew.subtract(number, like(number, 1))
    inverse = Updates(group)[places].set(group)
    first, following = cut(heads, 0, 0, size), cut(heads, 0, 1, size + 1)
    present = ew.compare(first, like(first, n), direction="LT")
    at = ew.select(present, first, like(first, 0))
    values = getitem(ordered, at, mode="clip")
    fill = getitem(ordered, 0) if fill_value is None else converted(
        "unique", fill_value, type_of(values).dtype)
    values = where(present, values, fill)
    return UniqueAllResult(values, getitem(places, at, mode="clip"), reshape(inverse, shape),
                           convert(ew.subtract(following, first), dt.default_int()))


def unique_all(x: ArrayLike, /, *, size: int | None = None,
               fill_value: ArrayLike | None = None) -> UniqueAllResult:
    """The different elements, where each is first, which one each is, and how often they occur.

    nan differs from nan, as the array API has it. `size` and `fill_value` are those of `unique`.

    >>> unique_all(jnp.array([3, 1, 3])).counts
    Array([1, 2], dtype=int32)
    """
    found = unique(x, True, True, True, equal_nan=False, size=size, fill_value=fill_value)
    values, indices, inverse, counts = found
    return UniqueAllResult(values, indices, reshape(inverse, shape_of(x)), counts)


def unique_counts(x: ArrayLike, /, *, size: int | None = None,
                  fill_value: ArrayLike | None = None) -> UniqueCountsResult:
    """The different elements, and how often each occurs; see `unique_all`.

    >>> jnp.unique_counts(jnp.array([3, 1, 3])).counts
    Array([1, 2], dtype=int32)
    """
    return UniqueCountsResult(*unique(x, return_counts=True, equal_nan=False, size=size,
                                      fill_value=fill_value))


def unique_inverse(x: ArrayLike, /, *, size: int | None = None,
                   fill_value: ArrayLike | None = None) -> UniqueInverseResult:
    """The different elements, and which of them each element is; see `unique_all`.

    >>> jnp.unique_inverse(jnp.array([3, 1, 3])).inverse_indices
    Array([1, 0, 1], dtype=int32)
    """
    values, inverse = unique(x, return_inverse=True, equal_nan=False, size=size,
                             fill_value=fill_value)
    return UniqueInverseResult(values, reshape(inverse, shape_of(x)))


def unique_values(x: ArrayLike, /, *, size: int | None = None,
                  fill_value: ArrayLike | None = None) -> Array:
    """The different elements in ascending order; see `unique_all`.

    >>> jnp.unique_values(jnp.array([3, 1, 3]))
    Array([1, 3], dtype=int32)
    """
    return unique(x, equal_nan=False, size=size, fill_value=fill_value)


def union1d(ar1: ArrayLike, ar2: ArrayLike, *, size: int | None = None,
            fill_value: ArrayLike | None = None) -> Array:
    """The elements of either array, each once, in ascending order; `size` as in `unique`.

    >>> jnp.union1d(jnp.array([1, 2]), jnp.array([2, 3]))
    Array([1, 2, 3], dtype=int32)
    """
    both = concatenate([ravel(x) for x in beside("union1d", ar1, ar2)])
    found: Array = unique(both, size=size, fill_value=fill_value)
    return found


def intersect1d(ar1: ArrayLike, ar2: ArrayLike, assume_unique: bool = False,
                return_indices: bool = False, *, size: int | None = None,
                fill_value: ArrayLike | None = None) -> Any:
    """The elements of both arrays, each once, in ascending order; where they occur first, if asked.

    With `size`, which tracing needs, the first `size` of them, followed by `fill_value` (the least
    of them), and by places behind the last, as often as there are fewer.

    >>> jnp.intersect1d(jnp.array([1, 2, 3]), jnp.array([2, 3, 4]))
    Array([2, 3], dtype=int32)
    """
    if size is not None:
        return _shared(*_flat_pair("intersect1d", ar1, ar2), size, fill_value, return_indices)
    first, second = _both_known("intersect1d", ar1, ar2)
    found, *places = np.intersect1d(_sortable(first), _sortable(second), assume_unique,
                                    return_indices=True)
    found = _elements(found, first)  # type: ignore[assignment]
    return (found, *map(asarray, places)) if return_indices else found


def setdiff1d(ar1: ArrayLike, ar2: ArrayLike, assume_unique: bool = False, *,
              size: int | None = None, fill_value: ArrayLike | None = None) -> Array:
    """The elements of the first array that are not in the second, in ascending order.

    With `size`, which tracing needs, the first `size` of them, and `fill_value` (0) behind them.

    >>> jnp.setdiff1d(jnp.array([1, 2, 3]), jnp.array([2]))
    Array([1, 3], dtype=int32)
    """
    if size is not None:
        x, y = _flat_pair("setdiff1d", ar1, ar2)
        x = sort(x)
        kept = ew.and_(_begins(x), isin(x, y, invert=True))
        return extract(kept, x, size=size, fill_value=0 if fill_value is None else fill_value)
    first, second = _both_known("setdiff1d", ar1, ar2)
    return _elements(np.setdiff1d(_sortable(first), _sortable(second), assume_unique), first)


def setxor1d(ar1: ArrayLike, ar2: ArrayLike, assume_unique: bool = False, *,
             size: int | None = None, fill_value: ArrayLike | None = None) -> Array:
    """The elements of exactly one of the arrays, in ascending order; `size` as in `intersect1d`.

    >>> jnp.setxor1d(jnp.array([1, 2]), jnp.array([2, 3]))
    Array([1, 3], dtype=int32)
    """
    if size is not None:
        x, y = (sort(v) for v in _flat_pair("setxor1d", ar1, ar2))
        kept = concatenate([ew.and_(_begins(v), isin(v, other, invert=True))
                            for v, other in ((x, y), (y, x))])
        order = argsort(concatenate([x, y]))
        return _first_of(getitem(concatenate([x, y]), order), getitem(kept, order), size,
                         fill_value)
    first, second = _both_known("setxor1d", ar1, ar2)
    return _elements(np.setxor1d(_sortable(first), _sortable(second), assume_unique), first)


def _flat_pair(op: str, ar1: ArrayLike, ar2: ArrayLike) -> tuple[Array, Array]:
    x, y = promote(op, ar1, ar2)
    return ravel(x), ravel(y)


def _begins(x: Array) -> Array:
    """Whether each element of a sorted vector is the first of its kind; nan are of one kind."""
    n = shape_of(x)[0]
    if not n:
        return splat(True, dt.bool_, (0,))
    before, after = cut(x, 0, 0, n - 1), cut(x, 0, 1, n)
    differs = ew.and_(ew.compare(before, after, direction="NE"),
                      ew.not_(ew.and_(isnan(before), isnan(after))))
    return concatenate([splat(True, dt.bool_, (1,)), differs])


def _first_of(x: Array, kept: Array, size: int, fill_value: ArrayLike | None) -> Array:
    """The elements of x that are kept, filled up with a number or with the first of them, or 0."""
    if fill_value is not None:
        return extract(kept, x, size=size, fill_value=fill_value)
    found = extract(kept, x, size=size)
    if not size or not shape_of(x)[0]:
        return found
    present = ew.compare(counting((size,), 0, dt.default_int()),
                         broadcast("sets", sum(kept), (size,)), direction="LT")
    return where(present, found, broadcast("sets", cut(found, 0, 0, 1), (size,)))


def _shared(x: Array, y: Array, size: int, fill_value: ArrayLike | None,
            return_indices: bool) -> Any:
    """What two vectors have in common, and where it occurs first in each."""
    (x, places), (y, others) = sorted_with_places(x, 0), sorted_with_places(y, 0)
    kept = ew.and_(_begins(x), isin(x, y))
    values = _first_of(x, kept, size, fill_value)
    if not return_indices:
        return values
    beside_it = take(others, searchsorted(y, x), mode="clip") if shape_of(y)[0] else places
    return (values, extract(kept, places, size=size, fill_value=shape_of(x)[0]),
            extract(kept, beside_it, size=size, fill_value=shape_of(y)[0]))


def _both_known(op: str, *arrays: ArrayLike) -> Sequence[Any]:
    return [_known_elements(op, x) for x in promote(op, *arrays)]
