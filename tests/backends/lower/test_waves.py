"""Small kernels that have nothing to do with one another run together, and mean the same."""

import numpy as np
import pytest
from run_native import run_native
from run_plan import SUPPORTS, run_interpreted, run_plan

from arraylib import dtypes as dt
from arraylib.backends.lower import lower
from arraylib.backends.lower.plan import Buffer, LoopStep, WaveStep, whole
from arraylib.backends.lower.waves import in_waves
from arraylib.compile import run_compiled
from arraylib.config import config
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import constant as c, elementwise as ew, structured as st
from arraylib.tile.build import Builder

SIZES = (1, 7, 16, 300, 1024, 1025, 5000, 16384, 40001)


def updates(*arrays):
    """An optimizer's step on pairs of a parameter and its gradient."""
    found = []
    for x, g in zip(arrays[::2], arrays[1::2]):
        speed = ew.add(ew.multiply(x, c.full_like(x, 0.9)), g)
        found += [speed, ew.subtract(x, ew.divide(speed, ew.add(g, c.full_like(g, 2))))]
    return found


def graph_of_updates():
    types = [Type(dt.float32, (n,)) for n in SIZES for _ in range(2)]
    rng = np.random.default_rng(0)
    return trace_graph(types, updates), [rng.random(t.shape, np.float32) for t in types]


def test_updates_of_all_sizes_are_one_wave_of_two_kernels():
    graph, arrays = graph_of_updates()
    plan = lower(graph, SUPPORTS)
    (wave,) = plan.steps
    assert isinstance(wave, WaveStep) and len(wave.parts) == len(SIZES)
    assert len({part.kernel.key() for part in wave.parts}) == 2  # of one number, and of any length
    want = interpret(graph, arrays)
    for run_kernel in run_interpreted, run_native:
        for got, expected in zip(run_plan(plan, arrays, run_kernel), want, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_waves_as_machine_code_are_the_same_for_any_number_of_threads(threads):
    graph, arrays = graph_of_updates()
    with config.using(cpu_threads=threads):
        found = run_compiled(graph, arrays)
    for got, want in zip(found, interpret(graph, arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_kernels_of_several_kinds_share_a_wave():
    def function(x, y, z):
        return [ew.sine(x), ew.exponential(y), ew.negate(z), st.reduce_add(x, dimensions=(1,)),
                ew.tanh(st.transpose(y, permutation=(1, 0))), ew.sqrt(z)]

    types = [Type(dt.float32, shape) for shape in ((90, 100), (77, 130), (20000,))]
    graph = trace_graph(types, function)
    assert any(isinstance(step, WaveStep) and len(step.parts) > 2
               for step in lower(graph, SUPPORTS).steps)
    rng = np.random.default_rng(1)
    arrays = [rng.random(t.shape, np.float32) for t in types]
    for got, want in zip(run_compiled(graph, arrays), interpret(graph, arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-5)


def buffer():
    return Buffer(Type(dt.float32, (64,)))


def step(reads, writes, work=1 << 16):
    return LoopStep(Builder().kernel(), tuple(map(whole, reads)), tuple(map(whole, writes)), 1,
                    work=work)


def test_what_depends_on_a_wave_comes_after_it():
    x, y, a, b, out = (buffer() for _ in range(5))
    first, second, last = step([x], [a]), step([y], [b]), step([a, b], [out])
    wave, after = in_waves([first, second, last], [out])
    assert wave.parts == (first, second) and after is last


def test_only_results_move_past_other_steps():
    x, y, a, b, big, out = (buffer() for _ in range(6))
    first, long = step([x], [a]), step([x], [big], 1 << 20)
    second, last = step([y], [b]), step([a, b, big], [out])
    assert in_waves([first, long, second, last], [out]) == (first, long, second, last)
    wave, *rest = in_waves([first, long, second, last], [b, out])
    assert wave.parts == (first, second) and rest == [long, last]


def test_what_may_take_over_an_operand_does_not_pass_its_readers():
    x, y, a, big, out = (buffer() for _ in range(5))
    first, long, update = step([x], [a]), step([y], [big], 1 << 20), step([y], [out])
    assert in_waves([first, long, update], [a, big, out]) == (first, long, update)


def test_every_writer_comes_before_its_readers_in_random_plans():
    rng = np.random.default_rng(0)
    for _ in range(50):
        pool, steps = [buffer() for _ in range(3)], []
        for _ in range(20):
            reads = [pool[i] for i in rng.integers(len(pool), size=2)]
            again = rng.random() < 0.2  # it changes what is there
            writes = [pool[rng.integers(3, len(pool))]] if again and len(pool) > 3 else [buffer()]
            steps.append(step(reads, writes, 1 << int(rng.integers(14, 20))))
            pool += [] if again else writes
        results = [b for b in pool if rng.random() < 0.5]
        found = in_waves(steps, results)
        order = [part for s in found for part in getattr(s, "parts", (s,))]
        assert sorted(map(id, order)) == sorted(map(id, steps))
        place = {each: i for i, s in enumerate(found) for each in getattr(s, "parts", (s,))}
        for i, early in enumerate(steps):
            for late in steps[i + 1:]:
                mine, others = ({v.buffer for v in s.writes} for s in (early, late))
                if mine & {v.buffer for v in late.reads} or mine & others \
                        or others & {v.buffer for v in early.reads}:
                    assert place[early] < place[late]
