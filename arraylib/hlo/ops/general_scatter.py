"""scatter by any body: how what is there and what arrives become what is there then."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ShapeError, Source, mistake
from arraylib.hlo.ir import Graph, Node, Type, trace_graph, type_of
from arraylib.hlo.opdef import Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import iota
from arraylib.hlo.ops.general import Pairs, add_body, same_shape
from arraylib.hlo.ops.index_windows import (
    Windows,
    as_scatter,
    batched_windows,
    of_scatter,
    outer_first,
    outer_shape,
    places_of,
    starts_of,
    window_sizes,
)
from arraylib.hlo.ops.indexed import gather, scatter
from arraylib.hlo.ops.lifted import (
    accumulators,
    as_dtype,
    emit_lifted,
    lift,
    single_op,
    written_out,
)
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.ops.shape import concatenate, repeat_leading
from arraylib.hlo.ops.structured import F32, reshape, transpose

# -- types and meaning -----------------------------------------------------------------------------


def _parts(items: Sequence[Any]) -> tuple[list[Any], Any, list[Any]]:
    """Operands, indices, updates."""
    k = len(items) // 2
    return list(items[:k]), items[k], list(items[k + 1:])


def _results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    if len(types) < 3 or len(types) % 2 == 0:
        raise mistake(ShapeError, "scatter_with", f"{len(types)} operands, but there must be "
                      "arrays, indices, and updates for each array", where=where, operands=types)
    xs, indices, updates = _parts(types)
    same_shape("scatter_with", xs, where)
    same_shape("scatter_with", updates, where)
    dimensions = {name: value for name, value in attrs.items() if name != "body"}
    for x, update in zip(xs, updates):
        scatter.result_types([x, indices, update], {**dimensions, "kind": "set"}, where)
    dtypes = accumulators("scatter_with", "the body", attrs["body"], xs, where)
    return tuple(x.with_dtype(d) for x, d in zip(xs, dtypes))


_KINDS = {ew.add: "add", ew.multiply: "multiply", ew.minimum: "minimum", ew.maximum: "maximum"}


def _kind(body: Graph, dtype: np.dtype[Any]) -> str | None:
    """The kind of `scatter` that means the same, if there is one."""
    if len(body.outputs) != 1 or body.outputs[0].type.dtype != dtype:
        return None
    if body.outputs[0] is body.inputs[1]:
        return "set"
    op = single_op(body)
    kind = None if op is None else _KINDS.get(op)
    return None if dt.is_complex(dtype) and kind in ("minimum", "maximum") else kind


def _scatter(*arrays: Any, body: Graph, **attrs: Any) -> Sequence[Any]:
    """Updates that meet at one place arrive one after the other, in rounds."""
    xs, indices, updates = _parts(arrays)
    kind = _kind(body, xs[0].dtype)
    if kind is not None:
        return (scatter.numpy(xs[0], indices, updates[0], kind=kind, **attrs),)
    w = of_scatter(attrs)
    places, inside = _targets(xs[0], indices, updates[0], w)
    dtypes = [t.dtype for t in body.output_types]
    outs = [np.array(x, d, order="C") for x, d in zip(xs, dtypes)]
    rows = [np.transpose(u, outer_first(u.ndim, w))[inside].ravel().astype(d, copy=False)
            for u, d in zip(updates, dtypes)]
    flat = [out.reshape(-1) for out in outs]
    for chosen in _rounds(places, attrs["unique_indices"]):
        there = places[chosen]
        found = lift(body, [*(x[there] for x in flat), *(row[chosen] for row in rows)])
        for x, value in zip(flat, found):
            x[there] = value
    return outs


def _targets(x: Any, indices: Any, updates: Any, w: Windows) -> tuple[Any, Any]:
    """The flat places of all elements of windows that lie inside x, and which windows do."""
    sizes = window_sizes(type_of(x), type_of(updates), w)
    starts = starts_of(x, indices, w)
    inside = np.ones(outer_shape(type_of(indices), w), bool)
    for start, n, m in zip(starts, x.shape, sizes):
        inside &= (start >= 0) & (start <= n - m)
    shape = np.transpose(updates, outer_first(updates.ndim, w)).shape
    places = [np.broadcast_to(p, shape)[inside] for p in places_of(starts, sizes, inside.ndim, w)]
    if not x.ndim:
        return np.zeros(inside.sum(), int), inside
    return np.ravel_multi_index(places, x.shape).ravel(), inside


def _rounds(places: Any, unique: bool) -> list[Any]:
    """Groups of updates, no two of a group for one place: the first for each, the second, ..."""
    everything = np.arange(places.size)
    if unique or not places.size:
        return [everything]
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    first = np.r_[True, ordered[1:] != ordered[:-1]]
    number = everything - np.maximum.accumulate(np.where(first, everything, 0))
    by_number = np.argsort(number, kind="stable")
    return np.split(order[by_number], np.cumsum(np.bincount(number))[:-1])


# -- written out: for derivatives ------------------------------------------------------------------


def scatter_by(*operands: Any, body: Graph, **attrs: Any) -> Sequence[Any]:
    """Emit `scatter_with`, or the `scatter` of a kind that means the same."""
    kind = _kind(body, type_of(operands[0]).dtype)
    if kind is not None:
        return (scatter(*operands, kind=kind, **attrs),)
    return scatter_with(*operands, body=body, **attrs)  # type: ignore[no-any-return]


def _write_out(*operands: Any, body: Graph, **attrs: Any) -> Sequence[Any]:
    """A loop over the windows; all at once where no two meet."""
    xs, indices, updates = _parts(operands)
    if _kind(body, type_of(xs[0]).dtype) is not None:
        return scatter_by(*operands, body=body, **attrs)
    w, dtypes = of_scatter(attrs), [t.dtype for t in body.output_types]
    sizes = window_sizes(type_of(xs[0]), type_of(updates[0]), w)
    vectors, rows = _index_rows(indices, w), [_update_rows(u, w) for u in updates]
    xs, rows = ([as_dtype(x, d) for x, d in zip(part, dtypes)] for part in (xs, rows))
    plain = _plain_windows(type_of(xs[0]).rank, w)
    count = type_of(vectors).shape[0]
    def write(*values: Any) -> Sequence[Any]:
        k = len(dtypes)
        return _write_windows(values[:k], values[k], values[k + 1:], body, plain, sizes)
    if attrs["unique_indices"] or count < 2:
        return write(*xs, vectors, *rows)
    def step(*values: Any) -> Sequence[Any]:
        k = len(dtypes)
        one = [reshape(v, shape=(1, *type_of(v).shape)) for v in values[k:]]
        return write(*values[:k], *one)
    types = [type_of(x) for x in xs] + [type_of(r).with_shape(type_of(r).shape[1:])
                                        for r in (vectors, *rows)]
    return scan(*xs, vectors, *rows, body=trace_graph(types, step), consts=0,  # type: ignore[no-any-return]
                carry=len(xs), length=count, reverse=False)


def _index_rows(indices: Any, w: Windows) -> Any:
    """Index vectors as rows, which also say where they are along the operand's batching axes."""
    type = type_of(indices)
    wide = dt.int64 if dt.bits(type.dtype) == 64 or type.dtype == dt.uint32 else dt.int32
    indices, outer = as_dtype(indices, wide), outer_shape(type, w)
    if w.vector_dim == type.rank:
        indices = reshape(indices, shape=(*outer, 1))
    else:
        order = (*(d for d in range(type.rank) if d != w.vector_dim), w.vector_dim)
        indices = transpose(indices, permutation=order)
    along = [iota(shape=(*outer, 1), dimension=b - (w.vector_dim < b), dtype=wide)
             for b in w.indices_batching]
    if along:
        indices = concatenate(indices, *along, dimension=len(outer))
    shape = type_of(indices).shape
    return reshape(indices, shape=(int(np.prod(shape[:-1])), shape[-1]))


def _update_rows(update: Any, w: Windows) -> Any:
    """The updates with one leading axis in front of those of the window."""
    update = transpose(update, permutation=outer_first(type_of(update).rank, w))
    shape, window = type_of(update).shape, len(w.window_dims)
    lead = len(shape) - window
    return reshape(update, shape=(int(np.prod(shape[:lead])), *shape[lead:]))


def _plain_windows(rank: int, w: Windows) -> Windows:
    """For rows of index vectors and of updates: batching axes are indexed like others."""
    dropped = tuple(sorted((*w.dropped, *w.batching)))
    return Windows(window_dims=tuple(range(1, rank - len(dropped) + 1)), dropped=dropped,
                    batching=(), indices_batching=(), index_map=(*w.index_map, *w.batching),
                    vector_dim=1)


def _write_windows(xs: Sequence[Any], vectors: Any, rows: Sequence[Any], body: Graph, w: Windows,
                   sizes: tuple[int, ...]) -> list[Any]:
    """Read windows, none of which meets another, apply the body, and write them back."""
    there = [gather(x, vectors, offset_dims=w.window_dims, collapsed_slice_dims=w.dropped,
                    operand_batching_dims=(), start_indices_batching_dims=(),
                    start_index_map=w.index_map, index_vector_dim=1, slice_sizes=sizes)
             for x in xs]
    attrs = {**as_scatter(w), "unique_indices": True}
    return [scatter(x, vectors, value, kind="set", **attrs)
            for x, value in zip(xs, emit_lifted(body, [*there, *rows]))]


def _jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    graph = written_out(node, _write_out)
    return jvp(graph, primals, tangents)  # type: ignore[no-any-return]


def _batch(xs: Sequence[Any], has: Sequence[bool], size: int, *, body: Graph,
           unique_indices: bool, **attrs: Any) -> Any:
    k = len(xs) // 2
    whole = [x if h or i == k else repeat_leading(x, size) for i, (x, h) in enumerate(zip(xs, has))]
    w = batched_windows(of_scatter(attrs), True, has[k])
    return scatter_with(*whole, body=body,
                        **{**as_scatter(w), "unique_indices": unique_indices})


_ROWS = {"update_window_dims": (1,), "inserted_window_dims": (0,), "input_batching_dims": (),
         "scatter_indices_batching_dims": (), "scatter_dims_to_operand_dims": (0,),
         "index_vector_dim": 1, "unique_indices": False}
_CELLS = {"update_window_dims": (), "inserted_window_dims": (1,), "input_batching_dims": (0,),
          "scatter_indices_batching_dims": (0,), "scatter_dims_to_operand_dims": (1,),
          "index_vector_dim": 2, "unique_indices": True}
_decay = trace_graph([Type(F32, ())] * 2, lambda x, y: [
    ew.add(ew.multiply(x, np.float32(0.5)), y)])
_two = trace_graph([Type(F32, ())] * 4, lambda x, y, u, v: [ew.add(x, ew.multiply(y, u)),
                                                            ew.add(y, v)])
_ROW_TYPES = Type(F32, (5, 4)), Type(dt.int32, (6, 1)), Type(F32, (6, 3))
_CELL_TYPES = Type(F32, (3, 4)), Type(dt.int32, (3, 1, 1)), Type(F32, (3, 1))

scatter_with: OpDef = OpDef(
    "scatter_with", "The operands with windows of updates combined into them at the given indices "
    "by a body (there, arriving) -> there; a window that sticks out is left out.",
    _scatter, results=_results, dtypes=ew.ANY, mixed=True, multiple=True, jvp_node=_jvp,
    batch=_batch, tolerance=2e-6,
    constraints=(
        "The operands are arrays of one shape, indices, then updates of one shape, of an array's "
        "dtype each.",
        "With any of the updates, indices and attributes are as `scatter` asks for.",
        "`body` takes a scalar for each array, then one for each update, and gives one for each "
        "array; their dtypes are those of the arrays, or wider ones of their kinds.",
        "The results have the shapes of the arrays and the dtypes of `body`."),
    examples=(Example(_ROW_TYPES, {"body": _decay, **_ROWS}),
              Example(_ROW_TYPES, {"body": add_body, **_ROWS}),
              Example((_CELL_TYPES[0], *_CELL_TYPES[:2], _CELL_TYPES[2], _CELL_TYPES[2]),
                      {"body": _two, **_CELLS})))
