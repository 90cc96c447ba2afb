"""exp and the functions that are made of it: expm1, logistic, tanh, sinh, cosh."""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Reg, scalar
from arraylib.backends.cpu.math.coefficients import (
    EXPONENTIAL,
    HYPERBOLIC_SINE,
    HYPERBOLIC_TANGENT,
)
from arraylib.backends.cpu.math.floats import (
    constant,
    limit,
    multiply_power_of_two,
    odd,
    polynomial,
    whole,
)

_LOG2_E = 1.4426950408889634
# log(2) in two parts; the first has so few bits that its product with an exponent is exact
# (the idea is Cody and Waite's).
_LOG_2 = {"float": (0.693145751953125, 1.42860682030941723e-6),
          "double": (6.93147180369123816490e-01, 1.90821492927058770002e-10)}
# Beyond these exp is 0 and inf, also when it is halved.
_EXP_RANGE = {"float": (-104.0, 90.0), "double": (-746.0, 711.0)}
# Beyond these expm1 is -1 and inf.
_EXPM1_RANGE = {"float": (-18.0, 89.0), "double": (-38.0, 710.0)}


def _reduce(x: Reg) -> tuple[Reg, Reg]:
    """(n, exp(r) - 1) where x = n log(2) + r, n whole and |r| <= log(2) / 2."""
    fma = x.function.fma
    high, low = _LOG_2[scalar(x.type)]
    n, _ = whole(x, _LOG2_E)
    r = fma(n, constant(x, -low), fma(n, constant(x, -high), x))
    return n, fma(r * r, polynomial(r, EXPONENTIAL), r)


def exponential(x: Reg, doublings: int = 0) -> Reg:
    """exp(x) * 2^doublings, without overflow in between."""
    n, rest = _reduce(limit(x, *_EXP_RANGE[scalar(x.type)]))
    return multiply_power_of_two(rest + 1.0, n + float(doublings) if doublings else n)


def exponential_minus_one(x: Reg) -> Reg:
    """exp(x) - 1, without cancellation near 0."""
    function = x.function
    n, rest = _reduce(limit(x, *_EXPM1_RANGE[scalar(x.type)]))
    # 2^n (rest + 1) - 1, halved so that the largest n does not overflow too soon.
    half = multiply_power_of_two(constant(x, 0.5), n)
    scaled = function.fma(half, rest, half - 0.5)
    # For n = 0 the halves would lose the last bit of subnormals.
    result = function.select(function.compare("oeq", n, 0.0), rest, scaled + scaled)
    return function.copysign(result, x)


def logistic(x: Reg) -> Reg:
    """1 / (1 + exp(-x)), in a form that is as exact for negative x as for positive x."""
    function = x.function
    decayed = exponential(-function.absolute(x))
    numerator = function.select(function.compare("olt", x, 0.0), decayed, 1.0)
    return numerator / (decayed + 1.0)


def tanh(x: Reg) -> Reg:
    """An odd polynomial near 0, elsewhere 1 - 2 / (exp(2 |x|) + 1)."""
    function = x.function
    size = function.absolute(x)
    far = 1.0 - 2.0 / (exponential(size + size) + 1.0)
    near = function.compare("olt", size, 0.625)
    return function.copysign(function.select(near, odd(size, HYPERBOLIC_TANGENT), far), x)


def sinh(x: Reg) -> Reg:
    """An odd polynomial near 0, elsewhere (exp(|x|) - exp(-|x|)) / 2 with the sign of x."""
    function = x.function
    size = function.absolute(x)
    half = exponential(size, doublings=-1)
    near = function.compare("olt", size, 1.0)
    value = function.select(near, odd(size, HYPERBOLIC_SINE), half - 0.25 / half)
    return function.copysign(value, x)


def cosh(x: Reg) -> Reg:
    """(exp(|x|) + exp(-|x|)) / 2."""
    half = exponential(x.function.absolute(x), doublings=-1)
    return half + 0.25 / half
