"""The CPU backend: graph -> plan -> LLVM IR -> object code -> executable."""

from __future__ import annotations

import functools
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
    pool,
    routines,
    target,
)
from arraylib.backends.cpu.anatomy import Observer, dissect
from arraylib.backends.cpu.census import census as count
from arraylib.backends.cpu.costs import costs as step_costs
from arraylib.backends.cpu.front import full, link, load, name, stored
from arraylib.backends.cpu.jobs import Job, Jobs
from arraylib.backends.cpu.making import Making, Piece, addresses
from arraylib.backends.cpu.matrices import gemm_dtype, packs, panel_columns
from arraylib.backends.cpu.native import NATIVE, supports
from arraylib.backends.cpu.panels import in_panels
from arraylib.backends.cpu.peak import memory as memory_report, peak_bytes
from arraylib.backends.cpu.plan_text import plan_text
from arraylib.backends.cpu.pool_state import PARFOR
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

_SUPPORTS = Supports(
    supports,
    lambda operand, result: gemm_dtype(operand, result) in gemm.DTYPES,
    lambda dtype: dt.short_name(dtype) in convolution.DTYPES,
    lambda dtype: dt.short_name(dtype) in attention.DTYPES,
    routines.supports, panel=panel_columns, packs=packs)


def compile(graph: Graph, donated: frozenset[int], key: Key | None) -> Executable:
    """The executable of an optimised graph, stored on disk under `key` if there is one."""
    target.check_runs()
    start = time.perf_counter()
    plan = lowered(graph)
    middle = time.perf_counter()
    with Jobs() as jobs:
        parts = list[Job[bytes]]()
        program = write_program(
            plan, donated, ready=lambda text: parts.append(_generate(jobs, text)))
        end = time.perf_counter()
        built = _build(program, parts, jobs, key)
    return built.with_facts({"lower": middle - start, "write": end - middle})


def lowered(graph: Graph, observe: Observer | None = None) -> Plan:
    """The plan of an optimised graph for this machine."""
    return lower(everywhere(in_panels)(graph),
                 replace(_SUPPORTS, observe=observe) if observe else _SUPPORTS)


def build(program: Program, key: Key | None = None) -> Executable:
    """Generate a program's code, store it, and load it into this process."""
    with Jobs() as jobs:
        return _build(program, [_generate(jobs, program.text)], jobs, key)


def _generate(jobs: Jobs, text: str) -> Job[bytes]:
    """Code for a part of a program, made by whichever thread is free."""
    return jobs.add(functools.partial(target.compile_object, text, counters=False))


def _build(program: Program, parts: Sequence[Job[bytes]], jobs: Jobs,
           key: Key | None) -> Executable:
    """A program whose parts are being compiled; meanwhile, what it needs of libraries."""
    start = time.perf_counter()
    pieces = _pieces(program)
    if (pieces or PARFOR in program.symbols) and not pool.is_linked():
        jobs.add(pool.symbols)  # what linking asks for first
    making = Making(pieces, jobs)
    jobs.finish()
    generated = time.perf_counter()
    images = target.all_loadable([part.result for part in parts])
    executable = link(program, images, making.link())
    keys = {piece.name: libraries.key_of(piece.name) for piece in pieces}
    if key and (content := to_bytes(program, images, full(key).parts, keys)):
        objects.store(full(key).name, content)
    return executable.with_facts(
        {"codegen": generated - start, "link": time.perf_counter() - generated})


def library_addresses(program: Program) -> dict[str, int]:
    """Where the functions of libraries are that a program calls."""
    return addresses(_pieces(program))


def _pieces(program: Program) -> list[Piece]:
    """What a program needs of libraries."""
    return [library.piece(symbol) for library in (gemm, convolution, attention, routines)
            for symbol in filter(library.is_symbol, program.symbols)]


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


def peaks(donated: frozenset[int]) -> Callable[[Graph], int]:
    """What memory the program of an optimised graph needs; kernels are written once for all."""
    supports = replace(_SUPPORTS, kernels={})
    return lambda graph: peak_bytes(lower(everywhere(in_panels)(graph), supports), donated)


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
