"""Cholesky factors, and systems of equations, of many small matrices, one in each lane.

The textbook's loops are run on vectors.
"""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Module, Reg, vector
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.backends.cpu.routines.linalg.groups import ROW, ROWS, Groups

LARGEST = 24  # rows of matrices that are few enough to stay in the first caches


def define_cholesky(module: Module, symbol: str, tile: Tile) -> None:
    """The routine of Cholesky factors; nan in a triangle where there is none."""
    _define_factor(module, tile)
    routine = Groups(module, tile, 2)
    f, room, (source, target) = routine.f, routine.room, routine.arrays
    n, row = routine.number(ROWS), routine.number(ROW)

    def group() -> None:
        routine.pack(source, room, n * n)
        f.call("factor_lanes", "void", [room, n, row])
        routine.unpack(target, room, n * n)

    routine.define(symbol, group)


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


# -- systems ---------------------------------------------------------------------------------------

SIDES, SECOND = 2, 5   # columns of right-hand sides; where in the scratch memory they are


def define_solve(module: Module, symbol: str, tile: Tile) -> None:
    """The routine of systems: a, b; then the factors of a, their pivots, x, and singular ones."""
    _define_eliminate(module, tile)
    routine = Groups(module, tile, 6)
    f, room, (a, b, lu, pivots, x, info) = routine.f, routine.room, routine.arrays
    second, n, sides = routine.part(SECOND), routine.number(ROWS), routine.number(SIDES)

    def group() -> None:
        routine.pack(a, room, n * n)
        routine.pack(b, second, n * sides)
        start, count = routine.start, routine.count
        for at in range(0, tile.columns, tile.lanes):
            f.call("eliminate_lanes", "void", [
                f.gep(room, at, tile.compute), f.gep(second, at, tile.compute), n, sides,
                f.gep(pivots, (start + at) * n, "i32"), f.gep(info, start + at, "i32"),
                f.maximum(count - at, 0)])
        routine.unpack(lu, room, n * n)
        routine.unpack(x, second, n * sides)

    routine.define(symbol, group)


class _Systems:
    """`eliminate_lanes(a, b, n, sides, pivots, info, count)` under construction."""

    def __init__(self, module: Module, tile: Tile) -> None:
        self.f = f = Function(module, "eliminate_lanes", [
            ("ptr", "a"), ("ptr", "b"), ("i64", "n"), ("i64", "sides"), ("ptr", "pivots"),
            ("ptr", "info"), ("i64", "count")])
        self.a, self.b, self.n, self.sides, self.pivots, self.info, count = f.args
        self.tile, self.type = tile, vector(tile.compute, tile.lanes)
        self.lane = f.iota(vector("i64", tile.lanes))
        self.every = f.const(vector("i1", tile.lanes), 1)
        self.present = f.first_lanes(count, tile.lanes)

    def at(self, array: Reg, columns: Reg, i: Reg, j: Reg) -> Reg:
        return self.f.gep(array, (i * columns + j) * self.tile.columns, self.tile.compute)

    def element(self, i: Reg, j: Reg) -> Reg:
        return self.f.load(self.at(self.a, self.n, i, j), self.type)

    def parts(self) -> tuple[tuple[Reg, Reg], tuple[Reg, Reg]]:
        """The matrix and the right-hand sides, each with its number of columns."""
        return (self.a, self.n), (self.b, self.sides)

    def pivot_row(self, j: Reg) -> Reg:
        """In each lane the row of the largest number of a column: the first, and nan before all."""
        f, key = self.f, vector(f"i{8 * self.tile.word_bytes}", self.tile.lanes)

        def larger(i: Reg, best: list[Reg]) -> list[Reg]:
            size = f.bitcast(f.absolute(self.element(i, j)), key)
            more = f.compare("sgt", size, best[0])
            return [f.select(more, size, best[0]),
                    f.select(more, f.splat(i, self.tile.lanes), best[1])]

        start = [f.const(key, -1), f.splat(j, self.tile.lanes)]
        return f.loop(j, self.n, 1, start, larger)[1]

    def swap(self, j: Reg, row: Reg) -> None:
        """Row j with another in each lane."""
        f = self.f
        for array, columns in self.parts():
            def column(c: Reg, _: list[Reg], array: Reg = array, columns: Reg = columns) -> None:
                wide = [f.splat(x, self.tile.lanes) for x in (columns, c)]
                offset = (row * wide[0] + wide[1]) * self.tile.columns + self.lane
                others = f.gep(array, offset, self.tile.compute)
                own = self.at(array, columns, j, c)
                x, y = f.load(own, self.type), f.gather(others, self.type, self.every)
                f.store(y, own)
                f.scatter(x, others, self.every)
            f.loop(0, columns, 1, [], column)

    def step(self, j: Reg, singular: list[Reg]) -> list[Reg]:
        """Column j is eliminated; in each lane the number of the first pivot that was 0."""
        f = self.f
        row = self.pivot_row(j)
        narrow = vector("i32", self.tile.lanes)
        places = f.gep(self.pivots, self.lane * f.splat(self.n, self.tile.lanes)
                       + f.splat(j, self.tile.lanes), "i32")
        f.scatter(f.cast("trunc", row, narrow) + 1, places, self.present)
        self.swap(j, row)
        pivot = self.element(j, j)
        zero = f.compare("oeq", pivot, 0.0)
        divisor = f.select(zero, f.const(self.type, 1.0), pivot)

        def below(i: Reg, _: list[Reg]) -> None:
            factor = self.element(i, j) / divisor
            f.store(factor, self.at(self.a, self.n, i, j))
            starts = j + 1, f.const("i64", 0)
            for (array, columns), first in zip(self.parts(), starts, strict=True):
                def column(c: Reg, _: list[Reg], array: Reg = array, columns: Reg = columns
                           ) -> None:
                    own = self.at(array, columns, i, c)
                    x = f.load(self.at(array, columns, j, c), self.type)
                    f.store(f.fma(-factor, x, f.load(own, self.type)), own)
                f.loop(first, columns, 1, [], column)

        f.loop(j + 1, self.n, 1, [], below)
        is_first = zero & f.compare("eq", singular[0], 0)
        number = f.splat(f.cast("trunc", j + 1, "i32"), self.tile.lanes)
        return [f.select(is_first, number, singular[0])]

    def substitute(self) -> None:
        """x of U x = b, from the last row on."""
        f = self.f

        def row(k: Reg, _: list[Reg]) -> None:
            i = self.n - 1 - k

            def column(c: Reg, _: list[Reg]) -> None:
                own = self.at(self.b, self.sides, i, c)
                (total,) = f.loop(i + 1, self.n, 1, [f.load(own, self.type)], lambda m, sums: [
                    f.fma(-self.element(i, m),
                          f.load(self.at(self.b, self.sides, m, c), self.type), sums[0])])
                f.store(total / self.element(i, i), own)

            f.loop(0, self.sides, 1, [], column)

        f.loop(0, self.n, 1, [], row)


def _define_eliminate(module: Module, tile: Tile) -> None:
    systems = _Systems(module, tile)
    f = systems.f
    (singular,) = f.loop(0, systems.n, 1, [f.const(vector("i32", tile.lanes), 0)], systems.step)
    f.masked_store(singular, systems.info, systems.present)
    systems.substitute()
    f.ret()
