"""Axes of more than 2**31 elements: places on them take 64 bits."""

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import Array, ShapeDtypeStruct, jit, lax
from arraylib.backends.cpu import memory

N = 2**31 + 16
AT = np.array([5, 2**31 + 1, N - 3, -1, -3, 2**31], np.int64)
NEAR = np.array([5, 7, -1, -3, -15], np.int32)


@pytest.mark.parametrize("function", [
    jnp.argmax, jnp.argmin, jnp.argsort, lambda a: jnp.lexsort([a]),
    lambda a: jnp.searchsorted(a, a[:3])])
def test_places_have_64_bits(function):
    for size, dtype in ((2**31 - 1, np.int32), (2**31, np.int64), (N, np.int64)):
        assert jit(function).eval_shape(ShapeDtypeStruct((size,), np.int8)).dtype == dtype


def test_places_on_a_short_axis_have_32_bits():
    long = ShapeDtypeStruct((3, N), np.int8)
    assert jit(lambda a: jnp.argmax(a, 0)).eval_shape(long).dtype == np.int32
    assert jit(lambda a: jnp.argmax(a, 1)).eval_shape(long).dtype == np.int64
    assert jit(jnp.argmax).eval_shape(long).dtype == np.int64


@pytest.fixture(scope="module")
def huge():
    """An array of N bytes, all but a few of them 0, in NumPy and here."""
    if memory.room() < 5 * N:
        pytest.skip("takes ten gigabytes")
    data = np.zeros(N, np.int8)
    data[[5, 2**31 + 1, N - 3]] = 3, -2, 7
    return data, Array.from_numpy(data)


CASES = {
    "sum": (lambda a: a.sum(), lambda a: 8),
    "count": (lambda a: (a != 0).sum(), lambda a: 3),
    "max": (lambda a: a.max(), lambda a: 7),
    "argmax": (jnp.argmax, lambda a: N - 3),
    "argmin": (jnp.argmin, lambda a: 2**31 + 1),
    "end": (lambda a: a[2**31 - 2:], lambda a: a[2**31 - 2:]),
    "reversed": (lambda a: a[::-1][:8], lambda a: a[::-1][:8]),
    "strided": (lambda a: a[1::2**20], lambda a: a[1::2**20]),
    "gather": (lambda a: a[jnp.array(AT, jnp.int64)], lambda a: a[AT]),
    "gather by 32 bits": (lambda a: jit(lambda i: a[i])(jnp.array(NEAR)), lambda a: a[NEAR]),
    "take": (lambda a: jit(lambda i: jnp.take_along_axis(a, i))(jnp.array(NEAR)),
             lambda a: a[NEAR]),
    "dynamic slice": (lambda a: jit(lambda i: lax.dynamic_slice(a, (i,), (8,)))(
        Array(2**31 - 1, np.int64)), lambda a: a[2**31 - 1:2**31 + 7]),
    "scatter": (lambda a: a.at[jnp.array(AT, jnp.int64)].set(9).sum(), lambda a: 45),
    "elementwise": (lambda a: (a * 2 + 1)[-20:], lambda a: a[-20:] * 2 + 1),
    "rows": (lambda a: a.reshape(16, -1).sum(1), lambda a: [3, *[0] * 14, 5]),
    "transposed": (lambda a: a.reshape(-1, 16).T[5, -4:], lambda a: a.reshape(-1, 16)[-4:, 5]),
    "mask": (lambda a: (a > 0).sum(dtype=jnp.int64), lambda a: 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_huge_arrays(name, huge):
    function, expected = CASES[name]
    found = np.asarray(jit(function)(huge[1]))
    np.testing.assert_array_equal(found, expected(huge[0]))
