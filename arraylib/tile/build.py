"""Writes the body of a kernel: each statement goes into the outermost block in which it can stand.

A Builder has a stack of open blocks. A value is placed where all it depends on is defined, and only
once: the same load or operation asked for again gives the same value. What a kernel writes is not
looked through: loads from there, and all stores, stand where they are asked for.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.tile.ir import (
    LOCAL,
    READ,
    Apply,
    Constant,
    Count,
    Dtype,
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
    index,
)


class Builder:
    """A kernel being written."""

    def __init__(self) -> None:
        self._count = 0
        self._depths: dict[Value, int] = {}
        self._blocks: list[list[Statement]] = [[]]
        self._memo: list[dict[Hashable, Value]] = [{}]
        self._open: list[tuple[Value, ...]] = []
        self.pointers: list[Pointer] = []
        self.chunk = self._value(dt.int64, 0)
        self._extent: Value | None = None

    def pointer(self, dtype: Dtype, kind: str, size: int = 0) -> Pointer:
        """A new argument; those of kind READ come before WRITE ones."""
        found = Pointer(len(self.pointers), dtype, kind, size)
        self.pointers.append(found)
        return found

    def local(self, dtype: Dtype, size: int) -> Pointer:
        """Room for `size` elements that only this chunk sees."""
        return self.pointer(dtype, LOCAL, size)

    def constant(self, value: Any, dtype: Dtype) -> Value:
        number = value.item() if hasattr(value, "item") else value
        key = ("constant", repr(number), dtype)
        return self._add(0, key, dtype, lambda v: Constant(v, number))

    def count(self, place: Index, dtype: Dtype = dt.int64) -> Value:
        """An index as a number."""
        if dtype is dt.int64 and not place.offset and len(place.terms) == 1:
            (value, factor), = place.terms
            if factor == 1:
                return value
        return self._add(self._depth(place), ("count", place, dtype), dtype,
                         lambda v: Count(v, place))

    def load(self, pointer: Pointer, place: Index) -> Value:
        if pointer.kind != READ:
            here = len(self._blocks) - 1
            return self._add(here, None, pointer.dtype, lambda v: Load(v, pointer, place))
        return self._add(self._depth(place), ("load", pointer, place), pointer.dtype,
                         lambda v: Load(v, pointer, place))

    def apply(self, op: str, operands: Sequence[Value], dtype: Dtype, /, **attrs: Any) -> Value:
        operands, facts = tuple(operands), tuple(sorted(attrs.items()))
        depth = max([self._depths[v] for v in operands], default=0)
        return self._add(depth, (op, operands, facts, dtype), dtype,
                         lambda v: Apply(v, op, operands, facts))

    def store(self, pointer: Pointer, place: Index, value: Value, stream: bool = False) -> None:
        self._blocks[-1].append(Store(pointer, place, value, stream))

    def prefetch(self, pointer: Pointer, place: Index) -> None:
        self._blocks[-1].append(Prefetch(pointer, place))

    def limit(self, place: Index, highest: int | Value) -> Index:
        """The smaller of an index and a number."""
        other = highest if isinstance(highest, Value) else self.constant(highest, dt.int64)
        return index(self.apply("minimum", [self.count(place), other], dt.int64))

    def extent(self) -> Value:
        """The length of the kernel's arrays, known at run time only."""
        if self._extent is None:
            self._extent = self._value(dt.int64, 0)
        return self._extent

    def divided(self, place: Index, by: int) -> tuple[Index, Index]:
        """Quotient and remainder of an index that is not negative."""
        if by == 1:
            return place, Index()
        number, divisor = self.count(place), self.constant(by, dt.int64)
        return (index(self.apply("divide", [number, divisor], dt.int64)),
                index(self.apply("remainder", [number, divisor], dt.int64)))

    def as_int64(self, place: Value) -> Value:
        """An integer of any dtype in int64; what that cannot hold is still beyond every array."""
        if place.dtype == dt.uint64:
            highest = self.constant(1 << 62, dt.uint64)
            place = self.apply("minimum", [place, highest], dt.uint64)
        if place.dtype == dt.int64:
            return place
        return self.apply("convert", [place], dt.int64, dtype=dt.int64)

    def within(self, place: Value, highest: int) -> Index:
        """An integer as an index, moved into 0..highest."""
        zero, limit = self.constant(0, dt.int64), self.constant(highest, dt.int64)
        above = self.apply("maximum", [self.as_int64(place), zero], dt.int64)
        return index(self.apply("minimum", [above, limit], dt.int64))

    def open(self, loops: int) -> tuple[Value, ...]:
        """Begin a block; returns the indices of the nest that will hold it."""
        self._blocks.append([])
        self._memo.append({})
        indices = tuple(self._value(dt.int64, len(self._blocks) - 1) for _ in range(loops))
        self._open.append(indices)
        return indices

    def close(self, lows: Sequence[Index], highs: Sequence[Index],
              reductions: Sequence[tuple[str, Sequence[Value]]] = (), *, lanes: bool = False,
              multiple: int = 1, registers: int = 1,
              independent: bool = False) -> list[tuple[Value, ...]]:
        """End the block of a nest; returns the results of its reductions."""
        body = self._pop()
        indices, depth = self._open.pop(), len(self._blocks) - 1
        found = tuple(
            Reduction(tuple(self._value(v.dtype, depth) for v in values), op, tuple(values))
            for op, values in reductions)
        self._blocks[-1].append(Nest(indices, tuple(lows), tuple(highs), body, found, lanes,
                                     multiple, registers, independent))
        return [reduction.results for reduction in found]

    def close_when(self, condition: Value) -> None:
        """End the block as one that runs only where the condition holds."""
        body = self._pop()
        self._open.pop()
        self._blocks[-1].append(When(condition, body))

    def kernel(self, copies: bool = False) -> Kernel:
        assert len(self._blocks) == 1, "a block of the kernel is still open"
        return Kernel(tuple(self.pointers), self.chunk, tuple(self._blocks[0]), copies,
                      self._extent)

    def _pop(self) -> tuple[Statement, ...]:
        self._memo.pop()
        return tuple(self._blocks.pop())

    def _value(self, dtype: Dtype, depth: int) -> Value:
        value = Value(self._count, dtype)
        self._count += 1
        self._depths[value] = depth
        return value

    def _depth(self, place: Index) -> int:
        return max([self._depths[v] for v, _ in place.terms], default=0)

    def _add(self, depth: int, key: Hashable, dtype: Dtype, make: Any) -> Value:
        memo = self._memo[depth]
        found = memo.get(key) if key is not None else None
        if found is None:
            found = self._value(dtype, depth)
            self._blocks[depth].append(make(found))
            if key is not None:
                memo[key] = found
        return found
