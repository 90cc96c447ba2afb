"""Types as MLIR writes them: `tensor<2x3xf32>`, and those of values that are no arrays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

from arraylib import dtypes as dt
from arraylib.hlo.ir import Type
from arraylib.hlo.mlir.cursor import DEEPEST, DIGITS, Cursor
from arraylib.hlo.ops.foreign import OtherType

AnyType: TypeAlias = "Type | OtherType"

MOST_ELEMENTS = 1 << 40
MOST_AXES = 32

_TENSOR = re.compile(r"tensor<((?:[0-9]+x)*)(complex<\w+>|\w+)>")
_DYNAMIC = re.compile(rf"tensor<((?:(?:{DIGITS}|\?)x)+)(complex<\w+>|\w+)((?:,.*)?)>", re.DOTALL)
_WORD = re.compile(r"!?[A-Za-z_][\w.]*")
_PLAIN = r"tensor<(?:[0-9]+x)*\w+>"
_PLAIN_SIGNATURE = re.compile(
    rf"\(({_PLAIN}(?:, {_PLAIN})*+)\) -> ({_PLAIN})(?!\w)")  # what most operations end with
_BRACKETED = re.compile(r"\s*<")
_known: dict[str, Type] = {}


def tensor(type: AnyType) -> str:
    """`tensor<2x3xf32>`, `tensor<i1>`."""
    if isinstance(type, OtherType):
        return type.text
    return f"tensor<{''.join(f'{n}x' for n in type.shape)}{dt.hlo_name(type.dtype)}>"


write_type = tensor


def tensors(types: Sequence[AnyType]) -> str:
    """Types separated by commas."""
    return ", ".join(map(tensor, types))


def signature(operands: Sequence[AnyType], results: Sequence[AnyType]) -> str:
    """`(tensor<2xf32>) -> tensor<f32>`, the results in parentheses unless there is one."""
    right = tensors(results)
    return f"({tensors(operands)}) -> {right if len(results) == 1 else f'({right})'}"


def read_type(cursor: Cursor) -> AnyType:
    """Any type."""
    at = cursor.skip()
    found = cursor.match(_TENSOR)
    if not found:
        cursor.nesting += 1
        if cursor.nesting > DEEPEST:
            raise cursor.fail(f"types nested more than {DEEPEST} deep")
        other = _read_other(cursor, at)
        cursor.nesting -= 1
        return other
    known = _known.get(found.group())
    if known is not None:
        return known
    type = _static(cursor, at, found.group(1), found.group(2))
    if isinstance(type, Type):
        if len(_known) > 10_000:
            _known.clear()
        _known[found.group()] = type
    return type


def _static(cursor: Cursor, at: int, sizes: str, element: str) -> AnyType:
    dtype = dt.from_hlo_name(element)
    if dtype is None and element == "index":
        dtype = dt.int64
    shape = tuple(map(int, sizes.split("x")[:-1])) if len(sizes) < 20 * MOST_AXES else None
    if shape is None or len(shape) > MOST_AXES:
        raise cursor.fail(f"a tensor of more than {MOST_AXES} axes", at)
    if dtype is None:
        raise cursor.fail(f"no element type is called {element}", at,
                          "f32, i32, ui8, i1, bf16, complex<f32>, f8E4M3FN, ...")
    size = 1
    for n in shape:
        size *= max(n, 1)
    if size > MOST_ELEMENTS:
        raise cursor.fail(f"a tensor of {size} elements, more than the {MOST_ELEMENTS} allowed", at)
    if element == "index":
        return OtherType(cursor.text[at:cursor.at], dtype, shape)
    return Type(dtype, shape)


def _read_other(cursor: Cursor, at: int) -> AnyType:
    """A tensor whose sizes or elements are special, a token, a tuple, a function type."""
    if cursor.peek("("):
        return OtherType(signature(*read_signature(cursor)))
    word = cursor.match(_WORD)
    if not word:
        raise cursor.fail(f"expected a type, found {cursor.found()}", at)
    if word.group() == "tuple":
        cursor.expect("<")
        parts = tuple(cursor.items(">", lambda: read_type(cursor)))
        return OtherType(f"tuple<{tensors(parts)}>", parts=parts)
    if alias := cursor.aliases.get(word.group()):
        back, cursor.at = cursor.at, alias
        found = read_type(cursor)
        cursor.at = back
        return found
    if _BRACKETED.match(cursor.text, cursor.at):
        cursor.skip_brackets()
    text = re.sub(r"\s+", " ", cursor.text[at:cursor.at])
    if word.group() == "tensor":
        return _dynamic(cursor, at, text)
    if not word.group().startswith("!") and dt.from_hlo_name(text) is None and text not in (
            "index", "none", "vector", "memref"):
        raise cursor.fail(f"no type is called {text[:40]}", at)
    return OtherType(text)


def _dynamic(cursor: Cursor, at: int, text: str) -> OtherType:
    found = _DYNAMIC.fullmatch(text)
    dtype = dt.from_hlo_name(found.group(2)) if found else None
    if found and dtype is not None:
        sizes = found.group(1).split("x")[:-1]
        return OtherType(text, dtype, tuple(None if n == "?" else int(n) for n in sizes))
    if "!" not in text and "#" not in text and "?" not in text:
        raise cursor.fail(f"{text[:60]} is no type", at, "for example tensor<2x3xf32>")
    return OtherType(text)


def read_types(cursor: Cursor) -> list[AnyType]:
    """Types separated by commas; or in parentheses; or none in `()`."""
    if cursor.accept("("):
        return cursor.items(")", lambda: read_type(cursor))
    found = [read_type(cursor)]
    while cursor.accept(","):
        found.append(read_type(cursor))
    return found


def read_signature(cursor: Cursor) -> tuple[list[AnyType], list[AnyType]]:
    """`(types) -> types`"""
    plain = cursor.match(_PLAIN_SIGNATURE)
    if plain:
        known = [_known.get(word) for word in (*plain[1].split(", "), plain[2])]
        if None not in known:
            return known[:-1], known[-1:]  # type: ignore[return-value]
        cursor.at = plain.start()
    cursor.expect("(")
    operands = cursor.items(")", lambda: read_type(cursor))
    cursor.expect("->")
    if cursor.accept("("):
        return operands, cursor.items(")", lambda: read_type(cursor))
    return operands, [read_type(cursor)]
