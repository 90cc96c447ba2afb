"""The Dirichlet distribution of probabilities along the first axis."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.hlo.ir import type_of
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.promotion import floats
from arraylib.scipy.special import gammaln, xlogy
from arraylib.scipy.stats.support import inside


def logpdf(x: ArrayLike, alpha: ArrayLike) -> Array:
    """The logarithm of the density; the last of the probabilities may be left out.

    >>> stats.dirichlet.logpdf(jnp.array([0.5, 0.5]), jnp.array([2.0, 2.0])).round(4)
    Array(0.4055, dtype=float32)
    """
    x, alpha = floats("dirichlet.logpdf", x, alpha)
    if type_of(x).shape[0] + 1 == type_of(alpha).shape[0]:
        x = jnp.concatenate([x, 1 - x.sum(axis=0, keepdims=True)])
    alpha = alpha.reshape(alpha.shape + (1,) * (len(x.shape) - 1))
    total = gammaln(alpha.sum(axis=0)) - gammaln(alpha).sum(axis=0)
    simplex = (x >= 0).all(axis=0) & (jnp.abs(x.sum(axis=0) - 1) < 1e-4)
    return inside(simplex, total + xlogy(alpha - 1, jnp.maximum(x, 0)).sum(axis=0))


def pdf(x: ArrayLike, alpha: ArrayLike) -> Array:
    """The density; the last of the probabilities may be left out.

    >>> stats.dirichlet.pdf(jnp.array([0.5, 0.5]), jnp.array([2.0, 2.0])).round(4)
    Array(1.5, dtype=float32)
    """
    return jnp.exp(logpdf(x, alpha))
