"""Names of jax.custom_derivatives that programs seldom use."""

from __future__ import annotations

from typing import Any

from arraylib.as_jax.known import known
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import derivative
from arraylib.hlo.ops.constant import zeros
from arraylib.tracing.symbolic import (
    CustomVJPPrimal as CustomVJPPrimal,
    SymbolicZero as SymbolicZero,
)

custom_jvp_call_p = known(derivative.custom_jvp)
custom_vjp_call_p = known(derivative.custom_vjp)


def zero_from_primal(x: Any, symbolic_zeros: bool = False) -> Any:
    """The zero tangent of an array: an array, or a SymbolicZero."""
    return SymbolicZero(type_of(x)) if symbolic_zeros else zeros(type_of(x))
