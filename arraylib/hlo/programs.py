"""Whole modules in StableHLO's operations alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arraylib.hlo.ir import Graph, Type
from arraylib.hlo.module import graph_of, with_graph
from arraylib.hlo.passes.adopt import Functions, adopt, functions_of
from arraylib.hlo.passes.legalize import legalize as legalize_graph


def legalize(program: Any, types: Sequence[Type] | None = None,
             custom_calls: Functions | None = None) -> Any:
    """A graph or module in core StableHLO, which other compilers and this one run.

    Operations of other dialects, tuples, tokens and open sizes (with `types` for the inputs) are
    written in terms of the core, and so are our own, such as loops of a known length. A module
    keeps its entry alone, and the functions that it calls.

    Raises TraceError, naming the operation and its line, for what has no rule.

    >>> graph = arraylib.make_graph(lambda x: jnp.tanh(x))(1.0).graph
    >>> print(hlo.pretty(hlo.legalize(graph)))
    (a: f32[])
      b: f32[] = tanh a
      return b
    """
    graph = graph_of(program, "legalize")
    changed = legalize_graph(adopt(graph, types, custom_calls, functions_of(program)))
    if isinstance(program, Graph):
        return changed
    return with_graph(program, changed)
