"""SciPy's linear algebra: LU and Cholesky factors, systems of equations.

All functions work on batches of matrices, whose leading axes broadcast.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo import factors
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops.linalg import cholesky as cholesky_op, masked
from arraylib.lax.linalg import triangular_solve
from arraylib.numpy import linalg
from arraylib.numpy.creation import arange, eye
from arraylib.numpy.elementwise import add, equal
from arraylib.numpy.factors import matrices, pivoted_qr
from arraylib.numpy.layout import cut, expand_dims, squeeze
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    broadcast,
    convert,
    joint_shape,
    operand,
    shape_of,
)
from arraylib.numpy.sorting import argsort
from arraylib.scipy.matrices import (
    block_diag,
    circulant,
    companion,
    convolution_matrix,
    dft,
    fiedler,
    fiedler_companion,
    hadamard,
    hankel,
    helmert,
    hilbert,
    invhilbert,
    invpascal,
    leslie,
    pascal,
    toeplitz,
)
from arraylib.scipy.matrix_functions import (
    eigh_tridiagonal,
    expm,
    expm_frechet,
    polar,
    qr_multiply,
    solve_sylvester,
)
from arraylib.scipy.promotion import floats
from arraylib.scipy.schur_form import funm, hessenberg, rsf2csf, schur, sqrtm

__all__ = ["block_diag", "cho_factor", "cho_solve", "cholesky", "circulant", "companion",
           "convolution_matrix", "det", "dft", "eigh", "eigh_tridiagonal", "expm", "expm_frechet",
           "fiedler", "fiedler_companion", "funm", "hadamard", "hankel", "helmert", "hessenberg",
           "hilbert", "inv", "invhilbert", "invpascal", "leslie", "lu", "lu_factor", "lu_solve",
           "pascal", "polar", "qr", "qr_multiply", "rsf2csf", "schur", "solve", "solve_sylvester",
           "solve_triangular", "sqrtm", "svd", "toeplitz"]

_TRANSPOSES = {0: 0, "N": 0, 1: 1, "T": 1, 2: 2, "C": 2}


@one_program()
def cholesky(a: ArrayLike, lower: bool = False, overwrite_a: bool = False,
             check_finite: bool = True) -> Array:
    """The upper (or lower) triangular factor of a = U^H U; only that triangle of a is read.

    nan where a is not positive definite. The other arguments change nothing.

    >>> linalg.cholesky(jnp.array([[4.0, 2.0], [2.0, 2.0]]), lower=True)
    Array([[2., 0.],
           [1., 1.]], dtype=float32)
    """
    return cholesky_op(*floats("cholesky", a), lower=bool(lower))


def cho_factor(a: ArrayLike, lower: bool = False, overwrite_a: bool = False,
               check_finite: bool = True) -> tuple[Array, bool]:
    """What cho_solve takes: a's factor, and whether it is the lower one.

    >>> c, lower = linalg.cho_factor(jnp.array([[4.0, 2.0], [2.0, 2.0]]), lower=True)
    >>> linalg.cho_solve((c, lower), jnp.array([6.0, 4.0]))
    Array([1., 1.], dtype=float32)
    """
    return cholesky(a, lower=lower), lower


def cho_solve(c_and_lower: tuple[ArrayLike, bool], b: ArrayLike, overwrite_b: bool = False,
              check_finite: bool = True) -> Array:
    """x of a x = b, given a's factor as cho_factor gives it.

    >>> factor = linalg.cho_factor(jnp.array([[4.0, 2.0], [2.0, 2.0]]))
    >>> linalg.cho_solve(factor, jnp.array([6.0, 4.0]))
    Array([1., 1.], dtype=float32)
    """
    c, lower = c_and_lower
    return _cho_solve(c, b, bool(lower))


@one_program(2)
def _cho_solve(c: ArrayLike, b: ArrayLike, lower: bool) -> Array:
    c, b = _system("cho_solve", c, b)
    for adjoint in (not lower, lower):
        b = triangular_solve(c, b, left_side=True, lower=lower, transpose_a=adjoint,
                             conjugate_a=adjoint)
    return b


@one_program()
def lu_factor(a: ArrayLike, overwrite_a: bool = False, check_finite: bool = True
              ) -> tuple[Array, Array]:
    """What lu_solve takes: L and U of P a = L U in one matrix, and the pivots, i32[..., k].

    a is [..., m, n], k the less of m and n; row i was swapped with row pivots[i]. L's diagonal is
    of ones, which are not stored. A singular matrix is factored too: U has a 0 on its diagonal. The
    other arguments change nothing.

    >>> lu_factor(jnp.array([[2.0, 4.0], [1.0, 3.0]]))
    (Array([[2. , 4. ],
           [0.5, 1. ]], dtype=float32), Array([0, 1], dtype=int32))
    """
    factored, pivots, _ = factors.lu(matrices("lu_factor", a))
    return factored, pivots


def lu_solve(lu_and_piv: tuple[ArrayLike, ArrayLike], b: ArrayLike, trans: int | str = 0,
             overwrite_b: bool = False, check_finite: bool = True) -> Array:
    """x of a x = b, given a's factors as lu_factor gives them.

    b is one vector [n], or matrices [..., n, k]. `trans`: 0 or "N" for a, 1 or "T" for its
    transpose, 2 or "C" for its adjoint; ArgumentError for others. The rest changes nothing.

    >>> lu_solve(lu_factor(jnp.array([[2.0, 4.0], [1.0, 3.0]])), jnp.array([2.0, 2.0]))
    Array([-1.,  1.], dtype=float32)
    """
    if trans not in _TRANSPOSES:
        raise mistake(ArgumentError, "lu_solve", f"trans = {trans!r}",
                      hint="0 or 'N', 1 or 'T', 2 or 'C'")
    factored, pivots = lu_and_piv
    return _lu_solve(factored, pivots, b, _TRANSPOSES[trans])


@one_program(3)
def _lu_solve(factored: ArrayLike, pivots: ArrayLike, b: ArrayLike, how: int) -> Array:
    vector = len(shape_of(b)) == 1
    factored, b = _system("lu_solve", factored, expand_dims(b, -1) if vector else b)
    rows = shape_of(factored)[-1]
    places = operand("lu_solve", pivots)
    order = factors.order_of(broadcast("lu_solve", places, shape_of(factored)[:-1]), rows)
    solve_one = partial(triangular_solve, factored, left_side=True, transpose_a=how > 0,
                        conjugate_a=how == 2)
    if not how:
        b = solve_one(factors.take_rows(b, order), lower=True, unit_diagonal=True)
        x = solve_one(b, lower=False)
    else:
        b = solve_one(solve_one(b, lower=False), lower=True, unit_diagonal=True)
        x = factors.take_rows(b, argsort(order, axis=-1))
    return squeeze(x, -1) if vector else x


@one_program()
def lu(a: ArrayLike, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True
       ) -> Any:
    """P, L and U of a = P L U, by partial pivoting; P L and U with `permute_l`.

    a is [..., m, n], and with k the less of m and n, L is [..., m, k] with ones on its diagonal,
    U [..., k, n], P [..., m, m]. The other arguments change nothing.

    >>> lu(jnp.array([[2.0, 4.0], [1.0, 3.0]]))[2]
    Array([[2., 4.],
           [0., 1.]], dtype=float32)
    """
    a = matrices("lu", a)
    factored, _, order = factors.lu(a)
    m, n = shape_of(a)[-2:]
    k, axis = min(m, n), len(shape_of(a)) - 2
    unit = broadcast("lu", eye(m, k, dtype=type_of(a).dtype), (*shape_of(a)[:-2], m, k))
    lower = add(masked(cut(factored, axis + 1, 0, k), "GT"), unit)
    upper = masked(cut(factored, axis, 0, k), "LE")
    if permute_l:
        return factors.take_rows(lower, argsort(order, axis=-1)), upper
    places = broadcast("lu", expand_dims(order, -2), (*shape_of(a)[:-2], m, m))
    count = broadcast("lu", expand_dims(arange(m, dtype="int32"), -1), shape_of(places))
    return convert(equal(places, count), type_of(a).dtype), lower, upper


@one_program(2)
def solve(a: ArrayLike, b: ArrayLike, lower: bool = False, overwrite_a: bool = False,
          overwrite_b: bool = False, debug: bool = False, check_finite: bool = True,
          assume_a: str = "gen") -> Array:
    """x of a x = b; by Cholesky factors if a is assumed to be "pos", else by LU ("gen", "sym", ..).

    a is [..., n, n], b [n] or [..., n, k]. Of a positive definite matrix the upper triangle is
    read, or the `lower`; the result is nan if it is none. The other arguments change nothing.

    >>> solve(jnp.array([[2.0, 0.0], [0.0, 4.0]]), jnp.array([2.0, 2.0]))
    Array([1. , 0.5], dtype=float32)
    """
    if assume_a != "pos":
        return linalg.solve(a, b)
    vector = len(shape_of(b)) == 1
    x = _cho_solve(cholesky(a, lower=lower), expand_dims(b, -1) if vector else b, bool(lower))
    return squeeze(x, -1) if vector else x


def inv(a: ArrayLike, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The inverse, as `numpy.linalg.inv` gives it; the other arguments change nothing.

    >>> linalg.inv(jnp.array([[2.0, 0.0], [0.0, 4.0]]))
    Array([[0.5 , 0.  ],
           [0.  , 0.25]], dtype=float32)
    """
    return linalg.inv(a)


def det(a: ArrayLike, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The determinant, as `numpy.linalg.det` gives it; the other arguments change nothing.

    >>> linalg.det(jnp.array([[1.0, 2.0], [3.0, 4.0]])).round(4)
    Array(-2., dtype=float32)
    """
    return linalg.det(a)


def qr(a: ArrayLike, overwrite_a: bool = False, lwork: Any = None, mode: str = "full",
       pivoting: bool = False, check_finite: bool = True) -> Any:
    """Q and R of a = Q R; `mode` "full" (Q is square), "economic", or "r" for (R,) alone.

    With `pivoting` of a with its columns in another order, in which the diagonal of R descends in
    size; the order, i32[..., n], comes last. ArgumentError for other modes. The rest changes
    nothing.

    >>> q, r = linalg.qr(jnp.array([[3.0, 1.0], [4.0, 2.0]]))
    >>> jnp.abs(r).round(4)
    Array([[5. , 2.2],
           [0. , 0.4]], dtype=float32)
    """
    modes = {"full": "complete", "economic": "reduced", "r": "r"}
    if mode not in modes:
        raise mistake(ArgumentError, "qr", f"mode = {mode!r}", hint="'full', 'economic' or 'r'")
    if pivoting:
        return pivoted_qr(a, modes[mode])
    found = linalg.qr(a, modes[mode])
    return (found,) if mode == "r" else tuple(found)


def eigh(a: ArrayLike, b: None = None, lower: bool = True, eigvals_only: bool = False) -> Any:
    """Eigenvalues, ascending, and eigenvectors of a symmetric matrix of which a triangle is read.

    ArgumentError where `b` is given: only a x = w x is solved.

    >>> values, vectors = linalg.eigh(jnp.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> values.round(4)
    Array([1., 3.], dtype=float32)
    """
    if b is not None:
        raise mistake(ArgumentError, "eigh", "b is given; only a x = w x is solved",
                      hint="eigh of inv(L) a inv(L).T where L = cholesky(b)")
    triangle = "L" if lower else "U"
    if eigvals_only:
        return linalg.eigvalsh(a, triangle, symmetrize_input=False)
    return tuple(linalg.eigh(a, triangle, False))


def svd(a: ArrayLike, full_matrices: bool = True, compute_uv: bool = True,
        overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """U, singular values, V^H, as `numpy.linalg.svd` gives them.

    >>> linalg.svd(jnp.diag(jnp.array([3.0, 4.0])), compute_uv=False)
    Array([4., 3.], dtype=float32)
    """
    found = linalg.svd(a, full_matrices, compute_uv)
    return tuple(found) if compute_uv else found


@one_program(2)
def solve_triangular(a: ArrayLike, b: ArrayLike, trans: int | str = 0, lower: bool = False,
                     unit_diagonal: bool = False, overwrite_b: bool = False, debug: Any = None,
                     check_finite: bool = True) -> Array:
    """x of a x = b for upper (or lower) triangular a; b is one vector, or matrices.

    `trans`: 0 or "N" as it is, 1 or "T" for the transpose of a, 2 or "C" for its adjoint. With
    `unit_diagonal` the diagonal is not read but taken for ones.

    >>> a = jnp.array([[2.0, 0.0], [1.0, 1.0]])
    >>> linalg.solve_triangular(a, jnp.array([2.0, 3.0]), lower=True)
    Array([1., 2.], dtype=float32)
    """
    if trans not in _TRANSPOSES:
        raise mistake(ArgumentError, "solve_triangular", f"trans = {trans!r}",
                      hint="0 or 'N', 1 or 'T', 2 or 'C'")
    a, b = _system("solve_triangular", a, b)
    how = _TRANSPOSES[trans]
    return triangular_solve(a, b, left_side=True, lower=lower, transpose_a=how > 0,
                            conjugate_a=how == 2, unit_diagonal=unit_diagonal)


def _system(op: str, a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    """Matrices and right-hand sides, of the same leading axes."""
    a, b = floats(op, a, b)
    rows, types = shape_of(a)[-2:], [type_of(a), type_of(b)]
    if len(rows) < 2 or rows[0] != rows[1]:
        raise mistake(ShapeError, op, f"a has shape {shape_of(a)}, which ends in no square matrix",
                      operands=types, hint="its last two axes must have one size")
    own = shape_of(b)[-2:]
    if not own or own[0] != rows[1]:
        raise mistake(ShapeError, op, f"a has {rows[1]} columns, but b has shape {shape_of(b)}",
                      operands=types, hint="b[n] or b[..., n, k] for a[..., n, n]")
    lead = joint_shape(op, [shape_of(a)[:-2], shape_of(b)[:-len(own)]], types)
    return broadcast(op, a, (*lead, *rows)), broadcast(op, b, (*lead, *own))
