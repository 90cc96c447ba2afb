"""Samples found by trying until one is accepted: the gamma and Poisson distributions and theirs.

Samples of the gamma distribution, and of those made of them, change with its parameter as implicit
reparameterization says (Figurnov, Mohamed and Mnih 2018); whole numbers have no derivative.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, DtypeError, mistake
from arraylib.hlo.ops import elementwise as ew
from arraylib.lax.incomplete import random_gamma_grad
from arraylib.numpy.placing import lays_out
from arraylib.numpy.promotion import Array, ArrayLike, Shape, as_shape, converted, literal
from arraylib.random.continuous import (
    exponential,
    float_dtype,
    normal,
    parameters,
    sample_shape,
    uniform,
)
from arraylib.random.keys import checked_key, split
from arraylib.tracing.control import while_loop
from arraylib.tracing.custom import custom_jvp
from arraylib.tracing.jit import jit
from arraylib.tracing.vectorize import vmap


def _check_method(op: str, method: str) -> None:
    """An approximate sample may be asked for, to which an exact one is as good an approximation."""
    if method not in ("exact", "approximate"):
        raise mistake(ArgumentError, op, f"method = {method!r}", hint="'exact' or 'approximate'")


def _gamma(key: Array, alpha: Array, in_log_space: bool) -> Array:
    """One sample by Marsaglia and Tsang, "A simple method for generating gamma variables" (2000).

    A sample for alpha < 1 is one for alpha + 1 times a uniform number to the power 1 / alpha.
    """
    dtype = alpha.dtype
    boosted = alpha < 1
    d = jnp.where(boosted, alpha + 1, alpha) - 1 / 3
    c = (1 / 3) / jnp.sqrt(d)

    def positive(state: Any) -> Any:
        keys = split(state[0])
        x = normal(keys[1], (), dtype)
        return keys[0], x, 1 + x * c

    def attempt(state: Any) -> Any:
        keys = split(state[0], 3)
        start = keys[1], jnp.zeros((), dtype), jnp.full((), -1, dtype)
        _, x, v = while_loop(lambda s: s[2] <= 0, positive, start)
        return keys[0], x * x, v * v * v, uniform(keys[2], (), dtype)

    def refused(state: Any) -> Any:
        _, square, v, u = state
        quick = u >= 1 - 0.0331 * (square * square)
        return quick & (jnp.log(u) >= square * 0.5 + d * (1 - v + jnp.log(v)))

    keys = split(key)
    one = jnp.ones((), dtype)
    _, _, v, _ = while_loop(refused, attempt, (keys[0], one * 0, one, one * 2))
    if in_log_space:
        waited = -exponential(keys[1], (), dtype)
        boost = jnp.where(boosted & (waited != 0), waited / alpha, 0)
        return jnp.log(d) + jnp.log(v) + boost
    boost = jnp.where(boosted, (1 - uniform(keys[1], (), dtype)) ** (1 / alpha), 1)
    return d * v * boost


@partial(custom_jvp, nondiff_argnums=(2,))
def _samples(key: Array, alpha: Array, in_log_space: bool) -> Array:
    return _gammas(key, alpha, in_log_space)


@_samples.defjvp
def _samples_moved(in_log_space: bool, primals: tuple[Array, Array],
                   tangents: tuple[Any, Array]) -> tuple[Array, Array]:
    """The number of tries does not matter: a sample keeps its share of the distribution below."""
    (key, alpha), (_, moved) = primals, tangents
    found = _samples(key, alpha, in_log_space)
    if not in_log_space:
        return found, moved * random_gamma_grad(alpha, found)
    sample, small = jnp.exp(found), dt.finfo(found.dtype).eps
    minute = sample < small  # P(a, x) is x^a / gamma(a + 1), also of an x that rounds to 0
    sample = jnp.where(minute, small, sample)
    by_series = (ew.digamma(alpha + 1) - found) / alpha
    return found, moved * jnp.where(minute, by_series, random_gamma_grad(alpha, sample) / sample)


@partial(jit, static_argnums=2)
def _gammas(key: Array, alpha: Array, in_log_space: bool) -> Array:
    keys = split(key, alpha.size)
    one = lambda k, a: _gamma(k, a, in_log_space)
    return vmap(one)(keys, alpha.ravel()).reshape(alpha.shape)


@lays_out
def gamma(key: ArrayLike, a: ArrayLike, shape: Shape | None = None, dtype: Any = None, *,
          method: str = "exact", out_sharding: Any = None) -> Array:
    """Numbers of the gamma distribution with shape parameter `a` and scale 1.

    >>> random.gamma(random.key(0), 2.0, (3,)).shape
    (3,)
    """
    _check_method("gamma", method)
    wanted = float_dtype("gamma", dtype)
    (alpha,) = parameters("gamma", wanted, sample_shape("gamma", shape, a), a)
    found: Array = _samples(checked_key("gamma", key), alpha, False)
    return found


@lays_out
def loggamma(key: ArrayLike, a: ArrayLike, shape: Shape | None = None, dtype: Any = None, *,
             method: str = "exact", out_sharding: Any = None) -> Array:
    """Logarithms of numbers of the gamma distribution, exact also where those would be 0.

    >>> random.loggamma(random.key(0), 2.0, (3,)).shape
    (3,)
    """
    _check_method("loggamma", method)
    wanted = float_dtype("loggamma", dtype)
    (alpha,) = parameters("loggamma", wanted, sample_shape("loggamma", shape, a), a)
    found: Array = _samples(checked_key("loggamma", key), alpha, True)
    return found


@lays_out
def beta(key: ArrayLike, a: ArrayLike, b: ArrayLike, shape: Shape | None = None, dtype: Any = None,
         *, method: str = "exact", out_sharding: Any = None) -> Array:
    """Numbers of the beta distribution with parameters `a` and b.

    >>> random.beta(random.key(0), 2.0, 3.0, (3,)).shape
    (3,)
    """
    _check_method("beta", method)
    wanted = float_dtype("beta", dtype)
    sizes = sample_shape("beta", shape, a, b)
    keys = split(key)
    x, y = loggamma(keys[0], a, sizes, wanted), loggamma(keys[1], b, sizes, wanted)
    largest = jnp.maximum(x, y)
    x, y = jnp.exp(x - largest), jnp.exp(y - largest)
    return x / (x + y)


@lays_out
def dirichlet(key: ArrayLike, alpha: ArrayLike, shape: Shape | None = None, dtype: Any = None, *,
              out_sharding: Any = None) -> Array:
    """Probabilities of the Dirichlet distribution, along a last axis, with parameters `alpha`.

    >>> random.dirichlet(random.key(0), jnp.array([1.0, 2.0, 3.0])).sum().round(4)
    Array(1., dtype=float32)
    """
    wanted = float_dtype("dirichlet", dtype)
    alpha = literal(converted("dirichlet", alpha, wanted))
    sizes = alpha.shape[:-1] if shape is None else as_shape("dirichlet", shape)
    logs = loggamma(key, alpha, (*sizes, alpha.shape[-1]), wanted)
    shares = jnp.exp(logs - jnp.max(logs, -1, keepdims=True))
    return shares / jnp.sum(shares, -1, keepdims=True)


@lays_out
def chisquare(key: ArrayLike, df: ArrayLike, shape: Shape | None = None, dtype: Any = None, *,
              method: str = "exact", out_sharding: Any = None) -> Array:
    """Sums of `df` squares of normal numbers.

    >>> random.chisquare(random.key(0), 3.0, shape=(3,)).shape
    (3,)
    """
    _check_method("chisquare", method)
    wanted = float_dtype("chisquare", dtype)
    half = jnp.divide(literal(converted("chisquare", df, wanted)), 2.0)
    return jnp.exp(loggamma(key, half, shape, wanted)) * 2


@lays_out
def t(key: ArrayLike, df: ArrayLike, shape: Shape = (), dtype: Any = None, *,
      out_sharding: Any = None) -> Array:
    """Numbers of Student's distribution with `df` degrees of freedom.

    >>> random.t(random.key(0), 3.0, (3,)).shape
    (3,)
    """
    wanted = float_dtype("t", dtype)
    sizes = sample_shape("t", shape, df)
    half = jnp.divide(literal(converted("t", df, wanted)), 2.0)
    keys = split(key)
    return normal(keys[0], sizes, wanted) * jnp.sqrt(half / gamma(keys[1], half, sizes, wanted))


# -- Poisson ---------------------------------------------------------------------------------------


@lays_out
def poisson(key: ArrayLike, lam: ArrayLike, shape: Shape | None = None, dtype: Any = None, *,
            method: str = "exact", out_sharding: Any = None) -> Array:
    """How many events of mean number `lam` happen.

    >>> random.poisson(random.key(0), 4.0, (3,)).dtype
    dtype('int32')
    """
    _check_method("poisson", method)
    wanted = dt.default_int() if dtype is None else dt.dtype(dtype, op="poisson")
    if not dt.is_integer(wanted):
        raise mistake(DtypeError, "poisson", f"samples are integers, not {dt.name(wanted)}",
                      hint="dtype=jnp.int32")
    (rate,) = parameters("poisson", dt.float32, sample_shape("poisson", shape, lam), lam)
    return _poisson(checked_key("poisson", key), rate, wanted)


@partial(jit, static_argnums=2)
def _poisson(key: Array, rate: Array, dtype: dt.Dtype) -> Array:
    small = jnp.isnan(rate) | (rate < 10)
    few = _by_products(key, jnp.where(small, rate, 0), dtype)
    many = _by_rejection(key, jnp.where(small, 1e5, rate), dtype)
    return jnp.where(rate == 0, 0, jnp.where(small, few, many)).astype(dtype)


def _by_products(key: Array, rate: Array, dtype: dt.Dtype) -> Array:
    """How many uniform numbers may be multiplied until exp(-rate) is undercut (Knuth)."""
    def step(state: Any) -> Any:
        count, key, logs = state
        keys = split(key)
        count = jnp.where(logs > -rate, count + 1, count)
        return count, keys[0], logs + jnp.log(uniform(keys[1], rate.shape, dt.float32))
    start = jnp.zeros(rate.shape, dtype), key, jnp.zeros(rate.shape, dt.float32)
    return while_loop(lambda s: jnp.any(s[2] > -rate), step, start)[0] - 1


def _by_rejection(key: Array, rate: Array, dtype: dt.Dtype) -> Array:
    """Hörmann, "The transformed rejection method for generating Poisson variables" (1993)."""
    b = 0.931 + 2.53 * jnp.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse, limit = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2)

    def step(state: Any) -> Any:
        found, accepted, key = state
        keys = split(key, 3)
        u = uniform(keys[1], rate.shape, rate.dtype) - 0.5
        v = uniform(keys[2], rate.shape, rate.dtype)
        inner = 0.5 - jnp.abs(u)
        k = jnp.floor((2 * a / inner + b) * u + rate + 0.43)
        s = jnp.log(v * inverse / (a / (inner * inner) + b))
        target = -rate + k * jnp.log(rate) - ew.lgamma(k + 1)
        quick = (inner >= 0.07) & (v <= limit)
        never = (k < 0) | ((inner < 0.013) & (v > inner))
        take = quick | (~never & (s <= target))
        return jnp.where(take, k, found), accepted | take, keys[0]

    start = jnp.full(rate.shape, -1, rate.dtype), jnp.zeros(rate.shape, dt.bool_), key
    return while_loop(lambda s: jnp.any(~s[1]), step, start)[0].astype(dtype)
