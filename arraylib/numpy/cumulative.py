"""Running sums, products and extremes, and differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew, structured as st
from arraylib.hlo.ops.cumulative import cumulative as running
from arraylib.numpy.elementwise import (
    abs,
    divide,
    floor_divide,
    isnan,
    less,
    like,
    mod,
    multiply,
)
from arraylib.numpy.layout import broadcast_to, concatenate, cut, moveaxis, ravel, reshape
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axes,
    as_axis,
    beside,
    broadcast,
    check_kind,
    convert,
    converted,
    literal,
    operand,
    promote,
    promote_inexact,
    refuse_out,
    shape_of,
    splat,
)
from arraylib.numpy.reductions import widened
from arraylib.numpy.tables import named

# What sums and products of truth values are.
LOGIC = {"add": "maximum", "multiply": "minimum"}


def _running(op: str, kind: str, doc: str) -> Callable[..., Array]:
    def function(a: ArrayLike, axis: int | None = None, dtype: Any = None,
                 out: None = None) -> Array:
        refuse_out(op, out)
        wanted = None if dtype is None else dt.dtype(dtype, op=op)
        a = ew.strong(operand(op, a, wanted))
        if axis is None:
            a, axis = ravel(a), 0
        own = type_of(a).dtype
        if wanted is None:
            wanted = dt.default_int() if dt.is_bool(own) else own
        axis = as_axis(op, axis, len(shape_of(a)))
        return running(convert(a, wanted), kind=LOGIC[kind] if dt.is_bool(wanted) else kind,
                       dimension=axis, reverse=False)
    return one_program()(named(function, op, doc))


cumsum = _running("cumsum", "add", "The sum of each element and all before it along an axis; "
                  "of the flattened array for None.")
cumprod = _running("cumprod", "multiply", "The product of each element and all before it along "
                   "an axis; of the flattened array for None.")


@one_program()
def nancumsum(a: ArrayLike, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """As `cumsum`, nan counting as 0.

    >>> jnp.nancumsum(jnp.array([1, jnp.nan, 3]))
    Array([1., 1., 4.], dtype=float32)
    """
    return cumsum(_without_nan("nancumsum", a, 0), axis, dtype, out)


@one_program()
def nancumprod(a: ArrayLike, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """As `cumprod`, nan counting as 1.

    >>> jnp.nancumprod(jnp.array([2, jnp.nan, 3]))
    Array([2., 2., 6.], dtype=float32)
    """
    return cumprod(_without_nan("nancumprod", a, 1), axis, dtype, out)


def _without_nan(op: str, a: ArrayLike, value: int) -> Array:
    a = operand(op, a)
    return ew.select(isnan(a), like(a, value), a) if dt.is_inexact(type_of(a).dtype) else a


def _cumulative(op: str, whole: Callable[..., Array], first: int, x: ArrayLike, axis: int | None,
                dtype: Any, include_initial: bool) -> Array:
    x = operand(op, x)
    rank = len(shape_of(x))
    if axis is None and rank != 1:
        raise mistake(ArgumentError, op, f"axis=None for an array with {rank} axes",
                      operands=[type_of(x)], hint="name the axis")
    axis = as_axis(op, axis or 0, rank)
    result = whole(x, axis, widened(type_of(x).dtype) if dtype is None else dtype)
    if not include_initial:
        return result
    edge = tuple(1 if i == axis else n for i, n in enumerate(shape_of(x)))
    return concatenate([splat(first, type_of(result).dtype, edge), result], axis)


def cumulative_sum(x: ArrayLike, /, *, axis: int | None = None, dtype: Any = None,
                   include_initial: bool = False) -> Array:
    """The running sum along an axis, after a 0 if `include_initial`.

    Unless a dtype is given, that of `sum`: narrow integers are added in the default width.

    >>> jnp.cumulative_sum(jnp.array([1, 2, 3]), include_initial=True)
    Array([0, 1, 3, 6], dtype=int32)
    """
    return _cumulative("cumulative_sum", cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(x: ArrayLike, /, *, axis: int | None = None, dtype: Any = None,
                    include_initial: bool = False) -> Array:
    """The running product along an axis, after a 1 if `include_initial`; dtypes as for sums.

    >>> jnp.cumulative_prod(jnp.array([1, 2, 3]), include_initial=True)
    Array([1, 1, 2, 6], dtype=int32)
    """
    return _cumulative("cumulative_prod", cumprod, 1, x, axis, dtype, include_initial)


# -- differences -----------------------------------------------------------------------------------


@one_program()
def diff(a: ArrayLike, n: int = 1, axis: int = -1, prepend: ArrayLike | None = None,
         append: ArrayLike | None = None) -> Array:
    """Each element less the one before it along an axis, n times over; for n = 0 `a` itself.

    >>> jnp.diff(jnp.array([1, 4, 9]))
    Array([3, 5], dtype=int32)
    """
    a, prepend, append = beside("diff", a, prepend, append)
    if n < 1:
        if n < 0:
            raise mistake(ArgumentError, "diff", f"n = {n} is negative", hint="0 or more")
        return literal(a)
    axis = as_axis("diff", axis, len(shape_of(a)))
    edge = tuple(1 if i == axis else m for i, m in enumerate(shape_of(a)))
    around = lambda x: [] if x is None else [x if shape_of(x) else broadcast_to(x, edge)]
    parts = [*around(prepend), a, *around(append)]
    a = concatenate(parts, axis) if len(parts) > 1 else a
    for _ in range(n):
        m = shape_of(a)[axis]
        later, earlier = cut(a, axis, min(1, m), m), cut(a, axis, 0, max(m - 1, 0))
        if dt.is_bool(type_of(a).dtype):
            a = ew.compare(later, earlier, direction="NE")
        else:
            a = ew.subtract(later, earlier)
    return a


def ediff1d(ary: ArrayLike, to_end: ArrayLike | None = None,
            to_begin: ArrayLike | None = None) -> Array:
    """The differences of the flattened array, between two other arrays if given.

    >>> jnp.ediff1d(jnp.array([1, 4, 9]), to_end=0)
    Array([3, 5, 0], dtype=int32)
    """
    ary, to_end, to_begin = beside("ediff1d", ary, to_end, to_begin)
    around = lambda x: [] if x is None else [ravel(x)]
    parts = [*around(to_begin), diff(ravel(ary)), *around(to_end)]
    return concatenate(parts) if len(parts) > 1 else parts[0]


@one_program()
def gradient(f: ArrayLike, *varargs: ArrayLike, axis: Any = None,
             edge_order: int | None = None) -> Any:
    """Central differences along the axes, one-sided at the ends, of order 1 there.

    Each of `varargs`, one for all axes or one an axis, is the spacing along an axis, or a vector of
    the places there. Raises ShapeError where their number is not that of the elements.

    >>> jnp.gradient(jnp.array([0.0, 1.0, 4.0, 9.0]))
    Array([1., 2., 4., 5.], dtype=float32)
    >>> jnp.gradient(jnp.array([0.0, 1.0, 9.0]), jnp.array([0.0, 1.0, 3.0]))
    Array([1., 2., 4.], dtype=float32)
    """
    if edge_order not in (None, 1):
        raise mistake(ArgumentError, "gradient", f"edge_order = {edge_order!r}", hint="1")
    f, *spacings = promote_inexact("gradient", f, *varargs)
    axes = as_axes("gradient", axis, len(shape_of(f)))
    spacings = spacings or [splat(1, type_of(f).dtype, ())]
    spacings = spacings * len(axes) if len(spacings) == 1 else spacings
    if len(spacings) != len(axes):
        raise mistake(ArgumentError, "gradient", f"{len(varargs)} spacings for {len(axes)} axes",
                      hint="one for each axis, or one for all")
    results = [_slope(f, a, h) for a, h in zip(axes, spacings)]
    return results[0] if len(results) == 1 else results


def _slope(f: Array, axis: int, spacing: Array) -> Array:
    n = shape_of(f)[axis]
    if n < 2:
        raise mistake(ShapeError, "gradient", f"axis {axis} of size {n} has no slope",
                      operands=[type_of(f)], hint="two elements at least along each axis")
    if not shape_of(spacing):
        inner = ew.subtract(cut(f, axis, 2, n), cut(f, axis, 0, n - 2))
        ends = [ew.subtract(cut(f, axis, i, i + 1), cut(f, axis, i - 1, i)) for i in (1, n - 1)]
        over = lambda x, h: ew.divide(x, broadcast("gradient", h, shape_of(x)))
        return concatenate([over(ends[0], spacing), over(inner, multiply(spacing, 2)),
                            over(ends[1], spacing)], axis)
    apart = _apart(f, axis, spacing)
    rise = ew.subtract(cut(f, axis, 1, n), cut(f, axis, 0, n - 1))
    slopes = ew.divide(rise, apart)
    before, after = (cut(apart, axis, i, n - 2 + i) for i in (0, 1))
    left, right = (cut(slopes, axis, i, n - 2 + i) for i in (0, 1))
    # the slope on either side counts for as much as the other side is long
    inner = ew.divide(ew.add(ew.multiply(left, after), ew.multiply(right, before)),
                      ew.add(before, after))
    return concatenate([cut(slopes, axis, 0, 1), inner, cut(slopes, axis, n - 2, n - 1)], axis)


def _apart(f: Array, axis: int, places: Array) -> Array:
    """How far each place along an axis is from the next, in the shape of the differences of f."""
    n = shape_of(f)[axis]
    if shape_of(places) != (n,):
        raise mistake(ShapeError, "gradient", f"places of shape {shape_of(places)} for axis "
                      f"{axis} of size {n}", hint="a number, or a vector with one for each")
    thin = reshape(diff(places), tuple(n - 1 if i == axis else 1 for i in range(len(shape_of(f)))))
    return broadcast_to(thin, tuple(n - 1 if i == axis else m for i, m in enumerate(shape_of(f))))


@one_program()
def trapezoid(y: ArrayLike, x: ArrayLike | None = None, dx: ArrayLike = 1.0,
              axis: int = -1) -> Array:
    """The area under y by trapezoids of width `dx`, or between the places x.

    >>> jnp.trapezoid(jnp.array([0.0, 1.0, 4.0]), dx=0.5)
    Array(1.5, dtype=float32)
    """
    y, x = (*promote_inexact("trapezoid", y), None) if x is None \
        else promote_inexact("trapezoid", y, x)
    y = moveaxis(y, axis, -1)
    n, last = shape_of(y)[-1], len(shape_of(y)) - 1
    sums = ew.add(cut(y, last, 1, n), cut(y, last, 0, n - 1))
    if x is None:
        widths = _widths(dx, sums, axis)
    else:
        x = x if len(shape_of(x)) == 1 else moveaxis(x, axis, -1)
        widths = broadcast_to(diff(x), shape_of(sums))
    area = ew.multiply(ew.multiply(sums, widths), like(sums, 0.5))
    return st.reduce_add(area, dimensions=(last,))


def _widths(dx: ArrayLike, sums: Array, axis: int) -> Array:
    """How wide each trapezoid is: one number, or an array as NumPy broadcasts it."""
    own = converted("trapezoid", dx, type_of(sums).dtype)
    rank = len(shape_of(sums))
    if not shape_of(own):
        return broadcast("trapezoid", own, shape_of(sums))
    own = reshape(own, (1,) * (rank - len(shape_of(own))) + shape_of(own))
    return broadcast("trapezoid", moveaxis(own, axis, -1), shape_of(sums))


@one_program()
def unwrap(p: ArrayLike, discont: ArrayLike | None = None, axis: int = -1,
           period: ArrayLike = 2 * math.pi) -> Array:
    """Angles along an axis with jumps of more than half a period taken out.

    Of integers and a whole period they stay integers. Raises DtypeError for complex numbers.

    >>> jnp.unwrap(jnp.array([0.0, 350.0, 10.0]), period=360.0)
    Array([  0., -10.,  10.], dtype=float32)
    """
    p, whole = promote("unwrap", p, period)
    check_kind("unwrap", type_of(p).dtype, "iuf", p)
    axis = as_axis("unwrap", axis, len(shape_of(p)))
    n = shape_of(p)[axis]
    if not n:
        return literal(p)
    step = diff(p, axis=axis)
    whole = broadcast("unwrap", whole, shape_of(step))
    half = floor_divide(whole, 2) if dt.is_integer(type_of(p).dtype) else multiply(whole, 0.5)
    wrapped = ew.subtract(mod(ew.add(step, half), whole), half)
    edge = ew.and_(ew.compare(wrapped, ew.negate(half), direction="EQ"),
                   ew.compare(step, like(step, 0), direction="GT"))
    wrapped = ew.select(edge, half, wrapped)
    small = less(abs(step), divide(whole, 2) if discont is None else discont)
    correction = ew.select(small, like(step, 0), ew.subtract(wrapped, step))
    rest = ew.add(cut(p, axis, 1, n), running(correction, kind="add", dimension=axis,
                                                     reverse=False))
    return concatenate([cut(p, axis, 0, 1), rest], axis)
