"""What floating-point numbers are made of: fractions and exponents, and the gaps between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.control import stop_gradient
from arraylib.hlo.ops.elementwise_extra import next_after
from arraylib.numpy.elementwise import copysign, like
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import Array, ArrayLike, check_kind, convert, promote_inexact


def _real(op: str, x: ArrayLike) -> Array:
    (x,) = promote_inexact(op, x)
    check_kind(op, type_of(x).dtype, "f", x)
    return x


def _integers(x: Array) -> Any:
    """The unsigned integers as wide as the floats of x."""
    return np.dtype(f"uint{dt.bits(type_of(x).dtype)}")


def _biased(x: Array) -> Array:
    """The field of the exponent: i32, 0 for subnormal numbers."""
    limits = dt.finfo(type_of(x).dtype)
    bits = ew.bitcast_convert(ew.abs(x), dtype=_integers(x))
    return convert(ew.shift_right_logical(bits, like(bits, int(limits.nmant))), dt.int32)


def _power_of_two(n: Array, x: Array) -> Array:
    """2 to the n in the dtype of x, where that is a normal number."""
    limits, words = dt.finfo(type_of(x).dtype), _integers(x)
    field = convert(ew.add(n, like(n, int(limits.maxexp) - 1)), words)
    bits = ew.shift_left(field, like(field, int(limits.nmant)))
    return ew.bitcast_convert(bits, dtype=type_of(x).dtype)


@one_program()
def frexp(x: ArrayLike, /) -> tuple[Array, Array]:
    """m and n, i32, of x = m 2**n with 0.5 <= |m| < 1; x itself and 0 where x is 0, inf or nan.

    The derivative of m is that for a constant n. Raises DtypeError for complex numbers.

    >>> frexp(jnp.array([8.0, -0.75, 0.0]))
    (Array([ 0.5 , -0.75,  0.  ], dtype=float32), Array([4, 0, 0], dtype=int32))
    """
    x = _real("frexp", x)
    dtype = type_of(x).dtype
    if dt.bits(dtype) < 16:
        fraction, exponent = frexp(convert(x, dt.float32))
        return convert(fraction, dtype), exponent
    limits = dt.finfo(dtype)
    up, low = int(limits.nmant) + 2, int(limits.maxexp) - 2
    subnormal = ew.compare(_biased(x), like(_biased(x), 0), direction="EQ")
    normal = ew.multiply(x, ew.select(subnormal, like(x, 2.0 ** up), like(x, 1)))
    field = _biased(normal)
    exponent = ew.subtract(field, like(field, low))
    half = ew.shift_right_arithmetic(exponent, like(field, 1))
    # in two steps: neither factor is beyond the normal numbers
    for part in (half, ew.subtract(exponent, half)):
        normal = ew.multiply(normal, stop_gradient(_power_of_two(ew.negate(part), x)))
    plain = ew.and_(ew.is_finite(x), ew.compare(x, like(x, 0), direction="NE"))
    shifted = ew.select(subnormal, ew.subtract(exponent, like(field, up)), exponent)
    return ew.select(plain, normal, x), ew.select(plain, shifted, like(field, 0))


@one_program()
def spacing(x: ArrayLike, /) -> Array:
    """What lies between x and the next number away from 0, with the sign of x; nan for inf.

    Raises DtypeError for complex numbers.

    >>> spacing(np.float32(1))
    Array(1.1920929e-07, dtype=float32)
    """
    x = stop_gradient(_real("spacing", x))
    zero = ew.compare(x, like(x, 0), direction="EQ")
    x = ew.select(zero, like(x, 0), x)  # that of -0 is above 0, too
    return ew.subtract(next_after(x, copysign(like(x, math.inf), x)), x)
