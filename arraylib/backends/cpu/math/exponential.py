"""exp and the functions that are made of it: expm1, logistic, tanh, sinh, cosh."""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Reg, scalar
from arraylib.backends.cpu.math.coefficients import (
    EXPONENTIAL,
    HYPERBOLIC_SINE,
    HYPERBOLIC_TANGENT,
)
from arraylib.backends.cpu.math.floats import (
    at_least,
    at_most,
    constant,
    multiply_power_of_two,
    narrow,
    odd,
    polynomial,
    whole,
)
from arraylib.backends.cpu.math.pairs import ordered_sum

_LOG2_E = 1.4426950408889634
# log(2) in two parts; the first has so few bits that its product with an exponent is exact
# (the idea is Cody and Waite's).
_LOG_2 = {"float": (0.693145751953125, 1.42860682030941723e-6),
          "double": (6.93147180369123816490e-01, 1.90821492927058770002e-10)}
# Beyond these exp is 0 and inf, also when it is halved.
_EXP_RANGE = {"float": (-104.0, 90.0), "double": (-746.0, 711.0)}
# Beyond these expm1 is -1 and inf.
_EXPM1_RANGE = {"float": (-18.0, 89.0), "double": (-38.0, 710.0)}

# tanh of half of this rounds to 1.
_TANH_IS_ONE = {"float": 19.0, "double": 39.0}


def reduce_exponential(x: Reg) -> tuple[Reg, Reg]:
    """(n, exp(r) - 1) where x = n log(2) + r, n whole and |r| <= log(2) / 2."""
    fma = x.function.fma
    high, low = _LOG_2[scalar(x.type)]
    n, _ = whole(x, _LOG2_E)
    r = fma(n, constant(x, -low), fma(n, constant(x, -high), x))
    return n, fma(r * r, polynomial(r, EXPONENTIAL), r)


def reduce_pair(x: Reg, below: Reg) -> tuple[Reg, Reg]:
    """The same of x + below, where `below` is under the last place of x, with one rounding."""
    fma = x.function.fma
    high, low = _LOG_2[scalar(x.type)]
    n, _ = whole(x, _LOG2_E)
    r, error = ordered_sum(fma(n, constant(x, -high), x), fma(n, constant(x, -low), below))
    return n, r + fma(r * r, polynomial(r, EXPONENTIAL), error)


def exponential(x: Reg) -> Reg:
    """exp(x)."""
    function, (low, high) = x.function, _EXP_RANGE[scalar(x.type)]
    # Processors take a hundred cycles over a product too small for its format, and what masks hide
    # are such powers: they are not computed.
    remains = function.compare("uge", x, low)
    inside = function.select(remains, at_most(x, high), 0.0)
    return function.select(remains, exponential_inside(inside), 0.0)


def exponential_inside(x: Reg) -> Reg:
    """exp(x) for an x known not to lie far beyond where exp is 0 or inf."""
    n, rest = reduce_exponential(x)
    return multiply_power_of_two(rest + 1.0, n)


def narrow_exponential(x: Reg) -> Reg:
    """exp of double lanes as float lanes."""
    function, (low, high) = x.function, _EXP_RANGE["float"]
    remains = function.compare("uge", x, low)
    n, rest = reduce_exponential(function.select(remains, at_most(x, high), 0.0))
    return function.select(remains, multiply_power_of_two(narrow(rest + 1.0), narrow(n)), 0.0)


def _half_exponential(x: Reg) -> Reg:
    """exp(x) / 2 for x >= 0, which overflows later than exp(x) does."""
    n, rest = reduce_exponential(at_most(x, _EXP_RANGE[scalar(x.type)][1]))
    return multiply_power_of_two(rest + 1.0, n - 1.0)


def exponential_minus_one(x: Reg) -> Reg:
    """exp(x) - 1, without cancellation near 0."""
    function = x.function
    low, high = _EXPM1_RANGE[scalar(x.type)]
    n, rest = reduce_exponential(at_most(at_least(x, low), high))
    # 2^n (rest + 1) - 1, halved so that the largest n does not overflow too soon.
    half = multiply_power_of_two(constant(x, 0.5), n)
    scaled = function.fma(half, rest, half - 0.5)
    # For n = 0 the halves would lose the last bit of subnormals.
    result = function.select(function.compare("oeq", n, 0.0), rest, scaled + scaled)
    return function.copysign(result, x)


def logistic(x: Reg) -> Reg:
    """1 / (1 + exp(-x)), where exp(-x) = 2^n (1 + rest).

    With s = 2^-|n| it is s / (rest + s + 1) for n > 0 and 1 / (s rest + s + 1) elsewhere: nothing
    overflows, and only the last steps round.
    """
    function, (low, _) = x.function, _EXP_RANGE[scalar(x.type)]
    remains = function.compare("uge", x, low)
    # Beyond a power that is nothing beside 1 a smaller one need not be computed.
    inside = at_least(-x, -2 * _TANH_IS_ONE[scalar(x.type)])
    n, rest = reduce_exponential(function.select(remains, inside, 0.0))
    scale = multiply_power_of_two(constant(x, 1.0), -function.absolute(n))
    grows = function.compare("ogt", n, 0.0)
    total = function.fma(function.select(grows, 1.0, scale), rest, scale) + 1.0
    return function.select(remains, function.select(grows, scale, 1.0) / total, 0.0)


def tanh(x: Reg) -> Reg:
    """An odd polynomial near 0, elsewhere 1 - 2 / (exp(2 |x|) + 1) with the sign of x."""
    function = x.function
    size = function.absolute(x)
    n, rest = reduce_exponential(at_most(size + size, _TANH_IS_ONE[scalar(x.type)]))
    power = multiply_power_of_two(constant(x, 1.0), n)
    far = 1.0 - 2.0 / function.fma(power, rest, power + 1.0)
    near = function.compare("olt", size, 0.55)
    return function.copysign(
        function.select(near, odd(size, HYPERBOLIC_TANGENT), far), x)


def sinh(x: Reg) -> Reg:
    """An odd polynomial near 0, elsewhere (exp(|x|) - exp(-|x|)) / 2 with the sign of x."""
    function = x.function
    size = function.absolute(x)
    half = _half_exponential(size)
    near = function.compare("olt", size, 1.0)
    value = function.select(near, odd(size, HYPERBOLIC_SINE), half - 0.25 / half)
    return function.copysign(value, x)


def cosh(x: Reg) -> Reg:
    """(exp(|x|) + exp(-|x|)) / 2."""
    half = _half_exponential(x.function.absolute(x))
    return half + 0.25 / half
