"""exp(-|x|) times the modified Bessel functions of order 0 and 1.

Near 0 a polynomial of (x/2)^2, whose terms are all positive as those of the power series are, times
exp(-|x|); beyond, a polynomial of 1 / |x| over the root of |x|.
"""

from __future__ import annotations

import math

from arraylib.backends.cpu.emitter import Reg, scalar
from arraylib.backends.cpu.math.coefficients import (
    BESSEL_ONE,
    BESSEL_ONE_TAIL,
    BESSEL_ZERO,
    BESSEL_ZERO_TAIL,
    Table,
)
from arraylib.backends.cpu.math.exponential import reduce_pair
from arraylib.backends.cpu.math.floats import (
    at_most,
    constant,
    multiply_power_of_two,
    polynomial,
    series,
)
from arraylib.backends.cpu.math.pairs import two_product, two_sum

# Up to here the power series.
_NEAR = 7.75
# What the polynomials beyond subtract from 1 / |x|: around the middle their terms are small.
_MIDDLE = 0.0646


def bessel_i0e(x: Reg) -> Reg:
    """exp(-|x|) I0(x)."""
    function = x.function
    size = function.absolute(x)
    near = _near(size, BESSEL_ZERO, 0)
    far = function.compare("ogt", size, _NEAR)
    return function.select(far, _tail(size, BESSEL_ZERO_TAIL), near)


def bessel_i1e(x: Reg) -> Reg:
    """exp(-|x|) I1(x), which is odd."""
    function = x.function
    size = function.absolute(x)
    near = _near(size, BESSEL_ONE, 1)
    far = function.compare("ogt", size, _NEAR)
    return function.copysign(
        function.select(far, _tail(size, BESSEL_ONE_TAIL), near), x)


def _near(size: Reg, table: Table, order: int) -> Reg:
    """exp(-x) (x/2)^order (1 + w p(w)) where w = (x/2)^2.

    The value is up to four times as sensitive as w, so that what rounding w loses counts: times
    the derivative of the value's logarithm, which is about 1 / (x/2 + 0.4 + 0.7 order).
    """
    fma = size.function.fma
    size = at_most(size, _NEAR)
    half = size * 0.5
    w, lost = two_product(half, half)
    *higher, last = table[scalar(size.type)]
    product, below = two_product(w, series(w, higher))
    inner, error = two_sum(product, constant(w, last))
    value = fma(w, inner, 1.0)
    error = fma(w, error + below, fma(w, inner, 1.0 - value))
    if order:
        value, low = two_product(value, half)
        error = fma(error, half, low)
    n, rest = reduce_pair(-size, lost / (half + (0.4 + 0.7 * order)))
    return multiply_power_of_two(value + fma(value, rest, error), n)


def _tail(size: Reg, table: Table) -> Reg:
    """p(1 / x - middle) / sqrt(x), less what the root and the quotient round off."""
    fma, inverse = size.function.fma, 1.0 / size
    top = polynomial(inverse - _MIDDLE, table)
    root = size.function.intrinsic("llvm.sqrt", size)
    found = top / root
    missing = fma(-found, root, top)
    excess = fma(-root, root, size) * 0.5
    better = fma(fma(missing, root, -(found * excess)), inverse, found)
    # At inf the corrections are inf less inf.
    return size.function.select(size.function.compare("olt", size, math.inf), better, found)
