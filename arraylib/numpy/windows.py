"""Windows: weights of M points that fall off to both sides; the functions they are made of."""

from __future__ import annotations

import math
from typing import Any

from arraylib import dtypes as dt
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.elementwise_extra import bessel_i0e
from arraylib.numpy.creation import counting, ones
from arraylib.numpy.elementwise import abs, add, cos, divide, exp, like, multiply, sqrt, subtract
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    broadcast,
    convert,
    converted,
    promote_inexact,
    shape_of,
)


def _cosines(M: int, *coefficients: float) -> Array:
    """A sum of cosines over M points, whose coefficients alternate in sign."""
    dtype = dt.default_float()
    if M <= 1:
        return ones((M,), dtype)
    place = counting((M,), 0, dtype)
    total: Any = multiply(place, 0.0)
    for k, c in enumerate(coefficients):
        total = add(total, multiply(cos(multiply(place, 2 * math.pi * k / (M - 1))), c * (-1) ** k))
    return total


def hanning(M: int) -> Array:
    """The Hann window of M points: half a period of a cosine, raised.

    >>> jnp.hanning(5)
    Array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    return _cosines(M, 0.5, 0.5)


def hamming(M: int) -> Array:
    """The Hamming window of M points.

    >>> jnp.hamming(3).round(4)
    Array([0.08, 1.  , 0.08], dtype=float32)
    """
    return _cosines(M, 0.54, 0.46)


def blackman(M: int) -> Array:
    """The Blackman window of M points.

    >>> jnp.blackman(3).round(4)
    Array([-0.,  1., -0.], dtype=float32)
    """
    return _cosines(M, 0.42, 0.5, 0.08)


def bartlett(M: int) -> Array:
    """The triangular window of M points, 0 at both ends.

    >>> jnp.bartlett(5)
    Array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    if M <= 1:
        return ones((M,), dt.default_float())
    half = (M - 1) / 2
    return subtract(1.0, abs(divide(subtract(_places(M), half), half)))


def _places(M: int) -> Array:
    return convert(counting((M,), 0, dt.int32), dt.default_float())


@one_program()
def i0(x: ArrayLike, /) -> Array:
    """The modified Bessel function of order 0, element by element; inf where it overflows.

    >>> i0(jnp.array([0.0, 1.0]))
    Array([1.      , 1.266066], dtype=float32)
    """
    (x,) = promote_inexact("i0", x)
    size = ew.abs(x)
    infinite = ew.compare(size, like(x, math.inf), direction="EQ")
    return ew.select(infinite, size, ew.multiply(ew.exponential(size), bessel_i0e(x)))


def kaiser(M: int, beta: ArrayLike) -> Array:
    """The Kaiser window of M points: the higher `beta`, the faster it falls off.

    I_0(beta sqrt(1 - z^2)) / I_0(beta) for z from -1 to 1, both with exp(-x) taken out so that no
    beta overflows. Kaiser and Schafer (1980).

    >>> kaiser(3, 2.0)
    Array([0.43867627, 1.        , 0.43867627], dtype=float32)
    """
    if M <= 1:
        return ones((M,), dt.default_float())
    beta = converted("kaiser", beta, dt.default_float())
    half = (M - 1) / 2
    z = divide(subtract(_places(M), half), half)
    whole = broadcast("kaiser", ew.abs(beta), shape_of(z))
    part = multiply(whole, sqrt(subtract(1.0, multiply(z, z))))
    ratio = ew.divide(bessel_i0e(part), bessel_i0e(whole))
    return convert(ew.multiply(ratio, exp(ew.subtract(part, whole))), type_of(z).dtype)


@one_program()
def sinc(x: ArrayLike, /) -> Array:
    """sin(pi x) / (pi x), 1 at 0 with its derivatives up to the ninth.

    >>> jnp.sinc(jnp.array([0.0, 0.5])).round(4)
    Array([1.    , 0.6366], dtype=float32)
    """
    (x,) = promote_inexact("sinc", x)
    at_zero = ew.compare(x, like(x, 0), direction="EQ")
    scaled = ew.multiply(like(x, math.pi), ew.select(at_zero, like(x, 1), x))
    squared = ew.multiply(x, x)
    near = like(x, 1)
    for k in (8, 6, 4, 2):  # Maclaurin's series, in Horner's way
        near = ew.subtract(like(x, 1), ew.multiply(ew.multiply(squared, near), like(
            x, math.pi ** 2 / (k * (k + 1)))))
    return ew.select(at_zero, near, ew.divide(ew.sine(scaled), scaled))
