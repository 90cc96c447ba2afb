"""Ranks, modes and standard errors of samples."""

from __future__ import annotations

import math
from typing import NamedTuple

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import type_of
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import Array, ArrayLike, as_axis, shape_of

_METHODS = ("average", "min", "max", "dense", "ordinal")


class ModeResult(NamedTuple):
    """What `mode` gives."""

    mode: Array
    count: Array  # type: ignore[assignment]


def _policy(op: str, nan_policy: str, taken: tuple[str, ...] = ("propagate",)) -> None:
    if nan_policy not in taken:
        raise mistake(ArgumentError, op, f"nan_policy = {nan_policy!r}", hint=" or ".join(taken))


@one_program()
def rankdata(a: ArrayLike, method: str = "average", *, axis: int | None = None,
             nan_policy: str = "propagate") -> Array:
    """The ranks of elements, from 1 up, along an axis or of the flattened array for None.

    Equal elements have the `method` of their ranks: "average", "min" or "max"; "dense" counts
    different elements only; for "ordinal" the earlier one comes first. All are nan where one is.

    >>> rankdata([3.0, 1.0, 3.0])
    Array([2.5, 1. , 2.5], dtype=float32)
    """
    _policy("rankdata", nan_policy)
    if method not in _METHODS:
        raise mistake(ArgumentError, "rankdata", f"method = {method!r}", hint=", ".join(_METHODS))
    x = jnp.asarray(a)
    if axis is None:
        x, axis = jnp.ravel(x), 0
    place = as_axis("rankdata", axis, len(shape_of(x)))
    rows = jnp.moveaxis(x, place, -1)
    n = shape_of(rows)[-1]
    if not n:
        return jnp.asarray(x).astype(dt.default_float())
    order = jnp.argsort(rows, -1)
    back = jnp.argsort(order, -1)
    found = _ranks(jnp.take_along_axis(rows, order, -1), method)
    ranks = jnp.take_along_axis(found, back, -1).astype(dt.default_float())
    if dt.is_inexact(type_of(rows).dtype):
        ranks = jnp.where(jnp.any(jnp.isnan(rows), -1, keepdims=True), jnp.nan, ranks)
    return jnp.moveaxis(ranks, -1, place)


def _ranks(ordered: Array, method: str) -> Array:
    """The ranks of sorted rows."""
    n = shape_of(ordered)[-1]
    places = jnp.broadcast_to(jnp.arange(n), shape_of(ordered))
    if method == "ordinal":
        return places + 1
    before, after = ordered[..., :-1], ordered[..., 1:]
    differs = (before != after) & ~(jnp.isnan(before) & jnp.isnan(after))
    first = jnp.concatenate([jnp.ones_like(places[..., :1], bool), differs], -1)
    if method == "dense":
        return jnp.cumsum(first, -1)
    low = _running_maximum(jnp.where(first, places, 0)) + 1
    last = jnp.concatenate([first[..., 1:], jnp.ones_like(places[..., :1], bool)], -1)
    ends = jnp.where(last, places + 1, n)
    high = n - _running_maximum(jnp.flip(n - ends, -1))
    high = jnp.flip(high, -1)
    if method == "min":
        return low
    return high if method == "max" else (low + high) / 2


def _running_maximum(rows: Array) -> Array:
    return jnp.maximum.accumulate(rows, -1)


@one_program()
def mode(a: ArrayLike, axis: int | None = 0, nan_policy: str = "propagate",
         keepdims: bool = False) -> ModeResult:
    """The most frequent element along an axis (the least of those), and how often it occurs.

    Of the flattened array for None. nan is an element like others.

    >>> mode([1, 3, 3, 1, 2]).mode
    Array(1, dtype=int32)
    """
    _policy("mode", nan_policy)
    x = jnp.asarray(a)
    rank = len(shape_of(x))
    if axis is None:
        shape = (1,) * rank
        x, axis = jnp.ravel(x), 0
    else:
        axis = as_axis("mode", axis, rank)
        shape = shape_of(x)[:axis] + (1,) + shape_of(x)[axis + 1:]
    rows = jnp.sort(jnp.moveaxis(x, axis, -1), -1)
    count = _ranks(rows, "max") - _ranks(rows, "min") + 1
    best = jnp.argmax(count, -1)[..., None]
    found = jnp.take_along_axis(rows, best, -1)[..., 0]
    count = jnp.take_along_axis(count, best, -1)[..., 0]
    if keepdims:
        return ModeResult(found.reshape(shape), count.reshape(shape))
    return ModeResult(found, count)


@one_program()
def sem(a: ArrayLike, axis: int | None = 0, ddof: int = 1, nan_policy: str = "propagate", *,
        keepdims: bool = False) -> Array:
    """The standard error of the mean along an axis, of all elements for None.

    `nan_policy` "omit" leaves nan out.

    >>> sem([1.0, 2.0, 3.0])
    Array(0.57735026, dtype=float32)
    """
    _policy("sem", nan_policy, ("propagate", "omit"))
    x = jnp.asarray(a)
    if nan_policy == "omit":
        count = jnp.sum(~jnp.isnan(x), axis, keepdims=keepdims)
        return jnp.nanstd(x, axis, ddof=ddof, keepdims=keepdims) / jnp.sqrt(count)
    n = math.prod(shape_of(x)) if axis is None else shape_of(x)[axis]
    return jnp.std(x, axis, ddof=ddof, keepdims=keepdims) / math.sqrt(n)
