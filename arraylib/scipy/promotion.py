"""Operands of SciPy's functions."""

from __future__ import annotations

from arraylib.hlo.ir import current
from arraylib.numpy.promotion import Array, ArrayLike, promote_inexact


def floats(op: str, *xs: ArrayLike) -> list[Array]:
    """The operands as arrays of their common dtype, or of the default float if it is an integer.

    Python numbers become arrays, too: all that is computed from them has that dtype.
    """
    return [current().own(x) for x in promote_inexact(op, *xs)]
