"""A graph as a module: its function, the functions it calls, and their nodes."""

from arraylib.hlo.ir import Graph
from arraylib.hlo.text.forms import print_nodes
from arraylib.hlo.text.literals import tensor
from arraylib.hlo.text.writer import Writer, tensors


def text(graph: Graph, name: str = "main") -> str:
    """The graph as a StableHLO module with a public function `name`.

    Operations that StableHLO lacks are written in terms of those it has (an argmax is a reduction
    of two operands), but for loops of a known length, which are `arraylib.scan` in generic form.
    """
    writer = Writer()
    writer.symbol(graph, name)
    done = 0
    writer.line("module {")
    while done < len(writer.symbols):  # printing a function finds further ones
        function = list(writer.symbols)[done]
        _function(writer, function, "public" if function is graph else "private")
        done += 1
    writer.line("}")
    return "\n".join(writer.lines) + "\n"


def _function(writer: Writer, graph: Graph, visibility: str) -> None:
    with writer.scope():
        for value in graph.inputs:
            writer.call(value, writer.argument())
        arguments = ", ".join(f"{writer.name(v)}: {tensor(v.type)}" for v in graph.inputs)
        results = tensors(graph.output_types)
        arrow = f" -> {results if len(graph.outputs) == 1 else f'({results})'}"
        writer.line(f"func.func {visibility} @{writer.symbols[graph]}({arguments})"
                    f"{arrow if graph.outputs else ''} {{")
        with writer.scope():
            print_nodes(writer, graph)
            outputs = f" {writer.names(graph.outputs)} : {results}" if graph.outputs else ""
            writer.line(f"return{outputs}")
        writer.line("}")
