"""The distribution of a sum of `df` squared standard normal variables."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.promotion import floats
from arraylib.scipy.stats import gamma


def logpdf(x: ArrayLike, df: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The logarithm of the density.

    >>> stats.chi2.logpdf(2.0, 2).round(4)
    Array(-1.6931, dtype=float32)
    """
    x, df, loc, scale = floats("chi2.logpdf", x, df, loc, scale)
    return gamma.logpdf(x, df / 2, loc, 2 * scale)


def pdf(x: ArrayLike, df: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The density.

    >>> stats.chi2.pdf(2.0, 2).round(4)
    Array(0.1839, dtype=float32)
    """
    return jnp.exp(logpdf(x, df, loc, scale))
