"""Attributes as MLIR has them: their values in Python, read from text and written.

Truth values, strings and lists are Python's own; what carries a type or a dialect's syntax is one
of the classes below. `Verbatim` keeps what only its dialect understands, word for word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Type
from arraylib.hlo.mlir.cursor import DEEPEST, DIGITS, Cursor
from arraylib.hlo.mlir.literals import dense, read_dense
from arraylib.hlo.mlir.types import read_type, write_type
from arraylib.hlo.ops.constant import same_bits
from arraylib.hlo.ops.foreign import OtherType
from arraylib.record import record


@record(slots=True)
class Integer:
    """`5 : i64`"""

    value: int
    type: str = "i64"


@record(slots=True)
class Float:
    """`1.000000e+00 : f32`, the number as it was written."""

    number: str
    type: str = "f64"


@record(slots=True)
class Integers:
    """`array<i64: 1, 2>`; of i1, truth values."""

    values: tuple[int, ...]
    element: str = "i64"


@record(slots=True)
class Symbol:
    """`@name`, or `@outer::@inner`."""

    name: str


@record(slots=True)
class Verbatim:
    """`#dialect.mnemonic<...>`, `affine_map<...>` and the like."""

    text: str


@record(slots=True)
class Unit:
    """An attribute that says something by being there."""


@record(slots=True)
class Dictionary:
    """`{name = value, ...}`"""

    items: tuple[tuple[str, Attribute], ...]


@record(eq=False, slots=True)
class Dense:
    """`dense<...> : tensor<2xi64>`; two with the same elements are equal."""

    array: np.ndarray[Any, Any]
    type: Type | OtherType

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, Dense) and self.type == other.type
                and same_bits(self.array, other.array))

    def __hash__(self) -> int:
        return hash((self.type, self.array[(0,) * self.array.ndim].tobytes()
                     if self.array.size else b""))


Attribute: TypeAlias = Any  # one of the above, bool, str, tuple of attributes, Type or OtherType
Attributes: TypeAlias = dict[str, Attribute]

# -- reading ---------------------------------------------------------------------------------------

STRING = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"')
SYMBOL = re.compile(r'@(?:[A-Za-z_][\w$.-]*|"[^"\\\n]*(?:\\.[^"\\\n]*)*")')
_NUMBER = re.compile(
    rf"-?(?:0x[0-9A-Fa-f]+|[0-9]+\.[0-9]*(?:[eE][+-]?[0-9]+)?|{DIGITS}(?![0-9]))")
_NAME = re.compile(r"[A-Za-z_][\w$.]*")
_SCALAR_TYPE = re.compile(r"(?:[su]?i\d+|index|b?f\d\w*|tf32)\b")
_ESCAPE = re.compile(r"\\([0-9A-Fa-f]{2}|.)", re.DOTALL)


def read_string(cursor: Cursor) -> str:
    """`"text"` with its escapes resolved."""
    return unquoted(cursor.read(STRING, "a string"))


def unquoted(quoted: str) -> str:
    """The text of a string literal, in which two digits after a backslash are a byte of UTF-8."""
    def plain(found: re.Match[str]) -> str:
        code = found.group(1)
        return {"n": "\n", "t": "\t"}.get(code, chr(int(code, 16)) if len(code) == 2 else code)
    text = quoted[1:-1]
    if "\\" not in text:
        return text
    raw = _ESCAPE.sub(plain, text)
    try:
        return raw.encode("latin-1").decode()
    except UnicodeError:
        return raw


def read_symbol(cursor: Cursor) -> str:
    """`@name` or `@"any text"`, without the sign."""
    return _symbol_name(cursor.read(SYMBOL, "a symbol such as @main"))


def _symbol_name(word: str) -> str:
    return unquoted(word[1:]) if word[1] == '"' else word[1:]


def read_dictionary(cursor: Cursor, depth: int = 0) -> Attributes:
    """`{name = value, unit}`"""
    cursor.expect("{")
    found: Attributes = {}
    def one() -> None:
        at = cursor.skip()
        name = read_string(cursor) if cursor.peek('"') else cursor.read(_NAME, "a name")
        if name in found:
            raise cursor.fail(f"the attribute {name} stands here a second time", at)
        found[name] = read_attribute(cursor, depth) if cursor.accept("=") else Unit()
    cursor.items("}", one)
    return found


def read_attribute(cursor: Cursor, depth: int = 0) -> Attribute:
    """Any attribute."""
    at = cursor.skip()
    if depth > DEEPEST:
        raise cursor.fail(f"attributes nested more than {DEEPEST} deep")
    first = cursor.text[at:at + 1]
    if first == '"':
        value = read_string(cursor)
        if cursor.accept(":"):
            read_type(cursor)
        return value
    if first == "[":
        cursor.at += 1
        return tuple(cursor.items("]", lambda: read_attribute(cursor, depth + 1)))
    if first == "{":
        return Dictionary(tuple(read_dictionary(cursor, depth + 1).items()))
    if first == "@":
        return _read_nested_symbol(cursor)
    if first == "#":
        return _read_dialect(cursor, depth)
    if first.isdigit() or first == "-":
        return _read_number(cursor)
    return _read_word(cursor, at)


def _read_nested_symbol(cursor: Cursor) -> Symbol:
    names = [read_symbol(cursor)]
    while cursor.accept("::"):
        names.append(read_symbol(cursor))
    return Symbol("::".join(names))


def _read_number(cursor: Cursor) -> Integer | Float:
    at = cursor.skip()
    word = cursor.read(_NUMBER, "a number")
    type = cursor.read(_SCALAR_TYPE, "a type of numbers") if cursor.accept(":") else ""
    whole = not any(c in word for c in ".eE") or "x" in word
    if whole and not (type and "f" in type):
        return Integer(int(word, 0), type or "i64")
    if whole and "x" not in word:
        raise cursor.fail(f"an integer for a {type}", at, f"write {word}.0")
    return Float(word, type or "f64")


def _read_word(cursor: Cursor, at: int) -> Attribute:
    word = cursor.match(_NAME)
    name = word.group() if word else ""
    if name in ("true", "false"):
        return name == "true"
    if name == "unit":
        return Unit()
    if name == "array" and cursor.accept("<"):
        return _read_integers(cursor)
    if name == "dense" and cursor.peek("<"):
        array, type = read_dense(cursor)
        return Dense(array, type)
    if name == "loc" or name in ("affine_map", "affine_set", "dense_resource", "sparse", "strided",
                                 "distinct"):
        cursor.skip_brackets()
        return Verbatim(cursor.text[at:cursor.at])
    cursor.at = at
    if name or cursor.peek("!") or cursor.peek("("):
        return read_type(cursor)
    raise cursor.fail(f"expected an attribute, found {cursor.found()}")


def _read_integers(cursor: Cursor) -> Attribute:
    element = cursor.read(_SCALAR_TYPE, "a type of numbers")
    if cursor.accept(">"):
        return Integers((), element)
    cursor.expect(":")
    def one() -> Any:
        at = cursor.skip()
        if cursor.accept("true"):
            return 1
        if cursor.accept("false"):
            return 0
        word = cursor.read(_NUMBER, "a number")
        if "f" in element:
            return word
        if "." in word or "e" in word:
            raise cursor.fail(f"{word} in an array of {element}", at)
        return int(word, 0)
    return Integers(tuple(cursor.items(">", one)), element)


def _read_dialect(cursor: Cursor, depth: int) -> Attribute:
    """`#stablehlo.gather<...>` word for word; an alias is what it stands for."""
    at = cursor.skip()
    name = cursor.read(re.compile(r"#[\w$.-]+"), "an attribute")
    if cursor.text.startswith("<", cursor.at):
        cursor.skip_brackets()
        return Verbatim(one_line(cursor.text[at:cursor.at]))
    place = cursor.aliases.get(name)
    if place is None:
        if "." in name:
            return Verbatim(name)
        raise cursor.fail(f"{name} is defined nowhere", at)
    back, cursor.at = cursor.at, place
    found = read_attribute(cursor, depth + 1)
    cursor.at = back
    return found


_APART = re.compile(r'("[^"\\\n]*(?:\\.[^"\\\n]*)*")|(?://[^\n]*|\s*\n\s*)+')


def one_line(text: str) -> str:
    """Text without comments and ends of lines, strings as they are."""
    return _APART.sub(lambda found: found.group(1) or " ", text) if "\n" in text else text


# -- writing ---------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """A string literal: bytes that are not printable ASCII become two hexadecimal digits."""
    def escaped(byte: int) -> str:
        if byte == 0x5C:
            return "\\\\"
        return chr(byte) if 32 <= byte < 127 and byte != 0x22 else f"\\{byte:02X}"
    return f'"{"".join(map(escaped, text.encode()))}"'


def symbol(name: str) -> str:
    """`@name`, in quotes if it is no plain word."""
    return "::".join(f"@{part}" if re.fullmatch(r"[A-Za-z_][\w$.]*", part, re.ASCII)
                     else f"@{quoted(part)}" for part in name.split("::"))


def write_attribute(value: Attribute) -> str:
    """An attribute as MLIR prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(write_attribute, value))}]"
    return str(_WRITERS[type(value)](value))


def _write_integers(value: Integers) -> str:
    shown = [str(v) for v in value.values]
    if value.element == "i1":
        shown = ["true" if v else "false" for v in value.values]
    return f"array<{value.element}{': ' if shown else ''}{', '.join(shown)}>"


_WRITERS: dict[type, Any] = {
    Integer: lambda v: f"{v.value} : {v.type}",
    Float: lambda v: f"{v.number} : {v.type}",
    Integers: _write_integers,
    Symbol: lambda v: symbol(v.name),
    Verbatim: lambda v: v.text,
    Unit: lambda v: "unit",
    Dictionary: lambda v: write_dictionary(v.items),
    Dense: lambda v: f"{dense(v.array)} : {write_type(v.type)}",
    Type: write_type,
    OtherType: write_type,
}


def write_dictionary(items: Iterable[tuple[str, Attribute]]) -> str:
    """`{name = value, unit}`, in alphabetical order."""
    return f"{{{', '.join(map(_write_item, sorted(items, key=lambda item: item[0])))}}}"


def _write_item(item: tuple[str, Attribute]) -> str:
    name, value = item
    shown = name if re.fullmatch(_NAME, name) else quoted(name)
    return shown if isinstance(value, Unit) else f"{shown} = {write_attribute(value)}"


def freeze(attributes: Attributes) -> tuple[tuple[str, Attribute], ...]:
    """Attributes as something that can be compared and hashed."""
    return tuple(sorted(attributes.items()))


def number_of(value: Float) -> Any:
    """The number that is meant, which may be written as the bits of its type."""
    dtype = dt.from_hlo_name(value.type) or dt.float64
    if "x" not in value.number:
        return np.asarray(float(value.number)).astype(dtype)[()]
    return np.array(int(value.number, 16), f"u{dtype.itemsize}").view(dtype)[()]


def plain_python(value: Attribute) -> Any:
    """An attribute as a Python value: a number, a string, an array, a list, a dictionary."""
    if isinstance(value, dict):
        return {name: plain_python(item) for name, item in value.items()}
    if isinstance(value, Dictionary):
        return plain_python(dict(value.items))
    if isinstance(value, tuple):
        return [plain_python(item) for item in value]
    return _PLAIN.get(type(value), lambda v: v)(value)


_PLAIN: dict[type, Any] = {
    Integer: lambda v: v.value, Float: lambda v: float(number_of(v)),
    Integers: lambda v: [*v.values],
    Symbol: lambda v: v.name, Verbatim: lambda v: v.text, Unit: lambda v: True,
    Dense: lambda v: v.array}
