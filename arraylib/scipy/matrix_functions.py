"""Functions of matrices: the exponential, polar factors, Sylvester's equation, tridiagonal ones."""

from __future__ import annotations

from typing import Any

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops.control import stop_gradient
from arraylib.numpy.factors import pivoted_qr, squares
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import Array, ArrayLike, promote_inexact, shape_of
from arraylib.tracing.control import cond, fori_loop
from arraylib.tracing.derivatives import jvp

__all__ = ["eigh_tridiagonal", "expm", "expm_frechet", "polar", "qr_multiply", "solve_sylvester"]

# Numerators of Pade's approximants to exp of degrees 7 and 13, and the norms up to which their
# errors are below those of rounding in float32 and float64 (Higham 2005, table 2.3).
_PADE = {
    7: (17297280.0, 8648640.0, 1995840.0, 277200.0, 25200.0, 1512.0, 56.0, 1.0),
    13: (64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0,
         129060195264000.0, 10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0,
         40840800.0, 960960.0, 16380.0, 182.0, 1.0)}
_NORM = {7: 3.925724783138660, 13: 5.371920351148152}


@one_program()
def expm(A: ArrayLike, *, upper_triangular: bool = False, max_squarings: int = 16) -> Array:
    """The exponential of square matrices [..., n, n]; not that of each element.

    Pade's approximant of a matrix halved until it is small, which is then squared (Higham 2005);
    nan where more than `max_squarings` are needed. `upper_triangular` changes nothing.

    >>> expm(jnp.array([[0.0, 1.0], [0.0, 0.0]]))
    Array([[1., 1.],
           [0., 1.]], dtype=float32)
    """
    a = squares("expm", A)
    one = lambda x: _expm(x, int(max_squarings))
    return jnp.vectorize(one, signature="(n,n)->(n,n)")(a)


def _expm(a: Array, most: int) -> Array:
    dtype = type_of(a).dtype
    degree = 13 if dt.bits(dt.to_real(dtype)) == 64 else 7
    n = shape_of(a)[-1]
    if n == 0:
        return a
    norm = jnp.max(jnp.sum(jnp.abs(a), 0))
    halvings = jnp.maximum(jnp.ceil(jnp.log2(norm / _NORM[degree])), 0)
    halvings = jnp.where(norm > 0, halvings, 0)
    small = a * (0.5 ** jnp.minimum(halvings, most)).astype(dtype)
    upper, lower = _pade(small, _PADE[degree])
    start = jnp.linalg.solve(lower, upper)

    def square(i: Array, r: Array) -> Array:
        return cond(i < halvings, lambda r: r @ r, lambda r: r, r)

    found = fori_loop(0, most, square, start)
    return jnp.where(halvings > most, jnp.nan, found).astype(dtype)


def _pade(a: Array, b: tuple[float, ...]) -> tuple[Array, Array]:
    """The numerator and denominator, by powers of a^2."""
    square = a @ a
    power = jnp.eye(shape_of(a)[-1], dtype=type_of(a).dtype)
    odd, even = power * b[1], power * b[0]
    for k in range(2, len(b), 2):
        power = power @ square
        even = even + b[k] * power
        odd = odd + b[k + 1] * power
    odd = a @ odd
    return even + odd, even - odd


def expm_frechet(A: ArrayLike, E: ArrayLike, *, method: str | None = None,
                 compute_expm: bool = True) -> Any:
    """expm(A) and its derivative in the direction E; that alone without `compute_expm`.

    `method` changes nothing.

    >>> expm_frechet(jnp.array([[0.0]]), jnp.array([[2.0]]), compute_expm=False)
    Array([[2.]], dtype=float32)
    """
    a, e = promote_inexact("expm_frechet", A, E)
    if shape_of(a) != shape_of(e):
        raise mistake(ShapeError, "expm_frechet", f"A has shape {shape_of(a)} and E {shape_of(e)}",
                      operands=[type_of(a), type_of(e)], hint="matrices of one size")
    found, slope = jvp(expm, (jnp.asarray(a),), (jnp.asarray(e),))
    return (found, slope) if compute_expm else slope


@one_program()
def polar(a: ArrayLike, side: str = "right", *, method: str = "svd", eps: float | None = None,
          max_iterations: int | None = None) -> tuple[Array, Array]:
    """u and p of a = u p (or p u for the side "left"), u of orthonormal columns or rows, p >= 0.

    From the singular values of a[m, n]; the other arguments change nothing.

    >>> polar(jnp.array([[0.0, -2.0], [3.0, 0.0]]))[1]
    Array([[3., 0.],
           [0., 2.]], dtype=float32)
    """
    if side not in ("right", "left"):
        raise mistake(ArgumentError, "polar", f"side = {side!r}", hint="'right' or 'left'")
    (a,) = promote_inexact("polar", a)
    w, s, vh = jnp.linalg.svd(a, full_matrices=False)
    turned = lambda x: jnp.conj(jnp.matrix_transpose(x))
    unitary = w @ vh
    s = s.astype(type_of(a).dtype)
    vectors = turned(vh) if side == "right" else w
    return unitary, vectors * s[..., None, :] @ turned(vectors)


def qr_multiply(a: ArrayLike, c: ArrayLike, mode: str = "right", pivoting: bool = False,
                conjugate: bool = False, overwrite_a: bool = False, overwrite_c: bool = False
                ) -> tuple[Array, ...]:
    """c Q (or Q c for the mode "left") and R of a = Q R, with as many columns in Q as in R rows.

    With `conjugate` Q's conjugate is multiplied. With `pivoting` as `qr`, the order of the columns
    comes third. Raises ArgumentError for other modes. The other arguments change nothing.

    >>> qr_multiply(jnp.array([[2.0, 0.0], [0.0, 3.0]]), jnp.array([1.0, 1.0]))[1].shape
    (2, 2)
    """
    if mode not in ("left", "right"):
        raise mistake(ArgumentError, "qr_multiply", f"mode = {mode!r}", hint="'left' or 'right'")
    a, c = promote_inexact("qr_multiply", a, c)
    q, *rest = pivoted_qr(a, "reduced") if pivoting else jnp.linalg.qr(a)
    q = jnp.conj(q) if conjugate else q
    return (q @ c if mode == "left" else c @ q), *rest


@one_program(3)
def solve_sylvester(A: ArrayLike, B: ArrayLike, C: ArrayLike, *, method: str = "schur",
                    tol: float = 1e-8) -> Array:
    """X of A X + X B = C, for A[..., m, m], B[..., n, n] and C[..., m, n]; leading axes broadcast.

    One system of m n unknowns, so that matrices without enough eigenvectors are no exception; it
    takes (m n)^3 steps. nan where an eigenvalue of A is one of -B, or nearer to it than `tol`.
    `method` changes nothing.

    >>> solve_sylvester(jnp.array([[1.0]]), jnp.array([[3.0]]), jnp.array([[8.0]]))
    Array([[2.]], dtype=float32)
    """
    a, b, c = promote_inexact("solve_sylvester", A, B, C)
    a, b = squares("solve_sylvester", a), squares("solve_sylvester", b)
    m, n = shape_of(a)[-1], shape_of(b)[-1]
    if shape_of(c)[-2:] != (m, n):
        raise mistake(ShapeError, "solve_sylvester", f"C has shape {shape_of(c)}, not (..., {m}, "
                      f"{n})", operands=[type_of(a), type_of(b), type_of(c)], hint="C[..., m, n]")
    lead = jnp.broadcast_shapes(*[shape_of(x)[:-2] for x in (a, b, c)])
    eye = lambda k: jnp.eye(k, dtype=type_of(c).dtype)
    rows = a[..., :, None, :, None] * eye(n)[:, None, :]
    columns = eye(m)[:, None, :, None] * jnp.matrix_transpose(b)[..., None, :, None, :]
    joint = jnp.broadcast_to(rows + columns, (*lead, m, n, m, n)).reshape(*lead, m * n, m * n)
    right = jnp.broadcast_to(c, (*lead, m, n)).reshape(*lead, m * n, 1)
    found = jnp.linalg.solve(joint, right).reshape(*lead, m, n)
    sums = jnp.linalg.eigvals(a)[..., :, None] + jnp.linalg.eigvals(b)[..., None, :]
    singular = (jnp.abs(stop_gradient(sums)) < tol).any((-2, -1))
    return jnp.where(singular[..., None, None], jnp.nan, found)


def eigh_tridiagonal(d: ArrayLike, e: ArrayLike, *, eigvals_only: bool = False, select: str = "a",
                     select_range: tuple[float, float] | None = None, tol: float | None = None,
                     key: Any = None) -> Any:
    """The eigenvalues, ascending, of the real symmetric matrix with diagonal d[n] and e[n - 1].

    And the eigenvectors, unless `eigvals_only`. `select` "i" gives those from number
    `select_range[0]` to `select_range[1]`. Computed as of a full matrix. Raises ArgumentError for
    `select` "v": how many there would be depends on the elements.

    >>> eigh_tridiagonal(jnp.array([2.0, 2.0]), jnp.array([1.0]), eigvals_only=True)
    Array([1., 3.], dtype=float32)
    """
    d, e = promote_inexact("eigh_tridiagonal", d, e)
    n = shape_of(d)[0] if len(shape_of(d)) == 1 else -1
    if n < 1 or shape_of(e) != (n - 1,):
        raise mistake(ShapeError, "eigh_tridiagonal", f"d has shape {shape_of(d)} and e "
                      f"{shape_of(e)}", operands=[type_of(d), type_of(e)], hint="d[n] and e[n - 1]")
    if select not in ("a", "i") or (select == "i" and select_range is None):
        raise mistake(ArgumentError, "eigh_tridiagonal", f"select = {select!r}",
                      hint="'a', or 'i' with select_range=(first, last)")
    first, last = (0, n - 1) if select == "a" else map(int, select_range or ())
    whole = jnp.diag(d) + jnp.diag(e, 1) + jnp.diag(e, -1)
    if eigvals_only:
        return jnp.linalg.eigvalsh(whole)[first:last + 1]
    values, vectors = jnp.linalg.eigh(whole)
    return values[first:last + 1], vectors[:, first:last + 1]
