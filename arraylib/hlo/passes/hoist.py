"""Take out of a loop what is the same in every step.

    scan(w, h) {(w, h) -> multiply(h, sine(w))}    ->    s = sine(w); scan(s, h) {(s, h) -> ...}

A node moves if it reads nothing but invariant operands of the loop, and is worth keeping: it is
expensive, or its result is no larger than what it reads. (A scalar broadcast to a large array is
made anew in each step: reading it from memory would cost more.)
"""

from collections.abc import Sequence

from arraylib.hlo.ir import Graph, Node, Value
from arraylib.hlo.passes.rewrite import Rewriter, is_pure, rewrite


def hoist(graph: Graph) -> Graph:
    """`graph` with the invariant nodes of its loops in front of them."""
    return rewrite(graph, _rule)


def _rule(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
    start, inputs, attrs = 0, [], dict(node.attrs)
    for region, count in node.op.invariants:
        n = attrs[count]
        outside = node.inputs[start:start + n]
        start += n
        inner, moved = _cut(node.attrs[region], n)
        results = rewriter.paste(moved, outside) if moved.nodes else []
        inputs += [*outside, *results]
        attrs |= {region: inner, count: n + len(results)}
    if len(inputs) == start:
        return None
    return rewriter.emit(node.op, [*inputs, *node.inputs[start:]], attrs)


def _cut(body: Graph, count: int) -> tuple[Graph, Graph]:
    """The body with what moved as further invariant inputs, and the graph of what moved."""
    invariant = set(body.inputs[:count])
    free: set[Value] = set()  # constants: both sides have them
    moved, kept = [], []
    for node in body.nodes:
        if not node.inputs:
            free.update(node.outputs)
        if node.inputs and _moves(node, invariant, free):
            moved.append(node)
            invariant.update(node.outputs)
        else:
            kept.append(node)
    read = {v for node in kept for v in node.inputs} | set(body.outputs)
    results = tuple(v for node in moved for v in node.outputs if v in read)
    constants = [n for n in body.nodes if not n.inputs]
    outer = Graph(body.inputs[:count], (*_read_by(constants, moved), *moved), results)
    return Graph((*body.inputs[:count], *results, *body.inputs[count:]), tuple(kept),
                 body.outputs), outer


def _moves(node: Node, invariant: set[Value], free: set[Value]) -> bool:
    if not is_pure(node) or not all(v in invariant or v in free for v in node.inputs):
        return False
    size = sum(v.type.nbytes for v in node.outputs)
    return node.op.expensive or size <= sum(v.type.nbytes for v in node.inputs if v in invariant)


def _read_by(constants: Sequence[Node], readers: Sequence[Node]) -> list[Node]:
    read = {v for node in readers for v in node.inputs}
    return [node for node in constants if read.intersection(node.outputs)]
