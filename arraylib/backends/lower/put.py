"""Kernels that write into a buffer at places that are data: scatter and dynamic_update_slice.

They change what is in the buffer, and so stand after the kernel that filled it. Updates that may
meet at one place are applied in order, whatever the number of threads: chunks divide only the axes
along which no two updates meet.
"""

from __future__ import annotations

import math

from arraylib import dtypes as dt
from arraylib.backends.lower.items import literal
from arraylib.backends.lower.plan import Buffer, LoopStep, View, whole
from arraylib.backends.lower.views import Ints
from arraylib.errors import Source
from arraylib.record import record
from arraylib.tile.build import Builder
from arraylib.tile.ir import READ, WRITE, Index, Kernel, Pointer, Value, index

CHUNK = 1 << 14
BLOCK = 64


@record
class Target:
    """Where updates go: `view`, over their axes, moved on by places[k] * steps[k] at each point.

    A place is limited to 0..limits[k] (`clamps`), or else an update with one outside is dropped.
    """

    view: View
    places: tuple[View, ...]
    limits: Ints
    steps: Ints
    clamps: bool


def put_step(target: Target, kind: str, update: View, ordered: Ints, where: Source) -> LoopStep:
    """The step that applies updates; those along the axes `ordered` may meet."""
    writer = _Writer(target, kind, update, ordered)
    kernel = writer.kernel()
    return LoopStep(kernel, tuple(writer.reads), (whole(target.view.buffer),), writer.chunks,
                    work=2 * update.size, where=(where,))


class _Writer:
    """The kernel being written: chunks over free axes, ordered axes in turn, lanes innermost."""

    def __init__(self, target: Target, kind: str, update: View, ordered: Ints) -> None:
        self.target, self.kind, self.update, self.shape = target, kind, update, update.shape
        self.ordered = tuple(d for d in ordered if self.shape[d] > 1)
        free = [d for d, n in enumerate(self.shape) if n > 1 and d not in self.ordered]
        self.lanes = self._lane_axis(free)
        self.rows = tuple(d for d in free if d != self.lanes)
        self.block, self.rows_per_chunk, self.chunks = self._division()
        self.b = Builder()
        self.reads: list[View] = []
        self.at: list[Index] = [Index()] * len(self.shape)
        self._pointers: dict[tuple[Buffer, int], Pointer] = {}

    def _lane_axis(self, free: list[int]) -> int | None:
        """A free axis along which places stay the same, contiguous if there is one."""
        fixed = [d for d in free if all(view.strides[d] == 0 for view in self.target.places)]
        ones = [d for d in fixed if self.target.view.strides[d] == 1 and (
            self.update.strides[d] == 1 or literal(self.update) is not None)]
        return ones[-1] if ones else fixed[-1] if fixed else None

    def _division(self) -> tuple[int, int, int]:
        """Lanes in a chunk, rows in a chunk if those are all lanes, and chunks."""
        rows = math.prod(self.shape[d] for d in self.rows)
        n = 1 if self.lanes is None else self.shape[self.lanes]
        others = math.prod(self.shape[d] for d in self.ordered)
        if rows * n * others <= CHUNK:
            return n, rows, 1
        block = max(BLOCK, CHUNK // others // BLOCK * BLOCK)
        if block < n:
            return block, 1, rows * -(-n // block)
        per_chunk = min(rows, max(1, CHUNK // (n * others)))
        return n, per_chunk, -(-rows // per_chunk)

    def kernel(self) -> Kernel:
        for view in (*self.target.places, self.update):
            self._pointer(view)
        # It also holds what is not updated, and what "add" adds to.
        self.base = self.b.pointer(self.target.view.dtype, WRITE)
        self._chunk()
        return self.b.kernel()

    def _pointer(self, view: View) -> Pointer | None:
        if literal(view) is not None:
            return None
        key = view.buffer, view.offset
        if key not in self._pointers:
            self._pointers[key] = self.b.pointer(view.dtype, READ)
            self.reads.append(view)
        return self._pointers[key]

    # -- loops ------------------------------------------------------------------------------------

    def _chunk(self) -> None:
        """This chunk's rows, or its part of one row."""
        b, rows = self.b, math.prod(self.shape[d] for d in self.rows)
        n = 1 if self.lanes is None else self.shape[self.lanes]
        if self.block < n:
            row, place = b.divided(index(b.chunk), -(-n // self.block))
            low = place * self.block
            self._row(row, low, b.limit(low + self.block, n))
        elif rows == 1:
            self._row(Index(), Index(), Index(n))
        else:
            low = index(b.chunk, self.rows_per_chunk)
            (at,) = b.open(1)
            self._row(index(at), Index(), Index(n))
            b.close([low], [b.limit(low + self.rows_per_chunk, rows)])

    def _row(self, row: Index, low: Index, high: Index) -> None:
        """All updates of one row, in order."""
        b, shape = self.b, self.shape
        for d in reversed(self.rows[1:]):
            row, self.at[d] = b.divided(row, shape[d])
        if self.rows:
            self.at[self.rows[0]] = row
        if not self.ordered:
            self._update(low, high)
            return
        for d, at in zip(self.ordered, b.open(len(self.ordered))):
            self.at[d] = index(at)
        self._update(low, high)
        b.close([Index()] * len(self.ordered), [Index(shape[d]) for d in self.ordered])

    def _update(self, low: Index, high: Index) -> None:
        """One window, if it is not dropped."""
        place, inside = self._start()
        if inside is not None:
            self.b.open(0)
        self._window(place, low, high)
        if inside is not None:
            self.b.close_when(inside)

    def _start(self) -> tuple[Index, Value | None]:
        """Where a window goes, and whether it is in bounds if that is a question."""
        b, target = self.b, self.target
        start, inside = Index(target.view.offset), None
        for view, limit, step in zip(target.places, target.limits, target.steps):
            place = self._read(view)
            if target.clamps:
                start = start + b.within(place, limit) * step
                continue
            place = b.as_int64(place)
            inside = self._and(inside, self._holds("GE", place, 0))
            inside = self._and(inside, self._holds("LE", place, limit))
            start = start + index(place, step)
        return start, inside

    def _window(self, start: Index, low: Index, high: Index) -> None:
        """The elements of one window."""
        if self.lanes is None:
            self._element(start)
            return
        (lane,) = self.b.open(1)
        self.at[self.lanes] = index(lane)
        self._element(start)
        self.b.close([low], [high], lanes=True,
                     multiple=math.gcd(self.block, self.shape[self.lanes]))

    # -- elements ---------------------------------------------------------------------------------

    def _element(self, start: Index) -> None:
        b, view = self.b, self.target.view
        value, place = self._read(self.update), start + self._place(view)
        if self.kind != "set":
            value = b.apply(self.kind, [b.load(self.base, place), value], view.dtype)
        b.store(self.base, place, value)

    def _read(self, view: View) -> Value:
        pointer = self._pointer(view)
        if pointer is None:
            return self.b.constant(literal(view), view.dtype)
        return self.b.load(pointer, self._place(view))

    def _place(self, view: View) -> Index:
        place = Index()
        for at, stride in zip(self.at, view.strides):
            if stride:
                place = place + at * stride
        return place

    def _holds(self, direction: str, place: Value, bound: int) -> Value:
        return self.b.apply("compare", [place, self.b.constant(bound, dt.int64)], dt.bool_,
                            direction=direction)

    def _and(self, a: Value | None, b: Value) -> Value:
        return b if a is None else self.b.apply("and", [a, b], dt.bool_)
