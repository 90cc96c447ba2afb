"""Names of jax.custom_derivatives that programs seldom use."""

from __future__ import annotations

from typing import Any

import numpy as np

from arraylib import dtypes as dt, tree
from arraylib.as_jax.known import known
from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.ops import derivative
from arraylib.hlo.ops.constant import zeros
from arraylib.tracing.symbolic import (
    CustomVJPPrimal as CustomVJPPrimal,
    SymbolicZero as SymbolicZero,
)

custom_jvp_call_p = known(derivative.custom_jvp)
custom_vjp_call_p = known(derivative.custom_vjp)


def zero_from_primal(val: Any, symbolic_zeros: bool = False) -> Any:
    """The zero tangents of a tree of arrays: arrays, or SymbolicZeros."""
    return tree.map(lambda x: _zero(type_of(x), symbolic_zeros), val)


def _zero(type: Type, symbolic: bool) -> Any:
    if symbolic:
        return SymbolicZero(type)
    return zeros(type) if dt.is_inexact(type.dtype) else np.zeros(type.shape, dt.float0)
