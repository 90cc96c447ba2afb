"""Operations that cut, join and pad along axes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, Source, mistake
from arraylib.hlo import axes as ax
from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.opdef import SAME, Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import full, full_like
from arraylib.hlo.ops.structured import F32, broadcast_in_dim, reduce_add, reshape

Ints = tuple[int, ...]


def repeat_leading(x: Any, size: int) -> Any:
    """x with a new leading axis along which it is repeated."""
    shape = type_of(x).shape
    return broadcast_in_dim(x, shape=(size, *shape),
                            broadcast_dimensions=tuple(range(1, len(shape) + 1)))


def first_leading(x: Any) -> Any:
    """The first along the leading axis of x, without that axis."""
    shape = type_of(x).shape
    first = slice_(x, start=(0,) * len(shape), limit=(1, *shape[1:]), strides=(1,) * len(shape))
    return reshape(first, shape=shape[1:])


# -- slice -----------------------------------------------------------------------------------------


def _slice_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    (x,) = types
    start, limit, strides = attrs["start"], attrs["limit"], attrs["strides"]
    if not len(start) == len(limit) == len(strides) == x.rank:
        raise mistake(ShapeError, "slice", f"{len(start)} starts, {len(limit)} limits and "
                      f"{len(strides)} strides for {x.rank} axes", where=where, operands=types,
                      hint="one number for each axis")
    for axis, (low, high, step, n) in enumerate(zip(start, limit, strides, x.shape)):
        if not (0 <= low <= high <= n and step > 0):
            raise mistake(ShapeError, "slice", f"{low}:{high}:{step} of axis {axis} of size {n}",
                          where=where, operands=types, hint="0 <= start <= limit <= size, step > 0")
    return (x.with_shape([-(-(high - low) // step)
                          for low, high, step in zip(start, limit, strides)]),)


def _slice(x: Any, *, start: Ints, limit: Ints, strides: Ints) -> Any:
    return x[tuple(map(slice, start, limit, strides))].copy()


def _slice_transpose(ct: Any, x: Any, *, start: Ints, limit: Ints, strides: Ints) -> Any:
    """Put the cotangents where the slice read them, zeros elsewhere."""
    shape, taken = type_of(x).shape, type_of(ct).shape
    reach = [n and (n - 1) * step + 1 for n, step in zip(taken, strides)]
    high = tuple(n - low - r for n, low, r in zip(shape, start, reach))
    return pad(ct, full((), 0, type_of(ct).dtype), low=start, high=high,
               interior=tuple(step - 1 for step in strides))


slice_: OpDef = OpDef(
    "slice", "The elements start:limit:strides along each axis.", _slice, results=_slice_results,
    jvp=(SAME,), transpose=(_slice_transpose,),
    batch=lambda xs, has, size, *, start, limit, strides: slice_(
        xs[0], start=(0, *start), limit=(size, *limit), strides=(1, *strides)),
    constraints=(
        "`start`, `limit` and `strides` have a number for each axis of x.",
        "On each axis 0 <= start <= limit <= size, and the stride is positive.",
        "An axis of the result has (limit - start) / stride elements, rounded up."),
    examples=(Example((Type(F32, (5, 7)),), {"start": (1, 0), "limit": (4, 7), "strides": (1, 3)}),
              Example((Type(F32, (4,)),), {"start": (2,), "limit": (2,), "strides": (1,)})))

# -- pad ------------------------------------------------------------------------------------------


def _pad_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    x, value = types
    low, high, interior = attrs["low"], attrs["high"], attrs["interior"]
    if not len(low) == len(high) == len(interior) == x.rank or min(interior, default=0) < 0:
        raise mistake(ShapeError, "pad", f"padding {low}, {high}, {interior} of {x.rank} axes",
                      where=where, operands=types, hint="one number an axis; interior >= 0")
    if value.rank or value.dtype != x.dtype:
        raise mistake(DtypeError, "pad", f"the padding is {value}, not a scalar of "
                      f"{dt.name(x.dtype)}", where=where, operands=types,
                      hint="a scalar of the operand's dtype")
    shape = [a + b + n + max(n - 1, 0) * i for a, b, n, i in zip(low, high, x.shape, interior)]
    if min(shape, default=0) < 0:
        raise mistake(ShapeError, "pad", f"negative padding leaves shape {tuple(shape)}",
                      where=where, operands=types, hint="take away no more than there is")
    return (x.with_shape(shape),)


def _pad(x: Any, value: Any, *, low: Ints, high: Ints, interior: Ints) -> Any:
    spread = [n + max(n - 1, 0) * i for n, i in zip(x.shape, interior)]
    out = np.full([max(a, 0) + n + max(b, 0) for a, n, b in zip(low, spread, high)], value, x.dtype)
    out[tuple(slice(max(a, 0), max(a, 0) + n, i + 1)
              for a, n, i in zip(low, spread, interior))] = x
    return out[tuple(slice(max(-a, 0), n - max(-b, 0))
                     for a, b, n in zip(low, high, out.shape))].copy()


def _pad_transpose_x(ct: Any, x: Any, value: Any, *, low: Ints, high: Ints, interior: Ints) -> Any:
    zero, none = full((), 0, type_of(ct).dtype), (0,) * len(low)
    whole = pad(ct, zero, low=tuple(-a for a in low), high=tuple(-b for b in high), interior=none)
    return slice_(whole, start=none, limit=type_of(whole).shape,
                  strides=tuple(i + 1 for i in interior))


def _pad_transpose_value(ct: Any, x: Any, value: Any, **padding: Ints) -> Any:
    every = tuple(range(type_of(ct).rank))
    inside = _pad_transpose_x(ct, x, value, **padding)
    return ew.subtract(reduce_add(ct, dimensions=every), reduce_add(inside, dimensions=every))


def _pad_batch(xs: Sequence[Any], has: Sequence[bool], size: int, *, low: Ints, high: Ints,
               interior: Ints) -> Any:
    x = xs[0] if has[0] else repeat_leading(xs[0], size)
    padding = {"low": (0, *low), "high": (0, *high), "interior": (0, *interior)}
    if not has[1]:
        return pad(x, xs[1], **padding)
    # Each example has its own padding value: pad a mask as well, and choose.
    false = full((), False, dt.bool_)
    inside = pad(full(type_of(x).shape, True, dt.bool_), false, **padding)
    padded = pad(x, full((), 0, type_of(x).dtype), **padding)
    values = broadcast_in_dim(xs[1], shape=type_of(padded).shape, broadcast_dimensions=(0,))
    return ew.select(inside, padded, values)


pad: OpDef = OpDef(
    "pad", "x with `low`, `high` and, between elements, `interior` copies of a value on each axis; "
    "negative numbers cut.",
    _pad, results=_pad_results, dtypes=ew.ANY, batch=_pad_batch, weak=(0, 1),
    jvp=(lambda t, out, x, value, **p: pad(t, full((), 0, type_of(t).dtype), **p),
         lambda t, out, x, value, **p: pad(full_like(x, 0), t, **p)),
    transpose=(_pad_transpose_x, _pad_transpose_value),
    constraints=(
        "`low`, `high` and `interior` have a number for each axis of x; `interior` none below 0.",
        "The value is a scalar of x's dtype.",
        "An axis of n elements becomes one of low + n + max(n - 1, 0) * interior + high, not "
        "below 0."),
    examples=(Example((Type(F32, (3, 4)), Type(F32, ())),
                      {"low": (1, -1), "high": (0, 2), "interior": (0, 1)}),))

# -- concatenate -----------------------------------------------------------------------------------


def _concatenate_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    axis, first = attrs["dimension"], types[0]
    if not 0 <= axis < first.rank:
        raise mistake(ShapeError, "concatenate", f"dimension {axis} of {first.rank} axes",
                      where=where, operands=types, hint="an axis counted from 0")
    for i, other in enumerate(types):
        if other.dtype != first.dtype:
            raise mistake(DtypeError, "concatenate", f"operand {i} is {dt.name(other.dtype)} but "
                          f"operand 0 is {dt.name(first.dtype)}", where=where, operands=types,
                          hint="convert one with x.astype(...)")
        differing = [d for d in range(first.rank) if other.rank != first.rank
                     or d != axis and other.shape[d] != first.shape[d]]
        if differing:
            raise mistake(ShapeError, "concatenate", _joint_problem(i, other, first, differing[0]),
                          where=where, operands=types,
                          hint=f"all axes but axis {axis}, along which they are joined, must agree")
    total = sum(t.shape[axis] for t in types)
    return (first.with_shape([*first.shape[:axis], total, *first.shape[axis + 1:]]),)


def _joint_problem(i: int, other: Type, first: Type, axis: int) -> str:
    if other.rank != first.rank:
        return f"operand {i} has {other.rank} axes but operand 0 has {first.rank}"
    return f"axis {axis} is {other.shape[axis]} in operand {i} but {first.shape[axis]} in operand 0"


def _concatenate_jvp(jvp: Any, node: Any, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Linear in all operands at once: join the tangents, zeros where one has none."""
    out = concatenate(*primals, **node.attrs)
    if all(t is None for t in tangents):
        return [(out, None)]
    filled = [full_like(x, 0) if t is None else t for x, t in zip(primals, tangents)]
    return [(out, concatenate(*filled, **node.attrs))]


def _concatenate_transpose(transpose: Any, node: Any, linear: Sequence[bool],
                           cotangents: Sequence[Any]) -> Any:
    """Cut the cotangent into the operands' parts."""
    axis, (ct,) = node.attrs["dimension"], cotangents
    shape, parts, offset = type_of(ct).shape, [], 0
    for value, wanted in zip(node.inputs, linear):
        n = type_of(value).shape[axis]
        if wanted:
            start = tuple(offset if d == axis else 0 for d in range(len(shape)))
            limit = tuple(offset + n if d == axis else m for d, m in enumerate(shape))
            parts.append(slice_(ct, start=start, limit=limit, strides=(1,) * len(shape)))
        offset += n
    return parts


concatenate: OpDef = OpDef(
    "concatenate", "The operands joined along an axis.",
    lambda *xs, dimension: np.concatenate(xs, axis=dimension), results=_concatenate_results,
    jvp_node=_concatenate_jvp, transpose_node=_concatenate_transpose,
    batch=lambda xs, has, size, *, dimension: concatenate(
        *[x if h else repeat_leading(x, size) for x, h in zip(xs, has)], dimension=dimension + 1),
    constraints=(
        "`dimension` is an axis of the operands.",
        "The operands are of one dtype.",
        "They have the same axes, with the same sizes but along `dimension`.",
        "The result's size along `dimension` is the sum of theirs."),
    examples=(Example((Type(F32, (2, 3)), Type(F32, (2, 1)), Type(F32, (2, 2))),
                      {"dimension": 1}),))

# -- reverse ---------------------------------------------------------------------------------------


def _reverse_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    (x,), dimensions = types, attrs["dimensions"]
    if len(set(dimensions)) != len(dimensions) or any(not 0 <= d < x.rank for d in dimensions):
        raise mistake(ShapeError, "reverse", f"dimensions {dimensions} of {x.rank} axes",
                      where=where, operands=types, hint="axes counted from 0, each once")
    return (x,)


reverse: OpDef = OpDef(
    "reverse", "x with the order along `dimensions` turned round.",
    lambda x, *, dimensions: np.flip(x, dimensions).copy(), results=_reverse_results, jvp=(SAME,),
    transpose=(lambda ct, x, *, dimensions: reverse(ct, dimensions=dimensions),),
    axes=lambda types, attrs: ax.elementwise(types),
    batch=lambda xs, has, size, *, dimensions: reverse(
        xs[0], dimensions=tuple(d + 1 for d in dimensions)),
    constraints=(
        "`dimensions` are different axes of x.",
        "The result is of x's type."),
    examples=(Example((Type(F32, (3, 4)),), {"dimensions": (1,)}),))
