"""Attention backwards: gradients from shares that are computed again, a block at a time.

For each block of keys all units fold in what they add to the gradients of its keys and values; what
the block adds to the gradients of queries is summed beside them. With p the shares and g the
cotangent times the values, the slope of a logit is p (g - mean) * scale, where mean is the sum of
p g, that is of result times cotangent.
"""

from __future__ import annotations

from arraylib.backends.cpu.attention.descriptor import Operand, Word, panel_keys
from arraylib.backends.cpu.attention.forward import LOW, pack_across, pack_keys
from arraylib.backends.cpu.attention.frame import Frame, core
from arraylib.backends.cpu.attention.turned import ADD_TURNED, define_turned
from arraylib.backends.cpu.emitter import Module, Reg
from arraylib.backends.cpu.gemm.packing import define_packed
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.backends.cpu.math.exponential import exponential
from arraylib.hlo.ops.attention import LOWEST

_FACTS = 4  # of a unit: largest, 1 / total, mean, whether it saw masks only


def define_backward(module: Module, tile: Tile) -> None:
    """`backward_part(.., task)` and what it calls."""
    define_packed(module, "pack_strip", core(tile), tile.a_width)
    define_turned(module, tile)
    _Prepare(module, tile).define()
    _Fold(module, tile).define()
    _Part(module, tile).define()


class _OfUnit(Frame):
    """A function of one unit: its number, head and first row."""

    def __init__(self, module: Module, tile: Tile, name: str, more: tuple[str, ...] = ()) -> None:
        super().__init__(module, tile, name, ("batch", "key_head", "unit", *more))
        f, (batch, key_head, unit) = self.f, self.numbers[:3]
        blocks = self.word(Word.QUERY_BLOCKS)
        group = unit.udiv(blocks)
        self.batch, self.unit = batch, unit
        self.head = key_head * self.word(Word.GROUP) + group
        self.row = (unit - group * blocks) * self.width
        self.count = f.minimum(self.word(Word.ROWS) - self.row, f.const("i64", self.width))

    def own(self, word: Word, size: Reg) -> Reg:
        """The unit's part of a room where each has `size` rows of queries."""
        return self.room(word, self.unit * size * self.width)

    def fact(self, number: int) -> Reg:
        return self.unit * (_FACTS * self.width) + number * self.width


class _Prepare(_OfUnit):
    """`prepare(.., batch, key_head, unit)`: pack queries and cotangents, sum up mean slopes."""

    def __init__(self, module: Module, tile: Tile) -> None:
        super().__init__(module, tile, "prepare")

    def define(self) -> None:
        f, size, value = self.f, self.word(Word.SIZE), self.word(Word.VALUE_SIZE)
        self._columns(Operand.QUERY, size, self.own(Word.QUERIES, self.word(Word.SIZE_STEPS)))
        self._columns(Operand.COTANGENT, value,
                      self.own(Word.COTANGENTS, self.word(Word.VALUE_STEPS)))
        self._columns(Operand.OUT, value, self.room(Word.SPREAD))
        self._lines(Operand.QUERY, size, self.own(Word.QUERY_LINES, self.word(Word.SIZE_ROOM)))
        self._lines(Operand.COTANGENT, value,
                    self.own(Word.COTANGENT_LINES, self.word(Word.VALUE_ROOM)))
        self.clear(self.own(Word.SUMS, self.word(Word.SIZE_ROOM)),
                   self.word(Word.SIZE_ROOM) * self.width)
        cotangents = self.unit * self.word(Word.VALUE_STEPS) * self.width

        def mean(row: Reg, group: int, offset: Reg, total: list[Reg]) -> list[Reg]:
            x = f.load(self.room(Word.SPREAD, offset), self.type)
            y = f.load(self.room(Word.COTANGENTS, cotangents + offset), self.type)
            return [f.fma(x, y, total[0])]

        means = self.sweep(value, [self.constant(0.0)] * self.tile.vectors, mean)
        self.put_lanes(means, Word.FACTS, self.fact(2))
        self._row_facts()
        f.ret()

    def _columns(self, operand: Operand, size: Reg, room: Reg) -> None:
        """[size][queries]."""
        start = self.element(operand, (self.batch, self.row, self.head), self.tile.stored)
        self.pack("pack_b", start, self.stride(operand, 1), self.stride(operand, 3), room,
                  self.count, size)

    def _lines(self, operand: Operand, size: Reg, room: Reg) -> None:
        """Panels of [queries][size]."""
        f, along = self.f, self.stride(operand, 3)
        start = self.element(operand, (self.batch, self.row, self.head), self.tile.stored)

        def panel(first: Reg, _: list[Reg]) -> None:
            self.pack("pack_b", f.gep(start, first * along, self.tile.stored), along,
                      self.stride(operand, 1), f.gep(room, first * self.width, self.tile.compute),
                      size - first, self.count)

        f.loop(0, size, self.width, [], panel)

    def _row_facts(self) -> None:
        f, tile = self.f, self.tile
        at = (self.batch * self.word(Word.HEADS) + self.head) * self.word(Word.ROWS) + self.row
        found = []
        for operand in (Operand.LARGEST, Operand.TOTAL):
            pointer = f.load(f.gep(self.descriptor, int(operand), "ptr"), "ptr")
            found.append([f.masked_load(
                f.gep(pointer, at + group * tile.lanes, tile.compute), self.type,
                f.first_lanes(f.maximum(self.count - group * tile.lanes, 0), tile.lanes))
                for group in self.groups])
        largest, total = found
        self.put_lanes(largest, Word.FACTS, self.fact(0))
        self.put_lanes([self.constant(1.0) / x for x in total], Word.FACTS, self.fact(1))
        low = self.any_low(largest, self.count, LOW)
        f.store(f.cast("uitofp", low, tile.compute), self.room(Word.FACTS, self.fact(3)))


class _Fold(_OfUnit):
    """`fold(.., batch, key_head, unit, first, keys)`: a unit and what it sees of a block of keys.

    If some row of the unit saw masks only, that is all of the block.
    """

    def __init__(self, module: Module, tile: Tile) -> None:
        super().__init__(module, tile, "fold", ("first", "keys"))
        self.first, self.some = self.numbers[3:]

    def define(self) -> None:
        f, low = self.f, self.room(Word.FACTS, self.fact(3))
        begin, end = self.shown(self.row, self.count, self.first, self.some)
        masked = f.compare("ogt", f.load(low, self.tile.compute), 0.0)
        self.inside = f.select(masked, 0, begin)
        self.some = f.select(masked, self.some, end) - self.inside
        f.branch(self.some > 0, self._fold)
        f.ret()

    def _fold(self) -> None:
        size, value = self.word(Word.SIZE), self.word(Word.VALUE_SIZE)
        steps, value_steps = self.word(Word.SIZE_STEPS), self.word(Word.VALUE_STEPS)
        width, count = self.tile.a_width, self.f.const("i64", self.width)
        panel = self.inside.udiv(panel_keys(self.tile)) * width
        self.product(self.some, count, self.room(Word.KEYS, panel * steps), steps * width,
                     self.own(Word.QUERIES, steps), self.room(Word.SCORES), size, 0)
        self.call("finish_scores", self.batch, self.head, self.row, self.first + self.inside,
                  self.some)
        self.product(self.some, count, self.room(Word.VALUES, panel * value_steps),
                     value_steps * width, self.own(Word.COTANGENTS, value_steps),
                     self.room(Word.SLOPES), value, 0)
        self._slopes()
        self.product(size, count, self.room(Word.KEYS_ACROSS, self.inside * width),
                     self.f.const("i64", width * self.keys), self.room(Word.SLOPES),
                     self.own(Word.SUMS, self.word(Word.SIZE_ROOM)), self.some, 1)
        self._add(Word.SCORES, Word.COTANGENT_LINES, Word.TO_VALUES, Word.VALUE_ROOM, value)
        self._add(Word.SLOPES, Word.QUERY_LINES, Word.TO_KEYS, Word.SIZE_ROOM, size)

    def _slopes(self) -> None:
        """Shares in place of logits, slopes of logits in place of those of shares."""
        f, scale = self.f, self.scale()
        largest, reciprocal, mean = (self.lanes(Word.FACTS, self.fact(i)) for i in range(3))

        def body(row: Reg, group: int, offset: Reg, _: list[Reg]) -> list[Reg]:
            score, slope = self.room(Word.SCORES, offset), self.room(Word.SLOPES, offset)
            x = f.load(score, self.type)
            share = exponential(x - largest[group]) * reciprocal[group]
            found = (f.load(slope, self.type) - mean[group]) * share * scale
            f.store(share, score)
            f.store(f.select(f.compare("oeq", x, LOWEST), 0.0, found), slope)
            return []

        self.sweep(self.some, [], body)

    def _add(self, block: Word, lines: Word, target: Word, room: Word, size: Reg) -> None:
        """Add the block, turned over, times rows of queries or cotangents."""
        f, width, step = self.f, self.width, self.word(room)
        rows_of = self.own(lines, step)

        def place(first: Reg, column: Reg) -> Reg:
            return self.room(target, (self.inside + first) * step + column)

        def turned(first: Reg) -> None:
            def columns(column: Reg, _: list[Reg]) -> None:
                line = f.gep(rows_of, column * width, self.tile.compute)
                f.call(ADD_TURNED, "void", [
                    self.room(block, first * width), line, place(first, column), step, self.count])

            f.loop(0, size, width, [], columns)

        def strip(first: Reg, rows: Reg) -> None:
            self.pack("pack_strip", self.room(block, first * width), f.const("i64", width),
                      f.const("i64", 1), self.room(Word.STRIP), rows, self.count)
            f.loop(0, size, width, [], lambda column, _: self.kernel(
                rows, size - column, self.room(Word.STRIP),
                f.gep(rows_of, column * width, self.tile.compute), place(first, column), step,
                self.count, 1))

        # Where the last columns are few, kernels half as wide serve them.
        wide = ((size - 1) & (width - 1)) >= self.tile.lanes
        self.each_panel(self.some, lambda number, first, rows: f.branch(
            wide & f.compare("eq", rows, panel_keys(self.tile)),
            lambda: turned(first), lambda: strip(first, rows)))


class _Part(Frame):
    """`backward_part(.., task)`: all gradients of a key head and its queries."""

    def __init__(self, module: Module, tile: Tile) -> None:
        super().__init__(module, tile, "backward_part", ("task",))
        task, = self.numbers
        self.batch = task.udiv(self.word(Word.KEY_HEADS))
        self.key_head = task - self.batch * self.word(Word.KEY_HEADS)

    def define(self) -> None:
        f, units = self.f, self.word(Word.UNITS)
        f.loop(0, units, 1, [],
               lambda unit, _: self.call("prepare", self.batch, self.key_head, unit))
        f.loop(0, self.word(Word.COLUMNS), self.keys, [], lambda first, _: self._block(first))
        f.loop(0, units, 1, [], lambda unit, _: self._store(unit))
        f.ret()

    def _block(self, first: Reg) -> None:
        f, size, value = self.f, self.word(Word.SIZE), self.word(Word.VALUE_SIZE)
        count = f.minimum(self.word(Word.COLUMNS) - first, f.const("i64", self.keys))
        place = self.batch, first, self.key_head
        pack_keys(self, Operand.KEY, place, count, size, self.room(Word.KEYS),
                  self.word(Word.SIZE_STEPS))
        pack_keys(self, Operand.VALUE, place, count, value, self.room(Word.VALUES),
                  self.word(Word.VALUE_STEPS))
        pack_across(self, Operand.KEY, place, count, size, self.room(Word.KEYS_ACROSS))
        sums = ((Word.TO_KEYS, Word.SIZE_ROOM, Operand.TO_KEY, size),
                (Word.TO_VALUES, Word.VALUE_ROOM, Operand.TO_VALUE, value))
        for word, room, _, _ in sums:
            self.clear(self.room(word), self.word(room) * self.keys)
        f.loop(0, self.word(Word.UNITS), 1, [], lambda unit, _: self.call(
            "fold", self.batch, self.key_head, unit, first, count))
        for word, room, operand, columns in sums:
            f.call("store_rows", "void", [
                self.room(word), self.word(room), self.element(operand, place, self.tile.kept),
                self.stride(operand, 1), count, columns])

    def _store(self, unit: Reg) -> None:
        """The gradient of a unit's queries."""
        f, blocks, room = self.f, self.word(Word.QUERY_BLOCKS), self.word(Word.SIZE_ROOM)
        group = unit.udiv(blocks)
        head = self.key_head * self.word(Word.GROUP) + group
        row = (unit - group * blocks) * self.width
        count = f.minimum(self.word(Word.ROWS) - row, f.const("i64", self.width))
        target = self.element(Operand.TO_QUERY, (self.batch, row, head), self.tile.kept)
        f.call("store_queries", "void", [
            self.room(Word.SUMS, unit * room * self.width), self.room(Word.LINES), room, target,
            self.stride(Operand.TO_QUERY, 1), count, self.word(Word.SIZE)])
