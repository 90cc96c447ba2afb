"""Types and constants as MLIR writes them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Type
from arraylib.hlo.text.floats import float_text

_WRITTEN_OUT = 100  # elements; a longer array is written in hexadecimal, as MLIR does


def tensor(type: Type) -> str:
    """`tensor<2x3xf32>`, `tensor<i1>`."""
    return f"tensor<{''.join(f'{n}x' for n in type.shape)}{dt.hlo_name(type.dtype)}>"


def dense(array: np.ndarray[Any, Any]) -> str:
    """`dense<...>`: one number if all are that, nested lists, or the bytes of a large array."""
    if array.size and _repeats(array):
        return f"dense<{number(array[(0,) * array.ndim])}>"
    if array.size > _WRITTEN_OUT:
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        return f'dense<"0x{little.tobytes().hex().upper()}">'
    return f"dense<{_nested(array) if array.size else ''}>"


def _repeats(array: np.ndarray[Any, Any]) -> bool:
    """Whether all elements have the same bits, which needs no look at those of a strided splat."""
    if all(n == 1 or step == 0 for n, step in zip(array.shape, array.strides)):
        return True
    flat = np.ascontiguousarray(array).reshape(-1)
    rows = flat.view(np.uint8).reshape(array.size, array.dtype.itemsize)
    return bool((rows == rows[0]).all())


def _nested(array: np.ndarray[Any, Any]) -> str:
    if not array.ndim:
        return number(array[()])
    return f"[{', '.join(map(_nested, array))}]"


def number(x: Any) -> str:
    """One element: true, -5, 2.500000e+00, (1.000000e+00,0.000000e+00)."""
    return _NUMBERS[dt.kind(x.dtype)](x)


_NUMBERS: dict[str, Callable[[Any], str]] = {
    "b": lambda x: "true" if x else "false",
    "i": lambda x: str(int(x)),
    "u": lambda x: str(int(x)),
    "f": float_text,
    "c": lambda x: f"({float_text(x.real)},{float_text(x.imag)})",
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
        return f"{float_text(np.float64(value))} : f64"
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
