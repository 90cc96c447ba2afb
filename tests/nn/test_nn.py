"""Activations, softmax, attention and initial values agree with JAX's, and their derivatives."""

import jax
import jax.nn as theirs
import jax.numpy as their_numpy
import numpy as np
import pytest
from agreement import BFLOAT16, assert_same, numbers

import arraylib.numpy as jnp
from arraylib import grad, nn, random
from arraylib.config import config
from arraylib.errors import ArgumentError, DtypeError, ShapeError

X, M = numbers((5, 6)), numbers((2, 3, 4), seed=1)
SPECIAL = np.float32([0.0, 1.0, -1.0, 3.0, -3.0, 40.0, -40.0])
ACTIVATIONS = ["relu", "relu6", "sigmoid", "log_sigmoid", "softplus", "squareplus", "soft_sign",
               "silu", "swish", "mish", "gelu", "elu", "celu", "selu", "leaky_relu", "hard_tanh",
               "hard_sigmoid", "hard_silu", "sparse_plus", "sparse_sigmoid", "glu", "identity",
               "tanh"]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    mine, expected = getattr(nn, name), getattr(theirs, name)
    assert_same(mine(X), expected(X), 1e-5)
    half = X.astype(BFLOAT16)
    assert_same(mine(half), expected(half), 4e-2)
    if name == "glu":
        return
    assert_same(mine(SPECIAL), expected(SPECIAL), 1e-5)
    if name not in ("sigmoid", "silu", "swish", "hard_tanh"):  # JAX refuses or keeps integers
        assert_same(mine(np.int32([1, -2])), expected(np.int32([1, -2])), 1e-5)


# JAX halves the derivative, or picks the other side, at the corners of these.
CORNERS = {"sparse_sigmoid"}


@pytest.mark.parametrize("name", [a for a in ACTIVATIONS if a != "glu"])
def test_derivative(name):
    points = SPECIAL[3:] if name in CORNERS else SPECIAL
    mine = grad(lambda x: getattr(nn, name)(x).sum())(jnp.asarray(points))
    expected = jax.grad(lambda x: getattr(theirs, name)(x).sum())(points)
    assert_same(mine, expected, 1e-5)


def test_nan_passes_through_relu():
    assert np.isnan(np.asarray(nn.relu(np.float32([np.nan]))))
    assert np.isnan(np.asarray(nn.softplus(np.float32([np.nan]))))


def test_gelu_exact():
    assert_same(nn.gelu(X, approximate=False), theirs.gelu(X, approximate=False), 1e-5)


def test_log1mexp():
    x = np.float32([0.001, 0.5, 1, 20])
    assert_same(nn.log1mexp(x), theirs.log1mexp(x), 1e-5)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name):
    mine, expected = getattr(nn, name), getattr(theirs, name)
    mask = numbers((5, 6), np.bool_) | (np.arange(6) == 0)
    for x in (X, X * 1000, X.astype(BFLOAT16), np.float32([[-np.inf, 0, 1]])):
        assert_same(mine(x), expected(x), 2e-2 if x.dtype == BFLOAT16 else 1e-5)
        assert_same(mine(x, 0), expected(x, 0), 2e-2 if x.dtype == BFLOAT16 else 1e-5)
    assert_same(mine(M, (0, 2)), expected(M, (0, 2)), 1e-5)
    assert_same(mine(X, where=mask), expected(X, where=mask), 1e-5)
    weights = numbers((5, 6), seed=3)
    assert_same(grad(lambda x: (mine(x) * weights).sum())(jnp.asarray(X)),
                jax.grad(lambda x: (expected(x) * weights).sum())(X), 1e-5)


def test_logsumexp():
    weights = np.abs(numbers((5, 6), seed=3))
    signed = numbers((5, 6), seed=4)
    for x in (X, X * 1000, np.full((2, 3), -np.inf, np.float32), np.float32([[np.inf, 1]])):
        assert_same(nn.logsumexp(x), theirs.logsumexp(x), 1e-5)
        assert_same(nn.logsumexp(x, 1, keepdims=True), theirs.logsumexp(x, 1, keepdims=True), 1e-5)
    assert_same(nn.logsumexp(X, 1, b=weights), theirs.logsumexp(X, 1, b=weights), 1e-5)
    assert_same(nn.logsumexp(X, 1, b=signed, return_sign=True),
                theirs.logsumexp(X, 1, b=signed, return_sign=True), 1e-5)
    assert_same(nn.logsumexp(X, where=X > 0), theirs.logsumexp(X, where=X > 0), 1e-5)
    assert_same(nn.logmeanexp(X, 0), theirs.logmeanexp(X, 0), 1e-5)
    assert_same(grad(lambda x: nn.logsumexp(x))(jnp.asarray(X)),
                jax.grad(lambda x: theirs.logsumexp(x))(X), 1e-5)


def test_standardize():
    stable = {"algorithm": "stable"}
    assert_same(nn.standardize(X), theirs.standardize(X, **stable), 1e-4)
    assert_same(nn.standardize(M, (0, 1)), theirs.standardize(M, (0, 1), **stable), 1e-4)
    assert_same(nn.standardize(X, algorithm="fast"), theirs.standardize(X), 1e-4)
    half = nn.standardize((X + 300).astype(np.float16))
    wide = nn.standardize((X + 300).astype(np.float16).astype(np.float32))
    assert_same(half, np.asarray(wide).astype(np.float16), 1e-3)


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_one_hot(axis):
    labels = np.int32([[0, 2], [3, -1], [9, 1]])
    assert_same(nn.one_hot(labels, 4, axis=axis), theirs.one_hot(labels, 4, axis=axis))
    assert_same(nn.one_hot(labels, 4, dtype=np.int32), theirs.one_hot(labels, 4, dtype=np.int32))
    with config.using(default_bits=64), jax.enable_x64(True):
        assert_same(nn.one_hot(labels, 4, axis=axis), theirs.one_hot(labels, 4, axis=axis))


Q, K, V = numbers((2, 5, 4, 8)), numbers((2, 7, 4, 8), seed=1), numbers((2, 7, 4, 8), seed=2)
ATTENTION = [
    {}, {"is_causal": True}, {"scale": 0.3}, {"local_window_size": 2},
    {"bias": numbers((2, 4, 5, 7), seed=3)}, {"mask": numbers((2, 1, 5, 7), np.bool_, 4)},
    {"query_seq_lengths": np.int32([3, 5]), "key_value_seq_lengths": np.int32([7, 2])}]


@pytest.mark.parametrize("options", ATTENTION, ids=lambda o: "-".join(o))
def test_attention(options):
    assert_same(nn.dot_product_attention(Q, K, V, **options),
                theirs.dot_product_attention(Q, K, V, **options), 1e-4)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, ATTENTION[-1]], ids=len)
def test_attention_gives_the_sums_of_its_rows(options):
    found = nn.dot_product_attention(Q, K, V, return_residual=True, **options)
    expected = theirs.dot_product_attention(Q, K, V, return_residual=True, **options)
    for mine, wanted in zip(found, expected, strict=True):
        assert_same(mine, wanted, 1e-4)
    one = [x[0] for x in (Q, K, V)]
    assert nn.dot_product_attention(*one, return_residual=True)[1].shape == (5, 4)
    rows = lambda q: nn.dot_product_attention(q, K, V, return_residual=True)[1].sum()
    assert not grad(rows)(jnp.asarray(Q)).any()


@pytest.mark.parametrize("name", ["he_uniform", "glorot_normal", "lecun_uniform"])
def test_complex_initial_values(name):
    key = random.key(1)
    found = getattr(nn.initializers, name)()(key, (30, 40), np.complex64)
    expected = getattr(theirs.initializers, name)()(jax.random.PRNGKey(1), (30, 40), np.complex64)
    assert_same(found, expected, 1e-4, atol=1e-5)


def test_factors_do_not_widen_initial_values():
    scale = jnp.float32(2.0)
    for make in (nn.initializers.uniform, nn.initializers.normal, nn.initializers.truncated_normal):
        assert make(scale, jnp.bfloat16)(random.key(0), (3,)).dtype == jnp.bfloat16
    assert nn.one_hot([0, 2], 3).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert nn.one_hot(np.uint8([0, 255]), 300).sum(-1).tolist() == [1, 1]


def test_attention_in_groups():
    k, v = K[:, :, :2], V[:, :, :2]
    assert_same(nn.dot_product_attention(Q, k, v), theirs.dot_product_attention(Q, k, v), 1e-4)
    assert_same(nn.dot_product_attention(Q[0], k[0], v[0]),
                theirs.dot_product_attention(Q[0], k[0], v[0]), 1e-4)
    half = [x.astype(BFLOAT16) for x in (Q, k, v)]
    assert_same(nn.dot_product_attention(*half), theirs.dot_product_attention(*half), 3e-2)
    mine = grad(lambda q: nn.dot_product_attention(q, k, v).sum())(jnp.asarray(Q))
    expected = jax.grad(lambda q: theirs.dot_product_attention(q, k, v).sum())(Q)
    assert_same(mine, expected, 1e-3, atol=1e-5)


INITIALIZERS = [
    ("glorot_uniform", ()), ("glorot_normal", ()), ("lecun_uniform", ()), ("lecun_normal", ()),
    ("he_uniform", ()), ("he_normal", ()), ("xavier_uniform", ()), ("kaiming_normal", ()),
    ("normal", (0.5,)), ("uniform", (0.5,)), ("truncated_normal", (0.5,)), ("constant", (3.0,)),
    ("variance_scaling", (2.0, "fan_geo_avg", "normal")), ("glorot_uniform", (0, 2, 1)),
    ("orthogonal", ()), ("orthogonal", (2.0, 0)), ("delta_orthogonal", ()),
    ("delta_orthogonal", (0.5,))]


@pytest.mark.parametrize("name, args", INITIALIZERS)
def test_initializers(name, args):
    shape = (3, 4, 5)
    mine = getattr(nn.initializers, name)(*args)(random.key(3), shape)
    expected = getattr(theirs.initializers, name)(*args)(jax.random.PRNGKey(3), shape)
    assert_same(mine, expected, 1e-4)


def test_zeros_and_ones():
    assert_same(nn.initializers.zeros(None, (2,)), their_numpy.zeros(2))
    assert_same(nn.initializers.ones(None, (2,), np.int32), their_numpy.ones(2, np.int32))


def test_mistakes():
    with pytest.raises(ShapeError, match="glu: axis 1 has the odd size 5"):
        nn.glu(X[:, :5])
    with pytest.raises(ShapeError, match="dot_product_attention: query heads 4 of size 8"):
        nn.dot_product_attention(Q, K[..., :4], V)
    with pytest.raises(ShapeError, match="variance_scaling: shape .3,. has no axis of inputs"):
        nn.initializers.he_normal()(random.key(0), (3,))
    with pytest.raises(ArgumentError, match="mode 'fan', distribution 'normal'"):
        nn.initializers.variance_scaling(1.0, "fan", "normal")
    with pytest.raises(DtypeError, match="relu: a str is neither an array nor a number"):
        nn.relu("x")
