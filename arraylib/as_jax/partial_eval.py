"""jax.interpreters.partial_eval: what a function computes of what is known already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arraylib.as_jax.jaxpr import Jaxpr, of_graph
from arraylib.as_jax.linear_util import WrappedFun
from arraylib.hlo.ir import Graph, Type, type_of
from arraylib.hlo.ops.constant import zeros
from arraylib.hlo.ops.control import keep, run_inside
from arraylib.hlo.split import dependents, needed
from arraylib.tracing.core import as_operand, trace


class PartialVal(tuple[Any, Any]):
    """A value that is known, or the type of one that is not: (type, None) or (None, value)."""

    @classmethod
    def known(cls, value: Any) -> PartialVal:
        return cls((None, value))

    @classmethod
    def unknown(cls, aval: Type) -> PartialVal:
        return cls((aval, None))

    def is_known(self) -> bool:
        return self[0] is None

    def get_known(self) -> Any:
        return self[1]

    def get_aval(self) -> Type:
        return type_of(self[1]) if self.is_known() else self[0]


def trace_to_jaxpr_nounits(fun: WrappedFun, values: Sequence[PartialVal],
                           instantiate: bool = False) -> tuple[Jaxpr, list[PartialVal], list[Any]]:
    """The program of a function, which of its results are known, and the program's constants.

    Known results are computed; the program has those that depend on unknown arguments.
    """
    missing = [v.get_aval() for v in values if not v.is_known()]

    def whole(*xs: Any) -> list[Any]:
        rest = iter(xs)
        out = fun.call_wrapped(*[v.get_known() if v.is_known() else next(rest) for v in values])
        return [as_operand(x, "result", lambda: "it") for x in out]

    graph, captured = trace(whole, missing)
    later = dependents(graph, graph.inputs[:len(missing)])
    waits = [instantiate or v in later for v in graph.outputs]
    found = tuple(keep(graph.outputs, [not w for w in waits]))
    first = needed(Graph(graph.inputs, graph.nodes, found))
    known = iter(run_inside(first, [*map(zeros, missing), *captured]))  # the zeros are not read
    outs = [PartialVal.unknown(v.type) if w else PartialVal.known(next(known))
            for v, w in zip(graph.outputs, waits)]
    rest = needed(Graph(graph.inputs, graph.nodes, tuple(keep(graph.outputs, waits))))
    return of_graph(rest, len(captured)), outs, list(captured)
