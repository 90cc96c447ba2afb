"""How wide a turn of a loop over lanes is."""

import numpy as np
import pytest
from run_native import NATIVE

from arraylib.backends.lower import lower
from arraylib.backends.lower.schedule import MANY_POINTS
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import elementwise as ew


def registers(function, count):
    graph = trace_graph([Type(np.dtype(np.float32), (count,))], lambda x: [function(x)])
    (step,) = lower(graph, NATIVE).steps
    return step.kernel.text.split("registers ")[1].split(")")[0]


def swish_and_more(x):
    y = ew.multiply(x, ew.logistic(x))
    for _ in range(4):
        y = ew.add(ew.multiply(y, y), x)
    return y


@pytest.mark.parametrize("function, count, want", [
    (ew.exponential, MANY_POINTS, "1"),  # turns overlap by themselves
    (swish_and_more, MANY_POINTS, "4"),
    (swish_and_more, 1 << 10, "1"),  # a short array is not worth the longer compilation
])
def test_long_chains_are_computed_side_by_side(function, count, want):
    assert registers(function, count) == want
