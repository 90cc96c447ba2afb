"""Distributions made of others: of vectors and matrices, of signs, of quotients."""

from __future__ import annotations

from typing import Any

import arraylib.numpy as jnp
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.numpy import linalg
from arraylib.numpy.placing import lays_out
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    Shape,
    as_shape,
    broadcast_shapes,
    promote_inexact,
)
from arraylib.random.continuous import (
    exponential,
    float_dtype,
    maxwell,
    normal,
    parameters,
    sample_shape,
    uniform,
)
from arraylib.random.discrete import rademacher
from arraylib.random.keys import split
from arraylib.random.rejection import chisquare, gamma


@lays_out
def multivariate_normal(key: ArrayLike, mean: ArrayLike, cov: ArrayLike, shape: Shape | None = None,
                        dtype: Any = None, method: str = "cholesky", *,
                        out_sharding: Any = None) -> Array:
    """Normal vectors of these means (..., n) and covariances (..., n, n).

    Args:
        shape: of the samples, without the vectors' axis; that of the parameters by default.
        method: of taking the covariances' root: "cholesky", "eigh" or "svd". Those that are not
            positive definite need one of the last two.

    Raises: ShapeError where mean and covariance do not fit, ArgumentError for another method.

        >>> multivariate_normal(key(0), jnp.zeros(2), jnp.eye(2), (5,)).shape
        (5, 2)
    """
    op = "multivariate_normal"
    mean, cov = (jnp.asarray(x) for x in promote_inexact(op, mean, cov))
    n = mean.shape[-1] if mean.ndim else -1
    if cov.shape[-2:] != (n, n):
        raise mistake(ShapeError, op, f"mean of shape {mean.shape}, cov of shape {cov.shape}",
                      hint="(..., n) and (..., n, n)")
    wanted = float_dtype(op, mean.dtype if dtype is None else dtype)
    own = broadcast_shapes(mean.shape[:-1], cov.shape[:-2])
    sizes = own if shape is None else sample_shape(op, shape, jnp.zeros(own))
    drawn = normal(key, (*sizes, n), wanted)
    return mean + jnp.einsum("...ij,...j->...i", _root(op, cov, method), drawn)


def _root(op: str, cov: Array, method: str) -> Array:
    """A matrix whose product with its transpose is `cov`."""
    if method == "cholesky":
        return linalg.cholesky(cov)
    if method == "eigh":
        values, vectors = linalg.eigh(cov)
        return vectors * jnp.sqrt(values[..., None, :])
    if method == "svd":
        left, values, _ = linalg.svd(cov)
        return left * jnp.sqrt(values[..., None, :])
    raise mistake(ArgumentError, op, f"method = {method!r}", hint="'cholesky', 'eigh' or 'svd'")


@lays_out
def orthogonal(key: ArrayLike, n: int, shape: Shape = (), dtype: Any = None, m: int | None = None,
               *, out_sharding: Any = None) -> Array:
    """Matrices (*shape, n, m) with orthonormal rows or columns, all equally likely; m is n.

    Unitary ones for complex dtypes (Mezzadri, 2007).

        >>> q = orthogonal(key(0), 3)
        >>> bool(abs(q @ q.T - jnp.eye(3)).max() < 1e-6)
        True
    """
    wanted = float_dtype("orthogonal", dtype, "fc")
    columns = n if m is None else m
    sizes = (*as_shape("orthogonal", shape), max(n, columns), min(n, columns))
    q, r = linalg.qr(normal(key, sizes, wanted))
    signed = q * jnp.sign(jnp.diagonal(r, axis1=-2, axis2=-1))[..., None, :]
    return jnp.matrix_transpose(signed) if n < columns else signed


@lays_out
def generalized_normal(key: ArrayLike, p: float, shape: Shape = (), dtype: Any = None, *,
                       out_sharding: Any = None) -> Array:
    """Numbers whose density falls with exp(-|x|^p).

    >>> random.generalized_normal(random.key(0), 2.0, (3,)).shape
    (3,)
    """
    wanted = float_dtype("generalized_normal", dtype)
    sizes, keys = as_shape("generalized_normal", shape), split(key)
    size = gamma(keys[0], 1 / p, sizes, wanted) ** (1 / p)
    return rademacher(keys[1], sizes, wanted) * size


@lays_out
def ball(key: ArrayLike, d: int, p: float = 2, shape: Shape = (), dtype: Any = None, *,
         out_sharding: Any = None) -> Array:
    """Points of the unit ball of the p-norm in d dimensions, all equally likely.

    Coordinates of `generalized_normal` over a norm that has one more of them, to a random size
    (Barthe, Guédon, Mendelson and Naor, 2005).

    >>> jnp.linalg.norm(random.ball(random.key(0), 3)) <= 1
    Array(True, dtype=bool)
    """
    wanted, keys = float_dtype("ball", dtype), split(key)
    sizes = as_shape("ball", shape)
    drawn = generalized_normal(keys[0], p, (*sizes, d), wanted)
    more = exponential(keys[1], sizes, wanted)
    length = (jnp.sum(jnp.abs(drawn) ** p, -1) + more) ** (1 / p)
    return drawn / length[..., None]


def double_sided_maxwell(key: ArrayLike, loc: ArrayLike, scale: ArrayLike, shape: Shape = (),
                         dtype: Any = None) -> Array:
    """`loc` plus `scale` times the length of a normal vector in space, with a random sign.

    The samples' shape is `shape` and then that of the parameters; as in JAX, `shape=()` takes the
    parameters' twice.

    >>> random.double_sided_maxwell(random.key(0), 0.0, 1.0, (3,)).shape
    (3,)
    """
    op = "double_sided_maxwell"
    wanted, keys = float_dtype(op, dtype), split(key)
    own = sample_shape(op, None, loc, scale)
    sizes = (*(as_shape(op, shape) or own), *own)
    loc, scale = parameters(op, wanted, sizes, loc, scale)
    return rademacher(keys[1], sizes, wanted) * maxwell(keys[0], sizes, wanted) * scale + loc


@lays_out
def wald(key: ArrayLike, mean: ArrayLike, shape: Shape | None = None, dtype: Any = None, *,
         out_sharding: Any = None) -> Array:
    """Numbers of the inverse Gaussian distribution of this mean and of scale 1.

    By one root of a quadratic equation or the other (Michael, Schucany and Haas, 1976).

    >>> random.wald(random.key(0), 1.0, (3,)).shape
    (3,)
    """
    wanted, keys = float_dtype("wald", dtype), split(key)
    sizes = sample_shape("wald", shape, mean)
    (mean,) = parameters("wald", wanted, sizes, mean)
    square = normal(keys[0], sizes, wanted) ** 2
    root = jnp.sqrt(4 * mean * square + mean**2 * square**2)
    x = mean + mean**2 * square / 2 - mean / 2 * root
    return jnp.where(uniform(keys[1], sizes, wanted) <= mean / (mean + x), x, mean**2 / x)


@lays_out
def f(key: ArrayLike, dfnum: ArrayLike, dfden: ArrayLike, shape: Shape | None = None,
      dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Quotients of chi-square numbers, each over its degrees of freedom: Fisher's distribution.

    >>> random.f(random.key(0), 3.0, 4.0, (3,)).shape
    (3,)
    """
    wanted, keys = float_dtype("f", dtype), split(key)
    sizes = sample_shape("f", shape, dfnum, dfden)
    above, below = parameters("f", wanted, sizes, dfnum, dfden)
    return (chisquare(keys[1], above, sizes, wanted) / above
            / (chisquare(keys[0], below, sizes, wanted) / below))
