"""Products by groups, in all three ways, and shapes of windows from numbers alone."""

import numpy as np
import pytest

import arraylib
from arraylib import jit, lax
from arraylib.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(0)
KEPT = lax.RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), [0], [0])
SUMMED = lax.RaggedDotDimensionNumbers((((0,), (0,)), ((), ())), [0], [])
BATCHED = lax.RaggedDotDimensionNumbers((((2,), (1,)), ((0,), (0,))), [1], [3])


def _numbers(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def test_parts_that_keep_their_axis_meet_their_own_entry():
    x, y = _numbers(6, 3), _numbers(2, 3, 4)
    found = jit(lambda *a: lax.ragged_dot_general(*a, KEPT))(x, y, np.int32([2, 3]))
    wanted = np.concatenate([x[:2] @ y[0], x[2:5] @ y[1], np.zeros((1, 4))])
    np.testing.assert_allclose(found, wanted, 1e-5, 1e-5)
    spoilt = y.copy()
    spoilt[1] = np.nan
    found = lax.ragged_dot_general(x, spoilt, np.int32([2, 3]), KEPT)
    np.testing.assert_allclose(found[:2], wanted[:2], 1e-5, 1e-5)


def test_sums_are_one_for_each_group():
    x, y = _numbers(6, 3), _numbers(6, 4)
    x[5] = np.inf  # in no group
    found = jit(lambda *a: lax.ragged_dot_general(*a, SUMMED))(x, y, np.int32([2, 0, 3]))
    wanted = [x[:2].T @ y[:2], np.zeros((3, 4)), x[2:5].T @ y[2:5]]
    np.testing.assert_allclose(found, wanted, 1e-5, 1e-5)


def test_sizes_that_differ_along_batches():
    x, y, sizes = _numbers(2, 5, 3), _numbers(2, 3, 4, 2), np.int32([[1, 4], [3, 1]])
    found = lax.ragged_dot_general(x, y, sizes, BATCHED)
    for b, (first, second) in enumerate(sizes):
        end = first + second
        wanted = np.concatenate([x[b, :first] @ y[b, ..., 0], x[b, first:end] @ y[b, ..., 1],
                                 np.zeros((5 - end, 4))])
        np.testing.assert_allclose(found[b], wanted, 1e-5, 1e-5)


def test_jax_agrees_and_so_do_the_derivatives():
    jax = pytest.importorskip("jax")
    x, y, sizes = _numbers(2, 5, 3), _numbers(2, 3, 4, 2), np.int32([2, 3])
    theirs = jax.lax.RaggedDotDimensionNumbers((((2,), (1,)), ((0,), (0,))), [1], [3])
    slope = arraylib.grad(lambda x, y: (lax.ragged_dot_general(x, y, sizes, BATCHED) ** 2).sum(),
                          (0, 1))(x, y)
    wanted = jax.grad(lambda x, y: (jax.lax.ragged_dot_general(x, y, sizes, theirs) ** 2).sum(),
                      (0, 1))(x, y)
    for ours, expected in zip(slope, wanted):
        np.testing.assert_allclose(ours, expected, 1e-4, 1e-4)


@pytest.mark.parametrize("numbers, sizes, error, message", [
    (KEPT, [[2, 3]], ShapeError, r"group_sizes has shape \(1, 2\)"),
    (KEPT, [2, 3, 1], ShapeError, "rhs has 2 entries for 3 groups"),
    (lax.RaggedDotDimensionNumbers(KEPT.dot_dimension_numbers, [0, 1], [0]), [2, 3], ArgumentError,
     r"lhs_ragged_dimensions = \(0, 1\)")])
def test_refusals(numbers, sizes, error, message):
    with pytest.raises(error, match=message):
        lax.ragged_dot_general(_numbers(6, 3), _numbers(2, 3, 4), np.int32(sizes), numbers)


def test_shapes_are_those_of_what_is_computed():
    letters, strides = ("NHWC", "HWIO", "NHWC"), (2, 3)
    x, kernel = (2, 9, 11, 3), (3, 2, 3, 5)
    for padding in ("SAME", "VALID", [(1, 2), (0, 3)]):
        made = arraylib.eval_shape(
            lambda x, w, p=padding: (
                lax.conv_general_dilated(x, w, strides, p, None, None, letters),
                lax.conv_transpose(x, w, strides, p, dimension_numbers=letters)),
            arraylib.ShapeDtypeStruct(x, "float32"), arraylib.ShapeDtypeStruct(kernel, "float32"))
        assert made[0].shape == lax.conv_general_shape_tuple(x, kernel, strides, padding, letters)
        assert made[1].shape == lax.conv_transpose_shape_tuple(x, kernel, strides, padding, letters)
    assert lax.conv_shape_tuple((4, 3, 8), (6, 3, 3), (1,), [(0, 0)], 2) == (2, 6, 6)
    assert lax.reduce_window_shape_tuple((9,), (3,), (2,), [(1, 0)], (2,), (2,)) == (7,)
    with pytest.raises(ShapeError, match="takes more than there is"):
        lax.reduce_window_shape_tuple((3,), (1,), (1,), [(-4, 0)])
