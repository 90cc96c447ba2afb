"""The exponential distribution from `loc` on, with mean `loc + scale`."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.promotion import floats
from arraylib.scipy.stats.support import inside, standardized


def logpdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The logarithm of the density.

    >>> stats.expon.logpdf(1.0).round(4)
    Array(-1., dtype=float32)
    """
    z, scale = standardized("expon.logpdf", x, loc, scale)
    return inside(z >= 0, -z - jnp.log(scale))


def pdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The density.

    >>> stats.expon.pdf(1.0).round(4)
    Array(0.3679, dtype=float32)
    """
    return jnp.exp(logpdf(x, loc, scale))


def cdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The probability of at most x.

    >>> stats.expon.cdf(1.0).round(4)
    Array(0.6321, dtype=float32)
    """
    return -jnp.expm1(logsf(x, loc, scale))


def sf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The probability of more than x.

    >>> stats.expon.sf(1.0).round(4)
    Array(0.3679, dtype=float32)
    """
    return jnp.exp(logsf(x, loc, scale))


def logsf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The logarithm of sf.

    >>> stats.expon.logsf(1.0).round(4)
    Array(-1., dtype=float32)
    """
    return -jnp.maximum(standardized("expon.logsf", x, loc, scale)[0], 0)


def ppf(q: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The inverse of cdf.

    >>> stats.expon.ppf(0.5).round(4)
    Array(0.6931, dtype=float32)
    """
    q, loc, scale = floats("expon.ppf", q, loc, scale)
    return loc - scale * jnp.log1p(-q)
