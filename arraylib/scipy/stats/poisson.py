"""The Poisson distribution with mean `mu`."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.promotion import floats
from arraylib.scipy.special import gammaln, xlogy
from arraylib.scipy.stats.support import inside, whole


def logpmf(k: ArrayLike, mu: ArrayLike, loc: ArrayLike = 0) -> Array:
    """The logarithm of the probability of k.

    >>> stats.poisson.logpmf(2, 3.0).round(4)
    Array(-1.4959, dtype=float32)
    """
    k, mu, loc = floats("poisson.logpmf", k, mu, loc)
    k = k - loc
    point = jnp.maximum(k, 0)
    return inside((k >= 0) & whole(k), xlogy(point, mu) - gammaln(point + 1) - mu)


def pmf(k: ArrayLike, mu: ArrayLike, loc: ArrayLike = 0) -> Array:
    """The probability of k.

    >>> stats.poisson.pmf(2, 3.0).round(4)
    Array(0.224, dtype=float32)
    """
    return jnp.exp(logpmf(k, mu, loc))
