"""Packing: a strip of A or B copied into a panel, word by word as the micro-kernel reads it.

`pack(source, across, along, panel, count, elements)` writes, for each word along k, `width` words
side by side. `across` and `along` are the element strides over the panel's width and along k. Only
the first `count` places of the width exist; the others get anything (they meet no sum that is
kept). Where `across` is 1 rows are copied, where `along` is 1 blocks are transposed in registers,
and any other strides are gathered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from arraylib.backends.cpu.emitter import Function, Module, Reg, vector
from arraylib.backends.cpu.gemm.tile import Tile, widen

_AHEAD = 4   # blocks of a transposition that are asked for before their use


@dataclass(frozen=True)
class _Strip:
    """The arguments of a packing function under construction."""

    f: Function
    tile: Tile
    width: int
    source: Reg
    across: Reg
    along: Reg
    panel: Reg
    count: Reg
    elements: Reg

    @property
    def vectors(self) -> range:
        """Offsets of the vectors that make up the panel's width."""
        return range(0, self.width, self.tile.lanes)

    def place(self, word: Reg, offset: int) -> Reg:
        """Where a word (its number along k) of the panel goes."""
        return self.f.gep(self.panel, word * self.width + offset, self.tile.word)

    def element(self, offset: Reg) -> Reg:
        return self.f.gep(self.source, offset, self.tile.stored)


def define_packing(module: Module, tile: Tile) -> None:
    """`pack_a` and `pack_b` for kernels on packed B; for kernels that read B in place
    `pack_a_wide`, which makes no pairs, and `copy_b`, which leaves rows as they are."""
    single = replace(tile, pairs=False)
    raw = replace(single, element=tile.stored, compute=tile.stored)
    _define(module, "pack_a", tile, tile.a_width, _by_stride)
    _define(module, "pack_b", tile, tile.columns, _by_stride)
    _define(module, "copy_b", raw, tile.columns, lambda strip: _copy_rows(strip, whole=False))
    if tile.pairs:
        _define(module, "pack_a_wide", single, tile.a_width, _by_stride)


def define_packed(module: Module, name: str, tile: Tile, width: int) -> None:
    """A packing function by another name, for panels of any width in whole vectors."""
    _define(module, name, tile, width, _by_stride)


def _define(module: Module, name: str, tile: Tile, width: int,
            body: Callable[[_Strip], None]) -> None:
    f = Function(module, name, [
        ("ptr noalias", "source"), ("i64", "across"), ("i64", "along"),
        ("ptr noalias", "panel"), ("i64", "count"), ("i64", "elements")])
    body(_Strip(f, tile, width, *f.args))
    f.ret()


def _by_stride(strip: _Strip) -> None:
    f = strip.f

    def rows() -> None:
        f.branch(strip.count >= strip.width, lambda: _copy_rows(strip, whole=True),
                 lambda: _copy_rows(strip, whole=False))

    def not_rows() -> None:
        f.branch(f.compare("eq", strip.along, 1), lambda: _transpose(strip),
                 lambda: _gather(strip))

    f.branch(f.compare("eq", strip.across, 1), rows, not_rows)


def _mask(strip: _Strip, offset: int) -> Reg:
    left = strip.f.maximum(strip.count - offset, 0)
    return strip.f.first_lanes(left, strip.tile.lanes)


def _words(strip: _Strip, low: Reg, high: Reg | None) -> Reg:
    """Vectors of elements at one step of k as words; with pairs, at two steps."""
    f, tile = strip.f, strip.tile
    if not tile.pairs:
        return widen(f, tile, low)
    wide = vector("i32", tile.lanes)
    low = f.cast("zext", low, wide)
    return low if high is None else low | (f.cast("zext", high, wide) << 16)


def _each_word(strip: _Strip, load: Callable[[Reg, int], Reg]) -> None:
    """Call `load(element, offset)` for the elements of each word and store the words."""
    f, step = strip.f, strip.tile.step

    def word(index: Reg, _: list[Reg], whole: bool = True) -> None:
        for offset in strip.vectors:
            low = load(index * step, offset)
            high = load(index * step + 1, offset) if step == 2 and whole else None
            f.store(_words(strip, low, high), strip.place(index, offset))

    whole_words = strip.elements.lshr(step - 1)
    f.loop(0, whole_words, 1, [], word)
    if step == 2:
        f.branch(f.compare("ne", strip.elements & 1, 0),
                 lambda: word(whole_words, [], whole=False))


def _copy_rows(strip: _Strip, whole: bool) -> None:
    f, tile = strip.f, strip.tile
    type = vector(tile.stored, tile.lanes)
    masks = {offset: _mask(strip, offset) for offset in strip.vectors}

    def load(element: Reg, offset: int) -> Reg:
        row = strip.element(element * strip.along)
        place = f.gep(row, offset, tile.stored)
        return f.load(place, type) if whole else f.masked_load(place, type, masks[offset])

    _each_word(strip, load)


def _gather(strip: _Strip) -> None:
    f, tile = strip.f, strip.tile
    lanes = f.iota(vector("i64", tile.lanes))
    masks = {offset: _mask(strip, offset) for offset in strip.vectors}

    def load(element: Reg, offset: int) -> Reg:
        places = (lanes + offset) * f.splat(strip.across, tile.lanes)
        pointers = f.gep(strip.element(element * strip.along), places, tile.stored)
        return f.gather(pointers, vector(tile.stored, tile.lanes), masks[offset])

    _each_word(strip, load)


def _transpose(strip: _Strip) -> None:
    """Blocks of `lanes` by `lanes` words; the last one along k fills up with zeros."""
    f, tile = strip.f, strip.tile
    depth = tile.lanes * tile.step   # elements along k in a block
    last = strip.count - 1
    rows = [strip.element(f.minimum(f.const("i64", i), last) * strip.across)
            for i in range(strip.width)]   # places that do not exist repeat the last one

    def block(start: Reg, whole: bool) -> None:
        mask = None if whole else f.first_lanes(strip.elements - start, depth)
        for offset in strip.vectors:
            lines = []
            for row in rows[offset:offset + tile.lanes]:
                place = f.gep(row, start, tile.stored)
                lines.append(_line(strip, place, mask))
                if whole:   # too many rows for the processor to see a pattern in
                    f.prefetch(f.gep(place, _AHEAD * depth, tile.stored))
            first = start.lshr(tile.step - 1)
            for i, column in enumerate(transposed(f, lines)):
                f.store(column, strip.place(first + i, offset))

    whole = strip.elements & -depth
    f.loop(0, whole, depth, [], lambda start, _: block(start, True))
    f.branch(whole < strip.elements, lambda: block(whole, False))


def _line(strip: _Strip, place: Reg, mask: Reg | None) -> Reg:
    """A vector of words from consecutive elements along k."""
    f, tile = strip.f, strip.tile
    type = vector(tile.stored, tile.lanes * tile.step)
    x = f.load(place, type) if mask is None else f.masked_load(place, type, mask)
    return f.bitcast(x, vector("i32", tile.lanes)) if tile.pairs else widen(f, tile, x)


def transposed(f: Function, lines: list[Reg]) -> list[Reg]:
    """A square block transposed: halves are exchanged at distance n/2, n/4, .. 1."""
    size = len(lines)
    distance = size // 2
    while distance:
        swapped = list(lines)
        for i in range(size):
            if i & distance:
                continue
            upper, lower = lines[i], lines[i + distance]
            keep = [lane if not lane & distance else size + lane - distance
                    for lane in range(size)]
            swapped[i] = f.shuffle(upper, lower, keep)
            swapped[i + distance] = f.shuffle(
                upper, lower, [lane + distance for lane in keep])
        lines, distance = swapped, distance // 2
    return lines
