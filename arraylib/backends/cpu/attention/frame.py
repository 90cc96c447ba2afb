"""What the functions of the library share: words, places, panels, sweeps over a block of scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from arraylib.backends.cpu.attention.descriptor import (
    Operand,
    Word,
    block_keys,
    panel_keys,
    stride_word,
)
from arraylib.backends.cpu.attention.sweep import unrolled
from arraylib.backends.cpu.emitter import Function, Module, Reg, vector
from arraylib.backends.cpu.gemm.kernels import call_kernel
from arraylib.backends.cpu.gemm.tile import Tile

Body = Callable[[Reg, int, Reg, list[Reg]], Sequence[Reg]]


def core(tile: Tile) -> Tile:
    """The tile of what is widened already."""
    return replace(tile, element=tile.compute, result=tile.compute)


class Frame:
    """A function under construction whose first arguments are descriptor and scratch memory."""

    def __init__(self, module: Module, tile: Tile, name: str, numbers: Sequence[str]) -> None:
        self.f = Function(module, name, [("ptr", "descriptor"), ("ptr", "scratch"),
                                         *(("i64", x) for x in numbers)])
        self.tile = tile
        self.descriptor, self.scratch, *self.numbers = self.f.args
        self.width, self.keys = tile.columns, block_keys(tile)
        self.type = vector(tile.compute, tile.lanes)
        self.groups = range(tile.vectors)

    def call(self, name: str, *numbers: Reg) -> None:
        """Call a function of the same kind."""
        self.f.call(name, "void", [self.descriptor, self.scratch, *numbers])

    # -- the descriptor ---------------------------------------------------------------------------

    def word(self, word: Word) -> Reg:
        return self._at(int(word))

    def _at(self, position: int) -> Reg:
        return self.f.load(self.f.gep(self.descriptor, position, "i64"), "i64")

    def scale(self) -> Reg:
        """The factor of all logits, in every lane."""
        f = self.f
        number = f.bitcast(self.word(Word.SCALE), "double")
        if self.tile.compute != "double":
            number = f.cast("fptrunc", number, self.tile.compute)
        return f.splat(number, self.tile.lanes)

    def stride(self, operand: Operand, axis: int) -> Reg:
        return self._at(stride_word(operand, axis))

    def element(self, operand: Operand, place: Sequence[Reg], type: str) -> Reg:
        """The address of an element of an operand, by its first axes."""
        f, offset = self.f, self.f.const("i64", 0)
        for axis, index in enumerate(place):
            offset = offset + index * self.stride(operand, axis)
        pointer = f.load(f.gep(self.descriptor, int(operand), "ptr"), "ptr")
        return f.gep(pointer, offset, type)

    # -- scratch memory ---------------------------------------------------------------------------

    def room(self, word: Word, index: Reg | int = 0) -> Reg:
        """The address of a number in a part of the scratch memory."""
        start = self.f.gep(self.scratch, self.word(word), "i8")
        return self.f.gep(start, index, self.tile.compute)

    def lanes(self, word: Word, index: Reg | int = 0) -> list[Reg]:
        """A number for each query."""
        return [self.f.load(self.room(word, index + group * self.tile.lanes), self.type)
                for group in self.groups]

    def put_lanes(self, values: Sequence[Reg], word: Word, index: Reg | int = 0) -> None:
        for group, value in enumerate(values):
            self.f.store(value, self.room(word, index + group * self.tile.lanes))

    def constant(self, value: float) -> Reg:
        return self.f.const(self.type, value)

    def clear(self, place: Reg, count: Reg) -> None:
        """Set numbers to zero."""
        f, nbytes = self.f, count * self.tile.word_bytes
        f.call("llvm.memset.p0.i64", "void",
               [place, f.const("i8", 0), nbytes, f.const("i1", 0)])

    # -- panels and products ----------------------------------------------------------------------

    def each_panel(self, length: Reg, body: Callable[[Reg, Reg, Reg], None]) -> None:
        """`body(panel, first, rows)` for rows balanced over panels of at most a tile's."""
        f, most = self.f, self.tile.rows
        panels = (length + (most - 1)).udiv(most)
        short = length.udiv(panels)
        longer = length - short * panels

        def panel(number: Reg, _: list[Reg]) -> None:
            first = number * short + f.minimum(number, longer)
            body(number, first, short + f.cast("zext", number < longer, "i64"))

        f.loop(0, panels, 1, [], panel)

    def kernel(self, rows: Reg, columns: Reg, a: Reg, b: Reg, c: Reg, c_step: Reg | int,
               steps: Reg, add: int) -> None:
        """A tile of c from a packed panel of a and rows of b that are `width` apart."""
        f = self.f
        step = c_step if isinstance(c_step, Reg) else f.const("i64", c_step)
        call_kernel(f, self.tile, f.gep(self.descriptor, int(Word.KERNELS), "ptr"), rows, columns, [
            a, b, f.const("i64", self.width), c, step, steps, f.const("i64", add), b])

    def product(self, length: Reg, columns: Reg, a: Reg, a_step: Reg, b: Reg, c: Reg,
                steps: Reg, add: int) -> None:
        """All panels of a, `a_step` words apart, times one block of queries."""
        def panel(number: Reg, first: Reg, rows: Reg) -> None:
            f = self.f
            self.kernel(rows, columns, f.gep(a, number * a_step, self.tile.compute), b,
                        f.gep(c, first * self.width, self.tile.compute), self.width, steps, add)
        self.each_panel(length, panel)

    def pack(self, name: str, source: Reg, across: Reg, along: Reg, panel: Reg, count: Reg,
             elements: Reg) -> None:
        self.f.call(name, "void", [source, across, along, panel, count, elements])

    def shown(self, row: Reg, queries: Reg, first: Reg, count: Reg) -> tuple[Reg, Reg]:
        """Where in a block of keys the window begins and ends for some queries, by whole panels.

        The last block may have other panels than the whole ones: it counts as one.
        """
        f, zero = self.f, self.f.const("i64", 0)
        panel = f.select(f.compare("eq", count, self.keys),
                         f.const("i64", panel_keys(self.tile)), self.keys)
        begin = f.maximum(row - self.word(Word.LEFT) - first, zero)
        end = f.maximum(row + queries + self.word(Word.RIGHT) - first, zero)
        end = (end + (panel - 1)).udiv(panel) * panel
        return begin.udiv(panel) * panel, f.minimum(end, count)

    # -- sweeps -----------------------------------------------------------------------------------

    def sweep(self, rows: Reg, carried: Sequence[Reg], body: Body) -> list[Reg]:
        """`body(row, group, offset, carried of the group)` for each vector of a block.

        `carried` has one number for each lane, the same count for each group.
        """
        f, each = self.f, len(carried) // self.tile.vectors

        def turn(row: Reg, values: list[Reg]) -> list[Reg]:
            found: list[Reg] = []
            for group in self.groups:
                offset = row * self.width + group * self.tile.lanes
                found += body(row, group, offset, values[group * each:(group + 1) * each])
            return found

        return unrolled(f, rows, carried, turn)

    def any_lane(self, mask: Reg) -> Reg:
        """Whether a lane of a mask is set."""
        f = self.f
        whole = f.bitcast(mask, f"i{self.tile.lanes}")
        return f.compare("ne", whole, 0)

    def any_low(self, largest: Sequence[Reg], count: Reg, limit: float) -> Reg:
        """Whether one of the first `count` numbers is below the limit."""
        f, lanes = self.f, self.tile.lanes
        found = f.const("i1", 0)
        for group, x in enumerate(largest):
            inside = f.first_lanes(f.maximum(count - group * lanes, 0), lanes)
            found = found | self.any_lane(inside & f.compare("olt", x, limit))
        return found
