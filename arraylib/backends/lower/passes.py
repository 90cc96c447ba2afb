"""Which items are computed in which pass over a row.

What reductions fold must be known before a value that depends on their result: the group goes over
its folded axes once for each step of such a chain. `stage` 0 can be computed at once, stage i after
i passes. A full value that a later pass needs again is computed again if that is cheap, else kept
in a local array.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from arraylib.backends.lower.fuse import Unit
from arraylib.backends.lower.items import Item
from arraylib.backends.lower.plan import Buffer
from arraylib.record import field, record


@record(frozen=False, eq=False)
class Pass:
    """What one pass over the folded axes computes, in order."""

    items: list[Item] = field(default_factory=list)
    reductions: list[Item] = field(default_factory=list)
    sides: list[Item] = field(default_factory=list)  # sums of columns
    saves: set[Item] = field(default_factory=set)  # full values put into local arrays
    loads: dict[Item, None] = field(default_factory=dict)  # full values taken from there
    after: list[Item] = field(default_factory=list)  # kept items, computed once it is over


def needed_items(items: Sequence[Item], outputs: set[Buffer],
                 inside: Mapping[Buffer, Item]) -> list[Item]:
    """The items that some output depends on, in order."""
    wanted: set[Item] = set()
    for item in reversed(items):
        if item.buffer in outputs or item in wanted:
            wanted.add(item)
            wanted.update(inside[v.buffer] for v in item.reads if v.buffer in inside)
    return [item for item in items if item in wanted]


def stages(items: Sequence[Item], inside: Mapping[Buffer, Item]) -> dict[Item, int]:
    """For each item, how many passes must be over before its value is known."""
    found: dict[Item, int] = {}
    for item in items:
        first = max([found[inside[v.buffer]] for v in item.reads if v.buffer in inside], default=0)
        found[item] = first + bool(item.over)
    return found


def count_passes(unit: Unit, items: Sequence[Item], inside: Mapping[Buffer, Item]) -> int:
    """How often the items go over the folded axes."""
    stage = stages(items, inside)
    return max([stage[i] + (not unit.is_kept(i)) for i in items], default=0)


def plan_passes(unit: Unit, items: Sequence[Item], outputs: set[Buffer],
                inside: Mapping[Buffer, Item], room: int) -> tuple[list[Item], list[Pass]]:
    """The kept items that need no pass, and the passes.

    `room` is how many bytes may be saved for each folded point.
    """
    stage = stages(items, inside)
    passes = [Pass() for _ in range(count_passes(unit, items, inside))]
    before = [i for i in items if i in unit.kept and stage[i] == 0]
    for item in items:
        if item.over:
            each = passes[stage[item] - 1]
            (each.sides if item in unit.sides else each.reductions).append(item)
        elif item in unit.kept and stage[item]:
            passes[stage[item] - 1].after.append(item)
    planner = _Planner(unit, items, inside, room)
    for number, each in enumerate(passes):
        roots = [*each.reductions, *each.sides,
                 *(i for i in items if not unit.is_kept(i) and i.buffer in outputs
                   and stage[i] == number)]
        planner.fill(each, roots)
    return before, passes


class _Planner:
    """Where each full value is computed first, and whether that is worth saving."""

    def __init__(self, unit: Unit, items: Sequence[Item], inside: Mapping[Buffer, Item],
                 room: int) -> None:
        self.unit, self.items, self.inside, self.room = unit, items, inside, room
        self.home: dict[Item, Pass] = {}
        self.saved: set[Item] = set()

    def full_operands(self, item: Item) -> list[Item]:
        """The full values an item reads; none if it stands at kept points."""
        if item in self.unit.kept:
            return []
        found = [self.inside[v.buffer] for v in item.reads if v.buffer in self.inside]
        return [p for p in found if not self.unit.is_kept(p)]

    def fill(self, each: Pass, roots: Sequence[Item]) -> None:
        """All full items that the roots need in this pass."""
        heavy = self._heavy()
        wanted: set[Item] = set()
        stack = list(roots)
        while stack:
            item = stack.pop()
            if item in wanted or item in each.loads:
                continue
            home = self.home.get(item)
            if home is not None and item in heavy and self._save(item, home):
                each.loads[item] = None
                continue
            wanted.add(item)
            stack += self.full_operands(item)
        each.items = [i for i in self.items if i in wanted and not i.over]
        for item in each.items:
            self.home.setdefault(item, each)

    def _save(self, item: Item, home: Pass) -> bool:
        """Keep the item's row from its first pass on, if there is room."""
        if item not in self.saved:
            if item.dtype.itemsize > self.room:
                return False
            self.room -= item.dtype.itemsize
            self.saved.add(item)
            home.saves.add(item)
        return True

    def _heavy(self) -> set[Item]:
        """What costs much to compute again from what is saved by now."""
        found: set[Item] = set()
        for item in self.items:
            if item in self.saved or item.expensive or any(
                    p in found and p not in self.saved for p in self.full_operands(item)):
                found.add(item)
        return found
