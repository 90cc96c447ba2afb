"""Choosing, inserting and leaving out elements, and reading their bytes, as NumPy does."""

from functools import partial

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import jit
from arraylib.config import config
from arraylib.errors import ArgumentError, DtypeError, OutOfBoundsError, ShapeError, TraceError

X = np.arange(12, dtype=np.float32).reshape(3, 4)


def assert_same(found, expected):
    np.testing.assert_array_equal(np.asarray(found), expected)


# -- places --------------------------------------------------------------------------------------


def test_places_are_filled_up_with_one_number_an_axis():
    mask = X > 9
    rows, columns = jnp.nonzero(mask, size=4, fill_value=(7, 8))
    assert_same(rows, [2, 2, 7, 7])
    assert_same(columns, [2, 3, 8, 8])
    assert_same(jnp.argwhere(mask, size=3, fill_value=(5, 6)), [[2, 2], [2, 3], [5, 6]])
    assert_same(jnp.flatnonzero(mask, size=3, fill_value=(-1,)), [10, 11, -1])
    with pytest.raises(ArgumentError, match="3 values to fill with for 2 axes"):
        jnp.nonzero(mask, size=4, fill_value=(1, 2, 3))


def test_what_a_traced_condition_chooses():
    choose = jit(lambda c, x: jnp.compress(c, x, axis=1, size=3, fill_value=-1))
    condition = np.array([False, True, False, True])
    assert_same(choose(condition, X), np.c_[X[:, condition], [-1, -1, -1]])
    assert_same(jnp.asarray(X).compress(condition, 1), X.compress(condition, 1))
    assert_same(jit(lambda x: jnp.extract(x > 9, x, size=4))(X), [10, 11, 0, 0])
    with pytest.raises(TraceError, match="size=..., the number of places"):
        jit(jnp.compress)(condition, X[0])


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64"])
def test_places_of_the_flattened_array(dtype):
    given = np.array([-40, -7, -1, 0, 5, 23, 90]).astype(dtype)
    lowest = 0 if dtype == "uint16" else -24
    inside = np.clip(given, lowest, 23)
    expected = np.unravel_index(np.where(inside < 0, inside + 24, inside), (2, 3, 4))
    for function in (jnp.unravel_index, jit(jnp.unravel_index)):  # which traces the sizes, too
        found = function(jnp.array(given, dtype), (2, 3, 4))
        for own, other in zip(found, expected, strict=True):
            assert own.dtype == dtype
            assert_same(own, other)


def test_an_index_for_each_axis():
    index = (jnp.array([1, 3, -1]), jnp.array([2, 0, 5]))
    for mode in ("clip", "wrap"):
        for order in ("C", "F"):
            expected = np.ravel_multi_index(index, (2, 3), mode=mode, order=order)
            assert_same(jnp.ravel_multi_index(index, (2, 3), mode, order), expected)
    narrow = (jnp.array([0], "uint8"), jnp.array([200], "uint8"))
    found = jit(lambda i: jnp.ravel_multi_index(i, (1, 256), "ignore"))(narrow)
    assert found.dtype == "uint8" and found[0] == 200
    assert jnp.ravel_multi_index(narrow, (2, 256), dtype="int16").dtype == "int16"
    with pytest.raises(ArgumentError, match="uint8 does not hold the 512 places"):
        jnp.ravel_multi_index(narrow, (2, 256))
    with pytest.raises(OutOfBoundsError, match="index -1 is out of bounds"):
        jnp.ravel_multi_index(index, (2, 3))


def test_negative_indices_that_are_not_counted_from_the_end():
    x, i = jnp.array([10.0, 20.0, 30.0]), jnp.array([-1, 1, 5])
    for mode, expected in (("clip", [10, 20, 30]), ("fill", [np.nan, 20, np.nan])):
        take = partial(jnp.take_along_axis, axis=0, mode=mode, wrap_negative_indices=False)
        assert_same(take(x, i), expected)
        assert_same(jit(take)(x, i), expected)
    with pytest.raises(OutOfBoundsError):
        jnp.take_along_axis(x, i[:2], 0, wrap_negative_indices=False)


# -- inserting and leaving out ---------------------------------------------------------------------


@pytest.mark.parametrize("places", [2, -1, [3, 0, -1], [1, 1, 4]])
def test_places_to_insert_at_may_be_traced(places):
    x = np.arange(4)
    values = 7 if np.ndim(places) == 0 else np.array([7, 8, 9])
    expected = np.insert(x, places, values)
    assert_same(jit(jnp.insert)(x, np.array(places), values), expected)
    assert_same(jnp.insert(jnp.array(x), np.array(places), values), expected)


@pytest.mark.parametrize("place, values, axis", [
    (1, np.array([1, 2, 3]), 1), ([1], np.array([[1], [2], [3]]), 1), ((1, 3), 99, 1),
    (1, np.ones((2, 4)), 0), (slice(0, 2), np.array([5, 6]), None), ([0, 2], [7.9, 0.5], None)])
def test_what_is_inserted_has_the_dtype_of_the_array(place, values, axis):
    x = X.astype(np.int32)
    found = jnp.insert(jnp.array(x), place, np.asarray(values), axis)
    assert found.dtype == "int32"
    assert_same(found, np.insert(x, place, values, axis))


def test_traced_places_to_leave_out():
    delete = jit(lambda x, i: jnp.delete(x, i, axis=1, assume_unique_indices=True))
    assert_same(delete(X, np.array([3, 0])), X[:, 1:3])
    with pytest.raises(TraceError, match="assume_unique_indices"):
        jit(jnp.delete)(X, np.array([3, 0]))


@pytest.mark.parametrize("places", [
    [True, False] * 75, np.int8(-1), np.array([-1, 3], np.int8), np.array([7], np.uint8), [], 149],
    ids=lambda x: str(x)[:20])
def test_masks_in_lists_and_places_of_every_width(places):
    x = np.arange(150)
    expected = np.flatnonzero(places) if isinstance(places, list) else np.int64(places)
    assert_same(jnp.delete(jnp.array(x), places), np.delete(x, expected))
    assert_same(jnp.insert(jnp.array(x), places, 5), np.insert(x, expected, 5))
    with pytest.raises(DtypeError, match="places are float64"):
        jnp.delete(x, [1.5])


@pytest.mark.parametrize("call", [
    lambda x: jnp.delete(x, -5), lambda x: jnp.delete(x, 4), lambda x: jnp.delete(x, [0, -6]),
    lambda x: jnp.insert(x, -5, 0), lambda x: jnp.insert(x, [0, 5], 0)])
def test_known_places_out_of_bounds(call):
    with pytest.raises(OutOfBoundsError, match="is out of bounds for axis 0 of size 4"):
        call(jnp.arange(4))


@pytest.mark.parametrize("trim", ["f", "b", "fb"])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_slices_of_zeros_at_the_ends(trim, axis):
    x = np.zeros((4, 5), np.int32)
    x[1, 2:4] = 1
    assert_same(jnp.trim_zeros(jnp.array(x), trim, axis), np.trim_zeros(x, trim, axis))


def test_values_that_are_used_again_from_the_first_on():
    for count in (2, 4, 5):
        values, expected = np.arange(1, count + 1), np.zeros((4, 4))
        np.fill_diagonal(expected, values)
        assert_same(jnp.fill_diagonal(jnp.zeros((4, 4)), values), expected)
        expected = np.zeros(6)
        np.put(expected, [0, 2, 5, 1], values)
        assert_same(jnp.put(jnp.zeros(6), jnp.array([0, 2, 5, 1]), values), expected)
    assert_same(jnp.put(jnp.ones(3), jnp.array([], int), jnp.ones((2, 2))), np.ones(3))
    assert_same(jnp.resize(jnp.zeros((0, 4)), (2,)), [0, 0])


# -- bits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own, other", [
    ("float32", "int8"), ("int16", "uint32"), ("complex64", "float32"), ("float16", "complex64"),
    ("bool", "int8"), ("uint8", "bool"), ("complex128", "complex64"), ("int64", "bool")])
def test_bits_read_as_another_dtype(own, other):
    given = (np.arange(32).reshape(2, 16) % 2).astype(own)
    for function in (lambda x: x.view(other), jit(lambda x: x.view(other))):
        found = function(jnp.array(given, own))
        assert found.dtype == other
        assert_same(found, given.view(other))


def test_bits_that_do_not_fit():
    with pytest.raises(ShapeError, match="3 elements of 32 bits"):
        jnp.arange(3).view("int64")
    assert jnp.float32(1).view("int32") == 0x3F800000
    assert jnp.ones(3).view().dtype == "float32"


@pytest.mark.parametrize("dtype", ["int16", "float64", "complex64", "uint8"])
def test_bytes_in_the_opposite_order(dtype):
    x = np.array([1, 2, 300]).astype(dtype)
    assert_same(jnp.array(x, dtype).byteswap(), x.byteswap())


def test_numbers_without_a_choice():
    numbers, choices = np.array([0, 2, -1, 7]), [np.arange(4), -np.arange(4), np.full(4, 9)]
    for mode in ("clip", "wrap"):
        expected = np.choose(numbers, choices, mode=mode)
        assert_same(jnp.choose(numbers, choices, mode=mode), expected)
        assert_same(jit(partial(jnp.choose, mode=mode))(numbers, choices), expected)
    with pytest.raises(OutOfBoundsError, match="index -1 is out of bounds for a size of 3"):
        jnp.choose(numbers, choices)
    assert_same(jit(jnp.choose)(numbers, choices), np.choose(numbers, choices, mode="clip"))


# -- sets of traced arrays -------------------------------------------------------------------------


def test_sets_of_a_known_size():
    x, y = np.array([3, 1, 1, 5, 8]), np.array([5, 3, 3, 2])
    both = jit(lambda x, y: (jnp.union1d(x, y, size=7, fill_value=0),
                             jnp.intersect1d(x, y, size=4, return_indices=True),
                             jnp.setdiff1d(x, y, size=4, fill_value=-1),
                             jnp.setxor1d(x, y, size=4, fill_value=9), jnp.setxor1d(x, y, size=2)))
    union, (shared, first, second), only, either, few = both(x, y)
    assert_same(union, [1, 2, 3, 5, 8, 0, 0])
    assert_same(shared, [3, 5, 3, 3])
    assert_same(first, [0, 3, 5, 5])
    assert_same(second, [1, 0, 4, 4])
    assert_same(only, [1, 8, -1, -1])
    assert_same(either, [1, 2, 8, 9])
    assert_same(few, [1, 2])
    nothing = jnp.zeros(0)
    assert_same(jnp.setxor1d(nothing, jnp.ones(3), size=2), [1, 1])
    assert_same(jnp.intersect1d(nothing, jnp.ones(3), size=2), [0, 0])
    nans = jnp.array([np.nan, 2, np.nan])
    assert_same(jnp.setdiff1d(nans, jnp.ones(1), size=3), [2, np.nan, 0])


def test_names_of_arguments_are_those_of_others():
    x = jnp.ones(3)
    assert jnp.issubdtype(arg1="int8", arg2=jnp.integer) and jnp.bitwise_count(True) == 1
    assert jnp.promote_types(a="int8", b="int16") == "int16"
    assert jnp.stack([x, x], dtype="int8").dtype == "int8" and jnp.isin(x, x, method="sort").all()
    wide = jnp.vecdot(x, x, precision="highest", preferred_element_type="float64")
    assert wide.dtype == "float64"
    assert x.astype("int8").sum(promote_integers=False).dtype == "int8"
    assert jnp.array([1, 0]).choose([x[:2], 5 * x[:2]]).tolist() == [5, 1]
    with pytest.raises(ArgumentError, match="edge_order = 2"):
        jnp.gradient(x, edge_order=2)


@pytest.mark.parametrize("mode", ["clip", "wrap"])
def test_places_outside_where_values_are_put(mode):
    expected, places = np.arange(6), np.array([-2, 9, 3])
    np.put(expected, places, [7, 8, 9], mode=mode)
    put = partial(jnp.put, mode=mode)
    assert_same(put(jnp.arange(6), places, np.array([7, 8, 9])), expected)
    assert_same(jit(put)(np.arange(6), places, np.array([7, 8, 9])), expected)


@pytest.mark.parametrize("dtype, nothing", [
    ("float32", np.nan), ("int32", -1 << 31), ("uint8", 255), ("bool", True),
    ("complex64", complex(np.nan, 0))])
@pytest.mark.parametrize("take", [jnp.take, partial(jnp.take_along_axis, axis=0)],
                         ids=["take", "take_along_axis"])
def test_what_no_traced_index_finds(take, dtype, nothing):
    """nan where there is one, so that it is seen; JAX's choices."""
    x, indices = jnp.arange(4).astype(dtype), np.array([0, 4, -1, -5], np.int32)
    expected = np.array([x[0], nothing, x[3], nothing], dtype)
    for found in (jit(take)(x, indices), take(x, indices, mode="fill"),
                  jit(partial(take, mode="fill"))(x, indices)):
        assert found.dtype == x.dtype
        assert_same(found, expected)
    assert_same(jit(partial(take, fill_value=1))(x, indices), np.array([x[0], 1, x[3], 1], dtype))
    with config.using(index_mode="raise"), pytest.raises(OutOfBoundsError):
        jit(take)(x, indices)
    with pytest.raises(OutOfBoundsError):
        take(x, indices)


@pytest.mark.parametrize("dtype, value", [("uint8", 300), ("int32", 1.5), ("int32", np.nan)])
def test_what_is_filled_with_fits(dtype, value):
    x, places = jnp.arange(3).astype(dtype), np.array([0, 5])
    for take in (jnp.take, partial(jnp.take_along_axis, axis=0)):
        with pytest.raises(DtypeError, match=f"fill_value = {value} is no {dtype}"):
            take(x, places, mode="fill", fill_value=value)
