"""vmap: give every value that varies a new leading axis."""

from collections.abc import Sequence
from typing import Any

from arraylib.errors import TraceError, mistake
from arraylib.hlo import axes as ax
from arraylib.hlo.ir import Graph, Node, current, emit_like, rebuild, type_of
from arraylib.hlo.ops.shape import repeat_leading
from arraylib.hlo.ops.structured import transpose

Pair = tuple[Any, bool]


def batch(graph: Graph, pairs: Sequence[Pair], size: int) -> list[Pair]:
    """Emit `graph` on pairs: a value, and whether it has a leading axis of `size` examples."""
    return list(rebuild(graph, pairs, lambda node, args: _rule(node, args, size)))


def _rule(node: Node, pairs: list[Pair], size: int) -> Sequence[Pair]:
    xs, has = [x for x, _ in pairs], [h for _, h in pairs]
    op = node.op
    if not any(has):
        return [(out, False) for out in emit_like(node, xs)]
    if op.batch_node:
        return op.batch_node(batch, node, pairs, size)  # type: ignore[no-any-return]
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
