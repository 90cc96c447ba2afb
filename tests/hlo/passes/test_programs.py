"""Whole programs and their derivatives: optimised, and printed for XLA, they mean the same."""

import numpy as np
import pytest
import xla

import arraylib.numpy as jnp
from arraylib import grad, jvp, value_and_grad, vmap
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, regions, trace_graph
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.checkpoint import checkpoint
from arraylib.hlo.ops.control import case
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.passes.legalize import legalize
from arraylib.hlo.passes.pipeline import optimize
from arraylib.hlo.verify import verify
from arraylib.tracing.program import make_graph

rng = np.random.default_rng(0)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def log_softmax(z):
    z = z - z.max(axis=-1, keepdims=True)
    return z - jnp.log(jnp.exp(z).sum(axis=-1, keepdims=True))


def classifier(params, x, y):
    w, b, v = params
    return -(log_softmax(jnp.tanh(x @ w + b) @ v) * y).sum(axis=-1).mean()


def attention(q, k, v):
    scores = (q @ k.T) / np.float32(np.sqrt(q.shape[-1]))
    return (jnp.exp(log_softmax(scores)) @ v).sum()


VECTOR = Type(np.float32, (3,))
STEP = trace_graph([VECTOR] * 4, lambda w, u, h, x: [
    ew.tanh(ew.add(ew.multiply(ew.sine(w), h), ew.multiply(u, x))), ew.multiply(h, x)])
TWICE = trace_graph([VECTOR], lambda x: [ew.multiply(x, ew.sine(x))])
BRANCHES = (TWICE, trace_graph([VECTOR], lambda x: [ew.exponential(x)]))


def recurrent(w, u, h, xs):
    last, ys = scan(w, u, h, xs, body=STEP, consts=2, carry=1, length=4, reverse=False)
    return (last * last).sum() + ys.sum()


def branching(i, x):
    return case(i, checkpoint(x, body=TWICE)[0], branches=BRANCHES)[0].sum()


CLASSIFIER = ((normal(4, 8), normal(8), normal(8, 3)), normal(6, 4), normal(6, 3))
RECURRENT = (normal(3), normal(3), normal(3), normal(4, 3))

PROGRAMS = {
    "classifier": (classifier, CLASSIFIER),
    "classifier's step": (value_and_grad(classifier), CLASSIFIER),
    "classifier's second derivative": (
        lambda p, x, y: jvp(grad(lambda x: classifier(p, x, y)), (x,), (x,)), CLASSIFIER),
    "attention": (grad(attention, argnums=(0, 1, 2)), [normal(5, 4) for _ in range(3)]),
    "batched attention": (vmap(grad(attention)), [normal(2, 5, 4) for _ in range(3)]),
    "recurrent": (recurrent, RECURRENT),
    "recurrent's gradient": (grad(recurrent, argnums=(0, 1, 2, 3)), RECURRENT),
    "batched recurrent's gradient": (
        vmap(grad(recurrent, argnums=(0, 3)), in_axes=(None, None, 0, 0)),
        (RECURRENT[0], RECURRENT[1], normal(2, 3), normal(2, 4, 3))),
    "branches": (grad(branching, argnums=1), (np.int32(1), normal(3))),
}


def graph_and_arrays(name):
    function, args = PROGRAMS[name]
    module = make_graph(function)(*args)
    flat = []
    def collect(x):
        for item in x if isinstance(x, (tuple, list)) else ():
            collect(item)
        flat.extend([] if isinstance(x, (tuple, list)) else [x])
    collect(args)
    return module.graph, [*flat, *map(np.asarray, module.captured)]


@pytest.mark.parametrize("name", PROGRAMS)
def test_optimized_programs_mean_the_same(name):
    graph, arrays = graph_and_arrays(name)
    verify(graph)
    optimized = optimize(graph)
    verify(optimized)
    assert count(optimized) <= count(graph)
    for x, y in zip(interpret(optimized, arrays), interpret(graph, arrays), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-6)


def count(graph):
    return sum(1 + sum(map(count, regions(node))) for node in graph.nodes)


@pytest.mark.parametrize("name", PROGRAMS)
def test_xla_runs_what_we_print(name):
    graph, arrays = graph_and_arrays(name)
    wanted = interpret(graph, arrays)
    for changed in (legalize(graph), legalize(optimize(graph))):
        for ours, theirs in zip(wanted, xla.run(changed, arrays), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
