"""Fourier transforms and random bits: operations of several kinds, each named in an enumeration."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, DtypeError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import random_bits as rb
from arraylib.hlo.ops.bits import bitcast_regroup
from arraylib.hlo.ops.linalg import fft as fft_op
from arraylib.numpy.fft import transformable
from arraylib.numpy.layout import reshape
from arraylib.numpy.promotion import Array, ArrayLike, Shape, as_shape, operand as owned, shape_of


class FftType(Enum):
    """The kinds of Fourier transforms: of complex numbers, of real ones to a half, and back.

    >>> lax.FftType.RFFT
    <FftType.RFFT: 2>
    """

    FFT = 0
    IFFT = 1
    RFFT = 2
    IRFFT = 3


def fft(x: ArrayLike, fft_type: FftType | str, fft_lengths: Sequence[int]) -> Array:
    """The Fourier transform along the last axes, as many as there are lengths.

    The lengths are those of the axes; for IRFFT of the result's.

    >>> lax.fft(jnp.array([1.0, 0.0, -1.0, 0.0]), lax.FftType.RFFT, (4,)).round(4)
    Array([0.+0.j, 2.+0.j, 0.+0.j], dtype=complex64)
    """
    kind = fft_type.name if isinstance(fft_type, FftType) else str(fft_type).upper()
    if kind not in FftType.__members__:
        raise mistake(ArgumentError, "fft", f"fft_type = {fft_type!r}",
                      hint=", ".join(FftType.__members__))
    x = transformable("fft", x, real=kind == "RFFT")
    lengths = tuple(int(n) for n in fft_lengths)
    return fft_op(x, fft_type=kind, fft_length=lengths) if lengths else x


class RandomAlgorithm(Enum):
    """The generators of random bits; the default is Philox.

    >>> lax.RandomAlgorithm.RNG_THREE_FRY
    <RandomAlgorithm.RNG_THREE_FRY: 1>
    """

    RNG_DEFAULT = 0
    RNG_THREE_FRY = 1
    RNG_PHILOX = 2


_ALGORITHMS = {RandomAlgorithm.RNG_DEFAULT: "DEFAULT", RandomAlgorithm.RNG_THREE_FRY: "THREE_FRY",
               RandomAlgorithm.RNG_PHILOX: "PHILOX"}


def rng_bit_generator(key: ArrayLike, shape: Shape, dtype: Any = None,
                      algorithm: RandomAlgorithm = RandomAlgorithm.RNG_DEFAULT
                      ) -> tuple[Array, Array]:
    """The key to go on with, and an array of random bits in unsigned integers (uint32).

    The key is u32[4] or u64[2] (or half as much again): a seed, then a counter. arraylib.random has
    keys that can be split, and distributions.

    >>> new_key, bits = lax.rng_bit_generator(jnp.zeros(4, "uint32"), (3,))
    >>> bits.shape
    (3,)
    """
    op = "rng_bit_generator"
    key, wanted = owned(op, key), dt.uint32 if dtype is None else dt.dtype(dtype, op=op)
    if not dt.is_unsigned(wanted):
        raise mistake(DtypeError, op, f"there are no bits as {dt.name(wanted)}",
                      hint="uint32 or another unsigned dtype; arraylib.random has numbers")
    if algorithm not in _ALGORITHMS:
        raise mistake(ArgumentError, op, f"algorithm = {algorithm!r}",
                      hint="one of lax.RandomAlgorithm")
    settings = {"rng_algorithm": _ALGORITHMS[algorithm], "shape": as_shape(op, shape),
                "dtype": wanted}
    if type_of(key).dtype != dt.uint32:
        return rb.rng_bit_generator(key, **settings)
    n = type_of(key).size
    if len(shape_of(key)) != 1 or n % 2:
        raise mistake(ShapeError, op, f"a key of shape {shape_of(key)} in uint32",
                      operands=[type_of(key)], hint="four numbers, two for each of uint64")
    wide = bitcast_regroup(reshape(key, (n // 2, 2)), dtype=dt.uint64)
    after, bits = rb.rng_bit_generator(wide, **settings)
    return reshape(bitcast_regroup(after, dtype=dt.uint32), (n,)), bits
