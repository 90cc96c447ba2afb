"""Sorting rows by one key or several, stably, and anything else along with them.

The rows' keys become pairs (word of a key, place), integers of 64 bits that are all different, so
that their order is the stable one however they are sorted: by quicksort in vectors. A key of 64
bits has two words; of several words the last is sorted by first, and then the order found so far
by the next. At the end every operand is taken in the order of the places.

Numbers that nothing goes along with are sorted without places, as if those that are equal and yet
differ (-0 and 0, nans) were the same; where there are some, they are put in their order afterwards.

Many rows are shared among the threads; a long one is sorted by all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.backends.cpu import pool, representation
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.routines import sort_numbers, sort_pairs
from arraylib.backends.cpu.routines.call import Call, symbol
from arraylib.backends.cpu.routines.quick import SLACK, define_quick
from arraylib.backends.cpu.routines.sort_row import Own, Sort
from arraylib.backends.cpu.routines.vectors import define_entry
from arraylib.backends.cpu.routines.wide import Division, Slot, define_wide, pointer, slot
from arraylib.hlo.ir import Type

SERIAL = 1 << 12    # elements below which one thread does all rows
CHUNKS_PER_THREAD = 4
SHARED = 1 << 16    # elements of a row that several threads sort sooner
LONG = 1 << 21  # elements of a row that is out of the caches unless it is divided
_NUMBERS = ("rows", "n", "per_chunk", "is_wide", "chunks", "room", "blocks", "buckets")
_ROOMS = (Slot.A, Slot.B, Slot.PIECES, Slot.TABLE, Slot.STARTS, Slot.SPLITTERS, Own.ORDER,
          Own.SPARE)  # that are in scratch memory, whose places follow the numbers

# -- what to call ----------------------------------------------------------------------------------


def call(attrs: dict[str, Any], operands: Sequence[Type], results: Sequence[Type]) -> Call | None:
    """The call for keys that are numbers, and operands of up to 8 bytes, along the last axis.

    The attribute `counters` names operands that are known to count 0, 1, 2, ... in each row.
    """
    first, count = operands[0], attrs["num_keys"]
    if attrs["dimension"] != first.rank - 1 or not first.size or first.shape[-1] >= 1 << 32:
        return None
    if any(not representation.is_ordered(x.dtype) for x in operands[:count]) \
            or any(x.dtype.itemsize > 8 for x in operands):
        return None
    sort = Sort(tuple(x.dtype for x in operands[:count]),
                tuple(x.dtype.itemsize for x in operands),
                tuple(i for i in attrs.get("counters", ()) if operands[i].dtype.itemsize >= 4))
    n, rows = first.shape[-1], first.size // first.shape[-1]
    is_wide = n >= LONG or n >= SHARED and rows < pool.threads()
    wanted = CHUNKS_PER_THREAD * pool.threads() if first.size > SERIAL else 1
    per_chunk = -(-rows // min(rows, 1 if is_wide else wanted))
    chunks = -(-rows // per_chunk)
    *places, room = _places(sort, n, is_wide)
    division = Division(n, sort.element_bytes)
    name = symbol("sort", "_".join(dt.name(x) for x in sort.keys), "_".join(map(str, sort.sizes)),
                  "_".join(map(str, sort.counters)))
    return Call(name, (rows, n, per_chunk, is_wide, chunks, room, division.blocks,
                       division.buckets, *places), room * chunks,
                first.size * 16.0 * len(operands))


def _places(sort: Sort, n: int, is_wide: bool) -> list[int]:
    """Where what is in scratch memory begins, and where the last ends."""
    division, order = Division(n, sort.element_bytes), 4 * n * (len(sort.words) > 1)
    room = division.numbers_bytes if is_wide else sort.element_bytes * n + SLACK
    pieces = 0 if sort.plain or not is_wide else sort.element_bytes * n
    tables = division.tables_bytes if is_wide else (0, 0, 0)
    places = [0]
    for nbytes in (room, room, pieces, *tables, order, order):
        places.append(places[-1] + -(-nbytes // 64) * 64)
    return places


# -- the code --------------------------------------------------------------------------------------


def define(module: Module, symbol: str, dtypes: str, sizes: str, counters: str) -> None:
    """The routine and its parts."""
    sort = Sort(tuple(map(dt.dtype, dtypes.split("_"))), tuple(map(int, sizes.split("_"))),
                tuple(map(int, counters.split("_"))) if counters else ())
    define_quick(module, "quick", sort.element)
    define_wide(module, sort.element)
    _define_here(module)
    (sort_numbers if sort.plain else sort_pairs).define_row(module, sort)
    _define_rows(module, sort)
    define_entry(module, symbol)


def _define_here(module: Module) -> None:
    """`sort_words(context)`: a row by one of its words, on this thread or all of them."""
    f = Function(module, "sort_words", [("ptr", "context")])
    (context,) = f.args
    zero, n = f.const("i64", 0), slot(f, context, Slot.N)

    def here() -> None:
        a, b, out = (pointer(f, context, which) for which in (Slot.A, Slot.B, Slot.OUT))
        f.call("enter", "void", [context, zero, n, a])
        f.call("quick", "void", [a, b, out, n])
        f.call("leave", "void", [context, zero, n])

    def on_all() -> None:
        f.call("wide", "void", [context])

    f.branch(f.compare("ne", slot(f, context, Own.IS_WIDE), 0), on_all, here)
    f.ret()


def _define_rows(module: Module, sort: Sort) -> None:
    """`rows(args, chunk)`: the rows of a chunk, in its own scratch memory."""
    f = Function(module, "rows", [("ptr", "args"), ("i64", "chunk")])
    pointers, numbers, scratch = (f.load(f.gep(f.args[0], i, "ptr"), "ptr") for i in range(3))
    given = {name: f.load(f.gep(numbers, i, "i64"), "i64") for i, name in enumerate(_NUMBERS)}
    base = f.gep(scratch, f.args[1] * given["room"], "i8")
    context, seen = f.alloca("i64", Own.COUNT), f.alloca("i8")

    def put(value: Reg, which: int) -> None:
        f.store(value, f.gep(context, which, "i64"))

    for i, which in enumerate(_ROOMS, len(_NUMBERS)):
        put(f.gep(base, f.load(f.gep(numbers, i, "i64"), "i64"), "i8"), which)
    put(pointers, Own.POINTERS)
    put(seen, Own.SEEN)
    for name, which in (("n", Slot.N), ("blocks", Slot.BLOCKS), ("buckets", Slot.BUCKETS),
                        ("is_wide", Own.IS_WIDE)):
        put(given[name], which)

    def row(number: Reg, _: list[Reg]) -> None:
        put(number * given["n"], Own.FIRST)
        f.call("sort_row", "void", [context])

    start = f.args[1] * given["per_chunk"]
    f.loop(start, f.minimum(start + given["per_chunk"], given["rows"]), 1, [], row)
    f.ret()
