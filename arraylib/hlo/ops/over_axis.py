"""What collective operations become where vmap binds the axis that they name.

Inside `vmap(f, axis_name="i")` each example is a process, and all examples are the processes of
the axis "i". There a collective has the attributes `axis_name` and `axis_size` and as a rule no
groups, so that everybody is in one. Once vmap has laid the operands of all examples along a leading
axis, what they compute together is a reduction along it, or a movement of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import groupby
from typing import Any

import numpy as np

from arraylib.errors import ShapeError, Source, TraceError, mistake
from arraylib.hlo.ir import Graph, Node, Type, trace_graph, type_of
from arraylib.hlo.opdef import Attrs, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant, full_like, zeros
from arraylib.hlo.ops.control import choose
from arraylib.hlo.ops.indexed import gather
from arraylib.hlo.ops.lifted import as_dtype, cut_slice
from arraylib.hlo.ops.reduction import reduce_maximum, reduce_minimum
from arraylib.hlo.ops.shape import concatenate, repeat_leading
from arraylib.hlo.ops.structured import reduce_add, reshape, transpose

Pair = tuple[Any, bool]  # a value, and whether it has a leading axis of examples
Over = Callable[[Any, Attrs], Pair]  # of the operands of all, along a leading axis

NAMED = ("axis_name", "axis_size")

_telling: ContextVar[bool] = ContextVar("arraylib_telling_variation", default=False)


def telling() -> bool:
    """Whether it is only asked what may differ along the axis, as JAX counts it."""
    return _telling.get()


@contextmanager
def will_tell() -> Iterator[None]:
    """Inside, what batching emits is not looked at, but for what has the axis."""
    token = _telling.set(True)
    try:
        yield
    finally:
        _telling.reset(token)


def named_axis(attrs: Attrs) -> str | None:
    """The axis that a collective names; None if its processes are those that run the program."""
    return attrs.get("axis_name")


def check_bound(op: str, attrs: Attrs, replicas: int, where: Source | None) -> None:
    """TraceError unless the processes that run are as many as the axis that is named has."""
    name = named_axis(attrs)
    if name is not None and replicas != attrs["axis_size"]:
        raise mistake(TraceError, op, f"its value over the axis {name!r} is not known: it depends "
                      f"on all {attrs['axis_size']} examples", where=where,
                      hint="use it as an array in the function under vmap, not in Python's if or "
                           "int(), and not after that has returned")


def check_axis_size(op: str, attrs: Attrs, where: Source | None) -> None:
    """ShapeError unless the groups of a collective that names an axis hold all of it."""
    name, groups = named_axis(attrs), attrs.get("replica_groups", ())
    count = sum(map(len, groups))
    if name is not None and groups and count != attrs["axis_size"]:
        raise mistake(ShapeError, op, f"the groups {groups} hold {count} of the "
                      f"{attrs['axis_size']} examples along the axis {name!r}", where=where,
                      hint="every index along the axis is in one group")


def over_axis(rule: Over, shared: Over | None = None) -> Callable[..., list[Pair]]:
    """The rule for operands of which some vary, from the one for an operand of every example.

    `shared` is for operands that all examples share.
    """
    def over(batch: Any, node: Node, pairs: Sequence[Pair], size: int) -> list[Pair]:
        def one(x: Any, has: bool) -> Pair:
            if not has and shared is not None:
                return shared(x, node.attrs)
            whole = x if has else repeat_leading(x, size)
            return _in_groups(batch, rule, whole, node.attrs)
        return [one(x, has) for x, has in pairs]
    return over


def _in_groups(batch: Any, rule: Over, x: Any, attrs: Attrs) -> Pair:
    """The rule on the members of each group alone."""
    groups = attrs.get("replica_groups", ())
    if not groups:
        return rule(x, attrs)
    order, (count, width) = [i for group in groups for i in group], (len(groups), len(groups[0]))
    type = type_of(x)
    parts = reshape(reordered(x, order), shape=(count, width, *type.shape[1:]))

    def one(part: Any) -> list[Any]:
        out, has = rule(part, {**attrs, "replica_groups": ()})
        return [out if has else repeat_leading(out, width)]

    graph = trace_graph([type.with_shape((width, *type.shape[1:]))], one)
    ((out, _),) = batch(graph, [(parts, True)], count)
    merged = reshape(out, shape=(count * width, *type_of(out).shape[2:]))
    return reordered(merged, [int(i) for i in np.argsort(order)]), True


# -- what is computed ------------------------------------------------------------------------------


_REDUCTIONS: dict[OpDef | None, OpDef] = {
    ew.add: reduce_add, ew.maximum: reduce_maximum, ew.minimum: reduce_minimum}


def combiner(body: Graph) -> OpDef | None:
    """The one operation on both inputs that a body is; None for another body."""
    if len(body.nodes) != 1:
        return None
    (node,) = body.nodes
    both = set(node.inputs) == set(body.inputs) and node.outputs == body.outputs
    return node.op if both else None


def reduced(x: Any, attrs: Attrs) -> Pair:
    """all_reduce: one result for all."""
    op = combiner(attrs["body"])
    if op not in _REDUCTIONS:
        raise mistake(TraceError, "all_reduce", "vmap adds examples, or finds the largest or "
                      f"smallest, but the body over the axis {named_axis(attrs)!r} is another")
    return _REDUCTIONS[op](as_dtype(x, _dtype(attrs)), dimensions=(0,)), False


def reduced_shared(x: Any, attrs: Attrs) -> Pair:
    """all_reduce of what all share: that many times it, or itself."""
    groups, wide = attrs["replica_groups"], as_dtype(x, _dtype(attrs))
    if combiner(attrs["body"]) is not ew.add:
        return wide, False
    size = len(groups[0]) if groups else attrs["axis_size"]
    factor = np.asarray(size).astype(_dtype(attrs)).item()  # integers wrap as sums do
    return ew.multiply(wide, full_like(wide, factor)), False


def _dtype(attrs: Attrs) -> np.dtype[Any]:
    dtype: np.dtype[Any] = attrs["body"].output_types[0].dtype
    return dtype


def gathered(x: Any, attrs: Attrs) -> Pair:
    """all_gather: the leading axis becomes a part of another."""
    axis, size = attrs["all_gather_dim"], type_of(x).shape[0]
    whole = merged(_moved(x, 0, axis), axis)
    return (repeat_leading(whole, size), True) if telling() else (whole, False)


def scattered(x: Any, attrs: Attrs) -> Pair:
    """reduce_scatter: of the one sum each example has its part."""
    axis, (total, _) = attrs["scatter_dimension"], reduced(x, attrs)
    return _moved(_divided(total, axis, type_of(x).shape[0]), axis, 0), True


def exchanged(x: Any, attrs: Attrs) -> Pair:
    """all_to_all: the axes of senders and receivers change places."""
    split, concat = attrs["split_dimension"], attrs["concat_dimension"]
    parts = _divided(x, split + 1, type_of(x).shape[0])  # [sender, ..., receiver, part, ...]
    rest = [d for d in range(type_of(parts).rank) if d not in (0, split + 1)]
    order = [split + 1, *rest[:concat], 0, *rest[concat:]]
    return merged(transpose(parts, permutation=tuple(order)), concat + 1), True


def permuted(x: Any, attrs: Attrs) -> Pair:
    """collective_permute: the examples in another order, zeros among them."""
    sources = {target: source for source, target in attrs["source_target_pairs"]}
    return reordered(x, [sources.get(i) for i in range(type_of(x).shape[0])]), True


# -- along axes ------------------------------------------------------------------------------------


def _moved(x: Any, source: int, target: int) -> Any:
    """x with one axis elsewhere, the others in their order."""
    order = [d for d in range(type_of(x).rank) if d != source]
    order.insert(target, source)
    return x if source == target else transpose(x, permutation=tuple(order))


def merged(x: Any, axis: int) -> Any:
    """x with an axis and the next as one."""
    shape = type_of(x).shape
    return reshape(x, shape=(*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2:]))


def _divided(x: Any, axis: int, count: int) -> Any:
    """x with an axis as two, the first of size `count`."""
    shape = type_of(x).shape
    return reshape(x, shape=(*shape[:axis], count, shape[axis] // count, *shape[axis + 1:]))


_FEW = 8  # pieces that are cut and joined rather than gathered


def reordered(x: Any, order: Sequence[int | None]) -> Any:
    """The rows of x, by their numbers along the leading axis; zeros for None."""
    pieces = _runs(order)
    if len(pieces) <= _FEW:
        row = type_of(x).shape[1:]
        found = [cut_slice(x, 0, start, start + length, 1) if start is not None
                 else zeros(type_of(x).with_shape((length, *row))) for start, length in pieces]
        return found[0] if len(found) == 1 else concatenate(*found, dimension=0)
    shape = type_of(x).shape
    places = np.array([[0 if i is None else i] for i in order], np.int32)
    rows = gather(x, constant(value=places), offset_dims=tuple(range(1, len(shape))),
                  collapsed_slice_dims=(0,), operand_batching_dims=(),
                  start_indices_batching_dims=(), start_index_map=(0,), index_vector_dim=1,
                  slice_sizes=(1, *shape[1:]))
    if None not in order:
        return rows
    there = constant(value=np.array([i is not None for i in order]))
    return choose(there, rows, zeros(Type(type_of(x).dtype, type_of(rows).shape)))


def _runs(order: Sequence[int | None]) -> list[tuple[int | None, int]]:
    """The order as runs of numbers that follow each other, or of None: starts and lengths."""
    if not order:
        return [(0, 0)]
    found = []
    for _, run in groupby(enumerate(order), lambda at: None if at[1] is None else at[1] - at[0]):
        rows = [i for _, i in run]
        found.append((rows[0], len(rows)))
    return found
