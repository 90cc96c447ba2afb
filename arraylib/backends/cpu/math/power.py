"""Powers, roots and the floating remainder."""

from __future__ import annotations

import math

from arraylib.backends.cpu.emitter import Reg, scalar
from arraylib.backends.cpu.math.exponential import narrow_exponential
from arraylib.backends.cpu.math.floats import (
    as_float,
    as_integer,
    each_lane,
    format_of,
    narrow,
    widen,
)
from arraylib.backends.cpu.math.logarithm import log


def sqrt(x: Reg) -> Reg:
    """The square root, rounded once."""
    return x.function.intrinsic("llvm.sqrt", x)


def rsqrt(x: Reg) -> Reg:
    """1 / sqrt(x), with two roundings."""
    return 1.0 / sqrt(x)


def power(x: Reg, y: Reg) -> Reg:
    """x to the y. float: exp(y log|x|) in double, which leaves one rounding; double: the C library.

    The sign and the special values are IEEE 754's `pow`: 1 ** y and x ** 0 are 1, a negative x
    needs a whole y, and an odd y keeps the sign, also of zeros and infinities.
    """
    if scalar(x.type) == "double":
        return each_lane("pow", x, y)
    function = x.function
    size = function.absolute(x)
    value = narrow_exponential(widen(y) * log(widen(size)))
    whole, odd = _whole_and_odd(y)
    negative = function.compare("slt", as_integer(x), 0)
    value = function.select(negative & odd, -value, value)
    finite_below = function.compare("olt", x, 0.0) & function.compare("one", size, math.inf)
    value = function.select(finite_below & ~whole, math.nan, value)
    one = function.compare("oeq", x, 1.0) | function.compare("oeq", y, 0.0)
    # (-1) ** inf is 1, where the product is 0 * inf.
    endless = function.compare("oeq", function.absolute(y), math.inf)
    one = one | (function.compare("oeq", size, 1.0) & endless)
    return function.select(one, 1.0, value)


def _whole_and_odd(y: Reg) -> tuple[Reg, Reg]:
    """Masks: y is a whole number (as every infinite and every large y is); it is odd as well."""
    function = y.function
    half = y * 0.5
    whole = function.compare("oeq", function.intrinsic("llvm.floor", y), y)
    half_whole = function.compare("oeq", function.intrinsic("llvm.floor", half), half)
    return whole, whole & ~half_whole


# Added to a third of the bits of x, this gives the bits of a first guess of its cube root.
_CBRT_BITS = {"float": 709921077, "double": 715094163 << 32}


def cbrt(x: Reg) -> Reg:
    """The real cube root: a guess from the bits, then Halley's iteration, thrice as good a turn."""
    function, element = x.function, scalar(x.type)
    format = format_of(x)
    size = function.absolute(x)
    tiny = function.compare("olt", size, 8 * format.smallest)
    scale = 3 * ((format.mantissa + 3) // 3)
    a = function.select(tiny, size * 2.0**scale, size)
    guess = as_float(as_integer(a).udiv(3) + _CBRT_BITS[element], x)
    quarter = a * 0.25  # the sum below would overflow otherwise
    for _ in range(2 if element == "float" else 3):
        cube = guess * guess * (guess * 0.25)
        guess = guess - guess * ((cube - quarter) / (cube + cube + quarter))
    guess = function.select(tiny, guess * 2.0 ** -(scale // 3), guess)
    special = function.compare("oeq", size, 0.0) | function.compare("ueq", size, math.inf)
    return function.copysign(function.select(special, x, guess), x)


# Below this quotient, every step of the short way is exact in double.
_SHORT_QUOTIENT = 2.0**24


def remainder(x: Reg, y: Reg) -> Reg:
    """C's fmod: x - trunc(x / y) y, exactly, with the sign of x.

    float lanes with a quotient below 2^24 are done in double, where quotient and product are exact;
    registers with another lane, and double, go to the C library.
    """
    if scalar(x.type) == "double":
        return each_lane("fmod", x, y)
    function = x.function
    numerator, divisor = widen(x), widen(y)
    quotient = function.intrinsic("llvm.trunc", numerator / divisor)
    rest = function.copysign(narrow(numerator - quotient * divisor), x)
    # A smaller x is the remainder; the product would be nan for an infinite y.
    rest = function.select(function.compare("oeq", quotient, 0.0), x, rest)
    short = function.compare("olt", function.absolute(quotient), _SHORT_QUOTIENT)
    return function.conditional(
        function.any(~short), lambda: [each_lane("fmod", x, y)], [rest])[0]
