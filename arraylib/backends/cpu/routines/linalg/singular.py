"""Singular values and vectors of many small matrices, one in each lane, by Hestenes's method.

Two columns in turn are rotated until they are orthogonal; a few rounds make all of them so. Their
lengths are the singular values, they themselves, made 1 long, the vectors of one side, and the
product of the rotations those of the other. A wide matrix is taken transposed.
"""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Module, Reg, bits, vector
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.backends.cpu.routines.linalg.groups import Groups
from arraylib.backends.cpu.routines.linalg.rotations import Rotations

LARGEST = 24  # rows and columns of matrices that, with their vectors, stay in the second cache

# Numbers of a call, besides those of all routines on lanes: the longer side, the shorter one,
# whether the matrix is wide; where in the scratch memory the arrays after `a` of `_Singular` are.
LONG, SHORT, WIDE, PARTS = 1, 2, 5, 6

_SMALL = {32: 21, 64: 50}  # cosines, as powers of two, at which columns are orthogonal
# Columns shorter than this part of the matrix (a power of two), or of 1, are what rounding left:
# nothing is known of their direction, and no more rounds would tell.
_NOTHING = {32: -40, 64: -80}
_EXPONENT = {32: (23, 254), 64: (52, 2046)}  # where it begins, and twice its middle


def define_singular(module: Module, symbol: str, tile: Tile) -> None:
    """The routine: a; then memory, singular values, U, V^H, and which matrices have none."""
    _define_lanes(module, tile)
    routine = Groups(module, tile, 6)
    f, room, (a, _, s, u, vh, info) = routine.f, routine.room, routine.arrays
    parts = [routine.part(PARTS + i) for i in range(5)]
    long, short, wide = (routine.number(i) for i in (LONG, SHORT, WIDE))
    turned = f.compare("ne", wide, 0)

    def group() -> None:
        routine.pack(a, room, long * short)
        f.call("singular_lanes", "void", [room, *parts, long, short, wide,
                                          f.gep(info, routine.start, "i32"), routine.count])
        routine.unpack(s, parts[1], short)
        for array, is_long in ((u, ~turned), (vh, turned)):
            routine.unpack(array, f.select(is_long, parts[2], parts[3]),
                           f.select(is_long, long, short) * short)

    routine.define(symbol, group)


class _Singular(Rotations):
    """`singular_lanes(a, v, values, out_long, out_short, column, ...)` under construction.

    `v` has the product of rotations by rows; `out_long` and `out_short` the sorted vectors of both
    sides; `column` is room for one.
    """

    def __init__(self, module: Module, tile: Tile) -> None:
        names = ("a", "v", "values", "out_long", "out_short", "column")
        f = Function(module, "singular_lanes", [
            *(("ptr", name) for name in names), ("i64", "long"), ("i64", "short"), ("i64", "wide"),
            ("ptr", "info"), ("i64", "count")])
        super().__init__(f, tile)
        (self.a, self.v, self.values, self.out_long, self.out_short, self.column, self.long,
         self.short, wide, *_) = f.args
        one, turned = f.const("i64", 1), f.compare("ne", wide, 0)
        # From a row to the next, and from a column, of the longer and of the shorter vectors.
        self.row, self.step = (f.select(turned, one, self.short),
                               f.select(turned, self.long, one))
        self.short_row, self.short_step = (f.select(turned, self.short, one),
                                           f.select(turned, one, self.short))

    def at(self, i: Reg, j: Reg) -> Reg:
        """Where element i of the long column j is, in `a` and in `out_long`."""
        return i * self.row + j * self.step

    # -- before and between -----------------------------------------------------------------------

    def begin(self) -> tuple[list[Reg], list[Reg]]:
        """The largest numbers near 1, and 0 for what is no number; the scales, and where it is."""
        f, size = self.f, self.long * self.short
        keys = f.loop(0, size, 1, [f.const(self.key, 0)] * self.tile.vectors, lambda i, most: [
            f.maximum(x, f.bitcast(f.absolute(y), self.key))
            for x, y in zip(most, self.get(self.a, i), strict=True)])
        infinity = f.bitcast(f.const(self.type, float("inf")), self.key)
        bad = [f.compare("sge", x, infinity) for x in keys]
        first, double = _EXPONENT[bits(self.tile.compute)]
        exponents = [f.minimum(f.maximum(x.ashr(first), 1), double - 4) for x in keys]
        scales = [f.bitcast((-x + double) << first, self.type) for x in exponents]

        def scale(i: Reg, _: list[Reg]) -> None:
            self.put([f.select(odd, self.zero, x * factor) for x, factor, odd in zip(
                self.get(self.a, i), scales, bad, strict=True)], self.a, i)

        f.loop(0, size, 1, [], scale)
        squares = f.loop(0, size, 1, self.zeros, lambda i, sums: self.squares(
            self.get(self.a, i), sums))
        part = 2.0**_NOTHING[bits(self.tile.compute)]
        self.least = [f.maximum(x, 1.0) * part**2 for x in squares]
        self.limits = [f.intrinsic("llvm.sqrt", x) for x in self.least]
        f.loop(0, self.short * self.short, 1, [], lambda i, _: self.put(self.zeros, self.v, i))
        f.loop(0, self.short, 1, [], lambda i, _: self.put(
            [self.one] * self.tile.vectors, self.v, i * (self.short + 1)))
        return scales, bad

    def products(self, xs: list[Reg], ys: list[Reg], sums: list[Reg]) -> list[Reg]:
        return [self.f.fma(x, y, total) for x, y, total in zip(xs, ys, sums, strict=True)]

    def squares(self, xs: list[Reg], sums: list[Reg]) -> list[Reg]:
        return self.products(xs, xs, sums)

    def apart(self, firsts: list[Reg], seconds: list[Reg], betweens: list[Reg]) -> list[Reg]:
        """The lanes in which two columns, by their products, are not yet orthogonal."""
        # Products of squares go far below 1, as far as `least` squared, but not far above it: both
        # sides of z * z > x * y * small**2 are raised, so that neither leaves the normal range.
        f, raised = self.f, 2.0 ** _SMALL[bits(self.tile.compute)]
        found = []
        for x, y, z, least in zip(firsts, seconds, betweens, self.least, strict=True):
            between = z * raised**2
            oblique = f.compare("ogt", between * between, (x * raised) * (y * raised))
            found.append(oblique & f.compare("ogt", f.minimum(x, y), least))
        return found

    def rotate(self, p: Reg, q: Reg) -> list[Reg]:
        """Columns p and q become orthogonal; the lanes in which they were not."""
        f, count = self.f, self.tile.vectors

        def added(i: Reg, sums: list[Reg]) -> list[Reg]:
            xs, ys = self.get(self.a, self.at(i, p)), self.get(self.a, self.at(i, q))
            parts = [sums[k:k + count] for k in range(0, 3 * count, count)]
            pairs = ((xs, xs), (ys, ys), (xs, ys))
            return [x for pair, part in zip(pairs, parts, strict=True)
                    for x in self.products(*pair, part)]

        sums = f.loop(0, self.long, 1, self.zeros * 3, added)
        firsts, seconds, betweens = (sums[k:k + count] for k in range(0, 3 * count, count))
        apart = self.apart(firsts, seconds, betweens)

        def turn_all() -> None:
            _, cosines, sines = self.angles(firsts, seconds, betweens)

            def turn(array: Reg, i: Reg, j: Reg) -> None:
                self.turn(array, i, j, cosines, sines)

            n = self.short
            f.loop(0, self.long, 1, [], lambda k, _: turn(self.a, self.at(k, p), self.at(k, q)))
            f.loop(0, n, 1, [], lambda k, _: turn(self.v, p * n + k, q * n + k))

        f.branch(f.any(apart[0] | apart[-1]), turn_all)
        return apart

    def every(self, value: int) -> list[Reg]:
        """All lanes, or none."""
        return [self.f.const(vector("i1", self.tile.lanes), value)] * self.tile.vectors

    def round(self) -> list[Reg]:
        """Each two columns in turn; the lanes in which some were not orthogonal."""
        f = self.f
        return f.loop(0, self.short, 1, self.every(0), lambda p, found: f.loop(
            p + 1, self.short, 1, found, lambda q, found: [
                x | y for x, y in zip(found, self.rotate(p, q), strict=True)]))

    # -- after ------------------------------------------------------------------------------------

    def sort(self, scales: list[Reg], bad: list[Reg]) -> None:
        """Singular values, descending, and the vectors of both sides in their order."""
        f, n = self.f, self.short
        nan = f.const(self.type, float("nan"))

        def length(j: Reg, _: list[Reg]) -> None:
            squares = f.loop(0, self.long, 1, self.zeros, lambda i, sums: self.squares(
                self.get(self.a, self.at(i, j)), sums))
            self.put([f.intrinsic("llvm.sqrt", x) for x in squares], self.column, j)

        f.loop(0, n, 1, [], length)

        def column(j: Reg, _: list[Reg]) -> None:
            own = self.get(self.column, j)
            ranks = self.ranks(self.column, n, j, "ogt")

            def spread(xs: list[Reg], array: Reg, start: Reg, step: Reg) -> None:
                self.spread(xs, ranks, array, start, step)

            spread(own, self.values, f.const("i64", 0), f.const("i64", 1))
            there = [f.compare("ogt", x, y) for x, y in zip(own, self.limits, strict=True)]
            f.loop(0, self.long, 1, [], lambda i, _: spread(
                [f.select(some, x / y, self.zero) for x, y, some in zip(
                    self.get(self.a, self.at(i, j)), own, there, strict=True)],
                self.out_long, i * self.row, self.step))
            f.loop(0, n, 1, [], lambda k, _: spread(
                [f.select(odd, nan, x)
                 for x, odd in zip(self.get(self.v, j * n + k), bad, strict=True)],
                self.out_short, k * self.short_row, self.short_step))

        f.loop(0, n, 1, [], column)
        f.loop(0, n, 1, [], lambda r, _: self.complete(r))

        def finish(array: Reg, factors: list[Reg], size: Reg) -> None:
            f.loop(0, size, 1, [], lambda i, _: self.put(
                [f.select(odd, nan, x / factor) for x, factor, odd in zip(
                    self.get(array, i), factors, bad, strict=True)], array, i))

        finish(self.values, scales, n)
        finish(self.out_long, [self.one] * self.tile.vectors, self.long * n)
        self.report(bad)

    def complete(self, r: Reg) -> None:
        """Where singular value r is as good as 0, a vector orthogonal to those before it."""
        f = self.f
        missing = [f.compare("ole", x, y)
                   for x, y in zip(self.get(self.values, r), self.limits, strict=True)]

        def take_least() -> None:
            """Of the unit vectors the one that those before have the least part in."""
            wide = vector("i64", self.tile.lanes)
            start = [f.const(self.type, 2.0)] * self.tile.vectors
            rows = [f.const(wide, 0)] * self.tile.vectors

            def row(i: Reg, best: list[Reg]) -> list[Reg]:
                totals = f.loop(0, r, 1, self.zeros, lambda c, sums: self.squares(
                    self.get(self.out_long, self.at(i, c)), sums))
                count = self.tile.vectors
                less = [f.compare("olt", x, y) for x, y in zip(totals, best[:count], strict=True)]
                return [*(f.select(mask, x, y)
                          for mask, x, y in zip(less, totals, best[:count], strict=True)),
                        *(f.select(mask, f.splat(i, self.tile.lanes), y)
                          for mask, y in zip(less, best[count:], strict=True))]

            chosen = f.loop(0, self.long, 1, [*start, *rows], row)[self.tile.vectors:]
            f.loop(0, self.long, 1, [], lambda i, _: self.put(
                [f.select(f.compare("eq", x, f.splat(i, self.tile.lanes)), self.one, self.zero)
                 for x in chosen], self.column, i))

        def subtract(c: Reg, _: list[Reg]) -> None:
            parts = f.loop(0, self.long, 1, self.zeros, lambda i, sums: self.products(
                self.get(self.column, i), self.get(self.out_long, self.at(i, c)), sums))
            f.loop(0, self.long, 1, [], lambda i, _: self.put(self.products(
                [-x for x in parts], self.get(self.out_long, self.at(i, c)),
                self.get(self.column, i)), self.column, i))

        def whole() -> None:
            take_least()
            for _ in range(2):  # the second time for what rounding left
                f.loop(0, r, 1, [], subtract)
            squares = f.loop(0, self.long, 1, self.zeros, lambda i, sums: self.squares(
                self.get(self.column, i), sums))
            lengths = [f.intrinsic("llvm.sqrt", x) for x in squares]
            f.loop(0, self.long, 1, [], lambda i, _: self.put(
                [f.select(mask, x / y, old) for mask, x, y, old in zip(
                    missing, self.get(self.column, i), lengths,
                    self.get(self.out_long, self.at(i, r)), strict=True)],
                self.out_long, self.at(i, r)))

        f.branch(f.any(missing[0] | missing[-1]), whole)


def _define_lanes(module: Module, tile: Tile) -> None:
    singular = _Singular(module, tile)
    scales, bad = singular.begin()
    left = singular.rounds(singular.every(1), singular.round)
    singular.sort(scales, [x | y for x, y in zip(bad, left, strict=True)])
    singular.f.ret()
