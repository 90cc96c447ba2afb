"""Factors of matrices and triangular systems, each for a batch of matrices: `lax.linalg`."""

from __future__ import annotations

from arraylib.hlo.ops.linalg import cholesky as cholesky_op, triangular_solve as solve_op
from arraylib.numpy.elementwise import conj
from arraylib.numpy.layout import expand_dims, squeeze
from arraylib.numpy.linalg import symmetrized
from arraylib.numpy.promotion import Array, ArrayLike, operand as owned, shape_of

__all__ = ["cholesky", "triangular_solve"]


def cholesky(x: ArrayLike, *, symmetrize_input: bool = True) -> Array:
    """The lower triangular factor L of L L^H = x; nan where x is not positive definite.

    With `symmetrize_input`, of (x + x^H) / 2; without, only the lower triangle of x is read.
    """
    x = owned("cholesky", x)
    return cholesky_op(symmetrized("cholesky", x) if symmetrize_input else x, lower=True)


def triangular_solve(a: ArrayLike, b: ArrayLike, *, left_side: bool = False, lower: bool = False,
                     transpose_a: bool = False, conjugate_a: bool = False,
                     unit_diagonal: bool = False) -> Array:
    """x of op(a) x = b (with `left_side`) or x op(a) = b, where a is triangular.

    op(a) is a, transposed and conjugated as asked for. Only the triangle that `lower` names is
    read, and not its diagonal where `unit_diagonal` says that it is of ones. b has the leading axes
    of a, then those of a matrix, or of a vector.
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
