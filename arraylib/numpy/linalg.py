"""Linear algebra: norms, powers, products of chains, Cholesky factors; others in `factors`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.linalg import cholesky as cholesky_op
from arraylib.numpy import elementwise, linear, reductions as rd
from arraylib.numpy.creation import eye
from arraylib.numpy.factors import (
    det,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    inv,
    matrices,
    qr,
    slogdet,
    solve,
    svd,
    svdvals,
    symmetrized,
)
from arraylib.numpy.layout import expand_dims, matrix_transpose, moveaxis, reshape
from arraylib.numpy.linear import (
    cross,
    matmul,
    outer,
    tensordot,
    vecdot,
)
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axes,
    beside,
    broadcast,
    operand,
    promote_inexact,
    shape_of,
)
from arraylib.numpy.selection import where
from arraylib.numpy.singular import (
    is_spectral,
    lstsq,
    matrix_rank,
    pinv,
    spectral_norm,
)

__all__ = ["cholesky", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals",
           "eigvalsh", "inv", "lstsq", "matmul", "matrix_norm", "matrix_power", "matrix_rank",
           "matrix_transpose", "multi_dot", "norm", "outer", "pinv", "qr", "slogdet", "solve",
           "svd", "svdvals", "tensordot", "tensorinv", "tensorsolve", "trace", "vecdot",
           "vector_norm"]


# -- norms -----------------------------------------------------------------------------------------


def diagonal(x: ArrayLike, /, *, offset: int = 0) -> Array:
    """The diagonal of each matrix: of the last two axes, where `jnp.diagonal` takes the first.

    >>> diagonal(jnp.array([[[1, 2], [3, 4]]]))
    Array([[1, 4]], dtype=int32)
    """
    return linear.diagonal(x, offset, -2, -1)


def trace(x: ArrayLike, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """The sum of the diagonal of each matrix, with a dtype as for `sum`.

    >>> trace(jnp.array([[[1, 2], [3, 4]]]))
    Array([5], dtype=int32)
    """
    return linear.trace(x, offset, -2, -1, dtype)


@one_program()
def norm(x: ArrayLike, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Array:
    """The length of vectors along an axis, of matrices along two, of all elements for None.

    `ord` for vectors: any number, inf, -inf, 0 (how many are not 0); for matrices as
    `matrix_norm` has it.

    >>> jnp.linalg.norm(jnp.array([3.0, 4.0]))
    Array(5., dtype=float32)
    """
    (x,) = promote_inexact("norm", x)
    rank = len(shape_of(x))
    if axis is None and ord is None:
        return _root_of_squares(x, tuple(range(rank)), keepdims)
    axes = as_axes("norm", axis, rank)
    if len(axes) == 1:
        return vector_norm(x, axis=axes[0], keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise mistake(ShapeError, "norm", f"{len(axes)} axes; a vector has 1, a matrix 2",
                      operands=[type_of(x)], hint="axis=...")
    x = moveaxis(x, axes, (-2, -1))
    result = matrix_norm(x, keepdims=keepdims, ord="fro" if ord is None else ord)
    return moveaxis(result, (-2, -1), axes) if keepdims else result


def _root_of_squares(x: Array, axes: Sequence[int], keepdims: bool) -> Array:
    parts = (ew.real(x), ew.imag(x)) if dt.is_complex(type_of(x).dtype) else (x,)
    squares = reduce(ew.add, [ew.multiply(p, p) for p in parts])
    return ew.sqrt(rd.sum(squares, tuple(axes), keepdims=keepdims))


@one_program()
def vector_norm(x: ArrayLike, /, *, axis: Any = None, keepdims: bool = False,
                ord: Any = 2) -> Array:
    """The length of vectors along axes (all for None), by the norm `ord`.

    >>> jnp.linalg.vector_norm(jnp.array([[3.0, 4.0], [6.0, 8.0]]), axis=1)
    Array([ 5., 10.], dtype=float32)
    """
    (x,) = promote_inexact("vector_norm", x)
    axes = as_axes("vector_norm", axis, len(shape_of(x)))
    if ord is None or ord == 2:
        return _root_of_squares(x, axes, keepdims)
    size = ew.abs(x)
    if ord == math.inf:
        return rd.max(size, axes, keepdims=keepdims)
    if ord == -math.inf:
        return rd.min(size, axes, keepdims=keepdims)
    if ord == 0:
        present = ew.convert(elementwise.truth(size), dtype=type_of(size).dtype)
        return rd.sum(present, axes, keepdims=keepdims)
    if ord == 1:
        return rd.sum(size, axes, keepdims=keepdims)
    if isinstance(ord, str):
        raise mistake(ArgumentError, "vector_norm", f"ord = {ord!r}", hint="a number")
    total = rd.sum(elementwise.power(size, ord), axes, keepdims=keepdims)
    return elementwise.power(total, 1 / ord)


@one_program()
def matrix_norm(x: ArrayLike, /, *, keepdims: bool = False, ord: Any = "fro") -> Array:
    """The size of matrices along the last two axes.

    `ord`: "fro"; the largest (least) sum of absolute values of a column, 1 (-1), or of a row, inf
    (-inf); the largest (least) singular value, 2 (-2), or the sum of all, "nuc".

    >>> jnp.linalg.matrix_norm(jnp.array([[3.0, 0.0], [0.0, 4.0]]))
    Array(5., dtype=float32)
    """
    (x,) = promote_inexact("matrix_norm", x)
    if len(shape_of(x)) < 2:
        raise mistake(ShapeError, "matrix_norm", f"{len(shape_of(x))} axes; a matrix has 2",
                      operands=[type_of(x)], hint="x.reshape(rows, columns), or vector_norm")
    rank = len(shape_of(x))
    if ord is None or ord == "fro":
        return _root_of_squares(x, (rank - 2, rank - 1), keepdims)
    if is_spectral(ord):
        found = spectral_norm(x, ord)
        return expand_dims(found, (-2, -1)) if keepdims else found
    if ord not in (1, -1, math.inf, -math.inf):
        raise mistake(ArgumentError, "matrix_norm", f"ord = {ord!r}",
                      hint="'fro', 'nuc', 1, -1, 2, -2, inf or -inf")
    summed = rank - 2 if ord in (1, -1) else rank - 1
    sums, others = rd.sum(ew.abs(x), summed, keepdims=True), (rank - 2, rank - 1)
    if ord < 0:
        return rd.min(sums, others, keepdims=keepdims)
    return rd.max(sums, others, keepdims=keepdims, **_zero_if_empty(sums))


def _zero_if_empty(sums: Array) -> dict[str, Any]:
    """The largest of no sums is 0."""
    return {} if math.prod(shape_of(sums)[-2:]) else {"initial": 0}


@one_program()
def cond(x: ArrayLike, p: Any = None) -> Array:
    """The condition of each matrix: its largest singular value over the least; -2 the reverse.

    For another `p` it is |x| |x^-1| in the norm that `matrix_norm` calls so. inf where it is
    singular. Raises ShapeError for a matrix without elements, or, for another `p`, not square.

    >>> jnp.linalg.cond(jnp.array([[2.0, 0.0], [0.0, 1.0]]))
    Array(2., dtype=float32)
    """
    x = matrices("cond", x)
    if 0 in shape_of(x)[-2:]:
        raise mistake(ShapeError, "cond", "a matrix without elements", operands=[type_of(x)],
                      hint="sizes from 1 up")
    if p in (None, 2, -2):
        s = svdvals(x)
        ends = rd.max(s, -1), rd.min(s, -1)
        found = ew.divide(*(ends[::-1] if p == -2 else ends))
        if p == -2:
            return found
    else:
        found = ew.multiply(matrix_norm(x, ord=p), matrix_norm(inv(x), ord=p))
    given = rd.any(elementwise.isnan(x), (-2, -1))
    return where(elementwise.logical_and(elementwise.isnan(found), elementwise.logical_not(given)),
                 math.inf, found)


# -- powers and chains -----------------------------------------------------------------------------


@one_program()
def matrix_power(a: ArrayLike, n: int) -> Array:
    """The product of n times the same square matrix, by repeated squaring; of its inverse, n < 0.

    >>> jnp.linalg.matrix_power(jnp.array([[1, 1], [0, 1]]), 3)
    Array([[1, 3],
           [0, 1]], dtype=int32)
    """
    a = operand("matrix_power", a)
    sizes = shape_of(a)
    if len(sizes) < 2 or sizes[-1] != sizes[-2]:
        raise mistake(ShapeError, "matrix_power", "the matrix is not square",
                      operands=[type_of(a)], hint="its last two axes must have one size")
    if n < 0:
        return matrix_power(inv(a), -n)
    if n == 0:
        return broadcast("matrix_power", eye(sizes[-1], dtype=type_of(a).dtype), sizes)
    result = None
    while n:
        if n & 1:
            result = a if result is None else matmul(result, a)
        n >>= 1
        if n:
            a = matmul(a, a)
    return result  # type: ignore[return-value]


def multi_dot(arrays: Sequence[ArrayLike], *, precision: Any = None) -> Array:
    """The product of a chain of matrices, in the order that takes the fewest multiplications.

    The first and last may be vectors. `precision` changes nothing.

    >>> jnp.linalg.multi_dot([jnp.ones((2, 3)), jnp.ones((3, 4)), jnp.ones(4)])
    Array([12., 12.], dtype=float32)
    """
    xs = beside("multi_dot", *arrays)
    if len(xs) < 2:
        raise mistake(ArgumentError, "multi_dot", f"{len(xs)} matrices", hint="two or more")
    left, right = len(shape_of(xs[0])) == 1, len(shape_of(xs[-1])) == 1
    if left:
        xs[0] = reshape(xs[0], (1, -1))
    if right:
        xs[-1] = reshape(xs[-1], (-1, 1))
    product = _chain(xs, _best_splits([shape_of(x) for x in xs]), 0, len(xs) - 1)
    sizes = shape_of(product)
    return reshape(product, sizes[int(left):2 - int(right)])


def _best_splits(shapes: Sequence[tuple[int, ...]]) -> dict[tuple[int, int], int]:
    """Where to split each part of the chain (Cormen et al., "Introduction to Algorithms", 15.2)."""
    sizes = [shapes[0][0], *[s[1] for s in shapes]]
    cost: dict[tuple[int, int], int] = {(i, i): 0 for i in range(len(shapes))}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, len(shapes)):
        for i in range(len(shapes) - length):
            j = i + length
            price = lambda k, i=i, j=j: (cost[i, k] + cost[k + 1, j]
                                         + sizes[i] * sizes[k + 1] * sizes[j + 1])
            split[i, j] = min(range(i, j), key=price)
            cost[i, j] = price(split[i, j])
    return split


def _chain(xs: Sequence[Array], split: dict[tuple[int, int], int], i: int, j: int) -> Array:
    if i == j:
        return xs[i]
    k = split[i, j]
    return matmul(_chain(xs, split, i, k), _chain(xs, split, k + 1, j))


# -- factors ---------------------------------------------------------------------------------------


@one_program()
def cholesky(a: ArrayLike, *, upper: bool = False, symmetrize_input: bool = True) -> Array:
    """The lower triangular factor L of a = L L^H (or L^H), for each matrix of a batch.

    nan where a is not positive definite. Of `a` that is not symmetric the factors of (a + a^H) / 2
    are given; without `symmetrize_input` only its lower triangle is read.

    >>> jnp.linalg.cholesky(jnp.array([[4.0, 2.0], [2.0, 2.0]]))
    Array([[2., 0.],
           [1., 1.]], dtype=float32)
    """
    (a,) = promote_inexact("cholesky", a)
    factor = cholesky_op(symmetrized("cholesky", a) if symmetrize_input else a, lower=True)
    return elementwise.conj(matrix_transpose(factor)) if upper else factor


# -- tensors as matrices ---------------------------------------------------------------------------


def tensorsolve(a: ArrayLike, b: ArrayLike, axes: Sequence[int] | None = None) -> Array:
    """x of tensordot(a, x, x.ndim) = b, for `a` with b's axes first and as many elements behind.

    `axes` of `a` are moved to its end before. Raises ShapeError where it makes no square matrix.

    >>> jnp.linalg.tensorsolve(2 * jnp.eye(4).reshape(2, 2, 4), jnp.ones((2, 2)))
    Array([0.5, 0.5, 0.5, 0.5], dtype=float32)
    """
    a, b = promote_inexact("tensorsolve", a, b)
    if axes is not None:
        moved = as_axes("tensorsolve", tuple(axes), len(shape_of(a)))
        a = moveaxis(a, moved, tuple(range(len(shape_of(a)) - len(moved), len(shape_of(a)))))
    rest = shape_of(a)[len(shape_of(b)):]
    n = math.prod(rest)
    if math.prod(shape_of(b)) != n or math.prod(shape_of(a)) != n * n:
        raise mistake(ShapeError, "tensorsolve", f"shape {shape_of(a)} for b of {shape_of(b)} "
                      "makes no square matrix", operands=[type_of(a), type_of(b)],
                      hint="a[*b.shape, *x.shape], with as many elements in x as in b")
    return reshape(solve(reshape(a, (n, n)), reshape(b, (n,))), rest)


def tensorinv(a: ArrayLike, ind: int = 2) -> Array:
    """The inverse of `a` as a map of its last axes to its first `ind`: their places change.

    Raises ShapeError where it makes no square matrix.

    >>> tensorinv(2 * eye(4).reshape(2, 2, 4)).shape
    (4, 2, 2)
    """
    (a,) = promote_inexact("tensorinv", a)
    first, last = shape_of(a)[:ind], shape_of(a)[ind:]
    n = math.prod(first)
    if ind < 1 or math.prod(last) != n:
        raise mistake(ShapeError, "tensorinv", f"shape {shape_of(a)} split after {ind} axes makes "
                      "no square matrix", operands=[type_of(a)],
                      hint="ind of 1 or more; as many elements before it as behind")
    return reshape(inv(reshape(a, (n, n))), (*last, *first))
