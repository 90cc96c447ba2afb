"""What is emitted again and again: graphs that transforms draw once, though they trace every time.

Outside of jit a function is traced whenever its derivative or its batch is wanted, for the values
that its code reads may have changed. As a rule it draws the same graph, of which the rest is known
then: what has to be emitted is in a graph as well. Outside of all traces that is run on NumPy's
arrays, node by node as ever, without the steps around each that let anything be a node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from arraylib.array import Array, adopt, to_numpy
from arraylib.errors import TraceError
from arraylib.hlo.ir import Builder, Graph, Node, Type, Value, current, run, type_of
from arraylib.hlo.outline import outline
from arraylib.hlo.split import needed
from arraylib.tracing.cells import Ref, changed, claim, put_all, resolved
from arraylib.tracing.eager import eager, numpy_alone, quietly

Found = TypeVar("Found")

_MOST = 1024  # graphs that are known
_FOLDED = 1 << 12  # bytes of what constants make, which is kept
_known: dict[Any, Any] = {}


def recalled(key: tuple[Any, ...], graph: Graph, make: Callable[[], Found]) -> Found:
    """What `make` made of a graph like this one, for a key that says how; made if it is new."""
    mark = outline(graph)
    if mark is None:
        return make()
    whole = key, mark
    found = _known.get(whole)
    if found is None:
        if len(_known) >= _MOST:
            _known.clear()
        found = _known[whole] = make()
    return found  # type: ignore[no-any-return]


class Emission:
    """What a function of values emits and returns, which is drawn when it is wanted again.

    `emit(*operands)` returns values, and None for what is not there; types and settings alone
    decide what it does.
    """

    def __init__(self, emit: Callable[..., Sequence[Any]]) -> None:
        self._emit = emit
        self._seen = False
        self._replay: Replay | None = None
        self._has: list[bool] = []
        self._written: list[Ref] = []

    def __call__(self, operands: Sequence[Any]) -> list[Any]:
        replay = self._replay
        if replay is None:
            if not self._seen:
                self._seen = True
                return list(self._emit(*operands))
            try:
                replay = self._drawn([type_of(x) for x in operands])
            except TraceError:  # a rule of the user's looks at values
                return list(self._emit(*operands))
        found = iter(replay(operands))
        results = [next(found) if has else None for has in self._has]
        put_all(self._written, list(found))
        return results

    def _drawn(self, types: Sequence[Type]) -> Replay:
        with Builder() as b:
            outputs = self._emit(*[b.input(t) for t in types])
            self._has = [x is not None for x in outputs]
            self._written = changed()
            graph, outer = b.build([*[x for x in outputs if x is not None],
                                    *claim(self._written)])
        self._replay = Replay(needed(graph), outer)
        return self._replay


class Replay:
    """A graph to be run wherever operations go, with what its last inputs always are."""

    def __init__(self, graph: Graph, outer: Sequence[Any] = ()) -> None:
        self.graph, self._outer = graph, tuple(outer)
        self._runs = 0
        self._steps: _Steps | None = None

    def __call__(self, operands: Sequence[Any]) -> Sequence[Any]:
        """The outputs."""
        operands = [*operands, *resolved(self._outer)]
        if current() is not eager:
            return run(self.graph, operands)
        self._runs += 1
        if self._runs == 2:
            self._steps = _steps(self.graph)
        steps = self._steps
        return run(self.graph, operands) if steps is None else steps(operands)


class _Steps:
    """Calls of NumPy's functions on numbered arrays: the inputs, constants, and what is computed.
    """

    def __init__(self, inputs: int, constants: Sequence[Any], calls: Sequence[tuple[Any, ...]],
                 outputs: Sequence[tuple[int, Type]]) -> None:
        self._inputs, self._constants, self._calls = inputs, constants, calls
        self._outputs = outputs

    def __call__(self, operands: Sequence[Any]) -> list[Array]:
        arrays = [to_numpy(x if x.__class__ is Array else eager.own(x)) for x in operands]
        given = len(arrays)
        quietly(_compute, self._calls, arrays, self._constants)
        found: list[Array] = []
        for number, type in self._outputs:
            if number < given:  # an operand as it is
                found.append(eager.own(operands[number]))
            else:
                data = arrays[number]
                shared = number < given + len(self._constants)
                found.append(adopt(data.copy() if shared else data, type))
        return found


def _compute(calls: Sequence[tuple[Any, ...]], arrays: list[Any], constants: Sequence[Any]) -> None:
    """Append the results of the calls to the arrays."""
    arrays += constants
    for function, operands, attrs, shape in calls:
        data = function(*[arrays[i] for i in operands], **attrs)
        arrays.append(data if data.__class__ is np.ndarray and data.flags.c_contiguous
                      else np.ascontiguousarray(data).reshape(shape))


def _steps(graph: Graph) -> _Steps | None:
    """A graph as steps; None where a node is more than one call of a function of NumPy."""
    functions = [numpy_alone(node.op, node.types, node.attrs) for node in graph.nodes]
    if None in functions:
        return None
    constants, calls = _folded(list(zip(graph.nodes, functions)))
    number = {v: i for i, v in enumerate((*graph.inputs, *constants,
                                          *[node.outputs[0] for node, _ in calls]))}
    rows = [(function, [number[v] for v in node.inputs], node.attrs, node.outputs[0].type.shape)
            for node, function in calls]
    outputs = [(number[v], v.type) for v in graph.outputs]
    if len({i for i, _ in outputs}) < len(outputs):  # one result twice, as two arrays
        return None
    return _Steps(len(graph.inputs), list(constants.values()), rows, outputs)


Call = tuple[Node, Any]


def _folded(calls: Sequence[Call]) -> tuple[dict[Value, Any], list[Call]]:
    """The values that depend on constants alone, and the calls that are left."""
    constants: dict[Value, Any] = {}
    left: list[Call] = []
    for node, function in calls:
        value, = node.outputs
        if value.type.nbytes <= _FOLDED and all([v in constants for v in node.inputs]):
            data = quietly(function, *[constants[v] for v in node.inputs], **node.attrs)
            constants[value] = np.ascontiguousarray(data).reshape(value.type.shape)
        else:
            left.append((node, function))
    return constants, left
