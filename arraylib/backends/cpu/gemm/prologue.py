"""Operands that are computed while they are packed, and never stored.

The address of such an operand only says which element is meant: it counts, from 0, the elements of
a dense array [product, outer, inner], whose inner axis is the one with a stride of 1. What is about
to be packed is computed into a *strip*, lines along the inner axis, which stays in the first or
second cache; then it is packed from there, like anything else.

A descriptor's MAKE_A and MAKE_B say how: `make(arguments, box, strip)` computes a box of the
operand, i64[BOX]: its product; from where to where along the outer axis; likewise along the inner;
and how many elements a line of the strip is from the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from arraylib.backends.cpu.emitter import Reg, element_bytes
from arraylib.backends.cpu.gemm.descriptor import Word, longest_block
from arraylib.backends.cpu.gemm.packing import ROWS_AT_ONCE
from arraylib.backends.cpu.gemm.tile import Tile

if TYPE_CHECKING:
    from arraylib.backends.cpu.gemm.driver import Block, Part

BOX = 6
_STRIP_COLUMNS = 512  # of B that are computed at a time, where they are neighbours
_BETWEEN = 16         # elements between lines: else lines would share the sets of a cache


class Maker:
    """Packs operands that are computed; belongs to a part under construction."""

    def __init__(self, part: Part) -> None:
        self.part, self.f, self.tile = part, part.f, part.tile
        self._few = ROWS_AT_ONCE * self.tile.step
        self._box = self.f.alloca("i64", BOX)
        self._strip = self.f.alloca(self.tile.stored, _room(self.tile), align=64)

    def makes(self, word: Word) -> Reg:
        """Whether MAKE_A or MAKE_B says how to compute an operand."""
        return self.f.compare("ne", self.part.word(word), 0)

    def pack_a(self, block: Block, low: Reg, high: Reg, place: Reg) -> None:
        """Pack the row panels `low .. high - 1` into `place` and what follows."""
        by_columns = self.f.compare("eq", self.part.word(Word.A_ROW), 1)
        self.f.branch(by_columns, lambda: self._columns_of_a(block, low, high, place),
                      lambda: self._rows_of_a(block, low, high, place))

    def _rows_of_a(self, block: Block, low: Reg, high: Reg, place: Reg) -> None:
        """Lines go along k: those of one panel at a time."""
        f, part = self.f, self.part

        def panel(number: Reg, _: list[Reg]) -> None:
            start = part.first_row(number)
            rows = part.first_row(number + 1) - start
            apart = self._make(Word.MAKE_A, part.a_place(start, block.first),
                               (Word.M, Word.K), (rows, block.elements))
            f.call(part.pointer(Word.PACK_A), "void", [
                self._strip, apart, f.const("i64", 1), part.a_panel_at(place, number - low),
                rows, block.elements])

        f.loop(low, high, 1, [], panel)

    def _columns_of_a(self, block: Block, low: Reg, high: Reg, place: Reg) -> None:
        """Lines go over rows: those of all panels, for a few steps along k at a time."""
        f, part = self.f, self.part
        start = part.first_row(low)

        def some(first: Reg, _: list[Reg]) -> None:
            count = f.minimum(f.const("i64", self._few), block.elements - first)
            apart = self._make(Word.MAKE_A, part.a_place(start, block.first + first),
                               (Word.K, Word.M), (count, part.first_row(high) - start))
            words = first.lshr(self.tile.step - 1) * self.tile.a_width

            def panel(number: Reg, _: list[Reg]) -> None:
                row = part.first_row(number)
                target = f.gep(part.a_panel_at(place, number - low), words, self.tile.word)
                f.call(part.pointer(Word.PACK_A), "void", [
                    f.gep(self._strip, row - start, self.tile.stored), f.const("i64", 1), apart,
                    target, part.first_row(number + 1) - row, count])

            f.loop(low, high, 1, [], panel)

        f.loop(0, block.elements, self._few, [], some)

    def pack_b(self, block: Block, origin: Reg, start: Reg, stop: Reg, low: Reg | int,
               high: Reg | None) -> None:
        """Pack columns, as `Part.pack_panels` does."""
        end = block.elements if high is None else high
        by_rows = self.f.compare("eq", self.part.word(Word.B_COL), 1)
        self.f.branch(by_rows, lambda: self._rows_of_b(block, origin, start, stop, low, end),
                      lambda: self._columns_of_b(block, origin, start, stop))

    def _rows_of_b(self, block: Block, origin: Reg, start: Reg, stop: Reg, low: Reg | int,
                   end: Reg) -> None:
        """Lines go over columns: of many panels, for a few steps along k at a time."""
        f, part, width = self.f, self.part, self.tile.columns

        def some(first: Reg, _: list[Reg]) -> None:
            count = f.minimum(f.const("i64", self._few), end - first)
            words = first.lshr(self.tile.step - 1) * width

            def stretch(left: Reg, _: list[Reg]) -> None:
                right = f.minimum(left + _STRIP_COLUMNS, stop)
                apart = self._make(Word.MAKE_B, part.b_place(block.first + first, left),
                                   (Word.K, Word.N), (count, right - left))

                def panel(column: Reg, _: list[Reg]) -> None:
                    target = part.b_panel((column - origin).udiv(width))
                    f.call(part.pointer(Word.PACK_B), "void", [
                        f.gep(self._strip, column - left, self.tile.stored), f.const("i64", 1),
                        apart, f.gep(target, words, self.tile.word), right - column, count])

                f.loop(left, right, width, [], panel)

            f.loop(start, stop, _STRIP_COLUMNS, [], stretch)

        f.loop(low, end, self._few, [], some)

    def _columns_of_b(self, block: Block, origin: Reg, start: Reg, stop: Reg) -> None:
        """Lines go along k: those of one panel at a time."""
        f, part, width = self.f, self.part, self.tile.columns

        def panel(column: Reg, _: list[Reg]) -> None:
            count = f.minimum(f.const("i64", width), stop - column)
            apart = self._make(Word.MAKE_B, part.b_place(block.first, column),
                               (Word.N, Word.K), (count, block.elements))
            f.call(part.pointer(Word.PACK_B), "void", [
                self._strip, apart, f.const("i64", 1),
                part.b_panel((column - origin).udiv(width)), count, block.elements])

        f.loop(start, stop, width, [], panel)

    def _make(self, word: Word, element: Reg, extent: tuple[Word, Word],
              size: tuple[Reg, Reg]) -> Reg:
        """Compute the box of `size`, outer by inner, from `element` on; the distance of its lines.

        `extent` is that of the whole operand, outer and inner.
        """
        f, part = self.f, self.part
        outer, inner = (part.word(each) for each in extent)
        number = f.cast("ptrtoint", element, "i64").udiv(element_bytes(self.tile.stored))
        line = number.udiv(inner)
        column, product = number - line * inner, line.udiv(outer)
        row = line - product * outer
        apart = size[1] + _BETWEEN
        for i, value in enumerate((product, row, row + size[0], column, column + size[1], apart)):
            f.store(value, f.gep(self._box, i, "i64"))
        arguments = part.pointer(Word(word + 1))
        f.call(part.pointer(word), "void", [arguments, self._box, self._strip])
        return apart


def _room(tile: Tile) -> int:
    """Elements of the longest strip: lines along k of a panel, or a few steps of many columns."""
    lines = max(tile.columns, tile.rows) * (longest_block(tile) * tile.step + _BETWEEN)
    return max(lines, ROWS_AT_ONCE * tile.step * (_STRIP_COLUMNS + _BETWEEN))
