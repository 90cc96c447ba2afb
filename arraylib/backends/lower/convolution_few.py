"""Convolutions with few results at each place: the product of all taps first, then their sum.

    p[batch, tap, out, place] = sum over f of x[batch, place, f] * w[tap, f, out]
    c[batch, window, out] = sum over taps of p[batch, tap, out, place of the tap in the window]

As one matrix product per window the few results would fill a fraction of its columns. The gradient
of an image is like this. Over elements apart, all windows share the product, so that x is packed
once, and each phase adds up its own taps. Where windows are apart as far as they are long, each
place is in one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from arraylib.backends.lower.convolution_axes import BATCH, FEATURE, SPACE, Convolution, part
from arraylib.backends.lower.phases import Axis
from arraylib.backends.lower.plan import Buffer, GemmStep, View, row_major, whole
from arraylib.backends.lower.state import Lowering
from arraylib.backends.lower.views import Ints, flipped, merged, reshaped, transposed
from arraylib.backends.lower.window_kernel import Fold, Operand, Windows
from arraylib.hlo.ir import Type
from arraylib.record import record
from arraylib.tile.ir import Index, Value

FEW_RESULTS = 8   # at a place, that do not fill the columns of a product
MOST_ROOM = 4     # bytes of products for each byte of the array
PIECE_BYTES = 2 << 20   # of products, which stay in a cache until they are added up
MOST_PIECES = 16
MOST_WASTE = 2    # products at places that are in no window, for each that is


@record
class Part:
    """Windows that meet the same taps: a convolution of its own, and of all taps its first along
    each axis, and the steps to the next."""

    conv: Convolution
    first: Ints = (0,) * SPACE
    steps: Ints = (1,) * SPACE


def as_shifted_products(state: Lowering, conv: Convolution, parts: Sequence[Part]) -> bool:
    """Steps for a convolution with few results at each place; False if it is no such."""
    x, w = conv.x, conv.w
    space = merged(*([v[d] for d in range(2, 2 + SPACE) if x.shape[d] != 1]
                     for v in (x.shape, x.strides)))
    if len(space) != 1 or not _are_few(conv, parts):
        return False
    order = (0, *range(1, 1 + SPACE), 2 + SPACE, 1 + SPACE)
    rows = state.in_memory(state.copy(transposed(w, order)))
    conv = replace(conv, x=state.in_memory(x))
    for batch in _pieces(conv):
        product = _product(state, conv, batch, rows, *space[0])
        for each in parts:
            step = _sum(conv, each, batch, product).step(state.where)
            state.step(step, step.reads, step.writes)
    return True


def _are_few(conv: Convolution, parts: Sequence[Part]) -> bool:
    """Whether products of all taps cost less than matrices with few columns."""
    x, w, places = conv.x, conv.w, math.prod(conv.x.shape[2:-1])
    windows = min(math.prod(each.conv.windows) for each in parts)
    return x.shape[0] == 1 and w.shape[-1] <= FEW_RESULTS \
        and x.shape[FEATURE] >= 2 * w.shape[-1] and x.shape[FEATURE] <= places \
        and places <= MOST_WASTE * windows \
        and math.prod(conv.taps) * w.shape[-1] <= len(parts) * MOST_ROOM * x.shape[FEATURE]


def _pieces(conv: Convolution) -> Iterator[tuple[int, int]]:
    """Parts of the batch, (first, count), whose products are added up while they are in a cache."""
    x, batch = conv.x, conv.x.shape[BATCH]
    nbytes = x.size // x.shape[FEATURE] * math.prod(conv.taps) * conv.w.shape[-1] \
        * x.dtype.itemsize
    size = -(-batch // min(batch, -(-nbytes // PIECE_BYTES), MOST_PIECES))
    for first in range(0, batch, size):
        yield first, min(size, batch - first)


def _product(state: Lowering, conv: Convolution, batch: tuple[int, int], rows: View, places: int,
             step: int) -> View:
    """p as [batch, tap * out, place], of a part of the batch; places of x are a step apart."""
    first, size = batch
    x = part(conv.x, {BATCH: (first, 1, size)})
    count, features = math.prod(conv.taps) * conv.w.shape[-1], x.shape[FEATURE]
    a = replace(whole(rows.buffer), shape=(size, count, features), strides=(0, features, 1))
    b = replace(x, shape=(size, features, places), strides=(x.strides[BATCH], x.strides[FEATURE],
                                                            step))
    c = whole(Buffer(Type(x.dtype, (size, count, places))))
    gemm = GemmStep(a, b, c, where=(state.where,))
    state.step(gemm, [a, b], [c])
    return c


def _sum(all_taps: Convolution, some: Part, batch: tuple[int, int], product: View) -> Fold:
    """The kernel that adds up what the taps of each window give."""
    conv, still = some.conv, Axis(1, 1, 0)
    x, c = conv.x, part(conv.c, {BATCH: (batch[0], 1, batch[1])})
    stride, _, places = product.strides[0], *product.shape[1:]
    space = row_major(x.shape[2:-1])
    *taps, out = (n * places for n in row_major((*all_taps.taps, c.shape[-1])))
    windows = Windows(c.shape, (1, 1, *conv.taps, 1), (still, still, *conv.axes, still),
                      (1, batch[1], *x.shape[2:FEATURE], c.shape[-1]))
    start = sum(t * first - s * a.low for t, first, s, a in zip(taps, some.first, space, conv.axes))
    operand = Operand(
        product, (0, stride, *(s * a.stride for s, a in zip(space, conv.axes)), out),
        (0, 0, *(s * a.dilation + t * n for s, a, t, n in zip(
            space, conv.axes, taps, some.steps)), 0), start)

    def value(kernel: Fold, taps: Sequence[Index]) -> Value:
        return kernel.load(0, taps)

    return Fold(windows, [operand], c, "add", value, lambda kernel, total: total)


def as_tiles(state: Lowering, conv: Convolution) -> bool:
    """Steps for windows over elements apart of which each meets one, by one tap: what an element
    gives is a tile of the result. False if this is no such convolution."""
    x, w, c = conv.x, conv.w, conv.c
    if x.shape[0] > 1 or all(a.base == 1 for a in conv.axes) or not all(
            _tiles(*each) for each in zip(conv.axes, x.shape[2:-1], conv.windows, conv.taps)):
        return False
    order = (0, *range(1, 1 + SPACE), 2 + SPACE, 1 + SPACE)
    w = flipped(transposed(w, order), tuple(range(1, 1 + SPACE)))
    rows = state.in_memory(state.copy(w))
    features, columns = x.shape[FEATURE], math.prod(conv.taps) * c.shape[-1]
    a = reshaped(state.in_memory(state.copy(x)), (1, math.prod(x.shape[1:FEATURE]), features))
    assert a is not None, "a copy is dense"
    b = replace(whole(rows.buffer), shape=(1, features, columns), strides=(0, 1, features))
    product = whole(Buffer(Type(x.dtype, (1, a.shape[1], columns))))
    step = GemmStep(a, b, product, where=(state.where,))
    state.step(step, [a, b], [product])
    _copy_tiles(state, conv, product)
    return True


def _tiles(axis: Axis, size: int, windows: int, taps: int) -> bool:
    """Whether the windows along an axis are one tile after another."""
    return (axis.stride, axis.dilation, axis.low, windows) == (1, 1, taps - 1, size * taps) \
        and axis.base == taps


def _copy_tiles(state: Lowering, conv: Convolution, product: View) -> None:
    """The product's elements, [batch, *places, *tile, out], to where they belong."""
    x, c, taps = conv.x, conv.c, conv.taps
    sizes = (*x.shape[1:FEATURE], *taps, c.shape[-1])
    source = replace(product, shape=sizes, strides=row_major(sizes))
    strides = (c.strides[1], *(s * t for s, t in zip(c.strides[2:-1], taps)), *c.strides[2:-1],
               c.strides[-1])
    target = replace(c, shape=sizes, strides=tuple(
        s if n != 1 else 0 for n, s in zip(sizes, strides)))
    # Axes in the order of the result's memory, so that what is written is side by side.
    order = (0, *(d for i in range(SPACE) for d in (1 + i, 1 + SPACE + i)), len(sizes) - 1)
    state.into(transposed(target, order), "copy", [transposed(source, order)])
