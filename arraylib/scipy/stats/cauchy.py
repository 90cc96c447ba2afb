"""The Cauchy distribution around `loc`, which has no mean."""

from __future__ import annotations

import math

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.promotion import floats
from arraylib.scipy.stats.support import standardized


def logpdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The logarithm of the density.

    >>> stats.cauchy.logpdf(0.0).round(4)
    Array(-1.1447, dtype=float32)
    """
    z, scale = standardized("cauchy.logpdf", x, loc, scale)
    return -jnp.log1p(jnp.square(z)) - jnp.log(scale) - math.log(math.pi)


def pdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The density.

    >>> stats.cauchy.pdf(0.0).round(4)
    Array(0.3183, dtype=float32)
    """
    return jnp.exp(logpdf(x, loc, scale))


def cdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The probability of at most x.

    >>> stats.cauchy.cdf(0.0).round(4)
    Array(0.5, dtype=float32)
    """
    return 0.5 + jnp.arctan(standardized("cauchy.cdf", x, loc, scale)[0]) / math.pi


def ppf(q: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The inverse of cdf.

    >>> stats.cauchy.ppf(0.75).round(4)
    Array(1., dtype=float32)
    """
    q, loc, scale = floats("cauchy.ppf", q, loc, scale)
    return loc + scale * jnp.tan(math.pi * (q - 0.5))
