"""Student's t distribution with `df` degrees of freedom."""

from __future__ import annotations

import math

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.special import gammaln
from arraylib.scipy.stats.support import standardized


def logpdf(x: ArrayLike, df: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The logarithm of the density.

    >>> stats.t.logpdf(0.0, 3).round(4)
    Array(-1.0009, dtype=float32)
    """
    z, scale, df = standardized("t.logpdf", x, loc, scale, df)
    constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * jnp.log(df * math.pi)
    return constant - jnp.log(scale) - (df + 1) / 2 * jnp.log1p(jnp.square(z) / df)


def pdf(x: ArrayLike, df: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The density.

    >>> stats.t.pdf(0.0, 3).round(4)
    Array(0.3676, dtype=float32)
    """
    return jnp.exp(logpdf(x, df, loc, scale))
