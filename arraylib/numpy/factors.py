"""Systems of equations, and what factors of matrices tell: determinants, inverses, ranks.

All work on batches of matrices. A singular matrix is no error: its solution is inf or nan, as XLA's
is; its determinant is 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo import factors
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.control import stop_gradient
from arraylib.hlo.ops.linalg import masked
from arraylib.numpy import elementwise, reductions as rd
from arraylib.numpy.creation import eye
from arraylib.numpy.determinants import determinant, elimination
from arraylib.numpy.layout import cut, expand_dims, matrix_transpose, squeeze
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    broadcast,
    convert,
    joint_shape,
    promote_inexact,
    shape_of,
)
from arraylib.numpy.selection import take_along_axis
from arraylib.numpy.sorting import argsort


class SlogdetResult(NamedTuple):
    """A determinant: its sign, or phase, and the logarithm of its size."""

    sign: Array
    logabsdet: Array


class QRResult(NamedTuple):
    """a = Q R."""

    Q: Array
    R: Array


class EighResult(NamedTuple):
    """Eigenvalues in ascending order, and their eigenvectors as columns."""

    eigenvalues: Array
    eigenvectors: Array


class EigResult(NamedTuple):
    """Eigenvalues, and their right eigenvectors as columns, both complex."""

    eigenvalues: Array
    eigenvectors: Array


class SVDResult(NamedTuple):
    """a = U diag(S) Vh, the singular values S descending."""

    U: Array
    S: Array
    Vh: Array


def matrices(op: str, a: ArrayLike) -> Array:
    """A batch of matrices of floats or complex numbers."""
    (a,) = promote_inexact(op, a)
    if len(shape_of(a)) < 2:
        raise mistake(ShapeError, op, f"{len(shape_of(a))} axes; a matrix has 2",
                      operands=[type_of(a)], hint="reshape it: the last two axes are the matrix's")
    return a


def squares(op: str, a: ArrayLike) -> Array:
    """A batch of square matrices."""
    (a,) = promote_inexact(op, a)
    if len(shape_of(a)) < 2 or shape_of(a)[-1] != shape_of(a)[-2]:
        raise mistake(ShapeError, op, f"a has shape {shape_of(a)}, which ends in no square matrix",
                      operands=[type_of(a)], hint="its last two axes must have one size")
    return a


def adjoint(x: Array) -> Array:
    """The conjugate transpose of each matrix."""
    return elementwise.conj(matrix_transpose(x))


# -- systems ---------------------------------------------------------------------------------------


@one_program(2)
def solve(a: ArrayLike, b: ArrayLike) -> Array:
    """x of a x = b, by LU with partial pivoting.

    a is [..., n, n]; b is one vector [n], or matrices [..., n, k] whose leading axes broadcast with
    a's. inf or nan where a is singular. Raises ShapeError where sizes do not fit. Its derivatives
    take two triangular systems for each system.

    >>> solve(jnp.array([[2.0, 0.0], [0.0, 4.0]]), jnp.array([2.0, 2.0]))
    Array([1. , 0.5], dtype=float32)
    """
    a, b = promote_inexact("solve", a, b)
    a, vector = squares("solve", a), len(shape_of(b)) == 1
    b = expand_dims(b, -1) if vector else matrices("solve", b)
    n, types = shape_of(a)[-1], [type_of(a), type_of(b)]
    if shape_of(b)[-2] != n:
        raise mistake(ShapeError, "solve", f"a is of size {n}, but b has {shape_of(b)[-2]} rows",
                      operands=types, hint="b[n] or b[..., n, k] for a[..., n, n]")
    lead = joint_shape("solve", [shape_of(a)[:-2], shape_of(b)[:-2]], types)
    x = factors.solve(broadcast("solve", a, (*lead, n, n)),
                      broadcast("solve", b, (*lead, *shape_of(b)[-2:])))
    return squeeze(x, -1) if vector else x


@one_program()
def inv(a: ArrayLike) -> Array:
    """The inverse of each square matrix [..., n, n]; inf or nan where there is none.

    >>> inv(jnp.array([[2.0, 0.0], [0.0, 4.0]]))
    Array([[0.5 , 0.  ],
           [0.  , 0.25]], dtype=float32)
    """
    a = squares("inv", a)
    return factors.solve(a, broadcast("inv", eye(shape_of(a)[-1], dtype=type_of(a).dtype),
                                      shape_of(a)))


# -- determinants ----------------------------------------------------------------------------------


@one_program()
def det(a: ArrayLike) -> Array:
    """The determinant of each square matrix [..., n, n], by LU; of three rows at most, by its sum.

    Its derivative is right where a matrix is singular, too.

    >>> det(jnp.array([[1.0, 2.0], [3.0, 4.0]]))
    Array(-2., dtype=float32)
    """
    return determinant(squares("det", a))


@one_program()
def slogdet(a: ArrayLike, *, method: str | None = None) -> SlogdetResult:
    """Sign (or phase) and logarithm of the absolute value of each determinant; 0 and -inf for 0.

    `method`, "lu" or "qr", changes nothing: it is by LU. Raises ArgumentError for others.

    >>> slogdet(jnp.array([[1.0, 2.0], [3.0, 4.0]])).sign
    Array(-1., dtype=float32)
    """
    if method not in (None, "lu", "qr"):
        raise mistake(ArgumentError, "slogdet", f"method = {method!r}", hint="'lu', 'qr' or None")
    a = squares("slogdet", a)
    _, _, odd, pivots = elimination(a)
    sign = rd.prod(_phase(pivots), -1)
    return SlogdetResult(ew.select(odd, ew.negate(sign), sign),
                         rd.sum(elementwise.log(elementwise.abs(pivots)), -1))


def _phase(x: Array) -> Array:
    """The sign, for complex numbers as a quotient, which has its derivative."""
    if not dt.is_complex(type_of(x).dtype):
        return elementwise.sign(x)
    zero = elementwise.equal(x, 0)
    other = ew.select(zero, elementwise.like(x, 1.0), x)
    return ew.select(zero, elementwise.like(x, 0.0), elementwise.divide(
        other, elementwise.abs(other)))


# -- factors ---------------------------------------------------------------------------------------


@one_program()
def qr(a: ArrayLike, mode: str = "reduced") -> Any:
    """Q with orthonormal columns and upper triangular R of a = Q R, by Householder's reflections.

    a is [..., m, n]. `mode`: "reduced" gives Q [..., m, k] and R [..., k, n], k the less of m and
    n; "complete" [..., m, m] and [..., m, n]; "r" R alone; "raw" LAPACK's vectors, transposed, and
    their factors. Raises ArgumentError for another mode.

    >>> abs(qr(jnp.array([[3.0], [4.0]])).R)
    Array([[5.]], dtype=float32)
    """
    a = matrices("qr", a)
    if mode not in ("reduced", "complete", "r", "raw"):
        raise mistake(ArgumentError, "qr", f"mode = {mode!r}",
                      hint="'reduced', 'complete', 'r' or 'raw'")
    if mode in ("r", "raw"):
        factored, tau = factors.reflections(a)
        return (matrix_transpose(factored), tau) if mode == "raw" else _upper(factored)
    q, factored = factors.qr(a, complete=mode == "complete")
    return QRResult(q, _upper(factored, shape_of(q)[-1]))


def pivoted_qr(a: ArrayLike, mode: str) -> tuple[Array, ...]:
    """Q and R, or what another mode of `qr` gives, of a with its columns in an order, and that."""
    a = matrices("qr", a)
    order = factors.column_order(stop_gradient(a))
    found = qr(take_along_axis(a, expand_dims(order, -2), -1), mode)
    return (*(found if isinstance(found, tuple) else (found,)), order)


def _upper(factored: Array, rows: int | None = None) -> Array:
    rows = min(shape_of(factored)[-2:]) if rows is None else rows
    return masked(cut(factored, len(shape_of(factored)) - 2, 0, rows), "LE")


@one_program()
def eigh(a: ArrayLike, UPLO: str = "L", symmetrize_input: bool = True) -> EighResult:
    """Eigenvalues, ascending, and orthonormal eigenvectors of symmetric (Hermitian) matrices.

    Of a that is not symmetric those of (a + a^H) / 2, or, without `symmetrize_input`, of what its
    triangle `UPLO` says.

    >>> eigh(jnp.array([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    Array([1., 2.], dtype=float32)
    """
    v, w = _eigh(a, UPLO, symmetrize_input, vectors=True)
    return EighResult(w, v)


@one_program()
def eigvalsh(a: ArrayLike, UPLO: str = "L", *, symmetrize_input: bool = True) -> Array:
    """The eigenvalues of symmetric (Hermitian) matrices, ascending, as `eigh` gives them.

    >>> eigvalsh(jnp.array([[2.0, 0.0], [0.0, 1.0]]))
    Array([1., 2.], dtype=float32)
    """
    return _eigh(a, UPLO, symmetrize_input, vectors=False)[1]


def _eigh(a: ArrayLike, triangle: str, symmetrize: bool, *, vectors: bool) -> tuple[Array, Array]:
    a = squares("eigh", a)
    if triangle not in ("L", "U"):
        raise mistake(ArgumentError, "eigh", f"UPLO = {triangle!r}", hint="'L' or 'U'")
    if symmetrize:
        a = symmetrized("eigh", a)
    return factors.eigh(a, lower=triangle == "L", vectors=vectors)


def symmetrized(op: str, a: Array) -> Array:
    """(a + a^H) / 2 for each square matrix."""
    a = squares(op, a)
    total = ew.add(a, adjoint(a))
    return ew.multiply(total, elementwise.like(total, 0.5))


@one_program()
def eig(a: ArrayLike) -> EigResult:
    """Eigenvalues, in any order, and eigenvectors of square matrices [..., n, n]; both complex.

    Vectors are of length 1, and their largest element is real. Derivatives are those for distinct
    eigenvalues, which are not checked. nan where LAPACK finds none.

    >>> eig(jnp.array([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    Array([2.+0.j, 1.+0.j], dtype=complex64)
    """
    return EigResult(*factors.eig(squares("eig", a), right=True)[::2])


@one_program()
def eigvals(a: ArrayLike) -> Array:
    """The eigenvalues of square matrices, complex and in any order, as `eig` gives them.

    >>> eigvals(jnp.array([[2.0, 0.0], [0.0, 1.0]]))
    Array([2.+0.j, 1.+0.j], dtype=complex64)
    """
    return factors.eig(squares("eigvals", a))[0]


@one_program()
def svd(a: ArrayLike, full_matrices: bool = True, compute_uv: bool = True,
        hermitian: bool = False, subset_by_index: tuple[int, int] | None = None) -> Any:
    """U, singular values S in descending order, and Vh of a = U diag(S) Vh.

    a is [..., m, n]. U is [..., m, m] and Vh [..., n, n]; without `full_matrices` [..., m, k] and
    [..., k, n], k the less of m and n. Without `compute_uv` S alone. With `hermitian` it is of
    (a + a^H) / 2, by eigenvalues. `subset_by_index` (i, j) gives those from i to before j, without
    `full_matrices`. Raises ArgumentError for other subsets.

    >>> svd(jnp.array([[3.0, 0.0], [0.0, 4.0]]), compute_uv=False)
    Array([4., 3.], dtype=float32)
    """
    a = matrices("svd", a)
    found = (_hermitian_svd if hermitian else _svd)(a, full_matrices, compute_uv)
    if subset_by_index is not None:
        found = _some(found, subset_by_index, full_matrices, compute_uv)
    return SVDResult(*found) if compute_uv else found[1]


def _svd(a: Array, full: bool, vectors: bool) -> tuple[Array, Array, Array]:
    return factors.svd(a, full=full, vectors=vectors)


def _hermitian_svd(a: Array, full: bool, vectors: bool) -> tuple[Array, Array, Array]:
    """U, S, Vh of Hermitian matrices: S are the sizes of eigenvalues, Vh has their signs."""
    v, w = _eigh(a, "L", True, vectors=vectors)
    order = argsort(ew.negate(elementwise.abs(w)), -1)
    w = take_along_axis(w, order, -1)
    v = take_along_axis(v, expand_dims(order, -2), -1)
    one = elementwise.like(w, 1.0)
    signs = ew.select(elementwise.less(w, 0), ew.negate(one), one)
    scaled = elementwise.multiply(v, expand_dims(convert(signs, type_of(v).dtype), -2))
    return v, elementwise.abs(w), adjoint(scaled)


def _some(found: tuple[Array, Array, Array], subset: tuple[int, int], full: bool, vectors: bool
          ) -> tuple[Array, Array, Array]:
    """Those with the numbers of a range."""
    u, s, vh = found
    first, last = subset
    if not 0 <= first <= last <= shape_of(s)[-1] or (full and vectors):
        raise mistake(ArgumentError, "svd", f"subset_by_index = {subset}, full_matrices = {full}, "
                      f"and {shape_of(s)[-1]} singular values", operands=[type_of(s)],
                      hint="(first, last + 1), with full_matrices=False")
    rank = len(shape_of(s))
    chosen = cut(s, rank - 1, first, last)
    return (cut(u, rank, first, last), chosen, cut(vh, rank - 1, first, last)) if vectors else (
        u, chosen, vh)


def svdvals(x: ArrayLike, /) -> Array:
    """The singular values of each matrix, in descending order.

    >>> svdvals(jnp.array([[3.0, 0.0], [0.0, 4.0]]))
    Array([4., 3.], dtype=float32)
    """
    return svd(x, compute_uv=False)
