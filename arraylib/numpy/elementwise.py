"""Functions of NumPy that work element by element: promotion, then one or a few operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, DtypeError, mistake
from arraylib.hlo.ir import is_weak, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.elementwise_extra import next_after
from arraylib.numpy.complex_order import chosen, ordered
from arraylib.numpy.log_sums import log_of_complex_sum, log_of_sum
from arraylib.numpy.programs import one_program, runs_programs
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    beside,
    binary,
    broadcast_all,
    check_kind,
    common_dtype,
    convert,
    converted,
    inexact,
    like as like,
    literal,
    operand,
    own_type,
    promote,
    promote_inexact,
    refuse_out,
    splat,
)
from arraylib.numpy.tables import Unary, composed, float_unary, named, of_two, unary, whole_unary

# -- arithmetic ------------------------------------------------------------------------------------


def _on_numbers(integer: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
    """The first of two meanings for integers, the second for floats."""
    return lambda x, y: (real if dt.is_inexact(type_of(x).dtype) else integer)(x, y)


def _number(dtype: dt.Dtype) -> dt.Dtype:
    """Truth values count as integers."""
    return dt.default_int() if dt.is_bool(dtype) else dtype


add = of_two("add", ew.add, "x1 + x2, element by element; for truth values, either.")
subtract = of_two("subtract", ew.subtract, "x1 - x2, element by element.", kinds="iufc")
multiply = of_two("multiply", ew.multiply, "x1 * x2, element by element; for truth values, both.")
divide = true_divide = of_two(
    "divide", ew.divide, "x1 / x2, element by element; of integers it is a float.", inexact)
maximum = of_two("maximum", ew.maximum, "The larger of x1 and x2; nan if either is.",
                 kinds="biuf", of_complex=chosen("GT"))
minimum = of_two("minimum", ew.minimum, "The smaller of x1 and x2; nan if either is.",
                 kinds="biuf", of_complex=chosen("LT"))
negative = unary("negative", ew.negate, "-x.", "iufc")
positive = unary("positive", literal, "x itself.", "iufc")
absolute = abs = unary("abs", lambda x: literal(x) if dt.kind(type_of(x).dtype) in "bu"
                        else ew.abs(x), "The absolute value; the modulus of a complex number.")
fabs = float_unary("fabs", ew.abs, "The absolute value, as a float.", "f")
sign = unary("sign", lambda x: ew.minimum(x, like(x, 1)) if dt.is_unsigned(type_of(x).dtype)
              else ew.sign(x), "-1, 0 or 1 by the sign of x; nan for nan.", "iufc")
square = unary("square", lambda x: ew.multiply(x, x), "x * x.")
reciprocal = float_unary("reciprocal", lambda x: ew.divide(like(x, 1), x), "1 / x.")


def _floor_integers(x: Array, y: Array) -> Array:
    quotient = ew.divide(x, y)
    if dt.is_unsigned(type_of(x).dtype):
        return quotient
    below = _is_below(ew.remainder(x, y), x, y)
    return ew.select(below, ew.subtract(quotient, like(x, 1)), quotient)


def _floor_floats(x: Array, y: Array) -> Array:
    """(x - remainder) / y is whole but for rounding; by 0, and with infinities, it is x / y."""
    rest = ew.remainder(x, y)
    whole = ew.round_nearest_even(ew.divide(ew.subtract(x, rest), y))
    floor_ = ew.select(_is_below(rest, x, y), ew.subtract(whole, like(x, 1)), whole)
    quotient = ew.round_nearest_even(ew.divide(x, y))  # infinite, nan or 0, where it is the result
    if _has_signed_zero(x):
        zero = ew.select(_sign_bit(quotient), like(x, -0.0), like(x, 0.0))
        floor_ = ew.select(ew.compare(floor_, like(x, 0), direction="EQ"), zero, floor_)
    plain = ew.compare(y, like(y, 0), direction="EQ")
    if dt.has_infinity(type_of(x).dtype):
        for operand_ in (x, y):
            endless = ew.compare(ew.abs(operand_), like(x, math.inf), direction="EQ")
            plain = ew.or_(plain, endless)
    return ew.select(plain, quotient, floor_)


def _has_signed_zero(x: Array) -> bool:
    """Whether x is of floats to compute with: the formats for storage may have no zero."""
    return dt.is_float(type_of(x).dtype) and type_of(x).dtype not in dt.STORAGE


def _is_below(rest: Array, x: Array, y: Array) -> Array:
    """Whether x / y is negative and not whole, for its remainder `rest`."""
    zero = like(x, 0)
    apart = ew.compare(ew.compare(x, zero, direction="LT"), ew.compare(y, zero, direction="LT"),
                       direction="NE")
    return ew.and_(apart, ew.compare(rest, zero, direction="NE"))


def _remainder(x: Array, y: Array) -> Array:
    """The remainder with the sign of x; of integers 0 where y is 0."""
    rest = ew.remainder(x, y)
    if dt.is_float(type_of(x).dtype):
        return rest
    zero = like(x, 0)
    return ew.select(ew.compare(y, zero, direction="EQ"), zero, rest)


def _modulo(x: Array, y: Array) -> Array:
    """The remainder with the sign of y."""
    rest = _remainder(x, y)
    if dt.is_unsigned(type_of(x).dtype):
        return rest
    rest = ew.select(_is_below(rest, rest, y), ew.add(rest, y), rest)
    if not _has_signed_zero(x):
        return rest
    # adding 0 makes a zero positive and changes nothing else, its derivative included
    negative = ew.compare(y, like(y, 0), direction="LT")
    size = ew.add(ew.select(negative, ew.negate(rest), rest), like(x, 0))
    return ew.select(negative, ew.negate(size), size)


floor_divide = composed(
    "floor_divide", _on_numbers(_floor_integers, _floor_floats),
    "x1 / x2 rounded down, as Python's //; of infinities x1 / x2.", _number, "biuf")
mod = remainder = composed(
    "mod", _modulo, "The remainder of x1 / x2 with the sign of x2, as Python's %.", _number, "biuf")
fmod = composed("fmod", _remainder, "The remainder of x1 / x2 with the sign of x1, as C's fmod.",
                 _number, "biuf")


@one_program(2)
def divmod(x1: ArrayLike, x2: ArrayLike, /) -> tuple[Array, Array]:
    """(x1 // x2, x1 % x2).

    >>> jnp.divmod(jnp.array([7, -7]), 3)
    (Array([ 2, -3], dtype=int32), Array([1, 2], dtype=int32))
    """
    return floor_divide(x1, x2), mod(x1, x2)


def power(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """x1 to the x2. A whole Python exponent is repeated multiplication, exact in its derivative.

        jnp.power(x, 3)     # x * x * x

    Raises ArgumentError for an integer array to a negative Python integer.

    >>> jnp.power(jnp.array([1, 2, 3]), 2)
    Array([1, 4, 9], dtype=int32)
    """
    whole = _whole_exponent(x2)
    if whole is None or type(x1) in (int, float, bool, complex):
        if not runs_programs():
            return binary("power", ew.power, x1, x2, _number)
        if _decides(x2, x1):
            return _power_to(x2, splat(x1, type_of(x2).dtype, ()))
        return _power(x1, splat(x2, type_of(x1).dtype, ()) if _decides(x1, x2) else x2)
    return literal(_integer_power(promote("power", x1, x2)[0], whole))


pow = power
_power = composed("power", ew.power, "x1 to the x2, arrays both.", _number)
_power_to = composed("power", lambda x2, x1: ew.power(x1, x2), "The same, the other way.", _number)


def _decides(x: Any, number: Any) -> bool:
    """Whether x is an array of floats in whose dtype a Python float becomes an operand."""
    own = own_type(x) if type(number) is float else None
    return own is not None and dt.is_float(own.dtype) and not is_weak(x)


def _whole_exponent(n: Any) -> int | None:
    if type(n) is int:
        return n
    return int(n) if type(n) is float and n.is_integer() and -64 <= n <= 64 else None


def _integer_power(x: Array, n: int) -> Array:
    if n < 0 and not dt.is_inexact(type_of(x).dtype):
        raise mistake(ArgumentError, "power", f"an integer to the power {n} is a fraction",
                      operands=[type_of(x)], hint="convert with x.astype(float)")
    if n < 0:
        return ew.divide(like(x, 1), _integer_power(x, -n))
    if n == 0:
        return like(x, 1)
    result = None
    while n:
        if n & 1:
            result = x if result is None else ew.multiply(result, x)
        n >>= 1
        if n:
            x = ew.multiply(x, x)
    return result  # type: ignore[return-value]


float_power = of_two("float_power", ew.power, "x1 to the x2, as a float.", inexact)

# -- exponentials, logarithms, roots ---------------------------------------------------------------

exp = float_unary("exp", ew.exponential, "e to the x.")
exp2 = float_unary("exp2", lambda x: ew.power(like(x, 2), x), "2 to the x.")
expm1 = float_unary("expm1", ew.exponential_minus_one, "e to the x, minus 1, exact near 0.")
log = float_unary("log", ew.log, "The natural logarithm.")
log2 = float_unary("log2", lambda x: ew.divide(ew.log(x), like(x, math.log(2))),
                    "The logarithm to base 2.")
log10 = float_unary("log10", lambda x: ew.divide(ew.log(x), like(x, math.log(10))),
                     "The logarithm to base 10.")
log1p = float_unary("log1p", ew.log_plus_one, "log(1 + x), exact near 0.")
sqrt = float_unary("sqrt", ew.sqrt, "The square root.")
cbrt = float_unary("cbrt", ew.cbrt, "The real cube root.", "f")


logaddexp = composed("logaddexp", partial(log_of_sum, ew.exponential, 1),
                     "log(exp(x1) + exp(x2)) without overflow.", inexact, "biuf",
                     partial(log_of_complex_sum, ew.exponential, 1))
logaddexp2 = composed("logaddexp2", partial(log_of_sum, exp2, math.log(2)),
                      "log2(2**x1 + 2**x2) without overflow.", inexact, "biuf",
                      partial(log_of_complex_sum, exp2, math.log(2)))

# -- trigonometric and hyperbolic ------------------------------------------------------------------

sin = float_unary("sin", ew.sine, "The sine of x radians.")
cos = float_unary("cos", ew.cosine, "The cosine of x radians.")
tan = float_unary("tan", ew.tan, "The tangent of x radians.")
arcsin = asin = float_unary("arcsin", ew.asin, "The arc sine, in radians.")
arccos = acos = float_unary("arccos", ew.acos, "The arc cosine, in radians.")
arctan = atan = float_unary("arctan", ew.atan, "The arc tangent, in radians.")
sinh = float_unary("sinh", ew.sinh, "The hyperbolic sine.")
cosh = float_unary("cosh", ew.cosh, "The hyperbolic cosine.")
tanh = float_unary("tanh", ew.tanh, "The hyperbolic tangent.")
arcsinh = asinh = float_unary("arcsinh", ew.asinh, "The inverse hyperbolic sine.")
arccosh = acosh = float_unary("arccosh", ew.acosh, "The inverse hyperbolic cosine.")
arctanh = atanh = float_unary("arctanh", ew.atanh, "The inverse hyperbolic tangent.")
arctan2 = atan2 = of_two(
    "arctan2", ew.atan2, "The angle of the point (x2, x1), in radians from -pi to pi.", inexact)
deg2rad = radians = float_unary(
    "deg2rad", lambda x: ew.multiply(x, like(x, math.pi / 180)), "Degrees as radians.", "f")
rad2deg = degrees = float_unary(
    "rad2deg", lambda x: ew.multiply(x, like(x, 180 / math.pi)), "Radians as degrees.", "f")


def _hypot(x: Array, y: Array) -> Array:
    """The larger side times sqrt(1 + ratio^2), which does not overflow.

    The sides keep their signs, so that derivatives of every order are right where one is 0.
    """
    first = ew.compare(ew.abs(x), ew.abs(y), direction="GE")
    large, small = ew.select(first, x, y), ew.select(first, y, x)
    zero = ew.compare(large, like(x, 0), direction="EQ")
    ratio = ew.divide(small, ew.select(zero, like(x, 1), large))
    length = ew.multiply(ew.abs(large), ew.sqrt(ew.add(like(x, 1), ew.multiply(ratio, ratio))))
    infinity = like(x, math.inf)
    infinite = ew.or_(ew.compare(ew.abs(x), infinity, direction="EQ"),
                      ew.compare(ew.abs(y), infinity, direction="EQ"))
    return ew.select(infinite, infinity, length)


hypot = composed("hypot", _hypot, "sqrt(x1**2 + x2**2) without overflow.", inexact, "biuf")


# -- rounding --------------------------------------------------------------------------------------

floor = whole_unary("floor", ew.floor, "The largest whole number not above x.")
ceil = whole_unary("ceil", ew.ceil, "The smallest whole number not below x.")
rint = float_unary("rint", lambda x: round(x), "The nearest whole number, ties to even.")
trunc = fix = whole_unary(
    "trunc", lambda x: ew.select(ew.compare(x, like(x, 0), direction="LT"), ew.ceil(x),
                                 ew.floor(x)), "x without its fraction: rounded towards 0.")


def round(a: ArrayLike, decimals: int = 0, out: None = None) -> Array:
    """`a` rounded to a number of decimals, ties to even.

    >>> jnp.round(jnp.array([1.234, 5.678]), 1)
    Array([1.2, 5.7], dtype=float32)
    """
    refuse_out("round", out)
    a = operand("round", a)
    dtype = type_of(a).dtype
    if dt.is_complex(dtype):
        return ew.complex_(round(ew.real(a), decimals), round(ew.imag(a), decimals))
    if not dt.is_float(dtype):
        if decimals >= 0:
            return literal(a)
        raise mistake(DtypeError, "round", f"{decimals} decimals of integers",
                      operands=[type_of(a)], hint="convert with x.astype(float)")
    if decimals == 0:
        return ew.round_nearest_even(a)
    wide = convert(a, dt.float32) if dt.bits(dtype) < 32 else a
    if math.fabs(decimals) > math.log10(dt.finfo(type_of(wide).dtype).max):  # 10^decimals: infinite
        rounded = a if decimals > 0 else ew.select(ew.is_finite(a), ew.multiply(a, like(a, 0)), a)
        return literal(rounded)
    scale = like(wide, 10.0 ** decimals)
    scaled = ew.divide(ew.round_nearest_even(ew.multiply(wide, scale)), scale)
    return convert(scaled, dtype)


around = round

# -- comparison and logic --------------------------------------------------------------------------


def _comparison(name: str, direction: str, doc: str, kinds: str = "") -> Unary:
    return of_two(name, partial(ew.compare, direction=direction), doc, kinds=kinds,
                  of_complex=ordered(direction) if kinds else None)


equal = _comparison("equal", "EQ", "Whether x1 == x2, element by element.")
not_equal = _comparison("not_equal", "NE", "Whether x1 != x2, element by element.")
less = _comparison("less", "LT", "Whether x1 < x2, element by element.", "biuf")
less_equal = _comparison("less_equal", "LE", "Whether x1 <= x2, element by element.", "biuf")
greater = _comparison("greater", "GT", "Whether x1 > x2, element by element.", "biuf")
greater_equal = _comparison("greater_equal", "GE", "Whether x1 >= x2, element by element.", "biuf")


def truth(x: Array) -> Array:
    """Whether each element differs from 0."""
    return x if dt.is_bool(type_of(x).dtype) else ew.compare(x, like(x, 0), direction="NE")


def _logical(name: str, emit: Callable[[Any, Any], Any], doc: str) -> Unary:
    def function(x1: ArrayLike, x2: ArrayLike, /) -> Array:
        xs = [truth(operand(name, x)) for x in (x1, x2)]
        return emit(*broadcast_all(name, xs))
    return named(function, name, doc)


logical_and = _logical("logical_and", ew.and_, "Whether both differ from 0.")
logical_or = _logical("logical_or", ew.or_, "Whether either differs from 0.")
logical_xor = _logical("logical_xor", ew.xor, "Whether exactly one differs from 0.")
logical_not = unary("logical_not", lambda x: ew.not_(truth(x)), "Whether x is 0.")
bitwise_and = of_two("bitwise_and", ew.and_, "The bits set in both.", kinds="biu")
bitwise_or = of_two("bitwise_or", ew.or_, "The bits set in either.", kinds="biu")
bitwise_xor = of_two("bitwise_xor", ew.xor, "The bits set in exactly one.", kinds="biu")
invert = bitwise_not = bitwise_invert = unary("invert", ew.not_, "The bits turned round.", "biu")
left_shift = bitwise_left_shift = of_two(
    "left_shift", ew.shift_left, "x1 with its bits moved up by x2.", _number, "biu")


def _shift_right(x: Array, n: Array) -> Array:
    signed = dt.is_signed(type_of(x).dtype)
    return (ew.shift_right_arithmetic if signed else ew.shift_right_logical)(x, n)


right_shift = bitwise_right_shift = of_two(
    "right_shift", _shift_right, "x1 with its bits moved down by x2, keeping the sign.", _number,
    "biu")
bitwise_count = unary(
    "bitwise_count", lambda x: convert(
        x if dt.is_bool(type_of(x).dtype) else
        ew.popcnt(ew.abs(x) if dt.is_signed(type_of(x).dtype) else x), dt.uint8),
    "How many bits of |x| are set.", "biu")

# -- classification --------------------------------------------------------------------------------


def _parts(function: Callable[[Array], Array], join: Callable[[Array, Array], Array],
           exact: bool) -> Callable[[Array], Array]:
    """A test of floats as one of any array: `exact` is its answer for integers."""
    def test(x: Array) -> Array:
        type = type_of(x)
        if dt.is_complex(type.dtype):
            return join(function(ew.real(x)), function(ew.imag(x)))
        return function(x) if dt.is_float(type.dtype) else splat(exact, dt.bool_, type.shape)
    return test


isnan = unary("isnan", _parts(lambda x: ew.compare(x, x, direction="NE"), ew.or_, False),
               "Whether x is nan.")
isfinite = unary("isfinite", _parts(ew.is_finite, ew.and_, True), "Whether x is no inf or nan.")
isinf = unary("isinf", _parts(
    lambda x: ew.compare(ew.abs(x), like(x, math.inf), direction="EQ"), ew.or_, False),
    "Whether x is inf or -inf.")
isposinf = unary("isposinf", _parts(
    lambda x: ew.compare(x, like(x, math.inf), direction="EQ"), ew.or_, False),
    "Whether x is inf.", "biuf")
isneginf = unary("isneginf", _parts(
    lambda x: ew.compare(x, like(x, -math.inf), direction="EQ"), ew.or_, False),
    "Whether x is -inf.", "biuf")


def _sign_bit(x: Array) -> Array:
    """The top bit, which also says the sign of -0 and of nan."""
    dtype = type_of(x).dtype
    bits = ew.bitcast_convert(x, dtype=np.dtype(f"int{dt.bits(dtype)}"))
    return ew.compare(bits, like(bits, 0), direction="LT")


signbit = float_unary("signbit", _sign_bit, "Whether the sign bit is set: also of -0.", "f")


def _copysign(x: Array, y: Array) -> Array:
    same = ew.compare(_sign_bit(x), _sign_bit(y), direction="EQ")
    signed = ew.select(same, x, ew.negate(x))
    # The signs alone are of y, which decides about the dtype nevertheless.
    return signed if is_weak(y) else ew.strong(signed)


copysign = composed("copysign", _copysign, "x1 with the sign of x2.", inexact, "biuf")


@one_program(2)
def nextafter(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """The next number of the dtype after x1 in the direction of x2.

    >>> jnp.nextafter(jnp.float32(1), 2) > 1
    Array(True, dtype=bool)
    """
    return binary("nextafter", next_after, x1, x2, inexact, "biuf")


@one_program()
def nan_to_num(x: ArrayLike, copy: bool = True, nan: ArrayLike = 0.0,
               posinf: ArrayLike | None = None, neginf: ArrayLike | None = None) -> Array:
    """x with nan, inf and -inf replaced; the infinities by the largest finite numbers.

    >>> jnp.nan_to_num(jnp.array([1.0, jnp.nan, jnp.inf]), posinf=9.0)
    Array([1., 0., 9.], dtype=float32)
    """
    x = operand("nan_to_num", x)
    dtype = type_of(x).dtype
    if dt.is_complex(dtype):
        return ew.complex_(nan_to_num(ew.real(x), copy, nan, posinf, neginf),
                           nan_to_num(ew.imag(x), copy, nan, posinf, neginf))
    if not dt.is_float(dtype):
        return literal(x)
    limits = dt.finfo(dtype)
    def replace(test: Callable[..., Array], value: ArrayLike, x: Array) -> Array:
        return ew.select(*broadcast_all("nan_to_num", [
            test(x), converted("nan_to_num", value, dtype), x]))
    x = replace(isnan, nan, x)
    x = replace(isposinf, float(limits.max) if posinf is None else posinf, x)
    return replace(isneginf, float(limits.min) if neginf is None else neginf, x)


def _but_nan(emit: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """`emit`, but the other operand where one is nan."""
    return lambda x, y: ew.select(isnan(x), y, ew.select(isnan(y), x, emit(x, y)))


fmax = of_two("fmax", _but_nan(ew.maximum), "The larger of x1 and x2; the other if one is nan.",
               kinds="biuf", of_complex=_but_nan(chosen("GT")))
fmin = of_two("fmin", _but_nan(ew.minimum), "The smaller of x1 and x2; the other if one is nan.",
               kinds="biuf", of_complex=_but_nan(chosen("LT")))
heaviside = composed(
    "heaviside", lambda x, y: ew.select(
        isnan(x), x, ew.select(ew.compare(x, like(x, 0), direction="EQ"), y, ew.select(
            ew.compare(x, like(x, 0), direction="GT"), like(x, 1), like(x, 0)))),
    "0 where x1 < 0, x2 where x1 == 0, 1 where x1 > 0.", inexact, "biuf")


def modf(x: ArrayLike, /) -> tuple[Array, Array]:
    """The fraction and the whole part of x, both with its sign.

    >>> jnp.modf(jnp.array([1.5, -2.25]))
    (Array([ 0.5 , -0.25], dtype=float32), Array([ 1., -2.], dtype=float32))
    """
    (x,) = promote_inexact("modf", x)
    whole = trunc(x)
    infinite = ew.compare(ew.abs(x), like(x, math.inf), direction="EQ")
    rest = ew.select(infinite, like(x, 0), ew.subtract(x, whole))
    return copysign(rest, x), whole


def ldexp(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """x1 * 2**x2 for integers x2.

    >>> jnp.ldexp(jnp.array([0.5, 1.5]), 3)
    Array([ 4., 12.], dtype=float32)
    """
    x, n = promote_inexact("ldexp", x1)[0], operand("ldexp", x2)
    check_kind("ldexp", type_of(n).dtype, "iu", x2)
    n = convert(n, dt.int32) if dt.bits(type_of(n).dtype) < 32 else n
    # Four steps, of which none overflows on the way to a result that does not.
    most = 4 * (int(dt.finfo(type_of(x).dtype).maxexp) - 4)
    least = 0 if dt.is_unsigned(type_of(n).dtype) else -most
    n = convert(ew.clamp(like(n, least), n, like(n, most)), dt.int32)
    quarter = ew.shift_right_arithmetic(n, like(n, 2))
    rest = ew.subtract(n, ew.multiply(quarter, like(n, 3)))
    for part in (quarter, quarter, quarter, rest):
        x = multiply(x, exp2(convert(part, type_of(x).dtype)))
    return x


# -- complex numbers -------------------------------------------------------------------------------


def _complex_only(emit: Unary, otherwise: Unary) -> Unary:
    return lambda x: (emit if dt.is_complex(type_of(x).dtype) else otherwise)(x)


real = unary("real", _complex_only(ew.real, literal), "The real part.")
imag = unary("imag", _complex_only(ew.imag, lambda x: like(x, 0)), "The imaginary part.")
conjugate = conj = unary(
    "conjugate", _complex_only(lambda x: ew.complex_(ew.real(x), ew.negate(ew.imag(x))),
                               literal), "The complex conjugate.")


def angle(z: ArrayLike, deg: bool = False) -> Array:
    """The angle of a complex number, in radians or degrees; 0 or pi for real ones.

    >>> jnp.angle(jnp.array([1 + 1j]), deg=True)
    Array([45.], dtype=float32)
    """
    (z,) = promote_inexact("angle", z)
    found = ew.atan2(imag(z), real(z))
    return rad2deg(found) if deg else found


def iscomplex(x: ArrayLike, /) -> Array:
    """Whether the imaginary part is not 0.

    >>> jnp.iscomplex(jnp.array([1 + 0j, 1j]))
    Array([False,  True], dtype=bool)
    """
    return truth(imag(x))


def isreal(x: ArrayLike, /) -> Array:
    """Whether the imaginary part is 0.

    >>> jnp.isreal(jnp.array([1 + 0j, 1j]))
    Array([ True, False], dtype=bool)
    """
    return logical_not(imag(x))


def bitcast(x: Array, dtype: dt.Dtype) -> Array:
    """The bits of x read as another dtype of the same width."""
    own = type_of(x).dtype
    if dt.bits(own) != dt.bits(dtype) or "b" in (dt.kind(own), dt.kind(dtype)):
        raise mistake(DtypeError, "view", f"{dt.name(own)} has {dt.bits(own)} bits but "
                      f"{dt.name(dtype)} has {dt.bits(dtype)}", operands=[type_of(x)],
                      hint="a dtype of the same width that is not bool, or x.astype(...)")
    return literal(x) if own == dtype else ew.bitcast_convert(x, dtype=dtype)


# -- limits and closeness --------------------------------------------------------------------------


def clip(arr: ArrayLike, /, min: ArrayLike | None = None, max: ArrayLike | None = None) -> Array:
    """`arr` limited to lie between `min` and `max`, either of which may be missing.

    >>> jnp.clip(jnp.arange(5), 1, 3)
    Array([1, 1, 2, 3, 3], dtype=int32)
    """
    arr, min, max = beside("clip", arr, min, max)
    if min is not None:
        arr = binary("clip", ew.maximum, min, arr, kinds="biuf")
    if max is not None:
        arr = binary("clip", ew.minimum, max, arr, kinds="biuf")
    return literal(arr)


@one_program(2)
def isclose(a: ArrayLike, b: ArrayLike, rtol: ArrayLike = 1e-05, atol: ArrayLike = 1e-08,
            equal_nan: bool = False) -> Array:
    """Whether |a - b| <= atol + rtol * |b|, element by element; infinities must be equal.

    >>> jnp.isclose(jnp.array([1.0, 1.1]), 1.000001)
    Array([ True, False], dtype=bool)
    """
    a, b = broadcast_all("isclose", promote("isclose", a, b))
    if not dt.is_inexact(common_dtype("isclose", a, b)):
        a, b = (convert(x, dt.default_float()) for x in (a, b))
    near = less_equal(abs(subtract(a, b)), add(atol, multiply(rtol, abs(b))))
    finite = ew.and_(isfinite(a), isfinite(b))
    result = ew.or_(ew.and_(near, finite), equal(a, b))
    return ew.or_(result, ew.and_(isnan(a), isnan(b))) if equal_nan else result
