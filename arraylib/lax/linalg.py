"""Factors of matrices and triangular systems, each for a batch of matrices: `lax.linalg`."""

from __future__ import annotations

from enum import Enum
from functools import reduce
from typing import Any

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo import factors
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops.control import stop_gradient
from arraylib.hlo.ops.linalg import cholesky as cholesky_op, triangular_solve as solve_op
from arraylib.numpy.creation import arange, zeros_like
from arraylib.numpy.elementwise import abs as abs_, conj, hypot, maximum, sign
from arraylib.numpy.factors import (
    eigh as numpy_eigh,
    matrices,
    pivoted_qr,
    qr as numpy_qr,
    squares,
    svd as numpy_svd,
)
from arraylib.numpy.layout import concatenate, expand_dims, matrix_transpose, moveaxis, squeeze
from arraylib.numpy.linalg import symmetrized
from arraylib.numpy.linear import matmul
from arraylib.numpy.promotion import Array, ArrayLike, operand as owned, promote_inexact, shape_of
from arraylib.numpy.selection import where
from arraylib.numpy.triangles import tril, triu
from arraylib.tracing.control import scan

__all__ = ["EigImplementation", "EighImplementation", "SvdAlgorithm", "cholesky",
           "cholesky_update", "eig", "eigh", "hessenberg", "householder_product", "lu",
           "lu_pivots_to_permutation", "ormqr", "qr", "schur", "svd", "symmetric_product",
           "triangular_solve", "tridiagonal", "tridiagonal_solve"]


class SvdAlgorithm(Enum):
    """How singular values may be found elsewhere; here all are found in one way."""

    DEFAULT = "default"
    QR = "QR"
    JACOBI = "Jacobi"
    POLAR = "polar"
    DIVIDE_AND_CONQUER = "divide_and_conquer"


class EigImplementation(Enum):
    """How eigenvalues may be found elsewhere; here all are found in one way."""

    CUSOLVER = "cusolver"
    MAGMA = "magma"
    LAPACK = "lapack"


class EighImplementation(Enum):
    """How eigenvalues of Hermitian matrices may be found elsewhere; here in one way."""

    QR = "qr"
    JACOBI = "jacobi"
    QDWH = "qdwh"


def cholesky(x: ArrayLike, *, symmetrize_input: bool = True) -> Array:
    """The lower triangular factor L of L L^H = x; nan where x is not positive definite.

    With `symmetrize_input`, of (x + x^H) / 2; without, only the lower triangle of x is read.

    >>> lax.linalg.cholesky(jnp.array([[4.0, 2.0], [2.0, 2.0]]))
    Array([[2., 0.],
           [1., 1.]], dtype=float32)
    """
    x = owned("cholesky", x)
    return cholesky_op(symmetrized("cholesky", x) if symmetrize_input else x, lower=True)


def cholesky_update(r_matrix: ArrayLike, w_vector: ArrayLike) -> Array:
    """The upper triangular R of R^T R + w w^T for an upper triangular R[n, n] and w[n], both real.

    By rotations, in n^2 steps (Gill, Golub, Murray and Saunders 1974); the diagonal is positive.
    Raises ShapeError where the sizes do not fit.

    >>> lax.linalg.cholesky_update(jnp.array([[3.0]]), jnp.array([4.0]))
    Array([[5.]], dtype=float32)
    """
    r, w = promote_inexact("cholesky_update", r_matrix, w_vector)
    n = shape_of(w)[0] if len(shape_of(w)) == 1 else -1
    if shape_of(r) != (n, n) or dt.is_complex(type_of(r).dtype):
        raise mistake(ShapeError, "cholesky_update", "no real matrix and vector of one size",
                      operands=[type_of(r), type_of(w)], hint="r_matrix[n, n] and w_vector[n]")

    def rotate(w: Any, row: Any) -> Any:
        i, values = row
        length = hypot(values[i], w[i])
        safe = where(length == 0, 1, length)
        c, s = where(length == 0, 1, values[i] / safe), w[i] / safe
        return c * w - s * values, c * values + s * w

    return triu(scan(rotate, w, (arange(n), triu(r)))[1])


def symmetric_product(a_matrix: ArrayLike, c_matrix: ArrayLike, *, alpha: float = 1.0,
                      beta: float = 0.0, symmetrize_output: bool = False) -> Array:
    """alpha a a^T + beta c for matrices a[..., m, n] and symmetric c[..., m, m].

    Both triangles are given; with `symmetrize_output` the upper one is the lower, turned. Raises
    ShapeError where the sizes do not fit.

    >>> lax.linalg.symmetric_product(jnp.array([[1.0, 2.0]]), jnp.array([[3.0]]), beta=2)
    Array([[11.]], dtype=float32)
    """
    a, c = promote_inexact("symmetric_product", a_matrix, c_matrix)
    a, c = matrices("symmetric_product", a), squares("symmetric_product", c)
    if shape_of(c)[:-1] != shape_of(a)[:-1]:
        raise mistake(ShapeError, "symmetric_product", f"a has shape {shape_of(a)}, but c has "
                      f"shape {shape_of(c)}", operands=[type_of(a), type_of(c)],
                      hint="a[..., m, n] and c[..., m, m]")
    product = alpha * matmul(a, matrix_transpose(a)) + beta * c
    if not symmetrize_output:
        return product
    return tril(product) + matrix_transpose(tril(product, -1))


def triangular_solve(a: ArrayLike, b: ArrayLike, *, left_side: bool = False, lower: bool = False,
                     transpose_a: bool = False, conjugate_a: bool = False,
                     unit_diagonal: bool = False) -> Array:
    """x of op(a) x = b (with `left_side`) or x op(a) = b, where a is triangular.

    op(a) is a, transposed and conjugated as asked for. Only the triangle that `lower` names is
    read, and not its diagonal where `unit_diagonal` says that it is of ones. b has the leading axes
    of a, then those of a matrix, or of a vector.

    >>> a, b = jnp.array([[2.0, 0.0], [1.0, 1.0]]), jnp.array([[2.0], [3.0]])
    >>> lax.linalg.triangular_solve(a, b, left_side=True, lower=True)
    Array([[1.],
           [2.]], dtype=float32)
    """
    op = "triangular_solve"
    a, b = owned(op, a), owned(op, b)
    vector, axis = len(shape_of(b)) == len(shape_of(a)) - 1, -1 if left_side else -2
    if conjugate_a and not transpose_a:
        a = conj(a)
    how = "NO_TRANSPOSE" if not transpose_a else "ADJOINT" if conjugate_a else "TRANSPOSE"
    x = solve_op(a, expand_dims(b, axis) if vector else b, left_side=bool(left_side),
                 lower=bool(lower), unit_diagonal=bool(unit_diagonal), transpose_a=how)
    return squeeze(x, axis) if vector else x


# -- LU and QR -------------------------------------------------------------------------------------


def lu(x: ArrayLike) -> tuple[Array, Array, Array]:
    """LU with partial pivoting of matrices [..., m, n].

    L, below a diagonal of ones, and U in one matrix; with which row each row changed places,
    i32[..., min(m, n)]; and which row of x each row of L U is, i32[..., m].

    >>> lu, pivots, permutation = lax.linalg.lu(jnp.array([[1.0, 2.0], [4.0, 4.0]]))
    >>> lu
    Array([[4.  , 4.  ],
           [0.25, 1.  ]], dtype=float32)
    >>> permutation
    Array([1, 0], dtype=int32)
    """
    return factors.lu(matrices("lu", x))


def lu_pivots_to_permutation(pivots: ArrayLike, permutation_size: int) -> Array:
    """Which row each row was, i32[..., permutation_size], after changing places as pivots say.

    Pivots, from 0, are integers [..., k], k at most `permutation_size`: ShapeError for more of
    them, DtypeError for others. Those that are no rows are limited to the first and the last.

    >>> lax.linalg.lu_pivots_to_permutation(jnp.array([1, 1]), 3)
    Array([1, 0, 2], dtype=int32)
    """
    return factors.order_of(owned("lu_pivots_to_permutation", pivots), int(permutation_size))


def qr(x: ArrayLike, *, pivoting: bool = False, full_matrices: bool = True,
       use_magma: bool | None = None) -> Any:
    """Q and R of x = Q R for matrices [..., m, n]; Q is [..., m, m], or thin.

    With `pivoting` of x with its columns in another order, in which the diagonal of R descends in
    size; the order, i32[..., n], comes third. `use_magma` changes nothing.

    >>> q, r = lax.linalg.qr(jnp.eye(3)[:, :2], full_matrices=False)
    >>> jnp.abs(r)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    mode = "complete" if full_matrices else "reduced"
    return pivoted_qr(x, mode) if pivoting else tuple(numpy_qr(x, mode))


def householder_product(a: ArrayLike, taus: ArrayLike) -> Array:
    """The product of reflections 1 - tau v v^H, its first n columns.

    The vectors are below the diagonal of a, [..., m, n] with m >= n, and 1 on it; taus are
    [..., k], k at most n; ShapeError for others. `numpy.linalg.qr(x, "raw")` gives both, a
    transposed.

    >>> lax.linalg.householder_product(jnp.array([[1.0], [0.0]]), jnp.array([2.0]))
    Array([[-1.],
           [ 0.]], dtype=float32)
    """
    a, taus = promote_inexact("householder_product", a, taus)
    return factors.product(matrices("householder_product", a), taus)


def ormqr(a: ArrayLike, taus: ArrayLike, c: ArrayLike, *, left: bool = True,
          transpose: bool = False) -> Array:
    """Q c, or c Q without `left`, for a product Q of reflections as `householder_product` has.

    With `transpose` it is Q^H. c is [..., m, j], or [..., j, m]; ShapeError for others. Here a may
    have more columns than rows; taus are then at most m.

    >>> lax.linalg.ormqr(jnp.array([[1.0], [0.0]]), jnp.array([2.0]), jnp.eye(2))
    Array([[-1.,  0.],
           [ 0.,  1.]], dtype=float32)
    """
    a, taus, c = promote_inexact("ormqr", a, taus, c)
    return factors.applied(matrices("ormqr", a), taus, matrices("ormqr", c), left=bool(left),
                           turned=bool(transpose))


# -- eigenvalues and singular values ---------------------------------------------------------------


def eig(x: ArrayLike, *, compute_left_eigenvectors: bool = True,
        compute_right_eigenvectors: bool = True, enable_eigvec_derivs: bool = False,
        implementation: EigImplementation | None = None, use_magma: bool | None = None
        ) -> list[Array]:
    """Eigenvalues, left and right eigenvectors of square matrices, all complex.

    In any order; vectors are columns of length 1, and their largest element is real. Those that
    are not asked for are left out. Derivatives are those for distinct eigenvalues. The other
    arguments change nothing.

    >>> values, left, right = lax.linalg.eig(jnp.diag(jnp.array([1.0, 2.0])))
    >>> values.real
    Array([1., 2.], dtype=float32)
    """
    w, left, right = factors.eig(squares("eig", x), left=bool(compute_left_eigenvectors),
                                 right=bool(compute_right_eigenvectors))
    found: list[tuple[Any, bool]] = [(left, compute_left_eigenvectors),
                                     (right, compute_right_eigenvectors)]
    return [w, *(vectors for vectors, wanted in found if wanted)]


def eigh(x: ArrayLike, *, lower: bool = True, symmetrize_input: bool = True,
         sort_eigenvalues: bool = True, subset_by_index: tuple[int, int] | None = None,
         implementation: EighImplementation | None = None) -> tuple[Array, Array]:
    """Orthonormal eigenvectors as columns, and eigenvalues, ascending, of Hermitian matrices.

    Without `symmetrize_input` only the lower triangle of x, or the upper one, is read.
    `subset_by_index` (i, j) gives those from i to before j; the other arguments change nothing.

    >>> vectors, values = lax.linalg.eigh(jnp.diag(jnp.array([2.0, 1.0])))
    >>> values
    Array([1., 2.], dtype=float32)
    """
    w, v = numpy_eigh(x, "L" if lower else "U", bool(symmetrize_input))
    if subset_by_index is None:
        return v, w
    first, last = subset_by_index
    if not 0 <= first <= last <= shape_of(w)[-1]:
        raise mistake(ArgumentError, "eigh", f"subset_by_index = {subset_by_index} of "
                      f"{shape_of(w)[-1]} eigenvalues", operands=[type_of(w)],
                      hint="(first, last + 1)")
    return v[..., first:last], w[..., first:last]


def hessenberg(a: ArrayLike) -> tuple[Array, Array]:
    """Hessenberg's form of square matrices [..., n, n], and the reflections that lead to it.

    H is 0 below the diagonal under its own; there stand the vectors of reflections, whose factors,
    [..., n - 1], come second: Q of a = Q H Q^H has their `householder_product` behind its first row
    and column, which are of the unit matrix.

    >>> h, taus = lax.linalg.hessenberg(jnp.ones((3, 3)))
    >>> taus.shape
    (2,)
    """
    return factors.hessenberg(squares("hessenberg", a))


def schur(x: ArrayLike, *, compute_schur_vectors: bool = True, sort_eig_vals: bool = False,
          select_callable: Any = None) -> Any:
    """T and Q of x = Q T Q^H for square matrices; T alone without `compute_schur_vectors`.

    T is triangular, that of a real matrix up to blocks of two rows on its diagonal, one for each
    pair of complex eigenvalues. nan where an element is no finite number. There are no derivatives.
    Raises ArgumentError with `sort_eig_vals`.

    >>> t, q = lax.linalg.schur(jnp.array([[1.0, 2.0], [0.0, 3.0]]))
    >>> t
    Array([[1., 2.],
           [0., 3.]], dtype=float32)
    """
    if sort_eig_vals or select_callable is not None:
        raise mistake(ArgumentError, "schur", "eigenvalues cannot be sorted",
                      hint="leave sort_eig_vals and select_callable out")
    t, q = factors.schur(squares("schur", x), vectors=bool(compute_schur_vectors))
    return (t, q) if compute_schur_vectors else t


def tridiagonal(a: ArrayLike, *, lower: bool = True) -> tuple[Array, Array, Array, Array]:
    """T of a = Q T Q^H, of three diagonals, for Hermitian a[..., n, n], by reflections.

    T and the vectors of the reflections in one matrix; the real diagonal [..., n] and the one below
    it (above, without `lower`), [..., n - 1]; and the factors of the reflections, [..., n - 1].
    Only the lower (upper) triangle of a is read, and the other is left in the first result.

    >>> _, d, e, _ = lax.linalg.tridiagonal(jnp.array([[2.0, 1.0], [1.0, 3.0]]))
    >>> d
    Array([2., 3.], dtype=float32)
    """
    return factors.tridiagonal(squares("tridiagonal", a), lower=bool(lower))


def svd(x: ArrayLike, *, full_matrices: bool = True, compute_uv: bool = True,
        subset_by_index: tuple[int, int] | None = None,
        algorithm: SvdAlgorithm | None = None) -> Any:
    """U, singular values in descending order, V^H; without `compute_uv` the second alone.

    `subset_by_index` (i, j) gives those from i to before j, without `full_matrices`; `algorithm`
    changes nothing.

    >>> u, s, vt = lax.linalg.svd(jnp.diag(jnp.array([3.0, 4.0])))
    >>> s
    Array([4., 3.], dtype=float32)
    """
    found = numpy_svd(x, bool(full_matrices), bool(compute_uv), False, subset_by_index)
    return tuple(found) if compute_uv else found


def tridiagonal_solve(dl: ArrayLike, d: ArrayLike, du: ArrayLike, b: ArrayLike, *,
                      perturb_singular: bool = False) -> Array:
    """x of a x = b for matrices a of three diagonals, by elimination with pivots.

    Args:
        dl, d, du: f32[..., m]: what is below, on and above the diagonal; `dl[0]` and `du[m - 1]`
            are not read.
        b: f32[..., m, n].
        perturb_singular: small pivots, in the measure of the matrix, are replaced by ones of the
            size of rounding, so that a singular matrix gives large numbers; else it gives inf or
            nan.

    Raises: ShapeError where the shapes do not fit.

        >>> tridiagonal_solve(jnp.ones(3), 3 * jnp.ones(3), jnp.ones(3), jnp.ones((3, 1)))[:, 0]
        Array([0.2857143, 0.1428571, 0.2857143], dtype=float32)
    """
    lower, middle, upper, right = promote_inexact("tridiagonal_solve", dl, d, du, b)
    shape = shape_of(right)
    if len(shape) < 2 or any(shape_of(x) != shape[:-1] for x in (lower, middle, upper)):
        raise mistake(ShapeError, "tridiagonal_solve", "the diagonals are of shapes "
                      f"{shape_of(lower)}, {shape_of(middle)} and {shape_of(upper)} for right hand "
                      f"sides of shape {shape}", hint="(..., m) for (..., m, n)")
    if 0 in shape:
        return right
    # Rows come first, and all have an axis for the right hand sides.
    rows = [moveaxis(x, -2, 0) for x in (*[expand_dims(x, -1) for x in (lower, middle, upper)],
                                         right)]
    rows[2] = concatenate([rows[2][:-1], zeros_like(rows[2][:1])])
    last, pivots = scan(_eliminate, (rows[1][0], rows[2][0], rows[3][0]),
                        tuple([x[1:] for x in rows]))
    if perturb_singular:
        least = _least_pivot(pivots, last)
        last = (_at_least(last[0], least), *last[1:])
        pivots = (_at_least(pivots[0], least), *pivots[1:])
    end = last[2] / last[0]
    _, found = scan(_substitute, (end, zeros_like(end)), pivots, reverse=True)
    return moveaxis(concatenate([found, expand_dims(end, 0)]), 0, -2)


def _eliminate(row: Any, below: Any) -> Any:
    """What is left of the row below, and the row of larger pivot: three diagonals, right side."""
    d, u, b = row
    lower, middle, upper, right = below
    swap = abs_(lower) > abs_(d)
    pivot, other = where(swap, lower, d), where(swap, d, lower)
    factor = other / where(pivot == 0, 1, pivot)  # of two zeros 0: it is singular later, if at all
    second, third = where(swap, middle, u), where(swap, upper, zeros_like(upper))
    top = where(swap, right, b)
    rest = (where(swap, u, middle) - factor * second,
            where(swap, zeros_like(upper), upper) - factor * third,
            where(swap, b, right) - factor * top)
    return rest, (pivot, second, third, top)


def _least_pivot(pivots: Any, last: Any) -> Array:
    """The size of rounding in what elimination gave; of the dtype, where all of it is 0."""
    sizes = [abs_(x).max(0) for x in pivots[:3]] + [abs_(last[0])]
    largest = reduce(maximum, sizes)
    info = dt.finfo(type_of(largest).dtype)
    return stop_gradient(where(largest == 0, float(info.tiny), largest * float(info.eps)))


def _at_least(pivot: Any, least: Array) -> Array:
    """`pivot`, or `least` with its sign where it is smaller."""
    small = abs_(pivot) < least
    signed = where(pivot == 0, 1, sign(pivot)) * least
    return where(small, signed.astype(type_of(pivot).dtype), pivot)


def _substitute(after: Any, row: Any) -> Any:
    """One unknown from the two after it."""
    pivot, second, third, top = row
    found = (top - second * after[0] - third * after[1]) / pivot
    return (found, after[0]), found
