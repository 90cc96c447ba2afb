"""Convolution: sums of products of a kernel with the windows of an array.

`lhs_spec`, `rhs_spec` and `out_spec` say which axis is which: (batch, feature, *spatial) of the
array and of the result, (out feature, in feature, *spatial) of the kernel.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, Source, mistake
from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.opdef import SAME, Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import zeros
from arraylib.hlo.ops.lifted import as_dtype, is_promotable
from arraylib.hlo.ops.shape import pad, reverse
from arraylib.hlo.ops.structured import F32, reshape, transpose
from arraylib.hlo.ops.window import dilated, transposed_padding, window_count

Ints = tuple[int, ...]
Axis = tuple[int, tuple[int, int], int, int, int, int]

_COLUMN_BYTES = 1 << 22  # of windows laid out for one matrix product: what a cache holds


def _axes(x: Type, kernel: Type, attrs: Attrs) -> list[Axis]:
    """For each spatial axis: elements, padding, base dilation, window, dilation, stride."""
    return list(zip([x.shape[d] for d in attrs["lhs_spec"][2:]], attrs["padding"],
                    attrs["lhs_dilation"], [kernel.shape[d] for d in attrs["rhs_spec"][2:]],
                    attrs["rhs_dilation"], attrs["window_strides"]))


# -- types -----------------------------------------------------------------------------------------


def _results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    x, kernel = types
    if x.dtype != kernel.dtype:
        raise mistake(DtypeError, "convolution", f"the array is {dt.name(x.dtype)} but the kernel "
                      f"is {dt.name(kernel.dtype)}", where=where, operands=types,
                      hint="convert one with x.astype(...)")
    if attrs["dtype"] is not None and not is_promotable(x.dtype, attrs["dtype"]):
        raise mistake(DtypeError, "convolution", f"a result of {dt.name(attrs['dtype'])} from "
                      f"operands of {dt.name(x.dtype)}", where=where, operands=types,
                      hint="the operands' own dtype, or a wider one of its kind")
    problem = _problem_of_numbers(x, kernel, attrs) or _problem_of_sizes(x, kernel, attrs)
    if problem:
        raise mistake(ShapeError, "convolution", problem, where=where, operands=types)
    batch, shape = x.shape[attrs["lhs_spec"][0]], [0] * x.rank
    sizes = (batch // attrs["batch_group_count"], kernel.shape[attrs["rhs_spec"][0]],
             *(window_count(*axis) for axis in _axes(x, kernel, attrs)))
    for d, n in zip(attrs["out_spec"], sizes):
        shape[d] = n
    return (Type(attrs["dtype"] or x.dtype, shape),)


def _problem_of_numbers(x: Type, kernel: Type, attrs: Attrs) -> str | None:
    """What is wrong with ranks, axes and numbers for each axis (C1 to C9, C12, C13, C17 to C23)."""
    rank = x.rank
    if kernel.rank != rank or rank < 2:
        return f"an array of {rank} axes with a kernel of {kernel.rank}; both have the same, " \
               "at least 2"
    for name in ("lhs_spec", "rhs_spec", "out_spec"):
        if sorted(attrs[name]) != list(range(rank)):
            return f"{name} {attrs[name]} does not name each of {rank} axes once"
    for name in ("window_strides", "lhs_dilation", "rhs_dilation", "window_reversal", "padding"):
        if len(attrs[name]) != rank - 2:
            return f"{name} {attrs[name]} for {rank - 2} spatial axes"
    for name in ("window_strides", "lhs_dilation", "rhs_dilation"):
        if min(attrs[name], default=1) < 1:
            return f"{name} {attrs[name]}, but they must be positive"
    if any(len(pair) != 2 for pair in attrs["padding"]):
        return f"padding {attrs['padding']}, but it must be pairs (low, high)"
    groups = attrs["feature_group_count"], attrs["batch_group_count"]
    if min(groups) != 1:
        return f"{groups[0]} feature groups and {groups[1]} batch groups: one must be 1, and " \
               "neither less"
    return None


def _problem_of_sizes(x: Type, kernel: Type, attrs: Attrs) -> str | None:
    """Which axes do not divide into groups, or disagree (C10, C11, C14 to C16)."""
    batch, feature = (x.shape[d] for d in attrs["lhs_spec"][:2])
    out, inner = (kernel.shape[d] for d in attrs["rhs_spec"][:2])
    features, batches = attrs["feature_group_count"], attrs["batch_group_count"]
    for what, n, groups, kind in (
            ("batch size", batch, batches, "batch"),
            ("number of features", feature, features, "feature"),
            ("number of output features", out, batches, "batch"),
            ("number of output features", out, features, "feature")):
        if n % groups:
            return f"the {what}, {n}, is no multiple of the {groups} {kind} groups"
    if inner * features != feature:
        grouped = f" in {features} groups" if features > 1 else ""
        return f"the array has {feature} features{grouped}, but the kernel takes {inner}"
    return None


# -- meaning ---------------------------------------------------------------------------------------


def _wide(dtype: np.dtype[Any], result: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype to compute in: small floats round once, and doubles hold sums of small integers."""
    if dt.bits(dtype) <= 8 and not dt.is_float(dtype):
        return dt.float64
    return dt.float32 if dt.is_float(result) and dt.bits(result) < 32 else result


def _numpy(x: Any, kernel: Any, **attrs: Any) -> Any:
    """Windows laid out as rows of a matrix, times the kernel, for each group."""
    types = type_of(x), type_of(kernel)
    (out,) = _results(types, attrs, None)
    wide = _wide(x.dtype, out.dtype)
    groups = max(attrs["feature_group_count"], attrs["batch_group_count"])
    if not out.size or not x.size or not kernel.size:
        return np.zeros(out.shape, out.dtype)
    axes = _axes(*types, attrs)
    weights = _grouped_kernel(kernel.astype(wide, copy=False), groups, attrs)
    # What lies together in memory is what is copied together: the features, or a row of windows.
    by_rows = bool(axes) and weights.shape[-2] * axes[-1][3] < window_count(*axes[-1])
    array = _grouped_array(x.astype(wide, copy=False), axes, by_rows, attrs)
    product = _multiply(_window_view(array, axes), weights, by_rows)
    # (group, batch, *spatial, feature) -> (batch, group, feature, *spatial)
    found = np.moveaxis(product, (1, -1), (0, 2))
    found = found.reshape(found.shape[0], -1, *found.shape[3:])
    found = np.ascontiguousarray(np.transpose(found, np.argsort(attrs["out_spec"])))
    if dt.is_integer(out.dtype) and dt.is_float(wide):
        found = found.astype(np.int64)  # from where integers wrap
    return found.astype(out.dtype, copy=False)


def _grouped_array(x: Any, axes: Sequence[Axis], by_rows: bool, attrs: Attrs) -> Any:
    """The padded array as (group, batch, *spatial, feature).

    In memory the features of a place are next to each other or, with `by_rows`, the row it is in.
    """
    x = np.transpose(x, attrs["lhs_spec"])
    batch, feature, *spatial = x.shape
    if attrs["batch_group_count"] > 1:
        x = x.reshape(attrs["batch_group_count"], -1, feature, *spatial)
    else:
        x = x.reshape(batch, attrs["feature_group_count"], -1, *spatial).swapaxes(0, 1)
    low, high, interior = ((0, 0, 0, *numbers) for numbers in (
        [axis[1][0] for axis in axes], [axis[1][1] for axis in axes],
        [axis[2] - 1 for axis in axes]))
    if not by_rows:
        x, low, high, interior = np.moveaxis(x, 2, -1), *(
            (*numbers[1:], 0) for numbers in (low, high, interior))
    if any((*low, *high, *interior)):
        x = pad.numpy(x, np.zeros((), x.dtype), low=low, high=high, interior=interior)
    x = np.ascontiguousarray(x)
    return np.moveaxis(x, 2, -1) if by_rows else x


def _grouped_kernel(kernel: Any, groups: int, attrs: Attrs) -> Any:
    """The kernel as (group, *spatial, in feature, out feature)."""
    kernel = np.transpose(kernel, attrs["rhs_spec"])
    turned = tuple(2 + i for i, turn in enumerate(attrs["window_reversal"]) if turn)
    kernel = np.flip(kernel, turned)
    kernel = kernel.reshape(groups, -1, *kernel.shape[1:])
    return np.moveaxis(kernel, (2, 1), (-2, -1))


def _window_view(x: Any, axes: Sequence[Axis]) -> Any:
    """All windows of the padded array: (group, batch, *windows, *inside a window, feature)."""
    steps = x.strides[2:-1]
    counts = [window_count(*axis) for axis in axes]
    sizes = [axis[3] for axis in axes]
    strides = (*x.strides[:2], *(s * axis[5] for s, axis in zip(steps, axes)),
               *(s * axis[4] for s, axis in zip(steps, axes)), x.strides[-1])
    shape = (*x.shape[:2], *counts, *sizes, x.shape[-1])
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


def _multiply(windows: Any, weights: Any, by_rows: bool) -> Any:
    """(group, batch, *windows, out feature), a piece at a time."""
    rank = weights.ndim - 3
    groups, batch, *counts = windows.shape[:2 + rank]
    out = np.empty((groups, batch, *counts, weights.shape[-1]), windows.dtype)
    if weights.shape[-2] == 1 and groups > 1:
        return _multiply_depthwise(windows, weights, out)
    matrix = np.ascontiguousarray(weights).reshape(groups, -1, weights.shape[-1])
    inner = matrix.shape[1]
    inside_first = (*range(1 + rank, 2 + 2 * rank), *range(1 + rank))
    pieces = list(_pieces(batch, counts, inner * matrix.itemsize))
    for group, piece in itertools.product(range(groups), pieces):
        here, target = windows[(group, *piece)], out[(group, *piece)]
        if by_rows:
            columns = np.transpose(here, inside_first).reshape(inner, -1).T
        else:
            columns = here.reshape(-1, inner)
        np.matmul(columns, matrix[group], out=target.reshape(-1, matrix.shape[2]))
    return out


def _pieces(batch: int, counts: Sequence[int], nbytes: int) -> Iterator[tuple[slice, ...]]:
    """Slices of batch and, where one example is too much, of its first axis of windows.

    A window takes `nbytes`.
    """
    example = nbytes * math.prod(counts)
    if example <= _COLUMN_BYTES:
        step = _COLUMN_BYTES // example
        yield from ((slice(first, first + step),) for first in range(0, batch, step))
        return
    step = max(1, _COLUMN_BYTES * counts[0] // example) if counts else 1
    for i, first in itertools.product(range(batch), range(0, math.prod(counts[:1]), step)):
        yield (slice(i, i + 1), slice(first, first + step))[:1 + len(counts)]


def _multiply_depthwise(windows: Any, weights: Any, out: Any) -> Any:
    """With one feature a group a matrix product is no gain: add up place by place."""
    rank = weights.ndim - 3
    out[...] = 0
    lead = (slice(None),) * (2 + rank)
    for place in np.ndindex(weights.shape[1:1 + rank]):
        factor = weights[(slice(None), *place)].reshape(len(weights), *(1,) * (1 + rank), -1)
        out += windows[(*lead, *place)] * factor
    return out


# -- derivatives -----------------------------------------------------------------------------------


def _fold_in(x: Any, axis: int, groups: int = 1) -> Any:
    """A leading axis put into another (counted without it): inside its groups, outside the rest."""
    size, *shape = type_of(x).shape
    split = (*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1:])
    order = (*range(1, axis + 2), 0, *range(axis + 2, len(split) + 1))
    moved = transpose(reshape(x, shape=(size, *split)), permutation=order)
    return reshape(moved, shape=(*shape[:axis], size * shape[axis], *shape[axis + 1:]))


def _take_out(x: Any, axis: int, size: int, groups: int = 1) -> Any:
    """The inverse of `_fold_in`."""
    shape = type_of(x).shape
    inner = shape[axis] // (groups * size)
    split = reshape(x, shape=(*shape[:axis], groups, size, inner, *shape[axis + 1:]))
    order = (axis + 1, *(d for d in range(len(shape) + 2) if d != axis + 1))
    moved = transpose(split, permutation=order)
    return reshape(moved, shape=(size, *shape[:axis], groups * inner, *shape[axis + 1:]))


def _exchanged(spec: Ints) -> Ints:
    return (spec[1], spec[0], *spec[2:])


def _transpose_x(ct: Any, x: Any, kernel: Any, **attrs: Any) -> Any:
    """A convolution with the kernel turned round, from its out features to its in features."""
    type, dtype, rhs = type_of(x), type_of(ct).dtype, attrs["rhs_spec"]
    if not (type.size and type_of(kernel).size and type_of(ct).size):
        return zeros(type)
    batches, groups = attrs["batch_group_count"], max(attrs["feature_group_count"],
                                                      attrs["batch_group_count"])
    axes = _axes(type, type_of(kernel), attrs)
    if groups > 1:
        kernel = _fold_in(_take_out(kernel, rhs[0], groups), rhs[1])
    back = convolution(
        ct, as_dtype(kernel, dtype), lhs_spec=attrs["out_spec"], rhs_spec=_exchanged(rhs),
        out_spec=attrs["lhs_spec"], window_strides=attrs["lhs_dilation"],
        lhs_dilation=attrs["window_strides"], rhs_dilation=attrs["rhs_dilation"],
        padding=tuple(transposed_padding(*axis) for axis in axes),
        window_reversal=tuple(not turn for turn in attrs["window_reversal"]),
        feature_group_count=groups, batch_group_count=1, dtype=None)
    if batches > 1:
        batch, feature = attrs["lhs_spec"][:2]
        back = _fold_in(_take_out(back, feature, batches), batch)
    return as_dtype(back, type.dtype)


def _transpose_kernel(ct: Any, x: Any, kernel: Any, **attrs: Any) -> Any:
    """A convolution of the array with the cotangent: over the batch, for each pair of features."""
    type, dtype = type_of(kernel), type_of(ct).dtype
    if not (type.size and type_of(x).size and type_of(ct).size):
        return zeros(type)
    axes = _axes(type_of(x), type, attrs)
    back = convolution(
        as_dtype(x, dtype), ct, lhs_spec=_exchanged(attrs["lhs_spec"]),
        rhs_spec=_exchanged(attrs["out_spec"]), out_spec=_exchanged(attrs["rhs_spec"]),
        window_strides=attrs["rhs_dilation"], lhs_dilation=attrs["lhs_dilation"],
        rhs_dilation=attrs["window_strides"], padding=tuple(map(_padding_to_the_kernel, axes)),
        window_reversal=(False,) * len(axes), feature_group_count=attrs["batch_group_count"],
        batch_group_count=attrs["feature_group_count"], dtype=None)
    turned = tuple(d for d, turn in zip(attrs["rhs_spec"][2:], attrs["window_reversal"]) if turn)
    return as_dtype(reverse(back, dimensions=turned) if turned else back, type.dtype)


def _padding_to_the_kernel(axis: Axis) -> tuple[int, int]:
    """As before in front; behind, what makes exactly as many windows as the kernel has elements."""
    n, padding, base, size, dilation, stride = axis
    reach = dilated(window_count(*axis), stride) + dilated(size, dilation) - 1
    return padding[0], reach - padding[0] - dilated(n, base)


def _batch(xs: Sequence[Any], has: Sequence[bool], size: int, **attrs: Any) -> Any:
    """A batched array has a larger batch, a batched kernel more features; both are groups."""
    (x, kernel), (batch, feature) = xs, attrs["lhs_spec"][:2]
    features, batches, out = (attrs["feature_group_count"], attrs["batch_group_count"],
                              attrs["rhs_spec"][0])
    if not has[1]:
        found = convolution(_fold_in(x, batch, batches), kernel, **attrs)
        return _take_out(found, attrs["out_spec"][0], size)
    if not has[0]:
        groups = max(features, batches)
        found = convolution(x, _fold_in(kernel, out, groups), **attrs)
        return _take_out(found, attrs["out_spec"][1], size, groups)
    if batches > 1:
        x, more = _fold_in(x, batch), {"batch_group_count": size * batches}
    else:
        x, more = _fold_in(x, feature), {"feature_group_count": size * features}
    found = convolution(x, _fold_in(kernel, out), **{**attrs, **more})
    return _take_out(found, attrs["out_spec"][1], size)


_PLAIN = {"lhs_spec": (0, 3, 1, 2), "rhs_spec": (3, 2, 0, 1), "out_spec": (0, 3, 1, 2),
          "window_strides": (1, 1), "padding": ((1, 1), (1, 1)), "lhs_dilation": (1, 1),
          "rhs_dilation": (1, 1), "window_reversal": (False, False), "feature_group_count": 1,
          "batch_group_count": 1, "dtype": None}
_UNEVEN = {**_PLAIN, "lhs_spec": (1, 0, 3, 2), "rhs_spec": (0, 3, 2, 1), "out_spec": (2, 1, 0, 3),
           "window_strides": (2, 1), "padding": ((2, -1), (-1, 3)), "lhs_dilation": (1, 2),
           "rhs_dilation": (2, 1), "window_reversal": (True, False)}

convolution: OpDef = OpDef(
    "convolution", "The sums of products of the kernel with each window of x, over the features.",
    _numpy, results=_results, dtypes=ew.ANY, jvp=(SAME, SAME),
    transpose=(_transpose_x, _transpose_kernel), batch=_batch, expensive=True, tolerance=2e-6,
    constraints=(
        "x and the kernel are of one dtype.",
        "`dtype`, if there is one, is theirs, or a wider one of its kind.",
        "They have the same number of axes, at least two.",
        "`lhs_spec`, `rhs_spec` and `out_spec` name each axis once.",
        "`window_strides`, `lhs_dilation` and `rhs_dilation` have a positive number for each "
        "spatial axis.",
        "`window_reversal` has a truth value for each of them, `padding` a pair (low, high).",
        "`feature_group_count` and `batch_group_count` are positive, and one of them is 1.",
        "The batch of x is a multiple of `batch_group_count`; the features of the result are one "
        "of both.",
        "The features of x are `feature_group_count` times those that the kernel takes.",
        "The result has the batch divided by `batch_group_count`, the features that the kernel "
        "gives, and as many elements along a spatial axis as there are windows."),
    examples=(
        Example((Type(F32, (2, 4, 5, 3)), Type(F32, (3, 2, 3, 4))), _PLAIN),
        Example((Type(F32, (4, 2, 4, 5)), Type(F32, (6, 2, 3, 2))),
                {**_UNEVEN, "feature_group_count": 2}),
        Example((Type(F32, (4, 6, 4, 5)), Type(F32, (9, 2, 3, 4))),
                {**_UNEVEN, "batch_group_count": 3})))
