"""How attributes of our records are attributes in text: for each kind a way there and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import Type
from arraylib.hlo.mlir.attributes import (
    Attribute,
    Dense,
    Float,
    Integer,
    Integers,
    Symbol,
    Unit,
    Verbatim,
    write_attribute,
)
from arraylib.hlo.mlir.floats import float_text
from arraylib.hlo.mlir.operation import Operation
from arraylib.hlo.mlir.pieces import (
    ENUMERATIONS,
    enum_attribute,
    enum_word,
    numbers,
    read_numbers,
)
from arraylib.hlo.ops.foreign import OtherType
from arraylib.record import record


@record(slots=True)
class Field:
    """An attribute called `name` here: `read` takes it from an operation, `write` puts it there."""

    name: str
    read: Callable[[Operation], Any]
    write: Callable[[Any, Operation], None]


_SHOWN = 60  # characters of an attribute in an error


def wrong(operation: Operation, name: str, attribute: Attribute, wanted: str) -> Exception:
    if attribute is None:
        return mistake(ArgumentError, operation.name, f"the attribute {name} is missing")
    shown = attribute if isinstance(attribute, str) else write_attribute(attribute)[:_SHOWN]
    return mistake(ArgumentError, operation.name, f"the attribute {name} is {shown}, not "
                   f"{wanted}")


_MISSING: Any = object()


def _field(name: str, text_name: str, decode: Callable[[Operation, str, Any], Any],
           encode: Callable[[Any], Attribute], default: Any = _MISSING) -> Field:
    """A field of one attribute, which may be left out if there is a default."""
    def read(operation: Operation) -> Any:
        attribute = operation.take(text_name)
        if attribute is None and default is not _MISSING:
            return default(operation) if callable(default) else default
        return decode(operation, text_name, attribute)
    def write(value: Any, operation: Operation) -> None:
        operation.properties[text_name] = encode(value)
    return Field(name, read, write)


def _integers(operation: Operation, name: str, attribute: Any) -> tuple[int, ...]:
    """From `array<i64: 0, 1>` or, in older text, `dense<[0, 1]> : tensor<2xi64>`."""
    if isinstance(attribute, Integers):
        return attribute.values
    if isinstance(attribute, Dense) and attribute.array.dtype.kind in "iub":
        return tuple(int(v) for v in attribute.array.reshape(-1))
    if isinstance(attribute, tuple) and all(isinstance(v, Integer) for v in attribute):
        return tuple(v.value for v in attribute)
    raise wrong(operation, name, attribute, "a list of integers")


def ints(name: str, text_name: str = "", default: Any = _MISSING) -> Field:
    """A tuple of integers."""
    return _field(name, text_name or name, _integers, Integers, default)


def flags(name: str, default: Any = _MISSING) -> Field:
    """A tuple of truth values."""
    return _field(name, name, lambda o, n, a: tuple(map(bool, _integers(o, n, a))),
                  lambda v: Integers(tuple(map(int, v)), "i1"), default)


def integer(name: str, text_name: str = "", type: str = "i64", default: Any = _MISSING) -> Field:
    """An integer."""
    def decode(operation: Operation, key: str, attribute: Any) -> int:
        if isinstance(attribute, Integer):
            return attribute.value
        raise wrong(operation, key, attribute, "an integer")
    return _field(name, text_name or name, decode, lambda v: Integer(v, type), default)


def flag(name: str, default: bool | None = None) -> Field:
    """A truth value; one that is false by default and said by being there may be a unit."""
    def decode(operation: Operation, key: str, attribute: Any) -> bool:
        if isinstance(attribute, (bool, Unit)):
            return attribute is not False
        raise wrong(operation, key, attribute, "true or false")
    return _field(name, name, decode, bool, _MISSING if default is None else default)


def mark(name: str) -> Field:
    """A truth value that is written only if it is true."""
    field = flag(name, False)
    def write(value: Any, operation: Operation) -> None:
        if value:
            field.write(value, operation)
    return Field(name, field.read, write)


def choice(name: str, text_name: str, kind: str, default: Any = _MISSING) -> Field:
    """One word of an enumeration."""
    def decode(operation: Operation, key: str, attribute: Any) -> str:
        if is_enum(attribute, kind):
            return enum_word(attribute)
        raise wrong(operation, key, attribute, f"#stablehlo<{kind} ...>, one of "
                    f"{', '.join(ENUMERATIONS[kind])}")
    return _field(name, text_name, decode, lambda v: enum_attribute(kind, v), default)


def is_enum(attribute: Attribute, kind: str) -> bool:
    """Whether an attribute is a word of an enumeration."""
    return isinstance(attribute, (Verbatim, str)) and enum_word(attribute) in ENUMERATIONS[kind]


def pairs(name: str, text_name: str = "", default: Any = _MISSING) -> Field:
    """A tuple of pairs of integers, in text a matrix."""
    def decode(operation: Operation, key: str, attribute: Any) -> tuple[tuple[int, ...], ...]:
        if isinstance(attribute, Dense) and attribute.array.dtype.kind in "iu" \
                and attribute.array.ndim in (1, 2):
            return tuple(tuple(int(v) for v in row)
                         for row in attribute.array.reshape(-1, attribute.array.shape[-1] or 2))
        raise wrong(operation, key, attribute, "a matrix of integers")
    return _field(name, text_name or name, decode, lambda rows: matrix(rows, 2), default)


def matrix(rows: tuple[tuple[int, ...], ...], width: int = 0) -> Dense:
    """`dense<[[0, 1]]> : tensor<1x2xi64>`; without rows it has this width."""
    array = np.array(rows, np.int64).reshape(len(rows), len(rows[0]) if rows else width)
    return Dense(array, Type(array.dtype, array.shape))


def structure(text_name: str, kind: str, names: dict[str, str]) -> tuple[Field, ...]:
    """The parts of a `#stablehlo.kind<...>` as attributes here; `names` are text's for ours."""
    last = list(names)[-1]
    def part(ours: str, theirs: str) -> Field:
        nothing: Any = 0 if theirs == "index_vector_dim" else ()
        def read(operation: Operation) -> Any:
            found = _parts(operation, text_name, kind, names).get(theirs, nothing)
            if type(found) is not type(nothing):
                raise mistake(ArgumentError, operation.name, f"{theirs} is {found}")
            if ours == last:
                operation.take(text_name)
            return found
        def write(value: Any, operation: Operation) -> None:
            lists = read_numbers(operation.properties.get(text_name)) or {}
            operation.properties[text_name] = numbers(kind, {**lists, theirs: value})
        return Field(ours, read, write)
    return tuple(part(ours, theirs) for ours, theirs in names.items())


def _parts(operation: Operation, text_name: str, kind: str,
           names: dict[str, str]) -> dict[str, Any]:
    """The lists and numbers in an attribute; an error for any that has no place in it."""
    attribute = operation.properties.get(text_name, operation.notes.get(text_name))
    found = read_numbers(attribute)
    if found is None or not attribute.text.startswith(f"#stablehlo.{kind}<"):  # type: ignore[union-attr]
        raise wrong(operation, text_name, attribute, f"#stablehlo.{kind}<...>")
    for name in found.keys() - names.values():
        raise mistake(ArgumentError, operation.name, f"{text_name} has no part {name}",
                      hint=", ".join(names.values()))
    return found


def of_result(name: str, get: Callable[[Any], Any]) -> Field:
    """An attribute that text says by the type of the result."""
    def read(operation: Operation) -> Any:
        if len(operation.results) < 1:
            raise mistake(ArgumentError, operation.name, "there is no result")
        return get(operation.results[-1])
    return Field(name, read, lambda value, operation: None)


def noted(name: str) -> Field:
    """An attribute that makes no difference here, such as a hint: kept as a note if it is true."""
    def read(operation: Operation) -> Any:
        if (value := operation.take(name, False)) is not False:
            operation.notes[name] = value
        return None
    return Field("", read, lambda value, operation: None)


SHAPE = of_result("shape", lambda type: type.shape)
DTYPE = of_result("dtype", lambda type: type.dtype)


def _other_dtype(operation: Operation) -> Any:
    dtype = operation.results[0].dtype
    return None if dtype == operation.operands[0].type.dtype else dtype


# The dtype of the result, None where it is the first operand's.
OTHER_DTYPE = Field("dtype", _other_dtype, lambda value, operation: None)

# -- attributes of operations that StableHLO has not -----------------------------------------------


def plain(value: Any) -> Attribute:
    """A Python value as the attribute that says the same."""
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return Integer(value)
    if isinstance(value, float):
        return Float(float_text(np.float64(value)))
    if isinstance(value, np.dtype):
        return OtherType(dt.hlo_name(value))
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        return Dense(array, Type(array.dtype, array.shape))
    if isinstance(value, tuple) and all(type(v) is int for v in value):
        return Integers(value)
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return value if isinstance(value, (Type, OtherType)) else Symbol(
        getattr(value, "__qualname__", type(value).__qualname__))


def from_plain(attribute: Attribute) -> Any:
    """The inverse of `plain`."""
    if isinstance(attribute, Integer):
        return attribute.value
    if isinstance(attribute, Float):
        return float(attribute.number)
    if isinstance(attribute, Integers):
        return attribute.values
    if isinstance(attribute, Dense):
        return attribute.array
    if isinstance(attribute, OtherType):
        return dt.from_hlo_name(attribute.text) or attribute
    return tuple(map(from_plain, attribute)) if isinstance(attribute, tuple) else attribute
