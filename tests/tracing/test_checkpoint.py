"""checkpoint and its policies: what is kept, what is computed again, and the same derivatives."""

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import hlo, lax
from arraylib.ad_checkpoint import (
    Offloadable,
    Recompute,
    Saveable,
    checkpoint_name,
    print_saved_residuals,
    saved_residuals,
)
from arraylib.errors import ArgumentError

jax = pytest.importorskip("jax")
jax_names = pytest.importorskip("jax.ad_checkpoint")
policies = arraylib.checkpoint_policies

RANDOM = np.random.default_rng(0)
W = [RANDOM.normal(size=(4, 4)).astype(np.float32) for _ in range(3)]
X = RANDOM.normal(size=(3, 4)).astype(np.float32)

# What a policy is in each library.
POLICIES = {
    "everything": lambda m: m.checkpoint_policies.everything_saveable,
    "nothing": lambda m: m.checkpoint_policies.nothing_saveable,
    "dots": lambda m: m.checkpoint_policies.dots_saveable,
    "unbatched dots": lambda m: m.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "a name": lambda m: m.checkpoint_policies.save_only_these_names("hidden"),
    "no name": lambda m: m.checkpoint_policies.save_only_these_names("other"),
    "other names": lambda m: m.checkpoint_policies.save_any_names_but_these("squared"),
    "all but": lambda m: m.checkpoint_policies.save_anything_except_these_names("hidden"),
    "both": lambda m: m.checkpoint_policies.save_from_both_policies(
        m.checkpoint_policies.dots_saveable,
        m.checkpoint_policies.save_only_these_names("squared")),
    "offloaded": lambda m: m.checkpoint_policies.save_and_offload_only_these_names(
        names_which_can_be_saved=["squared"], names_which_can_be_offloaded=["hidden"],
        offload_src="device", offload_dst="pinned_host"),
}


def block(m, name):
    """A layer with named values, for both libraries."""
    def layer(w, x):
        hidden = name(m.numpy.sin(x @ w), "hidden")
        return name(hidden ** 2, "squared") * m.numpy.cos(x)
    return layer


def loss(m, policy, jit=lambda f: f):
    named = checkpoint_name if m is arraylib else jax_names.checkpoint_name
    layer = m.checkpoint(jit(block(m, named)), policy=policy)

    def total(ws, x):
        for w in ws:
            x = layer(w, x)
        return (x ** 2).sum()
    return total


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("transform", ["grad", "jit", "vmap", "forward over reverse", "call"])
def test_like_jax(policy, transform):
    def derivative(m):
        f = loss(m, POLICIES[policy](m), m.jit if transform == "call" else lambda f: f)
        if transform == "jit":
            return m.jit(m.grad(f, (0, 1)))(W, X)
        if transform == "vmap":
            return m.vmap(m.grad(f, (0, 1)), in_axes=(None, 0))(W, np.stack([X, 2 * X]))
        if transform == "forward over reverse":
            return m.jvp(lambda x: m.grad(f)(W, x), (X,), (np.ones_like(X),))
        return m.grad(f, (0, 1))(W, X)

    ours, theirs = derivative(arraylib), derivative(jax)
    for a, b in zip(arraylib.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def layered(policy, x):
    def f(x):
        hidden = checkpoint_name(jnp.sin(x @ W[0]), "hidden")
        return (jnp.exp(jnp.cos(hidden) @ W[1])).sum()
    return saved_residuals(arraylib.checkpoint(f, policy=policy), x)


KEPT = {
    "nothing": [], "a name": ["named"], "dots": ["dot_general"] * 2, "no name": [],
    "offloaded": ["named"],
}


@pytest.mark.parametrize("policy", KEPT)
def test_what_is_kept(policy):
    found = [r.what.split()[0] for r in layered(POLICIES[policy](arraylib), X)]
    assert sorted(name for name in found if name not in ("argument", "a")) == KEPT[policy]


def test_all_is_kept():
    """With everything kept, nothing but cheap calls are in the backward pass."""
    graph = str(arraylib.make_graph(arraylib.grad(
        arraylib.checkpoint(lambda x: jnp.exp(jnp.sin(x)), policy=policies.everything_saveable)
    ))(1.0))
    forward, backward = graph.split("checkpoint")[1:3]
    assert "exponential" in forward and "exponential" not in backward


def test_arguments_are_named(capsys):
    def f(params, scale):
        return (jnp.sin(params["w"]) * scale).sum()
    print_saved_residuals(arraylib.checkpoint(f), {"w": X}, scale=2.0)
    assert capsys.readouterr().out.splitlines() == [
        "f32[3,4]  argument 0['w']", "f32[]  argument scale"]


def test_in_a_scan():
    """Steps of a scan keep what the policy says; the gradient is that without a checkpoint."""
    def run(step):
        def total(x):
            return lax.scan(step, x, jnp.stack([*map(jnp.asarray, W)]))[0].sum()
        return arraylib.grad(total)(X)

    def step(x, w):
        return checkpoint_name(jnp.sin(x @ w), "hidden") * x, None
    expected = run(step)
    for policy in (None, policies.dots_saveable, policies.save_only_these_names("hidden")):
        found = run(arraylib.checkpoint(step, policy=policy))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_settings_and_decorators():
    @arraylib.checkpoint(static_argnums=(1,))
    def power(x, n, *, scale=1.0):
        return scale * x ** n if n > 1 else x
    assert arraylib.grad(power)(3.0, 2) == 6 and arraylib.grad(power)(3.0, 1) == 1
    assert arraylib.grad(lambda x: power(x, 2, scale=2.0))(3.0) == 12
    with pytest.raises(ArgumentError, match="static_argnums names argument 1, but the call has 1"):
        power(3.0)
    with pytest.raises(ArgumentError, match="policy is 'dots', not a function"):
        arraylib.checkpoint(jnp.sin, policy="dots")


def test_policies_of_users():
    """A policy sees the operation, its operands' types and its attributes."""
    seen = []

    def policy(op, *types, **attrs):
        seen.append((op.name, *map(str, types)))
        return op.name == "sine"
    found = saved_residuals(arraylib.checkpoint(lambda x: jnp.exp(jnp.sin(x @ W[0])),
                                                policy=policy), X)
    assert ("sine", "f32[3,4]") in seen and ("dot_general", "f32[3,4]", "f32[4,4]") in seen
    assert any(str(r).startswith("f32[3,4]  sine at test_checkpoint.py") for r in found)


def test_verdicts_of_policies():
    def kept(verdict):
        def policy(op, *types, **attrs):
            return verdict if op.name == "sine" else Recompute
        f = arraylib.checkpoint(lambda x: jnp.cos(jnp.sin(x)) ** 2, policy=policy)
        return len(saved_residuals(f, 1.0))
    assert kept(Saveable) == kept(Offloadable("device", "pinned_host")) == kept(Recompute) + 1
    assert repr(Saveable) == "Saveable" and Offloadable("a", "b").dst == "b"


def test_names_are_gone_when_compiled():
    text = arraylib.jit(lambda x: checkpoint_name(x, "a") + 1).lower(X).compile().text("optimized")
    assert "named" not in text and "add" in text
    tree = checkpoint_name({"a": 1.0, "b": X}, "both")
    assert set(tree) == {"a", "b"} and np.array_equal(tree["b"], X)


def test_text_that_saves_more_than_there_is_is_refused():
    def f(x):
        keep = policies.save_only_these_names("hidden")
        return arraylib.checkpoint(lambda x: checkpoint_name(jnp.sin(x), "hidden"), policy=keep)(x)
    text = arraylib.make_graph(f)(X).text()
    assert "{saved = 1 : i64}" in text and hlo.parse(text)
    for wrong in (-1, 3):
        with pytest.raises(hlo.ParseError, match=f"saved is {wrong}, but its body gives 2 values"):
            hlo.parse(text.replace("saved = 1", f"saved = {wrong}"))
