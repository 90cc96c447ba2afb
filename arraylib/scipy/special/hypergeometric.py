"""Hypergeometric functions, Bessel functions and spherical harmonics."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import current, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.lax.incomplete import forward, pointwise, power_series
from arraylib.numpy.creation import arrays
from arraylib.numpy.promotion import Array, ArrayLike, concrete_int

# -- confluent -------------------------------------------------------------------------------------


def _kummer(a: Array, b: Array, x: Array) -> Array:
    """The power series (DLMF 13.2.2), for x >= 0 of what is negative by Kummer's (13.2.39)."""
    turned = x < 0
    first = jnp.where(turned, b - a, a)
    y = jnp.abs(x)
    total = power_series(lambda i: (first + i - 1) / (b + i - 1) * (y / i), x)
    return jnp.where(turned, jnp.exp(x) * total, total)


def _far_kummer(a: Array, b: Array, x: Array) -> Array:
    """The asymptotic series (DLMF 13.7.2), for large |x|."""
    turned = x < 0
    first, y = jnp.where(turned, b - a, a), jnp.abs(x)
    total = jnp.ones_like(x)
    for k in range(24, 0, -1):
        total = 1 + total * ((b - first + k - 1) * (k - first) / (k * y))
    log_size = ew.lgamma(b) - ew.lgamma(first) + (first - b) * jnp.log(y)
    sign = _sign_of_gamma(b) * _sign_of_gamma(first)
    pole = (first <= 0) & (first == jnp.floor(first))
    grown = jnp.exp(log_size + jnp.where(turned, 0.0, y))
    return jnp.where(pole, 0.0, sign * grown * total)


def _sign_of_gamma(x: Array) -> Array:
    return jnp.where((x > 0) | (jnp.mod(jnp.floor(x), 2) == 0), 1.0, -1.0)


def _hyp1f1(a: Array, b: Array, x: Array) -> Array:
    whole = (b <= 0) & (b == jnp.floor(b))
    ends = (a <= 0) & (a == jnp.floor(a))
    far = (jnp.abs(x) > 100) & (jnp.maximum(jnp.abs(a), jnp.abs(b)) < 10) & ~ends
    safe_b = jnp.where(whole, 1.0, b)
    near = _kummer(a, safe_b, jnp.where(far | ~jnp.isfinite(x), 0.0, x))
    found = jnp.where(far, _far_kummer(a, safe_b, jnp.where(far, x, 200.0)), near)
    found = jnp.where(whole, jnp.where(a == 0, 1.0, jnp.inf), found)
    return jnp.where(jnp.isnan(a) | jnp.isnan(b) | jnp.isnan(x), jnp.nan, found)


_with_slopes_1f1: Callable[..., Array] = forward(
    _hyp1f1, by_2=lambda a, b, x: a / b * _with_slopes_1f1(a + 1, b + 1, x))


def hyp1f1(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Array:
    """Kummer's confluent hypergeometric function M(a, b, x); inf where b is 0, -1, -2, ...

    Exact to about ten units in the last place where |a| and |b| are small; digits are lost where
    terms of the series cancel. Derivatives are those in all arguments.

    >>> hyp1f1(1.0, 1.0, 1.0)
    Array(2.7182817, dtype=float32)
    """
    return pointwise("hyp1f1", _with_slopes_1f1, a, b, x)


# -- Gauss's ---------------------------------------------------------------------------------------


def _gauss(a: Array, b: Array, c: Array, x: Array) -> Array:
    """The power series (DLMF 15.2.1)."""
    return power_series(
        lambda i: (a + i - 1) / i * ((b + i - 1) / (c + i - 1)) * x, x)


def _ratio_of_gammas(p: Array, q: Array, r: Array, s: Array) -> Array:
    """gamma(p) gamma(q) / (gamma(r) gamma(s)), 0 where one of the last two is infinite."""
    pole = jnp.zeros(p.shape, dt.bool_)
    for v in (r, s):
        pole = pole | (v <= 0) & (v == jnp.floor(v))
    size = jnp.exp(ew.lgamma(p) + ew.lgamma(q) - ew.lgamma(r) - ew.lgamma(s))
    signs = [_sign_of_gamma(v) for v in (p, q, r, s)]
    return jnp.where(pole, 0.0, size * math.prod(signs[1:], start=signs[0]))


def _unit_interval(a: Array, b: Array, c: Array, x: Array) -> Array:
    """For 0 <= x < 1: by the power series, near 1 by one in 1 - x."""
    d = c - a - b
    off = d - jnp.round(d)
    ends = ((a <= 0) & (a == jnp.floor(a))) | ((b <= 0) & (b == jnp.floor(b)))
    near_one = (x > 0.8) & ~ends
    whole = near_one & (jnp.abs(off) <= 1e-3)
    direct = _gauss(a, b, c, jnp.where(near_one, 0.1, x))
    plain = near_one & ~whole
    away = _from_one(a, b, jnp.where(plain, d, 0.5), 1 - jnp.where(plain, x, 0.9))
    between = _between(a, b, jnp.round(d), jnp.where(whole, off, 0), 1 - jnp.where(whole, x, 0.9))
    return jnp.where(whole, between, jnp.where(near_one, away, direct))


def _from_one(a: Array, b: Array, d: Array, y: Array) -> Array:
    """F(a, b; a + b + d; 1 - y) for a d that is not whole (DLMF 15.8.4)."""
    c = a + b + d
    first = _ratio_of_gammas(c, d, b + d, a + d) * _gauss(a, b, 1 - d, y)
    return first + _ratio_of_gammas(c, -d, a, b) * y ** d * _gauss(b + d, a + d, 1 + d, y)


def _between(a: Array, b: Array, whole: Array, off: Array, y: Array) -> Array:
    """The same for d = whole + off, by Lagrange's polynomial through d on both sides of `whole`."""
    along = lambda x: jnp.broadcast_to(x, (len(_ASIDE), *x.shape))
    aside = jnp.array(_ASIDE, type_of(y).dtype).reshape(-1, *(1,) * y.ndim)
    values = _from_one(along(a), along(b), whole + aside, along(y))
    total = jnp.zeros_like(y)
    for i, here in enumerate(_ASIDE):
        weight = math.prod([(off - other) / (here - other) for other in _ASIDE if other != here],
                           start=jnp.ones_like(y))
        total = total + weight * values[i]
    return total


_ASIDE = tuple(k * 0.0025 for k in (-4, -3, -2, -1, 1, 2, 3, 4))


def _hyp2f1(a: Array, b: Array, c: Array, x: Array) -> Array:
    inside = (x < 1) & jnp.isfinite(x)
    negative = x < 0
    safe = jnp.where(inside, x, 0.0)
    low = jnp.where(negative, safe, 0.0)
    # Pfaff's transformation (DLMF 15.8.1) brings x < 0 to where terms do not alternate
    y = jnp.where(negative, low / (low - 1), safe)
    found = _unit_interval(a, jnp.where(negative, c - b, b), c, y) * (1 - low) ** (-a)
    d = c - a - b
    one = jnp.where(d > 0, _ratio_of_gammas(c, jnp.where(d > 0, d, 1.0), c - a, c - b), jnp.inf)
    found = jnp.where(inside, found, jnp.where(x == 1, one, jnp.nan))
    whole = (c <= 0) & (c == jnp.floor(c))
    found = jnp.where(whole, jnp.where((a == 0) | (b == 0), 1.0, jnp.inf), found)
    return jnp.where((a == 0) | (b == 0) | (x == 0), jnp.where(
        jnp.isnan(a + b + c + x), jnp.nan, 1.0), found)


_with_slopes_2f1: Callable[..., Array] = forward(
    _hyp2f1, by_3=lambda a, b, c, x: a * b / c * _with_slopes_2f1(a + 1, b + 1, c + 1, x))


def hyp2f1(a: ArrayLike, b: ArrayLike, c: ArrayLike, x: ArrayLike) -> Array:
    """Gauss's hypergeometric function F(a, b; c; x) for x <= 1; nan beyond.

    Inf where c is 0, -1, -2, ... Derivatives are those in all arguments.

    >>> hyp2f1(1.0, 1.0, 2.0, 0.5)
    Array(1.3862944, dtype=float32)
    """
    return pointwise("hyp2f1", _with_slopes_2f1, a, b, c, x)


# -- Bessel functions ------------------------------------------------------------------------------


def bessel_jn(z: ArrayLike, *, v: int, n_iter: int = 50) -> Array:
    """The Bessel functions of the first kind J_0, ..., J_v at z: f[v + 1, ...].

    Miller's recurrence downward from order v + n_iter, which is exact for |z| well below that
    (DLMF 3.6.6, 10.12.4). Raises ArgumentError for negative orders.

    >>> bessel_jn(1.0, v=1)
    Array([0.7651977 , 0.44005057], dtype=float32)
    """
    if v < 0 or n_iter < 1:
        raise mistake(ArgumentError, "bessel_jn", f"v = {v}, n_iter = {n_iter}",
                      hint="an order from 0 up, and one step at least")
    return pointwise("bessel_jn", _bessel(int(v), int(n_iter)), z)


@lru_cache(maxsize=64)
def _bessel(v: int, steps: int) -> Callable[[Array], Array]:
    return lambda z: _miller(z, v, steps)


def _miller(z: Array, v: int, steps: int) -> Array:
    small = 10.0 ** -30
    away = jnp.where(z == 0, 1.0, z)
    above, value = jnp.zeros_like(z), jnp.full_like(z, small)
    total, found = jnp.zeros_like(z), []
    for order in range(v + steps, -1, -1):
        if order <= v:
            found.append(value)
        if order % 2 == 0:
            total = total + (value if order == 0 else 2 * value)
        above, value = value, 2 * order / away * value - above
        large = jnp.abs(value) > 1e15
        shrink = jnp.where(large, 1e-15, 1.0)
        above, value, total = above * shrink, value * shrink, total * shrink
        found = [x * shrink for x in found]
    rows = jnp.stack(found[::-1]) / total
    first = jnp.arange(v + 1).reshape((-1,) + (1,) * z.ndim) == 0
    return jnp.where(z == 0, first.astype(type_of(z).dtype), rows)


# -- spherical harmonics ---------------------------------------------------------------------------


def sph_harm_y(n: ArrayLike, m: ArrayLike, theta: ArrayLike, phi: ArrayLike,
               diff_n: int | None = None, n_max: int | None = None) -> Array:
    """The spherical harmonic of degree n and order m at the polar angle theta and azimuth phi.

    Complex, with the phase of Condon and Shortley: (-1)^m in the Legendre function. n and m are
    integers with |m| <= n, which broadcast with the angles; `n_max` is the largest n, which tracing
    needs. Only `diff_n` None is taken.

    >>> sph_harm_y(0, 0, 0.0, 0.0)
    Array(0.2820948+0.j, dtype=complex64)
    """
    if diff_n is not None:
        raise mistake(ArgumentError, "sph_harm_y", f"diff_n = {diff_n}",
                      hint="arraylib.jacfwd for derivatives")
    degree, order, polar, azimuth = jnp.broadcast_arrays(*arrays("sph_harm_y", n, m, theta, phi))
    top = concrete_int("sph_harm_y", jnp.max(degree)) if n_max is None else int(n_max)
    polar, azimuth = (current().own(x) for x in jnp.broadcast_arrays(
        polar * jnp.ones((), dt.default_float()), azimuth * jnp.ones((), dt.default_float())))
    size = jnp.abs(order)
    value = _legendre(degree, size, polar, top)
    sign = jnp.where((order < 0) & (jnp.mod(size, 2) == 1), -1.0, 1.0).astype(type_of(value).dtype)
    angle = order * azimuth
    return ew.complex_(sign * value * jnp.cos(angle), sign * value * jnp.sin(angle))


def _legendre(n: Array, m: Array, theta: Array, top: int) -> Array:
    """Normalized associated Legendre functions, by the recurrence in the degree."""
    cosine, sine = jnp.cos(theta), jnp.sin(theta)
    order = m.astype(type_of(cosine).dtype)
    start = jnp.full_like(cosine, math.sqrt(0.25 / math.pi))
    for k in range(1, top + 1):  # the first of each order: its degree is the order
        start = jnp.where(k <= m, -start * sine * math.sqrt((2 * k + 1) / (2 * k)), start)
    before, value = jnp.zeros_like(start), start
    found = jnp.where(n == m, start, 0.0)
    for degree in range(1, top + 1):
        further = degree > m
        gap = jnp.where(further, degree * degree - order * order, 1.0)
        past = jnp.where(further, (degree - 1) ** 2 - order * order, 0.0)
        scale = jnp.sqrt((4 * degree * degree - 1) / gap)
        back = jnp.sqrt(jnp.maximum(past, 0.0) / (4 * (degree - 1) ** 2 - 1))
        after = scale * (cosine * value - back * before)
        before, value = jnp.where(further, value, before), jnp.where(further, after, value)
        found = jnp.where((n == degree) & further, value, found)
    return jnp.where(m <= n, found, 0.0)

