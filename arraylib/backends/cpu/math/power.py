"""Powers and roots."""

from __future__ import annotations

import math

from arraylib.backends.cpu.emitter import Reg, scalar
from arraylib.backends.cpu.math.exponential import narrow_exponential, reduce_pair
from arraylib.backends.cpu.math.floats import (
    as_float,
    as_integer,
    at_least,
    at_most,
    format_of,
    multiply_power_of_two,
    widen,
)
from arraylib.backends.cpu.math.logarithm import log, log_pair
from arraylib.backends.cpu.math.pairs import Pair, two_product


def sqrt(x: Reg) -> Reg:
    """The square root, rounded once."""
    return x.function.intrinsic("llvm.sqrt", x)


def rsqrt(x: Reg) -> Reg:
    """1 / sqrt(x), with two roundings."""
    return 1.0 / sqrt(x)


def power(x: Reg, y: Reg) -> Reg:
    """x to the y: exp(y log|x|), float in double, double with a logarithm of 68 bits.

    The sign and the special values are IEEE 754's `pow`: 1 ** y and x ** 0 are 1, a negative x
    needs a whole y, and an odd y keeps the sign, also of zeros and infinities.
    """
    function = x.function
    size = function.absolute(x)
    if scalar(x.type) == "float":
        value = narrow_exponential(widen(y) * log(widen(size)))
    else:
        value = _exponential_of_product(y, log_pair(size))
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


def _exponential_of_product(y: Reg, logarithm: Pair) -> Reg:
    """exp(y * logarithm) for double lanes."""
    function = y.function
    # Of larger powers the sign alone matters, and the halves of the largest would overflow.
    y = at_most(at_least(y, -1e300), 1e300)
    high, low = two_product(y, logarithm[0])
    low = function.fma(y, logarithm[1], low)
    # Beyond these exp is 0 and inf; there the lower part may be anything, even nan.
    inside = function.compare("olt", function.absolute(high), 800.0)
    high = at_most(at_least(high, -800.0), 800.0)
    n, rest = reduce_pair(high, function.select(inside, low, 0.0))
    return multiply_power_of_two(rest + 1.0, n)


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
