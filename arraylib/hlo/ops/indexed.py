"""gather and scatter: windows of an array read and written at places that are data.

Both name the axes as StableHLO does. An index vector, found along axis `index_vector_dim` of the
indices, is where a window starts in the operand; the other axes of the indices say which window.
A batching axis of the operand goes along with one of the indices: each example has its own windows.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, Source, TraceError, mistake
from arraylib.hlo.ir import Node, Type, emit_like, type_of
from arraylib.hlo.opdef import SAME, Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant, full, full_like, iota, zeros
from arraylib.hlo.ops.extremes import combined_at
from arraylib.hlo.ops.index_windows import (
    Windows,
    as_gather,
    as_scatter,
    batched_windows,
    check_indices,
    interleaved,
    of_gather,
    of_scatter,
    outer_first,
    outer_shape,
    places_of,
    starts_of,
    update_window,
    window_axes,
    window_sizes,
)
from arraylib.hlo.ops.reduction import reduce_and
from arraylib.hlo.ops.shape import repeat_leading
from arraylib.hlo.ops.structured import F32, broadcast_in_dim, reshape

# -- gather ----------------------------------------------------------------------------------------


def _gather_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    (x, indices), w, sizes = types, of_gather(attrs), attrs["slice_sizes"]
    outer = len(outer_shape(indices, w))
    check_indices("gather", types, w, outer + len(w.window_dims), where)
    if len(sizes) != x.rank or any(not 0 <= n <= m for n, m in zip(sizes, x.shape)):
        raise mistake(ShapeError, "gather", f"slice_sizes {sizes} do not fit shape {x.shape}",
                      where=where, operands=types, hint="one an axis, not above the axis's own")
    if any(sizes[d] > 1 for d in (*w.dropped, *w.batching)):
        raise mistake(ShapeError, "gather", f"slice_sizes {sizes} are above 1 on an axis that is "
                      f"collapsed or batching: {w.dropped}, {w.batching}", where=where,
                      operands=types)
    window = tuple(sizes[d] for d in window_axes(x.rank, w))
    return (x.with_shape(interleaved(outer_shape(indices, w), window, w)),)


def _gather(x: Any, indices: Any, **attrs: Any) -> Any:
    w, sizes = of_gather(attrs), attrs["slice_sizes"]
    starts = [np.minimum(np.maximum(s, 0), n - m)
              for s, n, m in zip(starts_of(x, indices, w), x.shape, sizes)]
    outer = outer_shape(type_of(indices), w)
    window = tuple(sizes[d] for d in window_axes(x.ndim, w))
    found = x[places_of(starts, sizes, len(outer), w)] if 0 not in sizes else np.zeros((), x.dtype)
    whole = np.empty((*outer, *window), x.dtype)
    whole[...] = found
    return np.transpose(whole, np.argsort(outer_first(whole.ndim, w)))


def _gather_transpose(ct: Any, x: Any, indices: Any, **attrs: Any) -> Any:
    """Add the cotangents up where the windows were read."""
    w = of_gather(attrs)
    limits = [type_of(x).shape[d] - attrs["slice_sizes"][d] for d in w.index_map]
    return scatter(zeros(type_of(x)), _clamped(indices, limits, w), ct, kind="add",
                   **as_scatter(w))




def _clamped(indices: Any, limits: Sequence[int], w: Windows) -> Any:
    """The indices moved to where gather reads: as near as a whole window fits."""
    type = type_of(indices)
    limit = _along_vectors(np.minimum(limits, dt.iinfo(type.dtype).max), type, w)
    return ew.clamp(full_like(indices, 0), indices, limit)


def _along_vectors(values: Any, type: Type, w: Windows) -> Any:
    """One value for each element of an index vector, repeated to the shape of the indices."""
    row = np.asarray(values).astype(type.dtype)
    if w.vector_dim == type.rank:
        return full(type.shape, row.item(), type.dtype)
    return broadcast_in_dim(constant(value=row), shape=type.shape,
                            broadcast_dimensions=(w.vector_dim,))




def _gather_batch(xs: Sequence[Any], has: Sequence[bool], size: int, **attrs: Any) -> Any:
    w = batched_windows(of_gather(attrs), *has)
    lead = ((min(1, size),) if has[1] else (size,)) if has[0] else ()
    return gather(*xs, **as_gather(w, (*lead, *attrs["slice_sizes"])))


_WINDOWS = {"offset_dims": (1,), "collapsed_slice_dims": (0,), "operand_batching_dims": (),
            "start_indices_batching_dims": (), "start_index_map": (0,), "index_vector_dim": 1,
            "slice_sizes": (1, 3)}
_POINTS = {"offset_dims": (), "collapsed_slice_dims": (1,), "operand_batching_dims": (0,),
           "start_indices_batching_dims": (0,), "start_index_map": (1,), "index_vector_dim": 2,
           "slice_sizes": (1, 1)}

gather: OpDef = OpDef(
    "gather", "Windows of x that start at the given indices, moved inside where they stick out.",
    _gather, results=_gather_results, dtypes=ew.ANY, mixed=True, weak=(0, 1), jvp=(SAME, None),
    transpose=(_gather_transpose, None), batch=_gather_batch,
    constraints=(
        "The indices are integers.",
        "`index_vector_dim` is an axis of the indices, or one more than the last: an index is "
        "then a vector of one element.",
        "`offset_dims` are different axes of the result, in order.",
        "`collapsed_slice_dims` and `operand_batching_dims` are axes of x, each list in order, "
        "and all different.",
        "There are as many `offset_dims` as other axes of x.",
        "`start_indices_batching_dims` are different axes of the indices, `index_vector_dim` not "
        "among them, with the sizes of the `operand_batching_dims`.",
        "`start_index_map` has for each element of an index vector an axis of x, all different "
        "and none of them batching.",
        "`slice_sizes` has for each axis of x a size, not above the axis's own, nor above 1 where "
        "it is collapsed or batching.",
        "The result has x's dtype, the sizes of a slice at `offset_dims`, and those of the "
        "indices, but for `index_vector_dim`, at its other axes."),
    examples=(Example((Type(F32, (5, 4)), Type(dt.int32, (6, 1))), _WINDOWS),
              Example((Type(F32, (3, 4)), Type(dt.int32, (3, 2))), _POINTS)))

# -- scatter ---------------------------------------------------------------------------------------


def _scatter_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    (x, indices, updates), w = types, of_scatter(attrs)
    if attrs["kind"] not in _KINDS:
        raise mistake(ShapeError, "scatter", f"kind {attrs['kind']!r} is none of "
                      + ", ".join(_KINDS), where=where)
    if dt.is_complex(x.dtype) and attrs["kind"] in ("minimum", "maximum"):
        raise mistake(DtypeError, "scatter", "complex numbers have no order", where=where,
                      operands=types)
    if x.dtype != updates.dtype:
        raise mistake(DtypeError, "scatter", f"the updates are {dt.name(updates.dtype)} but the "
                      f"operand is {dt.name(x.dtype)}", where=where, operands=types,
                      hint="convert one with x.astype(...)")
    check_indices("scatter", types, w, updates.rank, where)
    outer = tuple(updates.shape[d] for d in range(updates.rank) if d not in w.window_dims)
    if outer != outer_shape(indices, w):
        raise mistake(ShapeError, "scatter", f"the updates are {outer} outside their windows, but "
                      f"there are {outer_shape(indices, w)} index vectors", where=where,
                      operands=types)
    window, room = update_window(updates, w), [x.shape[d] for d in window_axes(x.rank, w)]
    if any(n > m for n, m in zip(window, room)):
        raise mistake(ShapeError, "scatter", f"windows of {window} do not fit the {tuple(room)} of "
                      "the operand", where=where, operands=types)
    return (x,)




def _set(out: Any, places: Any, updates: Any) -> None:
    """Later updates win, which NumPy's assignment leaves open: keep the last for each place."""
    places, last = np.unique(places[::-1], return_index=True)
    out[places] = updates[::-1][last]


_KINDS: dict[str, Callable[[Any, Any, Any], None]] = {
    "set": _set, "add": np.add.at, "multiply": np.multiply.at,
    "minimum": combined_at(np.minimum), "maximum": combined_at(np.maximum)}


def _scatter(x: Any, indices: Any, updates: Any, *, kind: str, **attrs: Any) -> Any:
    w = of_scatter(attrs)
    sizes = window_sizes(type_of(x), type_of(updates), w)
    starts = starts_of(x, indices, w)
    ordered = np.transpose(updates, outer_first(updates.ndim, w))
    inside = np.ones(outer_shape(type_of(indices), w), bool)
    for start, n, m in zip(starts, x.shape, sizes):
        inside &= (start >= 0) & (start <= n - m)
    places = [np.broadcast_to(p, ordered.shape)[inside]
              for p in places_of(starts, sizes, inside.ndim, w)]
    out = np.array(x, order="C")
    flat = np.ravel_multi_index(places, x.shape) if x.ndim else np.zeros(ordered.shape, int)[inside]
    _KINDS[kind](out.reshape(-1), flat.ravel(), ordered[inside].ravel())
    return out


def _read_at(x: Any, indices: Any, updates: Any, attrs: Attrs) -> Any:
    """The elements of x that the updates go to, in their shape (some other where they are lost)."""
    w = of_scatter(attrs)
    sizes = window_sizes(type_of(x), type_of(updates), w)
    return gather(x, indices, **as_gather(w, tuple(map(min, sizes, type_of(x).shape))))


def _scatter_jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    out = emit_like(node, primals)[0]
    t_x, _, t_updates = tangents
    if (t_x is None and t_updates is None) or not dt.is_inexact(type_of(out).dtype):
        return [(out, None)]
    rule = _TANGENTS[node.attrs["kind"]]
    return [(out, rule(node, out, primals, t_x, t_updates))]


def _linear_tangent(node: Node, out: Any, primals: Sequence[Any], t_x: Any, t_updates: Any) -> Any:
    """set and add are linear in operand and updates together."""
    x, indices, updates = primals
    t_x = full_like(x, 0) if t_x is None else t_x
    t_updates = full_like(updates, 0) if t_updates is None else t_updates
    return emit_like(node, [t_x, indices, t_updates])[0]


def _product_tangent(node: Node, out: Any, primals: Sequence[Any], t_x: Any,
                     t_updates: Any) -> Any:
    """out = x * u: the tangent is t_x * u + x * t_u, if no two updates meet."""
    x, indices, updates = primals
    of_x = None if t_x is None else emit_like(node, [t_x, indices, updates])[0]
    if t_updates is None:
        return of_x
    if not node.attrs["unique_indices"]:
        raise mistake(TraceError, "scatter", "derivative of kind 'multiply' by its updates, of "
                      "which several may meet at one place", where=node.where,
                      hint="pass unique_indices=True if none do")
    change = ew.multiply(t_updates, _read_at(x, indices, updates, node.attrs))
    of_x = full_like(x, 0) if of_x is None else of_x
    return emit_like(node, [of_x, indices, change], kind="add")[0]


def _extreme_tangent(node: Node, out: Any, primals: Sequence[Any], t_x: Any,
                     t_updates: Any) -> Any:
    """The mean tangent of operand and updates that equal the extreme value."""
    x, indices, updates = primals
    of_x = ew.compare(x, out, direction="EQ")
    of_updates = ew.compare(updates, _read_at(out, indices, updates, node.attrs), direction="EQ")
    def total(t: Any, t_update: Any) -> Any:
        in_x, in_updates = _where_true(of_x, t), _where_true(of_updates, t_update)
        return emit_like(node, [in_x, indices, in_updates], kind="add")[0]
    t_x = full_like(x, 0) if t_x is None else t_x
    t_updates = full_like(updates, 0) if t_updates is None else t_updates
    return ew.divide(total(t_x, t_updates), total(full_like(x, 1), full_like(updates, 1)))


def _where_true(holds: Any, value: Any) -> Any:
    return ew.select(holds, value, full_like(value, 0))


_TANGENTS = {"set": _linear_tangent, "add": _linear_tangent, "multiply": _product_tangent,
             "minimum": _extreme_tangent, "maximum": _extreme_tangent}


def _scatter_transpose(transpose: Any, node: Node, linear: Sequence[bool],
                       cotangents: Sequence[Any]) -> list[Any]:
    """Read the cotangents of the updates where they went; those of x are what was not replaced."""
    (x, indices, updates), (ct,), attrs = node.inputs, cotangents, node.attrs
    if attrs["kind"] == "multiply" and not linear[2]:
        return list(emit_like(node, [ct, indices, updates]))
    if attrs["kind"] not in ("set", "add"):
        raise mistake(TraceError, "scatter", f"kind {attrs['kind']!r} is not linear",
                      where=node.where)
    replaced = attrs["kind"] == "set"
    results = []
    if linear[0]:
        nothing = zeros(type_of(updates))
        results.append(emit_like(node, [ct, indices, nothing])[0] if replaced else ct)
    if linear[2]:
        arrived = _arrived(x, indices, updates, attrs)
        results.append(_where_true(arrived, _read_at(ct, indices, updates, attrs)))
    return results


def _arrived(x: Any, indices: Any, updates: Any, attrs: Attrs) -> Any:
    """Which updates were inside the operand and, of kind set, not written over by a later one."""
    if attrs["kind"] == "add" or attrs["unique_indices"]:
        return _inside(x, indices, updates, attrs)
    type = type_of(updates)
    number = reshape(iota(shape=(type.size,), dimension=0, dtype=dt.int32), shape=type.shape)
    nobody = full(type_of(x).shape, -1, dt.int32)
    winners = scatter(nobody, indices, number, **attrs)
    return ew.compare(_read_at(winners, indices, updates, attrs), number, direction="EQ")


def _inside(x: Any, indices: Any, updates: Any, attrs: Attrs) -> Any:
    """Which updates lie inside the operand with their whole window."""
    w, type, wide = of_scatter(attrs), type_of(indices), type_of(updates)
    sizes = window_sizes(type_of(x), wide, w)
    limits = [type_of(x).shape[d] - sizes[d] for d in w.index_map]
    limit = _along_vectors(np.minimum(limits, dt.iinfo(type.dtype).max), type, w)
    fits = ew.and_(ew.compare(indices, full_like(indices, 0), direction="GE"),
                   ew.compare(indices, limit, direction="LE"))
    if w.vector_dim < type.rank:
        fits = reduce_and(fits, dimensions=(w.vector_dim,))
    outer = tuple(d for d in range(wide.rank) if d not in w.window_dims)
    return broadcast_in_dim(fits, shape=wide.shape, broadcast_dimensions=outer)


def _scatter_batch(xs: Sequence[Any], has: Sequence[bool], size: int, *, kind: str,
                   unique_indices: bool = False, **attrs: Any) -> Any:
    x, updates = (xs[i] if has[i] else repeat_leading(xs[i], size) for i in (0, 2))
    w = batched_windows(of_scatter(attrs), True, has[1])
    return scatter(x, xs[1], updates, kind=kind,
                   **{**as_scatter(w), "unique_indices": unique_indices})


_ROWS = {"update_window_dims": (1,), "inserted_window_dims": (0,), "input_batching_dims": (),
         "scatter_indices_batching_dims": (), "scatter_dims_to_operand_dims": (0,),
         "index_vector_dim": 1, "unique_indices": False}
_CELLS = {"update_window_dims": (), "inserted_window_dims": (1,), "input_batching_dims": (0,),
          "scatter_indices_batching_dims": (0,), "scatter_dims_to_operand_dims": (1,),
          "index_vector_dim": 2, "unique_indices": True}
_ROW_TYPES = Type(F32, (5, 4)), Type(dt.int32, (6, 1)), Type(F32, (6, 3))

scatter: OpDef = OpDef(
    "scatter", "x with windows of updates written (or added, multiplied, ...) at the given indices "
    "one after the other; a window that sticks out is left out.",
    _scatter, results=_scatter_results, dtypes=ew.ANY, mixed=True, weak=(0, 1),
    jvp_node=_scatter_jvp,
    transpose_node=_scatter_transpose, batch=_scatter_batch, tolerance=2e-6,
    constraints=(
        "`kind` is set, add, multiply, minimum or maximum; complex numbers have no last two.",
        "x and the updates are of one dtype.",
        "The indices are integers.",
        "`index_vector_dim` is an axis of the indices, or one more than the last: an index is "
        "then a vector of one element.",
        "`update_window_dims` are different axes of the updates, in order.",
        "`inserted_window_dims` and `input_batching_dims` are axes of x, each list in order, and "
        "all different.",
        "There are as many `update_window_dims` as other axes of x.",
        "`scatter_indices_batching_dims` are different axes of the indices, `index_vector_dim` "
        "not among them, with the sizes of the `input_batching_dims`.",
        "`scatter_dims_to_operand_dims` has for each element of an index vector an axis of x, all "
        "different and none of them batching.",
        "The other axes of the updates are those of the indices without `index_vector_dim`.",
        "A window of the updates is not larger than x.",
        "The result is of x's type."),
    examples=(*(Example(_ROW_TYPES, {"kind": kind, **_ROWS}) for kind in _KINDS
                if kind != "multiply"),
              Example((Type(F32, (3, 4)), Type(dt.int32, (3, 1)), Type(F32, (3, 1))),
                      {"kind": "multiply", **_CELLS})))
