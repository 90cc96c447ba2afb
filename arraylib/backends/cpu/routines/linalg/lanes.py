"""Many small matrices: as many at a time as a tile has columns, one in each lane.

A group of matrices is packed as if each were a row, so that a vector has one element of each. Then
the textbook's loops are run on vectors.
"""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Module, Reg, vector
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.backends.cpu.routines.linalg.follow import number, share
from arraylib.backends.cpu.routines.vectors import define_entry

LARGEST = 24  # rows of matrices that are few enough to stay in the first caches

# Numbers of a call: how many matrices, their rows, from a row to the next in a packed matrix whose
# lower triangle is wanted (1 for the upper one), bytes of a chunk's scratch memory, chunks.
MATRICES, ROWS, ROW, SCRATCH, CHUNKS = range(5)


def define_cholesky(module: Module, symbol: str, tile: Tile) -> None:
    """The routine of Cholesky factors; nan in a triangle where there is none."""
    _define_factor(module, tile)
    f = Function(module, "rows", [("ptr", "args"), ("i64", "chunk")])
    pointers, numbers, room = (f.load(f.gep(f.args[0], i, "ptr"), "ptr") for i in range(3))
    source, target = (f.load(f.gep(pointers, i, "ptr"), "ptr") for i in range(2))
    room = f.gep(room, f.args[1] * number(f, numbers, SCRATCH), "i8")
    matrices, n, row = (number(f, numbers, i) for i in (MATRICES, ROWS, ROW))
    size, width = n * n, tile.columns
    groups = (matrices + (width - 1)).udiv(width)
    first, last = share(groups, f.args[1], number(f, numbers, CHUNKS))

    def group(index: Reg, _: list[Reg]) -> None:
        start, one = index * width, f.const("i64", 1)
        for name, array in (("pack_panel", source), ("unpack_panel", target)):
            f.call(name, "void", [f.gep(array, start * size, tile.stored), size, one, room,
                                  matrices - start, size])
            if name == "pack_panel":
                f.call("factor_lanes", "void", [room, n, row])

    f.loop(first, last, 1, [], group)
    f.ret()
    define_entry(module, symbol)


def _define_factor(module: Module, tile: Tile) -> None:
    """`factor_lanes(room, n, row)`: a step down is `row` elements, one to the right the other."""
    f = Function(module, "factor_lanes", [("ptr", "room"), ("i64", "n"), ("i64", "row")])
    room, n, row = f.args
    column = n + 1 - row   # one of the two is 1, the other n
    type, spots = vector(tile.compute, tile.lanes), range(0, tile.columns, tile.lanes)

    def at(i: Reg, j: Reg) -> list[Reg]:
        line = f.gep(room, (i * row + j * column) * tile.columns, tile.compute)
        return [f.gep(line, spot, tile.compute) for spot in spots]

    def values(i: Reg, j: Reg) -> list[Reg]:
        return [f.load(spot, type) for spot in at(i, j)]

    def put(xs: list[Reg], i: Reg, j: Reg) -> None:
        for x, spot in zip(xs, at(i, j), strict=True):
            f.store(x, spot)

    def less_products(i: Reg, j: Reg) -> list[Reg]:
        return f.loop(0, j, 1, values(i, j), lambda k, sums: [
            f.fma(-x, y, total)
            for x, y, total in zip(values(i, k), values(j, k), sums, strict=True)])

    zero, nan = f.const(type, 0.0), f.const(type, float("nan"))

    def pivot(j: Reg, failed: list[Reg]) -> list[Reg]:
        squares = less_products(j, j)
        failed = [f.select(f.compare("ogt", x, zero), bad, nan)
                  for x, bad in zip(squares, failed, strict=True)]
        roots = [f.intrinsic("llvm.sqrt", x) for x in squares]
        put(roots, j, j)

        def below(i: Reg, _: list[Reg]) -> None:
            put([x / root for x, root in zip(less_products(i, j), roots, strict=True)], i, j)
            put([zero] * tile.vectors, j, i)

        f.loop(j + 1, n, 1, [], below)
        return failed

    failed = f.loop(0, n, 1, [zero] * tile.vectors, pivot)

    def spoil(i: Reg, _: list[Reg]) -> None:
        f.loop(0, i + 1, 1, [], lambda j, _: put(
            [f.select(f.compare("uno", bad, bad), bad, x)
             for x, bad in zip(values(i, j), failed, strict=True)], i, j))

    spoilt = f.any(f.compare("uno", failed[0], failed[-1]))
    f.loop(0, f.select(spoilt, n, f.const("i64", 0)), 1, [], spoil)
    f.ret()
