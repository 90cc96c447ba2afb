"""Stretches of a plan that are the same steps again and again, on other buffers each time.

The layers of a network are such stretches: fused, they are the same kernels and products in the
same order. Each time is a *turn*. Code is written for the first turn only, and a loop runs it with
the addresses of each. Which steps there are was decided before, so nothing is fused otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from itertools import groupby, pairwise
from typing import Any

from arraylib.backends.lower.order import reads, writes
from arraylib.backends.lower.plan import (
    AttentionStep,
    Buffer,
    ConvolutionStep,
    GemmStep,
    LoopStep,
    Step,
    WaveStep,
)
from arraylib.record import record

LEAST_TURNS = 3
LEAST_SAVED = 16  # steps for which no code is written
_CANDIDATES = 4  # lengths of a turn that are tried
_SMALL = 64  # bytes of constants that are told apart by content
_PLAIN = frozenset((bool, int, float, str, type(None)))

Joins = Callable[[Step, Step], bool]


@record
class Stretch:
    """Steps from `start` on: `turns` times `period` of them, or `period` steps if that is 1."""

    start: int
    period: int
    turns: int = 1

    @property
    def end(self) -> int:
        """The number of the step after the last."""
        return self.start + self.period * self.turns


def stretches(steps: Sequence[Step], joins: Joins) -> list[Stretch]:
    """All steps in order, cut where turns begin and end.

    `joins` says whether code for two steps in a row is written together. No cut is between such.
    """
    found: list[Stretch] = []
    for each in _repeated(steps, joins):
        done = found[-1].end if found else 0
        if each.start > done:
            found.append(Stretch(done, each.start - done))
        found.append(each)
    done = found[-1].end if found else 0
    return found if done == len(steps) and found else [*found, Stretch(done, len(steps) - done)]


def _repeated(steps: Sequence[Step], joins: Joins) -> list[Stretch]:
    """The stretches of several turns, in order."""
    if len(steps) < LEAST_SAVED:
        return []
    numbers: dict[Hashable, int] = {}
    kinds = [numbers.setdefault(_form([step]), len(numbers)) for step in steps]
    found: list[Stretch] = []
    for period in _periods(kinds):
        for start, end in _runs(kinds, period):
            found += _turns(steps, joins, start, end, period)
    chosen: list[Stretch] = []
    for each in sorted(found, key=lambda one: (-one.period * (one.turns - 1), one.start)):
        if all(each.end <= other.start or other.end <= each.start for other in chosen):
            chosen.append(each)
    return sorted(chosen, key=lambda one: one.start)


def _periods(kinds: Sequence[int]) -> list[int]:
    """The commonest distances from a step to the last one of its kind."""
    last: dict[int, int] = {}
    votes: Counter[int] = Counter()
    for i, kind in enumerate(kinds):
        if kind in last:
            votes[i - last[kind]] += 1
        last[kind] = i
    return [period for period, _ in votes.most_common(_CANDIDATES)]


def _runs(kinds: Sequence[int], period: int) -> list[tuple[int, int]]:
    """Where steps begin and end to be of the same kinds as those a period later, with these."""
    same = [a == b for a, b in zip(kinds, kinds[period:])]
    found, at = [], 0
    for equal, group in groupby(same):
        count = len(list(group))
        if equal and count >= period * (LEAST_TURNS - 1):
            found.append((at, at + count + period))
        at += count
    return found


def _turns(steps: Sequence[Step], joins: Joins, start: int, end: int,
           period: int) -> list[Stretch]:
    """The stretches in a run whose turns are equal in how their steps are wired, too."""
    while start < end and start and joins(steps[start - 1], steps[start]):
        start += 1
    forms = [_form(steps[at:at + period], joins) for at in range(start, end - period + 1, period)]
    found = []
    for _, group in groupby(forms):
        turns = len(list(group))
        stop = start + turns * period
        whole = turns - (stop < len(steps) and joins(steps[stop - 1], steps[stop]))
        if whole >= LEAST_TURNS and period * (whole - 1) >= LEAST_SAVED:
            found.append(Stretch(start, period, whole))
        start = stop
    return found


# -- forms -----------------------------------------------------------------------------------------


def _form(steps: Sequence[Step], joins: Joins | None = None) -> Hashable:
    """What the code of these steps depends on but for addresses; unique where that is not known."""
    numbers: dict[Buffer, int] = {}
    form: list[Hashable] = []
    for step in steps:
        facts = _facts(step)
        if facts is None:
            return object()
        form.append(facts)
        for view in (*reads(step), *writes(step)):
            form += (_number(view.buffer, numbers), view.dtype, view.shape, view.strides,
                     view.offset)
        form += [_number(buffer, numbers) for buffer in _scratch(step)]
    if joins:
        form += [joins(*pair) for pair in pairwise(steps)]
    return tuple(form)


def _number(buffer: Buffer, numbers: dict[Buffer, int]) -> Hashable:
    """A buffer by the number of its first use; a constant by what it is."""
    if buffer.constant is None:
        return numbers.setdefault(buffer, len(numbers))
    if buffer.type.nbytes <= _SMALL:
        return buffer.type, buffer.constant.tobytes()
    return "constant", id(buffer)


def _facts(step: Step) -> Hashable:
    """What there is to know of a step beside its buffers; None of one that is never repeated."""
    if isinstance(step, WaveStep):
        return WaveStep, *map(_loop, step.parts)
    rule = _FACTS.get(type(step))
    return rule and rule(step)


def _loop(step: LoopStep) -> Hashable:
    # Kernels of one plan that are equal are one object.
    return (id(step.kernel), step.chunks, step.work, step.extent, step.span, step.along,
            len(step.reads), len(step.writes))


def _gemm(step: GemmStep) -> Hashable:
    made = [each and (id(each.kernel), each.inner, len(each.reads)) for each in step.prologues]
    operands = [(view.dtype, view.shape, view.strides) for view in (step.a, step.b)]
    return GemmStep, step.accumulate, step.panels, *made, *operands


def _attention(step: AttentionStep) -> Hashable:
    attrs = step.node.attrs
    if not all(value.__class__ in _PLAIN for value in attrs.values()):
        return None
    return (AttentionStep, step.backward, repr(sorted(attrs.items())), len(step.reads),
            len(step.writes))


_FACTS: dict[type, Callable[[Any], Hashable]] = {
    LoopStep: _loop,
    GemmStep: _gemm,
    ConvolutionStep: lambda step: (ConvolutionStep, step.stride, step.dilation, step.low),
    AttentionStep: _attention,
}


def _scratch(step: Step) -> tuple[Buffer, ...]:
    return step.scratch if isinstance(step, LoopStep) else ()


def buffers_of(steps: Sequence[Step]) -> list[Buffer]:
    """The buffers of a turn that have addresses, in the order of their first use."""
    found: dict[Buffer, None] = {}
    for step in steps:
        found.update((view.buffer, None) for view in (*reads(step), *writes(step)))
        found.update(dict.fromkeys(_scratch(step)))
    return [buffer for buffer in found if buffer.constant is None]
