"""Panels of X: what a panel of rows needs for a block of k, zeros where the array has ended.

Both functions take (descriptor, x, first row, rows, first turn of the outer axes of k, turns, start
of the run, steps of the run, panel, zeros) and write, for each step, `a_width` words side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

from arraylib.backends.cpu.convolution.descriptor import Word
from arraylib.backends.cpu.emitter import Function, Module, Reg, vector
from arraylib.backends.cpu.gemm.packing import define_packed, turn_square
from arraylib.backends.cpu.gemm.tile import Tile

PACK = [("ptr", "descriptor"), ("ptr", "x"), ("i64", "first"), ("i64", "rows"), ("i64", "outer"),
        ("i64", "outers"), ("i64", "run"), ("i64", "steps"), ("ptr noalias", "panel"),
        ("ptr", "zeros")]
_NOWHERE = -(1 << 60)
_AXES = range(3)


def load_word(f: Function, word: int) -> Reg:
    """A number of the descriptor, the function's first argument."""
    return f.load(f.gep(f.args[0], int(word), "i64"), "i64")


def load_words(f: Function, word: int, count: int) -> list[Reg]:
    """Numbers of the descriptor that follow one another."""
    return [load_word(f, word + i) for i in range(count)]


def coordinates(number: Reg, sizes: Sequence[Reg]) -> list[Reg]:
    """Where a number is in an array of these sizes, the last varying fastest."""
    found: list[Reg] = []
    for size in reversed(sizes[1:]):
        quotient = number.udiv(size)
        found.append(number - quotient * size)
        number = quotient
    return [number, *reversed(found)]


def weighted(index: Sequence[Reg], strides: Sequence[Reg]) -> Reg:
    """The sum of index times stride."""
    total = index[0] * strides[0]
    for i, stride in zip(index[1:], strides[1:], strict=True):
        total += i * stride
    return total


def _next(f: Function, index: Sequence[Reg], sizes: Sequence[Reg]) -> list[Reg]:
    """The coordinates that follow."""
    found, carry = [], f.const("i64", 1)
    for i, size in zip(reversed(index[1:]), reversed(sizes[1:]), strict=True):
        i += carry
        over = f.compare("eq", i, size)
        found.append(f.select(over, f.const("i64", 0), i))
        carry = f.cast("zext", over, "i64")
    return [index[0] + carry, *reversed(found)]


# -- windows --------------------------------------------------------------------------------------


def define_windows(module: Module, tile: Tile, name: str) -> None:
    """`pack_windows`: runs of features, one for each row and tap."""
    _define_squares(module, tile)
    f = Function(module, name, PACK, internal=False)
    _, x, first, rows, outer, outers, run, steps, panel, zeros = f.args
    lanes, width = vector("i64", tile.a_width), tile.a_width
    base, *places = _placed_rows(f, tile, first, rows)
    start = f.splat(f.value("i64", f"ptrtoint {x} to i64"), width) \
        + f.load(base, lanes) * tile.word_bytes
    nowhere = f.splat(f.value("i64", f"ptrtoint {zeros} to i64"), width)
    found = f.alloca("i64", width, align=64)
    sizes, strides = load_words(f, Word.K_SIZE, 3), load_words(f, Word.K_X, 3)
    dilations, limits = load_words(f, Word.DILATION, 3), load_words(f, Word.SIZE, 3)

    def tap(number: Reg, at: list[Reg]) -> list[Reg]:
        inside = f.const(vector("i1", width), True)
        for axis in _AXES:
            place = f.load(places[axis], lanes) + f.splat(at[axis] * dilations[axis], width)
            inside &= f.compare("ult", place, f.splat(limits[axis], width))
        further = (weighted(at, strides) + run) * tile.word_bytes
        f.store(f.select(inside, start + f.splat(further, width), nowhere), found)
        f.call("pack_squares", "void", [found, f.gep(panel, number * steps * width, tile.word),
                                        steps])
        return _next(f, at, sizes)

    f.loop(0, outers, 1, coordinates(outer, sizes), tap)
    f.ret()


def _placed_rows(f: Function, tile: Tile, first: Reg, rows: Reg) -> list[Reg]:
    """For each row of the panel the place of its first element, and its position on each axis."""
    arrays = [f.alloca("i64", tile.a_width, align=64) for _ in range(4)]
    sizes, strides = load_words(f, Word.I_SIZE, 4), load_words(f, Word.I_X, 4)
    steps, lows = load_words(f, Word.STEP, 3), load_words(f, Word.LOW, 3)

    def row(number: Reg, at: list[Reg]) -> list[Reg]:
        f.store(weighted(at, strides), f.gep(arrays[0], number, "i64"))
        for axis in _AXES:
            place = at[1 + axis] * steps[axis] - lows[axis]
            f.store(place, f.gep(arrays[1 + axis], number, "i64"))
        return _next(f, at, sizes)

    def missing(number: Reg, _: list[Reg]) -> None:
        for array in arrays:
            f.store(f.const("i64", _NOWHERE), f.gep(array, number, "i64"))

    f.loop(0, rows, 1, coordinates(first, sizes), row)
    f.loop(rows, tile.a_width, 1, [], missing)
    return arrays


def _define_squares(module: Module, tile: Tile) -> None:
    """`pack_squares(rows, panel, steps)`: a line from each row's pointer becomes a column."""
    f = Function(module, "pack_squares", [("ptr", "rows"), ("ptr noalias", "panel"),
                                          ("i64", "steps")])
    rows, panel, steps = f.args
    type = vector(tile.stored, tile.lanes)

    square = f.alloca(tile.word, tile.lanes * tile.lanes, align=64)

    def block(start: Reg, mask: Reg | None) -> None:
        def columns(offset: Reg, _: list[Reg]) -> None:
            def line(row: Reg, _: list[Reg]) -> None:
                place = f.gep(f.load(f.gep(rows, offset + row, "ptr"), "ptr"), start, tile.stored)
                x = f.load(place, type) if mask is None else f.masked_load(place, type, mask)
                f.store(x, f.gep(square, row * tile.lanes, tile.word))

            f.loop(0, tile.lanes, 1, [], line)
            turn_square(f, tile, square, f.gep(panel, start * tile.a_width + offset, tile.word),
                        f.const("i64", tile.a_width))

        f.loop(0, tile.a_width, tile.lanes, [], columns)

    whole = steps & -tile.lanes
    f.loop(0, whole, tile.lanes, [], lambda start, _: block(start, None))
    f.branch(whole < steps, lambda: block(whole, f.first_lanes(steps - whole, tile.lanes)))
    f.ret()


# -- channels -------------------------------------------------------------------------------------


def define_channels(module: Module, tile: Tile, name: str) -> None:
    """`pack_channels`: all rows are at one place of each axis, side by side in memory."""
    define_packed(module, "pack_a", tile, tile.a_width)
    f = Function(module, name, PACK, internal=False)
    _, x, first, rows, outer, outers, run, steps, panel, _ = f.args
    at = coordinates(first, load_words(f, Word.I_SIZE, 4))
    across = load_word(f, Word.I_X + 3)
    start = weighted(at, load_words(f, Word.I_X, 4))
    places = [i * step - low for i, step, low in zip(
        at, load_words(f, Word.STEP, 3), load_words(f, Word.LOW, 3))]
    sizes, strides = load_words(f, Word.K_SIZE, 3), load_words(f, Word.K_X, 4)
    dilations, limits = load_words(f, Word.DILATION, 3), load_words(f, Word.SIZE, 3)
    low, high = _inside(f, places[2], dilations[2], limits[2], run, run + steps)

    def turn(number: Reg, index: list[Reg]) -> list[Reg]:
        inside = f.const("i1", True)
        for axis in (0, 1):
            reached = places[axis] + index[1 + axis] * dilations[axis]
            inside &= f.compare("ult", reached, limits[axis])
        begin, end = f.select(inside, low, run), f.select(inside, high, run)
        offset = start + weighted(index, strides[:3]) + begin * strides[3]

        def place(step: Reg) -> Reg:
            return f.gep(panel, (number * steps + step - run) * tile.a_width, tile.word)

        _clear(f, tile, place(run), begin - run)
        f.call("pack_a", "void", [f.gep(x, offset, tile.stored), across, strides[3], place(begin),
                                  rows, end - begin])
        _clear(f, tile, place(end), run + steps - end)
        return _next(f, index, sizes)

    f.loop(0, outers, 1, coordinates(outer, sizes), turn)
    f.ret()


def _inside(f: Function, place: Reg, dilation: Reg, size: Reg, first: Reg,
            last: Reg) -> tuple[Reg, Reg]:
    """The taps in first..last for which `place + tap * dilation` is in 0..size."""
    def reached(distance: Reg) -> Reg:
        taps = (f.maximum(distance, 0) + (dilation - 1)).udiv(dilation)
        return f.minimum(f.maximum(taps, first), last)

    low = reached(-place)
    return low, f.maximum(reached(size - place), low)


def _clear(f: Function, tile: Tile, place: Reg, steps: Reg) -> None:
    """Zeros for some steps."""
    f.call("llvm.memset.p0.i64", "void", [
        place, f.const("i8", 0), steps * (tile.a_width * tile.word_bytes), f.const("i1", 0)])
