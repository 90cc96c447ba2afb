"""The parts of the forms in which MLIR prints operations, each reads and writes.

    stablehlo.transpose %0, dims = [1, 0] : (tensor<2x3xf32>) -> tensor<3x2xf32>

is `Row(OPERANDS, ", dims = ", array("permutation"))`. An operation without a row is written in the
generic form, `"stablehlo.sort"(%0) <{dimension = 0 : i64}> ({...}) : (...) -> ...`, which is also
read for any.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from arraylib.hlo.mlir.attributes import (
    Attribute,
    Dense,
    Integer,
    Integers,
    Symbol,
    Verbatim,
    quoted,
    read_attribute,
    read_dictionary,
    read_string,
    read_symbol,
    symbol,
    write_dictionary,
)
from arraylib.hlo.mlir.cursor import DIGITS
from arraylib.hlo.mlir.literals import dense, integers, read_dense
from arraylib.hlo.mlir.operation import Operation
from arraylib.hlo.mlir.types import read_signature, tensor
from arraylib.record import record

if TYPE_CHECKING:
    from arraylib.hlo.mlir.body import Parser
    from arraylib.hlo.mlir.writer import Writer


@record(slots=True)
class Piece:
    """A part of a row: reads into an operation's operands or properties, and writes them."""

    read: Callable[[Parser, Operation], None]
    write: Callable[[Writer, Operation], str]


@record(slots=True)
class Row:
    """Literal words and pieces in order, then attributes of other origin, then types.

    types: how these are written, see `Parser.read_types`; names: of the results, if not numbers.
    """

    parts: tuple[str | Piece, ...]
    types: str = "signature"
    names: tuple[str, ...] | Callable[[Operation], tuple[str, ...]] = ()

    def read(self, parser: Parser, operation: Operation, start: int = 0) -> None:
        """Read the parts from number `start` on, and the types."""
        for part in self.parts[start:]:
            if isinstance(part, Piece):
                part.read(parser, operation)
            else:
                for word in part.split():
                    parser.expect(word)
        if self.types != "none":
            parser.read_end(operation, self.types)

    def write(self, writer: Writer, operation: Operation) -> None:
        shown = "".join([part.write(writer, operation) if isinstance(part, Piece) else part
                         for part in self.parts])
        names = self.names(operation) if callable(self.names) else self.names
        writer.statement(operation, f"{operation.name}{shown}", self.types, names)


def row(*parts: str | Piece, types: str = "signature",
        names: tuple[str, ...] | Callable[[Operation], tuple[str, ...]] = ()) -> Row:
    """A row; its literal parts keep a space around words as MLIR prints them."""
    return Row(parts, types, names)


# -- pieces ----------------------------------------------------------------------------------------


def _read_operands(parser: Parser, operation: Operation) -> None:
    operation.operands += parser.read_operands()


OPERANDS = Piece(_read_operands, lambda writer, operation: " " + writer.names(operation.operands)
                 if operation.operands else "")
LISTED = Piece(_read_operands, lambda writer, operation: writer.names(operation.operands))


def _piece(name: str, read: Callable[[Parser], Attribute], write: Callable[[Any], str]) -> Piece:
    def reader(parser: Parser, operation: Operation) -> None:
        operation.properties[name] = read(parser)
    return Piece(reader, lambda writer, operation: write(operation.properties[name]))


_INTEGERS = rf"\[\s*(?:-?{DIGITS}(?:\s*,\s*-?{DIGITS})*)?\s*\]"
_LIST = re.compile(_INTEGERS)
_WORD = re.compile(r"\w+")
_DIGITS = re.compile(rf"-?{DIGITS}")
_TRUTH = re.compile(r"true|false")


def read_list(parser: Parser) -> tuple[int, ...]:
    """`[0, 2]`"""
    found = parser.match(_LIST)
    if not found:
        raise parser.fail(f"expected a list of integers, found {parser.found()}")
    return _numbers_in(found.group())


def _numbers_in(listed: str) -> tuple[int, ...]:
    return tuple(map(int, listed[1:-1].replace(",", " ").split()))


def array(name: str) -> Piece:
    """`[0, 2]`"""
    return _piece(name, lambda parser: Integers(read_list(parser)), lambda v: integers(v.values))


def integer(name: str, type: str = "i64") -> Piece:
    """`3`"""
    def read(parser: Parser) -> Integer:
        return Integer(int(parser.read(_DIGITS, "an integer")), type)
    return _piece(name, read, lambda v: str(v.value))


# The words of each enumeration.
ENUMERATIONS: dict[str, tuple[str, ...]] = {
    "comparison_direction": ("EQ", "NE", "GE", "GT", "LE", "LT"),
    "comparison_type": ("NOTYPE", "FLOAT", "TOTALORDER", "SIGNED", "UNSIGNED"),
    "fft_type": ("FFT", "IFFT", "RFFT", "IRFFT"),
    "precision": ("DEFAULT", "HIGH", "HIGHEST"),
    "rng_algorithm": ("DEFAULT", "THREE_FRY", "PHILOX"),
    "rng_distribution": ("UNIFORM", "NORMAL"),
    "transpose": ("NO_TRANSPOSE", "TRANSPOSE", "ADJOINT"),
}


def enum(name: str, kind: str) -> Piece:
    """`LT`, which as an attribute is `#stablehlo<comparison_direction LT>`."""
    return _piece(name, lambda parser: _read_enum(parser, kind), enum_word)


def _read_enum(parser: Parser, kind: str) -> Verbatim:
    at = parser.skip()
    word = parser.read(_WORD, f"a {kind}")
    if word not in ENUMERATIONS[kind]:
        raise parser.fail(f"no {kind} is called {word}", at, ", ".join(ENUMERATIONS[kind]))
    return enum_attribute(kind, word)


def enum_attribute(kind: str, word: str) -> Verbatim:
    """`#stablehlo<precision HIGHEST>`"""
    return Verbatim(f"#stablehlo<{kind} {word}>")


def enum_word(attribute: Any) -> str:
    """The last word of an enumeration's attribute."""
    text = attribute if isinstance(attribute, str) else attribute.text
    return next(iter(re.findall(r"[\w-]+", text)[-1:]), "")


def optional(name: str, before: str, piece: Piece) -> Piece:
    """`before` and a piece, or neither."""
    def read(parser: Parser, operation: Operation) -> None:
        back = parser.at
        if parser.accept(",") and all(parser.accept(word) for word in before.split()):
            piece.read(parser, operation)
        else:
            parser.at = back
    def write(writer: Writer, operation: Operation) -> str:
        if name not in operation.properties:
            return ""
        return f", {before}{piece.write(writer, operation)}"
    return Piece(read, write)


def boolean(name: str) -> Piece:
    """`true`"""
    def read(parser: Parser) -> bool:
        return parser.read(_TRUTH, "true or false") == "true"
    return _piece(name, read, lambda v: "true" if v else "false")


_RANGE = re.compile(rf"({DIGITS})\s*:\s*({DIGITS})(?:\s*:\s*({DIGITS}))?")
_SEPARATOR = re.compile(r"\s*,\s*")


def _read_ranges(parser: Parser, operation: Operation) -> None:
    """`[0:2, 1:9:3]`"""
    parser.expect("[")
    text, found = parser.text, []
    range_ = parser.match(_RANGE)
    while range_:
        found.append(range_.groups("1"))
        comma = _SEPARATOR.match(text, range_.end())
        parser.at = (comma or range_).end()
        range_ = _RANGE.match(text, parser.at) if comma else None
        if comma and not range_:
            raise parser.fail(
                f"expected start:limit or start:limit:stride, found {parser.found()}")
    parser.expect("]")
    columns = zip(*found) if found else ((), (), ())
    for name, column in zip(("start_indices", "limit_indices", "strides"), columns):
        operation.properties[name] = Integers(tuple(map(int, column)))


def _write_ranges(writer: Writer, operation: Operation) -> str:
    columns = (operation.properties[name].values
               for name in ("start_indices", "limit_indices", "strides"))
    shown = [f"{low}:{high}" + (f":{step}" if step != 1 else "")
             for low, high, step in zip(*columns)]
    return f" [{', '.join(shown)}]"


_DOT_NAMES = ("lhs_batching_dimensions", "rhs_batching_dimensions", "lhs_contracting_dimensions",
              "rhs_contracting_dimensions")


def _read_dot(parser: Parser, operation: Operation) -> None:
    lists: dict[str, tuple[int, ...]] = dict.fromkeys(_DOT_NAMES, ())
    for kind in ("batching", "contracting"):
        back = parser.at
        if not (parser.accept(",") and parser.accept(f"{kind}_dims")):
            parser.at = back
            continue
        parser.expect("=")
        lists[f"lhs_{kind}_dimensions"] = read_list(parser)
        parser.expect("x")
        lists[f"rhs_{kind}_dimensions"] = read_list(parser)
    operation.properties["dot_dimension_numbers"] = numbers("dot", lists)


def _write_dot(writer: Writer, operation: Operation) -> str:
    found = read_numbers(operation.properties["dot_dimension_numbers"]) or {}
    lists = [integers(found.get(name, ())) for name in _DOT_NAMES]
    batching = f", batching_dims = {lists[0]} x {lists[1]}" if lists[0] != "[]" else ""
    contracting = f", contracting_dims = {lists[2]} x {lists[3]}"
    return batching + contracting


def numbers(kind: str, lists: dict[str, Any]) -> Verbatim:
    """`#stablehlo.gather<offset_dims = [1], index_vector_dim = 1>`; empty lists and 0 left out."""
    shown = [f"{name} = {integers(v) if isinstance(v, tuple) else v}"
             for name, v in lists.items() if v]
    return Verbatim(f"#stablehlo.{kind}<{', '.join(shown)}>")


_VALUE = rf"(?:{_INTEGERS}|-?{DIGITS})"
_ENTRY = re.compile(rf"(\w+)\s*=\s*({_VALUE})")
_ENTRIES = re.compile(
    rf"#\w+\.\w+<\s*(?:\w+\s*=\s*{_VALUE}\s*(?:,\s*\w+\s*=\s*{_VALUE}\s*)*)?>")


def read_numbers(attribute: Attribute) -> dict[str, Any] | None:
    """The lists and numbers in a `#stablehlo.kind<name = [0, 1], name = 2>`; None for others."""
    return _entries(attribute.text) if isinstance(attribute, Verbatim) else None


@lru_cache(maxsize=256)  # an operation has several such attributes in one text
def _entries(text: str) -> dict[str, Any] | None:
    if not _ENTRIES.fullmatch(text):
        return None
    return {name: _numbers_in(value) if value[0] == "[" else int(value)
            for name, value in _ENTRY.findall(text)}


def _read_precision(parser: Parser, operation: Operation) -> None:
    back = parser.at
    if parser.accept(",") and parser.accept("precision"):
        parser.expect("=")
        parser.expect("[")
        operation.properties["precision_config"] = tuple(
            parser.items("]", lambda: _read_enum(parser, "precision")))
        back = parser.at
    if parser.accept(",") and parser.accept("algorithm"):
        parser.expect("=")
        start = parser.skip()
        parser.skip_brackets()
        operation.properties["algorithm"] = Verbatim(
            "#stablehlo.dot_algorithm" + parser.text[start:parser.at])
        back = parser.at
    parser.at = back


def _write_precision(writer: Writer, operation: Operation) -> str:
    shown = ""
    if precision := operation.properties.get("precision_config"):
        shown += f", precision = [{', '.join(map(enum_word, precision))}]"
    if algorithm := operation.properties.get("algorithm"):
        shown += f", algorithm = {algorithm.text.removeprefix('#stablehlo.dot_algorithm')}"
    return shown


_FORMAT = re.compile(rf"e({DIGITS})m({DIGITS})")


def _read_format(parser: Parser, operation: Operation) -> None:
    found = parser.match(_FORMAT)
    if not found:
        raise parser.fail(f"expected a format such as e5m10, found {parser.found()}")
    for name, bits in zip(("exponent_bits", "mantissa_bits"), found.groups()):
        operation.properties[name] = Integer(int(bits), "i32")


def _write_format(writer: Writer, operation: Operation) -> str:
    bits = operation.properties
    return f"e{bits['exponent_bits'].value}m{bits['mantissa_bits'].value}"


def _read_value(parser: Parser, operation: Operation) -> None:
    """The literal of a constant, with notes before it, or all in parentheses and braces."""
    if parser.accept("("):
        parser.expect(")")
        parser.read_notes(operation)
        parser.expect(":")
        operation.results = read_signature(parser)[1]
        return
    parser.read_notes(operation)
    parser.expect("dense")
    value, type = read_dense(parser)
    operation.properties["value"] = Dense(value, type)
    operation.results = [type]


def _write_value(writer: Writer, operation: Operation) -> str:
    value = operation.properties["value"]
    notes = f" {write_dictionary(operation.notes.items())}" if operation.notes else ""
    return f"{notes} {dense(value.array)} : {tensor(operation.results[0])}"


def _read_target(parser: Parser, operation: Operation) -> None:
    operation.properties["call_target_name"] = read_symbol(parser)


def _write_target(writer: Writer, operation: Operation) -> str:
    return " " + symbol(operation.properties["call_target_name"])


def _read_function(parser: Parser, operation: Operation) -> None:
    at = parser.skip()
    operation.properties["callee"] = Symbol(read_symbol(parser))
    operation.at = at


def _write_function(writer: Writer, operation: Operation) -> str:
    return " " + symbol(operation.properties["callee"].name)


def _read_composite_name(parser: Parser, operation: Operation) -> None:
    operation.properties["name"] = read_string(parser)


def _write_composite_name(writer: Writer, operation: Operation) -> str:
    return " " + quoted(operation.properties["name"])


def _read_dictionary(parser: Parser, operation: Operation) -> None:
    if parser.peek("{"):
        operation.properties.update(read_dictionary(parser))


def written_dictionary(*hidden: str) -> Piece:
    """All properties but the hidden ones as a dictionary, and notes with them."""
    def write(writer: Writer, operation: Operation) -> str:
        items = {**operation.properties, **operation.notes}
        shown = [(k, v) for k, v in items.items() if k not in hidden]
        return f" {write_dictionary(shown)}" if shown else ""
    return Piece(_read_dictionary, write)


def _read_index(parser: Parser, operation: Operation) -> None:
    parser.expect("[")
    operation.properties["index"] = Integer(int(parser.read(_DIGITS, "an index")), "i32")
    parser.expect("]")


INDEX = Piece(_read_index, lambda w, o: f"[{o.properties['index'].value}]")


def _read_constraint(parser: Parser, operation: Operation) -> None:
    start = parser.skip()
    parser.skip_brackets()
    operation.properties["sharding"] = Verbatim("#sdy.sharding" + parser.text[start:parser.at])


CONSTRAINT = Piece(_read_constraint, lambda w, o: " " + o.properties["sharding"].text
                    .removeprefix("#sdy.sharding"))


def string(name: str) -> Piece:
    """A string in quotes."""
    return _piece(name, read_attribute, lambda v: quoted(v))

RANGES = Piece(_read_ranges, _write_ranges)
DOT = Piece(_read_dot, _write_dot)
PRECISION = Piece(_read_precision, _write_precision)
FORMAT = Piece(_read_format, _write_format)
VALUE = Piece(_read_value, _write_value)
TARGET = Piece(_read_target, _write_target)
FUNCTION = Piece(_read_function, _write_function)
NAME = Piece(_read_composite_name, _write_composite_name)
