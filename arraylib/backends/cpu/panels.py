"""Lay out anew, before a loop, the matrices that its steps multiply few rows by.

    scan(w, h) {(w, h) -> dot(h, w)}
    ->    p = w in panels;  scan(p, h) {(p, h) -> reshape(dot(h, p))}

A product packs its second operand into panels of as many columns as a register tile has: for few
rows that takes as long as a part of the product itself, and a loop would do it in each step. With
p[n / c, k, c] in the place of w[k, n], the product over k is the same but for a reshape, and the
library takes the panels as they are. It costs a second array of the matrix's size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from arraylib.backends.cpu.matrices import panel_columns
from arraylib.hlo.ir import Graph, Node, Value
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.ops.reduction import dot_general
from arraylib.hlo.ops.structured import reshape, transpose
from arraylib.hlo.passes.rewrite import Rewriter, rewrite
from arraylib.hlo.split import needed, read_by

_FEWEST_STEPS = 4
_FEWEST_ROWS, _MOST_ROWS = 2, 128  # one row is multiplied without packing; many hide it

_Matrix = tuple[Value, int]  # an input of the body, and the axis that is summed over


def in_panels(graph: Graph) -> Graph:
    """`graph` with such matrices of its scans in panels."""
    changed = rewrite(graph, _rule)
    return graph if changed is graph else needed(changed)


def _rule(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
    attrs = node.attrs
    if node.op is not scan or attrs["length"] < _FEWEST_STEPS:
        return None
    count, body = attrs["consts"], attrs["body"]
    found: dict[_Matrix, Value] = {}
    inner = rewrite(body, lambda each, inside: _product(each, inside, body.inputs[:count], found))
    if not found:
        return None
    outer = dict(zip(body.inputs, node.inputs))
    panels = [_laid_out(outer[w], axis, v.type.shape) for (w, axis), v in found.items()]
    read = read_by(inner)
    consts = [v for v in body.inputs[:count] if v in read]
    inputs = (*consts, *found.values(), *body.inputs[count:])
    return rewriter.emit(
        node.op, [*(outer[v] for v in consts), *panels, *node.inputs[count:]],
        attrs | {"body": Graph(inputs, inner.nodes, inner.outputs),
                 "consts": len(consts) + len(panels)})


def _product(node: Node, inside: Rewriter, consts: Sequence[Value],
             found: dict[_Matrix, Value]) -> Sequence[Value] | None:
    """The product by panels, which become an input; None where that does not fit."""
    if node.op is not dot_general or node.inputs[1] not in consts:
        return None
    (x, w), (out,), attrs = node.inputs, node.outputs, node.attrs
    summed = attrs["rhs_contracting"]
    width = panel_columns(x.type.dtype, out.type.dtype)
    if w.type.rank != 2 or len(summed) != 1 or attrs["rhs_batching"] or not width:
        return None
    k, n = w.type.shape[summed[0]], w.type.shape[1 - summed[0]]
    rows = math.prod(out.type.shape[:-1])
    if not k or not n or n % width or not _FEWEST_ROWS <= rows <= _MOST_ROWS:
        return None
    key = w, summed[0]
    if key not in found:
        found[key] = inside.placeholder(w.type.with_shape((n // width, k, width)))
    product = dot_general(x, found[key], **attrs | {"rhs_contracting": (1,)})
    return [reshape(product, shape=out.type.shape)]


def _laid_out(w: Any, axis: int, shape: tuple[int, ...]) -> Any:
    """[k, n], or [n, k] where axis 1 is summed over, as panels [n / c, k, c]."""
    count, k, width = shape
    split = (k, count, width) if axis == 0 else (count, width, k)
    return transpose(reshape(w, shape=split), permutation=(1, 0, 2) if axis == 0 else (0, 2, 1))
