"""Groups that are equal but for their buffers or numbers share a kernel, and mean the same."""

import numpy as np
import pytest
from run_native import NATIVE, run_native
from run_plan import SUPPORTS, run_interpreted, run_plan

from arraylib import dtypes as dt
from arraylib.backends.lower import lower
from arraylib.backends.lower.plan import LoopStep
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import constant as c, elementwise as ew, structured as st
from arraylib.hlo.ops.control import optimization_barrier

HALVES = [dt.bfloat16, dt.float16, dt.float32, dt.float64]


def apart(x):
    """The same value, which no kernel computes together with what it was made of."""
    return optimization_barrier(x)[0]


def kernels(plan):
    return [step.kernel for step in plan.steps if isinstance(step, LoopStep)]


def check(graph, arrays, distinct, tolerance=1e-6):
    """The plan has so many different kernels, and means what the graph does."""
    assert len({kernel.key() for kernel in kernels(lower(graph, NATIVE))}) == distinct
    want = interpret(graph, arrays)
    for run_kernel, supports in (run_interpreted, SUPPORTS), (run_native, NATIVE):
        got = run_plan(lower(graph, supports), arrays, run_kernel)
        for each, expected in zip(got, want, strict=True):
            assert each.dtype == expected.dtype
            np.testing.assert_allclose(each.astype("f8"), expected.astype("f8"), rtol=tolerance)


def layers(x, *weights):
    """Sums of rows within groups; of two layers each reads another buffer first."""
    for i, w in enumerate(weights):
        h = ew.subtract(w, x) if i % 2 else ew.subtract(x, w)
        total = st.spread(st.reduce_add(h, dimensions=(1,)), h, (1,))
        x = apart(ew.subtract(ew.tanh(h), total))
    return [x]


def test_equal_layers_share_kernels_and_keep_their_lines():
    types = [Type(dt.float32, (6, 40))] * 7
    graph = trace_graph(types, layers)
    arrays = [np.random.default_rng(i).random(t.shape, np.float32) for i, t in enumerate(types)]
    check(graph, arrays, 1, 1e-4)
    steps = [step for step in lower(graph, NATIVE).steps if isinstance(step, LoopStep)]
    assert len({id(step.kernel) for step in steps}) < len(steps)
    assert all(step.where for step in steps)


def chain(dtype, numbers):
    """x -> x * n + n * n and x + n, for one number after another, in kernels of their own."""
    def function(x):
        found = []
        for n in numbers:
            first, second = c.full_like(x, n), c.full_like(x, n * n)
            x = apart(ew.add(ew.multiply(x, first), second))
            found.append(apart(ew.add(x, c.full_like(x, n))))
        return found
    return trace_graph([Type(dtype, (50,))], function)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_numbers_alone_do_not_make_another_kernel(dtype):
    array = np.linspace(-2, 2, 50).astype(dtype)
    check(chain(dtype, [0.5, 0.25, 2.0, 1.5]), [array], 2, 2e-2 if dt.is_half(dtype) else 1e-6)


def test_unusual_numbers_are_read_as_they_are():
    array = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-45, 3e38] * 7 + [1.0], "f4")
    graph = chain(dt.float32, [np.nan, np.inf, -0.0, 1e-40, 0.0])
    for got, want in zip(run_plan(lower(graph, NATIVE), [array], run_native),
                         interpret(graph, [array])):
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(np.signbit(got)[~np.isnan(got)],
                                      np.signbit(want)[~np.isnan(want)])


def test_two_kernels_are_not_worth_a_table():
    array = np.linspace(-2, 2, 50).astype("f4")
    check(chain(dt.float32, [0.5, 0.25]), [array], 4)


def test_integers_stay_in_the_code():
    def function(x):
        found = []
        for n in (3, 5, 7, 9):
            x = apart(ew.divide(ew.multiply(x, c.full_like(x, n)), c.full_like(x, n + 1)))
            found.append(x)
        return found

    graph = trace_graph([Type(dt.int32, (50,))], function)
    check(graph, [np.arange(-25, 25, dtype="i4")], 4)
