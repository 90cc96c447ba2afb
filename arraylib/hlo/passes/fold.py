"""Compute in advance what depends on constants only, and what has no elements.

    %0 = constant 2; %1 = sine(%0)    ->    %1 = constant 0.909

Results up to `config.fold_bytes` are computed; splats of any size, since they are one number.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib.config import config
from arraylib.hlo.ir import Graph, Node, Value
from arraylib.hlo.ops.constant import constant, splat
from arraylib.hlo.ops.shape import reverse, slice_
from arraylib.hlo.ops.structured import broadcast_in_dim, reshape, transpose
from arraylib.hlo.passes.rewrite import Rewriter, is_pure, rewrite

# What these make of a splat is a splat of the same number.
_MOVES = frozenset({broadcast_in_dim, reshape, transpose, slice_, reverse})


def fold(graph: Graph) -> Graph:
    """`graph` with each node that has only constant operands replaced by a constant."""
    return rewrite(graph, _rule)


def _rule(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
    if not node.inputs:
        return None
    if is_pure(node) and not any(v.type.size for v in node.outputs):
        return [constant(value=np.zeros(v.type.shape, v.type.dtype)) for v in node.outputs]
    operands = []
    for value in node.inputs:
        source = rewriter.defined.get(value)
        if source is None or source.op is not constant:
            return None
        operands.append(source.attrs["value"])
    results = _fold(node, operands)
    return results and [constant(value=x) for x in results]


def _fold(node: Node, operands: list[Any]) -> Sequence[Any] | None:
    splats = [splat(x) for x in operands]
    if node.op in _MOVES and splats[0] is not None:
        return [np.broadcast_to(splats[0], node.outputs[0].type.shape)]
    if node.op.elementwise and all(x is not None for x in splats):
        (result,) = node.op.evaluate(splats, node.attrs)
        return [np.broadcast_to(result, node.outputs[0].type.shape)]
    large = max(v.type.nbytes for v in (*node.inputs, *node.outputs)) > config.fold_bytes
    if large or not is_pure(node):
        return None
    return node.op.evaluate(operands, node.attrs)
