"""The order of steps: what ends in a result runs as soon as it can.

A program that trains computes all gradients and then all updates, because that is how it is
written. Here each update runs right after its gradient, which is still in the cache then, and whose
memory is free for what follows. A step moves forward only past steps that it has nothing to do
with, and not past those that read an input whose memory it might take over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from arraylib.backends.lower.plan import Buffer, GemmStep, LoopStep, Prologue, Step, View


def hastened(steps: Sequence[Step], inputs: Sequence[Buffer],
             outputs: Sequence[Buffer]) -> tuple[Step, ...]:
    """The same steps, those that only write outputs moved forward as far as they may be."""
    results, given = set(outputs), set(inputs)
    writers = Counter(view.buffer for step in steps for view in writes(step))
    written: dict[Buffer, int] = {}  # by which step last
    read: dict[Buffer, int] = {}
    keys: list[tuple[int, int]] = []
    for number, step in enumerate(steps):
        after = number
        if isinstance(step, LoopStep) and all(
                view.buffer in results and writers[view.buffer] == 1 for view in step.writes):
            sizes = {view.buffer.type.nbytes for view in step.writes}
            after = max([-1, *(written.get(view.buffer, -1) for view in step.reads),
                         *(read.get(view.buffer, -1) for view in step.reads
                           if view.buffer in given and view.buffer.type.nbytes in sizes)])
        keys.append((after, number))
        written.update((view.buffer, number) for view in writes(step))
        read.update((view.buffer, number) for view in reads(step))
    # A step at its own place comes before those that wait for it, whose numbers are higher.
    return tuple([steps[number] for _, number in sorted(keys)])


def reads(step: Step) -> tuple[View, ...]:
    """What a step reads."""
    if not isinstance(step, GemmStep):
        return step.reads
    return tuple([view for operand, made in zip((step.a, step.b), step.prologues)
                  for view in (made.reads if made else (operand,))])


def prologues(step: Step) -> tuple[Prologue, ...]:
    """What a step computes of its operands while it packs them."""
    return tuple([made for made in step.prologues if made]) if isinstance(step, GemmStep) else ()


def writes(step: Step) -> tuple[View, ...]:
    """What a step writes."""
    return (step.c,) if isinstance(step, GemmStep) else step.writes
