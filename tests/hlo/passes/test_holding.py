"""The guess at what a program needs is near to what its plan needs."""

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import jit, lax, value_and_grad
from arraylib.compile import memory_graph
from arraylib.hlo.passes.holding import guessed_bytes

X, W = np.ones((512, 64), "float32"), np.eye(64, dtype="float32")


def deep(w, x):
    for _ in range(6):
        x = jnp.tanh(x @ w)
    return (x * x).mean()


PROGRAMS = {
    "one kernel": lambda w, x: jnp.tanh(jnp.sin(x) * 2 + x.mean(0)),
    "products": lambda w, x: jnp.tanh(jnp.sin(x @ w) @ w) @ w,
    "derivative": value_and_grad(deep),
    "no step": lambda w, x: (x, w),
    "loop": lambda w, x: lax.fori_loop(0, 4, lambda i, x: jnp.tanh(x @ w), x),
    "sort": lambda w, x: jnp.sort(x * 2, 0)[::-1].T @ (x + 1),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_guess_is_near(name):
    graph = jit(PROGRAMS[name]).lower(W, X).graph
    assert 0.4 < guessed_bytes(graph) / memory_graph(graph).peak < 1.6
