"""jax.dtypes: what dtypes are, and what becomes of a program's when it is made."""

from __future__ import annotations

from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.dtypes import bfloat16 as bfloat16, float0 as float0
from arraylib.errors import DtypeError
from arraylib.numpy import (
    finfo as finfo,
    iinfo as iinfo,
    issubdtype as _is_sub,
    result_type as result_type,
)

TypePromotionError = DtypeError
DType = np.dtype


class ExtendedDType:
    """What dtypes that NumPy has not are derived from; arrays here have NumPy's and ml_dtypes'."""


class extended(np.generic):
    """The kind of JAX's dtypes that NumPy has not: keys are uint32 arrays here, so none is one."""


class prng_key(extended):
    """The kind of JAX's dtypes of keys: no dtype is one here."""


def issubdtype(first: Any, second: Any) -> bool:
    """Whether a dtype or kind is of a kind, `extended` and `prng_key` among the kinds."""
    if second in (extended, prng_key):
        return isinstance(first, type) and issubclass(first, second)
    return _is_sub(first, second)


def canonicalize_dtype(dtype: Any, allow_extended_dtype: bool = False) -> np.dtype[Any]:
    """The dtype that arrays of this one have: itself, for 64 bits are 64 bits here."""
    return dt.dtype(dtype)


def itemsize_bits(dtype: Any) -> int:
    """How many bits an element has."""
    return dt.bits(dt.dtype(dtype))


def scalar_type_of(x: Any) -> type:
    """Python's bool, int, float or complex: the kind of x."""
    return {"b": bool, "i": int, "u": int, "f": float, "c": complex}[dt.kind(dt.of(x))]
