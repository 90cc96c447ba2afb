"""Scalar regions on whole arrays, and folds with them: what the general operations share.

A general operation (a reduction, a sort, a scatter by any rule) has a region: a closed graph over
scalars. Where it is made of elementwise operations, as nearly all are, it means the same on whole
arrays, one element of each at a time: `lift` runs it so in NumPy, `emit_lifted` writes it out.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, Source, mistake
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Graph, Node, Type, Value, current, trace_graph, type_of
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant, full, zeros
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.ops.shape import slice_
from arraylib.hlo.ops.structured import broadcast_in_dim, reshape
from arraylib.record import record

Combine = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
Cut = Callable[[Any, int, int, int, int], Any]  # (array, axis, start, stop, step) -> array

_SHORT = 16  # elements of a window that may be folded one by one, each a node in a graph

# -- regions ---------------------------------------------------------------------------------------


def is_liftable(graph: Graph) -> bool:
    """Whether a region over scalars is made of elementwise operations and constants only."""
    return all(_is_liftable(node) for node in graph.nodes) and not any(
        v.type.rank for v in graph.inputs)


def _is_liftable(node: Node) -> bool:
    if any(v.type.rank for v in node.outputs):
        return False
    if node.op.grouping:
        return is_liftable(node.attrs["body"])
    return node.op is constant or node.op.elementwise


def lift(graph: Graph, arrays: Sequence[Any]) -> list[Any]:
    """The outputs of a scalar region for each place of NumPy arrays of one shape.

    A region with other than elementwise operations runs once for each place.
    """
    shape = arrays[0].shape
    if is_liftable(graph):
        return [np.broadcast_to(x, shape) for x in _lift(graph, arrays)]
    outs = [np.empty(shape, t.dtype) for t in graph.output_types]
    for place in np.ndindex(shape):
        found = interpret(graph, [np.asarray(x[place]) for x in arrays])
        for out, value in zip(outs, found):
            out[place] = value
    return outs


def _lift(graph: Graph, arrays: Sequence[Any]) -> list[Any]:
    """Constants stay scalars: NumPy repeats them."""
    env: dict[Value, Any] = dict(zip(graph.inputs, arrays, strict=True))
    for node in graph.nodes:
        xs = [env[v] for v in node.inputs]
        outs = _lift(node.attrs["body"], xs) if node.op.grouping else node.op.evaluate(
            xs, node.attrs)
        env.update(zip(node.outputs, outs))
    return [env[v] for v in graph.outputs]


def emit_lifted(graph: Graph, values: Sequence[Any]) -> list[Any]:
    """Emit a scalar region for each place of values of one shape.

    A region with other than elementwise operations becomes a loop over the places.
    """
    shape = type_of(values[0]).shape
    if is_liftable(graph):
        return _emit_lifted(graph, values, shape)
    size = math.prod(shape)
    if not size:
        return [zeros(t.with_shape(shape)) for t in graph.output_types]
    rows = [reshape(x, shape=(size,)) for x in values]
    outs = scan(*rows, body=graph, consts=0, carry=0, length=size, reverse=False)
    return [reshape(x, shape=shape) for x in outs]


def _emit_lifted(graph: Graph, values: Sequence[Any], shape: tuple[int, ...]) -> list[Any]:
    env: dict[Value, Any] = dict(zip(graph.inputs, values, strict=True))
    for node in graph.nodes:
        xs = [env[v] for v in node.inputs]
        if node.op.grouping:
            outs: Sequence[Any] = _emit_lifted(node.attrs["body"], xs, shape)
        elif node.op is constant:
            value = node.attrs["value"]
            outs = [full(shape, value, value.dtype)]
        else:
            outs = current().emit(node.op, xs, node.attrs, node.where)
        env.update(zip(node.outputs, outs))
    return [env[v] for v in graph.outputs]


def single_op(graph: Graph) -> OpDef | None:
    """The operation, without attributes, that a region of two scalars applies to them, if any."""
    if len(graph.nodes) != 1 or len(graph.outputs) != 1 or len(graph.inputs) != 2:
        return None
    (node,) = graph.nodes
    applied = node.inputs == graph.inputs and node.outputs == graph.outputs and not node.attrs
    return node.op if applied else None


def expansion(node: Node) -> Graph:
    """The graph of a node's `expand` rule: what derivatives and batches may be taken of."""
    assert node.op.expand is not None
    return written_out(node, node.op.expand)


def written_out(node: Node, rule: Callable[..., Any]) -> Graph:
    """The graph of `rule(*operands, **attributes)` for the operands of a node."""
    def function(*xs: Any) -> Sequence[Any]:
        outs = rule(*xs, **node.attrs)
        return tuple(outs) if node.op.multiple else (outs,)
    return trace_graph(node.types, function)


# -- types -----------------------------------------------------------------------------------------


def show(types: Sequence[Type]) -> str:
    """Types as a message lists them."""
    return f"({', '.join(map(str, types))})"


def check_signature(op: str, what: str, graph: Graph, inputs: Sequence[Type],
                    outputs: Sequence[Type], where: Source | None) -> None:
    """ShapeError unless the region is a function from and to these types."""
    if graph.input_types != tuple(inputs) or graph.output_types != tuple(outputs):
        raise mistake(ShapeError, op, f"{what} is {show(graph.input_types)} -> "
                      f"{show(graph.output_types)}, but must be {show(inputs)} -> {show(outputs)}",
                      where=where)


def accumulators(op: str, what: str, body: Graph, types: Sequence[Type],
                 where: Source | None) -> list[np.dtype[Any]]:
    """The dtypes in which a body (accumulators..., elements...) -> accumulators... combines.

    They are those of the operands, or wider ones of the same kind. Raises ShapeError or DtypeError.
    """
    found = body.output_types
    if len(found) != len(types):
        raise mistake(ShapeError, op, f"{what} gives {len(found)} results for {len(types)} "
                      "operands", where=where, operands=types)
    wanted = [Type(t.dtype, ()) for t in found]
    check_signature(op, what, body, [*wanted, *wanted], wanted, where)
    for i, (type, inner) in enumerate(zip(types, found)):
        if not is_promotable(type.dtype, inner.dtype):
            raise mistake(DtypeError, op, f"{what} combines {dt.name(inner.dtype)} but operand {i} "
                          f"is {dt.name(type.dtype)}", where=where, operands=types,
                          hint="the operand's own dtype, or a wider one of its kind")
    return [t.dtype for t in found]


def as_dtype(x: Any, dtype: np.dtype[Any]) -> Any:
    """A value converted, if it is not of this dtype already."""
    return x if type_of(x).dtype == dtype else ew.convert(x, dtype=dtype)


def is_promotable(narrow: np.dtype[Any], wide: np.dtype[Any]) -> bool:
    """Whether StableHLO may turn the first dtype into the second: of its kind, and not smaller."""
    return dt.kind(narrow) == dt.kind(wide) and dt.bits(narrow) <= dt.bits(wide)


# -- folds -----------------------------------------------------------------------------------------


@record
class Medium:
    """What an algorithm is carried out in: NumPy arrays, at once, or values of a graph.

    apply(op, *operands, **attributes) gives the operation's result; `lift` and `cut` as above and
    below.
    """

    apply: Callable[..., Any]
    lift: Callable[[Graph, Sequence[Any]], list[Any]]
    cut: Cut

    def convert(self, x: Any, dtype: np.dtype[Any]) -> Any:
        """x in another dtype, if it has not that one already."""
        return x if type_of(x).dtype == dtype else self.apply(ew.convert, x, dtype=dtype)

    def spread(self, scalar: Any, shape: Sequence[int]) -> Any:
        """A scalar repeated to a shape."""
        return self.apply(broadcast_in_dim, scalar, shape=tuple(shape), broadcast_dimensions=())

    def reshape(self, x: Any, shape: Sequence[int]) -> Any:
        return self.apply(reshape, x, shape=tuple(shape))

    def combine(self, body: Graph) -> Combine:
        """A body (accumulators, elements) -> accumulators as a function on two lists of arrays."""
        return lambda xs, ys: self.lift(body, [*xs, *ys])


def cut_view(x: Any, axis: int, start: int, stop: int, step: int) -> Any:
    """The elements start:stop:step of a NumPy array along an axis, as a view."""
    return x[(slice(None),) * axis + (slice(start, stop, step),)]


def cut_slice(x: Any, axis: int, start: int, stop: int, step: int) -> Any:
    """As `cut_view`, for values of a graph."""
    shape = type_of(x).shape
    if (start, stop, step) == (0, shape[axis], 1):
        return x
    def along(value: int, others: Sequence[int]) -> tuple[int, ...]:
        return (*others[:axis], value, *others[axis + 1:])
    none, ones = (0,) * len(shape), (1,) * len(shape)
    return slice_(x, start=along(start, none), limit=along(stop, shape), strides=along(step, ones))


ARRAYS = Medium(lambda op, *xs, **attrs: op.numpy(*xs, **attrs), lift, cut_view)
VALUES = Medium(lambda op, *xs, **attrs: op(*xs, **attrs), emit_lifted, cut_slice)


def fold_axis(xs: Sequence[Any], axis: int, combine: Combine, cut: Cut) -> Sequence[Any]:
    """The fold of all elements along an axis, which keeps one: log2(n) combinations of neighbours.

    Neighbours stay in order, so that `combine` need not commute. The axis must not be empty.
    """
    def part(*place: int) -> list[Any]:
        return [cut(x, axis, *place) for x in xs]
    n = type_of(xs[0]).shape[axis]
    tail: Sequence[Any] | None = None
    while n > 1:
        if n % 2:
            last = part(n - 1, n, 1)
            tail = last if tail is None else combine(last, tail)
        xs = combine(part(0, n - n % 2, 2), part(1, n, 2))
        n //= 2
    return xs if tail is None else combine(xs, tail)


def fold_windows(xs: Sequence[Any], axis: int, window: tuple[int, int, int], combine: Combine,
                 cut: Cut) -> Sequence[Any]:
    """The fold of each window (size, stride, dilation) along an axis, in order.

    Short windows are folded one element of each at a time if that is less work than what it takes
    for long ones: pieces of 1, 2, 4, ... elements, which overlapping windows share.
    """
    size, stride, dilation = window
    n = type_of(xs[0]).shape[axis]
    count = (n - (size - 1) * dilation - 1) // stride + 1
    def at(pieces: Sequence[Any], first: int) -> list[Any]:
        """The pieces that stand `first` elements into each window."""
        start = first * dilation
        return [cut(x, axis, start, start + (count - 1) * stride + 1, stride) for x in pieces]
    if count == 1:
        reach = (size - 1) * dilation + 1
        return fold_axis([cut(x, axis, 0, reach, dilation) for x in xs], axis, combine, cut)
    shared = (size.bit_length() - 1) * n + size.bit_count() * count
    if size <= _SHORT and size * count <= shared:
        return _fold_list([at(xs, i) for i in range(size)], combine)
    done, pieces = 0, xs
    folded: Sequence[Any] | None = None
    for k in range(size.bit_length()):
        if size >> k & 1:
            here = at(pieces, done)
            folded = here if folded is None else combine(folded, here)
            done += 1 << k
        if done < size:
            reach, length = dilation << k, type_of(pieces[0]).shape[axis]
            pieces = combine([cut(x, axis, 0, length - reach, 1) for x in pieces],
                             [cut(x, axis, reach, length, 1) for x in pieces])
    assert folded is not None
    return folded


def _fold_list(items: list[list[Any]], combine: Combine) -> Sequence[Any]:
    """The items combined in order, neighbours first."""
    folded: list[Sequence[Any]] = list(items)
    while len(folded) > 1:
        pairs = zip(folded[::2], folded[1::2])
        folded = [combine(x, y) for x, y in pairs] + folded[len(folded) // 2 * 2:]
    return folded[0]
