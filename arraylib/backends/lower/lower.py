"""Graph -> Plan, in three strides.

1. Each node in order: values become views, items or steps (`rules.py`); items join groups
   (`fuse.py`).
2. The groups are put in order, and what each has to write is what others read.
3. Products take over operands that are better computed there (`prologue.py`), and each group
   becomes a kernel (`loops.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from arraylib.backends.lower import gemm
from arraylib.backends.lower.again import Kernels
from arraylib.backends.lower.brief import in_brief
from arraylib.backends.lower.fuse import Unit
from arraylib.backends.lower.items import Supports
from arraylib.backends.lower.order import hastened, reads, writes
from arraylib.backends.lower.plan import (
    Buffer,
    CaseStep,
    GemmStep,
    Plan,
    ScanStep,
    Step,
    View,
    WhileStep,
    whole,
)
from arraylib.backends.lower.prologue import find_prologues
from arraylib.backends.lower.rules import FOLDS, VIEWS, lower_node
from arraylib.backends.lower.state import Lowering
from arraylib.backends.lower.views import is_identity
from arraylib.backends.lower.waves import in_waves
from arraylib.hlo.ir import Graph, Node, Value, has_effect
from arraylib.hlo.ops import reduction, structured

LENGTHS = 3  # kernels that differ in length only: from so many on they become one


def lower(graph: Graph, supports: Supports, repeated: bool = False) -> Plan:
    """The plan of a graph whose operations the backend supports or leaves to the host.

    A `repeated` one is the body of a loop.
    """
    state = Lowering(supports)
    inputs = tuple(Buffer(v.type) for v in graph.inputs)
    state.views.update(zip(graph.inputs, map(whole, inputs)))
    uses, stored = _uses(graph), _stored(graph)
    for node in graph.nodes:
        if not node.outputs or node.outputs[0] not in state.views:
            _lower(state, node, uses)
        state.fuser.stored.update(state.views[v].buffer for v in node.outputs if v in stored)
    outputs, renamed = _outputs(state, graph, set(inputs))
    steps = [_with_buffers(step, renamed) for step in _steps(state, outputs)]
    if not repeated:
        steps = in_brief(steps)
    results = tuple([renamed.get(b, b) for b in outputs])
    if supports.observe:
        supports.observe(state)
    return Plan(inputs, results, in_waves(hastened(steps, inputs, results), results))


def _uses(graph: Graph) -> dict[Value, list[Node | None]]:
    """Who uses each value; None stands for the caller."""
    found: dict[Value, list[Node | None]] = {}
    for node in graph.nodes:
        for value in node.inputs:
            found.setdefault(value, []).append(node)
    for value in graph.outputs:
        found.setdefault(value, []).append(None)
    return found


def _stored(graph: Graph) -> set[Value]:
    """Values that will be in memory: outputs, and operands of what is no loop."""
    found = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node.op.name in VIEWS:
            if node.outputs[0] in found:
                found.update(node.inputs)
        elif not node.op.elementwise and node.op.name not in FOLDS:
            found.update(node.inputs)
    return found


def _lower(state: Lowering, node: Node, uses: dict[Value, list[Node | None]]) -> None:
    state.effect = has_effect(node)
    control = CONTROL.get(node.op.name)
    if control is not None:
        views: Sequence[View] = control(state, node)
    elif node.op is reduction.dot_general and _written_transposed(state, node, uses):
        return
    else:
        views = lower_node(state, node)
    state.views.update(zip(node.outputs, views, strict=True))


def _written_transposed(state: Lowering, node: Node,
                        uses: dict[Value, list[Node | None]]) -> bool:
    """Let a product whose only use is a transpose write the transposed array itself."""
    (out,) = node.outputs
    (x, y), users = node.inputs, uses.get(out, [])
    if len(users) != 1 or users[0] is None or users[0].op is not structured.transpose:
        return False
    if not state.supports.gemm(x.type.dtype, out.type.dtype) \
            or not x.type.size * y.type.size * out.type.size:
        return False
    state.where = node.where
    order = users[0].attrs["permutation"]
    found = gemm.lower_dot(state, node, order)
    if found is None:
        return False
    state.views[out] = found
    return True


# -- control flow ---------------------------------------------------------------------------------


def _operands(state: Lowering, node: Node) -> tuple[tuple[View, ...], tuple[View, ...]]:
    state.where = node.where
    reads = tuple(state.dense(state.views[v]) for v in node.inputs)
    return reads, tuple(whole(Buffer(v.type)) for v in node.outputs)


def _body(state: Lowering, graph: Graph) -> Plan:
    return lower(graph, state.supports, repeated=True)


def _scan(state: Lowering, node: Node) -> Sequence[View]:
    reads, writes = _operands(state, node)
    attrs = node.attrs
    step = ScanStep(_body(state, attrs["body"]), attrs["consts"], attrs["carry"],
                    attrs["length"], attrs["reverse"], reads, writes, (node.where,))
    state.step(step, reads, writes)
    return writes


def _while(state: Lowering, node: Node) -> Sequence[View]:
    reads, writes = _operands(state, node)
    attrs = node.attrs
    step = WhileStep(_body(state, attrs["cond"]), _body(state, attrs["body"]),
                     attrs["cond_consts"], attrs["body_consts"], reads, writes, (node.where,))
    state.step(step, reads, writes)
    return writes


def _case(state: Lowering, node: Node) -> Sequence[View]:
    reads, writes = _operands(state, node)
    branches = tuple(_body(state, branch) for branch in node.attrs["branches"])
    step = CaseStep(branches, reads, writes, (node.where,))
    state.step(step, reads, writes)
    return writes


CONTROL = {"scan": _scan, "while": _while, "case": _case}

# -- outputs and steps ----------------------------------------------------------------------------


def _outputs(state: Lowering, graph: Graph,
             taken: set[Buffer]) -> tuple[list[Buffer], dict[Buffer, Buffer]]:
    """A buffer for each output, with copies where the value has none of its own.

    Also, for those that hold an output in another shape, the buffer of the output's type to put in
    their place.
    """
    found: dict[Value, Buffer] = {}
    renamed: dict[Buffer, Buffer] = {}
    for value in graph.outputs:
        if value in found:
            continue
        view = state.in_memory(state.views[value])
        buffer = view.buffer
        if not is_identity(view) or buffer in taken or buffer.constant is not None:
            target = whole(Buffer(value.type))
            state.into(target, "copy", [view])
            buffer = target.buffer
        if value.type.size == 0:
            state.write_nothing(whole(buffer))
        if buffer.type != value.type:
            renamed[buffer] = Buffer(value.type)
        taken.add(buffer)
        found[value] = buffer
    return [found[value] for value in graph.outputs], renamed


def _steps(state: Lowering, outputs: Sequence[Buffer]) -> list[Step]:
    """The units in order, those that nothing needs left out."""
    needed = set(outputs)
    steps: list[Step] = []
    units = state.fuser.ordered()
    find_prologues(state, units, outputs)
    alike, kernels = _alike(units), Kernels(
        units, state.counting, state.supports.kernels)
    for unit in reversed(units):
        step = unit.step or _group_step(kernels, unit, needed, unit in alike)
        if step is None:
            continue
        steps.append(step)
        needed.update(view.buffer for view in reads(step))
    return steps[::-1]


def _with_buffers(step: Step, renamed: dict[Buffer, Buffer]) -> Step:
    """The step with some buffers in the place of others."""
    def of(view: View) -> View:
        found = renamed.get(view.buffer)
        return view if found is None else replace(view, buffer=found)

    if not any(view.buffer in renamed for view in (*reads(step), *writes(step))):
        return step
    if isinstance(step, GemmStep):
        first, second = (made and replace(made, reads=tuple(map(of, made.reads)))
                         for made in step.prologues)
        return replace(step, a=of(step.a), b=of(step.b), c=of(step.c), prologues=(first, second))
    return replace(step, reads=tuple(map(of, step.reads)), writes=tuple(map(of, step.writes)))


def _alike(units: Sequence[Unit]) -> set[Unit]:
    """Groups that do the same for arrays of several lengths, as an optimizer's updates do."""
    found: dict[Any, list[Unit]] = {}
    for unit in units:
        if not unit.step and not unit.spans:
            kind = tuple([(item.op, item.dtype, len(item.reads)) for item in unit.items])
            found.setdefault(kind, []).append(unit)
    return {unit for same in found.values() for unit in same
            if len({other.size for other in same}) >= LENGTHS}


def _group_step(kernels: Kernels, unit: Unit, needed: set[Buffer],
                any_length: bool) -> Step | None:
    outputs = {item.buffer for item in unit.items if item.buffer in needed}
    return kernels.step(unit, outputs, any_length) if outputs else None
