"""Functions along an axis: softmax and its kin, standardisation, attention."""

import math
from typing import Any

from arraylib import dtypes as dt
from arraylib import numpy as jnp
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops.control import stop_gradient
from arraylib.numpy.promotion import promote_inexact

Array = Any
Axis = int | tuple[int, ...] | None


def _shift(x: Array, axis: Axis, where: Array | None) -> Array:
    """The largest element, a constant to derivatives; 0 where nothing is finite."""
    top = jnp.max(x, axis=axis, keepdims=True, where=where, initial=None if where is None else -jnp.inf)
    return stop_gradient(jnp.where(jnp.isfinite(top), top, 0))


def softmax(x: Array, axis: Axis = -1, where: Array | None = None) -> Array:
    """exp(x) / sum(exp(x)) along the axis; with `where`, over the marked elements, 0 elsewhere.

        >>> nn.softmax(jnp.array([0., 0.]))
        Array([0.5, 0.5], dtype=float32)
    """
    (x,) = promote_inexact("softmax", x)
    powers = jnp.exp(x - _shift(x, axis, where))
    if where is not None:
        powers = jnp.where(where, powers, 0)
    return powers / powers.sum(axis=axis, keepdims=True)


def log_softmax(x: Array, axis: Axis = -1, where: Array | None = None) -> Array:
    """log(softmax(x)), exact where the softmax underflows."""
    (x,) = promote_inexact("log_softmax", x)
    shifted = x - _shift(x, axis, where)
    powers = jnp.exp(shifted)
    total = powers.sum(axis=axis, keepdims=True, where=where)
    result = shifted - jnp.log(total)
    return result if where is None else jnp.where(where, result, -jnp.inf)


def logsumexp(a: Array, axis: Axis = None, b: Array | None = None, keepdims: bool = False,
              return_sign: bool = False, where: Array | None = None) -> Any:
    """log(sum(b * exp(a))) without overflow.

    With return_sign, the logarithm of the absolute value and the sign.

        >>> nn.logsumexp(jnp.array([1000., 1000.]))
        Array(1000.6931, dtype=float32)
    """
    if b is None:
        (a,) = promote_inexact("logsumexp", a)
    else:
        a, b = promote_inexact("logsumexp", a, b)
        a = jnp.where(b != 0, a, -jnp.inf)
    top = _shift(a, axis, where)
    terms = jnp.exp(a - top)
    total = (terms if b is None else b * terms).sum(axis=axis, keepdims=keepdims, where=where)
    top = top if keepdims else top.reshape(type_of(total).shape)
    sign = jnp.sign(total)
    if return_sign:
        return jnp.log(jnp.abs(total)) + top, sign
    if b is not None:
        total = jnp.where(sign < 0, jnp.nan, total)
    return jnp.log(total) + top


def standardize(x: Array, axis: Axis = -1, mean: Array | None = None,
                variance: Array | None = None, epsilon: Array = 1e-5,
                where: Array | None = None) -> Array:
    """(x - mean) / sqrt(variance + epsilon) along the axis."""
    (x,) = promote_inexact("standardize", x)
    if mean is None:
        mean = jnp.mean(x, axis=axis, keepdims=True, where=where)
    centred = x - mean
    if variance is None:
        variance = jnp.mean(centred * centred, axis=axis, keepdims=True, where=where)
    return centred / jnp.sqrt(variance + epsilon)


def dot_product_attention(query: Array, key: Array, value: Array, bias: Array | None = None,
                          mask: Array | None = None, *, scale: float | None = None,
                          is_causal: bool = False) -> Array:
    """softmax(query key^T * scale + bias) value, for each head.

    Args:
        query: f[batch, t, heads, d] or f[t, heads, d]; key, value: f[batch, s, k_heads, d] likewise,
            where k_heads divides heads (grouped heads share a key).
        bias, mask: broadcastable to [batch, heads, t, s]; False in the mask leaves a pair out.
        scale: 1 / sqrt(d) by default. is_causal: leave out keys after the query.

    Raises: ShapeError where the shapes do not fit. Vaswani et al. (2017).
    """
    query, key, value = promote_inexact("dot_product_attention", query, key, value)
    if len(type_of(query).shape) == 3:
        out = dot_product_attention(query[None], key[None], value[None], bias, mask, scale=scale,
                                    is_causal=is_causal)
        return out[0]
    _check_attention(query, key, value)
    (b, t, heads, d), (_, s, groups, _) = type_of(query).shape, type_of(key).shape
    q = query.reshape(b, t, groups, heads // groups, d)
    scores = jnp.einsum("btghd,bsgd->bghts", q, key) * (1 / math.sqrt(d) if scale is None else scale)
    scores = scores.reshape(b, heads, t, s)
    if bias is not None:
        scores = scores + bias
    if is_causal:
        causal = jnp.tril(jnp.ones((t, s), bool))
        mask = causal if mask is None else jnp.logical_and(mask, causal)
    if mask is not None:
        scores = jnp.where(mask, scores, dt.finfo(type_of(scores).dtype).min)
    weights = softmax(scores, axis=-1).reshape(b, groups, heads // groups, t, s)
    out = jnp.einsum("bghts,bsgd->btghd", weights, value)
    return out.reshape(b, t, heads, type_of(value).shape[-1])


def _check_attention(query: Array, key: Array, value: Array) -> None:
    types = [type_of(x) for x in (query, key, value)]
    q, k, v = (t.shape for t in types)
    hint = "query [batch, t, heads, d], key and value [batch, s, heads, d]"
    if not len(q) == len(k) == len(v) == 4:
        raise mistake(ArgumentError, "dot_product_attention", "operands need 3 or 4 axes, not "
                      f"{len(q)}, {len(k)} and {len(v)}", operands=types, hint=hint)
    if q[0] != k[0] or q[3] != k[3] or k[:3] != v[:3] or q[2] % k[2]:
        raise mistake(ShapeError, "dot_product_attention", f"query {q}, key {k} and value {v} do not "
                      "fit", operands=types, hint=hint)
