"""Limits on the size of updates: by value, by the norm of each array, by the norm of all."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import arraylib.numpy as jnp
from arraylib import tree
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.optim.moments import square
from arraylib.optim.transformation import GradientTransformation, rounded, stateless, wide


def global_norm(updates: Any) -> Array:
    """The square root of the sum of |x|² over all elements of all arrays.

        >>> global_norm({"w": jnp.array([3.0]), "b": jnp.array(4.0)})
        Array(5., dtype=float32)
    """
    return jnp.sqrt(sum([jnp.sum(square(wide(x))) for x in tree.leaves(updates)], jnp.zeros(())))


def clip(max_delta: ArrayLike) -> GradientTransformation:
    """Every element into the interval from -max_delta to max_delta.

    >>> optimiser = optim.clip(1.0)
    >>> optimiser.update(jnp.array([-3.0, 0.5]), optimiser.init(jnp.zeros(2)))[0]
    Array([-1. ,  0.5], dtype=float32)
    """
    return _each(lambda g: jnp.clip(g, -max_delta, max_delta))


def clip_by_norm(max_norm: ArrayLike) -> GradientTransformation:
    """Every array whose norm is larger than `max_norm` scaled down to that norm, each by itself.

    >>> optimiser = optim.clip_by_norm(1.0)
    >>> optimiser.update(jnp.array([3.0, 4.0]), optimiser.init(jnp.zeros(2)))[0].round(4)
    Array([0.6, 0.8], dtype=float32)
    """
    return _each(lambda g: wide(g) * _factor(global_norm(g), max_norm))


def clip_by_block_rms(threshold: ArrayLike) -> GradientTransformation:
    """Every array whose root mean square is above `threshold` scaled down to it, each by itself.

    >>> optimiser = optim.clip_by_block_rms(1.0)
    >>> optimiser.update(jnp.array([3.0, 3.0]), optimiser.init(jnp.zeros(2)))[0].round(4)
    Array([1., 1.], dtype=float32)
    """
    def clipped(g: Array) -> Array:
        size = math.sqrt(max(jnp.asarray(g).size, 1))
        return wide(g) * _factor(global_norm(g) / size, threshold)

    return _each(clipped)


def clip_by_global_norm(max_norm: ArrayLike) -> GradientTransformation:
    """All updates scaled by one factor such that their global norm is at most `max_norm`.

    A nan anywhere makes all of them nan (Pascanu, Mikolov and Bengio, 2012).

        >>> clip_by_global_norm(1.0).update(jnp.array([3.0, 4.0]), ())[0]
        Array([0.6, 0.8], dtype=float32)
    """
    def clipped(updates: Any, params: Any) -> Any:
        factor = _factor(global_norm(updates), max_norm)
        return tree.map(lambda g: rounded(wide(g) * factor, g), updates)

    return stateless(clipped)


def _each(f: Callable[[Array], Array]) -> GradientTransformation:
    return stateless(lambda updates, params: tree.map(lambda g: rounded(f(g), g), updates))


def _factor(norm: Array, limit: ArrayLike) -> Array:
    """At most 1; nan if the norm is nan, rather than letting through what belongs to it."""
    return jnp.where(norm <= limit, 1, limit / norm)
