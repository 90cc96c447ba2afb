"""A plan with what it was made of: which nodes each step computes, where each value lives.

The graph is lowered again with numbers in the place of source lines, as in `lower/groups.py`: the
plan is the one that the program was written from, and its steps tell their nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from arraylib.backends.lower.groups import NUMBERED, Numbered, inner_plans, kind
from arraylib.backends.lower.order import prologues
from arraylib.backends.lower.plan import Buffer, LoopStep, Plan, ScanStep, Step, WaveStep
from arraylib.backends.lower.state import Lowering
from arraylib.errors import Source
from arraylib.hlo.ir import Graph, Node, Value
from arraylib.record import field, record

Observer = Callable[[Lowering], None]


@record(frozen=False, eq=False)
class Anatomy:
    """A graph's plan, and the way back from it."""

    graph: Graph
    plan: Plan
    nodes: list[Node]  # of the graph and its regions, by number
    buffers: dict[Value, Buffer] = field(default_factory=dict)
    makers: dict[Buffer, Node] = field(default_factory=dict)  # the node whose value it is first
    lowerings: list[Lowering] = field(default_factory=list)  # inner ones first

    def nodes_of(self, step: Step) -> list[Node]:
        """The nodes that a step computes, in order; of a copy for another step, that one's."""
        return self._nodes([*step.where, *(w for made in prologues(step) for w in made.where)])

    def _nodes(self, sources: Iterable[Source]) -> list[Node]:
        numbers = sorted({where.line for where in sources if where.file == NUMBERED})
        return [self.nodes[number] for number in numbers]

    def computed(self, step: Step) -> list[Node]:
        """The nodes that a step computes itself."""
        nodes = self.nodes_of(step)
        return [n for n in nodes if n not in self.alone] if isinstance(step, LoopStep) else nodes

    def ops(self, step: Step) -> tuple[str, ...]:
        """What a step does, in the names of operations."""
        return tuple(node.op.name for node in self.computed(step)) or ("copy",)

    def lines(self, step: Step) -> tuple[Source, ...]:
        """The user's lines that a step comes from."""
        return tuple(dict.fromkeys(node.where for node in self.nodes_of(step)))

    @cached_property
    def alone(self) -> set[Node]:
        """The nodes that are steps of their own: products, loops, what the host computes."""
        return {node for step in _all_steps(self.plan) if not isinstance(step, LoopStep)
                for node in self._nodes(step.where)}


@record
class Placed:
    """A step with its name, and how often it runs in a call: a lower bound if not `exact`."""

    name: str
    step: Step
    runs: int = 1
    exact: bool = True
    top: int = 0  # number of the step of the whole plan that it stands in


def dissect(graph: Graph, lowered: Callable[[Graph, Observer], Plan]) -> Anatomy:
    """The anatomy of an optimised graph; `lowered` is the backend's way from a graph to a plan."""
    numbered = Numbered()
    seen: list[Lowering] = []
    plan = lowered(numbered.graph(graph), seen.append)
    anatomy = Anatomy(graph, plan, numbered.nodes, lowerings=seen)
    for state in seen:
        for value, view in state.views.items():
            anatomy.buffers[value] = view.buffer
    for node in numbered.nodes:
        for value in node.outputs:
            if value in anatomy.buffers:
                anatomy.makers.setdefault(anatomy.buffers[value], node)
    return anatomy


def leaves(plan: Plan, prefix: str = "", runs: int = 1, exact: bool = True,
           top: int | None = None) -> Iterator[Placed]:
    """All steps that compute; those inside loops and branches under the name of these."""
    for number, step in enumerate(plan.steps):
        name = f"{prefix}{kind(step)} {number}"
        whole = number if top is None else top
        inner = inner_plans(step)
        if isinstance(step, WaveStep):
            for i, part_of in enumerate(step.parts):
                yield Placed(f"{prefix}kernel {number}.{i}", part_of, runs, exact, whole)
        elif not inner:
            yield Placed(name, step, runs, exact, whole)
        for i, each in enumerate(inner):
            part = f".{i}" if len(inner) > 1 else ""
            times = runs * step.length if isinstance(step, ScanStep) else runs
            yield from leaves(each, f"{name}{part} / ", times,
                              exact and isinstance(step, ScanStep), whole)


def _all_steps(plan: Plan) -> Iterator[Step]:
    for step in plan.steps:
        yield from step.parts if isinstance(step, WaveStep) else (step,)
        for inner in inner_plans(step):
            yield from _all_steps(inner)
