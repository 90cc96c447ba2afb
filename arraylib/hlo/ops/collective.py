"""Collective operations: what the processes of a group compute together; and who a process is.

A process is meant to run the same program as the others, each on its own operands. What one of
these operations returns depends on them all, so it is opaque: no pass may compute it in advance,
merge it or move it. Dropping it where nobody reads its results is sound, since the pass drops it
in all of them.

Derivatives are those of the processes together: the program is one function of everybody's
operands. Its tangents go through the same collectives; its transpose takes everybody's cotangents,
and the products of cotangents and tangents add up to the same when summed over all processes.

Inside a function under vmap, `axis_name` says that the processes are the examples along an axis of
`axis_size`; `over_axis.py` has what becomes of them once vmap puts all examples together.

`replica_groups` holds rows of numbers, what they count depending on `channel_id` and
`use_global_device_ids` as StableHLO says ("Collective ops"); -1 fills short rows up, and no rows
at all stand for one of everybody. `group_size` is how many processes a group has, where that is
not the length of a row: with a channel and without global ids, all partitions of the replicas in
a row are in the group.
"""

import functools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ShapeError, Source, TraceError, here, mistake
from arraylib.hlo.ir import Graph, Node, Type, _where, emit_like, trace_graph, type_of
from arraylib.hlo.opdef import SAME, Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import full_like, iota
from arraylib.hlo.ops.control import Pairs, keep, scatter_back
from arraylib.hlo.ops.dynamic import dynamic_slice
from arraylib.hlo.ops.lifted import accumulators, as_dtype, cut_slice, emit_lifted, lift
from arraylib.hlo.ops.over_axis import (
    NAMED,
    check_axis_size,
    check_bound,
    combiner,
    exchanged,
    gathered,
    named_axis,
    over_axis,
    permuted,
    reduced,
    reduced_shared,
    scattered,
)
from arraylib.hlo.ops.structured import F32, reshape
from arraylib.hlo.processes import (
    CROSS_BOTH,
    CROSS_PARTITION,
    CROSS_REPLICA,
    FLATTENED,
    Arrays,
    Call,
    CommunicationError,
    Groups,
    Joint,
    Strategy,
    check_groups,
    group_of,
    this_process,
)

# -- groups ----------------------------------------------------------------------------------------


def strategy(attrs: Attrs) -> Strategy:
    """What the numbers in the groups mean, by the attributes."""
    if "use_global_device_ids" not in attrs:
        return CROSS_PARTITION if attrs["channel_id"] > 0 else CROSS_REPLICA
    if attrs["channel_id"] <= 0:
        return CROSS_REPLICA
    return FLATTENED if attrs["use_global_device_ids"] else CROSS_BOTH


def group_size(attrs: Attrs) -> int | None:
    """How many processes a group has; None if there are no groups that tell."""
    given: int | None = attrs.get("group_size")
    groups: Groups = attrs["replica_groups"]
    if given is not None:
        return given
    return len(groups[0]) if groups else attrs.get("axis_size")


def check_replica_groups(op: str, types: Sequence[Type], attrs: Attrs, where: Source | None,
                         ragged: bool = False, covers: bool = True) -> None:
    """ShapeError unless the rows hold different numbers: all from 0 on if they cover the grid."""
    if not types:
        raise mistake(ShapeError, op, "0 operands, but at least 1 is needed", where=where)
    groups: Groups = attrs["replica_groups"]
    numbers = [i for group in groups for i in group if i >= 0]
    everything = [i for group in groups for i in group]
    if len({len(group) for group in groups}) > 1:
        raise mistake(ShapeError, op, f"the groups {groups} have different lengths", where=where,
                      hint="fill the shorter ones up with -1" if ragged else "")
    if any(i < (-1 if ragged else 0) for i in everything):
        raise mistake(ShapeError, op, f"the groups {groups} hold {min(everything)}", where=where)
    if len(set(numbers)) != len(numbers):
        twice = next(i for i in numbers if numbers.count(i) > 1)
        raise mistake(ShapeError, op, f"the groups {groups} name {twice} twice", where=where)
    if covers and numbers and max(numbers) >= len(numbers):
        missing = min(set(range(max(numbers))) - set(numbers))
        raise mistake(ShapeError, op, f"the groups {groups} leave out {missing}", where=where)
    if attrs.get("use_global_device_ids") and attrs["channel_id"] <= 0:
        raise mistake(ShapeError, op, f"use_global_device_ids with channel_id "
                      f"{attrs['channel_id']}", where=where, hint="a channel_id above 0")
    check_axis_size(op, attrs, where)


def _checked_size(op: str, attrs: Attrs, where: Source | None) -> int:
    """The size of the groups, on which the type of the results depends."""
    size, groups = group_size(attrs), attrs["replica_groups"]
    width = len(groups[0]) if groups else None
    if size is None or size < (named_axis(attrs) is None):  # a named axis may be empty
        raise mistake(ShapeError, op, f"the size of the groups {groups} is not known", where=where,
                      hint="group_size, the number of processes in each")
    whole = strategy(attrs) is CROSS_BOTH
    if width is not None and (size % max(width, 1) if whole else size != width):
        raise mistake(ShapeError, op, f"group_size is {size}, but the groups {groups} have {width}",
                      where=where)
    return size


def _check_axis(op: str, name: str, axis: int, type: Type, types: Sequence[Type],
                where: Source | None) -> None:
    if not 0 <= axis < type.rank:
        raise mistake(ShapeError, op, f"{name} is {axis}, but an operand has {type.rank} axes",
                      where=where, operands=types)


def _resized(type: Type, axis: int, size: int) -> Type:
    return type.with_shape([size if i == axis else n for i, n in enumerate(type.shape)])


def _check_divides(op: str, count: int, axis: int, type: Type, types: Sequence[Type],
                   where: Source | None) -> None:
    if not count or type.shape[axis] % count:
        raise mistake(ShapeError, op, f"axis {axis} of size {type.shape[axis]} is no multiple of "
                      f"the {count} parts it is split into", where=where, operands=types)


def _outline(body: Graph) -> Any:
    """What the bodies of a group's members must have in common, which are different graphs."""
    return [node.op for node in body.nodes], body.input_types


def meet(op: str, arrays: Sequence[Any], attrs: Attrs, joint: Joint, covers: bool = True,
          size: int | None = None) -> Arrays | None:
    """The results of this process once all of its group have come; None if it is in no group."""
    process, where = this_process(), _where.get() or here()
    check_bound(op, attrs, process.grid.replicas, where)
    groups, meaning = attrs["replica_groups"], strategy(attrs)
    check_groups(op, groups, meaning, process.grid, covers, where)
    group = group_of(process.number, groups, meaning, process.grid)
    if group is None:
        return None
    if size is not None and len(group) != size:
        name = "split_count" if "split_count" in attrs else "group_size"
        raise mistake(CommunicationError, op, f"the groups {groups} ({meaning.name}) are of "
                      f"{len(group)} processes here, but the results are typed for {size}",
                      where=where, hint=f"{name}={len(group)}")
    settings = {k: _outline(v) if isinstance(v, Graph) else v for k, v in attrs.items()}
    types = tuple(map(type_of, arrays))
    return process.meet(Call(op, group, tuple(arrays), types, settings, joint, where))


# -- derivatives and batches of what is linear in all operands -------------------------------------


def _linear_jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """The tangents go the way of the values."""
    active = [t is not None for t in tangents]
    outs = emit_like(node, primals)
    return list(zip(outs, scatter_back(emit_like(node, keep(tangents, active)), active)))


def transposed_each(rule: Callable[[Node, int, Any], Any]) -> Callable[..., list[Any]]:
    """A rule for the i-th operand's cotangent from that of the i-th result."""
    def transpose_node(transpose: Any, node: Node, linear: Sequence[bool],
                       cotangents: Sequence[Any]) -> list[Any]:
        numbered = [(i, ct) for i, (ct, m) in enumerate(zip(cotangents, linear)) if m]
        return [None if ct is None else rule(node, i, ct) for i, ct in numbered]
    return transpose_node


def _shifted(*axes: str) -> Callable[..., Pairs]:
    """Batching: the named axes lie one further behind; operands without a batch go on their own."""
    def batch_node(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
        has = [h for _, h in pairs]
        if not axes:
            return list(zip(emit_like(node, [x for x, _ in pairs]), has))
        changed = {name: node.attrs[name] + 1 for name in axes}
        batched = iter(emit_like(node, [x for x, h in pairs if h], **changed))
        others = [x for x, h in pairs if not h]
        single = iter(emit_like(node, others) if others else ())
        return [(next(batched if h else single), h) for h in has]
    return batch_node


# -- bodies ----------------------------------------------------------------------------------------


@functools.cache
def body_of(dtype: np.dtype[Any], op: OpDef = ew.add) -> Graph:
    """The body that reduces with one operation."""
    return trace_graph([Type(dtype, ())] * 2, lambda x, y: [op(x, y)])


def is_sum(body: Graph) -> bool:
    """Whether a body adds, which makes a reduction linear."""
    return combiner(body) is ew.add


def reduced_dtype(op: str, body: Graph, types: Sequence[Type],
                  where: Source | None) -> np.dtype[Any]:
    """The dtype in which a body reduces each of the operands; an error if it cannot."""
    for type in types:
        accumulators(op, "the body", body, [type], where)
    return body.output_types[0].dtype


def fold(body: Graph, arrays: Sequence[Any]) -> Any:
    """NumPy arrays of one shape combined in order, at each element."""
    dtype = body.output_types[0].dtype
    return functools.reduce(lambda x, y: np.asarray(lift(body, [x, y])[0]),
                            [np.asarray(x).astype(dtype) for x in arrays])


def fold_tangent(jvp: Any, body: Graph, values: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The tangent of `fold` of values that are being traced; None if it is zero."""
    shape = type_of(values[0]).shape
    types = [t.with_shape(shape) for t in body.input_types]
    wide = trace_graph(types, lambda x, y: emit_lifted(body, [x, y]))
    pair = values[0], tangents[0]
    for x, t in zip(values[1:], tangents[1:]):
        (pair,) = jvp(wide, [pair[0], x], [pair[1], t])
    return pair[1]


def check_sum(node: Node) -> None:
    """TraceError unless the reduction is a sum, which alone has a transpose."""
    if not is_sum(node.attrs["body"]):
        raise mistake(TraceError, node.op.name, "the body is no sum, so it has no transpose",
                      where=node.where)


# -- all_gather ------------------------------------------------------------------------------------


def _gather_results(types: Sequence[Type], attrs: Attrs,
                    where: Source | None) -> tuple[Type, ...]:
    check_replica_groups("all_gather", types, attrs, where)
    size, axis = _checked_size("all_gather", attrs, where), attrs["all_gather_dim"]
    for type in types:
        _check_axis("all_gather", "all_gather_dim", axis, type, types, where)
    return tuple(_resized(t, axis, t.shape[axis] * size) for t in types)


def _gather(*xs: Any, **attrs: Any) -> Arrays:
    def joint(members: list[Arrays]) -> list[Arrays]:
        wholes = [np.concatenate(parts, attrs["all_gather_dim"]) for parts in zip(*members)]
        return [tuple(x.copy() for x in wholes) for _ in members]
    found = meet("all_gather", xs, attrs, joint, size=group_size(attrs))
    assert found is not None, "groups that cover the grid hold every process"
    return found


def _gather_transpose(node: Node, i: int, ct: Any) -> Any:
    attrs = dict(node.attrs)
    return reduce_scatter(ct, scatter_dimension=attrs.pop("all_gather_dim"),
                          body=body_of(type_of(ct).dtype), **attrs)


_ONE: Attrs = {"replica_groups": ((0,),), "channel_id": 0, "use_global_device_ids": False}

all_gather: OpDef = OpDef(
    "all_gather", "The operands of all processes of the group, joined along `all_gather_dim`.",
    _gather, results=_gather_results, multiple=True, opaque=True, dtypes=ew.ANY, mixed=True,
    jvp_node=_linear_jvp, transpose_node=transposed_each(_gather_transpose),
    batch_node=_shifted("all_gather_dim"), over_axis=over_axis(gathered),
    constraints=(
        "There is an operand at least.",
        "The rows of `replica_groups` are of one length and name each number from 0 on once.",
        "`use_global_device_ids` needs a `channel_id` above 0.",
        "The size of the groups is known: the length of a row, or `group_size`, which does not "
        "contradict it.",
        "`all_gather_dim` is an axis of every operand.",
        "A result is an operand with `all_gather_dim` as often as the group has processes."),
    examples=(Example((Type(F32, (2, 3)), Type(F32, (4, 2))), {"all_gather_dim": 1, **_ONE}),))

# -- all_reduce ------------------------------------------------------------------------------------


def _reduce_results(types: Sequence[Type], attrs: Attrs,
                    where: Source | None) -> tuple[Type, ...]:
    check_replica_groups("all_reduce", types, attrs, where, ragged=True)
    dtype = reduced_dtype("all_reduce", attrs["body"], types, where)
    return tuple(t.with_dtype(dtype) for t in types)


def _reduce(*xs: Any, **attrs: Any) -> Arrays:
    def joint(members: list[Arrays]) -> list[Arrays]:
        wholes = [fold(attrs["body"], parts) for parts in zip(*members)]
        return [tuple(x.copy() for x in wholes) for _ in members]
    found = meet("all_reduce", xs, attrs, joint)
    assert found is not None, "groups that cover the grid hold every process"
    return found


def _gathered(op: str, x: Any, attrs: Attrs, where: Source | None) -> list[Any]:
    """x of each process of the group, in the order in which they are reduced."""
    groups, size = attrs["replica_groups"], group_size(attrs)
    if size is None or any(-1 in group for group in groups):
        raise mistake(TraceError, op, f"the derivative of a reduction that is no sum needs groups "
                      f"of one known size, not {groups}", where=where)
    shape = type_of(x).shape
    attrs = {k: attrs.get(k) for k in (*_ONE, *NAMED, "group_size")}
    (whole,) = all_gather(reshape(x, shape=(1, *shape)), all_gather_dim=0, **attrs)
    return [reshape(cut_slice(whole, 0, i, i + 1, 1), shape=shape) for i in range(size)]


def _reduced_tangent(jvp: Any, node: Node, x: Any, t: Any) -> Any:
    """The tangent of a reduction with any body: everybody's values and tangents, reduced here."""
    body: Graph = node.attrs["body"]
    dtype = body.output_types[0].dtype
    values, tangents = (_gathered(node.op.name, as_dtype(v, dtype), node.attrs, node.where)
                        for v in (x, t))
    return fold_tangent(jvp, body, values, tangents)


def _reduce_jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    if is_sum(node.attrs["body"]):
        return _linear_jvp(jvp, node, primals, tangents)
    op, outs = combiner(node.attrs["body"]), emit_like(node, primals)
    if op in (ew.maximum, ew.minimum):
        return [(out, None if t is None else _mean_over_extremes(node, out, x, t))
                for out, x, t in zip(outs, primals, tangents)]
    return [(out, None if t is None else _reduced_tangent(jvp, node, x, t))
            for out, x, t in zip(outs, primals, tangents)]


def _mean_over_extremes(node: Node, out: Any, x: Any, t: Any) -> Any:
    """The mean tangent of the processes that hold the extreme value."""
    dtype = type_of(out).dtype
    holds, t = ew.compare(as_dtype(x, dtype), out, direction="EQ"), as_dtype(t, dtype)
    parts = ew.select(holds, t, full_like(t, 0)), ew.convert(holds, dtype=dtype)
    sums = {**node.attrs, "body": body_of(dtype)}
    (chosen,), (count,) = [all_reduce(part, **sums) for part in parts]
    return ew.divide(chosen, count)


def _reduce_transpose(node: Node, i: int, ct: Any) -> Any:
    check_sum(node)
    (total,) = emit_like(node, [ct])
    return as_dtype(total, node.types[i].dtype)


all_reduce: OpDef = OpDef(
    "all_reduce", "The operands of all processes of the group, reduced in order by a body of "
    "scalars at each element; in the dtype of the body.",
    _reduce, results=_reduce_results, multiple=True, opaque=True, dtypes=ew.ANY, mixed=True,
    jvp_node=_reduce_jvp, transpose_node=transposed_each(_reduce_transpose),
    batch_node=_shifted(), over_axis=over_axis(reduced, reduced_shared),
    constraints=(
        "There is an operand at least.",
        "The rows of `replica_groups` are of one length and name each number from 0 on once, "
        "shorter ones being filled up with -1.",
        "`use_global_device_ids` needs a `channel_id` above 0.",
        "`body` takes two scalars and gives one, all of one dtype: the operands', or a wider one "
        "of its kind.",
        "A result has an operand's shape and the dtype of `body`."),
    examples=(Example((Type(F32, (2, 3)), Type(F32, (4,))), {"body": body_of(F32), **_ONE}),))

# -- reduce_scatter --------------------------------------------------------------------------------


def _scatter_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    (x,), axis = types, attrs["scatter_dimension"]
    check_replica_groups("reduce_scatter", types, attrs, where)
    size = _checked_size("reduce_scatter", attrs, where)
    _check_axis("reduce_scatter", "scatter_dimension", axis, x, types, where)
    _check_divides("reduce_scatter", size, axis, x, types, where)
    dtype = reduced_dtype("reduce_scatter", attrs["body"], types, where)
    return (_resized(x.with_dtype(dtype), axis, x.shape[axis] // size),)


def _scatter(x: Any, **attrs: Any) -> Any:
    def joint(members: list[Arrays]) -> list[Arrays]:
        whole = fold(attrs["body"], [x for (x,) in members])
        parts = np.split(whole, len(members), attrs["scatter_dimension"])
        return [(part.copy(),) for part in parts]
    found = meet("reduce_scatter", [x], attrs, joint, size=group_size(attrs))
    assert found is not None, "groups that cover the grid hold every process"
    return found[0]


def _own_part(whole: Any, node: Node) -> Any:
    """The part of an array, the same in the whole group, that reduce_scatter would leave here."""
    attrs, (part,) = node.attrs, node.outputs
    size = group_size(attrs)
    assert size is not None, "the type rule has seen to it"
    everybody = iota(shape=(size,), dimension=0, dtype=dt.int32)
    sizes = {**attrs, "scatter_dimension": 0, "body": _SMALLEST}
    index = reshape(reduce_scatter(everybody, **sizes), shape=())  # this process's in the group
    axis, none = attrs["scatter_dimension"], np.int32(0)
    start = ew.multiply(index, np.int32(part.type.shape[axis]))
    return dynamic_slice(whole, *[start if d == axis else none for d in range(part.type.rank)],
                         sizes=part.type.shape)


def _scatter_jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    if is_sum(node.attrs["body"]):
        return _linear_jvp(jvp, node, primals, tangents)
    (out,) = emit_like(node, primals)
    whole = _reduced_tangent(jvp, node, primals[0], tangents[0])
    return [(out, None if whole is None else _own_part(whole, node))]


def _scatter_transpose(node: Node, i: int, ct: Any) -> Any:
    check_sum(node)
    attrs = {k: v for k, v in node.attrs.items() if k not in ("body", "scatter_dimension")}
    (whole,) = all_gather(ct, all_gather_dim=node.attrs["scatter_dimension"], **attrs)
    return as_dtype(whole, node.types[i].dtype)


_SMALLEST = body_of(dt.int32, ew.minimum)

reduce_scatter: OpDef = OpDef(
    "reduce_scatter", "Of what all_reduce would give, split along `scatter_dimension` into a part "
    "for each process of the group, this one's.",
    _scatter, results=_scatter_results, opaque=True, dtypes=ew.ANY, mixed=True,
    jvp_node=_scatter_jvp, transpose_node=transposed_each(_scatter_transpose),
    batch_node=_shifted("scatter_dimension"), over_axis=over_axis(scattered),
    constraints=(
        "The rows of `replica_groups` are of one length and name each number from 0 on once.",
        "`use_global_device_ids` needs a `channel_id` above 0.",
        "The size of the groups is known: the length of a row, or `group_size`, which does not "
        "contradict it.",
        "`scatter_dimension` is an axis of x whose size is a multiple of the group's.",
        "`body` takes two scalars and gives one, all of one dtype: x's, or a wider one of its "
        "kind.",
        "The result has the dtype of `body`, and of `scatter_dimension` a part for one process."),
    examples=(Example((Type(F32, (2, 3)),), {"scatter_dimension": 1, "body": body_of(F32),
                                             **_ONE}),
              Example((Type(F32, (4,)),), {"scatter_dimension": 0,
                                           "body": body_of(F32, ew.multiply), **_ONE})))

# -- all_to_all ------------------------------------------------------------------------------------


def _exchange_results(types: Sequence[Type], attrs: Attrs,
                      where: Source | None) -> tuple[Type, ...]:
    check_replica_groups("all_to_all", types, attrs, where)
    count, groups = attrs["split_count"], attrs["replica_groups"]
    split, concat = attrs["split_dimension"], attrs["concat_dimension"]
    if count < 1 or groups and len(groups[0]) != count:
        raise mistake(ShapeError, "all_to_all", f"split_count is {count}, but the groups {groups} "
                      f"have {len(groups[0]) if groups else 'no members'}", where=where)
    for type in types:
        _check_axis("all_to_all", "split_dimension", split, type, types, where)
        _check_axis("all_to_all", "concat_dimension", concat, type, types, where)
        _check_divides("all_to_all", count, split, type, types, where)
    parts = [_resized(t, split, t.shape[split] // count) for t in types]
    return tuple(_resized(t, concat, t.shape[concat] * count) for t in parts)


def _exchange(*xs: Any, **attrs: Any) -> Arrays:
    split, concat = attrs["split_dimension"], attrs["concat_dimension"]
    count = attrs["split_count"]
    def joint(members: list[Arrays]) -> list[Arrays]:
        parts = [[np.split(x, count, split) for x in arrays] for arrays in members]
        return [tuple(np.concatenate([sender[k][receiver] for sender in parts], concat)
                      for k in range(len(xs))) for receiver in range(count)]
    found = meet("all_to_all", xs, attrs, joint, size=count)
    assert found is not None, "groups that cover the grid hold every process"
    return found


def _exchange_transpose(node: Node, i: int, ct: Any) -> Any:
    attrs = node.attrs
    (out,) = emit_like(node, [ct], split_dimension=attrs["concat_dimension"],
                       concat_dimension=attrs["split_dimension"])
    return out


all_to_all: OpDef = OpDef(
    "all_to_all", "Each operand is split along `split_dimension` into a part for each process of "
    "the group; a process joins those it gets along `concat_dimension`.",
    _exchange, results=_exchange_results, multiple=True, opaque=True, dtypes=ew.ANY, mixed=True,
    jvp_node=_linear_jvp, transpose_node=transposed_each(_exchange_transpose),
    batch_node=_shifted("split_dimension", "concat_dimension"), over_axis=over_axis(exchanged),
    constraints=(
        "There is an operand at least.",
        "The rows of `replica_groups` are of one length and name each number from 0 on once.",
        "`split_count` is positive, and the length of a row.",
        "`split_dimension` and `concat_dimension` are axes of every operand.",
        "The size of `split_dimension` is a multiple of `split_count`.",
        "A result is an operand with `split_dimension` divided by `split_count`, "
        "`concat_dimension` multiplied by it."),
    examples=(Example((Type(F32, (2, 3)),), {
        "split_dimension": 1, "concat_dimension": 0, "split_count": 1,
        "replica_groups": ((0,),), "channel_id": 0}),))

# -- collective_permute ----------------------------------------------------------------------------


def _permute_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    pairs = attrs["source_target_pairs"]
    for what, ids in (("source", [s for s, _ in pairs]), ("target", [t for _, t in pairs])):
        if len(set(ids)) != len(ids) or any(i < 0 for i in ids):
            raise mistake(ShapeError, "collective_permute", f"the pairs {pairs} have a {what} "
                          "twice, or below 0", where=where)
    return (types[0],)


def _permute(x: Any, *, source_target_pairs: Groups, channel_id: int, **named: Any) -> Any:
    ids = sorted({i for pair in source_target_pairs for i in pair})
    def joint(members: list[Arrays]) -> list[Arrays]:
        sent = {target: members[ids.index(source)] for source, target in source_target_pairs}
        return [(sent[i][0].copy() if i in sent else np.zeros_like(x),) for i in ids]
    attrs = {"replica_groups": (tuple(ids),), "channel_id": channel_id,
             "pairs": source_target_pairs, **named}
    found = meet("collective_permute", [x], attrs, joint, covers=False)
    return np.zeros_like(x) if found is None else found[0]


def _permute_transpose(ct: Any, x: Any, *, source_target_pairs: Groups, **attrs: Any) -> Any:
    back = tuple((target, source) for source, target in source_target_pairs)
    return collective_permute(ct, source_target_pairs=back, **attrs)


collective_permute: OpDef = OpDef(
    "collective_permute", "The operand of the process from which a pair (source, target) leads "
    "here; zeros if none does.",
    _permute, results=_permute_results, opaque=True, dtypes=ew.ANY, mixed=True, jvp=(SAME,),
    transpose=(_permute_transpose,),
    batch=lambda xs, has, size, **attrs: collective_permute(xs[0], **attrs),
    over_axis=over_axis(permuted),
    constraints=(
        "No source, and no target, is in two of `source_target_pairs`, or below 0.",
        "The result is of x's type."),
    examples=(Example((Type(F32, (2, 3)),), {"source_target_pairs": ((0, 0),), "channel_id": 0}),
              Example((Type(F32, (2,)),), {"source_target_pairs": (), "channel_id": 0})))

# -- who a process is ------------------------------------------------------------------------------


def _number(name: str, doc: str, numpy: Callable[[], int], **rules: Any) -> OpDef:
    return OpDef(name, doc, partial(_scalar, name, numpy), opaque=True, examples=(Example((), {}),),
                 results=lambda types, attrs, where: (Type(dt.uint32, ()),),
                 constraints=("The result is a scalar of uint32.",), **rules)


def _scalar(name: str, number: Callable[[], int], **named: Any) -> Any:
    check_bound(name, named, this_process().grid.replicas, _where.get() or here())
    return np.uint32(number())


replica_id = _number("replica_id", "The number of the replica that this process belongs to.",
                     lambda: this_process().replica, over_axis=lambda batch, node, pairs, size: [
                         (iota(shape=(size,), dimension=0, dtype=dt.uint32), True)])
partition_id = _number("partition_id", "The number of the partition that this process belongs to.",
                       lambda: this_process().partition)
