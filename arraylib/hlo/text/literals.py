"""Types and constants as MLIR writes them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Type
from arraylib.hlo.ops.constant import splat

_WRITTEN_OUT = 100  # elements; a longer array is written in hexadecimal, as MLIR does


def tensor(type: Type) -> str:
    """`tensor<2x3xf32>`, `tensor<i1>`."""
    return f"tensor<{''.join(f'{n}x' for n in type.shape)}{dt.hlo_name(type.dtype)}>"


def dense(array: np.ndarray[Any, Any]) -> str:
    """`dense<...>`: one number for a splat, nested lists, or the bytes of a large array."""
    one = splat(array) if array.size != 1 else array.reshape(-1)[0]
    if one is not None:
        return f"dense<{number(one)}>"
    if array.size > _WRITTEN_OUT:
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        return f'dense<"0x{little.tobytes().hex().upper()}">'
    return f"dense<{_nested(array) if array.size else ''}>"


def _nested(array: np.ndarray[Any, Any]) -> str:
    if not array.ndim:
        return number(array[()])
    return f"[{', '.join(map(_nested, array))}]"


def number(x: Any) -> str:
    """One element: true, -5, 2.500000e+00, (1.000000e+00,0.000000e+00)."""
    return _NUMBERS[dt.kind(x.dtype)](x)


def _float(x: Any) -> str:
    """Six decimals if that is exact; else as many digits as tell the value from its neighbours.

    What is not finite, and what would look like an integer, is written by its bits.
    """
    if not np.isfinite(x):
        return _bits(x)
    short = f"{float(x):.6e}"
    if np.array(float(short)).astype(x.dtype) == x:
        return short
    long = _significant(float(x), 2 + (dt.finfo(x.dtype).nmant + 1) * 59 // 196)
    return long if "." in long else _bits(x)


def _significant(x: float, digits: int) -> str:
    """As LLVM's APFloat::toString: no trailing zeros, scientific only beyond three zeros."""
    mantissa, exponent = f"{abs(x):.{digits - 1}e}".split("e")
    significant = mantissa.replace(".", "").rstrip("0")
    sign, power = "-" * (x < 0), int(exponent)
    last = power - len(significant) + 1  # the power of ten of the last digit
    if last >= 0 and last <= 3 and len(significant) + last <= digits:
        return sign + significant + "0" * last
    if last < 0 and power >= 0:
        return f"{sign}{significant[:power + 1]}.{significant[power + 1:]}"
    if last < 0 and power >= -3:
        return f"{sign}0.{'0' * (-power - 1)}{significant}"
    return f"{sign}{significant[0]}.{significant[1:] or '0'}E{power:+d}"


def _bits(x: Any) -> str:
    unsigned = np.asarray(x).view(f"u{x.dtype.itemsize}")
    return f"0x{int(unsigned):0{2 * x.dtype.itemsize}X}"


_NUMBERS: dict[str, Callable[[Any], str]] = {
    "b": lambda x: "true" if x else "false",
    "i": lambda x: str(int(x)),
    "u": lambda x: str(int(x)),
    "f": _float,
    "c": lambda x: f"({_float(x.real)},{_float(x.imag)})",
}


def integers(values: Sequence[int]) -> str:
    """`[0, 2]`"""
    return f"[{', '.join(map(str, values))}]"


def attribute(value: Any) -> str:
    """An attribute of an operation that has no form of its own."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value} : i64"
    if isinstance(value, float):
        return f"{_float(np.float64(value))} : f64"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, np.dtype):
        return dt.hlo_name(value)
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        return f"{dense(array)} : {tensor(Type(array.dtype, array.shape))}"
    if isinstance(value, tuple) and all(isinstance(v, int) for v in value):
        return f"array<i64{': ' if value else ''}{', '.join(map(str, value))}>"
    assert isinstance(value, tuple), f"no text for an attribute {value!r}"
    return f"[{', '.join(map(attribute, value))}]"
