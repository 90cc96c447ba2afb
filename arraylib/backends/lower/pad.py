"""pad: an array written into a larger one, and what is around it."""

from __future__ import annotations

from collections.abc import Sequence

from arraylib.backends.lower import indexed
from arraylib.backends.lower.plan import Buffer, View, whole
from arraylib.backends.lower.state import Lowering
from arraylib.backends.lower.views import Ints, boxed, broadcast, sliced
from arraylib.hlo.ir import Type


def padded(state: Lowering, x: View, value: View, low: Ints, high: Ints, interior: Ints) -> View:
    """The operand is written into a buffer; around it, boxes of the value."""
    type = Type(x.dtype, tuple(
        a + b + (max(n - 1, 0) * i + n if n else 0)
        for n, a, b, i in zip(x.shape, low, high, interior)))
    target = whole(Buffer(type))
    x, first, last = _cut(x, low, high, interior)
    fill = broadcast(value, type.shape, ())
    if any(i and n > 1 for i, n in zip(interior, x.shape)) or not x.size:
        return _scattered(state, type, x, fill, first, interior)
    box = [(0, n) for n in type.shape]
    for d, n in enumerate(type.shape):
        for part in ((0, first[d]), (last[d], n)):
            if part[0] < part[1]:
                inside = [*box[:d], part, *box[d + 1:]]
                _write_box(state, target, fill, inside)
        box[d] = first[d], last[d]
    state.into(boxed(target, box), "copy", [x])
    return target


def _cut(x: View, low: Ints, high: Ints, interior: Ints) -> tuple[View, Ints, Ints]:
    """What negative padding leaves of x, and where it goes: from `first` to `last` on each axis."""
    start, limit, first, last = [], [], [], []
    for n, a, b, i in zip(x.shape, low, high, interior):
        step = i + 1
        reach = (n - 1) * step + 1 if n else 0
        begin = min(n, -(a // step)) if a < 0 else 0
        end = n - 1 if b >= 0 else (reach - 1 + b) // step if reach - 1 + b >= 0 else -1
        end = max(end, begin - 1)
        start.append(begin)
        limit.append(end + 1)
        first.append(a + begin * step)
        last.append(first[-1] + max((limit[-1] - start[-1] - 1) * step + 1, 0))
    return sliced(x, tuple(start), tuple(limit), (1,) * len(start)), tuple(first), tuple(last)


def _write_box(state: Lowering, target: View, fill: View, box: Sequence[tuple[int, int]]) -> None:
    part = boxed(target, box)
    if part.size:
        state.into(part, "copy", [boxed(fill, box)])


def _scattered(state: Lowering, type: Type, x: View, fill: View, first: Ints,
               interior: Ints) -> View:
    """Padding between elements: all of the buffer is filled, then x is written with gaps."""
    filled = state.in_memory(state.copy(fill))
    if x.size:
        steps = tuple(i + 1 for i in interior)
        limit = tuple(f + (n - 1) * s + 1 for f, n, s in zip(first, x.shape, steps))
        indexed.overwrite(state, filled, sliced(filled, first, limit, steps), x)
    return filled
