"""The forms of operations with regions of other dialects, which are read but not written.

    sdy.manual_computation(%0) in_shardings=[...] out_shardings=[...] manual_axes={"x"} (%a: t) {
      ...
    } : (t) -> t

    chlo.scan(%0) inits(%1) dimension=0 attributes {is_reverse = true} {
      ...
    } : (t, u) -> (t, u)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from arraylib.hlo.mlir.attributes import Integer, Integers, Verbatim, read_dictionary
from arraylib.hlo.mlir.cursor import DIGITS
from arraylib.hlo.mlir.operation import Operation

if TYPE_CHECKING:
    from arraylib.hlo.mlir.body import Parser

_DIGITS = re.compile(DIGITS)


def _read_operands(parser: Parser, operation: Operation) -> int:
    """`(%0, %1)`; how many they are."""
    count = len(operation.operands)
    parser.expect("(")
    operation.operands += parser.read_operands()
    parser.expect(")")
    return len(operation.operands) - count


def _read_manual(parser: Parser, operation: Operation) -> None:
    _read_operands(parser, operation)
    for name, kind in (("in_shardings", "sharding_per_value"),
                       ("out_shardings", "sharding_per_value"), ("manual_axes", "manual_axes")):
        parser.expect(name)
        parser.expect("=")
        at = parser.skip()
        parser.skip_brackets()
        operation.properties[name] = Verbatim(f"#sdy.{kind}<{parser.text[at:parser.at]}>")
    parser.expect("(")
    arguments = parser.items(")", parser.read_block_argument)
    operation.regions = [parser.read_region(arguments)]
    parser.read_end(operation, "signature")


def _read_scan(parser: Parser, operation: Operation) -> None:
    inputs = _read_operands(parser, operation)
    parser.expect("inits")
    carry = _read_operands(parser, operation)
    parser.expect("dimension")
    parser.expect("=")
    axis = int(parser.read(_DIGITS, "an axis"))
    operation.properties = {"dimension": Integer(axis),
                            "operandSegmentSizes": Integers((inputs, carry), "i32")}
    if parser.accept("attributes"):
        operation.properties.update(read_dictionary(parser))
    operation.regions = [parser.read_region()]
    parser.read_end(operation, "signature")


READERS: dict[str, Callable[[Parser, Operation], None]] = {
    "sdy.manual_computation": _read_manual, "chlo.scan": _read_scan}
