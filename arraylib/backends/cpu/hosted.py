"""A plan in which NumPy computes every node: for finding out whether a kernel is at fault."""

from __future__ import annotations

from collections.abc import Sequence

from arraylib.backends.lower.plan import Buffer, HostStep, Plan, View, whole
from arraylib.errors import UNKNOWN
from arraylib.hlo.ir import Graph, Node, Value
from arraylib.hlo.ops.control import optimization_barrier


def hosted_plan(graph: Graph) -> Plan:
    """One host step per node; nodes without operands are computed here and become constants."""
    buffers = {v: Buffer(v.type) for v in graph.inputs}
    steps = []
    for node in graph.nodes:
        if not node.inputs and not node.op.effect:
            arrays = node.op.evaluate([], node.attrs)
            buffers |= {v: Buffer(v.type, a) for v, a in zip(node.outputs, arrays, strict=True)}
            continue
        buffers |= {v: Buffer(v.type) for v in node.outputs}
        steps.append(HostStep(node, _views(buffers, node.inputs), _views(buffers, node.outputs)))
    computed = {v for step in steps for v in step.node.outputs}
    outputs = []
    for value in graph.outputs:
        if value not in computed:  # an input or a constant: the output is a copy
            steps.append(_copy(value, buffers[value]))
            outputs.append(steps[-1].writes[0].buffer)
        else:
            outputs.append(buffers[value])
    return Plan(tuple(buffers[v] for v in graph.inputs), tuple(outputs), tuple(steps))


def _views(buffers: dict[Value, Buffer], values: Sequence[Value]) -> tuple[View, ...]:
    return tuple(whole(buffers[v]) for v in values)


def _copy(value: Value, buffer: Buffer) -> HostStep:
    node = Node(optimization_barrier, (value,), {}, (Value(value.type, value.builder),), UNKNOWN)
    return HostStep(node, (whole(buffer),), (whole(Buffer(value.type)),))
