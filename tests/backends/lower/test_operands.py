"""Operands that products compute: any program that is lowered so means what its graph means."""

from dataclasses import replace

import numpy as np
import pytest
import random_graphs
from lowered_programs import PROGRAMS
from random_arrays import random_arrays
from run_plan import SUPPORTS, run_plan

import arraylib
import arraylib.numpy as jnp
from arraylib.backends.lower import lower, prologue
from arraylib.backends.lower.order import prologues
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import trace_graph

PACKING = replace(SUPPORTS, packs=lambda step: (1, 1))


def operands(types, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(t.shape).astype(t.dtype) if t.dtype.kind == "f"
            else rng.integers(-2, 8, t.shape).astype(t.dtype) for t in types]


@pytest.fixture(autouse=True)
def everything_pays(monkeypatch):
    monkeypatch.setattr(prologue, "LEAST_BYTES", 0)
    monkeypatch.setattr(prologue._Search, "_costs_more", lambda *_: None)


def made(graph, arrays):
    """How many operands are computed in products of a graph, whose results are checked."""
    plan = lower(graph, PACKING)
    for got, want in zip(run_plan(plan, arrays), interpret(graph, arrays)):
        assert got.dtype == want.dtype and got.shape == want.shape
        tolerance = 2e-2 if got.dtype.itemsize == 2 else 1e-4
        np.testing.assert_allclose(got.astype("f8"), np.asarray(want).astype("f8"),
                                   rtol=tolerance, atol=tolerance)
    return sum(len(prologues(step)) for step in plan.steps)


def test_programs():
    for function, types in PROGRAMS.values():
        graph = trace_graph(types, function)
        if any(node.op.name == "dot_general" for node in graph.nodes):
            made(graph, operands(types))
    function, types = PROGRAMS["attention"]
    assert made(trace_graph(types, function), operands(types)) == 1


def test_random_programs():
    count = 0
    for seed in range(120):
        graph = random_arrays(seed) if seed % 2 else random_graphs.random_graph(seed)
        if any(node.op.name == "dot_general" for node in graph.nodes):
            count += made(graph, operands(graph.input_types, seed))
    assert count > 10, count


def test_views_of_all_kinds():
    """Turned, cut, repeated, split and joined axes of an operand."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((6, 8, 10), (10, 7)))
    programs = [
        lambda x, w: jnp.matmul(jnp.tanh(x), w),
        lambda x, w: jnp.matmul(jnp.tanh(x)[1:5, 2:, :], w),
        lambda x, w: jnp.matmul(jnp.tanh(x).transpose(1, 0, 2), w),
        lambda x, w: jnp.matmul(jnp.tanh(x).reshape(48, 10), w),
        lambda x, w: jnp.matmul(jnp.tanh(x).reshape(12, 4, 10)[:, 1], w),
        lambda x, w: jnp.matmul(jnp.broadcast_to(jnp.tanh(x[0]), (3, 8, 10)), w),
        lambda x, w: jnp.matmul(jnp.tanh(x).reshape(6, 80)[:, 3:73].reshape(42, 10), w),
        lambda x, w: jnp.matmul(jnp.tanh(x)[::2, ::3], w),
        lambda x, w: jnp.einsum("abc,cd->dba", jnp.tanh(x), w),
        lambda x, w: jnp.einsum("abc,abd->cd", jnp.tanh(x), x * x[:, :1]),
        lambda x, w: jnp.einsum("abc,adc->abd", jnp.tanh(x), jnp.exp(x[:, 3:5])),
    ]
    counts = [made(arraylib.make_graph(f)(jnp.asarray(x), jnp.asarray(w)).graph, [x, w])
              for f in programs]
    assert sum(counts) >= 9, counts
