"""What an operation of text is here: for each name the record and its attributes, both ways.

`read` turns an operation into nodes of the graph being built, `write` a node into an operation. An
operation that no row knows, or on values that are no arrays of known shape, is kept as it is.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, Source, mistake
from arraylib.hlo.ir import Graph, Node, Type, Value, located
from arraylib.hlo.mlir import shorthand
from arraylib.hlo.mlir.attributes import (
    Dense,
    Dictionary,
    Integer,
    Symbol,
    Verbatim,
    freeze,
    write_attribute,
)
from arraylib.hlo.mlir.fields import from_plain, is_enum, plain, wrong
from arraylib.hlo.mlir.kept import KEPT
from arraylib.hlo.mlir.operation import Operation, Region
from arraylib.hlo.mlir.pieces import enum_word
from arraylib.hlo.mlir.routines import properties_of
from arraylib.hlo.mlir.rows import FIELDS, REGIONS
from arraylib.hlo.mlir.types import AnyType
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import (
    TABLE,
    bits,
    checkpoint,
    composite,
    constant as const,
    control,
    custom,
    elementwise as ew,
    general,
    general_scatter,
    indexed,
    reduction as red,
    sort as sorting,
    structured as st,
)
from arraylib.hlo.ops.custom_batch import custom_vmap
from arraylib.hlo.ops.derivative import custom_jvp, custom_vjp
from arraylib.hlo.ops.elementwise_extra import compare_total, polygamma
from arraylib.hlo.ops.foreign import foreign
from arraylib.hlo.ops.lapack import lapack
from arraylib.hlo.ops.loop import scan

if TYPE_CHECKING:
    from arraylib.hlo.mlir.body import Parser

Values = Sequence[Value]
Reader = Callable[["Parser", Operation, Source], Values]

# -- reading ---------------------------------------------------------------------------------------


def read(parser: Parser, operation: Operation, where: Source) -> Values:
    """Emit what an operation means; its results."""
    types = [v.type for v in operation.operands] + operation.results
    for region in operation.regions:
        types += region.graph.output_types
    for type in types:
        if type.__class__ is not Type and operation.name not in _CALLS:
            return _read_foreign(parser, operation, where)
    if is_ours(operation.name):
        return read_ours(parser, operation, where)
    return _read_foreign(parser, operation, where)


def names() -> frozenset[str]:
    """What text calls the operations of which there is a record."""
    return frozenset({*_READERS, *_BY_NAME})


def is_ours(name: str) -> bool:
    """Whether there is a record of operations that text calls so."""
    return name in _READERS or name in _BY_NAME


def check_name(parser: Parser, name: str, at: int) -> None:
    """Refuse an operation of a dialect that we know completely, or of none, that is not there."""
    if is_ours(name) or name in KEPT:
        return
    dialect, dot, _ = name.partition(".")
    if not dot or dialect in ("stablehlo", "chlo", "arraylib", "func"):
        close = difflib.get_close_matches(name, ["call", "return"]) if not dot else []
        close += difflib.get_close_matches(name if dot else f"stablehlo.{name}",
                                           [*_READERS, *_BY_NAME, *KEPT])
        raise parser.fail(f"there is no operation {name}", at, *close[:1])


def read_ours(parser: Parser, operation: Operation, where: Source) -> Values:
    """The results of an operation of ours, on arrays of known shape."""
    if operation.name in _RECORDS:
        _check_counts(_RECORDS[operation.name], operation)
    reader = _READERS.get(operation.name)
    if reader is not None:
        return reader(parser, operation, where)
    return _read_row(parser, _BY_NAME[operation.name], operation, where)


def _emit(parser: Parser, op: OpDef, operands: Sequence[Any], attrs: dict[str, Any],
          where: Source) -> Values:
    return parser.scope.builder.emit(op, operands, attrs, where)


def _read_row(parser: Parser, op: OpDef, operation: Operation, where: Source) -> Values:
    attrs = {}
    for field in FIELDS.get(op, ()):
        value = field.read(operation)
        if field.name:
            attrs[field.name] = value
    if operation.regions or op in REGIONS:
        attrs |= _read_regions(parser, op, operation)
    if operation.properties:
        _check_rest(operation)
    return _emit(parser, op, operation.operands, attrs, where)


def _check_rest(operation: Operation) -> None:
    """Attributes that no field has taken are notes of another dialect, or mistakes."""
    for name in list(operation.properties):
        if "." not in name:
            raise mistake(ArgumentError, operation.name, f"has no attribute {name}")
        operation.notes[name] = operation.properties.pop(name)


def _check_counts(op: OpDef, operation: Operation) -> None:
    """Of operands and results, which readers and type rules take for granted."""
    (fewest, most), found = op.arity, len(operation.operands)
    some = 0 if op in _MAY_HAVE_NONE else 1
    if most is None:
        fewest = max(fewest, some)
    if found < fewest or most is not None and found > most:
        wanted = f"{fewest} operands" if fewest == most else f"{fewest} or more operands"
        raise mistake(ShapeError, operation.name, f"takes {wanted}, not {found}")
    found = len(operation.results)
    if found < some or found > 1 and not op.multiple:
        wanted = "1 or more results" if op.multiple else "1 result"
        raise mistake(ShapeError, operation.name, f"has {wanted}, not {found}")


def _read_regions(parser: Parser, op: OpDef, operation: Operation) -> dict[str, Graph]:
    names = REGIONS.get(op, ())
    if len(operation.regions) != len(names):
        raise mistake(ShapeError, operation.name, f"has {len(operation.regions)} regions, not "
                      f"{len(names)}")
    return {name: closed(parser, operation, region)
            for name, region in zip(names, operation.regions)}


def closed(parser: Parser, operation: Operation, region: Region) -> Graph:
    """The graph of a region, with the constants inside that it reads from around it."""
    nodes = []
    for inner, outer in zip(region.graph.inputs, region.captured):
        node = parser.definition(outer)
        if node is None or node.op is not const.constant:
            raise mistake(ArgumentError, operation.name, "its region reads a value from around it "
                          "that is no constant", hint="only while, case and if may do that")
        nodes.append(Node(node.op, (), node.attrs, (inner,), node.where))
    if not nodes:
        return region.graph
    return Graph(region.arguments, (*nodes, *region.graph.nodes), region.graph.outputs)


def _read_constant(parser: Parser, operation: Operation, where: Source) -> Values:
    value = operation.take("value")
    if not isinstance(value, Dense) or value.type != operation.results[0]:
        raise mistake(ArgumentError, "constant", f"its value is no {operation.results[0]}")
    return _emit(parser, const.constant, (), {"value": value.array}, where)


def _read_compare(parser: Parser, operation: Operation, where: Source) -> Values:
    order = operation.take("compare_type")
    if order is not None and not is_enum(order, "comparison_type"):
        raise wrong(operation, "compare_type", order, "#stablehlo<comparison_type ...>")
    total = order is not None and enum_word(order) == "TOTALORDER"
    total = total and operation.operands[0].type.dtype.kind not in "iub"
    return _read_row(parser, compare_total if total else ew.compare, operation, where)


def _read_bitcast(parser: Parser, operation: Operation, where: Source) -> Values:
    same_shape = operation.operands[0].type.shape == operation.results[0].shape
    op = ew.bitcast_convert if same_shape else bits.bitcast_regroup
    return _read_row(parser, op, operation, where)


def _read_broadcasting(op: OpDef) -> Reader:
    """clamp and select take scalars where we take arrays."""
    def reader(parser: Parser, operation: Operation, where: Source) -> Values:
        shape = operation.results[0].shape
        with located(where):
            operands = [v if v.type.shape == shape or v.type.rank else st.broadcast_in_dim(
                v, shape=shape, broadcast_dimensions=()) for v in operation.operands]
        return _emit(parser, op, operands, {}, where)
    return reader


def _read_reduce(parser: Parser, operation: Operation, where: Source) -> Values:
    attrs = {"dimensions": FIELDS[general.reduce][0].read(operation),
             **_read_regions(parser, general.reduce, operation)}
    short = shorthand.shorter_reduce(parser.definition, operation.operands, attrs)
    if short is None:
        return _emit(parser, general.reduce, operation.operands, attrs, where)
    parser.scope.spare.update(v for v in operation.operands[1:] if parser.definition(v))
    found = [_emit(parser, op, operation.operands[:1], a, where)[0] for op, a in short]
    parser.scope.spare.update(found[:-1])  # the extreme, whose place is what was asked for
    return found


def _read_sort(parser: Parser, operation: Operation, where: Source) -> Values:
    axis, stable, *_ = (field.read(operation) for field in FIELDS[general.sort_with])
    attrs = {"dimension": axis, "is_stable": stable,
             **_read_regions(parser, general.sort_with, operation)}
    types = [v.type for v in operation.operands]
    if keys := shorthand.shorter_sort(types, attrs):
        return _emit(parser, sorting.sort, operation.operands,
                     {"dimension": axis, "num_keys": keys}, where)
    return _emit(parser, general.sort_with, operation.operands, attrs, where)


def _read_scatter(parser: Parser, operation: Operation, where: Source) -> Values:
    op = general_scatter.scatter_with
    attrs = {f.name: value for f in FIELDS[op] if (value := f.read(operation)) is not None}
    attrs |= _read_regions(parser, op, operation)
    if len(operation.operands) == 3:
        x, _, updates = operation.operands
        kind = shorthand.shorter_scatter(x.type, attrs["body"])
        if kind and x.type.dtype == updates.type.dtype:
            del attrs["body"]
            attrs["kind"] = kind
            return _emit(parser, indexed.scatter, operation.operands, attrs, where)
    return _emit(parser, op, operation.operands, attrs, where)


def _read_polygamma(parser: Parser, operation: Operation, where: Source) -> Values:
    n, x = operation.operands
    if shorthand.is_all_ones(parser.definition, n):
        parser.scope.spare.add(n)
        return _emit(parser, ew.trigamma, [x], {}, where)
    return _emit(parser, polygamma, [n, x], {}, where)


def _read_dot(parser: Parser, operation: Operation, where: Source) -> Values:
    attrs = {field.name: field.read(operation) for field in FIELDS[red.dot_general]}
    precision = operation.take("precision_config", ())
    if not isinstance(precision, tuple) or not all(is_enum(v, "precision") for v in precision):
        raise wrong(operation, "precision_config", precision, "[#stablehlo<precision ...>, ...]")
    attrs |= {k: v for k, v in (("precision", precision),
                                ("algorithm", operation.take("algorithm"))) if v}
    return _emit(parser, red.dot_general, operation.operands, attrs, where)


def joined(regions: Sequence[Region]) -> tuple[list[Value], list[Graph]]:
    """What any of the regions captures, and their graphs with inputs for all of that first."""
    captured = list(dict.fromkeys(v for region in regions for v in region.captured))
    graphs = []
    for region in regions:
        inner = dict(zip(region.captured, region.graph.inputs))
        inputs = [inner.get(v) or control.unused(v.type) for v in captured]
        graphs.append(Graph((*inputs, *region.arguments), region.graph.nodes,
                            region.graph.outputs))
    return captured, graphs


def _read_case(parser: Parser, operation: Operation, where: Source) -> Values:
    if any(region.arguments for region in operation.regions) or not operation.regions:
        raise mistake(ShapeError, "case", "needs branches, and these take no arguments")
    captured, graphs = joined(operation.regions)
    return _emit(parser, control.case, [*operation.operands, *captured],
                 {"branches": tuple(graphs)}, where)


def _read_while(parser: Parser, operation: Operation, where: Source) -> Values:
    if len(operation.regions) != 2:
        raise mistake(ShapeError, "while", f"has {len(operation.regions)} regions, not 2")
    cond, body = operation.regions
    operands = [*cond.captured, *body.captured, *operation.operands]
    return _emit(parser, control.while_, operands, {
        "cond": cond.graph, "body": body.graph, "cond_consts": len(cond.captured),
        "body_consts": len(body.captured)}, where)


def _called(parser: Parser, operation: Operation, callee: Any) -> tuple[str, Graph]:
    if not isinstance(callee, Symbol):
        raise mistake(ArgumentError, operation.name, "does not say which function it calls")
    graph = parser.graphs.get(callee.name)
    if graph is None:
        problem = "calls itself" if callee.name in parser.declared else "is defined nowhere"
        raise mistake(ArgumentError, operation.name, f"the function @{callee.name} {problem}")
    return callee.name, graph


def _read_call(parser: Parser, operation: Operation, where: Source) -> Values:
    name, graph = _called(parser, operation, operation.take("callee"))
    return _emit(parser, control.call, operation.operands, {"body": graph, "name": name}, where)


def _read_composite(parser: Parser, operation: Operation, where: Source) -> Values:
    _, graph = _called(parser, operation, operation.take("decomposition"))
    settings = operation.take("composite_attributes", Dictionary(()))
    version = operation.take("version", Integer(0, "i32"))
    attrs = {"body": graph, "name": operation.take("name"), "settings": settings.items,
             "version": version.value}
    operation.notes |= operation.properties
    return _emit(parser, composite.composite, operation.operands, attrs, where)


def _read_custom_call(parser: Parser, operation: Operation, where: Source) -> Values:
    effect = operation.take("has_side_effect", False)
    target = operation.take("call_target_name")
    settings = freeze({**operation.properties, **operation.notes})
    operation.properties, operation.notes = {}, {}
    op = custom.custom_effect if effect else custom.custom_call
    return _emit(parser, op, operation.operands, {
        "target": target, "results": tuple(operation.results), "settings": settings}, where)


def _read_foreign(parser: Parser, operation: Operation, where: Source) -> Values:
    captured, graphs = joined(operation.regions)
    attrs = {"name": operation.name, "properties": freeze(operation.properties),
             "attributes": freeze(operation.notes), "regions": tuple(graphs),
             "captured": len(captured), "results": tuple(operation.results),
             "terminator": operation.regions[0].end if operation.regions else ""}
    operation.notes = {}
    return _emit(parser, foreign, [*operation.operands, *captured], attrs, where)


def _read_ours(op: OpDef) -> Reader:
    """Operations that are not StableHLO's have the attributes that their first example has.

    Those that only others have may be left out.
    """
    needed = op.examples[0].attrs if op.examples else {}
    shown = {**needed}
    for example in op.examples:
        shown |= {name: value for name, value in example.attrs.items() if name not in shown}
    names = [name for name, value in shown.items() if isinstance(value, Graph)]
    def reader(parser: Parser, operation: Operation, where: Source) -> Values:
        attrs = {name: from_plain(operation.take(name)) for name in shown
                 if name not in names and (name in needed or name in operation.properties
                                           or name in operation.notes)}
        if len(operation.regions) != len(names):
            raise mistake(ShapeError, operation.name, f"has {len(operation.regions)} regions, not "
                          f"{len(names)}")
        for name, value in attrs.items():
            if shown[name] is not None and not isinstance(value, type(shown[name])):
                raise wrong(operation, name, None if value is None else plain(value),
                            f"such as {write_attribute(plain(shown[name]))}")
        attrs |= {name: closed(parser, operation, r) for name, r in zip(names, operation.regions)}
        return _emit(parser, op, operation.operands, attrs, where)
    return reader


_NAMED = {compare_total: "compare", general.sort_with: "sort", general_scatter.scatter_with:
          "scatter", custom.custom_effect: "custom_call", bits.bitcast_regroup: "bitcast_convert"}


def text_name(op: OpDef) -> str:
    """`stablehlo.add`"""
    return f"{op.dialect}.{_NAMED.get(op, op.name)}"


_OURS = {text_name(op): op for op in TABLE.values()
         if op.dialect == "arraylib" and op not in shorthand.SHORTHAND}
_BY_NAME = {text_name(op): op for op in TABLE.values()
            if op.dialect != "arraylib" and op not in _NAMED and op not in shorthand.SHORTHAND}
_BY_NAME["chlo.tan"] = ew.tan
# The record behind each name; where one name stands for two, the more general one.
_RECORDS = {text_name(op): op for op in sorted(TABLE.values(), key=lambda op: op in _NAMED)}
_MAY_HAVE_NONE = {control.case, control.while_, control.optimization_barrier, control.call,
                  checkpoint.checkpoint, scan, composite.composite}  # operands, or results
_CALLS = {"call", "func.call", "stablehlo.composite"}  # on values of any types
_READERS: dict[str, Reader] = {
    "stablehlo.constant": _read_constant, "arith.constant": _read_constant,
    "chlo.constant": _read_constant, "stablehlo.compare": _read_compare,
    "stablehlo.bitcast_convert": _read_bitcast,
    "stablehlo.clamp": _read_broadcasting(ew.clamp),
    "stablehlo.select": _read_broadcasting(ew.select),
    "stablehlo.reduce": _read_reduce, "stablehlo.sort": _read_sort,
    "stablehlo.scatter": _read_scatter, "chlo.polygamma": _read_polygamma,
    "stablehlo.dot_general": _read_dot, "stablehlo.case": _read_case,
    "stablehlo.while": _read_while, "call": _read_call, "func.call": _read_call,
    "stablehlo.composite": _read_composite, "stablehlo.custom_call": _read_custom_call,
    **{name: _read_ours(op) for name, op in _OURS.items()}}

# -- writing ---------------------------------------------------------------------------------------


def write(node: Node) -> Operation:
    """A node as the operation that text has for it; not for shorthand, which is several."""
    writer = _WRITERS.get(node.op)
    operation = writer(node) if writer else _write_row(node)
    operation.notes |= dict(node.notes)
    return operation


def _results(node: Node) -> list[AnyType]:
    return [v.type for v in node.outputs]


def _start(node: Node, name: str = "", operands: Sequence[Value] | None = None) -> Operation:
    return Operation(name or text_name(node.op),
                     list(node.inputs if operands is None else operands), _results(node))


def _write_row(node: Node) -> Operation:
    operation = _start(node)
    for field in FIELDS.get(node.op, ()):
        if field.name in node.attrs:
            field.write(node.attrs[field.name], operation)
    operation.regions = [Region(node.attrs[name]) for name in REGIONS.get(node.op, ())]
    return operation


def _write_constant(node: Node) -> Operation:
    operation, value = _start(node), np.asarray(node.attrs["value"])
    operation.properties["value"] = Dense(value, node.outputs[0].type)
    return operation


def _write_compare(node: Node) -> Operation:
    operation = _write_row(node)
    order = "TOTALORDER" if node.op is compare_total else _ORDERS.get(
        dt.kind(node.types[0].dtype), "FLOAT")
    operation.properties["compare_type"] = Verbatim(f"#stablehlo<comparison_type {order}>")
    return operation


_ORDERS = {"i": "SIGNED", "u": "UNSIGNED", "b": "UNSIGNED"}


def _write_dot(node: Node) -> Operation:
    operation = _write_row(node)
    for ours, theirs in (("precision", "precision_config"), ("algorithm", "algorithm")):
        if value := node.attrs.get(ours):
            operation.properties[theirs] = value
    return operation


def _write_case(node: Node) -> Operation:
    operation = _start(node, operands=node.inputs[:1])
    operation.regions = [Region(g, node.inputs[1:]) for g in node.attrs["branches"]]
    return operation


def _write_while(node: Node) -> Operation:
    n, m = node.attrs["cond_consts"], node.attrs["cond_consts"] + node.attrs["body_consts"]
    operation = _start(node, operands=node.inputs[m:])
    operation.regions = [Region(node.attrs["cond"], node.inputs[:n]),
                         Region(node.attrs["body"], node.inputs[n:m])]
    return operation


def _write_call(node: Node) -> Operation:
    operation = _start(node, "call")
    operation.body = (node.attrs["body"], node.attrs.get("name") or "call", "callee")
    return operation


def _write_composite(node: Node) -> Operation:
    operation, attrs = _start(node), node.attrs
    operation.properties = {"name": attrs["name"]}
    if attrs["version"]:
        operation.properties["version"] = Integer(attrs["version"], "i32")
    if attrs["settings"]:
        operation.properties["composite_attributes"] = Dictionary(attrs["settings"])
    operation.body = (attrs["body"], attrs["name"], "decomposition")
    return operation


def _write_custom_call(node: Node) -> Operation:
    operation = _start(node)
    operation.properties = {"call_target_name": node.attrs["target"],
                            **dict(node.attrs["settings"])}
    if node.op.effect:
        operation.properties["has_side_effect"] = True
    return operation


def _write_routine(node: Node) -> Operation:
    operation = _start(node, "stablehlo.custom_call")
    operation.properties = properties_of(node)
    return operation


def _write_foreign(node: Node) -> Operation:
    attrs = node.attrs
    n = len(node.inputs) - attrs["captured"]
    operation = _start(node, attrs["name"], node.inputs[:n])
    operation.properties, operation.notes = dict(attrs["properties"]), dict(attrs["attributes"])
    operation.regions = [Region(g, node.inputs[n:], attrs["terminator"]) for g in attrs["regions"]]
    return operation


def _write_ours(node: Node) -> Operation:
    operation = _start(node)
    for name, value in node.attrs.items():
        if isinstance(value, Graph):
            operation.regions.append(Region(value, (), f"{node.op.dialect}.return"))
        elif value is not None:
            operation.notes[name] = plain(value)
    return operation


_WRITERS: dict[OpDef, Callable[[Node], Operation]] = {
    const.constant: _write_constant, ew.compare: _write_compare, compare_total: _write_compare,
    red.dot_general: _write_dot, control.case: _write_case, control.while_: _write_while,
    control.call: _write_call, composite.composite: _write_composite,
    custom.custom_call: _write_custom_call, custom.custom_effect: _write_custom_call,
    custom_jvp: _write_call, custom_vjp: _write_call, custom_vmap: _write_call,
    lapack: _write_routine, foreign: _write_foreign, **dict.fromkeys(
        (op for op in _OURS.values() if op is not control.call), _write_ours)}
