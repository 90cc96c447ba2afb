"""What Jacobi's methods share: rotations in each lane, and the order of what they find."""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.emitter import Function, Reg, vector
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.backends.cpu.routines.linalg.groups import Lanes

ROUNDS = 30  # far more than are ever needed


class Rotations(Lanes):
    """A function on one group that rotates rows or columns; its last arguments are where numbers
    say which matrices have no result, and how many matrices are left."""

    def __init__(self, f: Function, tile: Tile) -> None:
        super().__init__(f, tile)
        self.info, self.count = f.args[-2:]

    def rounds(self, unfinished: list[Reg], turn: Callable[[], list[Reg]]) -> list[Reg]:
        """Rounds until no lane is unfinished, which `turn` returns; those that never are."""
        f = self.f
        _, *left = f.while_loop(
            [f.const("i64", 0), *unfinished],
            lambda state: (state[0] < ROUNDS) & f.any(state[1] | state[-1]),
            lambda state: [state[0] + 1, *turn()])
        return left

    def angles(self, firsts: list[Reg], seconds: list[Reg], betweens: list[Reg]
               ) -> tuple[list[Reg], list[Reg], list[Reg]]:
        """The tangents, cosines and sines of the rotations that make `betweens` 0."""
        f = self.f
        tangents = [self._tangent(*xs) for xs in zip(firsts, seconds, betweens, strict=True)]
        cosines = [self.one / f.intrinsic("llvm.sqrt", f.fma(t, t, self.one)) for t in tangents]
        return tangents, cosines, [t * c for t, c in zip(tangents, cosines, strict=True)]

    def _tangent(self, first: Reg, second: Reg, between: Reg) -> Reg:
        """The smaller of two whose rotation makes `between` 0; 0 where it is."""
        f = self.f
        cotangent = (second - first) / (between + between)
        size = f.absolute(cotangent)
        root = f.intrinsic("llvm.sqrt", f.fma(size, size, self.one))
        found = f.copysign(self.one / (size + root), cotangent)
        return f.select(f.compare("oeq", between, 0.0), self.zero, found)

    def turn(self, array: Reg, i: Reg, j: Reg, cosines: list[Reg], sines: list[Reg]) -> None:
        """Elements i and j rotated."""
        f = self.f
        turned = list(zip(self.get(array, i), self.get(array, j), cosines, sines, strict=True))
        self.put([f.fma(c, x, -(s * y)) for x, y, c, s in turned], array, i)
        self.put([f.fma(s, x, c * y) for x, y, c, s in turned], array, j)

    def ranks(self, array: Reg, n: Reg, j: Reg, direction: str) -> list[Reg]:
        """Where element j of n belongs among them; the earlier of equal ones comes first."""
        f, wide, own = self.f, vector("i64", self.tile.lanes), self.get(array, j)

        def before(i: Reg, ranks: list[Reg]) -> list[Reg]:
            found = []
            for x, y, rank in zip(self.get(array, i), own, ranks, strict=True):
                equal = f.compare("oeq", x, y) & f.splat(i < j, self.tile.lanes)
                found.append(rank + f.cast("zext", f.compare(direction, x, y) | equal, wide))
            return found

        return f.loop(0, n, 1, [f.const(wide, 0)] * self.tile.vectors, before)

    def spread(self, xs: list[Reg], ranks: list[Reg], array: Reg, start: Reg, step: Reg) -> None:
        """In each lane its number goes to element start + rank * step."""
        f, wide = self.f, vector("i64", self.tile.lanes)
        every = f.const(vector("i1", self.tile.lanes), 1)
        for x, rank, at in zip(xs, ranks, self.places, strict=True):
            index = f.splat(start, self.tile.lanes) + rank * f.splat(step, self.tile.lanes)
            lane = f.iota(wide) + at
            f.scatter(x, f.gep(array, index * self.tile.columns + lane, self.tile.compute), every)

    def report(self, bad: list[Reg]) -> None:
        """1 for each matrix that has no result, 0 for the others."""
        f = self.f
        for odd, at in zip(bad, self.places, strict=True):
            present = f.first_lanes(f.maximum(self.count - at, 0), self.tile.lanes)
            f.masked_store(f.cast("zext", odd, vector("i32", self.tile.lanes)),
                           f.gep(self.info, at, "i32"), present)
