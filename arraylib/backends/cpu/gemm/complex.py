"""Packing of complex matrices, for a product of real ones twice as wide and twice as deep.

A complex number is two neighbours in memory, its parts. A panel of A has for each of them two
steps along k: the real parts of all rows, then the imaginary parts. A panel of B has the numbers of
a row as they lie, re im re im .., then -im re -im re ..; so a row of C comes out as it lies.
Arguments are those of the other packing functions, in parts: `elements` is twice the number of
elements along k, of which each is `2 * along` from the last; of B also `count` is so, and `across`.
"""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.emitter import Function, Module, Reg, vector
from arraylib.backends.cpu.gemm.packing import PACK
from arraylib.backends.cpu.gemm.tile import Tile


def define_complex_a(module: Module, name: str, tile: Tile, *, gathers: bool) -> None:
    """The panel of A; rows are neighbours unless it `gathers`."""
    f = Function(module, name, PACK, internal=False)
    _, across, _, _, count, _ = f.args
    lanes = tile.lanes
    numbers = f.iota(vector("i64", lanes))

    def gathered(place: Reg, offset: int) -> list[Reg]:
        mask = f.first_lanes(f.maximum(count - offset, 0), lanes)
        places = (numbers + offset) * f.splat(across, lanes)
        return [f.gather(f.gep(place, places + part, tile.stored), vector(tile.stored, lanes),
                         mask) for part in range(2)]

    def loaded(place: Reg, offset: int) -> list[Reg]:
        low, high = (f.masked_load(
            f.gep(place, start, tile.stored), vector(tile.stored, lanes),
            f.first_lanes(f.maximum(count * 2 - start, 0), lanes))
            for start in (2 * offset, 2 * offset + lanes))
        return [f.shuffle(low, high, range(part, 2 * lanes, 2)) for part in range(2)]

    def store(place: Reg, line: Reg) -> None:
        for offset in range(0, tile.a_width, lanes):
            for part, x in enumerate((gathered if gathers else loaded)(place, offset)):
                f.store(x, f.gep(line, part * tile.a_width + offset, tile.word))

    _each_number(f, tile, tile.a_width, store)


def define_complex_b(module: Module, name: str, tile: Tile, *, gathers: bool) -> None:
    """The panel of B; columns are neighbours unless it `gathers`."""
    f = Function(module, name, PACK, internal=False)
    _, across, _, _, count, _ = f.args
    lanes, type = tile.lanes, vector(tile.stored, tile.lanes)
    numbers = f.iota(vector("i64", lanes))
    is_real = f.compare("eq", numbers & 1, 0)

    def load(place: Reg, offset: int) -> Reg:
        mask = f.first_lanes(f.maximum(count - offset, 0), lanes)
        if not gathers:
            return f.masked_load(f.gep(place, offset, tile.stored), type, mask)
        column = numbers + offset
        places = (column & -2) * f.splat(across, lanes) + (column & 1)
        return f.gather(f.gep(place, places, tile.stored), type, mask)

    def store(place: Reg, line: Reg) -> None:
        for offset in range(0, tile.columns, lanes):
            x = load(place, offset)
            turned = f.shuffle(x, None, [lane ^ 1 for lane in range(lanes)])
            f.store(x, f.gep(line, offset, tile.word))
            f.store(f.select(is_real, -turned, turned),
                    f.gep(line, tile.columns + offset, tile.word))

    _each_number(f, tile, tile.columns, store)


def _each_number(f: Function, tile: Tile, width: int, store: Callable[[Reg, Reg], None]) -> None:
    """`store(where it lies, where its two lines go)` for each number along k."""
    source, _, along, panel, _, elements = f.args

    def number(step: Reg, _: list[Reg]) -> None:
        store(f.gep(source, step * along, tile.stored), f.gep(panel, step * width, tile.word))

    f.loop(0, elements, 2, [], number)
    f.ret()
