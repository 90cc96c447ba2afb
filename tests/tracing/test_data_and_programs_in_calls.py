"""Arrays made of data, and functions that run one program: what native code gives is the same."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib
import arraylib.numpy as jnp
from arraylib import random
from arraylib.backends.cpu.calls.layout import RAW
from arraylib.config import config
from arraylib.errors import KeyReuseError

native = pytest.mark.skipif(not RAW, reason="calls stay in Python here")
TIMES = 12  # calls, of which native code serves the last
KEY = random.key(3)
x, y = jnp.arange(1.0, 5.0), jnp.array([0.5, -2.0, jnp.inf, jnp.nan])


def facts(found):
    data = np.asarray(found)
    return data.dtype, data.shape, found.weak_type, data.tobytes()


def same_every_time(function, times=TIMES):
    first = facts(function())
    for _ in range(times):
        assert facts(function()) == first
    return function()


DATA = [np.arange(6.0).reshape(2, 3), np.arange(6), np.float64(2.5), np.int64(-3), np.array(7),
        np.zeros((0, 2)), np.arange(4, dtype=np.int8), np.array([True, False]), np.float16(1.5),
        np.arange(6.0)[::2], np.arange(6.0).reshape(2, 3).T, 2.5, -0.0, 3, True, 1 - 2j, np.nan,
        np.arange(3) * 1j, jnp.arange(3), jnp.ones(()), jnp.ones((0, 2))]


@pytest.mark.parametrize("bits", [32, 64])
def test_arrays_of_data(bits):
    with config.using(default_bits=bits):
        for data in DATA:
            same_every_time(lambda data=data: jnp.array(data))
            same_every_time(lambda data=data: jnp.asarray(data))
        for dtype in ("float32", jnp.float64, jnp.int16, float):
            for data in (DATA[0], DATA[6], DATA[18], 3, 2.5):
                found = same_every_time(lambda data=data, dtype=dtype: jnp.asarray(data, dtype), 4)
                assert found.dtype == jnp.dtype(dtype)
                same_every_time(lambda data=data, dtype=dtype: jnp.array(data, dtype=dtype), 4)


@given(st.floats() | st.integers(-2**31, 2**31 - 1) | st.booleans() | st.complex_numbers())
@settings(deadline=None, max_examples=60)
@pytest.mark.filterwarnings("ignore:overflow")
def test_numbers(number):
    expected = np.asarray(number)
    with np.errstate(all="ignore"):
        for _ in range(3):
            found = np.asarray(jnp.asarray(number))
            assert found.tobytes() == expected.astype(found.dtype).tobytes() or number != number


def test_arrays_are_copies_and_what_is_wrong_stays_wrong():
    data, shared = np.zeros(3, np.float32), np.zeros(3, np.float32)
    taken = jnp.asarray(shared, copy=False)
    for n in range(TIMES):
        found = jnp.array(data), jnp.asarray(data), jnp.asarray(data, jnp.float32)
        data += 1
        for each in found:
            np.testing.assert_array_equal(each, np.full(3, n, np.float32))
        assert np.shares_memory(np.asarray(jnp.asarray(shared, copy=False)), shared)
        given = jnp.array(x)
        given.delete()
        assert not x.is_deleted() and jnp.asarray(x) is x
        with pytest.raises(OverflowError):
            jnp.asarray(np.array([1, 1 << 40]))
        with pytest.raises(OverflowError):
            jnp.asarray(1 << 40)
        assert jnp.array(data, ndmin=2).shape == (1, 3)
    assert taken.shape == (3,)


def test_the_default_width_is_seen():
    data = np.arange(3.0)
    for bits in (32, 64, 32):
        with config.using(default_bits=bits):
            for _ in range(4):
                assert jnp.asarray(data).dtype.itemsize * 8 == bits
                assert random.normal(KEY, (2,)).dtype.itemsize * 8 == bits


POWERS = {
    "arrays": lambda: x ** y, "power": lambda: jnp.power(x, y), "square root": lambda: x ** 0.5,
    "by a fraction": lambda: y ** -1.5, "integers": lambda: jnp.arange(4) ** jnp.arange(4),
    "of a number": lambda: 2.0 ** x, "of two types": lambda: x ** jnp.arange(4),
    "broadcast": lambda: x ** jnp.ones((3, 1)), "weak": lambda: jnp.asarray(2.0) ** 0.5,
    "arctan2": lambda: jnp.arctan2(x, y), "angle of integers": lambda: jnp.arctan2(x, 2),
    "whole": lambda: x ** 3, "wide": lambda: x.astype(jnp.float64) ** 0.1,
    "inner": lambda: jnp.einsum("i,i->", x, x), "outer": lambda: jnp.einsum("i,j", x, x),
    "of three": lambda: jnp.einsum("i,i,j->j", x, x, x), "turned": lambda: jnp.einsum(
        "ij->ji", x.reshape(2, 2))}


@pytest.mark.parametrize("name", POWERS)
def test_powers_angles_and_sums_of_products(name):
    found = same_every_time(POWERS[name])
    with config.using(native_calls=False, jit=False):
        np.testing.assert_allclose(found, POWERS[name](), rtol=1e-6)


def test_powers_are_numpys():
    wide = np.array([0.0, -0.0, 1.0, -1.0, 2.5, np.inf, -np.inf, np.nan, 1e-40, 3e38])
    base, exponent = (a.ravel() for a in np.meshgrid(wide, wide))
    with np.errstate(all="ignore"):
        power, angle = base ** exponent, np.arctan2(base, exponent)
    for _ in range(TIMES):
        a, b = jnp.array(base, jnp.float64), jnp.array(exponent, jnp.float64)
        np.testing.assert_allclose(a ** b, power, rtol=1e-14)
        np.testing.assert_allclose(jnp.arctan2(a, b), angle, rtol=1e-14)
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(a ** 0.1, base ** 0.1, rtol=1e-14)


SAMPLES = {
    "normal": lambda k: random.normal(k, (5,)), "uniform": lambda k: random.uniform(k, (2, 3)),
    "within": lambda k: random.uniform(k, (4,), minval=-1.5, maxval=2),
    "above": lambda k: random.uniform(k, (4,), maxval=0.25), "bits": lambda k: random.bits(k, (3,)),
    "randint": lambda k: random.randint(k, (4,), -3, 10), "split": lambda k: random.split(k),
    "short": lambda k: random.randint(k, (4,), 0, 10, jnp.int8),
    "many": lambda k: random.split(k, (2, 3)), "bernoulli": lambda k: random.bernoulli(k),
    "truth": lambda k: random.bernoulli(k, jnp.array([0.1, 0.9])),
    "half": lambda k: random.normal(k, (3,), jnp.float16), "folded": lambda k: random.fold_in(k, 9),
    "below 0": lambda k: random.fold_in(k, -1), "large": lambda k: random.normal(k, (60, 70)),
    "cut": lambda k: random.truncated_normal(k, -1, 1, (4,)), "key": lambda k: random.key(7),
    "of one": lambda k: random.uniform(k, dtype=jnp.float64)}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name):
    found = same_every_time(lambda: SAMPLES[name](KEY))
    other = random.key(4)
    after = facts(SAMPLES[name](other))  # another key by the same way
    with config.using(native_calls=False):
        assert facts(SAMPLES[name](KEY)) == facts(found)
        assert facts(SAMPLES[name](other)) == after
    assert facts(arraylib.jit(SAMPLES[name])(KEY))[:2] == facts(found)[:2]


def test_keys_used_twice_are_found_after_native_calls():
    for _ in range(TIMES):
        random.normal(KEY, (2,)), random.split(KEY)
    with arraylib.debug.key_reuse():
        random.normal(KEY, (2,))
        with pytest.raises(KeyReuseError):
            random.normal(KEY, (2,))
        for _ in range(TIMES):
            random.normal(random.clone(KEY), (2,))


def test_samples_on_threads():
    found = []

    def draw():
        found.extend(facts(random.uniform(KEY, (7,))) for _ in range(40))

    threads = [threading.Thread(target=draw) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({*found}) == 1 and len(found) == 120


def test_traces_and_derivatives_see_operations():
    for _ in range(TIMES):
        x ** y, random.normal(KEY, (2,)), jnp.einsum("i,i->", x, x)
    assert " power" in str(arraylib.make_graph(lambda a, b: a ** b)(x, y))
    slope = arraylib.grad(lambda a: (a ** 1.5).sum())(x)
    np.testing.assert_allclose(slope, 1.5 * np.asarray(x) ** 0.5, rtol=1e-6)
    slope = arraylib.grad(lambda a: jnp.einsum("i,i->", a, a))(x)
    np.testing.assert_allclose(slope, 2 * np.asarray(x), rtol=1e-6)


@native
def test_elements_as_python_numbers():
    for dtype in ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
                  "float16", "bfloat16", "float32", "float64", "complex64"):
        data = np.array(1).astype(jnp.dtype(dtype))
        one = jnp.array(data, dtype)
        for each in (one, one.reshape(1, 1), jnp.stack([one, one])[0]):
            assert each.item() == data.item() and type(each.item()) is type(data.item())
            assert bool(each) is True and complex(each) == 1
            assert "complex" in dtype or float(each) == int(each) == 1
    for number in (np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38):
        found = jnp.float32(number)
        assert np.float32(float(found)).tobytes() == np.float32(number).tobytes()
    assert [10, 20, 30][jnp.array(1)] == 20 and int(jnp.uint32(2**32 - 1)) == 2**32 - 1
    gone = jnp.array(1.0)
    gone.delete()
    with pytest.raises(RuntimeError):
        float(gone)
