"""Collective operations in which one process of each group, the root, has what the others lack.

collective_broadcast sends the root's operands to the group, collective_reduce brings the group's
together at the root, and each sum is the other's transpose. The root is the first of the group;
or, with `has_dynamic_root`, the last operand says for each of the others which member it is, as an
index into the group that is moved inside where it is beyond. Processes in no group get zeros.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ShapeError, Source, TraceError, mistake
from arraylib.hlo.ir import Graph, Node, Type, emit_like, type_of
from arraylib.hlo.opdef import Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.collective import (
    body_of,
    check_replica_groups,
    check_sum,
    fold,
    fold_tangent,
    is_sum,
    meet,
    reduced_dtype,
    transposed_each,
)
from arraylib.hlo.ops.constant import full, full_like
from arraylib.hlo.ops.control import Pairs, choose, scatter_back
from arraylib.hlo.ops.lifted import as_dtype, cut_slice
from arraylib.hlo.ops.shape import concatenate, repeat_leading
from arraylib.hlo.ops.structured import F32, broadcast_in_dim, reshape
from arraylib.hlo.processes import Arrays, Groups

# -- roots -----------------------------------------------------------------------------------------


def _data(operands: Sequence[Any], attrs: Attrs) -> list[Any]:
    """The operands without the roots."""
    return list(operands[:-1] if attrs.get("has_dynamic_root") else operands)


def _roots(operands: Sequence[Any], attrs: Attrs, size: int) -> list[int]:
    """The index of the root in a group of this size, for each operand that is data."""
    if not attrs.get("has_dynamic_root"):
        return [0] * len(operands)
    return [min(max(int(i), 0), size - 1) for i in operands[-1]]


def _of_one(node: Node, i: int, inputs: Sequence[Any]) -> list[Any]:
    """The operand that says the root of the i-th one alone, if there is one."""
    if not node.attrs.get("has_dynamic_root"):
        return []
    return [cut_slice(inputs[-1], 0, i, i + 1, 1)]


def _checked_data(op: str, types: Sequence[Type], attrs: Attrs,
                  where: Source | None) -> list[Type]:
    """The types of the operands that are data, once the groups and roots are found in order."""
    check_replica_groups(op, types, attrs, where, covers=False)
    data = _data(types, attrs)
    if not attrs.get("has_dynamic_root"):
        return data
    if not data or types[-1] is not Type(dt.int32, (len(data),)):
        raise mistake(ShapeError, op, f"the last operand, {types[-1]}, must be int32 roots for the "
                      f"{len(data)} others", where=where, operands=types)
    return data


def _batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    """Under a batch of roots: what each root gives, and a choice among them."""
    has, data = [h for _, h in pairs], _data(pairs, node.attrs)
    if len(data) == len(pairs) or not has[-1]:
        return list(zip(emit_like(node, [x for x, _ in pairs]), has))
    members = max(map(len, node.attrs["replica_groups"]), default=0)
    if not members:
        raise mistake(TraceError, node.op.name, "a batch of roots needs groups of known sizes",
                      where=node.where)
    roots = pairs[-1][0]
    xs = [x if h else repeat_leading(x, size) for x, h in data]
    highest = full_like(roots, members - 1)
    roots = ew.clamp(full_like(roots, 0), roots, highest)
    chosen: list[Any] = []
    for member in reversed(range(members)):
        outs = emit_like(node, [*xs, full((len(xs),), member, dt.int32)])
        chosen = [_where_root(roots, i, member, out, chosen[i]) if chosen else out
                  for i, out in enumerate(outs)]
    return [(x, True) for x in chosen]


def _where_root(roots: Any, i: int, member: int, x: Any, y: Any) -> Any:
    """x for the examples in which the i-th root is that member, y for the others."""
    column = cut_slice(roots, 1, i, i + 1, 1)
    own = reshape(column, shape=type_of(column).shape[:1])
    return choose(ew.compare(own, full_like(own, member), direction="EQ"), x, y)


def _linear_jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """The tangents go the way of the values, to or from the same roots."""
    outs, pairs = emit_like(node, primals), list(zip(primals, tangents))
    data = _data(pairs, node.attrs)
    active = [i for i, (_, t) in enumerate(data) if t is not None]
    roots = [_of_one(node, i, primals) for i in active]
    extra = [concatenate(*[r for r, in roots], dimension=0)] if roots[0] else []
    found = emit_like(node, [*(tangents[i] for i in active), *extra])
    return list(zip(outs, scatter_back(found, [t is not None for _, t in data])))


# -- collective_broadcast --------------------------------------------------------------------------


def _send_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    return tuple(_checked_data("collective_broadcast", types, attrs, where))


def _send(*xs: Any, **attrs: Any) -> Arrays:
    data = _data(xs, attrs)
    def joint(members: list[Arrays]) -> list[Arrays]:
        return [tuple(members[root][i].copy()
                      for i, root in enumerate(_roots(member, attrs, len(members))))
                for member in members]
    found = meet("collective_broadcast", xs, attrs, joint, covers=False)
    return tuple(np.zeros_like(x) for x in data) if found is None else found


def _send_transpose(node: Node, i: int, ct: Any) -> Any:
    """The root gets the sum of everybody's cotangents."""
    return collective_reduce(ct, *_of_one(node, i, node.inputs), body=body_of(type_of(ct).dtype),
                             **node.attrs)[0]


_ONE: Attrs = {"replica_groups": ((0,),), "channel_id": 0}
_ROOT: Attrs = {**_ONE, "has_dynamic_root": True}
_TYPES = (Type(F32, (2, 3)), Type(F32, (4,)))

collective_broadcast: OpDef = OpDef(
    "collective_broadcast", "The operands of the group's root; zeros in a process of no group.",
    _send, results=_send_results, multiple=True, opaque=True, dtypes=ew.ANY, mixed=True,
    jvp_node=_linear_jvp, transpose_node=transposed_each(_send_transpose), batch_node=_batch,
    constraints=(
        "There is an operand at least.",
        "The rows of `replica_groups` are of one length and name no number twice, or below 0.",
        "With `has_dynamic_root` the last operand is int32 with an element for each other one.",
        "The results are of the types of the operands that are no roots."),
    examples=(Example(_TYPES, _ONE), Example((*_TYPES, Type(dt.int32, (2,))), _ROOT)))

# -- collective_reduce -----------------------------------------------------------------------------


def _bring_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    data = _checked_data("collective_reduce", types, attrs, where)
    dtype = reduced_dtype("collective_reduce", attrs["body"], data, where)
    return tuple(t.with_dtype(dtype) for t in data)


def _bring(*xs: Any, **attrs: Any) -> Arrays:
    data, body = _data(xs, attrs), attrs["body"]
    nothing = tuple(np.zeros(x.shape, body.output_types[0].dtype) for x in data)
    def joint(members: list[Arrays]) -> list[Arrays]:
        wholes = [fold(body, parts) for parts in list(zip(*members))[:len(data)]]
        return [tuple(wholes[i] if root == index else nothing[i]
                      for i, root in enumerate(_roots(member, attrs, len(members))))
                for index, member in enumerate(members)]
    found = meet("collective_reduce", xs, attrs, joint, covers=False)
    return nothing if found is None else found


def _members(x: Any, node: Node) -> list[Any]:
    """x of each process of the group, in order: a broadcast from each."""
    groups: Groups = node.attrs["replica_groups"]
    if not groups:
        raise mistake(TraceError, node.op.name, "the derivative of a reduction that is no sum "
                      "needs groups of known sizes", where=node.where)
    turns = [tuple(g[i:] + g[:i] for g in groups) for i in range(len(groups[0]))]
    return [collective_broadcast(x, replica_groups=turn, channel_id=node.attrs["channel_id"])[0]
            for turn in turns]


def _at_root(node: Node, i: int, primals: Sequence[Any], t: Any) -> Any:
    """t where this process is the root of the i-th operand, zeros elsewhere."""
    attrs = {**node.attrs, "body": body_of(dt.int32, ew.minimum)}
    (one,) = collective_reduce(full((), 1, dt.int32), *_of_one(node, i, primals), **attrs)
    here = ew.compare(one, np.int32(1), direction="EQ")
    wide = broadcast_in_dim(here, shape=type_of(t).shape, broadcast_dimensions=())
    return ew.select(wide, t, full_like(t, 0))


def _bring_jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    body: Graph = node.attrs["body"]
    if is_sum(body):
        return _linear_jvp(jvp, node, primals, tangents)
    dtype = body.output_types[0].dtype
    def tangent(i: int, x: Any, t: Any) -> Any:
        if t is None:
            return None
        found = fold_tangent(jvp, body, *(_members(as_dtype(v, dtype), node) for v in (x, t)))
        return None if found is None else _at_root(node, i, primals, found)
    data = _data(list(zip(primals, tangents)), node.attrs)
    return list(zip(emit_like(node, primals),
                    [tangent(i, x, t) for i, (x, t) in enumerate(data)]))


def _bring_transpose(node: Node, i: int, ct: Any) -> Any:
    """Everybody gets the root's cotangent."""
    check_sum(node)
    attrs = {k: v for k, v in node.attrs.items() if k != "body"}
    (out,) = collective_broadcast(ct, *_of_one(node, i, node.inputs), **attrs)
    return as_dtype(out, node.types[i].dtype)


collective_reduce: OpDef = OpDef(
    "collective_reduce", "At the group's root the operands of all its processes, reduced in order "
    "by a body of scalars at each element; zeros in the others.",
    _bring, results=_bring_results, multiple=True, opaque=True, dtypes=ew.ANY, mixed=True,
    jvp_node=_bring_jvp, transpose_node=transposed_each(_bring_transpose), batch_node=_batch,
    constraints=(
        "There is an operand at least.",
        "The rows of `replica_groups` are of one length and name no number twice, or below 0.",
        "With `has_dynamic_root` the last operand is int32 with an element for each other one.",
        "`body` takes two scalars and gives one, all of one dtype: the operands', or a wider one "
        "of its kind.",
        "A result has an operand's shape and the dtype of `body`."),
    examples=(Example(_TYPES, {"body": body_of(F32), **_ONE}),
              Example((*_TYPES, Type(dt.int32, (2,))), {"body": body_of(F32), **_ROOT}),
              Example(_TYPES[:1], {"body": body_of(F32, ew.multiply), **_ONE})))
