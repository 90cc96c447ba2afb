"""Recursive algorithms on tapes: a matrix is halved until its parts are blocks.

So nearly all work is in products of large matrices, whatever the size of a block (Elmroth,
Gustavson, Jonsson and Kagstrom, "Recursive Blocked Algorithms and Hybrid Data Structures for Dense
Matrix Library Software", SIAM Review 46, 2004).
"""

from __future__ import annotations

from arraylib.backends.cpu.routines.linalg.tape import BLOCK, Matrix, Tape

_SQUARE = 192  # a square of which one half is wanted is computed whole up to here


def half(n: int, block: int = BLOCK) -> int:
    """About half of n, in whole blocks; n has more than one."""
    return -(-n // (2 * block)) * block


def solve(tape: Tape, t: Matrix, x: Matrix, *, lower: bool, unit: bool) -> None:
    """x = t^-1 x, where of t only one triangle is read."""
    n = t.rows
    if n <= BLOCK:
        tape.solve(t, x, backward=not lower, unit=unit)
        return
    h = half(n)
    first, second = (slice(0, h), slice(h, n)) if lower else (slice(h, n), slice(0, h))
    every = slice(0, x.columns)
    solve(tape, t[first, first], x[first, every], lower=lower, unit=unit)
    tape.subtract(x[second, every], t[second, first], x[first, every])
    solve(tape, t[second, second], x[second, every], lower=lower, unit=unit)


def cholesky(tape: Tape, a: Matrix) -> None:
    """The lower triangular factor in place of a; above the diagonal there is then anything."""
    n = a.rows
    if n <= BLOCK:
        tape.cholesky(a)
        return
    h = half(n)
    corner, below, rest = a[:h, :h], a[h:, :h], a[h:, h:]
    cholesky(tape, corner)
    solve(tape, corner, below.T, lower=True, unit=False)
    _subtract_square(tape, rest, below)
    cholesky(tape, rest)


def _subtract_square(tape: Tape, c: Matrix, x: Matrix) -> None:
    """c -= x x^T below the diagonal, and where that costs little above it."""
    n = c.rows
    if n <= _SQUARE:
        tape.subtract(c, x, x.T)
        return
    h = half(n)
    every = slice(0, x.columns)
    _subtract_square(tape, c[:h, :h], x[:h, every])
    tape.subtract(c[h:, :h], x[h:, every], x[:h, every].T)
    _subtract_square(tape, c[h:, h:], x[h:, every])


def lu(tape: Tape, a: Matrix, pivots: Matrix) -> None:
    """L, without its diagonal of ones, and U in place of a; the rows that changed places."""
    n = min(a.rows, a.columns)
    _lu_columns(tape, a[:, :n], 0, pivots)
    if n < a.columns:
        rest = a[:, n:]
        tape.swap(rest, 0, pivots)
        solve(tape, a[:, :n], rest, lower=True, unit=True)


def _lu_columns(tape: Tape, a: Matrix, first: int, pivots: Matrix) -> None:
    """At least as many rows as columns; the first of both has this number in the whole matrix."""
    n = a.columns
    if n <= tape.width:
        tape.lu(a, first, pivots)
        return
    h = half(n, tape.width)
    left, right = a[:, :h], a[:, h:]
    _lu_columns(tape, left, first, pivots[:, :h])
    tape.swap(right, first, pivots[:, :h])
    solve(tape, left[:h, :], right[:h, :], lower=True, unit=True)
    tape.subtract(right[h:, :], left[h:, :], right[:h, :])
    _lu_columns(tape, right[h:, :], first + h, pivots[:, h:])
    tape.swap(left[h:, :], first + h, pivots[:, h:])


# -- reflections -----------------------------------------------------------------------------------


def qr(tape: Tape, a: Matrix, tau: Matrix, width: int = BLOCK) -> None:
    """R in place of a, below it the vectors of reflections; their factors are tau.

    Some columns at a time, whose reflections then change all columns after them as one product;
    within a block the same with as many columns as a step takes.
    """
    for first in range(0, tau.columns, width):
        own = slice(first, min(first + width, tau.columns))
        rows, after = slice(first, a.rows), slice(own.stop, a.columns)
        some, factors = a[rows, own], tau[:, own]
        if some.columns > tape.width:
            qr(tape, some, factors, tape.width)
        else:
            tape.reflect(some, factors)
        if own.stop < a.columns:
            reflect(tape, some, factors, a[rows, after], turned=True)


def reflect_all(tape: Tape, a: Matrix, tau: Matrix, c: Matrix, *, turned: bool,
                identity: bool = False) -> None:
    """c = Q c, or Q^T c if `turned`, for the reflections of a; c may be known to be 1."""
    starts = range(0, tau.columns, BLOCK)
    for first in starts if turned else reversed(starts):
        own = slice(first, min(first + BLOCK, tau.columns))
        rows, after = slice(first, a.rows), slice(first if identity else 0, c.columns)
        reflect(tape, a[rows, own], tau[:, own], c[rows, after], turned=turned)


def reflect(tape: Tape, a: Matrix, tau: Matrix, c: Matrix, *, turned: bool) -> None:
    """c -= V T V^T c, the product of reflections; with `turned` T^T.

    T is the inverse of the upper triangle of V^T V with 1 / tau on its diagonal (Puglisi,
    "Modification of the Householder Method Based on the Compact WY Representation", SIAM J. Sci.
    Stat. Comput. 13, 1992), so that it need not be computed.
    """
    wide = c.column == 1
    sizes = (tau.columns, c.columns) if wide else (c.columns, tau.columns)
    v, t, w = tape.rooms((a.rows, tau.columns), (tau.columns, tau.columns), sizes)
    w = w if wide else w.T
    tape.unit(a, v)
    tape.product(t, v.T, v)
    tape.reciprocal(tau, t)
    tape.product(w, v.T, c)
    solve(tape, t.T if turned else t, w, lower=turned, unit=False)
    tape.subtract(c, v, w)
