"""Compute in parts what is only read in parts.

    slice(add(x, y), low..high), slice(.., high..end)
    ->    add(slice(x, low..high), slice(y, low..high)), add(slice(x, high..end), ..)

An elementwise result of which all readers take a part, none of them twice, for more elementwise
operations is never written as a whole: each part shares a kernel with what is made of it, as the
gates of a recurrent cell do. That holds for arrays of up to `MOST_BYTES`: a larger one rather
follows, block by block, the product that it is made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from arraylib.hlo.ir import Graph, Node, Value
from arraylib.hlo.ops.shape import slice_
from arraylib.hlo.passes.rewrite import Rewriter, is_pure, rewrite
from arraylib.hlo.split import needed

Box: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]  # from where to where, on each axis
Boxes: TypeAlias = dict[Box, None]

MOST_BYTES = 1 << 18
MOST_PARTS = 16
MOST_DEEP = 8  # operations one after the other that are written once for each part


def in_parts(graph: Graph) -> Graph:
    """`graph` with what is only read in parts computed in parts."""
    if not any(node.op is slice_ for node in graph.nodes):
        return graph
    cut = _cut(graph)
    if not cut:
        return graph
    parts: dict[tuple[Value, Box], Value] = {}

    def part(value: Value, box: Box) -> Value:
        if (value, box) not in parts:
            start, limit = box
            parts[value, box] = slice_(value, start=start, limit=limit, strides=(1,) * len(start))
        return parts[value, box]

    def rule(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
        (out, *_) = node.outputs or (None,)
        if out in cut:
            for box in cut[out]:
                inputs = [part(v, box) for v in node.inputs]
                (parts[out, box],) = rewriter.emit(node.op, inputs, node.attrs)
        return [parts[node.inputs[0], _box(node)]] if _takes_part(node, cut) else None

    return needed(rewrite(graph, rule))


def _takes_part(node: Node, cut: Mapping[Value, Boxes]) -> bool:
    return node.op is slice_ and node.inputs[0] in cut


def _cut(graph: Graph) -> dict[Value, Boxes]:
    """The results that are computed in parts, and those."""
    readers: dict[Value, list[Node]] = {}
    for node in graph.nodes:
        for value in dict.fromkeys(node.inputs):
            readers.setdefault(value, []).append(node)
    whole = set(graph.outputs)
    cut: dict[Value, Boxes] = {}
    depth: dict[Value, int] = {}
    for node in reversed(graph.nodes):
        if not node.op.elementwise or not node.inputs or not is_pure(node):
            continue
        (value,) = node.outputs
        using = readers.get(value, [])
        deep = 1 + max((depth.get(n.outputs[0], 0) for n in using), default=0)
        if value in whole or deep > MOST_DEEP or value.type.nbytes > MOST_BYTES:
            continue
        found = _boxes(using, cut, readers, whole)
        if found and not _overlap(list(found)):
            cut[value], depth[value] = found, deep
    return cut


def _boxes(using: Sequence[Node], cut: Mapping[Value, Boxes],
           readers: Mapping[Value, Sequence[Node]], whole: set[Value]) -> Boxes:
    """The parts that are read; none if somebody reads the whole, or a part for something else."""
    found: Boxes = {}
    for node in using:
        (out, *_) = node.outputs
        if out in cut:
            found |= cut[out]
        elif node.op is slice_ and set(node.attrs["strides"]) == {1} and out not in whole \
                and all(n.op.elementwise for n in readers.get(out, [])):
            found[_box(node)] = None
        else:
            return {}
    return found


def _box(node: Node) -> Box:
    return tuple(node.attrs["start"]), tuple(node.attrs["limit"])


def _overlap(boxes: Sequence[Box]) -> bool:
    """Whether an element is in two parts, or there are more than a few."""
    return len(boxes) > MOST_PARTS or any(
        all(max(a, c) < min(b, d) for a, b, c, d in zip(*first, *other))
        for i, first in enumerate(boxes) for other in boxes[:i])
