"""Further elementwise operations: the total order of floats, bits, and more of CHLO."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.opdef import Example, OpDef
from arraylib.hlo.ops import complexes, elementwise as ew, numeric, special
from arraylib.hlo.ops.constant import full, full_like

_VECTOR = Type(dt.float32, (3,))


def holds_infinity(dtype: np.dtype[Any]) -> bool:
    """Whether a format has infinities; some of those of 8 bits or less have none."""
    return bool(np.isinf(np.asarray(np.inf, np.float32).astype(dtype).astype(np.float32)))


def _is(direction: str, x: Any, y: Any) -> Any:
    return ew.compare(x, y, direction=direction)


# -- the order of floats ---------------------------------------------------------------------------


def _compare_total(x: Any, y: Any, *, direction: str) -> Any:
    x, y = numeric.total_order(x), numeric.total_order(y)
    return ew.compare.numpy(x, y, direction=direction)


def _signed_bits(x: Any) -> Any:
    return ew.bitcast_convert(x, dtype=np.dtype(f"int{dt.bits(type_of(x).dtype)}"))


def _expand_compare(x: Any, y: Any, *, direction: str) -> Any:
    """Floats are ordered as their bits are, the negative ones the other way round.

    Formats of one nan or none, without infinities, go through float32, which holds all of them.
    """
    if not holds_infinity(type_of(x).dtype):
        x, y = (ew.convert(v, dtype=dt.float32) for v in (x, y))
    def key(v: Any) -> Any:
        bits = _signed_bits(v)
        flipped = ew.xor(bits, full_like(bits, dt.iinfo(type_of(bits).dtype).max))
        return ew.select(_is("LT", bits, full_like(bits, 0)), flipped, bits)
    return ew.compare(key(x), key(y), direction=direction)


compare_total = OpDef(
    "compare_total", "Whether x stands to y as `direction` says in the total order of IEEE 754, in "
    "which -0 is less than 0 and nan has a place of its own.", _compare_total, dtypes="f",
    dtype=lambda types, attrs: dt.bool_, jvp=(None, None), expand=_expand_compare,
    examples=(Example((_VECTOR, _VECTOR), {"direction": "LT"}),))


def _next_after(x: Any, y: Any) -> Any:
    """The neighbour of each float by its bits; of 0 the least with the sign of y."""
    dtype = x.dtype
    bits = np.ascontiguousarray(x).view(f"i{dtype.itemsize}").reshape(x.shape)
    away = (x < y) != (x < 0)
    stepped = (bits + np.where(away, 1, -1).astype(bits.dtype)).view(dtype)
    least = np.ones((), bits.dtype).view(dtype)
    stepped = np.where(x == 0, np.where(y < 0, -least, least), stepped)
    out = np.where(x == y, y, stepped)
    return np.where(np.isnan(x) | np.isnan(y), x + y, out).astype(dtype)


def _expand_next_after(x: Any, y: Any) -> Any:
    dtype, zero = type_of(x).dtype, full_like(x, 0)
    away = _is("NE", _is("LT", x, y), _is("LT", x, zero))
    stepped = (_step_by_value if dt.bits(dtype) == 6 else _step_by_bits)(x, away)
    least = full_like(x, float(dt.finfo(dtype).smallest_subnormal))
    least = ew.select(_is("LT", y, zero), ew.negate(least), least)
    stepped = ew.select(_is("EQ", x, zero), least, stepped)
    out = ew.select(_is("EQ", x, y), y, stepped)
    return ew.select(ew.or_(_is("NE", x, x), _is("NE", y, y)), ew.add(x, y), out)


def _step_by_bits(x: Any, away: Any) -> Any:
    bits = _signed_bits(x)
    one = full_like(bits, 1)
    moved = ew.add(bits, ew.select(away, one, ew.negate(one)))
    return ew.bitcast_convert(moved, dtype=type_of(x).dtype)


def _step_by_value(x: Any, away: Any) -> Any:
    """For want of integers of the width: by the distance of neighbours, in float32."""
    dtype, wide = type_of(x).dtype, ew.convert(x, dtype=dt.float32)
    bits, limits = _signed_bits(wide), dt.finfo(dtype)
    power = ew.and_(bits, full_like(bits, 0x7F800000))
    below = ew.subtract(ew.and_(bits, full_like(bits, 0x7FFFFFFF)), full_like(bits, 1))
    power = ew.select(away, power, ew.and_(below, full_like(bits, 0x7F800000)))
    size = ew.maximum(ew.bitcast_convert(power, dtype=dt.float32),
                      full_like(wide, float(limits.smallest_normal)))
    step = ew.multiply(_scaled(size, float(limits.eps)), ew.sign(wide))
    moved = ew.add(wide, ew.select(away, step, ew.negate(step)))
    return ew.convert(moved, dtype=dtype)


next_after = OpDef(
    "next_after", "The next number of the dtype after x towards y.", _next_after, dtypes="f",
    dialect="chlo", expand=_expand_next_after, jvp=(lambda t, out, x, y: t, None))

# -- classification --------------------------------------------------------------------------------


def _classifies(name: str, doc: str, numpy: Callable[..., Any], expand: Callable[..., Any]
                ) -> OpDef:
    return OpDef(name, doc, numpy, dtypes="f", dtype=lambda types, attrs: dt.bool_, jvp=(None,),
                 dialect="chlo", expand=expand)


def _equals(x: Any, infinity: float) -> Any:
    if not holds_infinity(type_of(x).dtype):
        return full(type_of(x).shape, False, dt.bool_)
    return _is("EQ", x, full_like(x, infinity))


is_inf = _classifies(
    "is_inf", "Whether x is inf or -inf.", np.isinf, lambda x: _equals(ew.abs(x), math.inf))
is_pos_inf = _classifies(
    "is_pos_inf", "Whether x is inf.", lambda x: np.isinf(x) & (x > 0),
    lambda x: _equals(x, math.inf))
is_neg_inf = _classifies(
    "is_neg_inf", "Whether x is -inf.", lambda x: np.isinf(x) & (x < 0),
    lambda x: _equals(x, -math.inf))

# -- arithmetic ------------------------------------------------------------------------------------


def _expand_conj(x: Any) -> Any:
    if not dt.is_complex(type_of(x).dtype):
        return x
    return ew.complex_(ew.real(x), ew.negate(ew.imag(x)))


def _square(x: Any) -> Any:
    """Of complex numbers, the real part by factors, which neither overflow nor cancel early."""
    if not dt.is_complex(x.dtype):
        return np.multiply(x, x)
    a, b = x.real, x.imag
    equal = (np.abs(a) == np.abs(b)) & np.isfinite(a)
    real = np.where(equal, a.dtype.type(0), (a - b) * (a + b))
    return complexes.of_parts(real, a * b * 2)


def _expand_square(x: Any) -> Any:
    if not dt.is_complex(type_of(x).dtype):
        return ew.multiply(x, x)
    a, b = ew.real(x), ew.imag(x)
    factors = ew.multiply(ew.subtract(a, b), ew.add(a, b))
    equal = ew.and_(_is("EQ", ew.abs(a), ew.abs(b)), ew.is_finite(a))
    real = ew.select(equal, full_like(a, 0), factors)
    return ew.complex_(real, ew.multiply(ew.multiply(a, b), full_like(a, 2)))


def _expand_mulhi(x: Any, y: Any) -> Any:
    """In twice the width, where there is one; else by halves, as on paper."""
    type = type_of(x)
    width, signed = dt.bits(type.dtype), dt.is_signed(type.dtype)
    if width < 64:
        wide = np.dtype(f"{'int' if signed else 'uint'}{2 * max(width, 8)}")
        product = ew.multiply(*[ew.convert(v, dtype=wide) for v in (x, y)])
        upper = ew.shift_right_logical(product, full_like(product, width))
        return ew.convert(upper, dtype=type.dtype)
    if not signed:
        return _mulhi_by_halves(x, y)
    high = _mulhi_by_halves(*[ew.bitcast_convert(v, dtype=dt.uint64) for v in (x, y)])
    high, zero = ew.bitcast_convert(high, dtype=dt.int64), full_like(x, 0)
    high = ew.subtract(high, ew.select(_is("LT", x, zero), y, zero))
    return ew.subtract(high, ew.select(_is("LT", y, zero), x, zero))


def _mulhi_by_halves(x: Any, y: Any) -> Any:
    def upper(v: Any) -> Any:
        return ew.shift_right_logical(v, full_like(v, 32))
    def lower(v: Any) -> Any:
        return ew.and_(v, full_like(v, 2**32 - 1))
    x1, x0, y1, y0 = upper(x), lower(x), upper(y), lower(y)
    middle = ew.add(ew.multiply(x1, y0), upper(ew.multiply(x0, y0)))
    rest = ew.add(ew.multiply(x0, y1), lower(middle))
    return ew.add(ew.multiply(x1, y1), ew.add(upper(middle), upper(rest)))


conj: OpDef = OpDef(
    "conj", "The complex conjugate; x itself if it is real.", np.conj, dtypes="fc",
    dialect="chlo", expand=_expand_conj, jvp=(lambda t, out, x: conj(t),),
    transpose=(lambda ct, x: conj(ct),))
square = OpDef(
    "square", "x * x.", _square, dtypes="fc", dialect="chlo", expand=_expand_square,
    jvp=(lambda t, out, x: ew.multiply(t, ew.add(x, x)),))
mulhi = OpDef(
    "mulhi", "The upper half of the bits of x * y, which has twice as many.",
    numeric.multiply_high, dtypes="iu", dialect="chlo", expand=_expand_mulhi, jvp=(None, None))

# -- zeta and polygamma ----------------------------------------------------------------------------


def _in_double(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of double precision, its results rounded once."""
    return lambda *xs: function(*[x.astype(np.float64) for x in xs]).astype(xs[0].dtype)


def _zeta_by_s(t: Any, out: Any, s: Any, q: Any) -> Any:
    """The derivative by s of the Euler-Maclaurin sum, for q > 0, term by term."""
    def const(value: float) -> Any:
        return full_like(s, value)
    def term(base: Any) -> tuple[Any, Any]:
        return ew.log(base), ew.power(base, ew.negate(s))
    total = const(0)
    for k in range(special.TERMS):
        logarithm, power = term(ew.add(q, const(k)))
        total = ew.subtract(total, ew.multiply(logarithm, power))
    end = ew.add(q, const(special.TERMS))
    logarithm, power = term(end)
    less = ew.subtract(s, const(1))
    tail = ew.divide(ew.multiply(end, power), less)
    total = ew.subtract(total, ew.multiply(tail, ew.add(logarithm, ew.divide(const(1), less))))
    total = ew.subtract(total, ew.multiply(const(0.5), ew.multiply(logarithm, power)))
    # A product of s, s + 1, ... over powers of the end, and its derivative by s, grow together.
    rising = ew.multiply(s, ew.divide(power, end))
    slope = ew.multiply(ew.divide(power, end), ew.subtract(const(1), ew.multiply(s, logarithm)))
    square_of_end = ew.multiply(end, end)
    for k, coefficient in enumerate(special.EULER_MACLAURIN, 1):
        total = ew.add(total, ew.multiply(const(coefficient), slope))
        first, second = ew.add(s, const(2 * k - 1)), ew.add(s, const(2 * k))
        factor, change = ew.multiply(first, second), ew.add(first, second)
        slope = ew.add(ew.multiply(slope, factor), ew.multiply(rising, change))
        slope, rising = (ew.divide(v, square_of_end)
                         for v in (slope, ew.multiply(rising, factor)))
    return ew.multiply(t, total)


def _zeta_by_q(t: Any, out: Any, s: Any, q: Any) -> Any:
    return ew.negate(ew.multiply(t, ew.multiply(s, zeta(ew.add(s, full_like(s, 1)), q))))


zeta: OpDef = OpDef(
    "zeta", "The Hurwitz zeta function of s > 1: the sum of (q + k) ** -s for k = 0, 1, 2, ...; "
    "inf where s is 1 or a term is infinite, nan for s < 1.",
    _in_double(special.zeta), dtypes="f", dialect="chlo", expensive=True, domain=(1.3, 5.0),
    tolerance=1e-5, jvp=(_zeta_by_s, _zeta_by_q))
polygamma: OpDef = OpDef(
    "polygamma", "The n-th derivative of digamma at x; nan unless n is one of 0, 1, 2, ...",
    _in_double(special.polygamma), dtypes="f", dialect="chlo", expensive=True, domain=(0.5, 6.0),
    tolerance=1e-5,
    jvp=(None, lambda t, out, n, x: ew.multiply(t, polygamma(ew.add(n, full_like(n, 1)), x))))

# -- modified Bessel functions ---------------------------------------------------------------------


def _scaled(x: Any, factor: float) -> Any:
    return ew.multiply(x, full_like(x, factor))


def _sum(parts: list[Any]) -> Any:
    total = parts[0]
    for part in parts[1:]:
        total = ew.add(total, part)
    return total


def _large(a: Any, order: int) -> Any:
    """The asymptotic series in 1 / a, by Horner's rule."""
    inverse, series = ew.divide(full_like(a, 1), a), full_like(a, 0)
    for coefficient in reversed(special.asymptotic(order)):
        series = ew.add(ew.multiply(series, inverse), full_like(a, coefficient))
    return ew.divide(series, _scaled(ew.sqrt(a), math.sqrt(2 * math.pi)))


def _bessel(x: Any, order: int, part: Callable[[Any, float], Any]) -> Any:
    """Half types in float32; below `LARGE` the integral of `part` at each cosine."""
    dtype = type_of(x).dtype
    a = ew.abs(ew.convert(x, dtype=dt.float32) if dt.bits(dtype) < 32 else x)
    small = _scaled(_sum([part(a, c) for c in special.COSINES]), 1 / special.NODES)
    found = ew.select(_is("LT", a, full_like(a, special.LARGE)), small, _large(a, order))
    return found if type_of(found).dtype == dtype else ew.convert(found, dtype=dtype)


def _expand_i0e(x: Any) -> Any:
    return _bessel(x, 0, lambda a, c: ew.add(ew.exponential(_scaled(a, c - 1)),
                                             ew.exponential(_scaled(a, -1 - c))))


def _expand_i1e(x: Any) -> Any:
    found = _bessel(x, 1, lambda a, c: ew.multiply(
        _scaled(ew.exponential(_scaled(a, c - 1)), -c), ew.exponential_minus_one(
            _scaled(a, -2 * c))))
    return ew.multiply(found, ew.sign(x))  # which -0 has as well


def _i1e_tangent(t: Any, out: Any, x: Any) -> Any:
    """i0e - i1e (sign x + 1 / x), where i1e / x is a half at 0."""
    at_zero = _is("EQ", x, full_like(x, 0))
    ratio = ew.divide(out, ew.select(at_zero, full_like(x, 1), x))
    ratio = ew.select(at_zero, full_like(x, 0.5), ratio)
    falls = ew.multiply(ew.sign(x), out)
    return ew.multiply(t, ew.subtract(bessel_i0e(x), ew.add(falls, ratio)))


bessel_i0e = OpDef(
    "bessel_i0e", "exp(-|x|) times the modified Bessel function of order 0.",
    _in_double(special.bessel_i0e), dtypes="f", dialect="arraylib", expensive=True,
    expand=_expand_i0e, tolerance=5e-6, domain=(-8.0, 8.0),
    jvp=(lambda t, out, x: ew.multiply(t, ew.subtract(
        bessel_i1e(x), ew.multiply(ew.sign(x), out))),))
bessel_i1e: OpDef = OpDef(
    "bessel_i1e", "exp(-|x|) times the modified Bessel function of order 1.",
    _in_double(special.bessel_i1e), dtypes="f", dialect="chlo", expensive=True,
    expand=_expand_i1e, tolerance=5e-6, domain=(-8.0, 8.0), jvp=(_i1e_tangent,))
