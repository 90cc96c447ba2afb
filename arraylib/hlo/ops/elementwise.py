"""Operations that work element by element on operands of one shape."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, mistake
from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.opdef import SAME, Attrs, Example, OpDef
from arraylib.hlo.ops.constant import full_like

REAL = "iuf"
NUMBER = "iufc"
LOGIC = "biu"
ANY = "biufc"

_VECTOR = Type(dt.float32, (3,))


def _const(x: Any, value: complex) -> Any:
    """`value` in the type of x."""
    return full_like(x, value)


def _in_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` on half-precision operands computed in float32 and rounded once."""
    def wrapped(*arrays: Any) -> Any:
        dtype = arrays[0].dtype
        if dtype.itemsize > 2 or dt.kind(dtype) != "f":
            return np.asarray(function(*arrays)).astype(dtype, copy=False)
        return np.asarray(function(*[a.astype(np.float32) for a in arrays])).astype(dtype)
    return wrapped


def _scalarwise(function: Callable[[float], float]) -> Callable[..., Any]:
    """A function of one Python float as one of arrays, computed in double precision."""
    slow = np.vectorize(function, otypes=[np.float64])
    return lambda x: slow(x.astype(np.float64)).astype(x.dtype)


# -- arithmetic ----------------------------------------------------------------------------------


def _divide(x: Any, y: Any) -> Any:
    """Truncated division for integers; by zero gives all ones, as in XLA."""
    if x.dtype.kind not in "iu":
        return x / y
    safe = np.where(y == 0, 1, y)
    quotient = x // safe
    if x.dtype.kind == "i":
        quotient = quotient + ((quotient < 0) & (quotient * safe != x))
    return np.where(y == 0, np.array(-1).astype(x.dtype), quotient).astype(x.dtype)


def _remainder(x: Any, y: Any) -> Any:
    """The remainder with the sign of x; of an integer by zero it is x, as in XLA."""
    if x.dtype.kind not in "iu":
        return np.fmod(x, y)
    return np.where(y == 0, x, np.fmod(x, np.where(y == 0, 1, y))).astype(x.dtype)


def _power(x: Any, y: Any) -> Any:
    if x.dtype.kind not in "i":
        return np.power(x, y)
    # A negative integer power truncates to what 1 / x ** n is.
    ones = np.where(x == 1, 1, np.where(x == -1, np.where(y % 2 == 0, 1, -1), 0))
    return np.where(y < 0, ones, np.power(x, np.maximum(y, 0))).astype(x.dtype)


def _power_x(t: Any, out: Any, x: Any, y: Any) -> Any:
    # y * x ** (y - 1), and 0 rather than nan where y is 0
    zero = _const(y, 0)
    exponent = select(compare(y, zero, direction="EQ"), _const(y, 1), subtract(y, _const(y, 1)))
    return multiply(t, multiply(y, power(x, exponent)))


def _power_y(t: Any, out: Any, x: Any, y: Any) -> Any:
    # out * log(x), and 0 rather than nan where x is 0 and out is 0 as well
    zero = _const(x, 0)
    safe = select(compare(x, zero, direction="EQ"), _const(x, 1), x)
    return multiply(t, multiply(out, log(safe)))


negate: OpDef = OpDef(
    "negate", "-x.", np.negative, dtypes=NUMBER, jvp=(SAME,),
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
    "divide", "x / y; integers round towards zero.", _divide, dtypes=NUMBER,
    jvp=(SAME, lambda t, out, x, y: negate(divide(multiply(t, out), y))),
    transpose=(lambda ct, x, y: divide(ct, y), None), domain=(0.5, 3.0))
remainder = OpDef(
    "remainder", "The remainder of x / y with the sign of x.", _remainder, dtypes=REAL,
    jvp=(lambda t, out, x, y: t,
         lambda t, out, x, y: negate(multiply(t, _toward_zero(divide(x, y))))),
    domain=(0.5, 3.0), tolerance=1e-5)
power = OpDef(
    "power", "x to the y.", _in_float32(_power), dtypes=NUMBER, jvp=(_power_x, _power_y),
    domain=(0.3, 2.5), tolerance=2e-6, expensive=True)
maximum = OpDef(
    "maximum", "The larger of x and y; nan if one is.", np.maximum, dtypes=ANY,
    jvp=(lambda t, out, x, y: _chosen(t, "GT", x, y), lambda t, out, x, y: _chosen(t, "LT", x, y)))
minimum = OpDef(
    "minimum", "The smaller of x and y; nan if one is.", np.minimum, dtypes=ANY,
    jvp=(lambda t, out, x, y: _chosen(t, "LT", x, y), lambda t, out, x, y: _chosen(t, "GT", x, y)))
abs = OpDef(
    "abs", "The absolute value.", np.abs, dtypes="ifc",
    dtype=lambda types, attrs: dt.to_real(types[0].dtype),
    jvp=(lambda t, out, x: _abs_tangent(t, out, x),))
sign = OpDef("sign", "-1, 0 or 1 by the sign of x; x / |x| for complex x.", lambda x: _sign(x),
             dtypes="ifc", jvp=(None,))


def _sign(x: Any) -> Any:
    return np.copysign(np.sign(x), x) if x.dtype.kind == "f" else np.sign(x)


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

exponential = OpDef(
    "exponential", "e to the x.", _in_float32(np.exp), expensive=True,
    jvp=(lambda t, out, x: multiply(t, out),))
exponential_minus_one = OpDef(
    "exponential_minus_one", "e to the x, minus 1, exact near 0.", _in_float32(np.expm1),
    jvp=(lambda t, out, x: multiply(t, add(out, _const(out, 1))),), expensive=True)
log = OpDef(
    "log", "The natural logarithm.", _in_float32(np.log), domain=(0.1, 4.0), expensive=True,
    jvp=(lambda t, out, x: divide(t, x),))
log_plus_one = OpDef(
    "log_plus_one", "log(1 + x), exact near 0.", _in_float32(np.log1p), domain=(-0.8, 4.0),
    jvp=(lambda t, out, x: divide(t, add(x, _const(x, 1))),), expensive=True)
logistic = OpDef(
    "logistic", "1 / (1 + exp(-x)).", _in_float32(lambda x: 1 / (1 + np.exp(-x))), expensive=True,
    jvp=(lambda t, out, x: multiply(t, multiply(out, subtract(_const(out, 1), out))),))
sqrt = OpDef(
    "sqrt", "The square root.", _in_float32(np.sqrt), domain=(0.1, 4.0),
    jvp=(lambda t, out, x: divide(multiply(t, _const(out, 0.5)), out),))
rsqrt = OpDef(
    "rsqrt", "1 / sqrt(x).", _in_float32(lambda x: (1 / np.sqrt(x)).astype(x.dtype)),
    domain=(0.1, 4.0),
    jvp=(lambda t, out, x: multiply(t, multiply(_const(out, -0.5), divide(out, x))),))
cbrt = OpDef(
    "cbrt", "The real cube root, also of negative x.", _in_float32(np.cbrt), dtypes="f",
    jvp=(lambda t, out, x: divide(t, multiply(_const(out, 3), multiply(out, out))),),
    domain=(0.2, 8.0), tolerance=2e-6, expensive=True)

# -- trigonometric and hyperbolic ------------------------------------------------------------------


def _one_minus_square(x: Any) -> Any:
    one = _const(x, 1)
    return multiply(subtract(one, x), add(one, x))


def _one_plus_square(x: Any) -> Any:
    return add(_const(x, 1), multiply(x, x))


sine = OpDef("sine", "The sine of x radians.", _in_float32(np.sin), expensive=True,
             jvp=(lambda t, out, x: multiply(t, cosine(x)),))
cosine: OpDef = OpDef(
    "cosine", "The cosine of x radians.", _in_float32(np.cos), expensive=True,
    jvp=(lambda t, out, x: negate(multiply(t, sine(x))),))
tan = OpDef("tan", "The tangent of x radians.", _in_float32(np.tan), domain=(-1.2, 1.2),
            jvp=(lambda t, out, x: multiply(t, _one_plus_square(out)),), expensive=True,
            expand=lambda x: divide(sine(x), cosine(x)), tolerance=5e-6)
tanh = OpDef("tanh", "The hyperbolic tangent.", _in_float32(np.tanh), expensive=True,
             jvp=(lambda t, out, x: multiply(t, _one_minus_square(out)),))
asin = OpDef("asin", "The arc sine, in radians.", _in_float32(np.arcsin), dialect="chlo",
             domain=(-0.9, 0.9), expensive=True,
             jvp=(lambda t, out, x: multiply(t, rsqrt(_one_minus_square(x))),))
acos = OpDef("acos", "The arc cosine, in radians.", _in_float32(np.arccos), dialect="chlo",
             domain=(-0.9, 0.9), expensive=True,
             jvp=(lambda t, out, x: negate(multiply(t, rsqrt(_one_minus_square(x)))),))
atan = OpDef("atan", "The arc tangent, in radians.", _in_float32(np.arctan), dialect="chlo",
             jvp=(lambda t, out, x: divide(t, _one_plus_square(x)),), expensive=True)
atan2 = OpDef(
    "atan2", "The angle of the point (y, x) from the x axis, in radians.", _in_float32(np.arctan2),
    dtypes="f", domain=(0.3, 2.0), expensive=True, tolerance=2e-6,
    jvp=(lambda t, out, y, x: multiply(t, divide(x, add(multiply(x, x), multiply(y, y)))),
         lambda t, out, y, x: negate(multiply(t, divide(y, add(multiply(x, x), multiply(y, y)))))))
sinh = OpDef("sinh", "The hyperbolic sine.", _in_float32(np.sinh), dialect="chlo", expensive=True,
             jvp=(lambda t, out, x: multiply(t, cosh(x)),), tolerance=5e-6)
cosh: OpDef = OpDef(
    "cosh", "The hyperbolic cosine.", _in_float32(np.cosh), dialect="chlo", expensive=True,
    jvp=(lambda t, out, x: multiply(t, sinh(x)),), tolerance=5e-6)
asinh = OpDef("asinh", "The inverse hyperbolic sine.", _in_float32(np.arcsinh), dialect="chlo",
              jvp=(lambda t, out, x: multiply(t, rsqrt(_one_plus_square(x))),), expensive=True,
              tolerance=5e-6)
acosh = OpDef(
    "acosh", "The inverse hyperbolic cosine.", _in_float32(np.arccosh), dialect="chlo",
    jvp=(lambda t, out, x: multiply(t, rsqrt(negate(_one_minus_square(x)))),),
    domain=(1.2, 4.0), tolerance=5e-6, expensive=True)
atanh = OpDef("atanh", "The inverse hyperbolic tangent.", _in_float32(np.arctanh), dialect="chlo",
              jvp=(lambda t, out, x: divide(t, _one_minus_square(x)),), domain=(-0.8, 0.8),
              tolerance=5e-6, expensive=True)

# -- special functions ----------------------------------------------------------------------------

_TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)

def _erf_inverse(p: float) -> float:
    """Newton's method on erf (on erfc where p is near 1), from Winitzki's guess (2008)."""
    q = math.fabs(p)
    if not q < 1:
        return math.copysign(math.inf, p) if q == 1 else math.nan
    w = -math.log1p(-q * q)
    half = 2 / (math.pi * 0.147) - w / 2
    x = math.sqrt(math.sqrt(half * half + w / 0.147) - half)
    for _ in range(4):
        error = math.erf(x) - q if q < 0.5 else (1 - q) - math.erfc(x)
        x -= error / (_TWO_OVER_SQRT_PI * math.exp(-x * x))
    return math.copysign(x, p)


def _gaussian(x: Any, factor: float) -> Any:
    return multiply(_const(x, factor), exponential(negate(multiply(x, x))))


erf = OpDef("erf", "The error function.", _scalarwise(math.erf), dtypes="f", dialect="chlo",
            jvp=(lambda t, out, x: multiply(t, _gaussian(x, _TWO_OVER_SQRT_PI)),), expensive=True)
erfc = OpDef("erfc", "1 - erf(x), exact for large x.", _scalarwise(math.erfc), dtypes="f",
             jvp=(lambda t, out, x: multiply(t, _gaussian(x, -_TWO_OVER_SQRT_PI)),),
             dialect="chlo", expensive=True, tolerance=5e-6)
erf_inv = OpDef(
    "erf_inv", "The inverse of the error function.", _scalarwise(_erf_inverse), dtypes="f",
    jvp=(lambda t, out, x: multiply(t, multiply(
        _const(out, 1 / _TWO_OVER_SQRT_PI), exponential(multiply(out, out)))),),
    dialect="chlo", domain=(-0.95, 0.95), tolerance=5e-6, expensive=True)


def _lgamma(x: float) -> float:
    if x == -math.inf:
        return math.inf
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):  # poles, and beyond the largest double
        return math.inf


def _digamma(x: float) -> float:
    """Reflection and recurrence up to 10, then the asymptotic series (DLMF 5.11.2)."""
    if x != x or x == -math.inf or (x <= 0 and x == math.floor(x)):
        return math.nan
    if x < 0:
        return _digamma(1 - x) - math.pi / math.tan(math.pi * x)
    total = 0.0
    while x < 10:
        total -= 1 / x
        x += 1
    s = 1 / (x * x)
    series = s * (1 / 12 - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s * (1 / 132)))))
    return total + math.log(x) - 0.5 / x - series if x < math.inf else math.inf


lgamma = OpDef("lgamma", "The logarithm of |gamma(x)|.", _scalarwise(_lgamma), dtypes="f",
               jvp=(lambda t, out, x: multiply(t, digamma(x)),), dialect="chlo",
               domain=(0.3, 6.0), tolerance=1e-5, expensive=True)


def _digamma_tangent(t: Any, out: Any, x: Any) -> Any:
    return multiply(t, trigamma(x))


def _trigamma(x: float) -> float:
    """As digamma, with the derivative of its series (DLMF 5.15.8)."""
    if x != x or x == -math.inf or (x <= 0 and x == math.floor(x)):
        return math.nan
    if x < 0:
        return (math.pi / math.sin(math.pi * x)) ** 2 - _trigamma(1 - x)
    total = 0.0
    while x < 10:
        total += 1 / (x * x)
        x += 1
    s = 1 / (x * x)
    series = s / x * (1 / 6 - s * (1 / 30 - s * (1 / 42 - s * (1 / 30 - s * (5 / 66)))))
    return total + 1 / x + s / 2 + series


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
    "digamma", "The derivative of lgamma.", _scalarwise(_digamma), dtypes="f",
    jvp=(_digamma_tangent,), dialect="chlo", domain=(0.5, 6.0), tolerance=1e-5, expensive=True)
trigamma = OpDef("trigamma", "The derivative of digamma.", _scalarwise(_trigamma), dtypes="f",
                 jvp=(_trigamma_tangent,), dialect="arraylib", domain=(0.5, 6.0), tolerance=1e-5,
                 expensive=True)

# -- rounding and classification -------------------------------------------------------------------


def _round_away(x: Any) -> Any:
    whole = np.trunc(x)
    away = whole + np.copysign(np.ones((), x.dtype), x)
    return np.copysign(np.where(np.abs(x - whole) >= 0.5, away, whole), x).astype(x.dtype)


floor = OpDef("floor", "The largest whole number not above x.", np.floor, dtypes="f", jvp=(None,))
ceil = OpDef("ceil", "The smallest whole number not below x.", np.ceil, dtypes="f", jvp=(None,))
round_nearest_even = OpDef("round_nearest_even", "The nearest whole number, ties to even.",
                           np.rint, dtypes="f", jvp=(None,))
round_nearest_afz = OpDef("round_nearest_afz", "The nearest whole number, ties away from zero.",
                          _in_float32(_round_away), dtypes="f", jvp=(None,))
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
    dtype=_selected,
    jvp=(None, lambda t, out, p, x, y: select(p, t, _const(t, 0)),
         lambda t, out, p, x, y: select(p, _const(t, 0), t)),
    transpose=(None, lambda ct, p, x, y: select(p, ct, _const(ct, 0)),
               lambda ct, p, x, y: select(p, _const(ct, 0), ct)),
    examples=(Example((_VECTOR.with_dtype(dt.bool_), _VECTOR, _VECTOR), {}),))
clamp = OpDef(
    "clamp", "x limited to lie between `low` and `high`.",
    lambda low, x, high: np.minimum(np.maximum(x, low), high), dtypes=REAL,
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
    return lambda *xs: (on_bool if xs[0].dtype == bool else on_bits)(*xs)


def _shift(function: Any, beyond: Callable[[Any], Any]) -> Callable[..., Any]:
    """A shift by the width or more gives what shifting one bit at a time would."""
    def shift(x: Any, n: Any) -> Any:
        width = x.dtype.itemsize * 8
        unsigned = n.astype(f"u{n.dtype.itemsize}")
        inside = unsigned < width
        safe = np.where(inside, unsigned, 0).astype(x.dtype)
        return np.where(inside, function(x, safe), beyond(x)).astype(x.dtype)
    return shift


def _shift_logical(x: Any, n: Any) -> Any:
    unsigned = f"u{x.dtype.itemsize}"
    return (x.astype(unsigned) >> n.astype(unsigned)).astype(x.dtype)


def _shift_arithmetic(x: Any, n: Any) -> Any:
    signed = f"i{x.dtype.itemsize}"
    return (x.astype(signed) >> n.astype(signed)).astype(x.dtype)


def _sign_fill(x: Any) -> Any:
    return np.where(x.astype(f"i{x.dtype.itemsize}") < 0, -1, 0).astype(x.dtype)


def _leading_zeros(x: Any) -> Any:
    width = x.dtype.itemsize * 8
    bits = x.astype(f"u{x.dtype.itemsize}")
    count = np.zeros(x.shape, np.int64)
    for shift in range(width):
        count += (bits >> np.array(shift, bits.dtype)) == 0
    return count.astype(x.dtype)


and_ = OpDef("and", "Both; bit by bit for integers.", _logic(np.logical_and, np.bitwise_and),
             dtypes=LOGIC, jvp=(None, None))
or_ = OpDef("or", "Either; bit by bit for integers.", _logic(np.logical_or, np.bitwise_or),
            dtypes=LOGIC, jvp=(None, None))
xor = OpDef("xor", "Exactly one; bit by bit for integers.",
            _logic(np.logical_xor, np.bitwise_xor), dtypes=LOGIC, jvp=(None, None))
not_ = OpDef("not", "The opposite; bit by bit for integers.",
             _logic(np.logical_not, np.bitwise_not), dtypes=LOGIC, jvp=(None,))
shift_left = OpDef("shift_left", "x with its bits moved up by y; 0 if y is the width or more.",
                   _shift(np.left_shift, np.zeros_like), dtypes="iu", jvp=(None, None),
                   domain=(0, 6))
shift_right_logical = OpDef(
    "shift_right_logical", "x with its bits moved down by y, zeros coming in.",
    _shift(_shift_logical, np.zeros_like), dtypes="iu", jvp=(None, None), domain=(0, 6))
shift_right_arithmetic = OpDef(
    "shift_right_arithmetic", "x with its bits moved down by y, the sign coming in.",
    _shift(_shift_arithmetic, _sign_fill), dtypes="iu", jvp=(None, None), domain=(0, 6))
popcnt = OpDef("popcnt", "How many bits of x are set.",
               lambda x: np.bitwise_count(x.astype(f"u{x.dtype.itemsize}")).astype(x.dtype),
               dtypes="iu", jvp=(None,))
count_leading_zeros = OpDef("count_leading_zeros", "How many bits above the highest set one.",
                            _leading_zeros, dtypes="iu", jvp=(None,))

# -- conversion ------------------------------------------------------------------------------------


def _convert(x: Any, *, dtype: np.dtype[Any]) -> Any:
    """Floats become integers by truncation, limited to the range; nan becomes 0."""
    if dt.is_integer(dtype) and dt.kind(x.dtype) in "fc":
        limits = dt.iinfo(dtype)
        wide = np.nan_to_num(np.trunc(np.real(x).astype(np.float64)), nan=0.0,
                             posinf=math.inf, neginf=-math.inf)
        inside = (wide >= float(limits.min)) & (wide < float(limits.max) + 1)
        edge = np.where(wide > 0, np.array(limits.max, dtype), np.array(limits.min, dtype))
        return np.where(inside, np.where(inside, wide, 0).astype(dtype), edge)
    if dt.kind(x.dtype) == "c" and dt.kind(dtype) not in "c":
        x = x.real
    if dt.is_bool(dtype):
        return x != np.zeros((), x.dtype)
    return x.astype(dtype)


def _convert_back(ct: Any, x: Any, *, dtype: np.dtype[Any]) -> Any:
    source = type_of(x).dtype
    if dt.is_complex(type_of(ct).dtype) and not dt.is_complex(source):
        ct = real(ct)
    return ct if type_of(ct).dtype == source else convert(ct, dtype=source)


convert: OpDef = OpDef(
    "convert", "x as another dtype: floats to integers by truncation, limited to the range.",
    _convert, dtypes=ANY, dtype=lambda types, attrs: attrs["dtype"],
    jvp=(lambda t, out, x, *, dtype: convert(t, dtype=dtype),), transpose=(_convert_back,),
    examples=(Example((_VECTOR,), {"dtype": dt.float64}),
              Example((_VECTOR,), {"dtype": dt.complex64}),
              Example((_VECTOR,), {"dtype": dt.int8})))
bitcast_convert = OpDef(
    "bitcast_convert", "The bits of x read as another dtype of the same width.",
    lambda x, *, dtype: np.ascontiguousarray(x).view(dtype).reshape(x.shape), dtypes="iuf",
    dtype=lambda types, attrs: attrs["dtype"], jvp=(None,),
    examples=(Example((_VECTOR,), {"dtype": dt.uint32}),))
reduce_precision: OpDef = OpDef(
    "reduce_precision", "x rounded to a float with so many exponent and mantissa bits.",
    lambda x, *, exponent_bits, mantissa_bits: _reduce_precision(x, exponent_bits, mantissa_bits),
    dtypes="f", jvp=(SAME,),
    transpose=(lambda ct, x, **bits: reduce_precision(ct, **bits),),
    examples=(Example((_VECTOR,), {"exponent_bits": 5, "mantissa_bits": 10}),))


def _reduce_precision(x: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    """Round the mantissa to even on the bits; overflow to inf, flush what is below normal.

    As in XLA, an exponent at least as wide as x's own leaves x's subnormals alone.
    """
    wide = x.astype(np.float64)
    own_bits = dt.finfo(x.dtype).nexp
    exponent = np.maximum(np.frexp(wide)[1], 3 - 2 ** (own_bits - 1))  # subnormals share one
    place = exponent - mantissa_bits - 1
    rounded = np.ldexp(np.rint(np.ldexp(wide, -place)), place)
    if exponent_bits >= own_bits:
        return np.where(np.isfinite(wide), rounded, wide).astype(x.dtype)
    largest = 2.0 ** (2 ** (exponent_bits - 1)) * (1 - 2.0 ** (-mantissa_bits - 1))
    smallest = 2.0 ** (2 - 2 ** (exponent_bits - 1))
    rounded = np.where(np.abs(rounded) > largest, np.copysign(np.inf, wide), rounded)
    rounded = np.where(np.abs(rounded) < smallest, np.copysign(0.0, wide), rounded)
    return np.where(np.isfinite(wide), rounded, wide).astype(x.dtype)


# -- complex numbers -------------------------------------------------------------------------------

real = OpDef("real", "The real part.", lambda x: x.real.copy(), dtypes="c",
             dtype=lambda types, attrs: dt.to_real(types[0].dtype), jvp=(SAME,),
             transpose=(lambda ct, x: complex_(ct, _const(ct, 0)),))
imag = OpDef("imag", "The imaginary part.", lambda x: x.imag.copy(), dtypes="c",
             dtype=lambda types, attrs: dt.to_real(types[0].dtype), jvp=(SAME,),
             transpose=(lambda ct, x: complex_(_const(ct, 0), negate(ct)),))
complex_: OpDef = OpDef(
    "complex", "The complex number with these real and imaginary parts.",
    lambda x, y: (x + 1j * y).astype(dt.to_complex(x.dtype)), dtypes="f",
    dtype=lambda types, attrs: dt.to_complex(types[0].dtype),
    jvp=(lambda t, out, x, y: complex_(t, _const(t, 0)),
         lambda t, out, x, y: complex_(_const(t, 0), t)),
    transpose=(lambda ct, x, y: real(ct), lambda ct, x, y: negate(imag(ct))))
