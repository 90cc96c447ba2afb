"""Quantiles and medians: what stands at a share of the sorted elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, DtypeError, ShapeError, mistake
from arraylib.hlo.ir import known, type_of
from arraylib.hlo.ops import elementwise as ew, sort as so, structured as st
from arraylib.hlo.ops.constant import constant
from arraylib.numpy.creation import counting
from arraylib.numpy.cumulative import cumsum
from arraylib.numpy.elementwise import isinf, isnan, like
from arraylib.numpy.indexing import getitem
from arraylib.numpy.layout import cut, moveaxis, reshape
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axes,
    broadcast,
    convert,
    inexact,
    operand,
    own_type,
    shape_of,
    splat,
)
from arraylib.numpy.reductions import any, sum
from arraylib.numpy.sorting import sort

_METHODS = ("linear", "lower", "higher", "nearest", "midpoint", "inverted_cdf")


@one_program()
def quantile(a: ArrayLike, q: ArrayLike, axis: Any = None, out: None = None,
             overwrite_input: bool = False, method: str = "linear",
             keepdims: bool = False, *, weights: ArrayLike | None = None) -> Array:
    """The numbers below which shares q (0 to 1) of the elements over axes lie; nan if any is.

    `method` says what is taken between two elements: linear, lower, higher, nearest, midpoint; or
    "inverted_cdf", the first element up to which they hold the share q of all `weights`, which are
    like `a` or like its axes `axis`.

    >>> jnp.quantile(jnp.arange(5.0), 0.25)
    Array(1., dtype=float32)
    """
    return _quantile("quantile", a, q, axis, method, keepdims, False, weights=weights)


@one_program()
def nanquantile(a: ArrayLike, q: ArrayLike, axis: Any = None, out: None = None,
                overwrite_input: bool = False, method: str = "linear",
                keepdims: bool = False, *, weights: ArrayLike | None = None) -> Array:
    """As `quantile` of what is not nan.

    >>> jnp.nanquantile(jnp.array([1.0, jnp.nan, 3.0]), 0.5)
    Array(2., dtype=float32)
    """
    return _quantile("nanquantile", a, q, axis, method, keepdims, True, weights=weights)


@one_program()
def percentile(a: ArrayLike, q: ArrayLike, axis: Any = None, out: None = None,
               overwrite_input: bool = False, method: str = "linear",
               keepdims: bool = False, *, weights: ArrayLike | None = None) -> Array:
    """As `quantile`, the shares in percent.

    >>> jnp.percentile(jnp.arange(5.0), jnp.array([25, 50]))
    Array([1., 2.], dtype=float32)
    """
    return _quantile("percentile", a, q, axis, method, keepdims, False, 100, weights=weights)


@one_program()
def nanpercentile(a: ArrayLike, q: ArrayLike, axis: Any = None, out: None = None,
                  overwrite_input: bool = False, method: str = "linear",
                  keepdims: bool = False, *, weights: ArrayLike | None = None) -> Array:
    """As `nanquantile`, the shares in percent.

    >>> jnp.nanpercentile(jnp.array([1.0, jnp.nan, 3.0]), 50)
    Array(2., dtype=float32)
    """
    return _quantile("nanpercentile", a, q, axis, method, keepdims, True, 100, weights=weights)


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
              skip_nan: bool, whole: int = 1, weights: ArrayLike | None = None) -> Array:
    if method not in _METHODS or weights is not None and method != "inverted_cdf":
        raise mistake(ArgumentError, op, f"method = {method!r}", hint=", ".join(_METHODS)
                      if weights is None else "method='inverted_cdf', which takes weights")
    a = operand(op, a)
    a = convert(a, inexact(type_of(a).dtype))
    axes = as_axes(op, axis, len(shape_of(a)))
    count = math.prod(shape_of(a)[i] for i in axes)
    q = _shares(op, q, whole, _dtype_of_places(op, type_of(a).dtype, count))
    if method == "inverted_cdf":
        result = _first_with_share(op, _rows(a, axes), _rows(_weights(op, a, axes, weights), axes),
                                   q, skip_nan)
    else:
        result = _between(op, sort(_rows(a, axes)), q, method, skip_nan)
    if not keepdims:
        return result
    sizes = tuple(1 if i in axes else n for i, n in enumerate(shape_of(a)))
    return reshape(result, shape_of(q) + sizes)


def _rows(a: Array, axes: tuple[int, ...]) -> Array:
    """Some axes as one, behind the others."""
    x = moveaxis(a, axes, tuple(range(-len(axes), 0)))
    kept = shape_of(x)[:len(shape_of(x)) - len(axes)]
    return reshape(x, (*kept, math.prod(shape_of(x)[len(kept):])))


def _weights(op: str, a: Array, axes: tuple[int, ...], given: ArrayLike | None) -> Array:
    """A weight for each element of `a`."""
    if given is None:
        return like(a, 1)
    weights = convert(operand(op, given, type_of(a).dtype), type_of(a).dtype)
    if shape_of(weights) == shape_of(a):
        return weights
    if shape_of(weights) != tuple(shape_of(a)[i] for i in axes):
        raise mistake(ShapeError, op, f"weights of shape {shape_of(weights)} for an array of "
                      f"shape {shape_of(a)}", operands=[type_of(a), type_of(weights)],
                      hint="weights like the array, or like the axes that are taken away")
    order = sorted(range(len(axes)), key=axes.__getitem__)
    weights = st.transpose(weights, permutation=tuple(order))
    return st.broadcast_in_dim(weights, shape=shape_of(a),
                               broadcast_dimensions=tuple(sorted(axes)))


def _first_with_share(op: str, x: Array, weights: Array, q: Array, skip_nan: bool) -> Array:
    """The first elements up to which sorted rows have the share q of their weights: [*q, *rows]."""
    *rows, n = shape_of(x)
    dtype = type_of(q).dtype
    shape = (*shape_of(q), *rows)
    if n == 0:
        return splat(math.nan, type_of(x).dtype, shape)
    x, weights = so.sort(x, weights, dimension=len(rows), num_keys=1)
    zero, lost = like(weights, 0), isnan(x)
    wrong = ew.not_(ew.compare(weights, zero, direction="GE"))  # or nan
    mass = cumsum(convert(ew.select(ew.or_(wrong, lost), zero, weights), dtype), -1)
    total = reshape(cut(mass, len(rows), n - 1, n), (*rows,))
    wanted = ew.multiply(broadcast(op, reshape(q, shape_of(q) + (1,) * len(rows)), shape),
                         broadcast(op, total, shape))
    grid = (*shape, n)
    short = ew.compare(broadcast(op, mass, grid), broadcast(op, reshape(wanted, (*shape, 1)), grid),
                       direction="LT")
    place = sum(short, -1)
    present = broadcast(op, sum(ew.not_(lost), -1), shape)
    last = ew.maximum(ew.subtract(present, like(present, 1)), like(present, 0))
    found = _row_element(x, convert(ew.minimum(place, last), dt.int32))
    bad = ew.or_(any(wrong, -1), ew.not_(any(ew.not_(lost), -1)) if skip_nan else any(lost, -1))
    return ew.select(broadcast(op, bad, shape), like(found, math.nan), found)


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
        total = ew.add(left, right)
        halves = ew.add(ew.multiply(left, half), ew.multiply(right, half))
        return ew.select(isinf(total), halves, ew.multiply(total, half))  # which do not overflow
    mixed = ew.add(ew.multiply(left, ew.subtract(like(share, 1), share)),
                   ew.multiply(right, share))
    infinite = ew.and_(isinf(left), ew.compare(left, right, direction="EQ"))
    return ew.select(infinite, left, mixed)  # which 0 times infinity would make nan
