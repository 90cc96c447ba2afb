"""Products in 8 and 4 bits with a scale for each block: the formats MXFP8 and NVFP4.

https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from arraylib import dtypes as dt, numpy as jnp
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.lax.scaled import scaled_dot
from arraylib.lax.structural import dot_general
from arraylib.numpy.promotion import Array, ArrayLike, operand as owned, shape_of
from arraylib.record import record
from arraylib.tracing.custom import custom_vjp

_OP = "scaled_dot_general"
Axes = tuple[int, ...]
Numbers = tuple[tuple[Axes, Axes], tuple[Axes, Axes]]


@record
class BlockScaleConfig:
    """How an operand is written in few bits: in `data_type`, each block with its own scale."""

    mode: str
    block_size: int
    data_type: Any
    scale_type: Any
    global_scale: Any
    infer_only: bool = False


def get_scaled_dot_general_config(mode: str, global_scale: ArrayLike | None = None
                                  ) -> BlockScaleConfig:
    """What `scaled_dot_general` does with one operand: "mxfp8" or "nvfp4".

    mxfp8: blocks of 32 numbers of float8_e4m3fn, with powers of two for scales. nvfp4: blocks of 16
    of float4_e2m1fn, with scales of float8_e4m3fn and one `global_scale`, a float32 of shape (1,).

    Raises ArgumentError for another mode.

    >>> nn.get_scaled_dot_general_config("mxfp8").block_size
    32
    """
    if mode == "mxfp8":
        return BlockScaleConfig(mode, 32, dt.float8_e4m3fn, dt.float8_e8m0fnu, None)
    if mode == "nvfp4":
        whole = jnp.ones(1, dt.float32) if global_scale is None else global_scale
        return BlockScaleConfig(mode, 16, dt.float4_e2m1fn, dt.float8_e4m3fn, whole)
    raise mistake(ArgumentError, "get_scaled_dot_general_config", f"mode = {mode!r}",
                  hint="'mxfp8' or 'nvfp4'")


def scaled_matmul(lhs: ArrayLike, rhs: ArrayLike, lhs_scales: ArrayLike, rhs_scales: ArrayLike,
                  preferred_element_type: Any = dt.float32) -> Array:
    """The products of the rows of two matrices, for each index of axis 0, in scaled blocks.

    lhs is (b, m, k), rhs (b, n, k), and the result (b, m, n); the scales are (b, m, j) and
    (b, n, j) where each block of k // j elements has its own.

    >>> x, half = jnp.array([[[1, 2, 3]]]), jnp.array([[[0.5]]])
    >>> scaled_matmul(x, x + 3, half, half)
    Array([[[8.]]], dtype=float32)

    Raises ShapeError where these do not fit.
    """
    given = [owned("scaled_matmul", x) for x in (lhs, rhs, lhs_scales, rhs_scales)]
    shapes = [shape_of(x) for x in given]
    x, y, left, right = shapes
    if {len(shape) for shape in shapes} != {3} or x[::2] != y[::2] or left[:2] != x[:2] \
            or right[:2] != y[:2] or left[2] != right[2]:
        raise mistake(ShapeError, "scaled_matmul", f"shapes {', '.join(map(str, shapes))}",
                      operands=[type_of(x) for x in given],
                      hint="(b, m, k), (b, n, k), and for the scales (b, m, j) and (b, n, j)")
    numbers = (((2,), (2,)), ((0,), (0,)))
    product = scaled_dot(given[0], given[1], lhs_scale=given[2], rhs_scale=given[3],
                         dimension_numbers=numbers, preferred_element_type=dt.float32)
    return product.astype(dt.dtype(preferred_element_type, op="scaled_matmul"))


def scaled_dot_general(lhs: ArrayLike, rhs: ArrayLike, dimension_numbers: Any,
                       preferred_element_type: Any = dt.float32,
                       configs: Sequence[BlockScaleConfig] | None = None,
                       implementation: str | None = None) -> Array:
    """`dot_general` of operands that are first rounded to few bits, and so in its derivative.

    Args:
        configs: from `get_scaled_dot_general_config`, for lhs, rhs and the gradient of the result;
            None: `dot_general` as it is.
        implementation: changes nothing.

    In nvfp4 the products of the gradient are not rounded, and elements that were too large for the
    format have a gradient of 0. Raises ShapeError where blocks do not divide the summed elements.

    >>> few = [nn.get_scaled_dot_general_config("mxfp8")] * 3
    >>> x = jnp.ones((2, 32))
    >>> nn.scaled_dot_general(x, x, (((1,), (1,)), ((), ())), configs=few)
    Array([[32., 32.],
           [32., 32.]], dtype=float32)
    """
    if configs is None:
        return dot_general(lhs, rhs, dimension_numbers,
                           preferred_element_type=preferred_element_type)
    (left, right), (left_batch, right_batch) = dimension_numbers
    numbers = ((tuple(left), tuple(right)), (tuple(left_batch), tuple(right_batch)))
    x, y = jnp.asarray(owned(_OP, lhs)), jnp.asarray(owned(_OP, rhs))
    scales = tuple(None if c.global_scale is None else jnp.asarray(c.global_scale)
                   for c in configs[:2])
    return _product(numbers, dt.dtype(preferred_element_type, op=_OP), _modes(configs), scales,
                    x, y)


def _modes(configs: Sequence[BlockScaleConfig]) -> tuple[str, ...]:
    if len(configs) < 3:
        raise mistake(ArgumentError, _OP, f"{len(configs)} configs",
                      hint="one for lhs, one for rhs, one for the gradient of the result")
    return tuple(c.mode for c in configs)


@partial(custom_vjp, nondiff_argnums=(0, 1, 2))
def _product(numbers: Numbers, dtype: dt.Dtype, modes: tuple[str, ...], scales: Any, x: Array,
             y: Array) -> Array:
    (left, right), (left_batch, right_batch) = numbers
    return _rounded_product(_as_rows(x, left, left_batch), _as_rows(y, right, right_batch), dtype,
                            modes, scales).reshape(_result_shape(numbers, x, y))


def _rounded_product(x: Array, y: Array, dtype: dt.Dtype, modes: Sequence[str], scales: Any
                     ) -> Array:
    """Products of rows: both rounded, each in its mode."""
    (x, left), (y, right) = (_quantized(v, mode, whole)
                             for v, mode, whole in zip((x, y), modes, scales))
    if modes[0] != "nvfp4":
        return scaled_matmul(x, y, left, right, dtype)
    found = scaled_matmul(x, y, left, right, dt.float32)
    return (found * (scales[0] * scales[1])).astype(dtype)


def _kept(rank: int, *taken: Axes) -> Axes:
    gone = {axis for axes in taken for axis in axes}
    return tuple(axis for axis in range(rank) if axis not in gone)


def _as_rows(x: Array, contracted: Axes, batch: Axes) -> Array:
    """(batch, kept, contracted), each of them one axis."""
    kept = _kept(x.ndim, contracted, batch)
    moved = jnp.transpose(x, (*batch, *kept, *contracted))
    sizes = [1, 1, 1]
    for place, axes in enumerate((batch, kept, contracted)):
        for axis in axes:
            sizes[place] *= x.shape[axis]
    return moved.reshape(sizes)


def _result_shape(numbers: Numbers, x: Array, y: Array) -> tuple[int, ...]:
    (left, right), (left_batch, right_batch) = numbers
    return (*[x.shape[a] for a in left_batch],
            *[x.shape[a] for a in _kept(x.ndim, left, left_batch)],
            *[y.shape[a] for a in _kept(y.ndim, right, right_batch)])


def _quantized(x: Array, mode: str, whole: Array | None) -> tuple[Array, Array]:
    """x in few bits, and the scales of its blocks along the last axis."""
    config = get_scaled_dot_general_config(mode, whole)
    size = config.block_size
    if not x.shape[-1] or x.shape[-1] % size:
        raise mistake(ShapeError, _OP, f"{x.shape[-1]} products are summed, in blocks of {size}",
                      operands=[type_of(x)], hint=f"a multiple of {size}")
    largest = float(dt.finfo(config.data_type).max)
    blocks = x.reshape(*x.shape[:-1], -1, size)
    if whole is not None:
        blocks = blocks / whole
    needed = jnp.max(jnp.abs(blocks), -1, keepdims=True) / largest
    if mode == "mxfp8":
        scales = _power_above(needed)
    else:
        scales = jnp.clip(needed, 0, float(dt.finfo(config.scale_type).max))
    scales = scales.astype(config.scale_type)
    by = scales.astype(dt.float32)
    scaled = jnp.where(by == 0, 0, blocks / jnp.where(by == 0, 1, by))
    rounded = jnp.clip(scaled, -largest, largest).astype(config.data_type)
    return rounded.reshape(x.shape), scales[..., 0]


def _power_above(x: Array) -> Array:
    """The least power of two that is not below x, from 2**-127 to 2**127; nan if x is not finite.

    The scale of a block with an infinity is nan, so that no finite number comes of it.
    """
    fraction, exponent = jnp.frexp(x.astype(dt.float32))
    exponent = jnp.where(fraction == 0.5, exponent - 1, exponent)
    power = jnp.ldexp(jnp.ones_like(fraction), jnp.clip(exponent, -127, 127))
    return jnp.where(jnp.isfinite(fraction), power, jnp.nan)


def _forward(numbers: Numbers, dtype: dt.Dtype, modes: tuple[str, ...], scales: Any, x: Array,
             y: Array) -> tuple[Array, Any]:
    return _product(numbers, dtype, modes, scales, x, y), (scales, x, y)


def _backward(numbers: Numbers, dtype: dt.Dtype, modes: tuple[str, ...], kept: Any, ct: Array
              ) -> tuple[Any, Array, Array]:
    scales, x, y = kept
    (left, right), (left_batch, right_batch) = numbers
    turned = ((right, left), (right_batch, left_batch))
    rank, count = ct.ndim, len(_kept(x.ndim, left, left_batch))
    batch = tuple(range(len(left_batch)))
    mine = tuple(range(len(batch), len(batch) + count))
    others = tuple(range(len(batch) + count, rank))
    found = (_to_operand(x, y, ct, (batch, others), numbers, dtype, modes[1:][::-1]),
             _to_operand(y, x, ct, (batch, mine), turned, dtype, (modes[2], modes[0])))
    if modes[2] == "nvfp4":
        limit = float(dt.finfo(dt.float4_e2m1fn).max) * float(dt.finfo(dt.float8_e4m3fn).max)
        found = tuple(jnp.where(jnp.abs(v) <= limit * whole.reshape(()), g, 0)  # type: ignore
                      for v, g, whole in zip((x, y), found, scales))
    return (None, *found)


def _to_operand(x: Array, y: Array, ct: Array, places: tuple[Axes, Axes], numbers: Numbers,
                dtype: dt.Dtype, modes: Sequence[str]) -> Array:
    """The gradient of x: of ct and y, over the axes that y kept, which are `places[1]` of ct."""
    (left, right), (left_batch, right_batch) = numbers
    batch, summed = places
    rows = _as_rows(ct, summed, batch)
    columns = _as_rows(y, _kept(y.ndim, right, right_batch), right_batch)
    if modes[0] == "nvfp4":
        found = jnp.matmul(rows, jnp.swapaxes(columns, 1, 2), preferred_element_type=dtype)
    else:
        found = _rounded_product(rows, columns, dtype, modes, (None, None))
    mine = _kept(x.ndim, left, left_batch)
    theirs = [a for _, a in sorted(zip(right, left))]
    order = (*left_batch, *mine, *theirs)
    shaped = found.reshape([x.shape[a] for a in order])
    return jnp.transpose(shaped, [order.index(a) for a in range(x.ndim)]).astype(x.dtype)


_product.defvjp(_forward, _backward)
