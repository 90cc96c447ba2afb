"""Indexing outside of jit, which NumPy does, gives what a program of the same gives."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib.numpy as jnp
from arraylib import jit, lax
from arraylib.config import config
from arraylib.errors import DtypeError, OutOfBoundsError, ShapeError
from arraylib.numpy import elements

P, M = np.array, lambda *x: np.array(x, bool)
X = np.arange(24, dtype=np.float32).reshape(4, 6) - 5
INDICES = [
    P([0, 2]), P([-1, 3, -4]), P([[0, 1], [2, 3]]), (P([0, 2]), P([1, -1])),
    (slice(None), P([5, 0])), (P([1]), slice(1, 4)), (P([0, 1]), None, P([2, 3])),
    (P([3, 1]), slice(None, None, -2)), (1, P([2, 2])), (P([2, 2]), -1), (..., P([0])),
    M(1, 0, 0, 1), X > 3, (M(0, 1, 1, 0), P([4, 5])),
    P([], np.int32), M(0, 0, 0, 0), (P(2), P([0, 1])), P([0, 3], np.uint8), P([1, 2], np.int64),
]
VALUES = [7.0, -0.0, np.float32(2), 3]


def _ours(index):
    return tuple(map(_ours, index)) if isinstance(index, tuple) else \
        jnp.array(index) if isinstance(index, np.ndarray) else index


def _apart(monkeypatch):
    """Have everything go the general way."""
    monkeypatch.setattr(elements, "_of_numpy", lambda index: None)


@pytest.mark.parametrize("index", INDICES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.bool_, jnp.bfloat16, np.complex64])
def test_reading(index, dtype, monkeypatch):
    x = jnp.array(X.astype(dtype))
    for i in (index, _ours(index)):
        found = x[i]
        assert found.dtype == x.dtype
        np.testing.assert_array_equal(found, np.asarray(x)[index])
    _apart(monkeypatch)
    general = x[index]
    assert general.type is found.type
    assert np.asarray(general).tobytes() == np.asarray(found).tobytes()


@pytest.mark.parametrize("index", [*INDICES, 2, (1, 2), (slice(1, 3), 0), slice(None, None, 2)],
                         ids=str)
@pytest.mark.parametrize("kind", ["set", "add", "multiply", "subtract", "max"])
def test_writing(index, kind, monkeypatch):
    x, shape = jnp.array(X), X[index].shape
    many = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    values = [*VALUES, many, jnp.array(many)]
    fast = [getattr(x.at[_ours(index)], kind)(v) for v in values]
    again = getattr(x.at[index], kind)(many)
    np.testing.assert_array_equal(x, X)
    _apart(monkeypatch)
    for v, found in zip(values, fast, strict=True):
        general = getattr(x.at[index], kind)(v)
        assert general.type is found.type
        assert np.asarray(general).tobytes() == np.asarray(found).tobytes()
    assert np.asarray(again).tobytes() == np.asarray(fast[-1]).tobytes()


def test_errors_stay_what_they_are():
    x = jnp.array(X)
    for index in (P([0, 4]), P([-5]), (slice(None), P([6])), M(1, 0), (P([0]), P([0]), P([0]))):
        with pytest.raises(OutOfBoundsError):
            x[index]
        with pytest.raises(OutOfBoundsError):
            x.at[index].set(0.0)
    with pytest.raises(ShapeError):
        x.at[P([0, 1])].add(np.ones((3, 6), np.float32))
    with pytest.raises(ShapeError):
        x.at[0].set(np.ones((1, 6), np.float32))
    with pytest.raises(ShapeError):
        x[P([0, 1]), P([0, 1, 2])]


def test_arrays_without_axes_have_no_elements_to_pick():
    x = jnp.array(3.0)
    for index in (P([0, 1]), (None, P([0, 0])), P([], np.int32)):
        with pytest.raises(OutOfBoundsError):
            x[index]
        with pytest.raises(OutOfBoundsError):
            x.at[index].set(1.0)


def test_the_largest_numbers_without_a_sign_are_out_of_bounds():
    x = jnp.array(X)
    for index in (P([2**64 - 1], np.uint64), P([0, 2**63], np.uint64)):
        with pytest.raises(OutOfBoundsError):
            x[index]
        with pytest.raises(OutOfBoundsError):
            x.at[index].set(1.0)
    np.testing.assert_array_equal(x[P([1, 3], np.uint64)], X[[1, 3]])


def test_masks_are_no_places():
    x = jnp.array(X)
    for take in (jnp.take, jit(jnp.take)):
        for mask in (M(1, 0, 1, 0), jnp.array(M(1, 0, 1, 0))):
            with pytest.raises(DtypeError, match="bool, not integers"):
                take(x, mask)


@pytest.mark.filterwarnings("error")
def test_overflows_are_quiet():
    x = jnp.array([3e38, 0.0], dtype=jnp.float32)
    assert np.asarray(x.at[P([0])].add(3e38)).tolist() == [np.inf, 0]
    assert np.isnan(np.asarray(x.at[P([1])].multiply(jnp.inf))[1])


def test_modes_are_served_elsewhere():
    x = jnp.array(X)
    assert np.isnan(np.asarray(x.at[P([9])].get(mode="fill"))).all()
    np.testing.assert_array_equal(x.at[P([9])].set(1.0, mode="drop"), X)
    np.testing.assert_array_equal(x.at[P([9])].get(mode="clip"), X[[3]])


def test_results_share_no_memory():
    x = jnp.array(X)
    donating = jit(lambda x: x + 1, donate_argnums=0)
    row, changed, scalar = x[P([0])], x.at[0].set(1.0), x[P(1)]
    donating(x)
    np.testing.assert_array_equal(row, X[[0]])
    np.testing.assert_array_equal(scalar, X[1])
    assert np.asarray(changed)[1:].tolist() == X[1:].tolist()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_against_numpy(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    x = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    picks = data.draw(st.integers(1, 3))
    item = lambda n: st.one_of(
        st.integers(-n, n - 1), st.just(slice(None)),
        st.lists(st.integers(-n, n - 1), min_size=picks, max_size=picks).map(np.array))
    index = tuple(data.draw(item(n)) for n in shape[:data.draw(st.integers(1, len(shape)))])
    with config.using(default_bits=64):
        ours = jnp.array(x)
        values = jnp.array(np.arange(x[index].size).reshape(x[index].shape) + 0.5)
        np.testing.assert_array_equal(ours[index], x[index])
        wanted = x.copy()
        np.add.at(wanted, index, np.asarray(values))
        np.testing.assert_array_equal(ours.at[index].add(values), wanted)
        wanted = x.copy()
        wanted[index] = 9
        np.testing.assert_array_equal(ours.at[index].set(9.0), wanted)


def test_places_are_not_truth_values():
    x = jnp.arange(4.0)
    with pytest.raises(TypeError, match="put: the places are bool, not integers"):
        jnp.put(x, x > 1, 0.0)
    with pytest.raises(TypeError, match="a start is bool, not an integer"):
        lax.dynamic_index_in_dim(x, True)


@pytest.mark.filterwarnings("error")
def test_numbers_too_large_for_a_float_are_infinite():
    assert jnp.isinf(jnp.full(2, 1e300)).all()
