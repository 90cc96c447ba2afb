"""Softmax and its relatives, computed so that nothing overflows; standardisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.control import stop_gradient
from arraylib.numpy.elementwise import isfinite, like, truth
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    broadcast,
    convert,
    operand,
    promote_inexact,
    shape_of,
)
from arraylib.numpy.reductions import working

Axis = int | Sequence[int] | None


def _largest(x: Array, axis: Axis) -> Array:
    """The largest along axes, for which derivatives take it for a constant: it cancels out."""
    return stop_gradient(jnp.max(x, axis, keepdims=True, initial=-math.inf))


def _spread(op: str, x: Array, like_: Array) -> Array:
    return broadcast(op, x, shape_of(like_))


def _masked(op: str, x: Array, where: ArrayLike | None) -> tuple[Array, Array | None]:
    """x with -inf where the mask is false, and the mask over all of x."""
    if where is None:
        return x, None
    mask = _spread(op, truth(operand(op, where)), x)
    return ew.select(mask, x, like(x, -math.inf)), mask


@one_program()
def softmax(x: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None) -> Array:
    """exp(x) over its sum along axes: probabilities. Where the mask is false they are 0.

    >>> nn.softmax(jnp.array([0.0, 0.0, 1.0])).round(4)
    Array([0.2119, 0.2119, 0.5761], dtype=float32)
    """
    (x,) = promote_inexact("softmax", x)
    x, mask = _masked("softmax", x, where)
    powers = ew.exponential(ew.subtract(x, _spread("softmax", _largest(x, axis), x)))
    total = jnp.sum(powers, axis, keepdims=True)
    shares = ew.divide(powers, _spread("softmax", total, x))
    return shares if mask is None else ew.select(mask, shares, like(shares, 0))


@one_program()
def log_softmax(x: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None) -> Array:
    """log(softmax(x)), exact also where the probabilities are near 0.

    >>> nn.log_softmax(jnp.array([0.0, 0.0])).round(4)
    Array([-0.6931, -0.6931], dtype=float32)
    """
    (x,) = promote_inexact("log_softmax", x)
    x, mask = _masked("log_softmax", x, where)
    shifted = ew.subtract(x, _spread("log_softmax", _largest(x, axis), x))
    total = jnp.log(jnp.sum(ew.exponential(shifted), axis, keepdims=True))
    result = ew.subtract(shifted, _spread("log_softmax", total, x))
    return result if mask is None else ew.select(mask, result, like(result, -math.inf))


@one_program()
def logsumexp(a: ArrayLike, axis: Axis = None, b: ArrayLike | None = None,
              keepdims: bool = False, return_sign: bool = False,
              where: ArrayLike | None = None) -> Any:
    """log(sum(b * exp(a))) along axes without overflow; with `return_sign` also the sum's sign.

    >>> nn.logsumexp(jnp.array([1000.0, 1000.0])).round(4)
    Array(1000.6932, dtype=float32)
    """
    (x,) = promote_inexact("logsumexp", a)
    if b is not None:
        x, weights = jnp.broadcast_arrays(*promote_inexact("logsumexp", x, b))
        x = ew.select(ew.compare(weights, like(weights, 0), direction="EQ"),
                      like(x, -math.inf), x)
    x, _ = _masked("logsumexp", x, where)
    largest = _largest(x, axis)
    # where all are -inf, or one is inf, there is nothing to be scaled
    largest = ew.select(isfinite(largest), largest, like(largest, 0))
    powers = ew.exponential(ew.subtract(x, _spread("logsumexp", largest, x)))
    powers = powers if b is None else ew.multiply(powers, weights)
    total = jnp.sum(powers, axis, keepdims=True)
    sign = ew.sign(total)
    if b is not None:
        total = ew.abs(total) if return_sign else total
    result = ew.add(ew.log(total), largest)
    if not keepdims:
        result, sign = (jnp.reshape(v, shape_of(jnp.sum(x, axis))) for v in (result, sign))
    return (result, sign) if return_sign else result


@one_program()
def logmeanexp(x: ArrayLike, axis: Axis = None, where: ArrayLike | None = None,
               keepdims: bool = False) -> Array:
    """log(mean(exp(x))) along axes without overflow.

    >>> nn.logmeanexp(jnp.array([1000.0, 1000.0]))
    Array(1000., dtype=float32)
    """
    total = logsumexp(x, axis, keepdims=keepdims, where=where)
    count = jnp.sum(jnp.ones_like(x, dtype=type_of(total).dtype), axis, keepdims=keepdims,
                    where=where)
    return ew.subtract(total, ew.log(count))


@one_program()
def standardize(x: ArrayLike, axis: Axis = -1, mean: ArrayLike | None = None,
                variance: ArrayLike | None = None, epsilon: ArrayLike = 1e-5,
                where: ArrayLike | None = None, *, algorithm: str = "stable") -> Array:
    """x less its mean, over the root of its variance plus epsilon, along axes.

    Half types are standardised in float32. `algorithm` "fast" takes the variance for the mean
    square less the squared mean, which loses digits where the mean is large.

    >>> nn.standardize(jnp.array([1.0, 2.0, 3.0])).round(4)
    Array([-1.2247,  0.    ,  1.2247], dtype=float32)
    """
    if algorithm not in ("stable", "fast"):
        raise mistake(ArgumentError, "standardize", f"algorithm = {algorithm!r}",
                      hint="'stable' or 'fast'")
    (x,) = promote_inexact("standardize", x)
    result = type_of(x).dtype
    x = convert(x, working(result))
    mean = jnp.mean(x, axis, keepdims=True, where=where) if mean is None else mean
    apart = jnp.subtract(x, mean)
    if variance is None and algorithm == "stable":
        variance = jnp.mean(jnp.square(apart), axis, keepdims=True, where=where)
    elif variance is None:
        square = jnp.mean(jnp.square(x), axis, keepdims=True, where=where)
        variance = jnp.clip(jnp.subtract(square, jnp.square(mean)), 0)
    scaled = jnp.multiply(apart, ew.rsqrt(promote_inexact(
        "standardize", jnp.add(variance, epsilon))[0]))
    return convert(scaled, dt.promote(result, type_of(scaled).dtype) if dt.bits(result) > 32
                   else result)
