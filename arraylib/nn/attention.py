"""Attention by scaled dot products."""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops.attention import LOWEST, UNLIMITED, attention, wide_dtype
from arraylib.hlo.ops.control import stop_gradient
from arraylib.nn.normalization import logsumexp, softmax
from arraylib.numpy.creation import counting
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import Array, ArrayLike, convert, converted, promote, shape_of


@overload
def dot_product_attention(query: ArrayLike, key: ArrayLike, value: ArrayLike,
                          bias: ArrayLike | None = None, mask: ArrayLike | None = None, *,
                          scale: float | None = None, is_causal: bool = False,
                          query_seq_lengths: ArrayLike | None = None,
                          key_value_seq_lengths: ArrayLike | None = None,
                          local_window_size: int | tuple[int, int] | None = None,
                          implementation: str | None = None,
                          return_residual: Literal[False] = False) -> Array: ...


@overload
def dot_product_attention(query: ArrayLike, key: ArrayLike, value: ArrayLike,
                          bias: ArrayLike | None = None, mask: ArrayLike | None = None, *,
                          scale: float | None = None, is_causal: bool = False,
                          query_seq_lengths: ArrayLike | None = None,
                          key_value_seq_lengths: ArrayLike | None = None,
                          local_window_size: int | tuple[int, int] | None = None,
                          implementation: str | None = None,
                          return_residual: Literal[True]) -> tuple[Array, Array]: ...


@one_program(3)
def dot_product_attention(query: ArrayLike, key: ArrayLike, value: ArrayLike,
                          bias: ArrayLike | None = None, mask: ArrayLike | None = None, *,
                          scale: float | None = None, is_causal: bool = False,
                          query_seq_lengths: ArrayLike | None = None,
                          key_value_seq_lengths: ArrayLike | None = None,
                          local_window_size: int | tuple[int, int] | None = None,
                          implementation: str | None = None,
                          return_residual: bool = False) -> Any:
    """softmax(query key^T * scale + bias) value, for each head; the softmax in float32.

    It is computed in one pass over blocks of queries and keys, so that memory grows with t + s and
    not with their product, for derivatives too unless the bias has one (the online softmax of
    Milakov and Gimelshein, arXiv:1805.02867; in blocks, Dao et al., arXiv:2205.14135). Blocks that
    `is_causal` or the window hides are not read: nan in them need not show.

    Shapes: query [b, t, n, h], key and value [b, s, k, h], where n is a multiple of k and each
    key head serves n / k query heads; bias and mask broadcast to [b, n, t, s]. The batch axis b may
    be missing. `scale` is 1 / sqrt(h) unless given. Raises ShapeError where the axes do not fit.
    With `return_residual` also the logarithm of each row's sum of exponentials, [b, t, n] in the
    keys' dtype, through which no derivatives pass.

    Example:
        >>> q = jnp.ones((1, 3, 2, 4))
        >>> dot_product_attention(q, q, q, is_causal=True).shape
        (1, 3, 2, 4)
    """
    query, key, value = promote("dot_product_attention", query, key, value)
    lengths: list[Any] = [query_seq_lengths, key_value_seq_lengths]
    single = len(shape_of(query)) == 3
    if single:
        query, key, value = (jnp.expand_dims(x, 0) for x in (query, key, value))
        lengths = [None if x is None else jnp.reshape(x, (1,)) for x in lengths]
    found = _attention(query, key, value, bias, mask, scale, is_causal, lengths, local_window_size)
    result, rows = (jnp.squeeze(x, 0) if single else x for x in found)
    return (result, rows) if return_residual else result


def _attention(query: Array, key: Array, value: Array, bias: Any, mask: Any,
               scale: float | None, is_causal: bool, lengths: list[Any], window: Any
               ) -> tuple[Array, Array]:
    """The result, and the logarithms of the rows' sums of exponentials."""
    _check(query, key, value)
    t, h = shape_of(query)[1], shape_of(query)[3]
    scale = 1 / math.sqrt(h) if scale is None else scale
    masks = [] if mask is None else [jnp.asarray(mask)]
    masks += _inside(t, shape_of(key)[1], lengths)
    ends = _window(is_causal, window)
    wide = wide_dtype(type_of(query))
    more = [] if bias is None else [converted("dot_product_attention", bias, wide)]
    more += [x if type_of(x).dtype == dt.bool_ else jnp.not_equal(x, 0) for x in masks]
    more = [jnp.reshape(x, (1,) * (4 - len(shape_of(x))) + shape_of(x)) for x in more]
    if 0 in (*shape_of(query), *shape_of(key)) or wide != dt.float32:
        result, rows = _written_out(query, key, value, more, bias is not None, scale, ends)
    else:
        result, largest, total = attention(query, key, value, *more, scale=float(scale),
                                           window=ends, bias=bias is not None)
        rows = jnp.add(largest, jnp.log(total))
    rows = jnp.swapaxes(convert(stop_gradient(rows), type_of(key).dtype), 1, 2)
    if lengths[0] is None:
        return result, rows
    inside = jnp.less(jnp.arange(t), jnp.expand_dims(lengths[0], 1))
    return jnp.where(jnp.reshape(inside, (*shape_of(inside), 1, 1)), result, 0), rows


def _written_out(query: Array, key: Array, value: Array, more: list[Array], has_bias: bool,
                 scale: float, ends: tuple[int, int]) -> tuple[Array, Array]:
    """In operations of their own: what is empty, and float64, whose softmax is in float32."""
    (b, t, n, h), (s, k) = shape_of(query), shape_of(key)[1:3]
    groups = jnp.reshape(query, (b, t, k, n // k, h))
    wide = wide_dtype(type_of(query))
    logits = jnp.einsum("btkgh,bskh->bkgts", groups, key, preferred_element_type=wide)
    logits = jnp.multiply(logits, scale)
    if has_bias:
        logits = jnp.add(logits, _grouped(more[0], k, n))
    rows, columns = counting((t, s), 0, dt.int64), counting((t, s), 1, dt.int64)
    allowed = [_grouped(x, k, n) for x in more[has_bias:]]
    if ends[1] < UNLIMITED:
        allowed.append(jnp.less_equal(columns, jnp.add(rows, ends[1])))
    if ends[0] < UNLIMITED:
        allowed.append(jnp.greater_equal(columns, jnp.subtract(rows, ends[0])))
    for part in allowed:
        logits = jnp.where(part, logits, LOWEST)
    logits = convert(logits, dt.float32)
    rows = jnp.reshape(logsumexp(logits, -1), (b, n, t))
    shares = convert(softmax(logits), type_of(key).dtype)
    return jnp.reshape(jnp.einsum("bkgts,bskh->btkgh", shares, value), (b, t, n, h)), rows


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


def _window(is_causal: bool, window: Any) -> tuple[int, int]:
    """How far before and behind its own place a row sees."""
    if window is None:
        return UNLIMITED, 0 if is_causal else UNLIMITED
    left, right = window if isinstance(window, tuple) else (window, window)
    return int(left), min(int(right), 0) if is_causal else int(right)


def _inside(t: int, s: int, lengths: list[Any]) -> list[Array]:
    """Masks over [b, n, t, s] of rows and columns within the lengths that are given."""
    masks = []
    for count, shape, length in zip((t, s), ((1, 1, t, 1), (1, 1, 1, s)), lengths):
        if length is not None:
            places = jnp.reshape(jnp.arange(count), shape)
            masks.append(jnp.less(places, jnp.reshape(length, (-1, 1, 1, 1))))
    return masks
