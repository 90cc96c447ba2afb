"""A GPT trained here and in JAX: the same losses step by step, the same gradients."""

from functools import partial
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest

import arraylib
from benchmarks import models
from benchmarks.data import integers, tree_map

jax = pytest.importorskip("jax")

# layers, width, heads, context, vocabulary, batch
SMALL = (2, 32, 4, 16, 40, 3)
LARGE = (2, 256, 8, 256, 256, 8)  # the one of the benchmarks, but for its four layers


def namespace(module):
    parts = {name: import_module(f"{module.__name__}.{name}") for name in ("lax", "nn", "random")}
    return SimpleNamespace(np=import_module(f"{module.__name__}.numpy"), **parts,
                           jit=module.jit, grad=module.grad, value_and_grad=module.value_and_grad)


OURS, THEIRS = namespace(arraylib), namespace(jax)


def losses(xp, sizes, steps):
    """The loss of each of so many Adam steps from rest, each on a batch of its own."""
    layers, width, heads, context, vocabulary, batch = sizes
    params = tree_map(xp.np.asarray, models.gpt_params(layers, width, heads, context, vocabulary))
    m = tree_map(xp.np.zeros_like, params)
    v = tree_map(xp.np.zeros_like, params)
    step = xp.jit(partial(models.adam_step, models.gpt_loss, xp))
    found = []
    for i in range(steps):
        tokens = integers(vocabulary, batch, context + 1, seed=i % 5)
        loss, params, m, v = step(params, m, v, np.float32(i + 1), tokens)
        found.append(float(loss))
    return np.array(found)


@pytest.mark.parametrize("sizes, steps, rest", [
    pytest.param(SMALL, 50, 0.8, id="small"),
    pytest.param(LARGE, 10, 0.98, id="large", marks=pytest.mark.slow)])
def test_losses_agree_step_by_step(sizes, steps, rest):
    ours, theirs = losses(OURS, sizes, steps), losses(THEIRS, sizes, steps)
    assert ours[-1] < rest * ours[0]
    # Rounding differences grow with the steps: Adam divides by small second moments at first.
    np.testing.assert_allclose(ours[:10], theirs[:10], rtol=2e-5)
    np.testing.assert_allclose(ours, theirs, rtol=2e-3)


@pytest.mark.parametrize("sizes", [SMALL, pytest.param(LARGE, marks=pytest.mark.slow)],
                         ids=["small", "large"])
def test_gradients_of_every_parameter_agree(sizes):
    layers, width, heads, context, vocabulary, batch = sizes
    params = models.gpt_params(layers, width, heads, context, vocabulary)
    tokens = integers(vocabulary, batch, context + 1)
    ours = arraylib.jit(arraylib.grad(partial(models.gpt_loss, OURS)))(params, tokens)
    theirs = jax.jit(jax.grad(partial(models.gpt_loss, THEIRS)))(params, tokens)
    named = jax.tree_util.tree_leaves_with_path(theirs)
    for (path, expected), found in zip(named, arraylib.tree.leaves(ours), strict=True):
        expected, found = np.asarray(expected), np.asarray(found)
        error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
        assert error < 1e-4, (jax.tree_util.keystr(path), error)


def test_a_layer_loop_is_the_same_as_its_layers():
    """Layers in a scan over stacked parameters, checkpointed or not, give the same gradients."""
    params = models.gpt_params(3, 16, 2, 8, 11)["layers"]
    xp, jnp = OURS, OURS.np
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, 8, 16)), dtype=jnp.float32)

    def block(x, layer):
        h = models.layernorm(xp, x, layer["s1"], layer["b1"])
        return x + xp.nn.gelu(h @ layer["up"] + layer["up_b"]) @ layer["down"] + layer["down_b"]

    def unrolled(params):
        y = x
        for layer in params:
            y = block(y, layer)
        return (y * y).sum()

    def scanned(params, body=block):
        stacked = arraylib.tree.map(lambda *rows: jnp.stack(rows), *params)
        y, _ = xp.lax.scan(lambda y, layer: (body(y, layer), None), x, stacked)
        return (y * y).sum()

    expected = arraylib.jit(arraylib.grad(unrolled))(params)
    for loss in (scanned, partial(scanned, body=arraylib.checkpoint(block))):
        found = arraylib.jit(arraylib.grad(loss))(params)
        for a, b in zip(arraylib.tree.leaves(expected), arraylib.tree.leaves(found), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)
