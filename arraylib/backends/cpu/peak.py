"""What memory a program needs at its peak: read off its plan and the places of its buffers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from arraylib.backends.cpu.anatomy import Anatomy
from arraylib.backends.cpu.arena import (
    Layout,
    find_lifetimes,
    inner_plans,
    layout,
    same_size_first,
)
from arraylib.backends.lower.groups import kind
from arraylib.backends.lower.order import reads, writes
from arraylib.backends.lower.plan import Buffer, LoopStep, Plan, Step
from arraylib.hlo.ir import Node
from arraylib.record import record
from arraylib.reports.memory import Held, MemoryReport
from arraylib.reports.table import place


@record
class _Peak:
    """The most memory in use in a plan's arena: how much, in which step, and what is there."""

    nbytes: int = 0
    step: Step | None = None
    held: tuple[Held, ...] = ()


def memory(anatomy: Anatomy, donated: frozenset[int]) -> MemoryReport:
    """The memory report of a program whose results may take over the inputs in `donated`."""
    plan = anatomy.plan
    places = layout(plan, same_size_first(plan.inputs, donated, plan.outputs), fresh=True)
    peak = _Finder(anatomy, plan, places).peak()
    inputs = tuple(dict.fromkeys(plan.inputs))
    outputs = {b: i for i, b in reversed(list(enumerate(plan.outputs))) if i not in places.given}
    constants = _constants(plan)
    held = [*_arguments(plan, places, donated), *_outputs(anatomy, outputs), *peak.held, *(
        Held(b.type.nbytes, "constant", "constant", b.type, None, "part of the program")
        for b in constants)]
    node = _last_node(anatomy, peak.step)
    return MemoryReport(
        _total(inputs), _total(outputs), _total(constants), places.nbytes,
        node.op.name if node else "", node.where if node else None,
        tuple(sorted((each for each in held if each.nbytes), key=lambda each: -each.nbytes)))


def peak_bytes(plan: Plan, donated: frozenset[int]) -> int:
    """The peak of the report of a plan's memory."""
    places = layout(plan, same_size_first(plan.inputs, donated, plan.outputs), fresh=True)
    fresh = {b for i, b in reversed(list(enumerate(plan.outputs))) if i not in places.given}
    return _total(dict.fromkeys(plan.inputs)) + _total(fresh) + _total(_constants(plan)) \
        + places.nbytes


def _total(buffers: Iterable[Buffer]) -> int:
    return sum(buffer.type.nbytes for buffer in buffers)


def _arguments(plan: Plan, places: Layout, donated: frozenset[int]) -> Iterator[Held]:
    taken = {source: target for target, source in places.given.items()}
    for number, buffer in enumerate(plan.inputs):
        why = f"donated: result {taken[number]} is made in it" if number in taken else \
            "donated, but no result is made in it" if number in donated else "the caller holds it"
        yield Held(buffer.type.nbytes, "argument", f"argument {number}", buffer.type, None, why,
                   number)


def _outputs(anatomy: Anatomy, outputs: dict[Buffer, int]) -> Iterator[Held]:
    makers = {buffer: step for step in anatomy.plan.steps
              for buffer in (view.buffer for view in writes(step))}
    for buffer, number in outputs.items():
        node = _maker(anatomy, buffer, makers.get(buffer))
        made = f"{node.op.name}: returned" if node else "returned"
        yield Held(buffer.type.nbytes, "output", f"result {number}", buffer.type,
                   node.where if node else None, made, number)


def _constants(plan: Plan) -> list[Buffer]:
    """The arrays that are part of the program, each once."""
    found: dict[Buffer, None] = {}
    for step in plan.steps:
        found.update((view.buffer, None) for view in reads(step)
                     if view.buffer.constant is not None and view.buffer.type.size > 1)
        for inner in inner_plans(step):
            found.update(dict.fromkeys(_constants(inner)))
    return list(found)


def _last_node(anatomy: Anatomy, step: Step | None) -> Node | None:
    return _last(anatomy.nodes_of(step) if step else [])


def _last(nodes: list[Node]) -> Node | None:
    return nodes[-1] if nodes else None


def _maker(anatomy: Anatomy, buffer: Buffer, step: Step | None) -> Node | None:
    """The node whose value a buffer holds: if none is known, the last such of the step."""
    if buffer in anatomy.makers:
        return anatomy.makers[buffer]
    nodes = anatomy.nodes_of(step) if step else []
    fitting = [n for n in nodes if any(v.type.nbytes == buffer.type.nbytes for v in n.outputs)]
    return _last(fitting or nodes)


class _Finder:
    """The walk over one plan that finds the step in which most of the arena is in use."""

    def __init__(self, anatomy: Anatomy, plan: Plan, places: Layout) -> None:
        self.anatomy, self.plan, self.places = anatomy, plan, places
        self.lifetimes = find_lifetimes(plan)

    def peak(self) -> _Peak:
        """The peak, with what is in the arena then."""
        born: dict[int, list[Buffer]] = {}
        for buffer, number in self.lifetimes.defined.items():
            if buffer in self.places.offsets:
                born.setdefault(number, []).append(buffer)
        alive: dict[int, Buffer] = {}  # by offset: what replaces its operand is at the same
        best, kept, top = 0, list[Buffer](), -1
        for number, step in enumerate(self.plan.steps):
            alive.update((self.places.offsets[b], b) for b in born.get(number, ()))
            nbytes = _total(alive.values()) + _total(_scratch(step)) + self._room_bytes(step)
            if nbytes > best or top < 0:
                best, kept, top = nbytes, list(alive.values()), number
            alive = {at: b for at, b in alive.items() if self.lifetimes.used[b] > number}
        if top < 0:
            return _Peak()
        step = self.plan.steps[top]
        return _Peak(best, step, (*map(self._temporary, kept), *self._own(step)))

    def _room_bytes(self, step: Step) -> int:
        return self.places.rooms[step][1].nbytes if step in self.places.rooms else 0

    def _temporary(self, buffer: Buffer) -> Held:
        """A value that is waited for."""
        steps, last = self.plan.steps, self.lifetimes.used[buffer]
        node = _maker(self.anatomy, buffer, steps[self.lifetimes.defined[buffer]])
        user = self._reader(steps[last], buffer)
        if last == self.lifetimes.defined[buffer]:
            why = "written, but read by nobody"
        else:
            why = f"needed until {user.op.name} at {place(user.where)}" if user else "still needed"
        return Held(buffer.type.nbytes, "temporary", node.op.name if node else "value",
                    buffer.type, node.where if node else None, why)

    def _reader(self, step: Step, buffer: Buffer) -> Node | None:
        """The last node of a step that reads a buffer."""
        nodes = self.anatomy.nodes_of(step)
        found = [node for node in nodes
                 if any(self.anatomy.buffers.get(v) is buffer for v in node.inputs)]
        return _last(found or nodes)

    def _own(self, step: Step) -> Iterator[Held]:
        """What only this step uses: of a loop the buffers of its body at their peak."""
        node = _last_node(self.anatomy, step)
        name, where = (node.op.name, node.where) if node else (kind(step), None)
        for buffer in _scratch(step):
            yield Held(buffer.type.nbytes, "temporary", "scratch", buffer.type, where,
                       f"only while {name} runs")
        if not self._room_bytes(step):
            return
        room = self.places.rooms[step][1]
        inner = [_Finder(self.anatomy, plan, inside).peak()
                 for plan, (_, inside) in zip(inner_plans(step), room.plans)]
        most = max(inner, key=lambda peak: peak.nbytes, default=_Peak())
        yield from most.held
        rest = room.nbytes - sum(each.nbytes for each in most.held)
        if rest > 0:
            what = "next turn's carry, and gaps" if inner else f"scratch of the {kind(step)}"
            yield Held(rest, "temporary", what, None, where, f"only while {name} runs")


def _scratch(step: Step) -> tuple[Buffer, ...]:
    return step.scratch if isinstance(step, LoopStep) else ()
