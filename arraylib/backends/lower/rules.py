"""How each operation is lowered: as a view, as items of loop kernels, or as a step of its own.

`RULES` is the table, by operation; elementwise operations need no entry, and what neither the table
nor the backend can do becomes a HostStep. A rule gives the views of a node's results, or None to
leave the node to the host.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.backends.lower import attention, gemm, indexed, window
from arraylib.backends.lower.convolution import lower_convolution
from arraylib.backends.lower.fuse import LEAST_ROW
from arraylib.backends.lower.pad import padded
from arraylib.backends.lower.plan import Buffer, HostStep, RoutineStep, View, whole
from arraylib.backends.lower.state import Lowering
from arraylib.backends.lower.views import (
    Ints,
    broadcast,
    flipped,
    is_identity,
    reshaped,
    sliced,
    transposed,
)
from arraylib.hlo.ir import Node, Type
from arraylib.hlo.ops.constant import splat

Rule = Callable[[Lowering, Node, list[View]], Sequence[View] | None]


def lower_node(state: Lowering, node: Node) -> Sequence[View]:
    """The views of a node's results."""
    state.where = node.where
    reads = [state.views[v] for v in node.inputs]
    rule = RULES.get(node.op.name)
    found = None
    if rule is not None:
        found = rule(state, node, reads)
    elif node.op.elementwise and not node.op.multiple:
        found = _elementwise(state, node, reads)
    return _on_host(state, node, reads) if found is None else found


def _on_host(state: Lowering, node: Node, reads: list[View]) -> list[View]:
    """NumPy's meaning of the node, on dense operands."""
    dense = tuple(map(state.dense, reads))
    writes = tuple(whole(Buffer(v.type)) for v in node.outputs)
    state.step(HostStep(node, dense, writes, (node.where,)), dense, writes)
    return list(writes)


def _elementwise(state: Lowering, node: Node, reads: list[View]) -> list[View] | None:
    (out,) = node.outputs
    name = node.op.name
    if not reads or not state.supports.elementwise(name, [v.dtype for v in reads], out.type.dtype):
        return None
    return [state.item(name, reads, out.type.dtype, attrs=node.attrs,
                       expensive=node.op.expensive)]


# -- views ----------------------------------------------------------------------------------------


def _constant(state: Lowering, node: Node, reads: list[View]) -> list[View]:
    value = node.attrs["value"]
    number = splat(value)
    if number is not None:
        return [state.number(number, value.dtype, value.shape)]
    return [whole(Buffer(node.outputs[0].type, np.ascontiguousarray(value)))]


def _iota(state: Lowering, node: Node, reads: list[View]) -> list[View] | None:
    shape, axis, dtype = (node.attrs[k] for k in ("shape", "dimension", "dtype"))
    if not _is_counted(state, dtype):
        return None
    return [broadcast(state.counter(shape[axis], dtype), shape, (axis,))]


def _is_counted(state: Lowering, dtype: Any) -> bool:
    return state.supports.elementwise("convert", [dt.int64], dtype)


def _reshape(state: Lowering, node: Node, reads: list[View]) -> list[View]:
    return [state.reshape(reads[0], node.attrs["shape"])]


def _barrier(state: Lowering, node: Node, reads: list[View]) -> list[View]:
    """The operands themselves, but no kernel computes across."""
    views = [state.in_memory(v) for v in reads]
    for view in views:
        state.fuser.fence(view.buffer)
    return views


# -- reductions -----------------------------------------------------------------------------------

# A reduction of many elements to few is done in two stages, so that its first has enough chunks.
SPLIT_FROM = 1 << 16
ENOUGH, SMALLEST_PART = 64, 1 << 13
# Sums of up to so many columns are kept in a local array, row by row; more are cut in chunks.
MOST_COLUMNS, COLUMNS_PER_CHUNK = 1 << 13, 64

_WIDE = {"reduce_add", "reduce_multiply"}


def _reduce(state: Lowering, node: Node, reads: list[View]) -> list[View] | None:
    """A reduction; sums and products of half types in float32, rounded once."""
    (view,), (out,), name = reads, node.outputs, node.op.name
    over = tuple(sorted(node.attrs["dimensions"]))
    combine = name.removeprefix("reduce_")
    if not state.supports.elementwise(combine, [view.dtype] * 2, view.dtype):
        return None
    if out.type.size == 0 or view.size == 0:
        return None
    if math.prod(view.shape[d] for d in over) == 1:
        return [state.reshape(view, out.type.shape)]
    wide = name in _WIDE and dt.is_narrow_float(view.dtype)
    if wide:
        view = state.item("convert", [view], dt.float32, attrs={"dtype": dt.float32})
    found = _in_stages(state, name, view, over)
    if wide:
        found = state.item("convert", [found], out.type.dtype, attrs={"dtype": out.type.dtype})
    return [found]


def _in_stages(state: Lowering, name: str, view: View, over: Ints) -> View:
    """The reduction, its first folded axis cut in parts that are folded first."""
    row = _row_of(state, view)
    if row and len(over) == len(view.shape) > 1:
        rows = reshaped(view, (view.size // row, row))
        if rows is not None:
            sums = _folded(state, name, rows, (1,))
            return _in_stages(state, name, sums, (0,))
    view, over = _leading_as_one(view, over)
    parts = _parts(view.shape, over)
    if parts > 1:
        first = over[0]
        n = view.shape[first]
        cut = reshaped(view, (*view.shape[:first], parts, n // parts, *view.shape[first + 1:]))
        assert cut is not None, "an axis can always be cut"
        partial = _folded(state, name, cut, tuple(d + 1 for d in over))
        return _folded(state, name, partial, (first,))
    return _folded(state, name, view, over)


def _folded(state: Lowering, name: str, view: View, over: Ints) -> View:
    """The reduction in one stage; what has one element along the folded axes is folded already."""
    if math.prod(view.shape[d] for d in over) == 1:
        return state.reshape(view, tuple(n for d, n in enumerate(view.shape) if d not in over))
    return state.item(name, [view], view.dtype, over=over)


def _row_of(state: Lowering, view: View) -> int:
    """How long the rows are that the group which computes a value folds; 0 if it folds none."""
    definer = state.fuser.definers.get(view.buffer)
    if definer is None or not is_identity(view):
        return 0
    unit = state.fuser.unit_of(definer)
    if unit.is_kept(definer) or len(unit.spans) != 1 or unit.spans[0][0] != 1:
        return 0
    row = unit.spans[0][1]
    return row if row >= LEAST_ROW and view.size > row else 0


def _leading_as_one(view: View, over: Ints) -> tuple[View, Ints]:
    """The view with the first run of folded axes made one, where strides allow."""
    first, run = over[0], 1
    while run < len(over) and over[run] == first + run:
        run += 1
    shape = (*view.shape[:first], math.prod(view.shape[first:first + run]),
             *view.shape[first + run:])
    merged = reshaped(view, shape)
    if merged is None:
        return view, over
    return merged, (first, *(d - run + 1 for d in over[run:]))


def _parts(shape: Ints, over: Ints) -> int:
    """Into how many parts the first folded axis is cut; 1 where that does not help."""
    size = math.prod(shape)
    columns = math.prod(shape[max(over) + 1:])
    chunks = math.prod(n for d, n in enumerate(shape) if d not in over) // columns
    if columns > MOST_COLUMNS:
        chunks *= columns // COLUMNS_PER_CHUNK
    if size < SPLIT_FROM or 4 * chunks >= ENOUGH:
        return 1
    most = min(ENOUGH // chunks, size // SMALLEST_PART // chunks)
    return max((p for p in range(1, most + 1) if shape[over[0]] % p == 0), default=1)


def _place_of_extreme(state: Lowering, node: Node, reads: list[View]) -> list[View] | None:
    (view,), (out,), (axis,) = reads, node.outputs, node.attrs["dimensions"]
    if not state.supports.elementwise("compare", [view.dtype] * 2, dt.bool_) \
            or not _is_counted(state, out.type.dtype) or view.size == 0:
        return None
    if view.shape[axis] == 1:
        return [state.number(0, out.type.dtype, out.type.shape)]
    return [state.item(node.op.name, [view], out.type.dtype, over=(axis,))]


# -- products -------------------------------------------------------------------------------------


def _dot(state: Lowering, node: Node, reads: list[View]) -> list[View] | None:
    (out,) = node.outputs
    if not state.supports.gemm(reads[0].dtype, out.type.dtype):
        return None
    if not out.type.size or not all(v.size for v in reads):
        return None
    found = gemm.lower_dot(state, node)
    assert found is not None, "a dense result can always be written"
    return [found]


# -- routines -------------------------------------------------------------------------------------


def _routine(state: Lowering, node: Node, reads: list[View]) -> list[View] | None:
    """A routine of the backend, on operands as they are."""
    return _by_routine(state, node, node.attrs, reads, [v.type for v in node.outputs])


def _by_routine(state: Lowering, node: Node, attrs: dict[str, Any], reads: Sequence[View],
                results: Sequence[Type]) -> list[View] | None:
    types = [Type(view.dtype, view.shape) for view in reads]
    if not state.supports.routine(node.op.name, attrs, types, results):
        return None
    dense = tuple(map(state.dense, reads))
    writes = tuple(whole(Buffer(type)) for type in results)
    state.step(RoutineStep(node.op, attrs, dense, writes, (node.where,)), dense, writes)
    return list(writes)


def _sort(state: Lowering, node: Node, reads: list[View]) -> list[View] | None:
    """A sort along the last axis, which another axis becomes first."""
    rank, axis = len(reads[0].shape), node.attrs["dimension"]
    order = (*(d for d in range(rank) if d != axis), axis)
    back = tuple(order.index(d) for d in range(rank))
    turned = [transposed(view, order) for view in reads]
    counters = tuple(i for i, view in enumerate(turned) if _counts(state, view))
    attrs = {**node.attrs, "dimension": rank - 1, "counters": counters}
    found = _by_routine(state, node, attrs, turned,
                        [Type(view.dtype, view.shape) for view in turned])
    return None if found is None else [transposed(view, back) for view in found]


def _counts(state: Lowering, view: View) -> bool:
    """Whether each row of a view is the integers 0, 1, 2, ..."""
    n, step = view.shape[-1], view.strides[-1]
    return dt.is_integer(view.dtype) and state.counting.get(view.buffer) == n \
        and view.offset == 0 and not any(view.strides[:-1]) and (step == 1 or n == 1)


# -- joining and padding --------------------------------------------------------------------------


def _concatenate(state: Lowering, node: Node, reads: list[View]) -> list[View]:
    """Each operand is written to its part of one buffer."""
    (out,), axis = node.outputs, node.attrs["dimension"]
    target, at = whole(Buffer(out.type)), 0
    for view in reads:
        n = view.shape[axis]
        if view.size:
            start = tuple(at if d == axis else 0 for d in range(len(view.shape)))
            limit = tuple(at + n if d == axis else m for d, m in enumerate(out.type.shape))
            state.into(sliced(target, start, limit, (1,) * len(start)), "copy", [view])
        at += n
    return [target]


def _pad(state: Lowering, node: Node, reads: list[View]) -> list[View]:
    low, high, interior = (node.attrs[k] for k in ("low", "high", "interior"))
    return [padded(state, reads[0], reads[1], low, high, interior)]


VIEWS: dict[str, Rule] = {
    "transpose": lambda state, node, xs: [transposed(xs[0], node.attrs["permutation"])],
    "broadcast_in_dim": lambda state, node, xs: [broadcast(
        xs[0], node.attrs["shape"], node.attrs["broadcast_dimensions"])],
    "slice": lambda state, node, xs: [sliced(xs[0], **node.attrs)],
    "reverse": lambda state, node, xs: [flipped(xs[0], node.attrs["dimensions"])],
    "reshape": _reshape,
}

FOLDS: dict[str, Rule] = {
    **{f"reduce_{name}": _reduce
       for name in ("add", "multiply", "maximum", "minimum", "and", "or")},
    "argmax": _place_of_extreme,
    "argmin": _place_of_extreme,
}

RULES: dict[str, Rule] = {
    **VIEWS, **FOLDS, **indexed.RULES, **attention.RULES, **window.RULES,
    "constant": _constant,
    "iota": _iota,
    "optimization_barrier": _barrier,
    "dot_general": _dot,
    "convolution": lower_convolution,
    "concatenate": _concatenate,
    "pad": _pad,
    "cholesky": _routine,
    "cumulative": _routine,
    "fft": _routine,
    "lapack": _routine,
    "scatter": lambda state, node, xs: (
        _routine(state, node, xs) or indexed.RULES["scatter"](state, node, xs)),
    "sort": _sort,
    "top_k": _routine,
    "triangular_solve": _routine,
}
