"""Convolutions in groups of few features, which matrices of one group would be too narrow for.

Where the groups are of the batch, as in the gradient of a kernel, several are taken as one, and the
results of one group with another are left out. Where they are of features, lanes run along the last
axis of space, or if each has one feature along the groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from arraylib import dtypes as dt
from arraylib.backends.lower.convolution_axes import (
    BATCH,
    FEATURE,
    LAST,
    SPACE,
    Convolution,
    part,
)
from arraylib.backends.lower.phases import Axis
from arraylib.backends.lower.plan import Buffer, View, row_major
from arraylib.backends.lower.state import Lowering
from arraylib.backends.lower.window_kernel import Fold, Operand, Windows, over
from arraylib.hlo.ir import Type
from arraylib.tile.ir import Index, Value, index

MANY_GROUPS, FEW = 8, 4  # groups, and results of each, that are not worth a matrix product
LONG_LINE = 16           # windows along the last axis that are enough for lanes
COLUMNS = 32             # of a matrix that is not narrow
MANY_TAPS = 1 << 10      # of windows that are added up in parts
PART = 1 << 16           # elements of the array for a part, about: they stay near the core


# -- several groups as one -------------------------------------------------------------------------


def with_groups_together(state: Lowering, conv: Convolution,
                         convolve: Callable[[Convolution], None]) -> None:
    """Convolve, with as many groups of the batch as one as fill a matrix: all results of several
    groups, of which those of a group with itself are kept."""
    groups, out = conv.x.shape[0], conv.c.shape[-1]
    count = max(n for n in range(1, max(1, COLUMNS // out) + 1) if groups % n == 0)
    x, w = _joined(conv.x, BATCH, count), _joined(conv.w, len(conv.w.shape) - 1, count)
    few = math.prod(conv.windows) <= math.prod(conv.taps)
    if count == 1 or x is None or w is None or conv.x.shape[BATCH] == 1 or not few:
        convolve(conv)
    else:
        _without_others(state, conv, replace(conv, x=x, w=w), convolve, count)


def _joined(view: View, axis: int, count: int) -> View | None:
    """The view with so many of its groups in one, along an axis; None if strides forbid."""
    n = view.shape[axis]
    step = view.strides[axis] if n != 1 else view.strides[0]
    if view.strides[0] != n * step:
        return None
    shape, strides = list(view.shape), list(view.strides)
    shape[0], shape[axis] = shape[0] // count, n * count
    strides[0], strides[axis] = strides[0] * count if shape[0] != 1 else 0, step
    return replace(view, shape=tuple(shape), strides=tuple(strides))


def _without_others(state: Lowering, conv: Convolution, joined: Convolution,
                    convolve: Callable[[Convolution], None], count: int) -> None:
    """All results of several groups, of which those of a group with itself are kept."""
    groups, batch, *windows, out = conv.c.shape
    shape = (groups // count, *windows, count * batch, count * out)
    strides = row_major(shape)
    buffer = Buffer(Type(conv.c.dtype, shape))
    c = View(buffer, conv.c.dtype, (shape[0], shape[-2], *windows, shape[-1]),
             (strides[0], strides[-2], *strides[1:-2], strides[-1]))
    convolve(replace(joined, c=c))
    _, step_b, *step_w, step_o = c.strides
    own = (groups // count, count, batch, *windows, out)
    diagonal = replace(c, shape=own, strides=tuple(s if n != 1 else 0 for n, s in zip(own, (
        c.strides[0], step_b * batch + step_o * out, step_b, *step_w, step_o))))
    target = conv.c
    steps = (target.strides[0] * count, *target.strides)
    state.into(replace(target, shape=own, strides=tuple(
        s if n != 1 else 0 for n, s in zip(own, steps))), "copy", [diagonal])


# -- groups of few features ------------------------------------------------------------------------


def is_small(conv: Convolution) -> bool:
    """Whether groups are so many and small that lanes had better run along the last axis of
    space."""
    return conv.x.shape[0] >= MANY_GROUPS and conv.windows[-1] >= LONG_LINE \
        and conv.c.shape[-1] <= FEW and conv.x.shape[FEATURE] <= FEW


def small(state: Lowering, conv: Convolution) -> None:
    """A kernel over windows, of an array with its last axis of space innermost and its padding in
    memory."""
    x, axis = conv.x, conv.axes[-1]
    reach = (conv.windows[-1] - 1) * axis.stride + (conv.taps[-1] - 1) * axis.dilation + 1
    order = [d for d in range(len(x.shape)) if d != LAST] + [LAST]
    shape = [reach if d == LAST else n for d, n in enumerate(x.shape)]
    strides = row_major([shape[d] for d in order])
    room = View(Buffer(Type(x.dtype, tuple(shape[d] for d in order))), x.dtype, tuple(shape),
                tuple(strides[order.index(d)] for d in range(len(shape))))
    first = min(max(0, axis.low), reach)
    end = max(first, min(reach, axis.low + x.shape[LAST]))
    zero = state.number(0, x.dtype, room.shape)
    for source, low, high, at in ((zero, 0, first, 0), (zero, end, reach, end),
                                  (x, first, end, first - axis.low)):
        if low < high:
            state.into(part(room, {LAST: (low, 1, high - low)}), "copy",
                       [part(source, {LAST: (at, 1, high - low)})])
    _thin_at_once(state, replace(conv, x=room, axes=(*conv.axes[:-1], replace(axis, low=0))))


# -- groups of one feature -------------------------------------------------------------------------


def is_thin(conv: Convolution, grouped: int) -> bool:
    """Whether matrices would be so narrow that lanes had better run along the groups.

    `grouped` is the axis of x whose groups they are.
    """
    return conv.x.shape[0] >= MANY_GROUPS and conv.c.shape[-1] <= FEW \
        and conv.x.shape[grouped] == 1


def thin(state: Lowering, conv: Convolution) -> None:
    """A kernel over windows whose lanes run along the groups."""
    x, taps = conv.x, conv.taps
    if x.shape[BATCH] == 1 and math.prod(taps) * x.shape[FEATURE] >= MANY_TAPS \
            and math.prod(taps) > math.prod(conv.windows):
        _thin_in_parts(state, conv)
    else:
        _thin_at_once(state, conv)


def _thin_at_once(state: Lowering, conv: Convolution) -> None:
    """A kernel over windows with two axes more: the out features, and the features as taps."""
    c = replace(conv.c, shape=(*conv.c.shape, 1), strides=(*conv.c.strides, 0))
    x, w = state.in_memory(conv.x), state.in_memory(conv.w)
    still = Axis(1, 1, 0)
    windows = Windows(c.shape, (1, 1, *conv.taps, 1, w.shape[-2]),
                      (still, still, *conv.axes, still, still),
                      (*x.shape[:FEATURE], c.shape[FEATURE], x.shape[FEATURE]))
    strides = (*x.strides[:FEATURE], 0, x.strides[FEATURE])
    left = over(replace(x, shape=windows.sizes, strides=strides), windows)
    right = Operand(w, (w.strides[0], *(0,) * (1 + SPACE), w.strides[-1], 0),
                    (0, 0, *w.strides[1:-2], 0, w.strides[-2]))
    step = Fold(windows, [left, right], c, "add", _product, _as_it_is).step(state.where)
    state.step(step, step.reads, step.writes)


def _thin_in_parts(state: Lowering, conv: Convolution) -> None:
    """Long sums, as the gradient of a kernel has: each feature, and each part of the first axis of
    taps, is added up by itself, all windows of it while its elements are near; then the parts."""
    x, w, c = state.in_memory(conv.x), state.in_memory(conv.w), conv.c
    groups, features, out = x.shape[0], x.shape[FEATURE], c.shape[-1]
    axis = next(d for d, n in enumerate(conv.taps) if n > 1)
    line = groups * math.prod(conv.taps[axis + 1:])
    length = max(1, PART // line)
    parts = -(-conv.taps[axis] // length)
    shape = (parts, features, *conv.windows, out, groups)
    steps = row_major(shape)
    target = View(Buffer(Type(c.dtype, shape)), c.dtype, (groups, *shape[:-1]),
                  (steps[-1], *steps[:-1]))
    still = Axis(1, 1, 0)
    windows = Windows(target.shape, (1, 1, 1, *conv.taps, 1),
                      (still, still, still, *conv.axes, still),
                      (groups, parts, features, *x.shape[2:FEATURE], out))
    strides = (x.strides[0], 0, x.strides[FEATURE], *x.strides[2:FEATURE], 0)
    left = over(replace(x, shape=windows.sizes, strides=strides), windows)
    right = Operand(w, (w.strides[0], 0, w.strides[-2], *(0,) * SPACE, w.strides[-1]),
                    (0, 0, 0, *w.strides[1:-2], 0))
    step = _Parts(windows, [left, right], target, 3 + axis, length).step(state.where)
    state.step(step, step.reads, step.writes)
    whole_sums = View(target.buffer, c.dtype, shape, steps)
    order = (2, 3, 4, 5, 0)
    state.into(replace(c, shape=tuple(c.shape[d] for d in order),
                       strides=tuple(c.strides[d] for d in order)),
               "reduce_add", [whole_sums], over=(0, 1))


def _product(kernel: Fold, taps: Sequence[Index]) -> Value:
    factors = [kernel.load(0, taps), kernel.load(1, taps)]
    return kernel.b.apply("multiply", factors, kernel.target.dtype)


def _as_it_is(kernel: Fold, total: Value) -> Value:
    return total


class _Parts(Fold):
    """Sums of products over the taps of a part; axis 1 of the result counts the parts."""

    def __init__(self, windows: Windows, operands: Sequence[Operand], target: View, axis: int,
                 length: int) -> None:
        super().__init__(windows, operands, target, "add", _product, _as_it_is)
        self.axis, self.length = axis, length

    def is_whole(self, d: int, middle: bool) -> bool:
        return d != self.axis and super().is_whole(d, middle)

    def inside(self, d: int) -> tuple[Index, Index]:
        low, high = super().inside(d)
        if d != self.axis:
            return low, high
        b, start = self.b, self.at[1] * self.length
        first = b.apply("maximum", [b.count(low), b.count(start)], dt.int64)
        return index(first), b.limit(high, b.count(start + self.length))
