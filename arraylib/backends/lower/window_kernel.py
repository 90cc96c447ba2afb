"""Kernels of windows: at each place of a result, what is made of the elements of its window.

    for rows of this chunk:                    all axes but the two below
      for parts of the walked axis:            one along which windows move: ends, middle
        lanes, or the walked axis in lanes:
          the window

In the middle no window reaches over an end of the array, so the taps along the walked axis are
written out. Along other axes the taps that are inside are known for a row.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from arraylib import dtypes as dt
from arraylib.backends.lower.phases import Axis
from arraylib.backends.lower.plan import LoopStep, View
from arraylib.backends.lower.views import Ints
from arraylib.errors import Source
from arraylib.record import record
from arraylib.tile.build import Builder
from arraylib.tile.ir import READ, WRITE, Dtype, Index, Value, index

CHUNK = 1 << 15     # taps of one chunk, about
WRITTEN_OUT = 32    # so many taps at the most; of more there are loops
FEW_CHUNKS = 64     # with fewer rows, the walked axis is divided too


@record
class Windows:
    """Windows over an array, for each axis: how many there are, taps, and how they lie."""

    counts: Ints
    taps: Ints
    axes: tuple[Axis, ...]
    sizes: Ints  # of the array

    def moves(self, d: int) -> bool:
        """Whether there is more to a place along the axis than its number."""
        return self.taps[d] > 1 or not self.is_inside(d)

    def is_inside(self, d: int) -> bool:
        """Whether no window reaches over an end of the array along the axis."""
        return self.axes[d].is_inside(self.counts[d], self.taps[d], self.sizes[d])


@record
class Operand:
    """What is read at a tap of a window: `steps` further for a window, `taps` for a tap."""

    view: View
    steps: Ints
    taps: Ints
    start: int = 0


def over(view: View, windows: Windows) -> Operand:
    """The array over which windows move, as an operand."""
    axes = windows.axes
    return Operand(view, tuple(s * a.stride for s, a in zip(view.strides, axes)),
                   tuple(s * a.dilation for s, a in zip(view.strides, axes)),
                   -sum(s * a.low for s, a in zip(view.strides, axes)))


class WindowKernel(ABC):
    """A kernel being written; `point` says what is made of a window."""

    def __init__(self, windows: Windows, operands: Sequence[Operand], target: View) -> None:
        self.windows, self.operands, self.target = windows, operands, target
        self.b = Builder()
        self.at: list[Index] = [Index()] * len(windows.counts)
        self._pointers = [self.b.pointer(o.view.dtype, READ) for o in operands]
        self._written = self.b.pointer(target.dtype, WRITE)
        self.lanes = self._lane_axis()
        moving = [d for d, n in enumerate(windows.counts) if n > 1 and windows.moves(d)]
        self.walked = self.lanes if self.lanes in moving else moving[-1] if moving else None
        self.rows = tuple(d for d, n in enumerate(windows.counts)
                          if n > 1 and d not in (self.lanes, self.walked))
        self.block, self.per_chunk, self.chunks = self._division()

    def step(self, where: Source) -> LoopStep:
        """The step that runs it."""
        self._chunk()
        work = math.prod(self.windows.counts) * math.prod(self.windows.taps)
        return LoopStep(self.b.kernel(), tuple(o.view for o in self.operands), (self.target,),
                        self.chunks, work=work, where=(where,))

    @abstractmethod
    def point(self, middle: bool) -> Value:
        """The result of the window at `at`; in the `middle` all taps along the walked axis are
        inside."""

    # -- what the kernels say ---------------------------------------------------------------------

    def load(self, operand: int, taps: Sequence[Index]) -> Value:
        """An operand at these taps of the window."""
        found = self.operands[operand]
        place = Index(found.start)
        for at, step, tap, further in zip(self.at, found.steps, taps, found.taps):
            place = place + at * step + tap * further
        return self.b.load(self._pointers[operand], place)

    # -- loops ------------------------------------------------------------------------------------

    def _lane_axis(self) -> int | None:
        """Where results are side by side, best if what is read is so too."""
        def cost(d: int) -> tuple[bool, int, int]:
            steps = [*(o.steps[d] for o in self.operands), self.target.strides[d]]
            return self.windows.counts[d] < 8, sum(s not in (0, 1) for s in steps), -d

        axes = [d for d, n in enumerate(self.windows.counts) if n > 1]
        return min(axes, key=cost) if axes else None

    def _division(self) -> tuple[int, int, int]:
        """Walked places in a block, rows in a chunk if those are all places, and chunks."""
        counts = self.windows.counts
        n = 1 if self.walked is None else counts[self.walked]
        rows = math.prod(counts[d] for d in self.rows)
        per_place = math.prod(self.windows.taps) * (
            math.prod(counts) // (rows * n) if rows * n else 1)
        block = max(CHUNK // per_place // 64 * 64, 64)
        if rows < FEW_CHUNKS and block < n:
            return block, 1, rows * -(-n // block)
        per_chunk = max(1, min(rows, CHUNK // (per_place * n)))
        return n, per_chunk, -(-rows // per_chunk)

    def _chunk(self) -> None:
        b, rows = self.b, math.prod(self.windows.counts[d] for d in self.rows)
        n = 1 if self.walked is None else self.windows.counts[self.walked]
        if self.block < n:
            row, place = b.divided(index(b.chunk), -(-n // self.block))
            low = place * self.block
            self._row(row, low, b.limit(low + self.block, n))
        elif self.per_chunk == 1:
            self._row(index(b.chunk), Index(), Index(n))
        else:
            first = index(b.chunk, self.per_chunk)
            (number,) = b.open(1)
            self._row(index(number), Index(), Index(n))
            b.close([first], [b.limit(first + self.per_chunk, rows)])

    def _row(self, row: Index, low: Index, high: Index) -> None:
        """The walked axis from low to high."""
        for d in reversed(self.rows):
            row, self.at[d] = self.b.divided(row, self.windows.counts[d]) \
                if d != self.rows[0] else (Index(), row)
        if self.walked is None:
            self._place(True)
            return
        first, last = self._middle(self.walked)
        ends = (0, first), (last, self.windows.counts[self.walked])
        for begin, end in ends:
            if begin < end:
                self._walk(self._bounded(low, begin, True), self._bounded(high, end, False), False)
        if first < last:
            self._walk(self._bounded(low, first, True), self._bounded(high, last, False), True)

    def _middle(self, d: int) -> tuple[int, int]:
        """The windows along an axis that have all their taps inside."""
        w, axis = self.windows, self.windows.axes[d]
        first = max(0, -(-axis.low // axis.stride))
        reach = (w.taps[d] - 1) * axis.dilation - axis.low
        last = (w.sizes[d] - 1 - reach) // axis.stride + 1
        first = min(first, w.counts[d])
        return first, min(max(last, first), w.counts[d])

    def _bounded(self, place: Index, limit: int, low: bool) -> Index:
        """The end of a part, or of the block if that is sooner."""
        if not place.terms:
            return Index(max(place.offset, limit) if low else min(place.offset, limit))
        if not low:
            return self.b.limit(place, limit)
        b = self.b
        return index(b.apply("maximum", [b.count(place), b.constant(limit, dt.int64)], dt.int64))

    def _walk(self, low: Index, high: Index, middle: bool) -> None:
        """A part of the walked axis: in lanes if it is that axis and windows are alike."""
        assert self.walked is not None
        (at,) = self.b.open(1)
        self.at[self.walked] = index(at)
        if self.lanes == self.walked:
            self._store(middle)
        else:
            self._place(middle)
        self.b.close([low], [high], lanes=self.lanes == self.walked and middle)

    def _place(self, middle: bool) -> None:
        """The lanes, if they are an axis of their own."""
        if self.lanes is None or self.lanes == self.walked:
            self._store(middle)
            return
        n = self.windows.counts[self.lanes]
        (at,) = self.b.open(1)
        self.at[self.lanes] = index(at)
        self._store(middle)
        self.b.close([Index()], [Index(n)], lanes=True, multiple=n, registers=4 if n >= 64 else 1)

    def _store(self, middle: bool) -> None:
        value, place = self.point(middle), Index()
        for at, stride in zip(self.at, self.target.strides):
            place = place + at * stride
        self.b.store(self._written, place, value)


class Fold(WindowKernel):
    """The taps of a window that are inside, each as `value` gives it, combined by an operation.

    `value(kernel, taps)` may use `kernel.load`; `finish` makes the result of what they are
    combined to.
    """

    def __init__(self, windows: Windows, operands: Sequence[Operand], target: View, op: str,
                 value: Callable[[Fold, Sequence[Index]], Value],
                 finish: Callable[[Fold, Value], Value]) -> None:
        super().__init__(windows, operands, target)
        self.op, self.value, self.finish = op, value, finish

    def point(self, middle: bool) -> Value:
        taps: list[Index] = [Index()] * len(self.at)
        looped: list[int] = []
        ranges: list[tuple[Index, Index]] = []
        written = 1
        for d, n in reversed(list(enumerate(self.windows.taps))):
            whole = self.is_whole(d, middle)
            if whole and written * n <= WRITTEN_OUT:
                written *= n
                continue
            looped.insert(0, d)
            ranges.insert(0, (Index(), Index(n)) if whole else self.inside(d))
        if not looped:
            return self.finish(self, self._written_out(taps, ()))
        for d, tap in zip(looped, self.b.open(len(looped))):
            taps[d] = index(tap)
        value = self._written_out(taps, looped)
        lows, highs = zip(*ranges)
        ((total,),) = self.b.close(lows, highs, [(self.op, [value])])
        return self.finish(self, total)

    def _written_out(self, taps: list[Index], looped: Sequence[int]) -> Value:
        """All taps along the axes that have no loop."""
        axes = [(taps[d],) if d in looped else tuple(map(Index, range(n)))
                for d, n in enumerate(self.windows.taps)]
        values = [self.value(self, at) for at in itertools.product(*axes)]
        while len(values) > 1:  # neighbours first: short chains
            pairs = zip(values[::2], values[1::2])
            values = [self.b.apply(self.op, [x, y], x.dtype) for x, y in pairs] \
                + values[len(values) // 2 * 2:]
        return values[0]

    def is_whole(self, d: int, middle: bool) -> bool:
        """Whether all taps along an axis meet an element."""
        return self.windows.is_inside(d) or (middle and d == self.walked)

    def inside(self, d: int) -> tuple[Index, Index]:
        """The taps along an axis that meet an element, at this place."""
        axis, n = self.windows.axes[d], self.windows.taps[d]
        place = self.at[d] * axis.stride + -axis.low

        def reached(distance: Index) -> Index:
            b = self.b
            above = b.apply("maximum", [b.count(distance), b.constant(0, dt.int64)], dt.int64)
            taps, _ = b.divided(index(above) + (axis.dilation - 1), axis.dilation)
            return b.limit(taps, n)

        return reached(place * -1), reached(place * -1 + self.windows.sizes[d])


class Winner(WindowKernel):
    """Which tap of a window holds the element that wins over all others, by number; -1 for none.

    An element stays the winner over a later one if it compares to it in a direction, GE say.
    """

    def __init__(self, windows: Windows, x: View, target: View, direction: str) -> None:
        super().__init__(windows, [over(x, windows)], target)
        self.x, self.direction = x, direction

    def point(self, middle: bool) -> Value:
        b, dtype = self.b, self.target.dtype
        best = seen = None
        place = b.constant(-1, dtype)
        for number, taps in enumerate(itertools.product(*map(range, self.windows.taps))):
            value, inside = self._element(taps, middle)
            tap = b.constant(number, dtype)
            if best is None:
                best, seen = value, inside
                place = tap if inside is None else b.apply("select", [inside, tap, place], dtype)
                continue
            stays = b.apply("compare", [best, value], dt.bool_, direction=self.direction)
            wins = b.apply("not", [stays], dt.bool_)
            if seen is not None:
                wins = b.apply("or", [wins, b.apply("not", [seen], dt.bool_)], dt.bool_)
            if inside is not None:
                wins = b.apply("and", [wins, inside], dt.bool_)
                seen = seen if seen is None else b.apply("or", [seen, inside], dt.bool_)
            else:
                seen = None
            best = b.apply("select", [wins, value, best], value.dtype)
            place = b.apply("select", [wins, tap, place], dtype)
        return place

    def _element(self, taps: Ints, middle: bool) -> tuple[Value, Value | None]:
        """An element of the window, any at all where the tap is outside, and whether it is inside
        if that is a question."""
        b, found, inside = self.b, Index(), None
        for d, tap in enumerate(taps):
            axis, size = self.windows.axes[d], self.windows.sizes[d]
            place = self.at[d] * axis.stride + (tap * axis.dilation - axis.low)
            if not self.windows.is_inside(d) and not (middle and d == self.walked):
                number, zero = b.count(place), b.constant(0, dt.int64)
                for direction, limit in (("GE", zero), ("LT", b.constant(size, dt.int64))):
                    holds = b.apply("compare", [number, limit], dt.bool_, direction=direction)
                    inside = holds if inside is None else b.apply("and", [inside, holds], dt.bool_)
                place = b.within(number, size - 1)
            found = found + place * self.x.strides[d]
        return b.load(self._pointers[0], found), inside


def as_dtype(b: Builder, value: Value, dtype: Dtype) -> Value:
    """A value converted, if it is not of this dtype already."""
    return value if value.dtype == dtype else b.apply("convert", [value], dtype, dtype=dtype)
