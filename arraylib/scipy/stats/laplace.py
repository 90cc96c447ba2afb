"""The Laplace distribution around `loc`: two exponential ones back to back."""

from __future__ import annotations

import math

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.stats.support import standardized


def logpdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The logarithm of the density.

    >>> stats.laplace.logpdf(0.0).round(4)
    Array(-0.6931, dtype=float32)
    """
    z, scale = standardized("laplace.logpdf", x, loc, scale)
    return -jnp.abs(z) - jnp.log(scale) - math.log(2)


def pdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The density.

    >>> stats.laplace.pdf(0.0).round(4)
    Array(0.5, dtype=float32)
    """
    return jnp.exp(logpdf(x, loc, scale))


def cdf(x: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The probability of at most x.

    >>> stats.laplace.cdf(0.0).round(4)
    Array(0.5, dtype=float32)
    """
    z, _ = standardized("laplace.cdf", x, loc, scale)
    half = 0.5 * jnp.exp(-jnp.abs(z))
    return jnp.where(z < 0, half, 1 - half)
