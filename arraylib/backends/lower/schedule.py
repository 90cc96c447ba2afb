"""Which loop of a nest runs in vector lanes, and how the work is cut into chunks.

Both depend on shapes and strides only, never on the machine's threads, so that results do not
either. Costs are rough: in units of one vector operation per `LANES` points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from arraylib.backends.lower.items import Item
from arraylib.backends.lower.nest import Access, Axes
from arraylib.backends.lower.views import Ints

LANES = 16
BLOCK = 1 << 10  # long loops over lanes are cut at multiples of this
CHUNK = 1 << 14  # points of a plain copy that are one chunk's work
EXPENSIVE = 8.0  # an expensive operation, in cheap ones
MOST_CHUNKS = 1 << 12


@dataclass(frozen=True)
class Schedule:
    """The order of a nest's loops.

    `rows` are the kept axes outside the lanes; a chunk has `rows_per_chunk` points of them, or, if
    `block` is set, one point and `block` turns of the lanes' axis.
    """

    lanes: int | None  # the axis that runs in lanes; None: all sizes are 1
    rows: Ints
    folded: Ints  # the folded axes outside the lanes
    lanes_fold: bool
    rows_per_chunk: int
    block: int
    chunks: int
    registers: int
    work: int


def schedule(axes: Axes, items: Sequence[Item]) -> Schedule:
    """Lanes and chunks for these items on these axes."""
    lanes = _lane_axis(axes, items)
    kept = [i for i, out in enumerate(axes.over) if not out and i != lanes]
    folded = [i for i, out in enumerate(axes.over) if out and i != lanes]
    fold = lanes is not None and axes.over[lanes]
    rows = math.prod(axes.sizes[i] for i in kept)
    weight = _weight(axes, items)
    goal = max(1, int(CHUNK / weight))  # points of one chunk
    per_row = axes.points // max(rows, 1)
    block, per_chunk = 0, max(1, min(rows, goal // max(per_row, 1)))
    if lanes is not None and not fold and per_row > 2 * goal:
        n = axes.sizes[lanes]
        turn = max(1, per_row // n)
        unit = BLOCK if turn < 8 else 8 * LANES
        block = max(unit, goal // turn // unit * unit)
        block = block if block < n else 0
    per_chunk = 1 if block else max(per_chunk, -(-rows // MOST_CHUNKS))
    chunks = rows * -(-axes.sizes[lanes] // block) if block else -(-rows // per_chunk)
    return Schedule(lanes, tuple(kept), tuple(folded), fold, per_chunk, block, max(chunks, 1),
                    _registers(axes, items, lanes), int(axes.points * max(1.0, weight)))


def _weight(axes: Axes, items: Sequence[Item]) -> float:
    """What one point costs, relative to copying a float."""
    moved = sum(a.view.dtype.itemsize for a in _accesses(axes) if not a.kept and any(a.strides))
    work = sum(EXPENSIVE if item.expensive else 1.0 for item in items)
    return moved / 8 + work / 10


def _accesses(axes: Axes) -> list[Access]:
    return [*axes.reads.values(), *axes.writes.values()]


def _lane_axis(axes: Axes, items: Sequence[Item]) -> int | None:
    """The axis along which a vector of points costs least."""
    candidates = [i for i, n in enumerate(axes.sizes) if n > 1]
    if len(candidates) <= 1:
        return candidates[0] if candidates else None
    return min(candidates, key=lambda i: (_lane_cost(axes, items, i), -i))


def _lane_cost(axes: Axes, items: Sequence[Item], axis: int) -> float:
    n = axes.sizes[axis]
    filled = n / (-(-n // LANES) * LANES)
    memory = sum(_step_cost(a.strides[axis], a.writes) / (axes.folded if a.kept else 1)
                 for a in _accesses(axes))
    cost = (memory + 0.5 * len(items)) / filled
    if axes.over[axis]:
        # Each row ends with the lanes combined, once a reduction.
        reductions = sum(1 for item in items if item.over)
        cost += (3 + 10 * reductions) / (axes.folded / LANES)
    return cost


def _step_cost(stride: int, writes: bool) -> float:
    if stride in (0, 1):
        return 0.2 + 0.8 * stride
    return 1.3 if stride == -1 else 20.0 if writes else 12.0


def _registers(axes: Axes, items: Sequence[Item], lanes: int | None) -> int:
    """How many registers wide a turn is: more hide the latency of sums, if the body is short."""
    if lanes is None or not any(item.over for item in items):
        return 1
    expensive = sum(1 for item in items if item.expensive)
    body = len(items) + 6 * expensive
    if axes.over[lanes]:
        return 4 if body <= 8 else 2 if expensive <= 1 else 1
    return 8 if body <= 4 else 4 if body <= 8 else 2
