"""Functions of arraylib.numpy under jit, grad and vmap agree with JAX's."""

import jax
import jax.nn as their_nn
import jax.numpy as theirs
import numpy as np
import pytest
from agreement import assert_same, numbers

import arraylib.numpy as ours
from arraylib import grad, jit, nn, vmap

X, Y = numbers((4, 5), seed=7), numbers((4, 5), seed=8)
PLACES = np.int32([3, 0, 0, -1])
MASK = numbers((4, 5), np.bool_, 9)

FUNCTIONS = {
    "index": lambda m, n, x: x[1:, ::-2],
    "index arrays": lambda m, n, x: x[PLACES, 1:3],
    "index pairs": lambda m, n, x: x[PLACES, PLACES],
    "at set": lambda m, n, x: x.at[PLACES[:2], 1:].set(x[2:, 1:] * 2),
    "at add": lambda m, n, x: x.at[PLACES].add(x),
    "at window": lambda m, n, x: x.at[1:3, 0].multiply(3.0),
    "at strided": lambda m, n, x: x.at[::2, 1::3].set(x[1::2, :2]),
    "take_along_axis": lambda m, n, x: m.take_along_axis(x, m.argsort(x, 1), 1),
    "where": lambda m, n, x: m.where(MASK, x, m.sin(x)),
    "sort": lambda m, n, x: m.sort(x, 1) * Y,
    "cumsum": lambda m, n, x: m.cumsum(x, 1) ** 2,
    "cumprod": lambda m, n, x: m.cumprod(x, 0),
    "power": lambda m, n, x: x ** 3 + m.abs(x) ** 0.5,
    "norm": lambda m, n, x: m.linalg.norm(x, axis=1),
    "var": lambda m, n, x: m.var(x, 1) + m.std(x, 1),
    "prod": lambda m, n, x: m.prod(x, 1),
    "max": lambda m, n, x: m.max(x, 1) - m.min(x, 1),
    "einsum": lambda m, n, x: m.einsum("ij,kj->ik", x, x),
    "einsum trace": lambda m, n, x: m.einsum("ii->i", x[:, :4]),
    "matmul": lambda m, n, x: m.tanh(x @ x.T) @ x,
    "diag": lambda m, n, x: m.diag(x[0]) + m.diag(m.diagonal(x[:, :4]), 1),
    "pad roll": lambda m, n, x: m.roll(m.pad(x, ((1, 0), (0, 2)), mode="reflect"), 1, 1) ** 2,
    "concatenate": lambda m, n, x: m.concatenate([x, x * 2, m.flip(x)], 1) ** 2,
    "repeat tile": lambda m, n, x: m.tile(m.repeat(x, 2, 1), (2, 1)) ** 2,
    "clip": lambda m, n, x: m.clip(x, -1, 1) * x,
    "mod": lambda m, n, x: x % 1.5 + x // 1.5,
    "logaddexp": lambda m, n, x: m.logaddexp(x, Y),
    "hypot arctan2": lambda m, n, x: m.hypot(x, Y) + m.arctan2(x, Y),
    "median": lambda m, n, x: m.median(x, 1) + m.quantile(x, 0.3, 1),
    "interp": lambda m, n, x: m.interp(x, m.arange(-3.0, 4.0), m.arange(7.0) ** 2),
    "softmax": lambda m, n, x: n.softmax(x) * n.log_softmax(x, 0),
    "logsumexp": lambda m, n, x: n.logsumexp(x, 1),
    "gelu": lambda m, n, x: n.gelu(x) + n.silu(x) + n.softplus(x) + n.elu(x),
    "standardize": lambda m, n, x: n.standardize(x) ** 3,
    "linspace": lambda m, n, x: m.linspace(x[0], x[1], 4),
    "kron outer": lambda m, n, x: m.kron(x[:2], x[2:]).sum() + m.outer(x[0], x[1]),
    "sinc": lambda m, n, x: m.sinc(x) + m.nan_to_num(x),
    "tril": lambda m, n, x: m.tril(x) + m.triu(x, 1) ** 2,
    "choose": lambda m, n, x: m.select([x > 1, x > 0], [x * 2, x ** 2], -x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_value_and_gradient(name):
    function = FUNCTIONS[name]
    mine = lambda x: function(ours, nn, x)
    expected = lambda x: function(theirs, their_nn, x)
    x = ours.asarray(X)
    value = expected(theirs.asarray(X))
    assert_same(mine(x), value, 1e-4, atol=1e-5)
    assert_same(jit(mine)(x), value, 1e-4, atol=1e-5)
    weights = numbers(value.shape, seed=3)
    gradient = jax.jit(jax.grad(lambda x: (expected(x) * weights).sum()))(X)
    assert_same(grad(lambda x: (mine(x) * weights).sum())(x), gradient, 1e-3, atol=1e-4)
    assert_same(jit(grad(lambda x: (mine(x) * weights).sum()))(x), gradient, 1e-3, atol=1e-4)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_batched(name):
    function = FUNCTIONS[name]
    xs = np.stack([X, Y, X + Y])
    rows = np.stack([np.asarray(function(ours, nn, ours.asarray(x))) for x in xs])
    assert_same(jit(vmap(lambda x: function(ours, nn, x)))(xs), rows, 1e-4, atol=1e-5)


def test_batched_indices():
    """Each example has its own place."""
    i = np.int32([0, -1, 2])
    assert_same(vmap(lambda i: ours.asarray(X)[i])(i), X[i])
    assert_same(vmap(lambda i: ours.asarray(X)[:, i])(i), X[:, i].T)
    changed = vmap(lambda i: ours.asarray(X).at[i, 1].set(9.0)[i, 1])(i)
    assert_same(changed, np.full(3, 9, np.float32))
    xs = np.stack([X, Y, X])
    expected = np.stack([x[j] for x, j in zip(xs, i)])
    assert_same(vmap(lambda x, j: x[j])(xs, i), expected)
