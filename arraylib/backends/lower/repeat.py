"""Copies of cheap items for a group that would else read their results from memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from arraylib.backends.lower.items import Item, literal
from arraylib.backends.lower.plan import Buffer, View, whole
from arraylib.backends.lower.views import Ints, is_identity, reshaped
from arraylib.hlo.ir import Type

if TYPE_CHECKING:
    from arraylib.backends.lower.fuse import Unit

MOST_ITEMS = 8
MOST_READS = 2  # of whole arrays: with more, one read of the result is less


def repeated(item: Item, shape: Ints, unit: Unit,
             definers: Mapping[Buffer, Item]) -> list[Item] | None:
    """The item and all it needs of its group, over another shape of the same size.

    The last of them is the item's copy. None where something is expensive, folds an axis or reads
    too much.
    """
    copier = _Copier(item.size, shape, unit, definers)
    if copier.copy(item) is None or len(copier.whole_reads) > MOST_READS:
        return None
    return list(copier.copies.values())


class _Copier:
    """Copies being made of items of one group."""

    def __init__(self, size: int, shape: Ints, unit: Unit,
                 definers: Mapping[Buffer, Item]) -> None:
        self.size, self.shape, self.unit, self.definers = size, shape, unit, definers
        self.copies: dict[Item, Item] = {}  # each after those it reads
        self.whole_reads: set[Buffer] = set()
        self.room = MOST_ITEMS

    def copy(self, item: Item) -> Item | None:
        """The copy of an item that is cheap, as all it reads must be."""
        if item in self.copies:
            return self.copies[item]
        if item.over or item.expensive or item.op == "take" or item in self.unit.kept \
                or self.room == 0 or not is_identity(item.target):
            return None
        self.room -= 1
        reads = [self._read(view) for view in item.reads]
        if any(view is None for view in reads):
            return None
        target = whole(Buffer(Type(item.dtype, self.shape)))
        self.copies[item] = replace(item, reads=tuple(v for v in reads if v is not None),
                                    space=self.shape, target=target)
        return self.copies[item]

    def _read(self, view: View) -> View | None:
        """What the copy reads instead: a copy's result, or the same memory in another shape."""
        definer = self.definers.get(view.buffer)
        if definer and definer in self.unit.items and not self.unit.is_kept(definer):
            made = self.copy(definer) if is_identity(view) else None
            return made.target if made else None
        if literal(view) is None and view.buffer.type.size * 2 > self.size:
            self.whole_reads.add(view.buffer)
        return reshaped(view, self.shape)
