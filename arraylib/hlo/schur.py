"""Schur's form of matrices by QR iterations, in NumPy: what LAPACK's gees returns.

A matrix becomes Hessenberg's form by reflections; then bulges are chased down its diagonal until
what is below it is small (Francis 1961; Golub and Van Loan, "Matrix Computations", 7.5). Everything
is computed in double precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Arrays = tuple[Any, ...]

_EPSILON = float(np.finfo(np.float64).eps)
_PATIENCE = 40  # sweeps for each eigenvalue
_STUCK = 10     # sweeps after which other shifts are tried


def reflection(x: Any) -> Arrays:
    """v, tau and beta with (1 - tau v v^H)^H x = (beta, 0, ...), v[0] being 1 (LAPACK's larfg)."""
    alpha, tail = x[0], np.linalg.norm(x[1:])
    v = np.zeros_like(x)
    v[0] = 1
    if tail == 0 and alpha.imag == 0:
        return v, x.dtype.type(0), alpha
    beta = -np.copysign(np.hypot(abs(alpha), tail), alpha.real)
    v[1:] = x[1:] / (alpha - beta)
    return v, (beta - alpha) / beta, beta


def schur(a: Any) -> Arrays:
    """T, Z and whether the iterations ended, with a = Z T Z^H for a matrix of finite numbers.

    T is upper triangular; that of a real matrix has blocks of two rows on its diagonal for pairs of
    complex eigenvalues, whose diagonals are equal and other elements of opposite signs.
    """
    wide = np.result_type(a.dtype, np.float64)
    most = float(np.max(np.abs(a.astype(wide)), initial=0.0))
    scale = 2.0 ** np.frexp(most)[1] if most else 1.0  # of which squares do not overflow
    t = a.astype(wide) / scale
    z = np.eye(len(a), dtype=wide)
    _to_hessenberg(t, z)
    ended = _iterate(t, z)
    return t * scale, z, ended


def eigenvalues(t: Any) -> Any:
    """Those of a matrix in Schur's form, pairs with the positive imaginary part first."""
    w = np.diagonal(t).astype(np.complex128)
    if t.dtype.kind == "f":
        above, below = np.diagonal(t, 1), np.diagonal(t, -1)
        size = np.sqrt(np.abs(above)) * np.sqrt(np.abs(below))
        w.imag[:-1] += size
        w.imag[1:] -= size
    return w


def _mirror(t: Any, z: Any, v: Any, tau: Any, first: int, column: int, end: int) -> None:
    """P^H t P and z P for a reflection P of the rows from `first` on; `end` rows of t change."""
    rows = slice(first, first + len(v))
    left, right, own = t[rows, column:], t[:end, rows], z[:, rows]
    left -= np.multiply.outer(np.conj(tau) * v, v.conj() @ left)
    right -= np.multiply.outer(right @ v, tau * v.conj())
    own -= np.multiply.outer(own @ v, tau * v.conj())


def _to_hessenberg(t: Any, z: Any) -> None:
    for i in range(len(t) - 2):
        v, tau, beta = reflection(t[i + 1:, i])
        _mirror(t, z, v, tau, i + 1, i, len(t))
        t[i + 1, i], t[i + 2:, i] = beta, 0


def _iterate(t: Any, z: Any) -> bool:
    """Let Hessenberg's form become Schur's, from the last rows on; whether it does."""
    last, sweeps, real = len(t) - 1, 0, t.dtype.kind == "f"
    while last > 0:
        first = _start(t, last)
        if first == last or (real and first == last - 1):
            if first < last:
                _standard(t, z, first)
            last, sweeps = first - 1, 0
            continue
        if sweeps == _PATIENCE:
            return False
        sweeps += 1
        column = _double_shift if real else _single_shift
        _sweep(t, z, first, last, column(t, first, last, sweeps))
    return True


def _start(t: Any, last: int) -> int:
    """The first row of the block that ends with row `last`; what is small before it becomes 0."""
    for i in range(last, 0, -1):
        size = abs(t[i - 1, i - 1]) + abs(t[i, i])
        if abs(t[i, i - 1]) <= _EPSILON * (size or 1.0):
            t[i, i - 1] = 0
            return i
    return 0


def _double_shift(t: Any, first: int, last: int, sweeps: int) -> Any:
    """The first column of (t - s)(t - conj(s)), s an eigenvalue of the last two rows."""
    a, b, c, d = t[last - 1:last + 1, last - 1:last + 1].ravel()
    trace, determinant = a + d, a * d - b * c
    if sweeps % _STUCK == 0:
        size = abs(c) + abs(t[last - 1, last - 2])
        trace, determinant = 1.5 * size, size * size
    x, y = t[first, first], t[first + 1, first]
    return np.array([x * x + t[first, first + 1] * y - trace * x + determinant,
                     y * (x + t[first + 1, first + 1] - trace), y * t[first + 2, first + 1]])


def _single_shift(t: Any, first: int, last: int, sweeps: int) -> Any:
    """The first column of t - s, s the eigenvalue of the last two rows that is nearer to the last.

    Wilkinson (1965).
    """
    a, b, c, d = t[last - 1:last + 1, last - 1:last + 1].ravel()
    half = (a - d) / 2
    root = np.sqrt(half * half + b * c)
    far = half + (root if abs(half + root) >= abs(half - root) else -root)
    shift = d - (b * c / far if far else 0)
    if sweeps % _STUCK == 0:
        shift = d + abs(c)
    return np.array([t[first, first] - shift, t[first + 1, first]])


def _sweep(t: Any, z: Any, first: int, last: int, x: Any) -> None:
    """Reflect the first rows so that x becomes a multiple of the first unit vector.

    Then the next ones, so that what is below Hessenberg's form is 0 again.
    """
    wide = len(x)
    for k in range(first, last):
        rows = slice(k, min(k + wide, last + 1))
        if k > first:
            x = t[rows, k - 1].copy()
        v, tau, beta = reflection(x)
        _mirror(t, z, v, tau, k, max(k - 1, first), min(k + wide + 1, last + 1))
        if k > first:
            t[k, k - 1], t[k + 1:rows.stop, k - 1] = beta, 0


def _standard(t: Any, z: Any, i: int) -> None:
    """Rotate two rows of a real matrix: a triangle, or equal elements on the diagonal."""
    for _ in range(2):  # rounded, a block that was made equal may have real eigenvalues after all
        a, b, c, d = t[i:i + 2, i:i + 2].ravel()
        if c == 0 or (a == d and b * c < 0):
            return
        half = (a - d) / 2
        square = half * half + b * c
        if square >= 0:
            x, y = half + np.copysign(np.sqrt(square), half), c
        else:
            x, y = _equal(half, b + c)
        _rotate(t, z, i, x, y)
        if square >= 0:
            t[i + 1, i] = 0
        else:
            t[i, i] = t[i + 1, i + 1] = (t[i, i] + t[i + 1, i + 1]) / 2


def _equal(half: Any, total: Any) -> Arrays:
    """The vector along which a block's diagonal elements become equal."""
    size = np.hypot(total, 2 * half)
    cosine = np.sqrt((1 + abs(total) / size) / 2)
    return cosine, -half / (size * cosine) * np.copysign(1.0, total)


def _rotate(t: Any, z: Any, i: int, x: Any, y: Any) -> None:
    """Make the vector (x, y) the first of two axes."""
    size = np.hypot(x, y)
    turn = np.array([[x, -y], [y, x]]) / size
    t[i:i + 2, i:] = turn.T @ t[i:i + 2, i:]
    t[:i + 2, i:i + 2] = t[:i + 2, i:i + 2] @ turn
    z[:, i:i + 2] = z[:, i:i + 2] @ turn
