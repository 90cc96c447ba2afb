"""Sorting, and what sorting answers: ranks, and places among sorted numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew, shape as sh, sort as so
from arraylib.hlo.ops.top_k import top_k as top_k_op
from arraylib.numpy.complex_order import ordered
from arraylib.numpy.creation import counting
from arraylib.numpy.elementwise import isnan, less, like
from arraylib.numpy.indexing import getitem
from arraylib.numpy.layout import moveaxis, ravel, reshape
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axis,
    broadcast,
    convert,
    operand,
    promote,
    shape_of,
    splat,
)
from arraylib.numpy.reductions import any


def _flat(op: str, a: ArrayLike, axis: int | None) -> tuple[Array, int]:
    a = operand(op, a)
    if axis is None:
        return ravel(a), 0
    return a, as_axis(op, axis, len(shape_of(a)))


def sort(a: ArrayLike, axis: int | None = -1, *, kind: None = None, order: None = None,
         stable: bool = True, descending: bool = False) -> Array:
    """`a` in ascending order along an axis, nan last; always stable.

    >>> jnp.sort(jnp.array([3, 1, 2]))
    Array([1, 2, 3], dtype=int32)
    >>> jnp.sort(jnp.array([3, 1, 2]), descending=True)
    Array([3, 2, 1], dtype=int32)
    """
    x, along = _flat("sort", a, axis)
    result = so.sort(x, dimension=along, num_keys=1)[0]
    return sh.reverse(result, dimensions=(along,)) if descending else result


def argsort(a: ArrayLike, axis: int | None = -1, *, kind: None = None, order: None = None,
            stable: bool = True, descending: bool = False, dtype: Any = None) -> Array:
    """The indices along an axis that sort `a`, of `dtype`; equal elements keep their order.

    >>> jnp.argsort(jnp.array([3, 1, 2]))
    Array([1, 2, 0], dtype=int32)
    """
    x, along = _flat("argsort", a, axis)
    places = sorted_with_places(x, along, descending)[1]
    return places if dtype is None else convert(places, dt.dtype(dtype, op="argsort"))


def sorted_with_places(x: Array, axis: int, descending: bool = False) -> tuple[Array, Array]:
    """x sorted along an axis, and the places its elements come from."""
    n = shape_of(x)[axis]
    places = counting(shape_of(x), axis, dt.index_dtype(n))
    if not descending:
        return so.sort(x, places, dimension=axis, num_keys=1)
    # sorted backwards from the end, so that equal elements keep their order when turned round
    turned = sh.reverse(x, dimensions=(axis,))
    values, places = so.sort(turned, places, dimension=axis, num_keys=1)
    values, places = (sh.reverse(v, dimensions=(axis,)) for v in (values, places))
    return values, ew.subtract(like(places, n - 1), places)


def lexsort(keys: Sequence[ArrayLike] | Array, axis: int = -1) -> Array:
    """The indices that sort by the last key, equal elements by the last but one, and so on.

    >>> jnp.lexsort((jnp.array([2, 1, 1]), jnp.array([0, 1, 0])))
    Array([2, 0, 1], dtype=int32)
    """
    xs = [operand("lexsort", k) for k in keys]
    if not xs:
        raise mistake(ArgumentError, "lexsort", "no keys are given",
                      hint="at least one; the last is the first to sort by")
    if not shape_of(xs[0]) and axis in (0, -1):
        return splat(0, dt.default_int(), ())
    along = as_axis("lexsort", axis, len(shape_of(xs[0])))
    places = counting(shape_of(xs[0]), along, dt.index_dtype(shape_of(xs[0])[along]))
    return so.sort(*xs[::-1], places, dimension=along, num_keys=len(xs))[-1]


def sort_complex(a: ArrayLike) -> Array:
    """`a` sorted by real, then imaginary part, as complex numbers.

    >>> jnp.sort_complex(jnp.array([2 + 1j, 1 + 2j]))
    Array([1.+2.j, 2.+1.j], dtype=complex64)
    """
    a = operand("sort_complex", a)
    a = convert(a, dt.to_complex(type_of(a).dtype))
    axis = len(shape_of(a)) - 1
    return ew.complex_(*so.sort(ew.real(a), ew.imag(a), dimension=axis, num_keys=2))


def partition(a: ArrayLike, kth: int, axis: int = -1) -> Array:
    """`a` with its kth smallest along the axis in place, none larger before it: sorted, in fact.

    >>> jnp.partition(jnp.array([3, 1, 2]), 0)[0]
    Array(1, dtype=int32)
    """
    return sort(a, axis)


def argpartition(a: ArrayLike, kth: int, axis: int = -1) -> Array:
    """The indices that `partition` would take.

    >>> jnp.argpartition(jnp.array([3, 1, 2]), 1)[:1]
    Array([1], dtype=int32)
    """
    return argsort(a, axis)


@one_program()
def top_k(a: ArrayLike, k: int, axis: int = -1, *, mode: str = "largest",
          sorted: bool = True) -> tuple[Array, Array]:
    """The k largest along an axis in descending order, and their places; of equals the first.

    `mode` "smallest": the k smallest in ascending order. They are in order without `sorted`, too.

    >>> jnp.top_k(jnp.array([3, 1, 2]), 2)
    (Array([3, 2], dtype=int32), Array([0, 2], dtype=int32))
    """
    a = operand("top_k", a)
    along = as_axis("top_k", axis, len(shape_of(a)))
    n = shape_of(a)[along]
    if mode not in ("largest", "smallest"):
        raise mistake(ArgumentError, "top_k", f"mode = {mode!r}", hint="'largest' or 'smallest'")
    if not 0 <= k <= n:
        raise mistake(ShapeError, "top_k", f"k = {k} of axis {along} of size {n}",
                      operands=[type_of(a)], hint="k from 0 to that size")
    if mode == "smallest":
        kept = (slice(None),) * along + (slice(int(k)),)
        values, places = sorted_with_places(a, along)
        return getitem(values, kept), getitem(places, kept)
    values, places = top_k_op(moveaxis(a, along, -1), k=int(k))
    return moveaxis(values, -1, along), moveaxis(places, -1, along)


# -- places among sorted numbers -------------------------------------------------------------------


@one_program(2)
def searchsorted(a: ArrayLike, v: ArrayLike, side: str = "left", sorter: ArrayLike | None = None,
                 *, method: str = "scan") -> Array:
    """Where each of v would be inserted to keep the sorted vector `a` in order.

    `side` "left": before equal elements; "right": behind them. nan counts as the largest. `method`
    is a choice between algorithms in other libraries; here there is one.

    >>> jnp.searchsorted(jnp.array([1, 2, 4]), jnp.array([0, 2, 3]))
    Array([0, 1, 2], dtype=int32)
    """
    if side not in ("left", "right"):
        raise mistake(ArgumentError, "searchsorted", f"side = {side!r}", hint="'left' or 'right'")
    a, v = promote("searchsorted", a, v)
    if len(shape_of(a)) != 1:
        raise mistake(ShapeError, "searchsorted", f"{len(shape_of(a))} axes, but the sorted array "
                      "is a vector", operands=[type_of(a)],
                      hint="vmap over rows: vmap(jnp.searchsorted)(a, v)")
    a = a if sorter is None else getitem(a, operand("searchsorted", sorter))
    n = shape_of(a)[0]
    low = splat(0, dt.index_dtype(n), shape_of(v))
    high = like(low, n)
    for _ in range(n.bit_length()):
        middle = ew.shift_right_logical(ew.add(low, high), like(low, 1))
        probe = getitem(a, middle, mode="clip") if shape_of(v) else getitem(
            a, reshape(middle, (1,)), mode="clip")
        right = ew.and_(_goes_behind(reshape(probe, shape_of(v)), v, side),
                        ew.compare(low, high, direction="LT"))
        low, high = (ew.select(right, ew.add(middle, like(low, 1)), low),
                     ew.select(right, high, middle))
    return low


def _goes_behind(probe: Array, v: Array, side: str) -> Array:
    """Whether v belongs behind the probe; nan is above all numbers and equal to itself."""
    direction, dtype = "LT" if side == "left" else "LE", type_of(v).dtype
    compare = ordered(direction) if dt.is_complex(dtype) else partial(
        ew.compare, direction=direction)
    behind = compare(probe, v)
    if not dt.is_inexact(dtype):
        return behind
    return ew.or_(behind, ew.and_(isnan(v), ew.not_(isnan(probe))) if side == "left" else isnan(v))


@one_program(2)
def digitize(x: ArrayLike, bins: ArrayLike, right: bool = False, *,
             method: str | None = None) -> Array:
    """The number of the bin of each x, for edges in ascending or in descending order.

    An edge belongs to the bin above it, or with `right` to the one below it; `method` as in
    `searchsorted`.

    >>> jnp.digitize(jnp.array([0.5, 2.5]), jnp.array([1.0, 2.0, 3.0]))
    Array([0, 2], dtype=int32)
    """
    x, bins = promote("digitize", x, bins)
    side, n = "left" if right else "right", shape_of(bins)[0]
    rising = searchsorted(bins, x, side=side)
    if n < 2:
        return rising
    falling = searchsorted(sh.reverse(bins, dimensions=(0,)), x, side=side)
    ascends = ew.not_(less(getitem(bins, -1), getitem(bins, 0)))
    return ew.select(broadcast("digitize", ascends, shape_of(rising)), rising,
                     ew.subtract(like(falling, n), falling))


_FEW_TESTS = 64  # with more it is sooner to sort them and search


def _is_among_sorted(x: Array, tests: Array) -> Array:
    """Whether the first of the sorted tests that is not below x equals it; nan equals nothing."""
    place = searchsorted(tests, ravel(x))
    there = getitem(tests, place, mode="clip")
    return reshape(ew.compare(there, ravel(x), direction="EQ"), shape_of(x))


def isin(element: ArrayLike, test_elements: ArrayLike, assume_unique: bool = False,
         invert: bool = False, *, method: str = "auto") -> Array:
    """Whether each element is among the test elements; `method` as in `searchsorted`.

    >>> jnp.isin(jnp.arange(4), jnp.array([1, 3]))
    Array([False,  True, False,  True], dtype=bool)
    """
    x, tests = promote("isin", element, test_elements)
    flat = ravel(tests)
    if shape_of(flat)[0] > _FEW_TESTS and dt.kind(type_of(x).dtype) in "iuf":
        found = _is_among_sorted(x, sort(flat))
        return ew.not_(found) if invert else found
    grid = (*shape_of(x), shape_of(flat)[0])
    wide = broadcast("isin", reshape(x, (*shape_of(x), 1)), grid)
    found = any(ew.compare(wide, broadcast("isin", flat, grid), direction="EQ"), -1)
    return ew.not_(found) if invert else found
