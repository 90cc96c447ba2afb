"""Eigenvalues and vectors of many small symmetric matrices, one in each lane, by Jacobi's method.

Each element off the diagonal in turn is made 0 by a rotation of two rows and columns, until all
are small; a few rounds do. What a lane has no use for any more changes nothing in it.
"""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Module, Reg, bits
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.backends.cpu.routines.linalg.groups import ROWS, Groups
from arraylib.backends.cpu.routines.linalg.rotations import Rotations

LARGEST = 32  # rows of matrices that, with their vectors, stay in the second cache

# Numbers of a call, besides those of all routines on lanes: whether the lower triangle is read;
# where in the scratch memory the vectors, the diagonals and the sorted eigenvalues are.
LOWER, VECTORS, DIAGONALS, VALUES = 2, 5, 6, 7

_FAR = {32: 50, 64: 400}     # powers of two beyond which numbers are scaled, so that their squares
_SCALE = {32: 100, 64: 800}  # are well within range; and by how much


def define_eigen(module: Module, symbol: str, tile: Tile) -> None:
    """The routine: a; then its eigenvectors, its eigenvalues, and which matrices have none."""
    _define_lanes(module, tile)
    routine = Groups(module, tile, 4)
    f, room, (a, vectors, values, info) = routine.f, routine.room, routine.arrays
    parts = [routine.part(i) for i in (VECTORS, DIAGONALS, VALUES)]
    n, lower = routine.number(ROWS), routine.number(LOWER)

    def group() -> None:
        routine.pack(a, room, n * n)
        f.call("eigen_lanes", "void", [room, *parts, n, lower, f.gep(info, routine.start, "i32"),
                                       routine.count])
        routine.unpack(vectors, room, n * n)
        routine.unpack(values, parts[2], n)

    routine.define(symbol, group)


class _Eigen(Rotations):
    """`eigen_lanes(a, vectors, diagonals, values, n, lower, info, count)` under construction.

    Of a only what is above the diagonal is kept; the vectors are rows until they are sorted.
    """

    def __init__(self, module: Module, tile: Tile) -> None:
        super().__init__(Function(module, "eigen_lanes", [
            ("ptr", "a"), ("ptr", "vectors"), ("ptr", "diagonals"), ("ptr", "values"),
            ("i64", "n"), ("i64", "lower"), ("ptr", "info"), ("i64", "count")]), tile)
        self.a, self.vectors, self.diagonals, self.values, self.n, self.lower, *_ = self.f.args

    # -- before -----------------------------------------------------------------------------------

    def begin(self) -> tuple[list[Reg], list[Reg]]:
        """The matrices scaled, 0 where one has what is no number; their scales; which have."""
        f, n, float_type = self.f, self.n, self.tile.compute

        def each(i: Reg, j: Reg, most: list[Reg]) -> list[Reg]:
            given = self.get(self.a, f.select(f.compare("ne", self.lower, 0), j * n + i, i * n + j))
            self.put(given, self.a, i * n + j)
            for index in (i * n + j, j * n + i):
                self.put(self.zeros, self.vectors, index)
            return [f.maximum(x, f.bitcast(f.absolute(y), self.key))
                    for x, y in zip(most, given, strict=True)]

        start = [f.const(self.key, 0)] * self.tile.vectors
        keys = f.loop(0, n, 1, start, lambda i, most: f.loop(
            i, n, 1, most, lambda j, most: each(i, j, most)))
        f.loop(0, n, 1, [], lambda i, _: self.put(
            [self.one] * self.tile.vectors, self.vectors, i * n + i))
        infinity = f.bitcast(f.const(self.type, float("inf")), self.key)
        bad = [f.compare("sge", x, infinity) for x in keys]
        far, power = 2.0**_FAR[bits(float_type)], 2.0**_SCALE[bits(float_type)]
        sizes = [f.bitcast(x, self.type) for x in keys]
        scales = [f.select(f.compare("ogt", x, far), f.const(self.type, 1 / power), f.select(
            f.compare("olt", x, 1 / far), f.const(self.type, power), self.one)) for x in sizes]

        def scale(index: Reg, _: list[Reg]) -> None:
            self.put([f.select(odd, self.zero, x * factor) for x, factor, odd in zip(
                self.get(self.a, index), scales, bad, strict=True)], self.a, index)

        f.loop(0, n * n, 1, [], scale)
        return scales, bad

    # -- rounds -----------------------------------------------------------------------------------

    def unfinished(self) -> list[Reg]:
        """The lanes in which what is off the diagonal is not yet small."""
        f, n = self.f, self.n

        def added(index: Reg, sums: list[Reg]) -> list[Reg]:
            return [f.fma(x, x, total)
                    for x, total in zip(self.get(self.a, index), sums, strict=True)]

        off = f.loop(0, n, 1, self.zeros, lambda i, sums: f.loop(
            i + 1, n, 1, sums, lambda j, sums: added(i * n + j, sums)))
        on = f.loop(0, n, 1, self.zeros, lambda i, sums: added(i * (n + 1), sums))
        small = 2.0**-(48 if bits(self.tile.compute) == 32 else 106)
        return [f.compare("ogt", x, y * small) for x, y in zip(off, on, strict=True)]

    def rotate(self, p: Reg, q: Reg) -> None:
        """Element (p, q) becomes 0."""
        f, n = self.f, self.n
        indices = p * (n + 1), q * (n + 1), p * n + q
        first, second, between = (self.get(self.a, index) for index in indices)
        tangents, cosines, sines = self.angles(first, second, between)
        moved = [t * x for t, x in zip(tangents, between, strict=True)]
        self.put([x - y for x, y in zip(first, moved, strict=True)], self.a, indices[0])
        self.put([x + y for x, y in zip(second, moved, strict=True)], self.a, indices[1])
        self.put(self.zeros, self.a, indices[2])

        def turn(array: Reg, i: Reg, j: Reg) -> None:
            self.turn(array, i, j, cosines, sines)

        a = self.a
        f.loop(0, p, 1, [], lambda k, _: turn(a, k * n + p, k * n + q))
        f.loop(p + 1, q, 1, [], lambda k, _: turn(a, p * n + k, k * n + q))
        f.loop(q + 1, n, 1, [], lambda k, _: turn(a, p * n + k, q * n + k))
        f.loop(0, n, 1, [], lambda k, _: turn(self.vectors, p * n + k, q * n + k))

    def round(self) -> list[Reg]:
        """Each element off the diagonal in turn; the lanes that are unfinished."""
        f = self.f

        def row(p: Reg, _: list[Reg]) -> None:
            f.loop(p + 1, self.n, 1, [], lambda q, _: self.rotate(p, q))

        f.loop(0, self.n, 1, [], row)
        return self.unfinished()

    # -- after ------------------------------------------------------------------------------------

    def sort(self, scales: list[Reg], bad: list[Reg]) -> None:
        """Eigenvalues, ascending, and the vectors as columns where the matrices were."""
        f, n = self.f, self.n
        f.loop(0, n, 1, [], lambda i, _: self.put(
            self.get(self.a, i * (n + 1)), self.diagonals, i))
        nan, start, step = f.const(self.type, float("nan")), f.const("i64", 0), f.const("i64", 1)

        def column(j: Reg, _: list[Reg]) -> None:
            values = [f.select(odd, nan, x / factor) for x, factor, odd in zip(
                self.get(self.diagonals, j), scales, bad, strict=True)]
            ranks = self.ranks(self.diagonals, n, j, "olt")
            self.spread(values, ranks, self.values, start, step)

            def element(k: Reg, _: list[Reg]) -> None:
                xs = self.get(self.vectors, j * n + k)
                self.spread([f.select(odd, nan, x) for x, odd in zip(xs, bad, strict=True)], ranks,
                            self.a, k * n, step)

            f.loop(0, n, 1, [], element)

        f.loop(0, n, 1, [], column)
        self.report(bad)


def _define_lanes(module: Module, tile: Tile) -> None:
    eigen = _Eigen(module, tile)
    scales, bad = eigen.begin()
    left = eigen.rounds(eigen.unfinished(), eigen.round)
    eigen.sort(scales, [x | y for x, y in zip(bad, left, strict=True)])
    eigen.f.ret()
