"""What is left of signals without their trends."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import arraylib.numpy as jnp
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import type_of
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import Array, ArrayLike, as_axis, promote_inexact, shape_of

__all__ = ["detrend"]


@one_program()
def detrend(data: ArrayLike, axis: int = -1, type: str = "linear", bp: Any = 0,
            overwrite_data: None = None) -> Array:
    """`data` less the straight lines that are nearest to it along an axis, between breaks `bp`.

    Less its mean for the type "constant".

    >>> detrend(jnp.array([1.0, 2.0, 3.0]), type="constant")
    Array([-1.,  0.,  1.], dtype=float32)
    """
    if type not in ("linear", "constant"):
        raise mistake(ArgumentError, "detrend", f"type = {type!r}", hint="'linear' or 'constant'")
    (x,) = promote_inexact("detrend", data)
    x = jnp.asarray(x)
    if type == "constant":
        return x - jnp.mean(x, axis, keepdims=True)
    place = as_axis("detrend", axis, len(shape_of(x)))
    rows = jnp.moveaxis(x, place, -1)
    n = shape_of(rows)[-1]
    breaks = sorted({0, n, *np.atleast_1d(bp).astype(int).tolist()})
    if breaks[0] < 0 or breaks[-1] > n:
        raise mistake(ArgumentError, "detrend", f"breaks {breaks} of {n} elements",
                      hint="places from 0 to the number of elements")
    parts = [_without_line(rows[..., low:high]) for low, high in pairwise(breaks)]
    return jnp.moveaxis(jnp.concatenate(parts, -1), -1, place)


def _without_line(rows: Array) -> Array:
    n = shape_of(rows)[-1]
    t = jnp.asarray(np.arange(n) - (n - 1) / 2, type_of(rows).dtype)
    scale = (n ** 3 - n) / 12 or 1.0
    slope = jnp.sum(rows * t, -1, keepdims=True) / scale
    return rows - jnp.mean(rows, -1, keepdims=True) - slope * t
