"""Which items share a kernel.

Items arrive in order. An item joins the group of one of its operands if it can read it there
without memory, and if nothing else it needs waits for that group: each unit (a group, or any other
step) knows its ancestors as a set of bits. Groups that an item brings together are merged.

The items of a group are either *full*, one value at each point of the group's space, or *kept*, one
at each point of what reductions leave of it: results of reductions, and what is computed of them.
A group that folds rows may also have *sides*: sums over some rows at a time, of each column, which
nothing in the group reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from arraylib.backends.lower.items import Item
from arraylib.backends.lower.plan import Buffer, Step, View, row_major
from arraylib.backends.lower.repeat import repeated
from arraylib.backends.lower.space import (
    Spans,
    cuts_of,
    joined,
    kept_cuts,
    lifted,
    marks,
    refined,
    sizes_of,
    spans_of,
)
from arraylib.backends.lower.views import Ints, is_identity
from arraylib.record import field, record

MOST_ITEMS = 160  # in one kernel: beyond, registers are spilled and compilation is slow
# Sums of columns beside sums of rows: how long a row may be, how many sums of one length there may
# be, so that they stay in the second cache, and how many runs of rows make enough chunks.
LEAST_ROW, MOST_ROW, MOST_SIDES, FEWEST_RUNS = 64, 1 << 12, 6, 16
SHARED_READ = 1 << 14  # elements: from here on reading an operand once instead of twice counts


@record(frozen=False, eq=False, slots=True)
class Unit:
    """A group of items, or a step that stands alone; bit `number` stands for it in sets."""

    number: int
    ancestors: int = 0  # all that it needs; also what has since become part of those
    direct: int = 0  # what it needs itself
    dependents: int = 0  # what needs it, itself
    step: Step | None = None
    items: list[Item] = field(default_factory=list)
    kept: set[Item] = field(default_factory=set)
    cuts: Ints = ()
    spans: Spans = ()
    sides: set[Item] = field(default_factory=set)
    side_spans: Spans = ()
    size: int = 0
    kept_size: int = 0
    merged_into: Unit | None = None
    bit: int = field(init=False)

    def __post_init__(self) -> None:
        self.bit = 1 << self.number

    def is_kept(self, item: Item) -> bool:
        """Whether an item of the group has a value only at kept points."""
        return bool(item.over) or item in self.kept


@record(slots=True)
class _Fit:
    """How an item would stand in a group."""

    kept: bool
    cuts: Ints
    spans: Spans


@record(slots=True)
class _Merger:
    """How two groups would be one: which items are then kept, and which are sides."""

    cuts: Ints
    spans: Spans
    kept: set[Item] = field(default_factory=set)
    sides: set[Item] = field(default_factory=set)
    side_spans: Spans = ()


class Fuser:
    """Groups being formed."""

    def __init__(self) -> None:
        self.units: list[Unit] = []  # by number, with those that were merged into others
        self._alive: dict[Unit, None] = {}
        self.definers: dict[Buffer, Item] = {}  # what can be read without memory
        self._unit: dict[Item, Unit] = {}
        self._writers: dict[Buffer, list[Unit]] = {}
        self.stored: set[Buffer] = set()  # what will be in memory whatever is fused
        self._readers: dict[Buffer, list[Unit]] = {}

    def fence(self, buffer: Buffer) -> None:
        """From now on this buffer is read from memory only."""
        self.definers.pop(buffer, None)

    def add_step(self, step: Step, reads: Iterable[View], writes: Iterable[View]) -> None:
        """A step of its own, after all that wrote what it reads or writes."""
        unit = Unit(len(self.units), step=step)
        self._new(unit)
        buffers = {view.buffer: None for view in (*reads, *writes)}
        self._depend(unit, [u for b in buffers for u in self.writers(b)])
        for view in writes:
            self._writers.setdefault(view.buffer, []).append(unit)

    def _new(self, unit: Unit) -> None:
        self.units.append(unit)
        self._alive[unit] = None

    def add(self, item: Item, helpers: Sequence[Item] = ()) -> None:
        """Put an item in a group, and with it helpers: items that only it reads, over its space."""
        fit, unit, others = None, None, self._candidates(item)
        for unit in others:
            fit = self._fit(unit, item, helpers)
            if fit and self._is_free(unit, item, helpers):
                break
            fit = None
        if fit is None or unit is None:
            unit = self._new_group(item, helpers)
        else:
            self._join(unit, item, fit, helpers)
        for other in others:
            if other is not unit:
                self._merge(unit, other)
        unit = _root(unit)
        self._repeat_producers(unit, item)
        if is_identity(item.target):
            self.definers[item.buffer] = item
        self._writers.setdefault(item.buffer, []).append(unit)
        if item.size >= SHARED_READ:
            self._note_reads(unit, item)

    def _note_reads(self, unit: Unit, item: Item) -> None:
        """Remember who reads whole buffers: another reader may join."""
        for view in item.reads:
            if view.buffer.constant is None and is_identity(view):
                readers = self._readers.setdefault(view.buffer, [])
                if unit not in readers:
                    readers.append(unit)

    def _repeat_producers(self, unit: Unit, item: Item) -> None:
        """Compute again here what another group computes, where that costs less than memory."""
        reads, helpers = [], []
        for view in item.reads:
            definer = self.definers.get(view.buffer)
            copies = None
            if definer and self.unit_of(definer) is not unit and is_identity(view) \
                    and view.buffer not in self.stored:
                copies = repeated(definer, view.shape, self.unit_of(definer), self.definers)
            reads.append(copies[-1].target if copies else view)
            helpers += copies or []
        if not helpers:
            return
        item.reads = tuple(reads)
        at = unit.items.index(item)
        unit.items[at:at] = helpers
        for each in helpers:
            self._unit[each] = unit
            self.definers[each.buffer] = each
            self._note_reads(unit, each)
            if item in unit.kept:
                unit.kept.add(each)
        self._depend(unit, [u for each in helpers for v in each.reads
                            for u in self.writers(v.buffer)])

    def ordered(self) -> list[Unit]:
        """All units, each after those it depends on; near to the order in which they came."""
        done, order, stack = 0, [], list(reversed(self._alive))
        while stack:
            unit = stack[-1]
            if done >> unit.number & 1:
                stack.pop()
                continue
            waiting = [u for u in self._members(unit.direct) if not done >> u.number & 1]
            if waiting:
                stack += reversed(waiting)
                continue
            stack.pop()
            done |= unit.bit
            order.append(unit)
        return order

    def writers(self, buffer: Buffer) -> list[Unit]:
        """The units that write a buffer."""
        return [_root(u) for u in self._writers.get(buffer, ())]

    def unit_of(self, item: Item) -> Unit:
        return _root(self._unit[item])

    def _members(self, bits: int) -> list[Unit]:
        found = []
        while bits:
            low = bits & -bits
            found.append(_root(self.units[low.bit_length() - 1]))
            bits ^= low
        return found

    def _candidates(self, item: Item) -> list[Unit]:
        """The groups an item might join, best first: of its operands, then of fellow readers."""
        found: dict[Unit, None] = {}
        for view in item.reads:
            definer = self.definers.get(view.buffer)
            if definer is not None:
                found[self.unit_of(definer)] = None
        best = sorted(found, key=lambda u: -u.size)
        if item.size >= SHARED_READ:
            for view in item.reads:
                for reader in map(_root, self._readers.get(view.buffer, ())[-4:]):
                    if reader not in best:
                        best.append(reader)
        return best

    # -- joining ----------------------------------------------------------------------------------

    def _fit(self, unit: Unit, item: Item, helpers: Sequence[Item]) -> _Fit | None:
        """How the item can stand in the group with all it reads there at hand; None if not."""
        if len(unit.items) >= MOST_ITEMS:
            return None
        if item.size == unit.size:
            fit = _full_fit(unit, item)
        elif unit.spans and item.size == unit.kept_size and not item.over:
            cuts = lifted(cuts_of(item.space), unit.spans, unit.cuts)
            fit = None if cuts is None else _Fit(True, cuts, unit.spans)
        else:
            fit = None
        if fit and all(self._is_at_hand(unit, view, fit) for view in _all_reads(item, helpers)):
            return fit
        return None

    def _is_at_hand(self, unit: Unit, view: View, fit: _Fit) -> bool:
        """Whether a read needs nothing that the group itself puts into memory."""
        definer = self.definers.get(view.buffer)
        if definer is None:
            return unit not in self.writers(view.buffer)
        if self.unit_of(definer) is not unit:
            return True
        return reads_in_place(view, unit.is_kept(definer), fit.kept, fit.cuts, fit.spans)

    def _is_free(self, unit: Unit, item: Item, helpers: Sequence[Item]) -> bool:
        """Whether nothing the item reads from elsewhere waits for the group."""
        return not any(u is not unit and u.ancestors & unit.bit
                       for view in _all_reads(item, helpers) for u in self.writers(view.buffer))

    def _new_group(self, item: Item, helpers: Sequence[Item]) -> Unit:
        spans = spans_of(item.space, item.over)
        unit = Unit(len(self.units), size=item.size, spans=spans)
        self._new(unit)
        self._join(unit, item, _Fit(False, cuts_of(item.space), spans), helpers)
        return unit

    def _join(self, unit: Unit, item: Item, fit: _Fit, helpers: Sequence[Item]) -> None:
        for each in (*helpers, item):
            unit.items.append(each)
            self._unit[each] = unit
            if fit.kept:
                unit.kept.add(each)
        for each in helpers:
            self.definers[each.buffer] = each
        self._shape(unit, fit.cuts, fit.spans)
        self._depend(unit, [u for view in _all_reads(item, helpers)
                            for u in self.writers(view.buffer)])

    def _shape(self, unit: Unit, cuts: Ints, spans: Spans) -> None:
        unit.cuts, unit.spans = cuts, spans
        kept = kept_cuts(cuts, spans)
        unit.kept_size = kept[-1] if kept else 1

    def _depend(self, unit: Unit, on: Sequence[Unit]) -> None:
        direct = reach = 0
        for other in on:
            if other is not unit:
                other.dependents |= unit.bit
                direct |= other.bit
                reach |= other.ancestors | other.bit
        unit.direct |= direct
        self._reach(unit, reach)

    def _reach(self, unit: Unit, reach: int) -> None:
        """Add ancestors to a unit and to all that depend on it.

        What has them already has passed them on.
        """
        waiting = [unit]
        while waiting:
            each = waiting.pop()
            if reach & ~each.ancestors:
                each.ancestors |= reach
                waiting += self._members(each.dependents)

    # -- merging ----------------------------------------------------------------------------------

    def _merge(self, unit: Unit, other: Unit) -> None:
        """Make two groups one where both fit one loop nest and no third unit stands between."""
        unit, other = _root(unit), _root(other)
        if unit is other or len(unit.items) + len(other.items) > MOST_ITEMS:
            return
        found = self._merged_fit(unit, other)
        if not found or self._is_between(unit, other) or self._is_between(other, unit):
            return
        other.merged_into = unit
        for item in other.items:
            self._unit[item] = unit
        unit.items = _in_order(unit, other)
        unit.kept, unit.sides, unit.side_spans = found.kept, found.sides, found.side_spans
        for item in found.sides:
            self.fence(item.buffer)
        self._shape(unit, found.cuts, found.spans)
        self._rewire(unit, other)

    def _merged_fit(self, unit: Unit, other: Unit) -> _Merger | None:
        fit = _merger(unit, other)
        if fit is None:
            return None
        both = fit.kept
        sides = {item.buffer for item in fit.sides}
        is_kept = lambda item: bool(item.over) or item in both
        for item, view in _reads_to_check(unit, other, fit):
            definer = self.definers.get(view.buffer)
            inside = definer is not None and self.unit_of(definer) in (unit, other)
            if view.buffer in sides:
                return None
            if inside and not reads_in_place(view, is_kept(definer), item in both, fit.cuts,
                                             fit.spans):
                return None
            if not inside and any(u in (unit, other) for u in self.writers(view.buffer)):
                return None
        return fit

    def _is_between(self, first: Unit, last: Unit) -> bool:
        """Whether a third unit needs `first` and is needed by `last`."""
        return any(u.ancestors & first.bit for u in self._members(last.direct & ~first.bit))

    def _rewire(self, unit: Unit, gone: Unit) -> None:
        """Everything that depended on or was needed by `gone` is so with `unit`."""
        both = unit.bit | gone.bit
        for other in self._members(gone.direct & ~both):
            other.dependents = other.dependents & ~gone.bit | unit.bit
        for other in self._members(gone.dependents & ~both):
            other.direct = other.direct & ~gone.bit | unit.bit
        unit.direct = (unit.direct | gone.direct) & ~both
        unit.dependents = (unit.dependents | gone.dependents) & ~both
        unit.ancestors = (unit.ancestors | gone.ancestors) & ~both
        del self._alive[gone]
        for other in self._members(unit.dependents):
            self._reach(other, unit.bit | unit.ancestors)


def _all_reads(item: Item, helpers: Sequence[Item]) -> list[View]:
    """What an item and its helpers read, some of it from one another."""
    return [view for each in (item, *helpers) for view in each.reads]


def _root(unit: Unit) -> Unit:
    while unit.merged_into is not None:
        unit = unit.merged_into
    return unit


def _merger(unit: Unit, other: Unit) -> _Merger | None:
    """How two groups could share a loop nest, by their spaces alone."""
    if unit.size == other.size:
        cuts = joined(unit.cuts, other.cuts)
        if cuts is None or (unit.side_spans and other.side_spans
                            and unit.side_spans != other.side_spans):
            return None
        kept, sides = unit.kept | other.kept, unit.sides | other.sides
        side_spans = unit.side_spans or other.side_spans
        if not unit.spans or not other.spans or unit.spans == other.spans:
            return _Merger(cuts, unit.spans or other.spans, kept, sides, side_spans)
        rows, columns = (unit, other) if unit.spans[0][0] == 1 else (other, unit)
        if not _goes_along(rows, columns):
            return None
        sums = {item for item in columns.items if item.over}
        return _Merger(cuts, rows.spans, kept, sides | sums, columns.spans)
    if unit.spans and not other.spans and other.size == unit.kept_size:
        lift = lifted(other.cuts, unit.spans, unit.cuts)
        if lift is not None:
            return _Merger(lift, unit.spans, unit.kept | set(other.items), unit.sides,
                           unit.side_spans)
    return None


def _reads_to_check(unit: Unit, other: Unit, fit: _Merger) -> Iterator[tuple[Item, View]]:
    """The reads that merging might spoil.

    What a group reads of its own stays right if its loops stay the same.
    """
    for group, rest in ((unit, other), (other, unit)):
        if (group.cuts, group.spans) != (fit.cuts, fit.spans):
            yield from ((item, view) for item in group.items for view in item.reads)
        elif group.ancestors & rest.bit:
            made = {item.buffer for item in rest.items}
            yield from ((item, view) for item in group.items for view in item.reads
                        if view.buffer in made)


def _goes_along(rows: Unit, columns: Unit) -> bool:
    """Whether sums of columns can be made in the sweep that folds rows.

    Each chunk of it adds up a run of rows in local arrays, so there must be enough such runs.
    """
    if len(rows.spans) != 1 or len(columns.spans) != 1 or columns.kept or columns.sides \
            or rows.side_spans not in ((), columns.spans):
        return False
    ((first, row),), ((low, high),) = rows.spans, columns.spans
    if first != 1 or low != row or not LEAST_ROW <= row <= MOST_ROW:
        return False
    sums = [item for item in (*rows.sides, *columns.items) if item.over]
    return len(sums) <= MOST_SIDES and rows.size // high >= FEWEST_RUNS \
        and not any(item.op.startswith("arg") for item in sums)


def _full_fit(unit: Unit, item: Item) -> _Fit | None:
    cuts = joined(unit.cuts, cuts_of(item.space))
    if cuts is None:
        return None
    spans = spans_of(item.space, item.over)
    if spans and unit.spans and spans != unit.spans:
        return None
    return _Fit(False, cuts, unit.spans or spans)


def reads_in_place(view: View, from_kept: bool, to_kept: bool, cuts: Ints, spans: Spans) -> bool:
    """Whether an item of a group reads just the value that another has at the same point."""
    if to_kept or not from_kept:
        return to_kept == from_kept and is_identity(view)
    return view.offset == 0 and refined(view.shape, view.strides, sizes_of(cuts)) \
        == kept_strides(cuts, spans)


def kept_strides(cuts: Ints, spans: Spans) -> Ints:
    """How a dense array over the kept axes is read at a point of the whole space."""
    sizes, out = sizes_of(cuts), marks(cuts, spans)
    inner = iter(row_major([n for n, gone in zip(sizes, out) if not gone]))
    return tuple(0 if gone else next(inner) for gone in out)


def _in_order(unit: Unit, other: Unit) -> list[Item]:
    """The items of two groups, each after those it reads."""
    if not unit.ancestors & other.bit:
        return [*unit.items, *other.items]
    if not other.ancestors & unit.bit:
        made = {item.buffer for item in other.items}
        first = next((i for i, item in enumerate(unit.items)
                      if any(view.buffer in made for view in item.reads)), len(unit.items))
        return [*unit.items[:first], *other.items, *unit.items[first:]]
    return _sorted([*unit.items, *other.items])


def _sorted(items: list[Item]) -> list[Item]:
    """The items, each after those it reads."""
    pending: dict[Buffer, Item] = {item.buffer: item for item in items}
    order: dict[Item, None] = {}

    def visit(start: Item) -> None:
        stack: list[Any] = [start]
        while stack:
            item = stack[-1]
            waiting = [pending[v.buffer] for v in item.reads
                       if v.buffer in pending and pending[v.buffer] not in order
                       and pending[v.buffer] is not item]
            if waiting and item not in order:
                stack += waiting
                continue
            order[stack.pop()] = None

    for item in items:
        visit(item)
    return list(order)
