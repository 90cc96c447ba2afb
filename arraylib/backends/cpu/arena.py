"""Where the buffers of a plan live: offsets in one arena, reused as values die.

Inputs, outputs and constants have memory of their own; everything else gets a place in the arena
for the steps between its definition and its last use. The walk is in the order of the steps, and
takes the smallest hole that fits. Two cases take over memory instead:

- a step that may write its result over an operand (`LoopStep.in_place`) does so when the operand
  dies there;
- an output may take the memory of an input that the caller gives up (`give`);
- a value over which an output may be written is made in the output's memory from the start
  (`lend`): a gradient, say, where the updated parameter will be.

A control step has a Room: memory of its own for the plans inside it, and for the second copy of
what it carries from turn to turn. The Room of a matrix product or convolution is its descriptor and
the library's scratch memory; a routine's is its scratch memory.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from arraylib.backends.cpu import routines
from arraylib.backends.cpu.attentions import attention_room
from arraylib.backends.cpu.convolutions import convolution_room
from arraylib.backends.cpu.matrices import gemm_room
from arraylib.backends.lower.epilogue import follows
from arraylib.backends.lower.order import reads, writes
from arraylib.backends.lower.plan import (
    AttentionStep,
    Buffer,
    CaseStep,
    ConvolutionStep,
    GemmStep,
    HostStep,
    LoopStep,
    Plan,
    RoutineStep,
    ScanStep,
    Step,
    WaveStep,
    WhileStep,
)
from arraylib.hlo.ir import Type
from arraylib.record import field, record

ALIGNMENT = 64

Roomy: TypeAlias = (ScanStep | WhileStep | CaseStep | GemmStep | ConvolutionStep | AttentionStep
                    | RoutineStep)


@record(eq=False)
class Layout:
    """The places of a plan's buffers, in bytes from the start of its arena."""

    offsets: dict[Buffer, int]
    rooms: dict[Step, tuple[int, Room]]
    given: dict[int, int]  # outputs that take over the memory of an input
    lent: dict[Buffer, Buffer]  # values that live in the memory of an output
    nbytes: int


@record(eq=False)
class Room:
    """What a step needs for itself: its plans' arenas and spare carries, at offsets."""

    plans: tuple[tuple[int, Layout], ...]
    spares: dict[int, int] = field(default_factory=dict)  # carry number -> offset of its other copy
    flag: int = 0  # a loop's condition
    nbytes: int = 0


@record(slots=True)
class Lifetimes:
    """For each buffer, the number of the step that defines it and of the last that uses it."""

    defined: dict[Buffer, int]
    used: dict[Buffer, int]


def layout(plan: Plan, wishes: Iterable[tuple[int, int]] = (), fresh: bool = False) -> Layout:
    """Places for a plan's buffers.

    `wishes` are pairs (input, output), best first: the output may take over the input's memory.
    If outputs are `fresh`, nothing else is in their memory before they are written.
    """
    lifetimes = find_lifetimes(plan)
    given = give(plan, lifetimes, wishes)
    lent = lend(plan, lifetimes, given) if fresh else {}
    walk = _Walk(plan, lifetimes, lent)
    for number, (step, after) in enumerate(zip(plan.steps, (*plan.steps[1:], None))):
        walk.visit(number, step, after is not None and follows(step, after))
    return Layout(walk.offsets, walk.rooms, given, lent, walk.holes.top)


def find_lifetimes(plan: Plan) -> Lifetimes:
    """When buffers are first written and last touched; inputs are defined at -1."""
    defined = dict.fromkeys(plan.inputs, -1)
    used = dict.fromkeys(plan.inputs, -1)
    for number, step in enumerate(plan.steps):
        for view in (*reads(step), *writes(step)):
            used[view.buffer] = number
        for view in writes(step):
            defined.setdefault(view.buffer, number)
    used.update(dict.fromkeys(plan.outputs, len(plan.steps)))
    return Lifetimes(defined, used)


def inner_plans(step: Step) -> tuple[Plan, ...]:
    """The plans inside a control step."""
    if isinstance(step, ScanStep):
        return (step.body,)
    if isinstance(step, WhileStep):
        return (step.cond, step.body)
    return step.branches if isinstance(step, CaseStep) else ()


def give(plan: Plan, lifetimes: Lifetimes, wishes: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Which outputs take over which inputs' memory: `{output: input}`.

    It is safe where the input is dead once the output is being written, or dies in that very step
    and the step may write over it.
    """
    given: dict[int, int] = {}
    taken: set[int] = set()
    listed, first = Counter(plan.inputs), {b: i for i, b in reversed([*enumerate(plan.outputs)])}
    overlays: dict[int, Overlay] = {}
    for source, target in wishes:
        old, new = plan.inputs[source], plan.outputs[target]
        if source in taken or target in given or first[new] != target:
            continue
        if old.type.nbytes != new.type.nbytes or listed[old] > 1:
            continue
        born, dies = lifetimes.defined[new], lifetimes.used[old]
        if dies == born and born not in overlays:
            overlays[born] = Overlay(plan.steps[born])
        if dies < born or (dies == born and old in overlays[born].under(new)):
            given[target] = source
            taken.add(source)
    return given


def lend(plan: Plan, lifetimes: Lifetimes, given: dict[int, int]) -> dict[Buffer, Buffer]:
    """Which values may be made in which outputs' memory: `{value: output}`.

    The last step to use such a value writes the output over it, so their lives do not overlap. In
    turn another value may have been there before: steps are looked at from last to first.
    """
    homes = {b: b for i, b in enumerate(plan.outputs) if i not in given}
    own = {*plan.inputs, *plan.outputs}
    for number in reversed(range(len(plan.steps))):
        overlay = Overlay(plan.steps[number])
        for new in overlay.written:
            if new not in homes or lifetimes.defined[new] != number:
                continue
            for old in overlay.under(new):
                if old.constant is None and old not in own and old not in homes \
                        and old.type.nbytes == new.type.nbytes and lifetimes.used[old] == number:
                    homes[old] = homes[new]
                    break
    return {old: home for old, home in homes.items() if old is not home}


class Overlay:
    """Which of a step's results may be written in the memory of which operands."""

    def __init__(self, step: Step) -> None:
        self.written: dict[Buffer, list[int]] = {}
        self._read: dict[Buffer, list[int]] = {}
        for i, view in enumerate(writes(step)):
            self.written.setdefault(view.buffer, []).append(i)
        for j, view in enumerate(reads(step)):
            self._read.setdefault(view.buffer, []).append(j)
        self._buffers = [view.buffer for view in reads(step)]
        self._pairs: dict[int, list[int]] = {}
        for i, j in in_place(step):
            self._pairs.setdefault(i, []).append(j)

    def under(self, new: Buffer) -> list[Buffer]:
        """The operands that `new` may be written over, in order."""
        places = self.written[new]
        if len(places) != 1:
            return []
        allowed = set(self._pairs.get(places[0], ()))
        found = dict.fromkeys(self._buffers[j] for j in sorted(allowed))
        return [old for old in found if allowed.issuperset(self._read[old])]


def in_place(step: Step) -> frozenset[tuple[int, int]]:
    """Pairs (write, read) that may share memory."""
    if isinstance(step, (LoopStep, WaveStep)):
        return step.in_place
    if isinstance(step, RoutineStep):
        return frozenset(routines.call_of(step).in_place)
    if isinstance(step, ScanStep):
        return frozenset((k, step.consts + k) for k in carried_in_place(step))
    if isinstance(step, WhileStep):
        first = step.cond_consts + step.body_consts
        return frozenset((k, first + k) for k in carried_in_place(step))
    return frozenset()


def carried_in_place(step: ScanStep | WhileStep) -> frozenset[int]:
    """The carries whose next value the body may write over the present one."""
    return frozenset(give(step.body, find_lifetimes(step.body), _carries(step)))


def _carries(step: ScanStep | WhileStep) -> list[tuple[int, int]]:
    """The number of each carry among the body's inputs and among its outputs."""
    if isinstance(step, ScanStep):
        return [(step.consts + k, k) for k in range(step.carry)]
    return [(step.body_consts + k, k) for k in range(len(step.writes))]


class _Walk:
    """The state of the walk over a plan's steps: who is where, and the holes in between."""

    def __init__(self, plan: Plan, lifetimes: Lifetimes, lent: dict[Buffer, Buffer]) -> None:
        self.lifetimes = lifetimes
        self.own = {*plan.inputs, *plan.outputs, *lent}
        self.offsets: dict[Buffer, int] = {}
        self.rooms: dict[Step, tuple[int, Room]] = {}
        self.holes = _Holes()
        self._held: list[tuple[int, int]] = []
        self._dying: dict[int, list[Buffer]] = {}
        for buffer, last in lifetimes.used.items():
            self._dying.setdefault(last, []).append(buffer)

    def visit(self, number: int, step: Step, is_followed: bool = False) -> None:
        """Place what the step defines and needs, then free what dies in it.

        If it is followed by a step that runs at the same time, that is freed after both.
        """
        last = [b for b in self._dying.get(number, ()) if self._in_arena(b)]
        dying = [b for b in last if b in self.offsets]
        unread = [b for b in last if b not in self.offsets]  # results that nobody wants
        overlay = Overlay(step)
        for new in overlay.written:
            if self._in_arena(new) and new not in self.offsets:
                self._place(overlay, new, dying)
        temporary = self._scratch(step)
        for buffer in (*dying, *unread):
            temporary.append((self.offsets[buffer], buffer.type.nbytes))
        self._held += temporary
        if is_followed:
            return
        for offset, nbytes in self._held:
            self.holes.release(offset, nbytes)
        self._held = []

    def _in_arena(self, buffer: Buffer) -> bool:
        return buffer.constant is None and buffer not in self.own

    def _place(self, overlay: Overlay, new: Buffer, dying: list[Buffer]) -> None:
        """In the memory of a dying operand where the step allows it, else in a hole."""
        for old in overlay.under(new) if dying else ():
            if old in dying and old.type.nbytes == new.type.nbytes and old is not new:
                self.offsets[new] = self.offsets[old]
                dying.remove(old)
                return
        self.offsets[new] = self.holes.take(new.type.nbytes)

    def _scratch(self, step: Step) -> list[tuple[int, int]]:
        """Memory that only this step uses, as (offset, bytes)."""
        taken = []
        if isinstance(step, LoopStep):
            for buffer in step.scratch:
                self.offsets[buffer] = self.holes.take(buffer.type.nbytes)
                taken.append((self.offsets[buffer], buffer.type.nbytes))
        elif not isinstance(step, (HostStep, WaveStep)):
            room = make_room(step)
            offset = self.holes.take(room.nbytes)
            self.rooms[step] = offset, room
            taken.append((offset, room.nbytes))
        return taken


class _Holes:
    """The free parts of the arena below `top`, by offset; neighbours are merged."""

    def __init__(self) -> None:
        self.top = 0
        self._free: list[tuple[int, int]] = []

    def take(self, nbytes: int) -> int:
        """The offset of the smallest hole that fits, or of new room at the top."""
        nbytes = _padded(nbytes)
        fitting = [(size, offset) for offset, size in self._free if size >= nbytes]
        if fitting:
            size, offset = min(fitting)
            self._free.remove((offset, size))
            if size > nbytes:
                bisect.insort(self._free, (offset + nbytes, size - nbytes))
            return offset
        offset = self.top
        if self._free and sum(self._free[-1]) == self.top:
            offset, _ = self._free.pop()
        self.top = offset + nbytes
        return offset

    def release(self, offset: int, nbytes: int) -> None:
        """Make a place free again."""
        size = _padded(nbytes)
        i = bisect.bisect(self._free, (offset, size))
        if i < len(self._free) and self._free[i][0] == offset + size:
            size += self._free.pop(i)[1]
        if i > 0 and sum(self._free[i - 1]) == offset:
            offset, before = self._free.pop(i - 1)
            size += before
        if size:
            bisect.insort(self._free, (offset, size))


def _padded(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def make_room(step: Roomy) -> Room:
    """The memory a step needs beside its operands and results."""
    if isinstance(step, GemmStep):
        return Room((), nbytes=gemm_room(step))
    if isinstance(step, ConvolutionStep):
        return Room((), nbytes=convolution_room(step))
    if isinstance(step, AttentionStep):
        return Room((), nbytes=attention_room(step))
    if isinstance(step, RoutineStep):
        return Room((), nbytes=routines.call_of(step).scratch)
    if isinstance(step, CaseStep):
        layouts = [layout(branch) for branch in step.branches]
        return Room(tuple((0, each) for each in layouts),
                    nbytes=max(each.nbytes for each in layouts))
    if isinstance(step, WhileStep):
        first = step.cond_consts + step.body_consts
        cond, body = layout(step.cond), layout(step.body, _carries(step))
        double = {k: view.buffer for k, view in enumerate(step.reads[first:])
                  if k not in body.given}
        spares, end = _stack(double, ALIGNMENT)
        return Room(((end, cond), (end, body)), spares, 0, end + max(cond.nbytes, body.nbytes))
    body = layout(step.body, _carries(step))
    double = {k: step.body.outputs[k] for k in range(step.carry) if k not in body.given}
    spares, end = _stack(double, 0)
    return Room(((end, body),), spares, 0, end + body.nbytes)


def _stack(buffers: dict[int, Buffer], start: int) -> tuple[dict[int, int], int]:
    """Offsets for buffers one after another, and the end."""
    offsets = {}
    for number, buffer in buffers.items():
        offsets[number] = start
        start += _padded(buffer.type.nbytes)
    return offsets, start


def same_size_first(inputs: Sequence[Buffer], donated: Iterable[int],
                    outputs: Sequence[Buffer]) -> list[tuple[int, int]]:
    """Wishes for donated inputs: outputs of the same type first, then of the same size."""
    donated = sorted(donated)
    types: dict[Type, list[int]] = {}
    sizes: dict[int, list[int]] = {}
    for number, buffer in enumerate(outputs):
        types.setdefault(buffer.type, []).append(number)
        sizes.setdefault(buffer.type.nbytes, []).append(number)
    return [*((i, o) for i in donated for o in types.get(inputs[i].type, ())),
            *((i, o) for i in donated for o in sizes.get(inputs[i].type.nbytes, ()))]
