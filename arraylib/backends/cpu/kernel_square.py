"""Squares of elements turned over in registers.

In an independent loop inside lanes some memory is contiguous along the loop instead of along the
lanes. As many turns as there are lanes are then done together: such an operand is loaded a vector a
lane, and the square of vectors is transposed; a result is transposed back and stored so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from arraylib.backends.cpu import native
from arraylib.backends.cpu.emitter import Function, Reg, lanes
from arraylib.backends.cpu.representation import memory_type
from arraylib.tile.ir import (
    Apply,
    Constant,
    Count,
    Index,
    Load,
    Nest,
    Pointer,
    Statement,
    Store,
    Value,
)

MOST_LANES = 32


class Emitter(Protocol):
    """What of a kernel's emitter is needed here."""

    f: Function
    pointers: dict[Pointer, Reg]
    values: dict[Value, Reg]

    def statement(self, statement: Statement) -> None: ...
    def scalar_place(self, index: Index) -> Reg: ...
    def scoped(self, body: Callable[[], list[Reg]]) -> list[Reg]: ...


def strides_in_squares(nest: Nest, lane: Value, count: int) -> bool:
    """Whether the loop is worth doing in squares of this many lanes."""
    if not nest.independent:
        return False
    (low,), (high,) = nest.lows, nest.highs
    plain = all(isinstance(s, (Apply, Constant, Count, Load, Store)) for s in nest.body)
    short = not low.terms and not high.terms and high.offset - low.offset < count
    return plain and not short and 4 <= count <= MOST_LANES \
        and any(_is_turned(s, nest.indices[0], lane) for s in nest.body)


def _is_turned(statement: Statement, turn: Value, lane: Value) -> bool:
    """Whether a load or store is contiguous along the loop and not along the lanes."""
    if not isinstance(statement, (Load, Store)):
        return False
    index = statement.index
    return index.coefficient(turn) == 1 and index.coefficient(lane) not in (0, 1, -1)


def emit_square(emitter: Emitter, nest: Nest, lane: Value, base: Reg, count: int) -> list[Reg]:
    """`count` turns from `base` on; they carry nothing out."""
    turn = nest.indices[0]
    emitter.values[turn] = base
    columns = {s: transposed(emitter.f, _load_rows(emitter, s, lane, count))
               for s in nest.body if isinstance(s, Load) and _is_turned(s, turn, lane)}
    results: dict[Store, list[Reg]] = {
        s: [] for s in nest.body if isinstance(s, Store) and _is_turned(s, turn, lane)}

    def one(k: int) -> list[Reg]:
        emitter.values[turn] = base + k if k else base
        for statement in nest.body:
            if isinstance(statement, Load) and statement in columns:
                emitter.values[statement.result] = columns[statement][k]
            elif isinstance(statement, Store) and statement in results:
                results[statement].append(emitter.values[statement.value])
            else:
                emitter.statement(statement)
        return []

    for k in range(count):
        emitter.scoped(lambda k=k: one(k))  # type: ignore[misc]
    emitter.values[turn] = base
    for store, vectors in results.items():
        _store_rows(emitter, store, lane, vectors)
    return []


def _rows(emitter: Emitter, statement: Load | Store, lane: Value, count: int) -> list[Reg]:
    """The address at which each lane's elements begin."""
    f, pointer = emitter.f, statement.pointer
    element = memory_type(pointer.dtype, 1)
    first = emitter.scalar_place(statement.index)
    step = statement.index.coefficient(lane)
    return [f.gep(emitter.pointers[pointer], first + i * step if i else first, element)
            for i in range(count)]


def _load_rows(emitter: Emitter, load: Load, lane: Value, count: int) -> list[Reg]:
    return [native.load(emitter.f, address, load.pointer.dtype, count)
            for address in _rows(emitter, load, lane, count)]


def _store_rows(emitter: Emitter, store: Store, lane: Value, vectors: Sequence[Reg]) -> None:
    f, count = emitter.f, len(vectors)
    wide = [v if lanes(v.type) > 1 else f.splat(v, count) for v in vectors]
    for address, row in zip(_rows(emitter, store, lane, count), transposed(f, wide)):
        native.store(f, address, row, store.pointer.dtype, count)


def transposed(f: Function, rows: Sequence[Reg]) -> list[Reg]:
    """Vector j of the result has element j of each of the vectors.

    Blocks of 1, 2, 4, ... elements change places between pairs of vectors.
    """
    found, count = list(rows), len(rows)
    step = 1
    while step < count:
        for i in range(count):
            if not i & step:
                a, b = found[i], found[i + step]
                low = [j if not j & step else count + j - step for j in range(count)]
                high = [j + step if not j & step else count + j for j in range(count)]
                found[i], found[i + step] = f.shuffle(a, b, low), f.shuffle(a, b, high)
        step *= 2
    return found
