"""The loops round the micro-kernels: blocks of k, panels of columns, panels of rows.

`blocked` packs a block of B and runs all rows over it. `streamed`, for few rows, packs A whole and
takes B a panel at a time; `in_place` reads B where it is. All work on a *part*: some panels of rows
times some columns of one product. `tiles`, the loop that all of them end in, has a panel of columns
and calls a micro-kernel for each panel of rows.

Rows are balanced over panels (15 rows are 8 + 7), so that two kernels serve all of them. Which ones
those are, and how operands are packed, says the descriptor: it points to the code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from arraylib.backends.cpu.emitter import Function, Module, Reg, element_bytes
from arraylib.backends.cpu.gemm.descriptor import Word
from arraylib.backends.cpu.gemm.kernels import AHEAD_BYTES
from arraylib.backends.cpu.gemm.packing import ROWS_AT_ONCE
from arraylib.backends.cpu.gemm.prologue import Maker
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.record import record

# `a`, `b`, `c` are where the product's first row, the part's first column, and both are.
PART = [("ptr", "descriptor"), ("ptr", "a"), ("ptr", "b"), ("ptr", "c"), ("i64", "low"),
        ("i64", "high"), ("i64", "columns"), ("ptr", "scratch")]
_TILES = [("ptr", "descriptor"), ("ptr", "a"), ("ptr", "b"), ("i64", "b_step"), ("ptr", "c"),
          ("ptr", "partial"), ("i64", "partial_step"), ("i64", "columns"), ("i64", "low"),
          ("i64", "high"), ("i64", "steps"), ("i64", "block"), ("ptr", "ahead")]


def load_word(f: Function, descriptor: Reg, word: int) -> Reg:
    """A number of the descriptor."""
    return f.load(f.gep(descriptor, int(word), "i64"), "i64")


def load_pointer(f: Function, descriptor: Reg, word: int) -> Reg:
    """An address in the descriptor."""
    return f.load(f.gep(descriptor, int(word), "ptr"), "ptr")


def first_row(f: Function, descriptor: Reg, panel: Reg) -> Reg:
    """The number of a panel's first row."""
    longer = load_word(f, descriptor, Word.LONG_PANELS)
    return panel * load_word(f, descriptor, Word.SHORT_ROWS) + f.minimum(panel, longer)


def define_tiles(module: Module, tile: Tile, name: str) -> None:
    """`tiles`: the panels of rows `low .. high - 1`, packed in `a`, times one panel of columns.

    `c` is where the product's first row begins in the panel's first column; `partial`, for sums of
    another type than C's that wait for the next block of k, likewise. `columns` are left from
    there on. What is `ahead`, the next panel of columns, comes nearer meanwhile.
    """
    f = Function(module, name, _TILES, internal=False)
    (descriptor, a, b, b_step, c, partial, partial_step, columns, low, high, steps, block,
     ahead) = f.args

    def word(which: int) -> Reg:
        return load_word(f, descriptor, which)

    c_row, c_col, accumulate = word(Word.C_ROW), word(Word.C_COL), word(Word.ACCUMULATE)
    began = f.cast("zext", block > 0, "i64")
    if tile.converts:
        roundabout = f.compare("eq", block + 1, word(Word.BLOCKS))
        direct, direct_step, add, more = partial, partial_step, began, accumulate
    else:
        roundabout = (columns < tile.columns) | f.compare("ne", c_col, 1)
        direct, direct_step, add, more = c, c_row, accumulate | began, accumulate | began
    room = f.alloca(tile.compute, tile.rows * tile.columns, align=64)
    step = f.select(roundabout, f.const("i64", tile.columns), direct_step)
    add = f.select(roundabout, f.const("i64", 0), add)
    finish = load_pointer(f, descriptor, Word.FINISH)
    narrow = f.cast("zext", columns <= tile.lanes, "i64")
    kernels = f.gep(descriptor, f.const("i64", Word.KERNEL) + narrow * 2, "ptr")
    short, longer = word(Word.SHORT_ROWS), word(Word.LONG_PANELS)
    a_panel = word(Word.PANEL_STEPS) * tile.a_width
    share, most = steps * AHEAD_BYTES, word(Word.PANEL_STEPS) * (tile.columns * tile.word_bytes)

    def row_panel(panel: Reg, _: list[Reg]) -> None:
        is_long = f.cast("zext", panel < longer, "i64")
        kernel = f.load(f.gep(kernels, is_long, "ptr"), "ptr")
        first = panel * short + f.minimum(panel, longer)
        place = f.select(roundabout, room, f.gep(direct, first * direct_step, tile.compute))
        # What lies behind the next panel is not wanted yet, and would push A out of its cache.
        coming = f.gep(ahead, f.minimum((panel - low) * share, most), "i8")
        f.call(kernel, "void", [f.gep(a, (panel - low) * a_panel, tile.compute), b, b_step, place,
                                step, steps, add, coming])

        def finished() -> None:
            waiting = f.gep(partial, first * partial_step, tile.compute)
            f.call(finish, "void", [
                room, waiting, partial_step, f.gep(c, first * c_row, tile.kept), c_row, c_col,
                short + is_long, columns, more, began if tile.converts else f.const("i64", 0)])

        f.branch(roundabout, finished)

    f.loop(low, high, 1, [], row_panel)
    f.ret()


@record
class Block:
    """A block of k: its number, its first element, and its words and elements."""

    number: Reg
    first: Reg
    steps: Reg
    elements: Reg


class Part:
    """A function over a part, under construction; `args` are the values named in PART.

    One that `makes` operands computes those that the descriptor says are not in memory.
    """

    def __init__(self, f: Function, tile: Tile, args: Sequence[Reg], *,
                 in_place: bool = False, makes: bool = False) -> None:
        self.f, self.tile, self.in_place = f, tile, in_place
        (self.descriptor, self.a, self.b, self.c, self.low, self.high, self.columns,
         self.scratch) = args
        self.b_panels = f.gep(self.scratch, self.word(Word.B_OFFSET), "i8")
        sums_step = (self.columns + (tile.columns - 1)) & -tile.columns
        sums = f.gep(self.scratch, self.word(Word.SUMS_OFFSET), "i8")
        self.sums_step = sums_step
        self.sums = f.gep(sums, -self.first_row(self.low) * sums_step, tile.compute)
        self.maker = Maker(self) if makes else None

    def word(self, word: Word) -> Reg:
        """A number of the descriptor, read again: cheaper than many that are kept."""
        return load_word(self.f, self.descriptor, word)

    def pointer(self, word: Word) -> Reg:
        return load_pointer(self.f, self.descriptor, word)

    @property
    def step(self) -> int:
        """Elements of k in a word of this function's panels."""
        return 1 if self.in_place else self.tile.step

    def first_row(self, panel: Reg) -> Reg:
        return first_row(self.f, self.descriptor, panel)

    def each_block(self, body: Callable[[Block], None]) -> None:
        """Run `body` for every block along k; an empty k has one empty block."""
        self.f.loop(0, self.word(Word.BLOCKS), 1, [],
                    lambda number, _: body(self.block(number)))

    def block(self, number: Reg) -> Block:
        """The block along k with a number."""
        f, length = self.f, self.word(Word.BLOCK_STEPS)
        start = number * length
        steps = f.minimum(length, self.word(Word.STEPS) - start)
        first = start * self.step
        return Block(number, first, steps,
                     f.minimum(steps * self.step, self.word(Word.K) - first))

    def a_panel(self, index: Reg) -> Reg:
        """Where a packed panel of rows is, counted from the first that is packed."""
        return self.a_panel_at(self.scratch, index)

    def a_panel_at(self, place: Reg, index: Reg) -> Reg:
        """The same counted from a place."""
        size = self.word(Word.PANEL_STEPS) * self.tile.a_width
        return self.f.gep(place, index * size, self.tile.compute)

    def b_panel(self, index: Reg) -> Reg:
        size = self.word(Word.PANEL_STEPS) * self.tile.columns
        return self.f.gep(self.b_panels, index * size, self.tile.compute)

    def pack_a(self, block: Block, low: Reg, high: Reg, place: Reg) -> None:
        """Pack the row panels `low .. high - 1` into `place` and what follows."""
        if self.maker is None:
            self._pack_a(block, low, high, place)
            return
        maker = self.maker
        self.f.branch(maker.makes(Word.MAKE_A), lambda: maker.pack_a(block, low, high, place),
                      lambda: self._pack_a(block, low, high, place))

    def _pack_a(self, block: Block, low: Reg, high: Reg, place: Reg) -> None:
        """The same of what is in memory.

        Where rows are contiguous along k, one panel after another. Where columns are, a few at a
        time over all panels: a panel alone would use a cache line of each, or a page.
        """
        f, tile = self.f, self.tile
        few = f.const("i64", ROWS_AT_ONCE * self.step)
        by_columns = f.compare("eq", self.word(Word.A_ROW), 1)
        at_once = f.select(by_columns, few, f.maximum(block.elements, 1))

        def columns(first: Reg, _: list[Reg]) -> None:
            count = f.minimum(at_once, block.elements - first)
            words = first.lshr(self.step - 1) * tile.a_width

            def pack(panel: Reg, _: list[Reg]) -> None:
                start, target = self.first_row(panel), self.a_panel_at(place, panel - low)
                f.call(self.pointer(Word.PACK_A), "void", [
                    self.a_place(start, block.first + first), self.word(Word.A_ROW),
                    self.word(Word.A_COL), f.gep(target, words, tile.compute),
                    self.first_row(panel + 1) - start, count])

            f.loop(low, high, 1, [], pack)

        f.loop(0, block.elements, at_once, [], columns)

    def a_place(self, row: Reg, step: Reg) -> Reg:
        """Where an element of A is, by its row and its place along k."""
        offset = row * self.word(Word.A_ROW) + step * self.word(Word.A_COL)
        return self.f.gep(self.a, offset, self.tile.stored)

    def b_place(self, step: Reg, column: Reg) -> Reg:
        """Where an element of B is, by its place along k and its column."""
        offset = step * self.word(Word.B_ROW) + column * self.word(Word.B_COL)
        return self.f.gep(self.b, offset, self.tile.stored)

    def pack_b(self, block: Block, column: Reg, panel: Reg) -> None:
        """Pack the columns from `column` on, as many as there are in a panel."""
        self.f.call(self.pointer(Word.PACK_B), "void", [
            self.b_place(block.first, column), self.word(Word.B_COL), self.word(Word.B_ROW), panel,
            self.columns - column, block.elements])

    def pack_panels(self, block: Block, origin: Reg, start: Reg, stop: Reg, low: Reg | int = 0,
                    high: Reg | None = None) -> None:
        """Pack the columns `start .. stop - 1`, which are whole panels but for the last.

        The first panel has the columns from `origin` on. Of the block's elements along k only
        `low .. high - 1`, where `low` begins a word.
        """
        if self.maker is None:
            self._pack_panels(block, origin, start, stop, low, high)
            return
        maker = self.maker
        self.f.branch(maker.makes(Word.MAKE_B),
                      lambda: maker.pack_b(block, origin, start, stop, low, high),
                      lambda: self._pack_panels(block, origin, start, stop, low, high))

    def _pack_panels(self, block: Block, origin: Reg, start: Reg, stop: Reg, low: Reg | int,
                     high: Reg | None) -> None:
        """The same of what is in memory.

        Where rows are contiguous, a few rows at a time over all panels: a panel alone would meet
        a new page in each row, and use two cache lines of it.
        """
        f, tile = self.f, self.tile
        few = f.const("i64", ROWS_AT_ONCE * self.step)
        end = block.elements if high is None else high
        by_rows = f.compare("eq", self.word(Word.B_COL), 1)
        at_once = f.select(by_rows, few, f.maximum(block.elements, 1))

        def rows(first: Reg, _: list[Reg]) -> None:
            part = Block(block.number, block.first + first, block.steps,
                         f.minimum(at_once, end - first))
            words = first.lshr(self.step - 1) * tile.columns

            def panel(column: Reg, _: list[Reg]) -> None:
                place = self.b_panel((column - origin).udiv(tile.columns))
                self.pack_b(part, column, f.gep(place, words, tile.word))

            f.loop(start, stop, tile.columns, [], panel)

        f.loop(low, end, at_once, [], rows)

    def first_following(self) -> Reg:
        """Where the number of the epilogue's next chunk is kept, in the beginning the first one
        that has no rows before the part's."""
        f, span = self.f, self.f.maximum(self.word(Word.EPILOGUE_SPAN), 1)
        following = f.alloca("i64")
        f.store((self.place(self.low) + (span - 1)).udiv(span), following)
        return following

    def is_followed(self, block: Reg, stop: Reg) -> Reg:
        """Whether rows are done, and an epilogue waits for them, with the columns before `stop`
        and the blocks along k before `block`."""
        f = self.f
        return f.compare("ne", self.word(Word.EPILOGUE_SPAN), 0) & (stop >= self.columns) \
            & f.compare("eq", block, self.word(Word.BLOCKS))

    def run_finished(self, following: Reg, panel: Reg) -> None:
        """Run the epilogue's chunks that the rows before a panel complete."""
        f, span = self.f, self.word(Word.EPILOGUE_SPAN)
        done = self.place(panel)
        at_end = f.compare("eq", done, self.word(Word.EPILOGUE_TOTAL))
        limit = f.select(at_end, self.word(Word.EPILOGUE_CHUNKS), done.udiv(span))
        f.loop(f.load(following, "i64"), limit, 1, [],
               lambda chunk, _: call_epilogue(f, self.descriptor, chunk))
        f.store(f.maximum(limit, f.load(following, "i64")), following)

    def place(self, panel: Reg) -> Reg:
        """The number, of all products' elements, of the first one in a panel of rows."""
        f = self.f
        first, here = (f.cast("ptrtoint", x, "i64") for x in (self.pointer(Word.C), self.c))
        start = (here - first).udiv(element_bytes(self.tile.kept))
        return start + self.first_row(panel) * self.word(Word.C_ROW)

    def tiles(self, block: Block, a: Reg, b: Reg, b_step: Reg, column: Reg, low: Reg, high: Reg,
              ahead: Reg) -> None:
        """The row panels `low .. high - 1`, packed in `a`, times the columns from `column` on."""
        f, tile = self.f, self.tile
        f.call(self.pointer(Word.TILES), "void", [
            self.descriptor, a, b, b_step,
            f.gep(self.c, column * self.word(Word.C_COL), tile.kept),
            f.gep(self.sums, column, tile.compute), self.sums_step, self.columns - column, low,
            high, block.steps, block.number, ahead])


def call_epilogue(f: Function, descriptor: Reg, chunk: Reg) -> None:
    """One chunk of what follows the product."""
    f.call(load_pointer(f, descriptor, Word.EPILOGUE), "void", [
        load_pointer(f, descriptor, Word.EPILOGUE_ARGUMENTS), chunk])


def define_blocked(module: Module, tile: Tile, name: str, *, makes: bool = False) -> None:
    """`blocked`: for each block of columns, of k, and of rows, in this order."""
    f = Function(module, name, PART, internal=False)
    part = Part(f, tile, f.args, makes=makes)
    width, high = part.word(Word.BLOCK_COLUMNS), part.high
    following = part.first_following()

    def columns(start: Reg, _: list[Reg]) -> None:
        stop = f.minimum(start + width, part.columns)
        part.each_block(lambda block: rows(block, start, stop))

    def rows(block: Block, start: Reg, stop: Reg) -> None:
        part.pack_panels(block, start, start, stop)
        last = part.is_followed(block.number + 1, stop)

        def some(first: Reg, _: list[Reg]) -> None:
            end = f.minimum(first + part.word(Word.ROW_PANELS), high)
            part.pack_a(block, first, end, part.scratch)

            def panel(column: Reg, _: list[Reg]) -> None:
                number = (column - start).udiv(tile.columns)
                part.tiles(block, part.scratch, part.b_panel(number),
                           f.const("i64", tile.columns), column, first, end,
                           part.b_panel(number + 1))

            f.loop(start, stop, tile.columns, [], panel)
            f.branch(last, lambda: part.run_finished(following, end))

        f.loop(part.low, high, part.word(Word.ROW_PANELS), [], some)

    f.loop(0, part.columns, width, [], columns)
    f.ret()


def define_streamed(module: Module, tile: Tile, name: str, *, in_place: bool) -> None:
    """`streamed` packs each panel of B just before its use; `in_place` packs only the last, where
    it is narrower than a tile, since kernels read whole rows of a tile."""
    f = Function(module, name, PART, internal=False)
    part = Part(f, tile, f.args, in_place=in_place)

    def block(block: Block) -> None:
        part.pack_a(block, part.low, part.high, part.scratch)

        def use(column: Reg, b: Reg, step: Reg, ahead: Reg) -> None:
            part.tiles(block, part.scratch, b, step, column, part.low, part.high, ahead)

        def packed(column: Reg) -> None:
            part.pack_b(block, column, part.b_panels)
            use(column, part.b_panels, f.const("i64", tile.columns), part.b_panels)

        def narrow_or_wide(column: Reg, _: list[Reg]) -> None:
            f.branch(part.columns - column >= tile.columns,
                     lambda: use(column, part.b_place(block.first, column), part.word(Word.B_ROW),
                                 part.b_place(block.first, column + tile.columns)),
                     lambda: packed(column))

        def any_width(column: Reg, _: list[Reg]) -> None:
            packed(column)

        f.loop(0, part.columns, tile.columns, [], narrow_or_wide if in_place else any_width)

    part.each_block(block)
    f.ret()
