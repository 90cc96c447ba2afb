"""Modules as text: functions, the functions they call, and their nodes."""

from __future__ import annotations

from collections.abc import Sequence

from arraylib.hlo.ir import Graph
from arraylib.hlo.module import Function, Module, Pairs, module_of
from arraylib.hlo.text.attributes import symbol, write_dictionary
from arraylib.hlo.text.operation import Region
from arraylib.hlo.text.types import tensor
from arraylib.hlo.text.writer import Writer


def text(program: Graph | Module, name: str = "main", *, locations: bool = False) -> str:
    """A graph or module as StableHLO text in MLIR's own form; `parse` reads it back.

    A graph becomes a module with a public function `name`. Operations that StableHLO has not, such
    as a loop of a known length, are written in the generic form, as `"arraylib.scan"`; `legalize`
    writes them in terms of StableHLO's. With `locations` each operation says the line of the
    user's program that it comes from.
    """
    module = module_of(program, name) if isinstance(program, Graph) else program
    writer = Writer(locations)
    for function in module.functions:
        writer.symbol(function.graph, function.name)
    known = {function.graph: function for function in module.functions}
    shown = f" {symbol(module.name)}" if module.name else ""
    notes = f" attributes {write_dictionary(module.attributes)}" if module.attributes else ""
    writer.line(f"module{shown}{notes} {{")
    for declaration in module.declarations:
        writer.line(f"  {declaration}")
    done = 0
    while done < len(writer.symbols):  # printing a function finds further ones
        graph = list(writer.symbols)[done]
        _function(writer, known.get(graph) or Function(writer.symbols[graph], graph, False))
        done += 1
    writer.line("}")
    return "\n".join(writer.lines) + "\n"


def _function(writer: Writer, function: Function) -> None:
    graph, visibility = function.graph, "public" if function.public else "private"
    with writer.scope():
        for value in graph.inputs:
            writer.call(value, writer.argument())
        arguments = ", ".join(
            f"{writer.name(v)}: {_with_notes(tensor(v.type), function.arguments, i)}"
            for i, v in enumerate(graph.inputs))
        attributes = (f" attributes {write_dictionary(function.attributes)}"
                      if function.attributes else "")
        writer.line(f"func.func {visibility} {symbol(writer.symbols[graph])}({arguments})"
                    f"{_arrow(function)}{attributes} {{")
        writer.body(Region(graph, (), "return"))
        writer.line("}")


def _arrow(function: Function) -> str:
    types = function.graph.output_types
    if not types:
        return ""
    noted = any(function.results)
    results = ", ".join(_with_notes(tensor(t), function.results, i) for i, t in enumerate(types))
    return f" -> {results if len(types) == 1 and not noted else f'({results})'}"


def _with_notes(shown: str, notes: Sequence[Pairs], i: int) -> str:
    found = notes[i] if i < len(notes) else ()
    return f"{shown} {write_dictionary(found)}" if found else shown
