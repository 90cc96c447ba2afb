"""Numbers as unsigned integers of the same order: what radix sorts and networks compare.

Integers have their sign bit turned; floats that are negative have all bits turned. Narrow ones are
at the upper end of a word, so that the digits below are all zero. In the order of a sort all nans
are equal and last, and -0 equals 0; in the *total* order every float has a place of its own.
"""

from __future__ import annotations

from arraylib import dtypes as dt
from arraylib.backends.cpu.emitter import Function, Reg, bits, lanes, like, vector
from arraylib.backends.cpu.routines import vectors
from arraylib.dtypes import Dtype

WORD = 32


def words(dtype: Dtype) -> int:
    """How many words of 32 bits a key has."""
    return max(1, dtype.itemsize * 8 // WORD)


def stored(dtype: Dtype) -> str:
    """The integer type as which an element is loaded."""
    return f"i{8 * dtype.itemsize}"


def whole(raw: Reg, dtype: Dtype) -> Reg:
    """Loaded elements at the upper end of integers of 32 or 64 bits."""
    function, width = raw.function, bits(raw.type)
    if width >= WORD:
        return raw
    return function.cast("zext", raw, like(raw.type, "i32")) << (WORD - width)


def total_key(raw: Reg, dtype: Dtype) -> Reg:
    """The keys of elements, each of another bit pattern."""
    x = whole(raw, dtype)
    width = bits(x.type)
    sign = 1 << width - 1
    if dt.is_float(dtype):
        return x ^ (x.ashr(width - 1) | sign)
    return x ^ sign if dt.is_signed(dtype) else x


def raw_of(key: Reg) -> Reg:
    """The float of 32 or 64 bits with this total key."""
    width = bits(key.type)
    return key ^ ((~key).ashr(width - 1) | 1 << width - 1)


def element_of(key: Reg, dtype: Dtype) -> Reg:
    """The elements of these keys of 32 bits: of a sort, or total ones."""
    raw = raw_of(key) if dt.is_float(dtype) else key ^ 1 << WORD - 1 if dt.is_signed(dtype) else key
    width = 8 * dtype.itemsize
    return raw.function.cast("trunc", raw.lshr(WORD - width) if width < WORD else raw,
                             like(raw.type, f"i{width}"))


def is_of_several(key: Reg) -> Reg:
    """Whether keys of 32 bits, in the order of a sort, are those of zeros or of nans."""
    f = key.function
    return f.compare("eq", key, -1) | f.compare("eq", key, 1 << WORD - 1)


def is_ambiguous(raw: Reg, dtype: Dtype) -> Reg:
    """Whether elements are floats that have equals of other bits: nan and -0."""
    function, x = raw.function, whole(raw, dtype)
    width = bits(x.type)
    size = x & (1 << width - 1) - 1
    return (function.compare("ugt", size, infinity(dtype))
            | function.compare("eq", x, 1 << width - 1))


def sort_key(raw: Reg, dtype: Dtype) -> Reg:
    """The keys of elements in the order of a sort."""
    if not dt.is_float(dtype):
        return total_key(raw, dtype)
    function, x = raw.function, whole(raw, dtype)
    width = bits(x.type)
    size = x & (1 << width - 1) - 1
    plain = function.select(function.compare("eq", size, 0), 0, x)
    key = plain ^ (plain.ashr(width - 1) | 1 << width - 1)
    return function.select(function.compare("ugt", size, infinity(dtype)), -1, key)


def infinity(dtype: Dtype) -> int:
    """The bits of infinity at the upper end of a word."""
    limits, width = dt.finfo(dtype), 8 * dtype.itemsize
    return ((1 << width - 1) - (1 << limits.nmant)) << max(0, WORD - width)


def word(key: Reg, number: int) -> Reg:
    """One of the words of keys, the lowest first, as integers of 64 bits."""
    function = key.function
    wide = function.cast("zext", key, like(key.type, "i64"))
    return wide.lshr(WORD) if number else wide & (1 << WORD) - 1


def with_places(key: Reg, first: Reg) -> Reg:
    """Words above the places first, first + 1, ...: integers all different."""
    function = key.function
    count = lanes(key.type)
    places = function.splat(first, count) + function.iota(vector("i64", count))
    return key << WORD | places


def place_in(pair: Reg) -> Reg:
    """The place that a pair holds."""
    return pair & (1 << WORD) - 1


def load(f: Function, base: Reg, index: Reg, dtype: Dtype, count: int,
         mask: Reg | None = None) -> Reg:
    """Elements as integers."""
    place = f.gep(base, index, stored(dtype))
    return vectors.load(f, place, vector(stored(dtype), count), mask)
