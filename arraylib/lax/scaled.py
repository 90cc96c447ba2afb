"""Products of numbers that blocks share scales for: 1 x 32 (MX), 1 x 128, 128 x 128 or others."""

from __future__ import annotations

from typing import Any

from arraylib import dtypes as dt, numpy as jnp
from arraylib.errors import ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.lax.structural import dot_general
from arraylib.numpy.promotion import Array, ArrayLike, operand as owned, shape_of

_OP = "scaled_dot"


def scaled_dot(lhs: ArrayLike, rhs: ArrayLike, *, lhs_scale: ArrayLike | None = None,
               rhs_scale: ArrayLike | None = None, dimension_numbers: Any = None,
               preferred_element_type: Any = None) -> Array:
    """`dot_general` of (lhs * lhs_scale) and (rhs * rhs_scale), where blocks share a scale.

    Args:
        lhs, rhs: arrays of the same rank, of 8-bit floats for example.
        lhs_scale, rhs_scale: for each axis as many scales as there are blocks on it; a block of
            128 x 128 has one. None: the operand as it is.
        dimension_numbers: those of `dot_general`; by default the last axis of lhs meets the last
            but one of rhs, for each index of the axes before.
        preferred_element_type: the dtype of the result, bfloat16 if not given. Scaling is done in
            this dtype, or in bfloat16 if that is wider.

    >>> x = jnp.array([[1.0, 2.0, 3.0, 4.0]], "float8_e4m3fn")
    >>> scaled_dot(x, x.T, lhs_scale=jnp.array([[1.0, 10.0]]))
    Array([[255]], dtype=bfloat16)

    Raises ShapeError where blocks do not divide an axis.
    """
    x, y = owned(_OP, lhs), owned(_OP, rhs)
    wanted = dt.bfloat16 if preferred_element_type is None \
        else dt.dtype(preferred_element_type, op=_OP)
    if dimension_numbers is None:
        dimension_numbers = _products(x, y)
    working = dt.promote(dt.bfloat16, wanted)
    x, y = (_scaled(name, v.astype(working), scale) for name, v, scale in
            (("lhs", jnp.asarray(x), lhs_scale), ("rhs", jnp.asarray(y), rhs_scale)))
    return dot_general(x, y, dimension_numbers, preferred_element_type=wanted)


def _products(x: Array, y: Array) -> Any:
    """The dimension numbers of matrix products, for each index of leading axes."""
    rank = len(shape_of(x))
    if rank < 2 or len(shape_of(y)) != rank:
        raise mistake(ShapeError, _OP, f"lhs has {rank} axes and rhs {len(shape_of(y))}",
                      operands=[type_of(x), type_of(y)],
                      hint="matrices, or dimension_numbers= as for dot_general")
    leading = tuple(range(rank - 2))
    return (((rank - 1,), (rank - 2,)), (leading, leading))


def _scaled(name: str, x: Array, scale: ArrayLike | None) -> Array:
    """Each block of x times its scale: an axis of blocks beside each axis, and back."""
    if scale is None:
        return x
    scales, shape = jnp.asarray(owned(_OP, scale)), shape_of(x)
    if len(scales.shape) != len(shape) or any(
            (n % blocks if blocks else n) for n, blocks in zip(shape, scales.shape)):
        raise mistake(ShapeError, _OP, f"the blocks of {name}_scale do not divide {name}",
                      operands=[type_of(x), type_of(scales)],
                      hint="for each axis a number of scales that divides its size")
    pairs = [(blocks, n // blocks if blocks else 0) for n, blocks in zip(shape, scales.shape)]
    spread = scales.astype(type_of(x).dtype).reshape([m for blocks, _ in pairs
                                                      for m in (blocks, 1)])
    blocked = jnp.reshape(x, [m for pair in pairs for m in pair])
    return jnp.reshape(blocked * spread, shape)
