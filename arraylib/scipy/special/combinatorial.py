"""Combinations, Bernoulli numbers, powers of Box and Cox, and the complex log gamma."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import current, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.lax.elementwise import stop_gradient
from arraylib.lax.incomplete import betainc, igamma, igammac, log_beta, pointwise
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import Array, ArrayLike, promote_inexact
from arraylib.scipy.promotion import floats
from arraylib.scipy.special.elementary import gammaln

__all__ = ["bernoulli", "betainc", "boxcox", "boxcox1p", "comb", "gammainc", "gammaincc",
           "loggamma"]


def gammainc(a: ArrayLike, x: ArrayLike) -> Array:
    """The regularized lower incomplete gamma function P(a, x); see `lax.igamma`.

    >>> special.gammainc(1.0, 2.0).round(4)
    Array(0.8647, dtype=float32)
    """
    return igamma(a, x)


def gammaincc(a: ArrayLike, x: ArrayLike) -> Array:
    """The regularized upper incomplete gamma function Q(a, x) = 1 - P(a, x).

    >>> special.gammaincc(1.0, 2.0).round(4)
    Array(0.1353, dtype=float32)
    """
    return igammac(a, x)


@one_program(2)
def comb(N: ArrayLike, k: ArrayLike, *, repetition: bool = False) -> Array:
    """How many ways there are to choose k of N things: a float; 0 for k < 0 and k > N.

    With `repetition` each may be chosen several times.

    >>> comb(5, 2)
    Array(10., dtype=float32)
    """
    n, k = floats("comb", N, k)
    if repetition:
        n = jnp.where((n == 0) & (k == 0), 0, n + k - 1)
    found: Array = pointwise("comb", _chosen, n, k)
    return found


def _chosen(n: Array, k: Array) -> Array:
    inside = (k >= 0) & (n >= 0) & (k <= n)
    m, j = jnp.where(inside, n, 1), jnp.where(inside, k, 0)
    found = jnp.exp(-log_beta(1 + m - j, 1 + j)) / (m + 1)
    whole = (m == jnp.floor(m)) & (j == jnp.floor(j)) & (found < 1e10)
    exact = found + stop_gradient(jnp.round(found) - found)  # whose derivative is that of found
    return jnp.where(inside, jnp.where(whole, exact, found), 0)


@lru_cache(maxsize=32)
def _numbers(n: int) -> tuple[float, ...]:
    """B_0, ..., B_n by the recurrence of DLMF 24.5.3, in fractions."""
    found = [Fraction(1)]
    for m in range(1, n + 1):
        if m > 1 and m % 2:
            found.append(Fraction(0))
            continue
        total = sum((math.comb(m + 1, j) * found[j] for j in range(m)), Fraction(0))
        found.append(-total / (m + 1))
    return tuple(_nearest(x) for x in found)


def _nearest(x: Fraction) -> float:
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def bernoulli(n: int) -> Array:
    """The Bernoulli numbers B_0, ..., B_n, with B_1 = -1/2.

    Raises ArgumentError for a negative n.

    >>> bernoulli(2)
    Array([ 1.        , -0.5       ,  0.16666667], dtype=float32)
    """
    if int(n) < 0:
        raise mistake(ArgumentError, "bernoulli", f"n = {n}", hint="a number from 0 up")
    with np.errstate(over="ignore"):
        return jnp.asarray(np.array(_numbers(int(n))))


@one_program(2)
def boxcox(x: ArrayLike, lmbda: ArrayLike) -> Array:
    """(x^lambda - 1) / lambda, log(x) for 0. Box and Cox (1964).

    >>> boxcox(2.0, 0.0)
    Array(0.6931472, dtype=float32)
    """
    x, power = floats("boxcox", x, lmbda)
    return _power(jnp.log(x), power)


@one_program(2)
def boxcox1p(x: ArrayLike, lmbda: ArrayLike) -> Array:
    """boxcox(1 + x, lambda), exact for small x.

    >>> boxcox1p(1e-6, 0.5)
    Array(9.999998e-07, dtype=float32)
    """
    x, power = floats("boxcox1p", x, lmbda)
    return _power(jnp.log1p(x), power)


def _power(logarithm: Array, power: Array) -> Array:
    """(exp(power logarithm) - 1) / power, smooth through 0."""
    part = jnp.where((power == 0) & jnp.isinf(logarithm), 0, power * logarithm)
    flat = jnp.abs(part) < 1e-4
    safe = jnp.where((power == 0) | flat, 1, power)
    near = logarithm * (1 + part / 2 * (1 + part / 3 * (1 + part / 4)))
    return jnp.where(flat | (power == 0), near, jnp.expm1(safe * logarithm) / safe)


# -- the logarithm of gamma ------------------------------------------------------------------------


@one_program()
def loggamma(x: ArrayLike) -> Array:
    """The logarithm of gamma(x), for complex numbers its principal branch; nan for x < 0.

    Of real numbers that of a real number, which negative ones have not. Complex ones by Stirling's
    series behind a recurrence, and reflection (Hare 1997).

    >>> loggamma(3.0)
    Array(0.6931472, dtype=float32)
    """
    (x,) = promote_inexact("loggamma", x)
    x = current().own(x)
    if dt.is_complex(type_of(x).dtype):
        return _complex_loggamma(x)
    return jnp.where(x < 0, jnp.nan, gammaln(x))


def _complex_loggamma(z: Array) -> Array:
    left = ew.real(z) < 0.5
    right = _right_loggamma(jnp.where(left, 1 - z, z))
    upper = jnp.where(ew.imag(z) >= 0, z, jnp.conj(z))
    # log sin(pi z) for Im z >= 0, without overflow and on the right branch
    turned = -1j * math.pi * (upper - 0.5) + jnp.log1p(-jnp.exp(2j * math.pi * upper))
    sine = turned - math.log(2)
    sine = jnp.where(ew.imag(z) >= 0, sine, jnp.conj(sine))
    pole = (ew.imag(z) == 0) & (ew.real(z) <= 0) & (ew.real(z) == jnp.floor(ew.real(z)))
    reflected = math.log(math.pi) - sine - right
    return jnp.where(left, jnp.where(pole, jnp.nan, reflected), right)


def _right_loggamma(z: Array) -> Array:
    """For Re z >= 1/2."""
    steps = 10
    shift = jnp.zeros_like(z)
    for k in range(steps):
        shift = shift + jnp.log(z + k)
    w = z + steps
    inverse = 1 / w
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (
        1 / 1680 - square * (1 / 1188 - square * (691 / 360360))))))
    return (w - 0.5) * jnp.log(w) - w + 0.5 * math.log(2 * math.pi) + series - shift
