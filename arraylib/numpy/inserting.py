"""Functions after which an array has more or fewer elements: insert, delete, repeat, trim_zeros."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import (
    ArgumentError,
    DtypeError,
    OutOfBoundsError,
    ShapeError,
    TraceError,
    mistake,
)
from arraylib.hlo.ir import known, type_of
from arraylib.hlo.ops import elementwise as ew, structured as st
from arraylib.numpy.creation import counting
from arraylib.numpy.cumulative import cumsum
from arraylib.numpy.elementwise import like
from arraylib.numpy.indexing import getitem, wide_enough
from arraylib.numpy.layout import concatenate, moveaxis, ravel, reshape
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axes,
    as_axis,
    as_shape,
    beside,
    broadcast,
    concrete_int,
    converted,
    operand,
    shape_of,
    splat,
)
from arraylib.numpy.reductions import sum
from arraylib.numpy.selection import known_mask, take, where
from arraylib.numpy.sorting import searchsorted, sort, sorted_with_places

# -- inserting and leaving out ---------------------------------------------------------------------


def _flat(op: str, arr: ArrayLike, axis: int | None) -> tuple[Array, int]:
    """The array, flattened where no axis is given, and the axis counted from 0."""
    arr = operand(op, arr)
    if axis is None:
        arr, axis = ravel(arr), 0
    return arr, as_axis(op, axis, len(shape_of(arr)))


def _places(op: str, obj: Any, n: int) -> Any:
    """Places along an axis of size n, counted from 0 if they are known; None if they are traced."""
    if isinstance(obj, slice):
        return np.arange(n)[obj]
    places = known(obj) if not isinstance(obj, (list, tuple)) else np.asarray(obj)
    if places is None:
        return None
    if places.dtype == np.bool_:
        return np.flatnonzero(places)
    if places.size and not dt.is_integer(places.dtype):
        raise mistake(DtypeError, op, f"places are {dt.name(places.dtype)}",
                      hint="integers, or a mask")
    places = places.astype(np.int64)  # which holds n, too
    return np.where(places < 0, places + n, places)


def _check_places(op: str, x: Array, axis: int, places: Any, most: int) -> None:
    """OutOfBoundsError for known places, counted from 0, that are not from 0 to `most`."""
    n = shape_of(x)[axis]
    for i in places[(places < 0) | (places > most)].tolist():
        raise mistake(OutOfBoundsError, op, f"index {i - n if i < 0 else i} is out of bounds for "
                      f"axis {axis} of size {n}", operands=[type_of(x)],
                      hint=f"from {-n} to {most}")


def _traced_places(op: str, obj: Array, n: int) -> Array:
    """Places that are known at run time only, as one axis, counted from 0 and within 0 to n."""
    if not dt.is_integer(type_of(obj).dtype):
        raise mistake(TraceError, op, "a traced mask decides the shape", operands=[type_of(obj)],
                      hint="jnp.where(mask, ...), or places that are integers")
    i = wide_enough(ravel(obj), n)
    if not dt.is_unsigned(type_of(i).dtype):
        i = ew.select(ew.compare(i, like(i, 0), direction="LT"), ew.add(i, like(i, n)), i)
    return ew.clamp(like(i, 0), i, like(i, n))


def delete(arr: ArrayLike, obj: Any, axis: int | None = None, *,
           assume_unique_indices: bool = False) -> Array:
    """`arr` without the slices at places along an axis.

    The places are known, or with `assume_unique_indices` integers of which none occurs twice.

    >>> jnp.delete(jnp.arange(4), 1)
    Array([0, 2, 3], dtype=int32)
    """
    arr, axis = _flat("delete", arr, axis)
    n = shape_of(arr)[axis]
    places = _places("delete", obj, n)
    if places is None:
        if not assume_unique_indices:
            raise mistake(TraceError, "delete", "the places decide the shape, but they are traced",
                          hint="assume_unique_indices=True, if none occurs twice")
        return _without_traced(arr, _traced_places("delete", obj, n), axis)
    gone = np.atleast_1d(places)
    _check_places("delete", arr, axis, gone, n - 1)
    return take(arr, np.setdiff1d(np.arange(n), gone), axis)


def _without_traced(arr: Array, gone: Array, axis: int) -> Array:
    """Each element that stays is as far behind its place as there are gone ones before it."""
    count, n = shape_of(gone)[0], shape_of(arr)[axis]
    dtype = type_of(gone).dtype
    before = ew.subtract(sort(gone), counting((count,), 0, dtype))
    kept = counting((np.maximum(n - count, 0).item(),), 0, dtype)
    behind = ew.convert(searchsorted(before, kept, side="right"), dtype=dtype)
    return take(arr, ew.add(kept, behind), axis, mode="clip")


def insert(arr: ArrayLike, obj: Any, values: ArrayLike, axis: int | None = None) -> Array:
    """`arr` with values, in its dtype, put in before places along an axis.

    For a single place `values` may have the axis, as long as it likes, or be without.

    >>> jnp.insert(jnp.array([1, 2]), 1, 9)
    Array([1, 9, 2], dtype=int32)
    """
    arr, values = beside("insert", arr, values)
    arr, axis = _flat("insert", arr, axis)
    n, rank, dtype = shape_of(arr)[axis], len(shape_of(arr)), type_of(arr).dtype
    values = converted("insert", values, dtype)
    values = reshape(values, (1,) * (rank - len(shape_of(values))) + shape_of(values))
    known_places = _places("insert", obj, n)
    if not len(shape_of(obj if known_places is None else known_places)) \
            and len(shape_of(values)) == rank:
        values = moveaxis(values, 0, axis)
    count = shape_of(values)[axis]
    if known_places is not None:
        flat = np.atleast_1d(known_places)
        _check_places("insert", arr, axis, flat, n)
        flat = np.repeat(flat, count) if flat.size == 1 else flat
        order = np.argsort(flat, kind="stable")
        joined = _joined(arr, values, axis, flat.size)
        return take(joined, np.insert(np.arange(n), flat[order], n + order), axis)
    places = _traced_places("insert", obj, n)
    if shape_of(places)[0] == 1:
        places = broadcast("insert", places, (count,))
    joined = _joined(arr, values, axis, shape_of(places)[0])
    return take(joined, _sources_among(places, n), axis, mode="clip")


def _joined(arr: Array, values: Array, axis: int, count: int) -> Array:
    """The array and behind it `count` slices of values."""
    sizes = tuple(count if d == axis else m for d, m in enumerate(shape_of(arr)))
    return concatenate([arr, broadcast("insert", values, sizes)], axis)


def _sources_among(places: Array, n: int) -> Array:
    """For each element of the result its place among n old and then the new ones."""
    count, dtype = shape_of(places)[0], type_of(places).dtype
    values, order = sorted_with_places(places, 0)
    new = ew.add(values, counting((count,), 0, dtype))
    result = counting((n + count,), 0, dtype)
    before, upto = (ew.convert(searchsorted(new, result, side=side), dtype=dtype)
                    for side in ("left", "right"))
    own = ew.convert(take(order, before, mode="clip"), dtype=dtype)
    return where(ew.compare(before, upto, direction="LT"), ew.add(own, like(own, n)),
                 ew.subtract(result, before))


def repeat(a: ArrayLike, repeats: Any, axis: int | None = None, *,
           total_repeat_length: int | None = None) -> Array:
    """Each element of `a` repeated, by one number or a number for each.

    Traced numbers need `total_repeat_length`; the last element fills what they leave.

    >>> jnp.repeat(jnp.array([1, 2]), 2)
    Array([1, 1, 2, 2], dtype=int32)
    """
    a = operand("repeat", a)
    if axis is None:
        a, axis = ravel(a), 0
    axis = as_axis("repeat", axis, len(shape_of(a)))
    if total_repeat_length is not None:
        return take(a, _sources(repeats, shape_of(a)[axis], total_repeat_length), axis, mode="clip")
    counts = known(repeats) if not isinstance(repeats, (list, tuple)) else np.asarray(repeats)
    if counts is None:
        raise mistake(TraceError, "repeat", "the repeats decide the shape, but they are traced",
                      operands=[type_of(repeats)], hint="total_repeat_length=...")
    if counts.size == 1:
        return _repeat_all(a, concrete_int("repeat", counts.item()), axis)
    if counts.shape != (shape_of(a)[axis],):
        raise mistake(ShapeError, "repeat", f"{counts.size} repeats for {shape_of(a)[axis]} "
                      f"elements along axis {axis}", operands=[type_of(a)],
                      hint="one number for all, or one for each")
    return take(a, np.repeat(np.arange(counts.size), counts), axis)


def _repeat_all(a: Array, n: int, axis: int) -> Array:
    if n < 0:
        raise mistake(ArgumentError, "repeat", f"repeats = {n} is negative",
                      hint="0 or more")
    sizes = shape_of(a)
    wide = st.broadcast_in_dim(
        a, shape=(*sizes[:axis + 1], n, *sizes[axis + 1:]),
        broadcast_dimensions=tuple(i + (i > axis) for i in range(len(sizes))))
    return reshape(wide, (*sizes[:axis], sizes[axis] * n, *sizes[axis + 1:]))


def _sources(repeats: ArrayLike, n: int, total: int) -> Array:
    """For each place of the result the element it repeats: how many groups ended before it."""
    counts = broadcast("repeat", operand("repeat", repeats), (n,))
    ends = broadcast("repeat", cumsum(counts), (total, n))
    place = counting((total, n), 0, type_of(ends).dtype)
    return sum(ew.compare(place, ends, direction="GE"), 1)


def resize(a: ArrayLike, new_shape: Any) -> Array:
    """The elements of `a`, as often as it takes, in another shape; zeros if it has none.

    >>> jnp.resize(jnp.arange(3), (2, 2))
    Array([[0, 1],
           [2, 0]], dtype=int32)
    """
    flat, sizes = ravel(a), as_shape("resize", new_shape)
    n = shape_of(flat)[0]
    if not n:
        return splat(0, type_of(flat).dtype, sizes)
    return reshape(take(flat, np.arange(math.prod(sizes)) % n), sizes)


def trim_zeros(filt: ArrayLike, trim: str = "fb",
               axis: int | Sequence[int] | None = None) -> Array:
    """An array without the zeros at its front ("f") and back ("b"); its elements are known.

    Along `axis`, or several, all for None: slices of nothing but zeros go.

    >>> jnp.trim_zeros(jnp.array([0, 1, 2, 0]))
    Array([1, 2], dtype=int32)
    """
    x = operand("trim_zeros", filt)
    mask, ends = known_mask("trim_zeros", x), trim.lower()
    rank = len(shape_of(x))
    cuts = [slice(None)] * rank
    for along in as_axes("trim_zeros", axis, rank) if {"f", "b"} & {*ends} else ():
        others = tuple(i for i in range(rank) if i != along)
        places = np.flatnonzero(np.any(mask, axis=others))
        first, last = (places[0], places[-1] + 1) if places.size else (0, 0)
        cuts[along] = slice(int(first) if "f" in ends or not places.size else 0,
                            int(last) if "b" in ends or not places.size else None)
    return getitem(x, tuple(cuts))
