"""Functions that choose elements: where, take, compress, nonzero, insert, delete."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, DtypeError, ShapeError, TraceError, mistake
from arraylib.hlo.ir import current, known, type_of
from arraylib.hlo.ops import elementwise as ew, indexed as ix, structured as st
from arraylib.numpy.bounds import check_places
from arraylib.numpy.creation import counting
from arraylib.numpy.cumulative import cumsum
from arraylib.numpy.elements import picked
from arraylib.numpy.elementwise import like, truth
from arraylib.numpy.indexing import check_bounds, getitem, wide_enough
from arraylib.numpy.layout import concatenate, ravel, reshape
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axis,
    as_shape,
    beside,
    broadcast,
    broadcast_all,
    common_dtype,
    concrete_int,
    convert,
    converted,
    operand,
    promote,
    promoted,
    shape_of,
)
from arraylib.numpy.reductions import sum
from arraylib.numpy.sorting import argsort
from arraylib.numpy.updates import Updates

# -- by a condition --------------------------------------------------------------------------------


def where(condition: ArrayLike, x: ArrayLike | None = None, y: ArrayLike | None = None, /, *,
          size: int | None = None, fill_value: ArrayLike | None = None) -> Any:
    """x where the condition holds, y elsewhere; all three broadcast.

    With the condition alone, the places where it holds: see `nonzero`.

        jnp.where(x > 0, x, 0.0)

    >>> jnp.where(jnp.arange(4) > 1, jnp.arange(4), 0)
    Array([0, 0, 2, 3], dtype=int32)
    """
    if x is None and y is None:
        return nonzero(condition, size=size, fill_value=fill_value)
    if x is None or y is None:
        raise mistake(ArgumentError, "where", "one of x and y is given without the other",
                      hint="where(condition, x, y), or where(condition) for the places")
    mask = truth(operand("where", condition))
    return ew.select(*broadcast_all("where", [mask, *promoted("where", x, y)], once=True))


def select(condlist: Sequence[ArrayLike], choicelist: Sequence[ArrayLike],
           default: ArrayLike = 0) -> Array:
    """The choice that belongs to the first condition that holds; `default` if none does.

    >>> x = jnp.arange(4)
    >>> jnp.select([x < 1, x > 2], [x - 10, x + 10], default=0)
    Array([-10,   0,   0,  13], dtype=int32)
    """
    if len(condlist) != len(choicelist) or not condlist:
        raise mistake(ArgumentError, "select", f"{len(condlist)} conditions for "
                      f"{len(choicelist)} choices", hint="one choice for each condition")
    *choices, result = promote("select", *choicelist, default)
    for condition, choice in reversed(list(zip(condlist, choices))):
        result = where(condition, choice, result)
    return result


def choose(a: ArrayLike, choices: Sequence[ArrayLike], out: None = None,
           mode: str = "clip") -> Array:
    """Element by element the choice whose number `a` gives; a number too large takes the last.

    >>> jnp.choose(jnp.array([0, 1, 0]), [jnp.array([1, 2, 3]), jnp.array([10, 20, 30])])
    Array([ 1, 20,  3], dtype=int32)
    """
    if mode not in ("clip", "wrap"):
        raise mistake(ArgumentError, "choose", f"mode = {mode!r}", hint="'clip' or 'wrap'")
    a = operand("choose", a)
    if mode == "wrap":
        rest = ew.remainder(a, like(a, len(choices)))
        negative = ew.compare(rest, like(rest, 0), direction="LT")
        a = ew.select(negative, ew.add(rest, like(rest, len(choices))), rest)
    items = promote("choose", *choices)
    result = items[-1]
    for i in range(len(items) - 2, -1, -1):
        here = ew.compare(a, like(a, i), direction="LE")
        result = where(here, items[i], result)
    return result


def _known_mask(op: str, x: Array) -> Any:
    array = known(truth(x))
    if array is None:
        raise mistake(TraceError, op, "how many elements are chosen is not known while tracing",
                      operands=[type_of(x)],
                      hint="size=..., the number of places to return, or jnp.where(mask, x, y)")
    return array


def nonzero(a: ArrayLike, *, size: int | None = None,
            fill_value: ArrayLike | None = None) -> tuple[Array, ...]:
    """The places of the elements that are not 0, an index array for each axis.

    With `size`, which tracing needs, the first `size` of them; `fill_value` (0) if there are fewer.

    >>> jnp.nonzero(jnp.array([0, 3, 4]))
    (Array([1, 2], dtype=int32),)
    """
    a = operand("nonzero", a)
    if size is None:
        places = np.nonzero(_known_mask("nonzero", a))
        return tuple(current().own(p.astype(dt.index_dtype(n)))
                     for p, n in zip(places, shape_of(a)))
    mask = ravel(truth(a))
    # a stable sort brings the places where the mask holds to the front, in order
    first = getitem(argsort(ew.not_(mask)), slice(0, size))
    if shape_of(first)[0] < size:
        lack = size - shape_of(first)[0]
        first = concatenate([first, like(counting((lack,), 0, type_of(first).dtype), 0)])
    present = ew.compare(counting((size,), 0, dt.default_int()),
                         broadcast("nonzero", sum(mask), (size,)), direction="LT")
    fill = converted("nonzero", 0 if fill_value is None else fill_value, type_of(first).dtype)
    return tuple(where(present, i, fill) for i in unravel_index(first, shape_of(a)))


def flatnonzero(a: ArrayLike, *, size: int | None = None,
                fill_value: ArrayLike | None = None) -> Array:
    """The places of the elements of the flattened array that are not 0.

    >>> jnp.flatnonzero(jnp.array([0, 3, 4]))
    Array([1, 2], dtype=int32)
    """
    return nonzero(ravel(a), size=size, fill_value=fill_value)[0]


def argwhere(a: ArrayLike, *, size: int | None = None,
             fill_value: ArrayLike | None = None) -> Array:
    """The places of the elements that are not 0, one a row.

    >>> jnp.argwhere(jnp.array([[0, 1], [1, 0]]))
    Array([[0, 1],
           [1, 0]], dtype=int32)
    """
    a = operand("argwhere", a)
    places = nonzero(a, size=size, fill_value=fill_value)
    if not places:
        return reshape(counting((0,), 0, dt.default_int()), (int(_known_mask("argwhere", a)), 0))
    return concatenate([reshape(p, (shape_of(p)[0], 1)) for p in places], 1)


def compress(condition: ArrayLike, a: ArrayLike, axis: int | None = None) -> Array:
    """The slices along an axis at which a known condition holds.

    >>> jnp.compress(jnp.array([True, False, True]), jnp.arange(3))
    Array([0, 2], dtype=int32)
    """
    a = operand("compress", a)
    if axis is None:
        a, axis = ravel(a), 0
    kept = np.flatnonzero(_known_mask("compress", operand("compress", condition)))
    return take(a, kept, axis)


def extract(condition: ArrayLike, arr: ArrayLike) -> Array:
    """The elements at which a known condition holds, as one axis.

    >>> jnp.extract(jnp.arange(4) > 1, jnp.arange(4))
    Array([2, 3], dtype=int32)
    """
    return compress(ravel(condition), arr)


# -- by index --------------------------------------------------------------------------------------


def take(a: ArrayLike, indices: ArrayLike, axis: int | None = None, out: None = None,
         mode: str | None = None, *, unique_indices: bool = False,
         indices_are_sorted: bool = False, fill_value: ArrayLike | None = None) -> Array:
    """The slices of `a` at these indices along an axis, or elements of the flattened array.

    A known index out of bounds raises OutOfBoundsError, a traced one reads the nearest; `mode` is
    "clip", "wrap" or "fill" (with `fill_value`, nan).

    >>> jnp.take(jnp.array([10, 20, 30]), jnp.array([2, 0]))
    Array([30, 10], dtype=int32)
    """
    a = operand("take", a)
    if axis is None:
        a, axis = a if len(shape_of(a)) == 1 else ravel(a), 0
    axis = as_axis("take", axis, len(shape_of(a)))
    indices = np.asarray(indices) if isinstance(indices, (list, tuple)) else indices
    if getattr(indices, "dtype", None) == dt.bool_:  # NumPy takes these for 0 and 1
        raise mistake(DtypeError, "take", "the indices are bool, not integers",
                      hint="x[mask] has the elements where a mask is true")
    if mode is None and (quick := picked(a, (slice(None),) * axis + (indices,))) is not None:
        return quick
    indices = wide_enough(operand("take", indices))
    if mode in (None, "promise_in_bounds") and (array := known(indices)) is not None:
        check_bounds("take", type_of(a), axis, array)
    return _take(a, indices, axis, mode, fill_value)


@one_program(2)
def _take(a: Array, indices: Array, axis: int, mode: str | None,
          fill_value: ArrayLike | None) -> Array:
    """The slices at indices that were checked if they are known."""
    if mode == "clip":  # which here, as in NumPy, takes negative indices to 0
        last = like(indices, max(shape_of(a)[axis] - 1, 0))
        indices = ew.clamp(like(indices, 0), indices, last)
    return getitem(a, (slice(None),) * axis + (indices,), mode, fill_value)


def take_along_axis(arr: ArrayLike, indices: ArrayLike, axis: int | None = -1,
                    mode: str | None = None, fill_value: ArrayLike | None = None) -> Array:
    """For each place of `indices`, the element along the axis that it names; the others agree.

        jnp.take_along_axis(logits, labels[:, None], axis=1)

    >>> jnp.take_along_axis(jnp.array([[3, 1], [2, 4]]), jnp.array([[1], [0]]), axis=1)
    Array([[1],
           [2]], dtype=int32)
    """
    arr = operand("take_along_axis", arr)
    indices = wide_enough(operand("take_along_axis", indices))
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = as_axis("take_along_axis", axis, len(shape_of(arr)))
    if mode in (None, "promise_in_bounds") and (array := known(indices)) is not None:
        check_bounds("take_along_axis", type_of(arr), axis, array)
    return _take_along_axis(arr, indices, axis, mode, fill_value)


@one_program(2)
def _take_along_axis(arr: Array, indices: Array, axis: int, mode: str | None,
                     fill_value: ArrayLike | None) -> Array:
    """The elements at indices that were checked if they are known."""
    x, i, axis = _aligned("take_along_axis", arr, indices, axis)
    n = shape_of(x)[axis]
    i = wide_enough(i, n)
    if mode in (None, "promise_in_bounds"):
        check_places("take_along_axis", type_of(x), axis, i)
    negative = ew.compare(i, like(i, 0), direction="LT")
    i = ew.select(negative, ew.add(i, like(i, n)), i)
    others = tuple(d for d in range(len(shape_of(x))) if d != axis)
    found = ix.gather(
        x, i, offset_dims=(), collapsed_slice_dims=(axis,), operand_batching_dims=others,
        start_indices_batching_dims=others, start_index_map=(axis,),
        index_vector_dim=len(shape_of(i)), slice_sizes=tuple(min(1, m) for m in shape_of(x)))
    if mode != "fill":
        return found
    inside = ew.and_(ew.compare(i, like(i, 0), direction="GE"),
                     ew.compare(i, like(i, n), direction="LT"))
    return where(inside, found, math.nan if fill_value is None else fill_value)


def _aligned(op: str, x: Array, i: Array, axis: int) -> tuple[Array, Array, int]:
    """Both broadcast to one shape but for the axis."""
    rank = len(shape_of(x))
    axis = as_axis(op, axis, rank)
    if len(shape_of(i)) != rank:
        raise mistake(ShapeError, op, f"indices with {len(shape_of(i))} axes for an array with "
                      f"{rank}", operands=[type_of(x), type_of(i)],
                      hint="insert axes: indices[:, None]")
    shapes = [tuple(1 if d == axis else n for d, n in enumerate(shape_of(v))) for v in (x, i)]
    joint = list(np.broadcast_shapes(*shapes)) if all(
        1 in (n, m) or n == m for n, m in zip(*shapes)) else None
    if joint is None:
        raise mistake(ShapeError, op, f"shapes {shape_of(x)} and {shape_of(i)} disagree on an axis "
                      f"other than {axis}", operands=[type_of(x), type_of(i)],
                      hint="they agree on every other axis, or have size 1 there")
    whole = lambda v: broadcast(op, v, tuple(
        shape_of(v)[axis] if d == axis else n for d, n in enumerate(joint)))
    return whole(x), whole(i), axis


def put_along_axis(arr: ArrayLike, indices: ArrayLike, values: ArrayLike, axis: int | None = None,
                   inplace: bool = False, *, mode: str | None = None) -> Array:
    """`arr` with values at the places that `take_along_axis` reads; a new array.

    >>> jnp.put_along_axis(jnp.zeros((2, 2)), jnp.array([[0], [1]]), 5, axis=1, inplace=False)
    Array([[5., 0.],
           [0., 5.]], dtype=float32)
    """
    if inplace:
        raise mistake(ArgumentError, "put_along_axis", "inplace=True, but arrays cannot be changed",
                      hint="inplace=False, and use the result")
    arr, indices = operand("put_along_axis", arr), operand("put_along_axis", indices)
    if axis is None:
        flat = put_along_axis(ravel(arr), indices, values, 0, False, mode=mode)
        return reshape(flat, shape_of(arr))
    axis = as_axis("put_along_axis", axis, len(shape_of(arr)))
    shape = shape_of(indices)
    places = tuple(indices if d == axis else counting(shape, d, dt.int32)
                   for d in range(len(shape)))
    return Updates(arr)[places].set(broadcast("put_along_axis", converted(
        "put_along_axis", values, type_of(arr).dtype), shape), mode=mode)


def fill_diagonal(a: ArrayLike, val: ArrayLike, wrap: bool = False, *,
                  inplace: bool = False) -> Array:
    """`a` with `val` on its main diagonal; a new array.

    >>> jnp.fill_diagonal(jnp.zeros((2, 2)), 5, inplace=False)
    Array([[5., 0.],
           [0., 5.]], dtype=float32)
    """
    if inplace or wrap:
        raise mistake(ArgumentError, "fill_diagonal", "inplace=True, but arrays cannot be changed"
                      if inplace else "wrap=True, which it does not take",
                      hint="inplace=False and wrap=False")
    a = operand("fill_diagonal", a)
    n = sorted(shape_of(a))[0] if shape_of(a) else 0
    return Updates(a)[(np.arange(n),) * len(shape_of(a))].set(val)


def put(a: ArrayLike, ind: ArrayLike, v: ArrayLike, mode: str | None = None, *,
        inplace: bool = False) -> Array:
    """`a` with values at these places of the flattened array; a new array.

    >>> jnp.put(jnp.arange(4), jnp.array([1]), 9, inplace=False)
    Array([0, 9, 2, 3], dtype=int32)
    """
    a, ind = operand("put", a), operand("put", ravel(ind))
    if dt.is_bool(type_of(ind).dtype):
        raise mistake(DtypeError, "put", "the places are bool, not integers",
                      operands=[type_of(a), type_of(ind)], hint="jnp.where(mask, values, a)")
    return reshape(Updates(ravel(a))[ravel(ind)].set(
        ravel(operand("put", v, type_of(a).dtype)), mode=mode), shape_of(a))


def place(arr: ArrayLike, mask: ArrayLike, vals: ArrayLike, *, inplace: bool = False) -> Array:
    """`arr` with the elements where the mask holds replaced by those of `vals`, one after another.

    Once all of `vals` are used it starts again. Raises ShapeError where the mask has another size,
    ArgumentError where there are no values.

    >>> place(jnp.array([1, 2, 3, 4]), jnp.array([True, False, True, True]), jnp.array([7, 8]))
    Array([7, 2, 8, 7], dtype=int32)
    """
    arr = operand("place", arr)
    values = ravel(operand("place", vals, type_of(arr).dtype))
    flat = ravel(truth(operand("place", mask)))
    n, count = math.prod(shape_of(arr)), shape_of(values)[0]
    if shape_of(flat)[0] != n:
        raise mistake(ShapeError, "place", f"a mask of {shape_of(flat)[0]} elements for {n}",
                      operands=[type_of(arr)], hint="a mask of the array's shape")
    if not count:
        raise mistake(ArgumentError, "place", "there are no values", hint="one value at least")
    before = cumsum(flat)
    rank = ew.remainder(ew.subtract(before, like(before, 1)), like(before, count))
    chosen = convert(getitem(values, rank, mode="clip"), type_of(arr).dtype)
    return where(reshape(flat, shape_of(arr)), reshape(chosen, shape_of(arr)), arr)


def mask_indices(n: int, mask_func: Callable[..., Array], k: int = 0, *, size: int | None = None
                 ) -> tuple[Array, ...]:
    """The places in an n by n matrix that a function such as triu leaves: `triu(matrix, k)`.

    `size` as in `nonzero`.

    >>> mask_indices(3, triu, 1)
    (Array([0, 0, 1], dtype=int32), Array([1, 2, 2], dtype=int32))
    """
    return nonzero(mask_func(like(counting((n, n), 0, dt.default_int()), 1), k), size=size)


def unravel_index(indices: ArrayLike, shape: Any) -> tuple[Array, ...]:
    """Places in the flattened array as an index for each axis of `shape`.

    >>> jnp.unravel_index(jnp.array([5]), (2, 3))
    (Array([1], dtype=int32), Array([2], dtype=int32))
    """
    i = wide_enough(operand("unravel_index", indices))
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    results = []
    for n in reversed(sizes):
        m = like(i, max(n, 1))
        results.append(ew.remainder(i, m))
        i = ew.divide(i, m)
    return tuple(reversed(results))


def ravel_multi_index(multi_index: Sequence[ArrayLike], dims: Sequence[int], mode: str = "raise",
                      order: str = "C") -> Array:
    """An index for each axis as places in the flattened array; the inverse of `unravel_index`.

    >>> jnp.ravel_multi_index((jnp.array([1]), jnp.array([2])), (2, 3))
    Array([5], dtype=int32)
    """
    parts = broadcast_all("ravel_multi_index", promote("ravel_multi_index", *multi_index))
    pairs = list(zip(parts, dims))[::1 if order == "C" else -1]
    result = like(parts[0], 0)
    for i, n in pairs:
        array = known(i)
        if mode == "raise" and array is not None:
            getitem(counting((n,), 0, dt.int32), array)  # checks the bounds
        if mode == "clip":
            i = ew.clamp(like(i, 0), i, like(i, n - 1))
        result = ew.add(ew.multiply(result, like(result, n)), i)
    return result


def ix_(*args: ArrayLike) -> tuple[Array, ...]:
    """Index arrays that together pick the grid of these rows, columns and so on.

    >>> jnp.arange(9).reshape(3, 3)[jnp.ix_(jnp.array([0, 2]), jnp.array([1]))]
    Array([[1],
           [7]], dtype=int32)
    """
    n = len(args)
    arrays = [np.flatnonzero(known(a)) if dt.is_bool(type_of(a).dtype) else operand("ix_", a)
              for a in args]
    return tuple(reshape(a, (1,) * i + (shape_of(a)[0],) + (1,) * (n - i - 1))
                 for i, a in enumerate(arrays))


# -- inserting and leaving out ---------------------------------------------------------------------


def _places(op: str, obj: Any, n: int) -> Any:
    """Known places along an axis of size n, counted from 0."""
    if isinstance(obj, slice):
        return np.arange(n)[obj]
    places = known(obj) if not isinstance(obj, (list, tuple)) else np.asarray(obj, dtype=np.int64)
    if places is None:
        raise mistake(TraceError, op, "the places decide the shape, but they are traced",
                      hint="size=..., a number that Python knows")
    if places.dtype == np.bool_:
        return np.flatnonzero(places)
    return np.where(places < 0, places + n, places)


def delete(arr: ArrayLike, obj: Any, axis: int | None = None) -> Array:
    """`arr` without the slices at known places along an axis.

    >>> jnp.delete(jnp.arange(4), 1)
    Array([0, 2, 3], dtype=int32)
    """
    arr = operand("delete", arr)
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = as_axis("delete", axis, len(shape_of(arr)))
    n = shape_of(arr)[axis]
    gone = np.atleast_1d(_places("delete", obj, n))
    for i in gone[(gone < 0) | (gone >= n)]:
        getitem(arr, (slice(None),) * axis + (int(i),))  # raises: out of bounds
    return take(arr, np.setdiff1d(np.arange(n), gone), axis)


def insert(arr: ArrayLike, obj: Any, values: ArrayLike, axis: int | None = None) -> Array:
    """`arr` with values put in before known places along an axis.

    >>> jnp.insert(jnp.array([1, 2]), 1, 9)
    Array([1, 9, 2], dtype=int32)
    """
    arr, values = beside("insert", arr, values)
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = as_axis("insert", axis, len(shape_of(arr)))
    n = shape_of(arr)[axis]
    places = _places("insert", obj, n)
    dtype = common_dtype("insert", arr, values)
    arr, values = converted("insert", arr, dtype), converted("insert", values, dtype)
    flat = np.atleast_1d(places)
    if not places.ndim and len(shape_of(values)) == len(shape_of(arr)):
        flat = np.repeat(flat, shape_of(values)[axis])
    sizes = tuple(flat.size if d == axis else m for d, m in enumerate(shape_of(arr)))
    joined = concatenate([arr, broadcast("insert", values, sizes)], axis)
    order = np.argsort(flat, kind="stable")
    source = np.insert(np.arange(n), flat[order], n + order)
    return take(joined, source, axis)


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
    """The elements of `a`, as often as it takes, in another shape.

    >>> jnp.resize(jnp.arange(3), (2, 2))
    Array([[0, 1],
           [2, 0]], dtype=int32)
    """
    flat, sizes = ravel(a), as_shape("resize", new_shape)
    n = shape_of(flat)[0]
    return reshape(take(flat, np.arange(math.prod(sizes)) % max(n, 1)), sizes)


def trim_zeros(filt: ArrayLike, trim: str = "fb") -> Array:
    """A vector without the zeros at its front ("f") and back ("b"); its elements are known.

    >>> jnp.trim_zeros(jnp.array([0, 1, 2, 0]))
    Array([1, 2], dtype=int32)
    """
    x = operand("trim_zeros", filt)
    places = np.flatnonzero(_known_mask("trim_zeros", x))
    if not places.size:
        return getitem(x, slice(0, 0))
    first = places[0] if "f" in trim.lower() else 0
    last = places[-1] + 1 if "b" in trim.lower() else shape_of(x)[0]
    return getitem(x, slice(int(first), int(last)))
