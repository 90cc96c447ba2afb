"""Squares about the mean of many rows are added up in one sweep, and come out as exactly."""

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import grad, jit

LARGE = (2048, 8, 80)


def _optimized(function, *shapes):
    xs = [np.zeros(shape, np.float32) for shape in shapes]
    return jit(function).lower(*xs).text("optimized")


def _sums(text):
    """How many there are: two by two sweeps, four by blocks."""
    return sum("reduce_add" in line for line in text.splitlines())


def test_what_is_swept_once():
    blocks = _optimized(lambda x: jnp.var(x, 0), LARGE)
    assert "f32[64,32,640] = reshape" in blocks and _sums(blocks) == 4
    both = _optimized(lambda x: (jnp.var(x, 0), jnp.mean(x, 0)), LARGE)
    assert _sums(both) == 4  # the mean comes from the blocks as well


@pytest.mark.parametrize("function, shape", [
    (lambda x: jnp.var(x, 0), (512, 8, 80)),  # in a cache
    (lambda x: jnp.var(x, 2), (512, 80, 80)),  # rows are gone through one by one as it is
    (lambda x: jnp.var(x, 0), (2039, 640)),  # a prime number of rows
    (lambda x: jnp.var(x.T, 0), (640, 2048)),  # not rows as they lie in memory
    (lambda x: jnp.sum((x - jnp.sum(x, 0) / 2047) ** 2, 0), (2048, 640)),  # not the mean
    (lambda x: jnp.sum((x - jnp.mean(x, 0)) * (x + 1), 0), (2048, 640)),  # no squares
    (lambda x: jnp.sum((2 * x - jnp.mean(x, 0)) ** 2, 0), (2048, 640)),  # of something else
    (lambda x: jnp.sum((x - jnp.mean(x, (0, 1))) ** 2, 0), (2048, 8, 80)),  # of more
])
def test_what_is_left_alone(function, shape):
    assert 1 <= _sums(_optimized(function, shape)) <= 2


@pytest.mark.parametrize("options", [
    {"axis": 0}, {"axis": (0, 1)}, {}, {"axis": 0, "keepdims": True}, {"axis": 0, "ddof": 1}])
@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-5), (np.float64, 1e-13)])
@pytest.mark.parametrize("centre", [0, 1000])
def test_as_exact_as_two_sums(options, dtype, tolerance, centre):
    x = (np.random.default_rng(0).standard_normal(LARGE) + centre).astype(dtype)
    found = np.asarray(jit(lambda x: jnp.var(x, **options))(jnp.asarray(x, dtype=dtype)))
    want = np.var(x.astype(np.longdouble), **options)
    assert found.dtype == dtype and found.shape == want.shape
    # About a mean of 1000 the mean's own rounding is what counts.
    np.testing.assert_allclose(found, want.astype(np.float64), rtol=tolerance * (1 + centre / 100))


def test_infinite_and_undefined_columns_stay_alone():
    x = np.ones((2048, 640), np.float32)
    x[5, 0], x[7, 1] = np.inf, np.nan
    found = np.asarray(jit(lambda x: jnp.var(x, 0))(x))
    assert np.isnan(found[:2]).all() and (found[2:] == 0).all()


def test_the_gradient():
    x = np.random.default_rng(0).standard_normal((2048, 640)).astype(np.float32)
    found = np.asarray(jit(grad(lambda x: jnp.var(x, 0).sum()))(x))
    want = 2 * (x - x.astype(np.float64).mean(0)) / 2048
    np.testing.assert_allclose(found, want, atol=1e-8)
