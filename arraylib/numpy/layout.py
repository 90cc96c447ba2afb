"""Functions that change the shape: reshape, reorder axes, join and split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake, what_is
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import shape as sh, structured as st
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    Shape,
    as_axes,
    as_axis,
    as_shape,
    broadcast,
    broadcast_all,
    common_dtype,
    concrete_int,
    converted,
    literal,
    operand,
    operands,
    own_type,
    promote,
    refuse_out,
    shape_of,
)


def shape(a: ArrayLike) -> tuple[int, ...]:
    """The sizes of the axes of `a`.

    >>> jnp.shape(jnp.ones((2, 3)))
    (2, 3)
    """
    return shape_of(a)


def ndim(a: ArrayLike) -> int:
    """How many axes `a` has.

    >>> jnp.ndim(jnp.ones((2, 3)))
    2
    """
    return len(shape_of(a))


def size(a: ArrayLike, axis: int | Sequence[int] | None = None) -> int:
    """How many elements `a` has, or how many along some axes.

    >>> jnp.size(jnp.ones((2, 3)))
    6
    """
    sizes = shape_of(a)
    return math.prod(sizes[i] for i in as_axes("size", axis, len(sizes)))


# -- another shape, the same elements --------------------------------------------------------------


def reshape(a: ArrayLike, shape: Shape, order: str = "C", *, copy: bool | None = None) -> Array:
    """The elements of `a` in another shape; one size may be -1, worked out from the others.

    `order` "C" counts the last axis fastest, "F" the first. `copy` may be anything: arrays do not
    change, so that nobody can tell.

    >>> jnp.reshape(jnp.arange(6), (2, -1))
    Array([[0, 1, 2],
           [3, 4, 5]], dtype=int32)
    """
    a = operand("reshape", a)
    if order == "F":
        turned = transpose(a)
        return transpose(reshape(turned, _worked_out(a, shape)[::-1]))
    if order != "C":
        raise mistake(ArgumentError, "reshape", f"order = {order!r}", hint="'C' or 'F'")
    sizes = _worked_out(a, shape)
    return literal(a) if sizes == shape_of(a) else st.reshape(a, shape=sizes)


def _worked_out(a: Array, shape: Shape) -> tuple[int, ...]:
    """The shape with -1 replaced."""
    given = (shape,) if isinstance(shape, int) else tuple(shape)
    unknown = [i for i, n in enumerate(given) if isinstance(n, int) and n == -1]
    if not unknown:
        return as_shape("reshape", given)
    i = unknown[0]
    others = as_shape("reshape", given[:i] + given[i + 1:])
    type, known = type_of(a), math.prod(others)
    if known == 0 or type.size % known:
        raise mistake(ShapeError, "reshape", f"{type.size} elements are no multiple of the {known} "
                      f"of {given}", operands=[type], hint="-1 stands for a whole number")
    return (*others[:i], type.size // known, *others[i:])


def ravel(a: ArrayLike, order: str = "C") -> Array:
    """The elements of `a` in one axis.

    >>> jnp.ravel(jnp.array([[1, 2], [3, 4]]))
    Array([1, 2, 3, 4], dtype=int32)
    """
    return reshape(a, (-1,) if math.prod(shape_of(a)) else (0,), order)


def expand_dims(a: ArrayLike, axis: int | Sequence[int]) -> Array:
    """`a` with new axes of size 1, at these places of the result.

    >>> jnp.expand_dims(jnp.arange(3), 0).shape
    (1, 3)
    """
    a = operand("expand_dims", a)
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    rank = len(shape_of(a)) + len(given)
    new = as_axes("expand_dims", given, rank, "a result")
    rest = iter(shape_of(a))
    return st.reshape(a, shape=tuple(1 if i in new else next(rest) for i in range(rank)))


def squeeze(a: ArrayLike, axis: int | Sequence[int] | None = None) -> Array:
    """`a` without these axes, which have size 1; without all such axes for None.

    >>> jnp.squeeze(jnp.ones((1, 3, 1))).shape
    (3,)
    """
    a = operand("squeeze", a)
    sizes = shape_of(a)
    gone = as_axes("squeeze", axis, len(sizes)) if axis is not None else tuple(
        i for i, n in enumerate(sizes) if n == 1)
    for i in gone:
        if sizes[i] != 1:
            raise mistake(ShapeError, "squeeze", f"axis {i} has size {sizes[i]}, not 1",
                          operands=[type_of(a)], hint="squeeze takes axes of size 1; x[0] or "
                          "x.sum(axis) takes one away that is longer")
    kept = tuple(n for i, n in enumerate(sizes) if i not in gone)
    return literal(a) if kept == sizes else st.reshape(a, shape=kept)


def _at_least(op: str, rank: int, grow: Callable[[tuple[int, ...]], tuple[int, ...]],
              arrays: Sequence[ArrayLike]) -> Any:
    results = []
    for a in operands(op, arrays):
        sizes = shape_of(a)
        results.append(literal(a) if len(sizes) >= rank else st.reshape(a, shape=grow(sizes)))
    return results[0] if len(results) == 1 else results


def atleast_1d(*arys: ArrayLike) -> Any:
    """Scalars as arrays of one axis.

    >>> jnp.atleast_1d(3.0).shape
    (1,)
    """
    return _at_least("atleast_1d", 1, lambda s: (1,), arys)


def atleast_2d(*arys: ArrayLike) -> Any:
    """Scalars and vectors as matrices of one row.

    >>> jnp.atleast_2d(jnp.arange(3)).shape
    (1, 3)
    """
    return _at_least("atleast_2d", 2, lambda s: (1,) * (2 - len(s)) + s, arys)


def atleast_3d(*arys: ArrayLike) -> Any:
    """Arrays of fewer axes with axes of size 1 added as NumPy does.

    >>> jnp.atleast_3d(jnp.ones((2, 3))).shape
    (2, 3, 1)
    """
    grow = lambda s: {0: (1, 1, 1), 1: (1, *s, 1), 2: (*s, 1)}[len(s)]
    return _at_least("atleast_3d", 3, grow, arys)


def broadcast_to(array: ArrayLike, shape: Shape) -> Array:
    """`array` repeated to `shape`, along its axes of size 1 and new leading axes.

    >>> jnp.broadcast_to(jnp.arange(3), (2, 3))
    Array([[0, 1, 2],
           [0, 1, 2]], dtype=int32)
    """
    return literal(broadcast("broadcast_to", operand("broadcast_to", array),
                             as_shape("broadcast_to", shape)))


def broadcast_arrays(*args: ArrayLike) -> tuple[Array, ...]:
    """The arrays, repeated to their joint shape; each keeps its dtype.

    >>> x, y = jnp.broadcast_arrays(jnp.ones((2, 1)), jnp.ones(3))
    >>> x.shape, y.shape
    ((2, 3), (2, 3))
    """
    op = "broadcast_arrays"
    return tuple(literal(x) for x in broadcast_all(op, operands(op, args))) if args else ()


# -- the order of axes -----------------------------------------------------------------------------


def transpose(a: ArrayLike, axes: Sequence[int] | None = None) -> Array:
    """`a` with its axes in another order, reversed for None: axis i of the result is `axes[i]`.

    >>> jnp.transpose(jnp.ones((2, 3, 4)), (1, 0, 2)).shape
    (3, 2, 4)
    """
    a = operand("transpose", a)
    rank = len(shape_of(a))
    order = as_axes("transpose", axes, rank) if axes is not None else tuple(range(rank))[::-1]
    if len(order) != rank:
        raise mistake(ShapeError, "transpose", f"{len(order)} axes are named of {rank}",
                      operands=[type_of(a)],
                      hint="name each axis once, or pass none to reverse all")
    same = order == tuple(range(rank))
    return literal(a) if same else st.transpose(a, permutation=order)


permute_dims = transpose


def matrix_transpose(x: ArrayLike, /) -> Array:
    """x with its last two axes exchanged.

    >>> jnp.matrix_transpose(jnp.ones((5, 2, 3))).shape
    (5, 3, 2)
    """
    if len(shape_of(x)) < 2:
        raise mistake(ShapeError, "matrix_transpose", f"{len(shape_of(x))} axes, but a matrix has "
                      "2", operands=[type_of(x)],
                      hint="x.T reverses the axes of any array; x[:, None] makes a matrix")
    return swapaxes(x, -1, -2)


def swapaxes(a: ArrayLike, axis1: int, axis2: int) -> Array:
    """`a` with two axes exchanged.

    >>> jnp.swapaxes(jnp.ones((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    rank = len(shape_of(a))
    order = list(range(rank))
    i, j = (as_axis("swapaxes", axis, rank) for axis in (axis1, axis2))
    order[i], order[j] = order[j], order[i]
    return transpose(a, order)


def moveaxis(a: ArrayLike, source: int | Sequence[int], destination: int | Sequence[int]) -> Array:
    """`a` with the axes `source` moved to the places `destination`, the others in their order.

    >>> jnp.moveaxis(jnp.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    rank = len(shape_of(a))
    old, new = as_axes("moveaxis", source, rank), as_axes("moveaxis", destination, rank)
    if len(old) != len(new):
        raise mistake(ShapeError, "moveaxis", f"{len(old)} axes go to {len(new)} places",
                      hint="as many places as axes")
    order = [i for i in range(rank) if i not in old]
    for place, axis in sorted(zip(new, old)):
        order.insert(place, axis)
    return transpose(a, order)


def rollaxis(a: ArrayLike, axis: int, start: int = 0) -> Array:
    """`a` with one axis moved to stand before `start`.

    >>> jnp.rollaxis(jnp.ones((2, 3, 4)), 2).shape
    (4, 2, 3)
    """
    rank = len(shape_of(a))
    axis = as_axis("rollaxis", axis, rank)
    start = as_axis("rollaxis", start, rank) if start < 0 else start
    return moveaxis(a, axis, start - 1 if start > axis else start)


# -- joining ---------------------------------------------------------------------------------------


def concatenate(arrays: Sequence[ArrayLike] | Array, axis: int | None = 0,
                dtype: Any = None) -> Array:
    """The arrays joined along an axis, on which alone they may differ; flattened first for None.

    >>> jnp.concatenate([jnp.ones((1, 2)), jnp.zeros((1, 2))])
    Array([[1., 1.],
           [0., 0.]], dtype=float32)
    """
    xs = _promoted("concatenate", arrays, dtype)
    if axis is None:
        xs, axis = [ravel(x) for x in xs], 0
    if any(not shape_of(x) for x in xs):
        raise mistake(ShapeError, "concatenate", "a scalar has no axis to be joined along",
                      operands=[type_of(x) for x in xs], hint="jnp.stack adds an axis")
    axis = as_axis("concatenate", axis, len(shape_of(xs[0])))
    return literal(xs[0]) if len(xs) == 1 else sh.concatenate(*xs, dimension=axis)


concat = concatenate


def _promoted(op: str, arrays: Sequence[ArrayLike] | Array, dtype: Any) -> list[Array]:
    """A non-empty sequence of arrays in one dtype."""
    if own_type(arrays) is not None or isinstance(arrays, np.ndarray):
        arrays = [operand(op, row) for row in _rows(arrays)]  # type: ignore[arg-type]
    if not hasattr(arrays, "__len__") or isinstance(arrays, (set, frozenset)):
        raise mistake(ArgumentError, op, f"arrays in a row are needed, not {what_is(arrays)}",
                      hint="a list or tuple of arrays: list(...) makes one")
    if not len(arrays):
        raise mistake(ArgumentError, op, "no arrays are given", hint="at least one")
    if dtype is not None:
        return [converted(op, x, dt.dtype(dtype, op=op)) for x in arrays]
    xs = list(arrays)
    first = own_type(xs[0])
    if first is not None and all((t := own_type(x)) and t.dtype == first.dtype for x in xs):
        return xs
    return promote(op, *xs)


def _rows(x: Array) -> list[Array]:
    return [squeeze(part, 0) for part in split(x, shape_of(x)[0])] if shape_of(x) else [x]


def stack(arrays: Sequence[ArrayLike] | Array, axis: int = 0, out: None = None,
          dtype: Any = None) -> Array:
    """Arrays of one shape joined along a new axis.

    >>> jnp.stack([jnp.array([1, 2]), jnp.array([3, 4])])
    Array([[1, 2],
           [3, 4]], dtype=int32)
    """
    refuse_out("stack", out)
    xs = _promoted("stack", arrays, dtype)
    sizes = shape_of(xs[0])
    for i, x in enumerate(xs):
        if shape_of(x) != sizes:
            raise mistake(ShapeError, "stack", f"operand {i} has shape {shape_of(x)} but operand 0 "
                          f"has {sizes}", operands=[type_of(x) for x in xs],
                          hint="all have one shape; concatenate joins along an axis they have")
    axis = as_axis("stack", axis, len(sizes) + 1)
    wide = (*sizes[:axis], 1, *sizes[axis:])
    parts = [st.reshape(x, shape=wide) for x in xs]
    return parts[0] if len(parts) == 1 else sh.concatenate(*parts, dimension=axis)


def vstack(tup: Sequence[ArrayLike] | Array, dtype: Any = None) -> Array:
    """The arrays joined along their first axis, vectors as rows.

    >>> jnp.vstack([jnp.array([1, 2]), jnp.array([3, 4])])
    Array([[1, 2],
           [3, 4]], dtype=int32)
    """
    return concatenate([atleast_2d(x) for x in _promoted("vstack", tup, dtype)], 0)


def hstack(tup: Sequence[ArrayLike] | Array, dtype: Any = None) -> Array:
    """The arrays joined along their second axis; vectors along their only one.

    >>> jnp.hstack([jnp.array([1, 2]), jnp.array([3])])
    Array([1, 2, 3], dtype=int32)
    """
    xs = [atleast_1d(x) for x in _promoted("hstack", tup, dtype)]
    return concatenate(xs, 0 if len(shape_of(xs[0])) == 1 else 1)


def dstack(tup: Sequence[ArrayLike] | Array, dtype: Any = None) -> Array:
    """The arrays joined along their third axis.

    >>> jnp.dstack([jnp.array([1, 2]), jnp.array([3, 4])]).shape
    (1, 2, 2)
    """
    return concatenate([atleast_3d(x) for x in _promoted("dstack", tup, dtype)], 2)


def column_stack(tup: Sequence[ArrayLike] | Array) -> Array:
    """Vectors as the columns of a matrix.

    >>> jnp.column_stack([jnp.array([1, 2]), jnp.array([3, 4])])
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """
    xs = _promoted("column_stack", tup, None)
    return concatenate([x if len(shape_of(x)) > 1 else reshape(x, (-1, 1)) for x in xs], 1)


def append(arr: ArrayLike, values: ArrayLike, axis: int | None = None) -> Array:
    """`values` joined to the end of `arr`, both flattened if no axis is given.

    >>> jnp.append(jnp.array([1, 2]), jnp.array([3]))
    Array([1, 2, 3], dtype=int32)
    """
    return concatenate([arr, values], axis)


def block(arrays: Any) -> Array:
    """An array put together from nested lists of blocks: innermost along the last axis.

    >>> jnp.block([[jnp.eye(2), jnp.zeros((2, 1))], [jnp.ones((1, 3))]])
    Array([[1., 0., 0.],
           [0., 1., 0.],
           [1., 1., 1.]], dtype=float32)
    """
    depth = _depth(arrays)
    common = common_dtype("block", *_blocks(arrays))
    def build(item: Any, level: int) -> Array:
        if level == depth:
            x = literal(operand("block", item, common))
            lead = depth - len(shape_of(x))
            return reshape(x, (1,) * lead + shape_of(x)) if lead > 0 else x
        return concatenate([build(part, level + 1) for part in item], axis=level - depth)
    return build(arrays, 0)


def _blocks(x: Any) -> Iterator[Any]:
    if isinstance(x, list):
        for item in x:
            yield from _blocks(item)
    else:
        yield x


def _depth(x: Any) -> int:
    return 1 + _depth(x[0]) if isinstance(x, list) and x else 0


# -- splitting -------------------------------------------------------------------------------------


def cut(x: Array, axis: int, start: int, limit: int, step: int = 1) -> Array:
    """The part start:limit:step of x along one axis."""
    sizes = shape_of(x)
    if start == 0 and limit == sizes[axis] and step == 1:
        return literal(x)
    return sh.slice_(
        x, start=tuple(start if i == axis else 0 for i in range(len(sizes))),
        limit=tuple(limit if i == axis else n for i, n in enumerate(sizes)),
        strides=tuple(step if i == axis else 1 for i in range(len(sizes))))


def _split(op: str, x: ArrayLike, sections: Any, axis: int, even: bool) -> list[Array]:
    x = operand(op, x)
    axis = as_axis(op, axis, len(shape_of(x)))
    n = shape_of(x)[axis]
    if isinstance(sections, (int, np.integer)):
        count = int(sections)
        if count <= 0 or even and n % count:
            raise mistake(ShapeError, op, f"axis {axis} of size {n} cannot be split into {count} "
                          "equal parts", operands=[type_of(x)],
                          hint="a divisor, a list of places, or jnp.array_split")
        small, large = divmod(n, count)
        edges = [i * small + min(i, large) for i in range(count + 1)]
    else:
        places = [concrete_int(op, i) for i in sections]
        edges = [0, *[max(0, min(n, i + n if i < 0 else i)) for i in places], n]
    return [cut(x, axis, low, max(low, high)) for low, high in pairwise(edges)]


def split(ary: ArrayLike, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """Equal parts along an axis, or the parts between the given places.

    >>> jnp.split(jnp.arange(6), 3)
    [Array([0, 1], dtype=int32), Array([2, 3], dtype=int32), Array([4, 5], dtype=int32)]
    """
    return _split("split", ary, indices_or_sections, axis, even=True)


def array_split(ary: ArrayLike, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """As `split`; the first parts are one longer if the size is no multiple.

    >>> jnp.array_split(jnp.arange(5), 2)
    [Array([0, 1, 2], dtype=int32), Array([3, 4], dtype=int32)]
    """
    return _split("array_split", ary, indices_or_sections, axis, even=False)


def vsplit(ary: ArrayLike, indices_or_sections: Any) -> list[Array]:
    """Parts along the first axis.

    >>> [part.shape for part in jnp.vsplit(jnp.ones((4, 2)), 2)]
    [(2, 2), (2, 2)]
    """
    return _split("vsplit", ary, indices_or_sections, 0, even=True)


def hsplit(ary: ArrayLike, indices_or_sections: Any) -> list[Array]:
    """Parts along the second axis; of a vector along its only one.

    >>> [part.shape for part in jnp.hsplit(jnp.ones((2, 4)), 2)]
    [(2, 2), (2, 2)]
    """
    return _split("hsplit", ary, indices_or_sections, min(1, len(shape_of(ary)) - 1), even=True)


def dsplit(ary: ArrayLike, indices_or_sections: Any) -> list[Array]:
    """Parts along the third axis.

    >>> [part.shape for part in jnp.dsplit(jnp.ones((2, 3, 4)), 2)]
    [(2, 3, 2), (2, 3, 2)]
    """
    return _split("dsplit", ary, indices_or_sections, 2, even=True)


def unstack(x: ArrayLike, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The slices of x along an axis, which is gone from them.

    >>> jnp.unstack(jnp.array([[1, 2], [3, 4]]))
    (Array([1, 2], dtype=int32), Array([3, 4], dtype=int32))
    """
    x = operand("unstack", x)
    axis = as_axis("unstack", axis, len(shape_of(x)))
    return tuple(squeeze(cut(x, axis, i, i + 1), axis) for i in range(shape_of(x)[axis]))
