"""LLVM types as text (`float`, `<16 x i32>`, `ptr`) and constants of them.

A *pair* is a structure of two equal types, `{<16 x float>, <16 x float>}`: the real and imaginary
parts of complex numbers. Its element is the pair `{float, float}`, its lanes are its parts'.

What a type says is cached: there are some dozens of them, asked for at every instruction.
"""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Sequence

_VECTOR = re.compile(r"<(\d+) x (.+)>")
_PAIR = re.compile(r"\{(.+), \1\}")
_FLOAT_BITS = {"half": 16, "bfloat": 16, "float": 32, "double": 64}


def pair(type: str) -> str:
    """The type of two values of a type."""
    return f"{{{type}, {type}}}"


@functools.cache
def part(type: str) -> str | None:
    """The type of a pair's parts; None for what is no pair."""
    match = _PAIR.fullmatch(type)
    return match[1] if match else None


@functools.cache
def scalar(type: str) -> str:
    """Element type: `<16 x float>` gives `float`, a scalar type gives itself."""
    if inner := part(type):
        return pair(scalar(inner))
    match = _VECTOR.fullmatch(type)
    return match[2] if match else type


@functools.cache
def lanes(type: str) -> int:
    """Number of lanes; 1 for a scalar type."""
    match = _VECTOR.fullmatch(part(type) or type)
    return int(match[1]) if match else 1


@functools.cache
def vector(type: str, count: int) -> str:
    """The type with `count` lanes of `type`'s element; one lane is the scalar type."""
    if inner := part(type):
        return pair(vector(inner, count))
    return scalar(type) if count == 1 else f"<{count} x {scalar(type)}>"


def like(type: str, element: str) -> str:
    """The type with as many lanes as `type` and the given element type."""
    return vector(element, lanes(type))


@functools.cache
def is_float(type: str) -> bool:
    """True for `half`, `bfloat`, `float`, `double` and vectors of them."""
    return scalar(type) in _FLOAT_BITS


def bits(type: str) -> int:
    """Width of one element in bits."""
    if inner := part(type):
        return 2 * bits(inner)
    element = scalar(type)
    if element == "ptr":
        return 64
    return _FLOAT_BITS.get(element) or int(element[1:])


@functools.cache
def element_bytes(type: str) -> int:
    """Bytes that one element takes in memory (an `i1` would take one)."""
    return max(1, bits(type) // 8)


@functools.cache
def mangle(type: str) -> str:
    """The type as it is spelt in the name of an overloaded intrinsic: `v16f32`, `p0`."""
    if inner := part(type):
        return "c" + mangle(inner)
    element = scalar(type)
    short = {"half": "f16", "bfloat": "bf16", "float": "f32", "double": "f64", "ptr": "p0"}
    prefix = f"v{lanes(type)}" if lanes(type) > 1 else ""
    return prefix + short.get(element, element)


def _float_text(element: str, value: float) -> str:
    """Exact hexadecimal form of a float constant, rounded once to the element type."""
    if element == "half":
        return "0xH" + struct.pack(">e", value).hex().upper()
    if element == "bfloat":
        raw = struct.unpack(">I", struct.pack(">f", value))[0]
        return f"0xR{(raw + 0x7FFF + (raw >> 16 & 1)) >> 16 & 0xFFFF:04X}"
    if element == "float" and abs(value) != float("inf"):
        value = struct.unpack("f", struct.pack("f", value))[0]
    return "0x" + struct.pack(">d", value).hex().upper()


def _scalar_text(element: str, value: float) -> str:
    if element in _FLOAT_BITS:
        return _float_text(element, float(value))
    if element == "i1":
        return "true" if value else "false"
    if element == "ptr":
        assert value == 0, "the only pointer constant is null"
        return "null"
    return str(int(value))


def constant_text(type: str, value: complex | Sequence[float]) -> str:
    """Text of a constant; a sequence gives each lane its own value."""
    if inner := part(type):
        assert not isinstance(value, Sequence), "lanes of pairs have no constants of their own"
        whole = complex(value)
        return "{" + ", ".join(f"{inner} {constant_text(inner, each)}"
                               for each in (whole.real, whole.imag)) + "}"
    element = scalar(type)
    if isinstance(value, Sequence):
        assert len(value) == lanes(type), f"{len(value)} values for {type}"
        return "<" + ", ".join(f"{element} {_scalar_text(element, item)}" for item in value) + ">"
    assert not isinstance(value, complex), f"{value} is no {type}"
    text = _scalar_text(element, value)
    return text if lanes(type) == 1 else f"splat ({element} {text})"
