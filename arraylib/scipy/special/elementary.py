"""Special functions that are one or a few operations.

All are compositions of the library's operations, so they may be differentiated any number of
times, batched and compiled. Integers become floats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew, elementwise_extra as ex
from arraylib.nn.activations import sigmoid
from arraylib.nn.normalization import log_softmax, logsumexp, softmax
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import Array, ArrayLike, broadcast_all
from arraylib.scipy.promotion import floats

__all__ = ["beta", "betaln", "digamma", "entr", "erf", "erfc", "erfinv", "expit", "factorial",
           "gamma", "gammaln", "gammasgn", "i0", "i0e", "i1", "i1e", "kl_div", "log_ndtr",
           "log_softmax", "logit", "logsumexp", "multigammaln", "ndtr", "ndtri", "poch",
           "polygamma", "rel_entr", "softmax", "xlog1py", "xlogy", "zeta"]


# -- error functions and the normal distribution ---------------------------------------------------


def erf(x: ArrayLike) -> Array:
    """The error function.

    >>> special.erf(jnp.array([0.0, 1.0])).round(4)
    Array([0.    , 0.8427], dtype=float32)
    """
    return ew.erf(*floats("erf", x))


def erfc(x: ArrayLike) -> Array:
    """1 - erf(x), exact also where that is near 0.

    >>> special.erfc(jnp.array([0.0, 1.0])).round(4)
    Array([1.    , 0.1573], dtype=float32)
    """
    return ew.erfc(*floats("erfc", x))


def erfinv(x: ArrayLike) -> Array:
    """The inverse of the error function.

    >>> special.erfinv(jnp.array([0.0, 0.5])).round(4)
    Array([0.    , 0.4769], dtype=float32)
    """
    return ew.erf_inv(*floats("erfinv", x))


@one_program()
def ndtr(x: ArrayLike) -> Array:
    """The distribution function of the standard normal distribution.

    >>> special.ndtr(jnp.array([0.0, 1.96])).round(4)
    Array([0.5  , 0.975], dtype=float32)
    """
    (x,) = floats("ndtr", x)
    return 0.5 * erfc(x * -math.sqrt(0.5))


@one_program()
def log_ndtr(x: ArrayLike) -> Array:
    """log(ndtr(x)), by an asymptotic series far to the left (Abramowitz and Stegun 26.2.12).

    >>> special.log_ndtr(jnp.array([0.0, -20.0])).round(3)
    Array([  -0.693, -203.917], dtype=float32)
    """
    (x,) = floats("log_ndtr", x)
    left = -20.0 if type_of(x).dtype == dt.float64 else -10.0
    # selected, not limited: limits would halve the derivative where x meets one
    near = ndtr(jnp.where((x > left) & (x <= 0), x, left))
    tail = jnp.where(x > left, left, x)
    square = jnp.square(tail)
    series = jnp.log1p((-1 + (3 + (-15 + 105 / square) / square) / square) / square)
    far = -0.5 * square - jnp.log(-tail) - 0.5 * math.log(2 * math.pi) + series
    above = jnp.log1p(-ndtr(jnp.where(x > 0, -x, 0)))
    return jnp.where(x > 0, above, jnp.where(x > left, jnp.log(near), far))


@one_program()
def ndtri(p: ArrayLike) -> Array:
    """The inverse of ndtr, by rational functions (Moshier, Cephes, ndtri.c).

    >>> special.ndtri(jnp.array([0.5, 0.975])).round(4)
    Array([0.  , 1.96], dtype=float32)
    """
    (p,) = floats("ndtri", p)
    small = jnp.where(p < 0.5, p, 1 - p)
    away = 0.5 - jnp.maximum(small, _TAIL)
    center = away + away ** 3 * _rational(_CENTER, away * away)
    root = jnp.sqrt(-2 * jnp.log(jnp.where(small > 0, jnp.minimum(small, _TAIL), _TAIL)))
    correction = jnp.where(root < 8, _rational(_NEAR, 1 / root), _rational(_FAR, 1 / root))
    tail = root - (jnp.log(root) + correction) / root
    size = jnp.where(small > _TAIL, center * math.sqrt(2 * math.pi),
                     jnp.where(small > 0, tail, jnp.where(small == 0, jnp.inf, jnp.nan)))
    return jnp.where(p < 0.5, -size, size)


def _rational(coefficients: tuple[Sequence[float], Sequence[float]], x: Array) -> Array:
    """The quotient of two polynomials, whose highest powers come first."""
    upper, lower = coefficients
    return _polynomial(upper, x) / _polynomial(lower, x)


def _polynomial(coefficients: Sequence[float], x: Array) -> Array:
    total: Any = coefficients[0]
    for c in coefficients[1:]:
        total = total * x + c
    return total


_TAIL = math.exp(-2)
_CENTER = (
    (-59.9633501014107895267, 98.0010754185999661536, -56.6762857469070293439,
     13.9312609387279679503, -1.23916583867381258016),
    (1.0, 1.95448858338141759834, 4.67627912898881538453, 86.3602421390890590575,
     -225.462687854119370527, 200.260212380060660359, -82.0372256168333339912,
     15.9056225126211695515, -1.18331621121330003142))
_NEAR = (
    (4.05544892305962419923, 31.5251094599893866154, 57.1628192246421288162,
     44.0805073893200834700, 14.6849561928858024014, 2.18663306850790267539,
     -0.140256079171354495875, -0.0350424626827848203418, -0.000857456785154685413611),
    (1.0, 15.7799883256466749731, 45.3907635128879210584, 41.3172038254672030440,
     15.0425385692907503408, 2.50464946208309415979, -0.142182922854787788574,
     -0.0380806407691578277194, -0.000933259480895457427372))
_FAR = (
    (3.23774891776946035970, 6.91522889068984211695, 3.93881025292474443415,
     1.33303460815807542389, 0.201485389549179081538, 0.0123716634817820021358,
     3.01581553508235416007e-4, 2.65806974686737550832e-6, 6.23974539184983293730e-9),
    (1.0, 6.02427039364742014255, 3.67983563856160859403, 1.37702099489081330271,
     0.216236993594496635890, 0.0134204006088543189037, 3.28014464682127739104e-4,
     2.89247864745380683936e-6, 6.79019408009981274425e-9))


# -- gamma and beta functions ----------------------------------------------------------------------


def gammaln(x: ArrayLike) -> Array:
    """log(|gamma(x)|).

    >>> special.gammaln(jnp.array([1.0, 5.0])).round(4)
    Array([0.    , 3.1781], dtype=float32)
    """
    return ew.lgamma(*floats("gammaln", x))


def digamma(x: ArrayLike) -> Array:
    """The derivative of gammaln.

    >>> special.digamma(jnp.array([1.0])).round(4)
    Array([-0.5772], dtype=float32)
    """
    return ew.digamma(*floats("digamma", x))


@one_program()
def gammasgn(x: ArrayLike) -> Array:
    """The sign of gamma(x); nan at its poles.

    >>> special.gammasgn(jnp.array([1.5, -0.5]))
    Array([ 1., -1.], dtype=float32)
    """
    (x,) = floats("gammasgn", x)
    down = jnp.floor(x)
    sign = jnp.where(jnp.mod(down, 2) == 0, 1, -1).astype(type_of(x).dtype)
    return jnp.where(x > 0, jnp.ones_like(x), jnp.where(
        x == 0, jnp.copysign(jnp.ones_like(x), x), jnp.where(x > down, sign, jnp.nan)))


@one_program()
def gamma(x: ArrayLike) -> Array:
    """The gamma function.

    >>> special.gamma(jnp.array([1.0, 5.0])).round(3)
    Array([ 1., 24.], dtype=float32)
    """
    return gammasgn(x) * jnp.exp(gammaln(x))


@one_program()
def factorial(n: ArrayLike, exact: bool = False) -> Array:
    """n!, which is gamma(n + 1); 0 for negative numbers.

    >>> special.factorial(jnp.array([3, 5])).round(3)
    Array([  6., 120.], dtype=float32)
    """
    if exact:
        raise mistake(ArgumentError, "factorial", "exact=True: arrays hold no integers without "
                      "bounds", hint="math.factorial")
    (n,) = floats("factorial", n)
    return jnp.where(n < 0, 0, jnp.exp(gammaln(n + 1)))


@one_program(2)
def betaln(a: ArrayLike, b: ArrayLike) -> Array:
    """log(|beta(a, b)|).

    >>> special.betaln(2.0, 3.0).round(4)
    Array(-2.4849, dtype=float32)
    """
    a, b = floats("betaln", a, b)
    return gammaln(a) + gammaln(b) - gammaln(a + b)


@one_program(2)
def beta(a: ArrayLike, b: ArrayLike) -> Array:
    """The beta function: gamma(a) gamma(b) / gamma(a + b).

    >>> special.beta(2.0, 3.0).round(4)
    Array(0.0833, dtype=float32)
    """
    a, b = floats("beta", a, b)
    return gammasgn(a) * gammasgn(b) * gammasgn(a + b) * jnp.exp(betaln(a, b))


@one_program(2)
def poch(z: ArrayLike, m: ArrayLike) -> Array:
    """The rising factorial gamma(z + m) / gamma(z), for positive z and z + m.

    >>> special.poch(3.0, 2.0).round(3)
    Array(12., dtype=float32)
    """
    z, m = floats("poch", z, m)
    return jnp.where(m == 0, 1, jnp.exp(gammaln(z + m) - gammaln(z)))


def multigammaln(a: ArrayLike, d: int) -> Array:
    """The logarithm of the multivariate gamma function of dimension d.

    >>> special.multigammaln(3.0, 2).round(4)
    Array(1.5502, dtype=float32)
    """
    (a,) = floats("multigammaln", a)
    constant = d * (d - 1) / 4 * math.log(math.pi)
    return constant + sum([gammaln(a - i / 2) for i in range(d)])  # type: ignore[return-value]


@one_program(2)
def polygamma(n: ArrayLike, x: ArrayLike) -> Array:
    """The n-th derivative of digamma at x, for whole n.

    >>> special.polygamma(1, 1.0).round(4)
    Array(1.6449, dtype=float32)
    """
    return ex.polygamma(*broadcast_all("polygamma", floats("polygamma", n, x)))


@one_program(2)
def zeta(x: ArrayLike, q: ArrayLike | None = None) -> Array:
    """The Hurwitz zeta function: the sum of (q + k) ** -x for k = 0, 1, 2, ..., where x > 1.

    >>> special.zeta(2.0, 1.0).round(4)
    Array(1.6449, dtype=float32)
    """
    if q is None:
        raise mistake(ArgumentError, "zeta", "q is not given, which asks for Riemann's function "
                      "at any x", hint="zeta(x, 1) for x > 1")
    return ex.zeta(*broadcast_all("zeta", floats("zeta", x, q)))


# -- modified Bessel functions ---------------------------------------------------------------------


def i0e(x: ArrayLike) -> Array:
    """exp(-|x|) times the modified Bessel function of order 0.

    >>> special.i0e(jnp.array([0.0, 1.0])).round(4)
    Array([1.    , 0.4658], dtype=float32)
    """
    return ex.bessel_i0e(*floats("i0e", x))


def i1e(x: ArrayLike) -> Array:
    """exp(-|x|) times the modified Bessel function of order 1.

    >>> special.i1e(jnp.array([0.0, 1.0])).round(4)
    Array([0.    , 0.2079], dtype=float32)
    """
    return ex.bessel_i1e(*floats("i1e", x))


@one_program()
def i0(x: ArrayLike) -> Array:
    """The modified Bessel function of order 0.

    >>> special.i0(jnp.array([0.0, 1.0])).round(4)
    Array([1.    , 1.2661], dtype=float32)
    """
    (x,) = floats("i0", x)
    return jnp.exp(jnp.abs(x)) * i0e(x)


@one_program()
def i1(x: ArrayLike) -> Array:
    """The modified Bessel function of order 1.

    >>> special.i1(jnp.array([0.0, 1.0])).round(4)
    Array([0.    , 0.5652], dtype=float32)
    """
    (x,) = floats("i1", x)
    return jnp.exp(jnp.abs(x)) * i1e(x)


# -- logarithms of probabilities -------------------------------------------------------------------


def expit(x: ArrayLike) -> Array:
    """The logistic function 1 / (1 + exp(-x)).

    >>> special.expit(jnp.array([0.0, 1.0])).round(4)
    Array([0.5   , 0.7311], dtype=float32)
    """
    return sigmoid(x)


@one_program()
def logit(x: ArrayLike) -> Array:
    """log(x / (1 - x)), the inverse of expit.

    >>> special.logit(jnp.array([0.5, 0.9])).round(4)
    Array([0.    , 2.1972], dtype=float32)
    """
    (x,) = floats("logit", x)
    return jnp.log(x) - jnp.log1p(-x)


@one_program(2)
def xlogy(x: ArrayLike, y: ArrayLike) -> Array:
    """x log(y), which is 0 where x is 0 (unless y is nan).

    >>> special.xlogy(jnp.array([0.0, 2.0]), jnp.array([0.0, 1.0]))
    Array([0., 0.], dtype=float32)
    """
    x, y = floats("xlogy", x, y)
    return x * jnp.log(jnp.where((x == 0) & ((y <= 0) | jnp.isinf(y)), 1, y))


@one_program(2)
def xlog1py(x: ArrayLike, y: ArrayLike) -> Array:
    """x log(1 + y), which is 0 where x is 0 (unless y is nan).

    >>> special.xlog1py(jnp.array([0.0, 2.0]), jnp.array([-1.0, 0.0]))
    Array([0., 0.], dtype=float32)
    """
    x, y = floats("xlog1py", x, y)
    return x * jnp.log1p(jnp.where((x == 0) & ((y <= -1) | jnp.isinf(y)), 0, y))


@one_program()
def entr(x: ArrayLike) -> Array:
    """-x log(x), the entropy that a probability adds; 0 at 0, -inf below.

    >>> special.entr(jnp.array([0.0, 0.5])).round(4)
    Array([-0.    ,  0.3466], dtype=float32)
    """
    (x,) = floats("entr", x)
    return jnp.where(x < 0, -jnp.inf, -xlogy(x, x))


@one_program(2)
def rel_entr(p: ArrayLike, q: ArrayLike) -> Array:
    """p log(p / q), which a probability adds to the relative entropy; inf outside its domain.

    >>> special.rel_entr(jnp.array([0.0, 0.5]), 0.25).round(4)
    Array([0.    , 0.3466], dtype=float32)
    """
    p, q = floats("rel_entr", p, q)
    inside = (p > 0) & (q > 0)
    x, y = jnp.where(inside, p, 1), jnp.where(inside, q, 1)
    ratio = x / y
    usual = (ratio > float(dt.finfo(type_of(p).dtype).tiny)) & jnp.isfinite(ratio)
    value = x * jnp.where(usual, jnp.log(jnp.where(usual, ratio, 1)), jnp.log(x) - jnp.log(y))
    edge = jnp.where((p == 0) & (q >= 0), 0, jnp.inf)
    return jnp.where(inside, value, jnp.where(jnp.isnan(p) | jnp.isnan(q), jnp.nan, edge))


@one_program(2)
def kl_div(p: ArrayLike, q: ArrayLike) -> Array:
    """p log(p / q) - p + q, which is never negative.

    >>> special.kl_div(jnp.array([0.0, 0.5]), 0.25).round(4)
    Array([0.25  , 0.0966], dtype=float32)
    """
    p, q = floats("kl_div", p, q)
    apart = rel_entr(p, q)
    return jnp.where(jnp.isposinf(apart), apart, apart - p + q)
