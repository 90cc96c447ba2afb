"""Keys and the random bits they stand for.

A key is a uint32 array [2] (or [..., 2]: many keys). It never changes and no state hides anywhere:
the same key gives the same numbers; `split` makes new, independent keys. The bits come from
threefry2x32 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), which encrypts
the place of each element with the key: 20 rounds of add, rotate and exclusive or, which compile
into one loop with whatever uses the bits. Keys and bits are those of JAX.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.config import config
from arraylib.errors import (
    ArgumentError,
    DtypeError,
    IntegerOverflowError,
    ShapeError,
    mistake,
    what_is,
)
from arraylib.hlo.ir import type_of
from arraylib.numpy.placing import lays_out
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    Shape,
    as_shape,
    converted,
    literal,
    own_type,
    shape_of,
)
from arraylib.random.reuse import consume, forget
from arraylib.tracing.jit import jit

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_WORD = 0xFFFFFFFF
_LEAVE = ("fold_in", "wrap_key_data")  # what does not use a key up


def key(seed: ArrayLike, *, impl: str | None = None) -> Array:
    """The key of an integer seed: uint32[2], its upper and lower 32 bits.

        key = random.key(0)
        key, subkey = random.split(key)
        x = random.normal(subkey, (3, 4))

    >>> random.PRNGKey(42)
    Array([ 0, 42], dtype=uint32)
    """
    if impl not in (None, "threefry2x32"):
        raise mistake(ArgumentError, "key", f"impl = {impl!r}", hint="'threefry2x32'")
    if isinstance(seed, int):
        if not -1 << 63 <= seed < 1 << 63:
            raise mistake(IntegerOverflowError, "key", f"the seed {seed} has more than 64 bits",
                          hint="random.key(seed % 2 ** 63)")
        wide = seed & (_WORD << 32 | _WORD) if not -1 << 31 <= seed < 1 << 31 else seed & _WORD
        words = np.array([wide >> 32, wide & _WORD], np.uint32)
        if config.debug_key_reuse:
            forget(words)
        return literal(words)
    if isinstance(seed, (str, bytes, list, tuple)) or seed is None:
        raise mistake(DtypeError, "key", f"the seed is {what_is(seed)}, not an integer",
                      hint="random.key(0); hash a string yourself, as by zlib.crc32")
    seed = jnp.asarray(seed)
    if seed.shape or not dt.is_integer(seed.dtype):
        raise mistake(DtypeError, "key", "a seed is one integer", operands=[seed.type],
                      hint="random.key(0); vmap(random.key)(seeds) makes many")
    lower = seed.astype(jnp.uint32)
    upper = (seed >> 32).astype(jnp.uint32) if dt.bits(seed.dtype) == 64 else lower * 0
    return jnp.stack([upper, lower])


PRNGKey = key


def key_data(keys: Array) -> Array:
    """The words of keys, which here are the keys themselves.

    >>> random.key_data(random.key(42))
    Array([ 0, 42], dtype=uint32)
    """
    return keys


def wrap_key_data(key_bits_array: ArrayLike, *, impl: str | None = None) -> Array:
    """Keys from their words: uint32[..., 2].

    >>> random.wrap_key_data(jnp.array([0, 42], "uint32"))
    Array([ 0, 42], dtype=uint32)
    """
    return checked_key("wrap_key_data", key_bits_array, many=True)


def key_impl(keys: Array) -> str:
    """The name of the generator.

    >>> random.key_impl(random.key(0))
    'threefry2x32'
    """
    return "threefry2x32"


def clone(key: Array) -> Array:
    """The same key, used again on purpose.

    >>> random.clone(random.key(42))
    Array([ 0, 42], dtype=uint32)
    """
    if config.debug_key_reuse:
        forget(key)
    return key


def checked_key(op: str, key: ArrayLike, many: bool = False) -> Array:
    """A key; errors for anything else."""
    given = own_type(key) or (type_of(key) if isinstance(key, np.ndarray) else None)
    if given is None:
        raise mistake(DtypeError, op, f"the key is {what_is(key)}, not u32[2]",
                      hint="the first argument is a key: key = random.key(seed)")
    if given.dtype != dt.uint32 or given.shape[-1:] != (2,):
        raise mistake(DtypeError, op, f"the key is {given}, not u32[2]",
                      hint="key = random.key(seed)")
    if given.rank > 1 and not many:
        raise mistake(ShapeError, op, f"{math.prod(given.shape[:-1])} keys where one is needed",
                      operands=[given], hint="take one of them, keys[0], or use vmap over keys")
    if config.debug_key_reuse and op not in _LEAVE:
        consume(op, key)
    return key if own_type(key) is not None else jnp.asarray(key, dtype=dt.uint32)


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


@partial(jit, static_argnums=(1, 2))
def _bits(key: Array, shape: tuple[int, ...], dtype: dt.Dtype) -> Array:
    x0, x1 = _words(key, math.prod(shape))
    if dtype == dt.uint64:
        found = x0.astype(dtype) << 32 | x1.astype(dtype)
    else:
        found = (x0 ^ x1).astype(dtype)
    return found.reshape(shape)


def random_bits(key: Array, width: int, shape: tuple[int, ...]) -> Array:
    """Unsigned integers of `width` bits, all equally likely."""
    return _bits(key, shape, np.dtype(f"uint{width}"))


@lays_out
def bits(key: ArrayLike, shape: Shape = (), dtype: Any = None, *,
         out_sharding: Any = None) -> Array:
    """Unsigned integers, all equally likely; uint32 unless a dtype is given.

    >>> random.bits(random.key(0), (2,))
    Array([4070199207, 4202968722], dtype=uint32)
    """
    wanted = dt.uint32 if dtype is None else dt.dtype(dtype, op="bits")
    if not dt.is_unsigned(wanted):
        raise mistake(DtypeError, "bits", f"{dt.name(wanted)} is not unsigned", hint="uint32")
    return random_bits(checked_key("bits", key), dt.bits(wanted), as_shape("bits", shape))


# -- new keys --------------------------------------------------------------------------------------


@partial(jit, static_argnums=1)
def _split(key: Array, shape: tuple[int, ...]) -> Array:
    words = _words(key, math.prod(shape))
    return jnp.stack([w.reshape(shape) for w in words], axis=-1)


def split(key: ArrayLike, num: Shape = 2) -> Array:
    """New keys that have nothing to do with each other or with `key`: uint32[num, 2].

        key, subkey = random.split(key)
        keys = random.split(key, 10)         # one for each of ten: vmap(f)(keys)

    >>> key, subkey = random.split(random.key(0))
    >>> random.split(random.key(0), 3).shape
    (3, 2)
    """
    return _split(checked_key("split", key), as_shape("split", num))


@jit
def _fold_in(key: Array, data: Array) -> Array:
    zero = jnp.zeros((), dt.uint32)
    return jnp.stack(threefry2x32((key[0], key[1]), (zero, data)))


def fold_in(key: ArrayLike, data: ArrayLike) -> Array:
    """A new key from a key and an integer, such as the number of a step or a device.

    >>> random.fold_in(random.key(0), 7)
    Array([2716826189,  292468403], dtype=uint32)
    """
    if isinstance(data, int):
        word: Any = np.uint32(data & _WORD)
        return _fold_in(checked_key("fold_in", key), word)
    if not dt.is_integer(type_of(data).dtype) or shape_of(data):
        raise mistake(DtypeError, "fold_in", "the data is one integer", operands=[type_of(data)],
                      hint="fold_in(key, step), with vmap for many")
    return _fold_in(checked_key("fold_in", key), converted("fold_in", data, dt.uint32))
