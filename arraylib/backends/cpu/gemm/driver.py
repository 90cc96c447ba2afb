"""The loops round the micro-kernels: blocks of k, panels of columns, panels of rows.

`multiply_blocked` packs a block of B and runs all rows over it. `multiply_streamed`, for few rows,
packs A whole and takes B a panel at a time; `multiply_in_place` reads B where it is. Rows are
balanced over panels (15 rows are 8 + 7), so that no kernel is left with a remainder. All work on a
*part*: a rectangle of C.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from arraylib.backends.cpu.emitter import Function, Module, Reg, element_bytes
from arraylib.backends.cpu.gemm.descriptor import Word
from arraylib.backends.cpu.gemm.kernels import IN_PLACE, PACKED, call_kernel
from arraylib.backends.cpu.gemm.tile import Tile

_ROWS_AT_ONCE = 16   # of B, packed over several panels

PART = [("ptr", "descriptor"), ("ptr", "a"), ("ptr", "b"), ("ptr", "c"), ("i64", "rows"),
        ("i64", "columns"), ("ptr", "scratch")]


def load_word(f: Function, descriptor: Reg, word: Word) -> Reg:
    """A number of the descriptor."""
    return f.load(f.gep(descriptor, int(word), "i64"), "i64")


@dataclass(frozen=True)
class _Block:
    """A block of k: its number, its first element, and its words and elements."""

    number: Reg
    first: Reg
    steps: Reg
    elements: Reg


@dataclass(frozen=True)
class _Panel:
    """A panel of columns: where B is, and the columns of C that it makes."""

    b: Reg
    b_step: Reg
    column: Reg
    count: Reg


class _Part:
    """A function over a part, under construction: its arguments, its words, its rows in panels."""

    def __init__(self, module: Module, tile: Tile, name: str, *, in_place: bool) -> None:
        self.f = f = Function(module, name, PART)
        self.tile, self.in_place = tile, in_place
        self.descriptor, self.a, self.b, self.c, self.rows, self.columns, self.scratch = f.args
        self._words: dict[Word, Reg] = {}
        for word in Word.__members__.values():
            if Word.M <= word < Word.BATCH or Word.PATH <= word < Word.COUNT:
                self._words[word] = load_word(f, self.descriptor, word)
        self.panels = (self.rows + (tile.rows - 1)).udiv(tile.rows)
        self._short = self.rows.udiv(self.panels)
        self._longer = self.rows - self._short * self.panels   # this many panels have a row more
        self.room = f.alloca(tile.compute, tile.rows * tile.columns, align=64)
        self.b_panels = f.gep(self.scratch, self.word(Word.B_OFFSET), "i8")
        self.sums = f.gep(self.scratch, self.word(Word.SUMS_OFFSET), "i8")
        self.sums_step = (self.columns + (tile.columns - 1)) & -tile.columns

    def word(self, word: Word) -> Reg:
        return self._words[word]

    @property
    def step(self) -> int:
        """Elements of k in a word of this function's panels."""
        return 1 if self.in_place else self.tile.step

    def first_row(self, panel: Reg) -> Reg:
        return panel * self._short + self.f.minimum(panel, self._longer)

    def rows_of(self, panel: Reg) -> Reg:
        return self._short + self.f.cast("zext", panel < self._longer, "i64")

    def each_block(self, body: Callable[[_Block], None]) -> None:
        """Run `body` for every block along k; an empty k has one empty block."""
        f, length = self.f, self.word(Word.BLOCK_STEPS)

        def block(number: Reg, _: list[Reg]) -> None:
            start = number * length
            steps = f.minimum(length, self.word(Word.STEPS) - start)
            first = start * self.step
            elements = f.minimum(steps * self.step, self.word(Word.K) - first)
            body(_Block(number, first, steps, elements))

        f.loop(0, self.word(Word.BLOCKS), 1, [], block)

    def a_panel(self, index: Reg) -> Reg:
        """Packed panel of A by its number in the block of rows."""
        size = self.word(Word.PANEL_STEPS) * self.tile.a_width
        return self.f.gep(self.scratch, index * size, self.tile.compute)

    def b_panel(self, index: Reg) -> Reg:
        size = self.word(Word.PANEL_STEPS) * self.tile.columns
        return self.f.gep(self.b_panels, index * size, self.tile.compute)

    def pack_a(self, block: _Block, low: Reg | int, high: Reg) -> None:
        """Pack the row panels `low .. high - 1`."""
        f, row, along = self.f, self.word(Word.A_ROW), self.word(Word.A_COL)
        name = "pack_a_wide" if self.in_place and self.tile.pairs else "pack_a"

        def pack(panel: Reg, _: list[Reg]) -> None:
            offset = self.first_row(panel) * row + block.first * along
            f.call(name, "void", [
                f.gep(self.a, offset, self.tile.stored), row, along, self.a_panel(panel - low),
                self.rows_of(panel), block.elements])

        f.loop(low, high, 1, [], pack)

    def b_place(self, block: _Block, column: Reg) -> Reg:
        offset = block.first * self.word(Word.B_ROW) + column * self.word(Word.B_COL)
        return self.f.gep(self.b, offset, self.tile.stored)

    def pack_b(self, block: _Block, column: Reg, panel: Reg, name: str = "pack_b") -> None:
        """Pack the columns from `column` on, as many as there are in a panel."""
        self.f.call(name, "void", [
            self.b_place(block, column), self.word(Word.B_COL), self.word(Word.B_ROW), panel,
            self.columns - column, block.elements])

    def pack_panels(self, block: _Block, start: Reg, stop: Reg) -> None:
        """Pack the columns `start .. stop - 1`, which are whole panels but for the last.

        Where rows are contiguous, a few rows at a time over all panels: a panel alone would meet
        a new page in each row, and use two cache lines of it.
        """
        f, tile = self.f, self.tile

        def place(column: Reg) -> Reg:
            return self.b_panel((column - start).udiv(tile.columns))

        def whole() -> None:
            f.loop(start, stop, tile.columns, [],
                   lambda column, _: self.pack_b(block, column, place(column)))

        def rows(first: Reg, _: list[Reg]) -> None:
            few = f.const("i64", _ROWS_AT_ONCE * self.step)
            part = _Block(block.number, block.first + first, block.steps,
                          f.minimum(few, block.elements - first))
            words = first.lshr(self.step - 1) * tile.columns
            f.loop(start, stop, tile.columns, [], lambda column, _: self.pack_b(
                part, column, f.gep(place(column), words, tile.word)))

        def by_rows() -> None:
            f.loop(0, block.elements, _ROWS_AT_ONCE * self.step, [], rows)

        f.branch(f.compare("eq", self.word(Word.B_COL), 1), by_rows, whole)

    def run_finished(self, following: Reg, panel: Reg) -> None:
        """Run the epilogue's chunks that the rows before a panel complete."""
        f, span = self.f, self.word(Word.EPILOGUE_SPAN)
        done = self.start() + self.first_row(panel) * self.word(Word.C_ROW)
        at_end = f.compare("eq", done, self.word(Word.EPILOGUE_TOTAL))
        limit = f.select(at_end, self.word(Word.EPILOGUE_CHUNKS), done.udiv(span))
        f.loop(f.load(following, "i64"), limit, 1, [],
               lambda chunk, _: call_epilogue(f, self.descriptor, chunk))
        f.store(f.maximum(limit, f.load(following, "i64")), following)

    def start(self) -> Reg:
        """The number of the part's first element."""
        f = self.f
        base = f.load(f.gep(self.descriptor, int(Word.C), "ptr"), "ptr")
        first, here = (f.cast("ptrtoint", x, "i64") for x in (base, self.c))
        return (here - first).udiv(element_bytes(self.tile.kept))

    def column_of_tiles(self, block: _Block, panel: _Panel, low: Reg | int, high: Reg) -> None:
        """The row panels `low .. high - 1` times one panel of columns."""
        self.f.loop(low, high, 1, [],
                    lambda row, _: self._tile(block, panel, row, self.a_panel(row - low)))

    def _tile(self, block: _Block, panel: _Panel, row: Reg, a: Reg) -> None:
        f, tile = self.f, self.tile
        rows, c_row = self.rows_of(row), self.word(Word.C_ROW)
        first = self.first_row(row)
        c_col = self.word(Word.C_COL)
        c = f.gep(self.c, first * c_row + panel.column * c_col, tile.kept)
        partial = f.gep(self.sums, first * self.sums_step + panel.column, tile.compute)
        began = f.cast("zext", block.number > 0, "i64")
        accumulate = self.word(Word.ACCUMULATE)

        def multiply(place: Reg, step: Reg, add: Reg) -> None:
            call_kernel(f, tile, IN_PLACE if self.in_place else PACKED, rows, panel.count,
                        [a, panel.b, panel.b_step, place, step, block.steps, add])

        def by_way_of_room(add: Reg, add_partial: Reg) -> None:
            multiply(self.room, f.const("i64", tile.columns), f.const("i64", 0))
            f.call("finish", "void", [self.room, partial, self.sums_step, c, c_row, c_col, rows,
                                      panel.count, add, add_partial])

        if tile.converts:
            last = f.compare("eq", block.number + 1, self.word(Word.BLOCKS))
            f.branch(last, lambda: by_way_of_room(accumulate, began),
                     lambda: multiply(partial, self.sums_step, began))
        else:
            add = accumulate | began
            is_whole = (panel.count >= tile.columns) & f.compare("eq", c_col, 1)
            f.branch(is_whole, lambda: multiply(c, c_row, add),
                     lambda: by_way_of_room(add, f.const("i64", 0)))


def call_epilogue(f: Function, descriptor: Reg, chunk: Reg) -> None:
    """One chunk of what follows the product."""
    function, arguments = (f.load(f.gep(descriptor, int(word), "ptr"), "ptr")
                           for word in (Word.EPILOGUE, Word.EPILOGUE_ARGUMENTS))
    f.call(function, "void", [arguments, chunk])


def define_blocked(module: Module, tile: Tile) -> None:
    """`multiply_blocked`: for each block of columns, of k, and of rows, in this order."""
    part = _Part(module, tile, "multiply_blocked", in_place=False)
    f, width = part.f, part.word(Word.BLOCK_COLUMNS)
    span = part.word(Word.EPILOGUE_SPAN)
    following = f.alloca("i64")   # the epilogue's next chunk
    least = f.maximum(span, 1)
    f.store((part.start() + (least - 1)).udiv(least), following)

    def columns(start: Reg, _: list[Reg]) -> None:
        stop = f.minimum(start + width, part.columns)
        part.each_block(lambda block: rows(block, start, stop))

    def rows(block: _Block, start: Reg, stop: Reg) -> None:
        def number(column: Reg) -> Reg:
            return (column - start).udiv(tile.columns)

        part.pack_panels(block, start, stop)
        last = f.compare("ne", span, 0) & (stop >= part.columns) \
            & f.compare("eq", block.number + 1, part.word(Word.BLOCKS))

        def some(low: Reg, _: list[Reg]) -> None:
            high = f.minimum(low + part.word(Word.ROW_PANELS), part.panels)
            part.pack_a(block, low, high)
            f.loop(start, stop, tile.columns, [], lambda column, _: part.column_of_tiles(
                block, _Panel(part.b_panel(number(column)), f.const("i64", tile.columns), column,
                              part.columns - column), low, high))
            f.branch(last, lambda: part.run_finished(following, high))

        f.loop(0, part.panels, part.word(Word.ROW_PANELS), [], some)

    f.loop(0, part.columns, width, [], columns)
    f.ret()


def define_streamed(module: Module, tile: Tile, *, in_place: bool) -> None:
    """`multiply_streamed` packs each panel of B just before its use; `multiply_in_place` packs
    only the last, where it is narrower than a tile, since kernels read whole rows of a tile."""
    name = "multiply_in_place" if in_place else "multiply_streamed"
    part = _Part(module, tile, name, in_place=in_place)
    f = part.f
    packed_step = f.const("i64", tile.columns)

    def block(block: _Block) -> None:
        part.pack_a(block, f.const("i64", 0), part.panels)

        def use(column: Reg, b: Reg, step: Reg) -> None:
            panel = _Panel(b, step, column, part.columns - column)
            part.column_of_tiles(block, panel, f.const("i64", 0), part.panels)

        def packed(column: Reg, name: str) -> None:
            part.pack_b(block, column, part.b_panels, name)
            use(column, part.b_panels, packed_step)

        def narrow_or_wide(column: Reg, _: list[Reg]) -> None:
            f.branch(part.columns - column >= tile.columns,
                     lambda: use(column, part.b_place(block, column), part.word(Word.B_ROW)),
                     lambda: packed(column, "copy_b"))

        def any_width(column: Reg, _: list[Reg]) -> None:
            packed(column, "pack_b")

        f.loop(0, part.columns, tile.columns, [], narrow_or_wide if in_place else any_width)

    part.each_block(block)
    f.ret()
