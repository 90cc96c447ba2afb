"""The last pass over each row beside a pass over the next row, so that memory is written all along.

Stores that bypass the caches wait for memory, and by themselves they leave the processor idle; what
is computed of the next row does not need them. Where the last two passes go over a row alike,

    for i in 0..n: { a(i); b(i) }   ->   a(0); for i in 1..n: { b(i - 1) beside a(i) }; b(n - 1)

b comes first in each turn of the lanes: it reads what a saves in a local array before that of the
next row takes its place. Numbers of a row that b needs are kept in local arrays of one element.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from arraylib.record import record
from arraylib.tile.ir import (
    LOCAL,
    READ,
    Apply,
    Constant,
    Count,
    Index,
    Kernel,
    Load,
    Nest,
    Pointer,
    Prefetch,
    Reduction,
    Statement,
    Store,
    Value,
    When,
)


def staggered(kernel: Kernel) -> Kernel:
    """The kernel with the last pass a row behind, if that may be and it bypasses the caches."""
    rows = kernel.body[-1] if kernel.body else None
    passes = _last_two(rows) if isinstance(rows, Nest) else None
    if passes is None or not isinstance(rows, Nest):
        return kernel
    return _Staggered(kernel, rows, *passes).kernel()


def _last_two(rows: Nest) -> tuple[Nest, Nest] | None:
    """The passes over a row that may go side by side."""
    nests = [s for s in rows.body if isinstance(s, Nest)]
    if rows.lanes or rows.reductions or len(rows.indices) != 1 or len(nests) < 2:
        return None
    if any(isinstance(s, When) for s in rows.body) or nests[-1] is not rows.body[-1]:
        return None
    before, last = nests[-2:]
    stores = [s for s in last.body if isinstance(s, Store)]
    if last.reductions or not any(s.stream for s in stores) or not _alike(before, last):
        return None
    if any(isinstance(s, (Nest, When)) for s in (*before.body, *last.body)):
        return None
    numbers = [v for s in last.body for v in _operands(s)]
    if rows.indices[0] in numbers or not _apart(rows, before, last):
        return None
    return before, last


def _alike(a: Nest, b: Nest) -> bool:
    """Whether both have the same turns of lanes."""
    return a.lanes and b.lanes and len(a.indices) == len(b.indices) == 1 \
        and (a.lows, a.highs) == (b.lows, b.highs) and not any(x.terms for x in a.lows + a.highs)


def _apart(rows: Nest, before: Nest, last: Nest) -> bool:
    """Whether the last pass reads only operands, and what the other saved at the same place."""
    others = [s for s in _all(rows.body) if s not in last.body]
    read = {s.pointer for s in others if isinstance(s, Load)}
    saved = {s.pointer: s for s in before.body if isinstance(s, Store)}
    elsewhere = {s.pointer for s in others if isinstance(s, Store) and s not in before.body}
    lane = {last.indices[0]: before.indices[0]}
    for s in last.body:
        if isinstance(s, Store) and s.pointer in read:
            return False
        if isinstance(s, Load) and s.pointer.kind != READ and (
                s.pointer in read or s.pointer in elsewhere or s.pointer not in saved
                or saved[s.pointer].index != _Copy(lane).index(s.index)):
            return False
    return True


@record(frozen=False)
class _Staggered:
    """The new kernel being made."""

    old: Kernel
    rows: Nest
    before: Nest
    last: Nest

    def kernel(self) -> Kernel:
        old, rows = self.old, self.rows
        (row,), (low,), (high,) = rows.indices, rows.lows, rows.highs
        numbers = [v.number for s in _all(old.body) for v in _defined(s)]
        self.names = itertools.count(max([old.chunk.number, *numbers]) + 1)
        self.kept = self._kept()
        first = _Copy({}, names=self.names).nest(
            replace(rows, highs=(low + 1,), body=self._all_but_last()))
        behind = self._behind(_Copy({}, {row: -1}, self.names), self.before.indices[0])
        body = [s for s in self._all_but_last() if s is not self.before]
        beside = replace(self.before, body=(*behind[1], *self.before.body))
        place = rows.body.index(self.before)
        both = replace(rows, lows=(low + 1,), body=(
            *behind[0], *body[:place], beside, *body[place:]))
        end = _Copy({}, names=self.names)
        index, lane = end.new(row), end.new(self.last.indices[0])
        loads, turn = self._behind(end, lane)
        final = Nest((index,), (high + -1,), (high,),
                     (*loads, replace(self.last, indices=(lane,), body=turn)))
        pointers = (*old.pointers, *self.kept.values())
        return replace(old, pointers=pointers, body=(*old.body[:-1], first, both, final))

    def _kept(self) -> dict[Value, Pointer]:
        """Numbers of a row that the last pass needs, and where they are kept for it."""
        inside = {v for s in self.rows.body for v in _results(s)}
        used = [v for s in self.last.body for v in (*_operands(s), *_places(s)) if v in inside]
        count = len(self.old.pointers)
        return {v: Pointer(count + i, v.dtype, LOCAL, 1) for i, v in enumerate(dict.fromkeys(used))}

    def _all_but_last(self) -> tuple[Statement, ...]:
        """What is done to a row before the last pass, whose numbers are kept."""
        keep = (Store(pointer, Index(), value) for value, pointer in self.kept.items())
        return (*self.rows.body[:-1], *keep)

    def _behind(self, copy: _Copy, lane: Value) -> tuple[tuple[Statement, ...], ...]:
        """The kept numbers loaded, and a turn of the last pass."""
        copy.known[self.last.indices[0]] = lane
        loads = tuple(Load(copy.new(v), pointer, Index()) for v, pointer in self.kept.items())
        return loads, copy.block(self.last.body)


class _Copy:
    """Statements once more, with values of their own; `moved` values are so much larger there."""

    def __init__(self, known: dict[Value, Value], moved: dict[Value, int] | None = None,
                 names: Iterator[int] | None = None) -> None:
        self.known, self.moved = known, moved or {}
        self.names = names or itertools.count()

    def new(self, value: Value) -> Value:
        self.known[value] = Value(next(self.names), value.dtype)
        return self.known[value]

    def value(self, value: Value) -> Value:
        return self.known.get(value, value)

    def index(self, place: Index) -> Index:
        offset = sum(factor * self.moved.get(value, 0) for value, factor in place.terms)
        terms = tuple((self.value(value), factor) for value, factor in place.terms)
        return Index(place.offset + offset, terms)

    def block(self, body: Sequence[Statement]) -> tuple[Statement, ...]:
        return tuple(map(self.statement, body))

    def statement(self, statement: Statement) -> Statement:
        match statement:
            case Constant(result, value):
                return Constant(self.new(result), value)
            case Count(result, index):
                return Count(self.new(result), self.index(index))
            case Load(result, pointer, index):
                return Load(self.new(result), pointer, self.index(index))
            case Store(pointer, index, value, stream):
                return Store(pointer, self.index(index), self.value(value), stream)
            case Prefetch(pointer, index):
                return Prefetch(pointer, self.index(index))
            case Apply(result, op, operands, attrs):
                return Apply(self.new(result), op, tuple(map(self.value, operands)), attrs)
            case When(condition, body):
                return When(self.value(condition), self.block(body))
            case Nest():
                return self.nest(statement)

    def nest(self, nest: Nest) -> Nest:
        lows, highs = (tuple(map(self.index, bounds)) for bounds in (nest.lows, nest.highs))
        indices = tuple(map(self.new, nest.indices))
        body = self.block(nest.body)
        reductions = tuple(
            Reduction(tuple(map(self.new, r.results)), r.op, tuple(map(self.value, r.values)))
            for r in nest.reductions)
        return replace(nest, indices=indices, lows=lows, highs=highs, body=body,
                       reductions=reductions)


# -- what is in statements -------------------------------------------------------------------------


def _all(body: Sequence[Statement]) -> Iterator[Statement]:
    """Statements and those inside them."""
    for statement in body:
        yield statement
        if isinstance(statement, (Nest, When)):
            yield from _all(statement.body)


def _results(statement: Statement) -> tuple[Value, ...]:
    """The values that stand behind a statement."""
    if isinstance(statement, Nest):
        return tuple(v for r in statement.reductions for v in r.results)
    return () if isinstance(statement, (Store, Prefetch, When)) else (statement.result,)


def _defined(statement: Statement) -> tuple[Value, ...]:
    """Also the indices of a nest."""
    inside = statement.indices if isinstance(statement, Nest) else ()
    return (*_results(statement), *inside)


def _operands(statement: Statement) -> tuple[Value, ...]:
    """The values that a statement uses as numbers."""
    match statement:
        case Apply():
            return statement.operands
        case Store():
            return (statement.value,)
    return ()


def _places(statement: Statement) -> tuple[Value, ...]:
    """The values that it uses in places of memory."""
    if isinstance(statement, (Load, Store, Prefetch, Count)):
        return tuple(value for value, _ in statement.index.terms)
    return ()
