"""Operations that work element by element on operands of one shape."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, mistake
from arraylib.hlo.ir import Type, is_weak, type_of
from arraylib.hlo.opdef import SAME, Attrs, Example, OpDef
from arraylib.hlo.ops import complexes, extremes, numeric, special
from arraylib.hlo.ops.constant import full_like
from arraylib.hlo.ops.numeric import in_bytes, in_float32, scalarwise

REAL = "iuf"
NUMBER = "iufc"
LOGIC = "biu"
ANY = "biufc"

_VECTOR = Type(dt.float32, (3,))


def _const(x: Any, value: complex) -> Any:
    """`value` in the type of x."""
    return full_like(x, value)


# -- arithmetic ----------------------------------------------------------------------------------


def _power_x(t: Any, out: Any, x: Any, y: Any) -> Any:
    # y * x ** (y - 1), and 0 rather than nan where y is 0 and 1 / x is infinite. Elsewhere the
    # exponent is written with y in it, for derivatives in y of this one.
    zero = compare(y, _const(y, 0), direction="EQ")
    no_inverse = compare(x, _const(x, 0), direction="EQ")
    if dt.is_float(type_of(x).dtype):
        least = float(dt.finfo(type_of(x).dtype).smallest_normal)
        no_inverse = compare(abs(x), _const(x, least), direction="LT")
    exponent = select(and_(zero, no_inverse), _const(y, 1), subtract(y, _const(y, 1)))
    return multiply(t, multiply(y, power(x, exponent)))


def _power_y(t: Any, out: Any, x: Any, y: Any) -> Any:
    # out * log(x), and 0 rather than nan where x is 0 and out is 0 as well
    zero = _const(x, 0)
    safe = select(compare(x, zero, direction="EQ"), _const(x, 1), x)
    return multiply(t, multiply(out, log(safe)))


negate: OpDef = OpDef(
    "negate", "-x.", in_bytes(np.negative), dtypes=NUMBER, jvp=(SAME,),
    transpose=(lambda ct, x: negate(ct),))
add = OpDef(
    "add", "x + y; for truth values, x or y.", np.add, dtypes=ANY,
    jvp=(lambda t, out, x, y: t, lambda t, out, x, y: t),
    transpose=(lambda ct, x, y: ct, lambda ct, x, y: ct))
subtract = OpDef(
    "subtract", "x - y.", np.subtract, dtypes=NUMBER,
    jvp=(lambda t, out, x, y: t, lambda t, out, x, y: negate(t)),
    transpose=(lambda ct, x, y: ct, lambda ct, x, y: negate(ct)))
multiply: OpDef = OpDef(
    "multiply", "x * y; for truth values, x and y.", np.multiply, dtypes=ANY, jvp=(SAME, SAME),
    transpose=(lambda ct, x, y: multiply(ct, y), lambda ct, x, y: multiply(x, ct)))
divide: OpDef = OpDef(
    "divide", "x / y; integers round towards zero.", in_bytes(numeric.divide), dtypes=NUMBER,
    jvp=(SAME, lambda t, out, x, y: negate(divide(multiply(t, out), y))),
    transpose=(lambda ct, x, y: divide(ct, y), None), domain=(0.5, 3.0))
remainder = OpDef(
    "remainder", "The remainder of x / y with the sign of x.",
    in_bytes(numeric.remainder), dtypes=REAL,
    jvp=(lambda t, out, x, y: t,
         lambda t, out, x, y: negate(multiply(t, _toward_zero(divide(x, y))))),
    domain=(0.5, 3.0), tolerance=1e-5)
power = OpDef(
    "power", "x to the y.", in_float32(in_bytes(numeric.power)), dtypes=NUMBER,
    jvp=(_power_x, _power_y), domain=(0.3, 2.5), tolerance=2e-6, expensive=True)
maximum = OpDef(
    "maximum", "The larger of x and y; nan if one is; +0 of 0 and -0.",
    in_bytes(extremes.maximum), dtypes=ANY,
    jvp=(lambda t, out, x, y: _chosen(t, "GT", x, y), lambda t, out, x, y: _chosen(t, "LT", x, y)))
minimum = OpDef(
    "minimum", "The smaller of x and y; nan if one is; -0 of 0 and -0.",
    in_bytes(extremes.minimum), dtypes=ANY,
    jvp=(lambda t, out, x, y: _chosen(t, "LT", x, y), lambda t, out, x, y: _chosen(t, "GT", x, y)))
abs = OpDef(
    "abs", "The absolute value.", in_bytes(np.abs), dtypes="ifc",
    dtype=lambda types, attrs: dt.to_real(types[0].dtype),
    jvp=(lambda t, out, x: _abs_tangent(t, out, x),))
sign = OpDef("sign", "-1, 0 or 1 by the sign of x; x / |x| for complex x.",
             in_bytes(lambda x: _sign(x)), dtypes="ifc", jvp=(None,))


def _sign(x: Any) -> Any:
    return np.copysign(np.sign(x), x) if dt.is_float(x.dtype) else np.sign(x)


def _toward_zero(x: Any) -> Any:
    return select(compare(x, _const(x, 0), direction="LT"), ceil(x), floor(x))


def _chosen(t: Any, direction: str, x: Any, y: Any) -> Any:
    """The tangent where this operand was chosen; half of it where both are equal."""
    half, zero = multiply(t, _const(t, 0.5)), _const(t, 0)
    tie = select(compare(x, y, direction="EQ"), half, zero)
    return select(compare(x, y, direction=direction), t, tie)


def _abs_tangent(t: Any, out: Any, x: Any) -> Any:
    if not dt.is_complex(type_of(x).dtype):
        return multiply(t, sign(x))
    zero = compare(out, _const(out, 0), direction="EQ")
    safe = select(zero, _const(out, 1), out)
    dot = add(multiply(real(t), real(x)), multiply(imag(t), imag(x)))
    return divide(select(zero, _const(out, 0), dot), safe)


# -- exponentials and powers ----------------------------------------------------------------------

def _inverse(x: Any) -> Any:
    return complexes.divide(np.ones((), x.dtype), x)


exponential = OpDef(
    "exponential", "e to the x.", in_float32(complexes.exponential), expensive=True,
    jvp=(lambda t, out, x: multiply(t, out),))
exponential_minus_one = OpDef(
    "exponential_minus_one", "e to the x, minus 1, exact near 0.",
    in_float32(complexes.exponential_minus_one),
    jvp=(lambda t, out, x: multiply(t, add(out, _const(out, 1))),), expensive=True)
log = OpDef(
    "log", "The natural logarithm.", in_float32(np.log), domain=(0.1, 4.0), expensive=True,
    jvp=(lambda t, out, x: divide(t, x),))
log_plus_one = OpDef(
    "log_plus_one", "log(1 + x), exact near 0.", in_float32(complexes.log_plus_one),
    domain=(-0.8, 4.0), expensive=True,
    jvp=(lambda t, out, x: divide(t, add(x, _const(x, 1))),))
logistic = OpDef(
    "logistic", "1 / (1 + exp(-x)).", in_float32(lambda x: _inverse(1 + np.exp(-x))),
    expensive=True,
    jvp=(lambda t, out, x: multiply(t, multiply(out, subtract(_const(out, 1), out))),))
sqrt = OpDef(
    "sqrt", "The square root.", in_float32(np.sqrt), domain=(0.1, 4.0),
    jvp=(lambda t, out, x: divide(multiply(t, _const(out, 0.5)), out),))
rsqrt = OpDef(
    "rsqrt", "1 / sqrt(x).", in_float32(lambda x: _inverse(np.sqrt(x))),
    domain=(0.1, 4.0),
    jvp=(lambda t, out, x: multiply(t, multiply(_const(out, -0.5), divide(out, x))),))
cbrt = OpDef(
    "cbrt", "The real cube root, also of negative x; of complex x the principal one.",
    in_float32(complexes.cube_root),
    jvp=(lambda t, out, x: divide(t, multiply(_const(out, 3), multiply(out, out))),),
    domain=(0.2, 8.0), tolerance=2e-6, expensive=True)

# -- trigonometric and hyperbolic ------------------------------------------------------------------


def _one_minus_square(x: Any) -> Any:
    one = _const(x, 1)
    return multiply(subtract(one, x), add(one, x))


def _one_plus_square(x: Any) -> Any:
    return add(_const(x, 1), multiply(x, x))


sine = OpDef("sine", "The sine of x radians.", in_float32(np.sin), expensive=True,
             jvp=(lambda t, out, x: multiply(t, cosine(x)),))
cosine: OpDef = OpDef(
    "cosine", "The cosine of x radians.", in_float32(np.cos), expensive=True,
    jvp=(lambda t, out, x: negate(multiply(t, sine(x))),))
tan = OpDef("tan", "The tangent of x radians.", in_float32(np.tan), domain=(-1.2, 1.2),
            jvp=(lambda t, out, x: multiply(t, _one_plus_square(out)),), expensive=True,
            expand=lambda x: divide(sine(x), cosine(x)), tolerance=5e-6)
tanh = OpDef("tanh", "The hyperbolic tangent.", in_float32(np.tanh), expensive=True,
             jvp=(lambda t, out, x: multiply(t, _one_minus_square(out)),))
asin = OpDef("asin", "The arc sine, in radians.", in_float32(np.arcsin), dialect="chlo",
             domain=(-0.9, 0.9), expensive=True,
             jvp=(lambda t, out, x: multiply(t, rsqrt(_one_minus_square(x))),))
acos = OpDef("acos", "The arc cosine, in radians.", in_float32(np.arccos), dialect="chlo",
             domain=(-0.9, 0.9), expensive=True,
             jvp=(lambda t, out, x: negate(multiply(t, rsqrt(_one_minus_square(x)))),))
atan = OpDef("atan", "The arc tangent, in radians.", in_float32(np.arctan), dialect="chlo",
             jvp=(lambda t, out, x: divide(t, _one_plus_square(x)),), expensive=True)
atan2 = OpDef(
    "atan2", "The angle of the point (y, x) from the x axis, in radians.",
    in_float32(complexes.arctan2), domain=(0.3, 2.0), expensive=True, tolerance=2e-6,
    jvp=(lambda t, out, y, x: multiply(t, divide(x, add(multiply(x, x), multiply(y, y)))),
         lambda t, out, y, x: negate(multiply(t, divide(y, add(multiply(x, x), multiply(y, y)))))))
sinh = OpDef("sinh", "The hyperbolic sine.", in_float32(np.sinh), dialect="chlo", expensive=True,
             jvp=(lambda t, out, x: multiply(t, cosh(x)),), tolerance=5e-6)
cosh: OpDef = OpDef(
    "cosh", "The hyperbolic cosine.", in_float32(np.cosh), dialect="chlo", expensive=True,
    jvp=(lambda t, out, x: multiply(t, sinh(x)),), tolerance=5e-6)
asinh = OpDef("asinh", "The inverse hyperbolic sine.", in_float32(np.arcsinh), dialect="chlo",
              jvp=(lambda t, out, x: multiply(t, rsqrt(_one_plus_square(x))),), expensive=True,
              tolerance=5e-6)
acosh = OpDef(
    "acosh", "The inverse hyperbolic cosine.", in_float32(np.arccosh), dialect="chlo",
    jvp=(lambda t, out, x: multiply(t, rsqrt(negate(_one_minus_square(x)))),),
    domain=(1.2, 4.0), tolerance=5e-6, expensive=True)
atanh = OpDef("atanh", "The inverse hyperbolic tangent.", in_float32(np.arctanh), dialect="chlo",
              jvp=(lambda t, out, x: divide(t, _one_minus_square(x)),), domain=(-0.8, 0.8),
              tolerance=5e-6, expensive=True)

# -- special functions ----------------------------------------------------------------------------

def _gaussian(x: Any, factor: float) -> Any:
    return multiply(_const(x, factor), exponential(negate(multiply(x, x))))


erf = OpDef("erf", "The error function.", scalarwise(math.erf), dtypes="f", dialect="chlo",
            jvp=(lambda t, out, x: multiply(t, _gaussian(x, special.TWO_OVER_SQRT_PI)),),
            expensive=True)
erfc = OpDef("erfc", "1 - erf(x), exact for large x.", scalarwise(math.erfc), dtypes="f",
             jvp=(lambda t, out, x: multiply(t, _gaussian(x, -special.TWO_OVER_SQRT_PI)),),
             dialect="chlo", expensive=True, tolerance=5e-6)
erf_inv = OpDef(
    "erf_inv", "The inverse of the error function.", scalarwise(special.erf_inverse), dtypes="f",
    jvp=(lambda t, out, x: multiply(t, multiply(
        _const(out, 1 / special.TWO_OVER_SQRT_PI), exponential(multiply(out, out)))),),
    dialect="chlo", domain=(-0.95, 0.95), tolerance=5e-6, expensive=True)


lgamma = OpDef("lgamma", "The logarithm of |gamma(x)|.", scalarwise(special.lgamma), dtypes="f",
               jvp=(lambda t, out, x: multiply(t, digamma(x)),), dialect="chlo",
               domain=(0.3, 6.0), tolerance=1e-5, expensive=True)


def _digamma_tangent(t: Any, out: Any, x: Any) -> Any:
    return multiply(t, trigamma(x))


def _trigamma_tangent(t: Any, out: Any, x: Any) -> Any:
    """The tetragamma function, by its recurrence to x + 8 and asymptotic series (DLMF 5.15)."""
    total = _const(x, 0)
    for _ in range(8):
        total = subtract(total, divide(_const(x, 2), multiply(x, multiply(x, x))))
        x = add(x, _const(x, 1))
    s = divide(_const(x, 1), multiply(x, x))
    series = _const(x, 0)
    for coefficient in (-5 / 6, 3 / 10, -1 / 6, 1 / 6, -1 / 2, -1.0):
        series = add(multiply(series, s), _const(x, coefficient))
    return multiply(t, add(total, add(multiply(series, s), negate(divide(s, x)))))


digamma: OpDef = OpDef(
    "digamma", "The derivative of lgamma.", scalarwise(special.digamma), dtypes="f",
    jvp=(_digamma_tangent,), dialect="chlo", domain=(0.5, 6.0), tolerance=1e-5, expensive=True)
trigamma = OpDef("trigamma", "The derivative of digamma.", scalarwise(special.trigamma), dtypes="f",
                 jvp=(_trigamma_tangent,), dialect="arraylib", domain=(0.5, 6.0), tolerance=1e-5,
                 expensive=True)

# -- rounding and classification -------------------------------------------------------------------


floor = OpDef("floor", "The largest whole number not above x.", np.floor, dtypes="f", jvp=(None,))
ceil = OpDef("ceil", "The smallest whole number not below x.", np.ceil, dtypes="f", jvp=(None,))
round_nearest_even = OpDef("round_nearest_even", "The nearest whole number, ties to even.",
                           np.rint, dtypes="f", jvp=(None,))
round_nearest_afz = OpDef("round_nearest_afz", "The nearest whole number, ties away from zero.",
                          in_float32(numeric.round_away), dtypes="f", jvp=(None,))
is_finite = OpDef("is_finite", "Whether x is neither inf nor nan.", np.isfinite, dtypes="f",
                  dtype=lambda types, attrs: dt.bool_, jvp=(None,))

# -- comparison and choice -------------------------------------------------------------------------

_COMPARE = {"EQ": np.equal, "NE": np.not_equal, "LT": np.less, "LE": np.less_equal,
            "GT": np.greater, "GE": np.greater_equal}


def _selected(types: Sequence[Type], attrs: Attrs) -> np.dtype[Any]:
    if not dt.is_bool(types[0].dtype):
        raise mistake(DtypeError, "select", f"the predicate is {dt.name(types[0].dtype)}, not bool",
                      operands=types, hint="compare it with something: x != 0")
    multiply.check_dtypes(types[1:])
    return types[1].dtype


compare = OpDef(
    "compare", "Whether x stands to y as `direction` (EQ NE LT LE GT GE) says; nan only as NE.",
    lambda x, y, *, direction: _COMPARE[direction](x, y), dtypes=ANY,
    dtype=lambda types, attrs: dt.bool_, jvp=(None, None),
    examples=(Example((_VECTOR, _VECTOR), {"direction": "LT"}),))
select: OpDef = OpDef(
    "select", "x where the predicate is true, y elsewhere.", np.where, dtypes=ANY, mixed=True,
    dtype=_selected, weak=(1, None),
    jvp=(None, lambda t, out, p, x, y: select(p, t, _const(t, 0)),
         lambda t, out, p, x, y: select(p, _const(t, 0), t)),
    transpose=(None, lambda ct, p, x, y: select(p, ct, _const(ct, 0)),
               lambda ct, p, x, y: select(p, _const(ct, 0), ct)),
    constraints=(
        "The predicate is of bool.",
        "x and y are of one dtype, which is the result's."),
    examples=(Example((_VECTOR.with_dtype(dt.bool_), _VECTOR, _VECTOR), {}),))
clamp = OpDef(
    "clamp", "x limited to lie between `low` and `high`.",
    in_bytes(lambda low, x, high: extremes.minimum(extremes.maximum(x, low), high)), dtypes=REAL,
    jvp=(lambda t, out, low, x, high: _where(_between(low, x, "GE", high), t),
         lambda t, out, low, x, high: _where(_between(x, low, "GT", high), t),
         lambda t, out, low, x, high: _where(
             compare(high, maximum(x, low), direction="LE"), t)),
    expand=lambda low, x, high: minimum(maximum(x, low), high))


def _where(predicate: Any, t: Any) -> Any:
    return select(predicate, t, _const(t, 0))


def _between(x: Any, low: Any, direction: str, high: Any) -> Any:
    """Whether x stands to `low` as `direction` says, and is below `high`."""
    return and_(compare(x, low, direction=direction), compare(x, high, direction="LT"))


# -- logic and bits --------------------------------------------------------------------------------


def _logic(on_bool: Any, on_bits: Any) -> Callable[..., Any]:
    return in_bytes(lambda *xs: (on_bool if xs[0].dtype == bool else on_bits)(*xs))


and_ = OpDef("and", "Both; bit by bit for integers.", _logic(np.logical_and, np.bitwise_and),
             dtypes=LOGIC, jvp=(None, None))
or_ = OpDef("or", "Either; bit by bit for integers.", _logic(np.logical_or, np.bitwise_or),
            dtypes=LOGIC, jvp=(None, None))
xor = OpDef("xor", "Exactly one; bit by bit for integers.",
            _logic(np.logical_xor, np.bitwise_xor), dtypes=LOGIC, jvp=(None, None))
not_ = OpDef("not", "The opposite; bit by bit for integers.",
             _logic(np.logical_not, np.bitwise_not), dtypes=LOGIC, jvp=(None,))
shift_left = OpDef("shift_left", "x with its bits moved up by y; 0 if y is the width or more.",
                   numeric.shift_left, dtypes="iu", jvp=(None, None),
                   domain=(0, 6))
shift_right_logical = OpDef(
    "shift_right_logical", "x with its bits moved down by y, zeros coming in.",
    numeric.shift_right_logical, dtypes="iu", jvp=(None, None), domain=(0, 6))
shift_right_arithmetic = OpDef(
    "shift_right_arithmetic", "x with its bits moved down by y, the sign coming in.",
    numeric.shift_right_arithmetic, dtypes="iu", jvp=(None, None), domain=(0, 6))
popcnt = OpDef("popcnt", "How many bits of x are set.",
               numeric.popcount, dtypes="iu", jvp=(None,))
count_leading_zeros = OpDef("count_leading_zeros", "How many bits above the highest set one.",
                            numeric.leading_zeros, dtypes="iu", jvp=(None,))

# -- conversion ------------------------------------------------------------------------------------


def _convert_back(ct: Any, x: Any, *, dtype: np.dtype[Any]) -> Any:
    source = type_of(x).dtype
    if dt.is_complex(type_of(ct).dtype) and not dt.is_complex(source):
        ct = real(ct)
    return ct if type_of(ct).dtype == source else convert(ct, dtype=source)


convert: OpDef = OpDef(
    "convert", "x as another dtype: floats to integers by truncation, limited to the range.",
    numeric.convert, dtypes=ANY, dtype=lambda types, attrs: attrs["dtype"], weak=(0, 0),
    jvp=(lambda t, out, x, *, dtype: convert(t, dtype=dtype),), transpose=(_convert_back,),
    examples=(Example((_VECTOR,), {"dtype": dt.float64}),
              Example((_VECTOR,), {"dtype": dt.complex64}),
              Example((_VECTOR,), {"dtype": dt.int8})))


def strong(x: Any) -> Any:
    """x, no longer weak if it was: its dtype is what somebody wants."""
    return convert(x, dtype=type_of(x).dtype) if is_weak(x) else x


def _bitcast(types: Sequence[Type], attrs: Attrs) -> np.dtype[Any]:
    dtype: np.dtype[Any] = attrs["dtype"]
    own = types[0].dtype
    if numeric.bit_width(own) != numeric.bit_width(dtype) or dt.is_complex(own) != dt.is_complex(
            dtype):
        raise mistake(DtypeError, "bitcast_convert", f"{dt.name(own)} has "
                      f"{numeric.bit_width(own)} bits but {dt.name(dtype)} has "
                      f"{numeric.bit_width(dtype)}", operands=types,
                      hint="a dtype of one width, complex for complex; or bitcast_regroup")
    return dtype


bitcast_convert = OpDef(
    "bitcast_convert", "The bits of x read as another dtype of the same width.",
    lambda x, *, dtype: numeric.bitcast(x[..., None], dtype)[..., 0], dtypes=ANY, dtype=_bitcast,
    jvp=(None,), weak=(0, 0), examples=(Example((_VECTOR,), {"dtype": dt.uint32}),),
    constraints=(
        "`dtype` has as many bits as x's, and both are complex or neither.",
        "The result is of `dtype`."))
reduce_precision: OpDef = OpDef(
    "reduce_precision", "x rounded to a float with so many exponent and mantissa bits.",
    numeric.reduce_precision, dtypes="f", jvp=(SAME,),
    transpose=(lambda ct, x, **bits: reduce_precision(ct, **bits),),
    examples=(Example((_VECTOR,), {"exponent_bits": 5, "mantissa_bits": 10}),))


# -- complex numbers -------------------------------------------------------------------------------

real = OpDef("real", "The real part; of real x, x itself.", lambda x: x.real.copy(), dtypes="fc",
             dtype=lambda types, attrs: dt.to_real(types[0].dtype), jvp=(SAME,),
             transpose=(lambda ct, x: complex_(ct, _const(ct, 0)) if _is_complex(x) else ct,))
imag = OpDef(
    "imag", "The imaginary part; of real x, zeros.", lambda x: x.imag.copy(), dtypes="fc",
    dtype=lambda types, attrs: dt.to_real(types[0].dtype), jvp=(SAME,),
    transpose=(lambda ct, x: complex_(_const(ct, 0), negate(ct)) if _is_complex(x)
               else _const(ct, 0),))


def _is_complex(x: Any) -> bool:
    return dt.is_complex(type_of(x).dtype)


complex_: OpDef = OpDef(
    "complex", "The complex number with these real and imaginary parts.",
    lambda x, y: complexes.of_parts(x, y), dtypes="f",
    dtype=lambda types, attrs: dt.to_complex(types[0].dtype),
    jvp=(lambda t, out, x, y: complex_(t, _const(t, 0)),
         lambda t, out, x, y: complex_(_const(t, 0), t)),
    transpose=(lambda ct, x, y: real(ct), lambda ct, x, y: negate(imag(ct))))
