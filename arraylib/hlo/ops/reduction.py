"""Reductions other than the sum, and the sum of products."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, Source, mistake
from arraylib.hlo import axes as ax
from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.opdef import SAME, Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew, extremes
from arraylib.hlo.ops.constant import full, full_like
from arraylib.hlo.ops.numeric import in_bytes, in_order
from arraylib.hlo.ops.shape import pad, slice_
from arraylib.hlo.ops.structured import (
    F32,
    reduce_add,
    reduction,
    reduction_axes,
    reduction_relabel,
    reshape,
    spread,
    transpose,
)

Ints = tuple[int, ...]

# -- products and extremes ------------------------------------------------------------------------


def _product(x: Any, *, dimensions: tuple[int, ...]) -> Any:
    wide = np.float32 if dt.bits(x.dtype) <= 16 and dt.is_float(x.dtype) else x.dtype
    return np.prod(x, axis=dimensions, dtype=wide).astype(x.dtype)


def _product_tangent(t: Any, out: Any, x: Any, *, dimensions: tuple[int, ...]) -> Any:
    """The sum over places of the tangent there times all the others, merging halves in turn."""
    type = type_of(x)
    kept = [i for i in range(type.rank) if i not in dimensions]
    shape = (math.prod(type.shape[i] for i in dimensions), *(type.shape[i] for i in kept))
    p, t = (reshape(transpose(v, permutation=(*dimensions, *kept)), shape=shape) for v in (x, t))
    while (n := type_of(p).shape[0]) != 1:
        (p1, p2), (t1, t2) = _halves(p, 1), _halves(t, 0)
        p, t = ew.multiply(p1, p2), ew.add(ew.multiply(t1, p2), ew.multiply(p1, t2))
        if n == 0:
            break
    return reshape(t, shape=type_of(out).shape)


def _halves(x: Any, filler: int) -> tuple[Any, Any]:
    """The first and second half along axis 0, filled up to an even number (at least two)."""
    n, *rest = type_of(x).shape
    half = max(1, (n + 1) // 2)
    none = (0,) * len(rest)
    x = pad(x, full((), filler, type_of(x).dtype), low=(0, *none),
            high=(2 * half - n, *none), interior=(0, *none))
    ones = (1,) * (1 + len(rest))
    return (slice_(x, start=(0, *none), limit=(half, *rest), strides=ones),
            slice_(x, start=(half, *none), limit=(2 * half, *rest), strides=ones))


def _limit(dtype: np.dtype[Any], highest: bool) -> Any:
    if dt.is_bool(dtype):
        return highest
    if dt.is_integer(dtype):
        return dt.iinfo(dtype).max if highest else dt.iinfo(dtype).min
    limit = np.inf if highest else -np.inf
    if np.asarray(limit).astype(dtype) == limit:
        return limit
    return float(dt.finfo(dtype).max if highest else dt.finfo(dtype).min)


def _extreme(function: Any, empty_is_highest: bool) -> Callable[..., Any]:
    def reduce(x: Any, *, dimensions: tuple[int, ...]) -> Any:
        wide = in_order(x)
        start = np.asarray(_limit(x.dtype, empty_is_highest)).astype(wide.dtype)
        return extremes.reduced(function, wide, dimensions, start).astype(x.dtype)
    return reduce


def _mean_over_extremes(t: Any, out: Any, x: Any, *, dimensions: tuple[int, ...]) -> Any:
    """The mean tangent of the places that hold the extreme value."""
    holds = ew.compare(x, spread(out, x, dimensions), direction="EQ")
    chosen = reduce_add(ew.select(holds, t, full_like(t, 0)), dimensions=dimensions)
    count = reduce_add(ew.convert(holds, dtype=type_of(t).dtype), dimensions=dimensions)
    return ew.divide(chosen, count)


reduce_multiply = reduction(
    "reduce_multiply", "The product over `dimensions`.", _product, dtypes=ew.NUMBER,
    jvp=(_product_tangent,), tolerance=2e-6)
reduce_maximum = reduction(
    "reduce_maximum", "The largest over `dimensions`; nan if any is; the lowest value if empty.",
    _extreme(np.maximum, False), dtypes="biuf", jvp=(_mean_over_extremes,))
reduce_minimum = reduction(
    "reduce_minimum", "The smallest over `dimensions`; nan if any is; the highest value if empty.",
    _extreme(np.minimum, True), dtypes="biuf", jvp=(_mean_over_extremes,))
reduce_and = reduction(
    "reduce_and", "Whether all over `dimensions` are true; bit by bit for integers.",
    in_bytes(lambda x, *, dimensions: np.bitwise_and.reduce(x, axis=dimensions)), dtypes=ew.LOGIC,
    jvp=(None,), example=dt.bool_)
reduce_or = reduction(
    "reduce_or", "Whether any over `dimensions` is true; bit by bit for integers.",
    in_bytes(lambda x, *, dimensions: np.bitwise_or.reduce(x, axis=dimensions)), dtypes=ew.LOGIC,
    jvp=(None,), example=dt.bool_)

# -- the place of an extreme -----------------------------------------------------------------------


def _index_results(name: str, types: Sequence[Type], attrs: Attrs,
                   where: Source | None) -> tuple[Type]:
    (x,), (axis,) = types, attrs["dimensions"]
    if not 0 <= axis < x.rank or x.shape[axis] == 0:
        raise mistake(ShapeError, name, f"dimension {axis} of shape {x.shape}", where=where,
                      operands=types, hint="an axis that exists and is not empty")
    if dt.is_complex(x.dtype):
        raise mistake(DtypeError, name, "complex numbers have no order", where=where,
                      operands=types, hint="x.real, x.imag or abs(x)")
    return (Type(attrs["dtype"], [n for i, n in enumerate(x.shape) if i != axis]),)


def _extreme_index(function: Any) -> Callable[..., Any]:
    def index(x: Any, *, dimensions: tuple[int], dtype: np.dtype[Any]) -> Any:
        return function(in_order(x), axis=dimensions[0]).astype(dtype)
    return index


def _index(name: str, doc: str, function: Any) -> OpDef:
    return OpDef(
        name, doc, _extreme_index(function), results=partial(_index_results, name),
        axes=reduction_axes, relabel=reduction_relabel, dtypes="biuf", jvp=(None,), weak=(0, 0),
        dialect="arraylib",
        constraints=(
            "`dimensions` is one axis of x, which is not empty.",
            "x is not complex.",
            "The result is of `dtype`, with x's shape without that axis."),
        examples=(Example((Type(F32, (3, 4)),), {"dimensions": (1,), "dtype": dt.int32}),))


argmax = _index("argmax", "The first place of the largest along the axis; of a nan if any.",
                np.argmax)
argmin = _index("argmin", "The first place of the smallest along the axis; of a nan if any.",
                np.argmin)

# -- dot_general -----------------------------------------------------------------------------------


_DOT_AXES = ("lhs_batching", "rhs_batching", "lhs_contracting", "rhs_contracting")


def _dot_axes(types: Sequence[Type], attrs: Attrs) -> str:
    x, y = types
    return _dot_labels(x.rank, y.rank, *[tuple(attrs[name]) for name in _DOT_AXES])


@lru_cache(maxsize=1024)
def _dot_labels(x: int, y: int, x_batch: Ints, y_batch: Ints, x_summed: Ints,
                y_summed: Ints) -> str:
    """The labels of a product of operands with x and y axes."""
    left, right = list(ax.LETTERS[:x]), list(ax.LETTERS[x: x + y])
    for i, j in (*zip(x_batch, y_batch), *zip(x_summed, y_summed)):
        right[j] = left[i]
    free = [a for i, a in enumerate(left) if i not in x_batch and i not in x_summed]
    free += [a for j, a in enumerate(right) if j not in y_batch and j not in y_summed]
    batch = [left[i] for i in x_batch]
    return f"{''.join(left)},{''.join(right)}->{''.join(batch + free)}"


def _dot_relabel(axes: str, sizes: dict[str, int], attrs: Attrs) -> Attrs:
    (left, right), out = ax.parse(axes)
    shared = [a for a in left if a in right]
    batch = [a for a in out if a in shared]
    summed = [a for a in shared if a not in out]
    return {**attrs,
            "lhs_batching": tuple(left.index(a) for a in batch),
            "rhs_batching": tuple(right.index(a) for a in batch),
            "lhs_contracting": tuple(left.index(a) for a in summed),
            "rhs_contracting": tuple(right.index(a) for a in summed)}


def _dot_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    x, y = types
    for side, type in (("lhs", x), ("rhs", y)):
        used = (*attrs[f"{side}_batching"], *attrs[f"{side}_contracting"])
        if len(set(used)) != len(used) or any(not 0 <= d < type.rank for d in used):
            raise mistake(ShapeError, "dot_general",
                          f"{side} dimensions {used} of {type.rank} axes", where=where,
                          operands=types, hint="name each axis at most once")
    for kind in ("batching", "contracting"):
        left, right = attrs[f"lhs_{kind}"], attrs[f"rhs_{kind}"]
        if len(left) != len(right):
            raise mistake(ShapeError, "dot_general", f"{len(left)} {kind} axes of x, {left}, but "
                          f"{len(right)} of y, {right}", where=where, operands=types)
    axes = _dot_axes(types, attrs)
    size = ax.sizes("dot_general", types, axes, where)
    if x.dtype != y.dtype:
        raise mistake(DtypeError, "dot_general", f"operands have different dtypes: "
                      f"{dt.name(x.dtype)}, {dt.name(y.dtype)}", where=where, operands=types,
                      hint="convert one with x.astype(...)")
    return (Type(attrs.get("dtype") or x.dtype, [size[a] for a in ax.parse(axes)[1]]),)


def _dot(x: Any, y: Any, **attrs: Any) -> Any:
    """Half types are multiplied and summed in float32 and rounded once."""
    orders, shapes = _steps_of_dot(x.shape, y.shape, *[attrs[name] for name in _DOT_AXES])
    dtype = attrs.get("dtype") or x.dtype
    wide = np.result_type(np.float32, dtype) if dt.bits(x.dtype) <= 16 and dt.is_float(x.dtype) \
        and not dt.is_complex(dtype) else dtype
    if dt.is_bool(dtype):
        wide = np.int32
    sides = [np.asarray(v).astype(wide, copy=False).transpose(order).reshape(shape)
             for v, order, shape in zip((x, y), orders, shapes)]
    return np.matmul(*sides).reshape(shapes[2]).astype(dtype, copy=False)


@lru_cache(maxsize=1024)
def _steps_of_dot(x: tuple[int, ...], y: tuple[int, ...], *axes: tuple[int, ...]) -> Any:
    """A sum of products as one batched matrix product, which NumPy gives to its BLAS.

    For shapes and axes: the order of each operand's axes; the operands' shapes then, the result's.
    """
    types = Type(F32, x), Type(F32, y)
    (left, right), out = ax.parse(_dot_axes(types, dict(zip(_DOT_AXES, axes, strict=True))))
    batch = [a for a in out if a in left and a in right]
    summed = [a for a in left if a in right and a not in out]
    rows = [a for a in left if a not in right]
    columns = [a for a in right if a not in left]
    size = dict(zip(left + right, x + y))
    def count(labels: Sequence[str]) -> int:
        return math.prod(size[a] for a in labels)
    orders = ([left.index(a) for a in batch + rows + summed],
              [right.index(a) for a in batch + summed + columns])
    return orders, ((count(batch), count(rows), count(summed)),
                    (count(batch), count(summed), count(columns)), [size[a] for a in out])


def contract(axes: str, x: Any, y: Any, dtype: np.dtype[Any] | None = None) -> Any:
    """The sum of products with these axis labels: one dot_general, then a transpose if needed.

    The operands change places where that saves the transpose.
    """
    places, swaps, permutation = _contraction(axes)
    attrs = {"dtype": dtype, **dict(zip(_DOT_AXES, places))}
    product = dot_general(y, x, **attrs) if swaps else dot_general(x, y, **attrs)
    return product if permutation is None else transpose(product, permutation=permutation)


@lru_cache(maxsize=1024)
def _contraction(axes: str) -> tuple[Sequence[Ints], bool, Ints | None]:
    """For labels: the attributes of dot_general, whether the operands change places for it, and
    how its result is transposed, if it is."""
    (left, right), out = ax.parse(axes)
    places, natural = _natural_order(axes)
    if natural == out:
        return places, False, None
    swapped, other = _natural_order(f"{right},{left}->{out}")
    if other == out:
        return swapped, True, None
    return places, False, tuple(natural.index(a) for a in out)


def _natural_order(axes: str) -> tuple[Sequence[Ints], str]:
    """The attributes of the dot_general for labels, and those of its result in its own order."""
    operands, _ = ax.parse(axes)
    attrs = _dot_relabel(axes, {}, {})
    places = [attrs[name] for name in _DOT_AXES]
    left, right = map(len, operands)
    return places, ax.in_terms_of(_dot_labels(left, right, *places), operands)


def _dot_transpose(i: int, ct: Any, x: Any, y: Any, **attrs: Any) -> Any:
    """The cotangent of operand i: contract the result's cotangent with the other operand."""
    operands, out = ax.parse(_dot_axes((type_of(x), type_of(y)), attrs))
    other, dtype = (y, x)[i], type_of((x, y)[i]).dtype
    if type_of(ct).dtype != type_of(other).dtype:
        ct, other = (ew.convert(v, dtype=type_of(ct).dtype) for v in (ct, other))
    axes = f"{out},{operands[1 - i]}->{operands[i]}"
    return contract(axes, ct, other, dtype if type_of(ct).dtype != dtype else None)


dot_general: OpDef = OpDef(
    "dot_general", "The sum of products over the contracting axes, for each batching axis; result "
    "axes are batching, then x's others, then y's others.",
    _dot, results=_dot_results, axes=_dot_axes, relabel=_dot_relabel, dtypes=ew.ANY,
    jvp=(SAME, SAME), transpose=(partial(_dot_transpose, 0), partial(_dot_transpose, 1)),
    expensive=True, tolerance=2e-6,
    constraints=(
        "`lhs_batching` and `lhs_contracting` are different axes of x, `rhs_batching` and "
        "`rhs_contracting` of y.",
        "There are as many batching axes of x as of y, and as many contracting ones.",
        "Axes that stand at the same place in these lists have the same size.",
        "x and y are of one dtype.",
        "The result has the batching axes, x's others, then y's others; its dtype is `dtype` or, "
        "without it, that of x."),
    examples=(
        Example((Type(F32, (3, 4)), Type(F32, (4, 5))),
                {"lhs_batching": (), "rhs_batching": (), "lhs_contracting": (1,),
                 "rhs_contracting": (0,), "dtype": None}),
        Example((Type(F32, (4, 2, 3)), Type(F32, (2, 5, 4))),
                {"lhs_batching": (1,), "rhs_batching": (0,), "lhs_contracting": (0,),
                 "rhs_contracting": (2,), "dtype": None}),
        Example((Type(F32, (2, 4, 3)), Type(F32, (3, 4, 2))),  # batching axes not in x's order
                {"lhs_batching": (2, 0), "rhs_batching": (0, 2), "lhs_contracting": (),
                 "rhs_contracting": (), "dtype": None})))
