"""Write out operations that only group others.

    %1 = call(%0) {body: (x) -> multiply(x, x)}    ->    %1 = multiply(%0, %0)

A grouping operation (a call, a checkpoint) stands for what is inside: what it had to tell to
differentiation is told by now.
"""

from collections.abc import Sequence

from arraylib.hlo.ir import Graph, Node, Value
from arraylib.hlo.passes.rewrite import Rewriter, rewrite


def inline(graph: Graph) -> Graph:
    """`graph` with the bodies of calls in place of the calls."""
    return rewrite(graph, _rule)


def _rule(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
    if not node.op.grouping or node.op.expand is None:
        return None
    outputs = node.op.expand(*node.inputs, **node.attrs)
    return tuple(outputs) if node.op.multiple else (outputs,)
