"""Packing lines: each place of a block once, and zeros for places outside of the array."""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.convolution.direct import PLACE_BYTES, Word
from arraylib.backends.cpu.convolution.packing import load_word
from arraylib.backends.cpu.emitter import Function, Module, Reg, vector
from arraylib.backends.cpu.gemm.tile import Tile, widen
from arraylib.record import record

PACK = [("ptr", "descriptor"), ("ptr noalias", "x"), ("i64", "segment"), ("i64", "line"),
        ("i64", "low"), ("i64", "high"), ("ptr noalias", "packed")]


@record
class Listed:
    """A plane of the descriptor's table."""

    first: Reg
    start: Reg
    length: Reg


def each_plane(f: Function, table: Word, body: Callable[[Listed], None]) -> None:
    """Call `body` for each plane of a table."""
    start = f.gep(f.args[0], load_word(f, table), "i64")

    def one(number: Reg, _: list[Reg]) -> None:
        place = f.gep(start, number * 3 + 1, "i64")
        body(Listed(*(f.load(f.gep(place, i, "i64"), "i64") for i in range(3))))

    f.loop(0, f.load(start, "i64"), 1, [], one)


def define_pack_lines(module: Module, tile: Tile, name: str) -> None:
    """`pack_lines(descriptor, x, segment, line, low, high, packed)`: the lines of a segment from
    one on, of the blocks low..high of the side."""
    _define_pack_line(module, tile)
    f = Function(module, name, PACK, internal=False)
    descriptor, x, segment, line, low, high, packed = f.args
    turns = load_word(f, Word.MOVING + 1)
    moving = [segment.udiv(turns), segment.urem(turns), line]

    def place(axis: int, choice: Reg | int) -> Reg:
        return moving[axis] * load_word(f, Word.STEP + axis) - load_word(f, Word.LOW + axis) \
            + load_word(f, Word.DILATION + axis) * choice

    def inside(axis: int, at: Reg) -> Reg:
        return f.compare("ult", at, load_word(f, Word.SIZE + axis))

    def along(axis: int, at: Reg) -> Reg:
        return at * load_word(f, Word.STRIDE + axis)

    choices = load_word(f, Word.CHOSEN + 1)
    line_bytes, side_bytes = load_word(f, Word.LINE_BYTES), load_word(f, Word.SIDE_BYTES)
    block_bytes = side_bytes.udiv(load_word(f, Word.CHOSEN) * choices)

    def outer(number: Reg, _: list[Reg]) -> None:
        first, second = place(0, number.udiv(choices)), place(1, number.urem(choices))
        exists = inside(0, first) & inside(1, second)
        offset = along(0, first) + along(1, second)
        target = f.gep(packed, number * block_bytes, "i8")

        def plane(found: Listed) -> None:
            start = found.first + line * load_word(f, Word.STEP + 2)

            def one(count: Reg, _: list[Reg]) -> None:
                at = start + count * load_word(f, Word.STEP + 2)
                f.call("pack_line", "void", [
                    descriptor, f.gep(x, offset + along(2, at), tile.stored),
                    f.cast("zext", exists & inside(2, at), "i64"), low, high,
                    f.gep(target, (found.start + count) * line_bytes, "i8")])

            f.loop(0, found.length, 1, [], one)

        each_plane(f, Word.LINE_PLANES, plane)

    f.loop(0, load_word(f, Word.CHOSEN) * choices, 1, [], outer)
    f.ret()


def _define_pack_line(module: Module, tile: Tile) -> None:
    """`pack_line(descriptor, x, exists, low, high, packed)`: all planes of a line."""
    f = Function(module, "pack_line", [
        ("ptr", "descriptor"), ("ptr noalias", "x"), ("i64", "exists"), ("i64", "low"),
        ("i64", "high"), ("ptr noalias", "packed")])
    _, x, exists, low, high, packed = f.args
    step, size, stride = (load_word(f, w + 3) for w in (Word.STEP, Word.SIZE, Word.STRIDE))
    short, longer = load_word(f, Word.SIDE_SHORT), load_word(f, Word.SIDE_LONGER)
    side_bytes = load_word(f, Word.SIDE_BYTES)
    size = f.select(f.compare("ne", exists, 0), size, 0)

    def reached(distance: Reg, length: Reg) -> Reg:
        """How many places of a plane are below one that lies so far off."""
        return f.minimum((f.maximum(distance, 0) + (step - 1)).udiv(step), length)

    def plane(found: Listed) -> None:
        begin = reached(-found.first, found.length)
        end = f.maximum(reached(size - found.first, found.length), begin)

        def block(number: Reg, _: list[Reg]) -> None:
            side = number * short + f.minimum(number, longer)
            width = short + f.cast("zext", number < longer, "i64")
            target = f.gep(f.gep(packed, (number - low) * side_bytes, "i8"),
                           found.start * PLACE_BYTES, "i8")
            _clear(f, tile, target, f.const("i64", 0), begin)
            _copy(f, tile, f.gep(x, found.first * stride + side, tile.stored), step * stride,
                  width, target, begin, end)
            _clear(f, tile, target, end, found.length)

        f.loop(low, high, 1, [], block)

    each_plane(f, Word.PLACE_PLANES, plane)
    f.ret()


def _clear(f: Function, tile: Tile, target: Reg, begin: Reg, end: Reg) -> None:
    """Zeros at places begin..end."""
    pitch = PLACE_BYTES // tile.word_bytes
    zero = f.const(vector(tile.compute, tile.lanes), 0)

    def one(place: Reg, _: list[Reg]) -> None:
        for lane in range(0, pitch, tile.lanes):
            f.store(zero, f.gep(target, place * pitch + lane, tile.compute))

    f.loop(begin, end, 1, [], one)


def _copy(f: Function, tile: Tile, source: Reg, step: Reg, width: Reg, target: Reg, begin: Reg,
          end: Reg) -> None:
    """The first `width` elements at places begin..end, and zeros after them."""
    pitch = PLACE_BYTES // tile.word_bytes
    masks = [f.first_lanes(f.maximum(width - lane, 0), tile.lanes)
             for lane in range(0, pitch, tile.lanes)]

    def one(place: Reg, _: list[Reg]) -> None:
        for mask, lane in zip(masks, range(0, pitch, tile.lanes), strict=True):
            start = f.gep(source, place * step + lane, tile.stored)
            x = widen(f, tile, f.masked_load(start, vector(tile.stored, tile.lanes), mask))
            f.store(x, f.gep(target, place * pitch + lane, tile.compute))

    f.loop(begin, end, 1, [], one)
