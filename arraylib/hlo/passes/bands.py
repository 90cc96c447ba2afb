"""Where the axes of one value lie in a later one, and which diagonals of it a mask keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Node, Value
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant, iota, splat
from arraylib.hlo.ops.structured import broadcast_in_dim, reshape, transpose
from arraylib.record import record

Defined = Mapping[Value, Node]
Axes = tuple[int | None, ...]  # for each axis of a value, one of the frame; None if it is of size 1
_LARGEST = 1 << 27  # index or number of which sums are looked at
_FLIPPED = {"GE": "LE", "LE": "GE", "GT": "LT", "LT": "GT"}


def axes_before(node: Node, axes: Axes) -> Axes | None:
    """The axes of the operand that is only laid out anew; None if the node does more than that."""
    if node.op is transpose:
        found: list[int | None] = [None] * len(axes)
        for axis, source in zip(axes, node.attrs["permutation"]):
            found[source] = axis
        return tuple(found)
    if node.op is broadcast_in_dim:
        before, after = node.types[0].shape, node.outputs[0].type.shape
        return tuple(axes[d] if n == after[d] else None
                     for n, d in zip(before, node.attrs["broadcast_dimensions"]))
    return _before_reshape(node, axes) if node.op is reshape else None


def _before_reshape(node: Node, axes: Axes) -> Axes | None:
    """The same for a reshape, if it only adds or takes axes of size 1."""
    before, after = node.types[0].shape, node.outputs[0].type.shape
    if [n for n in before if n != 1] != [n for n in after if n != 1]:
        return None
    long = iter([axis for n, axis in zip(after, axes) if n != 1])
    return tuple(None if n == 1 else next(long) for n in before)


def source(value: Value, axes: Axes, defined: Defined) -> tuple[Value, Axes]:
    """The value that `value` is but another layout of, and where its axes lie."""
    while (node := defined.get(value)) and (before := axes_before(node, axes)) is not None:
        value, axes = node.inputs[0], before
    return value, axes


def number(value: Value, defined: Defined) -> float | None:
    """The one number that a value repeats, if that is known."""
    node = defined.get(source(value, (None,) * value.type.rank, defined)[0])
    if node is None or node.op is not constant:
        return None
    found = splat(node.attrs["value"])
    return None if found is None or found.dtype.kind == "c" else float(found)


# -- diagonals -------------------------------------------------------------------------------------


@record
class Band:
    """Cells at which low <= column - row <= high; None for no end."""

    low: int | None
    high: int | None

    def __and__(self, other: Band) -> Band:
        lows = [x for x in (self.low, other.low) if x is not None]
        highs = [x for x in (self.high, other.high) if x is not None]
        return Band(max(lows, default=None), min(highs, default=None))


def band(mask: Value, axes: Axes, row: int, column: int, defined: Defined) -> Band | None:
    """The diagonals at which the mask is true, if these are consecutive ones and it is known."""
    mask, axes = source(mask, axes, defined)
    node = defined.get(mask)
    if node is None:
        return None
    if node.op is constant:
        return _constant_band(node.attrs["value"], axes, row, column)
    if node.op is ew.select and [number(v, defined) for v in node.inputs[1:]] == [1, 0]:
        return band(node.inputs[0], axes, row, column, defined)
    if node.op is ew.and_:
        parts = [band(v, axes, row, column, defined) for v in node.inputs]
        return parts[0] & parts[1] if parts[0] and parts[1] else None
    return _compared(node, axes, row, column, defined) if node.op is ew.compare else None


def _constant_band(value: np.ndarray[Any, Any], axes: Axes, row: int, column: int) -> Band | None:
    """That of a matrix in which everything from one diagonal on is true, or up to one."""
    if [a for a, n in zip(axes, value.shape) if n != 1] != [row, column]:
        return None
    matrix = value.reshape([n for n in value.shape if n != 1])
    (rows, columns), last = matrix.shape, int(np.argmin(matrix[0])) - 1  # that is true
    known = last >= 0 and np.array_equal(matrix, np.tri(rows, columns, last, np.bool_))
    return Band(None, last) if known else None


def _compared(node: Node, axes: Axes, row: int, column: int, defined: Defined) -> Band | None:
    """That of a comparison in which column - row, and numbers, are what counts."""
    x, y = (_index_sum(v, axes, defined) for v in node.inputs)
    if x is None or y is None:
        return None
    less, by, direction = x.less(y), y.number - x.number, node.attrs["direction"]
    if less == {row: 1, column: -1}:
        less, by, direction = {column: 1, row: -1}, -by, _FLIPPED.get(direction)
    if less != {column: 1, row: -1}:
        return None
    ends = {"LE": Band(None, by), "LT": Band(None, by - 1), "GE": Band(by, None),
            "GT": Band(by + 1, None)}
    return ends.get(direction)


@record
class _Sum:
    """Indices along axes of the frame, each so many times, and a number."""

    times: dict[int | None, int]
    number: int

    def less(self, other: _Sum) -> dict[int | None, int]:
        axes = {**self.times, **other.times}
        found = {a: self.times.get(a, 0) - other.times.get(a, 0) for a in axes}
        return {a: n for a, n in found.items() if n and a is not None}


def _index_sum(value: Value, axes: Axes, defined: Defined) -> _Sum | None:
    """The value as a sum of indices and numbers, if it is one that cannot overflow."""
    value, axes = source(value, axes, defined)
    node = defined.get(value)
    if node is None or not _fits(value):
        return None
    if node.op is iota:
        return _Sum({axes[node.attrs["dimension"]]: 1}, 0)
    if node.op is ew.convert:
        return _index_sum(node.inputs[0], axes, defined)
    if (known := number(value, defined)) is not None:
        return _Sum({}, int(known)) if abs(known) <= _LARGEST else None
    if node.op not in (ew.add, ew.subtract):
        return None
    x, y = (_index_sum(v, axes, defined) for v in node.inputs)
    if x is None or y is None or x.times and y.times and node.op is ew.add:
        return None
    sign = 1 if node.op is ew.add else -1
    return _Sum(x.less(y) if sign < 0 else {**x.times, **y.times}, x.number + sign * y.number)


def _fits(value: Value) -> bool:
    """Whether indices, and a few sums of them with numbers, stay within the dtype."""
    dtype = value.type.dtype
    return (dt.kind(dtype) == "i" and dt.iinfo(dtype).max > 8 * _LARGEST
            and max(value.type.shape, default=0) <= _LARGEST)
