"""The axes of a group's loop nest, and how everything it touches moves along them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from arraylib.backends.lower.fuse import Unit
from arraylib.backends.lower.items import Item, literal
from arraylib.backends.lower.plan import Buffer, View
from arraylib.backends.lower.space import marks, refined, sizes_of
from arraylib.backends.lower.views import Ints
from arraylib.record import record


@record(eq=False)
class Access:
    """A read or write of memory by an item: strides over the axes of the nest."""

    view: View
    strides: Ints
    kept: bool  # at kept points only, not at every point
    writes: bool = False


@record(eq=False)
class Axes:
    """The loops of a nest, outermost first; `over[i]` where axis i is one that reductions fold.

    `sides[i]` where sums that stand beside them fold axis i.
    """

    sizes: Ints
    over: tuple[bool, ...]
    sides: tuple[bool, ...]
    reads: dict[tuple[Item, int], Access]
    writes: dict[Item, Access]

    @property
    def points(self) -> int:
        return math.prod(self.sizes)

    @property
    def folded(self) -> int:
        """How many points a reduction folds into one."""
        return math.prod(n for n, out in zip(self.sizes, self.over) if out)


def axes_of(unit: Unit, items: Sequence[Item], outputs: set[Buffer],
            inside: set[Buffer]) -> Axes:
    """As few axes as every access allows; values of `inside` are not read from memory."""
    sizes, over = sizes_of(unit.cuts), marks(unit.cuts, unit.spans)
    sides = marks(unit.cuts, unit.side_spans)

    def strides(view: View, gone: Sequence[bool]) -> Ints:
        left = tuple(n for n, out in zip(sizes, gone) if not out)
        inner = iter(refined(view.shape, view.strides, left))
        return tuple(0 if out else next(inner) for out in gone)

    full = (False,) * len(sizes)

    reads, writes = {}, {}
    for item in items:
        for k, view in enumerate(item.reads):
            if view.buffer not in inside and literal(view) is None:
                kept = item in unit.kept
                reads[item, k] = Access(view, strides(view, over if kept else full), kept)
        if item.buffer in outputs:
            kept = unit.is_kept(item)
            gone = sides if item in unit.sides else over if kept else full
            writes[item] = Access(item.target, strides(item.target, gone), kept, True)
    return _coalesced(Axes(sizes, over, sides, reads, writes))


def _coalesced(axes: Axes) -> Axes:
    """Neighbouring axes made one where all accesses go on from one to the other."""
    sizes, over, sides, reads, writes = (
        axes.sizes, axes.over, axes.sides, axes.reads, axes.writes)
    steps = {a.strides for a in (*reads.values(), *writes.values())}
    ends: list[int] = []
    merged: list[int] = []
    for i, n in enumerate(sizes):
        if ends and (over[i], sides[i]) == (over[ends[-1]], sides[ends[-1]]) and all(
                s[ends[-1]] == s[i] * n for s in steps):
            ends[-1] = i
            merged[-1] *= n
        else:
            ends.append(i)
            merged.append(n)

    def short(a: Access) -> Access:
        return Access(a.view, tuple(a.strides[i] for i in ends), a.kept, a.writes)

    return Axes(tuple(merged), tuple(over[i] for i in ends), tuple(sides[i] for i in ends),
                {key: short(a) for key, a in reads.items()},
                {item: short(a) for item, a in writes.items()})
