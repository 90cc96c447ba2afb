"""Padding: a graph and its twin become one that means the same on padded arrays."""

import numpy as np
import pytest

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant, full_like
from arraylib.hlo.ops.indexed import scatter
from arraylib.hlo.ops.reduction import dot_general
from arraylib.hlo.ops.structured import reduce_add, reshape
from arraylib.hlo.passes.padded import Size, pad_axes
from arraylib.hlo.verify import verify

F32 = dt.float32


def padded(function, shapes, sizes):
    """`function` padded; `shapes` has for each input its shape as a function of the sizes."""
    both = [trace_graph([Type(F32, shape(*each)) for shape in shapes], function)
            for each in ([s.now for s in sizes], [s.other for s in sizes])]
    return both[0], pad_axes(*both, sizes)


def run(made, arrays, sizes):
    """The padded program's results, of arrays with nan behind their ends."""
    whole = []
    for x, value in zip(arrays, made.graph.inputs):
        full = np.full(value.type.shape, np.nan, x.dtype)
        full[tuple(map(slice, x.shape))] = x
        whole.append(full)
    counts = [np.asarray(size.now) for size in sizes]
    return interpret(made.graph, [*whole, *counts, *made.numbers])


def test_what_is_behind_the_end_does_not_count():
    def f(x, w):
        product = dot_general(x, w, lhs_batching=(), rhs_batching=(), lhs_contracting=(0,),
                              rhs_contracting=(0,), dtype=None)
        count = constant(value=np.float32(x.type.shape[0]))
        return [product, ew.divide(reduce_add(x, dimensions=(0, 1)), count), ew.negate(x)]

    sizes = [Size(3, 4, 8)]
    graph, made = padded(f, [lambda n: (n, 2), lambda n: (n, 5)], sizes)
    verify(made.graph)
    assert [str(t) for t in made.graph.input_types] == [
        "f32[8,2]", "f32[8,5]", "i64[]", "f32[]"] and made.numbers[0] == 3
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype("f4") for shape in ((3, 2), (3, 5))]
    found, wanted = run(made, arrays, sizes), interpret(graph, arrays)
    for x, y in zip(found, wanted):
        np.testing.assert_allclose(x[tuple(map(slice, y.shape))], y, rtol=1e-6)


def test_graphs_of_a_bucket_are_equal():
    def f(x):
        return [ew.multiply(x, full_like(x, x.type.shape[0]))]

    one, other = (padded(f, [lambda n: (n, 2)], [Size(n, n + 1, 8)])[1] for n in (5, 6))
    assert one.graph.input_types == other.graph.input_types
    assert [node.op for node in one.graph.nodes] == [node.op for node in other.graph.nodes]
    assert (one.numbers, other.numbers) == ((5,), (6,))


def test_a_reshape_that_fits_by_chance():
    """4 rows of 4 as 4 columns: padded to 8 it has the right number of elements, elsewhere."""
    with pytest.raises(ArgumentError, match="reshape .*for these sizes only"):
        padded(lambda x: [reshape(x, shape=(4, x.type.shape[0]))], [lambda n: (n, 4)],
               [Size(4, 5, 8)])
    with pytest.raises(ArgumentError, match="merged with an axis before it"):
        padded(lambda x: [reshape(x, shape=(3 * x.type.shape[1],))], [lambda n: (3, n)],
               [Size(4, 5, 8)])


def test_a_window_of_varying_width_is_refused():
    """What is behind the end of the updates would be written where the array goes on."""
    def f(x, updates):
        at = constant(value=np.zeros((1, 1), np.int32))
        return [scatter(x, at, updates, kind="add", update_window_dims=(1,),
                        inserted_window_dims=(), input_batching_dims=(),
                        scatter_indices_batching_dims=(), scatter_dims_to_operand_dims=(0,),
                        index_vector_dim=1, unique_indices=False)]

    with pytest.raises(ArgumentError, match="changes a part of axis 0"):
        padded(f, [lambda n: (10,), lambda n: (1, n)], [Size(4, 5, 8)])
