"""The logistic distribution around `loc`, whose cdf is the logistic function."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy import special
from arraylib.scipy.promotion import floats
from arraylib.scipy.stats.support import standardized


def logpdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The logarithm of the density.

    >>> stats.logistic.logpdf(0.0).round(4)
    Array(-1.3863, dtype=float32)
    """
    z, scale = standardized("logistic.logpdf", x, loc, scale)
    return -z - 2 * jnp.logaddexp(0, -z) - jnp.log(scale)


def pdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The density.

    >>> stats.logistic.pdf(0.0).round(4)
    Array(0.25, dtype=float32)
    """
    return jnp.exp(logpdf(x, loc, scale))


def cdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The probability of at most x.

    >>> stats.logistic.cdf(0.0).round(4)
    Array(0.5, dtype=float32)
    """
    return special.expit(standardized("logistic.cdf", x, loc, scale)[0])


def sf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The probability of more than x.

    >>> stats.logistic.sf(0.0).round(4)
    Array(0.5, dtype=float32)
    """
    return special.expit(-standardized("logistic.sf", x, loc, scale)[0])


def ppf(q: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The inverse of cdf.

    >>> stats.logistic.ppf(0.75).round(4)
    Array(1.0986, dtype=float32)
    """
    q, loc, scale = floats("logistic.ppf", q, loc, scale)
    return special.logit(q) * scale + loc


def isf(q: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The inverse of sf.

    >>> stats.logistic.isf(0.25).round(4)
    Array(1.0986, dtype=float32)
    """
    q, loc, scale = floats("logistic.isf", q, loc, scale)
    return loc - special.logit(q) * scale
