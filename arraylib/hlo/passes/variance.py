"""Sums of squares about the mean of many rows, in one sweep over memory.

    m = sum(x) / n;  s = sum((x - m)^2)        over leading axes

goes over x twice, since the mean must be known first. Of a block of rows, which stays in the cache,
that costs nothing. With the sums a and squares q (about the block's own mean) of blocks of r rows,

    m = sum(a) / n;  s = sum(q + r (a / r - m)^2)

which loses no digits where the mean is large (Chan, Golub and LeVeque 1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from arraylib import dtypes as dt
from arraylib.hlo.ir import Graph, Node, Value
from arraylib.hlo.ops.constant import constant, full_like, splat
from arraylib.hlo.ops.elementwise import add, divide, multiply, subtract
from arraylib.hlo.ops.structured import broadcast_in_dim, reduce_add, reshape
from arraylib.hlo.passes.rewrite import Rewriter, rewrite

Ints = tuple[int, ...]

LEAST_BYTES = 1 << 22  # less is in a cache at the second sweep
FEWEST_ROWS, MOST_ROWS = 8, 32  # of a block
BLOCK = 1 << 13        # elements of a block, if that is more rows


def in_one_sweep(graph: Graph) -> Graph:
    """The graph in which such sums are made of those of blocks, where that helps."""
    found = _squares(graph)
    if not found:
        return graph
    made: dict[Value, Value] = {}

    def rule(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
        (out, *_) = node.outputs
        if out in made:
            return [made[out]]
        if out not in found:
            return None
        total, squares = _by_blocks(node.inputs[0], len(node.attrs["dimensions"]))
        made.update(dict.fromkeys(found[out], squares))
        return [total]

    return rewrite(graph, rule)


# -- which ----------------------------------------------------------------------------------------


def _squares(graph: Graph) -> dict[Value, list[Value]]:
    """For sums that are worth it, the sums of squares about the mean that they give."""
    defined = {value: node for node in graph.nodes for value in node.outputs}
    found: dict[Value, list[Value]] = {}
    for node in graph.nodes:
        if node.op is reduce_add:
            total = _sum_behind(node, defined)
            if total is not None:
                found.setdefault(total, []).append(node.outputs[0])
    return found


def _sum_behind(node: Node, defined: dict[Value, Node]) -> Value | None:
    """The sum whose share is the mean about which squares are added up by this node."""
    square = _by(defined, node.inputs[0], multiply)
    if square is None or square.inputs[0] is not square.inputs[1]:
        return None
    apart = _by(defined, square.inputs[0], subtract)
    spread = apart and _by(defined, apart.inputs[1], broadcast_in_dim)
    if not apart or not spread or not _fits(apart.inputs[0], node.attrs["dimensions"], defined):
        return None
    rank, dimensions = apart.inputs[0].type.rank, node.attrs["dimensions"]
    mean, kept = spread.inputs[0], tuple(range(len(dimensions), rank))
    if spread.attrs["broadcast_dimensions"] not in (tuple(range(rank)), kept):
        return None
    count = math.prod(apart.inputs[0].type.shape[:len(dimensions)])
    total = _behind(_shared(_behind(mean, defined), count, defined), defined)
    summed = None if total is None else _by(defined, total, reduce_add)
    same = summed and summed.inputs[0] is apart.inputs[0] \
        and summed.attrs["dimensions"] == dimensions
    return total if same else None


def _by(defined: dict[Value, Node], value: Value, op: object) -> Node | None:
    node = defined.get(value)
    return node if node is not None and node.op is op else None


def _behind(value: Value | None, defined: dict[Value, Node]) -> Value | None:
    """What was reshaped to a value."""
    while value is not None and (node := _by(defined, value, reshape)) is not None:
        value = node.inputs[0]
    return value


def _shared(value: Value | None, count: int, defined: dict[Value, Node]) -> Value | None:
    """What was divided by `count` to give a value."""
    node = None if value is None else _by(defined, value, divide)
    by = node and _by(defined, node.inputs[1], constant)
    number = by and splat(by.attrs["value"])
    return node.inputs[0] if node and number is not None and number == count else None


def _fits(x: Value, dimensions: Ints, defined: dict[Value, Node]) -> bool:
    """Whether blocks of rows can be cut out of a large array as it lies in memory."""
    source = defined.get(x)
    return dimensions == tuple(range(len(dimensions))) and x.type.nbytes >= LEAST_BYTES \
        and x.type.dtype in (dt.float32, dt.float64) and _rows(x, len(dimensions)) > 0 \
        and (source is None or source.op.elementwise)


def _rows(x: Value, axes: int) -> int:
    """How many rows a block has; 0 if the number of rows has no fitting divisor."""
    rows, row = math.prod(x.type.shape[:axes]), math.prod(x.type.shape[axes:])
    most = max(MOST_ROWS, BLOCK // row)
    return max((n for n in range(FEWEST_ROWS, min(most, rows) + 1) if rows % n == 0), default=0)


# -- what instead ---------------------------------------------------------------------------------


def _by_blocks(x: Value, axes: int) -> tuple[Value, Value]:
    """The sum over leading axes, and the sum of squares about the mean."""
    rows, kept = math.prod(x.type.shape[:axes]), x.type.shape[axes:]
    row, block = math.prod(kept), _rows(x, axes)
    cut = reshape(x, shape=(rows // block, block, row))
    sums = reduce_add(cut, dimensions=(1,))
    means = divide(sums, full_like(sums, block))
    apart = subtract(cut, _spread(means, cut, (0, 2)))
    squares = reduce_add(multiply(apart, apart), dimensions=(1,))
    total = reduce_add(sums, dimensions=(0,))
    mean = divide(total, full_like(total, rows))
    off = subtract(means, _spread(mean, means, (1,)))
    between = multiply(full_like(off, block), multiply(off, off))
    found = reduce_add(add(squares, between), dimensions=(0,))
    return reshape(total, shape=kept), reshape(found, shape=kept)


def _spread(x: Value, over: Value, dimensions: Ints) -> Value:
    found: Value = broadcast_in_dim(x, shape=over.type.shape, broadcast_dimensions=dimensions)
    return found
