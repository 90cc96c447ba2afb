"""Random integers, choices and orders. The algorithms are JAX's: the same key, the same sample."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, DtypeError, ShapeError, mistake
from arraylib.hlo.ops import elementwise as ew, sort as so
from arraylib.numpy.placing import lays_out
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    Shape,
    as_axis,
    as_shape,
    broadcast,
    concrete_int,
    converted,
    dtype_of,
    joint_shape,
    literal,
    shape_of,
)
from arraylib.numpy.sorting import top_k
from arraylib.random.continuous import gumbel, sample_shape, uniform
from arraylib.random.keys import checked_key, random_bits, split
from arraylib.tracing.jit import jit


@lays_out
def randint(key: ArrayLike, shape: Shape, minval: ArrayLike, maxval: ArrayLike, dtype: Any = None,
            *, out_sharding: Any = None) -> Array:
    """Integers from `minval` to below `maxval`, all (but for a share of 2**-32) equally likely.

    Narrow dtypes are drawn in 32 bits, bounds beyond the dtype moved to its limits.

    >>> random.randint(random.key(0), (5,), 0, 10)
    Array([9, 0, 2, 3, 1], dtype=int32)
    """
    wanted = dt.default_int() if dtype is None else dt.dtype(dtype, op="randint")
    if not dt.is_integer(wanted):
        raise mistake(DtypeError, "randint", f"samples are integers, not {dt.name(wanted)}",
                      hint="dtype=jnp.int32, or random.uniform for floats")
    sizes = sample_shape("randint", shape, minval, maxval)
    work = dt.int32 if dt.bits(wanted) < 32 else wanted
    low, _ = _bound("randint", minval, wanted, work)
    high, beyond = _bound("randint", maxval, wanted, work)
    return _randint(checked_key("randint", key), low, high, beyond, sizes, work).astype(wanted)


def _bound(op: str, x: ArrayLike, dtype: dt.Dtype, work: dt.Dtype) -> tuple[Array, Array]:
    """A bound in the dtype of the work, and whether it was above all numbers of that dtype."""
    limits, room = dt.iinfo(dtype), dt.iinfo(work)
    if isinstance(x, int):
        top = limits.max + 1 if work != dtype else room.max
        inside = min(max(x, limits.min), top)
        return literal(np.asarray(inside, work)), literal(np.asarray(x > room.max))
    x = jnp.asarray(x)
    if not dt.is_integer(x.dtype):
        x = x.astype(dt.default_int())
    own = dt.iinfo(x.dtype)
    beyond = x > min(room.max, own.max) if own.max > room.max else jnp.zeros(x.shape, bool)
    low, high = max(limits.min, own.min), min(limits.max + (work != dtype), own.max)
    return jnp.clip(x, low, high).astype(work), beyond


@partial(jit, static_argnums=(4, 5))
def _randint(key: Array, low: Array, high: Array, beyond: Array, shape: tuple[int, ...],
             dtype: dt.Dtype) -> Array:
    """A number of twice the bits, modulo the size of the range: (a * 2^n + b) mod m."""
    keys, width = split(key), dt.bits(dtype)
    words = np.dtype(f"uint{width}")
    upper, lower = (random_bits(k, width, shape) for k in (keys[0], keys[1]))
    span = jnp.where(high <= low, 1, (high - low).astype(words)).astype(words)
    # the whole range of the dtype wraps to 0, and a remainder by 0 leaves the number as it is
    span = jnp.where(beyond & (high > low), span + 1, span)
    span = broadcast("randint", span, shape)
    half = ew.remainder(jnp.full_like(span, 1 << width // 2), span)
    scale = ew.remainder(half * half, span)
    offset = ew.remainder(ew.remainder(upper, span) * scale + ew.remainder(lower, span), span)
    return low + offset.astype(dtype)


@lays_out
def bernoulli(key: ArrayLike, p: ArrayLike = 0.5, shape: Shape | None = None, mode: str = "low", *,
              out_sharding: Any = None) -> Array:
    """Truth values that are true with probability p.

    >>> random.bernoulli(random.key(0), 0.5, (4,))
    Array([False, False,  True,  True], dtype=bool)
    """
    dtype = dtype_of("bernoulli", p)
    if not dt.is_float(dtype):
        raise mistake(DtypeError, "bernoulli", f"a probability is a float, not {dt.name(dtype)}",
                      hint="p=0.5, or an array of floats")
    sizes = sample_shape("bernoulli", shape, p)
    p = converted("bernoulli", p, dtype)
    if mode == "low":
        return _bernoulli(checked_key("bernoulli", key), literal(p), sizes, dtype)
    if mode != "high":
        raise mistake(ArgumentError, "bernoulli", f"mode = {mode!r}", hint="'low' or 'high'")
    coarse, fine = uniform(key, (2, *sizes), dtype)
    return fine * 2.0 ** -dt.finfo(dtype).nmant < p - coarse


@partial(jit, static_argnums=(2, 3))
def _bernoulli(key: Array, p: Array, shape: tuple[int, ...], dtype: dt.Dtype) -> Array:
    return uniform(key, shape, dtype) < p


@lays_out
def rademacher(key: ArrayLike, shape: Shape = (), dtype: Any = None, *,
               out_sharding: Any = None) -> Array:
    """1 or -1, equally likely.

    >>> random.rademacher(random.key(0), (4,))
    Array([-1, -1,  1,  1], dtype=int32)
    """
    wanted = dt.default_int() if dtype is None else dt.dtype(dtype, op="rademacher")
    return (2 * bernoulli(key, 0.5, shape).astype(wanted) - 1).astype(wanted)


@lays_out
def geometric(key: ArrayLike, p: ArrayLike, shape: Shape | None = None, dtype: Any = None, *,
              out_sharding: Any = None) -> Array:
    """How many trials of probability p it takes to succeed once.

    >>> random.geometric(random.key(0), 0.5, (4,))
    Array([1, 1, 2, 2], dtype=int32)
    """
    wanted = dt.default_int() if dtype is None else dt.dtype(dtype, op="geometric")
    sizes = sample_shape("geometric", shape, p)
    work = dtype_of("geometric", p)
    p = converted("geometric", p, work if dt.is_float(work) else dt.default_float())
    u = uniform(key, sizes, dtype_of("geometric", p))
    u = jnp.where(u == 0, 1.0, u)
    return (jnp.floor(jnp.log(u) / jnp.log1p(jnp.negative(p))) + 1).astype(wanted)


# -- choices ---------------------------------------------------------------------------------------


@lays_out
def categorical(key: ArrayLike, logits: ArrayLike, axis: int = -1, shape: Shape | None = None,
                replace: bool = True, mode: str | None = None, *,
                out_sharding: Any = None) -> Array:
    """Numbers of categories, drawn with probabilities in proportion to exp(logits) along an axis.

    `shape` ends with the other axes of the logits; the axes before them are independent draws,
    or different categories unless `replace`.

    >>> random.categorical(random.key(0), jnp.log(jnp.array([0.1, 0.9])), shape=(6,))
    Array([1, 1, 1, 1, 1, 0], dtype=int32)
    """
    logits = jnp.asarray(logits)
    axis = as_axis("categorical", axis, logits.ndim)
    batch = logits.shape[:axis] + logits.shape[axis + 1:]
    sizes = batch if shape is None else as_shape("categorical", shape)
    lead = sizes[:len(sizes) - len(batch)]
    if joint_shape("categorical", [sizes, batch]) != sizes:
        raise mistake(ShapeError, "categorical", f"shape {sizes} does not end with {batch}",
                      operands=[logits.type],
                      hint="shape=(..., *logits.shape without the axis of categories)")
    key = checked_key("categorical", key)
    if replace:
        drawn = list(sizes[len(lead):])
        drawn.insert(axis, logits.shape[axis])
        noise = gumbel(key, (*lead, *drawn), logits.dtype, mode)
        return jnp.argmax(noise + logits, axis=axis - logits.ndim)
    k = math.prod(lead)
    noise = gumbel(key, logits.shape, logits.dtype, mode)
    places = top_k(jnp.moveaxis(logits + noise, axis, -1), k)[1]
    return jnp.moveaxis(places, -1, 0).reshape(sizes)


def choice(key: ArrayLike, a: ArrayLike, shape: Shape = (), replace: bool = True,
           p: ArrayLike | None = None, axis: int = 0, mode: str | None = None) -> Array:
    """Elements of `a` along an axis (of arange(a) for an integer), with probabilities p.

    Each may be drawn several times, unless `replace` is false.

    >>> random.choice(random.key(0), jnp.array([10, 20, 30]), (2,), replace=False)
    Array([10, 20], dtype=int32)
    """
    sizes = as_shape("choice", shape)
    key = checked_key("choice", key)
    n = shape_of(a)[axis] if shape_of(a) else concrete_int("choice", a)
    draws = math.prod(sizes)
    if n <= 0 and draws:
        raise mistake(ArgumentError, "choice", f"{draws} draws from {n} elements",
                      hint="replace=True, or fewer draws")
    if not replace and draws > n:
        raise mistake(ArgumentError, "choice", f"{draws} draws from {n} elements without "
                      "replacement", hint="replace=True")
    if p is None and not replace:
        picked = permutation(key, a if shape_of(a) else n, axis)
        where = as_axis("choice", axis, max(len(shape_of(a)), 1))
        found = picked[(slice(None),) * where + (slice(draws),)]
        return found.reshape(picked.shape[:where] + sizes + picked.shape[where + 1:])
    places = randint(key, sizes, 0, n) if p is None else _weighted(key, p, n, sizes, replace, mode)
    return places if not shape_of(a) else jnp.take(a, places, axis)


def _weighted(key: Array, p: ArrayLike, n: int, shape: tuple[int, ...], replace: bool,
              mode: str | None) -> Array:
    p = jnp.asarray(p)
    p = p if dt.is_inexact(p.dtype) else p.astype(dt.default_float())
    if p.shape != (n,):
        raise mistake(ShapeError, "choice", f"{p.shape} probabilities for {n} elements",
                      hint="p has one number for each element")
    if not replace:
        noise = gumbel(key, (n,), p.dtype, mode) + jnp.log(p)
        return top_k(noise, math.prod(shape))[1].reshape(shape)
    total = jnp.cumsum(p)
    r = total[-1] * (1 - uniform(key, shape, p.dtype))
    return jnp.searchsorted(total, r)


# -- orders ----------------------------------------------------------------------------------------


@lays_out
def permutation(key: ArrayLike, x: ArrayLike, axis: int = 0, independent: bool = False, *,
                out_sharding: Any = None) -> Array:
    """x in a random order along an axis; arange(x) for an integer.

    The slices move as wholes, unless `independent`.

    >>> random.permutation(random.key(0), 5)
    Array([0, 1, 4, 3, 2], dtype=int32)
    """
    key = checked_key("permutation", key)
    if not shape_of(x):
        as_axis("permutation", axis, 1)
        return _shuffle(key, jnp.arange(concrete_int("permutation", x)), 0)
    x = jnp.asarray(x)
    axis = as_axis("permutation", axis, x.ndim)
    if independent or x.ndim == 1:
        return _shuffle(key, x, axis)
    return jnp.take(x, _shuffle(key, jnp.arange(x.shape[axis]), 0), axis)


@partial(jit, static_argnums=2)
def _shuffle(key: Array, x: Array, axis: int) -> Array:
    """Sort by random words, as often as it takes to make equal words unlikely to matter."""
    rounds = math.ceil(3 * math.log(max(1, x.size)) / math.log(0xFFFFFFFF))
    for _ in range(rounds):
        keys = split(key)
        key = keys[0]
        x = so.sort(random_bits(keys[1], 32, x.shape), x, dimension=axis, num_keys=1)[1]
    return x
