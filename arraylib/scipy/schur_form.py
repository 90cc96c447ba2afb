"""Schur's and Hessenberg's forms of matrices, and functions of matrices by triangular ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import arraylib.numpy as jnp
from arraylib import dtypes as dt, lax
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.numpy.factors import squares
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import Array, ArrayLike, promote_inexact, shape_of
from arraylib.tracing.control import fori_loop

__all__ = ["funm", "hessenberg", "rsf2csf", "schur", "sqrtm"]


def _adjoint(x: Array) -> Array:
    return jnp.conj(jnp.matrix_transpose(x))


# -- forms -----------------------------------------------------------------------------------------


@one_program()
def schur(a: ArrayLike, output: str = "real") -> tuple[Array, Array]:
    """T and Z of a = Z T Z^H for square matrices [..., n, n]: T is triangular, Z unitary.

    That of a real matrix has blocks of two rows on its diagonal for pairs of complex eigenvalues,
    unless the `output` is "complex". nan where an element is no finite number. There are no
    derivatives.

    >>> t, z = schur(jnp.array([[1.0, 2.0], [0.0, 3.0]]))
    >>> t
    Array([[1., 2.],
           [0., 3.]], dtype=float32)
    """
    if output not in ("real", "complex"):
        raise mistake(ArgumentError, "schur", f"output = {output!r}", hint="'real' or 'complex'")
    a = squares("schur", a)
    if output == "complex":
        a = a.astype(dt.to_complex(type_of(a).dtype))
    t, z = lax.linalg.schur(a)
    return t, z


@one_program()
def hessenberg(a: ArrayLike, *, calc_q: bool = False, overwrite_a: bool = False,
               check_finite: bool = True) -> Any:
    """H of a = Q H Q^H for square matrices [..., n, n]: 0 below the diagonal under its own.

    And Q with `calc_q`. The other arguments change nothing. There are no derivatives.

    >>> hessenberg(jnp.array([[1.0, 2.0, 1.0], [0.0, 3.0, 1.0], [0.0, 1.0, 1.0]]))
    Array([[1., 2., 1.],
           [0., 3., 1.],
           [0., 1., 1.]], dtype=float32)
    """
    whole, taus = lax.linalg.hessenberg(a)
    h = jnp.triu(whole, -1)
    if not calc_q:
        return h
    n = shape_of(h)[-1]
    q = jnp.broadcast_to(jnp.eye(n, dtype=type_of(h).dtype), shape_of(h))
    if n > 1:
        q = q.at[..., 1:, 1:].set(lax.linalg.householder_product(whole[..., 1:, :-1], taus))
    return h, q


@one_program(2)
def rsf2csf(T: ArrayLike, Z: ArrayLike, check_finite: bool = True) -> tuple[Array, Array]:
    """The complex form of a real one: T and Z of the same product Z T Z^H, T triangular.

    T and Z are as `schur` gives them; their leading axes broadcast. `check_finite` changes nothing.

    >>> t, z = rsf2csf(*schur(jnp.array([[0.0, 1.0], [-1.0, 0.0]])))
    >>> jnp.diag(t)
    Array([0.+1.j, 0.-1.j], dtype=complex64)
    """
    t, z = (squares("rsf2csf", x) for x in promote_inexact("rsf2csf", T, Z))
    if shape_of(t)[-1] != shape_of(z)[-1]:
        raise mistake(ShapeError, "rsf2csf", f"T has shape {shape_of(t)} and Z {shape_of(z)}",
                      operands=[type_of(t), type_of(z)], hint="matrices of one size")
    wide = dt.to_complex(type_of(t).dtype)
    found = jnp.vectorize(_without_blocks, signature="(n,n),(n,n)->(n,n),(n,n)")(
        t.astype(wide), z.astype(wide))
    return found  # type: ignore[no-any-return]


def _without_blocks(t: Array, z: Array) -> tuple[Array, Array]:
    """One block after the other, from the last rows on, becomes a triangle by a rotation."""
    n, dtype = shape_of(t)[-1], type_of(t).dtype
    if n < 2:
        return t, z
    rows, columns = jnp.arange(n)[:, None], jnp.arange(n)[None, :]

    def rotate(i: Array, both: tuple[Array, Array]) -> tuple[Array, Array]:
        t, z = both
        m = n - 1 - i
        x, y = _eigenvector(lax.dynamic_slice(t, (m - 1, m - 1), (2, 2)))
        turn = jnp.stack([jnp.stack([x, -jnp.conj(y)]), jnp.stack([y, jnp.conj(x)])]).astype(dtype)
        own = lax.dynamic_slice_in_dim(t, m - 1, 2, 0)
        t = lax.dynamic_update_slice_in_dim(t, _adjoint(turn) @ own, m - 1, 0)
        t, z = (lax.dynamic_update_slice_in_dim(
            v, lax.dynamic_slice_in_dim(v, m - 1, 2, 1) @ turn, m - 1, 1) for v in (t, z))
        return jnp.where((rows == m) & (columns == m - 1), 0, t), z

    return fori_loop(0, n - 1, rotate, (t, z))  # type: ignore[no-any-return]


def _eigenvector(block: Array) -> tuple[Array, Array]:
    """Of length 1; the first unit vector of a triangular block."""
    a, b, c, d = block[0, 0], block[0, 1], block[1, 0], block[1, 1]
    half = (a - d) / 2
    root = jnp.sqrt(half * half + b * c)
    larger = jnp.where(jnp.abs(half + root) >= jnp.abs(half - root), half + root, half - root)
    triangular = c == 0
    x, y = jnp.where(triangular, 1, larger), jnp.where(triangular, 0, c)
    size = jnp.hypot(jnp.abs(x), jnp.abs(y))
    return x / size, y / size


# -- functions -------------------------------------------------------------------------------------


def _by_diagonals(t: Array, diagonal: Array, entries: Callable[[Array], Array]) -> Array:
    """A triangular matrix from its diagonal on; `entries` gives the next one from those so far."""
    n = shape_of(t)[-1]
    above = jnp.arange(n)[None, :] - jnp.arange(n)[:, None]
    step = lambda k, f: jnp.where(above == k, entries(f), f)
    return fori_loop(1, max(n, 1), step, jnp.diag(diagonal))  # type: ignore[no-any-return]


@one_program()
def sqrtm(A: ArrayLike, blocksize: int = 1) -> Array:
    """X of X X = A for square matrices [..., n, n]: complex, by Schur's form (Bjorck 1983).

    Eigenvalues of X are those square roots whose real parts are not negative. inf or nan where
    there is no such X, or an element is no finite number. `blocksize` changes nothing.

    >>> sqrtm(jnp.array([[4.0, 1.0], [0.0, 4.0]]))
    Array([[2.  +0.j, 0.25+0.j],
           [0.  +0.j, 2.  +0.j]], dtype=complex64)
    """
    t, z = schur(A, "complex")

    def root(t: Array) -> Array:
        diagonal = jnp.sqrt(jnp.diag(t))
        sums = diagonal[:, None] + diagonal[None, :]

        def entries(x: Array) -> Array:
            rest = t - x @ x
            return jnp.where(rest == 0, 0, rest / jnp.where(rest == 0, 1, sums))

        return _by_diagonals(t, diagonal, entries)

    return z @ jnp.vectorize(root, signature="(n,n)->(n,n)")(t) @ _adjoint(z)


def funm(A: ArrayLike, func: Callable[[Array], Any], disp: bool = True) -> Any:
    """The function of square matrices [..., n, n] that `func` of numbers means: complex.

    `func` takes eigenvalues, c[n], and gives as many numbers. By Parlett's recurrence on Schur's
    form, which needs differences of eigenvalues: do not trust it where some are almost equal.
    Without `disp` an estimate of the relative error comes second.

    >>> funm(jnp.array([[1.0, 3.0], [0.0, 4.0]]), jnp.sqrt).round(4)
    Array([[1.+0.j, 1.+0.j],
           [0.+0.j, 2.+0.j]], dtype=complex64)
    """
    t, z = schur(squares("funm", A), "complex")

    def one(t: Array) -> tuple[Array, Array]:
        diagonal = jnp.diag(t)
        gaps = diagonal[None, :] - diagonal[:, None]
        safe = jnp.where(gaps == 0, 1, gaps)
        found = _by_diagonals(t, jnp.asarray(func(diagonal)).astype(type_of(t).dtype),
                              lambda f: (t @ f - f @ t) / safe)
        return found, _relative_error(t, gaps)

    found, error = jnp.vectorize(one, signature="(n,n)->(n,n),()")(t)
    found = z @ found @ _adjoint(z)
    if disp:
        return found
    return found, jnp.where(jnp.isinf(found).any((-2, -1)), jnp.inf, error)


def _relative_error(t: Array, gaps: Array) -> Array:
    """Of rounding, which small differences of eigenvalues increase; 1 at most."""
    n, eps = shape_of(t)[-1], float(dt.finfo(dt.to_real(type_of(t).dtype)).eps)
    if n < 2:
        return jnp.asarray(eps, dt.to_real(type_of(t).dtype))
    least = jnp.min(jnp.abs(gaps) + jnp.where(jnp.eye(n, dtype=bool), jnp.inf, 0))
    least = jnp.where(least == 0, eps, jnp.minimum(least, jnp.abs(t[0, 0])))
    above = jnp.max(jnp.sum(jnp.abs(jnp.triu(t, 1)), 0))
    return jnp.clip(eps / jnp.where(least == 0, eps, least) * above, eps, 1)
