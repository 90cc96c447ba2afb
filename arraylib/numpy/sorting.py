"""Sorting, and what sorting answers: ranks, medians, quantiles, places among sorted numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, DtypeError, ShapeError, mistake
from arraylib.hlo.ir import known, type_of
from arraylib.hlo.ops import elementwise as ew, shape as sh, sort as so
from arraylib.hlo.ops.constant import constant
from arraylib.hlo.ops.top_k import top_k as top_k_op
from arraylib.numpy.creation import counting
from arraylib.numpy.elementwise import isinf, isnan, like
from arraylib.numpy.indexing import getitem
from arraylib.numpy.layout import moveaxis, ravel, reshape
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axes,
    as_axis,
    broadcast,
    convert,
    inexact,
    operand,
    own_type,
    promote,
    shape_of,
    splat,
)
from arraylib.numpy.reductions import any, sum


def _flat(op: str, a: ArrayLike, axis: int | None) -> tuple[Array, int]:
    a = operand(op, a)
    if axis is None:
        return ravel(a), 0
    return a, as_axis(op, axis, len(shape_of(a)))


def sort(a: ArrayLike, axis: int | None = -1, *, kind: None = None, order: None = None,
         stable: bool = True, descending: bool = False) -> Array:
    """`a` in ascending order along an axis, nan last; always stable.

    >>> jnp.sort(jnp.array([3, 1, 2]))
    Array([1, 2, 3], dtype=int32)
    >>> jnp.sort(jnp.array([3, 1, 2]), descending=True)
    Array([3, 2, 1], dtype=int32)
    """
    x, along = _flat("sort", a, axis)
    result = so.sort(x, dimension=along, num_keys=1)[0]
    return sh.reverse(result, dimensions=(along,)) if descending else result


def argsort(a: ArrayLike, axis: int | None = -1, *, kind: None = None, order: None = None,
            stable: bool = True, descending: bool = False) -> Array:
    """The indices along an axis that sort `a`; equal elements keep their order.

    >>> jnp.argsort(jnp.array([3, 1, 2]))
    Array([1, 2, 0], dtype=int32)
    """
    x, along = _flat("argsort", a, axis)
    return sorted_with_places(x, along, descending)[1]


def sorted_with_places(x: Array, axis: int, descending: bool = False) -> tuple[Array, Array]:
    """x sorted along an axis, and the places its elements come from."""
    n = shape_of(x)[axis]
    places = counting(shape_of(x), axis, dt.index_dtype(n))
    if not descending:
        return so.sort(x, places, dimension=axis, num_keys=1)
    # sorted backwards from the end, so that equal elements keep their order when turned round
    turned = sh.reverse(x, dimensions=(axis,))
    values, places = so.sort(turned, places, dimension=axis, num_keys=1)
    values, places = (sh.reverse(v, dimensions=(axis,)) for v in (values, places))
    return values, ew.subtract(like(places, n - 1), places)


def lexsort(keys: Sequence[ArrayLike] | Array, axis: int = -1) -> Array:
    """The indices that sort by the last key, equal elements by the last but one, and so on.

    >>> jnp.lexsort((jnp.array([2, 1, 1]), jnp.array([0, 1, 0])))
    Array([2, 0, 1], dtype=int32)
    """
    xs = [operand("lexsort", k) for k in keys]
    if not xs:
        raise mistake(ArgumentError, "lexsort", "no keys are given",
                      hint="at least one; the last is the first to sort by")
    along = as_axis("lexsort", axis, len(shape_of(xs[0])))
    places = counting(shape_of(xs[0]), along, dt.index_dtype(shape_of(xs[0])[along]))
    return so.sort(*xs[::-1], places, dimension=along, num_keys=len(xs))[-1]


def sort_complex(a: ArrayLike) -> Array:
    """`a` sorted by real, then imaginary part, as complex numbers.

    >>> jnp.sort_complex(jnp.array([2 + 1j, 1 + 2j]))
    Array([1.+2.j, 2.+1.j], dtype=complex64)
    """
    a = operand("sort_complex", a)
    a = convert(a, dt.to_complex(type_of(a).dtype))
    axis = len(shape_of(a)) - 1
    return ew.complex_(*so.sort(ew.real(a), ew.imag(a), dimension=axis, num_keys=2))


def partition(a: ArrayLike, kth: int, axis: int = -1) -> Array:
    """`a` with its kth smallest along the axis in place, none larger before it: sorted, in fact.

    >>> jnp.partition(jnp.array([3, 1, 2]), 0)[0]
    Array(1, dtype=int32)
    """
    return sort(a, axis)


def argpartition(a: ArrayLike, kth: int, axis: int = -1) -> Array:
    """The indices that `partition` would take.

    >>> jnp.argpartition(jnp.array([3, 1, 2]), 1)[:1]
    Array([1], dtype=int32)
    """
    return argsort(a, axis)


@one_program()
def top_k(a: ArrayLike, k: int, axis: int = -1, *, mode: str = "largest",
          sorted: bool = True) -> tuple[Array, Array]:
    """The k largest along an axis in descending order, and their places; of equals the first.

    `mode` "smallest": the k smallest in ascending order. They are in order without `sorted`, too.

    >>> jnp.top_k(jnp.array([3, 1, 2]), 2)
    (Array([3, 2], dtype=int32), Array([0, 2], dtype=int32))
    """
    a = operand("top_k", a)
    along = as_axis("top_k", axis, len(shape_of(a)))
    n = shape_of(a)[along]
    if mode not in ("largest", "smallest"):
        raise mistake(ArgumentError, "top_k", f"mode = {mode!r}", hint="'largest' or 'smallest'")
    if not 0 <= k <= n:
        raise mistake(ShapeError, "top_k", f"k = {k} of axis {along} of size {n}",
                      operands=[type_of(a)], hint="k from 0 to that size")
    if mode == "smallest":
        kept = (slice(None),) * along + (slice(int(k)),)
        values, places = sorted_with_places(a, along)
        return getitem(values, kept), getitem(places, kept)
    values, places = top_k_op(moveaxis(a, along, -1), k=int(k))
    return moveaxis(values, -1, along), moveaxis(places, -1, along)


# -- places among sorted numbers -------------------------------------------------------------------


@one_program(2)
def searchsorted(a: ArrayLike, v: ArrayLike, side: str = "left", sorter: ArrayLike | None = None,
                 *, method: str = "scan") -> Array:
    """Where each of v would be inserted to keep the sorted vector `a` in order.

    `side` "left": before equal elements; "right": behind them. nan counts as the largest.

    >>> jnp.searchsorted(jnp.array([1, 2, 4]), jnp.array([0, 2, 3]))
    Array([0, 1, 2], dtype=int32)
    """
    if side not in ("left", "right"):
        raise mistake(ArgumentError, "searchsorted", f"side = {side!r}", hint="'left' or 'right'")
    a, v = promote("searchsorted", a, v)
    if len(shape_of(a)) != 1:
        raise mistake(ShapeError, "searchsorted", f"{len(shape_of(a))} axes, but the sorted array "
                      "is a vector", operands=[type_of(a)],
                      hint="vmap over rows: vmap(jnp.searchsorted)(a, v)")
    a = a if sorter is None else getitem(a, operand("searchsorted", sorter))
    n = shape_of(a)[0]
    low = splat(0, dt.index_dtype(n), shape_of(v))
    high = like(low, n)
    for _ in range(n.bit_length()):
        middle = ew.shift_right_logical(ew.add(low, high), like(low, 1))
        probe = getitem(a, middle, mode="clip") if shape_of(v) else getitem(
            a, reshape(middle, (1,)), mode="clip")
        right = ew.and_(_goes_behind(reshape(probe, shape_of(v)), v, side),
                        ew.compare(low, high, direction="LT"))
        low, high = (ew.select(right, ew.add(middle, like(low, 1)), low),
                     ew.select(right, high, middle))
    return low


def _goes_behind(probe: Array, v: Array, side: str) -> Array:
    """Whether v belongs behind the probe; nan is above all numbers and equal to itself."""
    if side == "left":
        behind = ew.compare(probe, v, direction="LT")
        return behind if not dt.is_float(type_of(v).dtype) else ew.or_(
            behind, ew.and_(isnan(v), ew.not_(isnan(probe))))
    behind = ew.compare(probe, v, direction="LE")
    return ew.or_(behind, isnan(v)) if dt.is_float(type_of(v).dtype) else behind


@one_program(2)
def digitize(x: ArrayLike, bins: ArrayLike, right: bool = False) -> Array:
    """The number of the bin of each x, for edges in ascending order.

    >>> jnp.digitize(jnp.array([0.5, 2.5]), jnp.array([1.0, 2.0, 3.0]))
    Array([0, 2], dtype=int32)
    """
    return searchsorted(bins, x, side="left" if right else "right")


# -- quantiles -------------------------------------------------------------------------------------

_METHODS = ("linear", "lower", "higher", "nearest", "midpoint")


@one_program()
def quantile(a: ArrayLike, q: ArrayLike, axis: Any = None, out: None = None,
             overwrite_input: bool = False, method: str = "linear",
             keepdims: bool = False) -> Array:
    """The numbers below which shares q (0 to 1) of the elements over axes lie; nan if any is.

    `method` says what is taken between two elements: linear, lower, higher, nearest, midpoint.

    >>> jnp.quantile(jnp.arange(5.0), 0.25)
    Array(1., dtype=float32)
    """
    return _quantile("quantile", a, q, axis, method, keepdims, False)


@one_program()
def nanquantile(a: ArrayLike, q: ArrayLike, axis: Any = None, out: None = None,
                overwrite_input: bool = False, method: str = "linear",
                keepdims: bool = False) -> Array:
    """As `quantile` of what is not nan.

    >>> jnp.nanquantile(jnp.array([1.0, jnp.nan, 3.0]), 0.5)
    Array(2., dtype=float32)
    """
    return _quantile("nanquantile", a, q, axis, method, keepdims, True)


@one_program()
def percentile(a: ArrayLike, q: ArrayLike, axis: Any = None, out: None = None,
               overwrite_input: bool = False, method: str = "linear",
               keepdims: bool = False) -> Array:
    """As `quantile`, the shares in percent.

    >>> jnp.percentile(jnp.arange(5.0), jnp.array([25, 50]))
    Array([1., 2.], dtype=float32)
    """
    return _quantile("percentile", a, q, axis, method, keepdims, False, 100)


@one_program()
def nanpercentile(a: ArrayLike, q: ArrayLike, axis: Any = None, out: None = None,
                  overwrite_input: bool = False, method: str = "linear",
                  keepdims: bool = False) -> Array:
    """As `nanquantile`, the shares in percent.

    >>> jnp.nanpercentile(jnp.array([1.0, jnp.nan, 3.0]), 50)
    Array(2., dtype=float32)
    """
    return _quantile("nanpercentile", a, q, axis, method, keepdims, True, 100)


@one_program()
def median(a: ArrayLike, axis: Any = None, out: None = None, overwrite_input: bool = False,
           keepdims: bool = False) -> Array:
    """The middle element over axes, or the mean of the middle two.

    >>> jnp.median(jnp.array([3.0, 1.0, 2.0]))
    Array(2., dtype=float32)
    """
    return _quantile("median", a, 0.5, axis, "midpoint", keepdims, False)


@one_program()
def nanmedian(a: ArrayLike, axis: Any = None, out: None = None, overwrite_input: bool = False,
              keepdims: bool = False) -> Array:
    """As `median` of what is not nan.

    >>> jnp.nanmedian(jnp.array([3.0, jnp.nan, 2.0]))
    Array(2.5, dtype=float32)
    """
    return _quantile("nanmedian", a, 0.5, axis, "midpoint", keepdims, True)


def _shares(op: str, q: ArrayLike, whole: int, dtype: dt.Dtype) -> Array:
    """q of the whole as shares of 1: what is known must be one, what is traced may give nan."""
    array = known(q) if own_type(q) is not None else np.asarray(q)
    if array is not None and not np.all((array >= 0) & (array <= whole)):
        raise mistake(ArgumentError, op, f"q = {q}, which is not from 0 to {whole}",
                      hint="quantile takes shares from 0 to 1, percentile from 0 to 100")
    given = convert(operand(op, q), dtype)
    if own_type(q) is None:  # with all 64 bits that numbers and NumPy data may have
        return constant(value=(np.asarray(q, np.float64) / whole).astype(dtype))
    q = given if whole == 1 else ew.divide(given, like(given, whole))
    if array is not None:
        return q
    is_share = ew.and_(ew.compare(q, like(q, 0), direction="GE"),
                       ew.compare(q, like(q, 1), direction="LE"))
    return ew.select(is_share, q, like(q, math.nan))


def _quantile(op: str, a: ArrayLike, q: ArrayLike, axis: Any, method: str, keepdims: bool,
              skip_nan: bool, whole: int = 1) -> Array:
    if method not in _METHODS:
        raise mistake(ArgumentError, op, f"method = {method!r}", hint=", ".join(_METHODS))
    a = operand(op, a)
    a = convert(a, inexact(type_of(a).dtype))
    axes = as_axes(op, axis, len(shape_of(a)))
    count = math.prod(shape_of(a)[i] for i in axes)
    q = _shares(op, q, whole, _dtype_of_places(op, type_of(a).dtype, count))
    x = moveaxis(a, axes, tuple(range(-len(axes), 0)))
    kept = shape_of(x)[:len(shape_of(x)) - len(axes)]
    x = sort(reshape(x, (*kept, math.prod(shape_of(x)[len(kept):]))))
    result = _between(op, x, q, method, skip_nan)
    if not keepdims:
        return result
    sizes = tuple(1 if i in axes else n for i, n in enumerate(shape_of(a)))
    return reshape(result, shape_of(q) + sizes)


def _dtype_of_places(op: str, dtype: dt.Dtype, count: int) -> dt.Dtype:
    """What holds the places of all elements, and the parts between, with some digits to spare."""
    if dt.is_complex(dtype):
        raise mistake(DtypeError, op, f"takes numbers that have an order, not {dt.name(dtype)}",
                      hint="take the quantiles of jnp.abs(x), x.real or x.imag")
    return dt.float64 if dtype == dt.float64 or count > 1 << 16 else dt.float32


def _between(op: str, x: Array, q: Array, method: str, skip_nan: bool) -> Array:
    """The elements of sorted rows at q of their length: [*q, *rows]."""
    *rows, n = shape_of(x)
    dtype = type_of(q).dtype
    shape = (*shape_of(q), *rows)
    if n == 0:
        return splat(math.nan, type_of(x).dtype, shape)
    wide_q = broadcast(op, reshape(q, shape_of(q) + (1,) * len(rows)), shape)
    bad = isnan(x)
    present = ew.convert(ew.not_(bad), dtype=dtype)
    count = sum(present, -1) if skip_nan else splat(n, dtype, tuple(rows))
    last = broadcast(op, ew.subtract(count, like(count, 1)), shape)
    place = ew.multiply(wide_q, last)
    low, high = ew.floor(place), ew.ceil(place)
    share = ew.subtract(place, low)
    limit = lambda i: convert(ew.clamp(like(i, 0), i, ew.maximum(last, like(i, 0))), dt.int32)
    left, right = (convert(_row_element(x, limit(i)), dtype) for i in (low, high))
    result = convert(_mixture(method, left, right, share, place), type_of(x).dtype)
    if skip_nan:
        return result
    return ew.select(broadcast(op, any(bad, -1), shape), like(result, math.nan), result)


def _row_element(x: Array, places: Array) -> Array:
    """x[rows, places[q, rows]] for all q and rows."""
    *rows, _ = shape_of(x)
    shape = shape_of(places)
    lead = len(shape) - len(rows)
    grid = [counting(shape, lead + i, dt.int32) for i in range(len(rows))]
    if not shape:
        return reshape(getitem(x, (reshape(places, (1,)),)), ())
    return getitem(x, (*grid, places), mode="clip")


def _mixture(method: str, left: Array, right: Array, share: Array, place: Array) -> Array:
    half = like(share, 0.5)
    if method == "lower":
        return left
    if method == "higher":
        return right
    if method == "nearest":
        nearest = ew.round_nearest_even(place)
        return ew.select(ew.compare(nearest, ew.floor(place), direction="EQ"), left, right)
    if method == "midpoint":
        return ew.multiply(ew.add(left, right), half)
    mixed = ew.add(ew.multiply(left, ew.subtract(like(share, 1), share)),
                   ew.multiply(right, share))
    infinite = ew.and_(isinf(left), ew.compare(left, right, direction="EQ"))
    return ew.select(infinite, left, mixed)  # which 0 times infinity would make nan


# -- sets of known arrays --------------------------------------------------------------------------


_FEW_TESTS = 64  # with more it is sooner to sort them and search


def _is_among_sorted(x: Array, tests: Array) -> Array:
    """Whether the first of the sorted tests that is not below x equals it; nan equals nothing."""
    place = searchsorted(tests, ravel(x))
    there = getitem(tests, place, mode="clip")
    return reshape(ew.compare(there, ravel(x), direction="EQ"), shape_of(x))


def isin(element: ArrayLike, test_elements: ArrayLike, assume_unique: bool = False,
         invert: bool = False) -> Array:
    """Whether each element is among the test elements.

    >>> jnp.isin(jnp.arange(4), jnp.array([1, 3]))
    Array([False,  True, False,  True], dtype=bool)
    """
    x, tests = promote("isin", element, test_elements)
    flat = ravel(tests)
    if shape_of(flat)[0] > _FEW_TESTS and dt.kind(type_of(x).dtype) in "iuf":
        found = _is_among_sorted(x, sort(flat))
        return ew.not_(found) if invert else found
    grid = (*shape_of(x), shape_of(flat)[0])
    wide = broadcast("isin", reshape(x, (*shape_of(x), 1)), grid)
    found = any(ew.compare(wide, broadcast("isin", flat, grid), direction="EQ"), -1)
    return ew.not_(found) if invert else found
