"""The normal distribution with mean `loc` and standard deviation `scale`."""

from __future__ import annotations

import math

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy import special
from arraylib.scipy.promotion import floats
from arraylib.scipy.stats.support import standardized


def logpdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The logarithm of the density.

    >>> stats.norm.logpdf(0.0).round(4)
    Array(-0.9189, dtype=float32)
    """
    z, scale = standardized("norm.logpdf", x, loc, scale)
    return -0.5 * jnp.square(z) - jnp.log(scale) - 0.5 * math.log(2 * math.pi)


def pdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The density.

    >>> stats.norm.pdf(0.0).round(4)
    Array(0.3989, dtype=float32)
    """
    return jnp.exp(logpdf(x, loc, scale))


def cdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The probability of at most x.

    >>> stats.norm.cdf(0.0).round(4)
    Array(0.5, dtype=float32)
    """
    return special.ndtr(standardized("norm.cdf", x, loc, scale)[0])


def logcdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The logarithm of cdf.

    >>> stats.norm.logcdf(0.0).round(4)
    Array(-0.6931, dtype=float32)
    """
    return special.log_ndtr(standardized("norm.logcdf", x, loc, scale)[0])


def sf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The probability of more than x.

    >>> stats.norm.sf(0.0).round(4)
    Array(0.5, dtype=float32)
    """
    return special.ndtr(-standardized("norm.sf", x, loc, scale)[0])


def logsf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The logarithm of sf.

    >>> stats.norm.logsf(0.0).round(4)
    Array(-0.6931, dtype=float32)
    """
    return special.log_ndtr(-standardized("norm.logsf", x, loc, scale)[0])


def ppf(q: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The inverse of cdf.

    >>> stats.norm.ppf(0.975).round(4)
    Array(1.96, dtype=float32)
    """
    q, loc, scale = floats("norm.ppf", q, loc, scale)
    return special.ndtri(q) * scale + loc


def isf(q: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The inverse of sf.

    >>> stats.norm.isf(0.025).round(4)
    Array(1.96, dtype=float32)
    """
    q, loc, scale = floats("norm.isf", q, loc, scale)
    return loc - special.ndtri(q) * scale
