"""The Poisson distribution with mean `mu`."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.promotion import floats
from arraylib.scipy.special import gammaln, xlogy
from arraylib.scipy.stats.support import inside, whole


def logpmf(k: ArrayLike, mu: ArrayLike, loc: ArrayLike = 0) -> Array:
    """The logarithm of the probability of k."""
    k, mu, loc = floats("poisson.logpmf", k, mu, loc)
    k = k - loc
    point = jnp.maximum(k, 0)
    return inside((k >= 0) & whole(k), xlogy(point, mu) - gammaln(point + 1) - mu)


def pmf(k: ArrayLike, mu: ArrayLike, loc: ArrayLike = 0) -> Array:
    """The probability of k."""
    return jnp.exp(logpmf(k, mu, loc))
