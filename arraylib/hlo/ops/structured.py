"""Operations that move or merge whole axes: transpose, broadcast, reshape, and the sum."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, Source, mistake
from arraylib.hlo import axes as ax
from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.opdef import KINDS, SAME, Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew

F32 = dt.float32

# -- transpose -------------------------------------------------------------------------------------


def _transpose_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    (x,), permutation = types, attrs["permutation"]
    if sorted(permutation) != list(range(x.rank)):
        raise mistake(ShapeError, "transpose",
                      f"{permutation} is no permutation of the {x.rank} axes", where=where,
                      operands=types, hint=f"name each of 0..{x.rank - 1} once")
    return (x.with_shape([x.shape[i] for i in permutation]),)


def _transpose_axes(types: Sequence[Type], attrs: Attrs) -> str:
    labels = ax.LETTERS[: types[0].rank]
    return labels + "->" + "".join(labels[i] for i in attrs["permutation"])


def _transpose_relabel(axes: str, sizes: dict[str, int], attrs: Attrs) -> Attrs:
    (labels,), out = ax.parse(axes)
    return {"permutation": tuple(labels.index(a) for a in out)}


transpose: OpDef = OpDef(
    "transpose", "x with its axes in another order: result axis i is operand axis permutation[i].",
    lambda x, *, permutation: np.transpose(x, permutation).copy(order="C"),
    results=_transpose_results, axes=_transpose_axes, relabel=_transpose_relabel, jvp=(SAME,),
    transpose=(lambda ct, x, *, permutation: transpose(
        ct, permutation=tuple(int(i) for i in np.argsort(permutation))),),
    constraints=(
        "`permutation` names each axis of x once.",
        "The result's axis i has the size of x's axis `permutation[i]`."),
    examples=(Example((Type(F32, (2, 3, 4)),), {"permutation": (2, 0, 1)}),
              Example((Type(F32, ()),), {"permutation": ()})))

# -- broadcast_in_dim ------------------------------------------------------------------------------


def _broadcast_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    (x,), shape, dimensions = types, attrs["shape"], attrs["broadcast_dimensions"]
    if len(dimensions) != x.rank or len(set(dimensions)) != x.rank:
        raise mistake(ShapeError, "broadcast_in_dim", f"{len(dimensions)} different dimensions "
                      f"are needed for {x.rank} axes: {dimensions}", where=where, operands=types,
                      hint="one axis of the result for each axis of the operand")
    for axis, d in enumerate(dimensions):
        if not 0 <= d < len(shape) or x.shape[axis] not in (1, shape[d]):
            raise mistake(
                ShapeError, "broadcast_in_dim", f"axis {axis} of size {x.shape[axis]} cannot "
                f"become axis {d} of shape {shape}", where=where, operands=types,
                hint="only an axis of size 1 can be repeated")
    return (x.with_shape(shape),)


def _repeats(types: Sequence[Type], attrs: Attrs) -> bool:
    """Whether an axis of size 1 is stretched: labels cannot say that."""
    shape = attrs["shape"]
    return any(n != shape[d] for n, d in zip(types[0].shape, attrs["broadcast_dimensions"]))


def _broadcast_axes(types: Sequence[Type], attrs: Attrs) -> str | None:
    if _repeats(types, attrs):
        return None
    out = ax.LETTERS[: len(attrs["shape"])]
    return "".join(out[d] for d in attrs["broadcast_dimensions"]) + "->" + out


def _broadcast(x: Any, *, shape: tuple[int, ...], broadcast_dimensions: tuple[int, ...]) -> Any:
    order = np.argsort(broadcast_dimensions)
    kept = {broadcast_dimensions[i]: x.shape[i] for i in order}
    out = np.empty(shape, x.dtype)  # np.broadcast_to would take ten times as long for a small one
    out[...] = np.transpose(x, order).reshape([kept.get(d, 1) for d in range(len(shape))])
    return out


def _broadcast_transpose(ct: Any, x: Any, *, shape: tuple[int, ...],
                         broadcast_dimensions: tuple[int, ...]) -> Any:
    type = type_of(x)
    kept = [d for i, d in enumerate(broadcast_dimensions) if type.shape[i] == shape[d]]
    ct = reduce_add(ct, dimensions=tuple(d for d in range(len(shape)) if d not in kept))
    ordered = sorted(kept)
    ct = transpose(ct, permutation=tuple(ordered.index(d) for d in kept))
    return reshape(ct, shape=type.shape)


def _broadcast_batch(xs: Sequence[Any], has: Sequence[bool], size: int, *, shape: tuple[int, ...],
                     broadcast_dimensions: tuple[int, ...]) -> Any:
    return broadcast_in_dim(xs[0], shape=(size, *shape),
                            broadcast_dimensions=(0, *(d + 1 for d in broadcast_dimensions)))


broadcast_in_dim: OpDef = OpDef(
    "broadcast_in_dim", "x repeated: its axis i becomes axis broadcast_dimensions[i] of `shape`.",
    _broadcast, results=_broadcast_results, axes=_broadcast_axes, jvp=(SAME,),
    transpose=(_broadcast_transpose,), batch=_broadcast_batch,
    constraints=(
        "`broadcast_dimensions` has for each axis of x one of `shape`, all different.",
        "An axis of x is of size 1, or of the size of the one that it becomes.",
        "The result is of `shape`."),
    examples=(Example((Type(F32, (3, 2)),), {"shape": (2, 4, 3), "broadcast_dimensions": (2, 0)}),
              Example((Type(F32, (1, 3)),), {"shape": (2, 3), "broadcast_dimensions": (0, 1)}),
              Example((Type(F32, ()),), {"shape": (2,), "broadcast_dimensions": ()})))

# -- reshape ---------------------------------------------------------------------------------------


def _reshape_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    (x,), shape = types, attrs["shape"]
    if math.prod(shape) != x.size:
        raise mistake(ShapeError, "reshape", f"{x.size} elements of shape {x.shape} do not fit "
                      f"the {math.prod(shape)} of {shape}", where=where, operands=types,
                      hint="one size may be -1: it is worked out from the others")
    return (x.with_shape(shape),)


reshape: OpDef = OpDef(
    "reshape", "The elements of x, in row-major order, in another shape.",
    lambda x, *, shape: np.reshape(x, shape).copy(), results=_reshape_results,
    jvp=(SAME,), transpose=(lambda ct, x, *, shape: reshape(ct, shape=type_of(x).shape),),
    batch=lambda xs, has, size, *, shape: reshape(xs[0], shape=(size, *shape)),
    constraints=(
        "`shape` has as many elements as x.",
        "The result is of `shape`."),
    examples=(Example((Type(F32, (2, 6)),), {"shape": (3, 4)}),
              Example((Type(F32, ()),), {"shape": (1, 1)})))

# -- reductions ------------------------------------------------------------------------------------


def _reduced(name: str, allowed: str, types: Sequence[Type], attrs: Attrs,
             where: Source | None) -> tuple[Type]:
    (x,), dimensions = types, attrs["dimensions"]
    if len(set(dimensions)) != len(dimensions) or any(not 0 <= d < x.rank for d in dimensions):
        raise mistake(ShapeError, name, f"dimensions {dimensions} of {x.rank} axes", where=where,
                      operands=types, hint="each axis once, counted from 0")
    if dt.kind(x.dtype) not in allowed:
        raise mistake(DtypeError, name, f"does not take {dt.name(x.dtype)}", where=where,
                      operands=types, hint="convert with x.astype(...)")
    return (x.with_shape([n for i, n in enumerate(x.shape) if i not in dimensions]),)


def reduction_axes(types: Sequence[Type], attrs: Attrs) -> str:
    labels = ax.LETTERS[: types[0].rank]
    return labels + "->" + "".join(a for i, a in enumerate(labels) if i not in attrs["dimensions"])


def reduction_relabel(axes: str, sizes: dict[str, int], attrs: Attrs) -> Attrs:
    (labels,), out = ax.parse(axes)
    return {**attrs, "dimensions": tuple(i for i, a in enumerate(labels) if a not in out)}


def reduction(name: str, doc: str, numpy: Callable[..., Any], **facts: Any) -> OpDef:
    """A row of the reductions' table."""
    allowed = facts.pop("dtypes", ew.ANY)
    return OpDef(
        name, doc, numpy, results=partial(_reduced, name, allowed), axes=reduction_axes,
        relabel=reduction_relabel, dtypes=allowed, dialect="arraylib",
        constraints=(
            "`dimensions` are different axes of x.",
            f"x is of {', '.join(KINDS[kind] for kind in allowed)}.",
            "The result has x's dtype and shape, without `dimensions`."),
        examples=(Example((Type(facts.pop("example", F32), (3, 4, 2)),), {"dimensions": (1,)}),
                  Example((Type(F32 if "f" in allowed else dt.bool_, (3, 4)),),
                          {"dimensions": (0, 1)})), **facts)


def spread(reduced: Any, like: Any, dimensions: tuple[int, ...]) -> Any:
    """A reduction's result repeated to the shape it came from."""
    type = type_of(like)
    kept = tuple(i for i in range(type.rank) if i not in dimensions)
    return broadcast_in_dim(reduced, shape=type.shape, broadcast_dimensions=kept)


def _sum(x: Any, *, dimensions: tuple[int, ...]) -> Any:
    """Half types are summed in float32 and rounded once."""
    wide = np.float32 if dt.is_half(x.dtype) or dt.is_float8(x.dtype) else x.dtype
    if dt.is_bool(x.dtype):
        return np.any(x, axis=dimensions)
    return np.sum(x, axis=dimensions, dtype=wide).astype(x.dtype)


reduce_add = reduction(
    "reduce_add", "The sum over `dimensions`; for truth values, whether any is true.", _sum,
    jvp=(SAME,), tolerance=2e-6,
    transpose=(lambda ct, x, *, dimensions: spread(ct, x, dimensions),))
