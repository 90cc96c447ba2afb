"""What stands in x[...]: understood once, then read by `getitem` and written by `updates`.

An index is taken apart in two stages. The *window* is what integers and slices cut out: static
slices, never a gather. Index arrays then pick from the window. A scalar that is known at run time
only moves the window (dynamic_slice) if it stands alone, and counts as an index array if it stands
among others. Boolean masks become index arrays where they are known.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import (
    ArgumentError,
    DtypeError,
    OutOfBoundsError,
    TracedIndexError,
    TraceError,
    count,
    mistake,
)
from arraylib.hlo.ir import Type, Value, is_weak, known, type_of
from arraylib.hlo.ops import (
    dynamic as dy,
    elementwise as ew,
    indexed as ix,
    shape as sh,
    structured as st,
)
from arraylib.numpy.bounds import check_places
from arraylib.numpy.creation import asarray
from arraylib.numpy.elements import picked
from arraylib.numpy.elementwise import like
from arraylib.numpy.promotion import (
    Array,
    broadcast,
    convert,
    joint_shape,
    literal,
    operand,
    own_type,
    shape_of,
    splat,
    weak_splat,
)
from arraylib.numpy.slices import Slice
from arraylib.record import record

Ints = tuple[int, ...]
MODES = (None, "promise_in_bounds", "clip", "drop", "fill", "wrap")


@record
class Cut:
    """start, start + step, ... along one axis, `size` of them; `gone` if by a single integer."""

    start: int
    size: int
    step: int
    gone: bool = False


@record
class Index:
    """An index of an array of type `type`.

    cuts: one an axis. starts: scalars known at run time only, by axis (`Cut.size` is 1 there).
    arrays: index arrays by axis; their axes are whole in the window. place: how many axes of the
    window stand before the axes of the index arrays in the result. shape: that of the result.
    """

    type: Type
    cuts: tuple[Cut, ...]
    starts: dict[int, Any]
    arrays: dict[int, Any]
    place: int
    shape: Ints

    @property
    def kept(self) -> Ints:
        """The axes that no integer takes away."""
        return tuple(i for i, c in enumerate(self.cuts) if not c.gone)

    @property
    def whole(self) -> bool:
        """Whether the window is the array itself."""
        return all(c.step == 1 and c.size == n and not c.gone
                   for c, n in zip(self.cuts, self.type.shape))

    @cached_property
    def slice(self) -> dict[str, Ints] | None:
        """The static slice that the window takes; None if it takes all."""
        sizes = self.type.shape
        low = [c.start + (c.size - 1) * min(c.step, 0) if c.size else 0 for c in self.cuts]
        steps = [abs(c.step) if c.size > 1 else 1 for c in self.cuts]
        limit = [a + (c.size - 1) * s + 1 if c.size else a
                 for a, c, s in zip(low, self.cuts, steps)]
        limit = [sizes[i] if i in self.starts else n for i, n in enumerate(limit)]
        if not any(low) and tuple(limit) == sizes and all(s == 1 for s in steps):
            return None
        return {"start": tuple(low), "limit": tuple(limit), "strides": tuple(steps)}

    @cached_property
    def turned(self) -> Ints:
        """The axes along which the window is read backwards."""
        return tuple(i for i, c in enumerate(self.cuts) if c.step < 0)


# -- understanding ---------------------------------------------------------------------------------


def understand(op: str, x: Array, index: Any, check: bool = True, wraps: bool = True) -> Index:
    """The parts of `index` on x; errors for what is not allowed or, if `check`, out of bounds.

    Negative integers are counted from the end if it `wraps`, and out of bounds otherwise.
    """
    items = index if isinstance(index, tuple) else (index,)
    key = _static_key(items)
    if key is None:
        return _understand(op, type_of(x), items, check, wraps)
    return _understand_static(op, type_of(x), key, check, wraps)


def _static_key(items: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The index in a form that can be hashed, if it is integers, slices, None and ... only."""
    key: list[Any] = []
    for item in items:
        if item.__class__ is slice:
            item = (item.start, item.stop, item.step)
            if not all(bound is None or bound.__class__ is int for bound in item):
                return None
        elif item is not None and item is not Ellipsis and item.__class__ is not int:
            return None
        key.append(item)
    return tuple(key)


@lru_cache(maxsize=1024)
def _understand_static(op: str, type: Type, key: tuple[Any, ...], check: bool,
                       wraps: bool) -> Index:
    items = tuple(slice(*item) if isinstance(item, tuple) else item for item in key)
    return _understand(op, type, items, check, wraps)


def _understand(op: str, type: Type, items: tuple[Any, ...], check: bool, wraps: bool) -> Index:
    entries = [_of_slice(op, type, entry, check, wraps) for entry in _expand(op, type, items)]
    has_arrays = any(kind == "array" for kind, _, _ in entries)
    cuts, starts, arrays = [], {}, {}
    for kind, axis, item in entries:
        if kind in _WITHOUT_AXIS:
            continue
        size = type.shape[axis]
        if kind == "slice":
            cuts.append(_slice_cut(op, item, size))
        elif kind == "int" and (check or (-size if wraps else 0) <= item < size):
            cuts.append(Cut(_int_start(op, type, axis, item, wraps), 1, 1, gone=True))
        elif kind == "window":
            starts[axis] = _from_front(op, type, axis, item.start, check, wraps)
            cuts.append(Cut(0, item.size, 1))
        elif kind != "array" and not has_arrays:
            if not size:
                raise mistake(OutOfBoundsError, op, f"an index for axis {axis} of size 0",
                              operands=[type], hint="the axis is empty")
            starts[axis] = _from_front(op, type, axis, item, check, wraps)
            cuts.append(Cut(0, 1, 1, gone=True))
        else:
            arrays[axis] = _from_front(op, type, axis, item, check, wraps)
            cuts.append(Cut(0, size, 1))
    place, shape = _layout(op, entries, cuts, arrays, has_arrays)
    return Index(type, tuple(cuts), starts, arrays, place, shape)


# "slice", "window", "int", "scalar", "array", "new", "truth" or "gap"; its axis; the item
Entry = tuple[str, int, Any]
_WITHOUT_AXIS = ("new", "ellipsis", "truth", "gap")


def _expand(op: str, type: Type, index: tuple[Any, ...]) -> list[Entry]:
    """One entry for each axis and each None, the Ellipsis and what is missing written out."""
    items = [_item(op, type, item) for item in index]
    taken = sum(_axes_of(kind, item) for kind, item in items)
    if taken > type.rank:
        raise mistake(OutOfBoundsError, op, f"{count(taken, 'index')} for an array with "
                      f"{count(type.rank, 'axis')}", operands=[type],
                      hint="one index an axis; None inserts an axis, ... stands for the rest")
    dots = [i for i, (kind, _) in enumerate(items) if kind == "ellipsis"]
    if len(dots) > 1:
        raise mistake(OutOfBoundsError, op, f"{len(dots)} ellipses ('...'), but there may be one",
                      operands=[type], hint="write a colon for each axis instead")
    at = dots[0] if dots else len(items)
    rest: list[tuple[str, Any]] = [("slice", slice(None))] * (type.rank - taken)
    if dots and not rest:
        rest = [("gap", None)]  # arrays on either side of it are not side by side
    items = [*items[:at], *rest, *items[at + len(dots):]]
    entries: list[Entry] = []
    axis = 0
    for kind, item in items:
        if kind == "mask":
            entries += [("array", axis + i, places) for i, places in
                        enumerate(_places_of_mask(op, type, axis, item))]
        else:
            entries.append((kind, axis, item))
        axis += _axes_of(kind, item)
    return entries


def _of_slice(op: str, type: Type, entry: Entry, check: bool, wraps: bool) -> Entry:
    """What a `Slice` comes to: a slice if its start is known, a window that moves, or an array."""
    kind, axis, item = entry
    if kind != "window":
        return entry
    n, reach = type.shape[axis], (item.size - 1) * item.stride + 1 if item.size else 0
    start = item.start if isinstance(item.start, int) else known(item.start)
    first = start if start is None or start >= 0 or not wraps else start + n
    if reach > n or first is not None and check and not 0 <= first <= n - reach:
        raise mistake(OutOfBoundsError, op, f"{item.size} elements from "
                      f"{'a traced place' if start is None else start} on, along axis {axis} of "
                      f"size {n}", operands=[type], hint="a slice that ends on the axis")
    if first is not None:
        first = int(np.clip(first, 0, n - reach))
        return "slice", axis, slice(first, first + reach, item.stride)
    if item.stride == 1:
        return entry
    low = _from_front(op, type, axis, item.start, False, wraps)
    low = ew.clamp(like(low, 0), low, like(low, n - reach))
    places = broadcast(op, low, (item.size,))
    return "array", axis, ew.add(places, literal(
        item.stride * np.arange(item.size, dtype=type_of(places).dtype)))


def _axes_of(kind: str, item: Any) -> int:
    """How many axes of the array an item of the index takes up."""
    return len(shape_of(item)) if kind == "mask" else int(kind not in _WITHOUT_AXIS)


def _item(op: str, type: Type, item: Any) -> tuple[str, Any]:
    """What kind of entry this is."""
    if item is None:
        return "new", None
    if item is Ellipsis:
        return "ellipsis", None
    if isinstance(item, slice):
        return "slice", item
    if isinstance(item, Slice):
        return "window", item
    if isinstance(item, (bool, np.bool_)):
        return "truth", bool(item)
    if isinstance(item, (int, np.integer)):
        return "int", int(item)
    if isinstance(item, (list, np.ndarray)):
        item = _of_list(item) if isinstance(item, list) else item
    elif own_type(item) is None:
        raise mistake(DtypeError, op, f"a {type_name(item)} is no index", operands=[type],
                      hint="integers, slices, None, ..., integer arrays or boolean masks")
    return _array_item(op, type, item)


def _of_list(item: list[Any]) -> Any:
    """A list of indices as an array; its elements may be traced."""
    if not item:
        return np.zeros(0, np.int32)
    try:
        return np.asarray(item)
    except TraceError:
        return asarray(item)


def type_name(x: Any) -> str:
    return x.__class__.__name__


def _array_item(op: str, type: Type, item: Any) -> tuple[str, Any]:
    own = type_of(item)
    if dt.is_bool(own.dtype) and own.rank:
        return "mask", item
    if dt.is_bool(own.dtype):
        array = known(item)
        if array is None:
            raise _untold(op, type, item)
        return "truth", bool(array)
    if not dt.is_integer(own.dtype):
        raise mistake(DtypeError, op, f"an index array is {dt.name(own.dtype)}, not integers",
                      operands=[type, own], hint="convert it with x.astype(int)")
    item = wide_enough(item)
    if own.rank:
        return "array", item
    return ("scalar", item) if isinstance(item, Value) else ("int", int(known(item)))


def wide_enough(indices: Array, size: int = 0) -> Array:
    """Indices as integers of at least 32 bits that can hold the size of the axis as well."""
    dtype = type_of(indices).dtype
    if not dt.is_integer(dtype):
        return indices
    if size > dt.iinfo(dtype).max and size > dt.iinfo(dt.int32).max:
        return convert(indices, dt.int64)
    return convert(indices, dt.int32) if dt.bits(dtype) < 32 else indices


def _untold(op: str, type: Type, mask: Any) -> Exception:
    """The error for a mask whose elements are not known."""
    return mistake(TracedIndexError, op, "how many elements a traced mask selects is not known",
                   operands=[type, type_of(mask)],
                   hint="jnp.where(mask, x, 0), which keeps the shape")


def _places_of_mask(op: str, type: Type, axis: int, mask: Any) -> Sequence[Any]:
    """A mask as one index array for each of its axes."""
    sizes = shape_of(mask)
    if sizes != type.shape[axis:axis + len(sizes)]:
        raise mistake(OutOfBoundsError, op, f"a mask of shape {sizes} for axes of sizes "
                      f"{type.shape[axis:axis + len(sizes)]}", operands=[type, type_of(mask)],
                      hint="a mask has the shape of the axes that it chooses from")
    array = known(mask)
    if array is None:
        raise _untold(op, type, mask)
    return [places.astype(dt.index_dtype(size)) for places, size in zip(np.nonzero(array), sizes)]


def _slice_cut(op: str, item: slice, size: int) -> Cut:
    try:
        start, stop, step = slice(*[_static(x) for x in (item.start, item.stop, item.step)]
                                  ).indices(size)
    except _Unknown:
        raise mistake(TracedIndexError, op, f"a slice with bounds known at run time only: "
                      f"{_slice_text(item)}",
                      hint="lax.dynamic_slice_in_dim(x, start, size), whose size is static, or "
                           "jnp.where with a mask") from None
    except TypeError:
        raise mistake(DtypeError, op, f"a bound of the slice {_slice_text(item)} is no integer",
                      hint="int(...), or // instead of / where it is computed") from None
    except ValueError:
        raise mistake(ArgumentError, op, "the step of a slice is 0",
                      hint="1 takes every element, -1 every one from the end") from None
    return Cut(start, len(range(start, stop, step)), step)


def _slice_text(item: slice) -> str:
    parts = [item.start, item.stop, *([] if item.step is None else [item.step])]
    return ":".join("" if x is None else str(x) if own_type(x) is None else str(type_of(x))
                    for x in parts)


class _Unknown(Exception):
    """A bound of a slice is traced."""


def _static(x: Any) -> int | None:
    """A bound of a slice as a Python int; _Unknown if it is traced, TypeError if it is none."""
    if x is None or isinstance(x, int):
        return x
    array = known(x) if own_type(x) is not None else np.asarray(x)
    if array is None:
        raise _Unknown
    return operator.index(array.item())


def _int_start(op: str, type: Type, axis: int, i: int, wraps: bool) -> int:
    size = type.shape[axis]
    if not (-size if wraps else 0) <= i < size:
        raise out_of_bounds(op, type, axis, i)
    return i % size


def out_of_bounds(op: str, type: Type, axis: int, i: int) -> Exception:
    size = type.shape[axis]
    return mistake(OutOfBoundsError, op,
                   f"index {i} is out of bounds for axis {axis} of size {size}", operands=[type],
                   hint=f"{-size} to {size - 1}, or .at[...].get(mode=...)" if size
                   else "the axis is empty")


def check_bounds(op: str, type: Type, axis: int, indices: np.ndarray[Any, Any],
                 wraps: bool = True) -> None:
    """OutOfBoundsError for an index not on its axis, counted from either end if it `wraps`."""
    size = type.shape[axis]
    if indices.size:
        for i in (int(indices.min()), int(indices.max())):
            if not (-size if wraps else 0) <= i < size:
                raise out_of_bounds(op, type, axis, i)


def _from_front(op: str, type: Type, axis: int, indices: Any, check: bool, wraps: bool) -> Any:
    """Indices with negative ones counted from the end if they wrap; checked if they are known."""
    size, array = type.shape[axis], known(indices)
    if array is not None and check:
        check_bounds(op, type, axis, array, wraps)
    if array is not None and not isinstance(indices, Value):
        places = array if dt.is_unsigned(array.dtype) or not wraps else np.where(
            array < 0, array.astype(np.int64) + size, array)
        return places.astype(np.int32 if _fit_int32(size, places) else np.int64)
    indices = wide_enough(indices, size)
    if check:
        check_places(op, type, axis, indices, wraps)
    if not wraps or dt.is_unsigned(type_of(indices).dtype):
        return indices
    negative = ew.compare(indices, like(indices, 0), direction="LT")
    return ew.select(negative, ew.add(indices, like(indices, size)), indices)


def _fit_int32(size: int, places: np.ndarray[Any, Any]) -> bool:
    limits = np.iinfo(np.int32)
    return size <= limits.max and bool(np.all((places >= limits.min) & (places <= limits.max)))


def _layout(op: str, entries: Sequence[Entry], cuts: Sequence[Cut], arrays: dict[int, Any],
            has_arrays: bool) -> tuple[int, Ints]:
    """Where the axes of the index arrays stand, and the shape of the result.

    They stand where the arrays stood if those were side by side (integers count as arrays then),
    and in front otherwise. A truth value counts as an array with one place, or with none.
    """
    sizes = [1 if kind in _WITHOUT_AXIS else cuts[axis].size for kind, axis, _ in entries]
    truths = [(int(item),) for kind, _, item in entries if kind == "truth"]
    if not has_arrays and not truths:
        return 0, tuple(n for (kind, _, _), n in zip(entries, sizes)
                        if kind in _KEPT)
    advanced = [i for i, (kind, _, _) in enumerate(entries) if kind in _ADVANCED]
    beside = advanced[-1] - advanced[0] + 1 == len(advanced)
    first = advanced[0] if beside else 0
    before = [(kind, n) for (kind, _, _), n in zip(entries[:first], sizes) if kind in _KEPT]
    after = [(kind, n) for (kind, _, _), n in zip(entries[first:], sizes[first:])
             if kind in _KEPT]
    picked = joint_shape(op, [*(shape_of(a) for a in arrays.values()), *truths])
    place = sum(kind in ("slice", "window") for kind, _ in before)
    return place, (*(n for _, n in before), *picked, *(n for _, n in after))


_KEPT = ("slice", "window", "new")
_ADVANCED = ("int", "scalar", "array", "truth")


# -- reading ---------------------------------------------------------------------------------------


def window(x: Array, index: Index) -> Array:
    """The window with all axes of x, those of single integers having size 1."""
    if index.slice is not None:
        x = sh.slice_(x, **index.slice)
    if index.starts:
        x = dy.dynamic_slice(x, *start_scalars(index, len(index.cuts)),
                             sizes=tuple(c.size for c in index.cuts))
    return sh.reverse(x, dimensions=index.turned) if index.turned else x


def start_scalars(index: Index, rank: int, static: Sequence[int] | None = None) -> list[Any]:
    """A start for each axis, as scalars of one integer dtype."""
    wide = any(dt.bits(type_of(s).dtype) > 32 for s in index.starts.values())
    dtype = dt.int64 if wide else dt.int32
    return [convert(index.starts[i], dtype) if i in index.starts
            else np.asarray(static[i] if static else 0, dtype) for i in range(rank)]


def index_vectors(arrays: Sequence[Any]) -> tuple[Any, Ints]:
    """Index arrays broadcast and joined as vectors along a new last axis; and their joint shape."""
    shape = joint_shape("index", [shape_of(a) for a in arrays])
    if all(isinstance(a, np.ndarray) for a in arrays):
        joined = np.stack([np.broadcast_to(a, shape) for a in arrays], axis=-1)
        return literal(joined), shape
    wide = any(dt.bits(type_of(a).dtype) > 32 for a in arrays)
    dtype = dt.int64 if wide else dt.int32
    columns = [st.reshape(broadcast("index", convert(a, dtype), shape), shape=(*shape, 1))
               for a in arrays]
    joined = columns[0] if len(columns) == 1 else sh.concatenate(*columns, dimension=len(shape))
    return joined, shape


def _squeezed(x: Array, shape: Ints) -> Array:
    return x if shape_of(x) == shape else st.reshape(x, shape=shape)


def getitem(x: Array, item: Any, mode: str | None = None, fill_value: Any = None,
            wraps: bool = True) -> Array:
    """x[item]. NumPy's rules; the result is a new array.

    A known index out of bounds raises OutOfBoundsError, an IndexError; a traced one reads the
    nearest element. `mode` (see `.at[...].get`) chooses another meaning. `wraps`: see `understand`.
    """
    if mode is None and wraps and (quick := picked(x, item)) is not None:
        return quick
    index = understand("index", x, item, mode in (None, "promise_in_bounds"), wraps)
    index = wrapped(index) if mode == "wrap" else index
    if 0 in index.shape:
        nothing = Type(index.type.dtype, index.shape)
        return weak_splat(0, nothing) if is_weak(x) else splat(0, nothing.dtype, nothing.shape)
    found = window(x, index)
    if index.arrays:
        found = _pick(_squeezed(found, tuple(c.size for c in index.cuts if not c.gone)), index)
    if mode in ("fill", "drop"):
        found = _filled(found, index, fill_value)
    return _squeezed(found, index.shape)


def _pick(x: Array, index: Index) -> Array:
    """The gather of the index arrays from the window."""
    vectors, shape = index_vectors(list(index.arrays.values()))
    axes = tuple(index.kept.index(a) for a in index.arrays)
    sizes = shape_of(x)
    return ix.gather(
        x, vectors, **window_dims("offset_dims", len(sizes), len(shape), axes, index.place),
        collapsed_slice_dims=axes, operand_batching_dims=(), start_indices_batching_dims=(),
        start_index_map=axes, index_vector_dim=len(shape),
        slice_sizes=tuple(min(1, n) if i in axes else n for i, n in enumerate(sizes)))


def window_dims(name: str, rank: int, picked: int, axes: Sequence[int],
                place: int) -> dict[str, Ints]:
    """The axes of the result along which windows lie: all but `picked` ones from `place` on."""
    total = rank - len(axes) + picked
    return {name: tuple(i for i in range(total) if not place <= i < place + picked)}


# -- indices out of bounds -------------------------------------------------------------------------


def wrapped(index: Index) -> Index:
    """The index with every place taken modulo its axis."""
    def wrap(axis: int, i: Any) -> Any:
        n = max(index.type.shape[axis], 1)
        if isinstance(i, np.ndarray):
            return i % n
        rest = ew.remainder(i, like(i, n))
        negative = ew.compare(rest, like(rest, 0), direction="LT")
        return ew.select(negative, ew.add(rest, like(rest, n)), rest)
    return Index(index.type, index.cuts, {a: wrap(a, i) for a, i in index.starts.items()},
                 {a: wrap(a, i) for a, i in index.arrays.items()}, index.place, index.shape)


def in_bounds(index: Index, places: dict[int, Any]) -> Any:
    """Whether each of the places, given by axis, is inside; None if there are none."""
    inside = None
    for axis, i in places.items():
        if axis in index.starts and not index.cuts[axis].gone:  # a window that is moved inside
            continue
        n = index.type.shape[axis]
        i = operand("index", i)
        here = ew.and_(ew.compare(i, like(i, 0), direction="GE"),
                       ew.compare(i, like(i, n), direction="LT"))
        inside = here if inside is None else _both(inside, here)
    return inside


def _both(x: Array, y: Array) -> Array:
    shape = joint_shape("index", [shape_of(x), shape_of(y)])
    return ew.and_(broadcast("index", x, shape), broadcast("index", y, shape))


def _filled(found: Array, index: Index, fill_value: Any) -> Array:
    """What was read, with `fill_value` where the index was out of bounds."""
    inside = in_bounds(index, index.arrays or index.starts)
    if inside is None:
        return found
    type = type_of(found)
    if index.arrays:
        picked = joint_shape("index", [shape_of(a) for a in index.arrays.values()])
        after = len(index.kept) - len(index.arrays) - index.place
        inside = st.reshape(broadcast("index", inside, picked), shape=(*picked, *(1,) * after))
    return ew.select(broadcast("index", inside, type.shape), found,
                     splat(outside(type.dtype, fill_value), type.dtype, type.shape))


def outside(dtype: dt.Dtype, given: Any = None) -> Any:
    """What is read out of bounds: nan, or the lowest integer (the highest unsigned one)."""
    if given is not None:
        if isinstance(given, (bool, int, float, np.generic)) and not dt.is_inexact(dtype):
            with np.errstate(invalid="ignore"):
                if np.asarray(given).astype(dtype) != given:
                    raise mistake(DtypeError, "index", f"fill_value = {given} is no {dtype.name}",
                                  hint="convert the array first: x.astype(float)")
        return given
    if dt.is_inexact(dtype):
        return np.nan
    if dt.is_bool(dtype):
        return True
    return int(dt.iinfo(dtype).max if dt.is_unsigned(dtype) else dt.iinfo(dtype).min)
