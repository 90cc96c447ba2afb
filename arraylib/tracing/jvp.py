"""Forward-mode differentiation: each value becomes a (value, tangent) pair."""

from collections.abc import Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.errors import TraceError, mistake, of_derivative
from arraylib.hlo.ir import Graph, Node, current, emit_like, locate, rebuild, type_of
from arraylib.hlo.opdef import SAME
from arraylib.hlo.ops.elementwise import add

Pair = tuple[Any, Any]


def jvp(graph: Graph, primals: Sequence[Any], tangents: Sequence[Any]) -> list[Pair]:
    """Emit `graph` on pairs. A tangent of None is a zero that nobody computed."""
    return list(rebuild(graph, list(zip(primals, tangents, strict=True)), _rule))


def _rule(node: Node, pairs: list[Pair]) -> Sequence[Pair]:
    xs, ts = [p for p, _ in pairs], [t for _, t in pairs]
    op = node.op
    if all(t is None for t in ts):
        return [(out, None) for out in emit_like(node, xs)]
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
        return current().emit(node.op, operands, node.attrs, of_derivative(node.where))[0]
    return rule(t, out, *xs, **node.attrs)
