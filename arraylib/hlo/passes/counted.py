"""Write loops that count their steps as scans, which derivatives can run backwards.

    while(i = 0, h) {i < 5} {(i + 1, f(h, xs[i]))}    ->    scan(h, xs) {f(h, x)}

StableHLO has one loop, `while`. Where its condition compares a counter with a number that is known,
and the body adds a known number to that counter, there are so many steps, and the loop is a scan.
An array of which every step reads its own row, in order, becomes one that is scanned over; one into
which every step writes its own row becomes the stacked results. Other loops stay what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Builder, Graph, Node, Value, emit_like, rebuild, regions, type_of
from arraylib.hlo.ops import control, elementwise as ew
from arraylib.hlo.ops.constant import constant
from arraylib.hlo.ops.dynamic import dynamic_slice, dynamic_update_slice
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.ops.structured import reshape
from arraylib.hlo.passes.expand import expand
from arraylib.record import field, record

Known = dict[Value, np.ndarray[Any, Any]]  # scalars that are known; or one for each step
_LONGEST = 1 << 24  # steps whose indices are looked at; what longer loops read stays as it is


def count_loops(graph: Graph) -> Graph:
    """`graph` with each loop whose number of steps is known as a scan."""
    return _Counting().region(graph, [None] * len(graph.inputs))


@record(frozen=False)
class _Counting:
    """The scalars known so far, and the regions rewritten so far."""

    known: Known = field(default_factory=dict)
    done: dict[Any, Graph] = field(default_factory=dict)
    loops: dict[Graph, bool] = field(default_factory=dict)

    def has_loops(self, graph: Graph) -> bool:
        if graph not in self.loops:
            self.loops[graph] = any(node.op is control.while_ or any(map(self.has_loops, regions(
                node))) for node in graph.nodes)
        return self.loops[graph]

    def region(self, graph: Graph, arrays: Sequence[Any]) -> Graph:
        """A graph of whose inputs some are known."""
        if not self.has_loops(graph):
            return graph
        key = graph, tuple(None if x is None else (x.dtype, x.item()) for x in arrays)
        if key not in self.done:
            with Builder() as builder:
                inputs = builder.inputs_like(graph.inputs)
                self.known.update((v, x) for v, x in zip(inputs, arrays) if x is not None)
                self.done[key] = builder.build(rebuild(graph, inputs, self._rule))[0]
        return self.done[key]

    def _rule(self, node: Node, xs: list[Any]) -> Sequence[Any]:
        if node.op is control.while_:
            return self._while(node, xs)
        if not regions(node):
            outputs = emit_like(node, xs)
            emitted = replace(node, inputs=tuple(xs), outputs=outputs)
            self.known.update(_computed_by(emitted, self.known))
            return outputs
        return emit_like(node, xs, **self._attributes(node, xs))

    def _attributes(self, node: Node, xs: Sequence[Any]) -> dict[str, Any]:
        """The attributes with regions rewritten, which may know what they capture."""
        captures = dict(node.op.captures(node)) if node.op.captures else {}

        def changed(value: Any) -> Any:
            if isinstance(value, tuple) and value and isinstance(value[0], Graph):
                return tuple(map(changed, value))
            if not isinstance(value, Graph):
                return value
            outer = xs if node.op.grouping else xs[captures.get(value, slice(0))]
            arrays = [self.known.get(x) for x in outer]
            return self.region(value, arrays + [None] * (len(value.inputs) - len(arrays)))
        return {name: changed(value) for name, value in node.attrs.items()}

    def _while(self, node: Node, xs: Sequence[Any]) -> Sequence[Any]:
        loop = _Loop.of(node, xs, self.known)
        counter = loop.counter()
        if counter is None or not counter.steps:
            return emit_like(node, xs, **self._attributes(node, xs))
        return self._scan(loop, counter)

    def _scan(self, loop: _Loop, counter: _Counter) -> Sequence[Any]:
        rows = _rows(loop, counter)
        carried = [i for i in range(len(loop.carry)) if i not in loop.steady and i not in rows.put]
        fixed = [i for i in range(len(loop.body.inputs)) if i not in rows.read and (
            i < loop.consts or i - loop.consts in loop.steady)]
        operands = [*loop.body_consts, *loop.carry]
        body = self._scan_body(loop, counter, rows, fixed, carried)
        outs = scan(*(operands[i] for i in fixed), *(loop.carry[i] for i in carried),
                    *(operands[i] for i in rows.read), body=body, consts=len(fixed),
                    carry=len(carried), length=counter.steps, reverse=rows.reverse)
        results = dict(zip([*carried, *rows.put], outs))
        results |= {i: loop.carry[i] for i in loop.steady}
        results[counter.place] = constant(value=counter.last)
        return [results[i] for i in range(len(loop.carry))]

    def _scan_body(self, loop: _Loop, counter: _Counter, rows: _Rows, fixed: Sequence[int],
                   carried: Sequence[int]) -> Graph:
        """(fixed, carry, rows read) -> (carry, rows written)"""
        body, n = loop.body, loop.consts
        with Builder() as builder:
            order = [*fixed, *(n + i for i in carried)]
            inputs: dict[Value, Any] = {
                body.inputs[i]: builder.input(body.inputs[i].type) for i in order}
            self.known.update((inputs[v], x) for v, x in loop.inside.items() if v in inputs)
            for i in rows.read:
                row = builder.input(_row(body.inputs[i]))
                inputs[body.inputs[i]] = reshape(row, shape=(1, *row.type.shape))
            written: dict[Value, Any] = {}

            def rule(node: Node, xs: list[Any]) -> Sequence[Any]:
                if node.op is dynamic_slice and node.inputs[0] in rows.reads:
                    return [xs[0]]
                if node.outputs and node.outputs[0] in rows.writes:
                    shape = type_of(xs[1]).shape[1:]
                    written[node.outputs[0]] = reshape(xs[1], shape=shape)
                    return [None]
                return self._rule(node, xs)
            outputs = rebuild(body, [inputs.get(v) for v in body.inputs], rule)
            firsts = [outputs[i] for i in carried]
            graph, _ = builder.build([*firsts, *(written[body.outputs[i]] for i in rows.put)])
        return graph


# -- loops -----------------------------------------------------------------------------------------


@record
class _Counter:
    """Which part of the carry counts, its values, and the one after the last step."""

    place: int
    values: np.ndarray[Any, Any]
    last: np.ndarray[Any, Any]

    @property
    def steps(self) -> int:
        return len(self.values)


@record
class _Loop:
    """A `while` on its operands, functions that its regions call written out."""

    cond: Graph
    body: Graph
    cond_consts: Sequence[Any]
    body_consts: Sequence[Any]
    carry: Sequence[Any]
    steady: Sequence[int]  # parts of the carry that every step hands on as they came
    known: Known  # of the operands

    @staticmethod
    def of(node: Node, xs: Sequence[Any], known: Known) -> _Loop:
        attrs = node.attrs
        n, m = attrs["cond_consts"], attrs["cond_consts"] + attrs["body_consts"]
        cond, body = (expand(attrs[name], lambda op, node: op is not control.call)
                      for name in ("cond", "body"))
        steady = [i for i, (out, given) in enumerate(zip(body.outputs, body.inputs[m - n:]))
                  if out is given]
        return _Loop(cond, body, xs[:n], xs[n:m], xs[m:], steady, known)

    @property
    def consts(self) -> int:
        return len(self.body_consts)

    @property
    def inside(self) -> Known:
        """What is known of the inputs of the body."""
        return self._inputs(self.body, self.body_consts)

    def _inputs(self, graph: Graph, consts: Sequence[Any]) -> Known:
        fixed = [*consts, *(x if i in self.steady else None for i, x in enumerate(self.carry))]
        return {v: self.known[x] for v, x in zip(graph.inputs, fixed) if x in self.known}

    def counter(self) -> _Counter | None:
        """The part of the carry that the condition compares with a known number."""
        (test,) = self.cond.outputs
        node = next((n for n in self.cond.nodes if test in n.outputs), None)
        if node is None or node.op is not ew.compare:
            return None
        values = _computed(self.cond, self._inputs(self.cond, self.cond_consts))
        inputs = self.cond.inputs[len(self.cond_consts):]
        left, right = node.inputs
        direction = node.attrs["direction"]
        if left in values:
            left, right, direction = right, left, _MIRRORED.get(direction, "")
        if right not in values or left not in inputs:
            return None
        place = inputs.index(left)
        start, step = self.known.get(self.carry[place]), self._step(place)
        if start is None or step is None or not dt.is_integer(start.dtype):
            return None
        return _counted(place, start, step, int(values[right]), direction)

    def _step(self, place: int) -> int | None:
        """What the body adds to this part of the carry; None if that is not known."""
        before, after = self.body.inputs[self.consts + place], self.body.outputs[place]
        node = next((n for n in self.body.nodes if after in n.outputs), None)
        if node is None or node.op not in (ew.add, ew.subtract) or before not in node.inputs:
            return None
        values = _computed(self.body, self.inside)
        x, y = node.inputs
        if node.op is ew.subtract:
            return -int(values[y]) if x is before and y in values else None
        other = y if x is before else x
        return int(values[other]) if other in values else None


_MIRRORED = {"LT": "GT", "LE": "GE", "GT": "LT", "GE": "LE"}


def _counted(place: int, start: np.ndarray[Any, Any], step: int, bound: int,
             direction: str) -> _Counter | None:
    """The values of a counter from `start` on, as long as they compare so with `bound`."""
    sign = {"LT": 1, "LE": 1, "GT": -1, "GE": -1}.get(direction, 0)
    if not sign or step * sign <= 0:
        return None
    room = sign * (bound - int(start)) + (direction in ("LE", "GE"))
    steps = max(0, -(-room // abs(step)))
    last, limits = int(start) + steps * step, dt.iinfo(start.dtype)
    if not limits.min <= last <= limits.max or steps > _LONGEST:
        return None
    values = (int(start) + step * np.arange(steps, dtype=object)).astype(start.dtype)
    return _Counter(place, values, np.asarray(last, start.dtype))


def _computed(graph: Graph, known: Mapping[Value, Any]) -> Known:
    """What of a graph's scalars follows from those that are known."""
    values = dict(known)
    for node in graph.nodes:
        values.update(_computed_by(node, values))
    return values


def _computed_by(node: Node, values: Mapping[Value, Any]) -> Known:
    """The output of a node that makes a scalar of known ones."""
    plain = node.op is constant or node.op.elementwise
    if not plain or node.outputs[0].type.shape or not all(v in values for v in node.inputs):
        return {}
    return {node.outputs[0]: node.op.evaluate([values[v] for v in node.inputs], node.attrs)[0]}


# -- rows ------------------------------------------------------------------------------------------


@record
class _Rows:
    """What the steps read and write row by row: inputs of the body, and parts of the carry."""

    read: Sequence[int]
    put: Sequence[int]
    reads: set[Value]  # the inputs
    writes: set[Value]  # outputs of the operations that write
    reverse: bool


def _row(array: Value) -> Any:
    return array.type.with_shape(array.type.shape[1:])


def _rows(loop: _Loop, counter: _Counter) -> _Rows:
    """The arrays whose row each step reads or writes, all of them in the same direction."""
    body, n = loop.body, loop.consts
    here = {**loop.inside, body.inputs[n + counter.place]: counter.values}
    values = _computed(body, here)
    users: dict[Value, list[Node]] = {}
    for node in body.nodes:
        for v in node.inputs:
            users.setdefault(v, []).append(node)
    outputs = list(body.outputs)

    def candidates(reverse: bool) -> tuple[list[int], list[int]]:
        def place(array: Value, window: Any, starts: Sequence[Value]) -> bool:
            return _goes_along(array, window, starts, values, counter.steps, reverse)
        written = [i for i in range(len(loop.carry)) if i != counter.place
                   and _is_written(body.inputs[n + i], body.outputs[i], users, outputs, place)]
        fixed = [*range(n), *(n + i for i in loop.steady)]
        return [i for i in fixed if _is_read(
            body.inputs[i], users, outputs.count(body.inputs[i]) - (i >= n), place)], written
    forward, backward = candidates(False), candidates(True)
    reverse = sum(map(len, backward)) > sum(map(len, forward))
    read, put = backward if reverse else forward
    return _Rows(read, put, {body.inputs[i] for i in read}, {body.outputs[i] for i in put}, reverse)


def _is_read(array: Value, users: Mapping[Value, Sequence[Node]], returned: int,
             place: Any) -> bool:
    """Whether an input serves for nothing but to take the row of each step from it."""
    readers = users.get(array, [])
    return bool(readers) and not returned and all(
        node.op is dynamic_slice and array not in node.inputs[1:]
        and place(array, node.outputs[0], node.inputs[1:]) for node in readers)


def _is_written(array: Value, result: Value, users: Mapping[Value, Sequence[Node]],
                outputs: list[Value], place: Any) -> bool:
    """Whether an input serves for nothing but to put the row of each step into it."""
    readers = users.get(array, [])
    if len(readers) != 1 or array in outputs or outputs.count(result) != 1 or result in users:
        return False
    (node,) = readers
    return (node.op is dynamic_update_slice and result in node.outputs
            and node.inputs.count(array) == 1 and node.inputs[0] is array
            and place(array, node.inputs[1], node.inputs[2:]))


def _goes_along(array: Value, window: Value, starts: Sequence[Value], values: Known, steps: int,
                reverse: bool) -> bool:
    """Whether a window at these starts is row i of an array in step i, or in the ith from last.

    Starts on other axes do not matter: a window as long as the axis begins where that does.
    """
    shape = array.type.shape
    if shape[:1] != (steps,) or window.type.shape != (1, *shape[1:]) or starts[0] not in values:
        return False
    order = np.arange(steps)
    return np.array_equal(np.broadcast_to(values[starts[0]], steps),
                          order[::-1] if reverse else order)
