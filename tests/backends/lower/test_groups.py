"""Which nodes the plan computes together."""

from random_graphs import random_graph
from run_plan import SUPPORTS

import arraylib
import arraylib.numpy as jnp
from arraylib import lax
from arraylib.backends.lower import lower
from arraylib.backends.lower.groups import groups
from arraylib.hlo.passes.pipeline import optimize


def lowered(graph):
    return lower(graph, SUPPORTS)


def names_of(function, *arrays):
    """The graph's operations with the groups they are in."""
    graph = optimize(arraylib.make_graph(function)(*arrays).graph)
    found = groups(graph, lowered)
    return [(node.op.name, found.get(node)) for node in graph.nodes]


def test_one_kernel_around_a_product():
    found = dict(names_of(lambda x: jnp.tanh(jnp.sin(x) @ x) * 2, jnp.ones((4, 4))))
    assert found["sine"] == "kernel 0"
    assert found["dot_general"] == "matrix product 1"
    assert found["tanh"] == found["multiply"] == "kernel 2"
    assert found["constant"] is None


def test_what_the_host_does():
    assert ("sort", "host 0") in names_of(jnp.sort, jnp.ones((2, 5)))


def test_inside_a_loop():
    def step(c, x):
        return jnp.tanh(c) + x, c
    xs = jnp.ones((5, 3))
    graph = optimize(arraylib.make_graph(lambda c, xs: lax.scan(step, c, xs))(xs[0], xs).graph)
    found = groups(graph, lowered)
    (scan,) = [node for node in graph.nodes if node.op.name == "scan"]
    assert found[scan] == "scan 0"
    inner = {node.op.name: found[node] for node in scan.attrs["body"].nodes}
    assert set(inner.values()) == {"scan 0 / kernel 0"} and {"tanh", "add"} <= set(inner)


def test_branches_have_numbers():
    def function(p, x):
        return lax.cond(p, jnp.sin, jnp.cos, x)
    graph = optimize(arraylib.make_graph(function)(True, jnp.ones(3)).graph)
    found = {node.op.name: name for node, name in groups(graph, lowered).items()}
    assert {found["sine"], found["cosine"]} == {f"{found['case']}.{i} / kernel 0" for i in (0, 1)}


def test_nodes_of_the_graph_itself():
    """Not of the copy that is lowered; and the graph is as it was."""
    for seed in range(5):
        graph = optimize(random_graph(seed, 30))
        before = [(node, node.where, dict(node.attrs)) for node in graph.nodes]
        found = groups(graph, lowered)
        assert before == [(node, node.where, node.attrs) for node in graph.nodes]
        outer = {node for node in found if node in set(graph.nodes)}
        assert outer and len(found) >= len(outer)
