"""Integers: common divisors and multiples, and bits packed into bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import trace_graph, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.control import while_
from arraylib.numpy import reductions as rd
from arraylib.numpy.elementwise import like, truth
from arraylib.numpy.layout import cut, moveaxis, ravel, reshape
from arraylib.numpy.padding import pad
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axis,
    binary,
    broadcast,
    check_kind,
    convert,
    operand,
    shape_of,
)

_BYTE = 8


def _magnitude(x: Array) -> Array:
    """|x| as an unsigned integer, which also holds that of the least number."""
    dtype = type_of(x).dtype
    if dt.is_unsigned(dtype):
        return x
    return ew.bitcast_convert(ew.abs(x), dtype=np.dtype(f"uint{dt.bits(dtype)}"))


def _as(x: Array, dtype: dt.Dtype) -> Array:
    return x if type_of(x).dtype == dtype else ew.bitcast_convert(x, dtype=dtype)


def _not_zero(x: Array) -> Array:
    return ew.compare(x, like(x, 0), direction="NE")


def _divisor(x: Array, y: Array) -> Array:
    """Euclid's algorithm on unsigned integers, until the slowest pair is done."""
    def step(a: Array, b: Array) -> list[Array]:
        more = _not_zero(b)
        rest = ew.remainder(a, ew.select(more, b, like(b, 1)))
        return [ew.select(more, b, a), ew.select(more, rest, b)]
    types = [type_of(x), type_of(y)]
    return while_(x, y, cond=trace_graph(types, lambda a, b: [rd.any(_not_zero(b))]),
                  body=trace_graph(types, step), cond_consts=0, body_consts=0)[0]


def _common_divisor(x: Array, y: Array) -> Array:
    return _as(_divisor(_magnitude(x), _magnitude(y)), type_of(x).dtype)


def _common_multiple(x: Array, y: Array) -> Array:
    a, b = _magnitude(x), _magnitude(y)
    shared = _divisor(a, b)
    product = ew.multiply(ew.divide(a, ew.maximum(shared, like(shared, 1))), b)
    return _as(product, type_of(x).dtype)


@one_program(2)
def gcd(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """The greatest common divisor of |x1| and |x2|, element by element; |x1| where x2 is 0.

    Raises DtypeError for what are not integers.

    >>> gcd(jnp.array([12, -8, 0]), jnp.array([18, 12, 5]))
    Array([6, 4, 5], dtype=int32)
    """
    return binary("gcd", _common_divisor, x1, x2, kinds="iu")


@one_program(2)
def lcm(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """The least common multiple of |x1| and |x2|, element by element; 0 where either is.

    Like other products it wraps around where the dtype ends. Raises DtypeError for what are not
    integers.

    >>> lcm(jnp.array([4, -3, 0]), jnp.array([6, 5, 7]))
    Array([12, 15,  0], dtype=int32)
    """
    return binary("lcm", _common_multiple, x1, x2, kinds="iu")


# -- bits and bytes --------------------------------------------------------------------------------


def _weights(op: str, bitorder: str) -> Any:
    """How far each of eight bits is moved up in its byte."""
    if bitorder not in ("big", "little"):
        raise mistake(ArgumentError, op, f"bitorder = {bitorder!r}", hint="'big' or 'little'")
    places = np.arange(_BYTE, dtype=np.uint8)
    return places[::-1].copy() if bitorder == "big" else places


def _along(op: str, a: ArrayLike, axis: int | None) -> tuple[Array, int]:
    """The array with the axis that is meant behind the others, and where it was."""
    a = operand(op, a)
    if axis is None or not shape_of(a):
        return ravel(a), 0
    place = as_axis(op, axis, len(shape_of(a)))
    return moveaxis(a, place, -1), place


@one_program()
def packbits(a: ArrayLike, axis: int | None = None, bitorder: str = "big") -> Array:
    """Eight truth values in a byte along an axis, of the flattened array for None: u8[..., n / 8].

    The last byte is filled up with zeros. The first of eight is the highest bit, for the
    `bitorder` "little" the lowest. Raises DtypeError for floats.

    >>> packbits(jnp.array([1, 0, 1, 0, 0, 0, 0, 1, 1]))
    Array([161, 128], dtype=uint8)
    """
    check_kind("packbits", type_of(operand("packbits", a)).dtype, "biu", a)
    x, place = _along("packbits", a, axis)
    shifts = _weights("packbits", bitorder)
    n = shape_of(x)[-1]
    none = [(0, 0)] * (len(shape_of(x)) - 1)
    bits = pad(convert(truth(x), dt.uint8), [*none, (0, -n % _BYTE)])
    groups = reshape(bits, (*shape_of(bits)[:-1], -(-n // _BYTE), _BYTE))
    moved = ew.shift_left(groups, broadcast("packbits", shifts, shape_of(groups)))
    return moveaxis(rd.sum(moved, -1, dtype=dt.uint8), -1, place)


@one_program()
def unpackbits(a: ArrayLike, axis: int | None = None, count: int | None = None,
               bitorder: str = "big") -> Array:
    """The bits of bytes along an axis, of the flattened array for None: u8[..., 8 n], 0 or 1.

    The first `count` of them, filled up with zeros; all but the last -count where it is negative.
    Raises DtypeError for other dtypes than uint8.

    >>> unpackbits(np.array([161], np.uint8))
    Array([1, 0, 1, 0, 0, 0, 0, 1], dtype=uint8)
    """
    x = operand("unpackbits", a)
    if type_of(x).dtype != dt.uint8:
        check_kind("unpackbits", type_of(x).dtype, "", a)
    x, place = _along("unpackbits", x, axis)
    shifts = _weights("unpackbits", bitorder)
    shape = (*shape_of(x), _BYTE)
    spread = broadcast("unpackbits", reshape(x, (*shape_of(x), 1)), shape)
    bits = ew.and_(ew.shift_right_logical(spread, broadcast("unpackbits", shifts, shape)),
                   like(spread, 1))
    bits = reshape(bits, (*shape[:-2], shape[-2] * _BYTE))
    n = shape_of(bits)[-1]
    wanted = n if count is None else n + count if count < 0 else count
    if wanted < 0:
        raise mistake(ArgumentError, "unpackbits", f"count = {count} of {n} bits",
                      hint="how many bits to give, or minus how many to leave out")
    if wanted <= n:
        bits = cut(bits, len(shape) - 2, 0, wanted)
    else:
        bits = pad(bits, [*[(0, 0)] * (len(shape) - 2), (0, wanted - n)])
    return moveaxis(bits, -1, place)

