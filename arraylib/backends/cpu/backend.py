"""The CPU backend: graph -> plan -> LLVM IR -> object code -> executable."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.backends.cpu import (
    attention,
    convolution,
    gemm,
    host,
    interrupt,
    objects,
    pool,
    pool_code,
    routines,
    target,
)
from arraylib.backends.cpu.anatomy import Observer, dissect
from arraylib.backends.cpu.block import address_of
from arraylib.backends.cpu.census import census as count
from arraylib.backends.cpu.costs import costs as step_costs
from arraylib.backends.cpu.matrices import gemm_dtype
from arraylib.backends.cpu.native import NATIVE, supports
from arraylib.backends.cpu.peak import memory as memory_report
from arraylib.backends.cpu.plan_text import plan_text
from arraylib.backends.cpu.profile import measure
from arraylib.backends.cpu.program import ENTRY, Program, write_program
from arraylib.backends.cpu.routines import ROUTINES
from arraylib.backends.cpu.stage_text import fused_text, tile_text
from arraylib.backends.cpu.stored import from_bytes, parts_of, to_bytes
from arraylib.backends.cpu.why import why as explained
from arraylib.backends.interface import Executable, Key
from arraylib.backends.lower import CONTROL, LIBRARY, WINDOWS, Supports, lower
from arraylib.backends.lower.plan import Plan
from arraylib.hlo.ir import Graph, Node
from arraylib.hlo.opdef import OpDef
from arraylib.reports.compilation import Census
from arraylib.reports.cost import CostReport
from arraylib.reports.memory import MemoryReport
from arraylib.reports.profile import Profile

name = "cpu"

# What imported symbols start with, and where their addresses come from.
_LIBRARIES: dict[str, Callable[[], dict[str, int]]] = {
    pool_code.PARFOR: pool.symbols,
    host.SYMBOL: host.symbols,
    interrupt.STOP: interrupt.symbols,
}

_SUPPORTS = Supports(
    supports,
    lambda operand, result: gemm_dtype(operand, result) in gemm.DTYPES,
    lambda dtype: dt.short_name(dtype) in convolution.DTYPES,
    lambda dtype: dt.short_name(dtype) in attention.DTYPES,
    routines.supports)

# Elementary operations below which a call keeps Python's lock: giving it up and taking it back
# costs 40 ns when nobody wants it; kept, others wait a few microseconds at most.
_QUICK = 50_000


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
    return lower(graph, replace(_SUPPORTS, observe=observe) if observe else _SUPPORTS)


def build(program: Program, key: Key | None = None) -> Executable:
    """Generate a program's code, store it, and load it into this process."""
    start = time.perf_counter()
    image = target.compile_object(program.text, counters=False)
    generated = time.perf_counter()
    if key and (content := to_bytes(program, image, full(key).parts)):
        objects.store(full(key).name, content)
    executable = _link(program, image)
    return executable.with_facts(
        {"codegen": generated - start, "link": time.perf_counter() - generated})


def load(key: Key) -> Executable | None:
    """The executable stored on disk under `key`, if any."""
    target.check_runs()
    content = objects.load(full(key).name)
    return _link(*from_bytes(content)) if content else None


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


def full(key: Key) -> Key:
    """The key of a stored program: code depends on the processor, schedules on the threads."""
    return key.also(**target.facts(), threads=str(pool.threads()))


def stored(program: str) -> list[Key]:
    """The keys under which a program's code is on disk."""
    contents = map(objects.load, objects.names(program))
    return [Key(program, parts_of(content)) for content in contents if content]


def _link(program: Program, image: bytes) -> Executable:
    """Load the code into this process and put together what it reads at run time."""
    imports: dict[str, int] = {}
    for symbol, addresses in _LIBRARIES.items():
        if symbol in program.symbols:
            imports |= addresses()
    for library in (gemm, convolution, attention, routines):
        for symbol in filter(library.is_symbol, program.symbols):
            imports |= library.symbols(symbol)
    address = target.link([image], [ENTRY], imports)[ENTRY]
    calls = host.HostCalls(program.host_calls)
    context = np.array([calls.number, *map(address_of, program.constants)], np.uint64)
    quick = program.work <= _QUICK and not program.host_calls
    prototype = ctypes.PYFUNCTYPE if quick else ctypes.CFUNCTYPE
    native: Any = prototype(None, ctypes.c_void_p)(address)
    native.keep = context, program.constants, calls  # as long as somebody can call it
    entry = interrupt.raising(native) if interrupt.STOP in program.symbols else native
    return Executable(program.input_types, program.results, program.blocks,
                      host.guarded(entry) if program.host_calls else entry,
                      address_of(context), 0 if program.host_calls else address, quick,
                      program.arena_bytes)
