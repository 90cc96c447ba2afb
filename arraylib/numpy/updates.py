"""x.at[...]: arrays equal to x but for what an index names."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, DtypeError, mistake
from arraylib.hlo.ir import Value, known, type_of
from arraylib.hlo.ops import (
    dynamic as dy,
    elementwise as ew,
    indexed as ix,
    shape as sh,
    structured as st,
)
from arraylib.hlo.ops.constant import iota
from arraylib.numpy.elements import updated
from arraylib.numpy.elementwise import like, negative, power
from arraylib.numpy.indexing import (
    MODES,
    Cut,
    Index,
    Ints,
    getitem,
    in_bounds,
    index_vectors,
    start_scalars,
    understand,
    window,
    window_dims,
    wrapped,
)
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    broadcast,
    common_dtype,
    converted,
    joint_shape,
    operand,
    own_type,
    shape_of,
    splat,
)
from arraylib.on_demand import module
from arraylib.record import record

Hints = dict[str, Any]
_HINTS = ("wrap_negative_indices", "unique_indices", "indices_are_sorted", "out_sharding")
_COMBINE: dict[str, Callable[[Any, Any], Any]] = {
    "set": lambda old, new: new, "add": ew.add, "multiply": ew.multiply, "minimum": ew.minimum,
    "maximum": ew.maximum}


@record
class Updates:
    """`x.at`: index it, then say what is to be done there."""

    array: Any

    def __getitem__(self, index: Any) -> Update:
        return Update(self.array, index)


@record
class Update:
    """`x.at[index]`. Each method returns a new array; x keeps its values.

    A known index out of bounds raises OutOfBoundsError. `mode` says what a traced one does, or a
    known one if `mode` is given: "drop" (also None and "fill") leaves the update out, "clip" takes
    the nearest place, "wrap" counts round, "promise_in_bounds" leaves it open. An index that occurs
    several times is added (multiplied, ...) several times; the last one is set. Negative integers
    are counted from the end unless `wrap_negative_indices=False`, which leaves them out of bounds.
    `unique_indices=True`, that no element is named twice, gives products and `apply` a derivative
    and speed; `indices_are_sorted` and `out_sharding` change nothing.

        x.at[2].set(5.0)      x.at[:, rows].add(y)      x.at[mask].min(0)
    """

    array: Any
    index: Any

    def get(self, *, mode: str | None = None, fill_value: ArrayLike | None = None,
            **hints: Any) -> Array:
        """x[index]; out of bounds "fill" gives `fill_value` (nan or an extreme integer)."""
        _check_mode("at.get", mode)
        return getitem(self.array, self.index, mode, fill_value, _wraps("at.get", hints))

    def set(self, values: ArrayLike, *, mode: str | None = None, **hints: Any) -> Array:
        """x with `values` at the index."""
        return _update("at.set", "set", self, values, mode, hints)

    def add(self, values: ArrayLike, *, mode: str | None = None, **hints: Any) -> Array:
        """x with `values` added at the index."""
        return _update("at.add", "add", self, values, mode, hints)

    def subtract(self, values: ArrayLike, *, mode: str | None = None, **hints: Any) -> Array:
        """x with `values` subtracted at the index."""
        values = converted("at.subtract", values, _target("at.subtract", self.array, values))
        return _update("at.subtract", "add", self, negative(values), mode, hints)

    def multiply(self, values: ArrayLike, *, mode: str | None = None, **hints: Any) -> Array:
        """x multiplied by `values` at the index."""
        return _update("at.multiply", "multiply", self, values, mode, hints)

    mul = multiply

    def divide(self, values: ArrayLike, *, mode: str | None = None, **hints: Any) -> Array:
        """x divided by `values` at the index."""
        return ew.divide(self.array, self._among_ones("at.divide", values, mode, hints))

    def power(self, values: ArrayLike, *, mode: str | None = None, **hints: Any) -> Array:
        """x to the power of `values` at the index."""
        return power(self.array, self._among_ones("at.power", values, mode, hints))

    def min(self, values: ArrayLike, *, mode: str | None = None, **hints: Any) -> Array:
        """x with the smaller of itself and `values` at the index."""
        return _update("at.min", "minimum", self, values, mode, hints)

    def max(self, values: ArrayLike, *, mode: str | None = None, **hints: Any) -> Array:
        """x with the larger of itself and `values` at the index."""
        return _update("at.max", "maximum", self, values, mode, hints)

    def apply(self, function: Callable[[Array], Array], *, mode: str | None = None,
              **hints: Any) -> Array:
        """x with `function` applied at the index, as often as each element occurs in it.

        Where one may occur several times it goes from one to the next: unless the index is known,
        or `unique_indices=True` says that none does.
        """
        index = understand("at.apply", self.array, self.index,
                           mode in (None, "promise_in_bounds"), _wraps("at.apply", hints))
        if hints.get("unique_indices") or _is_distinct(index, mode):
            return self.set(function(self.get(mode=mode, **hints)), mode=mode, **hints)
        return _applied_in_turn(self, function, mode, hints)

    def _among_ones(self, op: str, values: ArrayLike, mode: str | None, hints: Hints) -> Array:
        ones = like(self.array, 1)
        return _update(op, "multiply", Update(ones, self.index), values, mode, hints)


def _is_distinct(index: Index, mode: str | None) -> bool:
    """Whether it is known that no element is named twice."""
    index = wrapped(index) if mode == "wrap" else index
    arrays = [np.clip(i, 0, index.type.shape[axis] - 1) if mode == "clip" and known(i) is not None
              else i for axis, i in index.arrays.items()]
    picks = joint_shape("at.apply", [shape_of(i) for i in arrays])
    if not arrays or math.prod(picks) < 2:
        return True
    if not all(isinstance(i, np.ndarray) for i in arrays):
        return False
    vectors = np.stack([np.broadcast_to(i, picks).ravel() for i in arrays])
    return len(np.unique(vectors, axis=1).T) == math.prod(picks)


def _applied_in_turn(at: Update, function: Callable[[Array], Array], mode: str | None,
                     hints: Hints) -> Array:
    """What `apply` gives, by a loop over the places."""
    shape = shape_of(at.array)
    n = math.prod(shape)
    numbers = st.reshape(iota(shape=(n,), dimension=0, dtype=dt.index_dtype(n + 1)), shape=shape)
    outside = "fill" if mode in (None, "drop") else mode
    places = Update(numbers, at.index).get(mode=outside, fill_value=n, **hints)

    def step(flat: Array, place: Array) -> tuple[Array, None]:
        new = function(getitem(flat, place, mode="clip"))
        return Update(flat, place).set(new, mode="drop"), None

    flat = st.reshape(at.array, shape=(n,))
    places = st.reshape(places, shape=(math.prod(shape_of(places)),))
    changed = module("tracing.control").scan(step, flat, places)[0]
    return st.reshape(changed, shape=shape)


def _wraps(op: str, hints: Hints) -> bool:
    """Whether negative indices are counted from the end; ArgumentError for unknown keywords."""
    for name in hints.keys() - _HINTS:
        raise mistake(ArgumentError, op, f"there is no {name}=", hint=", ".join(_HINTS))
    return hints.get("wrap_negative_indices") is not False


def _check_mode(op: str, mode: str | None) -> None:
    if mode not in MODES:
        raise mistake(ArgumentError, op, f"mode = {mode!r}",
                      hint="one of " + ", ".join(repr(m) for m in MODES))


def _target(op: str, x: Array, values: ArrayLike) -> dt.Dtype:
    """The dtype of x, if `values` may become that without losing what they are."""
    dtype, given = type_of(x).dtype, common_dtype(op, values)
    order = "biufc"
    joint = common_dtype(op, x, values)
    lost = dt.kind(joint) != dt.kind(dtype) and order.index(dt.kind(joint)) > 2
    if lost or dt.is_bool(dtype) and not dt.is_bool(given):
        raise mistake(DtypeError, op, f"{dt.name(given)} values do not fit an array of "
                      f"{dt.name(dtype)}", operands=[type_of(x)],
                      hint="convert the array with x.astype(...), or the values")
    return dtype


def _update(op: str, kind: str, at: Update, values: ArrayLike, mode: str | None,
            hints: Hints) -> Array:
    _check_mode(op, mode)
    x, wraps = at.array, not hints or _wraps(op, hints)
    if mode is None and wraps and (quick := updated(kind, x, at.index, values)) is not None:
        return quick
    values = converted(op, values, _target(op, x, values))
    mask = _single_mask(at.index)
    if mask is not None and len(shape_of(mask)) + len(shape_of(values)) <= len(shape_of(x)):
        return _where_mask(op, kind, x, mask, values)
    index = understand(op, x, at.index, mode in (None, "promise_in_bounds"), wraps)
    index = wrapped(index) if mode == "wrap" else index
    values = broadcast(op, values, index.shape)
    if 0 in index.shape:
        return x
    if not index.arrays:
        return _write(x, index, kind, st.reshape(values, shape=tuple(c.size for c in index.cuts)),
                      mode)
    if index.whole:
        return _scatter(x, index, kind, values, mode, hints)
    part = window(x, index)
    inner = st.reshape(part, shape=tuple(c.size for c in index.cuts if not c.gone))
    changed = _scatter(inner, index, kind, values, mode, hints)
    return _write(x, index, "set", st.reshape(changed, shape=shape_of(part)), mode)


# -- by a mask -------------------------------------------------------------------------------------


def _single_mask(index: Any) -> Any:
    """A boolean array that is the whole index and is not known, for which a choice will do."""
    if own_type(index) is None or not isinstance(index, Value):
        return None
    is_mask = dt.is_bool(index.type.dtype) and index.type.shape
    return index if is_mask and known(index) is None else None


def _where_mask(op: str, kind: str, x: Array, mask: Array, values: Array) -> Array:
    """The same values wherever the mask is true need no index: choose element by element."""
    shape = shape_of(x)
    if shape_of(mask) != shape[:len(shape_of(mask))]:
        raise mistake(ArgumentError, op, f"a mask of shape {shape_of(mask)} for an array of shape "
                      f"{shape}", operands=[type_of(x), type_of(mask)],
                      hint="jnp.broadcast_to(mask, x.shape), or x.at[mask] with a mask of that "
                           "shape")
    wide = st.broadcast_in_dim(mask, shape=shape,
                               broadcast_dimensions=tuple(range(len(shape_of(mask)))))
    return ew.select(wide, _COMBINE[kind](x, broadcast(op, values, shape)), x)


# -- into a window ---------------------------------------------------------------------------------


def _write(x: Array, index: Index, kind: str, values: Array, mode: str | None) -> Array:
    """x with its window combined with values of the window's shape."""
    if any(c.step != 1 and c.size > 1 for c in index.cuts):
        return _write_apart(x, index, kind, values, mode)
    static = [c.start for c in index.cuts]
    if index.whole:
        return _COMBINE[kind](x, values)
    inside = in_bounds(index, index.starts) if mode in (None, "drop", "fill") else None
    if kind != "set" or inside is not None:
        old = window(x, index)
        values = _COMBINE[kind](old, values)
        if inside is not None:
            values = ew.select(broadcast("at", inside, shape_of(old)), values, old)
    return dy.dynamic_update_slice(x, values, *start_scalars(index, len(static), static))


def _write_apart(x: Array, index: Index, kind: str, values: Array, mode: str | None) -> Array:
    """x with a window that has gaps combined with values; a scalar start is taken first."""
    if not index.starts:
        return _write_strided(x, index, kind, values)
    cuts = tuple(c if i in index.starts else Cut(0, n, 1)
                 for i, (c, n) in enumerate(zip(index.cuts, index.type.shape)))
    moved = replace(index, cuts=cuts)
    part = window(x, moved)
    inside = replace(index, type=type_of(part), starts={})
    return _write(x, moved, "set", _write_strided(part, inside, kind, values), mode)


def _write_strided(x: Array, index: Index, kind: str, values: Array) -> Array:
    """Values spread out by padding between them, and chosen where a padded mask is true."""
    moved = tuple(i for i, c in enumerate(index.cuts) if c.step < 0)
    values = sh.reverse(values, dimensions=moved) if moved else values
    cuts, sizes = index.cuts, index.type.shape
    low = tuple(c.start + (c.size - 1) * min(c.step, 0) if c.size else 0 for c in cuts)
    interior = tuple(abs(c.step) - 1 if c.size > 1 else 0 for c in cuts)
    reach = [c.size and (c.size - 1) * (i + 1) + 1 for c, i in zip(cuts, interior)]
    high = tuple(n - a - r for n, a, r in zip(sizes, low, reach))
    spread = {"low": low, "high": high, "interior": interior}
    dtype = type_of(x).dtype
    padded = sh.pad(values, np.zeros((), dtype), **spread)
    if kind == "add":
        return ew.add(x, padded)
    mask = sh.pad(splat(True, dt.bool_, shape_of(values)), np.zeros((), np.bool_), **spread)
    return ew.select(mask, _COMBINE[kind](x, padded), x)


# -- at index arrays -------------------------------------------------------------------------------


def _scatter(x: Array, index: Index, kind: str, values: Array, mode: str | None,
             hints: Hints) -> Array:
    arrays = list(index.arrays.values())
    if mode == "clip":
        sizes = [index.type.shape[a] for a in index.arrays]
        arrays = [_clipped(i, n) for i, n in zip(arrays, sizes)]
    vectors, picked = index_vectors(arrays)
    axes = tuple(index.kept.index(a) for a in index.arrays)
    rest = [n for i, n in enumerate(shape_of(x)) if i not in axes]
    # what its derivative by the values needs; the others do without the promise
    unique = kind == "multiply" and bool(hints.get("unique_indices"))
    shape: Ints = (*rest[:index.place], *picked, *rest[index.place:])
    return ix.scatter(
        x, vectors, st.reshape(values, shape=shape), kind=kind,
        **window_dims("update_window_dims", len(shape_of(x)), len(picked), axes, index.place),
        inserted_window_dims=axes, input_batching_dims=(), scatter_indices_batching_dims=(),
        scatter_dims_to_operand_dims=axes, index_vector_dim=len(picked), unique_indices=unique)


def _clipped(i: Array, size: int) -> Array:
    i = operand("at", i)
    return ew.clamp(like(i, 0), i, like(i, max(size - 1, 0)))
