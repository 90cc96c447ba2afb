"""dot_general as one batched matrix product of strided views."""

from __future__ import annotations

import math
from collections.abc import Sequence

from arraylib.backends.lower.long_sums import add_product
from arraylib.backends.lower.plan import Buffer, GemmStep, View, row_major
from arraylib.backends.lower.state import Lowering
from arraylib.backends.lower.views import Ints, merged, transposed
from arraylib.hlo.ir import Node, Type

BATCH_AXES = 4  # that a step may have


def lower_dot(state: Lowering, node: Node, order: Ints | None = None) -> View | None:
    """The product of a dot_general in its natural order of axes.

    With `order` the buffer has the axes in that order instead, and the result is a view of it; None
    if no product can write it so. Axes of batch come first, as one; rows, columns and what is
    summed are one axis each: where strides do not allow that, the operand is copied.
    """
    a, b = (state.views[v] for v in node.inputs)
    attrs, (result,) = node.attrs, node.outputs
    if order is None and _in_panels(state, a, b, node):
        return _by_panels(state, a, b, node)
    left = _Side(a.shape, attrs["lhs_batching"], attrs["lhs_contracting"])
    right = _Side(b.shape, attrs["rhs_batching"], attrs["rhs_contracting"])
    c = _result(result.type, order)
    batch = [a.shape[d] for d in left.batching]
    rows, columns = left.count(left.free), right.count(right.free)
    shape = (*batch, rows, columns)
    laid = _as_matrix(c, len(batch), len(left.free), shape)
    swapped = laid is None or (laid.strides[-1] != 1 and columns != 1)
    if laid is None or (swapped and laid.strides[-2] != 1 and rows != 1):
        return None
    x = _operand(state, a, (*left.batching, *left.free, *left.contracting), len(batch),
                 len(left.free))
    y = _operand(state, b, (*right.batching, *right.contracting, *right.free), len(batch),
                 len(right.contracting))
    x, y, laid = _few_batch_axes(state, x, y, laid)
    if swapped:
        x, y, laid = (transposed(v, _last_swapped(v)) for v in (y, x, laid))
    add_product(state, x, y, laid)
    return c


def _in_panels(state: Lowering, a: View, b: View, node: Node) -> bool:
    """Whether b is [n / p, k, p], dense, as the matrix product reads panels of p columns."""
    attrs, width = node.attrs, state.supports.panel(a.dtype, node.outputs[0].type.dtype)
    return width > 0 and len(b.shape) == 3 and b.shape[2] == width and b.dense \
        and not attrs["rhs_batching"] and tuple(attrs["rhs_contracting"]) == (1,)


def _by_panels(state: Lowering, a: View, b: View, node: Node) -> View:
    """The product with a matrix in panels."""
    c = _result(node.outputs[0].type, None)
    left = _Side(a.shape, (), node.attrs["lhs_contracting"])
    x = _operand(state, a, (*left.free, *left.contracting), 0, len(left.free))
    shape = left.count(left.free), b.shape[0] * b.shape[2]
    laid = c.laid(shape, row_major(shape))
    y = state.in_memory(b)
    state.step(GemmStep(x, y, laid, where=(state.where,), panels=True), [x, y], [laid])
    return c


class _Side:
    """The axes of one operand, by what becomes of them."""

    def __init__(self, shape: Ints, batching: Ints, contracting: Ints) -> None:
        self.shape, self.batching, self.contracting = shape, tuple(batching), tuple(contracting)
        used = {*batching, *contracting}
        self.free = tuple(d for d in range(len(shape)) if d not in used)

    def count(self, axes: Ints) -> int:
        return math.prod(self.shape[d] for d in axes)


def _result(type: Type, order: Ints | None) -> View:
    """A new buffer for the product, seen with the axes in their natural order."""
    order = order or tuple(range(type.rank))
    buffer = Buffer(type.with_shape([type.shape[d] for d in order]))
    strides = row_major(buffer.type.shape)
    return View(buffer, type.dtype, type.shape,
                tuple(strides[order.index(d)] for d in range(type.rank)))


def _as_matrix(view: View, batch: int, rows: int, shape: Ints) -> View | None:
    """The view with its row axes made one and its column axes made one, if strides allow."""
    parts = [view.shape[batch:batch + rows], view.shape[batch + rows:]]
    steps = [view.strides[batch:batch + rows], view.strides[batch + rows:]]
    strides = list(view.strides[:batch])
    for sizes, part in zip(parts, steps):
        stride = _single(sizes, part)
        if stride is None:
            return None
        strides.append(stride)
    return view.laid(shape, tuple(strides))


def _single(sizes: Sequence[int], strides: Sequence[int]) -> int | None:
    """The one stride that covers these axes, or None."""
    if math.prod(sizes) <= 1:
        return 0
    runs = merged([n for n in sizes if n != 1], [s for n, s in zip(sizes, strides) if n != 1])
    return runs[0][1] if len(runs) == 1 else None


def _operand(state: Lowering, view: View, order: Ints, batch: int, first: int) -> View:
    """An operand as [batch..., one axis, one axis], in memory."""
    view = transposed(view, order)
    middle = math.prod(view.shape[batch:batch + first])
    shape = (*view.shape[:batch], middle, math.prod(view.shape[batch + first:]))
    found = _as_matrix(view, batch, first, shape)
    if found is None:
        found = state.dense(view).laid(shape, row_major(shape))
    found = state.in_memory(found)
    if found.buffer.constant is not None and found.buffer.type.size == 1:
        return state.dense(found)
    return found


def _few_batch_axes(state: Lowering, x: View, y: View,
                    c: View) -> tuple[View, View, View]:
    """At most BATCH_AXES leading axes: those of size 1 go, neighbours merge, the rest is copied."""
    views = (x, y, c)
    batch = c.shape[:-2]
    kept: list[tuple[int, tuple[int, ...]]] = []
    for d, n in enumerate(batch):
        steps = tuple(v.strides[d] for v in views)
        if n == 1:
            continue
        if kept and all(p == s * n for p, s in zip(kept[-1][1], steps)):
            kept[-1] = kept[-1][0] * n, steps
        else:
            kept.append((n, steps))
    if len(kept) > BATCH_AXES:
        x, y = state.dense(x), state.dense(y)
        views = (x, y, c)
        kept = [(math.prod(batch), tuple(v.strides[len(batch) - 1] for v in views))]
    sizes = tuple(n for n, _ in kept)
    return tuple(  # type: ignore[return-value]
        v.laid((*sizes, *v.shape[-2:]), (*(steps[i] for _, steps in kept), *v.strides[-2:]))
        for i, v in enumerate(views))


def _last_swapped(view: View) -> Ints:
    rank = len(view.shape)
    return (*range(rank - 2), rank - 1, rank - 2)
