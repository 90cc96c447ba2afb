"""x[i] outside of jit: native code gives what NumPy gives, and refuses what Python refuses."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib.numpy as jnp
from arraylib import jit, vmap
from arraylib.backends.cpu.calls.layout import RAW
from arraylib.config import config
from arraylib.errors import DonatedError, OutOfBoundsError
from arraylib.tracing.operation import Operation

DTYPES = ["float32", "float64", "int8", "bool", "bfloat16", "complex64", "int32"]
indices = st.integers(-4, 4) | st.sampled_from([2**31, -2**31, 2**63, -2**63, 2**70])


def values(dtype, shape):
    data = np.arange(np.prod(shape, dtype=int)).reshape(shape) % 100
    return jnp.array(data.astype(jnp.dtype(dtype)), dtype)


@given(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), min_size=1, max_size=4),
       st.lists(indices, min_size=1, max_size=5), st.booleans())
@settings(deadline=None, max_examples=100)
def test_integers(dtype, shape, index, in_tuple):
    x = values(dtype, shape)
    item = tuple(index) if in_tuple or len(index) > 1 else index[0]
    try:
        expected = np.asarray(x)[item]
    except (IndexError, OverflowError):
        for _ in range(3):
            with pytest.raises(IndexError):
                x[item]
        return
    for _ in range(3):
        found = x[item]
        assert found.dtype == x.dtype and found.shape == expected.shape
        np.testing.assert_array_equal(np.asarray(found), expected)


def test_what_is_like_an_integer():
    x = values("float32", (3, 4))
    for _ in range(3):
        for item in (1, -1, (1,), (1, 2), np.int64(1), np.array(1), jnp.array(1), slice(1, 2), None,
                     ..., (..., 1), (1, slice(None)), [1, 2], (1, None), ()):
            plain = np.asarray(item) if isinstance(item, type(x)) else item
            np.testing.assert_array_equal(np.asarray(x[item]), np.asarray(x)[plain])
        for wrong in (1.0, "a", (1, 2, 3)):
            with pytest.raises((TypeError, IndexError, ValueError)):
                x[wrong]
        with pytest.raises(OutOfBoundsError, match="index 3 is out of bounds for axis 0 of size 3"):
            x[3]
        with pytest.raises(OutOfBoundsError, match="index -5 .* axis 1 of size 4"):
            x[0, -5]


def test_rows_are_arrays_of_their_own():
    x = values("float32", (3, 4))
    x[0], x[0]
    row = x[1]
    seen = np.asarray(row)
    x.delete()
    np.testing.assert_array_equal(seen, [4, 5, 6, 7])
    with pytest.raises(DonatedError):
        x[0]
    assert [float(v) for v in row] == [4, 5, 6, 7] and len([*values("int8", (5, 0))]) == 5


def test_transforms_and_settings():
    x = values("float32", (3, 4))
    for _ in range(3):
        np.testing.assert_array_equal(np.asarray(jit(lambda a: a[1])(x)), np.asarray(x)[1])
        np.testing.assert_array_equal(np.asarray(vmap(lambda a: a[1])(x)), np.asarray(x)[:, 1])
        for setting in ({"backend": "reference"}, {"jit": False}, {"native_calls": False}):
            with config.using(**setting):
                assert float(x[1][2]) == float(x[1, 2]) == 6


@pytest.mark.skipif(not RAW, reason="calls stay in Python here")
def test_native_code_serves_them(monkeypatch):
    x = values("int32", (30, 4))
    x[0], x[0, 0]
    monkeypatch.setattr(Operation, "__call__", lambda self, *args: 1 / 0)
    for i in range(-30, 30):
        assert int(x[i, 1]) == np.asarray(x)[i, 1] and x[i].shape == (4,)
