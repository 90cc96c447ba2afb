"""A group of items as one kernel: its loops written in the kernel IR.

    for rows of this chunk:                     kept axes outside the lanes
      [lanes over a kept axis:]                 where the lanes run along a kept axis
        kept items that need no pass
        for each pass: nest over folded axes, [lanes over a folded axis]:
          full items, stores, saves; reductions
        kept items that need the pass; stores

Two other orders serve special cases: `_streamed` and `_tiled`. Sums of columns beside sums of rows
are in local arrays while a chunk's rows are gone through (`_rows_with_sides`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from arraylib import dtypes as dt
from arraylib.backends.lower.epilogue import along, span_of
from arraylib.backends.lower.fuse import Unit
from arraylib.backends.lower.items import Item
from arraylib.backends.lower.nest import Access, axes_of
from arraylib.backends.lower.passes import Pass, count_passes, needed_items, plan_passes
from arraylib.backends.lower.plan import Buffer, LoopStep, View
from arraylib.backends.lower.point import Point
from arraylib.backends.lower.schedule import TILE, Schedule, schedule
from arraylib.backends.lower.stagger import staggered
from arraylib.backends.lower.views import is_identity
from arraylib.tile.ir import WRITE, Index, Pointer, Value, identity, index

SAVED_BYTES = 1 << 18  # of rows kept from pass to pass: they stay in the second cache
ROW_BYTES = 1 << 15    # of rows short enough to ask for all of the next
PAGE_BYTES = 1 << 12
PAGED_BYTES = 1 << 20  # smaller arrays are in a cache
STAGGERED_EXPENSIVE = 4  # with more, the processor is busier than memory is
STREAM_BYTES = 1 << 25  # results larger than this are not expected to be found in a cache again


def loop_step(unit: Unit, outputs: set[Buffer], counting: Mapping[Buffer, Any],
              any_length: bool = False) -> LoopStep:
    """The step of a group that has to write `outputs`.

    With `any_length` its kernel is one for arrays of all lengths, if its loops are but one.
    """
    inside = {item.buffer: item for item in unit.items}
    items = needed_items(unit.items, outputs, inside)
    axes = axes_of(unit, items, outputs, set(inside))
    plan = schedule(axes, items, count_passes(unit, items, inside),
                    any_length and len(axes.sizes) == 1 and not any(axes.over))
    room = SAVED_BYTES // axes.folded if plan.lanes_fold else 0
    before, passes = plan_passes(unit, items, outputs, inside, room)
    writer = _Writer(plan, Point(axes, inside, counting), before, passes)
    writer.write()
    point = writer.point
    kernel = point.b.kernel(_is_copy(items, point))
    if sum(1 for item in items if item.expensive) <= STAGGERED_EXPENSIVE:
        kernel = staggered(kernel)
    return LoopStep(kernel, tuple(point.reads), tuple(writer.writes), plan.chunks,
                    in_place=_in_place(point, passes), work=plan.work,
                    where=tuple(dict.fromkeys(item.where for item in items)),
                    extent=axes.points if plan.any_length else 0,
                    span=span_of(plan, axes), along=along(point))


def _is_copy(items: list[Item], point: Point) -> bool:
    """Whether the kernel does nothing if its operand and result are the same memory."""
    if len(items) != 1 or items[0].op != "copy" or not point.reads:
        return False
    (read,), (write,) = point.axes.reads.values(), point.axes.writes.values()
    return read.strides == write.strides


def _in_place(point: Point, passes: list[Pass]) -> frozenset[tuple[int, int]]:
    """Results that may lie over operands: all is read, at the same place, before it is written."""
    pairs: set[tuple[int, int]] = set()
    for i, (item, write) in enumerate(point.axes.writes.items()):
        if write.kept or not is_identity(write.view):
            continue
        last = next(n for n, p in enumerate(passes) if item in p.items)
        for buffer in {view.buffer: None for view in point.reads}:
            readers = [j for j, view in enumerate(point.reads) if view.buffer is buffer]
            if buffer.type.nbytes == item.buffer.type.nbytes \
                    and buffer.type.dtype.itemsize == item.dtype.itemsize \
                    and all(_is_over(point, point.reads[j], write, last) for j in readers):
                pairs.update((i, j) for j in readers)
    return frozenset(pairs)


def _is_over(point: Point, view: View, write: Access, last: int) -> bool:
    """Whether a read is of what the write replaces, and not after pass `last`."""
    used = point.used.get(point.pointer(view), [])
    return view.offset == 0 and bool(used) and all(
        a.strides == write.strides and not a.kept and stage <= last for a, stage in used)


class _Writer:
    """The kernel of one group being written."""

    def __init__(self, plan: Schedule, point: Point, before: list[Item],
                 passes: list[Pass]) -> None:
        self.plan, self.point, self.b, self.axes = plan, point, point.b, point.axes
        self.before, self.passes = before, passes
        self.writes: list[View] = []
        self._targets: dict[Item, Pointer] = {}
        self._locals: dict[Item, Pointer] = {}
        self._sums: dict[Item, Pointer] = {}
        self._inner_place = Index()  # the block of the inner axis that this chunk has
        for item, access in self.axes.writes.items():
            self._targets[item] = self.b.pointer(item.dtype, WRITE)
            self.writes.append(access.view)

    # -- chunks and rows --------------------------------------------------------------------------

    def write(self) -> None:
        """The loop over this chunk's rows."""
        plan, b = self.plan, self.b
        rows = math.prod(self.axes.sizes[i] for i in plan.rows)
        if any(self.axes.sides):
            self._rows_with_sides()
        elif plan.block:
            self._block(rows)
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

    def _rows_with_sides(self) -> None:
        """The rows of one sum of each column: the sums are in local arrays meanwhile."""
        plan, b, axes = self.plan, self.b, self.axes
        sides = [item for each in self.passes for item in each.sides]
        self._sums = {item: b.local(item.reads[0].dtype, axes.folded) for item in sides}
        self._each_folded(self._start_sums)
        low = index(b.chunk, plan.rows_per_chunk)
        (row,) = b.open(1)
        self._row(index(row))
        b.close([low], [low + plan.rows_per_chunk])
        outer = index(b.chunk)
        for i in reversed([i for i in plan.rows if not axes.sides[i]]):
            outer, self.point.at[i] = b.divided(outer, axes.sizes[i])
        self._each_folded(self._store_sums)

    def _start_sums(self) -> None:
        for item, sofar in self._sums.items():
            nothing = self.b.constant(identity(_combining(item), sofar.dtype), sofar.dtype)
            self.b.store(sofar, self.point.folded_place(), nothing)

    def _store_sums(self) -> None:
        for item, sofar in self._sums.items():
            found = self.b.load(sofar, self.point.folded_place())
            self.b.store(self._targets[item], self.point.place(self.axes.writes[item]), found)

    def _each_folded(self, body: Callable[[], None]) -> None:
        """A nest over the folded axes."""
        axes = self._open_folded()
        body()
        self._close_folded(axes, [])

    def _open_folded(self) -> list[int]:
        plan = self.plan
        axes = [*plan.folded]
        if plan.lanes is not None and plan.lanes_fold:
            axes.append(plan.lanes)
        if axes:
            for i, at in zip(axes, self.b.open(len(axes))):
                self.point.at[i] = index(at)
        return axes

    def _close_folded(self, axes: list[int],
                      reductions: list[tuple[str, tuple[Value, ...]]]) -> list[tuple[Value, ...]]:
        plan, sizes = self.plan, self.axes.sizes
        return self.b.close(
            [Index()] * len(axes), [Index(sizes[i]) for i in axes], reductions,
            lanes=plan.lanes_fold, multiple=sizes[axes[-1]], registers=plan.registers)

    def _block(self, rows: int) -> None:
        """One row and a stretch of the lanes' axis (and of the inner axis)."""
        plan, place = self.plan, index(self.b.chunk)
        if plan.inner is not None:
            place, self._inner_place = self._cut(place, plan.inner, plan.inner_block)
        assert plan.lanes is not None
        row, place = self._cut(place, plan.lanes, plan.block) if rows > 1 else (Index(), place)
        self._row(row, *self._stretch(place, plan.lanes, plan.block))

    def _cut(self, place: Index, axis: int, block: int) -> tuple[Index, Index]:
        """A number taken apart into what goes on outside and the number of a block of the axis."""
        return self.b.divided(place, -(-self.axes.sizes[axis] // block))

    def _stretch(self, place: Index, axis: int, block: int) -> tuple[Index, Index]:
        """The bounds of a block of an axis."""
        n, low = self.axes.sizes[axis], place * block
        if self.plan.any_length:
            return low, self.b.limit(low + block, self.b.extent())
        return low, self.b.limit(low + block, n) if n % block else low + block

    def _row(self, row: Index, low: Index | None = None, high: Index | None = None) -> None:
        """All passes at one point of the rows; lanes along a kept axis run from low to high."""
        plan, at = self.plan, self.point.at
        for i in reversed(plan.rows[1:]):
            row, at[i] = self.b.divided(row, self.axes.sizes[i])
        if plan.rows:
            at[plan.rows[0]] = row
        if plan.lanes is None or plan.lanes_fold:
            self._all_passes()
        elif plan.streams:
            self._streamed(plan.lanes)
        elif plan.inner is not None:
            self._tiled(plan.lanes, plan.inner, low, high)
        else:
            self._open_lanes(plan.lanes)
            self._all_passes()
            self._close_lanes(plan.lanes, low, high)

    def _open_lanes(self, axis: int) -> None:
        """Begin the nest of lanes along a kept axis."""
        (lane,) = self.b.open(1)
        self.point.at[axis] = index(lane)

    def _close_lanes(self, axis: int, low: Index | None = None, high: Index | None = None) -> None:
        n, block = self.axes.sizes[axis], self.plan.block
        multiple = 1 if self.plan.any_length else math.gcd(block, n) if block else n
        self.b.close([low or Index()], [high or Index(n)], lanes=True, multiple=multiple,
                     registers=self.plan.registers)

    # -- special orders ---------------------------------------------------------------------------

    def _tiled(self, lanes: int, inner: int, low: Index | None, high: Index | None) -> None:
        """Squares one after another along the inner axis of this chunk."""
        b, n, block = self.b, self.axes.sizes[inner], self.plan.inner_block
        begin, end = self._stretch(self._inner_place, inner, block)
        tiles = -(-block // TILE)
        if tiles > 1:
            (tile,) = b.open(1)
            begin, last = begin + index(tile, TILE), end
            end = begin + TILE
            if n % block or block % TILE:
                end = index(b.apply("minimum", [b.count(end), b.count(last)], dt.int64))
        self._open_lanes(lanes)
        (turn,) = b.open(1)
        self.point.at[inner] = index(turn)
        self._all_passes()
        b.close([begin], [end], independent=True)
        self._close_lanes(lanes, low, high)
        if tiles > 1:
            b.close([Index()], [Index(tiles)])

    def _streamed(self, lanes: int) -> None:
        """One pass with the lanes inside the loops over folded axes, sums in local arrays.

        Memory is then read in one long stream instead of in a short piece for each folded point.
        """
        plan, b, (each,), at = self.plan, self.b, self.passes, self.point.at
        sums = [b.local(i.reads[0].dtype, self.axes.sizes[lanes]) for i in each.reductions]
        self._open_lanes(lanes)
        for item, sofar in zip(each.reductions, sums):
            start = b.constant(identity(_combining(item), sofar.dtype), sofar.dtype)
            b.store(sofar, at[lanes], start)
        self._close_lanes(lanes)
        for i, folded in zip(plan.folded, b.open(len(plan.folded))):
            at[i] = index(folded)
        self._open_lanes(lanes)
        self._kept(self.before, 0)
        for (op, values), sofar in zip(self._turn(0), sums):
            both = b.apply(op, [b.load(sofar, at[lanes]), *values], sofar.dtype)
            b.store(sofar, at[lanes], both)
        self._close_lanes(lanes)
        b.close([Index()] * len(plan.folded), [Index(self.axes.sizes[i]) for i in plan.folded])
        self._open_lanes(lanes)
        self._kept(self.before, 0)
        for item, sofar in zip(each.reductions, sums):
            self.point.values[item] = b.load(sofar, at[lanes])
        self._kept(each.after, 1)
        self._store([*self.before, *each.reductions, *each.after])
        self._close_lanes(lanes)

    # -- passes -----------------------------------------------------------------------------------

    def _all_passes(self) -> None:
        self._kept(self.before, 0)
        self._store(self.before)
        for number, each in enumerate(self.passes):
            self._pass(number)
            self._kept(each.after, number + 1)
            self._store([*each.reductions, *each.after])

    def _kept(self, items: list[Item], stage: int) -> None:
        """Values that stand at kept points."""
        self.point.stage = stage
        for item in items:
            self.point.compute(item)

    def _pass(self, number: int) -> None:
        """One nest over the folded axes."""
        b, axes = self.b, self._open_folded()
        folds = self._turn(number)
        # Without folded axes (all of size 1), what would be folded is the result.
        results = self._close_folded(axes, folds) if axes else [values for _, values in folds]
        for item, values in zip(self.passes[number].reductions, results):
            # Of a pair it is the place that was asked for, in some dtype.
            same = values[-1].dtype == item.dtype
            self.point.values[item] = values[-1] if same \
                else b.apply("convert", values[-1:], item.dtype, dtype=item.dtype)

    def _turn(self, number: int) -> list[tuple[str, tuple[Value, ...]]]:
        """The body of a pass; returns what its reductions fold."""
        each, b, point = self.passes[number], self.b, self.point
        point.stage = number
        if number == 1:
            self._prefetch_next_row()
        elif len(self.passes) == 1:
            self._prefetch_next_page()
        for item in each.loads:
            point.values[item] = b.load(self._local(item), point.folded_place())
        for item in each.items:
            point.compute(item)
        found = [(_combining(item), point.folded(item)) for item in each.reductions]
        for item in each.sides:
            sofar, place = self._sums[item], point.folded_place()
            both = b.apply(_combining(item), [b.load(sofar, place), point.operand(item, 0)],
                           sofar.dtype)
            b.store(sofar, place, both)
        for item in each.items:
            if item in each.saves:
                b.store(self._local(item), point.folded_place(), point.values[item])
        earlier = {item for p in self.passes[:number] for item in p.items}
        self._store([item for item in each.items if item not in earlier])
        return found

    def _prefetch_next_row(self) -> None:
        """Ask for what the first pass over the next row will read.

        The first pass waits for memory and later ones do not; and processors do not fetch ahead
        from one page into the next, where the next row often begins.
        """
        plan = self.plan
        if not plan.rows or not plan.lanes_fold or plan.lanes is None:
            return
        self._prefetch({access: access.strides[plan.rows[-1]] for access in self._rows_read()
                        if access.strides[plan.rows[-1]] and self._row_bytes(access) <= ROW_BYTES})

    def _prefetch_next_page(self) -> None:
        """Where one pass goes over memory in long pieces: ask for what is a page ahead.

        Processors that fetch ahead themselves begin anew with each page. A kernel for arrays of any
        length does not know whether they are in a cache.
        """
        plan = self.plan
        if plan.lanes is None or plan.inner is not None or plan.any_length \
                or any(self.axes.over) and not plan.lanes_fold:
            return
        self._prefetch({access: PAGE_BYTES // access.view.dtype.itemsize
                        for access in self._rows_read()
                        if access.view.buffer.type.nbytes >= PAGED_BYTES
                        and self._row_bytes(access) >= PAGE_BYTES})

    def _rows_read(self) -> list[Access]:
        """The reads of memory that is in one piece along the lanes."""
        return [access for access in self.axes.reads.values() if not access.kept
                and access.strides[self.plan.lanes or 0] == 1
                and access.view.buffer not in self.point.counting]

    def _row_bytes(self, access: Access) -> int:
        """How long such a piece is."""
        assert self.plan.lanes is not None, "asked for rows only"
        points = self.axes.folded if self.plan.lanes_fold else self.axes.sizes[self.plan.lanes]
        return access.view.dtype.itemsize * points

    def _prefetch(self, steps: Mapping[Access, int]) -> None:
        """Ask for what is so many elements further; once where several items read it."""
        point = self.point
        for pointer, place in dict.fromkeys(
                (point.pointer(access.view), point.place(access) + step)
                for access, step in steps.items()):
            self.b.prefetch(pointer, place)

    def _local(self, item: Item) -> Pointer:
        """Where a row of the item's values is saved."""
        if item not in self._locals:
            self._locals[item] = self.b.local(item.dtype, self.axes.folded)
        return self._locals[item]

    def _store(self, items: list[Item]) -> None:
        """Write outputs: after all loads of their block, since they may replace operands."""
        for item in items:
            access = self.axes.writes.get(item)
            if access is not None:
                stream = _is_streamed(access)
                self.b.store(self._targets[item], self.point.place(access),
                             self.point.values[item], stream)


def _is_streamed(access: Access) -> bool:
    """Whether a result is too large for caches, and begins and ends with whole lines of them."""
    buffer = access.view.buffer
    return buffer.type.nbytes >= STREAM_BYTES and buffer.type.nbytes % 64 == 0 \
        and access.view.offset * access.view.dtype.itemsize % 64 == 0


def _combining(item: Item) -> str:
    return item.op.removeprefix("reduce_")
