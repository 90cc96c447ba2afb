"""Compute values again where they are needed late, instead of keeping them until then.

    a = tanh(x); ...; use(a)    ->    a = tanh(x); ...; x', _ = barrier(x, ...); use(tanh(x'))

At the moment at which most memory is in use, each value that is needed later is either kept, which
costs its bytes, or computed again from others that are, which costs the work. At a price for bytes
in work, the cheapest choice is a minimum cut (Jain et al., "Checkmate", 2020, solve a more general
problem; Zheng et al., "Min-cut rematerialization", 2022, have this cut). What is computed again is
so right before it is first needed, and behind a barrier, so that no pass merges the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from arraylib.hlo.cost import cost
from arraylib.hlo.ir import Graph, Node, Value, has_effect
from arraylib.hlo.ops.control import optimization_barrier
from arraylib.hlo.passes.min_cut import NEVER, Network
from arraylib.hlo.passes.rewrite import Rewriter, with_operands
from arraylib.record import record

_LEAST = 64  # bytes that any value in memory takes
_FUNCTION = 16  # operations that a function like sine counts for


@record
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
    found = cost(node)
    return 1 + found.flops + _FUNCTION * found.transcendentals \
        + sum(v.type.size for v in node.outputs)


class Moment:
    """The graph at the moment when most memory is in use: what is needed after it of before."""

    def __init__(self, graph: Graph, share: float = 1.0,
                 works: dict[Node, int] | None = None) -> None:
        """Of what is needed then, the first `share` may be computed again; the rest is kept.

        `works` has what is known of nodes' work, and is added to.
        """
        self.graph = graph
        place = _fullest(graph)
        self._first, self._second = graph.nodes[:place], graph.nodes[place:]
        needed = {v for node in self._second for v in node.inputs}
        early = self._first[:_end_of(share, self._first, needed)]
        self.made = {v: node for node in early for v in node.outputs}
        results = set(graph.outputs)
        self.needed = [v for v in self.made if v in needed]
        self.free = {v for v in self.made if v in results or not self.made[v].inputs}
        known = {} if works is None else works
        known.update((node, work(node)) for node in early if node not in known)
        self.work = {node: known[node] for node in early}
        self._cut: _Cut | None = None

    def at_price(self, price: float) -> Choice:
        """The cheapest choice if keeping a byte costs as much as `price` operations.

        Prices that rise are found fastest.
        """
        again = self._again(price)
        rebuilt = _Rebuilt(self.made, again)
        graph = rebuilt.graph(self.graph, self._first, self._second)
        nodes = tuple(node for node in self._first if node in rebuilt.done)
        made = {v for node in nodes for v in node.outputs}
        kept = tuple(dict.fromkeys(v for node in nodes for v in node.inputs
                                   if v in self.made and v not in made and v not in self.free))
        return Choice(graph, nodes, sum(self.work[node] for node in nodes), kept)

    def _again(self, price: float) -> set[Node]:
        """Nodes that are computed again, by a cut: what lies on the sink's side is needed late."""
        if self._cut is None or price < self._cut.price:
            self._cut = _Cut(self)
        return self._cut.again(price)


class _Cut:
    """The network of a moment, whose cuts are found for prices that rise.

    There is an edge from the source to each node, to be cut for its work, and one from there to
    each value that it makes, to be cut for its bytes. From a value to those who read it nothing
    may be cut: what has one reader only, or is needed late, has no place but that one's.
    """

    def __init__(self, moment: Moment) -> None:
        self.price = 0.0
        self._network = network = Network()
        self._source, self._sink = network.place(), network.place()
        self._bytes: list[tuple[int, int]] = []  # edges, and the bytes that cutting them keeps
        self._places: dict[Node, int] = {}
        roots: dict[int, Node] = {}
        for node, places in _readers(moment, self._places, self._sink):
            into = places.get(node.outputs[0], [self._sink])
            if len(node.outputs) == len(into) == 1 and into[0] in roots \
                    and _joins(node, roots[into[0]]):
                self._places[node] = into[0]
                network.edge(self._source, into[0], moment.work[node])
                continue
            place = self._places[node] = network.place()
            roots[place] = node
            network.edge(self._source, place, moment.work[node] if _may_repeat(node) else NEVER)
            for value in node.outputs:
                if value in places:
                    edge = network.edge(place, self._end(places[value]), 0)
                    self._bytes.append((edge, value.type.nbytes))

    def _end(self, places: Sequence[int]) -> int:
        """The place of a value that is read at these."""
        if self._sink in places:
            return self._sink
        if len(places) == 1:
            return places[0]
        end = self._network.place()
        for place in places:
            self._network.edge(end, place, NEVER)
        return end

    def again(self, price: float) -> set[Node]:
        """The nodes on the sink's side; `price` is not below the one before."""
        for edge, nbytes in self._bytes:
            self._network.widen(edge, int(price * nbytes) - int(self.price * nbytes))
        self.price = price
        near = self._network.near(self._source, self._sink)
        return {node for node, place in self._places.items() if place not in near}


def _readers(moment: Moment, places: Mapping[Node, int],
             sink: int) -> Iterator[tuple[Node, dict[Value, list[int]]]]:
    """The nodes that what is needed late comes from, from the last on, and the places of those who
    read what they make: in `places` by then, the sink for what is needed late."""
    reading: dict[Value, list[int]] = {v: [sink] for v in moment.needed if v not in moment.free}
    for node in reversed(moment.work):
        found = {v: reading[v] for v in node.outputs if v in reading}
        if found:
            yield node, found
            for value in node.inputs:
                if value in moment.made and value not in moment.free:
                    known = reading.setdefault(value, [])
                    if places[node] not in known:
                        known.append(places[node])


def _joins(node: Node, root: Node) -> bool:
    """Whether a node that only those at one place read is there as well.

    To keep what the last node there makes, the root, costs no more than to keep what this one
    makes, and saves the work between the two.
    """
    return _may_repeat(node) and _may_repeat(root) \
        and _held_bytes(node) >= _held_bytes(root)


def _held_bytes(node: Node) -> int:
    return sum(max(_LEAST, v.type.nbytes) for v in node.outputs)


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
