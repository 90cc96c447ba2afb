"""What the math functions should give: NumPy and SciPy in a wider format than the one under test.

`REFERENCES[name]` takes and gives float64 (the truth for float32) or longdouble (for float64, on
machines where that has 64 bits or more). What NumPy lacks in longdouble comes from the C library,
called in a loop that LLVM compiles, or from a series below.
"""

import ctypes
import functools
import math
from collections.abc import Callable

import numpy as np
from scipy import special

from arraylib.backends.cpu import target

Function = Callable[..., np.ndarray]
LONG = np.longdouble
PI = LONG("3.14159265358979323846264338327950288")


@functools.cache
def _in_library(name: str) -> Function:
    """The C library's long double function of one argument, on arrays."""
    type = {63: "x86_fp80", 112: "fp128"}[np.finfo(LONG).nmant]
    text = f"""
declare {type} @{name}({type})
define void @loop(ptr %x, ptr %y, i64 %count) {{
entry:
  br label %turn
turn:
  %i = phi i64 [ 0, %entry ], [ %next, %turn ]
  %from = getelementptr {type}, ptr %x, i64 %i
  %value = load {type}, ptr %from, align 16
  %found = call {type} @{name}({type} %value)
  %to = getelementptr {type}, ptr %y, i64 %i
  store {type} %found, ptr %to, align 16
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %turn, label %end
end:
  ret void
}}
"""
    address = target.link([target.compile_object(text)], ["loop"])["loop"]
    loop = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(address)

    def call(x: np.ndarray) -> np.ndarray:
        x = np.ascontiguousarray(x)
        out = np.empty_like(x)
        if x.size:
            loop(x.ctypes.data, out.ctypes.data, x.size)
        return out
    return call


def _by_width(double: Function, long: Function) -> Function:
    return lambda x: long(x) if x.dtype == LONG else double(x)


def _series(x: np.ndarray, coefficients: list[LONG]) -> np.ndarray:
    total = np.zeros_like(x)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


# B(2k) / 2k and B(2k) of the asymptotic series (DLMF 5.11.2 and 5.15.8)
_BERNOULLI = [LONG(p) / LONG(q) for p, q in (
    (1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510),
    (43867, 798), (-174611, 330), (854513, 138))]
_SHIFTS = 24  # from here on 11 terms are exact in longdouble


def _cotangent_of_pi(x: np.ndarray) -> np.ndarray:
    rest = x - np.rint(x)
    swap = np.abs(rest) > 0.25
    angle = PI * np.where(swap, np.copysign(LONG(0.5), rest) - rest, rest)
    tangent = np.tan(angle)
    return np.where(swap, tangent, 1 / tangent)


def _reflected(x: np.ndarray, positive: Function, reflection: Function) -> np.ndarray:
    """`positive` of x >= 1/2; elsewhere the reflection of `positive(1 - x)`."""
    mirror = x < 0.5
    y = np.where(mirror, 1 - x, x)
    found = positive(y)
    return np.where(mirror, reflection(x, found), found)


def _digamma(x: np.ndarray) -> np.ndarray:
    def positive(y: np.ndarray) -> np.ndarray:
        total = np.zeros_like(y)
        large = y > 1e5
        step = np.where(large, 0, 1)
        for _ in range(_SHIFTS):
            total, y = total + np.where(large, 0, 1 / y), y + step
        s = 1 / (y * y)
        terms = [b / (2 * k) for k, b in enumerate(_BERNOULLI, 1)]
        return np.log(y) - 0.5 / y - s * _series(s, terms) - total
    found = _reflected(x, positive, lambda x, value: value - PI * _cotangent_of_pi(x))
    return np.where((x <= 0) & (x == np.floor(x)), np.nan, found)


def _trigamma(x: np.ndarray) -> np.ndarray:
    def positive(y: np.ndarray) -> np.ndarray:
        total = np.zeros_like(y)
        for _ in range(_SHIFTS):
            total, y = total + 1 / (y * y), y + 1
        s = 1 / (y * y)
        return total + 1 / y + s / 2 + s / y * _series(s, _BERNOULLI)
    found = _reflected(
        x, positive, lambda x, value: PI**2 * (1 + _cotangent_of_pi(x) ** 2) - value)
    # Beyond the reach of the shifts 1 / x is all there is.
    found = np.where(x > 1e15, 1 / x + 0.5 / x / x, found)
    return np.where((x <= 0) & (x == np.floor(x)), np.inf, found)


def _erf_inverse(x: np.ndarray) -> np.ndarray:
    """Newton's method (Halley's, in fact) from SciPy's double, on erfc where x is near 1."""
    size = np.abs(x)
    rest = 1 - size
    y = np.where(size < 0.9, special.erfinv(size.astype(np.float64)),
                 special.erfcinv(rest.astype(np.float64))).astype(LONG)
    for _ in range(2):
        error = np.where(size < 0.5, _in_library("erfl")(y) - size, rest - _in_library("erfcl")(y))
        step = error / (2 / np.sqrt(PI) * np.exp(-y * y))
        y = np.where(np.isfinite(y), y - step / (1 + y * step), y)
    return np.copysign(np.where(size == 0, 0, y), x)


_NODES = 120  # of the midpoint rule below, exact in longdouble up to 50
_ANGLES = PI * (np.arange(_NODES) + LONG(0.5)) / _NODES


def _bessel(order: int) -> Function:
    """By the integral of exp(x cos t) sin(t)^(2 order) (DLMF 10.32.2), and the asymptotic series.
    """
    def function(x: np.ndarray) -> np.ndarray:
        size = np.abs(x)
        near = np.zeros_like(x)
        for angle in _ANGLES:
            weight = np.sin(angle) ** (2 * order)
            near += weight * np.exp(-2 * np.minimum(size, 50) * np.sin(angle / 2) ** 2)
        near *= (size if order else 1) / LONG(_NODES)
        total = term = np.ones_like(x)
        for k in range(1, 40):
            term = term * (((2 * k - 1) ** 2 - 4 * order**2) / (8 * k * np.maximum(size, 50)))
            total = total + term
        found = np.where(size < 50, near, total / np.sqrt(2 * PI * size))
        return np.copysign(found, x) if order else found
    return function


def _logistic(x: np.ndarray) -> np.ndarray:
    decayed = np.exp(-np.abs(x))
    return np.where(x < 0, decayed, 1) / (1 + decayed)


def _lgamma(x: np.ndarray) -> np.ndarray:
    found = _by_width(special.gammaln, _in_library("lgammal"))(x)
    return np.where((x <= 0) & (x == np.floor(x)), np.inf, found)


def _double_via_long(function: Function) -> Function:
    """A function of longdouble, also for float64."""
    return lambda x: function(x.astype(LONG)).astype(x.dtype)


REFERENCES: dict[str, Function] = {
    "exponential": np.exp, "exponential_minus_one": np.expm1, "log": np.log,
    "log_plus_one": np.log1p, "logistic": _logistic, "tanh": np.tanh, "sinh": np.sinh,
    "cosh": np.cosh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "sine": np.sin, "cosine": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "cbrt": np.cbrt,
    "erf": _by_width(special.erf, _in_library("erfl")),
    "erfc": _by_width(special.erfc, _in_library("erfcl")),
    "erf_inv": _by_width(special.erfinv, _erf_inverse),
    "lgamma": _lgamma, "digamma": _double_via_long(_digamma),
    "trigamma": _double_via_long(_trigamma),
    "bessel_i0e": _by_width(special.i0e, _bessel(0)),
    "bessel_i1e": _by_width(special.i1e, _bessel(1)),
    "power": np.power, "atan2": np.arctan2, "remainder": np.fmod,
}

def size_of_place(name: str, x: np.ndarray) -> np.ndarray | None:
    """The number whose last place is the unit of the error, where that is more than the result.

    lgamma and digamma have zeros that no formula in working precision can follow: there it is 1,
    and for negative numbers the value at |x|, which their reflection subtracts.
    """
    if name not in ("lgamma", "digamma"):
        return None
    mirror = truth(name, np.abs(x))
    mirror = np.where(np.isfinite(mirror) & (x < 0), np.abs(mirror), 1)
    return np.maximum(mirror, 1).astype(x.dtype)


def truth(name: str, *operands: np.ndarray) -> np.ndarray:
    """The function's values, more precise than the operands' dtype."""
    wide = np.float64 if operands[0].dtype == np.float32 else LONG
    with np.errstate(all="ignore"):
        return REFERENCES[name](*(x.astype(wide) for x in operands))


def has_long_double() -> bool:
    """Whether longdouble is wider than float64 by enough."""
    return np.finfo(LONG).nmant >= 63


_SPECIAL = (0, 1, 0.5, 2, np.inf, math.pi, 88.72, 88.73, 103.9, 104.1, 709.78, 745.1, 745.2, 1e5,
            1e15, 1e30, 0.25, 0.75, 1.5, 3, 1e9)


def points(dtype: type, low: float, high: float, count: int = 40_000) -> np.ndarray:
    """Special values, an interval, all magnitudes, random bits, and the neighbours of multiples of
    pi/2, of whole numbers and of 1."""
    random, info = np.random.default_rng(7), np.finfo(dtype)
    near = np.array([*_SPECIAL, info.tiny, info.smallest_subnormal, info.max], dtype)
    integer = f"i{np.dtype(dtype).itemsize}"
    bits = random.integers(np.iinfo(integer).min, np.iinfo(integer).max, count, dtype=integer)
    sizes = 10.0 ** random.uniform(-8, 1, count) * random.choice([-1, 1], count)
    multiples = np.concatenate([np.arange(1, 400), np.rint(2.0 ** random.uniform(8, 40, 2000))])
    whole = np.arange(-40, 41)
    beside_one = 1 - 2.0 ** -random.uniform(1, info.nmant, count // 8)
    parts = [near, -near, [dtype(np.nan)], random.uniform(low, high, count), sizes,
             (multiples * PI / 2).astype(dtype), (whole / 2).astype(dtype), beside_one, -beside_one]
    found = np.concatenate([np.asarray(part, dtype) for part in parts])
    steps = [found, np.nextafter(found[:3000], dtype(np.inf)), bits.view(dtype),
             np.nextafter((whole / 2).astype(dtype), dtype(np.inf)),
             np.nextafter((whole / 2).astype(dtype), dtype(-np.inf))]
    return np.concatenate(steps)
