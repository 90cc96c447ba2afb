"""The state of one lowering: where each value is, and how rules get hold of memory.

A value is a View of a buffer. Three kinds of buffer have no memory until somebody insists:
- *counting*: element i is i; `iota` is a view of one, and kernels count instead of reading;
- *lazy*: computed of such buffers and numbers alone (a mask, say): each kernel computes it again;
- those that an item of a group defines for its own group only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.backends.lower.apart import Apart
from arraylib.backends.lower.fuse import Fuser, Unit
from arraylib.backends.lower.items import Item, Supports, literal
from arraylib.backends.lower.plan import Buffer, LoopStep, Step, View, row_major, whole
from arraylib.backends.lower.views import Ints, composed, is_identity, reshaped
from arraylib.errors import UNKNOWN, Source
from arraylib.hlo.ir import Type, Value
from arraylib.tile.build import Builder

FREE_DEPTH = 8  # a longer chain of lazy items is computed once instead


class Lowering:
    """What the rules read and extend."""

    def __init__(self, supports: Supports) -> None:
        self.supports = supports
        self.fuser = Fuser()
        self.views: dict[Value, View] = {}
        self.where: Source = UNKNOWN
        self.effect = False  # of the node being lowered
        self.counting: dict[Buffer, int] = {}
        # Why a product reads a group's result from memory.
        self.apart: dict[tuple[Unit, Unit], Apart] = {}
        self._lazy: dict[Buffer, tuple[Item, int]] = {}
        self._counted: dict[Buffer, View] = {}
        self._order = whole(Buffer(Type(dt.bool_, ())))

    # -- making values ----------------------------------------------------------------------------

    def item(self, op: str, reads: Sequence[View], dtype: Any, *, over: Ints = (),
             attrs: dict[str, Any] | None = None, expensive: bool = False) -> View:
        """The result of one operation on views of one shape, as a new buffer."""
        space = reads[0].shape
        shape = tuple(n for d, n in enumerate(space) if d not in over)
        target = whole(Buffer(Type(dtype, shape)))
        self.into(target, op, reads, over=over, attrs=attrs, expensive=expensive)
        return target

    def into(self, target: View, op: str, reads: Sequence[View], *, over: Ints = (),
             attrs: dict[str, Any] | None = None, expensive: bool = False) -> None:
        """As `item`, with the result in a given place."""
        space = reads[0].shape
        if 0 in space:
            self.write_nothing(target)
            return
        item = Item(op, tuple(reads), space, target, attrs or {}, over, expensive, self.where)
        depth = self._free_depth(item)
        if depth <= FREE_DEPTH and is_identity(target):
            self._lazy[item.buffer] = item, depth
        else:
            self._place(item)

    def number(self, value: Any, dtype: Any, shape: Ints = ()) -> View:
        """A number, repeated."""
        buffer = Buffer(Type(dtype, ()), np.asarray(value).astype(dtype))
        return View(buffer, buffer.type.dtype, shape, (0,) * len(shape))

    def counter(self, size: int, dtype: Any) -> View:
        """0, 1, 2, ..."""
        buffer = Buffer(Type(dtype, (size,)))
        self.counting[buffer] = size
        return whole(buffer)

    def copy(self, view: View) -> View:
        """The same elements in a buffer of their own."""
        return self.item("copy", [view], view.dtype)

    def reshape(self, view: View, shape: Ints) -> View:
        """The elements in another shape; copied if no strides give that."""
        found = reshaped(view, shape)
        if found is None:
            found = reshaped(self.copy(view), shape)
            assert found is not None, "a dense array has every shape of its size"
        return found

    # -- memory -----------------------------------------------------------------------------------

    def in_memory(self, view: View) -> View:
        """The view with its buffer being one that has memory."""
        if view.buffer in self._lazy:
            self._place(self._lazy.pop(view.buffer)[0])
        if view.buffer in self.counting:
            return replace(view, buffer=self._count_out(view.buffer))
        return view

    def dense(self, view: View) -> View:
        """The elements in memory, in row-major order, from the start of a buffer."""
        view = self.in_memory(view)
        if not is_identity(view) or view.buffer.type.size != view.size:
            view = self.in_memory(self.copy(view))
        return replace(view, strides=row_major(view.shape))

    def step(self, step: Step, reads: Sequence[View], writes: Sequence[View]) -> None:
        """Add a step that is no group; its reads have to be in memory.

        Steps with an effect seem to write one buffer, so that none overtakes another.
        """
        self.fuser.add_step(step, reads, (*writes, self._order) if self.effect else writes)

    def write_nothing(self, target: View) -> None:
        """A step without chunks: an array without elements is written by a step like any other."""
        if not self.fuser.writers(target.buffer):
            self.step(LoopStep(Builder().kernel(), (), (target,), 0), (), (target,))

    def _count_out(self, buffer: Buffer) -> Buffer:
        """A counting buffer written to memory."""
        if buffer not in self._counted:
            self._counted[buffer] = out = whole(Buffer(buffer.type))
            self._place(Item("copy", (whole(buffer),), buffer.type.shape, out, where=self.where))
        return self._counted[buffer].buffer

    # -- laziness ---------------------------------------------------------------------------------

    def _free_depth(self, item: Item) -> int:
        """How many lazy items follow one another up to this; many if it is not free itself."""
        if item.over or item.expensive or item.op in ("copy", "take"):
            return FREE_DEPTH + 1
        depth = 0
        for view in item.reads:
            if view.buffer in self._lazy:
                depth = max(depth, self._lazy[view.buffer][1])
            elif view.buffer not in self.counting and literal(view) is None:
                return FREE_DEPTH + 1
        return depth + 1

    def _place(self, item: Item) -> None:
        helpers: list[Item] = []
        item.reads = tuple([self._inlined(view, helpers) for view in item.reads])
        self.fuser.add(item, helpers)

    def _inlined(self, view: View, helpers: list[Item]) -> View:
        """A read of a lazy buffer as that of a copy of its item, made for this place."""
        found = self._lazy.get(view.buffer)
        if found is None:
            return view
        item, _ = found
        reads = [composed(read, view, item.space) for read in item.reads]
        if any(read is None for read in reads):
            return self.in_memory(view)
        target = whole(Buffer(Type(item.dtype, view.shape)))
        inner = tuple([self._inlined(read, helpers) for read in reads if read is not None])
        helpers.append(Item(item.op, inner, view.shape, target, item.attrs, where=item.where))
        return target
