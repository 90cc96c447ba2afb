"""Kernels of the kernel IR made by hand, run in the interpreter and as machine code."""

import ctypes

import numpy as np

from arraylib.backends.cpu import target
from arraylib.backends.cpu.kernel import emit_kernel
from arraylib.tile import interpret
from arraylib.tile.build import Builder
from arraylib.tile.ir import READ, WRITE, Index, index


def lanes_kernel(dtypes, count, body, results, **facts):
    """A kernel with one nest of lanes: `body(builder, lane, *reads)` gives (value, index) pairs."""
    b = Builder()
    reads = [b.pointer(np.dtype(d), READ) for d in dtypes]
    writes = [b.pointer(np.dtype(d), WRITE) for d in results]
    (lane,) = b.open(1)
    for pointer, (value, place) in zip(writes, body(b, index(lane), *reads), strict=True):
        b.store(pointer, place, value)
    b.close([Index()], [Index(count)], lanes=True, multiple=count, **facts)
    return b.kernel()


def run_both(kernel, reads, writes, chunks=1):
    """The arrays written by the interpreter, and by machine code."""
    found = []
    for run in (_interpreted, _native):
        outs = [_copied(w) for w in writes]
        run(kernel, [*reads, *outs], chunks)
        found.append(outs)
    return found


def _copied(array):
    """A copy that begins as far from a cache line's start as the array does."""
    start = array.ctypes.data % 64
    room = np.zeros(array.nbytes + 128, np.uint8)
    first = (start - room.ctypes.data) % 64
    found = room[first:first + array.nbytes].view(array.dtype)
    found[:] = array
    return found


def _interpreted(kernel, arrays, chunks):
    for chunk in range(chunks):
        interpret.run(kernel, [(a.reshape(-1), 0) for a in arrays], chunk)


def _native(kernel, arrays, chunks):
    module = target.new_module()
    emit_kernel(module, kernel, "kernel", internal=False)
    address = target.link([target.compile_object(module.text())], ["kernel"])["kernel"]
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(address)
    places = np.array([a.ctypes.data for a in arrays], np.uint64)
    for chunk in range(chunks):
        function(places.ctypes.data, chunk)
