"""Samples of continuous distributions, each from uniform ones by a formula.

The algorithms are JAX's, so that the same key gives the same sample (but for rounding where a
logarithm or the like is involved). `dtype` is float32 unless given.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import DtypeError, mistake
from arraylib.hlo.ops import elementwise as ew
from arraylib.numpy.elementwise import bitcast
from arraylib.numpy.placing import lays_out
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    Shape,
    as_shape,
    broadcast,
    converted,
    joint_shape,
    literal,
    shape_of,
)
from arraylib.random.keys import checked_key, random_bits, split
from arraylib.tracing.jit import jit


def float_dtype(op: str, dtype: Any, allowed: str = "f") -> dt.Dtype:
    """The dtype of the samples; DtypeError unless it is a float."""
    wanted = dt.default_float() if dtype is None else dt.dtype(dtype, op=op)
    if dt.kind(wanted) not in allowed:
        raise mistake(DtypeError, op, f"samples are floats, not {dt.name(wanted)}",
                      hint="dtype=jnp.float32, or random.randint for integers")
    return wanted


def sample_shape(op: str, shape: Shape | None, *parameters: ArrayLike) -> tuple[int, ...]:
    """The shape asked for, to which the parameters must broadcast; theirs if none is."""
    theirs = joint_shape(op, [shape_of(p) for p in parameters])
    if shape is None:
        return theirs
    wanted = as_shape(op, shape)
    joint = joint_shape(op, [wanted, theirs])
    if joint != wanted:
        broadcast(op, jnp.zeros(theirs), wanted)  # raises: the parameters have more elements
    return wanted


def parameters(op: str, dtype: dt.Dtype, shape: tuple[int, ...], *xs: ArrayLike) -> list[Array]:
    """The parameters of a distribution in the dtype and shape of the samples."""
    return [broadcast(op, literal(converted(op, x, dtype)), shape) for x in xs]


# -- uniform and normal ----------------------------------------------------------------------------


@partial(jit, static_argnums=(3, 4))
def _uniform(key: Array, low: Array, high: Array, shape: tuple[int, ...],
             dtype: dt.Dtype) -> Array:
    """Random mantissas under the exponent of 1 are numbers from 1 to 2: take 1 away, and scale."""
    limits = dt.finfo(dtype)
    drawn = 8 if limits.nmant < 8 else limits.bits
    words = np.dtype(f"uint{limits.bits}")
    mantissa = random_bits(key, drawn, shape).astype(words) >> (drawn - limits.nmant)
    one = int(np.ones((), dtype).view(words))
    unit = bitcast(mantissa | one, dtype) - 1
    return jnp.maximum(low, unit * (high - low) + low)


@lays_out
def uniform(key: ArrayLike, shape: Shape = (), dtype: Any = None, minval: ArrayLike = 0.0,
            maxval: ArrayLike = 1.0, *, out_sharding: Any = None) -> Array:
    """Numbers from `minval` to below `maxval`, all equally likely.

    >>> random.uniform(random.key(0), (3,), minval=1, maxval=2).round(3)
    Array([1.948, 1.979, 1.332], dtype=float32)
    """
    wanted = float_dtype("uniform", dtype)
    sizes = sample_shape("uniform", shape, minval, maxval)
    low, high = (literal(converted("uniform", x, wanted)) for x in (minval, maxval))
    return _uniform(checked_key("uniform", key), low, high, sizes, wanted)


def _between(key: Array, shape: tuple[int, ...], dtype: dt.Dtype, low: float,
             high: float = 1.0) -> Array:
    bounds = [literal(np.asarray(x).astype(dtype)) for x in (low, high)]
    return _uniform(key, *bounds, shape, dtype)


@partial(jit, static_argnums=(1, 2))
def _normal(key: Array, shape: tuple[int, ...], dtype: dt.Dtype) -> Array:
    """The inverse of the distribution function at uniform samples."""
    above = np.nextafter(np.array(-1, dtype), np.array(0, dtype), dtype=dtype)
    return ew.erf_inv(_between(key, shape, dtype, above)) * math.sqrt(2)


@lays_out
def normal(key: ArrayLike, shape: Shape = (), dtype: Any = None, *,
           out_sharding: Any = None) -> Array:
    """Numbers of the normal distribution with mean 0 and variance 1; also complex ones.

    >>> random.normal(random.key(0), (3,)).round(3)
    Array([ 1.623,  2.025, -0.434], dtype=float32)
    """
    wanted = float_dtype("normal", dtype, "fc")
    key, sizes = checked_key("normal", key), as_shape("normal", shape)
    if not dt.is_complex(wanted):
        return _normal(key, sizes, wanted)
    keys = split(key)
    parts = [_normal(k, sizes, dt.to_real(wanted)) for k in (keys[0], keys[1])]
    return ew.complex_(*parts) / math.sqrt(2)


@lays_out
def truncated_normal(key: ArrayLike, lower: ArrayLike, upper: ArrayLike, shape: Shape | None = None,
                     dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Numbers of the normal distribution that lie between `lower` and `upper`.

    >>> random.truncated_normal(random.key(0), -1, 1, (3,)).round(3)
    Array([ 0.862,  0.941, -0.291], dtype=float32)
    """
    wanted = float_dtype("truncated_normal", dtype)
    sizes = sample_shape("truncated_normal", shape, lower, upper)
    low, high = parameters("truncated_normal", wanted, sizes, lower, upper)
    return _truncated_normal(checked_key("truncated_normal", key), low, high)


@jit
def _truncated_normal(key: Array, low: Array, high: Array) -> Array:
    root = math.sqrt(2)
    bounds = [ew.erf(x / root) for x in (low, high)]
    x = ew.erf_inv(_uniform(key, *bounds, low.shape, low.dtype)) * root
    # rounding must not carry a sample onto a bound
    return jnp.clip(x, jnp.nextafter(low, jnp.inf), jnp.nextafter(high, -jnp.inf))


@lays_out
def lognormal(key: ArrayLike, sigma: ArrayLike = 1.0, shape: Shape | None = None, dtype: Any = None,
              *, out_sharding: Any = None) -> Array:
    """e to the power of normal numbers of standard deviation `sigma`.

    >>> random.lognormal(random.key(0), shape=(3,)).round(3)
    Array([5.066, 7.578, 0.648], dtype=float32)
    """
    wanted = float_dtype("lognormal", dtype)
    sizes = sample_shape("lognormal", shape, sigma)
    return jnp.exp(normal(key, sizes, wanted) * converted("lognormal", sigma, wanted))


# -- by the inverse of their distribution functions ------------------------------------------------


@lays_out
def exponential(key: ArrayLike, shape: Shape = (), dtype: Any = None, *,
                out_sharding: Any = None) -> Array:
    """Waiting times of mean 1.

    >>> random.exponential(random.key(0), (3,)).round(3)
    Array([2.95 , 3.843, 0.404], dtype=float32)
    """
    wanted = float_dtype("exponential", dtype)
    return -jnp.log1p(-uniform(key, shape, wanted))


@lays_out
def gumbel(key: ArrayLike, shape: Shape = (), dtype: Any = None, mode: str | None = None, *,
           out_sharding: Any = None) -> Array:
    """Numbers of the Gumbel distribution: the largest of many waiting times, centred.

    >>> random.gumbel(random.key(0), (3,)).round(3)
    Array([ 2.923,  3.833, -0.097], dtype=float32)
    """
    wanted = float_dtype("gumbel", dtype)
    sizes, limits = as_shape("gumbel", shape), dt.finfo(wanted)
    if mode not in ("high", "highest"):
        return -jnp.log(-jnp.log(_between(checked_key("gumbel", key), sizes, wanted,
                                          float(limits.tiny))))
    high, low = uniform(key, (2, *sizes), wanted)
    x = jnp.where(high >= 0.5, high, high + 2.0 ** -limits.nmant * low + float(limits.tiny))
    return -jnp.log(-jnp.log1p(-x))


@lays_out
def laplace(key: ArrayLike, shape: Shape = (), dtype: Any = None, *,
            out_sharding: Any = None) -> Array:
    """Numbers of the two-sided exponential distribution.

    >>> random.laplace(random.key(0), (3,)).round(3)
    Array([-2.257, -3.15 ,  0.409], dtype=float32)
    """
    wanted = float_dtype("laplace", dtype)
    low = -1.0 + float(dt.finfo(wanted).epsneg)
    u = _between(checked_key("laplace", key), as_shape("laplace", shape), wanted, low)
    return jnp.sign(u) * jnp.log1p(-jnp.abs(u))


@lays_out
def logistic(key: ArrayLike, shape: Shape = (), dtype: Any = None, *,
             out_sharding: Any = None) -> Array:
    """Numbers of the logistic distribution.

    >>> random.logistic(random.key(0), (3,)).round(3)
    Array([ 2.896,  3.822, -0.698], dtype=float32)
    """
    wanted = float_dtype("logistic", dtype)
    x = _between(checked_key("logistic", key), as_shape("logistic", shape), wanted,
                 float(dt.finfo(wanted).tiny))
    return jnp.log(x) - jnp.log1p(-x)


@lays_out
def cauchy(key: ArrayLike, shape: Shape = (), dtype: Any = None, *,
           out_sharding: Any = None) -> Array:
    """Numbers of the Cauchy distribution.

    >>> random.cauchy(random.key(0), (3,)).round(3)
    Array([ 6.027, 14.838, -0.582], dtype=float32)
    """
    wanted = float_dtype("cauchy", dtype)
    u = _between(checked_key("cauchy", key), as_shape("cauchy", shape), wanted,
                 float(dt.finfo(wanted).eps))
    return jnp.tan(math.pi * (u - 0.5))


@lays_out
def pareto(key: ArrayLike, b: ArrayLike, shape: Shape | None = None, dtype: Any = None, *,
           out_sharding: Any = None) -> Array:
    """Numbers of the Pareto distribution with exponent b.

    >>> random.pareto(random.key(0), 2.0, (3,)).round(3)
    Array([4.371, 6.833, 1.224], dtype=float32)
    """
    wanted = float_dtype("pareto", dtype)
    sizes = sample_shape("pareto", shape, b)
    return jnp.exp(exponential(key, sizes, wanted) / converted("pareto", b, wanted))


def weibull_min(key: ArrayLike, scale: ArrayLike, concentration: ArrayLike, shape: Shape = (),
                dtype: Any = None) -> Array:
    """Numbers of the Weibull distribution.

    >>> random.weibull_min(random.key(0), 1.0, 2.0, (3,)).round(3)
    Array([1.718, 1.96 , 0.636], dtype=float32)
    """
    wanted = float_dtype("weibull_min", dtype)
    scale, power = (converted("weibull_min", x, wanted) for x in (scale, concentration))
    waiting = -jnp.log1p(-uniform(key, shape, wanted))
    return jnp.power(waiting, jnp.divide(1.0, power)) * scale


@lays_out
def rayleigh(key: ArrayLike, scale: ArrayLike, shape: Shape | None = None, dtype: Any = None, *,
             out_sharding: Any = None) -> Array:
    """The lengths of normal vectors in the plane of standard deviation `scale`.

    >>> random.rayleigh(random.key(0), 1.0, (3,)).round(3)
    Array([0.328, 0.208, 1.484], dtype=float32)
    """
    wanted = float_dtype("rayleigh", dtype)
    sizes = sample_shape("rayleigh", shape, scale)
    return jnp.sqrt(jnp.log(uniform(key, sizes, wanted)) * -2) * converted(
        "rayleigh", scale, wanted)


@lays_out
def maxwell(key: ArrayLike, shape: Shape = (), dtype: Any = None, *,
            out_sharding: Any = None) -> Array:
    """The lengths of normal vectors in space.

    >>> random.maxwell(random.key(0), (3,)).round(3)
    Array([2.631, 0.991, 0.965], dtype=float32)
    """
    wanted = float_dtype("maxwell", dtype)
    drawn = normal(key, (*as_shape("maxwell", shape), 3), wanted)
    return jnp.sqrt(jnp.sum(drawn * drawn, -1))


@lays_out
def triangular(key: ArrayLike, left: ArrayLike, mode: ArrayLike, right: ArrayLike,
               shape: Shape | None = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Numbers whose density rises from `left` to `mode` and falls to `right` in straight lines.

    >>> random.triangular(random.key(0), 0.0, 1.0, 2.0, (3,)).round(3)
    Array([1.676, 1.793, 0.815], dtype=float32)
    """
    wanted = float_dtype("triangular", dtype)
    sizes = sample_shape("triangular", shape, left, mode, right)
    left, mode, right = parameters("triangular", wanted, sizes, left, mode, right)
    u, width = uniform(key, sizes, wanted), right - left
    rising = left + jnp.sqrt(u * width * (mode - left))
    falling = right - jnp.sqrt((1 - u) * width * (right - mode))
    return jnp.where(u < (mode - left) / width, rising, falling)
