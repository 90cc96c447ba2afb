"""The distribution of a sum of `df` squared standard normal variables."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.promotion import floats
from arraylib.scipy.stats import gamma


def logpdf(x: ArrayLike, df: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The logarithm of the density."""
    x, df, loc, scale = floats("chi2.logpdf", x, df, loc, scale)
    return gamma.logpdf(x, df / 2, loc, 2 * scale)


def pdf(x: ArrayLike, df: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The density."""
    return jnp.exp(logpdf(x, df, loc, scale))
