"""The largest and the smallest of floats: nan of either sign wins, and +0 is above -0."""

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import jit

SHAPES = [(5, 7), (3, 64), (4, 1000), (9, 1), (33, 65), (300, 300)]


def _arrays(shape):
    random = np.random.default_rng(0)
    x = random.standard_normal(shape).astype(np.float32)
    some = random.random(shape) < 0.05
    with_nan = np.where(some, np.float32(np.nan), x)
    zeros = np.where(random.random(shape) < 0.5, np.float32(0), np.float32(-0.0))
    yield from (x, with_nan, np.copysign(with_nan, np.where(some, -1, x)), zeros,
                np.full(shape, -0.0, np.float32), np.full(shape, -np.inf, np.float32),
                np.full(shape, np.inf, np.float32), np.where(some, zeros, -abs(x)),
                np.where(some, zeros, abs(x)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
def test_extremes_of_floats(shape, axis):
    for x in _arrays(shape):
        is_zero, sign = x == 0, np.signbit(x)
        for function, reference, zero_is_negative in (
                (jnp.max, np.max, ~np.any(is_zero & ~sign, axis)),
                (jnp.min, np.min, np.any(is_zero & sign, axis))):
            found = np.asarray(jit(lambda x, function=function: function(x, axis))(x))
            want = reference(x, axis)
            np.testing.assert_array_equal(found, want)
            np.testing.assert_array_equal(np.signbit(found)[want == 0],
                                          zero_is_negative[want == 0])
