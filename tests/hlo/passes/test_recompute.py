"""Minimum cuts, and graphs that compute values twice."""

from itertools import combinations

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import lax, make_graph, value_and_grad
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ops.control import optimization_barrier
from arraylib.hlo.passes.min_cut import NEVER, Network
from arraylib.hlo.passes.recompute import Moment
from arraylib.hlo.verify import verify

rng = np.random.default_rng(5)


def cheapest(places, edges):
    """By trying all cuts; place 0 is the source, the last one the sink."""
    inner = range(1, places - 1)
    cuts = [{0, *near} for size in range(places - 1) for near in combinations(inner, size)]
    return min(sum(c for a, b, c in edges if a in near and b not in near) for near in cuts)


@pytest.mark.parametrize("seed", range(40))
def test_cuts_are_the_cheapest(seed):
    random = np.random.default_rng(seed)
    places = int(random.integers(2, 8))
    edges = [(int(a), int(b), int(c)) for a, b, c in zip(
        random.integers(0, places, 20), random.integers(0, places, 20), random.integers(0, 9, 20))
        if a != b]
    network = Network()
    for _ in range(places):
        network.place()
    for edge in edges:
        network.edge(*edge)
    near = network.near(0, places - 1)
    assert 0 in near and places - 1 not in near
    assert sum(c for a, b, c in edges if a in near and b not in near) == cheapest(places, edges)


def test_what_must_not_be_cut_is_not():
    network = Network()
    source, middle, sink = (network.place() for _ in range(3))
    network.edge(source, middle, 10 ** 15)
    network.edge(middle, sink, NEVER)
    assert network.near(source, sink) == {source}


def deep(ws, x):
    for w in ws:
        x = jnp.tanh(x @ w) + 0.1 * jnp.sin(x)
    return (x * x).sum()


def looped(ws, x):
    x, _ = lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, ws)
    return deep(ws, x)


ARGS = rng.standard_normal((5, 4, 4)) * 0.5, rng.standard_normal((3, 4))


@pytest.mark.parametrize("share", [1.0, 0.5, 0.2])
@pytest.mark.parametrize("price", [0, 0.1, 1, 10, 1e4])
@pytest.mark.parametrize("f", [deep, looped])
def test_a_graph_that_computes_values_twice_means_the_same(f, price, share):
    traced = make_graph(value_and_grad(f, argnums=(0, 1)))(*ARGS)
    choice = Moment(traced.graph, share).at_price(price)
    verify(choice.graph)
    given = [*(np.asarray(x, t.dtype) for x, t in zip(ARGS, traced.graph.input_types)),
             *traced.captured]
    for found, expected in zip(interpret(choice.graph, given), interpret(traced.graph, given)):
        np.testing.assert_array_equal(found, expected)
    barriers = [node for node in choice.graph.nodes if node.op is optimization_barrier]
    assert bool(choice.again) == bool(barriers) == (choice.work > 0)
    if not price:
        assert not choice.again


def test_the_higher_the_price_of_bytes_the_more_is_computed_again():
    graph = make_graph(value_and_grad(deep))(*ARGS).graph
    works = [Moment(graph).at_price(price).work for price in (0, 0.1, 1, 10, 100, 1000)]
    assert works == sorted(works) and works[-1] > works[1]
