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
from arraylib.hlo.ops.linalg import masked
from arraylib.numpy import elementwise, reductions as rd
from arraylib.numpy.creation import eye
from arraylib.numpy.determinants import determinant, elimination
from arraylib.numpy.layout import cut, expand_dims, matrix_transpose, squeeze
from arraylib.numpy.linear import matmul
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
def slogdet(a: ArrayLike) -> SlogdetResult:
    """Sign (or phase) and logarithm of the absolute value of each determinant; 0 and -inf for 0.

    >>> slogdet(jnp.array([[1.0, 2.0], [3.0, 4.0]])).sign
    Array(-1., dtype=float32)
    """
    a = squares("slogdet", a)
    _, _, odd, pivots = elimination(a)
    sign = rd.prod(elementwise.sign(pivots), -1)
    return SlogdetResult(ew.select(odd, ew.negate(sign), sign),
                         rd.sum(elementwise.log(elementwise.abs(pivots)), -1))


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
def svd(a: ArrayLike, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """U, singular values S in descending order, and Vh of a = U diag(S) Vh.

    a is [..., m, n]. U is [..., m, m] and Vh [..., n, n]; without `full_matrices` [..., m, k] and
    [..., k, n], k the less of m and n. Without `compute_uv` S alone.

    >>> svd(jnp.array([[3.0, 0.0], [0.0, 4.0]]), compute_uv=False)
    Array([4., 3.], dtype=float32)
    """
    a = matrices("svd", a)
    u, s, vh = factors.svd(a, full=full_matrices, vectors=compute_uv)
    return SVDResult(u, s, vh) if compute_uv else s


def svdvals(x: ArrayLike, /) -> Array:
    """The singular values of each matrix, in descending order.

    >>> svdvals(jnp.array([[3.0, 0.0], [0.0, 4.0]]))
    Array([4., 3.], dtype=float32)
    """
    return svd(x, compute_uv=False)


# -- by singular values ----------------------------------------------------------------------------


@one_program()
def pinv(a: ArrayLike, rcond: ArrayLike | None = None, hermitian: bool = False, *,
         rtol: ArrayLike | None = None) -> Array:
    """Moore and Penrose's inverse; singular values below `rtol` times the largest count as 0.

    `rtol`, a number or one for each matrix, is 10 max(m, n) times the dtype's resolution unless
    given; `rcond` is its older name. `hermitian` changes nothing.

    >>> pinv(jnp.array([[2.0, 0.0], [0.0, 0.0]]))
    Array([[0.5, 0. ],
           [0. , 0. ]], dtype=float32)
    """
    a = matrices("pinv", a)
    u, s, vh = factors.svd(a, full=False, vectors=True)
    if rcond is not None and rtol is not None:
        raise mistake(ArgumentError, "pinv", "rcond and rtol are both given",
                      operands=[type_of(a)], hint="rtol alone, which is the same")
    part = rcond if rtol is None else rtol
    kept = _kept(s, 10.0 * max(shape_of(a)[-2:]) if part is None else part, part is None)
    weights = convert(_inverse(s, kept), type_of(a).dtype)
    scaled = elementwise.multiply(adjoint(vh), expand_dims(weights, -2))
    return matmul(scaled, adjoint(u))


def _inverse(s: Array, kept: Array) -> Array:
    """1 / s where it is kept, and 0 elsewhere, in the derivative too."""
    one = elementwise.like(s, 1.0)
    return ew.select(kept, ew.divide(one, ew.select(kept, s, one)), elementwise.like(s, 0.0))


def adjoint(x: Array) -> Array:
    """The conjugate transpose of each matrix."""
    return elementwise.conj(matrix_transpose(x))


def _kept(s: Array, factor: ArrayLike, of_resolution: bool) -> Array:
    """Which singular values are more than a part of the largest: one part, or one a matrix."""
    if of_resolution:
        factor = factor * float(dt.finfo(type_of(s).dtype).eps)
    elif shape_of(factor):
        factor = expand_dims(factor, -1)
    if not shape_of(s)[-1]:
        return elementwise.greater(s, 0)
    return elementwise.greater(s, elementwise.multiply(rd.max(s, -1, keepdims=True), factor))


@one_program()
def matrix_rank(M: ArrayLike, rtol: float | None = None) -> Array:
    """How many singular values are more than `rtol` times the largest.

    `rtol` is max(m, n) times the dtype's resolution unless given.

    >>> matrix_rank(jnp.array([[1.0, 1.0], [1.0, 1.0]]))
    Array(1, dtype=int32)
    """
    m = matrices("matrix_rank", M)
    s = svdvals(m)
    kept = _kept(s, max(shape_of(m)[-2:]) if rtol is None else rtol, rtol is None)
    return rd.sum(convert(kept, dt.int32), -1)


@one_program()
def cond(x: ArrayLike) -> Array:
    """The largest singular value of each matrix over the least.

    >>> cond(jnp.array([[2.0, 0.0], [0.0, 1.0]]))
    Array(2., dtype=float32)
    """
    s = svdvals(x)
    return ew.divide(rd.max(s, -1), rd.min(s, -1))


@one_program(2)
def lstsq(a: ArrayLike, b: ArrayLike, rcond: float | None = None
          ) -> tuple[Array, Array, Array, Array]:
    """x of the least |a x - b|, and of those the least |x|; residuals, rank, singular values.

    a is [m, n], b [m] or [m, k]. Singular values below `rcond` times the largest count as 0; unless
    given it is max(m, n) times the dtype's resolution. The residuals are |a x - b|^2, [k].
    Raises ShapeError where a and b have not the same number of rows.

    >>> lstsq(jnp.array([[1.0], [1.0]]), jnp.array([1.0, 3.0]))[0]
    Array([1.9999999], dtype=float32)
    """
    a, b = promote_inexact("lstsq", a, b)
    a, vector = matrices("lstsq", a), len(shape_of(b)) == 1
    b = expand_dims(b, -1) if vector else b
    (m, n), types = shape_of(a), [type_of(a), type_of(b)]
    if len(shape_of(a)) != 2 or len(shape_of(b)) != 2 or shape_of(b)[0] != m:
        raise mistake(ShapeError, "lstsq", f"a has {m} rows, but b has shape {shape_of(b)}",
                      operands=types, hint="a[m, n] and b[m] or b[m, k]")
    u, s, vh = factors.svd(a, full=False, vectors=True)
    kept = _kept(s, max(m, n) if rcond is None else rcond, rcond is None)
    weights = convert(_inverse(s, kept), type_of(a).dtype)
    inner = elementwise.multiply(matmul(adjoint(u), b), expand_dims(weights, -1))
    x = matmul(adjoint(vh), inner)
    rank = rd.sum(convert(kept, dt.int32), -1)
    error = elementwise.abs(ew.subtract(b, matmul(a, x)))
    residuals = rd.sum(elementwise.square(error), 0)
    return (squeeze(x, -1) if vector else x), residuals, rank, s


def is_spectral(ord: Any) -> bool:
    """Whether a norm is of singular values."""
    return ord in (2, -2, "nuc")


def spectral_norm(x: Array, ord: Any) -> Array:
    """The largest (2) or least (-2) singular value, or the sum of all ("nuc")."""
    s = svdvals(x)
    if ord == "nuc":
        return rd.sum(s, -1)
    return rd.max(s, -1) if ord == 2 else rd.min(s, -1)
