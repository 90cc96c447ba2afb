"""A plan as one native function: `void program(ptr words)`.

The words are the addresses of the inputs, of the memory blocks, and of the context: an array whose
word 0 is the number of the program's host calls and whose others point to large constants. A small
arena is on the stack; a large one is the last block. The code holds no address, so an object file
serves any process: the pool, the matrix library, the routines and the host's callback are imported
symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from arraylib.backends.cpu import pool, pool_code, routines, target
from arraylib.backends.cpu.arena import Layout, layout, same_size_first
from arraylib.backends.cpu.attentions import attention_of, attention_operands
from arraylib.backends.cpu.control import Code, call_parts, emit_case, emit_scan, emit_while
from arraylib.backends.cpu.convolution import Word as ConvolutionWord
from arraylib.backends.cpu.convolutions import convolution_of
from arraylib.backends.cpu.emitter import Function, Reg
from arraylib.backends.cpu.gemm import Gemm, Word, pieces, symbol as gemm_symbol
from arraylib.backends.cpu.host import SYMBOL as HOST, HostCall
from arraylib.backends.cpu.kernel import emit_kernel
from arraylib.backends.cpu.matrices import blocked_by_rows, descriptor_bytes, gemm_of
from arraylib.backends.cpu.parts import Parts
from arraylib.backends.cpu.record import ENTRY, Program
from arraylib.backends.cpu.turns import Stretch, buffers_of, stretches
from arraylib.backends.cpu.wave import put_arguments, words_of, write_wave
from arraylib.backends.cpu.writer import (
    IN_ARENA,
    Scope,
    Shared,
    Spot,
    copy,
    overlap,
    spots_of,
    word,
)
from arraylib.backends.interface import place_results
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
    Prologue,
    RoutineStep,
    ScanStep,
    Step,
    WaveStep,
    WhileStep,
)
from arraylib.tile.ir import Kernel

Overlap: TypeAlias = Callable[[Buffer, Buffer], bool]

_PART = (("ptr noalias", "frame"), ("ptr", "arena"), ("ptr", "context"))
STACK_BYTES = 1 << 14  # an arena up to this size is on the stack
STEPS_PER_FUNCTION = 32
FEW_STEPS = 8  # a function of more steps is compiled the fast way
SERIAL_WORK = 40_000  # elementary operations, some ten microseconds: below, threads cost more


def write_program(plan: Plan, donated: frozenset[int] = frozenset(),
                  timed: bool = False,
                  ready: Callable[[str], object] | None = None) -> Program:
    """The program of a plan; results may take the memory of the inputs in `donated`.

    With `ready`, that is called with each part of the program's text as soon as it is written.

    A `timed` program has one more block, its last, to which it writes when each step has ended: the
    processor's time stamps, as i64[steps + 1].
    """
    places = layout(plan, same_size_first(plan.inputs, donated, plan.outputs), fresh=True)
    results, blocks = place_results([b.type for b in plan.outputs], places.given)
    arena = len(plan.inputs) + len(blocks)
    if places.nbytes > STACK_BYTES:
        blocks.append(places.nbytes)
    stamps = Spot(len(plan.inputs) + len(blocks)) if timed else None
    if timed:
        blocks.append(8 * (len(plan.steps) + 1))
    module = target.new_module()
    shared = Shared(module, Parts(module, ready) if ready else None)
    inputs = [Spot(i) for i in range(len(plan.inputs))]
    outputs = [Spot(len(plan.inputs) + r.block, r.offset) if r.donor is None else Spot(r.donor)
               for r in results]
    code = write_plan(shared, plan, places, 0, inputs, outputs, stamps)
    _write_entry(shared, code, places.nbytes, arena, len(plan.inputs) + len(blocks))
    declared = [name for name in module.declarations if name.startswith("arraylib_")]
    if shared.parts:
        shared.parts.finish()
    return Program(
        "" if shared.parts else module.text(), tuple(b.type for b in plan.inputs),
        tuple(results), tuple(blocks), places.nbytes, work(plan), tuple(declared),
        tuple(shared.constants.values()), tuple(shared.host_calls))


def _write_entry(shared: Shared, code: Code, arena_bytes: int, arena: int, context: int) -> None:
    """The function that callers know; `arena` and `context` are the numbers of their words."""
    f = Function(shared.module, ENTRY, [("ptr noalias", "words")], internal=False)
    words, = f.args
    if arena_bytes > STACK_BYTES:
        memory = word(f, words, arena)
    else:
        memory = f.alloca("i8", max(arena_bytes, 1), align=64)
    call_parts(f, code, words, memory, word(f, words, context), f.ret)
    f.ret()


def write_plan(shared: Shared, plan: Plan, places: Layout, base: int, inputs: Sequence[Spot],
               outputs: Sequence[Spot], stamps: Spot | None = None) -> Code:
    """The functions of a plan's steps.

    There are several where there are many steps: code generation takes time that grows faster than
    the length of a function.
    """
    number, failures = shared.plans, shared.failures
    shared.plans += 1
    spots = spots_of(plan, inputs, outputs)
    spots.update({value: spots[home] for value, home in places.lent.items()})
    names = []
    for part in _parts(plan.steps, partial(overlap, places, spots), bool(stamps)):
        steps = plan.steps[part.start:part.start + part.period]
        names.append(f"plan{number}_{part.start}")
        f = Function(shared.module, names[-1], _PART, result="i1", plain=len(steps) > FEW_STEPS)
        scope = Scope(shared, f, f.alloca("ptr", _most_pointers(steps)), places, base, spots)
        if stamps:
            _emit_timed(scope, steps, part.start, stamps)
        elif part.turns > 1:
            _emit_turns(scope, plan.steps, part)
        else:
            _emit_steps(scope, steps)
        if part.end == len(plan.steps):
            scope.copy_repeated(plan, outputs)
        f.ret(f.const("i1", 0))
        shared.offer()
    return Code(tuple(names), shared.failures > failures)


def _parts(steps: Sequence[Step], overlap: Overlap, timed: bool) -> Iterator[Stretch]:
    """The stretches of steps that are functions of their own."""
    joins = lambda step, after: _joined(overlap, step, after) is not None
    for each in [Stretch(0, len(steps))] if timed else stretches(steps, joins):
        if each.turns > 1:
            yield each
            continue
        for start in range(each.start, max(each.end, each.start + 1), STEPS_PER_FUNCTION):
            yield Stretch(start, min(STEPS_PER_FUNCTION, each.end - start))


def repeated(plan: Plan) -> list[Stretch]:
    """The steps of a plan that are written once and run again and again."""
    inputs = [Spot(i) for i in range(len(plan.inputs))]
    outputs = [Spot(i) for i in range(len(inputs), len(inputs) + len(plan.outputs))]
    spots, places = spots_of(plan, inputs, outputs), layout(plan, fresh=True)
    spots.update({value: spots[home] for value, home in places.lent.items()})
    parts = _parts(plan.steps, partial(overlap, places, spots), timed=False)
    return [each for each in parts if each.turns > 1]


def _emit_turns(scope: Scope, steps: Sequence[Step], part: Stretch) -> None:
    """A loop over turns: one function has the steps, and is given a frame of each turn's places."""
    turns = [steps[at:at + part.period] for at in range(part.start, part.end, part.period)]
    places = [_places(scope, turn) for turn in turns]
    rows = np.array([[(spot.word, spot.offset) for spot in each] for each in places], np.int64)
    f, count = scope.function, rows.shape[1]
    name = f"{f.name}_turn"
    _write_turn(scope, name, turns[0])
    frame, table = f.alloca("ptr", count), f.address(scope.shared.data(rows.tobytes()))

    def turn(index: Reg, _: list[Reg]) -> None:
        row = f.gep(table, index * (2 * count), "i64")
        scope.put_rows(frame, row, count)
        f.call(name, "void", [frame, scope.arena, scope.context])

    f.loop(0, part.turns, 1, [], turn)


def _places(scope: Scope, turn: Sequence[Step]) -> list[Spot]:
    """Where a turn's buffers are, and then its steps' own memory."""
    found = [scope.spot_of(buffer) for buffer in buffers_of(turn)]
    assert None not in found, "constants have no places"
    rooms = [scope.layout.rooms[step][0] for step in turn if step in scope.layout.rooms]
    return [*(spot for spot in found if spot), *(
        Spot(IN_ARENA, scope.base + offset) for offset in rooms)]


def _write_turn(scope: Scope, name: str, turn: Sequence[Step]) -> None:
    """The function of a turn's steps, all of whose places are behind words of its frame."""
    f = Function(scope.shared.module, name, _PART, plain=len(turn) > FEW_STEPS)
    buffers = buffers_of(turn)
    roomy = [step for step in turn if step in scope.layout.rooms]
    inner = Scope(
        scope.shared, f, f.alloca("ptr", _most_pointers(turn)), scope.layout, scope.base,
        {buffer: Spot(i) for i, buffer in enumerate(buffers)},
        {step: Spot(i) for i, step in enumerate(roomy, len(buffers))}, scope)
    _emit_steps(inner, turn)
    f.ret()


def _emit_steps(scope: Scope, steps: Sequence[Step]) -> None:
    """Steps in order; a kernel that may follow a product block by block goes with it."""
    waiting = list(steps)
    while waiting:
        step = waiting.pop(0)
        if waiting and _emit_joined(scope, step, waiting[0]):
            waiting.pop(0)
        else:
            _EMIT[type(step)](scope, step)


def _most_pointers(steps: Sequence[Step]) -> int:
    """The largest number of pointers that a kernel or host call among the steps takes."""
    most = 1
    for step in steps:
        if isinstance(step, WaveStep):
            most = max(most, sum(map(words_of, step.parts)))
        elif isinstance(step, LoopStep):
            most = max(most, words_of(step))
        elif isinstance(step, (HostStep, RoutineStep)):
            most = max(most, len(step.reads) + len(step.writes) + 1)
    made = [len(reads(step)) for step in steps
            if isinstance(step, GemmStep) and any(step.prologues)]
    return most + max(made, default=0)  # beside those of the kernel that follows


def work(plan: Plan) -> float:
    """A rough number of elementary operations; infinite where it is not known before."""
    total = 0.0
    for step in plan.steps:
        if isinstance(step, LoopStep):
            total += step.work
        elif isinstance(step, WaveStep):
            total += sum(part.work for part in step.parts)
        elif isinstance(step, GemmStep):
            total += step.c.buffer.type.size * step.a.shape[-1]
        elif isinstance(step, ConvolutionStep):
            total += convolution_of(step).work
        elif isinstance(step, AttentionStep):
            total += attention_of(step).work
        elif isinstance(step, RoutineStep):
            total += routines.call_of(step).work
        elif isinstance(step, ScanStep):
            total += work(step.body) * step.length
        elif isinstance(step, CaseStep):
            total += max(work(branch) for branch in step.branches)
        else:
            return float("inf")
    return total


def _emit_timed(scope: Scope, steps: Sequence[Step], start: int, stamps: Spot) -> None:
    """Steps, each followed by a time stamp; before the plan's first there is one more."""
    f = scope.function

    def stamp(number: int) -> None:
        now = f.call("llvm.readcyclecounter", "i64", [])
        assert now is not None
        f.store(now, f.gep(scope.spot(stamps), number, "i64"))

    if start == 0:
        stamp(0)
    for number, step in enumerate(steps, start + 1):
        _EMIT[type(step)](scope, step)
        stamp(number)


def _emit_loop(scope: Scope, step: LoopStep) -> None:
    """Run a kernel for each chunk; a copy that was laid over its operand is there already."""
    if step.chunks == 0:
        return
    if step.kernel.copies:
        source, target = (scope.address(view) for view in (*step.reads, *step.writes))
        scope.function.branch(scope.function.compare("ne", source, target),
                              lambda: _run_kernel(scope, step))
    else:
        _run_kernel(scope, step)


def _emit_wave(scope: Scope, step: WaveStep) -> None:
    """Run small kernels together."""
    start = 0
    for part in step.parts:
        put_arguments(scope, part, start)
        start += words_of(part)
    name, turns = write_wave(scope.shared, step, [
        _kernel(scope.shared, part.kernel) for part in step.parts])
    f = scope.function
    f.call(pool_code.PARFOR, "void", [f.address(name), scope.arguments, f.const("i64", turns)])


def _run_kernel(scope: Scope, step: LoopStep) -> None:
    """All chunks, here or on all threads, whichever is sooner done."""
    f, arguments = scope.function, scope.arguments
    put_arguments(scope, step)
    name, chunks = _kernel(scope.shared, step.kernel), f.const("i64", step.chunks)
    if step.chunks == 1:
        f.call(name, "void", [arguments, f.const("i64", 0)])
    elif step.work < SERIAL_WORK:
        def run(chunk: Reg, carried: list[Reg]) -> None:
            f.call(name, "void", [arguments, chunk])
        f.loop(0, step.chunks, 1, [], run)
    else:
        f.call(pool_code.PARFOR, "void", [f.address(name), arguments, chunks])


def _kernel(shared: Shared, kernel: Kernel) -> str:
    """The name of a kernel's function, written the first time it is met."""
    name = shared.kernels.get(kernel.key())
    if name is None:
        name = shared.kernels[kernel.key()] = f"kernel{len(shared.kernels)}"
        emit_kernel(shared.module, kernel, name)
        shared.offer()
    return name


def _emit_host(scope: Scope, step: HostStep) -> None:
    """Call the host; leave the program if it failed."""
    f, calls = scope.function, scope.shared.host_calls
    number = f.const("i64", len(calls))
    calls.append(HostCall(step.node.op, step.node.attrs, step.node.types,
                          tuple(v.type for v in step.node.outputs), step.node.where))
    for i, view in enumerate((*step.reads, *step.writes)):
        f.store(scope.dense(view), f.gep(scope.arguments, i, "ptr"))
    program = f.load(scope.context, "i64")
    status = f.call(HOST, "i32", [program, number, scope.arguments])
    assert status is not None
    f.branch(f.compare("ne", status, 0), lambda: f.ret(f.const("i1", 1)))


def _emit_routine(scope: Scope, step: RoutineStep) -> None:
    """Call a routine with the addresses of operands and results, its numbers and its scratch."""
    f, call = scope.function, routines.call_of(step)
    for i, view in enumerate((*step.reads, *step.writes)):
        f.store(scope.dense(view), f.gep(scope.arguments, i, "ptr"))
    if call.table is not None:
        place = f.gep(scope.arguments, len(step.reads) + len(step.writes), "ptr")
        f.store(scope.place(call.table), place)
    numbers = scope.shared.words(np.asarray(call.numbers, np.int64), dict(call.functions))
    f.call(call.symbol, "void", [scope.arguments, f.address(numbers), scope.room_of(step)])


def _emit_gemm(scope: Scope, step: GemmStep) -> None:
    """A product of matrices by the library."""
    gemm = gemm_of(step)
    _emit_product(scope, step, gemm, gemm.words(pool.threads()), {})


def _emit_product(scope: Scope, step: GemmStep, gemm: Gemm, words: Any,
                  addresses: dict[int, Reg], start: int = 0) -> None:
    """Call the library with further addresses; arguments are written from word `start` on."""
    addresses = {Word.C: scope.address(step.c), **addresses}
    for side, (view, made) in enumerate(zip((step.a, step.b), step.prologues)):
        if made is None:
            addresses[(Word.A, Word.B)[side]] = scope.address(view)
            continue
        word = Word.MAKE_B if side != words[Word.SWAPPED] else Word.MAKE_A
        addresses[word] = scope.function.address(_maker(scope.shared, made))
        addresses[word + 1] = scope.put(made.reads, start)
        start += len(made.reads)
    places = sorted(addresses)
    _emit_library(scope, step, gemm_symbol(gemm.dtype), words, places,
                  [addresses[place] for place in places], pieces(gemm, words))


def _maker(shared: Shared, made: Prologue) -> str:
    """The name of a function (arguments, box, room) that computes a box of an operand."""
    kernel, count = _kernel(shared, made.kernel), len(made.reads)
    name = f"make_{kernel}"
    if name not in shared.helpers:
        shared.helpers.add(name)
        f = Function(shared.module, name, [("ptr", "arguments"), ("ptr", "box"), ("ptr", "room")])
        arguments, box, room = f.args
        given = f.alloca("ptr", count + 2)
        copy(f, given, arguments, 8 * count)
        f.store(box, f.gep(given, count, "ptr"))
        f.store(room, f.gep(given, count + 1, "ptr"))
        f.call(kernel, "void", [given, f.const("i64", 0)])
        f.ret()
    return name


def _emit_joined(scope: Scope, step: Step, after: Step) -> bool:
    """A product and the kernel that follows it, if they can run together."""
    gemm = _joined(scope.overlap, step, after)
    if gemm is None or not isinstance(step, GemmStep) or not isinstance(after, LoopStep):
        return False
    words = gemm.words_with_epilogue(pool.threads(), after.span, after.chunks)
    put_arguments(scope, after)
    _emit_product(scope, step, gemm, words, {
        Word.EPILOGUE: scope.function.address(_kernel(scope.shared, after.kernel)),
        Word.EPILOGUE_ARGUMENTS: scope.arguments}, words_of(after))
    return True


def _joined(overlap: Overlap, step: Step, after: Step) -> Gemm | None:
    """A product as it runs together with the kernel that follows it; None if it does not."""
    if not isinstance(step, GemmStep) or not follows(step, after):
        return None
    gemm = blocked_by_rows(step)
    if gemm is None or any(overlap(out.buffer, view.buffer)
                           for out in writes(after) for view in reads(step)):
        return None
    return gemm


def _emit_convolution(scope: Scope, step: ConvolutionStep) -> None:
    """A convolution by the library."""
    convolution = convolution_of(step)
    words = convolution.words(pool.threads())
    places = ConvolutionWord.X, ConvolutionWord.W, ConvolutionWord.C
    _emit_library(scope, step, convolution.symbol, words, places,
                  [scope.address(view) for view in (*step.reads, *step.writes)],
                  convolution.functions())


def _emit_attention(scope: Scope, step: AttentionStep) -> None:
    """Attention by the library."""
    attention, operands = attention_of(step), attention_operands(step)
    words = attention.words(pool.threads())
    _emit_library(scope, step, attention.symbol, words, list(operands),
                  [scope.address(view) for view in operands.values()], attention.functions())


def _emit_library(scope: Scope, step: GemmStep | ConvolutionStep | AttentionStep, symbol: str,
                  words: Any, places: Sequence[int], addresses: Sequence[Reg],
                  functions: Mapping[int, str] | None = None) -> None:
    """Call a library with a descriptor of these words, addresses and functions in their places."""
    f = scope.function
    f.call(_library_caller(scope.shared, symbol, len(words), places), "void", [
        f.address(scope.shared.words(words, functions or {})), scope.room_of(step), *addresses])


def _library_caller(shared: Shared, symbol: str, count: int, places: Sequence[int]) -> str:
    """The name of a function that makes a descriptor in a step's room and calls a library."""
    name = "_".join(["call", symbol, str(count), *(str(int(place)) for place in places)])
    if name not in shared.helpers:
        shared.helpers.add(name)
        f = Function(shared.module, name, [
            ("ptr", "words"), ("ptr", "room"), *(("ptr", f"array{i}") for i in range(len(places)))])
        words, room, *arrays = f.args
        copy(f, room, words, 8 * count)
        for place, array in zip(places, arrays, strict=True):
            f.store(array, f.gep(room, place, "i64"))
        f.call(symbol, "void", [room, f.gep(room, descriptor_bytes(count), "i8")])
        f.ret()
    return name


_EMIT: dict[type, Callable[[Scope, Any], None]] = {
    LoopStep: _emit_loop,
    WaveStep: _emit_wave,
    HostStep: _emit_host,
    GemmStep: _emit_gemm,
    ConvolutionStep: _emit_convolution,
    AttentionStep: _emit_attention,
    RoutineStep: _emit_routine,
    ScanStep: lambda scope, step: emit_scan(scope, step, write_plan),
    WhileStep: lambda scope, step: emit_while(scope, step, write_plan),
    CaseStep: lambda scope, step: emit_case(scope, step, write_plan),
}
