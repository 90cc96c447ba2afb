"""A plan as one native function: `void program(ptr words)`.

The words are the addresses of the inputs, of the memory blocks, and of the context: an array whose
word 0 is the number of the program's host calls and whose others point to large constants. A small
arena is on the stack; a large one is the last block. The code holds no address, so an object file
serves any process: the pool, the matrix library and the host's callback are imported symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arraylib.backends.cpu import pool, pool_code, target
from arraylib.backends.cpu.arena import Layout, inner_plans, layout, same_size_first
from arraylib.backends.cpu.control import emit_case, emit_scan, emit_while
from arraylib.backends.cpu.emitter import Function, Reg
from arraylib.backends.cpu.gemm import Word, symbol as gemm_symbol
from arraylib.backends.cpu.host import SYMBOL as HOST, HostCall
from arraylib.backends.cpu.kernel import emit_kernel
from arraylib.backends.cpu.matrices import gemm_of
from arraylib.backends.cpu.writer import Place, Scope, Writer, copy_repeated
from arraylib.backends.interface import Result, place_results
from arraylib.backends.lower.plan import (
    CaseStep,
    GemmStep,
    HostStep,
    LoopStep,
    Plan,
    ScanStep,
    WhileStep,
)
from arraylib.hlo.ir import Type
from arraylib.tile.ir import Kernel

ENTRY = "program"
STACK_BYTES = 1 << 14  # an arena up to this size is on the stack
SERIAL_WORK = 40_000  # elementary operations, some ten microseconds: below, threads cost more


@dataclass(frozen=True, eq=False)
class Program:
    """A plan as IR text, and the facts that a caller needs."""

    text: str
    input_types: tuple[Type, ...]
    results: tuple[Result, ...]
    blocks: tuple[int, ...]
    arena_bytes: int
    work: float  # rough number of elementary operations
    symbols: tuple[str, ...]  # imported
    constants: tuple[np.ndarray[Any, Any], ...]
    host_calls: tuple[HostCall, ...]


def write_program(plan: Plan, donated: frozenset[int] = frozenset(),
                  timed: bool = False) -> Program:
    """The program of a plan; results may take the memory of the inputs in `donated`.

    A `timed` program has one more block, its last, to which it writes when each step has ended: the
    processor's time stamps, as i64[steps + 1].
    """
    places = layout(plan, same_size_first(plan.inputs, donated, plan.outputs))
    results, blocks = place_results([b.type for b in plan.outputs], places.given)
    if places.nbytes > STACK_BYTES:
        blocks.append(places.nbytes)
    if timed:
        blocks.append(8 * (len(plan.steps) + 1))
    writer = _open(plan, places, len(blocks), timed)
    words = writer.function.args[0]
    pointers: dict[Any, Place] = {
        buffer: _word(writer, words, i) for i, buffer in enumerate(plan.inputs)}
    outputs = [_result(writer, words, len(plan.inputs), result) for result in results]
    for buffer, place in zip(plan.outputs, outputs, strict=True):
        pointers.setdefault(buffer, place)
    scope = Scope(writer, places, 0, pointers)
    if timed:
        _emit_timed(scope, plan, _word(writer, words, len(plan.inputs) + len(blocks) - 1))
    else:
        emit_plan(scope, plan)
    copy_repeated(scope, plan, outputs)
    writer.function.ret()
    module = writer.function.module
    return Program(module.text(), tuple(b.type for b in plan.inputs), tuple(results),
                   tuple(blocks), places.nbytes, work(plan),
                   tuple(name for name in module.declarations if name.startswith("arraylib_")),
                   tuple(writer.constants), tuple(writer.host_calls))


def _open(plan: Plan, places: Layout, blocks: int, timed: bool) -> Writer:
    """The function with its arena, context and room for arguments."""
    function = Function(target.new_module(), ENTRY, [("ptr noalias", "words")], internal=False)
    words = function.args[0]
    last = len(plan.inputs) + blocks
    if places.nbytes > STACK_BYTES:
        arena = function.load(function.gep(words, last - 1 - timed, "ptr"), "ptr")
    else:
        arena = function.alloca("i8", max(places.nbytes, 1), align=64)
    context = function.load(function.gep(words, last, "ptr"), "ptr")
    return Writer(function, arena, context, function.alloca("ptr", _most_pointers(plan)))


def _word(writer: Writer, words: Reg, index: int) -> Place:
    return lambda: writer.word(words, index)


def _result(writer: Writer, words: Reg, inputs: int, result: Result) -> Place:
    if result.donor is not None:
        return _word(writer, words, result.donor)
    return lambda: writer.offset(writer.word(words, inputs + result.block), result.offset)


def _most_pointers(plan: Plan) -> int:
    """The largest number of pointers that any call in the plan takes."""
    most = 1
    for step in plan.steps:
        most = max([most, *map(_most_pointers, inner_plans(step))])
        if isinstance(step, (LoopStep, HostStep)):
            scratch = step.scratch if isinstance(step, LoopStep) else ()
            most = max(most, len(step.reads) + len(step.writes) + len(scratch))
    return most


def work(plan: Plan) -> float:
    """A rough number of elementary operations; infinite where it is not known before."""
    total = 0.0
    for step in plan.steps:
        if isinstance(step, LoopStep):
            total += step.work
        elif isinstance(step, GemmStep):
            total += step.c.buffer.type.size * step.a.shape[-1]
        elif isinstance(step, ScanStep):
            total += work(step.body) * step.length
        elif isinstance(step, CaseStep):
            total += max(work(branch) for branch in step.branches)
        else:
            return float("inf")
    return total


def emit_plan(scope: Scope, plan: Plan) -> None:
    """The steps of a plan, one after another."""
    for step in plan.steps:
        _EMIT[type(step)](scope, step)


def _emit_timed(scope: Scope, plan: Plan, stamps: Place) -> None:
    """The steps of a plan, with the time between them."""
    f = scope.writer.function

    def stamp(number: int) -> None:
        now = f.call("llvm.readcyclecounter", "i64", [])
        assert now is not None
        f.store(now, f.gep(stamps(), number, "i64"))

    stamp(0)
    for number, step in enumerate(plan.steps):
        _EMIT[type(step)](scope, step)
        stamp(number + 1)


def _emit_loop(scope: Scope, step: LoopStep) -> None:
    """Run a kernel for each chunk; a copy that was laid over its operand is there already."""
    if step.chunks == 0:
        return
    f = scope.writer.function
    pointers = [scope.address(view) for view in (*step.reads, *step.writes)]
    pointers += [scope.place(buffer) for buffer in step.scratch]
    if step.kernel.copies:
        f.branch(f.compare("ne", pointers[0], pointers[1]),
                 lambda: _run_kernel(scope.writer, step, pointers))
    else:
        _run_kernel(scope.writer, step, pointers)


def _run_kernel(writer: Writer, step: LoopStep, pointers: Sequence[Reg]) -> None:
    """All chunks, here or on all threads, whichever is sooner done."""
    f, arguments = writer.function, writer.arguments
    for i, pointer in enumerate(pointers):
        f.store(pointer, f.gep(arguments, i, "ptr"))
    name, chunks = _kernel(writer, step.kernel), f.const("i64", step.chunks)
    if step.chunks == 1:
        f.call(name, "void", [arguments, f.const("i64", 0)])
    elif step.work < SERIAL_WORK:
        def run(chunk: Reg, carried: list[Reg]) -> None:
            f.call(name, "void", [arguments, chunk])
        f.loop(0, step.chunks, 1, [], run)
    else:
        f.call(pool_code.PARFOR, "void", [f.address(name), arguments, chunks])


def _kernel(writer: Writer, kernel: Kernel) -> str:
    """The name of a kernel's function, written the first time it is met."""
    name = writer.kernels.get(kernel.key())
    if name is None:
        name = writer.kernels[kernel.key()] = f"kernel{len(writer.kernels)}"
        emit_kernel(writer.function.module, kernel, name)
    return name


def _emit_host(scope: Scope, step: HostStep) -> None:
    """Call the host; leave the program if it failed."""
    writer, f = scope.writer, scope.writer.function
    number = len(writer.host_calls)
    views = (*step.reads, *step.writes)
    writer.host_calls.append(HostCall(
        step.node.op, step.node.attrs, step.node.types,
        tuple(v.type for v in step.node.outputs), step.node.where))
    for i, view in enumerate(views):
        f.store(scope.dense(view), f.gep(writer.arguments, i, "ptr"))
    program = f.load(writer.context, "i64")
    status = f.call(HOST, "i32", [program, f.const("i64", number), writer.arguments])
    assert status is not None
    f.branch(f.compare("ne", status, 0), f.ret)


def _emit_gemm(scope: Scope, step: GemmStep) -> None:
    """Copy the descriptor to the stack, fill in the addresses, call the library."""
    writer, f = scope.writer, scope.writer.function
    gemm = gemm_of(step)
    words = gemm.words(pool.threads())
    if writer.descriptor is None:
        writer.descriptor = f.alloca("i64", Word.COUNT, align=64)
    writer.copy(writer.descriptor, writer.data(words.tobytes()), words.nbytes)
    for word, view in ((Word.A, step.a), (Word.B, step.b), (Word.C, step.c)):
        f.store(scope.address(view), f.gep(writer.descriptor, word, "i64"))
    offset, _ = scope.layout.rooms[step]
    f.call(gemm_symbol(gemm.dtype), "void", [writer.descriptor, scope.spare(offset)()])


_EMIT: dict[type, Callable[[Scope, Any], None]] = {
    LoopStep: _emit_loop,
    HostStep: _emit_host,
    GemmStep: _emit_gemm,
    ScanStep: lambda scope, step: emit_scan(scope, step, emit_plan),
    WhileStep: lambda scope, step: emit_while(scope, step, emit_plan),
    CaseStep: lambda scope, step: emit_case(scope, step, emit_plan),
}
