"""The CPU backend: graph -> plan -> LLVM IR -> object code -> executable."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from arraylib import dtypes as dt
from arraylib.backends.cpu import (
    attention,
    convolution,
    gemm,
    libraries,
    objects,
    routines,
    target,
)
from arraylib.backends.cpu.anatomy import Observer, dissect
from arraylib.backends.cpu.census import census as count
from arraylib.backends.cpu.costs import costs as step_costs
from arraylib.backends.cpu.front import full, link, load, name, stored
from arraylib.backends.cpu.matrices import gemm_dtype, panel_columns
from arraylib.backends.cpu.native import NATIVE, supports
from arraylib.backends.cpu.panels import in_panels
from arraylib.backends.cpu.peak import memory as memory_report
from arraylib.backends.cpu.plan_text import plan_text
from arraylib.backends.cpu.profile import measure
from arraylib.backends.cpu.program import write_program
from arraylib.backends.cpu.record import Program
from arraylib.backends.cpu.routines import ROUTINES
from arraylib.backends.cpu.stage_text import fused_text, tile_text
from arraylib.backends.cpu.stored import to_bytes
from arraylib.backends.cpu.why import why as explained
from arraylib.backends.interface import Executable, Key
from arraylib.backends.lower import CONTROL, LIBRARY, WINDOWS, Supports, lower
from arraylib.backends.lower.plan import Plan
from arraylib.hlo.ir import Graph, Node
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.passes.rewrite import everywhere
from arraylib.reports.compilation import Census
from arraylib.reports.cost import CostReport
from arraylib.reports.memory import MemoryReport
from arraylib.reports.profile import Profile

__all__ = ["full", "load", "name", "stored"]  # beside what is defined here

_LIBRARIES = gemm, convolution, attention, routines

_SUPPORTS = Supports(
    supports,
    lambda operand, result: gemm_dtype(operand, result) in gemm.DTYPES,
    lambda dtype: dt.short_name(dtype) in convolution.DTYPES,
    lambda dtype: dt.short_name(dtype) in attention.DTYPES,
    routines.supports, panel=panel_columns)

def compile(graph: Graph, donated: frozenset[int], key: Key | None) -> Executable:
    """The executable of an optimised graph, stored on disk under `key` if there is one."""
    target.check_runs()
    start = time.perf_counter()
    plan = lowered(graph)
    middle = time.perf_counter()
    program = write_program(plan, donated)
    end = time.perf_counter()
    return build(program, key).with_facts({"lower": middle - start, "write": end - middle})


def lowered(graph: Graph, observe: Observer | None = None) -> Plan:
    """The plan of an optimised graph for this machine."""
    return lower(everywhere(in_panels)(graph),
                 replace(_SUPPORTS, observe=observe) if observe else _SUPPORTS)


def build(program: Program, key: Key | None = None) -> Executable:
    """Generate a program's code, store it, and load it into this process."""
    start = time.perf_counter()
    image = target.loadable(target.compile_object(program.text, counters=False))
    generated = time.perf_counter()
    executable = link(program, image, {})
    if key and (content := to_bytes(program, image, full(key).parts, _pieces(program))):
        objects.store(full(key).name, content)
    return executable.with_facts(
        {"codegen": generated - start, "link": time.perf_counter() - generated})


def library_symbols(symbol: str) -> dict[str, int]:
    """The address of a function of one of the libraries; nothing for other symbols."""
    library = _library_of(symbol)
    return library.symbols(symbol) if library else {}


def _library_of(symbol: str) -> Any:
    return next((x for x in _LIBRARIES if x.is_symbol(symbol)), None)


def _pieces(program: Program) -> dict[str, str]:
    """The keys of the libraries' code that a program calls."""
    return {symbol: libraries.key_of(symbol) for symbol in program.symbols if _library_of(symbol)}


def texts(graph: Graph, donated: frozenset[int]) -> dict[str, Callable[[], str]]:
    """The stages of an optimised graph's compilation, for people to read."""
    def program() -> str:
        return write_program(lowered(graph), donated).text

    def assembly() -> str:
        return target.assembly(program(), counters=False)

    return {"fused": lambda: fused_text(dissect(graph, lowered)),
            "plan": lambda: plan_text(lowered(graph)), "tile": lambda: tile_text(lowered(graph)),
            "llvm": program, "asm": assembly, "assembly": assembly}


def census(graph: Graph) -> Census:
    """How many operations and kernels an optimised graph's program has."""
    return count(dissect(graph, lowered))


def costs(graph: Graph) -> CostReport:
    """What each step of an optimised graph's program costs."""
    return step_costs(dissect(graph, lowered))


def memory(graph: Graph, donated: frozenset[int]) -> MemoryReport:
    """What memory the program of an optimised graph needs at its peak."""
    return memory_report(dissect(graph, lowered), donated)


def why(graph: Graph, one: str | int, other: str | int) -> str:
    """The rule that keeps two operations of an optimised graph in different kernels."""
    return explained(dissect(graph, lowered), one, other)


def profile(graph: Graph, arrays: Sequence[Any], runs: int = 20) -> Profile:
    """Where the time goes in the program of an optimised graph, run on these arrays."""
    program = build(write_program(lowered(graph), timed=True))
    return measure(dissect(graph, lowered), program, arrays, runs)


def native(op: OpDef, node: Node | None = None) -> bool:
    """Whether kernels, routines, libraries, the program's control flow or the host compute the
    operation itself; with a node, whether they compute that use of it."""
    if op.name in WINDOWS and node is not None:
        return WINDOWS[op.name](node)
    return op.expand is None or any(
        op.name in table for table in (NATIVE, ROUTINES, CONTROL, LIBRARY))
