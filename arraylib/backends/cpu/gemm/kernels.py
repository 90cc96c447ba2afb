"""Micro-kernels: a tile of C from a panel of A and a panel of B, one for each number of rows.

`kernel(a, b, b_step, c, c_step, steps, add, ahead)` stores sums, not yet converted, to C; where
`add` is 1 it adds them, where it is -1 it takes them away. Meanwhile it asks for AHEAD_BYTES a step
from `ahead` on, which some later tile reads.
There are two kinds: `packed` kernels take B as words; `in_place` kernels take B as it lies
in memory, with unit column stride, and widen it on the way; where nothing needs widening the two
are the same. Rows of the packed panel of A are `a_width` words apart.

Each sum goes along k in order, in one register, so a result does not depend on its tile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from arraylib.backends.cpu.emitter import Function, Module, Reg, lanes, vector
from arraylib.backends.cpu.gemm.tile import Tile, load_result, multiply_add, store_result, widen

_UNROLL = 2
AHEAD_BYTES = 32   # a cache line for each turn of the loop

PACKED, IN_PLACE = "packed", "in_place"
TABLE_WORDS = 2 * 16   # of a table of kernels: two for each number of rows


def call_kernel(f: Function, tile: Tile, table: Reg, rows: Reg, columns: Reg,
                args: Sequence[Reg]) -> None:
    """Call the kernel of a table for numbers of rows and columns known at run time only.

    `table_of` says where in it a kernel's address is.
    """
    narrow = f.cast("zext", columns <= tile.lanes, "i64")
    f.call(f.load(f.gep(table, rows * 2 + narrow, "ptr"), "ptr"), "void", args)


def define_kernel(module: Module, tile: Tile, name: str, rows: int, vectors: int, *,
                  in_place: bool, internal: bool = True) -> None:
    """A kernel for exactly `rows` by `vectors` vectors."""
    a_width, tile = tile.a_width, replace(tile, rows=rows, vectors=vectors)
    f = Function(module, name, [
        ("ptr noalias", "a"), ("ptr noalias", "b"), ("i64", "b_step"),
        ("ptr noalias", "c"), ("i64", "c_step"), ("i64", "steps"), ("i64", "add"),
        ("ptr", "ahead")], internal=internal)
    a, b, b_step, c, c_step, steps, add, ahead = f.args

    def advance(index: Reg, sums: list[Reg]) -> list[Reg]:
        columns = _load_b(f, tile, b, index * b_step, in_place)
        row = f.gep(a, index * a_width, tile.word)
        for i in range(tile.rows):
            word = f.load(f.gep(row, i, tile.word), tile.compute if in_place else tile.word)
            left = f.splat(word, tile.lanes)
            for j, right in enumerate(columns):
                at = i * tile.vectors + j
                sums[at] = multiply_add(f, tile, left, right, sums[at])
        return sums

    def several(index: Reg, sums: list[Reg]) -> list[Reg]:
        f.prefetch(f.gep(ahead, index * AHEAD_BYTES, "i8"), locality=2)
        for turn in range(_UNROLL):
            sums = advance(index + turn if turn else index, sums)
        return sums

    for i in range(tile.rows):
        row = f.gep(c, c_step * i, tile.compute)
        for j in range(tile.vectors):
            f.prefetch(f.gep(row, j * tile.lanes, tile.compute), write=True)
    zero = f.const(vector(tile.compute, tile.lanes), 0)
    whole = steps & -_UNROLL
    sums = f.loop(0, whole, _UNROLL, [zero] * (tile.rows * tile.vectors), several)
    sums = f.loop(whole, steps, 1, sums, advance)
    store_sums(f, tile, sums, c, c_step, add)
    f.ret()


def _load_b(f: Function, tile: Tile, b: Reg, offset: Reg, in_place: bool) -> list[Reg]:
    """One step of B as vectors of words."""
    type = tile.stored if in_place else tile.word
    row = f.gep(b, offset, type)
    vectors = [f.load(f.gep(row, j * tile.lanes, type), vector(type, tile.lanes))
               for j in range(tile.vectors)]
    return [widen(f, tile, x) for x in vectors] if in_place else vectors


def store_sums(f: Function, tile: Tile, sums: list[Reg], c: Reg, c_step: Reg, add: Reg) -> None:
    places = [f.gep(f.gep(c, c_step * (i // tile.vectors), tile.compute),
                    i % tile.vectors * tile.lanes, tile.compute) for i in range(len(sums))]

    adds = f.compare("ne", add, 0)

    def by_lanes() -> None:
        keep, takes = (f.splat(x, lanes(sums[0].type)) for x in (adds, add < 0))
        for total, place in zip(sums, places, strict=True):
            old = f.masked_load(place, total.type, keep)
            total = f.select(takes, -total, total)
            f.store(f.select(keep, old + total, total), place)

    def adding() -> None:
        for total, place in zip(sums, places, strict=True):
            f.store(f.load(place, total.type) + total, place)

    def taking() -> None:
        for total, place in zip(sums, places, strict=True):
            f.store(f.load(place, total.type) - total, place)

    def storing() -> None:
        for total, place in zip(sums, places, strict=True):
            f.store(total, place)

    if f.module.features & {"avx2", "avx512f"}:   # half the code, and as fast
        by_lanes()
    else:
        f.branch(adds, lambda: f.branch(add > 0, adding, taking), storing)


def define_finish(module: Module, tile: Tile, name: str, *, apart: bool, fresh: bool,
                  internal: bool = True) -> None:
    """`name(sums, partial, partial_step, c, c_row, c_col, rows, columns, add, add_partial)`:
    C = sums of a tile (+ the sums of earlier blocks of k) (+ C, or taken from C where `add` is
    negative), for the tile's part inside C. Columns of C are neighbours unless they lie `apart`;
    where C is `fresh`, nothing is ever added."""
    f = Function(module, name, [
        ("ptr", "sums"), ("ptr", "partial"), ("i64", "partial_step"), ("ptr", "c"),
        ("i64", "c_row"), ("i64", "c_col"), ("i64", "rows"), ("i64", "columns"), ("i64", "add"),
        ("i64", "add_partial")], internal=internal)
    total = _fresh if fresh else _added
    f.loop(0, f.args[6], 1, [], lambda row, _: _finish_row(f, tile, row, total, apart=apart))
    f.ret()


def _finish_row(f: Function, tile: Tile, row: Reg, total: _Total, *, apart: bool) -> None:
    sums, _, _, c, c_row, c_col, _, columns, _, _ = f.args
    type = vector(tile.compute, tile.lanes)
    for column in range(0, tile.columns, tile.lanes):
        mask = f.first_lanes(f.maximum(columns - column, 0), tile.lanes)
        new = f.load(f.gep(sums, row * tile.columns + column, tile.compute), type)
        place = f.gep(c, row * c_row + c_col * column, tile.kept)
        if apart:
            steps = f.iota(vector("i64", tile.lanes))
            place = f.gep(place, steps * f.splat(c_col, tile.lanes), tile.kept)
        store_result(f, tile, total(f, tile, new, row, column, place, mask), place, mask)


_Total: TypeAlias = Callable[[Function, Tile, Reg, Reg, int, Reg, Reg], Reg]


def _fresh(f: Function, tile: Tile, new: Reg, row: Reg, column: int, place: Reg,
           mask: Reg) -> Reg:
    return new


def _added(f: Function, tile: Tile, new: Reg, row: Reg, column: int, place: Reg,
           mask: Reg) -> Reg:
    """Sums with what waits for them, and with what is in C, as far as the arguments ask for it."""
    _, partial, partial_step, _, _, _, _, _, add, add_partial = f.args
    keep_partial = f.splat(f.compare("ne", add_partial, 0), tile.lanes)
    keep_c = f.splat(f.compare("ne", add, 0), tile.lanes)
    takes = f.splat(add < 0, tile.lanes)
    waiting = f.gep(partial, row * partial_step + column, tile.compute)
    before = f.masked_load(waiting, new.type, mask & keep_partial)
    total = f.select(keep_partial, before + new, new)
    old = load_result(f, tile, place, tile.lanes, mask & keep_c)
    return f.select(keep_c, old + f.select(takes, -total, total), total)
