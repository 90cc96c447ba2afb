"""Windows of an array at places that are data: what gather and scatter have in common."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, Source, mistake
from arraylib.hlo.ir import Type
from arraylib.hlo.opdef import Attrs
from arraylib.record import record

Ints = tuple[int, ...]


@record
class Windows:
    """The attributes of gather and of scatter under common names.

    window_dims: axes of the result (of the updates) along which a window lies. dropped: operand
    axes along which it is one wide and has no axis. batching, indices_batching: axes paired off
    between operand and indices. index_map: the operand axis of each element of an index vector.
    """

    window_dims: Ints
    dropped: Ints
    batching: Ints
    indices_batching: Ints
    index_map: Ints
    vector_dim: int


def of_gather(attrs: Attrs) -> Windows:
    return Windows(attrs["offset_dims"], attrs["collapsed_slice_dims"],
                    attrs["operand_batching_dims"], attrs["start_indices_batching_dims"],
                    attrs["start_index_map"], attrs["index_vector_dim"])


def of_scatter(attrs: Attrs) -> Windows:
    return Windows(attrs["update_window_dims"], attrs["inserted_window_dims"],
                    attrs["input_batching_dims"], attrs["scatter_indices_batching_dims"],
                    attrs["scatter_dims_to_operand_dims"], attrs["index_vector_dim"])


def _is_set_of_axes(axes: Ints, rank: int, ordered: bool) -> bool:
    """Whether these are different axes of an array, in ascending order if that matters."""
    return (len(set(axes)) == len(axes) and all(0 <= d < rank for d in axes)
            and (not ordered or list(axes) == sorted(axes)))


def _problems(x: Type, indices: Type, w: Windows, result_rank: int) -> Iterator[str]:
    """What is wrong with the axes, in an order in which each check may rely on those before."""
    if not 0 <= w.vector_dim <= indices.rank:
        yield f"index_vector_dim {w.vector_dim} of indices with {indices.rank} axes"
    if not _is_set_of_axes(w.window_dims, result_rank, True):
        yield f"window axes {w.window_dims} are no ascending axes of the {result_rank} there are"
    if not _is_set_of_axes(w.dropped, x.rank, True):
        yield f"dropped axes {w.dropped} are no ascending axes of an operand with {x.rank}"
    if not _is_set_of_axes(w.batching, x.rank, True):
        yield f"batching axes {w.batching} are no ascending axes of an operand with {x.rank}"
    if set(w.dropped) & set(w.batching):
        yield f"an axis is both dropped and batching: {w.dropped}, {w.batching}"
    kept = x.rank - len(w.dropped) - len(w.batching)
    if len(w.window_dims) != kept:
        yield (f"{len(w.window_dims)} window axes for {kept} operand axes that are neither dropped "
               "nor batching")
    if not _is_set_of_axes(w.indices_batching, indices.rank, False):
        yield f"batching axes {w.indices_batching} of indices with {indices.rank} axes"
    if w.vector_dim in w.indices_batching:
        yield f"axis {w.vector_dim} of the indices is both the index vector's and batching"
    here, there = (tuple(t.shape[d] for d in axes if d < t.rank)
                   for t, axes in ((x, w.batching), (indices, w.indices_batching)))
    if here != there:
        yield f"batching axes have sizes {here} in the operand but {there} in the indices"
    if not _is_set_of_axes((*w.index_map, *w.batching), x.rank, False):
        yield (f"an index vector moves axes {w.index_map}, which must differ from each other and "
               f"from the batching axes {w.batching}")
    if len(w.index_map) != _vector_size(indices, w):
        yield f"index vectors have {_vector_size(indices, w)} elements for {len(w.index_map)} axes"


def _vector_size(indices: Type, w: Windows) -> int:
    return indices.shape[w.vector_dim] if w.vector_dim < indices.rank else 1


def outer_shape(indices: Type, w: Windows) -> Ints:
    """The shape of the indices without the axis of the index vectors."""
    return tuple(n for d, n in enumerate(indices.shape) if d != w.vector_dim)


def window_axes(rank: int, w: Windows) -> Ints:
    """The operand axes that a window has, in order: one for each of `window_dims`."""
    return tuple(d for d in range(rank) if d not in w.dropped and d not in w.batching)


def interleaved(outer: Ints, window: Ints, w: Windows) -> Ints:
    """The shape with `window` at the axes `window_dims` and `outer` at the others, in order."""
    sizes = iter(outer), iter(window)
    return tuple(next(sizes[d in w.window_dims]) for d in range(len(outer) + len(window)))


def check_indices(op: str, types: Sequence[Type], w: Windows, result_rank: int,
                   where: Source | None) -> None:
    x, indices = types[:2]
    if not dt.is_integer(indices.dtype):
        raise mistake(DtypeError, op, f"the indices are {dt.name(indices.dtype)}, not integers",
                      where=where, operands=types, hint="convert with x.astype(int)")
    for problem in _problems(x, indices, w, result_rank):
        raise mistake(ShapeError, op, problem, where=where, operands=types)


def starts_of(x: Any, indices: Any, w: Windows) -> list[Any]:
    """For each operand axis the start of each window, as an array over the outer axes; or 0."""
    if indices.dtype == dt.uint64:  # what int64 cannot hold is beyond every axis anyway
        indices = np.minimum(indices, np.uint64(np.iinfo(np.int64).max))
    indices = indices.astype(np.int64)
    vectors = indices[..., None] if w.vector_dim == indices.ndim else np.moveaxis(
        indices, w.vector_dim, -1)
    starts: list[Any] = [0] * x.ndim
    for i, d in enumerate(w.index_map):
        starts[d] = vectors[..., i]
    outer = vectors.shape[:-1]
    for d, b in zip(w.batching, w.indices_batching):
        axis = b - (w.vector_dim < b)
        starts[d] = np.arange(outer[axis]).reshape([-1 if a == axis else 1
                                                    for a in range(len(outer))])
    return starts


def places_of(starts: list[Any], sizes: Ints, outer: int, w: Windows) -> tuple[Any, ...]:
    """Index arrays, one an operand axis, which together run over outer axes, then window axes."""
    kept = window_axes(len(starts), w)
    places = []
    for d, start in enumerate(starts):
        start = np.asarray(start)
        along = [1] * len(kept)
        if d in kept:
            along[kept.index(d)] = -1
        inside = np.arange(sizes[d] if d in kept else 1)
        lead = start.shape or (1,) * outer
        places.append(start.reshape((*lead, *[1] * len(kept))) + inside.reshape(along))
    return tuple(places)


def outer_first(rank: int, w: Windows) -> Ints:
    """The permutation that brings outer axes in front of window axes."""
    return (*(d for d in range(rank) if d not in w.window_dims), *w.window_dims)


def as_scatter(w: Windows) -> Attrs:
    return {"update_window_dims": w.window_dims, "inserted_window_dims": w.dropped,
            "input_batching_dims": w.batching, "scatter_indices_batching_dims": w.indices_batching,
            "scatter_dims_to_operand_dims": w.index_map, "index_vector_dim": w.vector_dim,
            "unique_indices": False}


def as_gather(w: Windows, slice_sizes: Ints) -> Attrs:
    return {"offset_dims": w.window_dims, "collapsed_slice_dims": w.dropped,
            "operand_batching_dims": w.batching, "start_indices_batching_dims": w.indices_batching,
            "start_index_map": w.index_map, "index_vector_dim": w.vector_dim,
            "slice_sizes": slice_sizes}


def one_up(axes: Ints) -> Ints:
    """The same axes behind a new leading one."""
    return tuple(d + 1 for d in axes)


def batched_windows(w: Windows, has_x: bool, has_indices: bool) -> Windows:
    """With a leading axis on the operand, the indices or both; the result has one in any case."""
    own_axis = (0,) if has_x and not has_indices else ()
    shared = (0,) if has_x and has_indices else ()
    inner = one_up if has_indices else tuple
    outer = one_up if has_x else tuple
    return Windows(
        window_dims=(*own_axis, *one_up(w.window_dims)), dropped=outer(w.dropped),
        batching=(*shared, *outer(w.batching)),
        indices_batching=(*shared, *inner(w.indices_batching)),
        index_map=outer(w.index_map), vector_dim=w.vector_dim + has_indices)


def update_window(updates: Type, w: Windows) -> Ints:
    return tuple(updates.shape[d] for d in w.window_dims)


def window_sizes(x: Type, updates: Type, w: Windows) -> Ints:
    """How wide an update is along each operand axis."""
    sizes = dict(zip(window_axes(x.rank, w), update_window(updates, w)))
    return tuple(sizes.get(d, 1) for d in range(x.rank))
