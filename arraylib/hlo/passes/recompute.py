"""Compute values again where they are needed late, instead of keeping them until then.

    a = tanh(x); ...; use(a)    ->    a = tanh(x); ...; x', _ = barrier(x, ...); use(tanh(x'))

At the moment at which most memory is in use, each value that is needed later is either kept, which
costs its bytes, or computed again from others that are, which costs the work. At a price for bytes
in work, the cheapest choice is a minimum cut (Jain et al., "Checkmate", 2020, solve a more general
problem; Zheng et al., "Min-cut rematerialization", 2022, have this cut). What is computed again is
so right before it is first needed, and behind a barrier, so that no pass merges the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from arraylib.hlo.cost import cost
from arraylib.hlo.ir import Graph, Node, Value, has_effect
from arraylib.hlo.ops.control import optimization_barrier
from arraylib.hlo.passes.min_cut import NEVER, Network
from arraylib.hlo.passes.rewrite import Rewriter, with_operands

_FUNCTION = 16  # operations that a function like sine counts for


@dataclass(frozen=True)
class Choice:
    """A graph that computes some nodes twice: these, and the work of it.

    kept: the values that are read for it, and kept although the first part has done with them.
    """

    graph: Graph
    again: tuple[Node, ...]
    work: int
    kept: tuple[Value, ...]


def work(node: Node) -> int:
    """What computing a node costs, in operations on numbers; moving one counts as one."""
    found = cost(Graph(node.inputs, (node,), node.outputs))
    return 1 + found.flops + _FUNCTION * found.transcendentals \
        + sum(v.type.size for v in node.outputs)


class Moment:
    """The graph at the moment when most memory is in use: what is needed after it of before."""

    def __init__(self, graph: Graph, share: float = 1.0) -> None:
        """Of what is needed then, the first `share` may be computed again; the rest is kept."""
        self.graph = graph
        place = _fullest(graph)
        self._first, self._second = graph.nodes[:place], graph.nodes[place:]
        needed = {v for node in self._second for v in node.inputs}
        early = self._first[:_end_of(share, self._first, needed)]
        self._made = {v: node for node in early for v in node.outputs}
        results = set(graph.outputs)
        self.needed = [v for v in self._made if v in needed]
        self._free = {v for v in self._made if v in results or not self._made[v].inputs}
        self._work = {node: work(node) for node in early}

    def at_price(self, price: float) -> Choice:
        """The cheapest choice if keeping a byte costs as much as `price` operations."""
        again = self._again(price)
        rebuilt = _Rebuilt(self._made, again)
        graph = rebuilt.graph(self.graph, self._first, self._second)
        nodes = tuple(node for node in self._first if node in rebuilt.done)
        made = {v for node in nodes for v in node.outputs}
        kept = tuple(dict.fromkeys(v for node in nodes for v in node.inputs
                                   if v in self._made and v not in made and v not in self._free))
        return Choice(graph, nodes, sum(self._work[node] for node in nodes), kept)

    def _again(self, price: float) -> set[Node]:
        """Nodes that are computed again, by a cut: what lies on the sink's side is needed late."""
        network = Network()
        source, sink = network.place(), network.place()
        nodes: dict[Node, int] = {}
        values: dict[Value, int] = {}
        waiting = [v for v in self.needed if v not in self._free]
        for value in waiting:
            values[value] = network.place()
            network.edge(values[value], sink, NEVER)
        while waiting:
            value = waiting.pop()
            node = self._made[value]
            if node not in nodes:
                nodes[node] = network.place()
                network.edge(source, nodes[node], self._work[node] if _may_repeat(node) else NEVER)
                for read in node.inputs:
                    if read not in self._made or read in self._free:
                        continue
                    if read not in values:
                        values[read] = network.place()
                        waiting.append(read)
                    network.edge(values[read], nodes[node], NEVER)
            network.edge(nodes[node], values[value], int(price * value.type.nbytes))
        near = network.near(source, sink)
        return {node for node, place in nodes.items() if place not in near}


def _may_repeat(node: Node) -> bool:
    return not node.op.opaque and not has_effect(node)


def _fullest(graph: Graph) -> int:
    """After how many nodes the values that are needed later have the most bytes."""
    last: dict[Value, int] = {}
    for i, node in enumerate(graph.nodes):
        last.update(dict.fromkeys(node.inputs, i))
    results = set(graph.outputs)
    ends: list[int] = [0] * (len(graph.nodes) + 1)
    live = most = place = 0
    for i, node in enumerate(graph.nodes):
        live -= ends[i]
        for v in node.outputs:
            if v not in results and v in last and node.inputs:
                live += v.type.nbytes
                ends[last[v]] += v.type.nbytes
        if live > most:
            most, place = live, i + 1
    return place


def _end_of(share: float, nodes: Sequence[Node], needed: set[Value]) -> int:
    """How many nodes make this share of the bytes that are needed."""
    made = [sum(v.type.nbytes for v in node.outputs if v in needed) for node in nodes]
    left = share * sum(made)
    for i, nbytes in enumerate(made):
        if left <= 0:
            return i
        left -= nbytes
    return len(nodes)


class _Rebuilt:
    """The second part of a graph, with nodes of the first again where it first needs them."""

    def __init__(self, made: dict[Value, Node], again: set[Node]) -> None:
        self._made, self._again = made, again
        self._copies: dict[Value, Value] = {}
        self.done: set[Node] = set()
        self._rewriter = Rewriter()

    def graph(self, graph: Graph, first: Sequence[Node], second: Sequence[Node]) -> Graph:
        latest = next((v for node in reversed(first) for v in node.outputs), None)
        rewriter = self._rewriter
        with rewriter:
            for node in first:
                rewriter.keep(node)
            for node in second:
                if latest is not None and any(self._is_late(v) for v in node.inputs):
                    self._repeat(node, latest)
                node = with_operands(node, self._copies)
                rewriter.keep(node)
                if node.inputs and node.outputs:
                    latest = node.outputs[0]
        return Graph(graph.inputs, tuple(rewriter.nodes), graph.outputs)

    def _is_late(self, value: Value) -> bool:
        return value not in self._copies and self._made.get(value) in self._again

    def _repeat(self, reader: Node, latest: Value) -> None:
        """Compute again what a node reads, from values that are there once `latest` is."""
        nodes: dict[Node, None] = {}
        self._collect(reader, nodes)
        fresh = {v for node in nodes for v in node.outputs}
        reads = list(dict.fromkeys(
            v for node in nodes for v in node.inputs if v not in fresh and v not in self._copies
            and (v not in self._made or self._made[v].inputs)))
        self._rewriter.where = reader.where
        behind = self._rewriter.emit(optimization_barrier, [*reads, latest], {})
        known = dict(self._copies)
        known.update(zip(reads, behind))
        for node in nodes:
            outs = self._rewriter.emit(
                node.op, [known.get(v, v) for v in node.inputs], node.attrs, node.where)
            known.update(zip(node.outputs, outs))
            self._copies.update(zip(node.outputs, outs))
            self.done.add(node)

    def _collect(self, reader: Node, nodes: dict[Node, None]) -> None:
        """The nodes behind what is read, each after those that it reads."""
        waiting = [(self._made[v], False) for v in reversed(reader.inputs) if self._is_late(v)]
        while waiting:
            node, ready = waiting.pop()
            if ready:
                nodes[node] = None
            elif node not in nodes:
                waiting.append((node, True))
                waiting += [(self._made[v], False) for v in node.inputs if self._is_late(v)]
