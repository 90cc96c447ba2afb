"""What routines on many small matrices share: groups of them, a matrix in each lane.

As many matrices as a tile has columns are packed as if each were a row, so that a vector has one
element of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from arraylib.backends.cpu.emitter import Function, Module, Reg, bits, vector
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.backends.cpu.routines.linalg.follow import number, share
from arraylib.backends.cpu.routines.vectors import define_entry

# Numbers of a call: how many matrices, their rows, from a row to the next in a packed matrix whose
# lower triangle is wanted (1 for the upper one), bytes of a chunk's scratch memory, chunks.
MATRICES, ROWS, ROW, SCRATCH, CHUNKS = range(5)


class Groups:
    """The routine over groups of matrices under construction; `room` is a chunk's scratch memory.

    In the body of `define`, `start` is a group's first matrix, and `count` how many are left.
    """

    def __init__(self, module: Module, tile: Tile, arrays: int) -> None:
        self.module, self.tile = module, tile
        self.f = f = Function(module, "rows", [("ptr", "args"), ("i64", "chunk")])
        pointers, self._numbers, room = (f.load(f.gep(f.args[0], i, "ptr"), "ptr")
                                         for i in range(3))
        self.arrays = [f.load(f.gep(pointers, i, "ptr"), "ptr") for i in range(arrays)]
        self.room = f.gep(room, f.args[1] * self.number(SCRATCH), "i8")
        self.start = self.count = f.args[1]

    def number(self, i: int) -> Reg:
        return number(self.f, self._numbers, i)

    def part(self, i: int) -> Reg:
        """The scratch memory that begins where this number says."""
        return self.f.gep(self.room, self.number(i), "i8")

    def define(self, symbol: str, body: Callable[[], None]) -> None:
        """The loop over the groups of a chunk, and the routine's entry."""
        f, width, matrices = self.f, self.tile.columns, self.number(MATRICES)
        groups = (matrices + (width - 1)).udiv(width)
        first, last = share(groups, f.args[1], self.number(CHUNKS))

        def group(index: Reg, _: list[Reg]) -> None:
            self.start = index * width
            self.count = matrices - self.start
            body()

        f.loop(first, last, 1, [], group)
        f.ret()
        define_entry(self.module, symbol)

    def pack(self, array: Reg, packed: Reg, size: Reg) -> None:
        """Arrays of `size` elements, one for each matrix, into lanes."""
        self._move("pack_panel", array, packed, size)

    def unpack(self, array: Reg, packed: Reg, size: Reg) -> None:
        """And back."""
        self._move("unpack_panel", array, packed, size)

    def _move(self, name: str, array: Reg, packed: Reg, size: Reg) -> None:
        f = self.f
        f.call(name, "void", [f.gep(array, self.start * size, self.tile.stored), size,
                              f.const("i64", 1), packed, self.count, size])


class Lanes:
    """A function on one group: an element of the matrices is a list, a vector for each part of the
    tile's columns."""

    def __init__(self, f: Function, tile: Tile) -> None:
        self.f, self.tile, self.type = f, tile, vector(tile.compute, tile.lanes)
        self.key = vector(f"i{bits(tile.compute)}", tile.lanes)
        self.places = range(0, tile.columns, tile.lanes)
        self.zero, self.one = f.const(self.type, 0.0), f.const(self.type, 1.0)
        self.zeros = [self.zero] * tile.vectors

    def _spots(self, array: Reg, index: Reg) -> list[Reg]:
        line = self.f.gep(array, index * self.tile.columns, self.tile.compute)
        return [self.f.gep(line, at, self.tile.compute) for at in self.places]

    def get(self, array: Reg, index: Reg) -> list[Reg]:
        return [self.f.load(spot, self.type) for spot in self._spots(array, index)]

    def put(self, xs: Sequence[Reg], array: Reg, index: Reg) -> None:
        for x, spot in zip(xs, self._spots(array, index), strict=True):
            self.f.store(x, spot)
