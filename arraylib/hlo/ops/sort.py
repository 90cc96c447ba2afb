"""Sorting, along one axis and by several keys."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ShapeError, Source, mistake
from arraylib.hlo.ir import Node, Type, type_of
from arraylib.hlo.opdef import Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import iota
from arraylib.hlo.ops.indexed import gather
from arraylib.hlo.ops.numeric import in_order
from arraylib.hlo.ops.shape import repeat_leading
from arraylib.hlo.ops.structured import F32


def _results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    axis, keys, first = attrs["dimension"], attrs["num_keys"], types[0]
    if not 1 <= keys <= len(types):
        raise mistake(ShapeError, "sort", f"{keys} keys among {len(types)} operands", where=where,
                      operands=types, hint="num_keys from 1 to the number of operands")
    if not 0 <= axis < first.rank:
        raise mistake(ShapeError, "sort", f"dimension {axis} of {first.rank} axes", where=where,
                      operands=types, hint="an axis counted from 0")
    for i, other in enumerate(types):
        if other.shape != first.shape:
            raise mistake(ShapeError, "sort", f"operand {i} has shape {other.shape} but operand 0 "
                          f"has {first.shape}", where=where, operands=types,
                          hint="all operands have one shape")
    return tuple(types)


def _comparable(key: Any) -> Iterator[Any]:
    """A key as arrays that NumPy sorts, nan last, the least significant first."""
    if dt.is_complex(key.dtype):
        yield from (key.imag, key.real)
    else:
        yield in_order(key)


def _sort(*xs: Any, dimension: int, num_keys: int) -> tuple[Any, ...]:
    keys = [part for key in reversed(xs[:num_keys]) for part in _comparable(key)]
    order = np.lexsort(keys, axis=dimension)
    return tuple(np.take_along_axis(x, order, axis=dimension) for x in xs)


def take_along(x: Any, indices: Any, axis: int) -> Any:
    """The elements of x at `indices` along one axis; all other axes go together."""
    type = type_of(indices)
    others = tuple(d for d in range(type.rank) if d != axis)
    return gather(
        x, indices, offset_dims=(), collapsed_slice_dims=(axis,), operand_batching_dims=others,
        start_indices_batching_dims=others, start_index_map=(axis,), index_vector_dim=type.rank,
        slice_sizes=tuple(min(1, n) for n in type_of(x).shape))


def _jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Tangents go where their elements went, which a last operand that counts places tells."""
    axis = node.attrs["dimension"]
    places = iota(shape=type_of(primals[0]).shape, dimension=axis, dtype=dt.int32)
    *outs, order = sort(*primals, places, **node.attrs)
    return [(out, None if t is None else take_along(t, order, axis))
            for out, t in zip(outs, tangents)]


def _batch(xs: Sequence[Any], has: Sequence[bool], size: int, *, dimension: int,
           num_keys: int) -> Any:
    whole = [x if h else repeat_leading(x, size) for x, h in zip(xs, has)]
    return sort(*whole, dimension=dimension + 1, num_keys=num_keys)


sort: OpDef = OpDef(
    "sort", "The operands reordered together along an axis, so that the first `num_keys` ascend: "
    "by the first, then the next; equal ones keep their order, nan comes last, -0 equals 0.",
    _sort, results=_results, dtypes=ew.ANY, mixed=True, multiple=True, jvp_node=_jvp, batch=_batch,
    expensive=True,
    constraints=(
        "`num_keys` is from 1 to the number of operands.",
        "`dimension` is an axis of the operands.",
        "The operands are of one shape, of any dtypes.",
        "The results are of the operands' types."),
    examples=(Example((Type(F32, (3, 5)),), {"dimension": 1, "num_keys": 1}),
              Example((Type(dt.int32, (4, 2)), Type(F32, (4, 2)), Type(F32, (4, 2))),
                      {"dimension": 0, "num_keys": 2})))
