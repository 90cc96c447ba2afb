"""The logarithm of the gamma function and its first two derivatives.

All three are a polynomial for sizes from 1 to 5/2 and, beyond, a series in 1 / h^2 where
h = x - 1/2 (around h the asymptotic series has half the terms that it has around x). Smaller sizes
are moved up by 1, and negative numbers are reflected, which is done only where there are some.
float lanes are computed in double, with shorter polynomials.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from arraylib.backends.cpu.emitter import Reg, scalar
from arraylib.backends.cpu.math.coefficients import (
    DIGAMMA_CENTRE,
    DIGAMMA_TAIL,
    LGAMMA_CENTRE,
    LGAMMA_TAIL,
    TRIGAMMA_CENTRE,
    TRIGAMMA_TAIL,
)
from arraylib.backends.cpu.math.floats import constant, narrow, series, widen
from arraylib.backends.cpu.math.logarithm import log, log_pair
from arraylib.backends.cpu.math.pairs import (
    Pair,
    ordered_sum,
    pair_times,
    quotient,
    single,
    two_product,
    two_sum,
)
from arraylib.backends.cpu.math.trigonometric import (
    sine_pair,
    tangent_pair,
)
from arraylib.record import record

_PI_REST = 1.2246467991473532e-16
_PI_SQUARE = (9.869604401089358, 6.265295508739711e-16)
_HALF_LOG_2_PI = 0.9189385332046728
# The zero of digamma, less 1.
_ROOT = (0.46163214496836236, -1.5522348162858677e-17)


@record
class _Size:
    """|x| and what the three functions ask of it; t = y - 2 where y is |x|, or |x| + 1 below 1."""

    x: Reg
    size: Reg
    below: Reg  # |x| < 1
    large: Reg  # |x| >= 5/2
    t: Reg
    h: Reg  # |x| - 1/2


def _in_double(function: Callable[[Reg, str], Reg], x: Reg) -> Reg:
    """The function of double lanes; the second operand says which polynomials are enough."""
    if scalar(x.type) == "float":
        return narrow(function(widen(x), "float"))
    return function(x, "double")


def _size_of(x: Reg) -> _Size:
    function = x.function
    size = function.absolute(x)
    below = function.compare("olt", size, 1.0)
    t = function.select(below, size - 1.0, size - 2.0)
    return _Size(x, size, below, function.compare("oge", size, 2.5), t, size - 0.5)


def _log(x: Reg, precision: str) -> Pair:
    """The logarithm, with what it lacks where that counts."""
    return log_pair(x) if precision == "double" else single(log(x))


def _with_negative(x: Reg, value: Reg, reflect: Callable[[], Reg]) -> Reg:
    """`value`, but `reflect()` in the lanes where x < 0, if there are any."""
    function = x.function
    negative = function.compare("olt", x, 0.0)
    return function.conditional(
        function.any(negative),
        lambda: [function.select(negative, reflect(), value)], [value])[0]


def _from_whole(size: Reg) -> Reg:
    """The distance from the nearest whole number, exactly."""
    return size - size.function.intrinsic("llvm.rint", size)


def lgamma(x: Reg) -> Reg:
    """log |gamma(x)|, inf at the poles."""
    return _in_double(_lgamma, x)


def _lgamma(x: Reg, precision: str) -> Reg:
    function, at = x.function, _size_of(x)
    select = function.select
    other = select(at.below, at.size, at.size - 1.0)  # t + 1, exactly
    # Its zeros at 1 and 2 are positive ones.
    centre = at.t * other * series(at.t, LGAMMA_CENTRE[precision]) + 0.0
    logarithm, below = _log(select(at.large, at.h, at.size), precision)
    inverse = 1.0 / at.h
    rest = function.fma(
        inverse, series(inverse * inverse, LGAMMA_TAIL[precision]), _HALF_LOG_2_PI)
    rest = function.fma(at.h, below, rest)
    above = select(at.large, function.fma(at.h, logarithm - 1.0, rest), centre)
    value = select(at.below, centre - logarithm, above)
    value = select(function.compare("oeq", at.size, math.inf), math.inf, value)

    def reflected() -> Reg:
        # log((pi / sin(pi |x|))^2 / |x|^2) / 2 - lgamma(|x|), or, below 1, without |x|
        distance = _from_whole(at.size)
        factor = select(at.below, 1.0, at.size)
        high, low = quotient(_square_of_inverse_sine(distance), two_product(factor, factor))
        total, rest = log_pair(high)
        total, error = two_sum(total * 0.5, -above)
        found = total + (error + 0.5 * (rest + low / high))
        # The square of a very small sine may overflow.
        found = select(function.compare("olt", at.size, 2.0**-60), -logarithm, found)
        return select(_is_pole(at, distance), math.inf, found)
    return _with_negative(x, value, reflected)


def digamma(x: Reg) -> Reg:
    """The derivative of lgamma; nan at the poles, which it has with either sign."""
    return _in_double(_digamma, x)


def _digamma(x: Reg, precision: str) -> Reg:
    function, at = x.function, _size_of(x)
    select, (root, lower) = function.select, _ROOT
    distance = select(at.below, at.size - root, at.size - 1.0 - root) - lower
    centre = distance * series(at.t, DIGAMMA_CENTRE[precision])
    inverse = 1.0 / select(at.large, at.h, at.size)
    square = inverse * inverse
    logarithm, low = _log(at.h, precision)
    tail = logarithm + function.fma(square, series(square, DIGAMMA_TAIL[precision]), low)
    above = select(at.large, tail, centre)
    value = select(at.below, centre - inverse, above)
    value = select(function.compare("oeq", x, 0.0), math.nan, value)

    def reflected() -> Reg:
        # digamma(1 + |x|) + pi / tan(pi |x|)
        distance = _from_whole(at.size)
        high, low = pair_times(_cotangent(distance), (constant(x, math.pi), constant(x, _PI_REST)))
        moved, rest = two_sum(above, select(at.below, 0.0, 1.0 / at.size))
        total, error = two_sum(high, moved)
        found = total + (error + rest + low)
        found = select(function.compare("olt", at.size, 2.0**-60), inverse, found)
        return select(_is_pole(at, distance), math.nan, found)
    return _with_negative(x, value, reflected)


def trigamma(x: Reg) -> Reg:
    """The derivative of digamma; inf at the poles."""
    return _in_double(_trigamma, x)


def _trigamma(x: Reg, precision: str) -> Reg:
    function, at = x.function, _size_of(x)
    select = function.select
    centre = series(at.t, TRIGAMMA_CENTRE[precision])
    inverse = 1.0 / at.h
    square = inverse * inverse
    tail = function.fma(inverse * square, series(square, TRIGAMMA_TAIL[precision]), inverse)
    above = select(at.large, tail, centre)
    # 1 / x^2 by way of 1 / x: the square may be too small.
    root = 1.0 / at.size
    step = root * root
    step = function.fma(step, 2.0 * function.fma(-root, at.size, 1.0), step)
    step = select(function.compare("olt", at.size, 2.0**-512), math.inf, step)
    value = select(at.below, centre + step, above)

    def reflected() -> Reg:
        # (pi / sin(pi |x|))^2 - trigamma(1 + |x|)
        distance = _from_whole(at.size)
        high, low = _square_of_inverse_sine(distance)
        found = high + (low - select(at.below, above, above - step))
        found = select(function.compare("olt", at.size, 2.0**-60), step, found)
        return select(_is_pole(at, distance), math.inf, found)
    return _with_negative(x, value, reflected)


def _is_pole(at: _Size, distance: Reg) -> Reg:
    """Whether the number is whole or infinite."""
    function = distance.function
    return function.compare("oeq", distance, 0.0) | function.compare("oeq", at.size, math.inf)


def _cotangent(distance: Reg) -> Pair:
    """1 / tan(pi d) for |d| <= 1/2, from the tangent of pi |d| or of pi (1/2 - |d|)."""
    function, fma = distance.function, distance.function.fma
    size = function.absolute(distance)
    swapped = function.compare("ogt", size, 0.25)
    size = function.select(swapped, 0.5 - size, size)
    angle, rest = two_product(size, constant(size, math.pi))
    high, low = tangent_pair((angle, fma(size, constant(size, _PI_REST), rest)))
    one, zero = constant(size, 1.0), constant(size, 0.0)
    top = function.select(swapped, high, one), function.select(swapped, low, zero)
    bottom = function.select(swapped, one, high), function.select(swapped, zero, low)
    high, low = quotient(top, bottom)
    negative = function.compare("olt", distance, 0.0)
    return function.select(negative, -high, high), function.select(negative, -low, low)


def _square_of_inverse_sine(distance: Reg) -> Pair:
    """(pi / sin(pi d))^2 for |d| <= 1/2, from the sine or the cosine, whichever is small."""
    function, fma = distance.function, distance.function.fma
    size = function.absolute(distance)
    swapped = function.compare("ogt", size, 0.25)
    size = function.select(swapped, 0.5 - size, size)
    pi = constant(size, math.pi)
    angle, rest = two_product(size, pi)
    high, low = sine_pair((angle, fma(size, constant(size, _PI_REST), rest)))
    square, error = two_product(high, high)
    error = fma(high + high, low, error)
    other, lost = ordered_sum(constant(size, 1.0), -square)
    below = (function.select(swapped, other, square),
             function.select(swapped, lost - error, error))
    return quotient((constant(size, _PI_SQUARE[0]), constant(size, _PI_SQUARE[1])), below)
