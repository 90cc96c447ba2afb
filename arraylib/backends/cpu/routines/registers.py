"""Sorting what fits in registers, as columns.

The vectors are the rows of a table whose columns, one for each lane, are sorted first, by Batcher's
odd-even merge sort, without any exchange between lanes. Neighbouring columns are then merged, pairs
of them and so on, until all of the table is one run down its columns; at last it is transposed.
Only one step in each halving of a bitonic run is between lanes.
"""

from __future__ import annotations

from collections.abc import Iterator

from arraylib.backends.cpu.emitter import Function, Module, Reg, lanes, vector
from arraylib.backends.cpu.routines.network import exchanged, in_order, network_lanes
from arraylib.backends.cpu.routines.vectors import store

MOST_ROWS = 16  # so many registers, and some to work with


def define_registers(module: Module, name: str, element: str) -> None:
    """`name(source, target, n)`: the n numbers without sign in order.

    n is at most `MOST_ROWS` vectors; source and target may be the same.
    """
    f = Function(module, name, [("ptr", "source"), ("ptr", "target"), ("i64", "n")])
    n, rows, count = f.args[2], 1, network_lanes(element)
    while rows <= MOST_ROWS:
        _define_rows(module, f"{name}{rows}", element, rows)

        def run(rows: int = rows) -> None:
            f.call(f"{name}{rows}", "void", f.args)
            f.ret()

        f.branch(n <= rows * count, run)
        rows *= 2
    f.ret()


def _define_rows(module: Module, name: str, element: str, rows: int) -> None:
    """As `define_registers`, for more than half as many vectors and no more than these."""
    f = Function(module, name, [("ptr", "source"), ("ptr", "target"), ("i64", "n")])
    source, target, n = f.args
    count = network_lanes(element)
    type = vector(element, count)
    masks = [None if row < rows // 2 else f.first_lanes(f.maximum(n - row * count, 0), count)
             for row in range(rows)]
    last = f.const(type, -1)
    places = [row * count for row in range(rows)]
    loaded = [f.load(f.gep(source, at, element), type) if mask is None else
              f.masked_load(f.gep(source, at, element), type, mask, last)
              for at, mask in zip(places, masks, strict=True)]
    for at, mask, x in zip(places, masks, sorted_rows(loaded), strict=True):
        store(f, x, f.gep(target, at, element), mask)
    f.ret()


def sorted_rows(table: list[Reg]) -> list[Reg]:
    """All elements of some vectors, a power of two of them, in order."""
    table = list(table)
    for a, b in _odd_even_merge_sort(len(table)):
        table[a], table[b] = in_order(table[a], table[b])
    count, width = lanes(table[0].type), 1
    while width < count:
        _merge(table, width)
        width *= 2
    return _transposed(table)


def _odd_even_merge_sort(n: int) -> Iterator[tuple[int, int]]:
    """The comparisons that sort n = 2^k elements."""
    run = 1
    while run < n:
        distance = run
        while distance:
            for start in range(distance % run, n - distance, 2 * distance):
                for i in range(start, min(start + distance, n - distance)):
                    if i // (2 * run) == (i + distance) // (2 * run):
                        yield i, i + distance
            distance //= 2
        run *= 2


def _merge(table: list[Reg], width: int) -> None:
    """Neighbouring runs of so many columns become one: compared with the mirror image, then with
    those at half the distance, and so on, between lanes and then between rows."""
    rows, count = len(table), lanes(table[0].type)
    mirror = [lane ^ (2 * width - 1) for lane in range(count)]
    f = table[0].function
    if rows == 1:
        table[0] = exchanged(table[0], mirror)
    for row in range(rows // 2):
        x, y = table[row], f.shuffle(table[rows - 1 - row], None, mirror)
        low, high = in_order(x, y)
        first = [lane if lane & width == 0 else count + lane for lane in range(count)]
        table[row] = f.shuffle(low, high, first)
        table[rows - 1 - row] = f.shuffle(f.shuffle(high, low, first), None, mirror)
    distance = width // 2
    while distance:
        table[:] = [exchanged(x, [lane ^ distance for lane in range(count)]) for x in table]
        distance //= 2
    distance = rows // 2
    while distance:
        for row in range(rows):
            if row & distance == 0:
                table[row], table[row + distance] = in_order(table[row], table[row + distance])
        distance //= 2


def _transposed(table: list[Reg]) -> list[Reg]:
    """The table read down its columns."""
    f, count, rounds = table[0].function, lanes(table[0].type), len(table).bit_length() - 1
    zipped = [lane // 2 + count * (lane % 2) for lane in range(2 * count)]
    for _ in range(rounds):
        half = len(table) // 2
        table = [f.shuffle(a, b, part) for a, b in zip(table[:half], table[half:], strict=True)
                 for part in (zipped[:count], zipped[count:])]
    return table
