"""log, log1p and the inverse hyperbolic functions.

log(1 + f) is f - f^2 / 2 + a rest, which is a polynomial of f for float; for double the series in
s = f / (2 + f) needs a third of the terms and a division. The arrangement that loses no digits is
the one of fdlibm's `e_log.c` (Sun Microsystems, 1993).
"""

from __future__ import annotations

import math

from arraylib.backends.cpu.emitter import Reg, scalar
from arraylib.backends.cpu.math.coefficients import LOGARITHM, LOGARITHM_NEAR, LOGARITHM_PAIR
from arraylib.backends.cpu.math.floats import (
    constant,
    format_of,
    multiply_power_of_two,
    polynomial,
    split_exponent,
)
from arraylib.backends.cpu.math.pairs import (
    Pair,
    ordered_sum,
    pair_plus,
    pair_times,
    quotient,
    root,
    single,
    two_product,
    two_sum,
)

# log(2) in two parts, the first exact in products with an exponent.
_LOG_2 = {"float": (6.9313812256e-01, 9.0580006145e-06),
          "double": (6.93147180369123816490e-01, 1.90821492927058770002e-10)}
# Squares overflow above this, and sqrt(x^2 + 1) is x long before.
_LARGE = {"float": 1e9, "double": 1e100}
_TWO_THIRDS_REST = 2.0**-54 / 1.5  # what 2/3, correctly rounded, lacks
_SQRT_HALF = math.sqrt(0.5)


def _log_of_parts(k: Reg, f: Reg) -> Reg:
    """log((1 + f) 2^k) for sqrt(1/2) <= 1 + f < sqrt(2)."""
    fma = k.function.fma
    high, low = _LOG_2[scalar(k.type)]
    square = f * f
    half_square = square * 0.5
    if scalar(k.type) == "float":
        tail = fma(square * f, polynomial(f, LOGARITHM_NEAR), k * low)
    else:
        s = f / (f + 2.0)
        z = s * s
        tail = fma(s, fma(z, polynomial(z, LOGARITHM), half_square), k * low)
    return fma(k, constant(k, high), f - (half_square - tail))


def _at_the_edges(x: Reg, zero: float, result: Reg) -> Reg:
    """-inf where x is `zero`, nan below it, inf at inf, nan at nan; elsewhere the result."""
    function = x.function
    inside = function.compare("ogt", x, zero) & function.compare("olt", x, math.inf)
    outside = function.select(function.compare("oeq", x, zero), -math.inf,
                              function.select(function.compare("olt", x, zero), math.nan, x))
    return function.select(inside, result, outside)


def _split(x: Reg) -> tuple[Reg, Reg]:
    """Positive x as m 2^k with sqrt(1/2) <= m < sqrt(2)."""
    function, format = x.function, format_of(x)
    tiny = function.compare("olt", x, format.smallest)
    shift = format.mantissa + 1
    m, k = split_exponent(function.select(tiny, x * 2.0**shift, x), _SQRT_HALF)
    return m, function.select(tiny, k - float(shift), k)


def log(x: Reg) -> Reg:
    """The natural logarithm."""
    m, k = _split(x)
    return _at_the_edges(x, 0.0, _log_of_parts(k, m - 1.0))


def log_pair(x: Reg) -> Pair:
    """log of positive double lanes to some 68 bits; of 0, inf and nan, as log says."""
    function, fma = x.function, x.function.fma
    m, k = _split(x)
    f = m - 1.0
    s = quotient(single(f), ordered_sum(constant(x, 2.0), f))
    square, error = two_product(s[0], s[0])
    z = ordered_sum(square, fma(s[0] + s[0], s[1], error))
    third, rest = ordered_sum(constant(x, 2 / 3), z[0] * polynomial(z[0], LOGARITHM_PAIR))
    cubic = pair_times(pair_times(s, z), (third, rest + _TWO_THIRDS_REST))
    high, low = pair_plus((s[0] + s[0], s[1] + s[1]), cubic)
    whole, part = _LOG_2["double"]
    total, error = two_sum(k * whole, high)
    total, low = ordered_sum(total, fma(k, constant(x, part), error + low))
    edge = function.compare("oeq", x, 0.0) | function.compare("ueq", x, math.inf)
    ends = function.select(function.compare("oeq", x, 0.0), -math.inf, x)
    return function.select(edge, ends, total), function.select(edge, 0.0, low)


def log_plus_one(x: Reg) -> Reg:
    """log(1 + x): the rounding error of the sum is carried along."""
    return _log_plus_one(x)


def _log_plus_one(x: Reg, low: Reg | None = None) -> Reg:
    """log(1 + x + low) where `low` is below the last place of x."""
    total, error = two_sum(constant(x, 1.0), x)
    m, k = split_exponent(total, _SQRT_HALF)
    error = error if low is None else error + low
    f = (m - 1.0) + multiply_power_of_two(error, -k)
    return x.function.copysign(_at_the_edges(x, -1.0, _log_of_parts(k, f)), x)


def asinh(x: Reg) -> Reg:
    """log(|x| + sqrt(x^2 + 1)) with the sign of x."""
    function = x.function
    size = function.absolute(x)
    large = function.compare("ogt", size, _LARGE[scalar(x.type)])
    square = size * size
    root = function.intrinsic("llvm.sqrt", square + 1.0)
    argument = function.select(large, size, size + square / (root + 1.0))
    return function.copysign(_plus_log_2(log_plus_one(argument), large), x)


def acosh(x: Reg) -> Reg:
    """log(x + sqrt(x^2 - 1)) = log1p(e + sqrt(e (e + 2))) with e = x - 1; nan below 1."""
    function = x.function
    large = function.compare("ogt", x, _LARGE[scalar(x.type)])
    excess = x - 1.0
    total, lost = two_sum(excess, constant(x, 2.0))
    product, error = two_product(excess, total)
    high, low = root((product, function.fma(excess, lost, error)))
    # Up to 1 below its last place matters, and the division by 0 of x = 1 must not.
    low = function.select(function.compare("ogt", product, 0.0), low, 0.0)
    argument, rest = two_sum(excess, high)
    argument = function.select(large, x, argument)
    rest = function.select(large, 0.0, rest + low)
    result = _plus_log_2(_log_plus_one(argument, rest), large)
    return function.select(function.compare("oge", x, 1.0), result, math.nan)


def _plus_log_2(result: Reg, mask: Reg) -> Reg:
    return result.function.select(mask, result + math.log(2.0), result)


def atanh(x: Reg) -> Reg:
    """Half of log((1 + x) / (1 - x)) = log1p(2 |x| / (1 - |x|)), with the sign of x."""
    function = x.function
    size = function.absolute(x)
    below, error = ordered_sum(constant(x, 1.0), -size)
    twice = size + size
    inverse = 1.0 / below
    ratio = twice * inverse
    # What the quotient lacks, to first order; of the infinite one nothing.
    product, rest = two_product(ratio, below)
    low = (((twice - product) - rest) - ratio * error) * inverse
    low = function.select(function.compare("olt", size, 1.0), low, 0.0)
    return function.copysign(_log_plus_one(ratio, low) * 0.5, x)
