"""What the distributions share: points relative to loc and scale, and the edges of a support."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.scipy.promotion import floats


def standardized(op: str, x: ArrayLike, loc: ArrayLike, scale: ArrayLike,
                 *shapes: ArrayLike) -> list[Array]:
    """(x - loc) / scale, scale, and the shape parameters, all of one floating dtype."""
    x, loc, scale, *rest = floats(op, x, loc, scale, *shapes)
    return [(x - loc) / scale, scale, *rest]


def inside(support: Array, value: Array) -> Array:
    """The logarithm of a density: `value` on the support, -inf off it, nan where nan is given."""
    return jnp.where(support | jnp.isnan(value), value, -jnp.inf)


def whole(k: Array) -> Array:
    """Whether each is an integer."""
    return k == jnp.floor(k)
