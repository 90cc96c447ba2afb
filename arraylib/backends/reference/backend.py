"""The interpreter behind the interface that compiled programs have."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib.backends.cpu.block import view
from arraylib.backends.interface import Executable, Key, place_results
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Graph, Node
from arraylib.hlo.opdef import OpDef
from arraylib.reports.compilation import Census
from arraylib.reports.cost import CostReport
from arraylib.reports.memory import MemoryReport
from arraylib.reports.profile import Profile, Timed

name = "reference"


def native(op: OpDef, node: Node | None = None) -> bool:
    """Every operation has a NumPy meaning."""
    return True


def load(key: Key) -> None:
    """Nothing is stored: there is nothing to compile."""


def full(key: Key) -> Key:
    """Nothing else matters."""
    return key


def stored(program: str) -> list[Key]:
    """Nothing is."""
    return []


def census(graph: Graph) -> Census:
    """There are no kernels."""
    return Census(len(graph.nodes))


def texts(graph: Graph, donated: frozenset[int]) -> dict[str, Callable[[], str]]:
    """There are no stages."""
    return {}


def costs(graph: Graph) -> CostReport:
    """The costs of operations; what the machine could do is not known here."""
    raise _compiles_nothing("cost")


def memory(graph: Graph, donated: frozenset[int]) -> MemoryReport:
    """Nothing is planned before it runs."""
    raise _compiles_nothing("memory")


def peaks(donated: frozenset[int]) -> Callable[[Graph], int]:
    """Nothing is planned before it runs."""
    raise _compiles_nothing("memory")


def why(graph: Graph, one: str | int, other: str | int) -> str:
    """There are no kernels to be in."""
    raise _compiles_nothing("why")


def _compiles_nothing(what: str) -> Exception:
    return mistake(ArgumentError, what, "the reference backend interprets, it has no program",
                   hint='arraylib.config.backend = "cpu"')


def profile(graph: Graph, arrays: Sequence[Any], runs: int = 1) -> Profile:
    """The seconds of one run: there are no steps to tell apart."""
    start = time.perf_counter()
    interpret(graph, arrays)
    spent = time.perf_counter() - start
    ops = tuple(node.op.name for node in graph.nodes)
    return Profile((Timed("interpreter", ops, (), "", spent, 0.0, spent),), runs)


def compile(graph: Graph, donated: frozenset[int], key: Key | None) -> Executable:
    """An executable that interprets the graph; donated memory is not used again."""
    results, blocks = place_results(graph.output_types, {})
    count = len(graph.inputs)
    words = struct.Struct(f"={count + len(blocks) + 1}Q")

    def entry(packed: bytes) -> None:
        addresses = words.unpack(packed)
        inputs = [view(a, t, None) for a, t in zip(addresses, graph.input_types)]
        for value, result in zip(interpret(graph, inputs), results, strict=True):
            address = addresses[count + result.block] + result.offset
            np.copyto(view(address, result.type, None, writable=True), value)

    return Executable(graph.input_types, tuple(results), tuple(blocks), entry)


