"""Matrices that the steps of a loop multiply by are laid out in panels before it."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib
import arraylib.numpy as jnp
from arraylib import dtypes as dt, lax
from arraylib.backends.cpu.matrices import panel_columns
from arraylib.backends.cpu.panels import in_panels
from arraylib.config import config
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.ops.reduction import dot_general
from arraylib.hlo.verify import verify

WIDTH = panel_columns(dt.float32, dt.float32)


def product_loop(rows, k, n, axis=0, length=5, dtype=dt.float32):
    """h + sum(h w) in every step, of h[rows, k] and w[k, n], or w[n, k]."""
    w = Type(dtype, (k, n) if axis == 0 else (n, k))
    h = Type(dtype, (rows, k))
    def step(w, h):
        y = dot_general(h, w, lhs_batching=(), rhs_batching=(), lhs_contracting=(1,),
                        rhs_contracting=(axis,), dtype=None)
        return [ew.negate(h), y]
    body = trace_graph([w, h], step)
    return trace_graph([w, h], lambda w, h: scan(
        w, h, body=body, consts=1, carry=1, length=length, reverse=False))


@pytest.mark.parametrize("axis", [0, 1])
def test_the_matrix_changes_its_layout_and_nothing_else(axis):
    graph = product_loop(3, 7, 2 * WIDTH, axis)
    changed = in_panels(graph)
    verify(changed)
    assert [node.op.name for node in changed.nodes] == ["reshape", "transpose", "scan"]
    assert changed.nodes[-1].inputs[0].type.shape == (2, 7, WIDTH)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(t.shape).astype(t.dtype) for t in graph.input_types]
    for got, want in zip(interpret(changed, arrays), interpret(graph, arrays), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("graph", [
    product_loop(1, 7, WIDTH), product_loop(129, 7, WIDTH), product_loop(3, 7, WIDTH + 1),
    product_loop(3, 7, WIDTH, length=3), product_loop(3, 7, WIDTH, dtype=dt.bfloat16),
    product_loop(3, 7, WIDTH, dtype=dt.complex64), product_loop(3, 0, WIDTH),
    product_loop(3, 7, 0)])
def test_what_stays(graph):
    assert in_panels(graph) is graph


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(2, 70), k=st.integers(1, 40) | st.sampled_from([512, 513, 1100]),
       panels=st.integers(1, 3), turned=st.booleans(), reverse=st.booleans(),
       threads=st.sampled_from([1, 2]), dtype=st.sampled_from(["float32", "float64", "int32"]))
def test_results_are_those_of_numpy(rows, k, panels, turned, reverse, threads, dtype):
    n = 32 * panels
    rng = np.random.default_rng(rows)
    w = rng.integers(-4, 5, (n, k) if turned else (k, n)).astype(dtype)
    xs = rng.integers(-4, 5, (4, rows, k)).astype(dtype)
    def loop(w, xs):
        def step(total, x):
            y = (x + total) @ (w.T if turned else w)
            return (total + y[0, 0]) % 3, y
        return lax.scan(step, jnp.zeros((), dtype), xs, reverse=reverse)
    with config.using(default_bits=64), arraylib.threads(threads):
        total, ys = arraylib.jit(loop)(w, xs)
    wanted, at = np.zeros(ys.shape, dtype), 0
    for i in reversed(range(4)) if reverse else range(4):
        wanted[i] = (xs[i] + at) @ (w.T if turned else w)
        at = (at + wanted[i, 0, 0]) % 3
    np.testing.assert_array_equal(ys, wanted)
    np.testing.assert_array_equal(total, at)


def test_the_plan_has_no_layout_in_its_steps():
    def loop(w, h):
        return lax.scan(lambda h, _: (jnp.tanh(h @ w + h @ w.T), None), h, None, length=9)[0]
    w, h = np.eye(2 * WIDTH, dtype=np.float32), np.ones((4, 2 * WIDTH), np.float32)
    text = arraylib.jit(loop).lower(w, h).text("plan")
    body = text[text.index("scan("):]
    assert body.count("gemm(") == 2 and f"f32[2,{2 * WIDTH},{WIDTH}]" in body
    assert body.count("kernel") == 1  # the sum and tanh
    wanted = h
    for _ in range(9):
        wanted = np.tanh(2 * wanted)
    np.testing.assert_allclose(arraylib.jit(loop)(w, h), wanted, rtol=1e-5)
