"""The values at one point of a nest: what items compute there, and what they read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arraylib import dtypes as dt
from arraylib.backends.lower.items import Item, literal
from arraylib.backends.lower.nest import Access, Axes
from arraylib.backends.lower.plan import Buffer, View
from arraylib.tile.build import Builder
from arraylib.tile.ir import READ, Index, Pointer, Value


class Point:
    """Where the loops being written stand, and the values of items there.

    `at` holds the coordinate on each axis; whoever opens a loop sets it. `values` holds an item's
    latest value. `stage` is the number of passes that are over.
    """

    def __init__(self, axes: Axes, inside: Mapping[Buffer, Item],
                 counting: Mapping[Buffer, Any]) -> None:
        self.axes, self.inside, self.counting = axes, inside, counting
        self.b = Builder()
        self.at: list[Index] = [Index()] * len(axes.sizes)
        self.stage = 0
        self.values: dict[Item, Value] = {}
        self.reads: list[View] = []
        self.used: dict[Pointer, list[tuple[Access, int]]] = {}  # accesses, and in which stage
        self._pointers: dict[tuple[Buffer, int], Pointer] = {}
        for access in axes.reads.values():
            if access.view.buffer not in counting:
                self.pointer(access.view)

    def compute(self, item: Item) -> None:
        """Write an item's computation."""
        self.values[item] = self._take(item) if item.op == "take" else self._apply(item)

    def operand(self, item: Item, k: int) -> Value:
        """What an item reads: another item's value, a number, or memory."""
        view = item.reads[k]
        if view.buffer in self.inside:
            return self.values[self.inside[view.buffer]]
        number = literal(view)
        if number is not None:
            return self.b.constant(number, view.dtype)
        return self._read(self.axes.reads[item, k])

    def place(self, access: Access) -> Index:
        """Where an access is, from its view's first element."""
        place = Index()
        for at, stride in zip(self.at, access.strides):
            if stride:
                place = place + at * stride
        return place

    def folded_place(self) -> Index:
        """The number of this point among those that are folded together."""
        place, run = Index(), 1
        for i in reversed(range(len(self.axes.sizes))):
            if self.axes.over[i]:
                place = place + self.at[i] * run
                run *= self.axes.sizes[i]
        return place

    def folded(self, item: Item) -> tuple[Value, ...]:
        """What this point gives to a reduction: a value, and its place if that is asked for."""
        value = self.operand(item, 0)
        if item.op not in ("argmax", "argmin"):
            return (value,)
        dtype = dt.int32 if self.axes.folded < 1 << 31 else dt.int64
        return value, self.b.count(self.folded_place(), dtype)

    def pointer(self, view: View) -> Pointer:
        """The argument for a read; views that begin at the same element share one.

        Views of a constant all do.
        """
        if view.offset and view.buffer.constant is not None:
            view = View(view.buffer, view.dtype, view.shape, view.strides)
        key = view.buffer, view.offset
        if key not in self._pointers:
            self._pointers[key] = self.b.pointer(view.dtype, READ)
            self.reads.append(view)
        return self._pointers[key]

    def _apply(self, item: Item) -> Value:
        operands = [self.operand(item, k) for k in range(len(item.reads))]
        if item.op == "copy":
            return operands[0]
        return self.b.apply(item.op, operands, item.dtype, **item.attrs)

    def _take(self, item: Item) -> Value:
        """Read the first operand at what the others say, limited to its bounds."""
        further = Index()
        for k, (limit, step) in enumerate(zip(item.attrs["limits"], item.attrs["steps"]), 1):
            further = further + self.b.within(self.operand(item, k), limit) * step
        return self._read(self.axes.reads[item, 0], further)

    def _read(self, access: Access, further: Index | None = None) -> Value:
        place = self.place(access)
        if access.view.buffer in self.counting:
            return self.b.count(place + access.view.offset, access.view.dtype)
        pointer = self.pointer(access.view)
        if access.view.buffer.constant is not None:
            place = place + access.view.offset
        if further is not None:
            place = place + further
            access = Access(access.view, (), access.kept)  # where, is known at run time only
        self.used.setdefault(pointer, []).append((access, self.stage))
        return self.b.load(pointer, place)
