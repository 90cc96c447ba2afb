"""Names of jax.custom_derivatives that say what a rule is given: arrays, always, here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.ops.constant import zeros


@dataclass(frozen=True)
class SymbolicZero:
    """A zero that is known to be one; rules get arrays of zeros instead, so none is ever made."""

    aval: Type


@dataclass(frozen=True)
class CustomVJPPrimal:
    """An argument of a forward rule with whether it is differentiated."""

    value: Any
    perturbed: bool


def zero_from_primal(x: Any, symbolic_zeros: bool = False) -> Any:
    """The zero tangent of an array."""
    return zeros(type_of(x))
