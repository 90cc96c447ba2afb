"""The kernel that computes a box of a product's operand: see `plan.Prologue`.

The operand is a view of a value, which items of one group compute at each point of the group's
space. Each axis of the view is taken apart into axes of that space; what the items read from memory
moves along these as it does in the group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from arraylib import dtypes as dt
from arraylib.backends.lower.items import Item, literal
from arraylib.backends.lower.nest import Access, Axes
from arraylib.backends.lower.plan import Buffer, Prologue, View, row_major
from arraylib.backends.lower.point import Point
from arraylib.backends.lower.schedule import registers_of
from arraylib.backends.lower.space import refined, sizes_of
from arraylib.backends.lower.views import Ints
from arraylib.record import record
from arraylib.tile.ir import READ, WRITE, Index, Value, index

BOX = 6  # numbers: see plan.Prologue
_Piece: TypeAlias = tuple[int, int, int]  # of an axis: how long, along which axis, in which steps


@record
class Chain:
    """Items of a group, in order; the last computes the operand. `cuts` are those of the group."""

    items: Sequence[Item]
    cuts: Ints

    def reads(self) -> dict[tuple[Item, int], View]:
        """What the items read from memory, or count."""
        inside = {item.buffer for item in self.items}
        return {(item, k): view for item in self.items for k, view in enumerate(item.reads)
                if view.buffer not in inside and literal(view) is None}


def prologue(chain: Chain, operand: View, counting: Mapping[Buffer, Any]) -> Prologue | None:
    """How to compute an operand [batch.., rows, columns]; None where no loop over lines can.

    Lines run along the axis in which the operand lies in memory, or else along the other: all that
    is read has to move evenly along them, and at each element by one or not at all.
    """
    pieces = _pieces(operand, sizes_of(chain.cuts))
    if pieces is None:
        return None
    start, axes = pieces
    reads = {key: _seen(view, chain.cuts, start, axes) for key, view in chain.reads().items()}
    rank = len(operand.shape)
    for inner in sorted((0, 1), key=lambda i: operand.strides[rank - 2 + i] != 1):
        order = [*range(rank - 2), rank - 1 - inner, rank - 2 + inner]
        nest = _nest(axes, order, reads)
        if nest is not None:
            return _written(chain, nest, inner, counting)
    return None


def _pieces(operand: View, sizes: Ints) -> tuple[Ints, list[list[_Piece]]] | None:
    """Where an operand begins in a dense space of some sizes, and where its axes go there.

    None where an axis goes backwards, or from the end of one axis into another.
    """
    steps, rest, start = row_major(sizes), operand.offset, list[int]()
    for step in steps:
        place, rest = divmod(rest, step)
        start.append(place)
    reach, axes = list(start), list[list[_Piece]]()
    for n, stride in zip(operand.shape, operand.strides):
        pieces = list[_Piece]()
        while n > 1 and stride:
            at = next((i for i, step in enumerate(steps) if 0 < step <= stride
                       and stride % step == 0), None)
            if at is None:
                return None
            step = stride // steps[at]
            count = n if (n - 1) * step < sizes[at] else sizes[at] // step
            if count < 2 or n % count or count < n and count * step != sizes[at]:
                return None
            reach[at] += (count - 1) * step
            if reach[at] >= sizes[at]:
                return None
            pieces.insert(0, (count, at, step))
            n, stride = n // count, stride * count
        axes.append([*([(n, 0, 0)] if n > 1 else []), *pieces])
    return tuple(start), axes


@record
class _Seen:
    """What is read, from where on, and its stride along each piece of each axis of the operand."""

    view: View
    strides: list[list[int]]


def _seen(view: View, cuts: Ints, start: Ints, axes: list[list[_Piece]]) -> _Seen:
    strides = refined(view.shape, view.strides, sizes_of(cuts))
    offset = view.offset + sum(place * step for place, step in zip(start, strides))
    return _Seen(View(view.buffer, view.dtype, view.shape, view.strides, offset),
                 [[strides[at] * step for _, at, step in pieces] for pieces in axes])


@record
class _Nest:
    """The loops of a box: the axes of the batch, those of lines, and the one along a line."""

    batch: list[int]
    outer: list[int]
    inner: int
    reads: dict[tuple[Item, int], Access]

    @property
    def sizes(self) -> Ints:
        return (*self.batch, *self.outer, self.inner)


def _nest(axes: list[list[_Piece]], order: list[int],
          reads: dict[tuple[Item, int], _Seen]) -> _Nest | None:
    """The loops with the operand's axes in an order; None if lines do not go evenly."""
    groups = [order[:-2], order[-2:-1], order[-1:]]
    sizes, strides = list[list[int]](), list[list[list[int]]]()  # by group; by group and read
    for group in groups:
        lengths = [n for axis in group for n, _, _ in axes[axis]]
        steps = [[s for axis in group for s in seen.strides[axis]] for seen in reads.values()]
        lengths, steps = _merged(lengths, steps)
        sizes.append(lengths)
        strides.append(steps)
    if len(sizes[2]) != 1 or any(steps[0] not in (0, 1) for steps in strides[2]):
        return None
    accesses = {key: Access(seen.view, tuple(s for steps in strides for s in steps[i]), False)
                for i, (key, seen) in enumerate(reads.items())}
    return _Nest(sizes[0], sizes[1], sizes[2][0], accesses)


def _merged(sizes: list[int], strides: list[list[int]]) -> tuple[list[int], list[list[int]]]:
    """Neighbouring axes made one where all reads go on from one to the other."""
    lengths, steps = list[int](), [list[int]() for _ in strides]
    for i, n in enumerate(sizes):
        if lengths and all(kept[-1] == each[i] * n for kept, each in zip(steps, strides)):
            lengths[-1] *= n
            for kept, each in zip(steps, strides):
                kept[-1] = each[i]
        else:
            lengths.append(n)
            for kept, each in zip(steps, strides):
                kept.append(each[i])
    return lengths, steps


def _written(chain: Chain, nest: _Nest, inner: int, counting: Mapping[Buffer, Any]) -> Prologue:
    """The loops over the lines of a box, each computed in lanes."""
    flags = (False,) * len(nest.sizes)
    axes = Axes(nest.sizes, flags, flags, nest.reads, {})
    point = Point(axes, {item.buffer: item for item in chain.items}, counting)
    b, last = point.b, chain.items[-1]
    given = b.pointer(dt.int64, READ)
    target = b.pointer(last.dtype, WRITE)
    product, top, bottom, left, right, apart = (b.load(given, Index(i)) for i in range(BOX))
    (line,) = b.open(1)
    (lane,) = b.open(1)
    batch = len(nest.batch)
    _enter(point, product, range(batch))
    _enter(point, line, range(batch, len(nest.sizes) - 1))
    point.at[-1] = index(lane)
    before = b.apply("multiply", [b.apply("subtract", [line, top], dt.int64), apart], dt.int64)
    start = b.apply("subtract", [before, left], dt.int64)
    for item in chain.items:
        point.compute(item)
    _prefetch_next_line(point)
    b.store(target, index(start) + index(lane), point.values[last])
    lanes = len(nest.sizes) - 1
    b.close([index(left)], [index(right)], lanes=True,
            registers=registers_of(axes, chain.items, lanes))
    b.close([index(top)], [index(bottom)])
    return Prologue(b.kernel(), tuple(point.reads), inner,
                    tuple(dict.fromkeys(item.where for item in chain.items)))


def _prefetch_next_line(point: Point) -> None:
    """Ask for what the next line reads: boxes are narrow, and processors look ahead along lines."""
    accesses = [access for access in point.axes.reads.values()
                if len(access.strides) > 1 and access.strides[-1] and access.strides[-2]
                and access.view.buffer not in point.counting]
    for pointer, place in dict.fromkeys(
            (point.pointer(access.view), point.place(access) + access.strides[-2])
            for access in accesses):
        point.b.prefetch(pointer, place)


def _enter(point: Point, number: Value, axes: range) -> None:
    """Set the coordinates on some axes from the number of a point of theirs."""
    rest = index(number)
    for axis in reversed(axes[1:]):
        rest, point.at[axis] = point.b.divided(rest, point.axes.sizes[axis])
    if axes:
        point.at[axes[0]] = rest
