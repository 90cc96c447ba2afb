"""The types at the end of an operation's text, for each style in which MLIR writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from arraylib import dtypes as dt
from arraylib.hlo.mlir.cursor import Cursor
from arraylib.hlo.mlir.types import AnyType, read_signature, read_types
from arraylib.hlo.ops.foreign import OtherType

Types = tuple[Sequence[AnyType], Sequence[AnyType]]


def _same(cursor: Cursor, count: int) -> Types:
    """One type for all; or a type for each operand, the last of which the result has, too."""
    if cursor.peek("("):
        return read_signature(cursor)
    types = read_types(cursor)
    if len(types) == 1:
        return types * count, types
    return types, types[:1]


def _result(cursor: Cursor, count: int) -> Types:
    return [], read_types(cursor)


def _select(cursor: Cursor, count: int) -> Types:
    if cursor.peek("("):
        return read_signature(cursor)
    types = read_types(cursor)
    return [types[0], types[-1], types[-1]], types[-1:]


def _each(cursor: Cursor, count: int) -> Types:
    if cursor.peek("("):
        return read_signature(cursor)
    types = read_types(cursor)
    return types, types


def _complex(cursor: Cursor, count: int) -> Types:
    if cursor.peek("("):
        return read_signature(cursor)
    types = read_types(cursor)
    type = types[0]
    if type.dtype is None or not dt.is_complex(type.dtype):
        raise cursor.fail(f"the result is {type}, not complex")
    dtype = dt.to_real(type.dtype)
    real = (type.with_dtype(dtype) if not isinstance(type, OtherType)
            else replace(type, text=re.sub(r"complex<(\w+)>", r"\1", type.text), dtype=dtype))
    return [real, real], types


def _arrow(cursor: Cursor, count: int) -> Types:
    """`A, B -> C`, either side in parentheses or not."""
    operands = read_types(cursor)
    cursor.expect("->")
    return operands, read_types(cursor)


def _tuple(cursor: Cursor, count: int) -> Types:
    if cursor.peek("("):
        return read_signature(cursor)
    (type,) = read_types(cursor)
    return list(getattr(type, "parts", ())), [type]


STYLES: dict[str, Callable[[Cursor, int], Types]] = {
    "signature": lambda cursor, count: read_signature(cursor), "same": _same, "result": _result,
    "select": _select, "each": _each, "complex": _complex, "tuple": _tuple,
    "arrow": _arrow}
