"""Graphs on their way into a file and out of it.

On the way out, a graph is written in StableHLO's operations. Those of ours that only derivatives
look at, which StableHLO has not, become composites: named functions whose body is what they
compute, so that other compilers need not know them. On the way back they become what they were,
loops that count become scans, and large constants become arrays beside the graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import Graph, Node, Value, regions, trace_graph
from arraylib.hlo.mlir.attributes import Integer
from arraylib.hlo.module import Module
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import checkpoint, control
from arraylib.hlo.ops.check import check
from arraylib.hlo.ops.composite import composite
from arraylib.hlo.ops.constant import constant, splat
from arraylib.hlo.ops.derivative import Later
from arraylib.hlo.ops.lapack import Routine
from arraylib.hlo.passes.adopt import Functions, adopt, functions_of
from arraylib.hlo.passes.counted import count_loops
from arraylib.hlo.passes.dce import dce
from arraylib.hlo.passes.lapack import common_calls, known_routines
from arraylib.hlo.passes.legalize import legalize
from arraylib.hlo.passes.rewrite import Rewriter, everywhere, rewrite

_LARGE = 1024  # bytes of a constant that is kept beside the graph

# What means something to derivatives alone: the composite that stands for it.
_NAMES: dict[OpDef, str] = {op: f"arraylib.{op.name}" for op in (
    checkpoint.checkpoint, checkpoint.named, control.stop_gradient)}
_OURS = {name: op for op, name in _NAMES.items()}

# -- out -------------------------------------------------------------------------------------------


def portable(graph: Graph, captured: Sequence[Any], fun_name: str) -> Graph:
    """The graph of a function in StableHLO; its last inputs, `captured`, become constants.

    Raises ArgumentError if it calls back into Python, naming the function and the line.
    """
    _refuse_callbacks(graph, fun_name)
    count = len(graph.inputs) - len(captured)
    types = graph.input_types[:count]
    constants = [np.asarray(x) for x in captured]
    closed = trace_graph(types, lambda *xs: control.run_inside(
        graph, [*xs, *(constant(value=x) for x in constants)]))
    common = common_calls(everywhere(dce)(closed))
    kept = everywhere(lambda g: rewrite(g, _as_composite))(common)
    return legalize(kept)


def _refuse_callbacks(graph: Graph, fun_name: str) -> None:
    for node in _nodes(graph):
        if node.op is check:
            raise mistake(ArgumentError, "export", f"{fun_name} checks its values, but what a "
                          "check says only this process has", where=node.where,
                          hint="leave debug.check out of what is exported")
        for value in node.attrs.values():
            if callable(value) and not isinstance(value, (Routine, Later)):
                raise mistake(
                    ArgumentError, "export", f"{fun_name} calls the Python function "
                    f"{_function_name(value)!r}, which only this process has", where=node.where,
                    hint="leave pure_callback, io_callback and debug.print out of what is exported")


def _nodes(graph: Graph) -> Iterator[Node]:
    for node in graph.nodes:
        yield node
        for region in regions(node):
            yield from _nodes(region)


def _function_name(function: Any) -> str:
    """The name of the user's function inside what calls it."""
    while not hasattr(function, "__name__") and hasattr(function, "function"):
        function = function.function
    return str(getattr(function, "__name__", type(function).__name__))


def _as_composite(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
    name, written_out = _NAMES.get(node.op), node.op.expand
    if name is None or written_out is None:
        return None

    def body(*xs: Any) -> Sequence[Any]:
        outs = written_out(*xs, **node.attrs)
        return outs if node.op.multiple else [outs]
    settings = tuple((k, Integer(v, "i64") if isinstance(v, int) else v)
                     for k, v in node.attrs.items() if k != "body")
    return composite(*node.inputs, body=trace_graph(node.types, body), name=name,
                     settings=settings, version=0)


# -- back ------------------------------------------------------------------------------------------


def runnable(module: Module, types: Sequence[Any] | None,
             custom_calls: Functions | None) -> tuple[Graph, list[np.ndarray[Any, Any]]]:
    """A graph that transforms and compilers take, and the arrays that are its last inputs.

    `types` are those of the other inputs, for a program that leaves sizes open.
    """
    functions = functions_of(module)
    adopted = known_routines(adopt(module.graph, types, custom_calls, functions))
    adopted = adopt(adopted, None, custom_calls, functions, runs=True)  # all other custom calls
    ours = everywhere(lambda g: rewrite(g, _from_composite))(adopted)
    return _without_large_constants(everywhere(dce)(count_loops(ours)))


def _from_composite(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
    op = _OURS.get(node.attrs["name"]) if node.op is composite else None
    if op is None:
        return None
    attrs = {k: v.value if isinstance(v, Integer) else v for k, v in node.attrs["settings"]}
    if op.grouping:
        attrs["body"] = node.attrs["body"]
    outs = op(*node.inputs, **attrs)
    return outs if op.multiple else [outs]  # type: ignore[no-any-return]


def _without_large_constants(graph: Graph) -> tuple[Graph, list[np.ndarray[Any, Any]]]:
    """The graph that takes its large constants as further inputs, and these."""
    large = {node.outputs[0]: np.asarray(node.attrs["value"]) for node in graph.nodes
             if node.op is constant and node.attrs["value"].nbytes > _LARGE
             and splat(node.attrs["value"]) is None}
    rest = tuple([node for node in graph.nodes if large.keys().isdisjoint(node.outputs)])
    return Graph((*graph.inputs, *large), rest, graph.outputs), list(large.values())
