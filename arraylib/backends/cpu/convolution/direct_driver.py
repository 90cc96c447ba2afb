"""The loops round the micro-kernels over packed lines: tasks, blocks, columns, chunks, lines.

All threads pack the kernel, some chunks of the sums each. A task then packs a block of lines, and
for each panel of columns takes as many chunks of the sums as the first cache holds of the kernel
for all its lines, before it goes on to the next chunks.
"""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.convolution.direct import PLACE_BYTES, Word
from arraylib.backends.cpu.convolution.packing import load_word, load_words
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.gemm.kernels import call_kernel
from arraylib.backends.cpu.gemm.tile import Tile

PART = [("ptr", "descriptor"), ("ptr", "scratch"), ("i64", "number")]
TASK = [("ptr", "descriptor"), ("ptr", "shared"), ("ptr", "own"), ("i64", "number")]
_WINDOWS = [("ptr", "descriptor"), ("ptr", "x"), ("ptr", "w"), ("ptr", "c"), ("i64", "block"),
            ("i64", "low"), ("i64", "high"), ("ptr", "scratch")]


def define_windows_entry(module: Module, tile: Tile, name: str) -> None:
    """`name(descriptor, scratch)`: the kernel is packed, then all tasks run, in parallel."""
    _define_kernel_part(module, tile)
    _Windows(module, tile).write()
    _define_task(module, tile)
    define_several(module)
    f = Function(module, name, [("ptr", "descriptor"), ("ptr", "scratch")], internal=False)
    in_parallel(f, "kernel_part", load_word(f, Word.PARTS) * load_word(f, Word.GROUPS))
    in_parallel(f, "several", load_word(f, Word.TASK_GROUPS))
    f.ret()


def in_parallel(f: Function, name: str, count: Reg) -> None:
    """Call `name(descriptor, scratch, number)` for all numbers; `f` has the first two."""
    call = f"call_{name}"
    part = Function(f.module, call, [("ptr", "args"), ("i64", "number")])
    args, number = part.args
    part.call(name, "void", [part.load(args, "ptr"), part.load(part.gep(args, 1, "ptr"), "ptr"),
                             number])
    part.ret()
    args = f.alloca("ptr", 2)
    f.store(f.args[0], args)
    f.store(f.args[1], f.gep(args, 1, "ptr"))
    f.call("arraylib_parfor", "void", [f.address(call), args, count])


def panel_count(f: Function, tile: Tile) -> Reg:
    return (load_word(f, Word.COLUMNS) + (tile.columns - 1)).udiv(tile.columns)


def panel_words(f: Function, tile: Tile) -> Reg:
    """Of a panel of the packed kernel."""
    return load_word(f, Word.PANEL_STEPS) * tile.columns


def table(f: Function, word: Word) -> Reg:
    return f.gep(f.args[0], load_word(f, word), "i64")


def function(f: Function, word: Word) -> Reg:
    """The address of a function that the descriptor has."""
    return f.load(f.gep(f.args[0], int(word), "ptr"), "ptr")


def pointer(f: Function, word: Word, offset: Reg, type: str) -> Reg:
    return f.gep(f.load(f.gep(f.args[0], int(word), "ptr"), "ptr"), offset, type)


# -- the kernel -----------------------------------------------------------------------------------


def _define_kernel_part(module: Module, tile: Tile) -> None:
    """`kernel_part(descriptor, scratch, number)`: some chunks of a group's kernel, all columns.

    So the kernel is read about as it lies in memory.
    """
    f = Function(module, "kernel_part", PART)
    _, scratch, number = f.args
    panels, group_parts = panel_count(f, tile), load_word(f, Word.PARTS)
    group, part = divided(number, group_parts)
    low, high = shares(f, load_word(f, Word.CHUNKS), group_parts, part)
    w = pointer(f, Word.W, group * load_word(f, Word.W_GROUP), tile.stored)
    blocks, longer = load_word(f, Word.SIDE_BLOCKS), load_word(f, Word.SIDE_LONGER)
    choices, short = load_word(f, Word.CHUNKS).udiv(blocks), load_word(f, Word.SIDE_SHORT)
    steps, words = load_word(f, Word.STEPS), panel_words(f, tile)
    offsets, across = table(f, Word.W_OFFSETS), load_word(f, Word.W_COLUMN)

    def chunk(at: Reg, _: list[Reg]) -> None:
        real = short + f.cast("zext", at.udiv(choices) < longer, "i64")
        source = f.gep(w, f.load(f.gep(offsets, at, "i64"), "i64"), tile.stored)

        def panel(number: Reg, _: list[Reg]) -> None:
            column = number * tile.columns
            place = (group * panels + number) * words + at * steps * tile.columns
            start = f.gep(scratch, place, tile.word)
            f.call(function(f, Word.PACK_W), "void", [
                f.gep(source, column * across, tile.stored), across, load_word(f, Word.W_SIDE),
                start, load_word(f, Word.COLUMNS) - column, real])
            f.call("llvm.memset.p0.i64", "void", [
                f.gep(start, real * tile.columns, tile.word), f.const("i8", 0),
                (steps - real) * (tile.columns * tile.word_bytes), f.const("i1", 0)])

        f.loop(0, panels, 1, [], panel)

    f.loop(low, high, 1, [], chunk)
    f.ret()


# -- tasks ----------------------------------------------------------------------------------------


def define_several(module: Module) -> None:
    """`several(descriptor, scratch, number)`: consecutive tasks, with a piece of scratch."""
    f = Function(module, "several", PART)
    descriptor, scratch, number = f.args
    own = f.gep(scratch, load_word(f, Word.SHARED_BYTES) + number * load_word(f, Word.TASK_BYTES),
                "i8")
    start = number * load_word(f, Word.TASKS_AT_ONCE)
    end = f.minimum(start + load_word(f, Word.TASKS_AT_ONCE), load_word(f, Word.TASKS))

    def run(task: Reg, _: list[Reg]) -> None:
        f.call("task", "void", [descriptor, scratch, own, task])

    f.loop(start, end, 1, [], run)
    f.ret()


class Block:
    """A block of lines: its segments and lines, and functions over them."""

    def __init__(self, f: Function, number: Reg) -> None:
        self.f = f
        turn, place = divided(number, load_word(f, Word.LINE_BLOCKS))
        at_once = load_word(f, Word.LINES_AT_ONCE)
        self.segment = turn * load_word(f, Word.SEGMENTS_AT_ONCE)
        self.segments = f.minimum(load_word(f, Word.SEGMENTS_AT_ONCE),
                                  load_word(f, Word.SEGMENTS) - self.segment)
        self.line = place * at_once
        self.lines = f.minimum(at_once, load_word(f, Word.LINES) - self.line)
        self.moving = load_words(f, Word.OF_MOVING, 4)

    def pack(self, x: Reg, low: Reg, high: Reg, packed: Reg) -> None:
        """Pack the blocks low..high of the side."""
        f, size = self.f, load_word(self.f, Word.SEGMENT_BYTES)

        def one(number: Reg, _: list[Reg]) -> None:
            f.call(function(f, Word.PACK_X), "void", [
                f.args[0], x, self.segment + number, self.line, low, high,
                f.gep(packed, number * size, "i8")])

        f.loop(0, self.segments, 1, [], one)

    def each_line(self, body: Callable[[Reg, Reg, Reg], None]) -> None:
        """Call `body` with the numbers of a segment and a line in the block, and the offset of the
        line's first place in what has the moving counters."""
        f = self.f

        def segment(number: Reg, _: list[Reg]) -> None:
            first, second = divided(self.segment + number, load_word(f, Word.MOVING + 1))
            start = first * self.moving[0] + second * self.moving[1]
            f.loop(0, self.lines, 1, [], lambda place, _: body(
                number, place, start + (self.line + place) * self.moving[2]))

        f.loop(0, self.segments, 1, [], segment)


def _define_task(module: Module, tile: Tile) -> None:
    """`task(descriptor, shared, own, number)`: find a task's group, block and columns."""
    f = Function(module, "task", TASK)
    _, shared, own, number = f.args
    parts, panels = load_word(f, Word.COLUMN_PARTS), panel_count(f, tile)
    rest, part = divided(number, parts)
    group, block = divided(rest, load_word(f, Word.BLOCKS))
    low, high = shares(f, panels, parts, part)
    w = f.gep(shared, group * panels * panel_words(f, tile), tile.word)
    f.call("windows", "void", [
        f.args[0], pointer(f, Word.X, group * load_word(f, Word.X_GROUP), tile.stored), w,
        pointer(f, Word.C, group * load_word(f, Word.C_GROUP), tile.kept), block, low, high, own])
    f.ret()


class _Windows:
    """`windows` under construction: a block of lines, all or some columns."""

    def __init__(self, module: Module, tile: Tile) -> None:
        self.f = f = Function(module, "windows", _WINDOWS)
        self.tile = tile
        _, self.x, self.w, self.c, block, self.low, self.high, self.packed = f.args
        self.block = Block(f, block)
        self.room = f.alloca(tile.compute, tile.rows * tile.columns, align=64)

    def write(self) -> None:
        f = self.f
        self.block.pack(self.x, f.const("i64", 0), load_word(f, Word.SIDE_BLOCKS), self.packed)
        f.loop(self.low, self.high, 1, [], self._columns)
        f.ret()

    def _columns(self, panel: Reg, _: list[Reg]) -> None:
        """All lines through some chunks of their sums, then through the next."""
        f, tile = self.f, self.tile
        chunks, at_once = load_word(f, Word.CHUNKS), load_word(f, Word.CHUNKS_AT_ONCE)
        steps, offsets = load_word(f, Word.STEPS), table(f, Word.OFFSETS)
        segment_bytes, line_bytes = (load_word(f, w) for w in (Word.SEGMENT_BYTES, Word.LINE_BYTES))
        w = f.gep(self.w, panel * panel_words(f, tile), tile.word)
        c = f.gep(self.c, panel * tile.columns, tile.kept)
        left = load_word(f, Word.COLUMNS) - panel * tile.columns

        def some(first: Reg, _: list[Reg]) -> None:
            args = [f.gep(offsets, first, "i64"), f.minimum(at_once, chunks - first), steps,
                    f.gep(w, first * steps * tile.columns, tile.word)]
            add = f.cast("zext", first > 0, "i64")

            def line(segment: Reg, line: Reg, offset: Reg) -> None:
                x = f.gep(self.packed, segment * segment_bytes + line * line_bytes, "i8")
                self._line(x, f.gep(c, offset, tile.kept), args, left, add)

            self.block.each_line(line)

        f.loop(0, chunks, at_once, [], some)

    def _line(self, packed: Reg, c: Reg, args: list[Reg], left: Reg, add: Reg) -> None:
        f, tile, step = self.f, self.tile, self.block.moving[3]
        short, longer = load_word(f, Word.ROWS_SHORT), load_word(f, Word.ROWS_LONGER)

        def panel(number: Reg, _: list[Reg]) -> None:
            row = number * short + f.minimum(number, longer)
            rows = short + f.cast("zext", number < longer, "i64")
            x = f.gep(packed, row * PLACE_BYTES, "i8")
            call_tile(f, tile, self.room, (f.gep(c, row * step, tile.kept), step), rows, left,
                      [x, *args], add)

        f.loop(0, load_word(f, Word.ROW_PANELS), 1, [], panel)


def call_tile(f: Function, tile: Tile, room: Reg, target: tuple[Reg, Reg], rows: Reg, left: Reg,
              args: list[Reg], add: Reg, full: Reg | None = None) -> None:
    """One tile of C, added to what was there; `target` is its place and the step between rows, and
    `full` says whether there is room for all its columns."""
    c, step = target
    zero = f.const("i64", 0)

    def multiply(place: Reg, step: Reg, add: Reg) -> None:
        call_kernel(f, tile, f.gep(f.args[0], int(Word.KERNELS), "ptr"), rows, left,
                    [*args, place, step, add])

    def by_way_of_room() -> None:
        multiply(room, f.const("i64", tile.columns), zero)
        f.call(function(f, Word.FINISH), "void", [
            room, room, zero, c, step, f.const("i64", 1), rows, left, add, zero])

    whole = left >= tile.columns
    f.branch(whole if full is None else whole | full, lambda: multiply(c, step, add),
             by_way_of_room)


def shares(f: Function, count: Reg, parts: Reg, number: Reg) -> tuple[Reg, Reg]:
    """Where a part of so many starts and ends: parts differ by at most one, longer ones first."""
    short, longer = count.udiv(parts), count.urem(parts)
    low, high = ((number + i) * short + f.minimum(number + i, longer) for i in range(2))
    return low, high


def divided(number: Reg, by: Reg) -> tuple[Reg, Reg]:
    """Quotient and remainder."""
    quotient = number.udiv(by)
    return quotient, number - quotient * by
