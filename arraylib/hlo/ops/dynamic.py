"""Slices whose place is known at run time only; they are moved inside where they stick out."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, Source, mistake
from arraylib.hlo.ir import Node, Type, type_of
from arraylib.hlo.opdef import Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant, full_like, zeros
from arraylib.hlo.ops.index_windows import Ints
from arraylib.hlo.ops.indexed import gather, scatter
from arraylib.hlo.ops.shape import concatenate, repeat_leading
from arraylib.hlo.ops.structured import F32, reshape


def _check(op: str, types: Sequence[Type], starts: Sequence[Type], sizes: Ints,
           where: Source | None) -> None:
    """One scalar integer start an axis, and a window that fits the operand."""
    x = types[0]
    if len(starts) != x.rank or len(sizes) != x.rank:
        raise mistake(ShapeError, op, f"{len(starts)} starts and {len(sizes)} sizes for {x.rank} "
                      "axes", where=where, operands=types,
                      hint="one start and one size for each axis")
    for axis, (n, room) in enumerate(zip(sizes, x.shape)):
        if not 0 <= n <= room:
            raise mistake(ShapeError, op, f"{n} elements of axis {axis} of size {room}",
                          where=where, operands=types, hint="at most as many as the axis has")
    for start in starts:
        if start.rank or not dt.is_integer(start.dtype) or start.dtype != starts[0].dtype:
            raise mistake(DtypeError, op, f"a start is {start}: all are scalars of one integer "
                          "dtype", where=where, operands=types,
                          hint="x.astype(int), and one number for each axis")


def _window(x: Any, starts: Sequence[Any], sizes: Ints) -> tuple[slice, ...]:
    first = [min(max(int(s), 0), n - m) for s, n, m in zip(starts, x.shape, sizes)]
    return tuple(slice(s, s + m) for s, m in zip(first, sizes))


def _zero(starts: Sequence[Any]) -> Any:
    """The start on a new leading axis, in the dtype of the others."""
    return full_like(starts[0], 0) if starts else np.int32(0)


def _index_vectors(starts: Sequence[Any], has: Sequence[bool], size: int) -> Any:
    """Batched starts as one array of index vectors, a row for each example."""
    columns = [s if h else repeat_leading(s, size) for s, h in zip(starts, has)]
    return concatenate(*[reshape(s, shape=(size, 1)) for s in columns], dimension=1)


def _whole_window(rank: int) -> dict[str, Any]:
    """Of gather: one index vector that says where the window starts on each axis."""
    every = tuple(range(rank))
    return {"offset_dims": every, "collapsed_slice_dims": (), "operand_batching_dims": (),
            "start_indices_batching_dims": (), "start_index_map": every, "index_vector_dim": 0}


# -- dynamic_slice ---------------------------------------------------------------------------------


def _slice_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    _check("dynamic_slice", types, types[1:], attrs["sizes"], where)
    return (types[0].with_shape(attrs["sizes"]),)


def _slice_jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    (x, *starts), t = primals, tangents[0]
    out = dynamic_slice(x, *starts, **node.attrs)
    return [(out, None if t is None else dynamic_slice(t, *starts, **node.attrs))]


def _slice_transpose(transpose: Any, node: Node, linear: Sequence[bool],
                     cotangents: Sequence[Any]) -> list[Any]:
    x, *starts = node.inputs
    return [dynamic_update_slice(zeros(type_of(x)), cotangents[0], *starts)]


def _slice_batch(xs: Sequence[Any], has: Sequence[bool], size: int, *, sizes: Ints) -> Any:
    (x, *starts), (has_x, *has_starts) = xs, has
    if not any(has_starts):
        return dynamic_slice(x, _zero(starts), *starts, sizes=(size, *sizes))
    vectors = _index_vectors(starts, has_starts, size)
    return gather.batch([x, vectors], [has_x, True], size, slice_sizes=sizes,  # type: ignore[misc]
                        **_whole_window(len(starts)))


_STARTS = (Type(dt.int32, ()), Type(dt.int32, ()))

dynamic_slice: OpDef = OpDef(
    "dynamic_slice", "The window of x of the given sizes that begins at `starts`, one an axis.",
    lambda x, *starts, sizes: x[_window(x, starts, sizes)].copy(), results=_slice_results,
    dtypes=ew.ANY, mixed=True, jvp_node=_slice_jvp, transpose_node=_slice_transpose,
    batch=_slice_batch, weak=(0, 1),
    constraints=(
        "There is a start for each axis of x, all scalars of one integer dtype.",
        "`sizes` has a size for each axis of x, not above the axis's own.",
        "The result is of `sizes` and x's dtype."),
    examples=(Example((Type(F32, (5, 4)), *_STARTS), {"sizes": (2, 3)}),))

# -- dynamic_update_slice --------------------------------------------------------------------------


def _update_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    x, update, *starts = types
    if x.dtype != update.dtype:
        raise mistake(DtypeError, "dynamic_update_slice", f"the update is {dt.name(update.dtype)} "
                      f"but the operand is {dt.name(x.dtype)}", where=where, operands=types,
                      hint="convert one with x.astype(...)")
    _check("dynamic_update_slice", types, starts, update.shape, where)
    return (x,)


def _update(x: Any, update: Any, *starts: Any) -> Any:
    out = np.array(x)
    out[_window(x, starts, update.shape)] = update
    return out


def _update_jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Linear in operand and update at once."""
    x, update, *starts = primals
    out, (t_x, t_update) = dynamic_update_slice(*primals), tangents[:2]
    if t_x is None and t_update is None:
        return [(out, None)]
    t_x = full_like(x, 0) if t_x is None else t_x
    t_update = full_like(update, 0) if t_update is None else t_update
    return [(out, dynamic_update_slice(t_x, t_update, *starts))]


def _update_transpose(transpose: Any, node: Node, linear: Sequence[bool],
                      cotangents: Sequence[Any]) -> list[Any]:
    """To the operand what the update did not replace, to the update what it wrote."""
    (_, update, *starts), (ct,) = node.inputs, cotangents
    type, results = type_of(update), []
    if linear[0]:
        results.append(dynamic_update_slice(ct, zeros(type), *starts))
    if linear[1]:
        results.append(dynamic_slice(ct, *starts, sizes=type.shape))
    return results


def _update_batch(xs: Sequence[Any], has: Sequence[bool], size: int) -> Any:
    x, update = (v if h else repeat_leading(v, size) for v, h in zip(xs[:2], has))
    starts, has_starts = xs[2:], has[2:]
    if not any(has_starts):
        return dynamic_update_slice(x, update, _zero(starts), *starts)
    rank = len(starts)
    vectors = _index_vectors(starts, has_starts, size)
    # scatter leaves out what is to be moved inside
    room = np.subtract(type_of(x).shape[1:], type_of(update).shape[1:])
    highest = repeat_leading(constant(value=room.astype(type_of(vectors).dtype)), size)
    vectors = ew.clamp(full_like(vectors, 0), vectors, highest)
    inner = tuple(range(1, rank + 1))
    return scatter(x, vectors, update, kind="set", update_window_dims=inner,
                   inserted_window_dims=(), input_batching_dims=(0,),
                   scatter_indices_batching_dims=(0,), scatter_dims_to_operand_dims=inner,
                   index_vector_dim=1, unique_indices=True)


dynamic_update_slice: OpDef = OpDef(
    "dynamic_update_slice", "x with the window that begins at `starts` replaced by the update.",
    _update, results=_update_results, dtypes=ew.ANY, mixed=True, jvp_node=_update_jvp,
    transpose_node=_update_transpose, batch=_update_batch, weak=(0, 1),
    constraints=(
        "The update is of x's dtype.",
        "There is a start for each axis of x, all scalars of one integer dtype.",
        "The update has as many axes as x, none of them larger than x's.",
        "The result is of x's type."),
    examples=(Example((Type(F32, (5, 4)), Type(F32, (2, 3)), *_STARTS), {}),))
