"""What the command line does, one function for each thing that it prints."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from arraylib.errors import UNKNOWN, ArraylibError
from arraylib.hlo.command import arrays, steps
from arraylib.hlo.command.files import read_program, replacing
from arraylib.hlo.command.options import read_options
from arraylib.hlo.command.progress import progress
from arraylib.hlo.cost import table
from arraylib.hlo.evaluation import evaluate
from arraylib.hlo.html import page
from arraylib.hlo.ir import Graph, Node, Type, rebuild, regions
from arraylib.hlo.mlir.parser import parse
from arraylib.hlo.module import Function, Module, text
from arraylib.hlo.passes.adopt import array_types
from arraylib.hlo.passes.bisect import bisect
from arraylib.hlo.pretty import pretty
from arraylib.hlo.verify import verify

_INSTEAD = ("verify", "stats", "html", "run", "bisect")  # of which the program is not printed


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a command line says; the status with which the process is to end.

    Raises SystemExit with status 2 if the line makes no sense.
    """
    options = read_options(arguments)
    try:
        status = _do(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read what we print has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        else:
            print(_message(error), file=sys.stderr)
        return 1


def _message(error: Exception) -> str:
    """What an error has to say to somebody who does not read our source."""
    if isinstance(error, ArraylibError):
        nowhere = f"  at {UNKNOWN}"
        return "\n".join(line for line in str(error).split("\n") if line != nowhere)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return f"{type(error).__name__}: {error}\n  --debug shows where that happened"


def _do(options: argparse.Namespace) -> int:
    module, status = _read(options), 0
    wanted = [name for names in options.passes or () for name in names]
    source = options.run or options.bisect
    operands = arrays.inputs(source, array_types(module.graph)) if source else []
    if source:
        module = steps.for_inputs(module, [Type(x.dtype, x.shape) for x in operands])
    if not options.bisect:
        module = _rewritten(module, wanted, options)
    if options.verify:
        print(f"{options.file}: {_summary(module)}")
    if options.pretty or options.locations or not any(
            getattr(options, name) for name in _INSTEAD):
        sys.stdout.write(shown(module, options.pretty, options.locations))
    if options.stats:
        print("\n\n".join(map(statistics, steps.adopted(module).functions)))
    if options.html:
        _write_page(options.html, module.entry)
    if options.run:
        _run(options, module, operands)
    if options.bisect:
        status = _bisect(options, module, operands, wanted)
    return status


# -- the program -----------------------------------------------------------------------------------


def _read(options: argparse.Namespace) -> Module:
    content, name = read_program(options.file)
    with progress(f"reading {name} ({len(content) / 1e6:.1f} MB)"):
        module = parse(content, name)
        verify(module)
    return module if options.entry is None else steps.only(module, options.entry)


def _rewritten(module: Module, wanted: Sequence[str], options: argparse.Namespace) -> Module:
    """The module after the passes, each checked, and printed if that is wanted."""
    todo = steps.steps(wanted)
    before = shown(module, options.pretty, options.locations) if options.print_after_all else ""
    with progress("passes", len(todo), hidden=options.print_after_all) as step:
        for name, change in todo:
            count, graphs = _count(module), [f.graph for f in module.functions]
            try:
                module = change(module)
                if [f.graph for f in module.functions] != graphs:
                    verify(module)
            except ArraylibError as error:
                error.args = (f"after {name}: {error}",)
                raise
            step()
            if options.print_after_all:
                after = shown(module, options.pretty, options.locations)
                how = (f"changed: {count:,} operations before, {_count(module):,} after"
                       if after != before else "unchanged")
                print(f"// -----// after {name} //----- //\n// {how}\n{after}", file=sys.stderr)
                before = after
    return module


def shown(module: Module, short: bool = False, locations: bool = False) -> str:
    """The program as text: StableHLO, or a short list of definitions for each function."""
    program = pretty(module, locations) if short else text(module, locations=locations)
    lines = [f"// {line}\n" for f in steps.roots(module) for line in steps.kernels(f.graph)]
    return program + "".join(lines)


def _summary(module: Module) -> str:
    functions = len(module.functions)
    return (f"correct, {functions:,} function{'s' * (functions != 1)}, "
            f"{_count(module):,} operations")


def _count(module: Module) -> int:
    """How many operations the text of a module has, with those in regions."""
    seen: set[Graph] = set()

    def inside(graph: Graph) -> int:
        if graph in seen:  # a function that is called again
            return 0
        seen.add(graph)
        return len(graph.nodes) + sum(inside(g) for node in graph.nodes for g in regions(node))
    return sum(inside(f.graph) for f in module.functions)


# -- what is known of it ---------------------------------------------------------------------------


def statistics(function: Function) -> str:
    """A function's signature and the table of its costs."""
    graph = function.graph
    takes, gives = (", ".join(map(str, types)) for types in (graph.input_types, graph.output_types))
    return f"@{function.name}: ({takes}) -> ({gives})\n{table(graph)}"


def _write_page(file: str, function: Function) -> None:
    content = page(function.graph, function.name, steps.fused(function.graph))
    with replacing(file) as stream:
        stream.write(content.encode())
    print(file)


def _bisect(options: argparse.Namespace, module: Module, operands: Sequence[arrays.Array],
            wanted: Sequence[str]) -> int:
    """Print what bisection finds; 1 if that is something."""
    passes = steps.passes(wanted or [steps.ALL])
    with progress("looking for the pass"):
        graph = steps.adopted(module, True).graph
        found = bisect(graph, operands, passes, options.tolerance or 0.0)
    print(found)
    return 1 if found else 0


# -- running ---------------------------------------------------------------------------------------


def _run(options: argparse.Namespace, module: Module, operands: Sequence[arrays.Array]) -> None:
    """Print the results of the entry, or write them to a file."""
    if options.backend == "cpu":
        with progress("compiling and running"):
            results = evaluate(module, *operands, backend="cpu")
    else:
        results = _interpret(steps.adopted(module, True).graph, operands)
    if options.output is None:
        print(arrays.shown(results, module.entry))
        return
    with replacing(options.output) as stream:
        arrays.save(stream, results)
    print(options.output)


def _interpret(graph: Graph, operands: Sequence[arrays.Array]) -> tuple[arrays.Array, ...]:
    """`interpret`, with a bar that shows how many operations are done."""
    with progress("running", len(graph.nodes)) as step:
        def rule(node: Node, xs: list[arrays.Array]) -> tuple[arrays.Array, ...]:
            found = node.op.evaluate(xs, node.attrs)
            step()
            return found
        return tuple(rebuild(graph, operands, rule))
