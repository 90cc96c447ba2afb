"""The Pareto distribution with shape `b`, from `loc + scale` on."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.stats.support import inside, standardized


def logpdf(x: ArrayLike, b: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The logarithm of the density."""
    z, scale, b = standardized("pareto.logpdf", x, loc, scale, b)
    value = jnp.log(b) - (b + 1) * jnp.log(jnp.where(z < 1, 1, z)) - jnp.log(scale)
    return inside(z >= 1, value)


def pdf(x: ArrayLike, b: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The density."""
    return jnp.exp(logpdf(x, b, loc, scale))
