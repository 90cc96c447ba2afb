"""The generators behind keys: how a key of each kind is split, folded and turned into bits.

threefry2x32 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) encrypts the place
of each element with the key: 20 rounds of add, rotate and exclusive or, which compile into one loop
with whatever uses the bits. `rbg` splits by threefry on both halves of its key, and draws with
XLA's RngBitGenerator, which is Philox of the same paper; `unsafe_rbg` splits by drawing, too. Keys
and bits are those of JAX.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.config import config
from arraylib.hlo.ir import type_of
from arraylib.lax.transforms import rng_bit_generator
from arraylib.numpy.promotion import Array
from arraylib.record import record
from arraylib.tracing.jit import jit

Ints = tuple[int, ...]

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_ROUNDS = 10  # rows of bits drawn for each row that unsafe_rbg keeps


@record
class Generator:
    """A kind of key: its name, how many words it has, and functions of one key of the kind."""

    name: str
    size: int
    bits: Callable[[Array, Ints, dt.Dtype], Array]
    split: Callable[[Array, Ints], Array]
    fold_in: Callable[[Array, Array], Array]


def generator_of(key: Array) -> Generator:
    """The generator of a key: its number of words says which, and the setting of two equal ones."""
    if type_of(key).shape[-1] == GENERATORS["threefry2x32"].size:
        return GENERATORS["threefry2x32"]
    return GENERATORS["unsafe_rbg" if config.prng_impl == "unsafe_rbg" else "rbg"]


# -- threefry --------------------------------------------------------------------------------------


def _rotated(x: Array, by: int) -> Array:
    return (x << by) | (x >> (32 - by))


def threefry2x32(key: tuple[Array, Array], counters: tuple[Array, Array]) -> tuple[Array, Array]:
    """Two words for each pair of counters: uint32 arrays of one shape."""
    (k0, k1), (x0, x1) = key, counters
    words = (k0, k1, k0 ^ k1 ^ _PARITY)
    x0, x1 = x0 + words[0], x1 + words[1]
    for i in range(5):
        for rotation in _ROTATIONS[i % 2]:
            x0 = x0 + x1
            x1 = _rotated(x1, rotation) ^ x0
        x0 = x0 + words[(i + 1) % 3]
        x1 = x1 + (words[(i + 2) % 3] + (i + 1))
    return x0, x1


@partial(jit, static_argnums=1)
def _words(key: Array, size: int) -> tuple[Array, Array]:
    """Two words for each of the places 0 to size - 1."""
    if size <= 1 << 32:
        low = jnp.arange(size, dtype=dt.uint32)
        high = jnp.zeros_like(low)
    else:
        places = jnp.arange(size, dtype=dt.uint64)
        low, high = places.astype(dt.uint32), (places >> 32).astype(dt.uint32)
    return threefry2x32((key[0], key[1]), (high, low))


def _threefry_bits(key: Array, shape: Ints, dtype: dt.Dtype) -> Array:
    x0, x1 = _words(key, math.prod(shape))
    if dtype == dt.uint64:
        found = x0.astype(dtype) << 32 | x1.astype(dtype)
    else:
        found = (x0 ^ x1).astype(dtype)
    return found.reshape(shape)


def _threefry_split(key: Array, shape: Ints) -> Array:
    words = _words(key, math.prod(shape))
    return jnp.stack([w.reshape(shape) for w in words], axis=-1)


def _threefry_fold_in(key: Array, data: Array) -> Array:
    zero = jnp.zeros((), dt.uint32)
    return jnp.stack(threefry2x32((key[0], key[1]), (zero, data)))


# -- bits of XLA -----------------------------------------------------------------------------------


def _rbg_bits(key: Array, shape: Ints, dtype: dt.Dtype) -> Array:
    return rng_bit_generator(key, shape, dtype)[1]


def _rbg_split(key: Array, shape: Ints) -> Array:
    return jnp.concatenate([_threefry_split(half, shape) for half in (key[:2], key[2:])], axis=-1)


def _rbg_fold_in(key: Array, data: Array) -> Array:
    return jnp.concatenate([_threefry_fold_in(half, data) for half in (key[:2], key[2:])])


def _unsafe_split(key: Array, shape: Ints) -> Array:
    drawn = _rbg_bits(key, (_ROUNDS * math.prod(shape), 4), dt.uint32)
    return drawn[::_ROUNDS].reshape((*shape, 4))


def _unsafe_fold_in(key: Array, data: Array) -> Array:
    zero = jnp.zeros((), dt.uint32)
    return key ^ _rbg_bits(jnp.stack([zero, data, zero, data]), (_ROUNDS, 4), dt.uint32)[-1]


GENERATORS = {kind.name: kind for kind in (
    Generator("threefry2x32", 2, _threefry_bits, _threefry_split, _threefry_fold_in),
    Generator("rbg", 4, _rbg_bits, _rbg_split, _rbg_fold_in),
    Generator("unsafe_rbg", 4, _rbg_bits, _unsafe_split, _unsafe_fold_in))}
