"""What `jit(f).lower(...)` gives: a traced function, and the program that is compiled of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arraylib import hlo
from arraylib.array import Array
from arraylib.compile import Executable, profile_graph
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import Graph
from arraylib.hlo.pretty import pretty
from arraylib.tracing.arguments import Static
from arraylib.tracing.eager import concrete

if TYPE_CHECKING:
    from arraylib.tracing.jit import Jitted


@dataclass(frozen=True, eq=False)
class Traced:
    """A function at one signature: its graph, what it captured, what it returns."""

    graph: Graph  # arguments, then captured values
    captured: tuple[Any, ...]
    output: Any  # structure


@dataclass(frozen=True, eq=False)
class Entry:
    """What runs for one signature: `run` takes the leaves, `at` the addresses of the leaves."""

    run: Callable[[Sequence[Array]], Any]
    at: Callable[[list[int]], Any] | None  # None where the arrays themselves are needed
    executable: Executable


class Lowered:
    """A traced function that has not been compiled for running yet."""

    def __init__(self, jitted: Jitted, traced: Traced, donated: tuple[int, ...], structure: Any,
                 static: Static) -> None:
        self._jitted, self.traced, self._donated = jitted, traced, donated
        self._structure, self._static = structure, static

    @property
    def graph(self) -> Graph:
        """Inputs are the leaves of the arguments, then captured arrays."""
        return self.traced.graph

    def as_text(self, *, debug_info: bool = False) -> str:
        """The program as StableHLO; with `debug_info`, each operation says its line of yours."""
        entry = hlo.Function("main", hlo.legalize(self.graph))
        name = f"jit_{self._jitted._given.function}"
        return hlo.Module((entry,), name).text(locations=debug_info)

    def pretty(self) -> str:
        """The graph as a short list of definitions, for people to read."""
        return pretty(self.graph)

    __str__ = pretty

    def compile(self) -> Compiled:
        """The program; it takes arguments of exactly these types."""
        entry = self._jitted.make_entry(self.traced, self._structure, self._static)
        return Compiled(self._jitted, entry, self._structure, self._static)

    def profile(self, *args: Any, **kwargs: Any) -> str:
        """A table of where the time goes when the program runs on these arguments."""
        leaves, _, _ = self._jitted._leaves(args, kwargs)
        arrays = [np.asarray(x) for x in (*leaves, *self.traced.captured)]
        return profile_graph(self.graph, arrays)


class Compiled:
    """A program for one signature."""

    def __init__(self, jitted: Jitted, entry: Entry, structure: Any, static: Static) -> None:
        self._jitted, self._entry = jitted, entry
        self._structure, self._static = structure, static
        self.executable = entry.executable

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, structure, static = self._jitted._leaves(args, kwargs)
        arrays = [concrete(x) for x in leaves]
        types = tuple([x.type for x in arrays])
        wanted = self.executable.input_types[:len(types)]
        if structure is not self._structure or static != self._static or types != wanted:
            given = self._jitted._given
            raise mistake(
                ArgumentError, given.function,
                "called with other arguments than it was compiled for",
                operands=[f"compiled for {self._structure} of {wanted}",
                          f"called with {structure} of {types}"],
                hint="call the jitted function, which compiles as needed")
        return self._entry.run(arrays)

    def as_text(self, stage: str = "llvm") -> str:
        """The program at one stage: see `executable.text`."""
        return self.executable.text[stage]
