"""Incomplete gamma and beta functions, by series, continued fractions and Temme's expansion.

Their derivatives in all arguments are those of what is computed, in forward mode: each is again a
function with such derivatives, so that there is reverse mode of any order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.hlo.ir import current, known, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    broadcast_all,
    check_kind,
    convert,
    promote_inexact,
)
from arraylib.tracing.control import while_loop
from arraylib.tracing.custom import custom_jvp
from arraylib.tracing.derivatives import jvp
from arraylib.tracing.jit import jit

Function = Callable[..., Any]

_STEPS = 5000  # of a loop at most; the slowest that occur take some hundreds
_MORE = 8  # steps after the last that changed a result: derivatives converge a little later


@cache
def compiled(function: Function) -> Function:
    """The jitted function, of which there is one."""
    return jit(function)


def pointwise(op: str, function: Function, *xs: ArrayLike) -> Any:
    """A function of real arrays of one shape, computed in float64 and rounded once.

    Terms that cancel, as they do in all of these, would cost float32 some of its few digits.
    """
    given = [current().own(x) for x in promote_inexact(op, *xs)]
    dtype = type_of(given[0]).dtype
    check_kind(op, dtype, "f", *given)
    found = compiled(function)(*broadcast_all(op, [convert(x, dt.float64) for x in given]))
    if isinstance(found, tuple):
        return tuple(convert(x, dtype) for x in found)
    return convert(found, dtype)


def forward(function: Function, **closed: Function) -> Function:
    """`function` of arrays of one shape, with derivatives taken in forward mode.

    `closed` has partial derivatives that are known as formulas, by the number of the argument.
    """
    wrapped = custom_jvp(function)

    def rule(primals: Sequence[Array], tangents: Sequence[Array]) -> tuple[Array, Array]:
        out = wrapped(*primals)
        total = jnp.zeros_like(out)
        for i, t in enumerate(tangents):
            constant = known(t)
            if constant is not None and not np.any(constant):
                continue
            slope = closed.get(f"by_{i}") or forward(partial_derivative(function, i))
            total = total + t * slope(*primals)
        return out, total

    wrapped.defjvp(rule)
    return wrapped


def partial_derivative(function: Function, i: int) -> Function:
    """The derivative of a function of numbers, batched over arrays of one shape, in argument i."""
    def slope(*xs: Array) -> Array:
        along = lambda x: function(*xs[:i], x, *xs[i + 1:])
        return jvp(along, (xs[i],), (jnp.ones_like(xs[i]),))[1]
    return slope


def until_calm(step: Function, state: Any, like: Array) -> Any:
    """The state after steps, `step(i, state) -> state, moving`, until no element moves any more."""
    def go_on(carry: Any) -> Array:
        i, last, _ = carry
        return (i < _STEPS) & (i < last + _MORE)

    def once(carry: Any) -> Any:
        i, last, inner = carry
        inner, moving = step((i + 1).astype(type_of(like).dtype), inner)
        return i + 1, jnp.where(jnp.any(moving), i + 1, last), inner

    zero = jnp.zeros((), dt.int32)
    return while_loop(go_on, once, (zero, zero, state))[2]


def power_series(term: Function, like: Array) -> Array:
    """1 plus the products of `term(1)`, `term(2)`, ... up to each."""
    small = float(dt.finfo(type_of(like).dtype).eps)

    def step(i: Array, state: Any) -> Any:
        product, total = state
        product = product * term(i)
        return (product, total + product), jnp.abs(product) > small * jnp.abs(total)

    one = jnp.ones_like(like)
    return until_calm(step, (one, one), like)[1]


def continued_fraction(first: Array, part: Function, like: Array) -> Array:
    """1 / (first + p1 / (q1 + p2 / (q2 + ...))) for `part(i)` = (pi, qi).

    Lentz's method with Thompson and Barnett's changes (1986).
    """
    limits = dt.finfo(type_of(like).dtype)
    tiny, small = float(limits.tiny) / float(limits.eps), float(limits.eps)
    away = lambda x: jnp.where(jnp.abs(x) < tiny, tiny, x)
    d = 1 / away(first)

    def step(i: Array, state: Any) -> Any:
        c, d, total = state
        p, q = part(i)
        d = 1 / away(q + p * d)
        c = away(q + p / c)
        return (c, d, total * c * d), jnp.abs(c * d - 1) > small

    return until_calm(step, (jnp.full_like(like, 1 / tiny), d, d), like)[2]


def polynomial(coefficients: Sequence[float], x: Array) -> Array:
    """Lowest power first."""
    total = jnp.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


# -- gamma -----------------------------------------------------------------------------------------

_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_LARGE, _VERY_LARGE = 10.0, 200.0

# Taylor coefficients of Temme's c_k(eta) (DLMF 8.12.9 to 8.12.11), worked out in fractions.
_TEMME = (
    (-0.3333333333333333, 0.08333333333333333, -0.014814814814814815, 0.0011574074074074073,
     0.0003527336860670194, -0.0001787551440329218, 3.919263178522438e-05, -2.185448510679992e-06,
     -1.85406221071516e-06, 8.296711340953087e-07, -1.7665952736826078e-07, 6.707853543401498e-09,
     1.0261809784240309e-08, -4.382036018453353e-09, 9.14769958223679e-10,
     -2.5514193994946248e-11, -5.830772132550426e-11),
    (-0.001851851851851852, -0.003472222222222222, 0.0026455026455026454, -0.0009902263374485596,
     0.00020576131687242798, -4.018775720164609e-07, -1.8098550334489977e-05,
     7.64916091608111e-06, -1.6120900894563446e-06, 4.647127802807434e-09, 1.378633446915721e-07,
     -5.752545603517705e-08, 1.1951628599778148e-08, -1.7543241719747647e-11,
     -1.0091543710600413e-09),
    (0.004133597883597883, -0.0026813271604938273, 0.0007716049382716049, 2.0093878600823047e-06,
     -0.0001073665322636516, 5.2923448829120125e-05, -1.2760635188618728e-05,
     3.423578734096138e-08, 1.3721957309062934e-06, -6.298992138380055e-07,
     1.4280614206064242e-07),
    (0.0006494341563786008, 0.00022947209362139917, -0.0004691894943952557,
     0.00026772063206283885, -7.561801671883977e-05, -2.396505113867297e-07,
     1.1082654115347302e-05, -5.6749528269915965e-06, 1.4230900732435883e-06),
    (-0.0008618882909167117, 0.0007840392217200666, -0.0002990724803031902,
     -1.4638452578843418e-06, 6.641498215465122e-05, -3.968365047179435e-05,
     1.1375726970678419e-05),
    (-0.00033679855336635813, -6.972813758365857e-05, 0.0002772753244959392,
     -0.00019932570516188847, 6.797780477937208e-05),
    (0.0005313079364639922, -0.0005921664373536939),
)



def _zeta(k: int) -> float:
    """The sum of n ** -k by Euler and Maclaurin's formula (DLMF 25.2.9)."""
    n = 60.0
    return sum(m ** -k for m in range(1, 60)) + n ** (1 - k) / (k - 1) + n ** -k / 2 \
        + k * n ** (-k - 1) / 12 - k * (k + 1) * (k + 2) * n ** (-k - 3) / 720


_ZETA = tuple(_zeta(k) for k in range(2, 30))


def correction(a: Array) -> Array:
    """log gamma(a) less Stirling's (a - 1/2) log a - a + log(2 pi) / 2, for a >= 10."""
    inverse = 1 / a
    return inverse * polynomial(_STIRLING, inverse * inverse)


def _bent(mu: Array) -> Array:
    """(log(1 + mu) - mu) / mu^2 for |mu| < 1/2, smooth through 0."""
    r = mu / (2 + mu)
    series = polynomial([1 / (2 * k + 3) for k in range(14)], r * r)
    return (2 * r * series / (2 + mu) - 1) / (2 + mu)


def _deviation(x: Array, mean: Array, shift: Array) -> Array:
    """log(x / mean) - shift / mean for shift = x - mean, exact where that is small."""
    mu = shift / mean
    near = jnp.abs(mu) < 0.5
    return jnp.where(near, mu * mu * _bent(jnp.where(near, mu, 0.25)), jnp.log(x / mean) - mu)


def _density(a: Array, x: Array) -> Array:
    """x^a e^-x / gamma(a)."""
    large = a >= _LARGE
    b = jnp.where(large, a, _LARGE)
    far = jnp.sqrt(b / (2 * math.pi)) * jnp.exp(b * _deviation(x, b, x - b) - correction(b))
    c = jnp.where(large, 1.0, a)
    return jnp.where(large, far, jnp.exp(c * jnp.log(x) - x - ew.lgamma(c)))


def _log_gamma_1p(a: Array) -> Array:
    """log gamma(1 + a), exact near 0."""
    near = jnp.abs(a) < 0.3
    safe = jnp.where(near, a, 0.1)
    terms = [z * (-1) ** k / k for k, z in enumerate(_ZETA, 2)]
    series = safe * (-0.57721566490153286 + safe * polynomial(terms, safe))
    return jnp.where(near, series, ew.lgamma(1 + jnp.where(near, 1.0, a)))


def _halves(a: Array, x: Array) -> tuple[Array, Array]:
    """P(a, x) and Q(a, x), for finite x > 0 and a > 0."""
    close = (a >= _VERY_LARGE) & (jnp.abs(x - a) < 0.3 * a)
    below = ~close & (x <= jnp.maximum(a, 1.0))
    above = ~close & ~below
    log_x = jnp.log(jnp.where(x < 1.2, x, 1.0))
    bound = jnp.where(x < 0.5, -0.4 / jnp.minimum(log_x, -0.1), x / 1.1)
    tail = below & (x <= 1.1) & (a < bound)
    density = _density(a, x)
    n, y = jnp.where(below, a, 1.0), jnp.where(below, x, 0.5)
    lower = density / a * power_series(lambda i: y / (n + i), a)
    n, y = jnp.where(above, a, 0.5), jnp.where(above, x, 2.0)
    upper = density * continued_fraction(
        y + 1 - n, lambda i: (-i * (i - n), y + 1 - n + 2 * i), a)
    p_close, q_close = _temme(jnp.where(close, a, _VERY_LARGE), jnp.where(close, x, _VERY_LARGE))
    q_small = _tail(jnp.where(tail, a, 0.1), jnp.where(tail, x, 0.5))
    p = jnp.where(close, p_close, jnp.where(below, lower, 1 - upper))
    q = jnp.where(close, q_close, jnp.where(tail, q_small, jnp.where(below, 1 - lower, upper)))
    return p, q


def _temme(a: Array, x: Array) -> tuple[Array, Array]:
    """Temme's uniform expansion (1979; DLMF 8.12.3, 8.12.4, 8.12.7)."""
    mu = (x - a) / a
    eta = mu * jnp.sqrt(-2 * _bent(mu))
    total = jnp.zeros_like(a)
    for row in _TEMME[::-1]:
        total = total / a + polynomial(row, eta)
    rest = total * jnp.exp(-0.5 * a * eta * eta) / jnp.sqrt(2 * math.pi * a)
    point = eta * jnp.sqrt(a / 2)
    return 0.5 * ew.erfc(-point) - rest, 0.5 * ew.erfc(point) + rest


def _tail(a: Array, x: Array) -> Array:
    """Q(a, x) for small a and x: 1 - x^a / gamma(a + 1), and a series (DLMF 8.7.1)."""
    power = a * jnp.log(x) - _log_gamma_1p(a)
    total = jnp.zeros_like(x)
    for n in range(20, 0, -1):
        total = (total + 1 / (a + n)) * (-x / n)
    return -jnp.expm1(power) - a * jnp.exp(power) * total


def _at_edges(which: int) -> Function:
    def function(a: Array, x: Array) -> Array:
        inside = (a > 0) & (x > 0) & jnp.isfinite(a) & jnp.isfinite(x)
        safe = _halves(jnp.where(inside, a, 1.0), jnp.where(inside, x, 1.0))[which]
        full = jnp.where((a == 0) & (x > 0) | jnp.isinf(x) & jnp.isfinite(a), 1.0, 0.0)
        full = full if which == 0 else 1 - full
        wrong = ~((a >= 0) & (x >= 0)) | (a == 0) & (x == 0) | jnp.isinf(a) & jnp.isinf(x)
        return jnp.where(wrong, jnp.nan, jnp.where(inside, safe, full))
    return function


def _by_x(sign: int) -> Function:
    """The derivative in x: the density of the gamma distribution."""
    def slope(a: Array, x: Array) -> Array:
        positive = (x > 0) & jnp.isfinite(x)
        safe = jnp.where(positive, x, 1.0)
        at_zero = jnp.where(a < 1, jnp.inf, jnp.where(a == 1, 1.0, 0.0))
        edge = jnp.where(x == 0, at_zero, jnp.where(x > 0, 0.0, jnp.nan))
        return sign * jnp.where(positive, _density(a, safe) / safe, edge)
    return slope


_p, _q = _at_edges(0), _at_edges(1)
_density_of_gamma = _by_x(1)
_igamma, _igammac = forward(_p, by_1=_density_of_gamma), forward(_q, by_1=_by_x(-1))
_igamma_grad_a = forward(partial_derivative(_p, 0))


def _sample_grad(a: Array, x: Array) -> Array:
    return -_igamma_grad_a(a, x) / _density_of_gamma(a, x)



def igamma(a: ArrayLike, x: ArrayLike) -> Array:
    """The regularized lower incomplete gamma function P(a, x), for a >= 0 and x >= 0.

    nan elsewhere. Series and continued fraction (DLMF 8.11.4, 8.9.2); for large a near x Temme's
    expansion. Derivatives are those in both arguments.

    >>> igamma(1.0, 1.0)
    Array(0.63212055, dtype=float32)
    """
    return pointwise("igamma", _igamma, a, x)


def igammac(a: ArrayLike, x: ArrayLike) -> Array:
    """The regularized upper incomplete gamma function Q(a, x) = 1 - P(a, x), exact where small.

    >>> igammac(1.0, 1.0)
    Array(0.36787945, dtype=float32)
    """
    return pointwise("igammac", _igammac, a, x)


def igamma_grad_a(a: ArrayLike, x: ArrayLike) -> Array:
    """The derivative of igamma in a.

    >>> lax.igamma_grad_a(jnp.array([1.0]), jnp.array([1.0])).round(3)
    Array([-0.432], dtype=float32)
    """
    return pointwise("igamma_grad_a", _igamma_grad_a, a, x)


def random_gamma_grad(a: ArrayLike, x: ArrayLike, *, dtype: Any = None) -> Array:
    """How a sample x of the gamma distribution changes with its parameter a.

    Implicit reparameterization (Figurnov, Mohamed and Mnih 2018): less the derivative of P(a, x) in
    a over that in x.

    >>> lax.random_gamma_grad(jnp.array([1.0]), jnp.array([1.0])).round(3)
    Array([1.174], dtype=float32)
    """
    return pointwise("random_gamma_grad", _sample_grad, a, x)


# -- beta ------------------------------------------------------------------------------------------


def _beta_density(a: Array, b: Array, x: Array) -> Array:
    """x^a (1 - x)^b / B(a, b), from deviations from the mean where both are large."""
    large = jnp.minimum(a, b) >= _LARGE
    n, m = jnp.where(large, a, _LARGE), jnp.where(large, b, _LARGE)
    mean, rest = n / (n + m), m / (n + m)
    shift = jnp.where(x < 0.5, x - mean, rest - (1 - x))
    power = n * _deviation(x, mean, shift) + m * _deviation(1 - x, rest, -shift)
    scale = power + correction(n + m) - correction(n) - correction(m)
    far = jnp.sqrt(n * m / (n + m) / (2 * math.pi)) * jnp.exp(scale)
    c, d = jnp.where(large, 1.0, a), jnp.where(large, 1.0, b)
    return jnp.where(large, far, jnp.exp(c * jnp.log(x) + d * jnp.log1p(-x) - log_beta(c, d)))


def log_beta(a: Array, b: Array) -> Array:
    """log B(a, b); where one is large, the difference of two log gammas by Stirling's formula."""
    low, high = jnp.minimum(a, b), jnp.maximum(a, b)
    large = high >= _LARGE
    m = jnp.where(large, high, _LARGE)
    step = (m - 0.5) * jnp.log1p(low / m) + low * jnp.log(m + low) - low
    far = ew.lgamma(low) - step - correction(m + low) + correction(m)
    c = jnp.where(large, 1.0, high)
    return jnp.where(large, far, ew.lgamma(low) + ew.lgamma(c) - ew.lgamma(low + c))


def _fraction(a: Array, b: Array, x: Array) -> Array:
    """The continued fraction of DLMF 8.17.22, times a."""
    def part(i: Array) -> tuple[Array, Array]:
        m = jnp.floor(i / 2)
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        return jnp.where(i == 2 * m, even, odd), jnp.ones_like(x)
    return continued_fraction(jnp.ones_like(x), part, x)


def _beta_inside(a: Array, b: Array, x: Array) -> Array:
    """I_x(a, b), by whichever of I_x(a, b) and 1 - I_(1-x)(b, a) converges."""
    turned = x > (a + 1) / (a + b + 2)
    density = _beta_density(a, b, x)
    n, m = jnp.where(turned, b, a), jnp.where(turned, a, b)
    part = density / n * _fraction(n, m, jnp.where(turned, 1 - x, x))
    return jnp.where(turned, 1 - part, part)


def _betainc(a: Array, b: Array, x: Array) -> Array:
    inside = (a > 0) & (b > 0) & (x > 0) & (x < 1) & jnp.isfinite(a) & jnp.isfinite(b)
    safe = _beta_inside(*(jnp.where(inside, v, other)
                          for v, other in ((a, 1.0), (b, 1.0), (x, 0.5))))
    wrong = ~((a >= 0) & (b >= 0) & (x >= 0) & (x <= 1)) | (a == 0) & (b == 0) \
        | jnp.isinf(a) & jnp.isinf(b)
    full = ((x == 1) | (a == 0) | jnp.isinf(b)) & (x > 0) & (b != 0) & ~(jnp.isinf(a) & (x < 1))
    edge = jnp.where(full | (b == 0) & (x == 1), 1.0, 0.0)
    return jnp.where(wrong, jnp.nan, jnp.where(inside, safe, edge))


def _betainc_by_x(a: Array, b: Array, x: Array) -> Array:
    """The density of the beta distribution."""
    inside = (x > 0) & (x < 1)
    safe = jnp.where(inside, x, 0.5)
    at_zero = jnp.where(a < 1, jnp.inf, jnp.where(a == 1, b, 0.0))
    at_one = jnp.where(b < 1, jnp.inf, jnp.where(b == 1, a, 0.0))
    edge = jnp.where(x == 0, at_zero, jnp.where(x == 1, at_one, jnp.nan))
    return jnp.where(inside, _beta_density(a, b, safe) / (safe * (1 - safe)), edge)


_betainc_with_slopes = forward(_betainc, by_2=_betainc_by_x)


def betainc(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Array:
    """The regularized incomplete beta function I_x(a, b), for a, b >= 0 and x from 0 to 1.

    nan elsewhere. Derivatives are those in all arguments.

    >>> betainc(2.0, 3.0, 0.5)
    Array(0.6875, dtype=float32)
    """
    return pointwise("betainc", _betainc_with_slopes, a, b, x)
