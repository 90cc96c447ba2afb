"""Modules as text: functions, the functions they call, and their nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from arraylib.hlo.ir import Graph
from arraylib.hlo.mlir.attributes import symbol, write_dictionary
from arraylib.hlo.mlir.operation import Region
from arraylib.hlo.mlir.types import tensor
from arraylib.hlo.mlir.writer import Writer

Pairs = Sequence[tuple[str, object]]  # attributes, by name


class Function(Protocol):
    """What a function has to say of itself."""

    @property
    def name(self) -> str: ...
    @property
    def graph(self) -> Graph: ...
    @property
    def public(self) -> bool: ...
    @property
    def arguments(self) -> Sequence[Pairs]: ...
    @property
    def results(self) -> Sequence[Pairs]: ...
    @property
    def attributes(self) -> Pairs: ...


def print_module(functions: Sequence[Function], name: str, attributes: Pairs,
                 declarations: Sequence[str], locations: bool) -> str:
    """The text of a module with these functions, and all that they call."""
    writer = Writer(locations)
    for function in functions:
        writer.symbol(function.graph, function.name)
    known = {function.graph: function for function in functions}
    shown = f" {symbol(name)}" if name else ""
    notes = f" attributes {write_dictionary(attributes)}" if attributes else ""
    writer.line(f"module{shown}{notes} {{")
    for declaration in declarations:
        writer.line(f"  {declaration}")
    done: set[Graph] = set()
    while found := [graph for graph in writer.symbols if graph not in done]:
        for graph in found:  # printing a function finds further ones
            _function(writer, graph, known.get(graph))
        done.update(found)
    writer.line("}")
    return "\n".join(writer.lines) + "\n"


def _function(writer: Writer, graph: Graph, function: Function | None) -> None:
    """A function of the module, or one that another calls and that has no more than a name."""
    visibility = "public" if function is not None and function.public else "private"
    noted = function.arguments if function is not None else ()
    written = write_dictionary(function.attributes) if function and function.attributes else ""
    with writer.scope():
        for value in graph.inputs:
            writer.call(value, writer.argument())
        arguments = ", ".join(
            f"{writer.name(v)}: {_with_notes(tensor(v.type), noted, i)}"
            for i, v in enumerate(graph.inputs))
        attributes = f" attributes {written}" if written else ""
        writer.line(f"func.func {visibility} {symbol(writer.symbols[graph])}({arguments})"
                    f"{_arrow(graph, function.results if function else ())}{attributes} {{")
        writer.body(Region(graph, (), "return"))
        writer.line("}")


def _arrow(graph: Graph, notes: Sequence[Pairs]) -> str:
    types = graph.output_types
    if not types:
        return ""
    results = ", ".join(_with_notes(tensor(t), notes, i) for i, t in enumerate(types))
    return f" -> {results if len(types) == 1 and not any(notes) else f'({results})'}"


def _with_notes(shown: str, notes: Sequence[Pairs], i: int) -> str:
    found = notes[i] if i < len(notes) else ()
    return f"{shown} {write_dictionary(found)}" if found else shown
