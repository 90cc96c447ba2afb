"""Array: construction, NumPy's view of it, Python's, and its end."""

import copy
import gc
import pickle

import ml_dtypes
import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.array import Array, to_numpy
from arraylib.backends.cpu import memory
from arraylib.errors import DonatedError
from arraylib.hlo.ir import Type
from arraylib.tracing.jit import jit

DTYPES = [d for d in dt.ALL]


@pytest.mark.parametrize("dtype", DTYPES, ids=dt.name)
def test_every_dtype_goes_to_numpy_and_back(dtype):
    data = np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
    array = Array(data, dtype)
    assert array.type is Type(dtype, (2, 3))
    assert (array.dtype, array.shape, array.ndim, array.size, array.nbytes) == (
        dtype, (2, 3), 2, 6, 6 * dtype.itemsize)
    found = np.asarray(array)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, data)


@pytest.mark.parametrize("dtype", DTYPES, ids=dt.name)
def test_memory_of_our_own_looks_the_same_to_numpy(dtype):
    data = np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
    result = jit(lambda x: x)(Array(data, dtype))  # in a block, not in NumPy's memory
    np.testing.assert_array_equal(np.asarray(result), data)
    assert np.asarray(result).dtype == dtype


@pytest.mark.parametrize("data, expected", [
    (1.5, dt.float32), (True, dt.bool_), (3, dt.int32), (1j, dt.complex64),
    ([1, 2], dt.int32), ([1.0], dt.float32), (np.float64(1), dt.float32),
    (np.arange(3), dt.int32), (np.float16(1), dt.float16),
    (np.ones(2, ml_dtypes.bfloat16), dt.bfloat16)])
def test_default_dtypes(data, expected):
    assert Array(data).dtype == expected


def test_a_copy_is_independent_and_a_shared_one_is_not():
    data = np.zeros(4, np.float32)
    copied, shared = Array(data), Array.from_numpy(data)
    data[0] = 7
    assert copied.tolist() == [0, 0, 0, 0]
    assert shared.tolist() == [7, 0, 0, 0]


def test_from_numpy_copies_what_is_not_dense():
    data = np.arange(6, dtype=np.float32).reshape(2, 3)
    array = Array.from_numpy(data.T)
    data[0, 0] = 7
    assert array.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert Array.from_numpy(np.array([1.0], ">f8")).tolist() == [1.0]


def test_numpy_shares_memory_and_may_not_write():
    array = jit(lambda x: x)(Array([1.0, 2.0]))
    view = np.asarray(array)
    assert view is np.asarray(array) and view.ctypes.data == array.address
    with pytest.raises(ValueError):
        view[0] = 3
    np.array(array)[0] = 3
    assert array.tolist() == [1, 2]


def test_a_view_keeps_the_memory():
    view = np.asarray(jit(lambda x: x)(Array(np.arange(1000))))
    gc.collect()
    jit(lambda x: x)(Array(np.zeros(1000)))
    np.testing.assert_array_equal(view, np.arange(1000))


def test_conversions_on_the_way_to_numpy():
    array = Array([1.0, 2.0])
    assert np.asarray(array, np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="needs a copy"):
        array.__array__(np.int32, copy=False)
    assert np.from_dlpack(array).tolist() == [1, 2]


def test_python_numbers():
    assert float(Array(2.5)) == 2.5 and int(Array(3)) == 3 and complex(Array(1j)) == 1j
    assert bool(Array(True)) and not Array(0)
    assert [10, 20, 30][Array(1)] == 20
    assert Array(3.5).item() == 3.5 and Array([[1, 2]]).tolist() == [[1, 2]]
    assert f"{Array(1.23456):.2f}" == "1.23"
    assert len(Array([1, 2, 3])) == 3 and 2 in Array([1, 2])


@pytest.mark.parametrize("use, message", [
    (lambda: bool(Array([1, 2])), "truth value"),
    (lambda: [0][Array(1.0)], "scalar integer"),
    (lambda: [0][Array([1])], "scalar integer"),
    (lambda: len(Array(1)), "without axes"),
    (lambda: iter(Array(1)), "without axes"),
    (lambda: hash(Array(1)), "unhashable"),
    (lambda: Array([1]).anything, "no attribute 'anything'")])
def test_refusals(use, message):
    with pytest.raises((TypeError, ValueError, AttributeError), match=message):
        use()


def test_text():
    assert repr(Array([1.0, 2.0])) == "Array([1., 2.], dtype=float32)"
    assert repr(Array(3)) == "Array(3, dtype=int32)"
    assert repr(Array([[1, 2], [3, 4]])) == "Array([[1, 2],\n       [3, 4]], dtype=int32)"
    assert repr(Array([True])) == "Array([ True], dtype=bool)"
    assert repr(Array(np.zeros((0, 3)))) == "Array([], shape=(0, 3), dtype=float32)"
    assert str(Array([1.0, 2.0])) == "[1. 2.]"


def test_pickle_and_copy():
    for array in (Array([1.0, 2.0]), Array([1, 2], dt.bfloat16)):
        for same in (pickle.loads(pickle.dumps(array)), copy.copy(array), copy.deepcopy(array)):
            assert same is not array and same.type is array.type
            np.testing.assert_array_equal(np.asarray(same), np.asarray(array))


@pytest.mark.parametrize("duplicate", [
    jnp.array, jnp.copy, Array.copy, copy.copy, copy.deepcopy, lambda x: jnp.asarray(x, copy=True),
    lambda x: jnp.array(x, x.dtype), lambda x: jnp.array(x, ndmin=1)])
@pytest.mark.parametrize("shape", [(1,), (5,), (0, 3), (200, 300)], ids=str)
@pytest.mark.filterwarnings("ignore::arraylib.errors.DonationWarning")
def test_a_copy_stays_where_the_other_is_donated(duplicate, shape):
    donating = jit(lambda x: x + 1, donate_argnums=0)
    for made in (lambda: Array(np.ones(shape, np.float32)), jit(lambda: jnp.ones(shape))):
        for first in (0, 1):
            array = made()
            both = array, duplicate(array)
            gone, kept = both[first], both[1 - first]
            assert np.asarray(donating(gone)).tolist() == np.full(shape, 2.0).tolist()
            assert np.asarray(kept).tolist() == np.ones(shape).tolist()
    array = made()
    assert jnp.asarray(array) is array and jnp.array(array, copy=False) is array


def test_a_deleted_array_says_so():
    array = Array([1.0, 2.0])
    array.delete()
    array.delete()
    assert array.is_deleted() and array.shape == (2,)
    assert repr(array) == "<deleted Array f32[2]>"
    for use in (lambda: np.asarray(array), lambda: array.address, lambda: jit(lambda x: x)(array)):
        with pytest.raises(DonatedError, match=r"f32\[2\] is gone: deleted by x.delete"):
            use()


def test_memory_is_given_back():
    identity = jit(lambda x: x)
    array = Array(np.zeros(10_000))
    identity(array)
    before = memory.stats().used
    for _ in range(100):
        identity(array)
    assert memory.stats().used == before


def test_one_view_for_ever():
    array = Array([1.0])
    assert to_numpy(array) is to_numpy(array)
