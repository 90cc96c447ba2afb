"""Products of one row, at the speed of memory: `vector_rows` and `vector_dots`.

A product of one column is the transposed product of one row, so these two serve both. Where the
rows of B are contiguous, eight of them at a time are scaled and added to a block of sums that stays
in the first cache; where its columns are, eight dot products run side by side. A column of B meets
its sum in the same order of k in either, however the columns are divided over threads.
"""

from __future__ import annotations

from dataclasses import replace

from arraylib.backends.cpu.emitter import Function, Module, Reg, vector
from arraylib.backends.cpu.gemm.descriptor import VECTOR_BLOCK, Word
from arraylib.backends.cpu.gemm.driver import PART, load_word
from arraylib.backends.cpu.gemm.tile import Tile, load_result, multiply_add, store_result, widen

_SIDE_BY_SIDE = 8


def define_rows(module: Module, tile: Tile, name: str) -> None:
    """`vector_rows` over a part; `a` is the row, `b` the matrix."""
    single = replace(tile, pairs=False)
    _define_copy_row(module, single)
    _define_rows(module, single, name)


def define_dots(module: Module, tile: Tile, name: str) -> None:
    """`vector_dots`, likewise."""
    single = replace(tile, pairs=False)
    _define_copy_row(module, single)
    _define_dots(module, single, name)


def _define_copy_row(module: Module, tile: Tile) -> None:
    """`copy_row`: the row widened and contiguous, with a vector of zeros after it."""
    f = Function(module, "copy_row", [
        ("ptr noalias", "row"), ("i64", "stride"), ("i64", "count"), ("ptr noalias", "copy")])
    row, stride, count, copy = f.args

    def one(index: Reg, _: list[Reg]) -> None:
        x = f.load(f.gep(row, index * stride, tile.stored), tile.stored)
        f.store(widen(f, tile, x), f.gep(copy, index, tile.compute))

    f.loop(0, count, 1, [], one)
    zeros = f.const(vector(tile.compute, tile.lanes), 0)
    f.store(zeros, f.gep(copy, count, tile.compute))
    f.ret()


def _start(module: Module, name: str) -> tuple[Function, dict[Word, Reg]]:
    """A function over a part, its words, and the row copied to the start of its scratch."""
    f = Function(module, name, PART, internal=False)
    descriptor, a, *_, scratch = f.args
    words = {word: load_word(f, descriptor, word) for word in (
        Word.K, Word.A_COL, Word.B_ROW, Word.B_COL, Word.C_COL, Word.ACCUMULATE,
        Word.SUMS_OFFSET)}
    f.call("copy_row", "void", [a, words[Word.A_COL], words[Word.K], scratch])
    return f, words


def _define_rows(module: Module, tile: Tile, name: str) -> None:
    f, words = _start(module, name)
    _, _, b, c, _, _, columns, scratch = f.args
    sums = f.gep(scratch, words[Word.SUMS_OFFSET], "i8")
    type = vector(tile.compute, tile.lanes)
    depth = words[Word.K]

    def block(start: Reg, _: list[Reg]) -> None:
        count = f.minimum(columns - start, f.const("i64", VECTOR_BLOCK))
        zero = f.const(type, 0)
        f.loop(0, count, tile.lanes, [],
               lambda j, _: f.store(zero, f.gep(sums, j, tile.compute)))

        def add(first: Reg, rows: int) -> None:
            _add_rows(f, tile, words, (scratch, b, sums), first, rows, start, count)

        whole = depth & -_SIDE_BY_SIDE
        f.loop(0, whole, _SIDE_BY_SIDE, [], lambda first, _: add(first, _SIDE_BY_SIDE))
        f.loop(whole, depth, 1, [], lambda first, _: add(first, 1))
        _store_block(f, tile, words, sums, c, start, count)

    f.loop(0, columns, VECTOR_BLOCK, [], block)
    f.ret()


def _add_rows(f: Function, tile: Tile, words: dict[Word, Reg], places: tuple[Reg, Reg, Reg],
              first: Reg, rows: int, start: Reg, count: Reg) -> None:
    """Add `rows` scaled rows of B, from row `first` on, to the sums of a block of columns."""
    copy, b, sums = places
    type = vector(tile.compute, tile.lanes)
    factors = [f.splat(f.load(f.gep(copy, first + i, tile.compute), tile.compute), tile.lanes)
               for i in range(rows)]
    lines = [f.gep(b, (first + i) * words[Word.B_ROW] + start, tile.stored) for i in range(rows)]

    def add(column: Reg, mask: Reg | None) -> None:
        place = f.gep(sums, column, tile.compute)
        total = f.load(place, type)
        for factor, line in zip(factors, lines, strict=True):
            right = _load(f, tile, f.gep(line, column, tile.stored), mask)
            total = multiply_add(f, tile, factor, right, total)
        f.store(total, place)

    whole = count & -tile.lanes
    f.loop(0, whole, tile.lanes, [], lambda column, _: add(column, None))
    f.branch(whole < count, lambda: add(whole, f.first_lanes(count - whole, tile.lanes)))


def _load(f: Function, tile: Tile, place: Reg, mask: Reg | None) -> Reg:
    type = vector(tile.stored, tile.lanes)
    return widen(f, tile, f.load(place, type) if mask is None
                 else f.masked_load(place, type, mask))


def _store_block(f: Function, tile: Tile, words: dict[Word, Reg], sums: Reg, c: Reg, start: Reg,
                 count: Reg) -> None:
    """Move a block of sums to C, whose columns may lie apart."""
    type = vector(tile.compute, tile.lanes)

    def together() -> None:
        def some(column: Reg, _: list[Reg]) -> None:
            mask = f.first_lanes(count - column, tile.lanes)
            place = f.gep(c, start + column, tile.kept)
            _put(f, tile, words, f.load(f.gep(sums, column, tile.compute), type), place, mask)

        f.loop(0, count, tile.lanes, [], some)

    def apart() -> None:
        def one(column: Reg, _: list[Reg]) -> None:
            place = f.gep(c, (start + column) * words[Word.C_COL], tile.kept)
            _put(f, tile, words, f.load(f.gep(sums, column, tile.compute), tile.compute), place)

        f.loop(0, count, 1, [], one)

    f.branch(f.compare("eq", words[Word.C_COL], 1), together, apart)


def _put(f: Function, tile: Tile, words: dict[Word, Reg], total: Reg, place: Reg,
         mask: Reg | None = None) -> None:
    """C = total, C += total or C -= total by `accumulate`; a single sum or a vector of them."""
    lanes = 1 if mask is None else tile.lanes
    keep = f.splat(f.compare("ne", words[Word.ACCUMULATE], 0), lanes)
    takes = f.splat(words[Word.ACCUMULATE] < 0, lanes)
    old = load_result(f, tile, place, lanes, mask)
    total = f.select(takes, -total, total)
    store_result(f, tile, f.select(keep, old + total, total), place, mask)


def _define_dots(module: Module, tile: Tile, name: str) -> None:
    f, words = _start(module, name)
    _, _, b, c, _, _, columns, scratch = f.args

    def dots(first: Reg, number: int) -> None:
        lines = [f.gep(b, (first + i) * words[Word.B_COL], tile.stored) for i in range(number)]
        for i, total in enumerate(_dot_products(f, tile, words[Word.K], scratch, lines)):
            place = f.gep(c, (first + i) * words[Word.C_COL], tile.kept)
            _put(f, tile, words, f.horizontal("add", total), place)

    whole = columns & -_SIDE_BY_SIDE
    f.loop(0, whole, _SIDE_BY_SIDE, [], lambda first, _: dots(first, _SIDE_BY_SIDE))
    f.loop(whole, columns, 1, [], lambda first, _: dots(first, 1))
    f.ret()


def _dot_products(f: Function, tile: Tile, depth: Reg, copy: Reg, lines: list[Reg]) -> list[Reg]:
    """Vectors whose lanes add up to the products of the copied row with each line."""
    type = vector(tile.compute, tile.lanes)

    def advance(index: Reg, totals: list[Reg], mask: Reg | None = None) -> list[Reg]:
        left = f.load(f.gep(copy, index, tile.compute), type)
        return [multiply_add(f, tile, left, _load(
            f, tile, f.gep(line, index, tile.stored), mask), total)
            for line, total in zip(lines, totals, strict=True)]

    whole = depth & -tile.lanes
    totals = f.loop(0, whole, tile.lanes, [f.const(type, 0)] * len(lines), advance)
    # Runs once where something is left; what lies behind the row's copy is zero.
    return f.loop(whole, depth, tile.lanes, totals, lambda index, totals: advance(
        index, totals, f.first_lanes(depth - index, tile.lanes)))
