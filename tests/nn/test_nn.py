"""nn against JAX's, values and gradients."""

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import nn, random
from arraylib.errors import ArgumentError, ShapeError

jax = pytest.importorskip("jax")
import jax.nn  # noqa: E402

rng = np.random.default_rng(0)
X = np.concatenate([rng.standard_normal(60).astype(np.float32) * 3,
                    np.float32([0, -0.0, 1, -1, 6, -6, 30, -30, 1e-6, -1e-6])])

ACTIVATIONS = ["celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_silu", "hard_tanh", "identity",
               "leaky_relu", "log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu",
               "soft_sign", "softplus", "sparse_plus", "squareplus", "swish", "tanh"]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    ours, theirs = getattr(nn, name), getattr(jax.nn, name)
    np.testing.assert_allclose(ours(X), theirs(X), rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(arraylib.jit(ours)(X), theirs(X), rtol=2e-5, atol=2e-6)
    smooth = X[(abs(X) != 6) & (abs(X) != 1) & (X != 0)] if name != "glu" else X
    np.testing.assert_allclose(arraylib.grad(lambda x: ours(x).sum())(smooth),
                               jax.grad(lambda x: theirs(x).sum())(smooth), rtol=2e-4, atol=2e-5)


def test_exact_gelu_keeps_its_tail():
    x = np.float32([-9, -5, -1, 0, 3])
    np.testing.assert_allclose(nn.gelu(x, approximate=False), jax.nn.gelu(x, approximate=False),
                               rtol=1e-5)


def test_relu_at_zero_and_nan():
    assert float(arraylib.grad(nn.relu)(0.0)) == 0.0
    assert np.isnan(nn.relu(jnp.nan))


def test_integers_become_floats():
    assert nn.sigmoid(jnp.arange(3)).dtype == jnp.float32
    assert nn.gelu(jnp.ones(3, jnp.bfloat16)).dtype == jnp.bfloat16


M = rng.standard_normal((4, 7)).astype(np.float32) * 5
MASK = rng.random((4, 7)) < 0.6


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "standardize"])
@pytest.mark.parametrize("options", [{}, {"axis": 0}, {"axis": (0, 1)}, {"axis": 1, "where": MASK}],
                         ids=str)
def test_along_an_axis(name, options):
    ours, theirs = getattr(nn, name), getattr(jax.nn, name)
    np.testing.assert_allclose(ours(M, **options), theirs(M, **options), rtol=5e-5, atol=1e-6)
    weights = rng.standard_normal(np.shape(theirs(M, **options))).astype(np.float32)
    finite = np.isfinite(theirs(M, **options))
    total = lambda np_, f: lambda x: np_.where(finite, f(x, **options) * weights, 0).sum()
    np.testing.assert_allclose(arraylib.grad(total(jnp, ours))(M),
                               jax.grad(total(jax.numpy, theirs))(M), rtol=2e-4, atol=2e-5)


def test_overflow_and_empty_rows():
    big = np.float32([1000, 1000, -1000])
    np.testing.assert_allclose(nn.logsumexp(big), 1000 + np.log(2), rtol=1e-6)
    np.testing.assert_allclose(nn.softmax(big), [0.5, 0.5, 0])
    assert float(nn.logsumexp(jnp.full(3, -jnp.inf))) == -np.inf
    value, sign = nn.logsumexp(jnp.zeros(2), b=jnp.array([1.0, -3.0]), return_sign=True)
    np.testing.assert_allclose([value, sign], [np.log(2), -1], rtol=1e-6)


def test_one_hot():
    labels = np.int32([[0, 2], [3, -1]])
    for options in ({}, {"axis": 0}, {"dtype": np.int32}):
        np.testing.assert_array_equal(nn.one_hot(labels, 3, **options),
                                      jax.nn.one_hot(labels, 3, **options))


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("causal", [False, True])
def test_attention(heads, causal):
    q = rng.standard_normal((2, 5, 4, 8)).astype(np.float32)
    k, v = (rng.standard_normal((2, 5, heads, 8)).astype(np.float32) for _ in range(2))
    options = {"is_causal": causal}
    np.testing.assert_allclose(
        nn.dot_product_attention(q, k, v, **options),
        jax.nn.dot_product_attention(q, k, v, **options), rtol=2e-5, atol=1e-6)
    with pytest.raises(ShapeError, match="do not fit"):
        nn.dot_product_attention(q, k[:, :, :, :4], v)


def test_initializers():
    key = random.key(0)
    for name in ("glorot_uniform", "glorot_normal", "he_normal", "he_uniform", "lecun_normal",
                 "lecun_uniform", "normal", "uniform", "truncated_normal"):
        ours = getattr(nn.initializers, name)()(key, (200, 300))
        theirs = getattr(jax.nn.initializers, name)()(jax.random.key(0), (200, 300))
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert nn.initializers.zeros(key, (2, 3)).shape == (2, 3)
    with pytest.raises(ArgumentError, match="has no input and output axes"):
        nn.initializers.he_normal()(key, (3,))
