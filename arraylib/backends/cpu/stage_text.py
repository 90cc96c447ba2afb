"""Stages of a program as text: which operations share a kernel, and the kernels themselves."""

from __future__ import annotations

from collections.abc import Iterator

from arraylib.backends.cpu.anatomy import Anatomy, leaves
from arraylib.backends.cpu.program import repeated
from arraylib.backends.lower.order import prologues
from arraylib.backends.lower.plan import LoopStep, Plan
from arraylib.hlo.pretty import signature
from arraylib.reports.table import lines_text, place
from arraylib.tile.ir import Kernel


def fused_text(anatomy: Anatomy) -> str:
    """The steps in order, each with the operations that it computes and their lines."""
    return "\n".join(_step_lines(anatomy))


def _step_lines(anatomy: Anatomy) -> Iterator[str]:
    turns = {each.start: each for each in repeated(anatomy.plan)}
    for placed in leaves(anatomy.plan):
        found = turns.pop(placed.top, None)
        if found:
            yield f"# {found.turns} turns of {found.period} steps, whose code is written once"
        runs = f", {placed.runs:,} times" if placed.runs > 1 else ""
        yield f"{placed.name}{runs}"
        for node in anatomy.computed(placed.step):
            yield f"  {signature(node)}  # {place(node.where)}"
        if not anatomy.computed(placed.step):
            yield f"  copy  # {lines_text(anatomy.lines(placed.step))}"


def tile_text(plan: Plan) -> str:
    """The distinct kernels of a plan, each with the steps that run it."""
    users: dict[Kernel, list[str]] = {}
    for placed in leaves(plan):
        if isinstance(placed.step, LoopStep):
            users.setdefault(placed.step.kernel, []).append(
                f"{placed.name}, {placed.step.chunks} chunks")
        for made in prologues(placed.step):
            users.setdefault(made.kernel, []).append(
                f"an operand of {placed.name}, as it is packed")
    return "\n".join(f"# {'; '.join(steps)}\n{kernel.text}" for kernel, steps in users.items())
