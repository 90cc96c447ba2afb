"""The gamma distribution with shape `a`, from `loc` on."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.special import gammaln, xlogy
from arraylib.scipy.stats.support import inside, standardized


def logpdf(x: ArrayLike, a: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The logarithm of the density."""
    z, scale, a = standardized("gamma.logpdf", x, loc, scale, a)
    point = jnp.where(z >= 0, z, 1)
    return inside(z >= 0, xlogy(a - 1, point) - z - gammaln(a) - jnp.log(scale))


def pdf(x: ArrayLike, a: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The density."""
    return jnp.exp(logpdf(x, a, loc, scale))
