"""The k largest elements of each row, in order, and their places.

Candidates are collected that come before all but k - 1 of those seen so far; whoever comes before
is told by one comparison of a vector with the k-th. When there is no more room the candidates are
sorted, and all but k forgotten. Where many are asked for, or rows are short, all of a row is
sorted. Elements are pairs (key that descends, place), of which no two are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.backends.cpu import pool, representation
from arraylib.backends.cpu.emitter import Function, Module, Reg, vector
from arraylib.backends.cpu.routines import keys
from arraylib.backends.cpu.routines.call import Call, symbol
from arraylib.backends.cpu.routines.network import LANES, define_network
from arraylib.backends.cpu.routines.radix import COUNTS_BYTES, define_radix
from arraylib.backends.cpu.routines.sort_pairs import pair_places
from arraylib.backends.cpu.routines.sort_row import PAIR_BYTES as PAIR
from arraylib.backends.cpu.routines.vectors import (
    append,
    called,
    counted,
    define_entry,
    each_vector,
    store,
    taken,
)
from arraylib.dtypes import Dtype
from arraylib.hlo.ir import Type

MOST = 2048         # asked for more than these, all of a row is sorted
FEWEST_CANDIDATES = 512
FEW = 1 << 10       # elements that a network sorts sooner than a pass for each digit does
NETWORK = "few_pairs"
SERIAL = 1 << 12    # elements below which one thread does all rows
CHUNKS_PER_THREAD = 4
WIDE = 16           # lanes that are compared with the k-th at once

# -- what to call ----------------------------------------------------------------------------------


def call(attrs: dict[str, Any], operands: Sequence[Type], results: Sequence[Type]) -> Call | None:
    """The call for numbers of up to 32 bits."""
    (x,), k = operands, attrs["k"]
    if not representation.is_ordered(x.dtype) or x.dtype.itemsize > 4 or not x.size or not k \
            or x.shape[-1] >= 1 << 31:
        return None
    n, rows = x.shape[-1], x.size // x.shape[-1]
    wanted = CHUNKS_PER_THREAD * pool.threads() if x.size > SERIAL else 1
    per_chunk = -(-rows // min(rows, wanted))
    chunks = -(-rows // per_chunk)
    selects = n > FEW and k <= MOST
    if selects:
        capacity = max(FEWEST_CANDIDATES, 8 << (k - 1).bit_length())
    else:
        capacity = max(LANES, 1 << (n - 1).bit_length())
    room = _room(capacity)
    return Call(symbol("top_k", dt.name(x.dtype)),
                (rows, n, per_chunk, k, chunks, room, capacity, int(selects)), room * chunks,
                2.0 * x.size if selects else 20.0 * x.size)


def _room(capacity: int) -> int:
    """Bytes of a chunk's scratch: pairs, as much again, and the counts of a radix sort."""
    return 2 * (capacity * PAIR + 64 * WIDE) + COUNTS_BYTES


# -- the code --------------------------------------------------------------------------------------


def define(module: Module, symbol: str, name: str) -> None:
    """The routine and its parts."""
    dtype = dt.dtype(name)
    define_network(module, NETWORK, "i64")
    define_radix(module, "radix_pairs", "i64", range(32, 64, 8))
    _define_keep(module)
    _define_select(module, dtype)
    _define_sort(module, dtype)
    _define_write(module, dtype)
    _define_rows(module, dtype)
    define_entry(module, symbol)


def _descending(raw: Reg, dtype: Dtype) -> Reg:
    return ~keys.total_key(raw, dtype)


def _define_keep(module: Module) -> None:
    """`keep(a, count, k) -> i32`: the candidates sorted; the key of the k-th, if there is one.

    The pairs at a are filled up to a power of two with what comes last.
    """
    f = Function(module, "keep", [("ptr", "a"), ("i64", "count"), ("i64", "k")], result="i32")
    a, count, k = f.args
    zeros = f.intrinsic("llvm.ctlz", (count - 1) | (LANES - 1), f.const("i1", 0),
                        overloads=["i64"])
    size = f.const("i64", 1) << (64 - zeros)
    f.loop(count, size, 1, [], lambda i, _: f.store(f.const("i64", -1), f.gep(a, i, "i64")))
    f.call(NETWORK, "void", [a, size])
    last = f.load(f.gep(a, k - 1, "i64"), "i64")
    key = f.cast("trunc", last.lshr(keys.WORD), "i32")
    f.ret(f.select(count >= k, key, -1))


def _define_select(module: Module, dtype: Dtype) -> None:
    """`select(x, n, k, capacity, a)`: the first pairs at a are the k first of x, in order."""
    f = Function(module, "select", [("ptr", "x"), ("i64", "n"), ("i64", "k"), ("i64", "capacity"),
                                    ("ptr", "a")])
    x, n, k, capacity, a = f.args
    limit, number = f.alloca("i32"), f.alloca("i64")
    f.store(f.const("i32", -1), limit)
    f.store(f.const("i64", 0), number)
    every = f.const(f"<{WIDE} x i1>", 1)

    def look(i: Reg, mask: Reg) -> None:
        key = _descending(keys.load(f, x, i, dtype, WIDE, mask), dtype)
        # The first candidates come in whatever they are: that of the last key there is, too.
        early = f.splat(f.load(number, "i64") < k, WIDE)
        before = f.compare("ult", key, f.splat(f.load(limit, "i32"), WIDE))
        chosen = mask & (before | early)
        f.branch(f.any(chosen), lambda: enter(i, key, chosen))

    def enter(i: Reg, key: Reg, chosen: Reg) -> None:
        count = f.load(number, "i64")
        pairs = _pairs(f, key, i)
        append(f, pairs, f.gep(a, count, "i64"), chosen)
        f.store(count + counted(f, chosen), number)
        f.branch(f.load(number, "i64") > capacity - WIDE, tidy)

    def tidy() -> None:
        f.store(called(f, "keep", "i32", [a, f.load(number, "i64"), k]), limit)
        f.store(k, number)

    whole = n & -WIDE
    f.loop(0, whole, WIDE, [], lambda i, _: look(i, every))
    rest = n - whole
    f.branch(f.compare("ne", rest, 0), lambda: look(whole, f.first_lanes(rest, WIDE)))
    f.call("keep", "i32", [a, f.load(number, "i64"), k])
    f.ret()


def _pairs(f: Function, key: Reg, first: Reg) -> Reg:
    return keys.with_places(f.cast("zext", key, f"<{WIDE} x i64>"), first)



def _define_sort(module: Module, dtype: Dtype) -> None:
    """`sort(x, n, a, b, counts) -> a or b`: all pairs of x in order."""
    f = Function(module, "sort", [("ptr", "x"), ("i64", "n"), ("ptr", "a"), ("ptr", "b"),
                                  ("ptr", "counts")], result="ptr")
    x, n, a, b, counts = f.args

    def pairs(i: Reg, mask: Reg | None) -> None:
        key = _descending(keys.load(f, x, i, dtype, LANES, mask), dtype)
        wide = f.cast("zext", key, vector("i64", LANES))
        store(f, keys.with_places(wide, i), f.gep(a, i, "i64"), mask)

    def by_network() -> None:
        f.call("keep", "i32", [a, n, f.const("i64", 1)])
        f.ret(a)

    each_vector(f, n, pairs)
    f.branch(n <= FEW, by_network)
    f.ret(called(f, "radix_pairs", "ptr", [a, b, n, counts]))


def _define_write(module: Module, dtype: Dtype) -> None:
    """`write(x, pairs, k, values, places)`: the elements that the first pairs name."""
    f = Function(module, "write", [("ptr", "x"), ("ptr", "pairs"), ("i64", "k"),
                                   ("ptr", "values"), ("ptr", "places")])
    x, pairs, k, values, out = f.args
    element = keys.stored(dtype)

    def write(i: Reg, mask: Reg | None) -> None:
        places = pair_places(f, pairs, i, mask)
        store(f, taken(f, x, places, element, mask), f.gep(values, i, element), mask)
        store(f, f.cast("trunc", places, vector("i32", LANES)), f.gep(out, i, "i32"), mask)

    each_vector(f, k, write)
    f.ret()


def _define_rows(module: Module, dtype: Dtype) -> None:
    """`rows(args, chunk)`: the rows of a chunk, in its own scratch memory."""
    f = Function(module, "rows", [("ptr", "args"), ("i64", "chunk")])
    pointers, numbers, scratch = (f.load(f.gep(f.args[0], i, "ptr"), "ptr") for i in range(3))
    x, values, places = (f.load(f.gep(pointers, i, "ptr"), "ptr") for i in range(3))
    rows, n, per_chunk, k, _, room, capacity, selects = (
        f.load(f.gep(numbers, i, "i64"), "i64") for i in range(8))
    a = f.gep(scratch, f.args[1] * room, "i8")
    b = f.gep(a, (room - COUNTS_BYTES).lshr(1), "i8")
    counts = f.gep(a, room - COUNTS_BYTES, "i8")
    result = f.alloca("ptr")

    def select(own: Reg) -> None:
        f.call("select", "void", [own, n, k, capacity, a])
        f.store(a, result)

    def row(number: Reg, _: list[Reg]) -> None:
        own = f.gep(x, number * n, keys.stored(dtype))
        f.branch(f.compare("ne", selects, 0), lambda: select(own), lambda: f.store(
            called(f, "sort", "ptr", [own, n, a, b, counts]), result))
        f.call("write", "void", [own, f.load(result, "ptr"), k,
                                 f.gep(values, number * k, keys.stored(dtype)),
                                 f.gep(places, number * k, "i32")])

    start = f.args[1] * per_chunk
    f.loop(start, f.minimum(start + per_chunk, rows), 1, [], row)
    f.ret()
