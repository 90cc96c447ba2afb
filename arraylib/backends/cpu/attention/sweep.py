"""The loop that sweeps over a block: two turns at a time, for processors to overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from arraylib.backends.cpu.emitter import Function, Reg

_UNROLL = 2


def unrolled(f: Function, end: Reg, start: Sequence[Reg],
             turn: Callable[[Reg, list[Reg]], list[Reg]]) -> list[Reg]:
    """The numbers that `turn(i, numbers)` makes of `start`, for i from 0 to `end`."""
    def several(i: Reg, numbers: list[Reg]) -> list[Reg]:
        for k in range(_UNROLL):
            numbers = turn(i + k if k else i, numbers)
        return numbers

    whole = end & -_UNROLL
    numbers = f.loop(0, whole, _UNROLL, list(start), several)
    return f.loop(whole, end, 1, numbers, turn)
