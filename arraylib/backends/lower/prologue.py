"""Operands of matrix products that are computed while they are packed.

A product of large matrices copies its operands into panels, a part at a time. An operand that is
computed element by element can be computed right then, and need not be stored, if only products
read it. Whether that pays is counted in bytes that go through memory for each element, operations
counted as the bytes that could be moved meanwhile:

    kept apart:  what is read to compute it, the operations, its size to write it, and its size for
                 each time it is packed
    with it:     for each time it is packed what is read, the operations, and some for the strip

Where its kernel runs in any case, for other results, reading and operations are free there. Where
it computes on the result of a product, which is still in the cache then (`epilogue.py`), so are
reading and writing, and nothing can be saved.

A prologue's kernel computes a box of the operand, line by line: `plan.Prologue`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from arraylib.backends.lower.apart import Apart
from arraylib.backends.lower.fuse import Unit
from arraylib.backends.lower.items import Item
from arraylib.backends.lower.order import reads
from arraylib.backends.lower.passes import needed_items
from arraylib.backends.lower.plan import Buffer, GemmStep, Prologue, View
from arraylib.backends.lower.prologue_kernel import Chain, prologue
from arraylib.backends.lower.state import Lowering
from arraylib.backends.lower.views import is_identity
from arraylib.record import field, record

LEAST_BYTES = 1 << 18  # a smaller operand is in a cache anyway
MOST_ITEMS = 48
CHEAP, EXPENSIVE = 0.5, 10.0  # bytes that are moved while an element is computed
STRIP = 0.5  # of an element's size: what it costs to pack it from a strip in the cache


@record
class _Operand:
    """An operand of a product: the product's unit, and 0 for the first or 1 for the second."""

    unit: Unit
    side: int

    @property
    def step(self) -> GemmStep:
        assert isinstance(self.unit.step, GemmStep)
        return self.unit.step

    @property
    def view(self) -> View:
        return self.step.b if self.side else self.step.a

    def compute(self, made: Prologue) -> None:
        """Let the product compute it."""
        first, second = self.step.prologues
        pair = (first, made) if self.side else (made, second)
        self.unit.step = replace(self.step, prologues=pair)


@record(frozen=False, eq=False)
class _Readers:
    """Who reads a buffer from memory: operands of products, and others."""

    operands: list[_Operand] = field(default_factory=list)
    others: int = 0

    @property
    def count(self) -> int:
        return len(self.operands) + self.others


def find_prologues(state: Lowering, units: Sequence[Unit], outputs: Iterable[Buffer]) -> None:
    """Let products compute operands where that pays; `state.apart` says why not the others."""
    if state.supports.packs is None:
        return
    search = _Search(state, units, set(outputs))
    for unit in units:
        for item in unit.items:
            search.decide(unit, item)


class _Search:
    """What is in memory and who reads it, as far as that is decided."""

    def __init__(self, state: Lowering, units: Sequence[Unit], outputs: set[Buffer]) -> None:
        self.state, self.outputs = state, outputs
        self.stored = set(outputs)
        self.readers: dict[Buffer, _Readers] = {}
        self._products: set[Buffer] = set()
        for unit in reversed(units):
            self._note(unit)

    def _note(self, unit: Unit) -> None:
        """What a unit reads, if anything needs it."""
        if isinstance(unit.step, GemmStep):
            self._products.add(unit.step.c.buffer)
            for side, view in enumerate((unit.step.a, unit.step.b)):
                self._read(view.buffer).operands.append(_Operand(unit, side))
        elif unit.step:
            for view in reads(unit.step):
                self._read(view.buffer).others += 1
        else:
            inside = {item.buffer: item for item in unit.items}
            items = needed_items(unit.items, self.stored & inside.keys(), inside)
            for buffer in {view.buffer for item in items for view in item.reads} - inside.keys():
                self._read(buffer).others += 1

    def _read(self, buffer: Buffer) -> _Readers:
        self.stored.add(buffer)
        return self.readers.setdefault(buffer, _Readers())

    def decide(self, unit: Unit, item: Item) -> None:
        """Let all products that read an item's value compute it, or say why they do not."""
        found = self.readers.get(item.buffer)
        if found is None or not found.operands or item.buffer not in self.stored:
            return
        made = self._prologues(unit, item, found)
        if isinstance(made, Apart):
            self.state.apart.update({(unit, each.unit): made for each in found.operands})
            return
        self.stored.discard(item.buffer)
        for operand, each in zip(found.operands, made, strict=True):
            operand.compute(each)
            for view in each.reads:
                self._read(view.buffer).others += 1

    def _prologues(self, unit: Unit, item: Item, found: _Readers) -> list[Prologue] | Apart:
        """For each product that reads the value, how to compute it there."""
        packs = [self._packs(operand) for operand in found.operands]
        refused = self._forbidden(item, found, packs)
        if refused:
            return refused
        chain = self._chain(unit, item)
        if isinstance(chain, Apart):
            return chain
        dearer = self._costs_more(unit, item, chain, sum(packs))
        if dearer:
            return dearer
        made = [prologue(chain, operand.view, self.state.counting) for operand in found.operands]
        kernels = [each for each in made if each is not None]
        if len(kernels) < len(made):
            return Apart("order", "what it is computed of lies in another order than the operand, "
                         "so that no loop along its lines could read it")
        return kernels

    def _packs(self, operand: _Operand) -> int:
        """How often a product packs an operand; 0 if it reads it where it lies."""
        assert self.state.supports.packs is not None
        return self.state.supports.packs(operand.step)[operand.side]

    def _forbidden(self, item: Item, found: _Readers, packs: Sequence[int]) -> Apart | None:
        """The rules that need no look at how the value is computed."""
        if self.state.fuser.definers.get(item.buffer) is not item:
            return Apart("memory", "the operand is put together in memory before, by several "
                         "writes or behind a barrier")
        if item.buffer.type.nbytes < LEAST_BYTES:
            return Apart("small", f"the operand has {item.buffer.type.nbytes:,} bytes, and is in a "
                         f"cache when it is packed: from {LEAST_BYTES:,} on a product may compute "
                         "an operand while it packs it")
        if 0 in packs:
            return Apart("unpacked", "the product reads this operand where it lies: few rows or "
                         "columns use it, and nothing is packed that could be computed meanwhile")
        if item.buffer in self.outputs:
            return Apart("result", "it is a result, and in memory anyway")
        if any(operand.view.dtype != item.dtype for operand in found.operands):
            return Apart("order", "the product reads parts of its elements")
        if found.others:
            return Apart("readers", "other steps than products read it too: it is in memory anyway")
        return None

    def _chain(self, unit: Unit, item: Item) -> Chain | Apart:
        """The items that compute a value, from what is in memory, at each point by itself."""
        inside = {each.buffer: each for each in unit.items}
        wanted = {item}
        for each in reversed(unit.items):
            if each not in wanted:
                continue
            if unit.is_kept(each):
                return Apart("sums", "it is what a sum leaves, which has to be complete before")
            if each.op == "take":
                return Apart("gather", "it is read by index, from anywhere")
            wanted.update(inside[view.buffer] for view in each.reads if view.buffer in inside
                          and view.buffer not in self.stored
                          and not unit.is_kept(inside[view.buffer]))
        if len(wanted) > MOST_ITEMS:
            return Apart("too many", f"it takes {len(wanted)} operations: a product computes an "
                         f"operand by at most {MOST_ITEMS}")
        return Chain([each for each in unit.items if each in wanted], unit.cuts)

    def _costs_more(self, unit: Unit, item: Item, chain: Chain, packs: int) -> Apart | None:
        """A rule if computing the value in products costs more than storing it."""
        size = item.dtype.itemsize
        read = self._bytes_read(chain, item.size)
        work = sum(EXPENSIVE if each.expensive else CHEAP for each in chain.items)
        runs_anyway = any(each.buffer in self.stored for each in unit.items if each is not item)
        product = self._product_read(chain, item)
        apart, inside = packs * size, packs * (read + work + STRIP * size)
        if product:
            dies = not runs_anyway and self.readers[product].count == 1
            apart += work * (not runs_anyway) + size * (not dies)
        else:
            apart += size + (read + work) * (not runs_anyway)
        if inside < apart:
            return None
        if product:
            return Apart("epilogue", "it is computed of a product's result while that is in a "
                         "cache, which costs less than to compute it where it is packed")
        return Apart("often", f"products would compute it {packs} times, which for each element "
                     f"costs as much as moving {inside:.0f} bytes: to store it costs {apart:.0f}")

    def _bytes_read(self, chain: Chain, points: int) -> float:
        """Bytes that are read for each element."""
        found: dict[Buffer, float] = {}
        for view in chain.reads().values():
            if view.buffer not in self.state.counting:
                touched = math.prod(n for n, s in zip(view.shape, view.strides) if s)
                found[view.buffer] = max(found.get(view.buffer, 0),
                                         touched * view.dtype.itemsize / points)
        return sum(found.values())

    def _product_read(self, chain: Chain, item: Item) -> Buffer | None:
        """A product's result that is read element by element, if there is one."""
        return next((view.buffer for view in chain.reads().values()
                     if view.buffer in self._products and is_identity(view)
                     and view.buffer.type.size == item.size), None)
