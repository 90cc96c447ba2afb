"""vjp as a value: passed between compiled functions, without arguments, with refs for gradients."""

import numpy as np
import pytest

import arraylib as al
import arraylib.numpy as jnp
from arraylib import ad, lax
from arraylib.errors import ArgumentError

W, X = jnp.ones((3, 3)) / 2, jnp.arange(6.0).reshape(2, 3) / 6


def layer(w, x):
    return jnp.tanh(x @ w)


def wanted():
    return al.grad(lambda w, x: layer(w, x).sum(), argnums=(0, 1))(W, X)


def test_forward_and_backward_apart():
    traced = []
    forward = al.jit(lambda w, x: al.vjp(layer, w, x))
    backward = al.jit(lambda back, ct: (traced.append(1), back(ct))[1])
    for _ in range(2):
        out, residuals = forward(W, X)
        for x, y in zip(backward(residuals, jnp.ones_like(out)), wanted(), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-6)
    assert len(traced) == 1
    forward, backward = al.fwd_and_bwd(layer, argnums=1)
    out, residuals = forward(W, X)
    np.testing.assert_allclose(backward(residuals, jnp.ones_like(out)), wanted()[1], rtol=1e-6)


def test_arguments_are_left_out_and_put_back():
    out, back = al.vjp(layer, W, X, saveable_args=(False, True))
    assert repr(back.args_res[0]) == "NotSaveable()" and back.args_res[1].shape == (2, 3)
    assert len(al.tree.leaves(back)) == 1 + len(back.opaque_residuals)
    with pytest.raises(ValueError, match="put back first: 0"):
        back(out)
    with pytest.raises(ArgumentError, match=r"args_res has f32\[2,3\] for 0"):
        back.replace(args_res=[X, X])(out)
    whole = back.replace(args_res=[W, back.args_res[1]])
    back.args_res[0] = W
    for each in (back, whole):
        for x, y in zip(each(jnp.ones_like(out)), wanted(), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-6)
    _, back = al.vjp(lambda d: d["b"] @ d["a"], {"a": W, "b": X}, saveable_args=((True, False),))
    back.args_res = [{"a": W, "b": X}]
    assert al.tree.map(jnp.shape, back(jnp.ones((2, 3)))[0]) == {"a": (3, 3), "b": (2, 3)}
    assert repr(al.vjp(jnp.add, W, W)[1].args_res) == "[NotNeeded(), NotNeeded()]"


def test_gradients_are_added_to_refs():
    ref = al.new_ref(jnp.ones((3, 3)))

    def step(x):
        out, back = al.vjp(layer, W, x)
        return back.with_refs(ref, ad.DontWant())(jnp.ones_like(out))
    assert step(X) == al.jit(step)(X) == (ad.GradRef(), ad.DidntWant())
    np.testing.assert_allclose(ref[...], 1 + 2 * wanted()[0], rtol=1e-6)
    _, back = al.vjp(lambda d, x: layer(d["w"], x) + d["b"], {"w": W, "b": jnp.ones(3)}, X)
    refs = {"w": ref, "b": ad.GradValue()}
    found, _ = back.with_refs(refs, ad.DontWant())(jnp.ones((2, 3)))
    assert found["w"] == ad.GradRef() and found["b"].tolist() == [2, 2, 2]
    np.testing.assert_allclose(ref[...], 1 + 3 * wanted()[0], rtol=1e-6)


def test_gradients_that_nobody_wants_are_not_computed():
    _, back = al.vjp(jnp.matmul, W, X.T)
    both = al.make_graph(lambda: back(jnp.ones((3, 2))))()
    one = al.make_graph(lambda: back.with_refs(ad.GradValue(), ad.DontWant())(jnp.ones((3, 2))))()
    assert (str(both).count("dot_general"), str(one).count("dot_general")) == (2, 1)


def test_gradients_over_a_loop():
    weights, rows = jnp.ones((2, 3, 3)) / 3, jnp.arange(12.0).reshape(4, 1, 3) / 12

    def loss(weights, x):
        return lax.scan(lambda x, w: (layer(w, x), None), x, weights)[0].mean()

    @al.jit
    def accumulated(weights, rows):
        gradient = al.new_ref(jnp.zeros_like(weights))

        def step(_, x):
            out, back = al.vjp(lambda w: loss(w, x), weights)
            back.with_refs(gradient)(jnp.ones_like(out))
            return None, out
        losses = lax.scan(step, None, rows)[1]
        return al.freeze(gradient), losses
    total = al.grad(lambda w: sum(loss(w, x) for x in rows))(weights)
    np.testing.assert_allclose(accumulated(weights, rows)[0], total, rtol=1e-5)


def test_derivatives_by_what_refs_hold():
    def f(ref, x):
        ref[0] = jnp.sin(ref[1]) * x
        return (ref[...] ** 2).sum()

    def plain(start, x):
        after = start.at[0].set(jnp.sin(start[1]) * x)
        return (after ** 2).sum(), after
    start = jnp.array([1.0, 2.0])
    ref, ct = al.new_ref(start), al.new_ref(jnp.array([10.0, 20.0]))
    out, back = al.vjp(f, ref, 3.0)
    found = back.with_refs(ct, ad.GradValue())(2.0)
    (value, after), slopes = al.vjp(plain, start, 3.0)
    by_start, by_x = slopes((2.0, jnp.array([10.0, 20.0])))
    assert float(out) == float(value) and found[0] == ad.GradRef()
    np.testing.assert_allclose(ref[...], after)
    np.testing.assert_allclose(ct[...], by_start, rtol=1e-6)
    np.testing.assert_allclose(found[1], by_x, rtol=1e-6)


def test_a_ref_of_integers_has_no_derivative():
    counts, nothing = al.new_ref(jnp.arange(3)), al.new_ref(jnp.full(3, 7))
    _, back = al.vjp(lambda n, x: (n[...] * x).sum(), counts, jnp.ones(3))
    found = back.with_refs(nothing, ad.GradValue())(1.0)
    assert found[0] == ad.GradRef() and found[1].tolist() == [0, 1, 2]
    assert nothing[...].tolist() == [7, 7, 7]


@pytest.mark.parametrize(("entries", "message"), [
    ((), "must be accumulated into a ref"),
    ((ad.GradValue(), ad.GradValue()), "must be accumulated into a ref"),
    ((1.0, ad.GradValue()), r"1.0 for an argument of type f32\[\]"),
    ((al.new_ref(jnp.ones(2)), ad.GradValue()), r"for an argument of type f32\[\]"),
    ((ad.GradValue(),), "the refs"),
])
def test_mistakes(entries, message):
    _, back = al.vjp(lambda ref, x: ref[...] * x, al.new_ref(2.0), 3.0)
    with pytest.raises(ValueError, match=message):
        (back.with_refs(*entries) if entries else back)(1.0)
