"""The last pass over each row goes with the next row's, where results bypass the caches."""

import numpy as np
import pytest
from run_native import NATIVE, run_over_operands
from run_plan import run_interpreted, run_plan

from arraylib.backends.lower import loops, lower
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import elementwise as ew, reduction as red
from arraylib.hlo.ops.constant import iota
from arraylib.hlo.ops.structured import broadcast_in_dim, reduce_add

F32 = np.dtype(np.float32)


def rows(x, of):
    kept = tuple(range(of.type.rank - 1))
    return broadcast_in_dim(x, shape=of.type.shape, broadcast_dimensions=kept)


def last(x):
    return (x.type.rank - 1,)


def softmax(x):
    powers = ew.exponential(ew.subtract(x, rows(red.reduce_maximum(x, dimensions=last(x)), x)))
    return [ew.divide(powers, rows(reduce_add(powers, dimensions=last(x)), x))]


def normalised(x):
    """By two numbers of each row, one of which is wanted as well."""
    mean = reduce_add(x, dimensions=last(x))
    less = ew.subtract(x, rows(mean, x))
    square = reduce_add(ew.multiply(less, less), dimensions=last(x))
    return [ew.multiply(less, rows(ew.rsqrt(square), x)), square]


def saved_twice(x):
    """The last pass needs what the first saved, and so has to be done before the next row's."""
    powers = ew.exponential(x)
    less = ew.subtract(powers, rows(reduce_add(powers, dimensions=last(x)), x))
    return [ew.divide(powers, rows(red.reduce_maximum(less, dimensions=last(x)), x))]


def numbered(x):
    """The number of its row is added to each element."""
    largest = rows(red.reduce_maximum(x, dimensions=last(x)), x)
    return [ew.add(ew.subtract(x, largest), iota(shape=x.type.shape, dimension=0, dtype=F32))]


def mostly_computed(x):
    """Memory need not wait for so many functions."""
    (y,) = softmax(x)
    for function in (ew.tanh, ew.sine, ew.exponential, ew.erf):
        y = function(y)
    return [y]


def single(x):
    return [ew.exponential(x)]


@pytest.fixture(autouse=True)
def all_bypass_caches(monkeypatch):
    monkeypatch.setattr(loops, "STREAM_BYTES", 64)


def plan(function, shape):
    graph = trace_graph([Type(F32, shape)], function)
    return graph, lower(graph, NATIVE)


def is_staggered(kernel):
    """Whether something is written a row behind."""
    stores = [line for line in kernel.text.splitlines() if line.endswith(" stream")]
    return any("+ -" in line for line in stores)


@pytest.mark.parametrize("function", [softmax, normalised, numbered])
def test_the_last_pass_is_a_row_behind(function):
    (step,) = plan(function, (16, 64))[1].steps
    assert is_staggered(step.kernel)


@pytest.mark.parametrize("function, shape", [
    (single, (16, 64)), (saved_twice, (16, 64)), (mostly_computed, (16, 64)),
    (softmax, (1, 64)),  # one row
    (softmax, (16, 1 << 15)),  # one row in a chunk
])
def test_other_kernels_stay_as_they_are(function, shape):
    steps = plan(function, shape)[1].steps
    assert not any(is_staggered(step.kernel) for step in steps)


def test_results_that_stay_in_caches_are_written_in_order(monkeypatch):
    monkeypatch.setattr(loops, "STREAM_BYTES", 1 << 25)
    (step,) = plan(softmax, (16, 64))[1].steps
    assert not is_staggered(step.kernel)


@pytest.mark.parametrize("run_kernel", [run_interpreted, run_over_operands])
@pytest.mark.parametrize("function", [softmax, normalised, saved_twice, numbered])
@pytest.mark.parametrize("shape", [(1, 64), (2, 64), (7, 80), (48, 100), (3, 5, 16), (700, 48)])
def test_results_are_the_same(function, shape, run_kernel):
    graph, lowered = plan(function, shape)
    x = np.random.default_rng(0).standard_normal(shape).astype(F32)
    for mine, meant in zip(run_plan(lowered, [x], run_kernel), interpret(graph, [x])):
        np.testing.assert_allclose(mine, meant, rtol=1e-5, atol=1e-6)


def test_each_value_is_defined_once():
    (step,) = plan(normalised, (16, 64))[1].steps
    defined = [word for line in step.kernel.text.splitlines() if " = " in line
               for word in [line.split()[0]] if word.startswith("%")]
    assert len(defined) == len(set(defined)) > 20
