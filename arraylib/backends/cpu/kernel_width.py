"""How many lanes a vector loop of a kernel has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from arraylib import dtypes as dt
from arraylib.record import record
from arraylib.tile.ir import Apply, Dtype, Load, Nest, Statement, Store, When


@record
class Width:
    """Lanes of a turn, and of the last turn, which is masked."""

    lanes: int
    tail: int


def width_of(nest: Nest, vector_bytes: int, brief: bool = False) -> Width:
    """The width of a nest with lanes; one register where code is to be `brief`."""
    widest = max(map(_register_bytes, _dtypes(nest.body)), default=4)
    single = vector_bytes // widest
    low, high = nest.lows[-1], nest.highs[-1]
    if brief:
        nest = replace(nest, registers=1)
    if low.terms or high.terms:
        return _even(single, nest)
    extent = high.offset - low.offset
    lanes = _even(single, nest).lanes
    while lanes > single and extent % lanes and extent < 4 * lanes:
        lanes //= 2
    while lanes > 2 and lanes // 2 >= extent:
        lanes //= 2
    left = extent % lanes
    return Width(lanes, max(2, _power_above(left)) if left else lanes)


def _even(single: int, nest: Nest) -> Width:
    """As many registers as the nest wants, or fewer if then no lanes are left over."""
    wanted = _power_above(nest.registers)
    for registers in (wanted >> i for i in range(wanted.bit_length())):
        if registers and nest.multiple % (single * registers) == 0:
            return Width(single * registers, single * registers)
    return Width(single * wanted, single * wanted)


def _power_above(n: int) -> int:
    return 1 << (n - 1).bit_length()


def _register_bytes(dtype: Dtype) -> int:
    """Narrow floats are floats in registers, complex numbers two registers."""
    return 4 if dt.is_narrow_float(dtype) else dt.to_real(dtype).itemsize


def _dtypes(body: tuple[Statement, ...]) -> Iterator[Dtype]:
    """The dtypes that matter: of memory, and of what is computed but places in memory."""
    for statement in body:
        if isinstance(statement, (Load, Store)):
            yield statement.pointer.dtype
        elif isinstance(statement, Apply) and statement.result.dtype != dt.int64:
            yield statement.result.dtype
        elif isinstance(statement, (Nest, When)):
            yield from _dtypes(statement.body)
