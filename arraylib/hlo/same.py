"""Whether two graphs are the same program: names, lines and the order of captures do not count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib.hlo.ir import Graph, Node, Value, regions
from arraylib.hlo.ops.constant import same_bits


def same(a: Graph, b: Graph) -> bool:
    """Whether two closed graphs have the same inputs, nodes in the same order, and outputs.

    What a region reads of the graph around it counts, not how it is handed in: an operand that a
    region ignores, or another order of those that it reads, makes no difference.

    >>> make = arraylib.make_graph(lambda x: x * x)
    >>> hlo.same(make(1.0).graph, make(2.0).graph), hlo.same(make(1.0).graph, make(1).graph)
    (True, False)
    """
    return a is b or _Comparison().graphs(a, b, (), ())


class _Comparison:
    """Gives values that stand for one another in the two programs the same token."""

    def __init__(self) -> None:
        self.tokens: dict[Value, object] = {}
        self.equal: set[tuple[int, int]] = set()  # pairs of graphs found equal, called twice

    def graphs(self, a: Graph, b: Graph, outer_a: Sequence[Value],
               outer_b: Sequence[Value]) -> bool:
        """Whether two graphs agree whose first inputs stand for these values around them."""
        closed = not outer_a and not outer_b
        if closed and (id(a), id(b)) in self.equal:
            return True
        for graph, outer in ((a, outer_a), (b, outer_b)):
            self.tokens.update(zip(graph.inputs, [self.tokens[v] for v in outer]))
        found = (
            self._bind(a.inputs[len(outer_a):], b.inputs[len(outer_b):])
            and len(a.nodes) == len(b.nodes) and all(map(self._nodes, a.nodes, b.nodes))
            and self._agree(a.outputs, b.outputs))
        if found and closed:
            self.equal.add((id(a), id(b)))
        return found

    def _bind(self, xs: Sequence[Value], ys: Sequence[Value]) -> bool:
        """Let new values stand for one another, if they have the same types."""
        if len(xs) != len(ys) or any(x.type != y.type for x, y in zip(xs, ys)):
            return False
        for x, y in zip(xs, ys):
            self.tokens[x] = self.tokens[y] = object()
        return True

    def _agree(self, xs: Sequence[Value], ys: Sequence[Value]) -> bool:
        return len(xs) == len(ys) and all(
            self.tokens[x] is self.tokens[y] for x, y in zip(xs, ys))

    def _nodes(self, a: Node, b: Node) -> bool:
        return (a.op is b.op and self._agree(_operands(a), _operands(b)) and _attributes(a, b)
                and self._regions(a, b) and self._bind(a.outputs, b.outputs))

    def _regions(self, a: Node, b: Node) -> bool:
        ours, theirs = captures(a), captures(b)
        return len(ours) == len(theirs) and all(
            self.graphs(g, h, outer_g, outer_h)
            for (g, outer_g), (h, outer_h) in zip(ours, theirs))


def captures(node: Node) -> list[tuple[Graph, Sequence[Value]]]:
    """The regions of a node, each with the operands that its first inputs stand for."""
    if node.op.captures is None:
        return [(graph, ()) for graph in regions(node)]
    return [(graph, node.inputs[part]) for graph, part in node.op.captures(node)]


def _operands(node: Node) -> list[Value]:
    """The operands that are not captured."""
    if node.op.captures is None:
        return list(node.inputs)
    hidden = {i for _, part in node.op.captures(node)
              for i in range(*part.indices(len(node.inputs)))}
    return [v for i, v in enumerate(node.inputs) if i not in hidden]


_COUNTS = ("consts", "cond_consts", "body_consts", "captured")  # of captures
_IGNORED = {True: {*_COUNTS, "name"}, False: {*_COUNTS}}  # the name of a function that is called


def _attributes(a: Node, b: Node) -> bool:
    ignored = _IGNORED[a.op.grouping]
    ours, theirs = ({k: v for k, v in node.attrs.items() if k not in ignored and v is not None
                     and not _is_region(v)} for node in (a, b))
    return ours.keys() == theirs.keys() and all(_equal(ours[k], theirs[k]) for k in ours)


def _is_region(value: Any) -> bool:
    return isinstance(value, Graph) or (
        isinstance(value, tuple) and bool(value) and isinstance(value[0], Graph))


def _equal(x: Any, y: Any) -> bool:
    if isinstance(x, (np.ndarray, np.generic)):
        return same_bits(np.asarray(x), np.asarray(y))
    return bool(x == y)
