"""Keys and the random bits they stand for.

A key is a uint32 array [2] (or [..., 2]: many keys). It never changes and no state hides anywhere:
the same key gives the same numbers; `split` makes new, independent keys. The bits come from
threefry2x32. A key of the kinds "rbg" and "unsafe_rbg" has four words. Keys and bits are those of
JAX.
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
from arraylib.random.generators import GENERATORS, Generator, generator_of
from arraylib.random.reuse import consume, forget
from arraylib.tracing.jit import jit

_WORD = 0xFFFFFFFF
_SIZES = {(kind.size,) for kind in GENERATORS.values()}
_LEAVE = ("fold_in", "wrap_key_data", "key_impl")  # what does not use a key up


def key(seed: ArrayLike, *, impl: str | None = None) -> Array:
    """The key of an integer seed: uint32[2], its upper and lower 32 bits; twice for `impl="rbg"`.

    Without `impl` the kind is `config.prng_impl`. Keys of the kind "unsafe_rbg", whose words look
    like those of "rbg", are there while it is the setting.

        key = random.key(0)
        key, subkey = random.split(key)
        x = random.normal(subkey, (3, 4))

    >>> random.PRNGKey(42)
    Array([ 0, 42], dtype=uint32)
    """
    repeats = _known("key", impl or config.prng_impl).size // 2
    if isinstance(seed, int):
        if not -1 << 63 <= seed < 1 << 63:
            raise mistake(IntegerOverflowError, "key", f"the seed {seed} has more than 64 bits",
                          hint="random.key(seed % 2 ** 63)")
        wide = seed & (_WORD << 32 | _WORD) if not -1 << 31 <= seed < 1 << 31 else seed & _WORD
        words = np.array([wide >> 32, wide & _WORD] * repeats, np.uint32)
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
    return jnp.stack([upper, lower] * repeats)


def _known(op: str, impl: Any) -> Generator:
    """The generator of a name, which is the one that its keys will have."""
    name = impl if isinstance(impl, str) else getattr(impl, "name", impl)
    if name not in GENERATORS:
        raise mistake(ArgumentError, op, f"impl = {impl!r}",
                      hint=" or ".join(map(repr, GENERATORS)))
    if name == "unsafe_rbg" != config.prng_impl:
        raise mistake(ArgumentError, op, "the words of a key do not tell 'unsafe_rbg' from 'rbg'",
                      hint="config.prng_impl = 'unsafe_rbg' makes it the kind of all such keys")
    return GENERATORS[name]


PRNGKey = key


def key_data(keys: Array) -> Array:
    """The words of keys, which here are the keys themselves.

    >>> random.key_data(random.key(42))
    Array([ 0, 42], dtype=uint32)
    """
    return keys


def wrap_key_data(key_bits_array: ArrayLike, *, impl: str | None = None) -> Array:
    """Keys from their words: uint32[..., 2], or uint32[..., 4] of the kind "rbg".

    >>> random.wrap_key_data(jnp.array([0, 42], "uint32"))
    Array([ 0, 42], dtype=uint32)
    """
    keys = checked_key("wrap_key_data", key_bits_array, many=True)
    if impl is not None and _known("wrap_key_data", impl).size != keys.shape[-1]:
        raise mistake(ShapeError, "wrap_key_data", f"impl = {impl!r} and {keys.shape[-1]} words",
                      operands=[keys.type], hint=f"impl={generator_of(keys).name!r}")
    return keys


def key_impl(keys: Array) -> str:
    """The name of the generator of keys: "threefry2x32", "rbg" or "unsafe_rbg".

    >>> random.key_impl(random.key(0))
    'threefry2x32'
    """
    return generator_of(checked_key("key_impl", keys, many=True)).name


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
    if given.dtype != dt.uint32 or given.shape[-1:] not in _SIZES:
        raise mistake(DtypeError, op, f"the key is {given}, not u32[2]",
                      hint="key = random.key(seed)")
    if given.rank > 1 and not many:
        raise mistake(ShapeError, op, f"{math.prod(given.shape[:-1])} keys where one is needed",
                      operands=[given], hint="take one of them, keys[0], or use vmap over keys")
    if config.debug_key_reuse and op not in _LEAVE:
        consume(op, key)
    return key if own_type(key) is not None else jnp.asarray(key, dtype=dt.uint32)


# -- bits -----------------------------------------------------------------------------------------


@partial(jit, static_argnums=(1, 2))
def _bits(key: Array, shape: tuple[int, ...], dtype: dt.Dtype) -> Array:
    return generator_of(key).bits(key, shape, dtype)


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
    return generator_of(key).split(key, shape)


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
    return generator_of(key).fold_in(key, data)


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
