"""Do after a loop, for all steps at once, the products that no later step waits for.

    scan(s, h, gs) {(s, h, g) -> add(s, dot(h, g)), ..}    ->    hs = scan(..); add(s, dot(hs, gs))
    scan(w, h, xs) {(w, h, x) -> .., dot(h, w)}            ->    hs = scan(..); dot(hs, w)

A product that is added up over the steps, as gradients of weights are, becomes one that also sums
over steps; one that goes into a step's results only, with what becomes of it, is done of all rows
together. What such products read is kept of every step, unless it is in the xs or ys anyway. A
sum of products moves where its array has at least half the bytes that a step would keep: each step
reads and writes the array. Sums of what is kept for that (gradients of biases) move along.
Products with a constant move under the same conditions as in `ahead`; what comes between them and
the results has to be within the same bytes.

It is sound since no step reads what moves, as the number of steps is known. Sums are added up in
another order, within one product. Nothing with an effect moves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from arraylib.hlo.ir import Graph, Node, Value, has_effect
from arraylib.hlo.ops.elementwise import add
from arraylib.hlo.ops.reduction import dot_general
from arraylib.hlo.ops.structured import reduce_add, reshape, transpose
from arraylib.hlo.passes.rewrite import Rewriter, rewrite
from arraylib.hlo.passes.steps import (
    LEAST_WORK,
    Loop,
    all_steps,
    batches,
    is_scan,
    work_of,
)
from arraylib.hlo.split import dependents, needed
from arraylib.record import record

_MOVES = (transpose, reshape)  # operations that are the same of a sum as of its terms


def afterwards(graph: Graph) -> Graph:
    """`graph` with such products of its scans behind them."""
    return rewrite(graph, _rule)


def _rule(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
    if not is_scan(node):
        return None
    cut = _Cut(Loop(node))
    cut.choose_results()
    cut.choose_sums()
    return cut.emit(rewriter) if cut.sums or cut.late else None


@record(eq=False)
class _Sum:
    """A part of the carry to which each step adds `nodes[-1](.. nodes[0](..))`."""

    place: int
    nodes: tuple[Node, ...]

    def emit(self, first: Any, kept: Callable[[Value], Any]) -> Any:
        """The sum over all steps, added to what the carry begins with."""
        term, *moves = self.nodes
        total = _SUMMED[term.op](term, [kept(v) for v in term.inputs])
        for node in moves:
            total = node.op(total, **node.attrs)
        return add(first, total)


def _summed_products(node: Node, operands: Sequence[Any]) -> Any:
    attrs = node.attrs
    def inside(name: str) -> tuple[int, ...]:
        return tuple(d + 1 for d in attrs[name])
    return dot_general(*operands, **attrs | {
        "lhs_batching": inside("lhs_batching"), "rhs_batching": inside("rhs_batching"),
        "lhs_contracting": (0, *inside("lhs_contracting")),
        "rhs_contracting": (0, *inside("rhs_contracting"))})


def _summed_sums(node: Node, operands: Sequence[Any]) -> Any:
    return reduce_add(*operands, dimensions=(0, *(d + 1 for d in node.attrs["dimensions"])))


# What sums what an operation gives in each step, from its operands with a leading axis of steps.
_SUMMED: dict[Any, Callable[[Node, Sequence[Any]], Any]] = {
    dot_general: _summed_products, reduce_add: _summed_sums}


class _Cut:
    """What of a loop is done afterwards, and what is kept of every step for that."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.moved: set[Node] = set()
        self.sums: list[_Sum] = []
        self.kept: dict[Value, None] = {}  # new results of the body
        self.defined = {v: node for node in loop.body.nodes for v in node.outputs}
        self.reads = Counter([*(v for node in loop.body.nodes for v in node.inputs),
                              *loop.body.outputs])

    @property
    def late(self) -> list[Value]:
        """The results of steps that are computed afterwards."""
        return [y for y in self.loop.ys if self.defined.get(y) in self.moved]

    # -- results of steps --------------------------------------------------------------------------

    def choose_results(self) -> None:
        """Take products with constants that only results of steps read, and what they become."""
        free = _only_for_results(self.loop)
        for node in self.loop.body.nodes:
            if node in free and self.loop.is_small_product(node):
                after = dependents(self.loop.body, node.outputs)
                moved = self.moved | {n for n in self.loop.body.nodes
                                      if not after.isdisjoint(n.outputs)}
                kept = self._read_by(moved)
                new = [v for v in kept if v not in self.kept]
                enough = work_of([node]) >= LEAST_WORK * sum(v.type.nbytes for v in new)
                if enough and self._has_room({**kept, **self._between(moved)}):
                    self.moved, self.kept = moved, kept

    def _read_by(self, moved: set[Node]) -> dict[Value, None]:
        """What these nodes read of the steps that is neither in xs nor in the ys that stay."""
        made = {v for node in moved for v in node.outputs}
        there = {*self.loop.xs, *self.loop.ys} - made
        return dict.fromkeys(v for node in self.loop.body.nodes if node in moved
                             for v in node.inputs
                             if v in self.loop.varying and v not in made and v not in there)

    def _between(self, moved: set[Node]) -> dict[Value, None]:
        """What these nodes compute of all steps on the way to the results."""
        made = dict.fromkeys(v for node in moved for v in node.outputs)
        return {v: None for v in made if v not in set(self.loop.ys)}

    def _has_room(self, kept: Iterable[Value]) -> bool:
        return self.loop.bytes_of(kept) <= self.loop.room

    # -- sums over steps ---------------------------------------------------------------------------

    def choose_sums(self) -> None:
        """Take sums of products that are worth what is kept for them; then sums of what is kept."""
        sums = [found for i in range(len(self.loop.carry)) if (found := self._sum(i))]
        products = [found for found in sums if found.nodes[0].op is dot_general]
        while products and not self._pays(products):
            products.remove(max(products, key=lambda s: _nbytes(self._new([s]))))
        self.kept |= self._new(products)
        self.sums = [s for s in sums if s in products
                     or s.nodes[0].op is not dot_general and not self._new([s])]

    def _pays(self, sums: Sequence[_Sum]) -> bool:
        new = self._new(sums)
        arrays = _nbytes(self.loop.carry[s.place] for s in sums)
        return _nbytes(new) <= 2 * arrays and self._has_room({**self.kept, **new})

    def _new(self, sums: Sequence[_Sum]) -> dict[Value, None]:
        """What must be kept for these sums that is not kept yet."""
        there = {*self.loop.xs, *self.loop.ys, *self.kept} - set(self.late)
        return dict.fromkeys(v for s in sums for v in s.nodes[0].inputs if v not in there)

    def _sum(self, place: int) -> _Sum | None:
        """The sum in a part of the carry, if that serves for nothing else."""
        before, after = self.loop.carry[place], self.loop.body.outputs[place]
        node = self._once(after)
        if node is None or node.op is not add or self.reads[before] != 1 \
                or before not in node.inputs:
            return None
        nodes: list[Node] = []
        term = self._once(node.inputs[node.inputs[0] is before])
        while term is not None and term.op in _MOVES:
            nodes.append(term)
            term = self._once(term.inputs[0])
        if term is None or term.op not in _SUMMED or not self.loop.varying.issuperset(term.inputs):
            return None
        return _Sum(place, (term, *reversed(nodes)))

    def _once(self, value: Value) -> Node | None:
        """The node of a value that is read once."""
        return self.defined.get(value) if self.reads[value] == 1 else None

    # -- both --------------------------------------------------------------------------------------

    def emit(self, rewriter: Rewriter) -> list[Value]:
        """The loop and what comes after it; returns what stands for the outputs of the loop."""
        node, loop = self.loop.node, self.loop
        gone, late = {s.place for s in self.sums}, self.late
        places = [i for i in range(len(loop.carry)) if i not in gone]
        results = [*dict.fromkeys(y for y in loop.ys if y not in late), *self.kept]
        body = needed(Graph((*loop.consts, *(loop.carry[i] for i in places), *loop.xs),
                            loop.body.nodes, (*(loop.body.outputs[i] for i in places), *results)))
        outer = dict(zip(loop.body.inputs, node.inputs))
        outs = rewriter.emit(node.op, [outer[v] for v in body.inputs],
                             node.attrs | {"body": body, "carry": len(places)})
        carried = dict(zip(places, outs))
        stacked = {v: outer[v] for v in loop.xs} | dict(zip(results, outs[len(places):]))
        for s in self.sums:
            carried[s.place] = s.emit(outer[loop.carry[s.place]], stacked.__getitem__)
        stacked |= zip(late, self._after(late, outer, stacked))
        return [*(carried[i] for i in range(len(loop.carry))), *(stacked[y] for y in loop.ys)]

    def _after(self, late: Sequence[Value], outer: Mapping[Value, Any],
               stacked: Mapping[Value, Any]) -> Sequence[Any]:
        """These results of all steps."""
        loop = self.loop
        nodes = tuple(node for node in loop.body.nodes if node in self.moved
                      or not has_effect(node) and not loop.varying.intersection(node.outputs))
        graph = needed(Graph((*loop.consts, *stacked), nodes, tuple(late)))
        return all_steps(graph, {v: outer[v] for v in loop.consts}, stacked, loop.length)


def _nbytes(values: Iterable[Value]) -> int:
    return sum(v.type.nbytes for v in values)


def _only_for_results(loop: Loop) -> set[Node]:
    """The nodes that no later step waits for, and that can be done for all steps at once."""
    waited = set(loop.body.outputs[:len(loop.carry)])
    found: set[Node] = set()
    for node in reversed(loop.body.nodes):
        if batches(node) and waited.isdisjoint(node.outputs):
            found.add(node)
        else:
            waited.update(node.inputs)
    return found
