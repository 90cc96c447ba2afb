"""What is only read in parts is computed in parts, to the same bits."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from arraylib import dtypes as dt
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import elementwise as ew, structured
from arraylib.hlo.ops.shape import slice_
from arraylib.hlo.passes.parts import in_parts
from arraylib.hlo.verify import verify

ROWS = Type(dt.float32, (2, 8))


def columns(x, start, limit, stride=1):
    return slice_(x, start=(0, start), limit=(2, limit), strides=(1, stride))


def graph_of(function, types=(ROWS, ROWS)):
    return trace_graph(types, lambda *xs: function(*xs))


def names(graph):
    return [node.op.name for node in graph.nodes]


def check(graph, changed):
    verify(changed)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(t.shape).astype(t.dtype) for t in graph.input_types]
    for got, want in zip(interpret(changed, arrays), interpret(graph, arrays), strict=True):
        assert got.tobytes() == want.tobytes() and got.shape == want.shape


def test_sums_are_cut_where_their_parts_are_used():
    def function(x, y):
        z = ew.add(ew.multiply(x, y), y)
        return [ew.tanh(columns(z, 0, 3)), ew.sine(columns(z, 3, 8))]
    graph = graph_of(function)
    changed = in_parts(graph)
    assert sorted(names(changed)) == sorted(
        ["slice"] * 4 + ["multiply", "add"] * 2 + ["tanh", "sine"])
    assert {node.outputs[0].type.shape for node in changed.nodes} == {(2, 3), (2, 5)}
    check(graph, changed)


@pytest.mark.parametrize("function", [
    # read as a whole
    lambda x, y: (lambda z: [ew.sine(columns(z, 0, 3)), z])(ew.add(x, y)),
    lambda x, y: (lambda z: [ew.sine(columns(z, 0, 3)), ew.cosine(z)])(ew.add(x, y)),
    # parts overlap
    lambda x, y: (lambda z: [ew.sine(columns(z, 0, 4)), ew.sine(columns(z, 3, 8))])(ew.add(x, y)),
    # parts with gaps
    lambda x, y: [ew.sine(columns(ew.add(x, y), 0, 8, 2))],
    # parts that are results, or summed
    lambda x, y: [columns(ew.add(x, y), 0, 3)],
    lambda x, y: [structured.reduce_add(columns(ew.add(x, y), 0, 3), dimensions=(0,))],
])
def test_what_stays_whole(function):
    graph = graph_of(function)
    assert in_parts(graph) is graph


def test_large_arrays_stay_whole():
    large = Type(dt.float32, (2, 1 << 16))
    def function(x, y):
        z = ew.add(x, y)
        return [ew.tanh(columns(z, 0, 9)), ew.sine(columns(z, 9, 1 << 16))]
    graph = graph_of(function, (large, large))
    assert in_parts(graph) is graph


def test_long_chains_are_cut_at_their_end_only():
    def function(x, y):
        for _ in range(3000):
            x = ew.add(x, y)
        return [ew.tanh(columns(x, 0, 3)), ew.sine(columns(x, 3, 8))]
    graph = graph_of(function)
    changed = in_parts(graph)
    assert len(changed.nodes) < len(graph.nodes) + 50
    check(graph, changed)


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 8), max_size=5), seed=st.integers(0, 99))
def test_random_programs_keep_every_bit(cuts, seed):
    rng = np.random.default_rng(seed)
    ends = sorted({0, 8, *cuts})
    def function(x, y):
        pool = [x, y]
        for _ in range(6):
            op = (ew.add, ew.multiply, ew.subtract)[rng.integers(3)]
            pool.append(op(pool[rng.integers(len(pool))], pool[rng.integers(len(pool))]))
        parts = [ew.sine(columns(pool[-1 - rng.integers(2)], a, b))
                 for a, b in itertools.pairwise(ends)]
        return [*parts, *(pool[2:3] if seed % 2 else [])]
    graph = graph_of(function)
    check(graph, in_parts(graph))
