"""Kernels that write into a buffer at places that are data: scatter and dynamic_update_slice.

They change what is in the buffer, and so stand after the kernel that filled it. Updates that may
meet at one place are applied in order, whatever the number of threads: chunks divide only the axes
along which no two updates meet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from arraylib import dtypes as dt
from arraylib.backends.lower.items import literal
from arraylib.backends.lower.plan import Buffer, LoopStep, View, whole
from arraylib.backends.lower.views import Ints
from arraylib.errors import Source
from arraylib.tile.build import Builder
from arraylib.tile.ir import READ, WRITE, Index, Kernel, Pointer, Value, index

CHUNK = 1 << 14
BLOCK = 64


@dataclass(frozen=True)
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
        self.target, self.kind, self.update = target, kind, update
        shape = update.shape
        self.ordered = tuple(d for d in ordered if shape[d] > 1)
        free = [d for d in range(len(shape)) if shape[d] > 1 and d not in self.ordered]
        steps = target.view.strides
        ones = [d for d in free if steps[d] == 1 and (
            update.strides[d] == 1 or literal(update) is not None)]
        self.lanes = ones[-1] if ones else free[-1] if free else None
        self.rows = tuple(d for d in free if d != self.lanes)
        self.b = Builder()
        self.reads: list[View] = []
        self.at: list[Index] = [Index()] * len(shape)
        self.block, self.chunks = self._division()
        self._pointers: dict[tuple[Buffer, int], Pointer] = {}

    def _division(self) -> tuple[int, int]:
        """Lanes in a chunk, and chunks."""
        shape = self.update.shape
        rows = math.prod(shape[d] for d in self.rows)
        if self.lanes is None:
            return 1, rows
        n = shape[self.lanes]
        others = math.prod(shape[d] for d in self.ordered)
        block = max(BLOCK, CHUNK // others // BLOCK * BLOCK)
        block = block if block < n else n
        return block, rows * -(-n // block)

    def kernel(self) -> Kernel:
        for view in (*self.target.places, self.update):
            self._pointer(view)
        # The buffer itself is also read: what is not updated stays.
        view = self.target.view
        self.base = self.b.pointer(view.dtype, WRITE)
        self._rows()
        return self.b.kernel()

    def _pointer(self, view: View) -> Pointer | None:
        if literal(view) is not None:
            return None
        key = view.buffer, view.offset
        if key not in self._pointers:
            self._pointers[key] = self.b.pointer(view.dtype, READ)
            self.reads.append(view)
        return self._pointers[key]

    def _rows(self) -> None:
        """This chunk's point on the free axes; then all ordered updates."""
        b, shape = self.b, self.update.shape
        place = index(b.chunk)
        low = high = Index()
        if self.lanes is not None:
            n = shape[self.lanes]
            count = -(-n // self.block)
            block = place
            if self.rows:
                place, block = b.divided(place, count)
            if count == 1:
                low, high = Index(), Index(n)
            else:
                low = block * self.block
                high = low + self.block
                high = b.limit(high, n) if n % self.block else high
        for d in reversed(self.rows[1:]):
            place, self.at[d] = b.divided(place, shape[d])
        if self.rows:
            self.at[self.rows[0]] = place
        if self.ordered:
            for d, at in zip(self.ordered, b.open(len(self.ordered))):
                self.at[d] = index(at)
        self._update(low, high)
        if self.ordered:
            b.close([Index()] * len(self.ordered), [Index(shape[d]) for d in self.ordered])

    def _update(self, low: Index, high: Index) -> None:
        """One window: where it goes, whether it is dropped, and its elements."""
        b, target = self.b, self.target
        # Places do not vary along the lanes: those are an axis of the window.
        further, inside = Index(target.view.offset), None
        for view, limit, step in zip(target.places, target.limits, target.steps):
            place = self._read(view)
            if target.clamps:
                further = further + b.within(place, limit) * step
                continue
            place = b.as_int64(place)
            inside = self._and(inside, self._holds("GE", place, 0))
            inside = self._and(inside, self._holds("LE", place, limit))
            further = further + index(place, step)
        if inside is not None:
            b.open(0)
        self._window(further, low, high)
        if inside is not None:
            b.close_when(inside)

    def _window(self, further: Index, low: Index, high: Index) -> None:
        b = self.b
        if self.lanes is None:
            self._element(further)
            return
        (lane,) = b.open(1)
        self.at[self.lanes] = index(lane)
        self._element(further)
        n = self.update.shape[self.lanes]
        b.close([low], [high], lanes=True, multiple=math.gcd(self.block, n))

    def _element(self, further: Index) -> None:
        b, view = self.b, self.target.view
        value = self._read(self.update)
        place = further
        for at, stride in zip(self.at, view.strides):
            place = place + at * stride
        if self.kind != "set":
            old = b.load(self.base, place)
            value = b.apply(self.kind, [old, value], view.dtype)
        b.store(self.base, place, value)

    def _read(self, view: View) -> Value:
        pointer = self._pointer(view)
        if pointer is None:
            return self.b.constant(literal(view), view.dtype)
        place = Index()
        for at, stride in zip(self.at, view.strides):
            place = place + at * stride
        return self.b.load(pointer, place)

    def _holds(self, direction: str, place: Value, bound: int) -> Value:
        return self.b.apply("compare", [place, self.b.constant(bound, dt.int64)], dt.bool_,
                            direction=direction)

    def _and(self, a: Value | None, b: Value) -> Value:
        return b if a is None else self.b.apply("and", [a, b], dt.bool_)


