"""Reading and writing at places that are data: dynamic slices, gather, scatter.

A read becomes an item "take": its operand is a view over the result's axes (not moving along those
that only the indices have), moved on at each point by the index vector found there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from arraylib import dtypes as dt
from arraylib.backends.lower.items import literal
from arraylib.backends.lower.plan import Buffer, View, whole
from arraylib.backends.lower.put import Target, put_step
from arraylib.backends.lower.state import Lowering
from arraylib.backends.lower.views import Ints, boxed, broadcast, sliced
from arraylib.hlo.ir import Node, Type

# An array up to so many times its update is written anew; a larger one is changed in place.
WRITTEN_ANEW = 4


def _in_registers(state: Lowering, dtype: Any) -> bool:
    """Whether kernels can move values of this dtype."""
    return state.supports.elementwise("select", [dt.bool_, dtype, dtype], dtype)


def _take(state: Lowering, operand: View, indices: Sequence[View], limits: Sequence[int],
          steps: Sequence[int]) -> View:
    """An item that reads `operand`, moved on by the indices; all are views over one shape.

    The operand itself where there is but one place to read.
    """
    pairs = [(i, m, s) for i, m, s in zip(indices, limits, steps) if m > 0 and s]
    if not pairs:
        return operand
    attrs = {"limits": tuple(m for _, m, _ in pairs), "steps": tuple(s for _, _, s in pairs)}
    reads = [state.in_memory(operand), *(i for i, _, _ in pairs)]
    return state.item("take", reads, operand.dtype, attrs=attrs)


def _dynamic_slice(state: Lowering, node: Node, reads: list[View]) -> list[View] | None:
    (x, *starts), sizes = reads, node.attrs["sizes"]
    if not _in_registers(state, x.dtype) or 0 in sizes:
        return None
    x = state.in_memory(x)
    window = replace(x, shape=sizes, strides=tuple(s if n != 1 else 0
                                                   for n, s in zip(sizes, x.strides)))
    limits = [n - m for n, m in zip(x.shape, sizes)]
    places = [broadcast(start, sizes, ()) for start in starts]
    return [_take(state, window, places, limits, x.strides)]


def _dynamic_update_slice(state: Lowering, node: Node, reads: list[View]) -> list[View] | None:
    x, update, *starts = reads
    if not _in_registers(state, x.dtype):
        return None
    limits = tuple(n - m for n, m in zip(x.shape, update.shape))
    known = _known_start(starts, limits)
    if known is not None and x.size <= update.size * WRITTEN_ANEW:
        return [_around(state, x, update, known)]
    target = state.in_memory(state.copy(x))
    if update.size:
        window = sliced(target, (0,) * len(x.shape), update.shape, (1,) * len(x.shape))
        places = tuple(broadcast(start, update.shape, ()) for start in starts)
        _put(state, Target(window, places, limits, target.strides, clamps=True), "set", update, ())
    return [target]


def _known_start(starts: Sequence[View], limits: Ints) -> Ints | None:
    """Where a window begins if all its starts are numbers in the program."""
    numbers = [literal(start) for start in starts]
    if any(number is None for number in numbers):
        return None
    return tuple(min(max(int(number), 0), limit) for number, limit in zip(numbers, limits))


def _around(state: Lowering, x: View, update: View, start: Ints) -> View:
    """A new buffer: the update in its window, and boxes of x around it.

    What computes the update then writes the window itself, even where it reads x.
    """
    if update.shape == x.shape:
        return update
    target = whole(Buffer(Type(x.dtype, x.shape)))
    box = [(0, n) for n in x.shape]
    for d, (low, n) in enumerate(zip(start, update.shape)):
        for part in ((0, low), (low + n, x.shape[d])):
            if part[0] < part[1]:
                inside = [*box[:d], part, *box[d + 1:]]
                _copy_box(state, target, x, inside)
        box[d] = low, low + n
    state.into(boxed(target, box), "copy", [update])
    return target


def _copy_box(state: Lowering, target: View, x: View, box: Sequence[tuple[int, int]]) -> None:
    if all(low < high for low, high in box):
        state.into(boxed(target, box), "copy", [boxed(x, box)])


class _Axes:
    """Which axes of a window are whose, in the words of gather."""

    def __init__(self, x: View, indices: View, attrs: dict[str, Any], rank: int,
                 names: tuple[str, str, str, str, str]) -> None:
        window, dropped, batching, paired, moved = (attrs[name] for name in names)
        vector = attrs["index_vector_dim"]
        self.window: Ints = window
        self.outer = tuple(d for d in range(rank) if d not in window)
        self.kept = tuple(d for d in range(len(x.shape)) if d not in dropped and d not in batching)
        self.moved: Ints = moved
        self.vector = vector
        outer = [d for d in range(len(indices.shape)) if d != vector]
        # A batching axis of the operand runs along with an outer axis of the result.
        self.along = {self.outer[outer.index(b)]: d for d, b in zip(batching, paired)}

    def operand(self, x: View, shape: Ints) -> View:
        """x over the axes of the result."""
        strides = [0] * len(shape)
        for axis, d in (*zip(self.window, self.kept), *self.along.items()):
            strides[axis] = x.strides[d] if shape[axis] != 1 else 0
        return replace(x, shape=shape, strides=tuple(strides))

    def places(self, indices: View, shape: Ints) -> list[View]:
        """Each component of the index vectors over the axes of the result."""
        found = []
        for k in range(len(self.moved)):
            part = indices
            if self.vector < len(indices.shape):
                start = tuple(k if d == self.vector else 0 for d in range(len(indices.shape)))
                limit = tuple(k + 1 if d == self.vector else n
                              for d, n in enumerate(indices.shape))
                part = sliced(indices, start, limit, (1,) * len(start))
                keep = [d for d in range(len(part.shape)) if d != self.vector]
                part = replace(part, shape=tuple(part.shape[d] for d in keep),
                               strides=tuple(part.strides[d] for d in keep))
            found.append(broadcast(part, shape, self.outer))
        return found


def _gather(state: Lowering, node: Node, reads: list[View]) -> list[View] | None:
    (x, indices), (out,), attrs = reads, node.outputs, node.attrs
    if not _in_registers(state, x.dtype) or not out.type.size or not indices.size:
        return None
    axes = _Axes(x, indices, attrs, out.type.rank, (
        "offset_dims", "collapsed_slice_dims", "operand_batching_dims",
        "start_indices_batching_dims", "start_index_map"))
    limits = [x.shape[d] - attrs["slice_sizes"][d] for d in axes.moved]
    x = state.in_memory(x)
    return [_take(state, axes.operand(x, out.type.shape), axes.places(indices, out.type.shape),
                  limits, [x.strides[d] for d in axes.moved])]


def _scatter(state: Lowering, node: Node, reads: list[View]) -> list[View] | None:
    x, indices, updates = reads
    attrs, kind = node.attrs, node.attrs["kind"]
    if not _in_registers(state, x.dtype):
        return None
    if kind != "set" and not state.supports.elementwise(kind, [x.dtype] * 2, x.dtype):
        return None
    target = state.in_memory(state.copy(x))
    if updates.size and indices.size:
        axes = _Axes(x, indices, attrs, len(updates.shape), (
            "update_window_dims", "inserted_window_dims", "input_batching_dims",
            "scatter_indices_batching_dims", "scatter_dims_to_operand_dims"))
        sizes = dict(zip(axes.kept, (updates.shape[d] for d in axes.window)))
        limits = tuple(x.shape[d] - sizes.get(d, 1) for d in axes.moved)
        place = Target(axes.operand(target, updates.shape),
                       tuple(axes.places(indices, updates.shape)), limits,
                       tuple(target.strides[d] for d in axes.moved), clamps=False)
        meeting = () if attrs["unique_indices"] else \
            tuple(d for d in axes.outer if d not in axes.along)
        _put(state, place, kind, updates, meeting)
    return [target]


def overwrite(state: Lowering, target: View, part: View, update: View) -> None:
    """Write `update` to a part of a buffer that is written already."""
    _put(state, Target(part, (), (), (), clamps=True), "set", update, ())


def _put(state: Lowering, target: Target, kind: str, update: View, ordered: Ints) -> None:
    """A step of its own, after all that wrote the buffer."""
    target = replace(target, places=tuple(map(state.in_memory, target.places)))
    update = state.in_memory(update)
    step = put_step(target, kind, update, ordered, state.where)
    state.fuser.fence(target.view.buffer)
    state.step(step, step.reads, step.writes)


RULES: dict[str, Callable[[Lowering, Node, list[View]], Sequence[View] | None]] = {
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "gather": _gather,
    "scatter": _scatter,
}

