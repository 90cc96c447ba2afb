"""The Pareto distribution with shape `b`, from `loc + scale` on."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.stats.support import inside, standardized


def logpdf(x: ArrayLike, b: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The logarithm of the density.

    >>> stats.pareto.logpdf(2.0, 3.0).round(4)
    Array(-1.674, dtype=float32)
    """
    z, scale, b = standardized("pareto.logpdf", x, loc, scale, b)
    value = jnp.log(b) - (b + 1) * jnp.log(jnp.where(z < 1, 1, z)) - jnp.log(scale)
    return inside(z >= 1, value)


def pdf(x: ArrayLike, b: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1) -> Array:
    """The density.

    >>> stats.pareto.pdf(2.0, 3.0).round(4)
    Array(0.1875, dtype=float32)
    """
    return jnp.exp(logpdf(x, b, loc, scale))
