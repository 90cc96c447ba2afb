"""How many operations, steps and kernels a program has, and which lines they come from."""

from __future__ import annotations

from arraylib.backends.cpu.anatomy import Anatomy, leaves
from arraylib.backends.lower.plan import GemmStep, HostStep, LoopStep
from arraylib.errors import Source
from arraylib.reports.compilation import Census


def census(anatomy: Anatomy) -> Census:
    """The counts for the whole program; what stands in a loop counts once."""
    steps = [placed.step for placed in leaves(anatomy.plan)]
    kernels = [step for step in steps if isinstance(step, LoopStep)]
    lines: dict[Source, tuple[int, int]] = {}
    for node in anatomy.nodes:
        ops, count = lines.get(node.where, (0, 0))
        lines[node.where] = ops + 1, count
    for step in kernels:
        for where in anatomy.lines(step):
            ops, count = lines[where]
            lines[where] = ops, count + 1
    return Census(len(anatomy.nodes), len(kernels), len({step.kernel.key() for step in kernels}),
                  sum(isinstance(step, GemmStep) for step in steps),
                  sum(isinstance(step, HostStep) for step in steps), lines)
