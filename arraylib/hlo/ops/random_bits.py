"""Random bits from a counter: ThreeFry-2x32 and Philox-4x32, bit for bit as XLA gives them.

Both are the generators of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011). They
are written once, in operations of the graph on states with any leading axes: that is the meaning in
NumPy (by interpreting the graph), what native code is made of, and the batching rule.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, Source, mistake
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Graph, Type, trace_graph, type_of
from arraylib.hlo.opdef import Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import full, iota
from arraylib.hlo.ops.shape import concatenate, slice_
from arraylib.hlo.ops.structured import broadcast_in_dim, reshape

Ints = tuple[int, ...]
Words = tuple[Any, ...]  # arrays of uint32

_ALGORITHMS = {"DEFAULT": (2, 3), "THREE_FRY": (2,), "PHILOX": (2, 3)}  # and the sizes of states


def _results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, Type]:
    op, (state,), algorithm = "rng_bit_generator", types, attrs["rng_algorithm"]
    if algorithm not in _ALGORITHMS:
        raise mistake(ShapeError, op, f"rng_algorithm is {algorithm!r}", where=where,
                      hint=" or ".join(_ALGORITHMS))
    if state.dtype != dt.uint64:
        raise mistake(DtypeError, op, f"the state is {dt.name(state.dtype)}, not uint64",
                      where=where, operands=types)
    sizes = _ALGORITHMS[algorithm]
    if state.rank != 1 or state.size not in sizes:  # (C2)
        raise mistake(ShapeError, op, f"a state of shape {state.shape} for {algorithm}",
                      where=where, operands=types,
                      hint=f"one axis of {' or '.join(map(str, sizes))}")
    if _unsigned(attrs["dtype"]) is None:
        raise mistake(DtypeError, op, f"{dt.name(attrs['dtype'])} has no random bits", where=where,
                      hint="an integer dtype, then convert")
    return state, Type(attrs["dtype"], attrs["shape"])


def _unsigned(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """The integers that have the bits of an integer or real dtype."""
    known = dt.is_integer(dtype) or dt.is_float(dtype)
    return dt.from_hlo_name(f"ui{dt.bits(dtype)}") if known else None


# -- words -----------------------------------------------------------------------------------------


def _word(x: Any, value: int) -> Any:
    return full(type_of(x).shape, value, type_of(x).dtype)


def _low(x: Any) -> Any:
    return ew.convert(x, dtype=dt.uint32)


def _high(x: Any) -> Any:
    return _low(ew.shift_right_logical(x, _word(x, 32)))


def _joined(low: Any, high: Any) -> Any:
    """The 64-bit word of two halves."""
    low, high = (ew.convert(x, dtype=dt.uint64) for x in (low, high))
    return ew.or_(low, ew.shift_left(high, _word(high, 32)))


def _part(state: Any, i: int) -> Any:
    """Word i of each state."""
    shape = type_of(state).shape
    rank = len(shape)
    word = slice_(state, start=(*(0,) * (rank - 1), i), limit=(*shape[:-1], i + 1),
                  strides=(1,) * rank)
    return reshape(word, shape=shape[:-1])


def _along(x: Any, n: int) -> Any:
    """x repeated n times along a new last axis."""
    shape = type_of(x).shape
    return broadcast_in_dim(x, shape=(*shape, n), broadcast_dimensions=tuple(range(len(shape))))


def _count(like: Any) -> Any:
    """0, 1, 2, ... along the last axis."""
    shape = type_of(like).shape
    return iota(shape=shape, dimension=len(shape) - 1, dtype=dt.uint64)


def _stacked(parts: Sequence[Any], axis: int) -> Any:
    """Arrays side by side along a new axis."""
    shape = type_of(parts[0]).shape
    whole = (*shape[:axis], 1, *shape[axis:])
    return concatenate(*[reshape(p, shape=whole) for p in parts], dimension=axis)


# -- ThreeFry --------------------------------------------------------------------------------------

_ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)
_PARITY = 0x1BD11BDA


def _rotated(x: Any, by: int) -> Any:
    return ew.or_(ew.shift_left(x, _word(x, by)), ew.shift_right_logical(x, _word(x, 32 - by)))


def _threefry(key: Words, counter: Words) -> Words:
    """Twenty rounds of adding, rotating and xor, with a word of the key added every fourth."""
    words = (*key, ew.xor(ew.xor(*key), _word(key[0], _PARITY)))
    x, y = (ew.add(c, k) for c, k in zip(counter, key))
    for i in range(5):
        for by in _ROTATIONS[i % 2]:
            x = ew.add(x, y)
            y = ew.xor(_rotated(y, by), x)
        x = ew.add(x, words[(i + 1) % 3])
        y = ew.add(ew.add(y, words[(i + 2) % 3]), _word(y, i + 1))
    return x, y


def _threefry_words(state: Any, n: int) -> tuple[Any, Words]:
    """The state after n counts, and the two words of each."""
    key, first = _part(state, 0), _part(state, 1)
    spread = _along(first, n)
    counter = ew.add(spread, _count(spread))
    keys = tuple(_along(half(key), n) for half in (_low, _high))
    after = _stacked([key, ew.add(first, _word(first, n))], type_of(key).rank)
    return after, _threefry(keys, (_low(counter), _high(counter)))


def _split_axis(shape: Ints) -> int:
    """Along which axis XLA deals out the two words: the first even one, else the longest."""
    even = [d for d, n in enumerate(shape) if n % 2 == 0]
    return even[0] if even else max(range(len(shape)), key=lambda d: (shape[d], -d))


def _threefry_bits(state: Any, shape: Ints, wide: bool) -> tuple[Any, Any]:
    if wide:
        after, words = _threefry_words(state, math.prod(shape))
        return after, reshape(_joined(*words), shape=(*_leading(state), *shape))
    full_shape = shape or (1,)
    axis, leading = _split_axis(full_shape), _leading(state)
    half = list(full_shape)
    half[axis] = -(-half[axis] // 2)
    after, words = _threefry_words(state, math.prod(half))
    dealt = _stacked([reshape(w, shape=(*leading, *half)) for w in words], len(leading) + axis + 1)
    half[axis] *= 2
    return after, _cut(reshape(dealt, shape=(*leading, *half)), (*leading, *full_shape), shape)


def _leading(state: Any) -> Ints:
    return type_of(state).shape[:-1]


def _cut(x: Any, limit: Ints, shape: Ints) -> Any:
    """The first elements along each axis, in `shape` behind the leading axes."""
    if type_of(x).shape != limit:
        x = slice_(x, start=(0,) * len(limit), limit=limit, strides=(1,) * len(limit))
    return x if shape else reshape(x, shape=limit[:-1])


# -- Philox ----------------------------------------------------------------------------------------

_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_KEY_STEPS = 0x9E3779B9, 0xBB67AE85


def _product(x: Any, factor: int) -> Words:
    """The low and high word of x * factor."""
    wide = ew.convert(x, dtype=dt.uint64)
    wide = ew.multiply(wide, _word(wide, factor))
    return _low(wide), _high(wide)


def _philox(key: Words, counter: Words) -> Words:
    """Ten rounds of multiplying and xor, with a key that grows by constants."""
    a, b, c, d = counter
    for i in range(10):
        if i:
            key = tuple(ew.add(k, _word(k, step)) for k, step in zip(key, _KEY_STEPS))
        low_a, high_a = _product(a, _MULTIPLIERS[0])
        low_c, high_c = _product(c, _MULTIPLIERS[1])
        a, b = ew.xor(ew.xor(high_c, b), key[0]), low_c
        c, d = ew.xor(ew.xor(high_a, d), key[1]), low_a
    return a, b, c, d


def _counted(low: Any, high: Any, by: Any) -> tuple[Any, Any]:
    """The 128-bit sum of (low, high) and `by`."""
    total = ew.add(low, by)
    carry = ew.convert(ew.compare(total, low, direction="LT"), dtype=dt.uint64)
    return total, ew.add(high, carry)


def _philox_words(state: Any, n: int) -> tuple[Any, Words]:
    """The state after n counts, and the four words of each.

    A state of two has a key and the low half of the counter, whose high half is the key again.
    """
    key, low = _part(state, 0), _part(state, 1)
    has_high = type_of(state).shape[-1] == 3
    high = _part(state, 2) if has_high else key
    spread = _along(low, n)
    lows, highs = _counted(spread, _along(high, n), _count(spread))
    counter = _low(lows), _high(lows), _low(highs), _high(highs)
    words = _philox(tuple(_along(half(key), n) for half in (_low, _high)), counter)
    new_low, new_high = _counted(low, high, _word(low, n))
    parts = [key, new_low, new_high] if has_high else [key, new_low]
    return _stacked(parts, type_of(key).rank), words


def _philox_bits(state: Any, shape: Ints, wide: bool) -> tuple[Any, Any]:
    """The words of one count after those of the other, in row-major order."""
    size, leading = math.prod(shape), _leading(state)
    numbers = 2 if wide else 4  # of one count
    n = -(-size // numbers)
    after, words = _philox_words(state, n)
    if wide:
        words = _joined(*words[:2]), _joined(*words[2:])
    row = reshape(_stacked(words, len(leading) + 1), shape=(*leading, n * numbers))
    row = _cut(row, (*leading, size), (size,))
    return after, reshape(row, shape=(*leading, *shape))


# -- the operation ---------------------------------------------------------------------------------

_KINDS = {"THREE_FRY": _threefry_bits, "PHILOX": _philox_bits, "DEFAULT": _philox_bits}


def _generate(state: Any, *, rng_algorithm: str, shape: Ints, dtype: np.dtype[Any]
              ) -> tuple[Any, Any]:
    """States with leading axes -> the states after, and bits with the same leading axes."""
    bits = dt.bits(dtype)
    if 0 in shape:
        return state, full((*_leading(state), *shape), 0, dtype)
    after, words = _KINDS[rng_algorithm](state, tuple(shape), bits == 64)
    return after, _as_dtype(words, dtype)


def _as_dtype(words: Any, dtype: Any) -> Any:
    """The low bits of each word, as integers or as the bits of floats."""
    if dt.is_float(dtype):
        return ew.bitcast_convert(_as_dtype(words, _unsigned(dtype)), dtype=dtype)
    return words if type_of(words).dtype == dtype else ew.convert(words, dtype=dtype)


@lru_cache(maxsize=256)
def _graph(type: Type, algorithm: str, shape: Ints, dtype: np.dtype[Any]) -> Graph:
    return trace_graph([type], lambda state: _generate(
        state, rng_algorithm=algorithm, shape=shape, dtype=dtype))


def _numpy(state: Any, *, rng_algorithm: str, shape: Ints, dtype: np.dtype[Any]) -> Any:
    return interpret(_graph(type_of(state), rng_algorithm, tuple(shape), dtype), [state])


def _example(algorithm: str, size: int, dtype: np.dtype[Any], *shape: int) -> Example:
    return Example((Type(dt.uint64, (size,)),),
                   {"rng_algorithm": algorithm, "shape": shape, "dtype": dtype})


rng_bit_generator = OpDef(
    "rng_bit_generator", "The state after, and an array of random bits: a function of the state "
    "(a key, then a counter) alone. DEFAULT is PHILOX, as in XLA on the CPU.",
    _numpy, results=_results, dtypes="u", multiple=True, jvp=(None,), expand=_generate,
    batch=lambda xs, has, size, **attrs: _generate(xs[0], **attrs), expensive=True,
    constraints=(
        "`rng_algorithm` is DEFAULT, THREE_FRY or PHILOX.",
        "The state is of uint64.",
        "It has one axis, of size 2 or, but for THREE_FRY, 3.",
        "`dtype` is one of integers or floats.",
        "The results are a state of the same type, and an array of `dtype` and `shape`."),
    examples=(_example("THREE_FRY", 2, dt.uint32, 3, 5), _example("PHILOX", 2, dt.uint64, 5),
              _example("PHILOX", 3, dt.uint8, 2, 3), _example("DEFAULT", 2, dt.uint32)))
