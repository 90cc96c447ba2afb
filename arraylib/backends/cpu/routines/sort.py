"""Sorting rows by one key or several, stably, and anything else along with them.

The rows' keys become pairs (word of a key, place), integers of 64 bits that are all different, so
that their order is the stable one however they are sorted: few by a network, many by digits. A key
of 64 bits has two words; of several words the last is sorted by first, and then the order found so
far by the next. At the end every operand is taken in the order of the places.

Numbers that nothing goes along with are sorted without places, by quicksort, unless there are some
that are equal and yet differ (-0 and 0, nans).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from arraylib import dtypes as dt
from arraylib.backends.cpu import pool, representation
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.routines import keys
from arraylib.backends.cpu.routines.call import Call, symbol
from arraylib.backends.cpu.routines.network import LANES, define_network
from arraylib.backends.cpu.routines.quick import define_quick
from arraylib.backends.cpu.routines.radix import COUNTS_BYTES, define_radix
from arraylib.backends.cpu.routines.vectors import (
    called,
    define_entry,
    each_vector,
    load,
    store,
    taken,
)
from arraylib.dtypes import Dtype
from arraylib.hlo.ir import Type

FEW = 1 << 10       # elements that a network sorts sooner than a pass for each digit does
NETWORK = "few_pairs"
PAIR = 8            # bytes of a word and a place
SERIAL = 1 << 12    # elements below which one thread does all rows
CHUNKS_PER_THREAD = 4
_ROOM = [("ptr", "a"), ("ptr", "b"), ("ptr", "order"), ("ptr", "spare"), ("ptr", "counts")]

# -- what to call ----------------------------------------------------------------------------------


def call(attrs: dict[str, Any], operands: Sequence[Type], results: Sequence[Type]) -> Call | None:
    """The call for keys that are numbers, and operands of up to 8 bytes, along the last axis."""
    first, count = operands[0], attrs["num_keys"]
    if attrs["dimension"] != first.rank - 1 or not first.size or first.shape[-1] >= 1 << 32:
        return None
    if any(not representation.is_ordered(x.dtype) for x in operands[:count]) \
            or any(x.dtype.itemsize > 8 for x in operands):
        return None
    n, rows = first.shape[-1], first.size // first.shape[-1]
    wanted = CHUNKS_PER_THREAD * pool.threads() if first.size > SERIAL else 1
    per_chunk = -(-rows // min(rows, wanted))
    padded = max(LANES, 1 << (n - 1).bit_length()) if n <= FEW else 0
    room = _rooms(max(n, padded))[-1]
    chunks = -(-rows // per_chunk)
    name = symbol("sort", "_".join(dt.name(x.dtype) for x in operands[:count]),
                  "_".join(str(x.dtype.itemsize) for x in operands))
    return Call(name, (rows, n, per_chunk, padded, chunks, room), room * chunks,
                first.size * 16.0 * len(operands))


def _rooms(n: int) -> list[int]:
    """Where the scratch arrays of a chunk begin, and where the last ends."""
    wide, narrow = -(-n * PAIR // 64) * 64, -(-n * 4 // 64) * 64
    return [0, wide, 2 * wide, 2 * wide + narrow, 2 * (wide + narrow),
            2 * (wide + narrow) + COUNTS_BYTES]


# -- the code --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sort:
    """One variant of the routine: the dtypes of the keys, and bytes of each operand's elements."""

    keys: tuple[Dtype, ...]
    sizes: tuple[int, ...]

    @property
    def words(self) -> list[tuple[int, int]]:
        """The words to sort by, the first first: (key, word of it)."""
        return [(k, w) for k in reversed(range(len(self.keys)))
                for w in range(keys.words(self.keys[k]))]

    @property
    def plain(self) -> bool:
        """Whether nothing goes along with one key of whole words."""
        return len(self.sizes) == 1 and self.sizes[0] >= 4


def define(module: Module, symbol: str, dtypes: str, sizes: str) -> None:
    """The routine and its parts."""
    sort = Sort(tuple(map(dt.dtype, dtypes.split("_"))), tuple(map(int, sizes.split("_"))))
    define_network(module, NETWORK, "i64")
    define_radix(module, "radix_pairs", "i64", range(32, 64, 8))
    for number, (key, word) in enumerate(sort.words):
        _define_pairs(module, sort, number, key, word)
    _define_order(module, sort)
    _define_take(module, sort)
    _define_row(module, sort)
    if sort.plain:
        define_quick(module, "quick", f"i{8 * sort.sizes[0]}")
        _define_plain(module, sort)
    _define_rows(module, sort)
    define_entry(module, symbol)






def _define_pairs(module: Module, sort: Sort, number: int, key: int, word: int) -> None:
    """`pairs<number>(x, a, order, n)`: the words of a key, in the order so far, with places."""
    f = Function(module, f"pairs{number}", [("ptr", "x"), ("ptr", "a"), ("ptr", "order"),
                                            ("i64", "n")])
    x, a, order, n = f.args
    dtype = sort.keys[key]

    def pairs(i: Reg, mask: Reg | None) -> None:
        if number == 0:
            raw = keys.load(f, x, i, dtype, LANES, mask)
        else:
            raw = taken(f, x, _places(f, order, i, mask), keys.stored(dtype), mask)
        found = keys.with_places(keys.word(keys.sort_key(raw, dtype), word), i)
        store(f, found, f.gep(a, i, "i64"), mask)

    each_vector(f, n, pairs)
    f.ret()


def _places(f: Function, order: Reg, i: Reg, mask: Reg | None) -> Reg:
    """Places of an order, as indices."""
    found = load(f, f.gep(order, i, "i32"), f"<{LANES} x i32>", mask)
    return f.cast("zext", found, f"<{LANES} x i64>")


def pair_places(f: Function, pairs: Reg, i: Reg, mask: Reg | None) -> Reg:
    """The places in sorted pairs."""
    return keys.place_in(load(f, f.gep(pairs, i, "i64"), f"<{LANES} x i64>", mask))


def _define_order(module: Module, sort: Sort) -> None:
    """`order0(pairs, before, order, n)`: the places in sorted pairs as the order so far.

    `order1` is for pairs whose places are those in an order before.
    """
    for number in range(min(2, len(sort.words))):
        f = Function(module, f"order{number}", [("ptr", "pairs"), ("ptr", "before"),
                                                ("ptr", "order"), ("i64", "n")])
        pairs, before, order, n = f.args
        each_vector(f, n, _write_order(f, number, pairs, before, order))
        f.ret()


def _write_order(f: Function, number: int, pairs: Reg, before: Reg,
                 order: Reg) -> Callable[[Reg, Reg | None], None]:
    def write(i: Reg, mask: Reg | None) -> None:
        places = pair_places(f, pairs, i, mask)
        if number:
            found = taken(f, before, places, "i32", mask)
        else:
            found = f.cast("trunc", places, f"<{LANES} x i32>")
        store(f, found, f.gep(order, i, "i32"), mask)
    return write


def _define_take(module: Module, sort: Sort) -> None:
    """`take<size>(x, out, pairs, order, n)`: elements of so many bytes in the order found."""
    for size in sorted(set(sort.sizes)):
        f = Function(module, f"take{size}", [("ptr", "x"), ("ptr", "out"), ("ptr", "pairs"),
                                             ("ptr", "order"), ("i64", "n")])
        each_vector(f, f.args[4], _take(f, f"i{8 * size}", len(sort.words) > 1))
        f.ret()


def _take(f: Function, element: str, indirect: bool) -> Callable[[Reg, Reg | None], None]:
    x, out, pairs, order, _ = f.args

    def take(i: Reg, mask: Reg | None) -> None:
        places = pair_places(f, pairs, i, mask)
        if indirect:
            places = f.cast("zext", taken(f, order, places, "i32", mask), places.type)
        store(f, taken(f, x, places, element, mask), f.gep(out, i, element), mask)
    return take


def _define_row(module: Module, sort: Sort) -> None:
    """`row(pointers, first, n, padded, rooms...)`: sort all operands of one row.

    `first` is the number of the row's first element; `padded` is 0 for radix sorts.
    """
    f = Function(module, "row", [("ptr", "pointers"), ("i64", "first"), ("i64", "n"),
                                 ("i64", "padded"), *_ROOM])
    pointers, first, n, padded, a, b, order, spare, counts = f.args
    count = len(sort.sizes)

    def operand(number: int) -> Reg:
        base = f.load(f.gep(pointers, number, "ptr"), "ptr")
        return f.gep(base, first * sort.sizes[number % count], "i8")

    result = f.alloca("ptr")
    for number, (key, _) in enumerate(sort.words):
        if number:
            f.call(f"order{min(number - 1, 1)}", "void",
                   [f.load(result, "ptr"), order, spare, n])
            order, spare = spare, order
        f.call(f"pairs{number}", "void", [operand(key), a, order, n])
        f.branch(f.compare("ne", padded, 0), lambda: _by_network(f, result),
                 lambda: f.store(called(f, "radix_pairs", "ptr", [a, b, n, counts]), result))
    for number, size in enumerate(sort.sizes):
        f.call(f"take{size}", "void", [
            operand(number), operand(count + number), f.load(result, "ptr"), order, n])
    f.ret()



def _by_network(f: Function, result: Reg) -> None:
    """Fill up with what comes last, and sort."""
    _, _, n, padded, a, *_ = f.args
    f.loop(n, padded, 1, [], lambda i, _: f.store(f.const("i64", -1), f.gep(a, i, "i64")))
    f.call(NETWORK, "void", [a, padded])
    f.store(a, result)


def _define_plain(module: Module, sort: Sort) -> None:
    """`plain(x, out, n, rooms...)`: sort numbers alone; false if some are ambiguous."""
    f = Function(module, "plain", [("ptr", "x"), ("ptr", "out"), ("i64", "n"), *_ROOM],
                 result="i1")
    x, out, n, a, b, _, _, counts = f.args
    dtype, element = sort.keys[0], keys.stored(sort.keys[0])
    seen = f.alloca("i8")
    f.store(f.const("i8", 0), seen)

    def enter(i: Reg, mask: Reg | None) -> None:
        raw = keys.load(f, x, i, dtype, LANES, mask)
        store(f, keys.total_key(raw, dtype), f.gep(a, i, element), mask)
        if dt.is_float(dtype):
            bad = f.bitcast(keys.is_ambiguous(raw, dtype), f"i{LANES}")
            f.store(f.load(seen, "i8") | bad, seen)

    def leave(i: Reg, mask: Reg | None) -> None:
        key = keys.load(f, a, i, dtype, LANES, mask)
        raw = keys.raw_of(key) if dt.is_float(dtype) else keys.total_key(key, dtype)
        store(f, raw, f.gep(out, i, element), mask)

    each_vector(f, n, enter)
    f.branch(f.compare("ne", f.load(seen, "i8"), 0), lambda: f.ret(f.const("i1", 0)))
    f.call("quick", "void", [a, b, n, counts])
    each_vector(f, n, leave)
    f.ret(f.const("i1", 1))


def _define_rows(module: Module, sort: Sort) -> None:
    """`rows(args, chunk)`: the rows of a chunk, in its own scratch memory."""
    f = Function(module, "rows", [("ptr", "args"), ("i64", "chunk")])
    pointers, numbers, scratch = (f.load(f.gep(f.args[0], i, "ptr"), "ptr") for i in range(3))
    rows, n, per_chunk, padded, _, room = (
        f.load(f.gep(numbers, i, "i64"), "i64") for i in range(6))
    base = f.gep(scratch, f.args[1] * room, "i8")
    rooms = _emit_rooms(f, base, f.intrinsic("llvm.umax", n, padded))

    def general(first: Reg) -> None:
        f.call("row", "void", [pointers, first, n, padded, *rooms])

    def plain(first: Reg) -> Reg:
        """Sorted as numbers alone, if that is possible."""
        x, out = (f.gep(f.load(f.gep(pointers, i, "ptr"), "ptr"), first * sort.sizes[0], "i8")
                  for i in range(2))
        return called(f, "plain", "i1", [x, out, n, *rooms])

    def row(number: Reg, _: list[Reg]) -> None:
        first = number * n
        if sort.plain:
            f.branch(~plain(first), lambda: general(first))
        else:
            general(first)

    start = f.args[1] * per_chunk
    f.loop(start, f.minimum(start + per_chunk, rows), 1, [], row)
    f.ret()


def _emit_rooms(f: Function, base: Reg, n: Reg) -> list[Reg]:
    """The scratch arrays of a chunk, as `_rooms` places them."""
    wide, narrow = (n * PAIR + 63) & -64, (n * 4 + 63) & -64
    places = [base]
    for size in (wide, wide, narrow, narrow):
        places.append(f.gep(places[-1], size, "i8"))
    return places
