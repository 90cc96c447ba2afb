"""Forward-mode differentiation: each value becomes a (value, tangent) pair."""

from collections.abc import Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.errors import Source, TraceError, mistake, of_derivative
from arraylib.hlo.ir import Graph, Node, current, emit_like, locate, located, type_of
from arraylib.hlo.opdef import SAME
from arraylib.hlo.ops.elementwise import add

Pair = tuple[Any, Any]


def jvp(graph: Graph, primals: Sequence[Any], tangents: Sequence[Any]) -> list[Pair]:
    """Emit `graph` on pairs. A tangent of None is a zero that nobody computed."""
    values = dict(zip(graph.inputs, primals, strict=True))
    changes = {v: t for v, t in zip(graph.inputs, tangents, strict=True) if t is not None}
    target = current()
    with located(None):
        for node in graph.nodes:
            locate(node.where)
            xs = [values[v] for v in node.inputs]
            if changes.keys().isdisjoint(node.inputs):
                values.update(zip(node.outputs, target.again(node, xs), strict=True))
                continue
            pairs = _rule(node, xs, [changes.get(v) for v in node.inputs])
            for v, (x, t) in zip(node.outputs, pairs, strict=True):
                values[v] = x
                if t is not None:
                    changes[v] = t
    return [(values[v], changes.get(v)) for v in graph.outputs]


def _rule(node: Node, xs: list[Any], ts: list[Any]) -> Sequence[Pair]:
    """The results of a node some of whose operands have tangents, with theirs."""
    op = node.op
    locate(of_derivative(node.where))  # for tangents: values are those of the node
    if op.jvp_node:
        return op.jvp_node(jvp, node, xs, ts)  # type: ignore[no-any-return]
    (out,) = emit_like(node, xs)
    if not dt.is_inexact(type_of(out).dtype):
        return [(out, None)]
    if not op.jvp:
        raise mistake(TraceError, op.name, "has no derivative rule", where=node.where,
                      hint="custom_jvp gives a function its derivative, stop_gradient cuts it "
                           "off")
    tangent = None
    for i, t in enumerate(ts):
        part = None if t is None else _part(node, i, t, out, xs)
        if part is not None:
            tangent = part if tangent is None else add(tangent, part)
    return [(out, tangent)]


def _part(node: Node, i: int, t: Any, out: Any, xs: list[Any]) -> Any:
    """What the tangent of operand i adds to the result's."""
    rule = node.op.jvp[i]
    if rule is None:
        return None
    if rule is SAME:
        operands = [*xs[:i], t, *xs[i + 1:]]
        if node.where.__class__ is Source:
            return current().again(node, operands)[0]
        return current().emit(node.op, operands, node.attrs, of_derivative(node.where))[0]
    return rule(t, out, *xs, **node.attrs)
