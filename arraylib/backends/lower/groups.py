"""Which nodes end up in one kernel: the plan read backwards, for people to look at.

Steps know the lines of source that they come from. Here the nodes of a graph are lowered with
numbers in the place of lines, and so each step tells which nodes it computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from arraylib.backends.lower.order import prologues
from arraylib.backends.lower.plan import (
    GemmStep,
    HostStep,
    LoopStep,
    Plan,
    RoutineStep,
    Step,
    WaveStep,
)
from arraylib.errors import Source
from arraylib.hlo.ir import Graph, Node

NUMBERED = "<number>"  # in the place of a file: the line is the number of a node


def groups(graph: Graph, lowered: Callable[[Graph], Plan]) -> dict[Node, str]:
    """The name of the step that computes each node of an optimised graph, and of its regions.

    `lowered` is the backend's way from a graph to a plan. A node that several kernels compute again
    is said to be of the first. Views and constants, which nothing computes, are left out.
    """
    numbered = Numbered()
    plan = lowered(numbered.graph(graph))
    names: dict[int, str] = {}
    kernels: dict[int, str] = {}
    for name, step in _steps(plan, ""):
        # A kernel that only makes an operand dense for another step bears that step's number, too.
        into = kernels if isinstance(step, LoopStep) else names
        made = [(kernels, where) for each in prologues(step) for where in each.where]
        for found, where in [*((into, where) for where in step.where), *made]:
            if where.file == NUMBERED:
                found.setdefault(where.line, name)
    return {numbered.nodes[number]: name for number, name in {**kernels, **names}.items()}


class Numbered:
    """Graphs being copied with a number for the source of each node: its place in `nodes`."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def graph(self, graph: Graph) -> Graph:
        """The copy, whose regions are copies as well."""
        return Graph(graph.inputs, tuple(map(self._node, graph.nodes)), graph.outputs)

    def _node(self, node: Node) -> Node:
        self.nodes.append(node)
        where = Source(NUMBERED, len(self.nodes) - 1, "")
        return replace(node, where=where, attrs={k: self._attr(v) for k, v in node.attrs.items()})

    def _attr(self, value: Any) -> Any:
        if isinstance(value, Graph):
            return self.graph(value)
        if isinstance(value, tuple) and value and isinstance(value[0], Graph):
            return tuple(map(self.graph, value))
        return value


def _steps(plan: Plan, prefix: str) -> Iterator[tuple[str, Step]]:
    """All steps with a name for each: its kind and number, after that of the step it is inside."""
    for number, step in enumerate(plan.steps):
        if isinstance(step, WaveStep):
            yield from ((f"{prefix}kernel {number}.{i}", part) for i, part in enumerate(step.parts))
            continue
        yield f"{prefix}{kind(step)} {number}", step
        inner = inner_plans(step)
        for i, each in enumerate(inner):
            part = f".{i}" if len(inner) > 1 else ""
            yield from _steps(each, f"{prefix}{kind(step)} {number}{part} / ")


def kind(step: Step) -> str:
    """What people call a step: `kernel`, `matrix product`, `scan`."""
    kinds: dict[type, str] = {LoopStep: "kernel", GemmStep: "matrix product",
                              RoutineStep: "routine", HostStep: "host"}
    return kinds.get(type(step)) or type(step).__name__.removesuffix("Step").lower()


def inner_plans(step: Step) -> Sequence[Plan]:
    """The plans inside a step."""
    values = [getattr(step, field.name) for field in fields(step)]
    return [plan for value in values for plan in (value if isinstance(value, tuple) else (value,))
            if isinstance(plan, Plan)]
