"""erf, erfc and the inverse of erf."""

from __future__ import annotations

import math

from arraylib.backends.cpu.emitter import Reg, scalar
from arraylib.backends.cpu.math.coefficients import (
    ERROR,
    ERROR_COMPLEMENT,
    ERROR_INVERSE,
    ERROR_INVERSE_TAIL,
    ERROR_TAIL,
    Table,
)
from arraylib.backends.cpu.math.erf_inverse import can_look_up, erf_inv_by_octaves
from arraylib.backends.cpu.math.exponential import exponential_inside, reduce_pair
from arraylib.backends.cpu.math.floats import (
    at_most,
    constant,
    multiply_power_of_two,
    polynomial,
    series,
)
from arraylib.backends.cpu.math.logarithm import log, log_plus_one
from arraylib.backends.cpu.math.pairs import Pair, ordered_sum, quotient, two_product

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
    (1981), with what the last steps round off carried to the end.
    """
    function, fma = x.function, x.function.fma
    size = at_most(function.absolute(x), _ERFC_IS_ZERO[scalar(x.type)])
    place = (size - 4.0) / (size + 4.0)
    *higher, last = ERROR_COMPLEMENT[scalar(x.type)]
    top, top_low = ordered_sum(constant(x, last), place * series(place, higher))
    bottom = fma(size, constant(x, 2.0), 1.0)
    lost = fma(size, constant(x, 2.0), 1.0 - bottom)
    scaled, scaled_low = quotient((top, top_low), (bottom, lost))
    square, square_low = two_product(size, size)
    n, rest = reduce_pair(-square, -square_low)
    far = multiply_power_of_two(scaled + fma(scaled, rest, scaled_low), n)
    far = function.select(function.compare("olt", x, 0.0), 2.0 - far, far)
    return function.select(function.compare("olt", size, 0.5), 1.0 - _erf_near(x), far)


def _polynomial_pair(x: Reg, table: Table) -> Pair:
    """Horner's rule, with what its last step rounds off."""
    *higher, last = table[scalar(x.type)]
    rest = series(x, higher)
    total = x.function.fma(x, rest, last)
    return total, x.function.fma(x, rest, last - total)


def erf_inv(x: Reg) -> Reg:
    """The inverse of erf: x times a polynomial of w = -log(1 - x^2) or of its root (Giles 2010)."""
    if can_look_up(x):
        return erf_inv_by_octaves(x)
    function = x.function
    size = function.absolute(x)
    w = -log_plus_one(-(x * x))
    # Near 1 the square loses digits that (1 - |x|) (1 + |x|) keeps.
    w = function.select(function.compare("ogt", size, 0.5), -log((1.0 - size) * (1.0 + size)), w)
    central = _polynomial_pair(at_most(w, 6.25) - 3.125, ERROR_INVERSE)
    distance = function.intrinsic("llvm.sqrt", w)
    high, low = _polynomial_pair(distance - 3.25, ERROR_INVERSE_TAIL)
    if scalar(x.type) == "double":  # what the root lacks, times the slope of some 1
        low = low + function.fma(-distance, distance, w) / (distance + distance)
    tail = high, low
    is_central = function.compare("olt", w, 6.25)
    high, low = (function.select(is_central, c, t) for c, t in zip(central, tail, strict=True))
    value = function.fma(size, high, size * low)
    value = function.select(function.compare("oeq", size, 1.0), math.inf, value)
    return function.copysign(value, x)
