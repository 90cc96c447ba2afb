"""Sums, means, extremes and other functions that take axes away."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew, reduction as rd, structured as st
from arraylib.numpy.complex_order import chosen
from arraylib.numpy.creation import arrays
from arraylib.numpy.elementwise import isclose, isnan, like, truth
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axes,
    as_axis,
    beside,
    binary,
    broadcast,
    broadcast_all,
    broadcastable,
    convert,
    converted,
    inexact,
    literal,
    operand,
    refuse_out,
    shape_of,
    splat,
)
from arraylib.numpy.tables import named

Axis = int | Sequence[int] | None
Emit = Callable[..., Array]


def keep_axes(reduced: Array, like_: Array, axes: Sequence[int]) -> Array:
    """A reduction's result with the axes it took away back as axes of size 1."""
    sizes = shape_of(like_)
    return st.reshape(reduced, shape=tuple(1 if i in axes else n for i, n in enumerate(sizes)))


def _reduce(op: str, emit: Emit, x: Array, axis: Axis, keepdims: bool) -> Array:
    axes = as_axes(op, axis, len(shape_of(x)))
    if not axes:
        return literal(x)
    reduced = emit(x, dimensions=axes)
    return keep_axes(reduced, x, axes) if keepdims else reduced


def masked(op: str, x: Array, where: ArrayLike | None, neutral: complex) -> Array:
    """x with the elements left out by `where` replaced by a value that changes nothing."""
    if where is None:
        return x
    x, mask = broadcast_all(op, [x, _mask(op, where)])
    return ew.select(mask, x, like(x, neutral))


def _mask(op: str, where: ArrayLike) -> Array:
    """The operand `where`; ArgumentError unless it has truth values."""
    mask = operand(op, where)
    if not dt.is_bool(type_of(mask).dtype):
        raise mistake(ArgumentError, op, f"where= has {dt.name(type_of(mask).dtype)}, not truth "
                      "values", operands=[type_of(mask)], hint="where=mask != 0")
    return mask


def _check_initial(op: str, initial: ArrayLike | None) -> None:
    if initial is not None and shape_of(initial):
        raise mistake(ShapeError, op, f"initial= has the shape {shape_of(initial)}",
                      hint="one number, which all results start with")


# What sums and products of truth values in truth values are.
LOGIC = {"sum": rd.reduce_or, "prod": rd.reduce_and}


def _begun_with(op: str, combine: Emit, result: Array, initial: ArrayLike | None) -> Array:
    """A result and the number that it starts with, which counts as a truth value among those."""
    if initial is None:
        return result
    if dt.is_bool(type_of(result).dtype):
        initial = truth(operand(op, initial))
    return binary(op, combine, result, initial)


def widened(dtype: dt.Dtype) -> dt.Dtype:
    """Sums of small integers are made in the default width."""
    if dt.is_bool(dtype):
        return dt.default_int()
    if dt.is_integer(dtype) and dt.bits(dtype) < dt.bits(dt.default_int()):
        return dt.promote(dtype, dt.default_int() if dt.is_signed(dtype)
                          else np.dtype(f"uint{dt.bits(dt.default_int())}"))
    return dtype


def _total(op: str, emit: Emit, combine: Emit, neutral: int, doc: str) -> Callable[..., Array]:
    """A reduction with a neutral element: sum or product."""
    def function(a: ArrayLike, axis: Axis = None, dtype: Any = None, out: None = None,
                 keepdims: bool = False, initial: ArrayLike | None = None,
                 where: ArrayLike | None = None, promote_integers: bool = True) -> Array:
        refuse_out(op, out)
        _check_initial(op, initial)
        wanted = None if dtype is None else dt.dtype(dtype, op=op)
        a = ew.strong(operand(op, a, wanted))
        own = type_of(a).dtype
        a = convert(a, wanted or (widened(own) if promote_integers or dt.is_bool(own) else own))
        logic = LOGIC[op] if dt.is_bool(type_of(a).dtype) else emit
        result = _reduce(op, logic, masked(op, a, where, neutral), axis, keepdims)
        return _begun_with(op, combine, result, initial)
    return named(function, op, doc)


sum = _total("sum", st.reduce_add, ew.add, 0, """The sum over axes, all for None.

    Integers and truth values are summed in at least the default width; half types in float32,
    rounded once. Elements where `where` is false are left out; `initial` is added. Without
    `promote_integers` integers keep their dtype, in which sums may overflow.
    """)
prod = _total("prod", rd.reduce_multiply, ew.multiply, 1,
              "The product over axes, all for None; see `sum` for the other arguments.")


def _limit(dtype: dt.Dtype, highest: bool) -> Any:
    if dt.is_bool(dtype):
        return highest
    if dt.is_integer(dtype):
        return int(dt.iinfo(dtype).max if highest else dt.iinfo(dtype).min)
    return math.inf if highest else -math.inf


def _extreme(op: str, emit: Emit, combine: Emit, highest: bool, doc: str) -> Callable[..., Array]:
    def function(a: ArrayLike, axis: Axis = None, out: None = None, keepdims: bool = False,
                 initial: ArrayLike | None = None, where: ArrayLike | None = None) -> Array:
        refuse_out(op, out)
        _check_initial(op, initial)
        a = ew.strong(operand(op, a))
        if initial is None:
            _not_empty(op, a, axis)
        if dt.is_complex(type_of(a).dtype):
            of_parts = _extreme_of_parts(op, emit, highest, a, axis, keepdims, where)
            return of_parts if initial is None else binary(op, chosen("LT" if highest else "GT"),
                                                           of_parts, initial)
        filled = masked(op, a, where, _limit(type_of(a).dtype, highest))
        result = _reduce(op, emit, filled, axis, keepdims)
        return _begun_with(op, combine, result, initial)
    return named(function, op, doc)


def _extreme_of_parts(op: str, emit: Emit, highest: bool, a: Array, axis: Axis, keepdims: bool,
                      where: ArrayLike | None) -> Array:
    """The extreme of complex numbers: of the real parts, then of the imaginary ones beside it."""
    neutral, axes = _limit(type_of(a).dtype, highest), as_axes(op, axis, len(shape_of(a)))
    lost = ew.and_(isnan(a), masked(op, splat(True, dt.bool_, shape_of(a)), where, False))
    first = masked(op, ew.real(a), where, neutral)
    real = _reduce(op, emit, first, axes, True)
    beside_it = ew.compare(first, broadcast(op, real, shape_of(a)), direction="EQ")
    second = ew.select(beside_it, masked(op, ew.imag(a), where, neutral), like(first, neutral))
    found = ew.complex_(_reduce(op, emit, first, axes, keepdims),
                        _reduce(op, emit, second, axes, keepdims))
    return ew.select(_reduce(op, rd.reduce_or, lost, axes, keepdims),
                     like(found, complex(math.nan, math.nan)), found)


def _not_empty(op: str, a: Array, axis: Axis) -> None:
    sizes = shape_of(a)
    if math.prod(sizes[i] for i in as_axes(op, axis, len(sizes))) == 0:
        raise mistake(ShapeError, op, "no elements are left to choose from",
                      operands=[type_of(a)], hint="initial=..., the result if there are none")


max = amax = _extreme("max", rd.reduce_maximum, ew.maximum, False,
                      "The largest over axes, all for None; nan if any is.")
min = amin = _extreme("min", rd.reduce_minimum, ew.minimum, True,
                      "The smallest over axes, all for None; nan if any is.")


@one_program()
def ptp(a: ArrayLike, axis: Axis = None, out: None = None, keepdims: bool = False) -> Array:
    """The largest less the smallest over axes.

    >>> jnp.ptp(jnp.array([3, 1, 7]))
    Array(6, dtype=int32)
    """
    refuse_out("ptp", out)
    return ew.subtract(max(a, axis, keepdims=keepdims), min(a, axis, keepdims=keepdims))


def all(a: ArrayLike, axis: Axis = None, out: None = None, keepdims: bool = False, *,
        where: ArrayLike | None = None) -> Array:
    """Whether all elements over axes differ from 0.

    >>> jnp.all(jnp.array([[True, False], [True, True]]), axis=1)
    Array([False,  True], dtype=bool)
    """
    refuse_out("all", out)
    x = masked("all", truth(operand("all", a)), where, True)
    return _reduce("all", rd.reduce_and, x, axis, keepdims)


def any(a: ArrayLike, axis: Axis = None, out: None = None, keepdims: bool = False, *,
        where: ArrayLike | None = None) -> Array:
    """Whether any element over axes differs from 0.

    >>> jnp.any(jnp.array([[True, False], [False, False]]), axis=1)
    Array([ True, False], dtype=bool)
    """
    refuse_out("any", out)
    x = masked("any", truth(operand("any", a)), where, False)
    return _reduce("any", rd.reduce_or, x, axis, keepdims)


@one_program()
def count_nonzero(a: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Array:
    """How many elements over axes differ from 0.

    >>> jnp.count_nonzero(jnp.array([0, 1, 2]))
    Array(2, dtype=int32)
    """
    return sum(truth(operand("count_nonzero", a)), axis, keepdims=keepdims)


def _place(op: str, emit: Emit, doc: str) -> Callable[..., Array]:
    def function(a: ArrayLike, axis: int | None = None, out: None = None,
                 keepdims: bool = False) -> Array:
        refuse_out(op, out)
        a = ew.strong(operand(op, a))
        rank = len(shape_of(a))
        flat = st.reshape(a, shape=(math.prod(shape_of(a)),)) if axis is None else a
        along = 0 if axis is None else as_axis(op, axis, rank)
        _not_empty(op, flat, along)
        place = emit(flat, dimensions=(along,), dtype=dt.index_dtype(shape_of(flat)[along]))
        return keep_axes(place, a, range(rank) if axis is None else (along,)) if keepdims else place
    return named(function, op, doc)


argmax = _place("argmax", rd.argmax, "The first place of the largest along an axis, or in the "
                "flattened array; the first nan if there is one.")
argmin = _place("argmin", rd.argmin, "The first place of the smallest along an axis, or in the "
                "flattened array; the first nan if there is one.")

# -- means -----------------------------------------------------------------------------------------


def working(dtype: dt.Dtype) -> dt.Dtype:
    """The dtype in which means of `dtype` are made: half types in float32."""
    dtype = inexact(dtype)
    return dt.float32 if dt.is_half(dtype) or dt.is_float8(dtype) else dtype


def _count(op: str, x: Array, axes: Sequence[int], where: ArrayLike | None,
           keepdims: bool) -> Any:
    """How many elements go into each mean."""
    if where is None:
        return math.prod(shape_of(x)[i] for i in axes)
    mask = broadcast(op, _mask(op, where), shape_of(x))
    return _reduce(op, st.reduce_add, convert(mask, type_of(x).dtype), axes, keepdims)


def _shares(total: Array, count: float | Array) -> Array:
    if isinstance(count, (int, float)):
        return ew.divide(total, like(total, count))
    return ew.divide(total, count)


@one_program()
def mean(a: ArrayLike, axis: Axis = None, dtype: Any = None, out: None = None,
         keepdims: bool = False, *, where: ArrayLike | None = None) -> Array:
    """The mean over axes, all for None; of integers a float; half types by way of float32.

    >>> jnp.mean(jnp.array([[1, 2], [3, 4]]), axis=1)
    Array([1.5, 3.5], dtype=float32)
    """
    refuse_out("mean", out)
    wanted = None if dtype is None else dt.dtype(dtype, op="mean")
    a = ew.strong(operand("mean", a, wanted))
    result = inexact(type_of(a).dtype) if wanted is None else wanted
    x = convert(a, working(result))
    axes = as_axes("mean", axis, len(shape_of(x)))
    total = _reduce("mean", st.reduce_add, masked("mean", x, where, 0), axes, keepdims)
    return convert(_shares(total, _count("mean", x, axes, where, keepdims)), result)


@one_program()
def average(a: ArrayLike, axis: Axis = None, weights: ArrayLike | None = None,
            returned: bool = False, keepdims: bool = False) -> Any:
    """The mean weighted by `weights`, which have the shape of `a`, or of its axes `axis` alone.

    >>> jnp.average(jnp.array([1.0, 3.0]), weights=jnp.array([3.0, 1.0]))
    Array(1.5, dtype=float32)
    """
    a, weights = beside("average", a, weights)
    a = ew.strong(a)
    if weights is None:
        result = mean(a, axis, keepdims=keepdims)
        count = like(result, _count("average", a, as_axes("average", axis, len(shape_of(a))), None,
                                    keepdims))
        return (result, count) if returned else result
    w = weights
    if shape_of(w) != shape_of(a):
        rank = len(shape_of(a))
        given = axis if isinstance(axis, (tuple, list)) else () if axis is None else (axis,)
        along = [as_axis("average", i, rank) for i in given]
        if axis is None or shape_of(w) != tuple([shape_of(a)[i] for i in along]):
            raise mistake(ShapeError, "average", f"weights of shape {shape_of(w)} for an array of "
                          f"shape {shape_of(a)}", operands=[type_of(a), type_of(w)],
                          hint="axis=..., and one weight for each place along it")
        w = st.transpose(w, permutation=tuple(np.argsort(along).tolist()))
        w = st.broadcast_in_dim(w, shape=shape_of(a), broadcast_dimensions=tuple(sorted(along)))
    total = sum(w, axis, keepdims=keepdims, dtype=inexact(type_of(w).dtype))
    result = binary("average", ew.divide, sum(binary("average", ew.multiply, a, w, inexact), axis,
                                              keepdims=keepdims), total)
    return (result, total) if returned else result


@one_program()
def var(a: ArrayLike, axis: Axis = None, dtype: Any = None, out: None = None, ddof: float = 0,
        keepdims: bool = False, *, where: ArrayLike | None = None,
        mean: ArrayLike | None = None, correction: float | None = None) -> Array:
    """The variance over axes: the mean of |a - mean|^2, with count - ddof as the divisor.

    `correction` is another name of ddof; `mean` is the mean with the axes kept, where it is known.
    nan where the divisor is not positive.

    >>> jnp.var(jnp.array([1.0, 3.0]), ddof=1)
    Array(2., dtype=float32)
    """
    refuse_out("var", out)
    less = _divided_by_less("var", ddof, correction)
    wanted = None if dtype is None else dt.dtype(dtype, op="var")
    a = ew.strong(operand("var", a, wanted))
    result = dt.to_real(inexact(type_of(a).dtype)) if wanted is None else wanted
    x = convert(a, working(type_of(a).dtype if dtype is None else dt.promote(
        result, type_of(a).dtype)))
    axes = as_axes("var", axis, len(shape_of(x)))
    centre = (_mean(x, axes, keepdims=True, where=where) if mean is None
              else convert(operand("var", mean), type_of(x).dtype))
    centre = broadcast("var", centre, shape_of(x))
    apart = ew.subtract(x, centre)
    if dt.is_complex(type_of(x).dtype):
        parts = ew.real(apart), ew.imag(apart)
        squares = ew.add(*[ew.multiply(p, p) for p in parts])
    else:
        squares = ew.multiply(apart, apart)
    total = _reduce("var", st.reduce_add, masked("var", squares, where, 0), axes, keepdims)
    return convert(_over(total, _count("var", squares, axes, where, keepdims), less), result)


_mean = mean


def _over(total: Array, count: float | Array, less: float | Array) -> Array:
    """total / (count - less); nan where the divisor is not positive."""
    if isinstance(count, (int, float)) and isinstance(less, (int, float)):
        return _shares(total, count - less) if count > less else like(total, math.nan)
    all_, rest = (broadcast("var", converted("var", x, type_of(total).dtype), shape_of(total))
                  for x in (count, less))
    share = ew.divide(total, ew.subtract(all_, rest))
    return ew.select(ew.compare(all_, rest, direction="GT"), share, like(share, math.nan))


def _divided_by_less(op: str, ddof: float, correction: float | None) -> float:
    if correction is not None and not (isinstance(ddof, int) and ddof == 0):
        raise mistake(ArgumentError, op, f"ddof = {ddof} and correction = {correction} are one "
                      "thing by two names", hint="correction=... alone")
    return ddof if correction is None else correction


@one_program()
def std(a: ArrayLike, axis: Axis = None, dtype: Any = None, out: None = None, ddof: float = 0,
        keepdims: bool = False, *, where: ArrayLike | None = None,
        mean: ArrayLike | None = None, correction: float | None = None) -> Array:
    """The square root of `var`.

    >>> jnp.std(jnp.array([1.0, 3.0]))
    Array(1., dtype=float32)
    """
    refuse_out("std", out)
    return ew.sqrt(var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean,
                       correction=correction))


# -- leaving nan out -------------------------------------------------------------------------------


def _without_nan(op: str, a: ArrayLike, where: ArrayLike | None) -> tuple[Array, Array | None]:
    """`a`, and the mask of what counts; None where it cannot hold nan."""
    a = operand(op, a)
    if not dt.is_inexact(type_of(a).dtype):
        return a, where
    mask = ew.not_(isnan(a))
    if where is not None:
        mask = ew.and_(mask, broadcast(op, _mask(op, where), shape_of(mask)))
    return a, mask


@one_program()
def nansum(a: ArrayLike, axis: Axis = None, dtype: Any = None, out: None = None,
           keepdims: bool = False, initial: ArrayLike | None = None,
           where: ArrayLike | None = None) -> Array:
    """The sum over axes of what is not nan.

    >>> jnp.nansum(jnp.array([1.0, jnp.nan, 3.0]))
    Array(4., dtype=float32)
    """
    a, mask = _without_nan("nansum", a, where)
    return sum(a, axis, dtype, out, keepdims, initial, mask)


@one_program()
def nanprod(a: ArrayLike, axis: Axis = None, dtype: Any = None, out: None = None,
            keepdims: bool = False, initial: ArrayLike | None = None,
            where: ArrayLike | None = None) -> Array:
    """The product over axes of what is not nan.

    >>> jnp.nanprod(jnp.array([2.0, jnp.nan, 3.0]))
    Array(6., dtype=float32)
    """
    a, mask = _without_nan("nanprod", a, where)
    return prod(a, axis, dtype, out, keepdims, initial, mask)


def _nan_extreme(op: str, extreme: Callable[..., Array], a: ArrayLike, axis: Axis, keepdims: bool,
                 initial: ArrayLike | None, where: ArrayLike | None) -> Array:
    a, mask = _without_nan(op, a, where)
    if initial is None:
        _not_empty(op, a, axis)
    result = extreme(a, axis, None, keepdims, initial, mask)
    if initial is not None or mask is where:
        return result
    nothing = ew.not_(any(mask, axis, keepdims=keepdims))
    return ew.select(nothing, like(result, math.nan), result)


@one_program()
def nanmax(a: ArrayLike, axis: Axis = None, out: None = None, keepdims: bool = False,
           initial: ArrayLike | None = None, where: ArrayLike | None = None) -> Array:
    """The largest over axes of what is not nan, and of `initial`; nan if all are, without it.

    >>> jnp.nanmax(jnp.array([1.0, jnp.nan, 3.0]))
    Array(3., dtype=float32)
    """
    refuse_out("nanmax", out)
    return _nan_extreme("nanmax", max, a, axis, keepdims, initial, where)


@one_program()
def nanmin(a: ArrayLike, axis: Axis = None, out: None = None, keepdims: bool = False,
           initial: ArrayLike | None = None, where: ArrayLike | None = None) -> Array:
    """The smallest over axes of what is not nan, and of `initial`; nan if all are, without it.

    >>> jnp.nanmin(jnp.array([1.0, jnp.nan, 3.0]))
    Array(1., dtype=float32)
    """
    refuse_out("nanmin", out)
    return _nan_extreme("nanmin", min, a, axis, keepdims, initial, where)


@one_program()
def nanargmax(a: ArrayLike, axis: int | None = None, out: None = None,
              keepdims: bool = False) -> Array:
    """The first place of the largest that is not nan; -1 if all are.

    >>> jnp.nanargmax(jnp.array([1.0, jnp.nan, 3.0]))
    Array(2, dtype=int32)
    """
    return _nan_place("nanargmax", argmax, False, a, axis, keepdims)


@one_program()
def nanargmin(a: ArrayLike, axis: int | None = None, out: None = None,
              keepdims: bool = False) -> Array:
    """The first place of the smallest that is not nan; -1 if all are.

    >>> jnp.nanargmin(jnp.array([jnp.nan, 2.0, 3.0]))
    Array(1, dtype=int32)
    """
    return _nan_place("nanargmin", argmin, True, a, axis, keepdims)


def _nan_place(op: str, place: Callable[..., Array], highest: bool, a: ArrayLike,
               axis: int | None, keepdims: bool) -> Array:
    a, mask = _without_nan(op, a, None)
    found = place(masked(op, a, mask, _limit(type_of(a).dtype, highest)), axis, keepdims=keepdims)
    if mask is None:
        return found
    return ew.select(any(mask, axis, keepdims=keepdims), found, like(found, -1))


@one_program()
def nanmean(a: ArrayLike, axis: Axis = None, dtype: Any = None, out: None = None,
            keepdims: bool = False, where: ArrayLike | None = None) -> Array:
    """The mean over axes of what is not nan.

    >>> jnp.nanmean(jnp.array([1.0, jnp.nan, 3.0]))
    Array(2., dtype=float32)
    """
    a, mask = _without_nan("nanmean", a, where)
    return mean(a, axis, dtype, out, keepdims, where=mask)


@one_program()
def nanvar(a: ArrayLike, axis: Axis = None, dtype: Any = None, out: None = None, ddof: float = 0,
           keepdims: bool = False, where: ArrayLike | None = None,
           mean: ArrayLike | None = None) -> Array:
    """The variance over axes of what is not nan.

    >>> jnp.nanvar(jnp.array([1.0, jnp.nan, 3.0]))
    Array(1., dtype=float32)
    """
    a, mask = _without_nan("nanvar", a, where)
    if mask is not where:  # nan times the derivative of what is left out would still be nan
        a = ew.select(ew.not_(isnan(a)), a, like(a, 0))
    return var(a, axis, dtype, out, ddof, keepdims, where=mask, mean=mean)


@one_program()
def nanstd(a: ArrayLike, axis: Axis = None, dtype: Any = None, out: None = None, ddof: float = 0,
           keepdims: bool = False, where: ArrayLike | None = None,
           mean: ArrayLike | None = None) -> Array:
    """The standard deviation over axes of what is not nan.

    >>> jnp.nanstd(jnp.array([1.0, jnp.nan, 3.0]))
    Array(1., dtype=float32)
    """
    return ew.sqrt(nanvar(a, axis, dtype, out, ddof, keepdims, where, mean))


# -- truth about whole arrays ----------------------------------------------------------------------


@one_program(2)
def allclose(a: ArrayLike, b: ArrayLike, rtol: ArrayLike = 1e-05, atol: ArrayLike = 1e-08,
             equal_nan: bool = False) -> Array:
    """Whether all elements are close; see `isclose`.

    >>> jnp.allclose(jnp.array([1.0, 2.0]), jnp.array([1.0, 2.000001]))
    Array(True, dtype=bool)
    """
    return all(isclose(a, b, rtol, atol, equal_nan))


def array_equal(a1: ArrayLike, a2: ArrayLike, equal_nan: bool = False) -> Array:
    """Whether the shapes are equal and all elements are; also nan and nan if `equal_nan`.

    Lists count as arrays.

    >>> jnp.array_equal(jnp.arange(3), jnp.array([0, 1, 2]))
    Array(True, dtype=bool)
    """
    a1, a2 = arrays("array_equal", a1, a2)
    if shape_of(a1) != shape_of(a2):
        return splat(False, dt.bool_, ())
    same = binary("array_equal", lambda x, y: ew.compare(x, y, direction="EQ"), a1, a2)
    if equal_nan:
        same = ew.or_(same, ew.and_(isnan(a1), isnan(a2)))
    return all(same)


def array_equiv(a1: ArrayLike, a2: ArrayLike) -> Array:
    """Whether the arrays, or lists, are equal once broadcast; False if they do not broadcast.

    >>> jnp.array_equiv(jnp.ones((2, 3)), jnp.ones(3))
    Array(True, dtype=bool)
    """
    a1, a2 = arrays("array_equiv", a1, a2)
    if not broadcastable(shape_of(a1), shape_of(a2)):
        return splat(False, dt.bool_, ())
    return all(binary("array_equiv", lambda x, y: ew.compare(x, y, direction="EQ"), a1, a2))
