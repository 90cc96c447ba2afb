"""Passes by name, over the functions of a module.

`fuse` is no pass of the optimiser: it leaves the program as it is, and marks each operation with
the kernel that the CPU compiler would compute it in, as the attribute `arraylib.fused`.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from arraylib.backends.cpu import backend as cpu
from arraylib.backends.lower.groups import groups
from arraylib.hlo.command.files import CommandError
from arraylib.hlo.ir import Graph, Node, Type, regions
from arraylib.hlo.mlir.attributes import Dictionary, Symbol
from arraylib.hlo.module import Function, Module
from arraylib.hlo.passes.adopt import adopt, functions_of
from arraylib.hlo.passes.legalize import legalize
from arraylib.hlo.passes.pipeline import pipeline
from arraylib.hlo.passes.rewrite import Pass, everywhere, map_regions

Step = tuple[str, Callable[[Module], Module]]

FUSED = "arraylib.fused"  # the attribute that says where an operation is computed
ALL, FUSE = "all", "fuse"

_PIPELINE = pipeline(cpu.native)  # `expand` writes out what the CPU compiler does not have
_PASSES = dict(_PIPELINE)
_NAMED = [name for name in _PASSES if " " not in name]  # "last dce" is dce


def _adopt(graph: Graph, functions: Mapping[str, Graph] | None = None) -> Graph:
    return adopt(graph, functions=functions)


def _legalize(graph: Graph, functions: Mapping[str, Graph] | None = None) -> Graph:
    return legalize(_adopt(graph, functions))


# These go into regions themselves, know the module's functions by name, and may change inputs.
_WHOLE: dict[str, Callable[..., Graph]] = {"adopt": _adopt, "legalize": _legalize}

# -- names -----------------------------------------------------------------------------------------


def names() -> dict[str, str]:
    """Every name that `--passes` takes, and what it stands for."""
    described = {name: sys.modules[f"arraylib.hlo.passes.{name}"].__doc__ or ""
                 for name in (*_NAMED, *_WHOLE)}
    return {
        **{name: text.partition("\n")[0] for name, text in described.items()},
        ALL: f"The whole optimiser: adopt, {', '.join(name for name, _ in _PIPELINE)}.",
        FUSE: "Mark each operation with the kernel that the CPU compiler computes it in.",
    }


def check(name: str) -> str:
    """The name of a pass; ValueError, with those there are, for any other."""
    known = list(names())
    if name not in known:
        raise ValueError(f"no pass is called {name!r}{_meant(name, known)}; there are "
                         f"{', '.join(known)}")
    return name


def _meant(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def _written_out(wanted: Sequence[str]) -> list[str]:
    """The names without `all`."""
    whole = ["adopt", *_PASSES]
    return [step for name in wanted for step in (whole if name == ALL else [name])]


def passes(wanted: Sequence[str]) -> list[tuple[str, Pass]]:
    """The passes of these names, over graphs."""
    if FUSE in wanted:
        raise CommandError("fuse changes no program")
    return [(name, _WHOLE.get(name) or _PASSES[name]) for name in _written_out(wanted)]


def steps(wanted: Sequence[str]) -> list[Step]:
    """The passes of these names, over modules."""
    if FUSE in wanted[:-1]:
        raise CommandError("fuse comes last: it marks operations, and other passes make new ones")
    return [(name, _step(name)) for name in _written_out(wanted)]


def _step(name: str) -> Callable[[Module], Module]:
    if name == FUSE:
        return lambda module: _over_roots(_fused, module)
    if name in _WHOLE:
        return lambda module: _over_roots(
            lambda graph: _WHOLE[name](graph, functions_of(module)), module)
    return lambda module: _over_all(everywhere(_PASSES[name]), module)


# -- modules ---------------------------------------------------------------------------------------


def adopted(module: Module, runs: bool = False) -> Module:
    """The module in terms of our operations; if it `runs` next, with all custom calls known."""
    functions = functions_of(module)
    return _over_roots(lambda graph: adopt(graph, functions=functions, runs=runs), module)


def for_inputs(module: Module, types: Sequence[Type]) -> Module:
    """The module with the sizes that its entry leaves open as these inputs have them."""
    entry = module.entry
    if entry.graph.input_types == tuple(types):
        return module
    graph = adopt(entry.graph, types, functions=functions_of(module))
    return _without_uncalled(module, [with_graph(f, graph) if f is entry else f
                                      for f in module.functions])


def only(module: Module, name: str) -> Module:
    """The module with one of its functions as the entry, and those that it calls."""
    found = [f.name for f in module.functions]
    if name not in found:
        raise CommandError(f"no function is called {name!r}{_meant(name, found)}; there are "
                           f"{', '.join(found)}")
    return _without_uncalled(module, [replace(f, public=f.name == name) for f in module.functions])


def roots(module: Module) -> list[Function]:
    """The functions that others may call: the public ones, or all if there is none."""
    return [f for f in module.functions if f.public] or list(module.functions)


def _over_all(change: Pass, module: Module) -> Module:
    """Change every function; calls share what `change` makes of the function that they call."""
    return _without_uncalled(module, [with_graph(f, change(f.graph)) for f in module.functions])


def _over_roots(change: Pass, module: Module) -> Module:
    """Change the functions that others may call, and what they call as part of them."""
    starts = roots(module)
    return _without_uncalled(module, [with_graph(f, change(f.graph)) if f in starts else f
                                      for f in module.functions])


def with_graph(function: Function, graph: Graph) -> Function:
    """The function with another graph; notes on inputs and results go if their number changes."""
    same_inputs = len(graph.inputs) == len(function.graph.inputs)
    same_results = len(graph.outputs) == len(function.graph.outputs)
    return replace(function, graph=graph, arguments=function.arguments if same_inputs else (),
                   results=function.results if same_results else ())


def _without_uncalled(module: Module, functions: Sequence[Function]) -> Module:
    """The module with these functions, but for private ones that nothing calls or mentions."""
    module = replace(module, functions=tuple(functions))
    by_name, kept = functions_of(module), set[Graph]()
    pending = [f.graph for f in roots(module)]
    if len(pending) == len(functions):
        return module
    while pending:
        graph = pending.pop()
        if graph not in kept:
            kept.add(graph)
            pending += [region for node in graph.nodes for region in regions(node)]
            pending += [by_name[name] for node in graph.nodes for name in _mentioned(
                tuple(node.attrs.values())) if name in by_name]
    return replace(module, functions=tuple([f for f in module.functions if f.graph in kept]))


def _mentioned(value: Any) -> Iterator[str]:
    """The names of functions in an attribute, or in a tuple of them."""
    if isinstance(value, Symbol):
        yield value.name
    elif isinstance(value, (tuple, Dictionary)):
        for item in value if isinstance(value, tuple) else value.items:
            yield from _mentioned(item)


# -- what is computed together ---------------------------------------------------------------------


def _fused(graph: Graph) -> Graph:
    """The graph with the name of its kernel on each node."""
    found = groups(graph, cpu.lowered)
    done: dict[Graph, Graph] = {}

    def marked(part: Graph) -> Graph:
        if part not in done:
            done[part] = Graph(part.inputs, tuple(map(mark, part.nodes)), part.outputs)
        return done[part]

    def mark(node: Node) -> Node:
        notes = tuple((key, x) for key, x in node.notes if key != FUSED)
        if node in found:
            notes = (*notes, (FUSED, found[node]))
        return replace(map_regions(node, marked), notes=notes)

    return marked(graph)


def fused(graph: Graph) -> dict[Node, str]:
    """The kernel of each node that has been marked, in regions too."""
    found: dict[Node, str] = {}
    for node in graph.nodes:
        found.update((node, name) for key, name in node.notes if key == FUSED)
        for region in regions(node):
            found |= fused(region)
    return found


def kernels(graph: Graph) -> list[str]:
    """A line for each kernel, with the operations in it."""
    inside: dict[str, list[str]] = {}
    for node, name in fused(graph).items():
        inside.setdefault(name, []).append(node.op.name)
    order = sorted(inside, key=lambda name: list(map(int, re.findall(r"\d+", name))))
    return [f"{name}: {', '.join(inside[name])}" for name in order]
