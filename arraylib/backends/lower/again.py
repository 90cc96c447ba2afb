"""Groups that are equal but for their buffers get one kernel: it is written for the first of them.

Layers of a network, and the updates of arrays of one shape, give the same group again and again.
What a kernel depends on is the group's *form*: its items, with each buffer as the number of its
first use and what is known of it. A group of a form met before takes over the first one's step, its
own buffers in the places of the other's.

Where several groups differ in some numbers only, as the turns of an unrolled loop do, these come
from a table in memory, so that one kernel serves all.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.backends.lower.fuse import Unit
from arraylib.backends.lower.items import literal
from arraylib.backends.lower.loops import loop_step
from arraylib.backends.lower.passes import needed_items
from arraylib.backends.lower.plan import Buffer, LoopStep, View
from arraylib.hlo.ir import Type
from arraylib.record import record

TABLES = 3  # groups that differ in numbers only: from so many on these are read from tables


@record(eq=False)
class _Form:
    """What a group's kernel depends on beside the numbers in it, and its buffers in order."""

    kind: Hashable
    buffers: list[Buffer]
    numbers: dict[Buffer, bytes]  # floating-point numbers that are written into the code


@record(eq=False)
class _Known:
    """The step of the first group of a form: its buffers' numbers, and whose lines it has."""

    step: LoopStep
    numbers: dict[Buffer, int]
    items: list[int]  # of the group, those that the step computes


class Kernels:
    """The groups of one lowering, and the steps of those that were first of their form."""

    def __init__(self, units: Sequence[Unit], counting: Mapping[Buffer, Any],
                 known: dict[Hashable, _Known] | None = None) -> None:
        """`known` is shared with other lowerings."""
        self._counting = counting
        self._known = {} if known is None else known
        self._forms = {unit: _form(unit, counting) for unit in units if not unit.step}
        variants: dict[Hashable, set[Hashable]] = {}
        for form in self._forms.values():
            variants.setdefault(form.kind, set()).add(tuple(form.numbers.values()))
        self._tabled = {kind for kind, numbers in variants.items() if len(numbers) >= TABLES}

    def step(self, unit: Unit, outputs: set[Buffer], any_length: bool) -> LoopStep:
        """As `loop_step`."""
        form = self._forms[unit]
        stored = tuple([item.buffer in outputs for item in unit.items])
        tables: list[Buffer] = []
        if form.kind in self._tabled:
            key: Hashable = (form.kind, stored, any_length)
            places = _tabulated(form)
            tables = list(dict.fromkeys(table for table, _ in places.values()))
            if key not in self._known:
                _read_tables(unit, places)
        else:
            key = form.kind, stored, any_length, tuple(form.numbers.values())
        buffers = form.buffers + tables
        known = self._known.get(key)
        if known is None:
            step = loop_step(unit, outputs, self._counting, any_length)
            self._known[key] = _Known(step, {b: i for i, b in enumerate(buffers)},
                                      _computed(unit, outputs))
            return step
        return _with_own(known, unit, buffers)


def _with_own(known: _Known, unit: Unit, buffers: Sequence[Buffer]) -> LoopStep:
    """The step of a group of the same form with these buffers."""
    def own(view: View) -> View:
        return View(buffers[known.numbers[view.buffer]], view.dtype, view.shape, view.strides,
                    view.offset)

    step = known.step
    where = dict.fromkeys([unit.items[i].where for i in known.items])
    return replace(step, reads=tuple(map(own, step.reads)), writes=tuple(map(own, step.writes)),
                   where=tuple(where))


def _computed(unit: Unit, outputs: set[Buffer]) -> list[int]:
    """The items of a group that the outputs need, by number."""
    needed = set(needed_items(unit.items, outputs, {item.buffer: item for item in unit.items}))
    return [i for i, item in enumerate(unit.items) if item in needed]


def _form(unit: Unit, counting: Mapping[Buffer, Any]) -> _Form:
    """The form of a group, found in one walk over its views."""
    places: dict[Buffer, int] = {}
    numbers: dict[Buffer, bytes] = {}
    kind: list[Hashable] = [unit.cuts, unit.spans, unit.side_spans]
    for item in unit.items:
        kind += (item.op, item.space, item.over, item.expensive, item in unit.kept,
                 item in unit.sides, tuple(item.attrs.items()) if item.attrs else None)
        for view in (*item.reads, item.target):
            buffer = view.buffer
            place = places.get(buffer)
            if place is None:
                place = places[buffer] = len(places)
                kind += (buffer.type, buffer in counting)
                number = literal(view)
                if number is None:
                    kind.append(None)
                elif dt.is_float(view.dtype) and view.dtype == buffer.type.dtype:
                    numbers[buffer] = number.tobytes()
                    kind.append("number")
                else:
                    kind.append(number.tobytes())
            kind += (place, view.dtype, view.shape, view.strides, view.offset)
    return _Form(tuple(kind), list(places), numbers)


def _tabulated(form: _Form) -> dict[Buffer, tuple[Buffer, int]]:
    """A place in a table, one for each dtype, for each number of a group."""
    by_dtype: dict[Any, list[Buffer]] = {}
    for buffer in form.numbers:
        by_dtype.setdefault(buffer.type.dtype, []).append(buffer)
    places = {}
    for dtype, buffers in by_dtype.items():
        values = [np.asarray(buffer.constant).reshape(()) for buffer in buffers]
        # One more, since a table of one number would be a number.
        content = np.stack([*values, values[-1]])
        table = Buffer(Type(dtype, content.shape), content)
        places.update({buffer: (table, i) for i, buffer in enumerate(buffers)})
    return places


def _read_tables(unit: Unit, places: Mapping[Buffer, tuple[Buffer, int]]) -> None:
    """Let the items of a group read their numbers from tables."""
    def tabled(view: View) -> View:
        found = places.get(view.buffer)
        if found is None:
            return view
        return View(found[0], view.dtype, view.shape, (0,) * len(view.shape), found[1])

    for item in unit.items:
        item.reads = tuple(map(tabled, item.reads))
