"""The loops of sums along packed lines, as a kernel's gradient has.

A task goes through its part of the blocks. Of each it packs the other operand, its columns, and
then for each panel of the side the lines; and takes all choices of windows with all columns. The
results of a part, where there are several, are kept apart and added up at the end.
"""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.convolution.direct import Word
from arraylib.backends.cpu.convolution.direct_driver import (
    PART,
    TASK,
    Block,
    call_tile,
    define_several,
    divided,
    function,
    in_parallel,
    panel_count,
    panel_words,
    pointer,
    shares,
    table,
)
from arraylib.backends.cpu.convolution.packing import load_word, load_words
from arraylib.backends.cpu.emitter import Function, Module, Reg, vector
from arraylib.backends.cpu.gemm.tile import Tile, store_result

_TAPS = [("ptr", "descriptor"), ("ptr", "x"), ("ptr", "w"), ("ptr", "c"), ("i64", "part"),
         ("i64", "first"), ("i64", "last"), ("i64", "low"), ("i64", "high"), ("ptr", "scratch")]


def define_taps_entry(module: Module, tile: Tile, name: str) -> None:
    """`name(descriptor, scratch)`: all tasks, then the sums of the parts, in parallel."""
    _Taps(module, tile).write()
    _define_task(module, tile)
    define_several(module)
    _define_add_parts(module, tile)
    f = Function(module, name, [("ptr", "descriptor"), ("ptr", "scratch")], internal=False)
    in_parallel(f, "several", load_word(f, Word.TASK_GROUPS))
    turns = load_word(f, Word.GROUPS) * _choices(f) * load_word(f, Word.SIDE_BLOCKS)
    in_parallel(f, "add_parts", turns * load_word(f, Word.PARTIAL))
    f.ret()


def _choices(f: Function) -> Reg:
    first, *rest = load_words(f, Word.CHOSEN, 4)
    for count in rest:
        first *= count
    return first


def _define_task(module: Module, tile: Tile) -> None:
    """`task(descriptor, shared, own, number)`: find a task's group, part, panels and columns."""
    f = Function(module, "task", TASK)
    _, shared, own, number = f.args
    parts, panel_parts, column_parts = (load_word(f, w) for w in (
        Word.PARTS, Word.PANEL_PARTS, Word.COLUMN_PARTS))
    rest, columns = divided(number, column_parts)
    rest, panels = divided(rest, panel_parts)
    group, part = divided(rest, parts)
    first, last = shares(f, load_word(f, Word.SIDE_BLOCKS), panel_parts, panels)
    low, high = shares(f, panel_count(f, tile), column_parts, columns)
    c = pointer(f, Word.C, group * load_word(f, Word.C_GROUP), tile.kept)
    results = f.gep(shared, (group * parts + part) * load_word(f, Word.PART_WORDS), tile.word)
    partial = f.compare("ne", load_word(f, Word.PARTIAL), 0)
    f.call("taps", "void", [
        f.args[0], pointer(f, Word.X, group * load_word(f, Word.X_GROUP), tile.stored),
        pointer(f, Word.W, group * load_word(f, Word.W_GROUP), tile.stored),
        f.select(partial, results, c), part, first, last, low, high, own])
    f.ret()


class _Taps:
    """`taps` under construction: a part of the sums, some panels of the side, some columns."""

    def __init__(self, module: Module, tile: Tile) -> None:
        self.f = f = Function(module, "taps", _TAPS)
        self.tile = tile
        (_, self.x, self.w, self.c, self.part, self.first, self.last, self.low, self.high,
         self.packed) = f.args
        self.other = f.gep(self.packed, load_word(f, Word.W_BYTES), "i8")
        self.room = f.alloca(tile.compute, tile.rows * tile.columns, align=64)
        self.sizes, self.steps = load_words(f, Word.CHOSEN, 4), load_words(f, Word.TARGET, 4)
        self.partial = f.compare("ne", load_word(f, Word.PARTIAL), 0)

    def write(self) -> None:
        f = self.f
        start, end = shares(f, load_word(f, Word.BLOCKS), load_word(f, Word.PARTS), self.part)

        def one(number: Reg, _: list[Reg]) -> None:
            block = Block(f, number)
            self._pack_other(block)
            f.loop(self.first, self.last, 1, [], lambda panel, _: self._panel(
                block, panel, f.cast("zext", number > start, "i64")))

        f.loop(start, end, 1, [], one)
        f.ret()

    def _columns(self, number: Reg) -> Reg:
        """Where a panel of columns of the other operand is packed."""
        f, tile = self.f, self.tile
        return f.gep(self.other, (number - self.low) * panel_words(f, tile), tile.word)

    def _pack_other(self, block: Block) -> None:
        f, tile, across = self.f, self.tile, load_word(self.f, Word.W_COLUMN)
        length, columns = load_word(f, Word.STEPS), load_word(f, Word.COLUMNS)

        def panel(number: Reg, _: list[Reg]) -> None:
            target, column = self._columns(number), number * tile.columns

            def line(segment: Reg, line: Reg, offset: Reg) -> None:
                place = (segment * block.lines + line) * length * tile.columns
                f.call(function(f, Word.PACK_W), "void", [
                    f.gep(self.w, offset + column * across, tile.stored), across, block.moving[3],
                    f.gep(target, place, tile.word), columns - column, length])

            block.each_line(line)

        f.loop(self.low, self.high, 1, [], panel)

    def _panel(self, block: Block, panel: Reg, add: Reg) -> None:
        """The lines of a panel of the side, with all columns and choices."""
        f, tile = self.f, self.tile
        block.pack(self.x, panel, panel + 1, self.packed)
        short, longer = load_word(f, Word.SIDE_SHORT), load_word(f, Word.SIDE_LONGER)
        row, step = panel * short + f.minimum(panel, longer), load_word(f, Word.TARGET_SIDE)
        rows = short + f.cast("zext", panel < longer, "i64")
        args = [table(f, Word.OFFSETS), block.segments * block.lines, load_word(f, Word.STEPS)]

        def columns(number: Reg, _: list[Reg]) -> None:
            column = number * tile.columns
            left, w = load_word(f, Word.COLUMNS) - column, self._columns(number)

            def choice(start: Reg, offset: Reg) -> None:
                call_tile(f, tile, self.room,
                          (f.gep(self.c, offset + row * step + column, tile.kept), step), rows,
                          left, [f.gep(self.packed, start, "i8"), *args, w], add, self.partial)

            self._each_choice(choice)

        f.loop(self.low, self.high, 1, [], columns)

    def _each_choice(self, body: Callable[[Reg, Reg], None]) -> None:
        """Call `body` with where a choice starts in packed lines, in bytes, and its offset in the
        results."""
        f = self.f
        lines, places = table(f, Word.LINE_STARTS), table(f, Word.PLACE_STARTS)
        outer_bytes = load_word(f, Word.SIDE_BYTES).udiv(self.sizes[0] * self.sizes[1])

        def outer(number: Reg, _: list[Reg]) -> None:
            first, second = divided(number, self.sizes[1])
            offset = first * self.steps[0] + second * self.steps[1]

            def line(third: Reg, _: list[Reg]) -> None:
                start = number * outer_bytes + f.load(f.gep(lines, third, "i64"), "i64")
                f.loop(0, self.sizes[3], 1, [], lambda fourth, _: body(
                    start + f.load(f.gep(places, fourth, "i64"), "i64"),
                    offset + third * self.steps[2] + fourth * self.steps[3]))

            f.loop(0, self.sizes[2], 1, [], line)

        f.loop(0, self.sizes[0] * self.sizes[1], 1, [], outer)


# -- parts ----------------------------------------------------------------------------------------


def _define_add_parts(module: Module, tile: Tile) -> None:
    """`add_parts(descriptor, scratch, number)`: the results of a group, a choice and a panel of the
    side, their parts added up in order."""
    f = Function(module, "add_parts", PART)
    _, scratch, number = f.args
    rest, panel = divided(number, load_word(f, Word.SIDE_BLOCKS))
    group, choice = divided(rest, _choices(f))
    place, index = group * load_word(f, Word.C_GROUP), choice
    for i in reversed(range(4)):
        index, at = divided(index, load_word(f, Word.CHOSEN + i))
        place += at * load_word(f, Word.OF_CHOSEN + i)
    c, parts = pointer(f, Word.C, place, tile.kept), load_word(f, Word.PARTS)
    low, high = shares(f, load_word(f, Word.SIDE), load_word(f, Word.SIDE_BLOCKS), panel)
    width, words = load_word(f, Word.TARGET_SIDE), load_word(f, Word.PART_WORDS)
    source = f.gep(scratch, group * parts * words + choice * load_word(f, Word.SIDE) * width,
                   tile.word)

    def row(number: Reg, _: list[Reg]) -> None:
        line = f.gep(c, number * load_word(f, Word.C_SIDE), tile.kept)

        def some(column: Reg, _: list[Reg]) -> None:
            start = f.gep(source, number * width + column, tile.word)
            type = vector(tile.compute, tile.lanes)
            (total,) = f.loop(1, parts, 1, [f.load(start, type)], lambda part, totals: [
                totals[0] + f.load(f.gep(start, part * words, tile.word), type)])
            mask = f.first_lanes(load_word(f, Word.COLUMNS) - column, tile.lanes)
            store_result(f, tile, total, f.gep(line, column, tile.kept), mask)

        f.loop(0, load_word(f, Word.COLUMNS), tile.lanes, [], some)

    f.loop(low, high, 1, [], row)
    f.ret()
