"""The binomial distribution: how many of `n` trials succeed, each with probability `p`."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.promotion import floats
from arraylib.scipy.special import gammaln, xlog1py, xlogy
from arraylib.scipy.stats.support import inside, whole


def logpmf(k: ArrayLike, n: ArrayLike, p: ArrayLike, loc: ArrayLike = 0) -> Array:
    """The logarithm of the probability of k.

    >>> stats.binom.logpmf(1, 3, 0.5).round(4)
    Array(-0.9808, dtype=float32)
    """
    k, n, p, loc = floats("binom.logpmf", k, n, p, loc)
    k = k - loc
    support = (k >= 0) & (k <= n) & whole(k)
    k = jnp.where(support, k, 0)
    choices = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return inside(support, choices + xlogy(k, p) + xlog1py(n - k, -p))


def pmf(k: ArrayLike, n: ArrayLike, p: ArrayLike, loc: ArrayLike = 0) -> Array:
    """The probability of k.

    >>> stats.binom.pmf(1, 3, 0.5).round(4)
    Array(0.375, dtype=float32)
    """
    return jnp.exp(logpmf(k, n, p, loc))
