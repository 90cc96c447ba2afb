"""Quantized arrays: integers that stand for other numbers, and the types that say how."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Type
from arraylib.hlo.ops.foreign import OtherType
from arraylib.record import record


@record
class Scheme:
    """How numbers are stored as integers: stored = round(number / scale) + zero, within limits.

    `axis` is that of the scales, if there are several.
    """

    expressed: np.dtype[Any]
    scales: tuple[float, ...]
    zeros: tuple[int, ...]
    limits: tuple[int, int]
    axis: int | None = None


@record
class Quantized:
    """An array of integers that stand for other numbers; or, around a type, its form."""

    stored: Any
    scheme: Scheme


_NUMBER = r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"
_TYPE = re.compile(
    r"tensor<((?:(?:\d+|\?)\s*x\s*)*)!quant\.uniform<\s*(s?i|ui?)(\d+)(?:<(-?\d+):(-?\d+)>)?\s*:\s*"
    rf"(\w+)\s*(?::\s*(\d+)\s*)?,\s*(\{{[^{{}}]*\}}|{_NUMBER}(?::-?\d+)?)\s*>\s*>")
_PAIR = re.compile(rf"({_NUMBER})(?::(-?\d+))?")


@cache
def scheme_of(type: Any) -> tuple[Any, Scheme] | None:
    """What a quantized type is made of: the type of the integers, and what they stand for."""
    if not isinstance(type, OtherType) or "!quant." not in type.text:
        return None
    found = _TYPE.fullmatch(type.text)
    if not found:
        return None
    sizes, sign, bits, low, high, expressed, axis, numbers = found.groups()
    stored = dt.from_hlo_name(f"{'ui' if sign[0] == 'u' else 'i'}{bits}")
    real = dt.from_hlo_name(expressed)
    if stored is None or real is None:
        return None
    limits = (int(low or dt.iinfo(stored).min), int(high or dt.iinfo(stored).max))
    pairs = [(float(scale), int(zero or 0)) for scale, zero in _PAIR.findall(numbers)]
    scheme = Scheme(real, tuple(s for s, _ in pairs), tuple(z for _, z in pairs), limits,
                    None if axis is None else int(axis))
    shape = tuple(None if n == "?" else int(n) for n in re.findall(r"\d+|\?", sizes))
    if None in shape:
        return OtherType(type.text, stored, shape), scheme
    return Type(stored, shape), scheme  # type: ignore[arg-type]


def plain_form(type: Any) -> Any:
    """The form of an argument of this type: of a quantized one, integers and their meaning."""
    found = scheme_of(type)
    return type if found is None else Quantized(*found)
