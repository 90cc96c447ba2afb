"""Constants as MLIR writes them: `dense<[1, 2]>`, one number for all, or bytes in hexadecimal."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Type
from arraylib.hlo.mlir.cursor import Cursor
from arraylib.hlo.mlir.floats import float_text
from arraylib.hlo.mlir.types import read_type, tensor
from arraylib.hlo.ops.foreign import OtherType

_WRITTEN_OUT = 100  # elements; a longer array is written in hexadecimal, as MLIR does

# -- writing ---------------------------------------------------------------------------------------


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


# -- reading ---------------------------------------------------------------------------------------

_HEXADECIMAL = re.compile(r'"0x([0-9A-Fa-f]*)"')
_PLAIN = re.compile(r'[^<>"]*')
_ELEMENT = re.compile(r"[^\[\],\s()]+|\([^()]*\)")
_BITS = re.compile(r"0x([0-9A-Fa-f]+)\Z")


def read_dense(cursor: Cursor) -> tuple[np.ndarray[Any, Any], Type | OtherType]:
    """What follows the word `dense`: the array, strided if it repeats one number, and its type."""
    cursor.expect("<")
    at = cursor.skip()
    found = cursor.match(_HEXADECIMAL) or cursor.match(_PLAIN)
    assert found is not None
    cursor.expect(">")
    cursor.expect(":")
    place = cursor.skip()
    type = read_type(cursor)
    if type.dtype is None or type.shape is None or None in type.shape:
        raise cursor.fail(f"a constant of type {type}", place, "a tensor of known shape")
    whole = Type(type.dtype, type.shape)  # type: ignore[arg-type]
    try:
        if found.re is _HEXADECIMAL:
            return _from_bytes(bytes.fromhex(found.group(1)), whole), type
        return _from_numbers(found.group(), whole), type
    except (ValueError, OverflowError) as error:
        raise cursor.fail(f"a constant for {type}: {error}", at) from None


def _from_bytes(raw: bytes, type: Type) -> np.ndarray[Any, Any]:
    """The elements one after the other; truth values also as bits; one element for all."""
    if len(raw) == type.nbytes:
        return np.frombuffer(raw, type.dtype).reshape(type.shape)
    if dt.is_bool(type.dtype) and len(raw) == -(-type.size // 8):
        bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")
        return bits[:type.size].astype(bool).reshape(type.shape)
    if len(raw) != type.dtype.itemsize:
        raise ValueError(f"{len(raw)} bytes for {type.nbytes}")
    return np.broadcast_to(np.frombuffer(raw, type.dtype).reshape(()), type.shape)


def _from_numbers(text: str, type: Type) -> np.ndarray[Any, Any]:
    words = _ELEMENT.findall(text)
    values = _READERS[dt.kind(type.dtype)](words, type.dtype)
    if "[" not in text:
        if len(words) != (1 if words or type.size else 0):
            raise ValueError(f"{len(words)} numbers without brackets")
        return (np.broadcast_to(values.reshape(()), type.shape) if words
                else np.zeros(type.shape, type.dtype))
    if len(words) != type.size:
        raise ValueError(f"{len(words)} numbers for {type.size} elements")
    if re.sub(r"\s+", "", _ELEMENT.sub("0", text)) != _skeleton(type.shape):
        raise ValueError(f"the brackets do not have the shape {type.shape}")
    return values.reshape(type.shape)


def _skeleton(shape: tuple[int, ...]) -> str:
    """`[[0,0],[0,0]]` for the shape (2, 2)."""
    text = "0"
    for n in reversed(shape):
        text = f"[{','.join([text] * n)}]"
    return text


def _truths(words: list[str], dtype: Any) -> np.ndarray[Any, Any]:
    known = {"true": True, "false": False, "1": True, "0": False, "-1": True}
    if any(word not in known for word in words):
        raise ValueError("truth values are true or false")
    return np.array([known[word] for word in words], bool)


def _whole(words: list[str], dtype: Any) -> np.ndarray[Any, Any]:
    """Integers; those of signless types may be written with either meaning of the bits."""
    values = [int(word, 0) for word in words]
    bits = dt.iinfo(dtype).bits
    lowest = -(1 << bits - 1) if dt.is_signed(dtype) else 0
    for value in (min(values, default=0), max(values, default=0)):
        if not lowest <= value < 1 << bits:
            raise ValueError(f"{value} is out of range")
    if max(values, default=0) > dt.iinfo(dtype).max:
        values = [v - (1 << bits) if v > dt.iinfo(dtype).max else v for v in values]
    return np.array(values, np.uint64 if dtype == dt.uint64 else np.int64).astype(dtype)


def _reals(words: list[str], dtype: Any) -> np.ndarray[Any, Any]:
    if any("x" in word for word in words):
        return np.array([_real(word, dtype) for word in words], dtype)
    with np.errstate(over="ignore"):
        values = np.array([float(word) for word in words], np.float64)
        return np.asarray(values.astype(dtype))


def _real(word: str, dtype: Any) -> Any:
    found = _BITS.match(word)
    if not found:
        return np.asarray(float(word)).astype(dtype)
    if len(found.group(1)) > 2 * dtype.itemsize:
        raise ValueError(f"{word} has more bits than {dt.name(dtype)}")
    return np.array(int(word, 16), f"u{dtype.itemsize}").view(dtype)[()]


def _complexes(words: list[str], dtype: Any) -> np.ndarray[Any, Any]:
    real = dt.to_real(dtype)
    parts = [word.strip("()").split(",") for word in words]
    if any(len(pair) != 2 for pair in parts):
        raise ValueError("a complex number is written (real, imaginary)")
    flat = _reals([part.strip() for pair in parts for part in pair], real)
    return np.asarray(flat.reshape(-1, 2).copy().view(dtype).reshape(-1))


_READERS: dict[str, Callable[[list[str], Any], np.ndarray[Any, Any]]] = {
    "b": _truths, "i": _whole, "u": _whole, "f": _reals, "c": _complexes}


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
