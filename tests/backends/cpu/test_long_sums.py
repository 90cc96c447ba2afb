"""Matrix products that are long sums with few results, taken in parts."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from arraylib import config, jit, numpy as jnp
from arraylib.backends.cpu import backend
from arraylib.backends.cpu.program import write_program
from arraylib.backends.lower import long_sums
from arraylib.backends.lower.plan import GemmStep, LoopStep
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops.reduction import dot_general


def graph_of(sizes, turned, dtype, batch=()):
    """a @ b, or a.T @ b."""
    m, k, n = sizes
    axes = tuple(range(len(batch)))
    last = len(batch)
    return trace_graph(
        [Type(dtype, (*batch, k, m) if turned else (*batch, m, k)), Type(dtype, (*batch, k, n))],
        lambda a, b: [dot_general(
            a, b, lhs_batching=axes, rhs_batching=axes, dtype=None,
            lhs_contracting=(last if turned else last + 1,), rhs_contracting=(last,))])


@settings(deadline=None, max_examples=20)
@given(st.tuples(st.integers(1, 9), st.integers(0, 40), st.integers(1, 9)), st.booleans(),
       st.sampled_from([np.float32, np.float64, np.int32, ml_dtypes.bfloat16]),
       st.sampled_from([(), (1,), (2,)]))
def test_parts_give_what_the_interpreter_gives(sizes, turned, dtype, batch):
    graph = graph_of(sizes, turned, np.dtype(dtype), batch)
    rng = np.random.default_rng(sizes)  # small integers, so that sums are exact
    arrays = [rng.integers(-2, 3, t.shape).astype(t.dtype) for t in graph.input_types]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_sums, "LEAST_STEPS", 2)
        plan = backend.lowered(graph)
    (found,) = backend.build(write_program(plan)).run(arrays)
    np.testing.assert_array_equal(np.asarray(found), interpret(graph, arrays)[0])


def test_only_long_sums_with_few_results_are_taken_in_parts():
    def kinds(*sizes, dtype=np.float32, batch=()):
        graph = graph_of(sizes, True, np.dtype(dtype), batch)
        return [type(step) for step in backend.lowered(graph).steps]

    assert kinds(64, 4096, 64) == [GemmStep, LoopStep]
    assert kinds(1, 4096, 1) == [GemmStep, LoopStep]
    assert kinds(64, 4099, 64) == kinds(64, 512, 64) == kinds(256, 4096, 256) == [GemmStep]
    assert kinds(64, 4096, 64, dtype=ml_dtypes.bfloat16) == [GemmStep]
    assert kinds(64, 4096, 64, batch=(2,)) == [GemmStep]


def test_long_sums_are_those_of_numpy_for_any_number_of_threads():
    rng, found = np.random.default_rng(0), []
    a, b = rng.standard_normal((9000, 40), np.float32), rng.standard_normal((9000, 33), np.float32)
    b[7, 3], b[8, 5] = np.nan, np.inf
    for threads in (1, 2, 5):
        with config.using(cpu_threads=threads):
            found.append(np.asarray(jit(lambda a, b: jnp.tanh(a.T @ b / 100))(a, b)))
    expected = np.tanh(a.T.astype(np.float64) @ b.astype(np.float64) / 100)
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-5)
    for each in found[1:]:
        np.testing.assert_array_equal(each, found[0])
