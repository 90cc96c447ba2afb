"""A module: functions by name, of which one is the entry, and what else a program's text says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arraylib.errors import ArgumentError, mistake, what_is
from arraylib.hlo.ir import Graph
from arraylib.hlo.mlir.printer import print_module
from arraylib.hlo.same import same
from arraylib.record import record

Pairs = tuple[tuple[str, Any], ...]  # attributes, by name
_SHOWN = 5  # functions that a module's repr names


@record(eq=False, repr=False)
class Function:
    """A graph with a name, and attributes of the function, its arguments and its results."""

    name: str
    graph: Graph
    public: bool = True
    arguments: tuple[Pairs, ...] = ()  # one for each input, or none at all
    results: tuple[Pairs, ...] = ()
    attributes: Pairs = ()

    def __repr__(self) -> str:
        takes, gives = (", ".join(map(str, types)) for types in (
            self.graph.input_types, self.graph.output_types))
        return f"<function @{self.name}({takes}) -> ({gives})>"


@record(eq=False, repr=False)
class Module:
    """Functions, the attributes of the module, and declarations such as meshes, as written.

    A function called by another is one of `functions` only if the text had it: calls hold the
    graph they call. Two modules are equal if their entries compute the same by the same nodes;
    names, locations and the order of what regions capture do not count.
    """

    functions: tuple[Function, ...]
    name: str = ""
    attributes: Pairs = ()
    declarations: tuple[str, ...] = ()

    def text(self, *, locations: bool = False) -> str:
        """The module as StableHLO text; see `hlo.text`."""
        return text(self, locations=locations)

    @property
    def entry(self) -> Function:
        """The public function `main`; without one the only public function, or the first."""
        public = [f for f in self.functions if f.public] or list(self.functions)
        if not public:
            raise mistake(ArgumentError, "module", "there is no function in it")
        return next((f for f in public if f.name == "main"), public[0])

    def __repr__(self) -> str:
        names = ", ".join(f"@{f.name}" for f in self.functions[:_SHOWN])
        more = f" and {len(self.functions) - _SHOWN:,} more" * (len(self.functions) > _SHOWN)
        return f"<module{' ' * bool(self.name)}{self.name}: {names or 'no functions'}{more}>"

    @property
    def graph(self) -> Graph:
        """The graph of the entry."""
        return self.entry.graph

    def __getitem__(self, name: str) -> Function:
        for function in self.functions:
            if function.name == name:
                return function
        raise mistake(ArgumentError, "module", f"no function is called {name!r}",
                      hint=", ".join(f.name for f in self.functions))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Graph):
            return same(self.graph, other)
        if not isinstance(other, Module):
            return False
        if not self.functions or not other.functions:
            return len(self.functions) == len(other.functions)
        return same(self.graph, other.graph)

    def __hash__(self) -> int:
        return hash((len(self.functions) > 0, self.functions and self.graph.input_types))


def graph_of(program: Any, op: str) -> Graph:
    """The graph of a module's entry, or the graph itself; `op` is what an error names."""
    if isinstance(program, Graph):
        return program
    if isinstance(program, Module):
        return program.graph
    raise mistake(ArgumentError, op, f"takes a module or a graph, not {what_is(program)}",
                  hint="hlo.parse(text) for a program's text")


def module_of(graph: Graph, name: str = "main") -> Module:
    """The module whose only function has this graph."""
    return Module((Function(name, graph),))


def with_graph(module: Module, graph: Graph) -> Module:
    """The module with another graph for its entry; the other functions are those it calls."""
    entry = module.entry
    kept: Sequence[Pairs] = entry.arguments if len(graph.inputs) == len(entry.graph.inputs) else ()
    changed = Function(entry.name, graph, entry.public, tuple(kept), entry.results,
                       entry.attributes)
    return Module((changed,), module.name, module.attributes, module.declarations)


def text(program: Graph | Module, name: str = "main", *, locations: bool = False) -> str:
    """A graph or module as StableHLO text in MLIR's own form; `parse` reads it back.

    A graph becomes a module with a public function `name`. Operations that StableHLO has not, such
    as a loop of a known length, are written in the generic form, as `"arraylib.scan"`; `legalize`
    writes them in terms of StableHLO's. With `locations` each operation says the line of the
    user's program that it comes from.

        >>> print(hlo.text(arraylib.make_graph(jnp.sin)(jnp.ones(3)).graph))
        module {
          func.func public @main(%arg0: tensor<3xf32>) -> tensor<3xf32> {
            %0 = stablehlo.sine %arg0 : tensor<3xf32>
            return %0 : tensor<3xf32>
          }
        }
    """
    module = program if isinstance(program, Module) else module_of(graph_of(program, "text"), name)
    return print_module(module.functions, module.name, module.attributes, module.declarations,
                        locations)
