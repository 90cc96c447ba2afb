"""Write out operations that only group others.

    %1 = call(%0) {body: (x) -> multiply(x, x)}    ->    %1 = multiply(%0, %0)

An operation with a region and an `expand` rule (a call, a checkpoint) stands for what is inside;
what it had to tell to differentiation is told by now.
"""

from collections.abc import Sequence

from arraylib.hlo.ir import Graph, Node, Value
from arraylib.hlo.passes.rewrite import Rewriter, regions, rewrite


def inline(graph: Graph) -> Graph:
    """`graph` with the bodies of calls in place of the calls."""
    return rewrite(graph, _rule)


def _rule(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
    if not node.op.expand or not regions(node):
        return None
    return tuple(node.op.expand(*node.inputs, **node.attrs))
