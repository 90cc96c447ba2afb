"""The parts of optimisers: schedules, limits, masks, groups, sums over several steps."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies

import arraylib
import arraylib.numpy as jnp
from arraylib import optim, tree
from arraylib.errors import ArgumentError

# -- schedules -------------------------------------------------------------------------------------


def exponential(t, start=0, stairs=False):
    done = max(t - start, 0) / 3
    return 2 * 0.5 ** (math.floor(done) if stairs else done)


def cosine(t, steps, peak=2.0, end=0.0, exponent=1.0):
    share = end / peak
    wave = (1 + math.cos(math.pi * min(t, steps) / steps)) / 2
    return peak * ((1 - share) * wave**exponent + share)


def polynomial(t, first, last, power, steps, start=0):
    return (first - last) * (1 - min(max(t - start, 0), steps) / steps) ** power + last


SCHEDULES = {
    "constant": (optim.constant_schedule(0.5), lambda t: 0.5),
    "linear": (optim.linear_schedule(1.0, 0.25, 5, 2), lambda t: polynomial(t, 1, 0.25, 1, 5, 2)),
    "polynomial": (optim.polynomial_schedule(1.0, 2.0, 3, 5), lambda t: polynomial(t, 1, 2, 3, 5)),
    "exponential": (optim.exponential_decay(2.0, 3, 0.5), exponential),
    "stairs": (optim.exponential_decay(2.0, 3, 0.5, 2, True), lambda t: exponential(t, 2, True)),
    "bounded": (optim.exponential_decay(2.0, 3, 0.5, end_value=0.9),
                lambda t: max(exponential(t), 0.9)),
    "growing": (optim.exponential_decay(2.0, 3, 2.0, end_value=9.0),
                lambda t: min(2 * 2 ** (t / 3), 9)),
    "cosine": (optim.cosine_decay_schedule(2.0, 5, 0.1, 1.5),
               lambda t: cosine(t, 5, end=0.2, exponent=1.5)),
    "pieces": (optim.piecewise_constant_schedule(1.0, {6: 0.5, 2: 0.25}),
               lambda t: 1.0 if t < 2 else 0.25 if t < 6 else 0.125),
    "one piece": (optim.piecewise_constant_schedule(1.0), lambda t: 1.0),
    "warmup": (optim.warmup_constant_schedule(0.0, 2.0, 4), lambda t: min(t / 2, 2)),
    "warmup, cosine": (optim.warmup_cosine_decay_schedule(0.5, 2.0, 3, 8, 0.1),
                       lambda t: 0.5 + t / 2 if t < 3 else cosine(t - 3, 5, end=0.1)),
    "no warmup": (optim.warmup_cosine_decay_schedule(0.5, 2.0, 0, 5), lambda t: cosine(t, 5)),
    "warmup, exponential": (optim.warmup_exponential_decay_schedule(0.0, 2.0, 4, 3, 0.5),
                            lambda t: t / 2 if t < 4 else exponential(t - 4)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    schedule, formula = SCHEDULES[name]
    wanted = [formula(t) for t in range(12)]
    found = [schedule(t) for t in range(12)]
    assert {(x.shape, str(x.dtype)) for x in found} == {((), "float32")}
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)
    steps = jnp.arange(12)
    np.testing.assert_allclose(arraylib.jit(arraylib.vmap(schedule))(steps), wanted, rtol=1e-6,
                               atol=1e-7)


@pytest.mark.parametrize("make", [
    lambda: optim.linear_schedule(0, 1, 0), lambda: optim.exponential_decay(1, -1, 0.5),
    lambda: optim.exponential_decay(1, 1, 0.0), lambda: optim.cosine_decay_schedule(1, 0),
    lambda: optim.warmup_cosine_decay_schedule(0, 1, 5, 5),
    lambda: optim.join_schedules([jnp.sin], [1]),
    lambda: optim.join_schedules([jnp.sin] * 3, [2, 1]),
    lambda: optim.MultiSteps(optim.sgd(1), 0)])
def test_numbers_that_make_no_sense_are_refused(make):
    with pytest.raises(ArgumentError):
        make()


# -- limits ----------------------------------------------------------------------------------------

sizes = strategies.lists(strategies.lists(strategies.integers(0, 4), max_size=2).map(tuple),
                         min_size=1, max_size=4)


@settings(deadline=None, max_examples=12)
@given(sizes, strategies.floats(0.125, 8, width=32), strategies.integers(0, 99))
def test_limits_of_norms(shapes, limit, seed):
    rng = np.random.default_rng(seed)
    exact = [np.asarray(3 * rng.standard_normal(shape)) for shape in shapes]
    arrays = [jnp.asarray(x, dtype="float64") for x in exact]

    def check(transformation, factors):
        found, _ = transformation.update(arrays, transformation.init(arrays))
        for x, factor, result in zip(exact, factors, found, strict=True):
            assert result.dtype == "float64"
            np.testing.assert_allclose(result, x * factor, rtol=1e-6)

    shorten = lambda size: 1.0 if size <= limit else limit / size
    norms = [np.linalg.norm(x) for x in exact]
    total = np.linalg.norm(norms)
    np.testing.assert_allclose(optim.global_norm(arrays), total, rtol=1e-6)
    check(optim.clip_by_global_norm(limit), [shorten(total)] * len(exact))
    check(optim.clip_by_norm(limit), [shorten(size) for size in norms])
    check(optim.clip_by_block_rms(limit),
          [shorten(size / max(x.size, 1) ** 0.5) for size, x in zip(norms, exact)])
    clipped, _ = optim.clip(limit).update(arrays, ())
    for x, result in zip(exact, clipped):
        np.testing.assert_allclose(result, np.clip(x, -limit, limit), rtol=1e-6)


def test_limits_at_their_edges():
    clip = lambda x, limit: np.asarray(
        optim.clip_by_global_norm(limit).update(jnp.asarray(x), ())[0])
    assert clip([0.0, -0.0], 0.0).tobytes() == np.float32([0.0, -0.0]).tobytes()
    assert clip([3.0, 4.0], 0.0).tolist() == [0, 0]
    assert clip([3.0, 4.0], 5.0).tolist() == [3, 4]
    assert np.isnan(clip([1.0, math.nan], 1.0)).all()
    assert np.isnan(clip([math.inf], 1.0)).all()
    half, _ = optim.clip_by_global_norm(1.0).update(jnp.full(4, 40000, dtype="float16"), ())
    assert half.dtype == "float16" and half.tolist() == [0.5] * 4  # the sum is past float16
    assert optim.global_norm({}).tolist() == 0


# -- masks and groups ------------------------------------------------------------------------------

PARAMS = {"w": jnp.ones((2, 2)), "layers": [{"w": jnp.ones((2, 3)), "b": jnp.ones(3)}]}
MATRICES = lambda params: tree.map(lambda p: p.ndim > 1, params)


@pytest.mark.parametrize("mask", [MATRICES, MATRICES(PARAMS)])
def test_masked_decay(mask):
    optimiser = optim.adamw(1.0, weight_decay=0.5, mask=mask)
    zeros = tree.map(jnp.zeros_like, PARAMS)
    step = arraylib.jit(lambda s: optimiser.update(zeros, s, PARAMS))
    updates, _ = step(optimiser.init(PARAMS))
    decayed = tree.map(lambda u: float(u.ravel()[0]), updates)
    assert decayed == {"w": -0.5, "layers": [{"w": -0.5, "b": 0.0}]}


def test_a_mask_may_be_a_prefix_and_leaves_no_state():
    optimiser = optim.masked(optim.adam(1.0), {"w": False, "layers": True})
    state = optimiser.init(PARAMS)
    assert len(tree.leaves(state)) == 5  # the count, and two moments for each of two arrays
    updates, state = optimiser.update(PARAMS, state)
    assert updates["w"] is PARAMS["w"]
    np.testing.assert_allclose(updates["layers"][0]["b"], -np.ones(3), rtol=1e-6)


def test_groups_have_their_own_optimisers():
    labels = lambda params: tree.map(lambda p: "matrix" if p.ndim > 1 else "vector", params)
    groups = {"matrix": optim.adamw(0.1, weight_decay=0.0), "vector": optim.sgd(0.5)}
    optimiser = optim.partition(groups, labels)
    updates, state = arraylib.jit(optimiser.update)(PARAMS, optimiser.init(PARAMS), PARAMS)
    found = tree.map(lambda u: round(float(u.ravel()[0]), 5), updates)
    assert found == {"w": -0.1, "layers": [{"w": -0.1, "b": -0.5}]}
    assert set(state) == {"matrix", "vector"}
    with pytest.raises(ArgumentError, match="no transformation for 'b'"):
        optim.partition(groups, {"w": "matrix", "layers": "b"}).init(PARAMS)


def test_chains():
    assert optim.identity().update(PARAMS, optim.identity().init(PARAMS))[0] is PARAMS
    zeros, _ = optim.set_to_zero().update(PARAMS, optim.EmptyState())
    assert float(optim.global_norm(zeros)) == 0
    with pytest.raises(ArgumentError, match="a state of 0 parts for 2"):
        optim.sgd(0.1).update(PARAMS, ())
    up = optim.scale_by_learning_rate(0.5, flip_sign=False)
    assert up.update(jnp.ones(1), up.init(jnp.ones(1)))[0].tolist() == [0.5]


# -- several steps ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [True, False])
def test_sums_over_several_steps(mean):
    grads = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    optimiser = optim.MultiSteps(optim.adam(0.1), 3, mean)
    update = arraylib.jit(optimiser.update)
    p = jnp.zeros(3)
    state, taken = optimiser.init(p), []
    for g in grads:
        updates, state = update(jnp.asarray(g), state, p)
        taken.append((bool(optimiser.has_updated(state)), np.asarray(updates)))
    assert [done for done, _ in taken] == [False, False, True] * 2
    inner = optim.adam(0.1)
    inside = inner.init(p)
    for i in (0, 3):
        total = grads[i:i + 3].sum(0) / (3 if mean else 1)
        updates, inside = inner.update(jnp.asarray(total), inside)
        np.testing.assert_allclose(taken[i + 2][1], updates, rtol=1e-5)
        assert not taken[i][1].any() and not taken[i + 1][1].any()


def test_the_number_of_steps_may_be_a_schedule():
    optimiser = optim.MultiSteps(optim.sgd(1.0), lambda taken: 1 + taken).gradient_transformation()
    p = jnp.zeros(1, "bfloat16")
    state, found = optimiser.init(p), []
    assert state.acc_grads.dtype == "float32"
    for _ in range(6):
        updates, state = optimiser.update(jnp.ones(1, "bfloat16"), state, p)
        assert updates.dtype == "bfloat16"
        found.append(float(updates[0]))
    assert found == [-1, 0, -1, 0, 0, -1]


def test_steps_that_are_not_finite_are_skipped():
    optimiser = optim.apply_if_finite(optim.sgd(1.0, 0.5), 2)
    update = arraylib.jit(optimiser.update)
    state, found = optimiser.init(jnp.zeros(2)), []
    for bad in (0.0, math.nan, math.inf, 0.0, math.nan, math.nan, math.nan):
        updates, state = update(jnp.asarray([1.0, bad]), state)
        found.append(np.asarray(updates).tolist()[0])
    assert found[:6] == [-1, 0, 0, -1.5, 0, 0] and found[6] == -1.75
    assert (int(state.total_notfinite), int(state.notfinite_count)) == (5, 3)
    assert not bool(state.last_finite)


def test_averages_of_parameters():
    new = {"w": jnp.ones(2), "b": jnp.ones(1, "bfloat16")}
    old = tree.map(jnp.zeros_like, new)
    found = optim.incremental_update(new, old, 0.25)
    assert found["w"].tolist() == [0.25, 0.25] and found["b"].dtype == "bfloat16"
