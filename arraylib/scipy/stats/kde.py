"""Densities of samples, smoothed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import arraylib.numpy as jnp
from arraylib import dtypes as dt, random
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.numpy.promotion import Array, ArrayLike, promote_inexact, shape_of
from arraylib.scipy import special
from arraylib.scipy.linalg import solve_triangular
from arraylib.tree_util import register_pytree_node_class

__all__ = ["gaussian_kde"]


@register_pytree_node_class
class gaussian_kde:
    """The density of a sample: a normal one around each of its points, all of one covariance.

    Args:
        dataset: f[n], or f[d, n] for points of d coordinates.
        bw_method: what the standard deviations of the sample are multiplied by: a number, a
            function of this object, "silverman", or "scott" (n^(-1/(d + 4)); so it is without one).
        weights: f[n], of the points; all equal without them.

    It is a container of arrays, which may go through `jit`. Raises ArgumentError for other methods
    and complex numbers, ShapeError for less than two points or other weights.

    >>> kde = gaussian_kde(jnp.array([0.0, 1.0, 5.0]))
    >>> kde(jnp.array([0.5, 20.0])).round(3)
    Array([0.128, 0.   ], dtype=float32)
    """

    dataset: Array
    weights: Array
    neff: Array  # how many points of equal weights would say as much
    covariance: Array
    inv_cov: Array

    def __init__(self, dataset: ArrayLike, bw_method: Any = None,
                 weights: ArrayLike | None = None) -> None:
        xs = promote_inexact("gaussian_kde", dataset, *([] if weights is None else [weights]))
        type = type_of(xs[0])
        x = jnp.atleast_2d(jnp.asarray(xs[0]))
        if dt.is_complex(type.dtype):
            raise mistake(ArgumentError, "gaussian_kde", "complex numbers", operands=[type],
                          hint="real and imaginary parts as two rows")
        count = shape_of(x)[-1]
        w = jnp.full(count, 1 / max(count, 1), type.dtype) if weights is None else \
            jnp.asarray(xs[1]).astype(type.dtype)
        if len(shape_of(x)) != 2 or count < 2 or shape_of(w) != (count,):
            raise mistake(ShapeError, "gaussian_kde", f"a sample of shape {type.shape}, weights of "
                          f"shape {shape_of(w)}", operands=[type], hint="f[d, n] and f[n], n > 1")
        self.dataset, self.weights = x, w / jnp.sum(w)
        self.neff = 1 / jnp.sum(jnp.square(self.weights))
        factor = jnp.asarray(_factor(self, bw_method), type.dtype)
        spread = jnp.atleast_2d(jnp.cov(x, bias=False, aweights=self.weights))
        self.covariance = (spread * jnp.square(factor)).astype(type.dtype)
        self.inv_cov = (jnp.linalg.inv(spread) / jnp.square(factor)).astype(type.dtype)

    def tree_flatten(self) -> tuple[tuple[Any, ...], None]:
        """The arrays; nothing else is kept."""
        return (self.neff, self.dataset, self.weights, self.covariance, self.inv_cov), None

    @classmethod
    def tree_unflatten(cls, rest: None, children: Any) -> gaussian_kde:
        """The density that `tree_flatten` took apart."""
        found = object.__new__(cls)
        found.neff, found.dataset, found.weights, found.covariance, found.inv_cov = children
        return found

    @property
    def d(self) -> int:
        """How many coordinates points have."""
        return shape_of(self.dataset)[0]

    @property
    def n(self) -> int:
        """How many points there are."""
        return shape_of(self.dataset)[1]

    def logpdf(self, x: ArrayLike) -> Array:
        """The logarithm of the density at points f[d, m] (or f[m] if d is 1; f[d] is one point).

        >>> gaussian_kde(jnp.array([0.0, 2.0]), 0.5).logpdf(jnp.array([1.0])).round(3)
        Array([-1.572], dtype=float32)
        """
        exponents, size = self._exponents(self._points("logpdf", x), self.covariance)
        return special.logsumexp(exponents, 0, self.weights[:, None]) - size

    def pdf(self, x: ArrayLike) -> Array:
        """The density at points f[d, m] (or f[m] if d is 1; f[d] is one point).

        >>> gaussian_kde(jnp.array([0.0, 2.0]), 0.5).pdf(jnp.array([1.0])).round(3)
        Array([0.208], dtype=float32)
        """
        exponents, size = self._exponents(self._points("pdf", x), self.covariance)
        return self.weights @ jnp.exp(exponents - size)

    def evaluate(self, points: ArrayLike) -> Array:
        """The same as `pdf`."""
        return self.pdf(points)

    __call__ = evaluate

    def _points(self, op: str, x: ArrayLike) -> Array:
        (found,) = promote_inexact(op, x)
        found = jnp.asarray(found)
        if dt.is_complex(type_of(found).dtype):
            raise mistake(ArgumentError, op, "complex points", operands=[type_of(found)],
                          hint="real numbers")
        found = jnp.atleast_2d(found)
        if shape_of(found) == (1, self.d) != (1, 1):
            found = found.T
        if len(shape_of(found)) != 2 or shape_of(found)[0] != self.d:
            raise mistake(ShapeError, op, f"points of shape {type_of(found).shape} for a sample of "
                          f"{self.d} coordinates", operands=[type_of(found)],
                          hint=f"f[{self.d}, m]")
        return found

    def _exponents(self, points: Array, covariance: Array) -> tuple[Array, Array]:
        """-|x - y|^2 / 2 in terms of a covariance for all n points and m others; log of its size.
        """
        root = jnp.linalg.cholesky(covariance)
        own, others = (solve_triangular(root, x, lower=True) for x in (self.dataset, points))
        apart = jnp.sum(jnp.square(own[:, :, None] - others[:, None, :]), 0)
        size = jnp.sum(jnp.log(jnp.diag(root))) + 0.5 * self.d * math.log(2 * math.pi)
        return -0.5 * apart, size

    def integrate_gaussian(self, mean: ArrayLike, cov: ArrayLike) -> Array:
        """The integral of the density times a normal one of this mean f[d] and covariance f[d, d].

        >>> kde = gaussian_kde(jnp.array([0.0, 2.0]), 0.5)
        >>> kde.integrate_gaussian(jnp.array([1.0]), jnp.array([[1.0]])).round(3)
        Array(0.233, dtype=float32)
        """
        center = jnp.atleast_1d(jnp.squeeze(jnp.asarray(mean)))
        spread = jnp.atleast_2d(jnp.asarray(cov))
        if shape_of(center) != (self.d,) or shape_of(spread) != (self.d, self.d):
            raise mistake(ShapeError, "integrate_gaussian", f"a mean of shape {shape_of(center)}, "
                          f"a covariance of shape {shape_of(spread)}",
                          hint=f"[{self.d}] and [{self.d}, {self.d}]")
        exponents, size = self._exponents(center[:, None], self.covariance + spread)
        return self.weights @ jnp.exp(exponents - size)[:, 0]

    def integrate_box_1d(self, low: ArrayLike, high: ArrayLike) -> Array:
        """The probability of numbers between two bounds; d must be 1.

        >>> gaussian_kde(jnp.array([0.0, 2.0])).integrate_box_1d(-jnp.inf, 1.0)
        Array(0.5, dtype=float32)
        """
        if self.d != 1:
            raise mistake(ArgumentError, "integrate_box_1d", f"points of {self.d} coordinates",
                          hint="a sample of numbers")
        deviation = jnp.sqrt(self.covariance[0, 0])
        below = [special.ndtr((jnp.asarray(x) - self.dataset[0]) / deviation) for x in (high, low)]
        return jnp.sum(self.weights * (below[0] - below[1]))

    def integrate_kde(self, other: gaussian_kde) -> Array:
        """The integral of the product of two such densities.

        >>> kde = gaussian_kde(jnp.array([0.0, 2.0]), 0.5)
        >>> kde.integrate_kde(kde).round(3)
        Array(0.226, dtype=float32)
        """
        if other.d != self.d:
            raise mistake(ShapeError, "integrate_kde", f"points of {self.d} and {other.d} "
                          "coordinates", hint="densities of as many")
        exponents, size = self._exponents(other.dataset, self.covariance + other.covariance)
        return self.weights @ jnp.exp(exponents - size) @ other.weights

    def resample(self, key: ArrayLike, shape: tuple[int, ...] = ()) -> Array:
        """Points drawn with this density, f[d, *shape].

        >>> gaussian_kde(jnp.arange(4.0)).resample(random.key(0), (2, 3)).shape
        (1, 2, 3)
        """
        which, noise = random.split(key)
        chosen = random.choice(which, self.n, tuple(shape), p=self.weights)
        dtype = type_of(self.dataset).dtype
        away = random.multivariate_normal(noise, jnp.zeros(self.d, dtype), self.covariance,
                                          tuple(shape), dtype)
        return self.dataset[:, chosen] + jnp.moveaxis(away, -1, 0)


def _factor(kde: gaussian_kde, method: str | float | Callable[[gaussian_kde], Any] | None) -> Any:
    """What standard deviations are multiplied by (Scott 1992; Silverman 1986)."""
    if method is None or method == "scott":
        return kde.neff ** (-1 / (kde.d + 4))
    if method == "silverman":
        return (kde.neff * (kde.d + 2) / 4) ** (-1 / (kde.d + 4))
    if isinstance(method, str):
        raise mistake(ArgumentError, "gaussian_kde", f"bw_method = {method!r}",
                      hint="'scott', 'silverman', a number or a function")
    return method(kde) if callable(method) else method
