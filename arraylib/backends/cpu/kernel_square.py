"""Squares of elements turned over in registers.

In an independent loop inside lanes some memory is contiguous along the loop instead of along the
lanes. As many turns as there are lanes are then done together: such an operand is loaded a vector a
lane, and the square of vectors is transposed; a result is transposed back and stored so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from arraylib.backends.cpu import native
from arraylib.backends.cpu.emitter import Function, Reg, lanes
from arraylib.backends.cpu.representation import memory_element, register_type
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
MOST_REPEATED = 8  # operations that are written out for every turn of a square


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
    f, turn = emitter.f, nest.indices[0]
    emitter.values[turn] = base
    short = sum(isinstance(s, Apply) for s in nest.body) <= MOST_REPEATED
    keep = _Registers if short else _Stack
    loads = {s: keep(f, transposed(f, _load_rows(emitter, s, lane, count)))
             for s in nest.body if isinstance(s, Load) and _is_turned(s, turn, lane)}
    stores = {s: keep(f, [f.const(register_type(s.value.dtype, count), 0)] * count)
              for s in nest.body if isinstance(s, Store) and _is_turned(s, turn, lane)}

    def one(k: Any) -> list[Reg]:
        emitter.values[turn] = base + k
        for statement in nest.body:
            if isinstance(statement, Load) and statement in loads:
                emitter.values[statement.result] = loads[statement].vector(k)
            elif isinstance(statement, Store) and statement in stores:
                stores[statement].replace(k, _wide(f, emitter.values[statement.value], count))
            else:
                emitter.statement(statement)
        return []

    if short:
        for k in range(count):
            emitter.scoped(lambda k=k: one(k))  # type: ignore[misc]
    else:
        f.loop(0, count, 1, [], lambda k, _: emitter.scoped(lambda: one(k)))
    emitter.values[turn] = base
    for store, square in stores.items():
        _store_rows(emitter, store, lane, [square.vector(k) for k in range(count)])
    return []


def _wide(f: Function, value: Reg, count: int) -> Reg:
    return value if lanes(value.type) > 1 else f.splat(value, count)


class _Registers:
    """The vectors of a square, for a body that is written out once for each."""

    def __init__(self, f: Function, vectors: Sequence[Reg]) -> None:
        self.vectors = list(vectors)

    def vector(self, k: int) -> Reg:
        return self.vectors[k]

    def replace(self, k: int, value: Reg) -> None:
        self.vectors[k] = value


class _Stack:
    """The vectors of a square on the stack, for a body that is a loop."""

    def __init__(self, f: Function, vectors: Sequence[Reg]) -> None:
        self.f, self.type = f, vectors[0].type
        self.room = f.alloca(self.type, len(vectors), align=64)
        for k, vector in enumerate(vectors):
            self.replace(k, vector)

    def vector(self, k: Reg | int) -> Reg:
        return self.f.load(self.f.gep(self.room, k, self.type), self.type)

    def replace(self, k: Reg | int, value: Reg) -> None:
        self.f.store(value, self.f.gep(self.room, k, self.type))


def _rows(emitter: Emitter, statement: Load | Store, lane: Value, count: int) -> list[Reg]:
    """The address at which each lane's elements begin."""
    f, pointer = emitter.f, statement.pointer
    element = memory_element(pointer.dtype)
    first = emitter.scalar_place(statement.index)
    step = statement.index.coefficient(lane)
    return [f.gep(emitter.pointers[pointer], first + i * step if i else first, element)
            for i in range(count)]


def _load_rows(emitter: Emitter, load: Load, lane: Value, count: int) -> list[Reg]:
    return [native.load(emitter.f, address, load.pointer.dtype, count)
            for address in _rows(emitter, load, lane, count)]


def _store_rows(emitter: Emitter, store: Store, lane: Value, vectors: Sequence[Reg]) -> None:
    f, count = emitter.f, len(vectors)
    for address, row in zip(_rows(emitter, store, lane, count), transposed(f, vectors)):
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
