"""The code of a wave: one function for the pool that runs chunks of many kernels.

The kernels' arguments lie one after another. A *turn* is a few chunks, of one kernel or several,
that are together worth a thread's while; constant tables say which.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from arraylib.backends.cpu.emitter import Function, Reg
from arraylib.backends.cpu.writer import Scope, Shared
from arraylib.backends.lower.plan import Buffer, LoopStep, View, WaveStep

TURN = 1 << 14  # elementary operations


def words_of(step: LoopStep) -> int:
    """How many words the arguments of a kernel take."""
    has_extent = step.kernel.extent is not None
    return len(step.reads) + len(step.writes) + len(step.scratch) + has_extent


def put_arguments(scope: Scope, step: LoopStep, start: int = 0) -> None:
    """Write what a kernel is called with, from word `start` of the arguments on."""
    f = scope.function
    places: list[View | Buffer] = [*step.reads, *step.writes, *step.scratch]
    arguments = scope.put(places, start)
    if step.kernel.extent is not None:
        f.store(f.const("i64", step.extent), f.gep(arguments, len(places), "i64"))


def write_wave(shared: Shared, step: WaveStep, names: Sequence[str]) -> tuple[str, int]:
    """Add the function of a wave whose kernels have these names; also gives its turns."""
    kinds = list(dict.fromkeys(names))
    rows, starts = _turns(step, [kinds.index(name) for name in names])
    name = f"wave{shared.waves}"
    shared.waves += 1
    f = Function(shared.module, name, [("ptr", "args"), ("i64", "turn")])
    arguments, turn = f.args
    table, bounds = (f.address(shared.data(np.array(x, np.int64).tobytes()))
                     for x in (rows, starts))
    low, high = (f.load(f.gep(bounds, turn + i, "i64"), "i64") for i in (0, 1))

    def run(index: Reg, carried: list[Reg]) -> None:
        kind, first, chunk = (f.load(f.gep(table, index * 3 + i, "i64"), "i64") for i in range(3))
        given = f.gep(arguments, first, "ptr")
        _call(f, kinds, kind, [given, chunk])

    f.loop(low, high, 1, [], run)
    f.ret()
    return name, len(starts) - 1


def _turns(step: WaveStep, kinds: Sequence[int]) -> tuple[list[tuple[int, int, int]], list[int]]:
    """Rows (kind of kernel, first word of its arguments, chunk), and where turns begin and end."""
    rows: list[tuple[int, int, int]] = []
    starts, filled, word = [0], 0.0, 0
    for kind, part in zip(kinds, step.parts, strict=True):
        for chunk in range(part.chunks):
            rows.append((kind, word, chunk))
            filled += part.work / part.chunks
            if filled >= TURN:
                starts.append(len(rows))
                filled = 0.0
        word += words_of(part)
    if starts[-1] != len(rows):
        starts.append(len(rows))
    return rows, starts


def _call(f: Function, names: Sequence[str], kind: Reg, arguments: Sequence[Reg]) -> None:
    """Call one of several functions, by number."""
    if len(names) == 1:
        f.call(names[0], "void", arguments)
        return
    middle = len(names) // 2
    f.branch(f.compare("slt", kind, middle),
             lambda: _call(f, names[:middle], kind, arguments),
             lambda: _call(f, names[middle:], kind - middle, arguments))
