"""Runs a plan in NumPy: kernels by the kernel IR's interpreter or by any other function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib.backends.lower import Supports
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
    View,
    WaveStep,
    WhileStep,
)
from arraylib.hlo.ops import TABLE
from arraylib.tile import interpret

Memory = dict[Buffer, np.ndarray[Any, Any]]
RunKernel = Callable[[LoopStep, Memory], None]

FLOATS = ("float16", "bfloat16", "float32", "float64")


def _plain(dtype: Any) -> bool:
    return dtype.kind in "biuf" or dtype.name == "bfloat16"


# All that NumPy has and that is not complex or 8 bits of float.
SUPPORTS = Supports(
    lambda op, operands, result: all(map(_plain, (*operands, result)))
    and (op in TABLE and TABLE[op].elementwise),
    lambda operand, result: operand == result and operand.name in FLOATS,
    lambda dtype: True)


def run_interpreted(step: LoopStep, memory: Memory) -> None:
    """The kernel in the interpreter, chunks from last to first: their order must not matter."""
    places = [(memory[v.buffer], v.offset) for v in (*step.reads, *step.writes)]
    for chunk in reversed(range(step.chunks)):
        interpret.run(step.kernel, places, chunk, step.extent)


def run_plan(plan: Plan, arrays: Sequence[Any],
             run_kernel: RunKernel = run_interpreted) -> list[Any]:
    """The outputs of a plan."""
    memory: Memory = {}
    for buffer, array in zip(plan.inputs, arrays, strict=True):
        assert array.dtype == buffer.type.dtype and array.shape == buffer.type.shape
        memory[buffer] = np.array(array).reshape(-1)
    _run(plan, memory, run_kernel)
    return [memory[b].reshape(b.type.shape) for b in plan.outputs]


def _run(plan: Plan, memory: Memory, run_kernel: RunKernel) -> None:
    for step in plan.steps:
        for view in (*reads(step), *writes(step)):
            _provide(view.buffer, memory)
        if isinstance(step, (LoopStep, WaveStep)):
            for part in reversed(step.parts) if isinstance(step, WaveStep) else [step]:
                run_kernel(part, memory)
        elif isinstance(step, GemmStep):
            _gemm(step, memory)
        elif isinstance(step, ConvolutionStep):
            _convolution(step, memory)
        else:
            operands = [array(v, memory) for v in step.reads]
            for view, result in zip(step.writes, _results(step, operands, run_kernel), strict=True):
                array(view, memory)[...] = result
    for buffer in plan.outputs:
        assert buffer in memory, "an output is written by no step"


def _provide(buffer: Buffer, memory: Memory) -> None:
    if buffer not in memory:
        constant = buffer.constant
        memory[buffer] = np.full(buffer.type.size, 77).astype(buffer.type.dtype) \
            if constant is None else np.array(constant).reshape(-1)


def array(view: View, memory: Memory) -> Any:
    """A view as a NumPy array."""
    flat = memory[view.buffer]
    item = flat.dtype.itemsize
    return np.lib.stride_tricks.as_strided(
        flat[view.offset:], view.shape, [s * item for s in view.strides])


def _gemm(step: GemmStep, memory: Memory) -> None:
    a, b = (array(view, memory) if made is None else _made(view, made, memory)
            for view, made in zip((step.a, step.b), step.prologues))
    c = array(step.c, memory)
    assert a.shape[:-2] == b.shape[:-2] == c.shape[:-2] and len(c.shape) <= 6
    assert step.c.strides[-1] == 1 or c.shape[-1] == 1
    assert all(s != 0 or n == 1 for n, s in zip(c.shape, step.c.strides))
    wide = np.result_type(np.float32, a.dtype) if a.dtype.itemsize < 4 else a.dtype
    product = np.matmul(a.astype(wide), b.astype(wide)).astype(c.dtype)
    c[...] = c + product if step.accumulate else product


def _made(operand: View, made: Prologue, memory: Memory) -> Any:
    """An operand of a product, a box of some lines at a time, in the interpreter."""
    *batch, rows, columns = operand.shape
    outer, inner = (rows, columns) if made.inner else (columns, rows)
    found = np.zeros((*batch, outer, inner), operand.dtype)
    places = [(memory[view.buffer], view.offset) for view in made.reads]
    for product, matrix in enumerate(found.reshape(-1, outer, inner)):
        for top, left in np.ndindex(-(-outer // 7), -(-inner // 40)):
            bottom, right = min(7 * top + 7, outer), min(40 * left + 40, inner)
            box = np.array([product, 7 * top, bottom, 40 * left, right, 41])
            strip = np.zeros(7 * 41, operand.dtype)
            interpret.run(made.kernel, [*places, (box, 0), (strip, 0)], 0)
            matrix[7 * top:bottom, 40 * left:right] = strip.reshape(7, 41)[
                :bottom - 7 * top, :right - 40 * left]
    return found if made.inner else found.swapaxes(-1, -2)


def _convolution(step: ConvolutionStep, memory: Memory) -> None:
    """Each window's products with each tap inside, from the step's definition."""
    x, w, c = (array(v, memory) for v in (*step.reads, *step.writes))
    assert step.reads[0].strides[-1] == 1 or step.reads[0].strides[1] == 1 or 1 in x.shape
    assert step.writes[0].strides[-1] == 1 or c.shape[-1] == 1
    c[...] = 0
    for q in np.ndindex(c.shape[2:-1]):
        for t in np.ndindex(w.shape[1:-2]):
            at = tuple(i * s + j * d - low for i, s, j, d, low in zip(
                q, step.stride, t, step.dilation, step.low))
            if all(0 <= i < n for i, n in zip(at, x.shape[2:-1])):
                c[(..., *q, slice(None))] += np.matmul(x[(..., *at, slice(None))],
                                                       w[(slice(None), *t)])


def _results(step: Any, reads: list[Any], run_kernel: RunKernel) -> Sequence[Any]:
    inner = lambda plan, xs: run_plan(plan, xs, run_kernel)
    if isinstance(step, (HostStep, AttentionStep)):
        return step.node.op.evaluate(reads, step.node.attrs)
    if isinstance(step, RoutineStep):
        return step.op.evaluate(reads, step.attrs)
    if isinstance(step, CaseStep):
        which = int(reads[0]) if 0 <= int(reads[0]) < len(step.branches) else -1
        return inner(step.branches[which], reads[1:])
    if isinstance(step, WhileStep):
        n, m = step.cond_consts, step.cond_consts + step.body_consts
        carry = reads[m:]
        while inner(step.cond, [*reads[:n], *carry])[0]:
            carry = inner(step.body, [*reads[n:m], *carry])
        return carry
    assert isinstance(step, ScanStep)
    return _scan(step, reads, inner)


def _scan(step: ScanStep, reads: list[Any], inner: Any) -> list[Any]:
    n, k = step.consts, step.consts + step.carry
    carry, ys = reads[n:k], [np.zeros(v.shape, v.dtype) for v in step.writes[step.carry:]]
    order = range(step.length)
    for i in reversed(order) if step.reverse else order:
        outs = inner(step.body, [*reads[:n], *carry, *(x[i] for x in reads[k:])])
        carry = outs[:step.carry]
        for y, value in zip(ys, outs[step.carry:]):
            y[i] = value
    return [*carry, *ys]
