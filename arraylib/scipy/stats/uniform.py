"""The uniform distribution from `loc` to `loc + scale`."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.promotion import floats
from arraylib.scipy.stats.support import inside, standardized


def logpdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The logarithm of the density.

    >>> stats.uniform.logpdf(0.5).round(4)
    Array(0., dtype=float32)
    """
    z, scale = standardized("uniform.logpdf", x, loc, scale)
    return inside((z >= 0) & (z <= 1), -jnp.log(scale) + 0 * z)


def pdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The density.

    >>> stats.uniform.pdf(0.5).round(4)
    Array(1., dtype=float32)
    """
    return jnp.exp(logpdf(x, loc, scale))


def cdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The probability of at most x.

    >>> stats.uniform.cdf(0.5).round(4)
    Array(0.5, dtype=float32)
    """
    return jnp.clip(standardized("uniform.cdf", x, loc, scale)[0], 0, 1)


def ppf(q: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The inverse of cdf.

    >>> stats.uniform.ppf(0.25).round(4)
    Array(0.25, dtype=float32)
    """
    q, loc, scale = floats("uniform.ppf", q, loc, scale)
    return jnp.where((q >= 0) & (q <= 1), q * scale + loc, jnp.nan)
