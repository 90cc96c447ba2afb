"""The beta distribution with shapes `a` and `b`, from `loc` to `loc + scale`."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.special import betaln, xlog1py, xlogy
from arraylib.scipy.stats.support import inside, standardized


def logpdf(x: ArrayLike, a: ArrayLike, b: ArrayLike, loc: ArrayLike = 0,
           scale: ArrayLike = 1) -> Array:
    """The logarithm of the density.

    >>> stats.beta.logpdf(0.5, 2, 2).round(4)
    Array(0.4055, dtype=float32)
    """
    z, scale, a, b = standardized("beta.logpdf", x, loc, scale, a, b)
    support = (z >= 0) & (z <= 1)
    point = jnp.where(support, z, 0.5)
    shape = xlogy(a - 1, point) + xlog1py(b - 1, -point) - betaln(a, b)
    return inside(support, shape - jnp.log(scale) + 0 * z)


def pdf(x: ArrayLike, a: ArrayLike, b: ArrayLike, loc: ArrayLike = 0,
        scale: ArrayLike = 1) -> Array:
    """The density.

    >>> stats.beta.pdf(0.5, 2, 2).round(4)
    Array(1.5, dtype=float32)
    """
    return jnp.exp(logpdf(x, a, b, loc, scale))
