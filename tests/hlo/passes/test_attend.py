"""Attention that is spelled out becomes one operation, where that means the same."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib as al
import arraylib.numpy as jnp
from arraylib import nn
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Type
from arraylib.hlo.ops.attention import UNLIMITED, attention
from arraylib.hlo.ops.constant import constant
from arraylib.hlo.passes.attend import attend
from arraylib.tracing.core import trace

B, N, T, S, H, D = 2, 3, 72, 65, 8, 5


def found_in(function, *operands, **options):
    """The nodes of attention that the pass made, after a check that values stayed the same."""
    graph, _ = trace(lambda *xs: [function(*xs)], [Type(x.dtype, x.shape) for x in operands])
    after = attend(graph, **options)
    for before, now in zip(interpret(graph, operands), interpret(after, operands)):
        np.testing.assert_allclose(now, before, rtol=2e-5, atol=2e-6)
    return [node for node in after.nodes if node.op is attention]


def numbers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def by_hand(x):
    """Softmax along the last axis, without the library's."""
    x = jnp.exp(x - jnp.max(x, axis=-1, keepdims=True))
    return x / jnp.sum(x, axis=-1, keepdims=True)


def causal(t, s):
    return jnp.arange(t)[:, None] >= jnp.arange(s)[None]


LAYOUTS = {  # einsum of logits, einsum of values, shapes
    "heads first": ("bnth,bnsh->bnts", "bnts,bnsd->bntd",
                    (B, N, T, H), (B, N, S, H), (B, N, S, D)),
    "heads inside": ("btnh,bsnh->bnts", "bnts,bsnd->btnd",
                     (B, T, N, H), (B, S, N, H), (B, S, N, D)),
    "one axis": ("nth,nsh->nts", "nts,nsd->ntd", (N, T, H), (N, S, H), (N, S, D)),
    "no heads": ("th,sh->ts", "ts,sd->td", (T, H), (S, H), (S, D)),
    "three axes": ("abnth,abnsh->abnts", "abnts,abnsd->btand",
                   (2, B, N, T, H), (2, B, N, S, H), (2, B, N, S, D)),
    "one of each": ("btnh,bsnh->bnts", "bnts,bsnd->btnd", (1, T, 1, H), (1, S, 1, H), (1, S, 1, D)),
    "one head": ("bnth,bnsh->bnts", "bnts,bnsd->bntd", (B, 1, T, H), (B, 1, S, H), (B, 1, S, D)),
    "keys first": ("bsnh,btnh->bnts", "bsnd,bnts->dbtn",
                   (B, S, N, H), (B, T, N, H), (B, S, N, D)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("softmax", [nn.softmax, by_hand])
def test_layouts(layout, softmax):
    logits, values, *shapes = LAYOUTS[layout]

    def function(q, k, v):
        x = jnp.einsum(logits, q, k) / np.sqrt(H)
        x = jnp.where(causal(*x.shape[-2:]), x, -jnp.inf)
        shares = softmax(x)
        return jnp.einsum(values, *((v, shares) if "ts,"not in values else (shares, v)))

    (node,) = found_in(function, *(numbers(*shape, seed=i) for i, shape in enumerate(shapes)))
    assert node.attrs["window"] == (UNLIMITED, 0)
    assert node.attrs["scale"] == pytest.approx(H**-0.5)


def matrices(x, k, v, masked):
    """Over [..., length, size]; `masked` is called with the logits."""
    return nn.softmax(masked(x @ k.swapaxes(-1, -2) * 0.3)) @ v


MASKS = {  # how logits are masked, the window and the number of masks
    "tril": (lambda x: jnp.where(jnp.tril(jnp.ones((T, S), bool)), x, -1e30), (UNLIMITED, 0), 0),
    "tril, far": (lambda x: jnp.where(jnp.tril(jnp.ones((T, S), bool), 3), x, -1e30),
                  (UNLIMITED, 3), 0),
    "constant": (lambda x: jnp.where(constant(value=np.tri(T, S, 2, dtype=bool)), x, -np.inf),
                 (UNLIMITED, 2), 0),
    "added": (lambda x: x + jnp.where(causal(T, S), 0.0, -1e9), (UNLIMITED, 0), 0),
    "strict": (lambda x: jnp.where(jnp.arange(S)[None] < 1 + jnp.arange(T)[:, None], x, -1e30),
               (UNLIMITED, 0), 0),
    "otherwise": (lambda x: jnp.where(jnp.arange(T)[:, None] < jnp.arange(S)[None], -1e30, x),
                  (UNLIMITED, UNLIMITED), 1),
    "both ends": (lambda x: jnp.where(
        causal(T, S) & (jnp.arange(T)[:, None] - jnp.arange(S)[None] <= 9), x, -1e30), (9, 0), 0),
    "sliding": (lambda x: jnp.where(causal(T, S), jnp.where(
        jnp.arange(S)[None] >= jnp.arange(T)[:, None] - 9, x, -np.inf), -np.inf), (9, 0), 0),
    "none": (lambda x: x, (UNLIMITED, UNLIMITED), 0),
}


@pytest.mark.parametrize("name", MASKS)
def test_masks_that_are_known(name):
    masked, window, count = MASKS[name]
    q, k, v = numbers(N, T, H), numbers(N, S, H), numbers(N, S, D)
    (node,) = found_in(lambda *xs: matrices(*xs, masked), q, k, v)
    assert node.attrs["window"] == window
    assert len(node.inputs) == 3 + count


@pytest.mark.parametrize(("shape", "axes"), [
    ((B, 1, 1, S), (B, 1, 1, S)), ((1, N, T, S), (1, N, T, S)), ((T, 1), (1, 1, T, 1)),
    ((B, N, T, S), (B, N, T, S)), ((N, 1, S), (1, N, 1, S))])
def test_masks_and_biases_are_operands(shape, axes):
    q, k, v = numbers(B, N, T, H), numbers(B, N, S, H), numbers(B, N, S, D)
    mask, bias = numbers(*shape, seed=1) > -0.5, numbers(*shape, seed=2)
    (node,) = found_in(lambda q, k, v, mask, bias: matrices(
        q, k, v, lambda x: jnp.where(mask, x + bias, -1e30)), q, k, v, mask, bias)
    assert [x.type.shape for x in node.inputs[3:]] == [axes, axes] and node.attrs["bias"]


def test_many_masks():
    q, k, v = numbers(N, T, H), numbers(N, S, H), numbers(N, S, D)
    masks = [numbers(T, S, seed=i) > -1 for i in range(5)]

    def masked(x, masks):
        for mask in masks:
            x = jnp.where(mask, x, -1e30)
        return x

    (node,) = found_in(lambda q, k, v, *masks: matrices(q, k, v, lambda x: masked(x, masks)),
                       q, k, v, *masks)
    assert len(node.inputs) == 6


def test_narrow_numbers():
    def function(q, k, v):
        shares = nn.softmax((q @ k.swapaxes(-1, -2)).astype(np.float32))
        return shares.astype(q.dtype) @ v

    q = jnp.asarray(numbers(N, T, H), jnp.bfloat16)
    graph, _ = trace(lambda *xs: [function(*xs)], [Type(q.dtype, q.shape)] * 3)
    assert [node.op for node in attend(graph).nodes].count(attention) == 1


def sum_without_derivative(q, k, v):
    x = q @ k.swapaxes(-1, -2)
    powers = jnp.exp(x - x.max(-1, keepdims=True))
    return powers / al.lax.stop_gradient(powers.sum(-1, keepdims=True)) @ v


LEFT = {
    "shares wanted": lambda q, k, v: (lambda p: p @ v + p.sum())(
        nn.softmax(q @ k.swapaxes(-1, -2))),
    "logits wanted": lambda q, k, v: (lambda x: nn.softmax(x) @ v + x.sum())(
        q @ k.swapaxes(-1, -2)),
    "small": lambda q, k, v: nn.softmax(q[:, :9] @ k.swapaxes(-1, -2)) @ v,
    "rows instead": lambda q, k, v: nn.softmax(q @ k.swapaxes(-1, -2), axis=-2) @ v,
    "over heads": lambda q, k, v: nn.softmax(q @ k.swapaxes(-1, -2), axis=0) @ v,
    "not quite": lambda q, k, v: (lambda x: jnp.exp(x - x.max(-1, keepdims=True))
                                  / (jnp.exp(x).sum(-1, keepdims=True) + 1))(
        q @ k.swapaxes(-1, -2) * 0.1) @ v,
    "of another": lambda q, k, v: (lambda x: jnp.exp(x - x.max()) / jnp.exp(x - x.max()).sum(
        -1, keepdims=True))(q @ k.swapaxes(-1, -2) * 0.1) @ v,
    "a sum without derivative": sum_without_derivative,
    "weak mask": lambda q, k, v: nn.softmax(jnp.where(
        causal(T, S), q @ k.swapaxes(-1, -2), -5.0)) @ v,
    "rows are nan": lambda q, k, v: nn.softmax(jnp.where(
        causal(T, S) & (jnp.arange(S)[None] > jnp.arange(T)[:, None] - 3),
        q @ k.swapaxes(-1, -2), -jnp.inf)) @ v,
    "rows may be nan": lambda q, k, v: nn.softmax(jnp.where(
        q[:, :, :1] > -9, q @ k.swapaxes(-1, -2), -jnp.inf)) @ v,
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_alone(name):
    assert found_in(LEFT[name], numbers(N, T, H), numbers(N, S, H), numbers(N, S, D)) == []


def test_a_bias_with_derivatives():
    q, k, v = numbers(N, T, H), numbers(N, S, H), numbers(N, S, D)

    def function(q, k, v, bias):
        return matrices(q, k, v, lambda x: x + bias)

    assert found_in(function, q, k, v, numbers(T, S), differentiable=True) == []
    assert len(found_in(lambda q, k, v: function(q, k, v, -abs(jnp.arange(
        T * S, dtype=np.float32).reshape(T, S)) / S), q, k, v, differentiable=True)) == 1


@settings(deadline=None, max_examples=25)
@given(st.integers(64, 90), st.integers(64, 90), st.integers(-40, 40), st.integers(0, 60),
       st.sampled_from(["LE", "LT", "GE", "GT"]), st.booleans(), st.booleans())
def test_comparisons_of_indices(t, s, low, width, direction, swap, signed):
    """Any comparison of moved indices is the mask that it was."""
    def masked(x):
        row, column = jnp.arange(t)[:, None] + low, jnp.arange(s)[None] - width
        if not signed:
            row = jnp.arange(t, dtype=np.int64)[:, None] - (-low)
            column = column.astype(np.int64)
        sides = (column, row) if swap else (row, column)
        compare = {"LE": jnp.less_equal, "LT": jnp.less, "GE": jnp.greater_equal,
                   "GT": jnp.greater}[direction]
        return jnp.where(compare(*sides), x, -1e30)

    q, k, v = numbers(1, t, 4), numbers(1, s, 4, seed=1), numbers(1, s, 3)
    assert len(found_in(lambda *xs: matrices(*xs, masked), q, k, v)) == 1


@pytest.mark.parametrize("mask", ["tril", "none"])
def test_compiled_with_gradients(mask):
    """The same numbers as JAX's, and nothing of the size of the logits in memory."""
    jax = pytest.importorskip("jax")
    q, k, v = (numbers(1, 900, 16, seed=i) for i in range(3))

    def loss(np_, softmax):
        def function(q, k, v):
            x = q @ k.swapaxes(-1, -2) * 0.25
            if mask == "tril":
                x = np_.where(np_.tril(np_.ones((900, 900), bool)), x, -1e30)
            return (softmax(x, axis=-1) @ v * v).sum()
        return function

    step = al.jit(al.value_and_grad(loss(jnp, nn.softmax), (0, 1, 2)))
    wanted = jax.value_and_grad(loss(jax.numpy, jax.nn.softmax), (0, 1, 2))(q, k, v)
    for x, y in zip(al.tree.leaves(step(q, k, v)), jax.tree.leaves(wanted)):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4)
    assert step.lower(q, k, v).compile().memory().peak < 4 * 900 * 900


def test_under_vmap_and_scan():
    q, k, v = numbers(3, 2, 80, 8), numbers(3, 2, 80, 8, seed=1), numbers(3, 2, 80, 8, seed=2)

    def layer(q, k, v):
        return matrices(q, k, v, lambda x: jnp.where(causal(80, 80), x, -1e30))

    def stacked(q, k, v):
        return al.lax.scan(lambda x, kv: (layer(x, *kv), None), q[0], (k, v))[0].sum()

    single = [layer(*xs) for xs in zip(q, k, v)]
    np.testing.assert_allclose(al.jit(al.vmap(layer))(q, k, v), single, rtol=1e-4, atol=1e-5)
    grads = al.jit(al.grad(stacked, (0, 1, 2)))(q, k, v)
    small = 1e-3 * numbers(*q.shape, seed=5)
    slope = stacked(q, k + small, v) - stacked(q, k - small, v)
    np.testing.assert_allclose(2 * (grads[1] * small).sum(), slope, rtol=2e-2, atol=1e-4)
