"""The Bernoulli distribution: 1 with probability `p`, else 0."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.promotion import floats
from arraylib.scipy.special import xlog1py, xlogy
from arraylib.scipy.stats.support import inside


def logpmf(k: ArrayLike, p: ArrayLike, loc: ArrayLike = 0) -> Array:
    """The logarithm of the probability of k.

    >>> stats.bernoulli.logpmf(1, 0.25).round(4)
    Array(-1.3863, dtype=float32)
    """
    k, p, loc = floats("bernoulli.logpmf", k, p, loc)
    k = k - loc
    return inside((k == 0) | (k == 1), xlogy(k, p) + xlog1py(1 - k, -p))


def pmf(k: ArrayLike, p: ArrayLike, loc: ArrayLike = 0) -> Array:
    """The probability of k.

    >>> stats.bernoulli.pmf(1, 0.25).round(4)
    Array(0.25, dtype=float32)
    """
    return jnp.exp(logpmf(k, p, loc))


def cdf(k: ArrayLike, p: ArrayLike) -> Array:
    """The probability of at most k.

    >>> stats.bernoulli.cdf(0, 0.25).round(4)
    Array(0.75, dtype=float32)
    """
    k, p = floats("bernoulli.cdf", k, p)
    return jnp.where(k < 0, 0, jnp.where(k < 1, 1 - p, 1))
