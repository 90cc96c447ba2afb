"""Products in which all threads pack together what all of them use.

For each block of columns, of k, and of parts of rows, in this order, threads first pack B and A,
and then take parts of rows by columns. Nothing is packed twice, and parts are so small that a
thread that has lost its processor for a while holds up the others little. Rows that only one
thread uses, in all columns, it packs itself: they are near then, and if B is small, some blocks
of it are packed together, so that threads seldom wait for one another and C stays near.
"""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.gemm.descriptor import Word
from arraylib.backends.cpu.gemm.driver import Part, load_word
from arraylib.backends.cpu.gemm.packing import ROWS_AT_ONCE
from arraylib.backends.cpu.gemm.tasks import divided, product_operands, share
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.backends.cpu.pool_code import PARFOR
from arraylib.record import record

# What a turn's tasks are told, a word each: descriptor, scratch, A, B and C of the product; then
# numbers: the columns `start .. stop - 1`, the blocks of k `low .. high - 1`, the parts of rows
# `first .. last - 1`.
_POINTERS, _NUMBERS = 5, 6


@record
class _Turn:
    """The same inside a task; `part` is the whole product, of which packed A begins at `a`."""

    part: Part
    start: Reg
    stop: Reg
    low: Reg
    high: Reg
    first: Reg
    last: Reg
    a_base: Reg

    def place_of_a(self, panel: Reg) -> Reg:
        """Where a panel of rows is packed, for one block of k after another."""
        return self.part.a_panel(panel - self.a_base)

    def panels_of_b(self, block: Reg) -> Reg:
        """Where a block of B is packed, of those that are packed together."""
        part = self.part
        place = part.word(Word.B_OFFSET) + (block - self.low) * part.word(Word.B_BLOCK_BYTES)
        return part.f.gep(part.scratch, place, "i8")


def define_shared(module: Module, tile: Tile, name: str, *, makes: bool = False) -> None:
    """`name(descriptor, scratch)`: all products, one after another."""
    _define_packing(module, tile, makes)
    _define_using(module, tile, makes)
    f = Function(module, name, [("ptr", "descriptor"), ("ptr", "scratch")], internal=False)
    descriptor, scratch = f.args
    told = f.alloca("i64", _POINTERS + _NUMBERS)
    f.store(descriptor, told)
    f.store(scratch, f.gep(told, 1, "i64"))

    def word(which: Word) -> Reg:
        return load_word(f, descriptor, which)

    def tell(place: int, *values: Reg) -> None:
        for i, value in enumerate(values):
            f.store(value, f.gep(told, place + i, "i64"))

    def rows(first: Reg, blocks: Reg) -> None:
        last = f.minimum(first + word(Word.PARTS_AT_ONCE), word(Word.ROW_PARTS))
        tell(_POINTERS + 4, first, last)
        of_b = f.select(f.compare("eq", first, 0), word(Word.PACKING_CHUNKS), f.const("i64", 0))
        of_a = f.select(_is_divided(f, descriptor), last - first, f.const("i64", 0))
        f.call(PARFOR, "void", [f.address("pack"), told, (of_b + of_a) * blocks])
        f.call(PARFOR, "void", [
            f.address("use"), told, (last - first) * word(Word.COLUMN_PARTS)])

    def columns(start: Reg) -> None:
        stop = f.minimum(start + word(Word.BLOCK_COLUMNS), word(Word.N))
        tell(_POINTERS, start, stop)

        def some(low: Reg, _: list[Reg]) -> None:
            high = f.minimum(low + word(Word.BLOCKS_AT_ONCE), word(Word.BLOCKS))
            tell(_POINTERS + 2, low, high)
            f.loop(0, word(Word.ROW_PARTS), word(Word.PARTS_AT_ONCE), [],
                   lambda first, _: rows(first, high - low))

        f.loop(0, word(Word.BLOCKS), word(Word.BLOCKS_AT_ONCE), [], some)

    def product(number: Reg, _: list[Reg]) -> None:
        tell(2, *product_operands(f, descriptor, number, tile))
        f.loop(0, word(Word.N), word(Word.BLOCK_COLUMNS), [], lambda start, _: columns(start))

    parts = word(Word.ROW_PARTS) * word(Word.COLUMN_PARTS)
    f.loop(0, word(Word.TASKS).udiv(parts), 1, [], product)
    f.ret()


def _turn(f: Function, tile: Tile, makes: bool) -> _Turn:
    told = f.args[0]
    descriptor, scratch, a, b, c = (f.load(f.gep(told, i, "i64"), "ptr") for i in range(_POINTERS))
    start, stop, low, high, first, last = (
        f.load(f.gep(told, _POINTERS + i, "i64"), "i64") for i in range(_NUMBERS))
    panels, columns = (load_word(f, descriptor, w) for w in (Word.PANELS, Word.N))
    part = Part(f, tile, [descriptor, a, b, c, f.const("i64", 0), panels, columns, scratch],
                makes=makes)
    return _Turn(part, start, stop, low, high, first, last, _panel(part, first))


def _is_divided(f: Function, descriptor: Reg) -> Reg:
    """Whether the columns of a block are shared out too."""
    return load_word(f, descriptor, Word.COLUMN_PARTS) > 1


def _panel(part: Part, number: Reg) -> Reg:
    """The first panel of a part of rows."""
    return share(part.word(Word.PANELS), number, part.word(Word.ROW_PARTS))


def _define_packing(module: Module, tile: Tile, makes: bool) -> None:
    """`pack(told, chunk)`: first chunks of the block of B, if they are to be packed, then of A."""
    f = Function(module, "pack", [("ptr", "told"), ("i64", "chunk")])
    chunk, turn = f.args[1], _turn(f, tile, makes)
    part = turn.part
    chunks = f.select(f.compare("eq", turn.first, 0), part.word(Word.PACKING_CHUNKS),
                      f.const("i64", 0))
    parts = f.select(_is_divided(f, part.descriptor), turn.last - turn.first, f.const("i64", 0))
    ahead, chunk = divided(chunk, chunks + parts)
    block = part.block(turn.low + ahead)
    part.b_panels = turn.panels_of_b(block.number)

    def by_rows() -> None:
        few = ROWS_AT_ONCE * tile.step
        some = (block.elements + (few - 1)).udiv(few)
        low, high = (f.minimum(share(some, chunk + i, chunks) * few, block.elements)
                     for i in range(2))
        part.pack_panels(block, turn.start, turn.start, turn.stop, low, high)

    def by_panels() -> None:
        panels = (turn.stop - turn.start + (tile.columns - 1)).udiv(tile.columns)
        low, high = (f.minimum(turn.start + share(panels, chunk + i, chunks) * tile.columns,
                               turn.stop) for i in range(2))
        part.pack_panels(block, turn.start, low, high)

    def pack_b() -> None:
        f.branch(f.compare("eq", part.word(Word.B_COL), 1), by_rows, by_panels)

    def pack_a() -> None:
        number = turn.first + (chunk - chunks)
        low = _panel(part, number)
        part.pack_a(block, low, _panel(part, number + 1), turn.place_of_a(low))

    f.branch(chunk < chunks, pack_b, pack_a)
    f.ret()


def _define_using(module: Module, tile: Tile, makes: bool) -> None:
    """`use(told, chunk)`: a part of rows times a part of the block's columns."""
    f = Function(module, "use", [("ptr", "told"), ("i64", "chunk")])
    turn = _turn(f, tile, makes)
    part = turn.part
    number, place = divided(f.args[1], part.word(Word.COLUMN_PARTS))
    low, high = (_panel(part, turn.first + number + i) for i in range(2))
    panels = (turn.stop - turn.start + (tile.columns - 1)).udiv(tile.columns)
    left, right = (share(panels, place + i, part.word(Word.COLUMN_PARTS)) for i in range(2))
    a = turn.place_of_a(low)

    def use(number: Reg, _: list[Reg]) -> None:
        block = part.block(number)
        part.b_panels = turn.panels_of_b(number)
        f.branch(_is_divided(f, part.descriptor), lambda: None,
                 lambda: part.pack_a(block, low, high, a))

        def panel(index: Reg, _: list[Reg]) -> None:
            part.tiles(block, a, part.b_panel(index), f.const("i64", tile.columns),
                       turn.start + index * tile.columns, low, high, part.b_panel(index + 1))

        f.loop(left, right, 1, [], panel)

    f.loop(turn.low, turn.high, 1, [], use)
    rows = Part(f, tile, [part.descriptor, part.a, part.b, part.c, low, high, part.columns,
                          part.scratch])
    f.branch(part.is_followed(turn.high, turn.stop),
             lambda: rows.run_finished(rows.first_following(), high))
    f.ret()
