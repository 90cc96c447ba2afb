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
    copies: dict[Item, Item] = {}
    whole_reads: set[Buffer] = set()

    def copy(item: Item) -> Item | None:
        if item in copies:
            return copies[item]
        if item.over or item.expensive or item.op == "take" or len(copies) >= MOST_ITEMS \
                or item in unit.kept or not is_identity(item.target):
            return None
        reads = [read(view) for view in item.reads]
        if any(view is None for view in reads):
            return None
        target = whole(Buffer(Type(item.dtype, shape)))
        copies[item] = replace(item, reads=tuple(v for v in reads if v is not None), space=shape,
                               target=target)
        return copies[item]

    def read(view: View) -> View | None:
        definer = definers.get(view.buffer)
        inside = definer is not None and definer in unit.items and not unit.is_kept(definer)
        if inside and definer is not None:
            made = copy(definer) if is_identity(view) else None
            return made.target if made else None
        if literal(view) is None and view.buffer.type.size * 2 > item.size:
            whole_reads.add(view.buffer)
        return reshaped(view, shape)

    made = copy(item)
    return list(copies.values()) if made and len(whole_reads) <= MOST_READS else None
