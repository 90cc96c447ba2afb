"""How often outcomes occur in many trials: the binomial and multinomial distributions.

The algorithms are JAX's: the same key, the same sample.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.hlo.ops.control import stop_gradient
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    Shape,
    as_shape,
    converted,
    dtype_of,
    inexact,
    literal,
)
from arraylib.random.continuous import float_dtype, sample_shape, uniform
from arraylib.random.keys import checked_key, split
from arraylib.tracing.control import scan, while_loop
from arraylib.tracing.jit import jit

# log(k!) less Stirling's formula, for k = 0, ..., 9
_TAIL = (0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509,
         0.0166446911898211, 0.0138761288230707, 0.0118967099458917, 0.0104112652619720,
         0.00925546218271273, 0.00833056343336287)


def binomial(key: ArrayLike, n: ArrayLike, p: ArrayLike, shape: Shape | None = None,
             dtype: Any = None) -> Array:
    """How many of n trials of probability p succeed: whole floats.

    nan for negative n and for p that is negative or nan. By waiting times where n min(p, 1 - p) is
    10 or less, else by transformed rejection (Hörmann 1993). No derivatives pass through n and p.

    >>> binomial(random.key(0), 10, 0.5).shape
    ()
    """
    wanted = float_dtype("binomial", dtype)
    sizes = sample_shape("binomial", shape, n, p)
    work = inexact(dtype_of("binomial", p))
    given = [literal(converted("binomial", x, work)) for x in (n, p)]
    trials, chance = (stop_gradient(jnp.broadcast_to(x, sizes)) for x in given)
    return _binomial(checked_key("binomial", key), trials, chance, wanted)


@partial(jit, static_argnums=3)
def _binomial(key: Array, trials: Array, chance: Array, dtype: dt.Dtype) -> Array:
    rare = chance < 0.5
    q = jnp.where(rare, chance, 1 - chance)
    no_chance = jnp.isnan(q) | (q < 0)
    invalid = no_chance | jnp.isnan(trials) | (trials < 0)
    endless = jnp.isinf(trials)
    safe = jnp.where(no_chance, 0.01, q)
    few = invalid | endless | (trials * safe <= 10)
    whole = jnp.floor(trials)
    waited = _by_waiting(key, jnp.where(few & ~(invalid | endless), whole, 0), safe)
    tried = _by_rejection(key, jnp.where(few, 1e4, whole), jnp.where(few, 0.5, safe))
    found = jnp.where(few, waited, tried).astype(dtype)
    turned = jnp.where(rare | endless, found, whole.astype(dtype) - found)
    return jnp.where(invalid, jnp.nan, jnp.where(endless, jnp.inf, turned)).astype(dtype)


def _by_waiting(key: Array, trials: Array, chance: Array) -> Array:
    """How many waiting times, which are geometric, fit into the trials."""
    scale = jnp.log1p(-chance)

    def step(state: Any) -> Any:
        count, total, key = state
        keys = split(key)
        count = jnp.where(total <= trials, count + 1, count)
        u = uniform(keys[0], trials.shape, trials.dtype)
        return count, total + jnp.ceil(jnp.log(u) / scale), keys[1]

    zero = jnp.zeros_like(trials)
    return while_loop(lambda s: jnp.any(s[1] <= trials), step, (zero, zero, key))[0] - 1


def _by_rejection(key: Array, trials: Array, chance: Array) -> Array:
    """Hörmann, "The generation of binomial random variates" (1993), algorithm BTRS."""
    deviation = jnp.sqrt(trials * chance * (1 - chance))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * chance
    centre, quick = trials * chance + 0.5, 0.92 - 4.2 / b
    odds, alpha = chance / (1 - chance), (2.83 + 5.1 / b) * deviation
    m = jnp.floor((trials + 1) * chance)

    def step(state: Any) -> Any:
        found, accepted, key = state
        keys = split(key, 3)
        u = uniform(keys[1], trials.shape, trials.dtype) - 0.5
        v = uniform(keys[2], trials.shape, trials.dtype)
        inner = 0.5 - jnp.abs(u)
        k = jnp.floor((2 * a / inner + b) * u + centre)
        target = ((m + 0.5) * jnp.log((m + 1) / (odds * (trials - m + 1)))
                  + (trials + 1) * jnp.log((trials - m + 1) / (trials - k + 1))
                  + (k + 0.5) * jnp.log(odds * (trials - k + 1) / (k + 1))
                  + _tail(m) + _tail(trials - m) - _tail(k) - _tail(trials - k))
        height = jnp.log(v * alpha / (a / (inner * inner) + b))
        inside = (k >= 0) & (k <= trials)
        take = (inner >= 0.07) & (v <= quick) | inside & (height <= target)
        return jnp.where(take, k, found), accepted | take, keys[0]

    start = jnp.full_like(trials, -1), jnp.zeros(trials.shape, dt.bool_), key
    return while_loop(lambda s: jnp.any(~s[1]), step, start)[0]


def _tail(k: Array) -> Array:
    """log(k!) less Stirling's formula."""
    low = jnp.clip(k, 0, 9)
    square = (low + 1) * (low + 1)
    series = (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (low + 1)
    table = jnp.asarray(_TAIL, k.dtype)[jnp.floor(low).astype(dt.int32)]
    return jnp.where(k <= 9, table, series)


def multinomial(key: ArrayLike, n: ArrayLike, p: ArrayLike, *, shape: Shape | None = None,
                dtype: Any = None, unroll: int | bool = 1) -> Array:
    """How often each outcome occurs in n trials with probabilities p[..., k]: whole floats.

    `shape` is that of the result, p's unless given. One binomial number an outcome, of the trials
    that are left.

    >>> multinomial(random.key(0), 10, jnp.array([0.2, 0.8])).sum()
    Array(10., dtype=float32)
    """
    wanted = float_dtype("multinomial", dtype)
    chances = jnp.asarray(p)
    work = inexact(chances.dtype)
    sizes = chances.shape if shape is None else as_shape("multinomial", shape)
    trials = jnp.broadcast_to(literal(converted("multinomial", n, work)), sizes[:-1])
    rows = jnp.moveaxis(jnp.broadcast_to(chances.astype(work), sizes), -1, 0)
    left = jnp.flip(jnp.cumsum(jnp.flip(rows, 0), 0), 0)
    ratios = rows / jnp.where(left == 0, 1, left)

    def step(rest: Array, given: Any) -> tuple[Array, Array]:
        ratio, key = given
        count = binomial(key, rest, jnp.clip(ratio, 0, 1), dtype=rest.dtype)
        return rest - count, count

    keys = split(checked_key("multinomial", key), sizes[-1])
    counts = scan(step, jnp.asarray(trials), (ratios, keys), unroll=unroll)[1]
    return jnp.moveaxis(counts, 0, -1).astype(wanted)
