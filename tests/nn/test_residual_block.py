"""A residual block as JAX programs write it: all of it native, forwards and backwards."""

import jax
import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import jit, lax
from arraylib.backends.cpu import backend
from arraylib.backends.lower.plan import HostStep
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.passes.pipeline import optimize

NHWC, NCHW = ("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW")


def block(np_, lax_, names, stride, params, x):
    """Two convolutions with normalisation over the batch, a shortcut, and a pool at the end."""
    over = (0, 1, 2) if names == NHWC else (0, 2, 3)
    window = (1, 3, 3, 1) if names == NHWC else (1, 1, 3, 3)
    steps = tuple(2 if n == 3 else 1 for n in window)

    def conv(x, w, s):
        return lax_.conv_general_dilated(x, w, (s, s), "SAME", dimension_numbers=names)

    def normal(x, scale, shift):
        mean = x.mean(over, keepdims=True)
        deviation = x - mean
        return deviation * lax_.rsqrt((deviation ** 2).mean(over, keepdims=True) + 1e-5) \
            * scale + shift

    first, second, shortcut, *affine = params
    y = np_.maximum(normal(conv(x, first, stride), *affine[:2]), 0)
    y = normal(conv(y, second, 1), *affine[2:])
    y = np_.maximum(y + conv(x, shortcut, stride), 0)
    return lax_.reduce_window(y, np.asarray(-np.inf, y.dtype), lax_.max, window, steps, "SAME")


def inputs(names, dtype=np.float32):
    rng = np.random.default_rng(0)
    def make(*shape):
        return (0.3 * rng.standard_normal(shape)).astype(dtype)
    kernels = [(3, 3, 5, 8), (3, 3, 8, 8), (1, 1, 5, 8)]
    x, vector = (2, 9, 10, 5), (8,)
    if names == NCHW:
        kernels = [(o, i, h, w) for h, w, i, o in kernels]
        x, vector = (2, 5, 9, 10), (8, 1, 1)
    return tuple(make(*k) for k in kernels) + tuple(make(*vector) for _ in range(4)), make(*x)


def step(module, np_, lax_, names, stride):
    """The loss and its gradients in parameters and input."""
    def loss(params, x):
        return (block(np_, lax_, names, stride, params, x) ** 2).sum()
    return module.value_and_grad(loss, (0, 1))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("names", [NHWC, NCHW])
def test_a_block_is_that_of_jax(names, stride):
    params, x = inputs(names)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda v: v.astype(np.float64), (params, x))
        expected = jax.jit(step(jax, jax.numpy, jax.lax, names, stride))(*wide)
    found = jit(step(arraylib, jnp, lax, names, stride))(params, x)
    for mine, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(np.asarray(mine), other, rtol=1e-4,
                                   atol=2e-5 * np.abs(np.asarray(other)).max())


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("names", [NHWC, NCHW])
def test_nothing_of_a_block_runs_on_the_host(names, stride):
    params, x = inputs(names)
    both = step(arraylib, jnp, lax, names, stride)
    def flat(*values):
        value, (back, dx) = both(values[:-1], values[-1])
        return [value, *back, dx]
    graph = trace_graph([Type(v.dtype, v.shape) for v in (*params, x)], flat)
    steps = backend.lowered(optimize(graph, backend.native)).steps
    assert steps and not any(isinstance(each, HostStep) for each in steps)
