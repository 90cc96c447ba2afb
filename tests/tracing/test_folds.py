"""Sums and extremes outside of jit, which code for any shape folds, are what NumPy says."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib.numpy as jnp
from arraylib import grad, vmap
from arraylib.config import config

DTYPES = [np.float32, np.float64, np.int32, np.int64, np.bool_]
KINDS = {np.bool_: ("any", "all")}


def _data(shape, dtype, seed=0):
    x = np.random.default_rng(seed).standard_normal(shape) * 10
    return x.astype(dtype) if dtype is not np.bool_ else x > 5


def _close(found, wanted, size):
    assert found.shape == np.shape(wanted)
    tolerance = 1e-6 * np.sqrt(size) if found.dtype == np.float32 else 1e-13
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=10 * tolerance)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_against_numpy(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 20), max_size=4)))
    axes = [None, *range(-len(shape), len(shape)), *[(0, len(shape) - 1)] * (len(shape) > 1)]
    axis, keepdims = data.draw(st.sampled_from(axes)), data.draw(st.booleans())
    dtype = data.draw(st.sampled_from(DTYPES))
    x = _data(shape, dtype)
    for kind in KINDS.get(dtype, ("sum", "max", "min")):
        wanted = getattr(x.astype(np.float64) if dtype is np.float32 else x, kind)(
            axis=axis, keepdims=keepdims)
        with config.using(default_bits=64):
            ours = jnp.array(x)
            method, function = getattr(type(ours), kind), getattr(jnp, kind)
            found = [np.asarray(f(ours, axis=axis, keepdims=keepdims))
                     for f in (method, function) for _ in range(10)]
        _close(found[0], wanted, x.size)
        assert {f.tobytes() for f in found} == {found[0].tobytes()}


@pytest.mark.parametrize("length", [1, 15, 16, 17, 1000, 1 << 14, (1 << 14) + 1, 40000])
def test_lengths(length):
    x = _data(length, np.float32)
    for _ in range(10):
        _close(np.asarray(jnp.array(x).sum()), x.sum(dtype=np.float64), length)
        assert float(jnp.max(jnp.array(x))) == x.max()


def test_special_numbers():
    for row, total in (([np.inf, 1, -np.inf], np.nan), ([np.nan, 1], np.nan), ([np.inf, 1], np.inf),
                       ([1e-40, 1e-40], 2 * np.float32(1e-40)), ([-0.0, -0.0], 0.0)):
        for repeat in (1, 16):
            x = jnp.array(np.array(row * repeat, np.float32))
            for _ in range(10):
                if repeat == 1:
                    np.testing.assert_array_equal(x.sum(), np.float32(total))
                np.testing.assert_array_equal(x.max(), np.max(row * repeat).astype(np.float32))
                np.testing.assert_array_equal(x.min(), np.min(row * repeat).astype(np.float32))
    most = jnp.array(np.array([2**31 - 1, 1], np.int32))
    assert [int(most.sum()) for _ in range(10)] == [-2**31] * 10


def test_sizes_of_zero():
    for _ in range(10):
        assert float(jnp.zeros((0,)).sum()) == 0
        assert jnp.zeros((0, 3)).sum(axis=1).shape == (0,)
        assert np.asarray(jnp.zeros((0, 3)).max(axis=1)).shape == (0,)
        with pytest.raises(ValueError):
            jnp.zeros((0,)).max()


def test_other_arguments_are_served_elsewhere():
    x = jnp.arange(6.0)
    for _ in range(10):
        assert float(x.sum(where=jnp.array([True] * 3 + [False] * 3))) == 3
        assert float(x.sum(initial=5.0)) == 20 and float(x.max(initial=9.0)) == 9
        assert x.sum(dtype=jnp.float16).dtype == jnp.float16
        assert float(x.astype(jnp.bfloat16).sum()) == 15
        with config.using(backend="reference"):
            assert float(x.sum()) == 15


def test_in_transforms():
    x = jnp.arange(12.0).reshape(3, 4)
    for _ in range(10):
        assert np.asarray(grad(lambda x: (x * x).sum())(x)).tolist() == (2 * np.asarray(x)).tolist()
        assert np.asarray(vmap(jnp.sum)(x)).tolist() == [6, 22, 38]
        assert np.asarray(vmap(lambda r: r.max())(x)).tolist() == [3, 7, 11]
