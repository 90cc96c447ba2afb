"""NumPy's arrays and scalars as arguments of jitted functions: read where they are, never kept."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from results import facts

import arraylib.numpy as jnp
from arraylib import jit
from arraylib.backends.cpu.calls import ndarrays
from arraylib.backends.cpu.calls.layout import RAW
from arraylib.config import config
from arraylib.errors import DonatedError

native = pytest.mark.skipif(not RAW, reason="calls stay in Python here")
itself = jit(lambda x: x)
both = jit(lambda x, tree, n: {"sum": x + tree["a"][0] * n, "other": tree["b"]})
DTYPES = [np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32,
          np.uint64, np.float16, np.float32, np.float64, np.complex64, np.complex128]
WIDE = (np.int64, np.uint64, np.float64, np.complex128)


def arrays(dtype):
    data = elements(dtype)
    others = (data[0, 1:], data[:0], data[1:2, 2].reshape(())) if dtype in WIDE else ()
    return data, data[1, 2], *others


def elements(dtype):
    found = np.array([1, 0, 3, 2, 1, 1], dtype)
    if found.dtype.kind in "fc":
        found[:5] = [np.nan, np.inf, -np.inf, -0.0, 0.1]
    return found.reshape(2, 3)


@native
@pytest.mark.parametrize("bits", [32, 64])
def test_data_of_every_dtype(bits, no_python):
    with config.using(default_bits=bits):
        function = jit(lambda x: x)
        given = [x for dtype in DTYPES if bits == 32 or dtype in WIDE for x in arrays(dtype)]
        expected = [facts(jnp.asarray(x)) for x in given]
        for x in given:
            function(x), function(x)
        no_python(function)
        for x, wanted in zip(given, expected, strict=True):
            assert facts(function(x)) == wanted
            other = x + x if x.dtype.kind in "fc" else ~x  # others of the type take the same way
            if np.dtype(x.dtype).itemsize < 8 or x.dtype.kind in "fc" or bits == 64:
                assert facts(function(other)) == facts(jnp.asarray(other))


@native
def test_containers_names_numbers_and_arrays_beside(no_python):
    x, a = np.arange(3.0, dtype=np.float32), jnp.ones(3)
    b = np.arange(4).reshape(2, 2)
    def call():
        return both(x, n=np.float32(2), tree={"b": (b,), "a": [a]})
    expected = [np.asarray(v) for v in (call()["sum"], call()["other"][0])]
    np.testing.assert_array_equal(expected[0], x + 2)
    assert expected[1].dtype == np.int32
    no_python(both)
    for found, wanted in zip((call()["sum"], call()["other"][0]), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_results_do_not_follow_what_the_caller_writes():
    for dtype in (np.float32, np.float64, np.int64):
        data = np.zeros(5, dtype)
        for _ in range(4):
            found = itself(data)
            data += 1
            np.testing.assert_array_equal(found, data - 1)


@pytest.mark.filterwarnings("ignore:overflow")
@given(st.lists(st.floats() | st.floats(width=32), min_size=3, max_size=3))
@settings(deadline=None, max_examples=60)
def test_floats_are_narrowed_as_numpy_does(numbers):
    data = np.array(numbers)
    with np.errstate(all="ignore"):
        expected = data.astype(np.float32)
    for _ in range(2):
        assert np.asarray(itself(data)).tobytes() == expected.tobytes()


def test_what_numpy_warns_of_and_what_does_not_fit_is_said_every_time():
    floats, integers = np.array([1.0, 2.0]), np.array([1, 2])
    itself(floats), itself(floats), itself(integers), itself(integers)
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="overflow"):
            assert np.isinf(np.asarray(itself(np.array([1.0, 1e300])))[1])
        for wrong in (1 << 31, -(1 << 31) - 1, 1 << 40):
            with pytest.raises(OverflowError):
                itself(np.array([1, wrong]))
        with pytest.raises(OverflowError):
            itself(np.array([1, 1 << 32], np.uint64))
    np.testing.assert_array_equal(itself(np.array([-(1 << 31), (1 << 31) - 1])),
                                  np.array([-(1 << 31), (1 << 31) - 1]))


@pytest.mark.parametrize("size", [7, 8, 9, 17, 1001])
def test_each_number_of_a_vector_is_looked_at(size):
    for dtype, wrong in ((np.int64, 1 << 31), (np.uint64, 1 << 32), (np.float64, 1e300)):
        data = (np.arange(size) - (dtype is not np.uint64)).astype(dtype)
        for _ in range(2):
            np.testing.assert_array_equal(itself(data), data)
        for place in (0, size // 2, size - 1):
            other = data.copy()
            other[place] = wrong
            if dtype is np.float64:
                with pytest.warns(RuntimeWarning, match="overflow"):
                    assert np.isinf(np.asarray(itself(other))[place])
            else:
                with pytest.raises(OverflowError):
                    itself(other)


def test_what_is_like_an_array_but_lies_in_another_way():
    data = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    record = np.zeros(3, [("odd", np.int8), ("x", np.float32)])
    record["x"] = 7
    read_only = data.copy()
    read_only.flags.writeable = False
    for _ in range(3):
        for x in (data, data.T, data[:, ::2], data[::-1], np.asfortranarray(data), read_only,
                  data.astype("<f4"), record["x"], data.view(np.int32),
                  np.broadcast_to(data[0], (3, 4)), data.view(np.matrix), data[:1], data[:, :1]):
            np.testing.assert_array_equal(itself(x), np.asarray(x))
        with pytest.raises(Exception, match="mask"):
            itself(np.ma.masked_array(data, data > 3))
        for wrong in (data.astype(">f4"), np.array(["text"] * 12).reshape(3, 4)):
            with pytest.raises(TypeError):
                itself(wrong)


def test_dtypes_that_are_copies():
    dtype = np.dtype(np.float32, copy=True)
    data = np.arange(3, dtype=dtype)
    for _ in range(3):
        np.testing.assert_array_equal(itself(data), data)


def test_donation_beside_numpy_data():
    step = jit(lambda w, batch: (w + batch.sum(), batch * 2), donate_argnums=0)
    w, batch = jnp.zeros(4), np.ones((2, 3))
    for n in range(1, 5):
        given = w
        w, doubled = step(given, batch)
        np.testing.assert_array_equal(w, np.full(4, 6.0 * n))
        np.testing.assert_array_equal(doubled, batch * 2)
        assert given.is_deleted() and (batch == 1).all()
    seen = np.asarray(w).reshape(2, 2)
    step(jnp.zeros(4), seen)
    for _ in range(2):
        with pytest.raises(DonatedError, match="the same array"):
            step(w, seen)


def test_large_data_and_threads():
    function = jit(lambda tree: jnp.sin(tree["x"]).sum() + tree["n"])
    data = np.ones((600, 700))
    expected = float(function({"x": data, "n": np.int64(3)}))
    found = []

    def work():
        for _ in range(3):
            tree = {"x": data.copy(), "n": np.int64(3)}
            found.append(float(function(tree)))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [expected] * 9


@native
def test_no_reference_is_left(no_python):
    import sys
    data, number = np.arange(3.0), np.float64(2.5)
    function = jit(lambda x, n: x * n)
    function(data, number), function(data, number)
    before = sys.getrefcount(data), sys.getrefcount(number), sys.getrefcount(data.dtype)
    no_python(function)
    for _ in range(10):
        function(data, number)
    assert before == (
        sys.getrefcount(data), sys.getrefcount(number), sys.getrefcount(data.dtype))


def test_numpy_lays_arrays_out_as_native_code_believes():
    assert all(ndarrays.layout_facts().values())
