"""From products to logits: `finish_scores` scales a block, adds bias, hides what masks hide.

It leaves in PEAK the largest logit of each query. Bias and masks are packed as the block lies, one
query in each lane, so that any strides will do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from arraylib.backends.cpu.attention.descriptor import Operand, Word
from arraylib.backends.cpu.attention.frame import Frame, core
from arraylib.backends.cpu.emitter import Module, Reg, bits, is_float, vector
from arraylib.backends.cpu.gemm.packing import define_packed
from arraylib.backends.cpu.gemm.tile import Tile
from arraylib.hlo.ops.attention import LOWEST

NUMBERS = ("batch", "head", "row", "first", "keys")


def define_scores(module: Module, tile: Tile, *, plain: bool) -> None:
    """`finish_scores(.., batch, head, row, first, keys)` of the block at SCORES.

    If it is `plain`, there is neither bias nor mask.
    """
    assert is_float(tile.compute)
    if plain:
        _Scores(module, tile).define_plain()
        return
    as_integer = replace(tile, element="i8", compute=f"i{bits(tile.compute)}")
    define_packed(module, "pack_bias", core(tile), tile.columns)
    define_packed(module, "pack_mask", as_integer, tile.columns)
    _Scores(module, tile).define()


class _Scores(Frame):
    """`finish_scores` under construction."""

    def __init__(self, module: Module, tile: Tile) -> None:
        super().__init__(module, tile, "finish_scores", NUMBERS)
        self.batch, self.head, self.row, self.first, self.count = self.numbers

    def define_plain(self) -> None:
        f = self.f
        before = self.row + (self.width - 1) - self.word(Word.LEFT) <= self.first
        after = self.first + self.count <= self.row + self.word(Word.RIGHT) + 1
        scale = self.scale()
        f.branch(before & after, lambda: self._find(scale), lambda: self._hide_and_find(scale))
        f.ret()

    def define(self) -> None:
        f, scale = self.f, self.scale()
        f.branch(f.compare("ne", self.word(Word.HAS_BIAS), 0), lambda: self._add_bias(scale),
                 lambda: self._each(lambda x, _: x * scale))
        f.loop(0, self.word(Word.MASKS), 1, [], self._mask)
        self._hide_and_find(None)
        f.ret()

    def _each(self, change: Callable[[Reg, Reg], Reg]) -> None:
        """Change each vector of the block where it is."""
        f = self.f

        def body(row: Reg, group: int, offset: Reg, _: list[Reg]) -> list[Reg]:
            place = self.room(Word.SCORES, offset)
            f.store(change(f.load(place, self.type), offset), place)
            return []

        self.sweep(self.count, [], body)

    def _spread(self, name: str, pointer: Reg, strides: list[Reg], type: str) -> None:
        """Pack what lies over the block's logits."""
        f, (batch, head, row, column) = self.f, strides
        offset = self.batch * batch + self.head * head + self.row * row + self.first * column
        count = f.minimum(self.word(Word.ROWS) - self.row, f.const("i64", self.width))
        self.pack(name, f.gep(pointer, offset, type), row, column, self.room(Word.SPREAD), count,
                  self.count)

    def _add_bias(self, scale: Reg) -> None:
        f = self.f
        pointer = f.load(f.gep(self.descriptor, int(Operand.BIAS), "ptr"), "ptr")
        self._spread("pack_bias", pointer, [self.stride(Operand.BIAS, i) for i in range(4)],
                     self.tile.compute)
        self._each(lambda x, offset: f.fma(
            x, scale, f.load(self.room(Word.SPREAD, offset), self.type)))

    def _mask(self, number: Reg, _: list[Reg]) -> None:
        f, whole = self.f, vector(f"i{bits(self.tile.compute)}", self.tile.lanes)
        operand = number + int(Operand.MASK)
        pointer = f.load(f.gep(self.descriptor, operand, "ptr"), "ptr")
        first = operand * 4 + len(Operand)
        strides = [f.load(f.gep(self.descriptor, first + i, "i64"), "i64") for i in range(4)]
        self._spread("pack_mask", pointer, strides, "i8")

        def hide(x: Reg, offset: Reg) -> Reg:
            allowed = f.load(self.room(Word.SPREAD, offset), whole)
            return f.select(f.compare("ne", allowed, 0), x, LOWEST)

        self._each(hide)

    def _find(self, scale: Reg) -> None:
        """Scale, and find the largest."""
        f = self.f

        def body(row: Reg, group: int, offset: Reg, largest: list[Reg]) -> list[Reg]:
            place = self.room(Word.SCORES, offset)
            x = f.load(place, self.type) * scale
            f.store(x, place)
            return [_larger(x, largest[0])]

        start = [self.constant(float("-inf"))] * self.tile.vectors
        self.put_lanes(self.sweep(self.count, start, body), Word.PEAK)

    def _hide_and_find(self, scale: Reg | None) -> None:
        """Scale, hide what is outside the window, and find the largest."""
        f, lanes = self.f, self.tile.lanes
        left, right = self.word(Word.LEFT), self.word(Word.RIGHT)
        place_type = vector("i32", lanes)
        places = [f.const(place_type, range(g * lanes, (g + 1) * lanes)) for g in self.groups]
        zero, width = f.const("i64", 0), f.const("i64", self.width)

        def limit(number: Reg) -> Reg:
            inside = f.minimum(f.maximum(number, zero - 1), width)
            return f.splat(f.cast("trunc", inside, "i32"), lanes)

        def body(row: Reg, group: int, offset: Reg, largest: list[Reg]) -> list[Reg]:
            place = self.room(Word.SCORES, offset)
            x = f.load(place, self.type)
            if scale is not None:
                x = x * scale
            column = self.first + row - self.row
            allowed = (places[group] >= limit(column - right)) \
                & (places[group] <= limit(column + left))
            x = f.select(allowed, x, LOWEST)
            f.store(x, place)
            return [_larger(x, largest[0])]

        start = [self.constant(float("-inf"))] * self.tile.vectors
        self.put_lanes(self.sweep(self.count, start, body), Word.PEAK)


def _larger(x: Reg, y: Reg) -> Reg:
    """The larger, y where x is nan: what is computed of a nan is nan anyway."""
    return x.function.select(x > y, x, y)
