"""The loops round the micro-kernels: tasks, blocks of k, panels of rows and of columns.

A task is a range of row panels times a range of columns of one group. Where W is small it is packed
once, and a few panels of rows go through all of k while their results stay in the cache; else, for
each block of k in turn, W is packed and all rows follow.
"""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.convolution.descriptor import PANELS_AT_ONCE, Word
from arraylib.backends.cpu.convolution.packing import (
    coordinates,
    load_word,
    load_words,
    weighted,
)
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.gemm.kernels import call_kernel
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.record import record

_TASK = [("ptr", "descriptor"), ("ptr", "x"), ("ptr", "w"), ("ptr", "c"), ("i64", "low"),
         ("i64", "high"), ("i64", "columns"), ("ptr", "scratch")]


@record
class _Block:
    """A block of k: its number, its turns of the outer axes, and its part of the run."""

    number: Reg
    outer: Reg
    outers: Reg
    run: Reg
    steps: Reg


class _Task:
    """`convolve` under construction: one task."""

    def __init__(self, module: Module, tile: Tile) -> None:
        self.f = f = Function(module, "convolve", _TASK)
        self.tile = tile
        _, self.x, self.w, self.c, self.low, self.high, self.columns, scratch = f.args
        self.panel_steps = self.word(Word.PANEL_STEPS)
        self.x_panels = scratch
        self.w_panels = f.gep(scratch, self.word(Word.W_OFFSET), "i8")
        self.zeros = f.gep(scratch, self.word(Word.ZEROS_OFFSET), "i8")
        self.room = f.alloca(tile.compute, tile.rows * tile.columns, align=64)
        self.column_panels = (self.columns + (tile.columns - 1)).udiv(tile.columns)
        line, self.line_panels = self.word(Word.LINE), self.word(Word.LINE_PANELS)
        self.line = line
        self.short = line.udiv(self.line_panels)
        self.longer = line - self.short * self.line_panels  # so many panels have a row more

    def word(self, word: int) -> Reg:
        return load_word(self.f, word)

    def function(self, word: Word) -> Reg:
        return self.f.load(self.f.gep(self.f.args[0], int(word), "ptr"), "ptr")

    def write(self) -> None:
        f = self.f
        f.call("llvm.memset.p0.i64", "void", [
            self.zeros, f.const("i8", 0), self.word(Word.ZEROS_BYTES), f.const("i1", 0)])
        f.branch(f.compare("ne", self.word(Word.WHOLE), 0), self._rows_first, self._blocks_first)
        f.ret()

    def _rows_first(self) -> None:
        self._each_block(lambda block: self._pack_w(block, block.number))
        self._each_group(lambda low, high: self._each_block(
            lambda block: self._group(block, block.number, low, high)))

    def _blocks_first(self) -> None:
        def run(block: _Block) -> None:
            first = self.f.const("i64", 0)
            self._pack_w(block, first)
            self._each_group(lambda low, high: self._group(block, first, low, high))

        self._each_block(run)

    def _each_group(self, body: Callable[[Reg, Reg], None]) -> None:
        f = self.f

        def group(low: Reg, _: list[Reg]) -> None:
            body(low, f.minimum(low + PANELS_AT_ONCE, self.high))

        f.loop(self.low, self.high, PANELS_AT_ONCE, [], group)

    def _each_block(self, body: Callable[[_Block], None]) -> None:
        f = self.f
        runs, blocks = self.word(Word.RUN_BLOCKS), self.word(Word.OUTER_BLOCKS)
        outers, length = self.word(Word.OUTERS), self.word(Word.RUN_STEPS)
        share = self.word(Word.BLOCK_OUTERS)

        def along(run: Reg, _: list[Reg]) -> None:
            start = run * length
            steps = f.minimum(length, self.word(Word.K_SIZE + 3) - start)

            def one(number: Reg, _: list[Reg]) -> None:
                outer = number * share
                body(_Block(run * blocks + number, outer, f.minimum(share, outers - outer), start,
                            steps))

            f.loop(0, blocks, 1, [], one)

        f.loop(0, runs, 1, [], along)

    # -- panels -----------------------------------------------------------------------------------

    def _w_panel(self, place: Reg, panel: Reg) -> Reg:
        size = self.panel_steps * self.tile.columns
        return self.f.gep(self.w_panels, (place * self.column_panels + panel) * size,
                          self.tile.word)

    def _pack_w(self, block: _Block, place: Reg) -> None:
        """The panels of W for a block, as the block of number `place` in scratch."""
        f, tile, across = self.f, self.tile, self.word(Word.W_COL)
        sizes, strides = load_words(f, Word.K_SIZE, 3), load_words(f, Word.K_W, 4)
        pack = self.function(Word.PACK_W)

        def panel(number: Reg, _: list[Reg]) -> None:
            column = number * tile.columns

            def tap(turn: Reg, _: list[Reg]) -> None:
                at = weighted(coordinates(block.outer + turn, sizes), strides[:3])
                offset = at + block.run * strides[3] + column * across
                target = f.gep(self._w_panel(place, number), turn * block.steps * tile.columns,
                               tile.word)
                f.call(pack, "void", [f.gep(self.w, offset, tile.stored), across, strides[3],
                                          target, self.columns - column, block.steps])

            f.loop(0, block.outers, 1, [], tap)

        f.loop(0, self.column_panels, 1, [], panel)

    def _first_row(self, panel: Reg) -> Reg:
        """The first row of a panel, counting all lines."""
        line = panel.udiv(self.line_panels)
        place = panel - line * self.line_panels
        return line * self.line + place * self.short + self.f.minimum(place, self.longer)

    def _rows(self, panel: Reg) -> Reg:
        place = panel.urem(self.line_panels)
        return self.short + self.f.cast("zext", place < self.longer, "i64")

    def _x_panel(self, number: Reg) -> Reg:
        size = self.panel_steps * self.tile.a_width
        return self.f.gep(self.x_panels, number * size, self.tile.word)

    def _group(self, block: _Block, place: Reg, low: Reg, high: Reg) -> None:
        """Panels of rows low..high through one block of k, all columns."""
        f = self.f
        pack = self.function(Word.PACK_X)

        def packed(panel: Reg, _: list[Reg]) -> None:
            f.call(pack, "void", [
                f.args[0], self.x, self._first_row(panel), self._rows(panel), block.outer,
                block.outers, block.run, block.steps, self._x_panel(panel - low), self.zeros])

        f.loop(low, high, 1, [], packed)

        def column(number: Reg, _: list[Reg]) -> None:
            w = self._w_panel(place, number)
            f.loop(low, high, 1, [], lambda panel, _: self._tile(
                block, self._x_panel(panel - low), w, panel, number))

        f.loop(0, self.column_panels, 1, [], column)

    def _tile(self, block: _Block, x: Reg, w: Reg, panel: Reg, number: Reg) -> None:
        """One tile of C, added to what earlier blocks of k gave."""
        f, tile = self.f, self.tile
        column, rows, row = number * tile.columns, self._rows(panel), self.word(Word.C_ROW)
        at = coordinates(self._first_row(panel), load_words(f, Word.I_SIZE, 4))
        c = f.gep(self.c, weighted(at, load_words(f, Word.I_C, 4)) + column, tile.kept)
        add = f.cast("zext", block.number > 0, "i64")
        left, zero = self.columns - column, f.const("i64", 0)

        def multiply(target: Reg, step: Reg, add: Reg) -> None:
            call_kernel(f, tile, f.gep(f.args[0], int(Word.KERNELS), "ptr"), rows, left, [
                x, w, f.const("i64", tile.columns), target, step, block.outers * block.steps, add,
                w])

        def by_way_of_room() -> None:
            multiply(self.room, f.const("i64", tile.columns), zero)
            f.call(self.function(Word.FINISH), "void", [
                self.room, self.room, zero, c, row, f.const("i64", 1), rows, left, add, zero])

        f.branch(left >= tile.columns, lambda: multiply(c, row, add), by_way_of_room)


def define_convolve(module: Module, tile: Tile) -> None:
    """`convolve`: one task."""
    _Task(module, tile).write()


def define_entry(module: Module, tile: Tile, name: str) -> None:
    """`name(descriptor, scratch)`: all chunks in parallel."""
    _define_part(module, tile)
    _define_chunk(module)
    f = Function(module, name, [("ptr", "descriptor"), ("ptr", "scratch")], internal=False)
    args = f.alloca("ptr", 2)
    f.store(f.args[0], args)
    f.store(f.args[1], f.gep(args, 1, "ptr"))
    f.call("arraylib_parfor", "void", [f.address("chunk"), args, load_word(f, Word.CHUNKS)])
    f.ret()


def _define_chunk(module: Module) -> None:
    """`chunk(args, number)`: consecutive tasks with their own piece of scratch."""
    f = Function(module, "chunk", [("ptr", "args"), ("i64", "number")])
    args, number = f.args
    descriptor = f.load(args, "ptr")

    def word(which: Word) -> Reg:
        return f.load(f.gep(descriptor, int(which), "i64"), "i64")

    scratch = f.gep(f.load(f.gep(args, 1, "ptr"), "ptr"), number * word(Word.CHUNK_BYTES), "i8")
    share = word(Word.TASKS_PER_CHUNK)
    start = number * share

    def run(task: Reg, _: list[Reg]) -> None:
        f.call("part", "void", [descriptor, scratch, task])

    f.loop(start, f.minimum(start + share, word(Word.TASKS)), 1, [], run)
    f.ret()


def _define_part(module: Module, tile: Tile) -> None:
    """`part(descriptor, scratch, task)`: find a task's group, rows and columns, and convolve."""
    f = Function(module, "part", [("ptr", "descriptor"), ("ptr", "scratch"), ("i64", "task")])
    row_parts, column_parts = load_word(f, Word.ROW_PARTS), load_word(f, Word.COLUMN_PARTS)
    group, rest = _divided(f.args[2], row_parts * column_parts)
    row, column = _divided(rest, column_parts)
    panels = load_word(f, Word.LINES) * load_word(f, Word.LINE_PANELS)
    low, high = (((row + i) * panels).udiv(row_parts) for i in range(2))
    columns = load_word(f, Word.COLUMNS)
    wide = (columns + (tile.columns - 1)).udiv(tile.columns)
    first, last = (((column + i) * wide).udiv(column_parts) * tile.columns for i in range(2))

    def pointer(which: Word, offset: Reg) -> Reg:
        return f.gep(f.load(f.gep(f.args[0], int(which), "ptr"), "ptr"), offset, tile.stored)

    x = group * load_word(f, Word.X_GROUP) + load_word(f, Word.X_ORIGIN)
    f.call("convolve", "void", [
        f.args[0], pointer(Word.X, x),
        pointer(Word.W, group * load_word(f, Word.W_GROUP) + first * load_word(f, Word.W_COL)),
        pointer(Word.C, group * load_word(f, Word.C_GROUP) + first), low, high,
        f.minimum(last, columns) - first, f.args[1]])
    f.ret()


def _divided(number: Reg, by: Reg) -> tuple[Reg, Reg]:
    """Quotient and remainder."""
    quotient = number.udiv(by)
    return quotient, number - quotient * by
