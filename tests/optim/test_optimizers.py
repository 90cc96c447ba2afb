"""Optimisers beside their formulas in float64, written out here as the papers have them."""


import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import optim, tree
from arraylib.errors import ArgumentError

MODULES = ["accumulation", "clipping", "moments", "optimizers", "schedules", "transformation"]


# -- formulas: from p, g, the step's number and a dict that is kept, to the next p -----------------


def sgd(momentum, nesterov):
    def step(p, g, t, kept, rate):
        m = kept["m"] = momentum * kept.get("m", 0) + g
        return p - rate * (g + momentum * m if nesterov else m)
    return step


def adam(b1=0.9, b2=0.999, eps=1e-8, decay=0.0, ams=False, nesterov=False):
    def step(p, g, t, kept, rate):
        m = kept["m"] = b1 * kept.get("m", 0) + (1 - b1) * g
        v = kept["v"] = b2 * kept.get("v", 0) + (1 - b2) * g * g
        mean, square = m / (1 - b1**t), v / (1 - b2**t)
        if nesterov:
            mean = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        if ams:
            square = kept["top"] = np.maximum(kept.get("top", 0), square)
        return p - rate * (mean / (np.sqrt(square) + eps) + decay * p)
    return step


def adagrad(start, eps):
    def step(p, g, t, kept, rate):
        s = kept["s"] = kept.get("s", start) + g * g
        return p - rate * np.where(s > 0, g / np.sqrt(np.where(s > 0, s + eps, 1)), 0)
    return step


def rmsprop(decay=0.9, eps=1e-8, inside=True, centered=False, momentum=0.0):
    def step(p, g, t, kept, rate):
        v = kept["v"] = decay * kept.get("v", 0) + (1 - decay) * g * g
        m = kept["m"] = decay * kept.get("m", 0) + (1 - decay) * g
        v = v - m * m if centered else v
        size = np.sqrt(v + eps) if inside else np.sqrt(v) + eps
        b = kept["b"] = momentum * kept.get("b", 0) + rate * g / size
        return p - b
    return step


def lion(b1=0.9, b2=0.99, decay=1e-3):
    def step(p, g, t, kept, rate):
        m = kept.get("m", 0)
        kept["m"] = b2 * m + (1 - b2) * g
        return p - rate * (np.sign(b1 * m + (1 - b1) * g) + decay * p)
    return step


CASES = {
    "sgd": (optim.sgd, {}, sgd(0.0, False)),
    "momentum": (optim.sgd, {"momentum": 0.9}, sgd(0.9, False)),
    "nesterov": (optim.sgd, {"momentum": 0.9, "nesterov": True}, sgd(0.9, True)),
    "adam": (optim.adam, {}, adam()),
    "adam eps": (optim.adam, {"b1": 0.0, "b2": 0.5, "eps": 0.1}, adam(0.0, 0.5, 0.1)),
    "nadam": (optim.nadam, {}, adam(nesterov=True)),
    "adamw": (optim.adamw, {"weight_decay": 0.1}, adam(decay=0.1)),
    "amsgrad": (optim.amsgrad, {"b2": 0.5}, adam(b2=0.5, ams=True)),
    "adagrad": (optim.adagrad, {}, adagrad(0.1, 1e-7)),
    "adagrad from 0": (optim.adagrad, {"initial_accumulator_value": 0.0, "eps": 0.0},
                       adagrad(0.0, 0.0)),
    "rmsprop": (optim.rmsprop, {}, rmsprop()),
    "rmsprop centered": (optim.rmsprop, {"centered": True, "eps": 1e-2, "decay": 0.5},
                         rmsprop(0.5, 1e-2, centered=True)),
    "rmsprop momentum": (optim.rmsprop, {"eps_in_sqrt": False, "momentum": 0.9},
                         rmsprop(inside=False, momentum=0.9)),
    "lion": (optim.lion, {}, lion()),
}

SHAPES = {"w": (3, 4), "layers": [(5,), ()], "none": (0, 2)}


def random_tree(rng, shapes=SHAPES):
    return tree.map(rng.standard_normal, shapes, is_leaf=lambda x: type(x) is tuple)


def gradients(steps, seed=0):
    """Random, with an element that is always 0 and one that is 0 but once."""
    rng = np.random.default_rng(seed)
    for t in range(steps):
        found = random_tree(rng)
        found["w"][0, 0], found["w"][0, 1] = 0, float(t == 1)
        yield found


def run(optimiser, params, dtype, steps=6):
    """The parameters after some steps, under jit."""
    params = tree.map(lambda x: jnp.asarray(x, dtype=dtype), params)
    state = optimiser.init(params)

    @arraylib.jit
    def step(params, state, grads):
        updates, state = optimiser.update(grads, state, params)
        return optim.apply_updates(params, updates), state

    for grads in gradients(steps):
        grads = tree.map(lambda x: jnp.asarray(x, dtype=dtype), grads)
        params, state = step(params, state, grads)
    return params, state


def expected(formula, params, rate, steps=6):
    kept = tree.map(lambda p: {}, params)
    rate = rate if callable(rate) else lambda t, rate=rate: rate
    for t, grads in enumerate(gradients(steps)):
        after = lambda p, g, k, t=t: formula(p, g, t + 1, k, rate(t))
        params = tree.map(after, params, grads, kept)
    return params


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype, error", [("float32", 2e-6), ("float64", 1e-14)])
def test_optimisers_do_what_their_papers_say(name, dtype, error):
    make, settings, formula = CASES[name]
    params = random_tree(np.random.default_rng(1))
    found, _ = run(make(0.1, **settings), params, dtype)
    wanted = expected(formula, params, 0.1)
    for a, b in zip(tree.leaves(found), tree.leaves(wanted), strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=error, atol=error)


@pytest.mark.parametrize("name", CASES)
def test_rates_may_be_schedules_and_traced(name):
    make, settings, formula = CASES[name]
    params = random_tree(np.random.default_rng(1))
    schedule = optim.linear_schedule(0.2, 0.1, 4)
    found, _ = run(make(schedule, **settings), params, "float64")
    wanted = expected(formula, params, lambda t: 0.2 - 0.1 * min(t, 4) / 4)
    for a, b in zip(tree.leaves(found), tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)  # rates are float32

    def first(rate):
        optimiser = make(rate, **settings)
        p = jnp.ones(3)
        updates, _ = optimiser.update(jnp.arange(1.0, 4), optimiser.init(p), p)
        return optim.apply_updates(p, updates)

    np.testing.assert_allclose(arraylib.jit(first)(0.5), first(0.5), rtol=1e-6)
    assert np.isfinite(arraylib.jacfwd(first)(0.5)).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", CASES)
def test_short_floats_keep_their_dtype_and_round_once(name, dtype):
    make, settings, _ = CASES[name]
    p, g = jnp.asarray([1.0, 2, 3], dtype=dtype), jnp.asarray([1.0, 0, -0.5], dtype=dtype)
    optimiser = make(0.1, **settings)
    updates, state = optimiser.update(g, optimiser.init(p), p)
    assert updates.dtype == optim.apply_updates(p, updates).dtype == dtype
    before = tree.map(lambda x: x.dtype, optimiser.init(p))
    assert before == tree.map(lambda x: x.dtype, state)
    wide = p.astype("float32"), g.astype("float32")
    exact, _ = optimiser.update(wide[1], optimiser.init(wide[0]), wide[0])
    np.testing.assert_allclose(updates.astype("float32"), exact, rtol=0.03)


def test_complex_parameters_have_real_sizes():
    p, g = jnp.asarray([1 + 1j, 2]), jnp.asarray([3 + 4j, -1j])
    for make in (optim.adam, optim.rmsprop, optim.adagrad, optim.amsgrad):
        optimiser = make(0.1)
        updates, state = optimiser.update(g, optimiser.init(p), p)
        assert updates.dtype == "complex64"
        assert {"float32", "complex64"} >= {str(x.dtype) for x in tree.leaves(state)} - {"int32"}
    updates, _ = optim.adam(0.1).update(g, optim.adam(0.1).init(p), p)
    np.testing.assert_allclose(updates, [-0.06 - 0.08j, 0.1j], rtol=1e-5)


def test_means_are_kept_in_the_dtype_asked_for():
    state = optim.adam(0.1, mu_dtype="bfloat16").init(jnp.zeros(2))[0]
    assert (state.mu.dtype, state.nu.dtype) == ("bfloat16", "float32")
    _, state = optim.adam(0.1, mu_dtype="bfloat16").update(jnp.ones(2), (state, ()), None)
    assert state[0].mu.dtype == "bfloat16" and int(state[0].count) == 1
    assert optim.sgd(0.1, 0.9, accumulator_dtype="float64").init(jnp.zeros(2))[0].trace.dtype == (
        "float64")


def test_the_count_of_steps_does_not_overflow():
    optimiser = optim.adam(0.1)
    state = optimiser.init(jnp.zeros(1))
    last = jnp.asarray(2**31 - 1, dtype="int32")
    updates, state = optimiser.update(jnp.ones(1), (state[0]._replace(count=last), ()))
    assert int(state[0].count) == 2**31 - 1 and np.isfinite(updates).all()


def test_a_late_start_has_no_cancellation():
    """1 - 0.999 has lost 3 of its 7 digits in float32."""
    optimiser = optim.scale_by_adam(eps=0.0)
    updates, _ = optimiser.update(jnp.full(1, 0.7), optimiser.init(jnp.zeros(1)))
    np.testing.assert_allclose(updates, 1, rtol=3e-7)


def test_parameters_are_asked_for():
    for make in (optim.adamw, optim.lion):
        optimiser = make(0.1)
        with pytest.raises(ArgumentError, match="without the parameters"):
            optimiser.update(jnp.ones(1), optimiser.init(jnp.ones(1)))


def test_states_pass_through_transforms():
    optimiser = optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(0.1))
    p = {"w": jnp.ones((4, 2))}

    def step(carry, g):
        p, state = carry
        updates, state = optimiser.update({"w": g}, state, p)
        return (optim.apply_updates(p, updates), state), None

    grads = jnp.arange(24.0).reshape(3, 4, 2)
    (scanned, _), _ = arraylib.lax.scan(step, (p, optimiser.init(p)), grads)
    carry = p, optimiser.init(p)
    for g in grads:
        carry, _ = step(carry, g)
    np.testing.assert_allclose(scanned["w"], carry[0]["w"], rtol=1e-6)
    states = arraylib.vmap(optimiser.init)({"w": jnp.ones((5, 3))})
    assert states[1][0].mu["w"].shape == (5, 3) and states[1][0].count.shape == (5,)


def test_states_can_be_donated():
    optimiser = optim.adam(0.1)
    p = {"w": jnp.ones(300), "b": jnp.ones(300)}
    step = arraylib.jit(lambda g, state: optimiser.update(g, state), donate_argnums=1)
    expected, _ = optimiser.update(p, optimiser.init(p))
    updates, _ = step(p, optimiser.init(p))
    np.testing.assert_allclose(updates["b"], expected["b"], rtol=1e-6)


@pytest.mark.parametrize("make", [optim.adamw, lambda rate: optim.sgd(rate, 0.9), optim.lion])
def test_the_update_of_many_arrays_is_one_launch(make):
    optimiser = make(1e-3)
    params = [jnp.zeros((50 + i % 5, 64)) for i in range(100)]

    def step(params, state, grads):
        updates, state = optimiser.update(grads, state, params)
        return optim.apply_updates(params, updates), state

    text = arraylib.jit(step).lower(params, optimiser.init(params), params).compile().text("plan")
    launches = [line for line in text.splitlines() if " = " in line]
    assert len(launches) <= 2  # the counter of steps by itself
