"""Every operation with a part missing, there twice or of another kind is refused with a ParseError.

Type rules and readers may take for granted how many operands there are and what kind of attribute
they get; that nothing but ParseError comes of a program for which this is not so is tested here,
for each record.
"""

from dataclasses import replace

import numpy as np
import pytest
from cases import examples

from arraylib.hlo import ParseError, parse
from arraylib.hlo.ir import Builder, Graph, Type, Value
from arraylib.hlo.mlir import shorthand, spelling
from arraylib.hlo.mlir.attributes import (
    Dense,
    Dictionary,
    Float,
    Integer,
    Integers,
    Symbol,
    Unit,
    Verbatim,
)
from arraylib.hlo.mlir.types import signature, tensor, tensors
from arraylib.hlo.mlir.writer import Writer

FLOAT = Type(np.float32, ())
MATRIX = np.zeros((2, 2), np.int64)
ATTRIBUTES = [
    Integer(0), Integer(-1), Integer(10**30), Float("1.0"), Integers(()), Integers((0,)),
    Integers((-1, 5, 5, 5, 5)), "x", True, Unit(), Symbol("a"), Verbatim("#a<[]>"),
    Verbatim("#stablehlo<precision NONE>"), (), (Integer(1),), ("a",), Dictionary(()),
    Dense(MATRIX, Type(MATRIX.dtype, (2, 2))), Dense(np.float32(2), FLOAT), FLOAT]


def node_of(case):
    """The node of a case as text has it, and the values it may read."""
    graph = case.graph()
    (node,) = graph.nodes
    if node.op in shorthand.SHORTHAND:
        graph = shorthand.written_out(node.op, node.types, node.attrs)
    return graph.nodes[-1], [*graph.inputs, *(v for n in graph.nodes[:-1] for v in n.outputs)]


def wrong_graphs(graph):
    """A region with other inputs or outputs."""
    more = Value(FLOAT, Builder())
    return [Graph((), (), ()), Graph(graph.inputs, (), graph.inputs),
            *(Graph(graph.inputs, graph.nodes, graph.outputs * count) for count in (0, 2)),
            Graph((*graph.inputs, more), graph.nodes, graph.outputs)]


def lists(items, others):
    """A list without one of its items, with one twice, with another, and empty."""
    yield []
    for i, item in enumerate(items):
        yield [*items[:i], *items[i + 1:]]
        yield [*items[:i], item, *items[i:]]
        for other in others(item):
            yield [*items[:i], other, *items[i + 1:]]


def wrong(operation, values):
    """The operation with one thing about it changed."""
    for operands in lists(operation.operands, lambda v: values):
        yield replace(operation, operands=operands)
    for results in lists(operation.results, lambda t: [
            t.with_dtype(np.int32), t.with_dtype(np.complex64), t.with_shape((*t.shape, 2))]):
        yield replace(operation, results=results)
    for regions in lists(operation.regions, lambda r: [] if r.captured else [
            replace(r, graph=graph) for graph in wrong_graphs(r.graph)]):
        yield replace(operation, regions=regions)
    for part in ("properties", "notes"):
        before = getattr(operation, part)
        for name in before:
            yield replace(operation, **{part: {k: v for k, v in before.items() if k != name}})
            for value in ATTRIBUTES:
                yield replace(operation, **{part: {**before, name: value}})


def shown(operation, values):
    """A function of this operation alone, in the generic form."""
    writer = Writer()
    for i, value in enumerate(values):
        writer.call(value, f"%a{i}")
    outputs = [Value(type, Builder()) for type in operation.results]
    writer._outputs = outputs
    if operation.body is not None:
        operation.properties = {**operation.properties, operation.body[2]: Symbol("f")}
    writer._generic(operation)
    arguments = ", ".join(f"%a{i}: {tensor(v.type)}" for i, v in enumerate(values))
    end = f" {writer.names(outputs)} : {tensors(operation.results)}" if outputs else ""
    called = operation.body[0] if operation.body else Graph((), (), ())
    types = signature(called.input_types, called.output_types).partition(" -> ")[2]
    f = Writer()
    for i, value in enumerate(called.inputs):
        f.call(value, f"%b{i}")
    f.nodes(called)
    body = "\n".join(f.lines)
    returned = f" {f.names(called.outputs)} : {tensors(called.output_types)}" * bool(called.outputs)
    inputs = ", ".join(f"%b{i}: {tensor(v.type)}" for i, v in enumerate(called.inputs))
    return "\n".join([
        f"func.func @main({arguments}) -> ({tensors(operation.results)}) {{", *writer.lines,
        f"  return{end}", "}", f"func.func private @f({inputs}) -> {types} {{", body,
        f"  return{returned}", "}"])


@pytest.mark.parametrize("case", list(examples()), ids=str)
def test_what_is_wrong_with_an_operation_is_said(case):
    node, values = node_of(case)
    parse(shown(spelling.write(node), values))
    refused = 0
    for operation in wrong(spelling.write(node), values):
        try:
            parse(shown(operation, values))
        except ParseError:
            refused += 1
    assert refused
