"""erf, erfc, erfinv and the logarithm of gamma with its derivatives."""

from __future__ import annotations

import math

from arraylib.backends.cpu.emitter import Reg, scalar
from arraylib.backends.cpu.math.coefficients import (
    ERROR,
    ERROR_COMPLEMENT,
    ERROR_INVERSE,
    ERROR_INVERSE_TAIL,
    ERROR_TAIL,
)
from arraylib.backends.cpu.math.exponential import exponential_inside
from arraylib.backends.cpu.math.floats import (
    at_most,
    constant,
    each_lane,
    narrow,
    polynomial,
    square_error,
    widen,
)
from arraylib.backends.cpu.math.logarithm import log, log_plus_one
from arraylib.backends.cpu.math.trigonometric import tan

# erf is 1 to the last place from here on.
_ERF_IS_ONE = {"float": 4.0, "double": 6.0}
# erfc is 0 from here on.
_ERFC_IS_ZERO = {"float": 10.3, "double": 27.3}


def _erf_near(x: Reg) -> Reg:
    """erf for |x| < 0.9375: x + x p(x^2)."""
    return x.function.fma(x, polynomial(x * x, ERROR), x)


def erf(x: Reg) -> Reg:
    """A polynomial near 0, elsewhere 1 - exp(q(|x|)), with the sign of x."""
    function = x.function
    size = function.absolute(x)
    capped = at_most(size, _ERF_IS_ONE[scalar(x.type)])
    far = 1.0 - exponential_inside(polynomial(capped, ERROR_TAIL))
    central = function.compare("olt", size, 0.9375)
    return function.copysign(function.select(central, _erf_near(size), far), x)


def erfc(x: Reg) -> Reg:
    """1 - erf(x), relative to its own size also where it is tiny.

    Beyond 1/2 it is exp(-x^2) p((x - 4) / (x + 4)) / (1 + 2 x), after Shepherd and Laframboise
    (1981).
    """
    function = x.function
    size = at_most(function.absolute(x), _ERFC_IS_ZERO[scalar(x.type)])
    scaled = polynomial((size - 4.0) / (size + 4.0), ERROR_COMPLEMENT) / (size * 2.0 + 1.0)
    square = size * size
    lost = square_error(size, square)
    decay = exponential_inside(-square)
    far = function.fma(decay, -lost, decay) * scaled
    far = function.select(function.compare("olt", x, 0.0), 2.0 - far, far)
    return function.select(function.compare("olt", size, 0.5), 1.0 - _erf_near(x), far)


def erf_inv(x: Reg) -> Reg:
    """The inverse of erf: x times a polynomial of w = -log(1 - x^2) or of its root (Giles 2010)."""
    function = x.function
    size = function.absolute(x)
    w = -log_plus_one(-(x * x))
    # Near 1 the square loses digits that (1 - |x|) (1 + |x|) keeps.
    w = function.select(function.compare("ogt", size, 0.5), -log((1.0 - size) * (1.0 + size)), w)
    central = polynomial(at_most(w, 6.25), ERROR_INVERSE)
    tail = polynomial(function.intrinsic("llvm.sqrt", w) - 3.25, ERROR_INVERSE_TAIL)
    value = x * function.select(function.compare("olt", w, 6.25), central, tail)
    edge = function.copysign(math.inf, x)
    return function.select(function.compare("oeq", size, 1.0), edge, value)


def lgamma(x: Reg) -> Reg:
    """log |gamma(x)|, by the C library."""
    return each_lane("lgamma", x)


# Bernoulli numbers over their places: the asymptotic series of DLMF 5.11.2 and 5.15.8.
_DIGAMMA_SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
_TRIGAMMA_SERIES = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
_RECURRENCES = 10


def _series(x: Reg, coefficients: tuple[float, ...]) -> Reg:
    """sum of coefficients[k] x^k."""
    total = constant(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = x.function.fma(total, x, coefficient)
    return total


def digamma(x: Reg) -> Reg:
    """The derivative of lgamma: reflection, recurrence to x + 10, asymptotic series."""
    if scalar(x.type) == "float":
        return narrow(digamma(widen(x)))
    function = x.function
    mirrored = function.compare("olt", x, 0.5)
    y = function.select(mirrored, 1.0 - x, x)
    total = constant(x, 0.0)
    for _ in range(_RECURRENCES):
        total, y = total + 1.0 / y, y + 1.0
    inverse = 1.0 / y
    square = inverse * inverse
    value = log(y) - 0.5 * inverse - square * _series(square, _DIGAMMA_SERIES) - total
    angle = (x - function.intrinsic("llvm.rint", x)) * math.pi
    reflected = value - math.pi / tan(angle)
    result = function.select(mirrored, reflected, value)
    pole = function.compare("oeq", angle, 0.0) & function.compare("ole", x, 0.0)
    return function.select(pole, math.nan, result)


def trigamma(x: Reg) -> Reg:
    """The derivative of digamma, in the same way; inf at the poles."""
    if scalar(x.type) == "float":
        return narrow(trigamma(widen(x)))
    function = x.function
    mirrored = function.compare("olt", x, 0.5)
    y = function.select(mirrored, 1.0 - x, x)
    total = constant(x, 0.0)
    for _ in range(_RECURRENCES):
        total, y = total + 1.0 / (y * y), y + 1.0
    inverse = 1.0 / y
    square = inverse * inverse
    tail = inverse * square * _series(square, _TRIGAMMA_SERIES)
    value = total + (inverse + 0.5 * square) + tail
    # (pi / sin(pi x))^2 = pi^2 (1 + cot(pi x)^2)
    whole = function.intrinsic("llvm.rint", x)
    angle = (x - whole) * math.pi
    cotangent = 1.0 / tan(angle)
    reflected = math.pi**2 * (1.0 + cotangent * cotangent) - value
    result = function.select(mirrored, reflected, value)
    pole = function.compare("oeq", x, whole) & function.compare("ole", x, 0.0)
    return function.select(pole, math.inf, result)
