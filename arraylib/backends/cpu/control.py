"""Native control flow: loops and branches over the plans inside a step.

A value that a loop carries has two copies; each turn reads one and writes the other, and the
pointers change places. Where the body may write over what it reads there is one copy only. The
plans inside are functions of their own, called with a frame of pointers that is filled in first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from arraylib.backends.cpu.arena import Layout
from arraylib.backends.cpu.emitter import Function, Reg
from arraylib.backends.cpu.interrupt_code import check
from arraylib.backends.cpu.writer import Scope, Shared, Spot, copy
from arraylib.backends.lower.plan import CaseStep, Plan, ScanStep, View, WhileStep
from arraylib.record import record


@record
class Code:
    """The functions of a plan, to be called in order; `fallible` if one of them may fail."""

    parts: tuple[str, ...]
    fallible: bool


# (shared, plan, its layout, start in the arena, spots of inputs, of outputs) -> its functions
WritePlan = Callable[[Shared, Plan, Layout, int, Sequence[Spot], Sequence[Spot]], Code]


def call_parts(function: Function, code: Code, frame: Reg, arena: Reg, context: Reg,
               fail: Callable[[], None]) -> None:
    """Run a plan; `fail` leaves the function."""
    for part in code.parts:
        failed = function.call(part, "i1", [frame, arena, context])
        if code.fallible:
            assert failed is not None
            function.branch(failed, fail)


class _Inner:
    """A plan inside a step: its functions and its frame, which is on the caller's stack."""

    def __init__(self, scope: Scope, plan: Plan, layout: Layout, base: int,
                 write: WritePlan) -> None:
        count = len(plan.inputs)
        spots = [Spot(i) for i in range(count + len(plan.outputs))]
        self.scope = scope
        self.code = write(scope.shared, plan, layout, base, spots[:count], spots[count:])
        self.frame = scope.function.alloca("ptr", max(1, len(spots)))

    def run(self, pointers: Sequence[Reg]) -> None:
        """Run the plan on these inputs and outputs."""
        f = self.scope.function
        for i, pointer in enumerate(pointers):
            f.store(pointer, f.gep(self.frame, i, "ptr"))
        call_parts(f, self.code, self.frame, self.scope.arena, self.scope.context,
                   lambda: f.ret(f.const("i1", 1)))


def _check(scope: Scope) -> None:
    """Leave the function if Ctrl-C has stopped the program."""
    scope.shared.loops += 1
    check(scope.function, lambda: scope.function.ret(scope.function.const("i1", 1)))


def emit_scan(scope: Scope, step: ScanStep, write: WritePlan) -> None:
    """A counted loop; element i of the xs and ys is at i times its size."""
    offset, room = scope.layout.rooms[step]
    (body_offset, layout), = room.plans
    first = [scope.dense(view) for view in step.reads[step.consts:][:step.carry]]
    last = [scope.dense(view) for view in step.writes[:step.carry]]
    for k in range(step.carry):
        if k in layout.given or step.length == 0:
            _copy_if_elsewhere(scope, last[k], first[k], step.writes[k].buffer.type.nbytes)
    if step.length == 0:
        return
    body = _Inner(scope, step.body, layout, scope.base + offset + body_offset, write)
    double = sorted(room.spares)
    carried = []
    for k in double:  # so that the last turn writes where the result belongs
        targets = [last[k], scope.room(offset + room.spares[k])]
        carried += [first[k], targets[(step.length - 1) % 2], targets[step.length % 2]]

    def turn(index: Reg, pointers: list[Reg]) -> list[Reg]:
        _check(scope)
        position = (step.length - 1) - index if step.reverse else index
        current, following, other = (dict(zip(double, pointers[i::3])) for i in range(3))
        body.run([
            *(scope.dense(view) for view in step.reads[:step.consts]),
            *(current.get(k, last[k]) for k in range(step.carry)),
            *(_element(scope, view, position) for view in step.reads[step.consts + step.carry:]),
            *(following.get(k, last[k]) for k in range(step.carry)),
            *(_element(scope, view, position) for view in step.writes[step.carry:])])
        return [p for k in double for p in (following[k], other[k], following[k])]

    scope.function.loop(0, step.length, 1, carried, turn)


def emit_while(scope: Scope, step: WhileStep, write: WritePlan) -> None:
    """Test, then run the body, until the test fails; the last carry may have to move.

    What the body may write over is in the result's memory from the start.
    """
    f = scope.function
    offset, room = scope.layout.rooms[step]
    cond, body = (_Inner(scope, plan, layout, scope.base + offset + start, write)
                  for plan, (start, layout) in zip((step.cond, step.body), room.plans))
    first = step.cond_consts + step.body_consts
    consts = [scope.dense(view) for view in step.reads[:first]]
    results = [scope.dense(view) for view in step.writes]
    flag = scope.room(offset + room.flag)
    given = [scope.dense(view) for view in step.reads[first:]]
    double = sorted(room.spares)
    for k, view in enumerate(step.writes):
        if k not in room.spares:
            _copy_if_elsewhere(scope, results[k], given[k], view.buffer.type.nbytes)
    carried = [pointer for k in double for pointer in (
        given[k], results[k], scope.room(offset + room.spares[k]))]

    def parts(pointers: list[Reg]) -> tuple[list[Reg], ...]:
        """All carries where they are, and where they will be next; the third place of those
        that have one."""
        now, following = (dict(zip(double, pointers[i::3])) for i in (0, 1))
        return ([now.get(k, result) for k, result in enumerate(results)],
                [following.get(k, result) for k, result in enumerate(results)], pointers[2::3])

    def test(pointers: list[Reg]) -> Reg:
        cond.run([*consts[:step.cond_consts], *parts(pointers)[0], flag])
        return f.compare("ne", f.load(flag, "i8"), 0)

    def turn(pointers: list[Reg]) -> Sequence[Reg]:
        _check(scope)
        current, following, others = parts(pointers)
        body.run([*consts[step.cond_consts:], *current, *following])
        return [p for k, other in zip(double, others) for p in (following[k], other, following[k])]

    final = parts(f.while_loop(carried, test, turn))[0]
    for result, pointer, view in zip(results, final, step.writes, strict=True):
        _copy_if_elsewhere(scope, result, pointer, view.buffer.type.nbytes)


def emit_case(scope: Scope, step: CaseStep, write: WritePlan) -> None:
    """Compare the index with one number after another; the last branch takes all others."""
    f = scope.function
    offset, room = scope.layout.rooms[step]
    branches = [_Inner(scope, plan, layout, scope.base + offset + start, write)
                for plan, (start, layout) in zip(step.branches, room.plans, strict=True)]
    index = f.load(scope.dense(step.reads[0]), "i32")
    pointers = [scope.dense(view) for view in (*step.reads[1:], *step.writes)]

    def choose(number: int) -> None:
        if number == len(branches) - 1:
            branches[number].run(pointers)
        else:
            f.branch(f.compare("eq", index, number), lambda: branches[number].run(pointers),
                     lambda: choose(number + 1))

    choose(0)


def _copy_if_elsewhere(scope: Scope, target: Reg, source: Reg, nbytes: int) -> None:
    f = scope.function
    if nbytes:
        f.branch(f.compare("ne", target, source), lambda: copy(f, target, source, nbytes))


def _element(scope: Scope, view: View, position: Reg) -> Reg:
    """One step's part of an array with a leading axis of steps."""
    size = view.dtype.itemsize
    for n in view.shape[1:]:
        size *= n
    return scope.function.gep(scope.dense(view), position * size, "i8")
