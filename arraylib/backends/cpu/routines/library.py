"""The table of routines, and their compiled code: one object file for each symbol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from arraylib.backends.cpu import target
from arraylib.backends.cpu.emitter import Module
from arraylib.backends.cpu.fft import routine as fourier
from arraylib.backends.cpu.making import Piece
from arraylib.backends.cpu.routines import cumulative, scatter, sort, top_k
from arraylib.backends.cpu.routines.call import PREFIX, Call
from arraylib.backends.cpu.routines.linalg import calls as factors
from arraylib.backends.lower.plan import RoutineStep, View
from arraylib.hlo.ir import Type

# By operation: `call` and `define`, as the package describes them.
ROUTINES: dict[str, tuple[Callable[..., Call | None], Callable[..., None]]] = {
    "cholesky": (factors.cholesky_call, factors.define),
    "cumulative": (cumulative.call, cumulative.define),
    "fft": (fourier.call, fourier.define),
    "lapack": (factors.lapack_call, factors.define),
    "scatter": (scatter.call, scatter.define),
    "sort": (sort.call, sort.define),
    "top_k": (top_k.call, top_k.define),
    "triangular_solve": (factors.solve_call, factors.define),
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


def piece(symbol: str) -> Piece:
    """What is made where a program names it."""
    return Piece(symbol, lambda: module(symbol, target.current()).text())


def module(symbol: str, machine: target.Target) -> Module:
    """The code of a routine on a machine."""
    name, *words = symbol.removeprefix(PREFIX).split(".")
    empty = machine.new_module()
    ROUTINES[name][1](empty, symbol, *words)
    return empty
