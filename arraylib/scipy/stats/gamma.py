"""The gamma distribution with shape `a`, from `loc` on."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.special import gammaln, xlogy
from arraylib.scipy.stats.support import inside, standardized


def logpdf(x: ArrayLike, a: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The logarithm of the density.

    >>> stats.gamma.logpdf(2.0, 2.0).round(4)
    Array(-1.3069, dtype=float32)
    """
    z, scale, a = standardized("gamma.logpdf", x, loc, scale, a)
    point = jnp.where(z >= 0, z, 1)
    return inside(z >= 0, xlogy(a - 1, point) - z - gammaln(a) - jnp.log(scale))


def pdf(x: ArrayLike, a: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The density.

    >>> stats.gamma.pdf(2.0, 2.0).round(4)
    Array(0.2707, dtype=float32)
    """
    return jnp.exp(logpdf(x, a, loc, scale))
