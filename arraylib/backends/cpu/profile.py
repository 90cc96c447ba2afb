"""Where the time of a compiled program goes, step by step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib.backends.cpu.anatomy import Anatomy
from arraylib.backends.cpu.block import Block, address_of, view
from arraylib.backends.cpu.costs import by_step
from arraylib.backends.cpu.plan_text import step_lines
from arraylib.backends.interface import Executable
from arraylib.backends.lower.groups import kind
from arraylib.hlo.ir import Type
from arraylib.reports.profile import Profile, Timed


def measure(anatomy: Anatomy, timed: Executable, arrays: Sequence[Any], runs: int) -> Profile:
    """The times of a plan's steps, from a timed program run on these arrays."""
    inputs = [np.array(x, t.dtype, order="C")
              for x, t in zip(arrays, timed.input_types, strict=True)]
    blocks = [Block(n) for n in timed.blocks]
    words = timed.pack(*map(address_of, inputs), *(b.address for b in blocks), timed.context)
    stamps = np.zeros((runs, len(anatomy.plan.steps) + 1), np.int64)
    start = time.perf_counter()
    for row in stamps:
        timed.entry(words)
        row[:] = view(blocks[-1].address, Type(np.int64, row.shape), blocks[-1])
    seconds = time.perf_counter() - start
    ticks = max(1, stamps[-1, -1] - stamps[0, 0])
    return Profile(_steps(anatomy, stamps * (seconds / ticks)), runs)


def _steps(anatomy: Anatomy, stamps: np.ndarray[Any, Any]) -> tuple[Timed, ...]:
    """One entry for each step; `stamps` are the seconds at which steps began, by run."""
    shortest = stamps[np.argmin(stamps[:, -1] - stamps[:, 0])]
    starts, durations = shortest - shortest[0], np.diff(shortest)
    least = np.diff(stamps).min(axis=0)
    found = []
    for i, (step, text, roofline) in enumerate(zip(
            anatomy.plan.steps, step_lines(anatomy.plan), by_step(anatomy), strict=True)):
        found.append(Timed(f"{kind(step)} {i}", anatomy.ops(step), anatomy.lines(step),
                           text.partition("  # ")[0], float(least[i]), float(starts[i]),
                           float(durations[i]), roofline))
    return tuple(found)
