"""Integrals of elementary functions: exponential, of sine and cosine, Fresnel's, Dawson's."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.hlo.ir import current, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.lax.incomplete import compiled, continued_fraction, pointwise, polynomial
from arraylib.numpy.promotion import Array, ArrayLike, convert, promote_inexact
from arraylib.tracing.control import fori_loop
from arraylib.tracing.custom import custom_jvp

_EULER = 0.57721566490153286


# -- exponential integrals -------------------------------------------------------------------------


def _series_of_e1(x: Array) -> Array:
    """Euler's constant + log |x| + E_1(x): the sum of -(-x)^k / (k k!) (DLMF 6.6.2)."""
    def step(i: Array, state: Any) -> Any:
        power, total = state
        k = (i + 1).astype(type_of(x).dtype)
        power = power * (-x / k)
        return power, total - power / k
    return fori_loop(0, 24, step, (jnp.ones_like(x), jnp.zeros_like(x)))[1]


def _e1(x: Array) -> Array:
    """E_1 for x > 0: a series up to 1, a continued fraction beyond (DLMF 6.9.1)."""
    near = x <= 1
    low, high = jnp.where(near, x, 0.5), jnp.where(near, 2.0, x)
    series = _series_of_e1(low) - _EULER - jnp.log(low)
    fraction = continued_fraction(high + 1, lambda i: (-i * i, high + 2 * i + 1), high)
    return jnp.where(near, series, jnp.exp(-high) * fraction)


@custom_jvp
def _exp1(x: Array) -> Array:
    positive = (x > 0) & jnp.isfinite(x)
    edge = jnp.where(x == 0, jnp.inf, jnp.where(x > 0, 0.0, jnp.nan))
    return jnp.where(positive, _e1(jnp.where(positive, x, 1.0)), edge)


_exp1.defjvps(lambda t, out, x: -t * jnp.exp(-x) / x)


def exp1(x: ArrayLike) -> Array:
    """E_1(x), the integral of exp(-t) / t from x on; inf at 0, nan for negative numbers.

    >>> exp1(1.0)
    Array(0.21938394, dtype=float32)
    """
    return pointwise("exp1", _exp1, x)


def _ei(x: Array) -> Array:
    """Ei for x > 0: a series of positive terms up to 40, an asymptotic one beyond (DLMF 6.12.2)."""
    near = x <= 40
    low, high = jnp.where(near, x, 1.0), jnp.where(near, 50.0, x)

    def step(i: Array, state: Any) -> Any:
        power, total = state
        k = (i + 1).astype(type_of(x).dtype)
        power = power * (low / k)
        return power, total + power / k
    total = fori_loop(0, 130, step, (jnp.ones_like(x), jnp.zeros_like(x)))[1]
    far = jnp.ones_like(x)
    for k in range(36, 0, -1):
        far = 1 + far * (k / high)
    return jnp.where(near, _EULER + jnp.log(low) + total, jnp.exp(high) / high * far)


@custom_jvp
def _expi(x: Array) -> Array:
    up, down = (x > 0) & jnp.isfinite(x), x < 0
    edge = jnp.where(x == 0, -jnp.inf, x)
    return jnp.where(up, _ei(jnp.where(up, x, 1.0)),
                     jnp.where(down, -_exp1(jnp.where(down, -x, 1.0)), edge))


_expi.defjvps(lambda t, out, x: t * jnp.exp(x) / x)


def expi(x: ArrayLike) -> Array:
    """Ei(x), the principal value of the integral of exp(t) / t up to x; -inf at 0.

    >>> expi(1.0)
    Array(1.8951178, dtype=float32)
    """
    return pointwise("expi", _expi, x)


def _expn_series(n: Array, x: Array) -> Array:
    """DLMF 8.19.8, for 0 < x <= 1 and n >= 1."""
    def step(i: Array, state: Any) -> Any:
        power, total = state
        k = i.astype(type_of(x).dtype)
        term = power / jnp.where(k == n - 1, 1.0, k - n + 1)
        return power * (-x / (k + 1)), total - jnp.where(k == n - 1, 0.0, term)
    total = fori_loop(0, 30, step, (jnp.ones_like(x), jnp.zeros_like(x)))[1]
    few = jnp.minimum(n, 60.0)
    sign = jnp.where(jnp.mod(few, 2) == 1, 1.0, -1.0)
    size = jnp.exp((few - 1) * jnp.log(x) - ew.lgamma(few))
    return total + sign * size * (ew.digamma(few) - jnp.log(x))


@custom_jvp
def _expn(n: Array, x: Array) -> Array:
    usual = (n >= 1) & (x > 0) & jnp.isfinite(x)
    near = usual & (x <= 1)
    far = usual & ~near
    m, y = jnp.where(far, n, 1.0), jnp.where(far, x, 2.0)
    fraction = jnp.exp(-y) * continued_fraction(
        y + m, lambda i: (-i * (m + i - 1), y + m + 2 * i), y)
    series = _expn_series(jnp.where(near, n, 1.0), jnp.where(near, x, 0.5))
    at_zero = jnp.where(n > 1, 1 / jnp.where(n > 1, n - 1, 1.0), jnp.inf)
    edge = jnp.where(x == 0, at_zero, jnp.where(n == 0, jnp.exp(-x) / x, 0.0))
    found = jnp.where(near, series, jnp.where(far, fraction, edge))
    return jnp.where((x >= 0) & (n >= 0) & (n == jnp.floor(n)), found, jnp.nan)


_expn.defjvps(None, lambda t, out, n, x: -t * jnp.where(
    n == 0, (1 + 1 / x) * out, _expn(jnp.maximum(n - 1, 0.0), x)))


def expn(n: ArrayLike, x: ArrayLike) -> Array:
    """E_n(x), the integral of exp(-x t) / t^n from 1 on, for whole n >= 0; else nan.

    A series up to 1, a continued fraction beyond (DLMF 8.19.17). Its derivative is that in x.

    >>> expn(2, 1.0)
    Array(0.14849551, dtype=float32)
    """
    return pointwise("expn", _expn, n, x)


# -- of the error function ------------------------------------------------------------------------


@custom_jvp
def _erfcx(x: Array) -> Array:
    near = x < 2
    low = jnp.clip(x, -30.0, 2.0)
    coarse = jnp.round(low * 64) / 64  # whose square is exact
    rest = jnp.exp((low - coarse) * (low + coarse))
    square = jnp.exp(coarse * coarse)
    high = jnp.where(near, 3.0, x)
    tail = high
    for k in range(60, 0, -1):  # DLMF 7.9.1
        tail = high + (k / 2) / tail
    return jnp.where(near, square * (rest * ew.erfc(low)),
                     jnp.where(x >= 2, 1 / (math.sqrt(math.pi) * tail), x))


_erfcx.defjvps(lambda t, out, x: t * (2 * x * out - 2 / math.sqrt(math.pi)))


def erfcx(x: ArrayLike) -> Array:
    """exp(x^2) erfc(x), which does not underflow.

    >>> erfcx(10.0)
    Array(0.05614099, dtype=float32)
    """
    return pointwise("erfcx", _erfcx, x)


_STEP = 0.25
_PAIRS = 14


@custom_jvp
def _dawsn(x: Array) -> Array:
    size = jnp.abs(x)
    square = x * x
    small = x * polynomial([(-2) ** k / math.prod(range(2 * k + 1, 0, -2)) for k in range(12)],
                           jnp.minimum(square, 0.04))
    y = jnp.clip(size, 0.1, 12.0)
    whole = 2 * jnp.round(y / (2 * _STEP))
    shift = y - whole * _STEP
    middle = jnp.zeros_like(x)
    for n in range(1, 2 * _PAIRS, 2):
        for odd in (n, -n):
            middle = middle + jnp.exp(-jnp.square(shift - odd * _STEP)) / (whole + odd)
    inverse = 1 / jnp.maximum(square, 100.0)
    series = jnp.ones_like(x)
    for k in range(15, 0, -1):
        series = 1 + series * ((k - 0.5) * inverse)
    far = series / (2 * jnp.where(size > 10, x, 10.0))
    middle = jnp.copysign(middle / math.sqrt(math.pi), x)
    return jnp.where(size < 0.2, small, jnp.where(size > 10, far, middle))


_dawsn.defjvps(lambda t, out, x: t * (1 - 2 * x * out))


def dawsn(x: ArrayLike) -> Array:
    """Dawson's integral, exp(-x^2) times the integral of exp(t^2) from 0 to x.

    Rybicki's sum of Gaussians (1989), a series near 0 and an asymptotic one far out.

    >>> dawsn(1.0)
    Array(0.5380795, dtype=float32)
    """
    return pointwise("dawsn", _dawsn, x)


_TERMS = 40


@cache
def _weideman() -> tuple[float, tuple[float, ...]]:
    """Weideman's (1994) scale and coefficients, lowest power first."""
    points = 2 * _TERMS
    scale = math.sqrt(_TERMS / math.sqrt(2))
    angles = np.arange(-points + 1, points) * math.pi / points
    t = scale * np.tan(angles / 2)
    values = np.concatenate([[0.0], np.exp(-t * t) * (scale * scale + t * t)])
    found = np.fft.fft(np.fft.fftshift(values)).real / (2 * points)
    return scale, tuple(found[1:_TERMS + 1].tolist())


def _upper(z: Array) -> Array:
    """w(z) for Im z >= 0: a rational function, far out a continued fraction (DLMF 7.9.3)."""
    scale, coefficients = _weideman()
    far = jnp.abs(z) > 7.5
    near = jnp.where(far, 1j, z)
    below = scale - 1j * near
    total = polynomial(coefficients, (scale + 1j * near) / below)
    inside = 2 * total / (below * below) + (1 / math.sqrt(math.pi)) / below
    away = jnp.where(far, z, 10j)
    tail = away
    for k in range(16, 0, -1):
        tail = away - (k / 2) / tail
    return jnp.where(far, (1j / math.sqrt(math.pi)) / tail, inside)


@custom_jvp
def _wofz(z: Array) -> Array:
    above = ew.imag(z) >= 0
    upper = _upper(jnp.where(above, z, -z))
    low = jnp.where(above, 0.0, z)
    return jnp.where(above, upper, 2 * jnp.exp(-low * low) - upper)


_wofz.defjvps(lambda t, out, z: t * (2j / math.sqrt(math.pi) - 2 * z * out))


def wofz(z: ArrayLike) -> Array:
    """The Faddeeva function exp(-z^2) erfc(-i z), complex.

    >>> wofz(1j)
    Array(0.42758358+0.j, dtype=complex64)
    """
    (z,) = promote_inexact("wofz", z)
    wide = compiled(_wofz)(convert(current().own(z), dt.complex128))
    double = dt.bits(dt.to_real(type_of(z).dtype)) == 64
    return convert(wide, dt.complex128 if double else dt.complex64)


# -- of sine and cosine ----------------------------------------------------------------------------


def _fresnel_series(x: Array, first: int) -> Array:
    """Powers x^(2 m + 1) (pi / 2)^m / m! / (2 m + 1), m = first, first + 2, ... (DLMF 7.6.4)."""
    fourth = jnp.square(jnp.square(x) * (math.pi / 2))
    terms = [(-1) ** k / math.factorial(2 * k + first) / (4 * k + 2 * first + 1)
             for k in range(12)]
    return polynomial(terms, fourth) * x * (jnp.square(x) * (math.pi / 2)) ** first


def _fresnel(x: Array) -> tuple[Array, Array]:
    size = jnp.minimum(jnp.abs(x), 1e150)
    near = size < 1.2
    low, high = jnp.where(near, size, 1.0), jnp.where(near, 2.0, size)
    # halves of 26 bits, whose products are exact (Dekker 1971)
    scaled = high * (2.0 ** 27 + 1)
    coarse = scaled - (scaled - high)
    rest = high - coarse
    turns = sum([jnp.mod(v, 4.0) for v in (coarse * coarse, 2 * coarse * rest, rest * rest)])
    phase = ew.complex_(jnp.cos(turns * (math.pi / 2)), jnp.sin(turns * (math.pi / 2)))
    root = math.sqrt(math.pi) / 2
    w = _upper(ew.complex_(root * high, root * high))
    far = (0.5 + 0.5j) * (1 - phase * w)
    s = jnp.where(near, _fresnel_series(low, 1), ew.imag(far))
    c = jnp.where(near, _fresnel_series(low, 0), ew.real(far))
    s, c = (jnp.where(jnp.isinf(x), 0.5, jnp.where(jnp.isnan(x), x, v)) for v in (s, c))
    return jnp.copysign(s, x), jnp.copysign(c, x)


@custom_jvp
def _fresnels(x: Array) -> tuple[Array, Array]:
    return _fresnel(x)


@_fresnels.defjvp
def _fresnel_rule(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    angle = x * x * (math.pi / 2)
    return _fresnels(x), (t * jnp.sin(angle), t * jnp.cos(angle))


def fresnel(x: ArrayLike) -> tuple[Array, Array]:
    """S(x) and C(x), the integrals of sin and cos of pi t^2 / 2 from 0 to x.

    >>> fresnel(1.0)
    (Array(0.43825915, dtype=float32), Array(0.7798934, dtype=float32))
    """
    found: tuple[Array, Array] = pointwise("fresnel", _fresnels, x)
    return found


def _sici_inside(x: Array) -> tuple[Array, Array]:
    """Si and Ci for finite x > 0."""
    near = x <= 4
    low, high = jnp.where(near, x, 1.0), jnp.where(near, 5.0, x)
    square = low * low
    si = low * polynomial([(-1) ** k / (2 * k + 1) / math.factorial(2 * k + 1)
                           for k in range(18)], square)
    cin = polynomial([0.0] + [(-1) ** k / (2 * k) / math.factorial(2 * k)
                              for k in range(1, 18)], square)
    z = ew.complex_(jnp.zeros_like(high), high)
    tail = z + 161
    for k in range(80, 0, -1):  # E_1(i x), DLMF 6.9.1
        tail = z + (2 * k - 1) - k * k / tail
    e1 = ew.complex_(jnp.cos(high), -jnp.sin(high)) / tail
    return (jnp.where(near, si, math.pi / 2 + ew.imag(e1)),
            jnp.where(near, _EULER + jnp.log(low) + cin, -ew.real(e1)))


@custom_jvp
def _sici(x: Array) -> tuple[Array, Array]:
    size = jnp.abs(x)
    inside = (size > 0) & jnp.isfinite(x)
    si, ci = _sici_inside(jnp.where(inside, size, 1.0))
    si = jnp.where(inside, jnp.copysign(si, x), jnp.where(jnp.isinf(x), jnp.copysign(
        math.pi / 2, x), x))
    edge = jnp.where(x == 0, -jnp.inf, jnp.where(x > 0, 0.0, jnp.nan))
    return si, jnp.where(inside & (x > 0), ci, edge)


@_sici.defjvp
def _sici_rule(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _sici(x), (t * jnp.sinc(x / math.pi), t * jnp.cos(x) / x)


def sici(x: ArrayLike) -> tuple[Array, Array]:
    """Si(x) and Ci(x), the integrals of sin(t) / t from 0 and of -cos(t) / t from x on.

    Ci is nan for negative numbers.

    >>> sici(1.0)
    (Array(0.94608307, dtype=float32), Array(0.33740392, dtype=float32))
    """
    found: tuple[Array, Array] = pointwise("sici", _sici, x)
    return found


# -- others ----------------------------------------------------------------------------------------

_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510,
              43867 / 798, -174611 / 330)


def _debye(u: Array) -> Array:
    """Li_2(1 - exp(-u)) for |u| < 1: the sum of B_k u^(k + 1) / (k + 1)! (Lewin 1981, 1.111)."""
    terms = [1.0] + [b / math.factorial(2 * k + 1) for k, b in enumerate(_BERNOULLI, 1)]
    return u * polynomial(terms, u * u) - u * u / 4


@custom_jvp
def _spence(x: Array) -> Array:
    inside = (x > 0) & jnp.isfinite(x)
    safe = jnp.where(inside, x, 1.0)
    large = safe > 1.5
    y = jnp.where(large, 1 / safe, safe)
    small = y < 0.5
    log_y = jnp.log(y)
    part = _debye(-jnp.where(small, jnp.log1p(-jnp.where(small, y, 0.1)), log_y))
    value = jnp.where(small, math.pi ** 2 / 6 - log_y * jnp.log1p(-jnp.where(small, y, 0.0))
                      - part, part)
    log_x = jnp.log(safe)
    value = jnp.where(large, -0.5 * log_x * log_x - value, value)
    edge = jnp.where(x > 0, -jnp.inf, jnp.nan)
    return jnp.where(inside, value, jnp.where(x == 0, jnp.full_like(x, math.pi ** 2 / 6), edge))


def _spence_slope(t: Array, out: Array, x: Array) -> Array:
    near = jnp.abs(x - 1) < 1e-3
    d = jnp.where(near, x - 1, 0.0)
    series = -polynomial([(-1) ** k / (k + 1) for k in range(6)], d)
    return t * jnp.where(near, series, -jnp.log(x) / jnp.where(near, 1.0, x - 1))


_spence.defjvps(_spence_slope)


def spence(x: ArrayLike) -> Array:
    """The dilogarithm of 1 - x, the integral of -log(t) / (t - 1) from 1 to x; nan below 0.

    >>> spence(0.0)
    Array(1.644934, dtype=float32)
    """
    return pointwise("spence", _spence, x)


@cache
def _gauss() -> tuple[Any, Any]:
    nodes, weights = np.polynomial.legendre.leggauss(40)
    return (nodes + 1) / 2, weights / 2


def _owens_inside(h: Array, a: Array) -> Array:
    """T(h, a) for h >= 0 and 0 <= a <= 1 by Gauss's rule, up to where the integrand is 0."""
    end = jnp.minimum(a, 9.0 / jnp.maximum(h, 1e-3))
    nodes, weights = _gauss()
    total = jnp.zeros_like(h)
    for node, weight in zip(nodes.tolist(), weights.tolist()):
        x = jnp.square(end * node)
        total = total + weight * jnp.exp(-0.5 * h * h * (1 + x)) / (1 + x)
    return total * end / (2 * math.pi)


@custom_jvp
def _owens_t(h: Array, a: Array) -> Array:
    height, slope = jnp.abs(h), jnp.abs(a)
    steep = slope > 1
    product = jnp.where(steep & (height == 0), 0.0, height * slope)
    low = jnp.where(steep, product, height)
    ratio = jnp.where(steep, 1 / jnp.where(steep, slope, 1.0), slope)
    part = _owens_inside(jnp.minimum(low, 1e4), ratio)
    q, r = (0.5 * ew.erfc(v * math.sqrt(0.5)) for v in (height, product))
    value = jnp.where(steep, 0.5 * (q + r) - q * r - part, part)
    value = jnp.where(jnp.isnan(h) | jnp.isnan(a), jnp.nan, value)
    return jnp.copysign(value, a)


def _owens_by_h(t: Array, out: Array, h: Array, a: Array) -> Array:
    return -t * jnp.exp(-0.5 * h * h) * ew.erf(a * h * math.sqrt(0.5)) / math.sqrt(8 * math.pi)


def _owens_by_a(t: Array, out: Array, h: Array, a: Array) -> Array:
    return t * jnp.exp(-0.5 * h * h * (1 + a * a)) / (2 * math.pi * (1 + a * a))


_owens_t.defjvps(_owens_by_h, _owens_by_a)


def owens_t(h: ArrayLike, a: ArrayLike) -> Array:
    """Owen's T: the probability of X > h and 0 < Y < a X for standard normal X and Y.

    Owen (1956); for a > 1 by his formula for T(a h, 1 / a).

    >>> owens_t(1.0, 1.0)
    Array(0.06674188, dtype=float32)
    """
    return pointwise("owens_t", _owens_t, h, a)
