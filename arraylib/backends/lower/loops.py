"""A group of items as one kernel: its loops written in the kernel IR.

    for rows of this chunk:                     kept axes outside the lanes
      [lanes over a kept axis:]                 where the lanes run along a kept axis
        kept items that need no pass
        for each pass: nest over folded axes, [lanes over a folded axis]:
          full items, stores, saves; reductions
        kept items that need the pass; stores
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from arraylib import dtypes as dt
from arraylib.backends.lower.fuse import Unit
from arraylib.backends.lower.items import Item, literal
from arraylib.backends.lower.nest import Access, Axes, axes_of
from arraylib.backends.lower.passes import Pass, count_passes, needed_items, plan_passes
from arraylib.backends.lower.plan import Buffer, LoopStep, View
from arraylib.backends.lower.schedule import TILE, Schedule, schedule
from arraylib.tile.build import Builder
from arraylib.tile.ir import READ, WRITE, Index, Pointer, Value, identity, index

SAVED_BYTES = 1 << 18  # of rows kept from pass to pass: they stay in the second cache
STREAM_BYTES = 1 << 25  # results larger than this are not expected to be found in a cache again


def loop_step(unit: Unit, outputs: set[Buffer], counting: Mapping[Buffer, Any]) -> LoopStep:
    """The step of a group that has to write `outputs`."""
    inside = {item.buffer: item for item in unit.items}
    items = needed_items(unit.items, outputs, inside)
    axes = axes_of(unit, items, outputs, set(inside))
    return _Writer(unit, items, outputs, inside, axes, counting).step()


class _Writer:
    """The kernel of one group being written."""

    def __init__(self, unit: Unit, items: list[Item], outputs: set[Buffer],
                 inside: dict[Buffer, Item], axes: Axes, counting: Mapping[Buffer, Any]) -> None:
        self.unit, self.items, self.inside, self.axes = unit, items, inside, axes
        self.plan: Schedule = schedule(axes, items, count_passes(unit, items, inside))
        room = SAVED_BYTES // axes.folded if self.plan.lanes_fold else 0
        self.before, self.passes = plan_passes(unit, items, outputs, inside, room)
        self.counting = counting
        self.b = Builder()
        self.reads: list[View] = []
        self.writes: list[View] = []
        self._pointers: dict[tuple[Buffer, int], Pointer] = {}
        self._targets: dict[Item, Pointer] = {}
        self._locals: dict[Item, Pointer] = {}
        self.values: dict[Item, Value] = {}
        self.at: list[Index] = [Index()] * len(axes.sizes)  # coordinate on each axis
        self.inner_place = Index()  # the block of the inner axis that this chunk has
        self._used: dict[int, list[tuple[Access, int]]] = {}  # read -> accesses, with their stage

    def step(self) -> LoopStep:
        for access in self.axes.reads.values():
            if access.view.buffer not in self.counting:
                self._pointer(access.view)
        for item, access in self.axes.writes.items():
            self._targets[item] = self.b.pointer(item.dtype, WRITE)
            self.writes.append(access.view)
        self._rows()
        kernel = self.b.kernel(self._is_copy())
        return LoopStep(kernel, tuple(self.reads), tuple(self.writes), self.plan.chunks,
                        in_place=self._in_place(), work=self.plan.work,
                        where=tuple(dict.fromkeys(item.where for item in self.items)))

    # -- loops ------------------------------------------------------------------------------------

    def _rows(self) -> None:
        """The loop over this chunk's rows."""
        plan, b = self.plan, self.b
        rows = math.prod(self.axes.sizes[i] for i in plan.rows)
        if plan.block:
            self._blocks(rows)
        elif rows == 1:
            self._row(Index())
        elif plan.rows_per_chunk == 1:
            self._row(index(b.chunk))
        else:
            low = index(b.chunk, plan.rows_per_chunk)
            high = low + plan.rows_per_chunk
            if rows % plan.rows_per_chunk:
                high = b.limit(high, rows)
            (row,) = b.open(1)
            self._row(index(row))
            b.close([low], [high])

    def _blocks(self, rows: int) -> None:
        """One row and a stretch of the lanes' axis (and of the inner axis)."""
        plan, place = self.plan, index(self.b.chunk)
        if plan.inner is not None:
            place, self.inner_place = self._cut(place, plan.inner, plan.inner_block)
        assert plan.lanes is not None
        row, place = self._cut(place, plan.lanes, plan.block) if rows > 1 else (Index(), place)
        self._row(row, *self._stretch(place, plan.lanes, plan.block))

    def _cut(self, place: Index, axis: int, block: int) -> tuple[Index, Index]:
        """A number taken apart into what goes on outside and the number of a block of the axis."""
        return self._divided(place, -(-self.axes.sizes[axis] // block))

    def _stretch(self, place: Index, axis: int, block: int) -> tuple[Index, Index]:
        """The bounds of a block of an axis."""
        n, low = self.axes.sizes[axis], place * block
        return low, self.b.limit(low + block, n) if n % block else low + block

    def _divided(self, place: Index, by: int) -> tuple[Index, Index]:
        """Quotient and remainder of an index that is not negative."""
        if by == 1:
            return place, Index()
        b = self.b
        number, divisor = b.count(place), b.constant(by, dt.int64)
        quotient = index(b.apply("divide", [number, divisor], dt.int64))
        return quotient, index(b.apply("remainder", [number, divisor], dt.int64))

    def _row(self, row: Index, low: Index | None = None, high: Index | None = None) -> None:
        """All passes at one point of the rows."""
        plan, sizes = self.plan, self.axes.sizes
        for i in reversed(plan.rows[1:]):
            row, self.at[i] = self._divided(row, sizes[i])
        if plan.rows:
            self.at[plan.rows[0]] = row
        if plan.lanes is None or plan.lanes_fold:
            self._passes()
            return
        if plan.streams:
            self._streamed()
            return
        if plan.inner is not None:
            self._tiled(plan.inner, low, high)
            return
        self._open_lanes()
        self._passes()
        self._close_lanes(low, high)

    def _open_lanes(self) -> None:
        """Begin the nest of lanes along a kept axis."""
        (lane,) = self.b.open(1)
        self.at[self.plan.lanes or 0] = index(lane)

    def _close_lanes(self, low: Index | None = None, high: Index | None = None) -> None:
        n, block = self.axes.sizes[self.plan.lanes or 0], self.plan.block
        self.b.close([low or Index()], [high or Index(n)], lanes=True,
                     multiple=math.gcd(block, n) if block else n, registers=self.plan.registers)

    def _tiled(self, inner: int, low: Index | None, high: Index | None) -> None:
        """Squares one after another along the inner axis of this chunk."""
        b, n, block = self.b, self.axes.sizes[inner], self.plan.inner_block
        first, last = self._stretch(self.inner_place, inner, block)
        (tile,) = b.open(1)
        begin = first + index(tile, TILE)
        end = begin + TILE
        if n % block or block % TILE:
            end = index(b.apply("minimum", [b.count(end), b.count(last)], dt.int64))
        self._open_lanes()
        (at,) = b.open(1)
        self.at[inner] = index(at)
        self._passes()
        b.close([begin], [end], independent=True)
        self._close_lanes(low, high)
        b.close([Index()], [Index(-(-block // TILE))])

    def _streamed(self) -> None:
        """One pass with the lanes inside the loops over folded axes, sums in local arrays.

        Memory is then read in one long stream instead of in a short piece for each folded point.
        """
        plan, b, (each,) = self.plan, self.b, self.passes
        lanes, sizes = plan.lanes or 0, self.axes.sizes
        sums = [b.local(i.reads[0].dtype, sizes[lanes]) for i in each.reductions]
        self._open_lanes()
        for item, sofar in zip(each.reductions, sums):
            start = b.constant(identity(_combining(item), sofar.dtype), sofar.dtype)
            b.store(sofar, self.at[lanes], start)
        self._close_lanes()
        for i, at in zip(plan.folded, b.open(len(plan.folded))):
            self.at[i] = index(at)
        self._open_lanes()
        self._kept(self.before, 0)
        for (op, values), sofar in zip(self._turn(each, 0), sums):
            both = b.apply(op, [b.load(sofar, self.at[lanes]), *values], sofar.dtype)
            b.store(sofar, self.at[lanes], both)
        self._close_lanes()
        b.close([Index()] * len(plan.folded), [Index(sizes[i]) for i in plan.folded])
        self._open_lanes()
        self._kept(self.before, 0)
        for item, sofar in zip(each.reductions, sums):
            self.values[item] = b.load(sofar, self.at[lanes])
        self._kept(each.after, 1)
        self._store_all([*self.before, *each.reductions, *each.after])
        self._close_lanes()

    def _passes(self) -> None:
        self._kept(self.before, 0)
        self._store_all(self.before)
        for number, each in enumerate(self.passes):
            self._pass(each, number)
            self._kept(each.after, number + 1)
            self._store_all([*each.reductions, *each.after])

    def _kept(self, items: list[Item], stage: int) -> None:
        """Compute values that stand at kept points."""
        for item in items:
            self.values[item] = self._compute(item, stage)

    def _pass(self, each: Pass, number: int) -> None:
        """One nest over the folded axes."""
        plan, sizes, b = self.plan, self.axes.sizes, self.b
        axes = [*plan.folded]
        if plan.lanes is not None and plan.lanes_fold:
            axes.append(plan.lanes)
        if not axes:
            self._turn(each, number)
            return
        for i, at in zip(axes, b.open(len(axes))):
            self.at[i] = index(at)
        found = self._turn(each, number)
        n = sizes[axes[-1]]
        results = b.close([Index()] * len(axes), [Index(sizes[i]) for i in axes],
                          found, lanes=plan.lanes_fold, multiple=n, registers=plan.registers)
        for item, values in zip(each.reductions, results):
            self.values[item] = values[-1] if values[-1].dtype == item.dtype \
                else b.apply("convert", values[-1:], item.dtype, dtype=item.dtype)

    def _turn(self, each: Pass, number: int) -> list[tuple[str, tuple[Value, ...]]]:
        """The body of a pass; returns what its reductions fold."""
        full = {}
        for item in each.loads:
            full[item] = self.b.load(self._local(item), self._folded_place())
        self.values |= full
        for item in each.items:
            self.values[item] = self._compute(item, number)
        found = [(_combining(item), self._folded(item, number)) for item in each.reductions]
        for item in each.items:
            if item in each.saves:
                self.b.store(self._local(item), self._folded_place(), self.values[item])
        self._store_all([i for i in each.items if self._stores_in(i, number)])
        return found

    def _stores_in(self, item: Item, number: int) -> bool:
        """A full output is stored in the first pass that computes it."""
        return item not in self.passes[number].loads and not any(
            item in each.items for each in self.passes[:number])

    def _folded(self, item: Item, number: int) -> tuple[Value, ...]:
        """What one turn gives to a reduction."""
        value = self._operand(item, 0, number)
        if item.op not in ("argmax", "argmin"):
            return (value,)
        dtype = dt.int32 if self.axes.folded < 1 << 31 else dt.int64
        return value, self.b.count(self._folded_place(), dtype)

    def _folded_place(self) -> Index:
        """The number of this point among those that are folded together."""
        place, run = Index(), 1
        for i in reversed(range(len(self.axes.sizes))):
            if self.axes.over[i]:
                place = place + self.at[i] * run
                run *= self.axes.sizes[i]
        return place

    # -- items ------------------------------------------------------------------------------------

    def _compute(self, item: Item, stage: int) -> Value:
        if item.op == "take":
            return self._take(item, stage)
        operands = [self._operand(item, k, stage) for k in range(len(item.reads))]
        if item.op == "copy":
            return operands[0]
        return self.b.apply(item.op, operands, item.dtype, **item.attrs)

    def _operand(self, item: Item, k: int, stage: int) -> Value:
        view = item.reads[k]
        if view.buffer in self.inside:
            return self.values[self.inside[view.buffer]]
        number = literal(view)
        if number is not None:
            return self.b.constant(number, view.dtype)
        return self._read(self.axes.reads[item, k], stage)

    def _read(self, access: Access, stage: int, further: Index | None = None) -> Value:
        place = self._place(access)
        if further is not None:
            place = place + further
        if access.view.buffer in self.counting:
            return self.b.count(place + access.view.offset, access.view.dtype)
        pointer = self._pointer(access.view)
        self._used.setdefault(pointer.number, []).append(
            (access if further is None else _anywhere(access), stage))
        return self.b.load(pointer, place)

    def _take(self, item: Item, stage: int) -> Value:
        """Read the first operand at what the others say, limited to its bounds."""
        further = Index()
        for k, (limit, step) in enumerate(zip(item.attrs["limits"], item.attrs["steps"]), 1):
            place = self._operand(item, k, stage)
            further = further + index(self._limited(place, limit), step)
        return self._read(self.axes.reads[item, 0], stage, further)

    def _limited(self, place: Value, limit: int) -> Value:
        """An integer of any dtype as an index in 0..limit."""
        b = self.b
        if place.dtype == dt.uint64:
            place = b.apply("minimum", [place, b.constant(limit, dt.uint64)], dt.uint64)
        if place.dtype != dt.int64:
            place = b.apply("convert", [place], dt.int64, dtype=dt.int64)
        above = b.apply("maximum", [place, b.constant(0, dt.int64)], dt.int64)
        return b.apply("minimum", [above, b.constant(limit, dt.int64)], dt.int64)

    def _place(self, access: Access) -> Index:
        """Where an access is at this point, from its view's first element."""
        place = Index()
        for at, stride in zip(self.at, access.strides):
            if stride:
                place = place + at * stride
        return place

    def _store_all(self, items: list[Item]) -> None:
        """Stores stand after all loads of their block, so that results may replace operands."""
        for item in items:
            access = self.axes.writes.get(item)
            if access is not None:
                stream = access.view.buffer.type.nbytes >= STREAM_BYTES
                self.b.store(self._targets[item], self._place(access), self.values[item], stream)

    # -- memory -----------------------------------------------------------------------------------

    def _pointer(self, view: View) -> Pointer:
        """The argument for a read; views that begin at the same element share one."""
        key = view.buffer, view.offset
        if key not in self._pointers:
            self._pointers[key] = self.b.pointer(view.dtype, READ)
            self.reads.append(view)
        return self._pointers[key]

    def _local(self, item: Item) -> Pointer:
        if item not in self._locals:
            self._locals[item] = self.b.local(item.dtype, self.axes.folded)
        return self._locals[item]

    def _is_copy(self) -> bool:
        """Whether the kernel does nothing if its operand and result are the same memory."""
        if len(self.items) != 1 or self.items[0].op != "copy" or not self.reads:
            return False
        (read,), (write,) = self.axes.reads.values(), self.axes.writes.values()
        return read.strides == write.strides

    def _in_place(self) -> frozenset[tuple[int, int]]:
        """Results that may lie over operands: all is read, at the same place, before it is written.

        """
        pairs = set()
        for i, (item, write) in enumerate(self.axes.writes.items()):
            last = next((n for n, p in enumerate(self.passes) if item in p.items), len(self.passes))
            for j, view in enumerate(self.reads):
                used = self._used.get(self._pointers[view.buffer, view.offset].number, [])
                if view.dtype.itemsize == item.dtype.itemsize and view.offset == 0 and used \
                        and write.view.offset == 0 and not write.kept \
                        and all(a.strides == write.strides and a.kept == write.kept
                                and stage <= last for a, stage in used):
                    pairs.add((i, j))
        return frozenset(pairs)


def _anywhere(access: Access) -> Access:
    """An access whose places are known at run time only: it is like no other."""
    return Access(access.view, (), access.kept)


def _combining(item: Item) -> str:
    return item.op.removeprefix("reduce_")
