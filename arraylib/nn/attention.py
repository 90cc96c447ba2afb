"""Attention by scaled dot products."""

from __future__ import annotations

import math
from typing import Any

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.nn.normalization import softmax
from arraylib.numpy.creation import counting
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import Array, ArrayLike, convert, promote, shape_of

_LOWEST = -0.7 * float(dt.finfo(dt.float32).max)  # finite: a row all masked has no nan


@one_program(3)
def dot_product_attention(query: ArrayLike, key: ArrayLike, value: ArrayLike,
                          bias: ArrayLike | None = None, mask: ArrayLike | None = None, *,
                          scale: float | None = None, is_causal: bool = False,
                          query_seq_lengths: ArrayLike | None = None,
                          key_value_seq_lengths: ArrayLike | None = None,
                          local_window_size: int | tuple[int, int] | None = None,
                          implementation: str | None = None) -> Array:
    """softmax(query key^T * scale + bias) value, for each head; the softmax in float32.

    Shapes: query [b, t, n, h], key and value [b, s, k, h], where n is a multiple of k and each
    key head serves n / k query heads; bias and mask broadcast to [b, n, t, s]. The batch axis b may
    be missing. `scale` is 1 / sqrt(h) unless given. Raises ShapeError where the axes do not fit.
    """
    query, key, value = promote("dot_product_attention", query, key, value)
    if len(shape_of(query)) == 3:
        query, key, value = (jnp.expand_dims(x, 0) for x in (query, key, value))
        lengths = [None if x is None else jnp.reshape(x, (1,))
                   for x in (query_seq_lengths, key_value_seq_lengths)]
        return jnp.squeeze(_attention(query, key, value, bias, mask, scale, is_causal, lengths,
                                      local_window_size), 0)
    return _attention(query, key, value, bias, mask, scale, is_causal,
                      [query_seq_lengths, key_value_seq_lengths], local_window_size)


def _attention(query: Array, key: Array, value: Array, bias: Any, mask: Any,
               scale: float | None, is_causal: bool, lengths: list[Any], window: Any) -> Array:
    _check(query, key, value)
    b, t, n, h = shape_of(query)
    s, k = shape_of(key)[1:3]
    groups = jnp.reshape(query, (b, t, k, n // k, h))
    wide = dt.promote(type_of(query).dtype, dt.float32)
    logits = jnp.einsum("btkgh,bskh->bkgts", groups, key, preferred_element_type=wide)
    logits = jnp.multiply(logits, 1 / math.sqrt(h) if scale is None else scale)
    if bias is not None:
        logits = jnp.add(logits, convert(_grouped(jnp.asarray(bias), k, n), wide))
    allowed = _allowed(t, s, is_causal, lengths, window)
    if mask is not None:
        allowed.append(_grouped(jnp.asarray(mask), k, n))
    for part in allowed:
        logits = jnp.where(part, logits, _LOWEST)
    shares = convert(softmax(convert(logits, dt.float32)), type_of(key).dtype)
    result = jnp.reshape(jnp.einsum("bkgts,bskh->btkgh", shares, value), (b, t, n, h))
    if lengths[0] is None:
        return result
    inside = jnp.less(jnp.arange(t), jnp.expand_dims(lengths[0], 1))
    return jnp.where(jnp.reshape(inside, (*shape_of(inside), 1, 1)), result, 0)


def _check(query: Array, key: Array, value: Array) -> None:
    types = [type_of(x) for x in (query, key, value)]
    if any(t.rank != 4 for t in types):
        raise mistake(ShapeError, "dot_product_attention", "query, key and value have "
                      f"{', '.join(str(t.rank) for t in types)} axes", operands=types,
                      hint="[batch, length, heads, size], or all without the batch")
    (b, _, n, h), (c, _, k, m) = types[0].shape, types[1].shape
    if types[1].shape != types[2].shape or (b, h) != (c, m) or n % k:
        raise mistake(ShapeError, "dot_product_attention", f"query heads {n} of size {h} do not "
                      f"fit key heads {k} of size {m}, or the batches or values differ",
                      operands=types, hint=f"key and value [{b}, s, a divisor of {n}, {h}]")


def _grouped(x: Array, k: int, n: int) -> Array:
    """[b, n or 1, t, s] with the axis of heads as key heads and the query heads of each."""
    shape = (1,) * (4 - len(shape_of(x))) + shape_of(x)
    heads = (1, 1) if shape[1] == 1 else (k, n // k)
    return jnp.reshape(x, (shape[0], *heads, *shape[2:]))


def _allowed(t: int, s: int, is_causal: bool, lengths: list[Any], window: Any) -> list[Array]:
    """Masks over [b, k, g, t, s], each true where attention is allowed."""
    rows, columns = counting((t, s), 0, dt.int32), counting((t, s), 1, dt.int32)
    masks = [jnp.less_equal(columns, rows)] if is_causal else []
    if window is not None:
        left, right = window if isinstance(window, tuple) else (window, window)
        masks.append(jnp.less_equal(rows, jnp.add(columns, left)))
        masks.append(jnp.greater_equal(rows, jnp.subtract(columns, right)))
    for axis, length in zip((rows, columns), lengths):
        if length is not None:
            masks.append(jnp.less(axis, jnp.reshape(length, (-1, 1, 1, 1, 1))))
    return masks
