"""What the steps of a plan compute, read and write, and the least time that takes here."""

from __future__ import annotations

import math
from collections.abc import Iterator

from arraylib.backends.cpu.anatomy import Anatomy, Placed, leaves
from arraylib.backends.cpu.limits import limits
from arraylib.backends.lower.order import reads, writes
from arraylib.backends.lower.plan import Buffer, ConvolutionStep, GemmStep, Step, View
from arraylib.hlo.cost import Cost, cost
from arraylib.hlo.ir import Node
from arraylib.hlo.ops import indexed
from arraylib.reports.cost import CostReport, Limits, StepCost, roofline


def costs(anatomy: Anatomy) -> CostReport:
    """The cost of each step that computes, those in loops among them."""
    found = limits()
    return CostReport(tuple(_steps(anatomy, found)), found)


def by_step(anatomy: Anatomy) -> list[float]:
    """For each step of the whole plan the least seconds, of all that runs inside it."""
    seconds = [0.0] * len(anatomy.plan.steps)
    for placed, each in zip(leaves(anatomy.plan), _steps(anatomy, limits())):
        seconds[placed.top] += each.roofline
    return seconds


def _steps(anatomy: Anatomy, found: Limits) -> Iterator[StepCost]:
    folded: set[Node] = set()  # of a sum in two stages the first does the work
    for placed in leaves(anatomy.plan):
        nodes = [node for node in anatomy.computed(placed.step) if node not in folded]
        folded.update(node for node in nodes if not node.op.elementwise)
        yield _step_cost(anatomy, placed, _work(placed.step, nodes), found)


def _step_cost(anatomy: Anatomy, placed: Placed, work: Cost, found: Limits) -> StepCost:
    step, runs = placed.step, placed.runs
    read = _moved(reads(step), _gathered(anatomy, step)) * runs
    written = _moved(writes(step), {}) * runs
    flops, transcendentals = work.flops * runs, work.transcendentals * runs
    itemsize = max((view.dtype.itemsize for view in writes(step)), default=4)
    seconds, bound = roofline(found, flops, transcendentals, read, written, itemsize, runs)
    return StepCost(placed.name, anatomy.ops(step), anatomy.lines(step), flops, transcendentals,
                    read, written, runs, work.at_least or not placed.exact, seconds, bound)


def _work(step: Step, nodes: list[Node]) -> Cost:
    """What a step computes in one run."""
    if isinstance(step, GemmStep):
        product = Cost(2 * math.prod(step.c.shape) * step.a.shape[-1])
        return sum((cost(node) for node in nodes if node.op.elementwise), product)
    if isinstance(step, ConvolutionStep):
        return Cost(2 * math.prod(step.writes[0].shape) * math.prod(step.reads[1].shape[1:-1]))
    return sum(map(cost, nodes), Cost())


def _moved(views: tuple[View, ...], most: dict[Buffer, int]) -> int:
    """Bytes of all elements that the views name, each once."""
    found: dict[Buffer, int] = {}
    for view in views:
        elements = math.prod(n for n, stride in zip(view.shape, view.strides) if stride)
        found[view.buffer] = found.get(view.buffer, 0) + elements * view.dtype.itemsize
    return sum(min(n, buffer.type.nbytes, most.get(buffer, n)) for buffer, n in found.items())


def _gathered(anatomy: Anatomy, step: Step) -> dict[Buffer, int]:
    """Of tables that are read by index: what can be read at the most."""
    return {anatomy.buffers[node.inputs[0]]: node.outputs[0].type.nbytes
            for node in anatomy.computed(step)
            if node.op is indexed.gather and node.inputs[0] in anatomy.buffers}
