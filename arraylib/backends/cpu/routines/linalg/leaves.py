"""Blocks of at most BLOCK rows: triangular systems and Cholesky factors, in fast memory.

A block is packed so that its rows are one after the other: the triangle by columns, `BLOCK` apart,
so that what a few rows need at a step lies side by side; right-hand sides as panels as wide as a
tile of matrix products. A few rows at a time are made: first, as in a product of matrices, what
the rows before contribute, then what they contribute to each other.
"""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Module, Reg, vector
from arraylib.backends.cpu.gemm.packing import define_packed, transposed
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.backends.cpu.routines.linalg.follow import (
    define_divided,
    number,
    place,
    scratch,
    share,
    step_function,
)
from arraylib.backends.cpu.routines.linalg.tape import BLOCK, Step

SQUARE, PANEL = "square", "panel"


def rows_at_once(tile: Tile) -> int:
    """As many rows of a tile as registers hold."""
    return 8 if tile.rows >= 12 else 4


def define_moves(module: Module, tile: Tile) -> None:
    """`pack_x(source, across, along, packed, count, elements)` and back, for squares and panels."""
    for name, width in ((SQUARE, BLOCK), (PANEL, tile.columns)):
        define_packed(module, f"pack_{name}", tile, width)
        _define_unpacked(module, f"unpack_{name}", tile, width)


def _define_unpacked(module: Module, name: str, tile: Tile, width: int) -> None:
    """What a packing function of this width has packed is put back."""
    f = Function(module, name, [
        ("ptr noalias", "target"), ("i64", "across"), ("i64", "along"),
        ("ptr noalias", "packed"), ("i64", "count"), ("i64", "elements")])
    target, across, along, packed, count, elements = f.args
    type, lanes = vector(tile.compute, tile.lanes), tile.lanes
    vectors = range(0, width, lanes)
    masks = {offset: f.first_lanes(f.maximum(count - offset, 0), lanes) for offset in vectors}

    def rows(element: Reg, _: list[Reg]) -> None:
        for offset in vectors:
            x = f.load(f.gep(packed, element * width + offset, tile.compute), type)
            line = f.gep(target, element * along, tile.compute)
            f.masked_store(x, f.gep(line, offset, tile.compute), masks[offset])

    def blocks(start: Reg, _: list[Reg]) -> None:
        left = f.first_lanes(elements - start, lanes)
        for offset in vectors:
            lines = [f.load(f.gep(packed, (start + i) * width + offset, tile.compute), type)
                     for i in range(lanes)]
            for i, line in enumerate(transposed(f, lines)):
                there = f.splat(f.compare("sgt", count, offset + i), lanes)
                spot = f.gep(target, across * (offset + i) + start, tile.compute)
                f.masked_store(line, spot, left & there)

    def anywhere(element: Reg, _: list[Reg]) -> None:
        for offset in vectors:
            x = f.load(f.gep(packed, element * width + offset, tile.compute), type)
            places = (f.iota(vector("i64", lanes)) + offset) * f.splat(across, lanes)
            f.scatter(x, f.gep(f.gep(target, element * along, tile.compute), places,
                               tile.compute), masks[offset])

    def not_rows() -> None:
        f.branch(f.compare("eq", along, 1), lambda: each(lanes, blocks),
                 lambda: each(1, anywhere))

    def each(step: int, body: object) -> None:
        f.loop(0, elements, step, [], body)  # type: ignore[arg-type]

    f.branch(f.compare("eq", across, 1), lambda: each(1, rows), not_rows)
    f.ret()


# -- triangular systems ----------------------------------------------------------------------------


def define_solve(module: Module, tile: Tile) -> None:
    """The step `solve`, in chunks of panels of columns."""
    for unit in (False, True):
        for rows in (rows_at_once(tile), 1):
            _define_rows(module, tile, rows, unit)
    _define_panel(module, tile)
    width = tile.columns

    def body(f: Function, arrays: Reg, words: Reg, chunk: Reg, chunks: Reg) -> None:
        t_row, t_column, n = (number(f, words, i) for i in (2, 3, 4))
        backward, unit = (number(f, words, i) for i in (5, 6))
        row, column, columns = (number(f, words, i) for i in (9, 10, 11))
        t, x = (f.alloca(tile.compute, BLOCK * size, align=64) for size in (BLOCK, width))
        f.call("pack_square", "void",
               [place(f, arrays, words, 0, tile.stored), t_row, t_column, t, n, n])
        start = place(f, arrays, words, 7, tile.stored)
        panels = (columns + (width - 1)).udiv(width)
        first, last = share(panels, chunk, chunks)

        def panel(index: Reg, _: list[Reg]) -> None:
            here = f.gep(start, index * width * column, tile.stored)
            moved = [here, column, row, x, columns - index * width, n]
            f.call("pack_panel", "void", moved)
            f.call("solve_panel", "void", [t, x, n, backward, unit])
            f.call("unpack_panel", "void", moved)

        f.loop(first, last, 1, [], panel)

    define_divided(module, Step.SOLVE, 12, body)


def _define_panel(module: Module, tile: Tile) -> None:
    """`solve_panel(t, x, n, backward, unit)`: backward, the last row is the first."""
    f = Function(module, "solve_panel", [
        ("ptr", "t"), ("ptr", "x"), ("i64", "n"), ("i64", "backward"), ("i64", "unit")])
    t, x, n, backward, unit = f.args
    turned = f.compare("ne", backward, 0)
    last, zero = n - 1, f.const("i64", 0)
    t = f.gep(t, f.select(turned, last * (BLOCK + 1), zero), tile.compute)
    x = f.gep(x, f.select(turned, last * tile.columns, zero), tile.compute)
    sign = f.select(turned, f.const("i64", -1), f.const("i64", 1))

    def by(rows: int, first: Reg) -> None:
        def call(name: str) -> None:
            f.call(f"{name}_{rows}", "void", [t, x, first, sign])
        f.branch(f.compare("ne", unit, 0), lambda: call("solve_unit"), lambda: call("solve_rows"))

    several = rows_at_once(tile)
    whole = n & -several
    f.loop(0, whole, several, [], lambda i, _: by(several, i))
    f.loop(whole, n, 1, [], lambda i, _: by(1, i))
    f.ret()


def _define_rows(module: Module, tile: Tile, rows: int, unit: bool) -> None:
    """`solve_rows_8(t, x, first, sign)`: some rows of a panel, those before being solved.

    t and x are the addresses of their first elements; with a sign of -1 they run downwards.
    """
    f = Function(module, f"solve_{'unit' if unit else 'rows'}_{rows}", [
        ("ptr noalias", "t"), ("ptr noalias", "x"), ("i64", "first"), ("i64", "sign")])
    t, x, first, sign = f.args
    down = sign * BLOCK   # from a column of t to the next
    t = f.gep(t, sign * first, tile.compute)
    lines = [f.gep(x, (first + i) * sign * tile.columns, tile.compute) for i in range(rows)]
    sums = taken(f, tile, lines, x, sign * tile.columns, t, down, sign, first)

    def factor(column: int, i: int) -> Reg:
        spot = f.gep(f.gep(t, down * (first + column), tile.compute), sign * i, tile.compute)
        return f.splat(f.load(spot, tile.compute), tile.lanes)

    for i in range(rows):
        if not unit:
            divisor = factor(i, i)
            sums[i] = [total / divisor for total in sums[i]]
        for below in range(i + 1, rows):
            sums[below] = minus(f, factor(i, below), sums[i], sums[below])
    for line, totals in zip(lines, sums, strict=True):
        for j, total in enumerate(totals):
            f.store(total, f.gep(line, j * tile.lanes, tile.compute))
    f.ret()


def taken(f: Function, tile: Tile, lines: list[Reg], x: Reg, x_step: Reg, t: Reg, t_step: Reg,
          t_side: Reg, depth: Reg) -> list[list[Reg]]:
    """The vectors of some lines, less the products of t with the first `depth` lines of x."""
    type, spots = vector(tile.compute, tile.lanes), range(0, tile.columns, tile.lanes)
    start = [f.load(f.gep(line, at, tile.compute), type) for line in lines for at in spots]

    def step(k: Reg, sums: list[Reg]) -> list[Reg]:
        line = f.gep(x, k * x_step, tile.compute)
        values = [f.load(f.gep(line, at, tile.compute), type) for at in spots]
        factors = f.gep(t, k * t_step, tile.compute)
        found: list[Reg] = []
        for i in range(len(lines)):
            spot = f.gep(factors, t_side * i, tile.compute)
            left = f.splat(f.load(spot, tile.compute), tile.lanes)
            found += minus(f, left, values, sums[i * len(spots):(i + 1) * len(spots)])
        return found

    sums = f.loop(0, depth, 1, start, step)
    return [sums[i * len(spots):(i + 1) * len(spots)] for i in range(len(lines))]


def minus(f: Function, factor: Reg, values: list[Reg], sums: list[Reg]) -> list[Reg]:
    """`sums - factor * values`."""
    negative = -factor
    return [f.fma(negative, value, total) for value, total in zip(values, sums, strict=True)]


# -- cholesky --------------------------------------------------------------------------------------


def define_cholesky(module: Module, tile: Tile) -> None:
    """The step `cholesky`: the upper factor of a packed square, row by row."""
    _define_square(module, tile)
    f, arrays, words = step_function(module, Step.CHOLESKY)
    start = place(f, arrays, words, 0, tile.stored)
    row, column, n = (number(f, words, i) for i in (2, 3, 4))
    square = f.alloca(tile.compute, BLOCK * BLOCK, align=64)
    nbytes = BLOCK * BLOCK * tile.word_bytes
    f.call("llvm.memset.p0.i64", "void",  # rows and columns that there are not may be computed
           [square, f.const("i8", 0), f.const("i64", nbytes), f.const("i1", 0)])
    moved = [start, row, column, square, n, n]
    f.call("pack_square", "void", moved)
    f.call("factor_square", "void", [square, n, scratch(f, arrays)])
    f.call("unpack_square", "void", moved)
    f.ret()


def _define_square(module: Module, tile: Tile) -> None:
    """`factor_square(square, n, failed)`; 1 is stored to `failed` if there is no factor."""
    f = Function(module, "factor_square", [("ptr", "square"), ("i64", "n"), ("ptr", "failed")])
    square, n, failed = f.args
    several, width = rows_at_once(tile), tile.columns
    one, step = f.const("i64", 1), f.const("i64", BLOCK)

    def rows(first: Reg, _: list[Reg]) -> None:
        left = first & -width   # the first column of interest, in whole panels
        corner = f.gep(square, first, tile.compute)

        def contribution(column: Reg, _: list[Reg]) -> None:
            lines = [f.gep(square, (first + i) * BLOCK + column, tile.compute)
                     for i in range(several)]
            x = f.gep(square, column, tile.compute)
            sums = taken(f, tile, lines, x, step, corner, step, one, first)
            for line, totals in zip(lines, sums, strict=True):
                for j, total in enumerate(totals):
                    f.store(total, f.gep(line, j * tile.lanes, tile.compute))

        f.loop(left, BLOCK, width, [], contribution)
        for i in range(several):
            _finish_row(f, tile, (square, first, n, failed), left, i, several)

    f.loop(0, n, several, [], rows)
    f.ret()


def _finish_row(f: Function, tile: Tile, at: tuple[Reg, Reg, Reg, Reg], left: Reg, i: int,
                several: int) -> None:
    """Row `first + i`, divided by its root, and what it contributes to the rows below."""
    square, first, n, failed = at
    type = vector(tile.compute, tile.lanes)
    line = f.gep(square, (first + i) * BLOCK, tile.compute)
    corner = f.gep(line, first + i, tile.compute)
    pivot = f.load(corner, tile.compute)
    fails = ~f.compare("ogt", pivot, 0.0) & (first + i < n)
    f.branch(fails, lambda: f.store(f.const("i64", 1), failed))
    root = f.intrinsic("llvm.sqrt", pivot)
    below = range(i + 1, several)
    spots = [f.gep(line, first + k, tile.compute) for k in below]
    wide = f.splat(root, tile.lanes)
    factors = [-f.splat(f.load(spot, tile.compute) / root, tile.lanes) for spot in spots]

    def some(column: Reg, _: list[Reg]) -> None:
        x = f.load(f.gep(line, column, tile.compute), type) / wide
        f.store(x, f.gep(line, column, tile.compute))
        for k, factor in zip(below, factors, strict=True):
            spot = f.gep(line, column + (k - i) * BLOCK, tile.compute)
            f.store(f.fma(factor, x, f.load(spot, type)), spot)

    f.loop(left, BLOCK, tile.lanes, [], some)
    f.store(root, corner)
