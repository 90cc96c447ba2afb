"""Graph -> Executable: check it, optimise it, hand it to the backend; and the compile cache.

There are two caches. In the process, an executable is found by the graph's fingerprint. On disk,
a backend may find what it stored under a key that covers the graph, the settings, the target and
this library's own sources; then neither passes nor code generation run.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from arraylib.backends import BACKENDS
from arraylib.backends.cpu.sources import digest
from arraylib.backends.interface import Backend, Executable, Key, Lookup, Texts
from arraylib.config import config
from arraylib.hlo.fingerprint import Fingerprint, fingerprint
from arraylib.hlo.ir import Graph
from arraylib.hlo.pretty import pretty
from arraylib.on_demand import module
from arraylib.version import VERSION

if TYPE_CHECKING:
    from arraylib.reports.compilation import Census
    from arraylib.reports.cost import CostReport
    from arraylib.reports.memory import MemoryReport
    from arraylib.reports.profile import Profile

__all__ = ["Executable", "backend", "census_graph", "clear_cache", "compile_graph", "cost_graph",
           "last_lookup", "memory_graph", "peaks", "profile_graph", "run_compiled", "text_graph",
           "why_graph"]

_ENTRIES = 4096  # executables kept; the least recently used goes first
_compiled: dict[Any, Executable] = {}
last_lookup: Lookup | None = None  # of the last program that was not in this process


def compile_graph(graph: Graph, donated: frozenset[int] = frozenset()) -> Executable:
    """The program of a graph for the backend that `config` names.

    Its results may take over the memory of the inputs in `donated`.
    """
    mark = fingerprint(graph)
    key = (mark.digest, donated, config.key())
    found = _compiled.pop(key, None) or _compile(graph, donated, mark)
    _compiled[key] = found
    if len(_compiled) > _ENTRIES:
        _compiled.pop(next(iter(_compiled)), None)
    return found


def text_graph(graph: Graph, donated: frozenset[int] = frozenset()) -> Texts:
    """The stages of a graph's program as text; nothing is loaded, so that any target will do."""
    return Texts(_texts(backend(), graph, donated)())


def profile_graph(graph: Graph, arrays: Sequence[Any]) -> Profile:
    """Where the time goes in a graph's program, run on these arrays."""
    chosen = backend()
    return chosen.profile(optimize(graph, chosen.native), arrays)


def cost_graph(graph: Graph) -> CostReport:
    """What each step of a graph's program costs."""
    chosen = backend()
    return chosen.costs(optimize(graph, chosen.native))


def memory_graph(graph: Graph, donated: frozenset[int] = frozenset()) -> MemoryReport:
    """What memory a graph's program needs at its peak."""
    chosen = backend()
    return chosen.memory(optimize(graph, chosen.native), donated)


def peaks(donated: frozenset[int] = frozenset()) -> Callable[[Graph], int]:
    """What `memory_graph` says that programs need at their peak, for graphs like one another."""
    chosen = backend()
    peak = chosen.peaks(donated)
    return lambda graph: peak(optimize(graph, chosen.native))


def run_compiled(graph: Graph, arrays: Sequence[Any]) -> list[Any]:
    """The outputs of a graph compiled by the CPU backend, whatever `config` names."""
    with config.using(backend="cpu"):
        return list(compile_graph(graph).run(arrays))


def clear_cache() -> None:
    """Forget every executable of this process; the disk cache stays."""
    _compiled.clear()


def backend() -> Backend:
    """The backend that `config` names."""
    return cast(Backend, importlib.import_module(BACKENDS[config.backend]))


def why_graph(graph: Graph, one: str | int, other: str | int) -> str:
    """The rule that keeps two operations of a graph in different kernels."""
    chosen = backend()
    return chosen.why(optimize(graph, chosen.native), one, other)


def census_graph(graph: Graph) -> Census:
    """How many operations and kernels a graph's program has."""
    chosen = backend()
    return chosen.census(optimize(graph, chosen.native))


def _compile(graph: Graph, donated: frozenset[int], mark: Fingerprint) -> Executable:
    global last_lookup
    chosen, timings = backend(), dict[str, float]()
    key = _disk_key(mark, donated) if mark.portable else None
    texts = _texts(chosen, graph, donated)
    stored = None
    if key:
        with _timed(timings, "load"):
            stored = chosen.load(key)
    last_lookup = Lookup("disk" if stored else "nowhere", key and chosen.full(key),
                         "" if config.cache else "config.cache is False", _what(graph))
    if stored:
        return stored.with_facts(timings, texts, last_lookup)
    with _timed(timings, "passes"):
        optimized = optimize(graph, chosen.native)
    return chosen.compile(optimized, donated, key).with_facts(timings, texts, last_lookup)


def optimize(graph: Graph, native: Callable[..., bool]) -> Graph:
    """The graph after the passes, which are imported when a program is not on disk."""
    found: Graph = module("hlo.passes.pipeline").optimize(graph, native)
    return found


def _what(graph: Graph) -> str:
    """A program as people recognize it."""
    if not graph.nodes:
        return "an empty program"
    return f"{len(graph.nodes)} operations, the last at {graph.nodes[-1].where}"


def _texts(chosen: Backend, graph: Graph,
           donated: frozenset[int]) -> Callable[[], dict[str, Callable[[], str]]]:
    """The stages of a compilation as text: made again when asked for, rather than kept."""
    def texts() -> dict[str, Callable[[], str]]:
        optimized = optimize(graph, chosen.native)
        return {"graph": lambda: pretty(graph), "optimized": lambda: pretty(optimized),
                **chosen.texts(optimized, donated)}
    return texts


@contextmanager
def _timed(timings: dict[str, float], phase: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[phase] = time.perf_counter() - start


def _disk_key(mark: Fingerprint, donated: frozenset[int]) -> Key:
    settings = {f"config.{name}": repr(value) for name, value in config.key_parts().items()}
    return Key(mark.digest, {"donated": str(sorted(donated)), "library": VERSION,
                             "sources": digest(), **settings})


