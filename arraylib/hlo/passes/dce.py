"""Drop what no output needs: nodes, and outputs of loops and branches that nobody reads."""

from arraylib.hlo.ir import Graph, Node, Value, has_effect


def dce(graph: Graph) -> Graph:
    """`graph` with only the nodes that its outputs need, or that have effects; inputs stay."""
    live = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        used = [v in live for v in node.outputs]
        if any(used) or has_effect(node):
            node = _pruned(node, used)
            kept.append(node)
            live.update(node.inputs)
    nodes = tuple(reversed(kept))
    return graph if nodes == graph.nodes else Graph(graph.inputs, nodes, graph.outputs)


def _pruned(node: Node, used: list[bool]) -> Node:
    """The node without the parts of its regions that are needed for unused outputs only."""
    if node.op.prune is None or has_effect(node):
        return node
    found = node.op.prune(node, used)
    if found is None:
        return node
    inputs, attrs, kept = found
    outputs: tuple[Value, ...] = tuple([v for v, k in zip(node.outputs, kept, strict=True) if k])
    return Node(node.op, tuple(inputs), attrs, outputs, node.where, node.notes)
