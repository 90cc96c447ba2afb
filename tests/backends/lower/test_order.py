"""Steps that end in results run early, and never before what they wait for."""

import numpy as np

from arraylib import dtypes as dt
from arraylib.backends.lower.order import hastened
from arraylib.backends.lower.plan import Buffer, LoopStep, whole
from arraylib.hlo.ir import Type


def buffer(size=16):
    return Buffer(Type(dt.float32, (size,)))


def step(reads, writes):
    return LoopStep(None, tuple(map(whole, reads)), tuple(map(whole, writes)), 1)


def test_updates_follow_their_gradients():
    x, w1, w2, g1, g2, new1, new2 = (buffer() for _ in range(7))
    first, second = step([x], [g1]), step([g1], [g2])
    update1, update2 = step([w1, g1], [new1]), step([w2, g2], [new2])
    found = hastened([first, second, update1, update2], [x, w1, w2], [new1, new2])
    assert found == (first, update1, second, update2)


def test_an_input_that_is_still_read_may_not_be_taken_over():
    x, w, g, h, new, out = (buffer() for _ in range(6))
    gradient, later, update = step([x], [g]), step([w, g], [h]), step([w, g], [new])
    last = step([h], [out])
    assert hastened([gradient, later, last, update], [x, w], [new, out]) == (
        gradient, later, last, update)
    small = buffer(1)  # cannot hold the result
    later = step([small, g], [h])
    update = step([small, g], [new])
    assert hastened([gradient, later, update], [x, small], [new])[:2] == (gradient, update)


def test_all_writers_come_first_in_random_plans():
    rng = np.random.default_rng(0)
    for _ in range(200):
        inputs = [buffer() for _ in range(3)]
        buffers, steps = list(inputs), []
        for _ in range(12):
            new = buffer()
            steps.append(step([buffers[i] for i in rng.integers(0, len(buffers), 2)], [new]))
            if rng.random() < 0.2:  # a second step writes into it
                steps.append(step([buffers[rng.integers(0, len(buffers))]], [new]))
            buffers.append(new)
        outputs = [b for b in buffers[3:] if rng.random() < 0.4]
        found = hastened(steps, inputs, outputs)
        assert sorted(map(id, found)) == sorted(map(id, steps))
        place = {s: i for i, s in enumerate(found)}
        for i, late in enumerate(steps):
            needs = {v.buffer for v in (*late.reads, *late.writes)}
            for early in steps[:i]:
                if needs & {v.buffer for v in early.writes}:
                    assert place[early] < place[late]
