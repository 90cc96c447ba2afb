"""SciPy's linear algebra: Cholesky factors and triangular systems.

All functions work on batches of matrices, whose leading axes broadcast.
"""

from __future__ import annotations

from typing import Any

from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops.linalg import cholesky as cholesky_op
from arraylib.lax.linalg import triangular_solve
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import Array, ArrayLike, broadcast, joint_shape, shape_of
from arraylib.scipy.promotion import floats

__all__ = ["cho_factor", "cho_solve", "cholesky", "solve_triangular"]

_TRANSPOSES = {0: 0, "N": 0, 1: 1, "T": 1, 2: 2, "C": 2}


@one_program()
def cholesky(a: ArrayLike, lower: bool = False, overwrite_a: bool = False,
             check_finite: bool = True) -> Array:
    """The upper (or lower) triangular factor of a = U^H U; only that triangle of a is read.

    nan where a is not positive definite. The other arguments change nothing.
    """
    return cholesky_op(*floats("cholesky", a), lower=bool(lower))


def cho_factor(a: ArrayLike, lower: bool = False, overwrite_a: bool = False,
               check_finite: bool = True) -> tuple[Array, bool]:
    """What cho_solve takes: a's factor, and whether it is the lower one."""
    return cholesky(a, lower=lower), lower


def cho_solve(c_and_lower: tuple[ArrayLike, bool], b: ArrayLike, overwrite_b: bool = False,
              check_finite: bool = True) -> Array:
    """x of a x = b, given a's factor as cho_factor gives it."""
    c, lower = c_and_lower
    return _cho_solve(c, b, bool(lower))


@one_program(2)
def _cho_solve(c: ArrayLike, b: ArrayLike, lower: bool) -> Array:
    c, b = _system("cho_solve", c, b)
    for adjoint in (not lower, lower):
        b = triangular_solve(c, b, left_side=True, lower=lower, transpose_a=adjoint,
                             conjugate_a=adjoint)
    return b


@one_program(2)
def solve_triangular(a: ArrayLike, b: ArrayLike, trans: int | str = 0, lower: bool = False,
                     unit_diagonal: bool = False, overwrite_b: bool = False, debug: Any = None,
                     check_finite: bool = True) -> Array:
    """x of a x = b for upper (or lower) triangular a; b is one vector, or matrices.

    `trans`: 0 or "N" as it is, 1 or "T" for the transpose of a, 2 or "C" for its adjoint. With
    `unit_diagonal` the diagonal is not read but taken for ones.
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
                      operands=types)
    own = shape_of(b)[-2:]
    if not own or own[0] != rows[1]:
        raise mistake(ShapeError, op, f"a has {rows[1]} columns, but b has shape {shape_of(b)}",
                      operands=types, hint="b[n] or b[..., n, k] for a[..., n, n]")
    lead = joint_shape(op, [shape_of(a)[:-2], shape_of(b)[:-len(own)]], types)
    return broadcast(op, a, (*lead, *rows)), broadcast(op, b, (*lead, *own))
