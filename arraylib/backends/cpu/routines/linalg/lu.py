"""LU with partial pivoting: a few columns of all rows at a time, and rows that change places.

The columns are packed in panels of as many rows as a tile has columns, each with one column after
the other, so that a vector is of different rows of one column. A pass over the panels divides a
column by its pivot, takes its multiples from the columns after it, and looks for the largest number
of the next one: the first of equals, and nan before all others.
"""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Module, Reg, bits, vector
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.backends.cpu.routines.linalg.follow import (
    define_divided,
    number,
    place,
    scratch,
    share,
    step_function,
)
from arraylib.backends.cpu.routines.linalg.tape import HEAD_BYTES, Step
from arraylib.backends.cpu.routines.vectors import called, store

# -- a few columns ---------------------------------------------------------------------------------


def define_lu(module: Module, tile: Tile) -> None:
    """The step `lu`: the factors of at most `tile.columns` columns, and the pivots' rows."""
    _define_pass(module, tile)
    _define_choice(module, tile)
    _define_exchange(module, tile)
    width = tile.columns
    f, arrays, words = step_function(module, Step.LU)
    start = place(f, arrays, words, 0, tile.stored)
    row, column, m, n, first = (number(f, words, i) for i in (2, 3, 4, 5, 6))
    pivots = place(f, arrays, words, 7, "i32")
    room = f.gep(scratch(f, arrays), HEAD_BYTES, "i8")
    best = f.alloca(_key(tile), 2 * width, align=64)

    def moved(name: str) -> None:
        f.loop(0, m, width, [], lambda i, _: _move(f, tile, name, [
            f.gep(start, i * row, tile.stored), row, column,
            f.gep(room, i * width, tile.compute), m - i, n]))

    moved("pack_panel")
    f.call("eliminate", "void", [room, m, n, f.const("i64", -1), best])

    def each(j: Reg, _: list[Reg]) -> None:
        chosen = called(f, "choose", "i64", [best])
        f.store(f.cast("trunc", first + chosen + 1, "i32"), f.gep(pivots, j, "i32"))
        f.call("exchange", "void", [room, n, j, chosen])
        f.call("eliminate", "void", [room, m, n, j, best])

    f.loop(0, n, 1, [], each)
    moved("unpack_panel")
    f.ret()


def _move(f: Function, tile: Tile, name: str, args: list[Reg]) -> None:
    f.call(name, "void", args)


def _key(tile: Tile) -> str:
    """Integers that are in the order of absolute values; below all of them is -1."""
    return f"i{bits(tile.compute)}"


def _define_pass(module: Module, tile: Tile) -> None:
    """`eliminate(room, m, n, j, best)`: column j, which may be -1, and the largest of the next."""
    f = Function(module, "eliminate", [
        ("ptr", "room"), ("i64", "m"), ("i64", "n"), ("i64", "j"), ("ptr", "best")])
    _, m, _, _, best = f.args
    key = vector(_key(tile), tile.lanes)
    nothing = [f.const(key, -1)] * tile.vectors + [f.const(key, 0)] * tile.vectors
    top = _panel_pass(f, tile, f.const("i64", 0), nothing, masked=True)
    found = f.loop(tile.columns, m, tile.columns, top,
                   lambda i, carried: _panel_pass(f, tile, i, carried, masked=False))
    for i, value in enumerate(found):
        f.store(value, f.gep(best, i * tile.lanes, _key(tile)))
    f.ret()


def _panel_pass(f: Function, tile: Tile, row: Reg, best: list[Reg], *, masked: bool) -> list[Reg]:
    """The panel from a row on; with `masked` only its rows below j."""
    room, m, n, j, _ = f.args
    type, places = vector(tile.compute, tile.lanes), range(0, tile.columns, tile.lanes)
    panel = f.gep(room, row * tile.columns, tile.compute)
    lanes = [f.iota(vector("i64", tile.lanes)) + at for at in places]
    below = [f.compare("sgt", lane, f.splat(j, tile.lanes)) for lane in lanes]

    def spots(column: Reg) -> list[Reg]:
        line = f.gep(panel, column * tile.columns, tile.compute)
        return [f.gep(line, at, tile.compute) for at in places]

    def put(values: list[Reg], where: list[Reg]) -> None:
        for value, spot, mask in zip(values, where, below, strict=True):
            store(f, value, spot, mask if masked else None)

    def divide() -> None:
        where = spots(j)
        pivot = f.load(f.gep(room, j * (tile.columns + 1), tile.compute), tile.compute)
        pivot = f.select(f.compare("oeq", pivot, 0.0), f.const(tile.compute, 1.0), pivot)
        factors = [f.load(spot, type) / f.splat(pivot, tile.lanes) for spot in where]
        put(factors, where)
        negative = [-factor for factor in factors]

        def update(column: Reg, _: list[Reg]) -> None:
            own = f.gep(f.gep(room, column * tile.columns, tile.compute), j, tile.compute)
            multiple, where = f.splat(f.load(own, tile.compute), tile.lanes), spots(column)
            put([f.fma(x, multiple, f.load(spot, type))
                 for x, spot in zip(negative, where, strict=True)], where)

        f.loop(j + 1, n, 1, [], update)

    f.branch(j >= 0, divide)
    count = tile.vectors
    values = [f.load(spot, type) for spot in spots(f.minimum(j + 1, n - 1))]
    inside = [f.first_lanes(f.maximum(m - row - at, 0), tile.lanes) for at in places]
    if masked:
        inside = [x & y for x, y in zip(inside, below, strict=True)]
    rows = [f.cast("trunc", f.splat(row, tile.lanes) + lane, best[0].type) for lane in lanes]
    found = [_larger(f, tile, *each) for each in zip(
        values, inside, rows, best[:count], best[count:], strict=True)]
    return [x for x, _ in found] + [x for _, x in found]


def _larger(f: Function, tile: Tile, x: Reg, inside: Reg, row: Reg, best: Reg, at: Reg
            ) -> tuple[Reg, Reg]:
    """The larger absolute value in each lane, and its row."""
    key = f.select(inside, f.bitcast(f.absolute(x), best.type), f.const(best.type, -1))
    larger = f.compare("sgt", key, best)
    return f.select(larger, key, best), f.select(larger, row, at)


def _define_choice(module: Module, tile: Tile) -> None:
    """`choose(best)`: the row of the largest key, the first of equals."""
    f = Function(module, "choose", [("ptr", "best")], result="i64")
    (best,) = f.args
    key, width = _key(tile), tile.columns
    keys, rows = (f.load(f.gep(best, start, key), vector(key, width)) for start in (0, width))
    largest = f.splat(f.horizontal("max", keys), width)
    last = f.const(vector(key, width), 2**(bits(key) - 1) - 1)
    row = f.horizontal("min", f.select(f.compare("eq", keys, largest), rows, last))
    f.ret(f.cast("zext", row, "i64"))


def _define_exchange(module: Module, tile: Tile) -> None:
    """`exchange(room, n, i, k)`: rows i, one of the first panel, and k change places."""
    f = Function(module, "exchange", [("ptr", "room"), ("i64", "n"), ("i64", "i"), ("i64", "k")])
    room, n, i, k = f.args
    width = tile.columns
    panel = k.udiv(width)
    other = f.gep(room, panel * (width * width) + (k - panel * width), tile.compute)
    own = f.gep(room, i, tile.compute)

    def column(c: Reg, _: list[Reg]) -> None:
        spots = [f.gep(x, c * width, tile.compute) for x in (own, other)]
        first, second = (f.load(spot, tile.compute) for spot in spots)
        f.store(second, spots[0])
        f.store(first, spots[1])

    f.loop(0, n, 1, [], column)
    f.ret()


# -- rows ------------------------------------------------------------------------------------------


def define_swap(module: Module, tile: Tile) -> None:
    """The step `swap`: row i changes places with row pivots[i], in order, in columns of a chunk."""
    def body(f: Function, arrays: Reg, words: Reg, chunk: Reg, chunks: Reg) -> None:
        start = place(f, arrays, words, 0, tile.stored)
        row, columns, before = (number(f, words, i) for i in (2, 3, 4))
        pivots, count = place(f, arrays, words, 5, "i32"), number(f, words, 7)
        first, last = share(columns, chunk, chunks)
        start = f.gep(start, first, tile.stored)

        def each(i: Reg, _: list[Reg]) -> None:
            k = f.cast("sext", f.load(f.gep(pivots, i, "i32"), "i32"), "i64") - before - 1
            f.branch(f.compare("ne", k, i), lambda: _swap(f, tile, last - first, [
                f.gep(start, x * row, tile.stored) for x in (i, k)]))

        f.loop(0, count, 1, [], each)

    define_divided(module, Step.SWAP, 8, body)


def _swap(f: Function, tile: Tile, columns: Reg, lines: list[Reg]) -> None:
    type = vector(tile.stored, tile.lanes)

    def some(at: Reg, _: list[Reg]) -> None:
        mask = f.first_lanes(columns - at, tile.lanes)
        spots = [f.gep(line, at, tile.stored) for line in lines]
        first, second = (f.masked_load(spot, type, mask) for spot in spots)
        f.masked_store(second, spots[0], mask)
        f.masked_store(first, spots[1], mask)

    f.loop(0, columns, tile.lanes, [], some)


def define_singular(module: Module, tile: Tile) -> None:
    """The step `singular`: the number, from 1, of the first zero on the diagonal; 0: none."""
    f, arrays, words = step_function(module, Step.SINGULAR)
    start = place(f, arrays, words, 0, tile.stored)
    step, n = number(f, words, 2) + number(f, words, 3), number(f, words, 4)
    target = place(f, arrays, words, 5, "i32")
    f.store(f.const("i32", 0), target)

    def backward(k: Reg, _: list[Reg]) -> None:
        i = n - 1 - k
        x = f.load(f.gep(start, i * step, tile.stored), tile.stored)
        f.branch(f.compare("oeq", x, 0.0),
                 lambda: f.store(f.cast("trunc", i + 1, "i32"), target))

    f.loop(0, n, 1, [], backward)
    f.ret()


def define_order(module: Module, tile: Tile) -> None:
    """The step `order`: 0, 1, 2, ... after changing places as pivots, limited to rows, say."""
    f, arrays, words = step_function(module, Step.ORDER)
    pivots, count = place(f, arrays, words, 0, "i32"), number(f, words, 2)
    order, n = place(f, arrays, words, 3, "i32"), number(f, words, 5)
    f.loop(0, n, 1, [],
           lambda i, _: f.store(f.cast("trunc", i, "i32"), f.gep(order, i, "i32")))

    def swap(i: Reg, _: list[Reg]) -> None:
        k = f.cast("sext", f.load(f.gep(pivots, i, "i32"), "i32"), "i64") - 1
        k = f.maximum(f.minimum(k, n - 1), 0)  # anyone may say anything in pivots
        spots = [f.gep(order, x, "i32") for x in (i, k)]
        first, second = (f.load(spot, "i32") for spot in spots)
        f.store(second, spots[0])
        f.store(first, spots[1])

    f.loop(0, count, 1, [], swap)
    f.ret()
