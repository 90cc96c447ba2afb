"""Keys, bits and samples are JAX's; samples by formula agree to rounding."""

import jax
import jax.random as theirs
import numpy as np
import pytest
from agreement import BFLOAT16, assert_same, numbers
from scipy import special

import arraylib.numpy as jnp
from arraylib import eval_shape, grad, jit, random, vmap
from arraylib.errors import ArgumentError, DtypeError, ShapeError

SHAPES = [(), (1,), (5,), (3, 4), (2, 0), (7, 1, 3)]
SEEDS = [0, 1, 42, -1, 2**31 - 1]


@pytest.fixture(scope="module", autouse=True)
def jax_compiles_quickly():
    """What it compiles here runs once: to optimize it would take half of the time."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()  # of what is not optimized


def same_key(seed):
    return random.key(seed), theirs.PRNGKey(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_keys(seed):
    mine, expected = same_key(seed)
    assert_same(mine, expected)
    assert_same(random.split(mine), theirs.split(expected))
    assert_same(random.split(mine, 5), theirs.split(expected, 5))
    assert_same(random.split(mine, (2, 3)), theirs.split(expected, (2, 3)))
    for data in (0, 7, 2**32 - 1):
        assert_same(random.fold_in(mine, data), theirs.fold_in(expected, data))


def test_wide_seeds():
    with jax.enable_x64(True):
        for seed in (2**40 + 3, -(2**40), 2**63 - 1):
            assert_same(random.key(seed), theirs.PRNGKey(seed))


def test_traced_seed():
    assert_same(jit(random.key)(np.int32(-5)), theirs.PRNGKey(-5))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_bits(shape, dtype):
    mine, expected = same_key(3)
    assert_same(random.bits(mine, shape, dtype), theirs.bits(expected, shape, dtype))


def test_64_bits():
    mine, expected = same_key(3)
    with jax.enable_x64(True):
        assert_same(random.bits(mine, (5,), np.uint64), theirs.bits(expected, (5,), np.uint64))
        assert_same(random.uniform(mine, (5,), np.float64),
                    theirs.uniform(expected, (5,), np.float64), rtol=0)
        assert_same(random.normal(mine, (5,), np.float64),
                    theirs.normal(expected, (5,), np.float64), rtol=1e-6)
        assert_same(random.randint(mine, (5,), -10**12, 10**12, np.int64),
                    theirs.randint(expected, (5,), -10**12, 10**12, np.int64))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, BFLOAT16])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-3.0, 5.0)])
def test_uniform(dtype, bounds):
    for seed, shape in zip(SEEDS, SHAPES):
        mine, expected = same_key(seed)
        assert_same(random.uniform(mine, shape, dtype, *bounds),
                    theirs.uniform(expected, shape, dtype, *bounds), rtol=0, atol=0)


@pytest.mark.parametrize("dtype, low, high", [
    (np.int32, 0, 10), (np.int32, -5, 5), (np.int8, -128, 128), (np.uint8, 0, 256),
    (np.uint32, 0, 2**31 - 1), (np.int16, 0, 100000), (np.int32, 3, 3), (np.int32, 5, 2)])
def test_randint(dtype, low, high):
    mine, expected = same_key(9)
    assert_same(random.randint(mine, (40,), low, high, dtype),
                theirs.randint(expected, (40,), low, high, dtype))


def test_randint_of_arrays():
    mine, expected = same_key(9)
    low, high = np.int32([0, 10, -7]), np.int32([5, 100, 7])
    assert_same(random.randint(mine, (2, 3), low, high),
                theirs.randint(expected, (2, 3), low, high))


P = np.float32([0.1, 0.2, 0.3, 0.4])
EXACT = [
    ("bernoulli", 0.3, (50,)), ("bernoulli", P), ("rademacher", (20,)), ("permutation", 10),
    ("permutation", numbers((5, 3))), ("permutation", numbers((5, 3)), 1),
    ("permutation", numbers((5, 3)), 0, True), ("permutation", 70000),
    ("choice", 7, (3, 2)), ("choice", 9, (4,), False), ("choice", numbers((4, 3)), (2,)),
    ("choice", numbers((4, 3)), (2,), False, None, 1), ("choice", 4, (9,), True, P),
    ("choice", 4, (3,), False, P), ("categorical", np.log(P)),
    ("categorical", numbers((3, 4))), ("categorical", numbers((3, 4)), 0),
    ("categorical", numbers((3, 4)), -1, (6, 3)), ("categorical", np.log(P), -1, (3,), False),
    ("geometric", 0.3, (20,)), ("poisson", 3.0, (20,)), ("poisson", 30.0, (20,)),
]


@pytest.mark.parametrize("case", EXACT, ids=lambda c: c[0])
def test_exact(case):
    mine, expected = same_key(11)
    name, *args = case
    assert_same(getattr(random, name)(mine, *args), getattr(theirs, name)(expected, *args))


MEAN, FACTOR = numbers((2, 3)), numbers((2, 3, 3), seed=1)
COVARIANCE = np.float32(FACTOR @ FACTOR.swapaxes(1, 2) + np.eye(3))

CLOSE = [
    ("normal", (50,)), ("normal", (50,), np.float16), ("normal", (10,), np.complex64),
    ("truncated_normal", -1.0, 2.0, (20,)), ("truncated_normal", P - 1, P),
    ("exponential", (20,)), ("gumbel", (20,)), ("laplace", (20,)), ("logistic", (20,)),
    ("cauchy", (20,)), ("pareto", 2.0, (20,)), ("weibull_min", 2.0, 1.5, (20,)),
    ("rayleigh", 2.0, (20,)), ("maxwell", (20,)), ("lognormal", 0.5, (20,)),
    ("triangular", 0.0, 1.0, 3.0, (20,)), ("gamma", 2.5, (20,)), ("gamma", P), ("loggamma", P),
    ("beta", 2.0, 3.0, (10,)), ("dirichlet", P * 9, (3,)), ("chisquare", 3.0, (10,)),
    ("t", 3.0, (10,)), ("f", 3.0, 5.0, (10,)), ("f", P, 2.0), ("wald", 2.0, (10,)), ("wald", P),
    ("generalized_normal", 3.0, (10,)), ("ball", 3, 2, (4,)), ("ball", 2, 1.5),
    ("double_sided_maxwell", 1.0, P, (2,)), ("double_sided_maxwell", 1.0, P[0]),
    ("orthogonal", 3), ("orthogonal", 4, (2,), np.float32, 2), ("orthogonal", 2, (), None, 5),
    ("multivariate_normal", MEAN, COVARIANCE, (4, 2)), ("multivariate_normal", MEAN[0], COVARIANCE),
    ("multivariate_normal", MEAN[0], COVARIANCE[0], (2, 2)),
]


@pytest.mark.parametrize("case", CLOSE, ids=lambda c: c[0])
def test_close(case):
    mine, expected = same_key(5)
    name, *args = case
    half = args[-1] is np.float16
    assert_same(getattr(random, name)(mine, *args), getattr(theirs, name)(expected, *args),
                rtol=2e-2 if half else 5e-5, atol=1e-5)


@pytest.mark.parametrize("method", ["cholesky", "eigh", "svd"])
def test_normal_vectors_have_their_covariance(method):
    drawn = np.asarray(random.multivariate_normal(random.key(0), MEAN[0], COVARIANCE[0], (20000,),
                                                  method=method))
    assert np.abs(drawn.mean(0) - MEAN[0]).max() < 0.1
    assert np.abs(np.cov(drawn.T) / COVARIANCE[0].max() - COVARIANCE[0] / COVARIANCE[0].max()
                  ).max() < 0.05


def test_unitary_matrices():
    q = np.asarray(random.orthogonal(random.key(0), 4, (2,), np.complex64))
    np.testing.assert_allclose(q @ q.conj().swapaxes(1, 2), np.stack([np.eye(4)] * 2), atol=1e-5)


def test_vectors_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="mean of shape .2,., cov of shape .3, 3."):
        random.multivariate_normal(random.key(0), np.zeros(2), np.eye(3))
    with pytest.raises(ArgumentError, match="method = 'lu'"):
        random.multivariate_normal(random.key(0), np.zeros(2), np.eye(2), method="lu")


def test_high_modes():
    mine, expected = same_key(5)
    assert_same(random.gumbel(mine, (9,), mode="high"), theirs.gumbel(expected, (9,), mode="high"),
                rtol=1e-5)
    assert_same(random.bernoulli(mine, 0.3, (99,), mode="high"),
                theirs.bernoulli(expected, 0.3, (99,), mode="high"))


@pytest.mark.parametrize("name", ["beta", "t"])  # of logarithms, of samples themselves
def test_samples_change_with_the_parameter_of_gamma(name):
    (mine, expected), more = same_key(4), {"beta": 2.0, "t": (4,)}[name]
    a = np.float32([0.3, 1.0, 2.5, 40.0])
    slope = jit(grad(lambda a: getattr(random, name)(mine, a, more).sum()))
    wanted = jax.grad(lambda a: getattr(theirs, name)(expected, a, more).sum())(a)
    assert_same(slope(a), wanted, rtol=2e-3, atol=1e-5)


def test_logarithms_of_samples_too_small_for_their_dtype_have_a_slope():
    a = np.float32([1e-3, 0.01, 0.01, 0.3])
    logs = np.float64(random.loggamma(random.key(1), a))[:3]
    assert logs.min() < -104  # of which float32 has no exponential
    found = grad(lambda a: random.loggamma(random.key(1), a).sum())(jnp.asarray(a))
    wanted = (special.digamma(a[:3] + 1.0) - logs) / a[:3]
    assert_same(found[:3], wanted.astype(np.float32), rtol=1e-5)


def test_under_jit_vmap():
    keys = random.split(random.key(2), 3)
    draw = lambda k: random.normal(k, (4,))
    expected = np.stack([np.asarray(draw(k)) for k in keys])
    assert_same(vmap(draw)(keys), expected)
    assert_same(jit(vmap(draw))(keys), expected)
    assert_same(jit(lambda k: random.uniform(random.split(k)[1], (3,)))(keys[0]),
                random.uniform(random.split(keys[0])[1], (3,)))


def test_statistics():
    x = np.asarray(random.normal(random.key(0), (20000,)))
    assert abs(x.mean()) < 0.02 and abs(x.std() - 1) < 0.02
    assert jnp.unique(random.permutation(random.key(1), 1000)).shape == (1000,)


def test_places_beyond_32_bits():
    shape = eval_shape(lambda key: random.normal(key, (10 ** 12,)), random.key(0))
    assert shape.shape == (10 ** 12,)


def test_mistakes():
    key = random.key(0)
    with pytest.raises(OverflowError, match="has more than 64 bits"):
        random.key(1 << 63)
    with pytest.raises(ArgumentError, match="gamma: method = 'quick'"):
        random.gamma(key, 1.0, method="quick")
    with pytest.raises(ShapeError, match="permutation: axis 3"):
        random.permutation(key, 10, axis=3)
    with pytest.raises(DtypeError, match=r"normal: the key is an int, not u32\[2\]"):
        random.normal(3)
    with pytest.raises(ShapeError, match="uniform: 4 keys where one is needed"):
        random.uniform(random.split(key, 4))
    with pytest.raises(DtypeError, match="uniform: samples are floats, not int32"):
        random.uniform(key, (2,), jnp.int32)
    with pytest.raises(DtypeError, match="bernoulli: a probability is a float"):
        random.bernoulli(key, 1)
    with pytest.raises(ArgumentError, match="9 draws from 4 elements without replacement"):
        random.choice(key, 4, (9,), replace=False)
    with pytest.raises(ShapeError, match="uniform: shapes do not broadcast: axis -1 is 2"):
        random.uniform(key, (2,), minval=np.zeros(3, np.float32))
    with pytest.raises(DtypeError, match="key: a seed is one integer"):
        random.key(1.5)
