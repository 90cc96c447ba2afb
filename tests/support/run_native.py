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
                       for v in views], np.uint64)
    for chunk in reversed(range(step.chunks)):
        function(places.ctypes.data, chunk)
