"""Kernels of a plan compiled, linked and run chunk by chunk, without the thread pool."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np
from run_plan import SUPPORTS

from arraylib.backends.cpu import native, target
from arraylib.backends.cpu.kernel import emit_kernel
from arraylib.backends.lower import Supports
from arraylib.backends.lower.plan import LoopStep
from arraylib.tile.ir import Kernel

NATIVE = Supports(native.supports, SUPPORTS.gemm)


@functools.cache
def compiled(kernel: Kernel) -> Any:
    """The kernel as a callable `(args, chunk)`."""
    module = target.new_module()
    emit_kernel(module, kernel, "kernel", internal=False)
    address = target.link([target.compile_object(module.text())], ["kernel"])["kernel"]
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(address)


def run_native(step: LoopStep, memory: dict[Any, Any]) -> None:
    """All chunks, the last first."""
    function = compiled(step.kernel)
    views = (*step.reads, *step.writes)
    places = np.array([memory[v.buffer].ctypes.data + v.offset * v.dtype.itemsize
                       for v in views] + [step.extent], np.uint64)
    for chunk in reversed(range(step.chunks)):
        function(places.ctypes.data, chunk)


def run_over_operands(step: LoopStep, memory: dict[Any, Any]) -> None:
    """Like `run_native`, but also with each result laid over each operand it may replace."""
    before = {v.buffer: memory[v.buffer].copy() for v in (*step.reads, *step.writes)}
    run_native(step, memory)
    for i, j in step.in_place:
        old, new = step.reads[j].buffer, step.writes[i].buffer
        together = {buffer: array.copy() for buffer, array in before.items()}
        together[new] = together[old].view(new.type.dtype)
        run_native(step, together)
        np.testing.assert_array_equal(
            together[new].view(np.uint8), memory[new].view(np.uint8),
            err_msg=f"result {i} over operand {j}: {step.kernel.text}")
