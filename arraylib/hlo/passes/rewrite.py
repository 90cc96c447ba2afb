"""What passes share: walking a graph while replacing values, and reaching into regions.

A pass keeps the values and nodes it does not change, so that its result shares them with the graph
it came from. Only nodes that it adds, or whose operands it replaces, are new.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

from arraylib.errors import Source
from arraylib.hlo.ir import Builder, Graph, Node, Value, regions
from arraylib.hlo.opdef import OpDef

Pass = Callable[[Graph], Graph]


class Rewriter(Builder):
    """A builder in which new nodes stand among those of the graph being rewritten.

    `defined` has the node behind each value, and `where` the line that new nodes belong to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.defined: dict[Value, Node] = {}
        self.where: Source | None = None

    def own(self, x: Any) -> Value:
        return x if isinstance(x, Value) else super().own(x)

    def emit(self, op: OpDef, inputs: Sequence[Any], attrs: dict[str, Any],
             where: Source | None = None) -> tuple[Value, ...]:
        outputs = super().emit(op, inputs, attrs, where or self.where)
        self.defined.update(dict.fromkeys(outputs, self.nodes[-1]))
        return outputs

    def again(self, node: Node, inputs: Sequence[Any]) -> tuple[Value, ...]:
        return self.emit(node.op, inputs, node.attrs, node.where)

    def keep(self, node: Node) -> None:
        """Append a node that is there already."""
        self.nodes.append(node)
        for value in node.outputs:
            self.defined[value] = node

    def paste(self, graph: Graph, inputs: Sequence[Value]) -> list[Value]:
        """Append a copy of a graph's nodes, and return the copies of its outputs."""
        env = dict(zip(graph.inputs, inputs, strict=True))
        for node in graph.nodes:
            outputs = tuple([self.value_class(v.type, self) for v in node.outputs])
            env.update(zip(node.outputs, outputs))
            self.keep(Node(node.op, tuple([env[v] for v in node.inputs]), node.attrs, outputs,
                           node.where, node.notes))
        return [env[v] for v in graph.outputs]


Rule = Callable[[Node, Rewriter], Sequence[Value] | None]


def rewrite(graph: Graph, rule: Rule) -> Graph:
    """The graph in which `rule` has replaced nodes; the graph itself if it replaced none.

    `rule(node, rewriter)` returns the values to be used for the node's outputs, or None to keep
    it. It sees operands that are replaced already, and may emit nodes.
    """
    replaced: dict[Value, Value] = {}
    rewriter = Rewriter()
    with rewriter:
        for node in graph.nodes:
            if replaced:
                node = with_operands(node, replaced)
            rewriter.where = node.where
            results = rule(node, rewriter)
            if results is None:
                rewriter.keep(node)
            else:
                replaced.update(zip(node.outputs, results, strict=True))
    if not replaced:
        return graph
    return Graph(graph.inputs, tuple(rewriter.nodes),
                 tuple([replaced.get(v, v) for v in graph.outputs]))


def with_operands(node: Node, replaced: dict[Value, Value]) -> Node:
    """The node on operands that `replaced` puts in the place of its own."""
    for value in node.inputs:
        if value in replaced:
            inputs = tuple([replaced.get(v, v) for v in node.inputs])
            return Node(node.op, inputs, node.attrs, node.outputs, node.where, node.notes)
    return node


# -- regions ---------------------------------------------------------------------------------------


def map_regions(node: Node, change: Pass) -> Node:
    """The node with its regions changed; the node itself if they all stay what they are."""
    before = regions(node)
    if not before:
        return node
    after = [change(graph) for graph in before]
    if all(x is y for x, y in zip(before, after)):
        return node
    new = dict(zip(before, after))
    attrs = {name: tuple([new[g] for g in value]) if value.__class__ is tuple and value
             and value[0].__class__ is Graph else new.get(value, value)
             if value.__class__ is Graph else value for name, value in node.attrs.items()}
    return Node(node.op, node.inputs, attrs, node.outputs, node.where, node.notes)


def everywhere(change: Pass) -> Pass:
    """The pass that does `change` in all regions, the innermost first, and then outside."""
    done: dict[Graph, Graph] = {}
    def deep(graph: Graph) -> Graph:
        if graph not in done:
            done[graph] = change(_inside(graph, deep))
        return done[graph]
    return deep


def _inside(graph: Graph, change: Pass) -> Graph:
    """The graph with the regions of its nodes changed; the graph itself if they stay."""
    nodes = [map_regions(node, change) if node.attrs else node for node in graph.nodes]
    if all(map(operator.is_, nodes, graph.nodes)):
        return graph
    return Graph(graph.inputs, tuple(nodes), graph.outputs)


def is_pure(node: Node) -> bool:
    """Whether a node may be merged with its equals, evaluated in advance and moved."""
    op, inner = node.op, regions(node)
    return not op.opaque and not op.effect and (not inner or all(
        is_pure(each) for region in inner for each in region.nodes))
