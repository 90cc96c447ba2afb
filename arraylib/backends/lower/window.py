"""reduce_window and select_and_scatter as kernels that go through the windows where they lie.

Only those of one operation are: sums, products, extremes; and the gradient of an extreme, a sum of
what its windows give to each element. Others are written out before they come here, and so are
windows of many elements that overlap, which have faster ways.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.backends.lower.items import literal
from arraylib.backends.lower.pad import padded
from arraylib.backends.lower.phases import Axis, phases
from arraylib.backends.lower.plan import Buffer, View, whole
from arraylib.backends.lower.state import Lowering
from arraylib.backends.lower.views import Ints, sliced
from arraylib.backends.lower.window_kernel import (
    Fold,
    Operand,
    Windows,
    Winner,
    as_dtype,
    over,
)
from arraylib.hlo.ir import Graph, Node, Type
from arraylib.hlo.ops import elementwise
from arraylib.hlo.ops.lifted import single_op
from arraylib.tile.ir import Index, Value, identity

MOST_TAPS = 64  # of windows that overlap, for each element
_IDEMPOTENT = ("maximum", "minimum", "and", "or")
_FOLDS = ("add", "multiply", *_IDEMPOTENT)


# -- which ----------------------------------------------------------------------------------------


def is_fold(node: Node) -> bool:
    """Whether a reduce_window is of one array by one operation, and no other way is better."""
    op = single_op(node.attrs["body"])
    if op is None or op.name not in _FOLDS or len(node.inputs) != 2:
        return False
    return _is_short(node.attrs["window_dimensions"], node.outputs[0].type, node.types[0])


def is_gradient_of_extreme(node: Node) -> bool:
    """Whether a select_and_scatter compares elements and adds to them."""
    return single_op(node.attrs["scatter"]) is elementwise.add \
        and math.prod(node.attrs["window_dimensions"]) <= MOST_TAPS \
        and _direction(node.attrs["select"]) is not None


def _is_short(window: Ints, out: Type, x: Type) -> bool:
    return out.size * math.prod(window) <= MOST_TAPS * max(x.size, 1)


def _direction(select: Graph) -> str | None:
    """The direction of the comparison that a region of two scalars is, if it is one."""
    if len(select.nodes) != 1 or select.nodes[0].inputs != select.inputs \
            or select.nodes[0].outputs != select.outputs:
        return None
    direction: str | None = select.nodes[0].attrs.get("direction")
    return direction


NATIVE: dict[str, Callable[[Node], bool]] = {
    "reduce_window": is_fold, "select_and_scatter": is_gradient_of_extreme}


# -- reduce_window --------------------------------------------------------------------------------


def lower_reduce_window(state: Lowering, node: Node, reads: list[View]) -> Sequence[View] | None:
    """A kernel for each phase of the array's elements."""
    attrs, out = node.attrs, node.outputs[0]
    op = single_op(attrs["body"])
    if op is None or not is_fold(node) or not state.supports.elementwise(
            op.name, [out.type.dtype] * 2, out.type.dtype):
        return None
    x, init = reads
    if not out.type.size:
        return [state.number(0, out.type.dtype, out.type.shape)]
    start = literal(init)
    neutral = start is not None and _is_neutral(start, op.name, out.type.dtype)
    low, high = (tuple(pair[i] for pair in attrs["padding"]) for i in range(2))
    base = attrs["base_dilations"]
    if not x.size or not (neutral or op.name in _IDEMPOTENT) and any((*low, *high, max(base) > 1)):
        x = padded(state, x, init, low, high, tuple(n - 1 for n in base))
        low, base = (0,) * len(low), (1,) * len(base)
    axes = tuple(map(Axis, attrs["window_strides"], attrs["window_dilations"], low, base))
    target = whole(Buffer(out.type))
    _fold(state, state.in_memory(x), target, attrs["window_dimensions"], axes, op.name,
          None if neutral else state.in_memory(init))
    return [target]


def _is_neutral(number: Any, op: str, dtype: Any) -> bool:
    return bool(number.reshape(()).astype(dtype) == dtype.type(identity(op, dtype)))


def _fold(state: Lowering, x: View, target: View, taps: Ints, axes: Sequence[Axis], op: str,
          init: View | None) -> None:
    wide = op in ("add", "multiply") and dt.is_narrow_float(target.dtype)
    dtype = dt.float32 if wide else target.dtype

    def value(kernel: Fold, at: Sequence[Index]) -> Value:
        return as_dtype(kernel.b, kernel.load(0, at), dtype)

    def finish(kernel: Fold, total: Value) -> Value:
        if init is not None:
            first = as_dtype(kernel.b, kernel.load(1, [Index()] * len(axes)), dtype)
            total = kernel.b.apply(op, [first, total], dtype)
        return as_dtype(kernel.b, total, target.dtype)

    none = (0,) * len(axes)
    more = [] if init is None else [Operand(init, none, none)]
    for part, windows, _ in _phases(state, x.shape, target, taps, axes, op, init):
        kernel = Fold(windows, [over(x, windows), *more], part, op, value, finish)
        step = kernel.step(state.where)
        state.step(step, step.reads, step.writes)


def _phases(state: Lowering, sizes: Ints, target: View, taps: Ints, axes: Sequence[Axis], op: str,
            init: View | None) -> Any:
    """The parts of the result that are windows without gaps: (part, windows, phases).

    Where no tap meets an element, the part is written as what nothing combines to.
    """
    for found in itertools.product(*(list(phases(*each)) for each in zip(
            axes, target.shape, taps))):
        part = sliced(target, tuple(p.first for p in found), target.shape,
                      tuple(p.step for p in found))
        if all(p.taps for p in found):
            yield part, Windows(tuple(p.windows for p in found), tuple(p.taps for p in found),
                                tuple(p.axis for p in found), sizes), found
        elif init is None:
            nothing = identity(op, target.dtype)
            state.into(part, "copy", [state.number(nothing, target.dtype, part.shape)])
        else:
            repeated = View(init.buffer, init.dtype, part.shape, (0,) * len(part.shape),
                            init.offset)
            state.into(part, "copy", [repeated])


# -- select_and_scatter ---------------------------------------------------------------------------


def lower_select_and_scatter(state: Lowering, node: Node,
                             reads: list[View]) -> Sequence[View] | None:
    """The winner of each window, then for each element the sum of what windows give it.

    No two threads write to one place, and sums are in one order.
    """
    (x, source, init), (out,), attrs = reads, node.outputs, node.attrs
    direction, dtype = _direction(attrs["select"]), out.type.dtype
    if direction is None or not is_gradient_of_extreme(node) or not all(
            state.supports.elementwise(name, [t] * 2, t) for name, t in (
                ("maximum", x.dtype), ("add", dtype))):
        return None
    start = broadcast_to(init, out.type.shape)
    if not source.size:
        return [state.item("convert", [start], dtype, attrs={"dtype": dtype})]
    taps, strides = attrs["window_dimensions"], attrs["window_strides"]
    lows = tuple(low for low, _ in attrs["padding"])
    x, source, init = map(state.in_memory, (x, source, init))
    windows = Windows(source.shape, taps, tuple(Axis(s, 1, low) for s, low in zip(strides, lows)),
                      x.shape)
    places = whole(Buffer(Type(dt.int8, source.shape)))
    step = Winner(windows, x, places, direction).step(state.where)
    state.step(step, step.reads, step.writes)
    target = whole(Buffer(out.type))
    _give(state, source, places, init, target, taps, strides, lows)
    return [target]


def broadcast_to(scalar: View, shape: Ints) -> View:
    """A scalar, repeated."""
    return View(scalar.buffer, scalar.dtype, shape, (0,) * len(shape), scalar.offset)


def _give(state: Lowering, source: View, places: View, init: View, target: View, taps: Ints,
          strides: Ints, lows: Ints) -> None:
    """Each element is in the windows that lie, as it were, in a window of its own: tap t of a
    window is the last but t of those. Where it won, it is given that window's part of the source.
    """
    dtype = dt.float32 if dt.is_narrow_float(target.dtype) else target.dtype
    axes = [Axis(1, 1, n - 1 - low, stride) for n, low, stride in zip(taps, lows, strides)]
    weights = [math.prod(taps[d + 1:]) for d in range(len(taps))]
    none = (0,) * len(axes)
    for part, windows, found in _phases(state, source.shape, target, taps, axes, "add", init):
        numbers = [(n - 1 - p.tap, -p.tap_step) for n, p in zip(taps, found)]

        def value(kernel: Fold, at: Sequence[Index], numbers: Any = numbers) -> Value:
            b, number = kernel.b, Index()
            for tap, (first, step), weight in zip(at, numbers, weights):
                number = number + (tap * step + first) * weight
            tap_of = b.constant(number.offset, dt.int8) if not number.terms \
                else b.count(number, dt.int8)
            won = b.apply("compare", [kernel.load(1, at), tap_of], dt.bool_, direction="EQ")
            given = as_dtype(b, kernel.load(0, at), dtype)
            return b.apply("select", [won, given, b.constant(0, dtype)], dtype)

        def finish(kernel: Fold, total: Value) -> Value:
            first = as_dtype(kernel.b, kernel.load(2, [Index()] * len(axes)), dtype)
            total = kernel.b.apply("add", [first, total], dtype)
            return as_dtype(kernel.b, total, target.dtype)

        operands = [over(source, windows), over(places, windows), Operand(init, none, none)]
        step = Fold(windows, operands, part, "add", value, finish).step(state.where)
        state.step(step, step.reads, step.writes)


RULES: dict[str, Callable[[Lowering, Node, list[View]], Sequence[View] | None]] = {
    "reduce_window": lower_reduce_window,
    "select_and_scatter": lower_select_and_scatter,
}
