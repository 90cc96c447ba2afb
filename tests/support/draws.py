"""How near random draws are to JAX's: for each distribution the largest difference, in ulp.

    python tests/support/draws.py [SEEDS]

The numbers that are compared are float32 (integers where the distribution has them), one key a
seed. `EXACT` and `NEAR` state what docs/from_jax.md says; tests check a few seeds, this script as
many as it is told.
"""

import sys
from functools import partial

import jax
import jax.random as theirs
import numpy as np

import arraylib
from arraylib import random

SIZE = 500

# Bit for bit, and within so many ulp for 100 seeds.
EXACT = ("bernoulli", "binomial", "bits", "categorical", "choice", "geometric", "permutation",
         "poisson", "rademacher", "randint", "triangular")
NEAR = {"cauchy": 2, "exponential": 2, "gumbel": 2, "laplace": 2, "logistic": 2, "pareto": 4,
        "rayleigh": 2, "truncated_normal": 8, "uniform": 2, "weibull_min": 2}
LOGITS = np.linspace(-2, 1, 7, dtype=np.float32)
CHANCES = np.exp(LOGITS) / np.exp(LOGITS).sum()
MEAN = np.array([1, -2, 0.5], np.float32)
COVARIANCE = np.array([[2, 0.5, 0], [0.5, 1, 0.3], [0, 0.3, 1.5]], np.float32)

# How each is drawn, from a module of random functions and a key.
CALLS = {
    "bits": lambda r, key: r.bits(key, (SIZE,)),
    "uniform": lambda r, key: r.uniform(key, (SIZE,), minval=-2.0, maxval=3.0),
    "randint": lambda r, key: r.randint(key, (SIZE,), -50, 1000),
    "normal": lambda r, key: r.normal(key, (SIZE,)),
    "truncated_normal": lambda r, key: r.truncated_normal(key, -1.0, 2.0, (SIZE,)),
    "bernoulli": lambda r, key: r.bernoulli(key, 0.3, (SIZE,)),
    "rademacher": lambda r, key: r.rademacher(key, (SIZE,)),
    "permutation": lambda r, key: r.permutation(key, SIZE),
    "choice": lambda r, key: r.choice(key, 7, (SIZE,), p=CHANCES),
    "categorical": lambda r, key: r.categorical(key, LOGITS, shape=(SIZE,)),
    "exponential": lambda r, key: r.exponential(key, (SIZE,)),
    "gumbel": lambda r, key: r.gumbel(key, (SIZE,)),
    "laplace": lambda r, key: r.laplace(key, (SIZE,)),
    "logistic": lambda r, key: r.logistic(key, (SIZE,)),
    "cauchy": lambda r, key: r.cauchy(key, (SIZE,)),
    "pareto": lambda r, key: r.pareto(key, 2.5, (SIZE,)),
    "rayleigh": lambda r, key: r.rayleigh(key, 1.5, (SIZE,)),
    "maxwell": lambda r, key: r.maxwell(key, (SIZE,)),
    "weibull_min": lambda r, key: r.weibull_min(key, 1.5, 2.0, (SIZE,)),
    "triangular": lambda r, key: r.triangular(key, -1.0, 0.5, 2.0, (SIZE,)),
    "wald": lambda r, key: r.wald(key, 1.5, (SIZE,)),
    "double_sided_maxwell": lambda r, key: r.double_sided_maxwell(key, 0.5, 2.0, (SIZE,)),
    "gamma": lambda r, key: r.gamma(key, 2.5, (SIZE,)),
    "beta": lambda r, key: r.beta(key, 2.0, 3.0, (SIZE,)),
    "chisquare": lambda r, key: r.chisquare(key, 3.0, shape=(SIZE,)),
    "dirichlet": lambda r, key: r.dirichlet(key, MEAN ** 2, (SIZE,)),
    "t": lambda r, key: r.t(key, 4.0, (SIZE,)),
    "f": lambda r, key: r.f(key, 3.0, 5.0, shape=(SIZE,)),
    "poisson": lambda r, key: r.poisson(key, 6.5, (SIZE,)),
    "binomial": lambda r, key: r.binomial(key, 20.0, 0.3, (SIZE,)),
    "geometric": lambda r, key: r.geometric(key, 0.2, (SIZE,)),
    "multivariate_normal": lambda r, key: r.multivariate_normal(key, MEAN, COVARIANCE, (SIZE,)),
    "ball": lambda r, key: r.ball(key, 3, shape=(SIZE,)),
}


def apart(found, wanted):
    """The largest difference of arrays of one dtype: of floats in ulp.

    The ulp of a number is that of the median of all, where it is nearer to 0: sums that happen to
    be almost 0 have the rounding errors of their terms.
    """
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    if found.dtype != np.float32:
        return int(np.abs(found.astype(np.int64) - wanted.astype(np.int64)).max())
    size = np.abs(wanted)
    unit = np.spacing(np.maximum(size, np.median(size)))
    return float((np.abs(found.astype(np.float64) - wanted) / unit).max())


def listed(names):
    return ", ".join(f"`{name}`" for name in names)


def table():
    """The rows of docs/from_jax.md."""
    others = sorted(CALLS.keys() - NEAR.keys() - set(EXACT) - {"normal"})
    rows = [(listed(EXACT), "the same, bit for bit")]
    rows += [(listed([name for name in NEAR if NEAR[name] == most]), f"within {most} ulp")
             for most in sorted(set(NEAR.values()))]
    rows.append((f"`normal`, and what comes of it: {listed(others)}",
                 "within about 200 ulp: normal numbers are within 2 ulp of the true ones here, and "
                 "84 in JAX, by another polynomial"))
    return "".join(f"| {names} | {what} |\n" for names, what in rows)


def measured(name, seeds, run=lambda function: function):
    """For each seed how many ulp the draws of a distribution are apart."""
    ours, other = run(partial(CALLS[name], random)), partial(CALLS[name], theirs)
    other = jax.jit(other) if run is arraylib.jit else other
    return [apart(ours(random.key(seed)), other(theirs.PRNGKey(seed))) for seed in seeds]


if __name__ == "__main__":
    for name in CALLS:
        found = measured(name, range(int(sys.argv[1]) if len(sys.argv) > 1 else 100),
                         arraylib.jit)
        print(f"{name}: at most {max(found):.3g}; more than 2 for {sum(x > 2 for x in found)} of "
              f"{len(found)} seeds", flush=True)
