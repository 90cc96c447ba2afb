"""Native control flow: loops and branches over the plans inside a step.

A value that a loop carries has two copies; each turn reads one and writes the other, and the
pointers change places. Where the body may write over what it reads there is one copy only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from arraylib.backends.cpu.emitter import Reg
from arraylib.backends.cpu.writer import Place, Scope, copy_repeated, inner_scope
from arraylib.backends.lower.plan import CaseStep, Plan, ScanStep, View, WhileStep

EmitPlan = Callable[[Scope, Plan], None]


def emit_scan(scope: Scope, step: ScanStep, emit_plan: EmitPlan) -> None:
    """A counted loop; element i of the xs and ys is at i times its size."""
    writer, f = scope.writer, scope.writer.function
    offset, room = scope.layout.rooms[step]
    (body_offset, layout), = room.plans
    inner = scope.base + offset
    first = [scope.dense(view) for view in step.reads[step.consts:][:step.carry]]
    last = [scope.dense(view) for view in step.writes[:step.carry]]
    double = sorted(room.spares)
    for k in range(step.carry):
        if k in layout.given or step.length == 0:
            _copy_if_elsewhere(scope, last[k], first[k], step.writes[k].buffer.type.nbytes)
    if step.length == 0:
        return
    spare = {k: writer.offset(writer.arena, inner + room.spares[k]) for k in double}
    carried = []
    for k in double:  # so that the last turn writes where the result belongs
        targets = [last[k], spare[k]]
        carried += [first[k], targets[(step.length - 1) % 2], targets[step.length % 2]]

    def turn(index: Reg, pointers: list[Reg]) -> list[Reg]:
        position = (step.length - 1) - index if step.reverse else index
        current, following, other = (dict(zip(double, pointers[i::3])) for i in range(3))
        consts = [_later(scope.dense, view) for view in step.reads[:step.consts]]
        xs = [_element(scope, view, position) for view in step.reads[step.consts + step.carry:]]
        ys = [_element(scope, view, position) for view in step.writes[step.carry:]]
        inputs = [*consts, *(_at(current.get(k, last[k])) for k in range(step.carry)), *xs]
        outputs = [*(_at(following.get(k, last[k])) for k in range(step.carry)), *ys]
        body = inner_scope(scope, step.body, layout, inner + body_offset, inputs, outputs)
        emit_plan(body, step.body)
        copy_repeated(body, step.body, outputs)
        return [p for k in double for p in (following[k], other[k], following[k])]

    f.loop(0, step.length, 1, carried, turn)


def emit_while(scope: Scope, step: WhileStep, emit_plan: EmitPlan) -> None:
    """Test, then run the body, until the test fails; the last carry may have to move."""
    writer, f = scope.writer, scope.writer.function
    offset, room = scope.layout.rooms[step]
    inner = scope.base + offset
    (cond_offset, cond_layout), (body_offset, body_layout) = room.plans
    first = step.cond_consts + step.body_consts
    places = [_later(scope.dense, view) for view in step.reads[:first]]
    results = [scope.dense(view) for view in step.writes]
    carried = [scope.dense(view) for view in step.reads[first:]] + results + [
        writer.offset(writer.arena, inner + room.spares[k]) for k in range(len(results))]

    def parts(pointers: list[Reg]) -> list[list[Reg]]:
        count = len(results)
        return [pointers[i:i + count] for i in (0, count, 2 * count)]

    def test(pointers: list[Reg]) -> Reg:
        flag = _at(writer.offset(writer.arena, inner + room.flag))
        inputs = [*places[:step.cond_consts], *map(_at, parts(pointers)[0])]
        cond = inner_scope(scope, step.cond, cond_layout, inner + cond_offset, inputs, [flag])
        emit_plan(cond, step.cond)
        return f.compare("ne", f.load(flag(), "i8"), 0)

    def turn(pointers: list[Reg]) -> Sequence[Reg]:
        current, following, other = parts(pointers)
        inputs = [*places[step.cond_consts:], *map(_at, current)]
        outputs = [_at(p) for p in following]
        body = inner_scope(scope, step.body, body_layout, inner + body_offset, inputs, outputs)
        emit_plan(body, step.body)
        copy_repeated(body, step.body, outputs)
        return [*following, *other, *following]

    final = parts(f.while_loop(carried, test, turn))[0]
    for result, pointer, view in zip(results, final, step.writes, strict=True):
        _copy_if_elsewhere(scope, result, pointer, view.buffer.type.nbytes)


def emit_case(scope: Scope, step: CaseStep, emit_plan: EmitPlan) -> None:
    """Compare the index with one number after another; the last branch takes what is above."""
    f = scope.writer.function
    offset, room = scope.layout.rooms[step]
    index = f.load(scope.dense(step.reads[0]), "i32")
    inputs = [_later(scope.dense, view) for view in step.reads[1:]]
    outputs = [_later(scope.dense, view) for view in step.writes]

    def run(number: int) -> None:
        start, layout = room.plans[number]
        plan = step.branches[number]
        branch = inner_scope(scope, plan, layout, scope.base + offset + start, inputs, outputs)
        emit_plan(branch, plan)
        copy_repeated(branch, plan, outputs)

    def choose(number: int) -> None:
        if number == len(step.branches) - 1:
            run(number)
        else:
            f.branch(index <= number, lambda: run(number), lambda: choose(number + 1))

    choose(0)


def _copy_if_elsewhere(scope: Scope, target: Reg, source: Reg, nbytes: int) -> None:
    f = scope.writer.function
    if nbytes:
        f.branch(f.compare("ne", target, source),
                 lambda: scope.writer.copy(target, source, nbytes))


def _at(pointer: Reg) -> Place:
    return lambda: pointer


def _later(emit: Callable[[View], Reg], view: View) -> Place:
    return lambda: emit(view)


def _element(scope: Scope, view: View, position: Reg) -> Place:
    """One step's part of an array with a leading axis of steps."""
    def place() -> Reg:
        size = view.dtype.itemsize
        for n in view.shape[1:]:
            size *= n
        return scope.writer.offset(scope.dense(view), position * size)
    return place
