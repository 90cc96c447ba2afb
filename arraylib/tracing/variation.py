"""Along which axes of shard_map results may differ from device to device: by what batching says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from arraylib.hlo.batch import batch
from arraylib.hlo.ir import Builder, Graph, Node, regions
from arraylib.hlo.ops.check import MeshAxis
from arraylib.hlo.ops.over_axis import will_tell

Variation = frozenset[str] | None  # labels of axes; None where it is not known


def differing(node: Node, given: Sequence[Variation],
              axes: Mapping[str, int]) -> list[Variation]:
    """Along which axes the results of a node differ, from how its operands do; None: not known."""
    known = [labels for labels in given if labels is not None]
    if len(known) < len(given):
        return [None] * len(node.outputs)
    if not regions(node) and node.attrs.get("axis_name") not in axes:
        return [frozenset().union(*known)] * len(node.outputs)
    found: list[set[str]] = [set() for _ in node.outputs]
    for label, size in axes.items():
        for labels, has in zip(found, _along(node, [label in each for each in known], label, size)):
            if has:
                labels.add(label)
    return list(map(frozenset, found))


def _along(node: Node, has: Sequence[bool], label: str, size: int) -> list[bool]:
    """Which results have an axis of devices, if these operands have one."""
    marks = dict(zip(node.inputs, has))
    with Builder() as b, will_tell():
        pairs = [(b.input(v.type.with_shape((size, *v.type.shape)) if h else v.type), h)
                 for v, h in marks.items()]
        found = batch(Graph(tuple(marks), (node,), node.outputs), pairs, size, MeshAxis(label))
    return [h for _, h in found]
