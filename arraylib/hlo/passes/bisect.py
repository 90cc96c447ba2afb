"""Find the pass that changes what a graph computes, and a small part of the graph that shows it.

    print(bisect(graph, inputs))

    simplify changes output 0 by up to 0.5
    before:
      (a: f32[3], b: f32[3])
        c: f32[3] = subtract a b
        return c
    after:
      (a: f32[3], b: f32[3])
        return a
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Graph, Node, Value
from arraylib.hlo.passes.pipeline import PASSES
from arraylib.hlo.passes.rewrite import Pass, everywhere
from arraylib.hlo.pretty import pretty
from arraylib.hlo.split import needed
from arraylib.hlo.verify import verify
from arraylib.record import record

Arrays = Sequence[Any]

_DEPTHS = (1, 2, 3, 5, 8, 12)  # of the parts that are tried before all that an output needs


@record
class Finding:
    """What `bisect` found; false if no pass changed a result.

    output: the first output of the whole graph that changed, and by how much at most (nan against
    a number is infinitely much). problem: what is wrong if there are no results to be compared.
    before, after: the smallest part of the graph found whose results the pass changes.
    """

    name: str = ""
    output: int = 0
    difference: float = 0.0
    problem: str = ""
    before: Graph | None = None
    after: Graph | None = None

    def __bool__(self) -> bool:
        return bool(self.name)

    def __str__(self) -> str:
        if not self:
            return "no pass changes a result"
        change = (f"{self.name} fails: {self.problem}" if self.problem else
                  f"{self.name} changes output {self.output} by up to {self.difference:g}")
        parts = [(title, graph) for title, graph in (("before", self.before), ("after", self.after))
                 if graph is not None]
        return "\n".join([change, *(f"{title}:\n{_indented(g)}" for title, g in parts)])


def _indented(graph: Graph) -> str:
    """The let-list, or what is wrong with a graph that has none."""
    try:
        text = pretty(graph)
    except KeyError:
        text = "a graph that uses a value it does not define"
    return "\n".join("  " + line for line in text.split("\n"))


def bisect(graph: Graph, inputs: Arrays, passes: Sequence[tuple[str, Pass]] | None = None,
           tolerance: float = 0.0) -> Finding:
    """The first pass after which the graph's outputs for these inputs differ by more than allowed.

    `passes` are pairs of a name and a function, those of the optimiser if there are none. Each is
    run on what those before it have made, as the optimiser does it: in all regions too.
    """
    arrays = [np.asarray(x) for x in inputs]
    for name, change in PASSES if passes is None else passes:
        found = _try(name, everywhere(change), graph, arrays, tolerance)
        if found:
            return _smallest(found, everywhere(change), graph, arrays, tolerance)
        graph = everywhere(change)(graph)
    return Finding()


def _try(name: str, change: Pass, graph: Graph, arrays: Arrays, tolerance: float) -> Finding:
    """What the pass does to the outputs of this graph."""
    after = None
    wanted = interpret(graph, arrays)
    try:
        after = change(graph)
        verify(after)
        found = interpret(after, arrays)
    except Exception as error:  # whatever it is, it is the pass that is at fault
        return Finding(name, problem=_first_line(error), before=graph, after=after)
    for i, (x, y) in enumerate(zip(wanted, found)):
        difference = _difference(x, y)
        if difference > tolerance:
            return Finding(name, i, difference, before=graph, after=after)
    return Finding()


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).split(chr(10))[0]}"


def _difference(x: Any, y: Any) -> float:
    """The largest difference of two arrays; nan equals nan, and is infinitely far from the rest."""
    x, y = np.asarray(x), np.asarray(y)
    if x.shape != y.shape or x.dtype != y.dtype:
        return float("inf")
    wide = np.complex128 if dt.is_complex(x.dtype) else np.float64
    x, y = x.astype(wide), y.astype(wide)
    with np.errstate(all="ignore"):
        apart = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0.0, np.abs(x - y))
    return float(np.max(np.where(np.isnan(apart), np.inf, apart), initial=0.0))


# -- the smallest part -----------------------------------------------------------------------------


def _smallest(whole: Finding, change: Pass, graph: Graph, arrays: Arrays,
              tolerance: float) -> Finding:
    """The same finding, shown on the least deep part that has it."""
    values = _values(graph, arrays)
    for part in _parts(graph):
        found = _try(whole.name, change, part, [values[v] for v in part.inputs], tolerance)
        if found and bool(found.problem) == bool(whole.problem):
            return Finding(whole.name, whole.output, whole.difference, whole.problem,
                           found.before, found.after)
    return whole


def _values(graph: Graph, arrays: Arrays) -> dict[Value, Any]:
    """The array of each value of the graph."""
    every = tuple(v for node in graph.nodes for v in node.outputs)
    found = interpret(Graph(graph.inputs, graph.nodes, every), arrays)
    return dict(zip((*graph.inputs, *every), (*arrays, *found), strict=True))


def _parts(graph: Graph) -> Iterator[Graph]:
    """For each depth and each node, what leads to the node from so few steps back; then outputs.

    What comes before is an input; constants are part of it however deep they are.
    """
    defined = {v: node for node in graph.nodes for v in node.outputs}
    order = {node: i for i, node in enumerate(graph.nodes)}
    for depth in _DEPTHS:
        for node in graph.nodes:
            if node.inputs:
                yield _ending_in(node, depth, defined, order)
    for value in graph.outputs:
        yield needed(Graph(graph.inputs, graph.nodes, (value,)))


def _ending_in(node: Node, depth: int, defined: dict[Value, Node],
               order: dict[Node, int]) -> Graph:
    taken = edge = {node}
    for left in reversed(range(depth)):
        before = {defined[v] for n in edge for v in n.inputs if v in defined} - taken
        edge = before if left else {n for n in before if not n.inputs}
        taken = taken | edge
    nodes = tuple(sorted(taken, key=order.__getitem__))
    made = {v for n in nodes for v in n.outputs}
    inputs = dict.fromkeys(v for n in nodes for v in n.inputs if v not in made)
    return Graph(tuple(inputs), nodes, node.outputs)
