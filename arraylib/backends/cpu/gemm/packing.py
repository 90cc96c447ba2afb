"""Packing: a strip of A or B copied into a panel, word by word as the micro-kernel reads it.

`pack(source, across, along, panel, count, elements)` writes, for each word along k, `width` words
side by side. `across` and `along` are the element strides over the panel's width and along k. Only
the first `count` places of the width exist; the others get anything (they meet no sum that is
kept). Where `across` is 1 rows are copied, where `along` is 1 blocks are transposed in registers,
and any other strides are gathered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from arraylib.backends.cpu.emitter import Function, Module, Reg, lanes, vector
from arraylib.backends.cpu.gemm.tile import Tile, widen
from arraylib.record import record

PACK = [("ptr noalias", "source"), ("i64", "across"), ("i64", "along"),
        ("ptr noalias", "panel"), ("i64", "count"), ("i64", "elements")]
ROWS_AT_ONCE = 16   # along k, packed over several panels
_AHEAD = 4   # squares of a transposition that are asked for before their use


@record
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


WAYS = "rows", "lines", "strided"   # how a strip is packed, by its strides


def way_of(across: int, along: int) -> str:
    """The best of WAYS for these strides."""
    return "rows" if across == 1 else "lines" if along == 1 else "strided"


def define_pack(module: Module, name: str, tile: Tile, width: int, way: str, *,
                internal: bool = True) -> None:
    """A packing function for one of WAYS, for panels of any width in whole vectors."""
    _define(module, name, tile, width, _BODIES[way], internal)


def define_packed(module: Module, name: str, tile: Tile, width: int) -> None:
    """The same for any strides."""
    _define(module, name, tile, width, _by_stride, True)


def unpaired(tile: Tile) -> Tile:
    """For panels that meet rows of B where they lie: words are not pairs."""
    return replace(tile, pairs=False)


def unchanged(tile: Tile) -> Tile:
    """For rows of B as they are."""
    return replace(tile, pairs=False, element=tile.stored, compute=tile.stored)


def _define(module: Module, name: str, tile: Tile, width: int,
            body: Callable[[_Strip], None], internal: bool) -> None:
    f = Function(module, name, PACK, internal=internal)
    body(_Strip(f, tile, width, *f.args))
    f.ret()


def _by_stride(strip: _Strip) -> None:
    f = strip.f

    def not_rows() -> None:
        f.branch(f.compare("eq", strip.along, 1), lambda: _transpose(strip),
                 lambda: _gather(strip))

    f.branch(f.compare("eq", strip.across, 1), lambda: _rows(strip), not_rows)


def _rows(strip: _Strip) -> None:
    """Masks cost nothing where every instruction takes one."""
    f = strip.f
    if _has_masks(strip):
        _copy_rows(strip, whole=False)
    else:
        f.branch(strip.count >= strip.width, lambda: _copy_rows(strip, whole=True),
                 lambda: _copy_rows(strip, whole=False))


def _has_masks(strip: _Strip) -> bool:
    return "avx512bw" in strip.f.module.features


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


def _each_word(strip: _Strip, load: Callable[[Reg, int], Reg], start: Reg) -> None:
    """Call `load(element, offset)` for the elements of each word and store the words."""
    f, step = strip.f, strip.tile.step

    def word(index: Reg, _: list[Reg], whole: bool = True) -> None:
        for offset in strip.vectors:
            low = load(index * step, offset)
            high = load(index * step + 1, offset) if step == 2 and whole else None
            f.store(_words(strip, low, high), strip.place(index, offset))

    whole_words = strip.elements.lshr(step - 1)
    f.loop(start.lshr(step - 1), whole_words, 1, [], word)
    if step == 2:
        f.branch(f.compare("ne", strip.elements & 1, 0),
                 lambda: word(whole_words, [], whole=False))


def _copy_rows(strip: _Strip, whole: bool) -> None:
    """Pieces of rows, which the processor sees no pattern in: each asks for the one that the next
    call begins with, ROWS_AT_ONCE words further along k."""
    f, tile = strip.f, strip.tile
    type = vector(tile.stored, tile.lanes)
    next_call = strip.along * (ROWS_AT_ONCE * tile.step)
    masks = {offset: _mask(strip, offset) for offset in strip.vectors}

    def load(element: Reg, offset: int) -> Reg:
        row = strip.element(element * strip.along)
        place = f.gep(row, offset, tile.stored)
        f.prefetch(f.gep(place, next_call, tile.stored), locality=2)
        return f.load(place, type) if whole else f.masked_load(place, type, masks[offset])

    _each_word(strip, load, f.const("i64", 0))


def _gather(strip: _Strip) -> None:
    _gather_from(strip, strip.f.const("i64", 0))


def _gather_from(strip: _Strip, start: Reg) -> None:
    """Elements from `start` on, which begins a word."""
    f, tile = strip.f, strip.tile
    numbers = f.iota(vector("i64", tile.lanes))
    masks = {offset: _mask(strip, offset) for offset in strip.vectors}

    def load(element: Reg, offset: int) -> Reg:
        places = (numbers + offset) * f.splat(strip.across, tile.lanes)
        pointers = f.gep(strip.element(element * strip.along), places, tile.stored)
        return f.gather(pointers, vector(tile.stored, tile.lanes), masks[offset])

    _each_word(strip, load, start)


def _transpose(strip: _Strip) -> None:
    """Blocks of `lanes` by `lanes` words, each transposed.

    The last block along k, which may have fewer, is filled up with zeros where loads have masks,
    else gathered.
    """
    f, tile = strip.f, strip.tile
    whole = strip.elements & -(tile.lanes * tile.step)
    if tile.pairs:
        _turn_some(strip, f.const("i64", 0), strip.elements if _has_masks(strip) else whole)
    else:
        f.loop(0, strip.width, tile.lanes, [], lambda offset, _: _turn_lines(strip, offset, whole))
    if not tile.pairs and _has_masks(strip):
        f.branch(whole < strip.elements, lambda: _turn_some(strip, whole, strip.elements))
    elif not _has_masks(strip):
        f.branch(whole < strip.elements, lambda: _gather_from(strip, whole))


def _turn_lines(strip: _Strip, offset: Reg, whole: Reg) -> None:
    """The first `whole` elements along k of `lanes` places, in registers.

    Pieces of lines, 16 bytes as words, are put side by side, and transposed within 16 bytes, which
    is all that most processors do in one step. Lines are too many and too short for the processor
    to see a pattern in: each asks for the one that the next strip has in its place.
    """
    f, tile = strip.f, strip.tile
    side = max(1, 16 // tile.word_bytes)
    # A place that does not exist repeats the last one.
    lines = [strip.element(f.minimum(offset + i, strip.count - 1) * strip.across)
             for i in range(tile.lanes)]
    next_strip = strip.count * strip.across

    def piece(line: Reg, start: Reg) -> Reg:
        return f.load(f.gep(line, start, tile.stored), vector(tile.stored, side))

    def block(start: Reg, _: list[Reg]) -> None:
        for line in lines:
            f.prefetch(f.gep(line, next_strip + start, tile.stored), locality=2)
        for first in range(0, tile.lanes, side):
            joined = [_joined(f, [piece(line, start + first) for line in lines[i::side]])
                      for i in range(side)]
            for i, column in enumerate(transposed(f, [widen(f, tile, x) for x in joined])):
                place = strip.place(start + (first + i), 0)
                f.store(column, f.gep(place, offset, tile.word))

    f.loop(0, whole, tile.lanes, [], block)


def _turn_some(strip: _Strip, first: Reg, stop: Reg) -> None:
    """The elements `first .. stop - 1` along k, by way of a square in the first cache."""
    f, tile = strip.f, strip.tile
    depth = tile.lanes * tile.step   # elements along k in a block
    square = f.alloca(tile.word, tile.lanes * tile.lanes, align=64)

    def block(start: Reg, _: list[Reg]) -> None:
        mask = f.first_lanes(strip.elements - start, depth) if _has_masks(strip) else None

        def columns(offset: Reg, _: list[Reg]) -> None:
            _fill(strip, square, offset, start, mask)
            place = strip.place(start.lshr(tile.step - 1), 0)
            turn_square(f, tile, square, f.gep(place, offset, tile.word),
                        f.const("i64", strip.width))

        f.loop(0, strip.width, tile.lanes, [], columns)

    f.loop(first, stop, depth, [], block)


def _fill(strip: _Strip, square: Reg, offset: Reg, start: Reg, mask: Reg | None) -> None:
    """Lines of words along k, one for each of `lanes` places from `offset` on."""
    f, tile = strip.f, strip.tile
    depth = tile.lanes * tile.step

    def line(number: Reg, _: list[Reg]) -> None:
        # A place that does not exist repeats the last one.
        row = f.minimum(offset + number, strip.count - 1) * strip.across
        place = strip.element(row + start)
        f.store(_line(strip, place, mask), f.gep(square, number * tile.lanes, tile.word))
        # The rows are too many for the processor to see a pattern in.
        f.prefetch(f.gep(place, _AHEAD * depth, tile.stored))

    f.loop(0, tile.lanes, 1, [], line)


def turn_square(f: Function, tile: Tile, square: Reg, target: Reg, step: Reg) -> None:
    """The columns of a square of words become lines, `step` words apart.

    A few at a time: pieces of lines side by side, then transposed within pieces of 16 bytes, which
    is all that most processors do in one step.
    """
    side = max(1, 16 // tile.word_bytes)

    def few(first: Reg, _: list[Reg]) -> None:
        lines = []
        for i in range(side):
            places = [f.gep(square, first + (row + i) * tile.lanes, tile.word)
                      for row in range(0, tile.lanes, side)]
            lines.append(_joined(f, [f.load(place, vector(tile.word, side)) for place in places]))
        for i, column in enumerate(transposed(f, lines)):
            f.store(column, f.gep(target, (first + i) * step, tile.word))

    f.loop(0, tile.lanes, side, [], few)


def _joined(f: Function, parts: list[Reg]) -> Reg:
    """Vectors, a power of two of them, one after another in one."""
    while len(parts) > 1:
        count = range(2 * lanes(parts[0].type))
        parts = [f.shuffle(low, high, count)
                 for low, high in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _line(strip: _Strip, place: Reg, mask: Reg | None) -> Reg:
    """A vector of words from consecutive elements along k."""
    f, tile = strip.f, strip.tile
    type = vector(tile.stored, tile.lanes * tile.step)
    x = f.load(place, type) if mask is None else f.masked_load(place, type, mask)
    return f.bitcast(x, vector("i32", tile.lanes)) if tile.pairs else widen(f, tile, x)


def transposed(f: Function, lines: list[Reg]) -> list[Reg]:
    """Square blocks side by side, each transposed: exchanged at distance n/2, n/4, .. 1."""
    size = len(lines)
    distance, count = size // 2, lanes(lines[0].type)
    while distance:
        swapped = list(lines)
        for i in range(size):
            if i & distance:
                continue
            upper, lower = lines[i], lines[i + distance]
            keep = [lane if not lane & distance else count + lane - distance
                    for lane in range(count)]
            swapped[i] = f.shuffle(upper, lower, keep)
            swapped[i + distance] = f.shuffle(
                upper, lower, [lane + distance for lane in keep])
        lines, distance = swapped, distance // 2
    return lines


_BODIES: dict[str, Callable[[_Strip], None]] = {
    "rows": _rows, "lines": _transpose, "strided": _gather}
