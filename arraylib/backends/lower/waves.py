"""Waves: small kernels that have nothing to do with one another run as one parallel step.

Optimizers update a hundred arrays, most of them small: each alone is not worth a second thread,
and all together are. A kernel joins the last wave if it depends on nothing in it. One that gives
results moves forward to it, past steps that it has nothing to do with; others stay where they are,
since what they make would take up memory for longer.
"""

from __future__ import annotations

from collections.abc import Sequence

from arraylib.backends.lower.order import reads, writes
from arraylib.backends.lower.plan import Buffer, LoopStep, Step, WaveStep
from arraylib.record import field, record

MOST_WORK = 1 << 18  # of one kernel: a longer one has enough to do for all threads
LEAST_WORK = 1 << 16  # of a wave: less is done sooner by one thread
MOST_PARTS = 128
MOST_CHUNKS = 1024


def in_waves(steps: Sequence[Step], outputs: Sequence[Buffer]) -> tuple[Step, ...]:
    """The same steps, small kernels put together."""
    found: list[Step | _Wave] = []
    results = frozenset(outputs)
    wave = _Wave()
    for step in steps:
        if isinstance(step, LoopStep) and _is_small(step):
            if not wave.admits(step, results):
                wave = _Wave()
            if not wave.parts:
                found.append(wave)
            wave.add(step)
        else:
            found.append(step)
            wave.pass_by(step)
    return tuple([each for one in found
                  for each in (one.steps() if isinstance(one, _Wave) else (one,))])


def _is_small(step: LoopStep) -> bool:
    return 0 < step.chunks <= MOST_CHUNKS // 8 and step.work < MOST_WORK \
        and not step.kernel.copies and not step.scratch


@record(frozen=False, eq=False)
class _Wave:
    """A wave being formed, and what it and the steps that passed by it touch."""

    parts: list[LoopStep] = field(default_factory=list)
    chunks: int = 0
    read: set[Buffer] = field(default_factory=set)
    written: set[Buffer] = field(default_factory=set)
    passed: set[Buffer] = field(default_factory=set)  # what later steps read
    is_last: bool = True  # no other step has passed by

    def admits(self, step: LoopStep, results: frozenset[Buffer]) -> bool:
        """Whether a step may run in the wave."""
        if len(self.parts) >= MOST_PARTS or self.chunks + step.chunks > MOST_CHUNKS:
            return False
        out, into = ({view.buffer for view in views} for views in (step.writes, step.reads))
        if not self.is_last:
            # Where it is, its results might take over the memory of an operand.
            sizes = {buffer.type.nbytes for buffer in out}
            if not out <= results or any(
                    buffer.type.nbytes in sizes for buffer in into & self.passed):
                return False
        return out.isdisjoint(self.read) and out.isdisjoint(self.written) \
            and self.written.isdisjoint(into)

    def add(self, step: LoopStep) -> None:
        self.parts.append(step)
        self.chunks += step.chunks
        self._note(step)

    def pass_by(self, step: Step) -> None:
        """Another step comes after the wave."""
        self.is_last = False
        self.passed.update(view.buffer for view in reads(step))
        self._note(step)

    def _note(self, step: Step) -> None:
        self.read.update(view.buffer for view in reads(step))
        self.written.update(view.buffer for view in writes(step))

    def steps(self) -> Sequence[Step]:
        """One step, or each part by itself where that is better."""
        if len(self.parts) < 2 or sum(part.work for part in self.parts) < LEAST_WORK:
            return self.parts
        return [wave_step(self.parts)]


def wave_step(parts: Sequence[LoopStep]) -> WaveStep:
    """The step that runs these, which do not depend on one another."""
    pairs: set[tuple[int, int]] = set()
    read = written = 0
    for part in parts:
        pairs.update((written + i, read + j) for i, j in part.in_place)
        read, written = read + len(part.reads), written + len(part.writes)
    return WaveStep(
        tuple(parts), tuple([view for part in parts for view in part.reads]),
        tuple([view for part in parts for view in part.writes]), frozenset(pairs),
        tuple(dict.fromkeys(where for part in parts for where in part.where)))
