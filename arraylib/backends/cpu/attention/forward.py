"""Attention forwards: for each block of queries a running largest logit, sum of powers, and values.

`attend` takes in keys of one block: with a larger logit, what was summed so far shrinks.
`attend_all` takes those that the window shows; or all, if there are rows that saw nothing but
masks, since all that is masked has the same share there.
"""

from __future__ import annotations

from arraylib.backends.cpu.attention.descriptor import KEY_PANELS, Operand, Word, panel_keys
from arraylib.backends.cpu.attention.frame import Frame
from arraylib.backends.cpu.emitter import Module, Reg
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.backends.cpu.math.exponential import exponential
from arraylib.hlo.ops.attention import LOWEST

LOW = LOWEST / 2  # a row whose largest logit is below has seen masks only


def define_forward(module: Module, tile: Tile) -> None:
    """`forward_part(.., task)` and what it calls."""
    _Attend(module, tile).define()
    _AttendAll(module, tile).define()
    _Part(module, tile).define()


class _Attend(Frame):
    """`attend(.., batch, head, row, first, keys)`: some whole panels of a block of keys."""

    def __init__(self, module: Module, tile: Tile) -> None:
        super().__init__(module, tile, "attend", ("batch", "head", "row", "first", "keys"))

    def define(self) -> None:
        f, tile = self.f, self.tile
        batch, head, row, first, count = self.numbers
        block = first.udiv(self.keys)
        inside = first - block * self.keys
        queries = self.word(Word.ROWS) - row
        step = self.word(Word.SIZE_STEPS) * tile.a_width
        keys = (block * KEY_PANELS + inside.udiv(panel_keys(tile))) * step
        self.product(count, queries, self.room(Word.KEYS, keys), step,
                     self.room(Word.QUERIES), self.room(Word.SCORES), self.word(Word.SIZE), 0)
        self.call("finish_scores", batch, head, row, first, count)
        self._powers(count)
        panel = f.const("i64", tile.a_width * self.keys)
        panels = (self.word(Word.VALUE_SIZE) + (tile.rows - 1)).udiv(tile.rows)
        self.product(self.word(Word.VALUE_SIZE), queries,
                     self.room(Word.VALUES, block * panels * panel + inside * tile.a_width), panel,
                     self.room(Word.SCORES), self.room(Word.SUMS), count, 1)
        f.ret()

    def _powers(self, count: Reg) -> None:
        """Powers in place of logits; the largest and the sum brought up to date."""
        f = self.f
        before, peak = self.lanes(Word.LARGEST), self.lanes(Word.PEAK)
        largest = [f.select(x > y, x, y) for x, y in zip(peak, before)]
        base = [finite_or_zero(x) for x in largest]
        shrink = [exponential(x - y) for x, y in zip(before, base)]

        def power(row: Reg, group: int, offset: Reg, total: list[Reg]) -> list[Reg]:
            place = self.room(Word.SCORES, offset)
            x = exponential(f.load(place, self.type) - base[group])
            f.store(x, place)
            return [total[0] + x]

        sums = self.sweep(count, [self.constant(0.0)] * self.tile.vectors, power)
        totals = [f.fma(x, y, z) for x, y, z in zip(self.lanes(Word.TOTAL), shrink, sums)]
        self.put_lanes(largest, Word.LARGEST)
        self.put_lanes(totals, Word.TOTAL)
        changed = f.const("i1", 0)
        for x in shrink:
            changed = changed | self.any_lane(f.compare("une", x, 1.0))
        f.branch(changed, lambda: self._shrink(shrink))

    def _shrink(self, shrink: list[Reg]) -> None:
        f = self.f

        def body(row: Reg, group: int, offset: Reg, _: list[Reg]) -> list[Reg]:
            place = self.room(Word.SUMS, offset)
            f.store(f.load(place, self.type) * shrink[group], place)
            return []

        self.sweep(self.word(Word.VALUE_SIZE), [], body)


def finite_or_zero(x: Reg) -> Reg:
    """0 for -inf, from which it could not be subtracted."""
    f = x.function
    return f.select(f.compare("oeq", x, float("-inf")), 0.0, x)


class _AttendAll(Frame):
    """`attend_all(.., batch, head, row)`: a block of queries from start to end."""

    def __init__(self, module: Module, tile: Tile) -> None:
        super().__init__(module, tile, "attend_all", ("batch", "head", "row"))

    def define(self) -> None:
        f, (batch, head, row) = self.f, self.numbers
        count = f.minimum(self.word(Word.ROWS) - row, f.const("i64", self.width))
        query = self.element(Operand.QUERY, (batch, row, head), self.tile.stored)
        self.pack("pack_b", query, self.stride(Operand.QUERY, 1), self.stride(Operand.QUERY, 3),
                  self.room(Word.QUERIES), count, self.word(Word.SIZE))
        self._attend_shown(batch, head, row, count)
        f.branch(self.any_low(self.lanes(Word.LARGEST), count, LOW),
                 lambda: self._attend_blocks(batch, head, row))
        self._finish(batch, head, row, count)
        f.ret()

    def _start(self) -> None:
        self.put_lanes([self.constant(float("-inf"))] * self.tile.vectors, Word.LARGEST)
        self.put_lanes([self.constant(0.0)] * self.tile.vectors, Word.TOTAL)
        self.clear(self.room(Word.SUMS), self.word(Word.VALUE_ROOM) * self.width)

    def _attend_shown(self, batch: Reg, head: Reg, row: Reg, count: Reg) -> None:
        """The keys that the window shows."""
        f, zero = self.f, self.f.const("i64", 0)
        low = f.maximum(row - self.word(Word.LEFT), zero).udiv(self.keys) * self.keys
        high = f.minimum(row + count + self.word(Word.RIGHT), self.word(Word.COLUMNS))

        def block(first: Reg, _: list[Reg]) -> None:
            begin, end = self.shown(row, count, first, self._keys_from(first))
            f.branch(begin < end, lambda: self.call(
                "attend", batch, head, row, first + begin, end - begin))

        self._start()
        f.loop(low, high, self.keys, [], block)

    def _attend_blocks(self, batch: Reg, head: Reg, row: Reg) -> None:
        """All keys."""
        self._start()
        self.f.loop(0, self.word(Word.COLUMNS), self.keys, [], lambda first, _: self.call(
            "attend", batch, head, row, first, self._keys_from(first)))

    def _keys_from(self, first: Reg) -> Reg:
        """Keys in the block from `first` on."""
        return self.f.minimum(
            self.word(Word.COLUMNS) - first, self.f.const("i64", self.keys))

    def _finish(self, batch: Reg, head: Reg, row: Reg, count: Reg) -> None:
        f, tile = self.f, self.tile
        totals = self.lanes(Word.TOTAL)
        at = (batch * self.word(Word.HEADS) + head) * self.word(Word.ROWS) + row
        largest = [finite_or_zero(x) for x in self.lanes(Word.LARGEST)]
        for operand, values in ((Operand.LARGEST, largest), (Operand.TOTAL, totals)):
            pointer = f.load(f.gep(self.descriptor, int(operand), "ptr"), "ptr")
            for group, value in enumerate(values):
                start = group * tile.lanes
                mask = f.first_lanes(f.maximum(count - start, 0), tile.lanes)
                f.masked_store(value, f.gep(pointer, at + start, tile.compute), mask)

        def divide(row: Reg, group: int, offset: Reg, _: list[Reg]) -> list[Reg]:
            place = self.room(Word.SUMS, offset)
            f.store(f.load(place, self.type) / totals[group], place)
            return []

        size = self.word(Word.VALUE_SIZE)
        self.sweep(size, [], divide)
        out = self.element(Operand.OUT, (batch, row, head), tile.kept)
        f.call("store_queries", "void", [
            self.room(Word.SUMS), self.room(Word.LINES), self.word(Word.VALUE_ROOM), out,
            self.stride(Operand.OUT, 1), count, size])


class _Part(Frame):
    """`forward_part(.., task)`: pack keys and values of a head, then its units."""

    def __init__(self, module: Module, tile: Tile) -> None:
        super().__init__(module, tile, "forward_part", ("task",))

    def define(self) -> None:
        f, (task,) = self.f, self.numbers
        parts = self.word(Word.PARTS)
        together = task.udiv(parts)
        part = task - together * parts
        batch = together.udiv(self.word(Word.KEY_HEADS))
        key_head = together - batch * self.word(Word.KEY_HEADS)
        self._pack(batch, key_head)
        units, blocks = self.word(Word.UNITS), self.word(Word.QUERY_BLOCKS)

        def unit(number: Reg, _: list[Reg]) -> None:
            group = number.udiv(blocks)
            head = key_head * self.word(Word.GROUP) + group
            self.call("attend_all", batch, head, (number - group * blocks) * self.width)

        f.loop((part * units).udiv(parts), ((part + 1) * units).udiv(parts), 1, [], unit)
        f.ret()

    def _pack(self, batch: Reg, key_head: Reg) -> None:
        f, tile = self.f, self.tile
        size, value = self.word(Word.SIZE), self.word(Word.VALUE_SIZE)
        steps = self.word(Word.SIZE_STEPS)
        panels = (value + (tile.rows - 1)).udiv(tile.rows)
        panel = f.const("i64", tile.a_width * self.keys)

        def block(first: Reg, _: list[Reg]) -> None:
            count = f.minimum(self.word(Word.COLUMNS) - first, f.const("i64", self.keys))
            number = first.udiv(self.keys)
            pack_keys(self, Operand.KEY, (batch, first, key_head), count, size,
                      self.room(Word.KEYS, number * KEY_PANELS * steps * tile.a_width), steps)
            pack_across(self, Operand.VALUE, (batch, first, key_head), count, value,
                        self.room(Word.VALUES, number * panels * panel))

        f.loop(0, self.word(Word.COLUMNS), self.keys, [], block)


def pack_keys(frame: Frame, operand: Operand, place: tuple[Reg, Reg, Reg], count: Reg, size: Reg,
              room: Reg, steps: Reg) -> None:
    """Panels of a block's rows, with room for so many steps, for sums over what is in a row."""
    f, tile = frame.f, frame.tile
    start = frame.element(operand, place, tile.stored)
    down, along = frame.stride(operand, 1), frame.stride(operand, 3)

    def panel(number: Reg, first: Reg, rows: Reg) -> None:
        frame.pack("pack_a", f.gep(start, first * down, tile.stored), down, along,
                   f.gep(room, number * steps * tile.a_width, tile.compute), rows, size)

    frame.each_panel(count, panel)


def pack_across(frame: Frame, operand: Operand, place: tuple[Reg, Reg, Reg], count: Reg, size: Reg,
                room: Reg) -> None:
    """Panels of what is in a block's rows, for sums over the rows."""
    f, tile = frame.f, frame.tile
    start = frame.element(operand, place, tile.stored)
    down, along = frame.stride(operand, 1), frame.stride(operand, 3)

    def panel(number: Reg, first: Reg, rows: Reg) -> None:
        frame.pack("pack_a", f.gep(start, first * along, tile.stored), along, down,
                   f.gep(room, number * (tile.a_width * frame.keys), tile.compute), rows, count)

    frame.each_panel(size, panel)
