"""Why two operations are not in the same kernel, for people who name them by line or by name."""

from __future__ import annotations

from itertools import product

from arraylib.backends.cpu.anatomy import Anatomy, Placed, leaves
from arraylib.backends.lower.apart import Apart, apart
from arraylib.backends.lower.fuse import Unit
from arraylib.backends.lower.groups import NUMBERED, kind
from arraylib.backends.lower.plan import GemmStep, HostStep, LoopStep
from arraylib.backends.lower.state import Lowering
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import Node
from arraylib.reports.table import lines_text, place

_ALONE: dict[type, str] = {
    GemmStep: "is a matrix product, which the library computes as a step of its own",
    HostStep: "has no kernel: the host computes it, with NumPy, as a step of its own"}


def why(anatomy: Anatomy, one: str | int, other: str | int) -> str:
    """The rule that keeps two operations in different kernels, or where they are together."""
    pairs = list(product(_matching(anatomy, one), _matching(anatomy, other)))
    for (a, placed), (b, also) in pairs:
        if a is not b and placed.step is also.step:
            return f"{_called(a)} and {_called(b)} are together in {placed.name}"
    numbers = {node: number for number, node in enumerate(anatomy.nodes)}
    (a, placed), (b, also) = min(pairs, key=lambda pair: _distance(numbers, pair[0][0], pair[1][0]))
    if a is b:
        return f"{_called(a)} is in {placed.name}"
    head = f"{_called(a)} is in {placed.name}, {_called(b)} in {also.name}"
    return f"{head}\n  {_reason(anatomy, (a, placed), (b, also))}"


def _called(node: Node) -> str:
    return f"{node.op.name} ({place(node.where)})"


def _matching(anatomy: Anatomy, said: str | int) -> list[tuple[Node, Placed]]:
    """The nodes that are called so, by operation, line, or file and line, with their steps."""
    text = str(said)
    found = [(node, placed) for placed in leaves(anatomy.plan)
             for node in anatomy.computed(placed.step)
             if text in (node.op.name, place(node.where), str(node.where.line))]
    if not found and any(text in (node.op.name, place(node.where)) for node in anatomy.nodes):
        raise mistake(ArgumentError, "why", f"{text!r} is in no kernel: it is a constant, or a "
                      "view that costs nothing", hint="name what reads it")
    if not found:
        names = dict.fromkeys(node.op.name for node in anatomy.nodes)
        lines = lines_text([node.where for node in anatomy.nodes])
        raise mistake(ArgumentError, "why", f"no operation of the program is called {text!r}",
                      hint=f"one of {', '.join(names)}, or a line: {lines}")
    return found


def _distance(numbers: dict[Node, int], a: Node, b: Node) -> tuple[bool, int]:
    """Nodes that read one another are nearest, then those that are close in the program."""
    related = bool({*a.outputs} & {*b.inputs} or {*b.outputs} & {*a.inputs})
    return not related, abs(numbers[a] - numbers[b])


def _reason(anatomy: Anatomy, one: tuple[Node, Placed], other: tuple[Node, Placed]) -> str:
    refused = _operand_apart(anatomy, one, other) or _operand_apart(anatomy, other, one)
    if refused:
        return f"{refused.rule}: {refused.text}"
    for node, placed in (one, other):
        if isinstance(placed.step, GemmStep) and node.op.elementwise:
            return f"{_called(node)} is computed in {placed.name}, while that packs its operand"
        if not isinstance(placed.step, LoopStep):
            return f"{_called(node)} {_ALONE.get(type(placed.step), 'is a step of its own')}"
    for node, _ in (one, other):
        names = [p.name for p in leaves(anatomy.plan) if node in anatomy.computed(p.step)]
        if not node.op.elementwise and len(names) > 1:
            return f"stages: {_called(node)} is computed in {' and '.join(names)}, of which the " \
                "first has many chunks for threads, and the last must end before others begin"
    before, after = _unit(anatomy, one[0]), _unit(anatomy, other[0])
    if before is None or after is None or before[0] is not after[0]:
        return "loop: one is inside a loop or branch that the other is not in"
    (state, first), (_, last) = before, after
    if first is last:
        return "its results are written in several kernels: each computes what it needs of them"
    found = apart(state.fuser, first, last)
    return f"{found.rule}: {found.text}{_third(anatomy, found)}"


def _operand_apart(anatomy: Anatomy, one: tuple[Node, Placed],
                   other: tuple[Node, Placed]) -> Apart | None:
    """The rule by which a product does not compute an operand that a kernel computes."""
    (node, placed), (product, also) = one, other
    found = _unit(anatomy, node) if isinstance(placed.step, LoopStep) else None
    if found is None or not isinstance(also.step, GemmStep):
        return None
    state, first = found
    return next((refused for (unit, last), refused in state.apart.items() if unit is first
                 and last.step and product in anatomy.nodes_of(last.step)), None)


def _third(anatomy: Anatomy, found: Apart) -> str:
    """The step between, if there is one."""
    if found.third is None:
        return ""
    step = found.third.step
    sources = step.where if step else tuple(item.where for item in found.third.items)
    nodes = [anatomy.nodes[w.line] for w in sources if w.file == NUMBERED]
    if not nodes:
        return ""
    return f": {kind(step) if step else 'the kernel'} of {_called(nodes[-1])}"


def _unit(anatomy: Anatomy, node: Node) -> tuple[Lowering, Unit] | None:
    """The group of a node's last item, and the lowering it belongs to."""
    number = anatomy.nodes.index(node)
    for state in anatomy.lowerings:
        for unit in reversed(state.fuser.units):
            if unit.merged_into is None and any(
                    item.where.line == number and item.where.file == NUMBERED
                    for item in unit.items):
                return state, unit
    return None
