"""Special functions in double precision, from their series: the meanings of CHLO's operations.

Functions of Python floats where branches lead to loops, of arrays elsewhere.
"""

import math
from typing import Any

import numpy as np

from arraylib.hlo.ops.numeric import scalarwise

TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)


def erf_inverse(p: float) -> float:
    """Newton's method on erf (on erfc where p is near 1), from Winitzki's guess (2008)."""
    q = math.fabs(p)
    if not q < 1:
        return math.copysign(math.inf, p) if q == 1 else math.nan
    w = -math.log1p(-q * q)
    half = 2 / (math.pi * 0.147) - w / 2
    x = math.sqrt(math.sqrt(half * half + w / 0.147) - half)
    for _ in range(4):
        error = math.erf(x) - q if q < 0.5 else (1 - q) - math.erfc(x)
        x -= error / (TWO_OVER_SQRT_PI * math.exp(-x * x))
    return math.copysign(x, p)


def lgamma(x: float) -> float:
    """log |gamma(x)|, inf at the poles."""
    if x == -math.inf:
        return math.inf
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):  # poles, and beyond the largest double
        return math.inf


def digamma(x: float) -> float:
    """Reflection and recurrence up to 10, then the asymptotic series (DLMF 5.11.2)."""
    if x != x or x == -math.inf or (x <= 0 and x == math.floor(x)):
        return math.nan
    if x < 0:
        return digamma(1 - x) - math.pi / math.tan(math.pi * x)
    total = 0.0
    while x < 10:
        total -= 1 / x
        x += 1
    s = 1 / (x * x)
    series = s * (1 / 12 - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s * (
        1 / 132 - s * (691 / 32760 - s / 12))))))
    return total + math.log(x) - 0.5 / x - series if x < math.inf else math.inf


def trigamma(x: float) -> float:
    """As digamma, with the derivative of its series (DLMF 5.15.8); inf at the poles."""
    if x != x:
        return math.nan
    if x == -math.inf or (x <= 0 and x == math.floor(x)):
        return math.inf
    if x < 0:
        inverse = math.pi / math.sin(math.pi * x)
        return inverse * inverse - trigamma(1 - x)
    total = 0.0
    while x < 10:
        total += 1 / x / x
        x += 1
    s = 1 / (x * x)
    series = s / x * (1 / 6 - s * (1 / 30 - s * (1 / 42 - s * (1 / 30 - s * (
        5 / 66 - s * (691 / 2730 - s * 7 / 6))))))
    return total + 1 / x + s / 2 + series


# -- zeta and polygamma ----------------------------------------------------------------------------

# B(2k) / (2k)! for k = 1, 2, ...: the coefficients of the Euler-Maclaurin sum (DLMF 2.10.1)
EULER_MACLAURIN = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160,
                   -691 / 1307674368000, 1 / 74724249600, -3617 / 10670622842880000)
TERMS = 12  # summed one by one before it


def _hurwitz(s: Any, q: Any) -> Any:
    """zeta(s, q) for s > 1 and q > 0 (DLMF 25.11.5)."""
    total = sum((q + k) ** -s for k in range(TERMS))
    end = q + TERMS
    total = total + end ** (1 - s) / (s - 1) + 0.5 * end ** -s
    rising, power = s, end ** (-s - 1)
    for k, coefficient in enumerate(EULER_MACLAURIN, 1):
        # beyond the largest double rising would meet a power of zero
        total = total + np.where(power > 0, coefficient * rising * power, 0.0)
        rising, power = rising * (s + 2 * k - 1) * (s + 2 * k), power / end / end
    return total


def zeta(s: Any, q: Any) -> Any:
    """The sum of (q + k) ** -s; of q < 0 for whole s only, by two sums of positive numbers.

    The terms of negative q + k are, but for the sign, those of zeta(s, p) - zeta(s, 1 - q), where
    -p is the last negative q + k.
    """
    steps = np.where(q < 0, np.ceil(-q), 0)
    first = q + steps
    last = np.where(q < 0, 1 - first, 1.0)
    sign = np.where(s % 2 == 0, 1.0, -1.0)
    below = np.where(q < 0, sign * (_hurwitz(s, last) - _hurwitz(s, np.maximum(1 - q, 1.0))), 0.0)
    found = _hurwitz(s, np.where(first > 0, first, 1.0)) + below
    found = np.where((q < 0) & (s != np.floor(s)), np.nan, found)
    found = np.where((q <= 0) & (q == np.floor(q)), np.inf, found)
    found = np.where(s == np.inf, np.where(q > 1, 0.0, np.where(q == 1, 1.0, np.inf)), found)
    found = np.where(s == 1, np.inf, np.where(s < 1, np.nan, found))
    return np.where(np.isnan(s) | np.isnan(q), np.nan, found)


_digammas = scalarwise(digamma)
_factorials = scalarwise(lambda n: math.gamma(n + 1) if n <= 170 else math.inf)


def polygamma(n: Any, x: Any) -> Any:
    """The derivatives of digamma are Hurwitz zeta functions (DLMF 25.11.12)."""
    whole = (n >= 0) & (n == np.floor(n))
    order = np.where(whole, n, 0.0)
    sign = np.where(order % 2 == 0, -1.0, 1.0)
    higher = sign * _factorials(order) * zeta(order + 1, x)
    return np.where(whole, np.where(order == 0, _digammas(x), higher), np.nan)


# -- modified Bessel functions ---------------------------------------------------------------------

# Half of the nodes of the midpoint rule for the integral over [0, pi] (DLMF 10.32.3), which for a
# periodic function converges faster than any power; the others are its mirror image.
NODES = 40
COSINES = tuple(math.cos(math.pi * (j + 0.5) / NODES) for j in range(NODES // 2))
LARGE = 30.0  # from here the asymptotic series (DLMF 10.40.1) is exact in double precision


def asymptotic(order: int) -> tuple[float, ...]:
    """The coefficients of 1 / x**k in the series of sqrt(2 pi x) exp(-x) I(x)."""
    found = [1.0]
    for k in range(1, 19):
        found.append(-found[-1] * (4 * order**2 - (2 * k - 1) ** 2) / (8 * k))
    return tuple(found)


def bessel_i0e(x: Any) -> Any:
    """exp(-|x|) I0(x)."""
    a = np.abs(x)
    total = sum(np.exp(-a * (1 - c)) + np.exp(-a * (1 + c)) for c in COSINES)
    return np.where(a < LARGE, total / NODES, _large(a, 0))


def bessel_i1e(x: Any) -> Any:
    """exp(-|x|) I1(x)."""
    a = np.abs(x)
    total = sum(-c * np.exp(-a * (1 - c)) * np.expm1(-2 * c * a) for c in COSINES)
    return np.copysign(np.where(a < LARGE, total / NODES, _large(a, 1)), x)


def _large(a: Any, order: int) -> Any:
    series = np.polynomial.polynomial.polyval(1 / a, asymptotic(order))
    return series / (np.sqrt(a) * math.sqrt(2 * math.pi))
