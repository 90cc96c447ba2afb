"""vmap: give every value that varies a new leading axis."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from arraylib.errors import TraceError, mistake
from arraylib.hlo import axes as ax
from arraylib.hlo.ir import Graph, Node, current, emit_like, rebuild, regions, type_of
from arraylib.hlo.ops.shape import repeat_leading
from arraylib.hlo.ops.structured import transpose

Pair = tuple[Any, bool]


def batch(graph: Graph, pairs: Sequence[Pair], size: int, axis: str | None = None) -> list[Pair]:
    """Emit `graph` on pairs: a value, and whether it has a leading axis of `size` examples.

    Collective operations that name this `axis` are computed along it.
    """
    return list(rebuild(graph, pairs, lambda node, args: _rule(node, args, size, axis)))


def _rule(node: Node, pairs: list[Pair], size: int, axis: str | None) -> Sequence[Pair]:
    xs, has = [x for x, _ in pairs], [h for _, h in pairs]
    op = node.op
    if axis is not None and op.over_axis and _names(node, axis):
        return op.over_axis(batch, node, pairs, size)  # type: ignore[no-any-return]
    if not any(has) and (axis is None or not _names_inside(node, axis)):
        return [(out, False) for out in emit_like(node, xs)]
    if op.batch_node:
        inner = batch if axis is None else partial(batch, axis=axis)
        return op.batch_node(inner, node, pairs, size)  # type: ignore[no-any-return]
    if op.batch:
        outs = op.batch(xs, has, size, **node.attrs)
        return [(out, True) for out in (outs if op.multiple else (outs,))]
    if op.elementwise:
        whole = [x if h else repeat_leading(x, size) for x, h in pairs]
        return [(out, True) for out in emit_like(node, whole)]
    if op.axes is None or op.relabel is None:
        raise mistake(TraceError, op.name, "has no batching rule", where=node.where,
                      hint="lax.map runs one example after the other")
    return [(_by_labels(node, xs, has), True)]


def _names(node: Node, axis: str) -> bool:
    return node.attrs.get("axis_name") == axis


def _names_inside(node: Node, axis: str) -> bool:
    """Whether what a node's regions compute may vary along the axis, though its operands do not."""
    return any(_names(inner, axis) or _names_inside(inner, axis)
               for graph in regions(node) for inner in graph.nodes)


def _by_labels(node: Node, xs: list[Any], has: list[bool]) -> Any:
    """Prepend a label; the attributes follow from the labels."""
    labels = node.op.labels(node.types, node.attrs)
    assert labels is not None and node.op.relabel is not None
    axes = ax.batched(labels, has)
    operands, wanted = ax.parse(axes)
    types = tuple(map(type_of, xs))
    attrs = node.op.relabel(axes, ax.sizes(node.op.name, types, axes, node.where), node.attrs)
    (out,) = current().emit(node.op, xs, attrs, node.where)
    natural = node.op.labels(types, attrs)
    assert natural is not None
    order = ax.in_terms_of(natural, operands)
    if order == wanted:
        return out
    return transpose(out, permutation=tuple(order.index(a) for a in wanted))
