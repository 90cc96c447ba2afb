"""Exponentials, logarithms, powers and the functions made of them, of complex numbers.

exp, sinh and their kin multiply real functions of the two parts. Exponentials stay as a mantissa
and a power of two until the end, so that nothing overflows which the other factor makes small.
A logarithm is that of |x|^2, whose rounding error is added: near 1 that is most of the result.
"""

from __future__ import annotations

import math

from arraylib.backends.cpu.complex.arithmetic import (
    Parts,
    choose,
    either,
    is_infinite,
    is_nan,
    is_single,
    is_zero,
    largest_part,
    number,
    parts,
    quotient,
    size_of,
    times_with_limits,
    with_limits,
)
from arraylib.backends.cpu.emitter import Reg, scalar
from arraylib.backends.cpu.math import arcs, logarithm
from arraylib.backends.cpu.math.coefficients import HYPERBOLIC_SINE
from arraylib.backends.cpu.math.exponential import (
    exponential_minus_one as real_expm1,
    reduce_exponential,
    reduce_pair,
)
from arraylib.backends.cpu.math.floats import (
    at_least,
    at_most,
    constant,
    multiply_power_of_two,
    narrow,
    odd,
    widen,
)
from arraylib.backends.cpu.math.pairs import Pair, two_product, two_sum
from arraylib.backends.cpu.math.power import cbrt as real_cbrt
from arraylib.backends.cpu.math.trigonometric import cosine as real_cosine, sine as real_sine

# Below the first exp is 0; above the second its product with the smallest number is inf.
_RANGE = {"float": (-104.0, 197.0), "double": (-746.0, 1460.0)}
# Taken out of the power of two first: on some targets that has twice a float's exponent at most.
_SPARE = {"float": 32, "double": 64}
_LEAST = {"float": 120.0, "double": 1000.0}  # powers of two whose squares' inverses are 0
# log(2) in two parts; the first has so few bits that 600 times it is exact.
_LOG_2 = 6.93147180369123816490e-01, 1.90821492927058770002e-10


# -- exponentials ----------------------------------------------------------------------------------


def _exponential(x: Reg, below: Reg | None = None) -> tuple[Reg, Reg]:
    """(m, n): exp(x + below) is m 2^n, as far as its product with any number matters."""
    low, high = _RANGE[scalar(x.type)]
    inside = at_most(at_least(x, low), high)
    n, rest = reduce_exponential(inside) if below is None else reduce_pair(inside, below)
    return rest + 1.0, n


def _raised(x: Reg, factor: Reg, n: Reg) -> Reg:
    """x factor 2^n."""
    spare = _SPARE[scalar(x.type)]
    return multiply_power_of_two(x * (factor * 2.0**spare), n - float(spare))


def _is_nowhere(x: Reg) -> Reg:
    """Whether an angle has no direction: nan, inf."""
    return ~x.function.compare("olt", x.function.absolute(x), math.inf)


def exponential(x: Reg) -> Reg:
    """exp(a) (cos b + i sin b)."""
    return number(*_exp(parts(x)))


def _exp(x: Parts, below: Reg | None = None) -> Parts:
    """As C99 has it: of an infinite real part the size is known in any direction.

    `below` is what the real part has under its last place.
    """
    f, (a, b) = x[0].function, x
    m, n = _exponential(a, below)
    real, imag = (_raised(m, turn(b), n) for turn in (real_cosine, real_sine))
    imag = f.select(is_zero(b), b, imag)
    nowhere = _is_nowhere(b)
    real = f.select(f.compare("oeq", a, math.inf) & nowhere, math.inf, real)
    return choose(f.compare("oeq", a, -math.inf) & nowhere, (0.0, 0.0), (real, imag))


def exponential_minus_one(x: Reg) -> Reg:
    """exp(x) - 1, of which the real part is expm1(a) cos b - 2 sin(b / 2)^2 for small a."""
    f, (a, b) = x.function, parts(x)
    real, imag = _exp((a, b))
    half = real_sine(b * 0.5)
    near = real_expm1(a) * real_cosine(b) - (half + half) * half
    far = f.compare("ogt", f.absolute(a), 1.0) & (is_infinite(a) | ~_is_nowhere(b))
    return number(f.select(far, real - 1.0, near), imag)


def logistic(x: Reg) -> Reg:
    """1 / (1 + exp(-x)), or exp(x) / (1 + exp(x)): of the two the one that does not overflow."""
    f, (a, b) = x.function, parts(x)
    left = f.compare("olt", a, 0.0)
    real, imag = _exp((-f.absolute(a), f.select(left, b, -b)))
    above = choose(left, (real, imag), (constant(a, 1.0), constant(a, 0.0)))
    return number(*quotient(above, (real + 1.0, imag)))


# -- trigonometric and hyperbolic ------------------------------------------------------------------


def _hyperbolic(x: Reg) -> tuple[Reg, Reg, Reg, Reg]:
    """(s, c, n, t): sinh(x) is s 2^n, cosh(x) is c 2^n and t^2 is 4^-n, as far as it is not 0."""
    f, size = x.function, x.function.absolute(x)
    m, n = _exponential(size)
    down = multiply_power_of_two(constant(x, 1.0), -at_most(n, _LEAST[scalar(x.type)]))
    rest = down * down / m
    near = f.compare("olt", size, 1.0)
    sine = f.select(near, odd(size, HYPERBOLIC_SINE) * down, (m - rest) * 0.5)
    return f.copysign(sine, x), (m + rest) * 0.5, n, down


def _sinh(x: Parts) -> Parts:
    """sinh a cos b + i cosh a sin b."""
    f, (a, b) = x[0].function, x
    s, c, n, _ = _hyperbolic(a)
    real, imag = _raised(s, real_cosine(b), n), _raised(c, real_sine(b), n)
    real = f.select(is_infinite(a) & _is_nowhere(b), math.inf, f.select(is_zero(a), a, real))
    return real, f.select(is_zero(b), b, imag)


def _cosh(x: Parts) -> Parts:
    """cosh a cos b + i sinh a sin b."""
    f, (a, b) = x[0].function, x
    s, c, n, _ = _hyperbolic(a)
    real, imag = _raised(c, real_cosine(b), n), _raised(s, real_sine(b), n)
    nowhere = _is_nowhere(b)
    real = f.select(is_infinite(a) & nowhere, math.inf, real)
    on_axis = is_zero(b) | is_zero(a) & nowhere
    return real, f.select(on_axis, f.copysign(f.copysign(0.0, b), _product_sign(a, b)), imag)


def _product_sign(a: Reg, b: Reg) -> Reg:
    """A number with the sign of a times b, whatever they are."""
    return a.function.copysign(1.0, a) * a.function.copysign(1.0, b)


def _tanh(x: Parts) -> Parts:
    """(sinh a cosh a + i sin b cos b) / (sinh(a)^2 + cos(b)^2)."""
    f, (a, b) = x[0].function, x
    s, c, _, down = _hyperbolic(a)
    sine, cosine, squared = real_sine(b), real_cosine(b), down * down
    below = s * s + cosine * cosine * squared
    real, imag = s * c / below, sine * cosine * squared / below
    far = is_zero(squared) & ~_is_nowhere(b) & ~is_nan(a) | is_infinite(a)
    nothing = f.copysign(f.copysign(0.0, b), sine * cosine)
    real = f.select(far, f.copysign(1.0, a), f.select(is_zero(a), a, real))
    return real, f.select(far, nothing, f.select(is_zero(b), b, imag))


def sinh(x: Reg) -> Reg:
    return number(*_sinh(parts(x)))


def cosh(x: Reg) -> Reg:
    return number(*_cosh(parts(x)))


def tanh(x: Reg) -> Reg:
    return number(*_tanh(parts(x)))


def sine(x: Reg) -> Reg:
    """-i sinh(i x): that of b + i a, with its parts exchanged."""
    a, b = parts(x)
    imag, real = _sinh((b, a))
    return number(real, imag)


def cosine(x: Reg) -> Reg:
    """cosh(i x): that of b + i a, conjugated."""
    a, b = parts(x)
    real, imag = _cosh((b, a))
    return number(real, -imag)


def tan(x: Reg) -> Reg:
    """-i tanh(i x)."""
    a, b = parts(x)
    imag, real = _tanh((b, a))
    return number(real, imag)


# -- logarithms and powers -------------------------------------------------------------------------


def _square_size(high: Reg, low: Reg | None, b: Reg) -> tuple[Reg, Reg, Reg]:
    """(s, e, k): |high + low + i b|^2 of double lanes is (s + e) 4^k."""
    f = high.function
    # Halves of the range are exact: the logarithm of their square gives back twice the exponent.
    size = largest_part((high, b))
    large, small = f.compare("ogt", size, 2.0**500), f.compare("olt", size, 2.0**-480)
    factor = f.select(large, constant(b, 2.0**-600), f.select(small, constant(b, 2.0**600), 1.0))
    shift = f.select(large, constant(b, 600.0), f.select(small, constant(b, -600.0), 0.0))
    scaled, height = high * factor, b * factor
    (first, error_1), (second, error_2) = two_product(scaled, scaled), two_product(height, height)
    total, error = two_sum(first, second)
    error = error + (error_1 + error_2)
    if low is not None:
        error = error + low * (scaled + scaled)
    matters = f.compare("ogt", total, 0.5) & f.compare("olt", total, 2.0)
    endless = either((high, b), is_infinite)
    return f.select(endless, math.inf, total), f.select(matters, error, 0.0), shift


def _log_size(high: Reg, low: Reg | None, b: Reg) -> Reg:
    """log|high + low + i b| of double lanes."""
    total, error, shift = _square_size(high, low, b)
    return (logarithm.log(total) + error) * 0.5 + shift * math.log(2)


def _log_size_pair(a: Reg, b: Reg) -> Pair:
    """log|a + i b| of double lanes, to some 68 bits."""
    total, error, shift = _square_size(a, None, b)
    high, low = logarithm.log_pair(total)
    first, rest = two_sum(high * 0.5, shift * _LOG_2[0])
    return first, rest + ((low + error) * 0.5 + shift * _LOG_2[1])


def log_of(x: Parts) -> Parts:
    """log|x| + i arg(x)."""
    a, b = x
    if is_single(a):
        return narrow(_log_size(widen(a), None, widen(b))), arcs.atan2(b, a)
    return _log_size(a, None, b), arcs.atan2(b, a)


def log(x: Reg) -> Reg:
    """The principal logarithm."""
    return number(*log_of(parts(x)))


def log_plus_one(x: Reg) -> Reg:
    """log(1 + x); near 0 to the last places of |x|."""
    a, b = parts(x)
    wide, height = (widen(a), widen(b)) if is_single(a) else (a, b)
    high, low = two_sum(constant(wide, 1.0), wide)
    real = _log_size(high, low, height)
    if not is_single(a):
        return number(real, arcs.atan2(b, high))
    return number(narrow(real), narrow(arcs.atan2(height, high)))


def power(x: Reg, y: Reg) -> Reg:
    """exp(y log x); x^0 is 1, x^1 is x, and 0 has positive powers only.

    complex64 is computed in double, complex128 with more than its bits in what is exponentiated.
    """
    base, exponent = parts(x), parts(y)
    if is_single(base[0]):
        wide = [(widen(a), widen(b)) for a, b in (base, exponent)]
        real, imag = map(narrow, _exp(times_with_limits(wide[1], log_of(wide[0]))))
    else:
        real, imag = _exp(*_log_times(base, exponent))
    f, (c, d) = real.function, exponent
    is_real = is_zero(d)
    limit = f.select(f.compare("ogt", c, 0.0) & is_real, constant(c, 0.0), math.nan)
    found = choose(is_zero(base[0]) & is_zero(base[1]), (limit, limit), (real, imag))
    found = choose(f.compare("oeq", c, 1.0) & is_real, base, found)
    return number(*choose(is_zero(c) & is_real, (1.0, 0.0), found))


def _log_times(x: Parts, y: Parts) -> tuple[Parts, Reg]:
    """y log x of double lanes, and what its real part has under its last place."""
    (high, low), angle, (c, d) = _log_size_pair(*x), arcs.atan2(x[1], x[0]), y
    product, error = two_product(c, high)
    real, rest = two_sum(product, -(d * angle))
    below = rest + (error + c * low)
    # Beyond the range of exp nothing below matters.
    f = real.function
    matters = f.compare("olt", f.absolute(real), _RANGE["double"][1])
    limited = with_limits(y, (high, angle), (real, c * angle + d * high))
    return limited, f.select(matters, below, 0.0)


def cbrt(x: Reg) -> Reg:
    """The principal root: of the absolute value, turned by a third of the angle."""
    a, b = parts(x)
    single = is_single(a)
    a, b = (widen(a), widen(b)) if single else (a, b)
    size, angle = real_cbrt(size_of((a, b))), arcs.atan2(b, a) / 3.0
    found = size * real_cosine(angle), size * real_sine(angle)
    return number(*map(narrow, found)) if single else number(*found)
