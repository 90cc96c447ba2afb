"""What this machine can do: operations and bytes a second, measured once and kept on disk.

Each figure is the best of several short runs on all threads of the pool: of multiplications with
additions on registers alone, and of reading data that fit the first cache, the second, ..., none.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import json
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from arraylib.backends.cpu import kept, objects, pool, pool_code, target
from arraylib.backends.cpu.block import Block
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.reports.cost import Limits

_SIZES = (16 << 10, 256 << 10, 768 << 10, 4 << 20, 12 << 20, 64 << 20)  # bytes for each thread
_TURNS = 1 << 14  # of the loop of operations
_BYTES = 16 << 20  # to read in a run, at least
_SUMS = 12  # independent: more than an instruction's latency, fewer than registers
_ROUNDS, _SECONDS = 5, 0.06  # runs of each kind, at least: the best of them counts
_FLOATS = {4: "float", 8: "double"}


def limits() -> Limits:
    """The limits for the current target and number of threads."""
    return _limits(target.fingerprint(), pool.threads())


@functools.cache
def _limits(fingerprint: str, threads: int) -> Limits:
    facts = f"limits 2 {fingerprint} {threads} {platform.node()} {platform.processor()}"
    key = hashlib.blake2b(facts.encode(), digest_size=20).hexdigest()
    stored = objects.load(key)
    if stored is None:
        stored = json.dumps(_measured(threads)).encode()
        objects.store(key, stored)
    found = json.loads(stored)
    return Limits(threads, {int(size): rate for size, rate in found["flops"].items()},
                  tuple((size, rate) for size, rate in found["bandwidth"]))


def _measured(threads: int) -> dict[str, Any]:
    entries = _entries()
    words = np.array([0, 0, 0, threads])

    def best(name: str, amount: int, run: int, base: int = 0, turns: int = 0) -> float:
        words[:3] = base, run, turns
        return threads * amount / _shortest(lambda: entries[name](words.ctypes.data))

    lanes = target.vector_bytes()
    flops = {size: best(f"flops{size}", 2 * _SUMS * _TURNS * lanes // size, _TURNS)
             for size in _FLOATS}
    bandwidth = []
    for size in _SIZES:
        block, turns = Block(threads * size), max(1, _BYTES // size)
        ctypes.memset(block.address, 0, threads * size)  # pages that nobody wrote are one page
        rate = best("read", size * turns, size, block.address, turns)
        bandwidth.append((threads * size, rate))
    # What is nearer is never slower: a smaller figure there is the noise of a busy machine.
    for i in reversed(range(len(bandwidth) - 1)):
        bandwidth[i] = bandwidth[i][0], max(bandwidth[i][1], bandwidth[i + 1][1])
    return {"flops": flops, "bandwidth": bandwidth}


def _shortest(run: Callable[[], None]) -> float:
    times = list[float]()
    while len(times) < _ROUNDS or sum(times) < _SECONDS:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def _entries() -> dict[str, Any]:
    """Functions of the address of the words: base, amount for each thread, turns, threads."""
    module = target.new_module()
    for size, element in _FLOATS.items():
        _write_flops(module, f"flops{size}", f"<{target.vector_bytes() // size} x {element}>")
    _write_read(module, "read", f"<{target.vector_bytes() // 4} x float>")
    names = [function.name for function in module.functions if not function.internal]
    addresses = target.link([kept.compiled(module.text())], names, pool.symbols())
    return {name: ctypes.CFUNCTYPE(None, ctypes.c_void_p)(addresses[name]) for name in names}


def _write_flops(module: Module, name: str, type: str) -> None:
    """Chains of x * a + b that do not depend on one another."""
    f = _kernel(module, name)
    words, _ = f.args
    turns = f.load(f.gep(words, 1, "i64"), "i64")
    start = [f.const(type, float(i)) for i in range(_SUMS)]
    a, b = f.const(type, 0.5), f.const(type, 1.0)
    sums = f.loop(0, turns, 1, start, lambda _, carried: [f.fma(x, a, b) for x in carried])
    _keep(f, sums)


def _write_read(module: Module, name: str, type: str) -> None:
    """Sums over a stretch of memory of the chunk's own, again and again."""
    f = _kernel(module, name)
    words, chunk = f.args
    base, size, turns = (f.load(f.gep(words, i, "i64"), t)
                         for i, t in enumerate(("ptr", "i64", "i64")))
    first = f.gep(base, chunk * size, "i8")
    zero = [f.const(type, 0.0)] * 8
    width = target.vector_bytes()

    def part(index: Reg, carried: list[Reg]) -> list[Reg]:
        return [x + f.load(f.gep(first, index + i * width, "i8"), type)
                for i, x in enumerate(carried)]

    sums = f.loop(0, turns, 1, zero,
                  lambda _, carried: f.loop(0, size, 8 * width, carried, part))
    _keep(f, sums)


def _kernel(module: Module, name: str) -> Function:
    """A function that runs for each chunk, and the entry that starts one chunk a thread."""
    entry = Function(module, name, [("ptr", "words")], internal=False)
    words, = entry.args
    threads = entry.load(entry.gep(words, 3, "i64"), "i64")
    entry.call(pool_code.PARFOR, "void", [entry.address(f"{name}_chunk"), words, threads])
    entry.ret()
    return Function(module, f"{name}_chunk", [("ptr", "words"), ("i64", "chunk")])


def _keep(f: Function, sums: list[Reg]) -> None:
    """Use results in a way that no compiler can see through: a store that never happens."""
    total = sums[0]
    for each in sums[1:]:
        total = total + each
    f.branch(f.compare("oeq", f.extract(total, 0), -1.0), lambda: f.store(total, f.args[0]))
    f.ret()
