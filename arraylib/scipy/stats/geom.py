"""The geometric distribution: the trial, from 1 on, that is the first to succeed."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.promotion import floats
from arraylib.scipy.special import xlog1py
from arraylib.scipy.stats.support import inside, whole


def logpmf(k: ArrayLike, p: ArrayLike, loc: ArrayLike = 0) -> Array:
    """The logarithm of the probability of k.

    >>> stats.geom.logpmf(2, 0.5).round(4)
    Array(-1.3863, dtype=float32)
    """
    k, p, loc = floats("geom.logpmf", k, p, loc)
    k = k - loc
    return inside((k >= 1) & whole(k), xlog1py(k - 1, -p) + jnp.log(p))


def pmf(k: ArrayLike, p: ArrayLike, loc: ArrayLike = 0) -> Array:
    """The probability of k.

    >>> stats.geom.pmf(2, 0.5).round(4)
    Array(0.25, dtype=float32)
    """
    return jnp.exp(logpmf(k, p, loc))
