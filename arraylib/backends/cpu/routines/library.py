"""The table of routines, and their compiled code: one object file for each symbol."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from arraylib.backends.cpu import emitter, llvm_types, native, objects, pool, representation, target
from arraylib.backends.cpu.emitter import Module
from arraylib.backends.cpu.routines import cumulative, scatter, sort, top_k
from arraylib.backends.cpu.routines.call import PREFIX, Call
from arraylib.backends.lower.plan import RoutineStep, View
from arraylib.hlo.ir import Type

# By operation: `call` and `define`, as the package describes them.
ROUTINES: dict[str, tuple[Callable[..., Call | None], Callable[..., None]]] = {
    "cumulative": (cumulative.call, cumulative.define),
    "scatter": (scatter.call, scatter.define),
    "sort": (sort.call, sort.define),
    "top_k": (top_k.call, top_k.define),
}


def supports(op: str, attrs: dict[str, Any], operands: Sequence[Type],
             results: Sequence[Type]) -> bool:
    """Whether a routine computes the operation."""
    return op in ROUTINES and ROUTINES[op][0](attrs, operands, results) is not None


def call_of(step: RoutineStep) -> Call:
    """What a step of a plan calls."""
    found = ROUTINES[step.op.name][0](step.attrs, *map(_types, (step.reads, step.writes)))
    assert found is not None, f"no routine for {step.op.name}"
    return found


def _types(views: Sequence[View]) -> list[Type]:
    return [Type(view.dtype, view.shape) for view in views]


def is_symbol(name: str) -> bool:
    """Whether an imported symbol is a routine's."""
    return name.startswith(PREFIX)


def symbols(symbol: str) -> dict[str, int]:
    """The address to import when a program that calls a routine is linked."""
    return {symbol: _address(symbol, target.current())}


@functools.cache
def _address(symbol: str, machine: target.Target) -> int:
    sources = [symbol.encode(), *_sources()]
    image = objects.built(sources, lambda: module(symbol, machine).text())
    return target.link([image], [symbol], pool.symbols())[symbol]


def module(symbol: str, machine: target.Target) -> Module:
    """The code of a routine on a machine."""
    name, *words = symbol.removeprefix(PREFIX).split(".")
    empty = machine.new_module()
    ROUTINES[name][1](empty, symbol, *words)
    return empty


@functools.cache
def _sources() -> tuple[bytes, ...]:
    """The text of all code that writes routines: writing one takes longer than reading this."""
    own = Path(__file__).parent
    shared = [Path(part.__file__ or "") for part in (emitter, llvm_types, native, representation)]
    files = [*sorted(own.glob("*.py")), *shared, *sorted((own.parent / "math").glob("*.py"))]
    return tuple(file.read_bytes() for file in files)
