"""What `jit(f).lower(...)` gives: a traced function, and the program that is compiled of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from arraylib import hlo, tree
from arraylib.array import Array
from arraylib.backends.interface import Texts
from arraylib.compile import (
    Executable,
    cost_graph,
    memory_graph,
    profile_graph,
    text_graph,
    why_graph,
)
from arraylib.config import config
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import Graph, type_of
from arraylib.hlo.pretty import pretty
from arraylib.on_demand import module
from arraylib.record import record
from arraylib.tracing.arguments import Static, donated_leaves, leaf_name
from arraylib.tracing.cells import Ref, resolved
from arraylib.tracing.core import ShapeDtypeStruct
from arraylib.tracing.eager import concrete
from arraylib.tracing.program import TracedGraph
from arraylib.tracing.resources import check_memory

if TYPE_CHECKING:
    from arraylib.reports.captures import CapturesReport
    from arraylib.reports.cost import CostReport
    from arraylib.reports.memory import MemoryReport
    from arraylib.reports.profile import Profile
    from arraylib.reports.recomputation import Recomputation
    from arraylib.tracing.jit import Jitted


@record(eq=False)
class Traced:
    """A function at one signature: its graph, what it captured, what it returns."""

    graph: Graph  # arguments, then captured values
    captured: tuple[Any, ...]
    output: Any  # structure
    weak: tuple[bool, ...] = ()  # which outputs depend on Python numbers alone
    recomputation: Recomputation | None = None  # what it computes twice, to fit a budget
    # Of refs, which are also among what is captured: those whose contents come after the outputs,
    # themselves or the numbers of arguments' leaves; and the leaves that are refs.
    written: tuple[Any, ...] = ()
    passed: tuple[int, ...] = ()


@record(eq=False)
class Entry:
    """What runs for one signature: `run` takes the leaves, `at` the addresses of the leaves."""

    run: Callable[[Sequence[Array]], Any]
    at: Callable[[list[int]], Any] | None  # None where the arrays themselves are needed
    executable: Executable
    captured: tuple[Any, ...] = ()
    output: Any = None  # structure
    donated: tuple[int, ...] = ()
    gone: Any = None  # why those are gone after a call
    native: bool = True  # whether native code may enter the executable with the leaves as they are
    layouts: tuple[Any, ...] = ()  # of the results on a mesh, where arrays are placed


@record
class ArgInfo:
    """The shape and dtype of an argument, and whether it gives its memory away."""

    shape: tuple[int, ...]
    dtype: Any
    donated: bool


@record
class MemoryStats:
    """What memory a call needs, under JAX's names, in bytes; see `Compiled.memory`.

    Results in the memory of donated arguments count as outputs and as aliases. The generated code
    stands for the arrays that are written in it; its instructions are not counted.
    """

    argument_size_in_bytes: int
    output_size_in_bytes: int
    alias_size_in_bytes: int
    temp_size_in_bytes: int
    generated_code_size_in_bytes: int


class Stage:
    """What is known of a function at one signature, compiled or not; most of it by JAX's names."""

    def __init__(self, jitted: Jitted, traced: Traced, structure: Any, static: Static) -> None:
        self._jitted, self.traced = jitted, traced
        self._structure, self._static = structure, static
        self._donated = frozenset(donated_leaves(jitted._given, structure, static))

    @property
    def in_tree(self) -> Any:
        """The structure of (positional arguments, arguments by name), without the static ones."""
        return self._structure

    @property
    def out_tree(self) -> Any:
        """The structure of the results."""
        return self.traced.output

    @property
    def jaxpr(self) -> TracedGraph:
        """The graph, which prints itself, as `make_graph` gives it."""
        return TracedGraph(self.traced.graph, self.traced.captured, self._jitted._given.function)

    @property
    def in_avals(self) -> Any:
        """The arguments' shapes and dtypes, in their containers."""
        return tree.unflatten(self._structure, self._input_types())

    @property
    def args_info(self) -> Any:
        """The same, and which arguments are donated."""
        return tree.unflatten(self._structure, [
            ArgInfo(t.shape, t.dtype, i in self._donated)
            for i, t in enumerate(self._input_types())])

    @property
    def donate_argnums(self) -> tuple[int, ...]:
        """The numbers of the donated arrays among all of the arguments' arrays."""
        return tuple(sorted(self._donated))

    @property
    def out_info(self) -> Any:
        """The results' shapes and dtypes, in their containers."""
        return tree.unflatten(self.traced.output, [
            ShapeDtypeStruct(t.shape, t.dtype, weak)
            for t, weak in zip(self.traced.graph.output_types, self.traced.weak)])

    def cost_analysis(self) -> dict[str, float]:
        """Operations, bytes and least seconds of a call, under XLA's names; see `Compiled.cost`."""
        report = self._costs()
        return {"flops": float(report.flops), "bytes accessed": float(report.bytes),
                "transcendentals": float(sum(step.transcendentals for step in report.steps)),
                "optimal_seconds": report.roofline}

    def captures(self) -> CapturesReport:
        """The arrays that are no arguments: their sizes, and the lines that brought them in.

        Those that the function closes over are hidden arguments, never a part of the code.

            print(jit(f).lower(x).captures())
        """
        reports = module("reports.captures")
        found: CapturesReport = reports.captures(self.traced.graph, self._structure.num_leaves)
        return found

    def _input_types(self) -> list[ShapeDtypeStruct]:
        types = self.traced.graph.input_types[:self._structure.num_leaves]
        return [ShapeDtypeStruct(t.shape, t.dtype) for t in types]

    def _costs(self) -> CostReport:
        return cost_graph(self.traced.graph)


class Lowered(Stage):
    """A traced function that has not been compiled for running yet."""

    @property
    def graph(self) -> Graph:
        """Inputs are the leaves of the arguments, then captured arrays."""
        return self.traced.graph

    def as_text(self, *, debug_info: bool = False) -> str:
        """The program as StableHLO; with `debug_info`, each operation says its line of yours."""
        entry = hlo.Function("main", hlo.legalize(self.graph))
        name = f"jit_{self._jitted._given.function}"
        return hlo.Module((entry,), name).text(locations=debug_info)

    def text(self, stage: str = "fused") -> str:
        """The program at one stage, as `Compiled.text`, for `config.cpu_target`, which may be any.

            with config.using(cpu_target="neon"):
                print(jit(f).lower(x).text("asm"))
        """
        return _stage(text_graph(self.graph, self._donated), stage)

    def lower(self) -> Lowered:
        """Itself, for JAX's `jit(f).trace(x).lower()`."""
        return self

    def pretty(self) -> str:
        """The graph as a short list of definitions, for people to read."""
        return pretty(self.graph)

    __str__ = pretty

    def compile(self) -> Compiled:
        """The program; it takes arguments of exactly these types."""
        traced = self._jitted.within_budget(self.traced, self._structure, self._static)
        entry = self._jitted.make_entry(traced, self._structure, self._static)
        return Compiled(self._jitted, traced, entry, self._structure, self._static)

    def profile(self, *args: Any, **kwargs: Any) -> Profile:
        """The time of each step when the program runs on these arguments: see `Compiled`."""
        return self.compile().profile(*args, **kwargs)


class Compiled(Stage):
    """A program for one signature: it can be called, and looked at."""

    def __init__(self, jitted: Jitted, traced: Traced, entry: Entry, structure: Any,
                 static: Static) -> None:
        super().__init__(jitted, traced, structure, static)
        self._entry = entry
        self._settings = asdict(config)  # those that it was compiled under
        self.executable = entry.executable

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        arrays = self._arrays(args, kwargs)
        self.check_memory()
        return self._jitted.running(self._entry)(arrays)

    def check_memory(self) -> None:
        """OutOfMemoryError, with what `memory` says, if a call cannot fit."""
        if self._settings["backend"] == "cpu":  # the interpreter plans nothing
            check_memory(self._jitted._given.function, self.executable, self.memory)

    def __repr__(self) -> str:
        inputs = ", ".join(map(str, self.executable.input_types))
        outputs = ", ".join(map(str, self.executable.output_types))
        return f"<compiled {self._jitted._given.function}({inputs}) -> ({outputs})>"

    def text(self, stage: str = "fused") -> str:
        """The program at one stage of its making, for people to read.

        "graph" is what was traced, "optimized" what the passes made of it, "fused" which operations
        share a kernel, "plan" the steps and where in memory their results are, "tile" the kernels,
        "llvm" and "asm" the code. Raises ArgumentError for another stage.

            print(jit(f).lower(x).compile().text("asm"))
        """
        with config.using(**self._settings):
            return _stage(self.executable.text, stage)

    def as_text(self, stage: str = "llvm") -> str:
        """The same as `text`, under JAX's name."""
        return self.text(stage)

    def cost(self) -> CostReport:
        """What each step computes and moves, and the least time that takes on this machine.

        What the machine can do is measured the first time, in less than a second, and kept.

            print(jit(f).lower(x).compile().cost())
        """
        return self._costs()

    def memory(self) -> MemoryReport:
        """What memory a call needs at its peak, and what for; nothing runs.

            print(jit(f).lower(x).compile().memory())
        """
        with config.using(**self._settings):
            found = memory_graph(self.traced.graph, self._donated)
        return found.named(self._input_name, self._output_name)

    def recomputation(self) -> Recomputation:
        """What is computed twice to stay within `jit(memory_budget=...)`, and what that costs.

            print(jit(f, memory_budget=2**30).lower(x).compile().recomputation())
        """
        if self.traced.recomputation is not None:
            return self.traced.recomputation
        found: Recomputation = module("tracing.budget").unbounded(
            self.traced.graph, self.memory().peak)
        return found

    def memory_analysis(self) -> MemoryStats:
        """The sizes that `memory` reports, under JAX's names."""
        report = self.memory()
        alias = sum(r.type.nbytes for r in self.executable.results if r.donor is not None)
        return MemoryStats(report.arguments, report.outputs + alias, alias, report.temporaries,
                           report.constants)

    def why(self, one: str | int, other: str | int) -> str:
        """The rule that keeps two operations in different kernels.

        Each is said by its operation's name, its line, or file and line. Of several that fit, those
        are meant that are next to each other. Raises ArgumentError if none fits.

            print(jit(f).lower(x).compile().why("tanh", "train.py:14"))
        """
        with config.using(**self._settings):
            return why_graph(self.traced.graph, one, other)

    def profile(self, *args: Any, **kwargs: Any) -> Profile:
        """The time of each step when the program runs on these arguments, which stay as they are.

            print(jit(f).profile(x))
        """
        arrays = [np.asarray(x) for x in resolved((*self._arrays(args, kwargs),
                                                   *self.traced.captured))]
        with config.using(**self._settings):
            return profile_graph(self.traced.graph, arrays)

    def _costs(self) -> CostReport:
        with config.using(**self._settings):
            return super()._costs()

    def _arrays(self, args: Any, kwargs: Any) -> list[Any]:
        """The leaves of the arguments; ArgumentError if they have other types than compiled for."""
        if self._static:
            args, kwargs = self._with_static(args, kwargs)
        leaves, structure, static = self._jitted._leaves(args, kwargs)
        arrays = [x if x.__class__ is Ref else concrete(x) for x in leaves]
        types = tuple([x.type.type if x.__class__ is Ref else type_of(x) for x in arrays])
        wanted = self.executable.input_types[:len(types)]
        if structure is not self._structure or static != self._static or types != wanted:
            raise mistake(
                ArgumentError, self._jitted._given.function,
                "called with other arguments than it was compiled for",
                operands=[f"compiled for {self._structure} of {wanted}",
                          f"called with {structure} of {types}"],
                hint="call the jitted function, which compiles as needed")
        return arrays

    def _with_static(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The arguments with the static ones, which a call may leave out, as in JAX."""
        positional, named = self._structure.children
        if len(args) != len(positional.children) or set(kwargs) != set(named.metadata):
            return args, kwargs
        whole, words = list(args), dict(kwargs)
        for place, _, value in self._static:
            if isinstance(place, int):
                whole.insert(place, value)
            else:
                words[place] = value
        return tuple(whole), words

    def _input_name(self, number: int) -> str:
        if number >= self._structure.num_leaves:
            return f"captured array {number - self._structure.num_leaves}"
        given = self._jitted._given
        return leaf_name(given, self._structure, self._static, number).rpartition(" of ")[0]

    def _output_name(self, number: int) -> str:
        paths = tree.paths(self.traced.output)
        return f"result{tree.keystr(paths[number])}" if number < len(paths) else "a ref"


def _stage(texts: Texts, stage: str) -> str:
    """One of the texts; ArgumentError if there is none of this name."""
    if stage in texts:
        return texts[stage]
    raise mistake(ArgumentError, "text", f"no stage {stage!r}",
                  hint=f"one of {', '.join(map(repr, texts))}")
