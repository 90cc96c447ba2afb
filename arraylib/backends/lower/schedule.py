"""Which loop of a nest runs in vector lanes, and how the work is cut into chunks.

Both depend on shapes and strides only, never on the machine's threads, so that results do not
either. Costs are rough: in units of one vector operation per `LANES` points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from arraylib.backends.lower.items import Item
from arraylib.backends.lower.nest import Access, Axes
from arraylib.backends.lower.plan import Buffer
from arraylib.backends.lower.views import Ints
from arraylib.record import record

LANES = 16
BLOCK = 1 << 10  # long loops over lanes are cut at multiples of this
CHUNK = 1 << 14  # points of a plain copy that are one chunk's work
EXPENSIVE = 8.0  # an expensive operation, in cheap ones
ENOUGH = 48  # chunks for any number of threads: rows are cut further only if they are very long
MOST_CHUNKS = 1 << 12
LONG_CHAIN = 24  # operations, an expensive one for EXPENSIVE
LONG_FOR_MANY = 12  # the same for so many points that they are worth a longer compilation
MANY_POINTS = 1 << 18
MANY_EXPENSIVE = 12  # wider, they would take long to compile
STAGGERED_POINTS = 1 << 22  # from here on results may be written past the caches: see stagger.py
STAGGERED_ROWS = 4  # times as many rows are a chunk's: the first and the last gain nothing there
LOCAL_BYTES = 1 << 16  # of arrays that only one chunk sees: they stay in the second cache
FEWEST_FOLDED = 4  # points that are worth sums in local arrays
TILE = 64
FEW = 4  # elements apart: a vector of them is put together of so many


@record
class Schedule:
    """The order of a nest's loops.

    `rows` are the kept axes outside the lanes; a chunk has `rows_per_chunk` points of them, or, if
    `block` is set, one point and `block` turns of the lanes' axis. With `streams` the lanes are
    inside the loops over folded axes, and sums in local arrays.
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
    streams: bool = False
    inner: int | None = None
    inner_block: int = 0
    any_length: bool = False  # of the only axis, which is in lanes


def schedule(axes: Axes, items: Sequence[Item], passes: int, any_length: bool = False) -> Schedule:
    """Lanes and chunks for these items, which need so many passes, on these axes."""
    if any(axes.sides):
        return _with_sides(axes, items)
    lanes = _lane_axis(axes, items)
    kept = tuple(i for i, out in enumerate(axes.over) if not out and i != lanes)
    folded = tuple(i for i, out in enumerate(axes.over) if out and i != lanes)
    rows = math.prod(axes.sizes[i] for i in kept)
    weight = _weight(axes, items)
    goal = max(1, int(CHUNK / weight))  # points of one chunk
    if any_length:
        block = max(BLOCK, goal // BLOCK * BLOCK)
        return Schedule(0, (), (), False, 1, block, -(-axes.points // block),
                        registers_of(axes, items, 0), int(axes.points * max(1.0, weight)),
                        any_length=True)
    inner = _inner_axis(axes, lanes)
    if inner is not None and lanes is not None:
        return _tiled(axes, lanes, inner, kept, goal, int(axes.points * max(1.0, weight)))
    block = _block(axes, lanes, rows, goal)
    streams = not block and passes == 1 and _streams(axes, items, lanes)
    if block and lanes is not None:
        per_chunk, chunks = 1, rows * -(-axes.sizes[lanes] // block)
    else:
        per_row = axes.points // max(rows, 1)
        if passes > 1 and axes.points >= STAGGERED_POINTS:
            goal *= STAGGERED_ROWS
        per_chunk = max(1, min(rows, goal // max(per_row, 1)), -(-rows // MOST_CHUNKS))
        chunks = max(1, -(-rows // per_chunk))
    return Schedule(lanes, kept, folded, lanes is not None and axes.over[lanes], per_chunk, block,
                    chunks, 1 if streams else registers_of(axes, items, lanes),
                    int(axes.points * max(1.0, weight)), streams)


def _with_sides(axes: Axes, items: Sequence[Item]) -> Schedule:
    """A chunk has the rows that go into one sum of each column; lanes run along a row."""
    lanes = len(axes.sizes) - 1
    kept = tuple(i for i, out in enumerate(axes.over) if not out)
    folded = tuple(i for i, out in enumerate(axes.over) if out and i != lanes)
    rows = math.prod(axes.sizes[i] for i in kept)
    per_chunk = math.prod(n for n, side in zip(axes.sizes, axes.sides) if side)
    return Schedule(lanes, kept, folded, True, per_chunk, 0, rows // per_chunk,
                    registers_of(axes, items, lanes),
                    int(axes.points * max(1.0, _weight(axes, items))))


def _weight(axes: Axes, items: Sequence[Item]) -> float:
    """What one point costs, relative to copying a float."""
    moved = sum(a.view.dtype.itemsize for a in _accesses(axes) if not a.kept and any(a.strides))
    work = sum(EXPENSIVE if item.expensive else 1.0 for item in items)
    return moved / 8 + work / 10


def _accesses(axes: Axes) -> list[Access]:
    return [*axes.reads.values(), *axes.writes.values()]


def _inner_axis(axes: Axes, lanes: int | None) -> int | None:
    """An axis that is contiguous where the lanes are not, if one suits all such accesses.

    It is worth going inside the lanes if squares can be turned over along it, or if it is so short
    that the lanes' vectors still hold most of what they load.
    """
    if lanes is None or any(axes.over) or axes.sizes[lanes] < LANES:
        return None
    strided = [a for a in _accesses(axes) if a.strides[lanes] not in (0, 1, -1)]
    for i, n in enumerate(axes.sizes):
        if i == lanes or not strided or any(a.strides[i] != 1 for a in strided):
            continue
        if n >= LANES and not any(a.writes for a in strided):
            return i
        if n <= FEW:
            return i
    return None


def _tiled(axes: Axes, lanes: int, inner: int, kept: Ints, goal: int, work: int) -> Schedule:
    """Squares of both axes; a chunk has some squares along the inner axis, or all of it."""
    rows = tuple(i for i in kept if i != inner)
    width, n = axes.sizes[lanes], axes.sizes[inner]
    inner_block = min(TILE * max(1, goal // (TILE * TILE)), n)
    block = min(max(TILE, goal // inner_block // TILE * TILE), width) if n < TILE \
        else min(TILE, width)
    chunks = math.prod(axes.sizes[i] for i in rows) * -(-width // block) * -(-n // inner_block)
    return Schedule(lanes, rows, (), False, 1, block, chunks, 1, work, inner=inner,
                    inner_block=inner_block)


def _block(axes: Axes, lanes: int | None, rows: int, goal: int) -> int:
    """How much of a kept axis in lanes is one chunk; 0 for all of it."""
    if lanes is None or axes.over[lanes]:
        return 0
    n, per_row = axes.sizes[lanes], axes.points // rows
    if per_row <= (2 if rows < ENOUGH else 64) * goal:
        return 0
    turn = max(1, per_row // n)
    unit = BLOCK if turn < 8 else 8 * LANES
    block = max(unit, goal // turn // unit * unit)
    return block if block < n else 0


def _streams(axes: Axes, items: Sequence[Item], lanes: int | None) -> bool:
    """Whether lanes go inside the folded loops: for sums of long rows of columns."""
    if lanes is None or axes.over[lanes] or axes.folded < FEWEST_FOLDED:
        return False
    if any(item.op.startswith("arg") for item in items) or not any(i.over for i in items):
        return False
    n, sums = axes.sizes[lanes], sum(1 for item in items if item.over)
    reads = [a for a in axes.reads.values() if not a.kept]
    return 8 * LANES <= n <= LOCAL_BYTES // (8 * sums) \
        and all(a.strides[lanes] in (0, 1) for a in reads)


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
        cost += (3 + 10 * reductions) * LANES / axes.folded
    return cost


def _step_cost(stride: int, writes: bool) -> float:
    if stride in (0, 1):
        return 0.2 + 0.8 * stride
    if stride == -1:
        return 1.3
    few = stride if 2 <= stride <= FEW else 12
    return 2.0 * few if writes else float(few)


def registers_of(axes: Axes, items: Sequence[Item], lanes: int | None) -> int:
    """How many registers wide a turn is.

    A wide turn hides the latency of sums in a short body, and of a chain of operations that is too
    long for the processor to start on the next turn meanwhile.
    """
    if lanes is None:
        return 1
    expensive = sum(1 for item in items if item.expensive)
    if not any(item.over for item in items):
        long = _longest_chain(items) > (
            LONG_FOR_MANY if axes.points >= MANY_POINTS else LONG_CHAIN)
        return 1 if not long else 2 if expensive > MANY_EXPENSIVE else 4
    body = len(items) + 6 * expensive
    if axes.over[lanes]:
        # At the end of a short row, combining many lanes takes longer than what they save.
        most = 4 if body <= 8 or expensive <= 1 else 2 if expensive == 2 else 1
        return max(1, min(most, axes.folded // (16 * LANES)))
    return 8 if body <= 4 else 4 if body <= 8 else 2


def _longest_chain(items: Sequence[Item]) -> float:
    """The most operations that wait for one another."""
    depth: dict[Buffer, float] = {}
    for item in items:
        before = max([depth.get(view.buffer, 0.0) for view in item.reads], default=0.0)
        depth[item.buffer] = before + (EXPENSIVE if item.expensive else 1.0)
    return max(depth.values(), default=0.0)
