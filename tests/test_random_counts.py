"""Numbers of successes: the moments, and JAX's samples."""

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import random

jax = pytest.importorskip("jax")

TRIALS = np.array([0, 3, 20, 100, 1e6], np.float32)[:, None]
CHANCES = np.array([0.0, 0.02, 0.4, 0.5, 0.97, 1.0], np.float32)


def test_binomial_numbers_are_those_of_jax():
    found = random.binomial(random.key(7), jnp.array(TRIALS), jnp.array(CHANCES))
    wanted = jax.random.binomial(jax.random.key(7), TRIALS, CHANCES)
    assert np.abs(np.asarray(found) - np.asarray(wanted)).max() <= 1  # logarithms differ a bit
    assert np.mean(np.asarray(found) == np.asarray(wanted)) > 0.9
    odd = random.binomial(random.key(0), jnp.array([-1.0, np.nan, np.inf, 5]),
                          jnp.array([0.5, 0.5, 0.5, np.nan]))
    assert np.isnan(np.asarray(odd)).tolist() == [True, True, False, True] and odd[2] == np.inf


@pytest.mark.parametrize("n, p", [(12, 0.3), (500, 0.7)])
def test_moments(n, p):
    x = np.asarray(random.binomial(random.key(1), n, p, (20000,)))
    assert ((x >= 0) & (x <= n) & (x == np.floor(x))).all()
    deviation = np.sqrt(n * p * (1 - p))
    assert abs(x.mean() - n * p) < 0.04 * deviation and abs(x.std() / deviation - 1) < 0.03


def test_outcomes_of_many_trials():
    p = jnp.array([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0]])
    x = arraylib.jit(lambda key: random.multinomial(key, 1000, p))(random.key(3))
    assert x.sum(1).tolist() == [1000, 1000] and x[1].tolist() == [0, 1000, 0]
    assert abs(float(x[0, 2]) - 500) < 80 and x.dtype == "float32"
    more = random.multinomial(random.key(3), 10, p[0], shape=(4, 3))
    assert more.shape == (4, 3) and more.sum(1).tolist() == [10] * 4


def test_endless_trials_without_a_chance_end():
    n, p = jnp.array([jnp.inf, jnp.inf, 5.0]), jnp.array([0.0, 1.0, 1.0])
    assert random.binomial(random.key(0), n, p).tolist() == [float("inf"), float("inf"), 5.0]


def test_float64_chances_are_met_by_float64_numbers():
    p = jnp.array([0.3], "float64")
    drawn = [random.binomial(random.key(3), n, p, dtype="float64") for n in (7, jnp.array(7.0))]
    assert drawn[0].tolist() == drawn[1].tolist()
