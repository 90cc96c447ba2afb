"""What rules with `symbolic_zeros=True` are given: which values are zero, or have a derivative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.hlo.ir import Type
from arraylib.record import record


@record
class SymbolicZero:
    """A tangent that is known to be zero; nobody has computed it."""

    aval: Type

    dtype = property(lambda self: self.aval.dtype)
    shape = property(lambda self: self.aval.shape)
    ndim = property(lambda self: self.aval.rank)


@record
class CustomVJPPrimal:
    """A leaf of an argument of a forward rule, and whether a derivative is taken in it."""

    value: Any
    perturbed: bool


def with_symbolic(values: Sequence[Any], types: Sequence[Type], mask: Sequence[bool]) -> list[Any]:
    """Tangents or cotangents of all leaves, given those of the floats in the mask."""
    rest, marks = iter(values), iter(mask)
    return [next(rest) if dt.is_inexact(t.dtype) and next(marks)
            else SymbolicZero(t.to_tangent_aval()) for t in types]


def with_perturbed(values: Sequence[Any], types: Sequence[Type], mask: Sequence[bool]) -> list[Any]:
    """Leaves of arguments with whether they are among the floats in the mask."""
    marks = iter(mask)
    return [CustomVJPPrimal(x, dt.is_inexact(t.dtype) and next(marks))
            for x, t in zip(values, types)]
