"""Cut a graph in two: what can be computed from some of the inputs, and the rest.

Differentiation in reverse rests on this. The graph of values and tangents is cut into the part
that needs no tangent, which runs first, and the part linear in the tangents, which is transposed.
What the second reads of the first are the residuals.
"""

from collections.abc import Iterable, Sequence

from arraylib.hlo.ir import Graph, Node, Value, has_effect
from arraylib.record import record


@record(eq=False)
class Split:
    """`known` and `unknown` share the values of the graph they were cut from.

    known: known inputs -> known outputs, then residuals. unknown: residuals, then the other
    inputs -> the other outputs. `is_known` says for each output of the graph which part has it.
    """

    known: Graph
    unknown: Graph
    residuals: tuple[Value, ...]
    is_known: tuple[bool, ...]


def dependents(graph: Graph, sources: Iterable[Value]) -> set[Value]:
    """`sources` and every value computed from one of them."""
    found = set(sources)
    for node in graph.nodes:
        if not found.isdisjoint(node.inputs):
            found.update(node.outputs)
    return found


def split(graph: Graph, known: Sequence[bool], pruned: bool = False) -> Split:
    """Cut `graph` after what the inputs marked in `known` determine.

    Nodes without operands (constants) are copied into both parts instead of becoming residuals.
    What no output needs is left out, unless the graph is `pruned`: it has nothing like that.
    """
    graph = graph if pruned else needed(graph)
    unknown_inputs = [v for v, k in zip(graph.inputs, known, strict=True) if not k]
    later = dependents(graph, unknown_inputs)
    first = [n for n in graph.nodes if later.isdisjoint(n.outputs)]
    second = [n for n in graph.nodes if not later.isdisjoint(n.outputs)]
    free = {v for n in first if not n.inputs for v in n.outputs}
    is_known = tuple(v not in later for v in graph.outputs)
    read = dict.fromkeys(v for n in second for v in n.inputs if v not in later)
    residuals = tuple(v for v in read if v not in free)
    copied = [n for n in first if any(v in read and v in free for v in n.outputs)]
    known_inputs = tuple(v for v, k in zip(graph.inputs, known) if k)
    known_outputs = tuple(v for v, k in zip(graph.outputs, is_known) if k)
    unknown_outputs = tuple(v for v, k in zip(graph.outputs, is_known) if not k)
    return Split(
        Graph(known_inputs, tuple(first), (*known_outputs, *residuals)),
        Graph((*residuals, *unknown_inputs), (*copied, *second), unknown_outputs),
        residuals, is_known)


def needed(graph: Graph) -> Graph:
    """`graph` without the nodes that no output needs; inputs stay."""
    live = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if not live.isdisjoint(node.outputs) or has_effect(node):
            kept.append(node)
            live.update(node.inputs)
    return Graph(graph.inputs, tuple(reversed(kept)), graph.outputs)


def read_by(graph: Graph) -> set[Value]:
    """The values that the nodes or outputs of `graph` read, inputs among them."""
    return {v for node in graph.nodes for v in node.inputs}.union(graph.outputs)
