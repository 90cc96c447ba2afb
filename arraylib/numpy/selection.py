"""Functions that choose elements: where, take, compress, nonzero, insert, delete."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.config import config
from arraylib.errors import (
    ArgumentError,
    DtypeError,
    OutOfBoundsError,
    ShapeError,
    TraceError,
    count,
    mistake,
)
from arraylib.hlo.ir import current, known, type_of
from arraylib.hlo.ops import elementwise as ew, indexed as ix
from arraylib.numpy.bounds import check_places
from arraylib.numpy.creation import counting
from arraylib.numpy.cumulative import cumsum
from arraylib.numpy.elements import picked
from arraylib.numpy.elementwise import (
    add,
    clip,
    floor_divide,
    less,
    like,
    mod,
    multiply,
    subtract,
    truth,
)
from arraylib.numpy.indexing import check_bounds, getitem, outside, wide_enough
from arraylib.numpy.layout import concatenate, ravel, reshape
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axis,
    broadcast,
    broadcast_all,
    check_kind,
    concrete_int,
    convert,
    converted,
    literal,
    operand,
    promote,
    promoted,
    refuse_out,
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
           mode: str = "raise") -> Array:
    """Element by element the choice whose number `a` gives.

    A known number that there is no choice for raises OutOfBoundsError; a traced one takes the
    nearest, as all do with `mode` "clip"; "wrap" counts round.

    >>> jnp.choose(jnp.array([0, 1, 0]), [jnp.array([1, 2, 3]), jnp.array([10, 20, 30])])
    Array([ 1, 20,  3], dtype=int32)
    """
    refuse_out("choose", out)
    if mode not in ("raise", "clip", "wrap"):
        raise mistake(ArgumentError, "choose", f"mode = {mode!r}", hint="'raise', 'clip' or 'wrap'")
    a = operand("choose", a)
    if mode == "raise":
        _on_axis("choose", a, len(choices), mode)
    if mode == "wrap":
        a = mod(wide_enough(a), len(choices))
    items = promote("choose", *choices)
    result = items[-1]
    for i in range(len(items) - 2, -1, -1):
        here = ew.compare(a, like(a, i), direction="LE")
        result = where(here, items[i], result)
    return result


def known_mask(op: str, x: Array) -> Any:
    """Where x is not 0, in NumPy's hands; TraceError if that is not known."""
    array = known(truth(x))
    if array is None:
        raise mistake(TraceError, op, "how many elements are chosen is not known while tracing",
                      operands=[type_of(x)],
                      hint="size=..., the number of places to return, or jnp.where(mask, x, y)")
    return array


def nonzero(a: ArrayLike, *, size: int | None = None,
            fill_value: ArrayLike | tuple[ArrayLike, ...] | None = None) -> tuple[Array, ...]:
    """The places of the elements that are not 0, an index array for each axis.

    With `size`, which tracing needs, the first `size` of them; `fill_value` (0), which may be a
    tuple of one for each axis, if there are fewer.

    >>> jnp.nonzero(jnp.array([0, 3, 4]))
    (Array([1, 2], dtype=int32),)
    """
    a = operand("nonzero", a)
    if size is None:
        places = np.nonzero(known_mask("nonzero", a))
        return tuple(current().own(p.astype(dt.index_dtype(n)))
                     for p, n in zip(places, shape_of(a)))
    fills = _fills(fill_value, len(shape_of(a)))
    mask = ravel(truth(a))
    # a stable sort brings the places where the mask holds to the front, in order
    first = getitem(argsort(ew.not_(mask)), slice(0, size))
    if shape_of(first)[0] < size:
        lack = size - shape_of(first)[0]
        first = concatenate([first, like(counting((lack,), 0, type_of(first).dtype), 0)])
    present = ew.compare(counting((size,), 0, dt.default_int()),
                         broadcast("nonzero", sum(mask), (size,)), direction="LT")
    dtype = type_of(first).dtype
    return tuple(where(present, i, converted("nonzero", fill, dtype))
                 for i, fill in zip(_unraveled(first, shape_of(a)), fills))


def _fills(given: Any, rank: int) -> tuple[ArrayLike, ...]:
    """What stands on each axis where there are no more places."""
    fills = given if isinstance(given, tuple) else (0 if given is None else given,) * rank
    if len(fills) != rank:
        raise mistake(ArgumentError, "nonzero", f"{len(fills)} values to fill with for "
                      f"{count(rank, 'axis')}", hint="fill_value=..., one number or one an axis")
    return fills


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
        return reshape(counting((0,), 0, dt.default_int()), (int(known_mask("argwhere", a)), 0))
    return concatenate([reshape(p, (shape_of(p)[0], 1)) for p in places], 1)


def compress(condition: ArrayLike, a: ArrayLike, axis: int | None = None, *,
             size: int | None = None, fill_value: ArrayLike = 0, out: None = None) -> Array:
    """The slices along an axis at which a condition holds; the condition is known or `size` is.

    With `size`, the first `size` of them; `fill_value` behind them if there are fewer.

    >>> jnp.compress(jnp.array([True, False, True]), jnp.arange(3))
    Array([0, 2], dtype=int32)
    """
    refuse_out("compress", out)
    a, condition = operand("compress", a), operand("compress", condition)
    if axis is None:
        a, axis = ravel(a), 0
    axis = as_axis("compress", axis, len(shape_of(a)))
    if size is None:
        return take(a, np.flatnonzero(known_mask("compress", condition)), axis)
    n = shape_of(a)[axis]
    kept, = nonzero(getitem(condition, slice(0, n)), size=size, fill_value=n)
    return take(a, kept, axis, mode="fill", fill_value=fill_value)


def extract(condition: ArrayLike, arr: ArrayLike, *, size: int | None = None,
            fill_value: ArrayLike = 0) -> Array:
    """The elements at which a condition holds, as one axis; `size` as in `compress`.

    >>> jnp.extract(jnp.arange(4) > 1, jnp.arange(4))
    Array([2, 3], dtype=int32)
    """
    return compress(ravel(condition), arr, size=size, fill_value=fill_value)


# -- by index --------------------------------------------------------------------------------------


def take(a: ArrayLike, indices: ArrayLike, axis: int | None = None, out: None = None,
         mode: str | None = None, *, unique_indices: bool = False,
         indices_are_sorted: bool = False, fill_value: ArrayLike | None = None) -> Array:
    """The slices of `a` at these indices along an axis, or elements of the flattened array.

    A known index out of bounds raises OutOfBoundsError; `mode` is "clip", "wrap" or "fill" (with
    `fill_value`, else nan or the lowest integer), which is what a traced one does, as in JAX.

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
    return _take(a, indices, axis, _mode_for(indices, mode), fill_value)


def _mode_for(indices: Array, mode: str | None) -> str | None:
    """`mode`; where none is given and indices are traced, what none of them finds is nan."""
    unchecked = mode is None and known(indices) is None and config.index_mode != "raise"
    return "fill" if unchecked else mode


@one_program(2)
def _take(a: Array, indices: Array, axis: int, mode: str | None,
          fill_value: ArrayLike | None) -> Array:
    """The slices at indices that were checked if they are known."""
    if mode == "clip":  # which here, as in NumPy, takes negative indices to 0
        last = like(indices, max(shape_of(a)[axis] - 1, 0))
        indices = ew.clamp(like(indices, 0), indices, last)
    return getitem(a, (slice(None),) * axis + (indices,), mode, fill_value)


def take_along_axis(arr: ArrayLike, indices: ArrayLike, axis: int | None = -1,
                    mode: str | None = None, fill_value: ArrayLike | None = None, *,
                    wrap_negative_indices: bool | None = None) -> Array:
    """For each place of `indices`, the element along the axis that it names; the others agree.

    `mode` as in `take`. Negative indices are counted from the end unless `wrap_negative_indices` is
    False, which leaves them out of bounds.

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
    wraps = wrap_negative_indices is not False
    if mode in (None, "promise_in_bounds") and (array := known(indices)) is not None:
        check_bounds("take_along_axis", type_of(arr), axis, array, wraps)
    return _take_along_axis(arr, indices, axis, _mode_for(indices, mode), fill_value, wraps)


@one_program(2)
def _take_along_axis(arr: Array, indices: Array, axis: int, mode: str | None,
                     fill_value: ArrayLike | None, wraps: bool) -> Array:
    """The elements at indices that were checked if they are known."""
    x, i, axis = _aligned("take_along_axis", arr, indices, axis)
    n = shape_of(x)[axis]
    i = wide_enough(i, n)
    if mode in (None, "promise_in_bounds"):
        check_places("take_along_axis", type_of(x), axis, i, wraps)
    if wraps:
        i = ew.select(ew.compare(i, like(i, 0), direction="LT"), ew.add(i, like(i, n)), i)
    others = tuple(d for d in range(len(shape_of(x))) if d != axis)
    found = ix.gather(
        x, i, offset_dims=(), collapsed_slice_dims=(axis,), operand_batching_dims=others,
        start_indices_batching_dims=others, start_index_map=(axis,),
        index_vector_dim=len(shape_of(i)), slice_sizes=tuple(min(1, m) for m in shape_of(x)))
    if mode != "fill":
        return found
    inside = ew.and_(ew.compare(i, like(i, 0), direction="GE"),
                     ew.compare(i, like(i, n), direction="LT"))
    return where(inside, found, like(found, outside(type_of(found).dtype, fill_value)))


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
    """`a` with `val` on its main diagonal, its elements one after another; a new array.

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
    return Updates(a)[(np.arange(n),) * len(shape_of(a))].set(_in_turn("fill_diagonal", a, val, n))


def _in_turn(op: str, a: Array, values: ArrayLike, n: int) -> Array:
    """n values for `a`: the given ones from the first on, as often as it takes; or one for all."""
    values = operand(op, values, type_of(a).dtype)
    if not shape_of(values):
        return values
    flat = ravel(values)
    m = shape_of(flat)[0]
    if not n:
        return getitem(flat, slice(0, 0))
    if not m:
        raise mistake(ArgumentError, op, "there are no values", operands=[type_of(values)],
                      hint="one value at least")
    return flat if n == m else getitem(flat, np.arange(n) % m)


def put(a: ArrayLike, ind: ArrayLike, v: ArrayLike, mode: str | None = None, *,
        inplace: bool = False) -> Array:
    """`a` with values at these places of the flattened array, from the first on again if need be.

    It is a new array. `mode` as in `.at[...]`, but that "clip" takes negative places to 0.

    >>> jnp.put(jnp.arange(4), jnp.array([1]), 9, inplace=False)
    Array([0, 9, 2, 3], dtype=int32)
    """
    if inplace:
        raise mistake(ArgumentError, "put", "inplace=True, but arrays cannot be changed",
                      hint="inplace=False, and use the result")
    a, ind = operand("put", a), ravel(operand("put", ravel(ind)))
    if dt.is_bool(type_of(ind).dtype):
        raise mistake(DtypeError, "put", "the places are bool, not integers",
                      operands=[type_of(a), type_of(ind)], hint="jnp.where(mask, values, a)")
    if not math.prod(shape_of(v)):
        return literal(a)  # as in NumPy
    values = _in_turn("put", a, v, shape_of(ind)[0])
    # NumPy's way to clip takes negative places to 0
    return reshape(Updates(ravel(a))[ind].set(
        values, mode=mode, wrap_negative_indices=mode != "clip"), shape_of(a))


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


def _unraveled(i: Array, sizes: Sequence[int]) -> list[Array]:
    """Places in a flattened array that are inside of it, as an index for each axis."""
    results = []
    for n in reversed(sizes):
        m = like(i, n or 1)
        results.append(ew.remainder(i, m))
        i = ew.divide(i, m)
    return results[::-1]


def unravel_index(indices: ArrayLike, shape: Any) -> tuple[Array, ...]:
    """Places in the flattened array as an index for each axis of `shape`.

    Negative ones are counted from the end; what is out of bounds is the nearest place. The dtype is
    that of the indices, if it can hold the sizes.

    >>> jnp.unravel_index(jnp.array([5]), (2, 3))
    (Array([1], dtype=int32), Array([2], dtype=int32))
    """
    given = operand("unravel_index", indices)
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) or shape_of(shape) else (shape,)
    dtype = type_of(given).dtype
    check_kind("unravel_index", dtype, "iu", given)
    if any([known(n) is None for n in sizes]):
        return tuple(convert(i, dtype) for i in _unraveled_by_traced(given, sizes))
    sizes = tuple([concrete_int("unravel_index", n) for n in sizes])
    total = math.prod(sizes)
    i = wide_enough(given, total)
    if not dt.is_unsigned(dtype):
        i = ew.select(ew.compare(i, like(i, 0), direction="LT"), ew.add(i, like(i, total)), i)
    i = ew.clamp(like(i, 0), i, like(i, (total or 1) - 1))
    fits = not sizes or sorted(sizes)[-1] - 1 <= dt.iinfo(dtype).max
    return tuple(convert(found, dtype) if fits else found for found in _unraveled(i, sizes))


def _unraveled_by_traced(i: Array, sizes: Sequence[Any]) -> list[Array]:
    """The same for sizes that are known at run time only."""
    total = reduce(multiply, sizes)
    i = wide_enough(i, 1)
    i = clip(where(less(i, 0), add(i, total), i), 0, subtract(total, 1))
    results = []
    for n in reversed(sizes):
        results.append(mod(i, n))
        i = floor_divide(i, n)
    return results[::-1]


def ravel_multi_index(multi_index: Sequence[ArrayLike], dims: Sequence[int], mode: str = "raise",
                      order: str = "C", *, dtype: Any = None) -> Array:
    """An index for each axis as places in the flattened array; the inverse of `unravel_index`.

    An index out of bounds raises OutOfBoundsError where it is known; `mode` "clip" takes the
    nearest, "wrap" counts round, "ignore" looks at none. Raises ArgumentError where the dtype,
    that of the indices unless another is given, cannot hold the places.

    >>> jnp.ravel_multi_index((jnp.array([1]), jnp.array([2])), (2, 3))
    Array([5], dtype=int32)
    """
    op = "ravel_multi_index"
    if mode not in ("raise", "clip", "wrap", "ignore") or order not in ("C", "F"):
        raise mistake(ArgumentError, op, f"mode = {mode!r}, order = {order!r}",
                      hint="'raise', 'clip', 'wrap' or 'ignore'; 'C' or 'F'")
    common = promote(op, *multi_index)
    parts = broadcast_all(op, [ew.strong(_on_axis(op, i, n, mode)) for i, n in zip(common, dims)])
    wanted = type_of(parts[0]).dtype if dtype is None else dt.dtype(dtype, op=op)
    check_kind(op, wanted, "iu")
    if math.prod(dims) - 1 > dt.iinfo(wanted).max:
        raise mistake(ArgumentError, op, f"{dt.name(wanted)} does not hold the {math.prod(dims)} "
                      "places", hint="dtype=..., one that is wide enough")
    pairs = list(zip((convert(i, wanted) for i in parts), dims))[::1 if order == "C" else -1]
    result = like(pairs[0][0], 0)
    for i, n in pairs:  # where the dtype does not hold n, all other axes have size 1
        result = ew.add(ew.multiply(result, like(result, n)) if n <= dt.iinfo(wanted).max
                        else result, i)
    return result


def _on_axis(op: str, i: Array, n: int, mode: str) -> Array:
    """An index of an axis of size n, whose bounds are looked at as `mode` says."""
    check_kind(op, type_of(i).dtype, "iu", i)
    array = known(i)
    if mode == "raise" and array is not None and array.size and not (
            0 <= array.min() and array.max() < n):
        wrong = array.min() if array.min() < 0 else array.max()
        raise mistake(OutOfBoundsError, op, f"index {wrong} is out of bounds for a size of "
                      f"{n}", operands=[type_of(i)], hint=f"0 to {n - 1}, or mode='clip' or 'wrap'")
    most = like(i, sorted((n - 1, int(dt.iinfo(type_of(i).dtype).max)))[0])
    if mode == "clip":
        return ew.clamp(like(i, 0), i, most)
    if mode == "wrap" and n - 1 < dt.iinfo(type_of(i).dtype).max:
        return mod(i, like(i, n))
    return i


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
