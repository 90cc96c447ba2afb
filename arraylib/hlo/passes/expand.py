"""Write out operations that the backend does not have in terms of those it has.

    %1 = tan(%0)    ->    %1 = sine(%0); %2 = cosine(%0); %3 = divide(%1, %2)
"""

from collections.abc import Callable, Sequence

from arraylib.hlo.ir import Graph, Node, Value
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.passes.rewrite import Rewriter, rewrite

Native = Callable[[OpDef, Node], bool]  # whether a backend takes an operation, in this use of it


def expand(graph: Graph, native: Native) -> Graph:
    """`graph` with each operation that is not native replaced by its `expand` rule, if any."""
    def rule(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
        if node.op.expand is None or native(node.op, node):
            return None
        outputs = node.op.expand(*node.inputs, **node.attrs)
        return tuple(outputs) if node.op.multiple else (outputs,)
    # An expansion may contain operations that are to be expanded in turn.
    while (expanded := rewrite(graph, rule)) is not graph:
        graph = expanded
    return graph
