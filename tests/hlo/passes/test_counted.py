"""Loops that count become scans: their results, and what is left alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from arraylib import hlo
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import regions
from arraylib.hlo.ops import control
from arraylib.hlo.ops.dynamic import dynamic_slice, dynamic_update_slice
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.passes.counted import count_loops
from arraylib.hlo.verify import verify

W, H, XS = (np.random.default_rng(0).normal(size=shape).astype(np.float32) / 2
            for shape in [(4, 4), (4,), (5, 4)])


def steps(w, h, x):
    h = jnp.tanh(w @ h + x)
    return h, h.sum()


def both_ways(w, h, xs):
    last, sums = lax.scan(lambda h, x: steps(w, h, x), h, xs)
    return lax.scan(lambda h, x: steps(w, h, x), last, xs, reverse=True), sums


def nested(w, h, xs):
    def outer(h, x):
        return lax.fori_loop(0, 3, lambda i, h: jnp.tanh(w @ h + x * i), h), h
    return lax.scan(outer, h, xs)


def downwards(w, h, xs):
    return lax.while_loop(lambda c: c[0] > -2, lambda c: (c[0] - 3, jnp.sin(w @ c[1] + xs[0])),
                          (7, h))


def bound_in_front(w, h, xs):
    return lax.while_loop(lambda c: 4 >= c[0], lambda c: (2 + c[0], jnp.sin(w @ c[1] + xs[0])),
                          (1, h))


def neighbours(w, h, xs):
    """Rows in an order that no scan has, and a carry that is read where it is written."""
    def step(i, c):
        total, ys = c
        return total + w @ xs[(i + 2) % 5] + ys[i], ys.at[i].set(h * i)
    return lax.fori_loop(0, 5, step, (h, xs))


def few_rows(w, h, xs):
    """Three of five rows."""
    return lax.fori_loop(0, 3, lambda i, h: w @ h + xs[i], h)


# Function; in all, how many loops are scans and others; slices and updates that stay.
CASES = {
    both_ways: (2, 0, 0, 0), nested: (2, 0, 0, 0), downwards: (1, 0, None, 0),
    bound_in_front: (1, 0, None, 0), neighbours: (1, 0, None, None), few_rows: (1, 0, 1, 0)}


def count(graph, op):
    return sum((node.op is op) + sum(count(g, op) for g in regions(node)) for node in graph.nodes)


def program(function, arrays):
    return hlo.legalize(hlo.parse(jax.jit(function).lower(*arrays).as_text())).graph


@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_loops_that_count_are_scans(function):
    graph = program(function, [W, H, XS])
    scans, loops, slices, updates = CASES[function]
    assert count(graph, control.while_) == scans + loops and not count(graph, scan)
    changed = count_loops(graph)
    verify(changed)
    assert (count(changed, scan), count(changed, control.while_)) == (scans, loops)
    for op, wanted in [(dynamic_slice, slices), (dynamic_update_slice, updates)]:
        assert wanted is None or count(changed, op) == wanted
    wanted = jax.tree.leaves(jax.jit(function)(W, H, XS))
    for found, other in zip(interpret(changed, [W, H, XS]), wanted, strict=True):
        assert found.dtype == other.dtype
        np.testing.assert_allclose(found, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("function", [
    lambda x, n: lax.fori_loop(0, n, lambda i, x: x * 2, x),  # to a number that comes in
    lambda x, n: lax.while_loop(lambda c: c[0] < 9, lambda c: (c[0] + n, c[1] * 2), (0, x)),
    lambda x, n: lax.while_loop(lambda c: c[0] < 9, lambda c: (c[0] * 2, c[1] + n), (1, x)),
    lambda x, n: lax.while_loop(lambda c: c[0] != 9, lambda c: (c[0] + 3, c[1] + n), (0, x)),
    lambda x, n: lax.while_loop(lambda c: c < 9, lambda c: c + 1, x + n),  # of floats
    lambda x, n: lax.while_loop(lambda c: (c[0] < 9) & (c[1] < 99.0),
                                lambda c: (c[0] + 1, c[1] * 2 + n), (0, x)),
])
def test_other_loops_stay(function):
    graph = program(function, [np.float32(2), np.int32(3)])
    assert count(count_loops(graph), control.while_) == 1
    assert not count(count_loops(graph), scan)


def loop(start, compare, bound, step, type="i32"):
    return hlo.parse(f"""func.func @main(%x: tensor<f32>) -> (tensor<{type}>, tensor<f32>) {{
      %start = stablehlo.constant dense<{start}> : tensor<{type}>
      %0:2 = stablehlo.while(%i = %start, %y = %x) : tensor<{type}>, tensor<f32>
      cond {{
        %bound = stablehlo.constant dense<{bound}> : tensor<{type}>
        %1 = stablehlo.compare {compare}, %i, %bound : (tensor<{type}>, tensor<{type}>)
          -> tensor<i1>
        stablehlo.return %1 : tensor<i1>
      }} do {{
        %step = stablehlo.constant dense<{step}> : tensor<{type}>
        %1 = stablehlo.add %i, %step : tensor<{type}>
        %2 = stablehlo.add %y, %x : tensor<f32>
        stablehlo.return %1, %2 : tensor<{type}>, tensor<f32>
      }}
      return %0#0, %0#1 : tensor<{type}>, tensor<f32>
    }}""").graph


@pytest.mark.parametrize("arguments, scans", [
    ((0, "LT", 7, 3), True), ((0, "LE", 6, 3), True), ((7, "GT", 0, -3), True),
    ((7, "GE", 1, -3), True), ((-128, "LT", 127, 85, "i8"), True),
    ((0, "LT", 127, 50, "i8"), False),  # wraps around: 100, then -106
    ((5, "LT", 5, 1), False), ((9, "LT", 5, 1), False),  # runs not once
    ((250, "LT", 255, 1, "ui8"), True), ((5, "GT", 5, -1), False)], ids=str)
def test_the_number_of_steps(arguments, scans):
    graph = loop(*arguments)
    changed = count_loops(graph)
    assert count(changed, scan) == scans
    if arguments[-1] == "i8" and not scans:
        return  # it goes on for long
    x = [np.float32(1.5)]
    for found, wanted in zip(interpret(changed, x), interpret(graph, x), strict=True):
        assert found.dtype == wanted.dtype and found == wanted
