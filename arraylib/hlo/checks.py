"""The checks in StableHLO's own test programs: custom calls that compare two arrays.

    stablehlo.custom_call @check.expect_close(%1, %2) {has_side_effect = true} : (...) -> ()

Tolerances are those of StableHLO's interpreter (tests/CheckOps in openxla/stablehlo): equal but for
nan, 3 units in the last place, or 0.001 relative and absolute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArraylibError, mistake
from arraylib.hlo.ir import Type, type_of

_ULPS = 3
_ALMOST = 1e-3


class CheckError(ArraylibError, AssertionError):
    """Two arrays of a program that checks them differ."""


def _wide(x: Any) -> Any:
    return x.astype(np.complex128 if dt.is_complex(x.dtype) else np.float64)


def _equal(x: Any, y: Any) -> Any:
    if not dt.is_inexact(x.dtype):
        return x == y
    return (_wide(x) == _wide(y)) | (np.isnan(_wide(x)) & np.isnan(_wide(y)))


def _rank(x: Any) -> Any:
    """Integers that count floats in their order; both zeros are 0."""
    bits = np.ascontiguousarray(x).view(f"i{x.dtype.itemsize}").reshape(x.shape)
    lowest = np.iinfo(bits.dtype).min
    return np.where(bits < 0, lowest - bits, bits).astype(np.float64)


def _close(x: Any, y: Any) -> Any:
    if dt.is_complex(x.dtype):
        return _close(x.real, y.real) & _close(x.imag, y.imag)
    if not dt.is_float(x.dtype):
        return x == y
    apart = np.abs(_rank(x) - _rank(y)) <= _ULPS
    return _equal(x, y) | apart & ~np.isnan(_wide(x)) & ~np.isnan(_wide(y))


def _almost(x: Any, y: Any) -> Any:
    return np.isclose(_wide(x), _wide(y), _ALMOST, _ALMOST, equal_nan=True)


def _check(name: str, agree: Callable[[Any, Any], Any], operands: Sequence[Any],
           settings: dict[str, Any], results: Sequence[Type]) -> tuple[()]:
    """Raise CheckError, with the first place where they do not, unless the arrays agree."""
    x, y = operands
    if type_of(x) is not type_of(y):
        raise mistake(CheckError, name, f"{type_of(x)} is compared with {type_of(y)}")
    wrong = np.argwhere(~np.atleast_1d(agree(x, y)))
    if len(wrong):
        place = tuple(int(i) for i in wrong[0])[:x.ndim]
        raise mistake(CheckError, name, f"{len(wrong)} of {x.size} elements differ; at {place} it "
                      f"is {x[place]}, not {y[place]}")
    return ()


CHECKS: dict[str, Callable[..., tuple[()]]] = {
    name: partial(_check, name, agree) for name, agree in (
        ("check.expect_eq", _equal), ("check.expect_close", _close),
        ("check.expect_almost_eq", _almost))}
