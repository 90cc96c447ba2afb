"""convolution: as matrix products, or as steps of its own over views in one order of axes.

    c[group, batch, *windows, out], of
    x[group, batch, *space, feature] and w[group, *taps, feature, out]

Layouts are strides; operands are copied only where no axis that the step needs is contiguous. An
array with elements apart (`lhs_dilation`, as in the gradient of a strided convolution) is taken
by *phases*: the windows that meet the same taps of the kernel are a convolution of their own,
which never sees the zeros in between.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from arraylib import dtypes as dt
from arraylib.backends.lower.convolution_axes import (
    BATCH,
    FEATURE,
    LAST,
    SPACE,
    Convolution,
    part,
)
from arraylib.backends.lower.convolution_few import Part, as_shifted_products, as_tiles
from arraylib.backends.lower.convolution_groups import (
    is_small,
    is_thin,
    small,
    thin,
    with_groups_together,
)
from arraylib.backends.lower.long_sums import add_product
from arraylib.backends.lower.phases import Axis, phases
from arraylib.backends.lower.plan import Buffer, ConvolutionStep, View, row_major, whole
from arraylib.backends.lower.state import Lowering
from arraylib.backends.lower.views import Ints, flipped, merged, transposed
from arraylib.hlo.ir import Node, Type

MANY_COLUMNS = 128  # of a product, which pay for a copy of its other operand
FEW_FEATURES = 16  # with fewer, neighbouring places of a window are taken as one run of features


def lower_convolution(state: Lowering, node: Node, reads: list[View]) -> Sequence[View] | None:
    """The steps of a convolution, or None for what the backend has no products for."""
    (out,), attrs = node.outputs, node.attrs
    dtype = _computed_in(out.type.dtype)
    dtypes = {v.dtype for v in reads} | {out.type.dtype}
    if dtype is None or not _is_supported(state, dtypes, dtype) \
            or len(attrs["window_strides"]) > SPACE:
        return None
    x, w = (_as(state, view, dtype) for view in reads)
    if not out.type.size or not x.size or not w.size:
        return [state.number(0, out.type.dtype, out.type.shape)]
    type = out.type.with_dtype(dtype)
    result = _result(type, attrs["out_spec"])
    conv = _ordered(x, w, result, attrs)
    if is_thin(conv, BATCH if attrs["batch_group_count"] > 1 else FEATURE):
        result = whole(Buffer(type))
        _convolve(state, _ordered(x, w, result, attrs), thin)
    elif is_small(conv):
        result = _result(type, attrs["out_spec"], features_last=False)
        _convolve(state, _ordered(x, w, result, attrs), small)
    else:
        with_groups_together(state, conv, partial(_convolve, state, one=_dense))
    return [_as(state, result, out.type.dtype)]


def _is_supported(state: Lowering, dtypes: Iterable[Any], wide: Any) -> bool:
    """Whether the backend convolves in the wide dtype, and converts to it and back."""
    supports = state.supports
    return supports.convolution(wide) and all(
        dtype == wide or supports.elementwise("convert", [dtype], wide)
        and supports.elementwise("convert", [wide], dtype) for dtype in dtypes)


def _computed_in(dtype: Any) -> Any:
    """What sums are made in: integers wrap in any width that is not less."""
    if dt.is_float(dtype):
        return dt.float32 if dt.bits(dtype) < 32 else dtype
    if dt.is_integer(dtype):
        return dt.int64 if dt.bits(dtype) > 32 else dt.int32
    return None


def _as(state: Lowering, view: View, dtype: Any) -> View:
    if view.dtype == dtype:
        return view
    return state.item("convert", [view], dtype, attrs={"dtype": dtype})


# -- one order of axes ----------------------------------------------------------------------------


def _result(type: Any, spec: Ints, features_last: bool = True) -> View:
    """A new buffer with the features side by side, or else the last axis of space, seen in the
    result's own order of axes."""
    order = [*(d for d in range(type.rank) if d != spec[1]), spec[1]] if features_last \
        else list(spec)
    buffer = Buffer(type.with_shape([type.shape[d] for d in order]))
    strides = row_major(buffer.type.shape)
    return View(buffer, type.dtype, type.shape, tuple(strides[order.index(d)]
                                                      for d in range(type.rank)))


def _ordered(x: View, w: View, c: View, attrs: dict[str, Any]) -> Convolution:
    """The views of a convolution's operands and result."""
    features, batches = attrs["feature_group_count"], attrs["batch_group_count"]
    lhs, rhs, out = (attrs[f"{name}_spec"] for name in ("lhs", "rhs", "out"))
    w = flipped(w, tuple(d for d, turned in zip(rhs[2:], attrs["window_reversal"]) if turned))
    x = _split(transposed(x, (lhs[0], *lhs[2:], lhs[1])), 0 if batches > 1 else len(lhs) - 1,
               max(features, batches))
    w = _split(transposed(w, (*rhs[2:], rhs[1], rhs[0])), len(rhs) - 1, max(features, batches))
    c = _split(transposed(c, (out[0], *out[2:], out[1])), len(out) - 1, max(features, batches))
    axes = [Axis(stride, dilation, low, base) for stride, dilation, (low, _), base in zip(
        attrs["window_strides"], attrs["rhs_dilation"], attrs["padding"], attrs["lhs_dilation"])]
    more = SPACE - len(axes)
    return Convolution(_widened(x, 2, more), _widened(w, 1, more), _widened(c, 2, more),
                        (*[Axis(1, 1, 0)] * more, *axes))


def _split(view: View, axis: int, groups: int) -> View:
    """The groups of an axis as a leading axis of their own."""
    n, step = view.shape[axis] // groups, view.strides[axis]
    shape, strides = list(view.shape), list(view.strides)
    shape[axis], strides[axis] = n, step if n != 1 else 0
    return replace(view, shape=(groups, *shape),
                   strides=(step * n if groups != 1 else 0, *strides))


def _widened(view: View, place: int, more: int) -> View:
    """The view with more axes of size 1."""
    return replace(view, shape=(*view.shape[:place], *(1,) * more, *view.shape[place:]),
                   strides=(*view.strides[:place], *(0,) * more, *view.strides[place:]))


# -- phases ---------------------------------------------------------------------------------------


def _convolve(state: Lowering, all_windows: Convolution,
              one: Callable[[Lowering, Convolution], None]) -> None:
    """Every phase as a convolution, by `one`; windows that meet no element are zeros."""
    if as_tiles(state, all_windows):
        return
    sizes = zip(all_windows.axes, all_windows.windows, all_windows.taps)
    parts = []
    for found in itertools.product(*(list(phases(*size)) for size in sizes)):
        c = part(all_windows.c, {2 + i: (p.first, p.step, p.windows) for i, p in enumerate(found)})
        if not all(phase.taps for phase in found):
            state.into(c, "copy", [state.number(0, c.dtype, c.shape)])
            continue
        w = part(all_windows.w, {1 + i: (p.tap, p.tap_step, p.taps) for i, p in enumerate(found)})
        conv = Convolution(all_windows.x, w, c, tuple(p.axis for p in found))
        parts.append(Part(conv, tuple(p.tap for p in found), tuple(p.tap_step for p in found)))
    # Parts of several taps can have one product; those of one tap have one each, that adds nothing.
    if one is _dense and len(parts) > 1 and all(math.prod(p.conv.taps) > 1 for p in parts) \
            and as_shifted_products(state, all_windows, parts):
        return
    for each in parts:
        one(state, each.conv)


# -- steps ----------------------------------------------------------------------------------------


def _dense(state: Lowering, conv: Convolution) -> None:
    """A convolution without holes in the array."""
    if _as_product(state, conv) or as_shifted_products(state, conv, [Part(conv)]):
        return
    conv = _contiguous(state, conv)
    conv = _merged(state, conv)
    x, w = (state.in_memory(v) for v in (conv.x, conv.w))
    step = ConvolutionStep((x, w), (conv.c,), tuple(a.stride for a in conv.axes),
                           tuple(a.dilation for a in conv.axes), tuple(a.low for a in conv.axes),
                           where=(state.where,))
    state.step(step, step.reads, step.writes)


def _as_product(state: Lowering, conv: Convolution) -> bool:
    """A matrix product, if each window has one tap or there is one window, all of it inside.

    What is strided is copied, if so many columns use it that the product's greater speed pays.
    """
    for n, q, t, axis in zip(conv.x.shape[2:-1], conv.windows, conv.taps, conv.axes):
        if q > 1 and t > 1 or not axis.is_inside(q, t, n):
            return False
    # Along each axis of space either windows or taps move.
    moved = part(conv.x, {2 + i: (-a.low, a.stride if q > 1 else a.dilation, max(q, t)) for i, (
        a, q, t) in enumerate(zip(conv.axes, conv.windows, conv.taps))})
    matrices = _matrices(conv, moved)
    if matrices is None and conv.c.shape[-1] >= MANY_COLUMNS:
        room = _room(moved, moved.shape, BATCH if is_side_by_side(moved, BATCH) else FEATURE)
        matrices = _matrices(conv, room)
        if matrices is not None:
            state.into(room, "copy", [moved])
    if matrices is None:
        return False
    a, b, c = matrices
    add_product(state, state.in_memory(a), state.in_memory(b), c)
    return True


def _matrices(conv: Convolution, moved: View) -> tuple[View, View, View] | None:
    """The operands and the result of the product, if strides allow."""
    over = tuple(i for i, t in enumerate(conv.taps) if t > 1)
    kept = tuple(2 + i for i in range(SPACE) if i not in over)
    inner = (*(2 + i for i in over), FEATURE)
    for rows in ((1, *kept), (*kept, 1)):
        for columns in (inner, (FEATURE, *inner[:-1])):
            a = _matrix(moved, rows, columns)
            b = _matrix(conv.w, tuple(d - 1 for d in columns), (FEATURE,))
            c = _matrix(conv.c, rows, (FEATURE,))
            if a is not None and b is not None and c is not None:
                return a, b, c
    return None


def _matrix(view: View, rows: Ints, columns: Ints) -> View | None:
    """The view as [group, row, column], if strides allow."""
    shape, strides = [view.shape[0]], [view.strides[0]]
    for axes in (rows, columns):
        moving = [d for d in axes if view.shape[d] != 1]
        runs = merged([view.shape[d] for d in moving], [view.strides[d] for d in moving])
        if len(runs) > 1:
            return None
        n, step = runs[0] if runs else (1, 0)
        shape.append(n)
        strides.append(step)
    return replace(view, shape=tuple(shape), strides=tuple(strides))


def _contiguous(state: Lowering, conv: Convolution) -> Convolution:
    """x with its features side by side or else its batch: a copy, if neither is."""
    x = conv.x
    if is_side_by_side(x, FEATURE) or is_side_by_side(x, BATCH):
        return conv
    copy = _room(x, x.shape, _side(conv))
    state.into(copy, "copy", [x])
    return replace(conv, x=copy)


def is_side_by_side(view: View, axis: int) -> bool:
    return view.shape[axis] > 1 and view.strides[axis] == 1


def _side(conv: Convolution) -> int:
    """Which axis of x had best be innermost: of a kernel's gradient, with few windows, the batch;
    else the features."""
    few = math.prod(conv.windows) < math.prod(conv.taps) and conv.x.shape[BATCH] > 1
    return BATCH if few or conv.x.shape[FEATURE] == 1 < conv.x.shape[BATCH] else FEATURE


def _room(view: View, shape: Ints, side: int) -> View:
    """A new buffer for an array of this shape with one axis innermost, next to it those of
    space."""
    order = [0, FEATURE if side == BATCH else BATCH, *range(2, FEATURE), side]
    buffer = Buffer(Type(view.dtype, tuple(shape[d] for d in order)))
    strides = row_major(buffer.type.shape)
    return View(buffer, view.dtype, shape, tuple(strides[order.index(d)]
                                                 for d in range(len(shape))))


# -- few features ---------------------------------------------------------------------------------


def _merged(state: Lowering, conv: Convolution) -> Convolution:
    """With few features: neighbouring taps along the last axis, and their features, as one run.

    Of a kernel's gradient, neighbouring windows and their batch. The array then has its padding
    along that axis in memory.
    """
    x, w, c, axis = conv.x, conv.w, conv.c, conv.axes[-1]
    side = FEATURE if is_side_by_side(x, FEATURE) else BATCH
    count, step = (conv.taps[-1], axis.dilation) if side == FEATURE else (
        conv.windows[-1], axis.stride)
    if count == 1 or step != 1 or x.shape[side] >= FEW_FEATURES:
        return conv
    found = _one_run(_in_order(state, w), LAST - 1, FEATURE - 1) if side == FEATURE \
        else _one_run(c, LAST, BATCH)
    if found is None:
        return conv
    w, c = (found, c) if side == FEATURE else (w, found)
    x = _padded(state, conv, side)
    x = _changed(x, {side: (x.shape[side] * count, 1),
                     LAST: (x.shape[LAST] - count + 1, x.strides[LAST])})
    return Convolution(x, w, c, (*conv.axes[:-1], replace(axis, low=0)))


def _in_order(state: Lowering, w: View) -> View:
    """The kernel with its features after the taps in memory."""
    if _one_run(w, LAST - 1, FEATURE - 1) is not None:
        return w
    dense = state.dense(w)
    return replace(dense, strides=row_major(dense.shape))


def _one_run(view: View, outer: int, inner: int) -> View | None:
    """The axis `outer`, left with size 1, put together with `inner`; None if strides forbid."""
    n, step = view.shape[inner], view.strides[inner]
    if n == 1:
        step = view.strides[outer]
    elif view.strides[outer] != n * step:
        return None
    return _changed(view, {inner: (n * view.shape[outer], step), outer: (1, 0)})


def _changed(view: View, axes: dict[int, tuple[int, int]]) -> View:
    """The view with other sizes and strides of some axes."""
    return replace(view, shape=tuple(axes.get(d, (n,))[0] for d, n in enumerate(view.shape)),
                   strides=tuple(axes.get(d, (0, s))[1] for d, s in enumerate(view.strides)))


def _padded(state: Lowering, conv: Convolution, side: int) -> View:
    """All that windows reach along the last axis of x, its places next to each other."""
    x, axis = conv.x, conv.axes[-1]
    n = x.shape[LAST]
    reach = (conv.windows[-1] - 1) * axis.stride + (conv.taps[-1] - 1) * axis.dilation + 1
    if axis.low <= 0 and reach - axis.low <= n and x.strides[LAST] == x.shape[side]:
        return part(x, {LAST: (-axis.low, 1, reach)})
    room = _room(x, tuple(reach if d == LAST else m for d, m in enumerate(x.shape)), side)
    zero = state.number(0, x.dtype, room.shape)
    first, end = min(max(0, axis.low), reach), min(reach, axis.low + n)
    end = max(end, first)
    for source, low, high, at in ((zero, 0, first, 0), (zero, end, reach, end),
                                  (x, first, end, first - axis.low)):
        if low < high:
            state.into(part(room, {LAST: (low, 1, high - low)}), "copy",
                       [part(source, {LAST: (at, 1, high - low)})])
    return room
