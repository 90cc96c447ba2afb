"""The forms of operations with regions that MLIR prints in a way of their own: reduce and while.

    stablehlo.reduce(%0 init: %1) applies stablehlo.add across dimensions = [1] : (...) -> ...

    stablehlo.while(%iterArg = %0) : tensor<i32>
    cond {
      ...
    } do {
      ...
    }
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from arraylib.errors import Source
from arraylib.hlo.ir import Builder, Node, Value
from arraylib.hlo.mlir import dialect_blocks
from arraylib.hlo.mlir.attributes import Integers, read_dictionary, write_dictionary
from arraylib.hlo.mlir.literals import integers
from arraylib.hlo.mlir.operation import Operation, Region
from arraylib.hlo.mlir.pieces import read_list
from arraylib.hlo.mlir.types import AnyType, signature, tensor, tensors

if TYPE_CHECKING:
    from arraylib.hlo.mlir.body import Parser
    from arraylib.hlo.mlir.writer import Writer

_VALUE = re.compile(r"%[\w$.-]+(?:#\d+)?")
_NAME = re.compile(r"[a-z]\w*\.\w+")

Named = tuple[str, AnyType, int]

# -- reduce ----------------------------------------------------------------------------------------


def _read_reduce(parser: Parser, operation: Operation) -> None:
    pairs = [_read_pair(parser)]
    while parser.accept(","):
        pairs.append(_read_pair(parser))
    operation.operands = [x for x, _ in pairs] + [init for _, init in pairs]
    applied = parser.read(_NAME, "an operation") if parser.accept("applies") else ""
    for word in ("across", "dimensions", "="):
        parser.expect(word)
    operation.properties["dimensions"] = Integers(read_list(parser))
    parser.read_end(operation, "signature")
    types: list[AnyType] = [v.type for v in operation.operands[len(pairs):]]
    if applied:
        operation.regions = [_applied(parser, applied, types, operation.at)]
    else:
        parser.expect("reducer")
        operation.regions = [_read_reducer(parser, types)]


def _read_pair(parser: Parser) -> tuple[Value, Value]:
    parser.expect("(")
    at = parser.skip()
    x = parser.value(parser.read(_VALUE, "a value"), at)
    parser.expect("init")
    parser.expect(":")
    at = parser.skip()
    init = parser.value(parser.read(_VALUE, "a value"), at)
    parser.expect(")")
    return x, init


def _applied(parser: Parser, name: str, types: list[AnyType], at: int) -> Region:
    """The region of one operation on two scalars."""
    back = parser.scope
    with Builder() as builder:
        parser.scope = type(back)(builder, back)
        xs = [builder.input(types[0]), builder.input(types[0])]  # type: ignore[arg-type]
        operation = Operation(name, list(xs), [types[0]], at=at)
        outputs = parser.emit(operation, Source(parser.name, parser.line(at), parser.function))
        graph, _ = builder.build(outputs)
    parser.scope = back
    return Region(graph)


def _read_reducer(parser: Parser, types: list[AnyType]) -> Region:
    """`(%a: t, %b: t) (%c: u, %d: u) { ... }`: for each operand what is there, and one more."""
    so_far: list[Named] = []
    more: list[Named] = []
    for _ in types:
        parser.expect("(")
        first, second = parser.items(")", lambda: _read_argument(parser))
        so_far.append(first)
        more.append(second)
    return parser.read_region([*so_far, *more])


def _read_argument(parser: Parser) -> Named:
    name, type, _ = parser.read_block_argument()
    return name, type, parser.at


def _write_reduce(writer: Writer, operation: Operation) -> None:
    (region,), n = operation.regions, len(operation.operands) // 2
    names = [writer.name(v) for v in operation.operands]
    pairs = ", ".join(f"({x} init: {init})" for x, init in zip(names[:n], names[n:]))
    across = f"across dimensions = {integers(operation.properties['dimensions'].values)}"
    notes = f" {write_dictionary(operation.notes.items())}" if operation.notes else ""
    types = signature([v.type for v in operation.operands], operation.results)
    results = writer.results()
    one = _only_node(region, operation)
    applies = f" applies stablehlo.{one.op.name} " if one else " "
    writer.line(f"{results}stablehlo.reduce{pairs}{applies}{across}{notes} : {types}")
    if one:
        writer.locate()
        return
    with writer.scope(0):
        arguments = [writer.argument() for _ in region.arguments]
        for value, name in zip(region.arguments, arguments):
            writer.call(value, name)
        scalars = [tensor(v.type) for v in region.arguments]
        typed = [f"({arguments[i]}: {scalars[i]}, {arguments[i + n]}: {scalars[i + n]})"
                 for i in range(n)]
        writer.line(f" reducer{' '.join(typed)}  {{")
        writer.body(region)
        writer.line("}")
        writer.locate()


_APPLIED = ("add", "multiply", "minimum", "maximum", "and", "or", "xor")


def _only_node(region: Region, operation: Operation) -> Node | None:
    """The one operation of a region, on scalars like the operands, that comes after `applies`."""
    graph = region.graph
    if region.captured or len(graph.nodes) != 1 or len(graph.inputs) != 2 \
            or graph.inputs[0].type != operation.operands[-1].type:
        return None
    (node,) = graph.nodes
    fits = node.inputs == graph.inputs and node.outputs == graph.outputs and not node.attrs
    return node if fits and node.op.name in _APPLIED else None


# -- while -----------------------------------------------------------------------------------------


def _read_while(parser: Parser, operation: Operation) -> None:
    names: list[tuple[str, int]] = []
    def one() -> None:
        at = parser.skip()
        names.append((parser.read(_VALUE, "a name"), at))
        parser.expect("=")
        at = parser.skip()
        operation.operands.append(parser.value(parser.read(_VALUE, "a value"), at))
    parser.expect("(")
    parser.items(")", one)
    if names:
        parser.read_end(operation, "each")
    if parser.accept("attributes"):
        operation.notes.update(read_dictionary(parser))
    arguments = [(name, v.type, at) for (name, at), v in zip(names, operation.operands)]
    for word in ("cond", "do"):
        parser.expect(word)
        operation.regions.append(parser.read_region(arguments))


def _write_while(writer: Writer, operation: Operation) -> None:
    """The carry has names of its own; what is captured is seen from inside."""
    cond, body = operation.regions
    outer = [[writer.name(v) for v in region.captured] for region in (cond, body)]
    operands = [writer.name(v) for v in operation.operands]
    results = writer.results()
    with writer.scope(0):
        carry = [writer.fresh("iterArg") for _ in operands]
        pairs = ", ".join(f"{name} = {x}" for name, x in zip(carry, operands))
        types = f" : {tensors(operation.results)}" if carry else ""
        notes = (f" attributes {write_dictionary(operation.notes.items())}"
                 if operation.notes else "")
        writer.line(f"{results}stablehlo.while({pairs}){types}{notes}")
        for word, region, names in (("cond {", cond, outer[0]), ("} do {", body, outer[1])):
            writer.line(word)
            for value, name in zip(region.graph.inputs, [*names, *carry]):
                writer.call(value, name)
            writer.body(region)
        writer.line("}")
        writer.locate()


READERS: dict[str, Callable[[Parser, Operation], None]] = {
    "stablehlo.reduce": _read_reduce, "stablehlo.while": _read_while, **dialect_blocks.READERS}
WRITERS: dict[str, Callable[[Writer, Operation], None]] = {
    "stablehlo.reduce": _write_reduce, "stablehlo.while": _write_while}
