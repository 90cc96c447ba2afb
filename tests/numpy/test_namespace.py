"""What the array API standard asks of the namespace beyond NumPy's names, and exchange of memory.

Its own test suite is described in docs/array_api.md.
"""

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib.config import config
from arraylib.errors import ArgumentError, CopyError

X = jnp.arange(6.0).reshape(2, 3)
M = np.arange(6.0, dtype=np.float32).reshape(2, 3)


class Producer:
    """An array of another library, which speaks DLPack; of its first version if `old`."""

    def __init__(self, array, old=False):
        self.array, self.old = array, old

    def __dlpack__(self, **options):
        if self.old and options:
            raise TypeError("unexpected keyword argument")
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


# -- the namespace ---------------------------------------------------------------------------------


def test_an_array_names_its_namespace():
    assert X.__array_namespace__() is X.__array_namespace__(api_version="2024.12") is jnp
    assert jnp.__array_api_version__ == "2025.12"
    with pytest.raises(ValueError, match="version '2019.12' of the array API"):
        X.__array_namespace__(api_version="2019.12")
    seen = []
    arraylib.jit(lambda x: seen.append(x.__array_namespace__()) or x)(X)
    assert seen == [jnp]


def test_information():
    info = jnp.__array_namespace_info__()
    assert info.capabilities() == {"boolean indexing": True, "data-dependent shapes": True,
                                   "max dimensions": 64}
    assert jnp.zeros((1,) * 64).ndim == 64
    assert info.default_device() is info.devices()[0] is X.device
    assert info.default_dtypes()["real floating"] == jnp.float32
    with config.using(default_bits=64):
        assert info.default_dtypes(device=X.device) == {
            "real floating": jnp.float64, "complex floating": jnp.complex128,
            "integral": jnp.int64, "indexing": jnp.int64}
    assert list(info.dtypes(kind=("bool", "unsigned integer"))) == [
        "bool", "uint8", "uint16", "uint32", "uint64"]
    assert len(info.dtypes()) == 13 and info.dtypes(kind="complex floating") == {
        "complex64": jnp.complex64, "complex128": jnp.complex128}


def test_the_device_may_be_named_and_must_exist():
    device = X.device
    made = [jnp.zeros(2, device=device), jnp.ones_like(X, device=device),
            jnp.full(2, 1, device=device), jnp.arange(3, device=device), X.to_device(device),
            jnp.linspace(0, 1, 3, device=device), jnp.eye(2, device=device),
            jnp.asarray(M, device=device), jnp.astype(X, "int8", device=device)]
    assert {x.device for x in made} == {device} and X.to_device(device) is X
    assert arraylib.jit(lambda x: x.to_device(x.device) + 1)(X)[0, 0] == 1
    for call in (lambda: jnp.ones(2, device="tpu"), lambda: X.to_device("tpu"),
                 lambda: jnp.from_dlpack(M, device="tpu"), lambda: jnp.asarray(M, device="tpu")):
        with pytest.raises(ArgumentError, match="'tpu' is not the device"):
            call()
    with pytest.raises(ArgumentError, match="the CPU has none"):
        X.to_device(device, stream=1)


# -- the same memory -------------------------------------------------------------------------------


def test_memory_comes_and_goes_by_dlpack():
    for old in (False, True):
        assert jnp.from_dlpack(Producer(M, old)).address == M.ctypes.data
        given = np.from_dlpack(Producer(X, old))
        assert given.ctypes.data == X.address and given.tolist() == X.tolist()
    assert not np.from_dlpack(X).flags.writeable
    assert X.__dlpack_device__() == (1, 0)
    assert jnp.from_dlpack(X) is X
    assert jnp.from_dlpack(np.arange(3)).dtype == jnp.int64  # in its own dtype


def test_dlpack_copies_where_it_must():
    turned = jnp.from_dlpack(M.T)
    assert turned.tolist() == M.T.tolist()
    with pytest.raises(BufferError, match="not dense, row-major"):
        jnp.from_dlpack(M.T, copy=False)
    assert jnp.from_dlpack(M, copy=True).address != M.ctypes.data
    assert jnp.from_dlpack(X, copy=True).address != X.address
    given = np.from_dlpack(X, copy=True)
    given[0, 0] = 7
    assert X[0, 0] == 0
    with pytest.raises(ArgumentError, match="a list has no method __dlpack__"):
        jnp.from_dlpack([1, 2])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float8_e5m2, jnp.float8_e4m3fn, jnp.bool_,
                                   jnp.float16, jnp.complex128, jnp.uint64], ids=str)
def test_dlpack_has_every_dtype(dtype):
    x = jnp.arange(5).astype(dtype)
    y = jnp.from_dlpack(Producer(x))
    assert y.dtype == dtype and y.address == x.address and (y == x).all()
    empty = jnp.from_dlpack(Producer(x[:0]))
    assert empty.dtype == dtype and empty.shape == (0,)


def test_what_dlpack_shares_outlives_its_array_and_its_donation():
    x = jnp.ones(1000)
    seen = np.from_dlpack(x)
    arraylib.jit(lambda x: x + 1, donate_argnums=0)(x)
    assert (seen == 1).all()
    y = jnp.from_dlpack(Producer(jnp.ones(1000)))
    jnp.zeros(1000)
    assert (y == 1).all()


def test_asarray_shares_memory_where_it_is_told_to():
    assert jnp.asarray(M, copy=False).address == M.ctypes.data
    assert jnp.asarray(M).address != M.ctypes.data
    assert jnp.asarray(X, copy=False) is X
    wide = np.ones(3)
    assert jnp.asarray(wide, jnp.float64, copy=False).address == wide.ctypes.data
    for given, dtype in ((wide, None), (M, jnp.int32), (X, jnp.int32), (1.0, None), ([1], None),
                         (M.T, None)):
        with pytest.raises(CopyError, match="copy=False"):
            jnp.asarray(given, dtype, copy=False)


# -- functions -------------------------------------------------------------------------------------


def test_unique_functions_have_named_results():
    x = jnp.array([[2.0, np.nan], [1.0, 2.0]])
    found = jnp.unique_all(x)
    assert np.array_equal(found.values, [1, 2, np.nan], equal_nan=True)
    assert found.indices.tolist() == [2, 0, 1] and found.counts.tolist() == [1, 2, 1]
    assert found.inverse_indices.tolist() == [[1, 2], [0, 1]]
    assert jnp.unique_counts(x).counts.tolist() == [1, 2, 1]
    assert jnp.unique_inverse(x).inverse_indices.shape == x.shape
    assert jnp.unique_values(jnp.array([np.nan, np.nan, 0, -0.0])).shape == (3,)


def test_running_sums_with_their_start():
    assert jnp.cumulative_sum(jnp.zeros((0, 2)), axis=0, include_initial=True).shape == (1, 2)
    assert jnp.cumulative_prod(jnp.zeros(0), include_initial=True).tolist() == [1]
    assert jnp.cumulative_sum(X, axis=1, include_initial=True).tolist() == [[0, 0, 1, 3],
                                                                            [0, 3, 7, 12]]
    small = jnp.full(3, 200, jnp.uint8)
    assert jnp.cumulative_sum(small).dtype == jnp.sum(small).dtype == jnp.uint32
    assert jnp.cumulative_sum(small)[-1] == 600
    assert jnp.cumulative_prod(small, dtype=jnp.float32).dtype == jnp.float32


def test_the_dtype_of_frequencies_is_that_asked_for():
    wanted = np.fft.fftfreq(5, 0.1)
    for found in (jnp.fft.fftfreq(5, 0.1, dtype=jnp.float64), jnp.fft.rfftfreq(
            5, 0.1, dtype=jnp.float64)):
        assert found.dtype == jnp.float64
        assert np.allclose(found[:3], np.abs(wanted[:3]), rtol=1e-15)


def test_one_tolerance_a_matrix():
    x = jnp.array([[[1.0, 0], [0, 0.1]]] * 2)
    found = jnp.linalg.pinv(x, rtol=jnp.array([0.5, 0.01]))
    assert np.allclose(found, [[[1, 0], [0, 0]], [[1, 0], [0, 10]]])
    assert np.allclose(found[0], jnp.linalg.pinv(x[0], rcond=0.5))
    with pytest.raises(ArgumentError, match="rcond and rtol"):
        jnp.linalg.pinv(x, 0.1, rtol=0.1)


def test_masks_without_axes():
    for true in (True, False):
        mask, given = jnp.array(true), np.array(true)
        for place in (lambda m: m, lambda m: (..., m), lambda m: (slice(1), m),
                      lambda m: (None, m), lambda m: (..., None, m, slice(None))):
            assert np.array_equal(X[place(mask)], M[place(given)])
            assert np.array_equal(X[place(given)], M[place(given)])
        assert mask[mask].tolist() == given[given].tolist()
    with pytest.raises(TypeError, match="how many elements a traced mask selects"):
        arraylib.jit(lambda x: x[x[0, 0] > 0])(X)


def test_grids_and_joint_shapes_are_tuples():
    assert type(jnp.meshgrid(X[0], X[0])) is type(jnp.broadcast_arrays(X, X)) is tuple
    assert jnp.broadcast_arrays() == () and jnp.reshape(X, (3, 2), copy=True).shape == (3, 2)


def test_matrices_are_the_last_two_axes():
    x = np.arange(24.0, dtype=np.float32).reshape(4, 2, 3)
    for offset in (-3, -1, 0, 2, 5):
        assert np.array_equal(jnp.linalg.diagonal(x, offset=offset),
                              np.linalg.diagonal(x, offset=offset))
        assert np.array_equal(jnp.linalg.trace(x, offset=offset),
                              np.linalg.trace(x, offset=offset))
    assert jnp.linalg.trace(jnp.ones((2, 2), jnp.int8)).dtype == jnp.int32


def test_axes_out_of_bounds_are_errors_of_indices_too():
    for error in (IndexError, ValueError):
        with pytest.raises(error, match="axis 4 of a result with 3 axes"):
            jnp.expand_dims(X, 4)


@pytest.mark.parametrize("numbers, dtype", [
    ((0, 1, -9.223372036854778e18), "float32"), ((0, 5, 2**70), "int32"), ((0, 1, -2**70), "int8"),
    ((0, 3 * 2**70, 2**70), "float32"), ((0, 5e9, 1e9), "float32"),
    ((-2.0**63, -2.0**63 + 8192, 2048), "float64"), ((0.5, 4, 0.7), "int32"),
    ((-1.5, 4, 0.7), "int32")])
def test_ranges_of_large_numbers_and_cut_fractions(numbers, dtype):
    expected = np.arange(*numbers, dtype=dtype)
    found = jnp.arange(*numbers, dtype=dtype)
    assert found.dtype == expected.dtype and np.array_equal(found, expected)


@pytest.mark.parametrize("numbers", [(np.inf,), (np.nan, 1), (0, 1, np.inf), (0, 1, np.nan)])
def test_ranges_have_finite_bounds(numbers):
    with pytest.raises(ArgumentError, match="there is no number of steps"):
        jnp.arange(*numbers)
