"""Check that a graph is one: every value is defined once, before its use, with the right type.

A failure is a mistake of a pass or a transform, not of the user, but the message names the
operation and the user's line, from which it is found fastest.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from arraylib.errors import ArgumentError, ArraylibError, mistake, what_is
from arraylib.hlo.ir import Graph, Node, Type, Value, regions


class GraphError(ArraylibError):
    """A graph that no program may contain: a bug of this library."""


class _Program(Protocol):
    """A module: functions, each with a graph."""

    @property
    def functions(self) -> Sequence[Any]: ...


def verify(program: Graph | _Program) -> None:
    """Raise GraphError unless a graph, or every graph of a module, is well formed.

    Every value is defined once, before its use, and has the type that its operation's rule says;
    so in every region. The error names the operation and its line.

    >>> hlo.verify(arraylib.make_graph(lambda x: x * x)(1.0).graph)
    """
    done: set[Graph] = set()
    if isinstance(program, Graph):
        _verify(program, done)
    elif hasattr(program, "functions"):
        for function in program.functions:
            _verify(function.graph, done)
    else:
        raise mistake(ArgumentError, "verify", f"takes a module or a graph, not {what_is(program)}")


def _verify(graph: Graph, done: set[Graph]) -> None:
    """Check a graph that is not among those that were; a function may be called many times."""
    if graph in done:
        return
    done.add(graph)
    defined: set[Value] = set()
    _define(graph.inputs, defined, None)
    for node in graph.nodes:
        _check_operands(node, defined)
        _check_types(node)
        for region in regions(node):
            _verify(region, done)
        _define(node.outputs, defined, node)
    for i, value in enumerate(graph.outputs):
        if value not in defined:
            raise mistake(GraphError, "graph", f"output {i}, a {value.type}, is defined nowhere: a "
                          "placeholder, or a value of another graph")


def _define(values: Sequence[Value], defined: set[Value], node: Node | None) -> None:
    for value in values:
        if value in defined:
            raise _wrong(node, f"a {value.type} is defined a second time")
        defined.add(value)


def _check_operands(node: Node, defined: set[Value]) -> None:
    for i, value in enumerate(node.inputs):
        if value not in defined:
            raise _wrong(node, f"operand {i}, a {value.type}, is not defined before: a "
                         "placeholder, a later value, or one of another graph")


def _check_types(node: Node) -> None:
    """The result types are those of the operation's rule, which itself checks the operands."""
    found = tuple([v.type for v in node.outputs])
    wanted = _wanted(node)
    if found != wanted:
        raise _wrong(node, f"the results are {_show(found)} but the operation's rule says "
                     f"{_show(wanted)}")


def _wanted(node: Node) -> tuple[Type, ...]:
    try:
        return node.op.result_types(node.types, node.attrs, node.where)
    except ArraylibError as error:
        raise _wrong(node, "the operands do not fit") from error


def _wrong(node: Node | None, problem: str) -> Exception:
    if node is None:
        return mistake(GraphError, "graph", problem)
    return mistake(GraphError, node.op.name, problem, where=node.where, operands=node.types)


def _show(types: Sequence[Type]) -> str:
    return ", ".join(map(str, types)) or "none"
