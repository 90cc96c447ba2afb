"""What NumPy lacks for the meanings of elementwise operations: halves, narrow integers, bits.

Functions of arrays only; the rows are in `elementwise`.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ops import complexes

Function = Callable[..., Any]


def in_float32(function: Function) -> Function:
    """`function` on half-precision operands computed in float32 and rounded once."""
    def wrapped(*arrays: Any) -> Any:
        dtype = arrays[0].dtype
        if dtype.itemsize > 2 or dt.kind(dtype) != "f":
            return np.asarray(function(*arrays)).astype(dtype, copy=False)
        return np.asarray(function(*[a.astype(np.float32) for a in arrays])).astype(dtype)
    return wrapped


def scalarwise(function: Function) -> Function:
    """A function of Python floats as one of arrays, computed in double precision."""
    slow = np.vectorize(function, otypes=[np.float64])
    return lambda *xs: slow(*[x.astype(np.float64) for x in xs]).astype(xs[0].dtype)


def in_bytes(function: Function) -> Function:
    """`function` on integers of less than 8 bits computed in 8 and wrapped."""
    def wrapped(*arrays: Any, **attrs: Any) -> Any:
        dtype = arrays[0].dtype
        if dt.bits(dtype) >= 8 or not dt.is_integer(dtype):
            return function(*arrays, **attrs)
        byte = np.uint8 if dt.is_unsigned(dtype) else np.int8
        return np.asarray(function(*[a.astype(byte) for a in arrays], **attrs)).astype(dtype)
    return wrapped


def in_order(x: Any) -> Any:
    """x in a dtype that NumPy orders: float32, which has all values of narrower formats."""
    return x.astype(np.float32) if x.dtype.kind == "V" or dt.is_float8(x.dtype) else x


# -- arithmetic ----------------------------------------------------------------------------------


def divide(x: Any, y: Any) -> Any:
    """Truncated division for integers; by zero gives all ones, as in XLA."""
    if x.dtype.kind not in "iu":
        return complexes.divide(x, y)
    safe = np.where(y == 0, 1, y)
    quotient = x // safe
    if x.dtype.kind == "i":
        quotient = quotient + ((quotient < 0) & (quotient * safe != x))
    return np.where(y == 0, np.array(-1).astype(x.dtype), quotient).astype(x.dtype)


def remainder(x: Any, y: Any) -> Any:
    """The remainder with the sign of x; of an integer by zero it is x, as in XLA."""
    if x.dtype.kind not in "iu":
        return np.fmod(x, y)
    return np.where(y == 0, x, np.fmod(x, np.where(y == 0, 1, y))).astype(x.dtype)


def power(x: Any, y: Any) -> Any:
    """x to the y; integers wrap, and a negative power truncates to what 1 / x ** n is."""
    if x.dtype.kind != "i":
        return complexes.power(x, y)
    ones = np.where(x == 1, 1, np.where(x == -1, np.where(y % 2 == 0, 1, -1), 0))
    return np.where(y < 0, ones, np.power(x, np.maximum(y, 0))).astype(x.dtype)


def round_away(x: Any) -> Any:
    """The nearest whole number, ties away from zero."""
    whole = np.trunc(x)
    away = whole + np.copysign(np.ones((), x.dtype), x)
    return np.copysign(np.where(np.abs(x - whole) >= 0.5, away, whole), x).astype(x.dtype)


# -- bits ------------------------------------------------------------------------------------------


def _unsigned(x: Any) -> Any:
    """The bits of integers as unsigned ones that fill whole bytes."""
    wide = x.astype(f"u{x.dtype.itemsize}")
    width = dt.bits(x.dtype)
    return wide if width >= 8 else wide & np.uint8(2 ** width - 1)


def _signed(x: Any) -> Any:
    """The bits of integers as signed ones that fill whole bytes."""
    width = dt.bits(x.dtype)
    wide = x.astype(f"i{x.dtype.itemsize}")
    return wide if width >= 8 else (wide << (8 - width)) >> (8 - width)


def _shift(function: Function, beyond: Function, view: Function) -> Function:
    """A shift by the width or more gives what shifting one bit at a time would."""
    def shift(x: Any, n: Any) -> Any:
        count = _unsigned(n)
        inside = count < dt.bits(x.dtype)
        bits = view(x)
        steps: Any = np.where(inside, count, 0)
        moved = function(bits, steps.astype(bits.dtype))
        found: Any = np.where(inside, moved, beyond(bits))
        return found.astype(x.dtype)
    return shift


shift_left = _shift(np.left_shift, np.zeros_like, _unsigned)
shift_right_logical = _shift(np.right_shift, np.zeros_like, _unsigned)
shift_right_arithmetic = _shift(np.right_shift, lambda x: np.where(x < 0, -1, 0).astype(x.dtype),
                                _signed)


def popcount(x: Any) -> Any:
    """How many bits are set."""
    return np.bitwise_count(_unsigned(x)).astype(x.dtype)


def leading_zeros(x: Any) -> Any:
    """How many bits above the highest set one."""
    bits = _unsigned(x)
    count = np.zeros(x.shape, np.int64)
    for shift in range(dt.bits(x.dtype)):
        count += (bits >> np.array(shift, bits.dtype)) == 0
    return count.astype(x.dtype)


def multiply_high(x: Any, y: Any) -> Any:
    """The upper half of the bits of x * y, which has twice as many."""
    width = dt.bits(x.dtype)
    if width < 64:
        wide = np.int64 if dt.is_signed(x.dtype) else np.uint64
        product: Any = x.astype(wide) * y.astype(wide)
        return (product >> wide(width)).astype(x.dtype)
    if dt.is_signed(x.dtype):  # of negative numbers, taken for unsigned ones, less the other
        high = multiply_high(x.view(np.uint64), y.view(np.uint64)).view(np.int64)
        return high - np.where(x < 0, y, 0) - np.where(y < 0, x, 0)
    half, mask = np.uint64(32), np.uint64(2**32 - 1)
    (x1, x0), (y1, y0) = ((v >> half, v & mask) for v in (x, y))
    middle = x1 * y0 + (x0 * y0 >> half)
    rest = x0 * y1 + (middle & mask)
    return x1 * y1 + (middle >> half) + (rest >> half)


# Formats in which the bits of -0 are the only nan, which thus is negative.
ONE_ZERO = {dt.float8_e4m3b11fnuz, dt.float8_e4m3fnuz, dt.float8_e5m2fnuz}


def total_order(x: Any) -> Any:
    """Integers in the order of floats: -nan < -inf < ... < -0 < 0 < ... < inf < nan."""
    width = dt.bits(x.dtype)
    bits = np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}").reshape(x.shape)
    if width < 8:
        bits = bits << np.uint8(8 - width)
    if x.dtype == dt.float8_e8m0fnu:  # has no sign
        return bits
    signed = bits.view(f"i{x.dtype.itemsize}")
    order = np.where(signed < 0, signed ^ np.iinfo(signed.dtype).max, signed)
    if x.dtype in ONE_ZERO:
        return np.where(np.isnan(x), np.iinfo(signed.dtype).min, order)
    return order


def bit_width(dtype: np.dtype[Any]) -> int:
    """How many bits of an element mean something; a truth value has one."""
    return 1 if dt.is_bool(dtype) else dt.bits(dtype)


def bitcast(x: Any, dtype: np.dtype[Any]) -> Any:
    """The bits of x, those of its last axis together, as elements of dtype along a last axis.

    The last axis of x holds the parts of one wider element, or is of size 1.
    """
    if min(bit_width(x.dtype), bit_width(dtype)) >= 8:
        return np.ascontiguousarray(x).view(dtype)
    width, new = bit_width(x.dtype), bit_width(dtype)
    content = np.ascontiguousarray(x)[..., None].view(np.uint8)
    bits = np.unpackbits(content, axis=-1, bitorder="little")[..., :width]
    bits = bits.reshape(*x.shape[:-1], x.shape[-1] * width // new, new)
    packed = np.packbits(bits, axis=-1, bitorder="little")
    if dt.is_bool(dtype) or new < 8 and dt.is_integer(dtype):
        return packed[..., 0].astype(dtype)
    return packed.view(dtype)[..., 0]


# -- conversion ------------------------------------------------------------------------------------


def convert(x: Any, *, dtype: np.dtype[Any]) -> Any:
    """Floats become integers by truncation, limited to the range; nan becomes 0."""
    if dt.is_integer(dtype) and dt.kind(x.dtype) in "fc":
        limits = dt.iinfo(dtype)
        low, high = int(limits.min), int(limits.max)
        wide = np.nan_to_num(np.trunc(np.real(x).astype(np.float64)), nan=0.0,
                             posinf=math.inf, neginf=-math.inf)
        inside = (wide >= float(low)) & (wide < float(high) + 1)
        edge = np.where(wide > 0, np.array(high, dtype), np.array(low, dtype))
        return np.where(inside, np.where(inside, wide, 0).astype(dtype), edge)
    if dt.kind(x.dtype) == "c" and dt.kind(dtype) not in "c":
        x = x.real
    if dt.is_float8(x.dtype) or dt.bits(x.dtype) < 8:  # NumPy does not know all pairs of these
        x = x.astype(np.float32 if dt.is_float(x.dtype) else np.int8)
    if dt.is_bool(dtype):
        return x != np.zeros((), x.dtype)
    return x.astype(dtype)


def reduce_precision(x: Any, *, exponent_bits: int, mantissa_bits: int) -> Any:
    """Round the mantissa to even on the bits; overflow to inf, flush what is below normal.

    As in XLA, an exponent at least as wide as x's own leaves x's subnormals alone.
    """
    wide = x.astype(np.float64)
    own_bits = dt.finfo(x.dtype).nexp
    least = math.frexp(float(dt.finfo(x.dtype).smallest_normal))[1]
    exponent = np.maximum(np.frexp(wide)[1], least)  # subnormals share one
    place = exponent - mantissa_bits - 1
    rounded = np.ldexp(np.rint(np.ldexp(wide, -place)), place)
    if exponent_bits >= own_bits:
        return np.where(np.isfinite(wide), rounded, wide).astype(x.dtype)
    largest = 2.0 ** (2 ** (exponent_bits - 1)) * (1 - 2.0 ** (-mantissa_bits - 1))
    smallest = 2.0 ** (2 - 2 ** (exponent_bits - 1))
    rounded = np.where(np.abs(rounded) > largest, np.copysign(np.inf, wide), rounded)
    rounded = np.where(np.abs(rounded) < smallest, np.copysign(0.0, wide), rounded)
    return np.where(np.isfinite(wide), rounded, wide).astype(x.dtype)
