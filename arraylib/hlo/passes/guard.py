"""Checks as a state that goes through the program, instead of calls out of it.

    check (x > 0)          ->   failed at 0 = min(where(x > 0, 2, [0, 1]))
    y = log x                   state' = where(no failure so far and failed at < 2, ..., state)
                                y = log x;  return y, state'

The state says which check failed first, at which element, in which steps of the loops around it,
and with what values. Loops carry it, branches hand it on, and calls are written out; the program
stays one program, of plain operations only. Checks inside of other regions stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import Source
from arraylib.hlo.ir import (
    Builder,
    Graph,
    Node,
    Type,
    current,
    rebuild,
    regions,
    run,
    type_of,
)
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.check import Failure, Lane, Report, check, failure_at
from arraylib.hlo.ops.constant import full_like, iota, zeros
from arraylib.hlo.ops.control import thread_expanded
from arraylib.hlo.ops.dynamic import dynamic_slice
from arraylib.hlo.ops.reduction import reduce_minimum
from arraylib.hlo.ops.structured import broadcast_in_dim, reshape
from arraylib.record import record

_INDEX = Type(dt.int64, ())
Types = tuple[Type, ...]


@record(eq=False)
class Site:
    """One check of the program."""

    report: Report
    shape: tuple[int, ...]  # of the predicate
    lanes: tuple[Lane, ...]  # which of its axes, in front, are examples of a vmap
    loops: tuple[tuple[str, Source], ...]  # around it, the outermost first
    slot: int  # where in the state its values are
    types: Types


@record
class _Layout:
    """What the state of one channel is made of: code, position, a number for each loop, values."""

    depth: int  # of the loops
    kinds: tuple[Types, ...]  # the types of the values of checks; one group each

    @property
    def types(self) -> list[Type]:
        return [_INDEX] * (2 + self.depth) + [t for kind in self.kinds for t in kind]

    def slot(self, types: Types) -> int:
        """The place in the state of the first of these values."""
        place = self.kinds.index(types)
        return 2 + self.depth + sum(len(kind) for kind in self.kinds[:place])


@record(eq=False)
class Guarded:
    """A graph whose checks are a state, the last of its outputs."""

    graph: Graph
    sites: tuple[Site, ...]
    count: int  # outputs of the program itself
    channels: tuple[int, ...]  # how many values of state each of the channels has

    def error(self, state: Sequence[Any]) -> Exception | None:
        """What is to be raised for a state, given as arrays; None if all checks held."""
        found = self.found(state)
        return found and found[0].error(found[1])

    def found(self, state: Sequence[Any]) -> tuple[Report, Failure] | None:
        """The check that failed first, and how."""
        loud, *rest = _cut(state, self.channels)
        if not int(loud[0]):
            return None
        told = self.decoded(loud)
        for quiet in rest:  # what a result is the consequence of
            if told[0].category == "result" and int(quiet[0]):
                return self.decoded(quiet)
        return told

    def checks(self, state: Sequence[Any]) -> None:
        """Emit checks of a state where operations go now; they tell what it tells.

        The state may have leading axes of examples, the same for all of its values.
        """
        for channel, values in enumerate(_cut(state, self.channels)):
            held = _is_zero(values[0])
            check(held, *values, report=_Retold(self, channel, bool(channel)),
                  lanes=tuple(map(Lane, type_of(held).shape)))

    def decoded(self, state: Sequence[Any]) -> tuple[Report, Failure]:
        """The same for one channel, of which a check has failed."""
        site = self.sites[int(state[0]) - 1]
        steps = tuple((name, int(state[2 + i])) for i, (name, _) in enumerate(site.loops))
        values = [np.array(x) for x in state[site.slot:site.slot + len(site.types)]]
        failure = failure_at(int(state[1]), site.shape, site.lanes, values, steps)
        return resolved(site.report, failure)


@record(eq=False)
class _Retold:
    """The report of a check of a state: what the check that failed first has to say."""

    guarded: Guarded
    channel: int
    quiet: bool

    @property
    def category(self) -> str:
        """That of the checks inside; "several" if they differ."""
        found = {site.report.category for site in self.guarded.sites
                 if site.report.quiet is bool(self.channel)}
        return found.pop() if len(found) == 1 else "several"

    def loud(self) -> _Retold:
        return replace(self, quiet=False)

    def inner(self, failure: Failure) -> tuple[Report, Failure]:
        """The check inside, and its failure, of the examples and steps around that as well."""
        report, found = self.guarded.decoded(failure.values)
        return report, replace(found, lanes=failure.lanes + found.lanes,
                               steps=failure.steps + found.steps)

    def error(self, failure: Failure) -> Exception:
        report, found = self.inner(failure)
        return report.error(found)


def resolved(report: Report, failure: Failure) -> tuple[Report, Failure]:
    """The check that is meant, and its failure."""
    return report.inner(failure) if isinstance(report, _Retold) else (report, failure)


def settled(graph: Graph) -> Graph:
    """The graph without checks inside of branches and loops: their state is checked behind these.

    For vmap, which computes both branches, and goes on with examples whose loop has ended.
    """
    if not any(map(_has_checks, graph.nodes)):
        return graph
    with Builder() as b:
        inputs = [b.input(v.type) for v in graph.inputs]
        return b.build_closed(rebuild(graph, inputs, _settled))


def _settled(node: Node, operands: list[Any]) -> Sequence[Any]:
    if node.op is check or not _has_checks(node):
        again: Sequence[Any] = current().again(node, operands)
        return again
    guarded = guard(Graph(node.inputs, (node,), node.outputs))
    assert guarded is not None
    env = dict(zip(node.inputs, operands))
    outs = run(guarded.graph, [env[v] for v in node.inputs])
    guarded.checks(outs[guarded.count:])
    return outs[:guarded.count]


def _has_checks(node: Node) -> bool:
    """Whether there are checks inside of a node that can be guarded."""
    inner = bool(regions(node)) and next(checks_in(Graph((), (node,), ())), None)
    return inner is not None and inner is not False


def _cut(state: Sequence[Any], sizes: Sequence[int]) -> list[list[Any]]:
    rest = iter(state)
    return [[next(rest) for _ in range(size)] for size in sizes]


def checks_in(graph: Graph, loops: int = 0) -> Iterator[tuple[Node, int]]:
    """The checks that can be guarded, and how many loops there are around each."""
    for node in graph.nodes:
        if node.op is check:
            yield node, loops
        elif node.op.thread or node.op.grouping:
            inside = loops + (not node.op.grouping)  # or a branch, which does no harm
            for region in regions(node):
                yield from checks_in(region, inside)


def guard(graph: Graph) -> Guarded | None:
    """The graph with its checks as a state; None if it has none."""
    found = list(checks_in(graph))
    if not found:
        return None
    depth = max(loops for _, loops in found)
    layouts = []
    for quiet in (False, True):
        own = [node for node, _ in found if node.attrs["report"].quiet is quiet]
        kinds = dict.fromkeys(_value_types(node) for node in own)
        layouts.append(_Layout(depth, tuple(kinds)))
    layouts = layouts if layouts[1].kinds else layouts[:1]
    thread = _Thread(layouts)
    with Builder() as b:
        first = [zeros(t) for layout in layouts for t in layout.types]
        inputs = [b.input(v.type) for v in graph.inputs]
        outs, state = thread.through(graph, inputs, first)
        built = b.build_closed([*outs, *state])
    return Guarded(built, tuple(thread.sites), len(graph.outputs), tuple(thread.sizes))


def _value_types(node: Node) -> Types:
    lanes = len(node.attrs["lanes"])
    return tuple(t.with_shape(t.shape[lanes:]) for t in node.types[1:])


class _Thread:
    """What takes a state through a graph; the rules of loops and branches call it."""

    def __init__(self, layouts: Sequence[_Layout]) -> None:
        self.layouts = layouts
        self.sizes = [len(layout.types) for layout in layouts]
        self.sites: list[Site] = []
        self._loops: list[tuple[str, Source]] = []

    def through(self, graph: Graph, inputs: Sequence[Any],
                state: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Emit a graph: its outputs, and the state after it."""
        now = list(state)

        def rule(node: Node, operands: list[Any]) -> Sequence[Any]:
            if node.op is check:
                now[:] = self._checked(node, operands, now)
                return [np.zeros((), dt.bool_)]
            if not _has_checks(node):
                again: Sequence[Any] = current().again(node, operands)
                return again
            outs, now[:] = (node.op.thread or thread_expanded)(self, node, operands, now)
            return list(outs)

        return list(rebuild(graph, inputs, rule)), now

    def turn(self, node: Node, body: Graph, inputs: Sequence[Any], state: Sequence[Any],
             step: Any) -> tuple[list[Any], list[Any]]:
        """One step of a loop: what fails inside gets the number of the step."""
        level = 2 + len(self._loops)
        self._loops.append((node.op.name, node.where))
        try:
            outs, after = self.through(body, inputs, state)
        finally:
            self._loops.pop()
        start = 0
        for size in self.sizes:
            failed = ew.and_(_is_zero(state[start]), ew.not_(_is_zero(after[start])))
            after[start + level] = ew.select(failed, step, after[start + level])
            start += size
        return outs, after

    def holds(self, state: Sequence[Any]) -> Any:
        """Whether no check has failed so far, but for quiet ones."""
        return _is_zero(state[0])

    def _checked(self, node: Node, operands: Sequence[Any], state: list[Any]) -> list[Any]:
        """The state after one check."""
        predicate, *values = operands
        shape, report, lanes = type_of(predicate).shape, node.attrs["report"], node.attrs["lanes"]
        size = math.prod(shape)
        if not size:
            return state
        channel = int(report.quiet)
        layout, start = self.layouts[channel], sum(self.sizes[:channel])
        types = _value_types(node)
        slot = layout.slot(types)
        self.sites.append(Site(report, shape, lanes, tuple(self._loops), slot, types))
        position = _first_false(predicate, size)
        failed = ew.compare(position, np.int64(size), direction="LT")
        news = {0: np.int64(len(self.sites)), 1: position}
        if lanes:
            count = math.prod(lane.size for lane in lanes)
            example = ew.divide(position, np.int64(size // count))
            values = [_example(x, example, count, len(lanes)) for x in values]
        news.update({slot + i: x for i, x in enumerate(values)})
        first = ew.and_(_is_zero(state[start]), failed)
        after = list(state)
        for place, value in news.items():
            old = after[start + place]
            wide = broadcast_in_dim(first, shape=type_of(old).shape, broadcast_dimensions=())
            after[start + place] = ew.select(wide, value, old)
        return after


def _first_false(predicate: Any, size: int) -> Any:
    """The flat position of the first false element; `size`, or more, if there is none."""
    flat = reshape(predicate, shape=(size,))
    places = iota(shape=(size,), dimension=0, dtype=dt.int64)
    none = broadcast_in_dim(np.int64(size), shape=(size,), broadcast_dimensions=())
    return reduce_minimum(ew.select(flat, none, places), dimensions=(0,))


def _example(x: Any, example: Any, count: int, lanes: int) -> Any:
    """One example of a value whose leading axes are those of examples."""
    shape = type_of(x).shape[lanes:]
    flat = reshape(x, shape=(count, *shape))
    starts = [np.int64(0)] * len(shape)
    return reshape(dynamic_slice(flat, example, *starts, sizes=(1, *shape)), shape=shape)


def _is_zero(x: Any) -> Any:
    return ew.compare(x, full_like(x, 0), direction="EQ")
