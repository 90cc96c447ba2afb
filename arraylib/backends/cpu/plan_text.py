"""A plan as text: its steps, where each buffer lives, and what is computed in place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count

from arraylib.backends.cpu.arena import Layout, Room, inner_plans, layout
from arraylib.backends.lower.order import reads, writes
from arraylib.backends.lower.plan import (
    AttentionStep,
    Buffer,
    GemmStep,
    HostStep,
    LoopStep,
    Plan,
    RoutineStep,
    Step,
    View,
    WaveStep,
)


def plan_text(plan: Plan) -> str:
    """One line per step, plans inside steps indented below them."""
    return "\n".join(_lines(plan, layout(plan, fresh=True), _Names(), ""))


def step_lines(plan: Plan) -> list[str]:
    """The text of each step of a plan, without those inside it."""
    lines = _lines(plan, layout(plan, fresh=True), _Names(), "")
    return [line.strip() for line in lines if line.startswith("  ") and line[2] != " "][:-1]


class _Names:
    """Short names for buffers, in the order in which they are met."""

    def __init__(self) -> None:
        self._numbers = count()
        self._names: dict[Buffer, str] = {}

    def __getitem__(self, buffer: Buffer) -> str:
        if buffer not in self._names:
            letter = "c" if buffer.constant is not None else "b"
            self._names[buffer] = f"{letter}{next(self._numbers)}"
        return self._names[buffer]


def _lines(plan: Plan, places: Layout, names: _Names, indent: str) -> Iterator[str]:
    def show(view: View) -> str:
        buffer = view.buffer
        place = f"@{places.offsets[buffer]}" if buffer in places.offsets else ""
        shape = "" if view.dense else f"{list(view.shape)} strides {list(view.strides)}"
        return f"{names[buffer]}:{buffer.type}{place}{' as ' + shape if shape else ''}"

    inputs = ", ".join(f"{names[b]}:{b.type}" for b in plan.inputs)
    yield f"{indent}plan({inputs}), {places.nbytes} bytes of arena"
    for step in plan.steps:
        yield (f"{indent}  {', '.join(map(show, writes(step)))} = {_verb(step)}"
               f"({', '.join(map(show, reads(step)))}){_origin(step)}")
        _, room = places.rooms.get(step, (0, Room(())))
        for inner, (_, inner_places) in zip(inner_plans(step), room.plans, strict=True):
            yield from _lines(inner, inner_places, names, indent + "    ")
    yield f"{indent}  return {', '.join(names[b] for b in plan.outputs)}"


def _verb(step: Step) -> str:
    if isinstance(step, LoopStep):
        return f"kernel[{step.chunks}]"
    if isinstance(step, WaveStep):
        return f"wave[{', '.join(str(part.chunks) for part in step.parts)}]"
    if isinstance(step, HostStep):
        return f"host {step.node.op.name}"
    if isinstance(step, AttentionStep):
        return step.node.op.name
    if isinstance(step, RoutineStep):
        return f"routine {step.op.name}"
    if isinstance(step, GemmStep):
        made = [name for name, prologue in zip("ab", step.prologues) if prologue]
        return "gemm" + ", added" * step.accumulate + "".join(f", {name} made" for name in made)
    return type(step).__name__.removesuffix("Step").lower()


def _origin(step: Step) -> str:
    lines = [f"{os.path.basename(s.file)}:{s.line}" for s in dict.fromkeys(step.where)]
    return f"  # {', '.join(lines)}" if lines else ""
