"""The loops round the micro-kernels over packed lines: tasks, blocks, columns, chunks, lines.

All threads pack the kernel, a panel of columns each. A task then packs a block of lines, and for
each panel of columns takes as many chunks of the sums as the first cache holds of the kernel for
all its lines, before it goes on to the next chunks.
"""

from __future__ import annotations

from arraylib.backends.cpu.convolution.direct import PLACE_BYTES, Word
from arraylib.backends.cpu.convolution.packing import load_word, load_words
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.gemm.kernels import call_kernel
from arraylib.backends.cpu.gemm.tile import Tile

_PART = [("ptr", "descriptor"), ("ptr", "scratch"), ("i64", "number")]
_TASK = [("ptr", "descriptor"), ("ptr", "x"), ("ptr", "w"), ("ptr", "c"), ("i64", "block"),
         ("i64", "low"), ("i64", "high"), ("ptr", "scratch")]


def define_entry(module: Module, tile: Tile, name: str) -> None:
    """`name(descriptor, scratch)`: the kernel is packed, then all tasks run, in parallel."""
    _define_kernel_panel(module, tile)
    _Task(module, tile).write()
    _define_task(module, tile)
    _define_several(module)
    f = Function(module, name, [("ptr", "descriptor"), ("ptr", "scratch")], internal=False)
    args = f.alloca("ptr", 2)
    f.store(f.args[0], args)
    f.store(f.args[1], f.gep(args, 1, "ptr"))
    panels = _panels(f, tile) * load_word(f, Word.GROUPS)
    f.call("arraylib_parfor", "void", [f.address("kernel_panel"), args, panels])
    f.call("arraylib_parfor", "void", [f.address("several"), args, load_word(f, Word.TASK_GROUPS)])
    f.ret()


def _panels(f: Function, tile: Tile) -> Reg:
    return (load_word(f, Word.COLUMNS) + (tile.columns - 1)).udiv(tile.columns)


def _panel_words(f: Function, tile: Tile) -> Reg:
    """Of a panel of the packed kernel."""
    return load_word(f, Word.PANEL_STEPS) * tile.columns


def _table(f: Function, word: Word) -> Reg:
    return f.gep(f.args[0], load_word(f, word), "i64")


def _pointer(f: Function, word: Word, offset: Reg, type: str) -> Reg:
    return f.gep(f.load(f.gep(f.args[0], int(word), "ptr"), "ptr"), offset, type)


# -- the kernel -----------------------------------------------------------------------------------


def _define_kernel_panel(module: Module, tile: Tile) -> None:
    """`kernel_panel(args, number)`: a panel of columns, its chunks in the order of the sum."""
    _define_panel(module, tile)
    f = Function(module, "kernel_panel", [("ptr", "args"), ("i64", "number")])
    args, number = f.args
    f.call("panel", "void", [f.load(args, "ptr"), f.load(f.gep(args, 1, "ptr"), "ptr"), number])
    f.ret()


def _define_panel(module: Module, tile: Tile) -> None:
    f = Function(module, "panel", _PART)
    _, scratch, number = f.args
    panels, steps = _panels(f, tile), load_word(f, Word.STEPS)
    group, panel = _divided(number, panels)
    column, across = panel * tile.columns, load_word(f, Word.W_COLUMN)
    w = _pointer(f, Word.W, group * load_word(f, Word.W_GROUP) + column * across, tile.stored)
    target = f.gep(scratch, number * _panel_words(f, tile), tile.word)
    blocks, longer = load_word(f, Word.SIDE_BLOCKS), load_word(f, Word.SIDE_LONGER)
    choices = load_word(f, Word.CHUNKS).udiv(blocks)
    short, columns = load_word(f, Word.SIDE_SHORT), load_word(f, Word.COLUMNS) - column
    offsets, pack = _table(f, Word.W_OFFSETS), f.load(f.gep(f.args[0], int(Word.PACK_W), "ptr"),
                                                      "ptr")

    def chunk(at: Reg, _: list[Reg]) -> None:
        real = short + f.cast("zext", at.udiv(choices) < longer, "i64")
        start = f.gep(target, at * steps * tile.columns, tile.word)
        source = f.gep(w, f.load(f.gep(offsets, at, "i64"), "i64"), tile.stored)
        f.call(pack, "void", [source, across, load_word(f, Word.W_SIDE), start, columns, real])
        f.call("llvm.memset.p0.i64", "void", [
            f.gep(start, real * tile.columns, tile.word), f.const("i8", 0),
            (steps - real) * (tile.columns * tile.word_bytes), f.const("i1", 0)])

    f.loop(0, load_word(f, Word.CHUNKS), 1, [], chunk)
    f.ret()


# -- tasks ----------------------------------------------------------------------------------------


def _define_several(module: Module) -> None:
    """`several(args, number)`: consecutive tasks with their own piece of scratch."""
    f = Function(module, "several", [("ptr", "args"), ("i64", "number")])
    args, number = f.args
    descriptor, scratch = f.load(args, "ptr"), f.load(f.gep(args, 1, "ptr"), "ptr")

    def word(which: Word) -> Reg:
        return f.load(f.gep(descriptor, int(which), "i64"), "i64")

    own = f.gep(scratch, word(Word.SHARED_BYTES) + number * word(Word.TASK_BYTES), "i8")
    start = number * word(Word.TASKS_AT_ONCE)
    end = f.minimum(start + word(Word.TASKS_AT_ONCE), word(Word.TASKS))

    def run(task: Reg, _: list[Reg]) -> None:
        f.call("task", "void", [descriptor, scratch, own, task])

    f.loop(start, end, 1, [], run)
    f.ret()


def _define_task(module: Module, tile: Tile) -> None:
    """`task(descriptor, shared, own, number)`: find a task's group, block and columns."""
    f = Function(module, "task", [("ptr", "descriptor"), ("ptr", "shared"), ("ptr", "own"),
                                  ("i64", "number")])
    _, shared, own, number = f.args
    parts, panels = load_word(f, Word.COLUMN_PARTS), _panels(f, tile)
    rest, part = _divided(number, parts)
    group, block = _divided(rest, load_word(f, Word.BLOCKS))
    low, high = ((part + i) * panels.udiv(parts) + f.minimum(part + i, panels.urem(parts))
                 for i in range(2))
    w = f.gep(shared, group * panels * _panel_words(f, tile), tile.word)
    f.call("windows", "void", [
        f.args[0], _pointer(f, Word.X, group * load_word(f, Word.X_GROUP), tile.stored), w,
        _pointer(f, Word.C, group * load_word(f, Word.C_GROUP), tile.kept), block, low, high, own])
    f.ret()


class _Task:
    """`windows` under construction: one task."""

    def __init__(self, module: Module, tile: Tile) -> None:
        self.f = f = Function(module, "windows", _TASK)
        self.tile = tile
        _, self.x, self.w, self.c, block, self.low, self.high, self.packed = f.args
        line_block, at_once = load_word(f, Word.LINE_BLOCKS), load_word(f, Word.LINES_AT_ONCE)
        turn, place = _divided(block, line_block)
        self.segment = turn * load_word(f, Word.SEGMENTS_AT_ONCE)
        self.segments = f.minimum(load_word(f, Word.SEGMENTS_AT_ONCE),
                                  load_word(f, Word.SEGMENTS) - self.segment)
        self.line = place * at_once
        self.lines = f.minimum(at_once, load_word(f, Word.LINES) - self.line)
        self.segment_bytes = load_word(f, Word.SEGMENT_BYTES)
        self.line_bytes = load_word(f, Word.LINE_BYTES)
        self.strides = load_words(f, Word.OF_MOVING, 4)
        self.room = f.alloca(tile.compute, tile.rows * tile.columns, align=64)

    def write(self) -> None:
        f = self.f
        f.loop(0, self.segments, 1, [], self._pack)
        f.loop(self.low, self.high, 1, [], self._columns)
        f.ret()

    def _pack(self, number: Reg, _: list[Reg]) -> None:
        f = self.f
        f.call(f.load(f.gep(f.args[0], int(Word.PACK_X), "ptr"), "ptr"), "void", [
            f.args[0], self.x, self.segment + number, self.line, f.const("i64", 0),
            load_word(f, Word.SIDE_BLOCKS), f.gep(self.packed, number * self.segment_bytes, "i8")])

    def _columns(self, panel: Reg, _: list[Reg]) -> None:
        f, tile = self.f, self.tile
        chunks, at_once = load_word(f, Word.CHUNKS), load_word(f, Word.CHUNKS_AT_ONCE)
        steps, offsets = load_word(f, Word.STEPS), _table(f, Word.OFFSETS)
        w = f.gep(self.w, panel * _panel_words(f, tile), tile.word)
        c = f.gep(self.c, panel * tile.columns, tile.kept)
        left = load_word(f, Word.COLUMNS) - panel * tile.columns

        def some(first: Reg, _: list[Reg]) -> None:
            count = f.minimum(at_once, chunks - first)
            kernel = f.gep(w, first * steps * tile.columns, tile.word)
            args = [f.gep(offsets, first, "i64"), count, steps, kernel]
            add = f.cast("zext", first > 0, "i64")
            f.loop(0, self.segments, 1, [], lambda number, _: self._segment(
                number, c, args, left, add))

        f.loop(0, chunks, at_once, [], some)

    def _segment(self, number: Reg, c: Reg, args: list[Reg], left: Reg, add: Reg) -> None:
        """All lines of a segment through some chunks of their sums."""
        f, tile = self.f, self.tile
        first, second = _divided(self.segment + number, load_word(f, Word.MOVING + 1))
        at = first * self.strides[0] + second * self.strides[1]
        packed = f.gep(self.packed, number * self.segment_bytes, "i8")

        def line(place: Reg, _: list[Reg]) -> None:
            target = f.gep(c, at + (self.line + place) * self.strides[2], tile.kept)
            self._line(f.gep(packed, place * self.line_bytes, "i8"), target, args, left, add)

        f.loop(0, self.lines, 1, [], line)

    def _line(self, packed: Reg, c: Reg, args: list[Reg], left: Reg, add: Reg) -> None:
        f, tile = self.f, self.tile
        short, longer = load_word(f, Word.ROWS_SHORT), load_word(f, Word.ROWS_LONGER)

        def panel(number: Reg, _: list[Reg]) -> None:
            row = number * short + f.minimum(number, longer)
            rows = short + f.cast("zext", number < longer, "i64")
            self._tile(f.gep(packed, row * PLACE_BYTES, "i8"),
                       f.gep(c, row * self.strides[3], tile.kept), rows, args, left, add)

        f.loop(0, load_word(f, Word.ROW_PANELS), 1, [], panel)

    def _tile(self, x: Reg, c: Reg, rows: Reg, args: list[Reg], left: Reg, add: Reg) -> None:
        """One tile of C, added to what earlier chunks gave."""
        f, tile, zero = self.f, self.tile, self.f.const("i64", 0)

        def multiply(target: Reg, step: Reg, add: Reg) -> None:
            call_kernel(f, tile, f.gep(f.args[0], int(Word.KERNELS), "ptr"), rows, left,
                        [x, *args, target, step, add])

        def by_way_of_room() -> None:
            multiply(self.room, f.const("i64", tile.columns), zero)
            f.call(f.load(f.gep(f.args[0], int(Word.FINISH), "ptr"), "ptr"), "void", [
                self.room, self.room, zero, c, self.strides[3], f.const("i64", 1), rows, left, add,
                zero])

        if tile.converts:
            by_way_of_room()
        else:
            f.branch(left >= tile.columns, lambda: multiply(c, self.strides[3], add),
                     by_way_of_room)


def _divided(number: Reg, by: Reg) -> tuple[Reg, Reg]:
    """Quotient and remainder."""
    quotient = number.udiv(by)
    return quotient, number - quotient * by
