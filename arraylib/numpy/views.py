"""The bytes of arrays read as other dtypes, and in another order."""

from __future__ import annotations

from typing import Any

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew, shape as sh
from arraylib.hlo.ops.bits import bitcast_regroup
from arraylib.numpy.elementwise import truth
from arraylib.numpy.layout import cut, reshape
from arraylib.numpy.promotion import Array, ArrayLike, convert, literal, operand, shape_of


def view(x: Array, dtype: Any = None) -> Array:
    """The bits of x read as another dtype: the last axis is as much longer as that is narrower.

    Truth values are bytes, of which any but 0 is read as true. Raises ShapeError where the last
    axis does not hold whole elements, DtypeError for an array without axes and another width.

    >>> view(jnp.array([1.0]), "int8")
    Array([  0,   0, -128,  63], dtype=int8)
    """
    wanted = type_of(x).dtype if dtype is None else dt.dtype(dtype, op="view")
    if not shape_of(x):
        if _bits(wanted) != _bits(type_of(x).dtype):
            raise mistake(DtypeError, "view", f"{dt.name(type_of(x).dtype)} has "
                          f"{_bits(type_of(x).dtype)} bits but {dt.name(wanted)} has "
                          f"{_bits(wanted)}", operands=[type_of(x)],
                          hint="x[None].view(...), whose last axis can grow")
        return reshape(view(reshape(x, (1,)), wanted), ())
    own, n = type_of(x).dtype, shape_of(x)[-1]
    if n * _bits(own) % _bits(wanted):
        raise mistake(ShapeError, "view", f"{n} elements of {_bits(own)} bits are no whole number "
                      f"of elements of {_bits(wanted)}", operands=[type_of(x)],
                      hint="a narrower dtype, or a last axis that is a multiple of that")
    return literal(x) if own == wanted else _read(x, wanted)


def _bits(dtype: dt.Dtype) -> int:
    return 8 if dt.is_bool(dtype) else dt.bits(dtype)


def _read(x: Array, dtype: dt.Dtype) -> Array:
    """A vector's bits as another dtype, which they fill."""
    own, last = type_of(x).dtype, len(shape_of(x)) - 1
    if dt.is_bool(own):
        x, own = convert(x, dt.uint8), dt.uint8
    if dt.is_complex(own):  # the real and the imaginary part of each number, one after the other
        x, own = _interleaved(ew.real(x), ew.imag(x)), dt.to_real(own)
    if dt.is_bool(dtype):
        return truth(_regrouped(x, dt.uint8))
    if not dt.is_complex(dtype):
        return _regrouped(x, dtype)
    parts = _regrouped(x, dt.to_real(dtype))
    pairs = reshape(parts, (*shape_of(parts)[:-1], shape_of(parts)[-1] // 2, 2))
    shape = shape_of(pairs)[:-1]
    return ew.complex_(*(reshape(cut(pairs, last + 1, i, i + 1), shape) for i in (0, 1)))


def _interleaved(x: Array, y: Array) -> Array:
    shape = shape_of(x)
    columns = [reshape(v, (*shape, 1)) for v in (x, y)]
    return reshape(sh.concatenate(*columns, dimension=len(shape)), (*shape[:-1], 2 * shape[-1]))


def _regrouped(x: Array, dtype: dt.Dtype) -> Array:
    """The same for dtypes that are neither complex nor bool."""
    own, (*rows, n) = type_of(x).dtype, shape_of(x)
    if own == dtype:
        return x
    if dt.bits(own) == dt.bits(dtype):
        return ew.bitcast_convert(x, dtype=dtype)
    total = n * dt.bits(own) // dt.bits(dtype)
    if dt.bits(own) > dt.bits(dtype):
        return reshape(bitcast_regroup(x, dtype=dtype), (*rows, total))
    groups = reshape(x, (*rows, total, dt.bits(dtype) // dt.bits(own)))
    return bitcast_regroup(groups, dtype=dtype)


def byteswap(x: ArrayLike) -> Array:
    """x with the bytes of each element in the opposite order.

    >>> byteswap(jnp.array([1, 256]))
    Array([16777216,    65536], dtype=int32)
    """
    x = operand("byteswap", x)
    dtype = type_of(x).dtype
    if dt.is_complex(dtype):
        return ew.complex_(byteswap(ew.real(x)), byteswap(ew.imag(x)))
    if dt.bits(dtype) <= 8:
        return literal(x)
    swapped = sh.reverse(bitcast_regroup(x, dtype=dt.uint8), dimensions=(len(shape_of(x)),))
    return bitcast_regroup(swapped, dtype=dtype)
