"""The attributes of a convolution: which axes are which, and its windows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from arraylib.hlo.mlir.attributes import Integers, Verbatim
from arraylib.hlo.mlir.cursor import DIGITS
from arraylib.hlo.mlir.fields import (
    OTHER_DTYPE,
    Field,
    flags,
    integer,
    ints,
    matrix,
    noted,
    pairs,
    wrong,
)
from arraylib.hlo.mlir.literals import integers
from arraylib.hlo.mlir.operation import Operation
from arraylib.hlo.mlir.pieces import Piece, read_list

if TYPE_CHECKING:
    from arraylib.hlo.mlir.body import Parser
    from arraylib.hlo.mlir.writer import Writer

# -- axes: [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1] -------------------------------------------------

_SPECS = (("lhs_spec", "bf"), ("rhs_spec", "oi"), ("out_spec", "bf"))
_LISTS = re.compile(r"\[([^\]]*)\]\s*x\s*\[([^\]]*)\]\s*->\s*\[([^\]]*)\]")
_PARTS = {"lhs_spec": ("input_batch_dimension", "input_feature_dimension",
                       "input_spatial_dimensions"),
          "rhs_spec": ("kernel_output_feature_dimension", "kernel_input_feature_dimension",
                       "kernel_spatial_dimensions"),
          "out_spec": ("output_batch_dimension", "output_feature_dimension",
                       "output_spatial_dimensions")}


def _read_dimensions(parser: Parser, operation: Operation) -> None:
    found = parser.match(_LISTS)
    if not found:
        raise parser.fail("expected axes such as [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1]")
    operation.properties["dimension_numbers"] = Verbatim(f"#stablehlo.conv<{found.group()}>")


def _write_dimensions(writer: Writer, operation: Operation) -> str:
    text = operation.properties["dimension_numbers"].text
    return str(text.removeprefix("#stablehlo.conv<").removesuffix(">"))


DIMENSIONS = Piece(_read_dimensions, _write_dimensions)


def _spec(operation: Operation, index: int) -> tuple[int, ...]:
    """The axes (batch, feature, *spatial) that a list of letters and numbers places."""
    name, letters = _SPECS[index]
    attribute = operation.properties.get("dimension_numbers",
                                         operation.notes.get("dimension_numbers"))
    text = attribute.text if isinstance(attribute, Verbatim) else ""
    found = _LISTS.search(text)
    if not found:
        return _raw_spec(operation, text, name)
    words = [word.strip() for word in found.group(index + 1).split(",")]
    wanted = [*letters, *(str(i) for i in range(len(words) - 2))]
    if sorted(words) != sorted(wanted):
        raise wrong(operation, "dimension_numbers", attribute, f"{' '.join(wanted)} once each")
    return tuple(words.index(word) for word in wanted)


def _raw_spec(operation: Operation, text: str, name: str) -> tuple[int, ...]:
    """From `#stablehlo.conv<raw input_batch_dimension = 0, ...>`."""
    found: list[int] = []
    for part in _PARTS[name]:
        entry = re.search(rf"\b{part}\s*=\s*(\[[^\]]*\]|{DIGITS})", text)
        if not entry:
            raise wrong(operation, "dimension_numbers", Verbatim(text), "#stablehlo.conv<...>")
        found += map(int, re.findall(DIGITS, entry.group(1)))
    return tuple(found)


def _shown(spec: tuple[int, ...], letters: str) -> str:
    words = [*letters, *(str(i) for i in range(len(spec) - 2))]
    return f"[{', '.join(word for _, word in sorted(zip(spec, words)))}]"


def _spec_field(index: int) -> Field:
    name, letters = _SPECS[index]
    def write(value: Any, operation: Operation) -> None:
        before = operation.properties.get("dimension_numbers")
        text = before.text[:-1] + ("x", "->")[index - 1] if before else "#stablehlo.conv<"
        operation.properties["dimension_numbers"] = Verbatim(f"{text}{_shown(value, letters)}>")
    def read(operation: Operation) -> Any:
        spec = _spec(operation, index)
        if index == 2:
            operation.take("dimension_numbers")
        return spec
    return Field(name, read, write)


# -- windows: {stride = [2, 2], pad = [[1, 1], [1, 1]]} --------------------------------------------

_WINDOW = {"stride": "window_strides", "pad": "padding", "lhs_dilate": "lhs_dilation",
           "rhs_dilate": "rhs_dilation", "reverse": "window_reversal"}
_WORD = re.compile(r"\w+")
_EMPTY = re.compile(r"\[\s*\]")
_FLAG = re.compile(r"(?:true|false|[01])\b")


def _read_window(parser: Parser, operation: Operation) -> None:
    def one() -> None:
        at = parser.skip()
        word = parser.read(_WORD, "a part of a window")
        if word not in _WINDOW:
            raise parser.fail(f"{word} is no part of a window", at, ", ".join(_WINDOW))
        parser.expect("=")
        if not parser.match(_EMPTY):  # as if it were not there
            operation.properties[_WINDOW[word]] = _READ.get(word, _read_integers)(parser)
    parser.expect("{")
    parser.items("}", one)


def _read_integers(parser: Parser) -> Any:
    return Integers(read_list(parser))


def _read_pairs(parser: Parser) -> Any:
    def one() -> tuple[int, ...]:
        at, pair = parser.skip(), read_list(parser)
        if len(pair) != 2:
            raise parser.fail(f"{list(pair)} is no pair of low and high padding", at)
        return pair
    parser.expect("[")
    return matrix(tuple(parser.items("]", one)), 2)


def _read_flags(parser: Parser) -> Any:
    parser.expect("[")
    words = parser.items("]", lambda: parser.read(_FLAG, "true or false"))
    return Integers(tuple(int(word in ("true", "1")) for word in words), "i1")


_READ = {"pad": _read_pairs, "reverse": _read_flags}


def _write_window(writer: Writer, operation: Operation) -> str:
    shown = []
    for word, name in _WINDOW.items():
        value = operation.properties.get(name)
        if value is None:
            continue
        if word == "pad":
            text = f"[{', '.join(integers([int(v) for v in row]) for row in value.array)}]"
        elif word == "reverse":
            text = f"[{', '.join('true' if v else 'false' for v in value.values)}]"
        else:
            text = integers(value.values)
        shown.append(f"{word} = {text}")
    return f"{{{', '.join(shown)}}}"


WINDOW = Piece(_read_window, _write_window)


def _spatial(operation: Operation) -> int:
    return max(operation.operands[0].type.rank - 2, 0)


def _unless_plain(field: Field, plain: int) -> Field:
    """A list that text leaves out where all its numbers are the usual one."""
    def write(value: Any, operation: Operation) -> None:
        if any(v != plain for v in value):
            field.write(value, operation)
    return Field(field.name, field.read, write)


def _padding() -> Field:
    field = pairs("padding", default=lambda operation: ((0, 0),) * _spatial(operation))
    def write(value: Any, operation: Operation) -> None:
        if any(pair != (0, 0) for pair in value):
            field.write(value, operation)
    return Field("padding", field.read, write)


def _list(name: str) -> Field:
    return _unless_plain(ints(name, default=lambda o: (1,) * _spatial(o)), 1)


CONVOLUTION: tuple[Field, ...] = (
    *map(_spec_field, range(3)), _list("window_strides"), _padding(), _list("lhs_dilation"),
    _list("rhs_dilation"),
    _unless_plain(flags("window_reversal", default=lambda o: (False,) * _spatial(o)), 0),
    integer("batch_group_count"), integer("feature_group_count"), OTHER_DTYPE,
    noted("precision_config"))
