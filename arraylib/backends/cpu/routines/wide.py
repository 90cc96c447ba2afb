"""Sorting one long row by all threads, and in the caches (Samplesort, Frazer and McKellar, 1970).

Some numbers of the row, sorted, give the *splitters*, which divide all others into buckets. Blocks
of the row are divided at once, each by a tree of quicksort's divisions; then what belongs to a
bucket is brought together from all blocks, and the buckets are sorted at once. Since all is
integers of which equals are the same, the result has nothing to do with who did what.

A phase is a function of (context, number); the context is an array of words, named here.
"""

from __future__ import annotations

from enum import IntEnum, auto

from arraylib.backends.cpu.emitter import Function, Module, Reg, element_bytes
from arraylib.backends.cpu.pool_code import PARFOR
from arraylib.backends.cpu.routines.quick import SLACK, copy
from arraylib.backends.cpu.routines.vectors import called
from arraylib.record import record

BLOCK = 1 << 15        # numbers that one thread divides at once: all that it needs is near the core
_BUCKET = 1 << 13      # about so many numbers in a bucket
_MOST_BUCKETS = 256
_SAMPLES = 16          # of each bucket


class Slot(IntEnum):
    """Words of the context."""

    A = 0               # numbers, with SLACK behind each block or bucket
    B = auto()          # as much room
    PIECES = auto()     # numbers without slack: blocks that are divided
    OUT = auto()        # where the sorted numbers go
    TABLE = auto()      # where the pieces of each block begin, then their end: offsets in a block
    STARTS = auto()     # of buckets in the row
    SPLITTERS = auto()  # with room for what they are chosen from, twice
    N = auto()
    BLOCKS = auto()
    BUCKETS = auto()
    OWN = auto()        # what follows is the caller's


@record
class Division:
    """How a long row is divided, and the bytes that this takes."""

    n: int
    element: int

    @property
    def blocks(self) -> int:
        return -(-self.n // BLOCK)

    @property
    def buckets(self) -> int:
        return min(_MOST_BUCKETS, 1 << max(1, (self.n // _BUCKET).bit_length() - 1))

    @property
    def numbers_bytes(self) -> int:
        """Of all numbers with slack behind each block or bucket."""
        return _lines(self.n * self.element) + SLACK * (1 + max(self.blocks, self.buckets))

    @property
    def tables_bytes(self) -> tuple[int, int, int]:
        """Of the table of pieces, the starts of buckets, and the splitters."""
        samples = self.buckets * _SAMPLES * self.element + SLACK
        return (_lines(8 * self.blocks * (self.buckets + 1)), _lines(8 * (self.buckets + 1)),
                2 * _lines(samples))


def _lines(nbytes: int) -> int:
    return -(-nbytes // 64) * 64


def slot(f: Function, context: Reg, number: int) -> Reg:
    """A word of the context."""
    return f.load(f.gep(context, number, "i64"), "i64")


def pointer(f: Function, context: Reg, number: int) -> Reg:
    """A word of the context that is an address."""
    return f.load(f.gep(context, number, "ptr"), "ptr")


def define_wide(module: Module, element: str) -> None:
    """`wide(context)`: sort a row. The module has `quick`, and

    `enter(context, first, n, target)`: write n numbers of the row,
    `leave(context, first, n)`: these are in order at OUT.
    """
    _define_split(module, element)
    _define_blocks(module, element)
    _define_gather(module, element)
    _define_buckets(module, element)
    _define_splitters(module, element)
    _define_starts(module)
    f = Function(module, "wide", [("ptr", "context")])
    (context,) = f.args
    buckets, blocks = slot(f, context, Slot.BUCKETS), slot(f, context, Slot.BLOCKS)
    f.call("splitters", "void", [context])
    f.call(PARFOR, "void", [f.address("divide_block"), context, blocks])
    f.call("starts", "void", [context])
    f.call(PARFOR, "void", [f.address("gather_bucket"), context, buckets])
    f.call(PARFOR, "void", [f.address("sort_bucket"), context, buckets])
    f.ret()


def _define_splitters(module: Module, element: str) -> None:
    """`splitters(context)`: the first of each bucket but the first, at SPLITTERS."""
    f = Function(module, "splitters", [("ptr", "context")])
    (context,) = f.args
    n, count = slot(f, context, Slot.N), slot(f, context, Slot.BUCKETS) * _SAMPLES
    a = pointer(f, context, Slot.SPLITTERS)
    b = f.gep(f.gep(a, count, element), SLACK, "i8")

    def take(i: Reg, _: list[Reg]) -> None:
        place = (i * n).udiv(count)
        f.call("enter", "void", [context, place, f.const("i64", 1), f.gep(b, i, element)])

    f.loop(0, count, 1, [], take)
    f.call("quick", "void", [b, a, b, count])

    def keep(i: Reg, _: list[Reg]) -> None:
        f.store(f.load(f.gep(b, i * _SAMPLES, element), element), f.gep(a, i - 1, element))

    f.loop(1, slot(f, context, Slot.BUCKETS), 1, [], keep)
    f.ret()


def _define_split(module: Module, element: str) -> None:
    """`split(x, a, b, out, n, splitters, buckets, starts, before)`: the pieces of a block.

    They go to out one after the other, and where they begin to `starts`, `before` being the first.
    What is at x, which is a or b, goes as it does in quicksort.
    """
    f = Function(module, "split", [
        ("ptr", "x"), ("ptr", "a"), ("ptr", "b"), ("ptr", "out"), ("i64", "n"),
        ("ptr", "splitters"), ("i64", "buckets"), ("ptr", "starts"), ("i64", "before")])
    x, a, b, out, n, splitters, buckets, starts, before = f.args

    def piece() -> None:
        f.store(before, starts)
        copy(f, f.gep(out, before, element), x, n, element)
        f.ret()

    f.branch(f.compare("eq", buckets, 1), piece)
    half = buckets.lshr(1)
    pivot = f.load(f.gep(splitters, half - 1, element), element)
    below = called(f, "divide", "i64", [x, a, b, n, pivot])
    f.call("split", "void", [a, a, f.gep(b, n - below, element), out, below, splitters, half,
                             starts, before])
    f.call("split", "void", [b, f.gep(a, below, element), b, out, n - below,
                             f.gep(splitters, half, element), half, f.gep(starts, half, "i64"),
                             before + below])
    f.ret()


def _row_of_table(f: Function, context: Reg, block: Reg) -> Reg:
    width = slot(f, context, Slot.BUCKETS) + 1
    return f.gep(pointer(f, context, Slot.TABLE), block * width, "i64")


def _define_blocks(module: Module, element: str) -> None:
    """`divide_block(context, block)`: the numbers of a block by buckets."""
    f = Function(module, "divide_block", [("ptr", "context"), ("i64", "block")])
    context, block = f.args
    first, buckets = block * BLOCK, slot(f, context, Slot.BUCKETS)
    n = f.minimum(slot(f, context, Slot.N) - first, f.const("i64", BLOCK))
    place = block * (BLOCK * element_bytes(element) + SLACK)
    a, b = (f.gep(pointer(f, context, which), place, "i8") for which in (Slot.A, Slot.B))
    out = f.gep(pointer(f, context, Slot.PIECES), first, element)
    starts = _row_of_table(f, context, block)
    f.call("enter", "void", [context, first, n, a])
    f.call("split", "void", [a, a, b, out, n, pointer(f, context, Slot.SPLITTERS), buckets, starts,
                             f.const("i64", 0)])
    f.store(n, f.gep(starts, buckets, "i64"))
    f.ret()


def _define_starts(module: Module) -> None:
    """`starts(context)`: where buckets begin in the row."""
    f = Function(module, "starts", [("ptr", "context")])
    (context,) = f.args
    starts, buckets = pointer(f, context, Slot.STARTS), slot(f, context, Slot.BUCKETS)

    def bucket(number: Reg, carried: list[Reg]) -> list[Reg]:
        f.store(carried[0], f.gep(starts, number, "i64"))

        def add(block: Reg, total: list[Reg]) -> list[Reg]:
            row = f.gep(_row_of_table(f, context, block), number, "i64")
            return [total[0] + f.load(f.gep(row, 1, "i64"), "i64") - f.load(row, "i64")]

        return f.loop(0, slot(f, context, Slot.BLOCKS), 1, carried, add)

    (end,) = f.loop(0, buckets, 1, [f.const("i64", 0)], bucket)
    f.store(end, f.gep(starts, buckets, "i64"))
    f.ret()


def _bucket(f: Function, element: str) -> tuple[Reg, Reg, Reg]:
    """Of a phase's bucket: where it begins, how many it has, and its place at A and B."""
    context, number = f.args
    place = f.gep(pointer(f, context, Slot.STARTS), number, "i64")
    start = f.load(place, "i64")
    return (start, f.load(f.gep(place, 1, "i64"), "i64") - start,
            start * element_bytes(element) + number * SLACK)


def _define_gather(module: Module, element: str) -> None:
    """`gather_bucket(context, bucket)`: its pieces one after the other at A."""
    f = Function(module, "gather_bucket", [("ptr", "context"), ("i64", "bucket")])
    context, number = f.args
    _, _, place = _bucket(f, element)
    target = f.gep(pointer(f, context, Slot.A), place, "i8")
    pieces = pointer(f, context, Slot.PIECES)

    def piece(block: Reg, carried: list[Reg]) -> list[Reg]:
        row = f.gep(_row_of_table(f, context, block), number, "i64")
        start = f.load(row, "i64")
        count = f.load(f.gep(row, 1, "i64"), "i64") - start
        copy(f, f.gep(target, carried[0], element),
             f.gep(pieces, block * BLOCK + start, element), count, element)
        return [carried[0] + count]

    f.loop(0, slot(f, context, Slot.BLOCKS), 1, [f.const("i64", 0)], piece)
    f.ret()


def _define_buckets(module: Module, element: str) -> None:
    """`sort_bucket(context, bucket)`: from A to OUT."""
    f = Function(module, "sort_bucket", [("ptr", "context"), ("i64", "bucket")])
    context, _ = f.args
    start, count, place = _bucket(f, element)
    a, b = (f.gep(pointer(f, context, which), place, "i8") for which in (Slot.A, Slot.B))
    f.call("quick", "void", [a, b, f.gep(pointer(f, context, Slot.OUT), start, element), count])
    f.call("leave", "void", [context, start, count])
    f.ret()
