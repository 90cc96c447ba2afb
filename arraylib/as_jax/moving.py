"""Traces in JAX's terms: the function that is being traced, and which of its values have a tangent.

JAX takes derivatives while a function runs, so that a program can ask a value whether it has a
tangent. Here a function is drawn first; who asks is told what the derivative of the drawing says.
"""

from __future__ import annotations

from typing import Any

from arraylib import dtypes as dt
from arraylib.hlo.ir import Builder, Graph, Value, current
from arraylib.hlo.ops.derivative import direction
from arraylib.tracing.core import Tracer
from arraylib.tracing.jvp import jvp


def find_top_trace(values: Any = ()) -> Any:
    """What is being traced; `x._trace.main` of its values is its `main`."""
    return current()


class _Moving(type):
    """The class of JVPTracer: its instances are traced values that have a tangent."""

    def __instancecheck__(cls, x: object) -> bool:
        return isinstance(x, Tracer) and x.builder is current() and _has_tangent(x)


class JVPTracer(metaclass=_Moving):
    """A value of the function being traced that has a tangent, if all its arguments have one."""


# Of the last drawing that was asked about: it, how many nodes it had, and what has a tangent.
_last: list[tuple[Builder, int, frozenset[Value]]] = []


def _has_tangent(x: Value) -> bool:
    drawn, count = x.builder, len(x.builder.nodes)
    if not _last or _last[0][:2] != (drawn, count):
        _last[:] = [(drawn, count, _with_tangents(drawn))]
    return x in _last[0][2]


def _with_tangents(drawn: Builder) -> frozenset[Value]:
    """The values drawn so far that have a tangent where all floats among the arguments have one."""
    outer = [inner for _, inner in drawn.captured.values()]
    values = [*drawn.inputs, *[v for node in drawn.nodes for v in node.outputs]]
    graph = Graph((*drawn.inputs, *outer), tuple(drawn.nodes), tuple(values))
    with Builder() as b, direction(forwards=True):
        primals = b.inputs_like(graph.inputs)
        tangents = [b.input(v.type) if dt.is_inexact(v.type.dtype) else None for v in drawn.inputs]
        pairs = jvp(graph, primals, [*tangents, *[None] * len(outer)])
        b.closed = True
    return frozenset([v for v, (_, t) in zip(values, pairs) if t is not None])
