"""Triangles, diagonals and powers: matrices with a pattern, and the places of their entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.numpy.creation import below, counting, zeros
from arraylib.numpy.elementwise import like, power
from arraylib.numpy.layout import stack
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_shape,
    convert,
    literal,
    operand,
    shape_of,
)


def tri(N: int, M: int | None = None, k: ArrayLike = 0, dtype: Any = None) -> Array:
    """An N x M matrix with ones on and below the k-th diagonal, zeros elsewhere.

    >>> jnp.tri(3)
    Array([[1., 0., 0.],
           [1., 1., 0.],
           [1., 1., 1.]], dtype=float32)
    """
    shape = as_shape("tri", (N, N if M is None else M))
    wanted = dt.default_float() if dtype is None else dt.dtype(dtype, op="tri")
    return convert(below(shape, k, "LE"), wanted)


def _triangle(op: str, m: ArrayLike, k: ArrayLike, direction: str) -> Array:
    m = operand(op, m)
    if len(shape_of(m)) < 2:
        raise mistake(ShapeError, op, f"{len(shape_of(m))} axes, but a matrix has 2",
                      operands=[type_of(m)], hint="reshape it, or use vmap over matrices")
    return ew.select(below(shape_of(m), k, direction), m, like(m, 0))


@one_program()
def tril(m: ArrayLike, k: ArrayLike = 0) -> Array:
    """m with zeros above the k-th diagonal of its last two axes.

    >>> jnp.tril(jnp.ones((3, 3)))
    Array([[1., 0., 0.],
           [1., 1., 0.],
           [1., 1., 1.]], dtype=float32)
    """
    return _triangle("tril", m, k, "LE")


@one_program()
def triu(m: ArrayLike, k: ArrayLike = 0) -> Array:
    """m with zeros below the k-th diagonal of its last two axes.

    >>> jnp.triu(jnp.ones((3, 3)), k=1)
    Array([[0., 1., 1.],
           [0., 0., 1.],
           [0., 0., 0.]], dtype=float32)
    """
    return _triangle("triu", m, k, "GE")


def vander(x: ArrayLike, N: int | None = None, increasing: bool = False) -> Array:
    """The powers of each element of the vector x, one a column, highest first.

    >>> jnp.vander(jnp.array([1, 2, 3]))
    Array([[1, 1, 1],
           [4, 2, 1],
           [9, 3, 1]], dtype=int32)
    """
    x = operand("vander", x)
    if len(shape_of(x)) != 1:
        raise mistake(ShapeError, "vander", f"{len(shape_of(x))} axes, but x is a vector",
                      operands=[type_of(x)], hint="x.ravel(), or vmap over its rows")
    n = shape_of(x)[0] if N is None else N
    powers = range(n) if increasing else range(n - 1, -1, -1)
    return stack([power(x, i) for i in powers], axis=1) if n else \
        zeros((shape_of(x)[0], 0), type_of(x).dtype)


def _indices(arrays: Sequence[Any]) -> tuple[Array, ...]:
    return tuple(literal(a.astype(dt.default_int())) for a in arrays)


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, ...]:
    """Rows and columns of the entries on and below the k-th diagonal of an n x m matrix.

    >>> jnp.tril_indices(2)
    (Array([0, 1, 1], dtype=int32), Array([0, 0, 1], dtype=int32))
    """
    return _indices(np.tril_indices(n, k, m))


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, ...]:
    """Rows and columns of the entries on and above the k-th diagonal of an n x m matrix.

    >>> jnp.triu_indices(2)
    (Array([0, 0, 1], dtype=int32), Array([0, 1, 1], dtype=int32))
    """
    return _indices(np.triu_indices(n, k, m))


def diag_indices(n: int, ndim: int = 2) -> tuple[Array, ...]:
    """The indices of the main diagonal of an array with `ndim` axes of size n.

    >>> jnp.diag_indices(2)
    (Array([0, 1], dtype=int32), Array([0, 1], dtype=int32))
    """
    return (counting((n,), 0, dt.default_int()),) * ndim


def diag_indices_from(arr: ArrayLike) -> tuple[Array, ...]:
    """The indices of the main diagonal of an array whose axes have one size.

    >>> jnp.diag_indices_from(jnp.eye(2))
    (Array([0, 1], dtype=int32), Array([0, 1], dtype=int32))
    """
    sizes = shape_of(arr)
    if len(sizes) < 2 or len(set(sizes)) > 1:
        raise mistake(ShapeError, "diag_indices_from", f"the sizes {sizes} are not all equal",
                      operands=[type_of(arr)], hint="an array whose axes have one size")
    return diag_indices(sizes[0], len(sizes))


def tril_indices_from(arr: ArrayLike, k: int = 0) -> tuple[Array, ...]:
    """Rows and columns of the entries of a matrix on and below its k-th diagonal.

    >>> jnp.tril_indices_from(jnp.eye(2))
    (Array([0, 1, 1], dtype=int32), Array([0, 0, 1], dtype=int32))
    """
    rows, columns = shape_of(arr)
    return tril_indices(rows, k, columns)


def triu_indices_from(arr: ArrayLike, k: int = 0) -> tuple[Array, ...]:
    """Rows and columns of the entries of a matrix on and above its k-th diagonal.

    >>> jnp.triu_indices_from(jnp.eye(2))
    (Array([0, 0, 1], dtype=int32), Array([0, 1, 1], dtype=int32))
    """
    rows, columns = shape_of(arr)
    return triu_indices(rows, k, columns)
