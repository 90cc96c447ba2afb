"""Where the time of a compiled program goes, step by step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib.backends.cpu.block import Block, address_of, view
from arraylib.backends.cpu.plan_text import step_lines
from arraylib.backends.interface import Executable
from arraylib.backends.lower.plan import Plan
from arraylib.hlo.ir import Type


def measure(plan: Plan, timed: Executable, arrays: Sequence[Any], runs: int) -> str:
    """The steps of a plan, the longest first, with microseconds and shares, from a timed program.

    Of each step it is the shortest time in any of the runs.
    """
    inputs = [np.ascontiguousarray(x, t.dtype)
              for x, t in zip(arrays, timed.input_types, strict=True)]
    blocks = [Block(n) for n in timed.blocks]
    words = timed.pack(*map(address_of, inputs), *(b.address for b in blocks), timed.context)
    stamps = np.zeros((runs, len(plan.steps) + 1), np.int64)
    start = time.perf_counter()
    for row in stamps:
        timed.entry(words)
        row[:] = view(blocks[-1].address, Type(np.int64, row.shape), blocks[-1])
    seconds = time.perf_counter() - start
    ticks = max(1, stamps[-1, -1] - stamps[0, 0])
    return _table(np.diff(stamps).min(axis=0) * (1e6 * seconds / ticks), step_lines(plan))


def _table(microseconds: np.ndarray[Any, Any], lines: Sequence[str]) -> str:
    total = microseconds.sum()
    rows = [f"{microseconds[i]:9.1f} us {microseconds[i] / total:6.1%}  {lines[i]}"
            for i in np.argsort(-microseconds)]
    return "\n".join([f"{total:9.1f} us in {len(lines)} steps", *rows])
