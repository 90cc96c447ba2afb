"""Reverse-mode differentiation: run a linear graph backwards, from cotangents to cotangents."""

from collections.abc import Sequence
from typing import Any

from arraylib.errors import TraceError, mistake, of_derivative
from arraylib.hlo.ir import Graph, Node, Value, current, locate, located
from arraylib.hlo.ops.elementwise import add
from arraylib.hlo.split import dependents


def transpose(graph: Graph, linear: Sequence[bool], operands: Sequence[Any],
              cotangents: Sequence[Any]) -> list[Any]:
    """Emit the transpose of `graph`, which is linear in the inputs marked in `linear`.

    `operands` has the values of the other inputs (and anything at the marked ones); `cotangents`
    one for each output, None for zero. Returns a cotangent, or None, for each marked input.
    """
    known = {v: x for v, x, m in zip(graph.inputs, operands, linear, strict=True) if not m}
    later = dependents(graph, [v for v, m in zip(graph.inputs, linear) if m])
    backward = _run_known(graph, known, later)
    sums: dict[Value, Any] = {}
    for value, ct in zip(graph.outputs, cotangents, strict=True):
        if value in later:
            _accumulate(sums, value, ct)
    with located(None):
        for node in reversed(backward):
            if not sums.keys().isdisjoint(node.outputs):
                locate(of_derivative(node.where))
                _step(node, known, later, sums)
    return [sums.get(v) for v, m in zip(graph.inputs, linear) if m]


def _run_known(graph: Graph, known: dict[Value, Any], later: set[Value]) -> list[Node]:
    """Emit what does not depend on the linear inputs; return the nodes that do."""
    backward, target = [], current()
    for node in graph.nodes:
        if not later.isdisjoint(node.inputs):
            backward.append(node)
        else:
            outs = target.again(node, [known[v] for v in node.inputs])
            known.update(zip(node.outputs, outs))
    return backward


def _accumulate(sums: dict[Value, Any], value: Value, ct: Any) -> None:
    if ct is not None:
        sums[value] = add(sums[value], ct) if value in sums else ct


def _step(node: Node, known: dict[Value, Any], later: set[Value], sums: dict[Value, Any]) -> None:
    """Carry the cotangents of a node's outputs over to its linear operands."""
    op, cts = node.op, [sums.pop(v, None) for v in node.outputs]
    linear = [v in later for v in node.inputs]
    if op.transpose_node:
        stand_ins = tuple(known.get(v, v) for v in node.inputs)
        seen = Node(op, stand_ins, node.attrs, node.outputs, node.where)
        results = op.transpose_node(transpose, seen, linear, cts)
        for value, ct in zip([v for v in node.inputs if v in later], results, strict=True):
            _accumulate(sums, value, ct)
        return
    if len(op.transpose) != len(node.inputs):
        raise mistake(TraceError, op.name, "is not linear, so it cannot be transposed",
                      hint="vjp differentiates functions that are not linear", where=node.where)
    # A linear operand has no value here; rules look only at its type.
    operands = [known.get(v, v) for v in node.inputs]
    for value, rule, is_linear in zip(node.inputs, op.transpose, linear):
        if not is_linear:
            continue
        if rule is None:
            raise mistake(TraceError, op.name, "is not linear in this operand", where=node.where,
                          hint="vjp differentiates functions that are not linear")
        _accumulate(sums, value, _transposed(rule, node, cts[0], operands, sum(linear)))


def _transposed(rule: Any, node: Node, ct: Any, operands: Sequence[Any], linear: int) -> Any:
    """What a rule gives; it reads values only of operands that the node is not linear in."""
    try:
        return rule(ct, *operands, **node.attrs)
    except TraceError:
        if linear == 1:
            raise
        raise mistake(TraceError, node.op.name, "is linear in each operand, but not in all of them "
                      "together, so it cannot be transposed", where=node.where,
                      hint="vjp differentiates functions that are not linear") from None
