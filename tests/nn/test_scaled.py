"""Products in few bits, with a scale for each block: the sums that they stand for."""

import numpy as np
import pytest

import arraylib
from arraylib import dtypes as dt, jit, lax, nn, numpy as jnp
from arraylib.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 64)).astype(np.float32)
Y = RNG.normal(size=(64, 6)).astype(np.float32)


@pytest.mark.parametrize("left, right", [((4, 2), (2, 6)), ((4, 1), (64, 1)), ((1, 1), (2, 2)),
                                         ((2, 64), None), (None, None)])
def test_blocks_have_their_scales(left, right):
    scales = [None if shape is None else RNG.uniform(1, 2, shape).astype(np.float32)
              for shape in (left, right)]
    found = jit(lambda x, y, *s: lax.scaled_dot(
        x, y, lhs_scale=s[0], rhs_scale=s[1], preferred_element_type="float32"))(X, Y, *scales)
    wide = [v.astype(float) if s is None else v * np.kron(
        s, np.ones([n // m for n, m in zip(v.shape, s.shape)])) for v, s in zip((X, Y), scales)]
    np.testing.assert_allclose(found, wide[0] @ wide[1], 1e-4, 1e-4)


def test_eight_bits_by_default_give_bfloat16_and_batches_are_kept():
    x = jnp.asarray(RNG.integers(-3, 4, (2, 3, 8))).astype(dt.float8_e4m3fn)
    scale = jnp.asarray([[[1.0, 4.0]] * 3] * 2).astype(dt.float8_e8m0fnu)
    found = lax.scaled_dot(x, jnp.swapaxes(x, 1, 2), lhs_scale=scale)
    wide = np.asarray(x).astype(float)
    assert found.dtype == dt.bfloat16
    np.testing.assert_array_equal(
        np.asarray(found).astype(float), (wide * ([1] * 4 + [4] * 4)) @ wide.swapaxes(1, 2))
    same = nn.scaled_matmul(x, x, scale, jnp.ones_like(scale))
    np.testing.assert_array_equal(np.asarray(same), np.asarray(found).astype(np.float32))


NUMBERS = (((2,), (1,)), ((0,), (0,)))
OPERANDS = (RNG.normal(size=(2, 32, 64)).astype(np.float32),
            RNG.normal(size=(2, 64, 32)).astype(np.float32))


@pytest.mark.parametrize("mode", ["mxfp8", "nvfp4"])
def test_rounded_products_and_their_derivatives_are_near_exact_ones(mode):
    configs = [nn.get_scaled_dot_general_config(mode)] * 3

    def loss(x, y, configs):
        return (nn.scaled_dot_general(x, y, NUMBERS, configs=configs) ** 2).sum()

    found = jit(lambda x, y: nn.scaled_dot_general(x, y, NUMBERS, configs=configs))(*OPERANDS)
    exact = OPERANDS[0] @ OPERANDS[1]
    limit = {"mxfp8": 0.06, "nvfp4": 0.2}[mode]
    assert found.shape == exact.shape and found.dtype == np.float32
    assert np.linalg.norm(np.asarray(found) - exact) < limit * np.linalg.norm(exact)
    slopes = jit(arraylib.grad(lambda x, y: loss(x, y, configs), (0, 1)))(*OPERANDS)
    true = (2 * exact @ OPERANDS[1].swapaxes(1, 2), 2 * OPERANDS[0].swapaxes(1, 2) @ exact)
    for ours, theirs in zip(slopes, true):
        assert np.linalg.norm(np.asarray(ours) - theirs) < limit * np.linalg.norm(theirs)


def test_refusals():
    with pytest.raises(ShapeError, match="blocks of lhs_scale do not divide lhs"):
        lax.scaled_dot(X, Y, lhs_scale=np.ones((4, 3), np.float32))
    with pytest.raises(ShapeError, match="63 products are summed, in blocks of 32"):
        nn.scaled_dot_general(X[:, :63], Y[:63], (((1,), (0,)), ((), ())),
                              configs=[nn.get_scaled_dot_general_config("mxfp8")] * 3)
    with pytest.raises(ArgumentError, match="mode = 'int8'"):
        nn.get_scaled_dot_general_config("int8")
    with pytest.raises(ShapeError, match="scaled_matmul: shapes"):
        nn.scaled_matmul(X, X, X, X)


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_does_not_come_out_finite(odd):
    x = X.copy()
    x[1, 40] = odd
    found = np.asarray(nn.scaled_dot_general(
        x, Y, (((1,), (0,)), ((), ())), configs=[nn.get_scaled_dot_general_config("mxfp8")] * 3))
    assert np.isnan(found[1]).all() and np.isfinite(found[[0, 2, 3]]).all()
