"""What the passes share that take products out of scans and do them for all steps at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from arraylib.hlo.batch import batch
from arraylib.hlo.cost import cost
from arraylib.hlo.ir import Graph, Node, Value, regions
from arraylib.hlo.ops.convolution import convolution
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.ops.reduction import dot_general
from arraylib.hlo.passes.rewrite import is_pure
from arraylib.hlo.split import dependents

PRODUCTS = (dot_general, convolution)

LEAST_WORK = 32        # operations for a byte that is kept of every step: else memory costs more
MOST_ROWS = 256        # that a step multiplies by a constant: so many are fast on their own
FREE_BYTES = 64 << 20  # that all steps may keep, however small the arrays of the loop are
MORE = 2               # times the bytes of the loop's xs and ys that they may keep


class Loop:
    """A scan's body and what its values depend on."""

    def __init__(self, node: Node) -> None:
        attrs = node.attrs
        n: int = attrs["consts"]
        k: int = n + attrs["carry"]
        self.node = node
        self.body: Graph = attrs["body"]
        self.length: int = attrs["length"]
        self.consts, self.carry, self.xs = (
            self.body.inputs[:n], self.body.inputs[n:k], self.body.inputs[k:])
        self.ys = self.body.outputs[k - n:]
        self.varying = dependents(self.body, self.body.inputs[n:])

    @property
    def room(self) -> int:
        """How many bytes of all steps may be kept besides what the loop reads and writes."""
        return max(FREE_BYTES, MORE * self.bytes_of([*self.xs, *self.ys]))

    def bytes_of(self, values: Iterable[Value]) -> int:
        """What values take if those of all steps are kept."""
        return sum(v.type.nbytes for v in values) * self.length

    def is_small_product(self, node: Node) -> bool:
        """Whether a node multiplies few rows of each step by the same matrix or kernel."""
        fixed = [v for v in node.inputs if v not in self.varying]
        work = cost(Graph(node.inputs, (node,), node.outputs)).flops // 2 \
            if node.op in PRODUCTS and len(fixed) == 1 else 0
        return 0 < work <= MOST_ROWS * fixed[0].type.size


def is_scan(node: Node) -> bool:
    """Whether a node is a loop of several steps that may be cut."""
    return node.op is scan and node.attrs["length"] > 1


def work_of(nodes: Iterable[Node]) -> int:
    """Operations on numbers, in one step."""
    return sum(cost(Graph(node.inputs, (node,), node.outputs)).flops for node in nodes)


def batches(node: Node) -> bool:
    """Whether a node can be done for all steps at once, instead of in each."""
    op = node.op
    known = op.batch or op.elementwise or (op.axes is not None and op.relabel is not None)
    return bool(node.inputs and known and not op.batch_node and not regions(node)
                and is_pure(node))


def all_steps(graph: Graph, fixed: Mapping[Value, Any], stacked: Mapping[Value, Any],
              length: int) -> Sequence[Any]:
    """Emit `graph` for all steps at once: its outputs with a leading axis of steps.

    Each input is the same in every step (`fixed`) or has that axis (`stacked`).
    """
    pairs = [(stacked[v], True) if v in stacked else (fixed[v], False) for v in graph.inputs]
    outs = batch(graph, pairs, length)
    assert all(has for _, has in outs), "what is the same in every step is no product of a step's"
    return [x for x, _ in outs]
