"""Matrices of a known form, from few numbers: Toeplitz, Hankel, Hilbert and others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import Array, ArrayLike, promote, promote_inexact, shape_of

__all__ = ["block_diag", "circulant", "companion", "convolution_matrix", "dft", "fiedler",
           "fiedler_companion", "hadamard", "hankel", "helmert", "hilbert", "invhilbert",
           "invpascal", "leslie", "pascal", "toeplitz"]


def _vectors(op: str, *xs: ArrayLike) -> list[Array]:
    """The operands with their last axes as vectors; numbers are vectors of one element."""
    return [jnp.atleast_1d(x) for x in promote(op, *xs)]


def _real_default(x: Any) -> Array:
    """NumPy's float64 numbers in the default float."""
    return jnp.asarray(np.asarray(x, np.float64), dt.default_float())


def _count(op: str, n: int) -> int:
    if int(n) < 0:
        raise mistake(ArgumentError, op, f"n = {n}", hint="a size from 0 up")
    return int(n)


# -- constant along diagonals ----------------------------------------------------------------------


@one_program(2)
def toeplitz(c: ArrayLike, r: ArrayLike | None = None) -> Array:
    """The matrices with first column c and first row r, constant along diagonals: [..., n, m].

    r is c's conjugate unless given; its first element is not read.

    >>> toeplitz(jnp.array([1, 2, 3]), jnp.array([1, 4]))
    Array([[1, 4],
           [2, 1],
           [3, 2]], dtype=int32)
    """
    column, row = _vectors("toeplitz", c, c if r is None else r)
    row = jnp.conj(row) if r is None else row
    n, m = shape_of(column)[-1], shape_of(row)[-1]
    lead = jnp.broadcast_shapes(shape_of(column)[:-1], shape_of(row)[:-1])
    column, row = (jnp.broadcast_to(x, (*lead, shape_of(x)[-1])) for x in (column, row))
    values = jnp.concatenate([jnp.flip(column, -1), row[..., 1:]], -1)
    places = np.arange(n)[::-1, None] + np.arange(m)
    return values[..., places] if n and m else jnp.zeros((*lead, n, m), type_of(values).dtype)


@one_program(2)
def hankel(c: ArrayLike, r: ArrayLike | None = None) -> Array:
    """The matrices with first column c and last row r, constant along anti-diagonals: [..., n, m].

    r is of zeros unless given; its first element is not read.

    >>> hankel(jnp.array([1, 2]), jnp.array([0, 3]))
    Array([[1, 2],
           [2, 3]], dtype=int32)
    """
    column, row = _vectors("hankel", c, c if r is None else r)
    row = jnp.zeros_like(column) if r is None else row
    n, m = shape_of(column)[-1], shape_of(row)[-1]
    lead = jnp.broadcast_shapes(shape_of(column)[:-1], shape_of(row)[:-1])
    column, row = (jnp.broadcast_to(x, (*lead, shape_of(x)[-1])) for x in (column, row))
    values = jnp.concatenate([column, row[..., 1:]], -1)
    places = np.arange(n)[:, None] + np.arange(m)
    return values[..., places] if n and m else jnp.zeros((*lead, n, m), type_of(values).dtype)


@one_program()
def circulant(c: ArrayLike) -> Array:
    """The matrices whose columns are c turned round by 0, 1, 2, ...: [..., n, n].

    >>> circulant(jnp.array([1, 2, 3]))
    Array([[1, 3, 2],
           [2, 1, 3],
           [3, 2, 1]], dtype=int32)
    """
    (column,) = _vectors("circulant", c)
    n = shape_of(column)[-1]
    return column[..., (np.arange(n)[:, None] - np.arange(n)) % max(n, 1)]


def convolution_matrix(a: ArrayLike, n: int, mode: str = "full") -> Array:
    """The matrix M with M @ v = convolve(a, v, mode) for vectors v of n elements.

    Raises ArgumentError for other modes than full, same and valid, for n < 1, and for an `a`
    without elements, ShapeError for a number.

    >>> convolution_matrix(jnp.array([1, 2]), 2)
    Array([[1, 0],
           [2, 1],
           [0, 2]], dtype=int32)
    """
    if not shape_of(a):
        raise mistake(ShapeError, "convolution_matrix", "a has no axes", hint="a vector, or a "
                      "batch of them")
    (a,) = _vectors("convolution_matrix", a)
    if mode not in ("full", "same", "valid") or int(n) < 1:
        raise mistake(ArgumentError, "convolution_matrix", f"n = {n}, mode = {mode!r}",
                      hint="n from 1 up; full, same or valid")
    m = shape_of(a)[-1]
    if not m:
        raise mistake(ArgumentError, "convolution_matrix", "a has no elements",
                      operands=[type_of(a)], hint="one element at least")
    none = [(0, 0)] * (len(shape_of(a)) - 1)
    column = jnp.pad(a, [*none, (0, n - 1)])
    row = jnp.pad(a[..., :1], [*none, (0, n - 1)])
    whole = toeplitz(column, row)
    rows = {"full": m + n - 1, "same": max(m, n), "valid": max(m, n) - min(m, n) + 1}[mode]
    first = {"full": 0, "same": (min(m, n) - 1) // 2, "valid": min(m, n) - 1}[mode]
    return whole[..., first:first + rows, :]


# -- with one row or column ------------------------------------------------------------------------


@one_program()
def companion(a: ArrayLike) -> Array:
    """The matrices whose characteristic polynomials have the coefficients `a`: [..., n-1, n-1].

    >>> companion(jnp.array([1.0, -3.0, 2.0]))
    Array([[ 3., -2.],
           [ 1.,  0.]], dtype=float32)
    """
    (a,) = promote_inexact("companion", a)
    n = shape_of(a)[-1] - 1 if shape_of(a) else 0
    if n < 1:
        raise mistake(ShapeError, "companion", f"shape {shape_of(a)}", operands=[type_of(a)],
                      hint="two coefficients at least, highest power first")
    first = -a[..., 1:] / a[..., :1]
    below = jnp.broadcast_to(jnp.eye(n - 1, n, dtype=type_of(a).dtype),
                             (*shape_of(a)[:-1], n - 1, n))
    return jnp.concatenate([first[..., None, :], below], -2)


@one_program(2)
def leslie(f: ArrayLike, s: ArrayLike) -> Array:
    """The matrices of a population with fecundities f[..., n] and survival s[..., n - 1], n > 1.

    >>> leslie(jnp.array([0.1, 2.0]), jnp.array([0.5]))
    Array([[0.1, 2. ],
           [0.5, 0. ]], dtype=float32)
    """
    f, s = _vectors("leslie", f, s)
    n = shape_of(f)[-1]
    if n < 2 or shape_of(s)[-1] != n - 1:
        raise mistake(ShapeError, "leslie", f"{n} fecundities and {shape_of(s)[-1]} survivals",
                      operands=[type_of(f), type_of(s)],
                      hint="two fecundities at least, and one survival less")
    lead = jnp.broadcast_shapes(shape_of(f)[:-1], shape_of(s)[:-1])
    f, s = jnp.broadcast_to(f, (*lead, n)), jnp.broadcast_to(s, (*lead, n - 1))
    below = s[..., :, None] * jnp.eye(n - 1, n, dtype=type_of(s).dtype)
    return jnp.concatenate([f[..., None, :], below], -2)


@one_program()
def fiedler(a: ArrayLike) -> Array:
    """The matrices of distances |a_i - a_j|: [..., n, n].

    >>> fiedler(jnp.array([1, 4]))
    Array([[0, 3],
           [3, 0]], dtype=int32)
    """
    (a,) = _vectors("fiedler", a)
    return jnp.abs(a[..., :, None] - a[..., None, :])


@one_program()
def fiedler_companion(a: ArrayLike) -> Array:
    """The companion matrices of five diagonals of polynomials a[..., n] (Fiedler 2003).

    Coefficients of the highest power come first. Raises ShapeError where there are none.

    >>> fiedler_companion(jnp.array([1.0, -3.0, 2.0]))
    Array([[ 3., -2.],
           [ 1.,  0.]], dtype=float32)
    """
    (a,) = promote_inexact("fiedler_companion", a)
    if not shape_of(a) or not shape_of(a)[-1]:
        raise mistake(ShapeError, "fiedler_companion", f"shape {shape_of(a)}",
                      operands=[type_of(a)], hint="a vector of one coefficient at least")
    lead, n = shape_of(a)[:-1], shape_of(a)[-1] - 1
    c = -a / a[..., :1]
    found = jnp.zeros((*lead, n, n), type_of(a).dtype)
    if n == 0:
        return found
    found = found.at[..., 0, 0].set(c[..., 1])
    if n == 1:
        return found
    found = found.at[..., 1, 0].set(1)
    i = np.arange(3, n, 2)
    found = found.at[..., i, i - 2].set(1)
    i = np.arange(0, n - 2, 2)
    found = found.at[..., i, i + 2].set(1)
    i = np.arange(2, n, 2)
    found = found.at[..., i, i - 1].set(c[..., 3::2][..., :len(i)])
    i = np.arange(0, n - 1, 2)
    return found.at[..., i, i + 1].set(c[..., 2::2][..., :len(i)])


def block_diag(*arrs: ArrayLike) -> Array:
    """A matrix with the given ones along its diagonal and zeros elsewhere.

    Vectors are rows, numbers matrices of one element. Raises ShapeError for more axes than two.

    >>> block_diag(jnp.array([[1]]), jnp.array([[2, 3]]))
    Array([[1, 0, 0],
           [0, 2, 3]], dtype=int32)
    """
    blocks = [jnp.atleast_2d(x) for x in promote("block_diag", *(arrs or (jnp.zeros((1, 0)),)))]
    for x in blocks:
        if len(shape_of(x)) != 2:
            raise mistake(ShapeError, "block_diag", f"{len(shape_of(x))} axes",
                          operands=[type_of(x)], hint="matrices, vectors or numbers")
    width, before, rows = sum(shape_of(x)[1] for x in blocks), 0, []
    for x in blocks:
        rows.append(jnp.pad(x, ((0, 0), (before, width - before - shape_of(x)[1]))))
        before += shape_of(x)[1]
    return jnp.concatenate(rows)


# -- of a size alone -------------------------------------------------------------------------------


def dft(n: int, scale: str | None = None, *, dtype: Any = None) -> Array:
    """The matrix of the discrete Fourier transform; `scale`: "sqrtn" or "n", what it is divided by.

    Raises ArgumentError for other scales, and for a dtype that is not complex.

    >>> dft(2)
    Array([[ 1.+0.0000000e+00j,  1.+0.0000000e+00j],
           [ 1.+0.0000000e+00j, -1.-1.2246469e-16j]], dtype=complex64)
    """
    if scale not in (None, "sqrtn", "n"):
        raise mistake(ArgumentError, "dft", f"scale = {scale!r}", hint="None, 'sqrtn' or 'n'")
    if dtype is not None and not dt.is_complex(dt.dtype(dtype, op="dft")):
        raise mistake(ArgumentError, "dft", f"dtype = {dtype}", hint="complex64 or complex128")
    n = _count("dft", n)
    turns = np.outer(np.arange(n), np.arange(n)) % max(n, 1)
    found = np.exp(-2j * np.pi / max(n, 1) * turns)
    by = {None: 1.0, "sqrtn": math.sqrt(max(n, 1)), "n": max(n, 1)}[scale]
    return jnp.asarray(found / by, dt.default_complex() if dtype is None else dtype)


def hadamard(n: int, dtype: Any = int) -> Array:
    """Sylvester's matrix of 1 and -1 with orthogonal rows, for n a power of 2.

    >>> hadamard(2)
    Array([[ 1,  1],
           [ 1, -1]], dtype=int32)
    """
    if int(n) < 1 or int(n) & (int(n) - 1):
        raise mistake(ArgumentError, "hadamard", f"n = {n} is no power of 2", hint="1, 2, 4, 8, ..")
    i = np.arange(int(n))
    odd = np.bitwise_count(i[:, None] & i) % 2
    return jnp.asarray(1 - 2 * odd.astype(np.int64), dtype)


def helmert(n: int, full: bool = False) -> Array:
    """Helmert's orthogonal matrix, without its first row of equal numbers unless `full`; n > 0.

    >>> helmert(2)
    Array([[ 0.70710677, -0.70710677]], dtype=float32)
    """
    if int(n) < 1:
        raise mistake(ArgumentError, "helmert", f"n = {n}", hint="a size from 1 up")
    n = int(n)
    i = np.arange(n)
    found = np.tril(np.ones((n, n)), -1) - np.diag(i) * 1.0
    found[:1] = 1.0
    sizes = i * (i + 1.0)
    sizes[:1] = n
    found /= np.sqrt(sizes)[:, None]
    return _real_default(found if full else found[1:])


def hilbert(n: int) -> Array:
    """The matrix of 1 / (i + j + 1).

    >>> hilbert(2)
    Array([[1.        , 0.5       ],
           [0.5       , 0.33333334]], dtype=float32)
    """
    i = np.arange(_count("hilbert", n))
    return _real_default(1.0 / (i[:, None] + i + 1))


def invhilbert(n: int) -> Array:
    """The inverse of the Hilbert matrix, from its integers (Choi 1983).

    >>> invhilbert(2)
    Array([[ 4., -6.],
           [-6., 12.]], dtype=float32)
    """
    c, n = math.comb, _count("invhilbert", n)
    if not n:
        return _real_default(np.zeros((0, 0)))
    return _real_default([[(-1) ** (i + j) * (i + j + 1) * c(n + i, n - j - 1) * c(n + j, n - i - 1)
                           * c(i + j, i) ** 2 for j in range(n)] for i in range(n)])


def _triangles(op: str, n: int, kind: str | None) -> tuple[Any, str]:
    """Pascal's triangle as a lower triangular matrix of Python's integers, and the kind."""
    chosen = "symmetric" if kind is None else kind
    if chosen not in ("symmetric", "lower", "upper"):
        raise mistake(ArgumentError, op, f"kind = {kind!r}", hint="symmetric, lower or upper")
    n = _count(op, n)
    rows = [[math.comb(i, j) for j in range(n)] for i in range(n)]
    return np.array(rows, object).reshape(n, n), chosen


def pascal(n: int, kind: str | None = None) -> Array:
    """Pascal's triangle as a matrix: symmetric (the default), lower or upper triangular.

    >>> pascal(3)
    Array([[1., 1., 1.],
           [1., 2., 3.],
           [1., 3., 6.]], dtype=float32)
    """
    lower, kind = _triangles("pascal", n, kind)
    return _real_default({"lower": lower, "upper": lower.T}.get(kind, lower @ lower.T))


def invpascal(n: int, kind: str | None = None) -> Array:
    """The inverse of pascal(n, kind), from its integers.

    >>> invpascal(2)
    Array([[ 2., -1.],
           [-1.,  1.]], dtype=float32)
    """
    lower, kind = _triangles("invpascal", n, kind)
    i = np.arange(len(lower))
    signed = lower * (1 - 2 * ((i[:, None] + i) % 2)).astype(object)
    return _real_default({"lower": signed, "upper": signed.T}.get(kind, signed.T @ signed))
