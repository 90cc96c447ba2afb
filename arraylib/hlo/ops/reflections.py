"""Householder's reflections as loops over columns, each a matrix with leading axes for a batch.

A reflection is 1 - tau v v^H. LAPACK keeps v in a column of the matrix, below the diagonal, on
which it is 1; the numbers tau are a vector of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Type, trace_graph, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant, full_like, iota
from arraylib.hlo.ops.linalg import (
    conjugate,
    matmul,
    swapped,
)
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.ops.structured import broadcast_in_dim, reduce_add, reshape, transpose

_STEP = Type(dt.int32, ())


def factored(a: Any) -> Sequence[Any]:
    """geqrf: R with the vectors below its diagonal, and the numbers tau."""
    count = min(type_of(a).shape[-2:])

    def step(carry: Any, i: Any) -> Sequence[Any]:
        changed, tau = _eliminate(carry, i)
        return changed, reshape(tau, shape=type_of(tau).shape[:-2])
    steps = iota(shape=(count,), dimension=0, dtype=dt.int32)
    body = trace_graph([type_of(a), _STEP], step)
    out, taus = scan(a, steps, body=body, consts=0, carry=1, length=count, reverse=False)
    rank = type_of(taus).rank
    return out, transpose(taus, permutation=(*range(1, rank), 0))


def product(a: Any, tau: Any) -> Any:
    """orgqr: the reflections' product, its first columns."""
    rows, columns = type_of(a).shape[-2:]
    unit = constant(value=np.eye(rows, columns, dtype=type_of(a).dtype))
    rank = type_of(a).rank
    first = broadcast_in_dim(unit, shape=type_of(a).shape,
                             broadcast_dimensions=(rank - 2, rank - 1))
    return _reflected(a, tau, first, last_first=True)


def applied(a: Any, tau: Any, c: Any, left: bool, turned: bool) -> Any:
    """ormqr: Q c or c Q, or with Q^H if `turned`."""
    if not left:  # c Q is the adjoint of Q^H c^H
        return adjoint(applied(a, tau, adjoint(c), True, not turned))
    return _reflected(a, conjugate(tau) if turned else tau, c, last_first=not turned)


def _reflected(a: Any, tau: Any, x: Any, last_first: bool) -> Any:
    """x after all reflections, one after the other."""
    count, rank = type_of(tau).shape[-1], type_of(a).rank

    def step(vectors: Any, x: Any, i: Any, tau: Any) -> Sequence[Any]:
        return [_reflect(_vector(_column(vectors, i), i), _as_matrix(tau, 2), x)]
    taus = transpose(tau, permutation=(rank - 2, *range(rank - 2)))
    steps = iota(shape=(count,), dimension=0, dtype=dt.int32)
    each = type_of(tau).with_shape(type_of(tau).shape[:-1])
    body = trace_graph([type_of(a), type_of(x), _STEP, each], step)
    return scan(a, x, steps, taus, body=body, consts=1, carry=1, length=count,
                reverse=last_first)[0]


# -- one step --------------------------------------------------------------------------------------


def _eliminate(a: Any, i: Any) -> tuple[Any, Any]:
    """The matrix after reflection i, which makes column i zero below the diagonal; and tau."""
    x = _column(a, i)
    alpha = _total(_where(_is(x, -2, i, "EQ"), x))
    below = _where(_is(x, -2, i, "GT"), x)
    square = _total(_size(below))
    whole = ew.add(square, _size(alpha))
    nothing = ew.compare(ew.add(square, _size(_imaginary(alpha))), full_like(square, 0),
                         direction="EQ")  # there is nothing to eliminate
    length = ew.sqrt(ew.select(nothing, full_like(whole, 1), whole))
    real = ew.real(alpha) if dt.is_complex(type_of(a).dtype) else alpha
    negative = ew.compare(real, full_like(real, 0), direction="LT")
    beta = like(ew.select(negative, length, ew.negate(length)), a)
    tau = ew.select(nothing, full_like(alpha, 0), ew.divide(ew.subtract(beta, alpha), beta))
    scale = ew.select(nothing, full_like(alpha, 1), ew.subtract(alpha, beta))
    vector = ew.divide(below, _spread(scale, type_of(below)))
    one = ew.convert(_is(x, -2, i, "EQ"), dtype=type_of(a).dtype)
    changed = _reflect(ew.add(vector, one), conjugate(tau), a)
    corner = _spread(ew.select(nothing, alpha, beta), type_of(x))
    column = ew.select(_is(x, -2, i, "EQ"), corner, ew.select(_is(x, -2, i, "GT"), vector, x))
    return ew.select(_is(a, -1, i, "GT"), changed, ew.select(
        _is(a, -1, i, "EQ"), _spread(column, type_of(a)), a)), tau


def _reflect(v: Any, tau: Any, x: Any) -> Any:
    """(1 - tau v v^H) x, for columns v."""
    row = matmul(adjoint(v), x)
    return ew.subtract(x, matmul(v, ew.multiply(_spread(tau, type_of(row)), row)))


def _column(a: Any, i: Any) -> Any:
    """Column i of matrices, as matrices of one column."""
    chosen = _where(_is(a, -1, i, "EQ"), a)
    return _as_matrix(reduce_add(chosen, dimensions=(type_of(a).rank - 1,)), 1)


def _vector(column: Any, i: Any) -> Any:
    """The vector of reflection i: what is below the diagonal, and 1 on it."""
    one = ew.convert(_is(column, -2, i, "EQ"), dtype=type_of(column).dtype)
    return ew.add(_where(_is(column, -2, i, "GT"), column), one)


def _is(x: Any, axis: int, i: Any, direction: str) -> Any:
    """Where in x the number along an axis compares so with i."""
    shape = type_of(x).shape
    numbers = iota(shape=shape, dimension=axis % len(shape), dtype=dt.int32)
    other = broadcast_in_dim(i, shape=shape, broadcast_dimensions=())
    return ew.compare(numbers, other, direction=direction)


def _where(holds: Any, x: Any) -> Any:
    return ew.select(holds, x, full_like(x, 0))


def _total(x: Any) -> Any:
    """The sums of columns, as matrices of one element."""
    return _as_matrix(reduce_add(x, dimensions=(type_of(x).rank - 2, type_of(x).rank - 1)), 2)


def _as_matrix(x: Any, axes: int) -> Any:
    return reshape(x, shape=(*type_of(x).shape, *(1,) * axes))


def _spread(x: Any, type: Type) -> Any:
    """Matrices of one row or column, or one element, as large ones."""
    shape = type_of(x).shape
    kept = [i for i in range(type.rank) if i < type.rank - 2 or shape[i] == type.shape[i]]
    small = reshape(x, shape=tuple(type.shape[i] for i in kept))
    return broadcast_in_dim(small, shape=type.shape, broadcast_dimensions=tuple(kept))


def _size(x: Any) -> Any:
    """|x|^2, real."""
    if not dt.is_complex(type_of(x).dtype):
        return ew.multiply(x, x)
    real, imag = ew.real(x), ew.imag(x)
    return ew.add(ew.multiply(real, real), ew.multiply(imag, imag))


def _imaginary(x: Any) -> Any:
    return ew.imag(x) if dt.is_complex(type_of(x).dtype) else full_like(x, 0)


def like(x: Any, other: Any) -> Any:
    """Real numbers in the dtype of others."""
    dtype = type_of(other).dtype
    return x if type_of(x).dtype == dtype else ew.convert(x, dtype=dtype)


def adjoint(x: Any) -> Any:
    """The transposed conjugates of matrices."""
    return swapped(conjugate(x))
