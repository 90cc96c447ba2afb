"""Programs of many different kernels: those that do little work are to be compiled quickly.

A kernel of a thousand elements takes microseconds to run and ten milliseconds to compile, nearly
all of it in proportion to its instructions. In a program of many such kernels that is all the time
that most users see; so they are marked `brief`, for a backend to write short code for: it may run a
microsecond longer. Kernels in the body of a loop run often, and are left as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from arraylib.backends.lower.plan import LoopStep, Step
from arraylib.tile.ir import Kernel

MANY = 16  # different kernels: fewer are soon compiled
LITTLE = 10_000  # elementary operations, some two microseconds


def in_brief(steps: Sequence[Step]) -> list[Step]:
    """The steps of a program that runs them once, its small kernels brief if there are many."""
    little = {id(step.kernel): step.kernel for step in steps
              if isinstance(step, LoopStep) and step.work <= LITTLE}
    for step in steps:
        if isinstance(step, LoopStep) and step.work > LITTLE:
            little.pop(id(step.kernel), None)  # of any length
    if len(little) < MANY:
        return list(steps)
    brief = {number: replace(kernel, brief=True) for number, kernel in little.items()}
    return [_with(step, brief[id(step.kernel)]) if isinstance(step, LoopStep)
            and id(step.kernel) in brief else step for step in steps]


def _with(step: LoopStep, kernel: Kernel) -> LoopStep:
    return replace(step, kernel=kernel)
