"""Images at other places: `from arraylib.scipy import ndimage`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.lax.elementwise import RoundingMethod, round as nearest
from arraylib.numpy.creation import arrays
from arraylib.numpy.promotion import Array, ArrayLike, shape_of

__all__ = ["map_coordinates"]


def _mirrored(i: Array, n: int) -> Array:
    turn = max(n - 1, 1)
    return jnp.abs((i + turn) % (2 * turn) - turn) if n > 1 else jnp.zeros_like(i)


_INSIDE: dict[str, Callable[[Array, int], Array]] = {
    "constant": lambda i, n: i,
    "nearest": lambda i, n: jnp.clip(i, 0, n - 1),
    "wrap": lambda i, n: i % n,
    "mirror": _mirrored,
    "reflect": lambda i, n: (_mirrored(2 * i + 1, 2 * n + 1) - 1) // 2,
}


def map_coordinates(input: ArrayLike, coordinates: Sequence[ArrayLike], order: int,
                    mode: str = "constant", cval: ArrayLike = 0.0) -> Array:
    """The elements of `input` at places between them, one array of coordinates an axis.

    `order` 0 takes the nearest, 1 interpolates linearly along each axis. `mode` says what lies
    outside: "constant" `cval`, "nearest" the last element, "wrap" the array again, "mirror" and
    "reflect" the array backwards, without and with its last element once more. "constant" and
    "wrap" are SciPy's "grid-constant" and "grid-wrap". Raises ArgumentError for other modes and
    orders, ShapeError where there is not one array of coordinates for each axis.

    >>> map_coordinates(jnp.arange(3.0), [jnp.array([0.5])], 1)
    Array([0.5], dtype=float32)
    """
    if order not in (0, 1) or mode not in _INSIDE:
        raise mistake(ArgumentError, "map_coordinates", f"order = {order}, mode = {mode!r}",
                      hint=f"order 0 or 1; one of {', '.join(_INSIDE)}")
    image, *places = arrays("map_coordinates", input, *coordinates)
    if len(places) != len(shape_of(image)) or not places:
        raise mistake(ShapeError, "map_coordinates", f"{len(places)} arrays of coordinates for "
                      f"{len(shape_of(image))} axes", operands=[type_of(image)],
                      hint="one for each axis")
    filling = jnp.astype(cval, type_of(image).dtype)
    corners = [_corners(c, n, order, mode) for c, n in zip(places, shape_of(image))]
    total: Any = 0
    for corner in product(*corners):
        found = image.at[tuple(i for i, _, _ in corner)].get(mode="clip")
        weight: Any = 1
        inside: Any = True
        for _, within, part in corner:
            weight, inside = weight * part, inside & within
        total = total + weight * jnp.where(inside, found, filling)
    if dt.is_integer(type_of(image).dtype) and dt.is_float(type_of(total).dtype):
        total = nearest(total, RoundingMethod.AWAY_FROM_ZERO)
    return total.astype(type_of(image).dtype)


def _corners(place: Array, n: int, order: int, mode: str) -> list[tuple[Array, Array, Array]]:
    """The places on an axis that a coordinate lies between, which exist, and their weights."""
    whole = not dt.is_inexact(type_of(place).dtype)
    if order == 0 or whole:
        exact = place if whole else nearest(place, RoundingMethod.AWAY_FROM_ZERO)
        found = [(exact.astype(dt.index_dtype(n)), jnp.ones_like(place, dt.default_int()))]
    else:
        low = jnp.floor(place)
        first = low.astype(dt.index_dtype(n))
        found = [(first, 1 - (place - low)), (first + 1, place - low)]
    everywhere = mode != "constant"
    return [(_INSIDE[mode](i, n), (i >= 0) & (i < n) | everywhere, w) for i, w in found]
