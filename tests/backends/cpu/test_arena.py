"""Buffers share memory only when they are not alive together."""

import random
from itertools import pairwise

import pytest

from arraylib import dtypes as dt
from arraylib.backends.cpu.arena import ALIGNMENT, find_lifetimes, layout, same_size_first
from arraylib.backends.lower.plan import Buffer, HostStep, LoopStep, Plan, whole
from arraylib.hlo.ir import Type


def buffer(size):
    return Buffer(Type(dt.float32, (size,)))


def loop(reads, writes, in_place=(), scratch=()):
    """A step whose kernel is never looked at."""
    return LoopStep(None, tuple(map(whole, reads)), tuple(map(whole, writes)), 1, tuple(scratch),
                    frozenset(in_place))


def chain(sizes, in_place=()):
    """x -> buffers of these sizes one after another -> the last, which is the output."""
    buffers = [buffer(size) for size in sizes]
    steps = [loop([a], [b], in_place) for a, b in pairwise(buffers)]
    return Plan((buffers[0],), (buffers[-1],), tuple(steps)), buffers


def test_a_chain_needs_two_buffers():
    plan, _ = chain([16] * 10)
    assert layout(plan).nbytes == 2 * 64


def test_in_place_a_chain_needs_one():
    plan, _ = chain([16] * 10, in_place={(0, 0)})
    assert layout(plan).nbytes == 64


def test_inputs_outputs_and_constants_are_not_in_the_arena():
    plan, buffers = chain([16, 16, 16])
    assert list(layout(plan).offsets) == [buffers[1]]


def test_the_smallest_hole_that_fits_is_taken():
    x, a, b, c, d, e, out = (buffer(n) for n in (16, 64, 16, 32, 16, 32, 16))
    steps = (loop([x], [a]), loop([x], [b]), loop([x], [c]), loop([x], [d]),  # four side by side
             loop([a, c], []),  # two holes: of 64 and of 32
             loop([x], [e]), loop([b, d, e], [out]))
    offsets = layout(Plan((x,), (out,), steps)).offsets
    assert offsets[e] == offsets[c]


def test_a_value_read_in_another_way_is_not_overwritten():
    x, a, b, out = (buffer(16) for _ in range(4))
    plan = Plan((x,), (out,), (loop([x], [a]), loop([a, a], [b], {(0, 0)}), loop([b], [out])))
    places = layout(plan)
    assert places.offsets[a] != places.offsets[b]


def test_scratch_is_apart_from_what_the_step_touches():
    x, a, s, out = (buffer(16) for _ in range(4))
    plan = Plan((x,), (out,), (loop([x], [a]), loop([a], [out], scratch=[s])))
    places = layout(plan)
    assert places.offsets[a] != places.offsets[s]


@pytest.mark.parametrize("seed", range(20))
def test_random_plans(seed):
    """Buffers alive at the same step do not overlap, unless one is written over the other."""
    chance = random.Random(seed)
    x = buffer(32)
    known, steps = [x], []
    for _ in range(60):
        reads = chance.sample(known[-12:], min(len(known), chance.randint(1, 3)))
        new = buffer(chance.choice([0, 1, 8, 16, 32, 100, 1000]))
        steps.append(loop(reads, [new], {(0, 0)} if chance.random() < 0.5 else ()))
        known.append(new)
    plan = Plan((x,), (known[-1],), tuple(steps))
    places, lives = layout(plan), find_lifetimes(plan)
    for a, start in places.offsets.items():
        assert start % ALIGNMENT == 0 and start + a.type.nbytes <= places.nbytes
        for b, other in places.offsets.items():
            if a is b or lives.defined[a] > lives.defined[b] or not a.type.nbytes * b.type.nbytes:
                continue
            apart = start + a.type.nbytes <= other or other + b.type.nbytes <= start
            in_place = start == other and steps[lives.defined[b]].reads[0].buffer is a \
                and (0, 0) in steps[lives.defined[b]].in_place
            dead = lives.used[a] < lives.defined[b] or (
                lives.used[a] == lives.defined[b] and in_place)
            assert dead or apart, (a, b)


def test_a_donated_input_is_taken_over_when_it_is_dead():
    x, a, out = (buffer(16) for _ in range(3))
    wishes = same_size_first((x,), [0], (out,))
    late = Plan((x,), (out,), (loop([x], [a]), loop([a], [out])))
    assert layout(late, wishes).given == {0: 0}
    read_there = Plan((x,), (out,), (loop([x], [a]), loop([a, x], [out])))
    assert layout(read_there, wishes).given == {}
    written_over = Plan((x,), (out,), (loop([x], [a]), loop([a, x], [out], {(0, 1)})))
    assert layout(written_over, wishes).given == {0: 0}


def test_donated_inputs_go_to_outputs_of_their_own_type_first():
    x, y = Buffer(Type(dt.int32, (4,))), buffer(4)
    out, other = buffer(4), Buffer(Type(dt.int32, (2, 2)))
    assert same_size_first((x, y), [0, 1], (out, other))[0] == (1, 0)


def test_an_output_listed_twice_takes_memory_once():
    x, out = buffer(16), buffer(16)
    plan = Plan((x,), (out, out), (loop([x], [out], {(0, 0)}),))
    assert layout(plan, [(0, 1), (0, 0)]).given == {0: 0}


def test_results_of_the_host_are_never_in_place():
    x, a, b = (buffer(16) for _ in range(3))
    host = HostStep(None, (whole(a),), (whole(b),))
    out = buffer(16)
    places = layout(Plan((x,), (out,), (loop([x], [a]), host, loop([b], [out]))))
    assert places.offsets[a] != places.offsets[b]


def test_a_value_is_made_where_the_output_over_it_will_be():
    plan, (_, *values, out) = chain([16] * 6, in_place={(0, 0)})
    places = layout(plan, fresh=True)
    assert places.nbytes == 0 and places.lent == dict.fromkeys(values, out)
    assert layout(plan).lent == {}  # memory that may hold something else before


def test_memory_is_not_lent_while_it_is_needed():
    x, a, b, out = (buffer(16) for _ in range(4))
    last = loop([a], [out], {(0, 0)})
    later_read = Plan((x,), (out, b), (loop([x], [a]), last, loop([a], [b])))
    assert layout(later_read, fresh=True).lent == {}
    taken = Plan((x,), (out,), (loop([x], [a]), last))
    assert layout(taken, [(0, 0)], fresh=True).lent == {}  # x is in out's memory
    two = Plan((x,), (out,), (loop([x], [a]), loop([x], [b]),
                              loop([a, b], [out], {(0, 0), (0, 1)})))
    assert len(layout(two, fresh=True).lent) == 1
