"""Python numbers as arguments of jitted functions: native code converts them as Python does."""

import enum
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from results import facts

import arraylib.numpy as jnp
from arraylib import grad, jit
from arraylib.backends.cpu.calls.layout import RAW
from arraylib.config import config

native = pytest.mark.skipif(not RAW, reason="calls stay in Python here")
x = jnp.arange(3, dtype=jnp.float32)

same_number = jit(lambda n: n)
both = jit(lambda a, n: {"sum": a + n, "type": n})
inside = jit(lambda tree: tree["a"] * tree["n"][0])


class Level(enum.IntEnum):
    low = 2


NUMBERS = [2.0, 2, True, 2j, False, 0.0, -0.0, math.nan, math.inf, -math.inf, 1e300, -1e300, 1e-45,
           1e-46, 3.4028235677973366e38, -1, 0, 2**31 - 1, -2**31, complex(-0.0, math.nan),
           complex(1e300, 1e-320), 0.1, 1 / 3]


@native
@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("bits", [32, 64])
def test_numbers_of_every_class(bits, no_python):
    with config.using(default_bits=bits):
        function = jit(lambda n: n)
        expected = [facts(jit(lambda n: n)(n)) for n in NUMBERS]
        for n in (1.5, 1, True, 1j):
            for _ in range(3):
                function(n)
        no_python(function)
        for n, want in zip(NUMBERS, expected, strict=True):
            assert facts(function(n)) == want


@pytest.mark.filterwarnings("ignore:overflow")
@given(st.floats() | st.floats(width=32) | st.integers(-2**31, 2**31 - 1) | st.booleans()
       | st.complex_numbers())
@settings(deadline=None, max_examples=200)
def test_numbers_become_what_they_become_in_python(n):
    for _ in range(2):
        found = same_number(n)
        with np.errstate(all="ignore"):
            expected = np.asarray(n).astype(found.dtype)
        assert found.dtype == jnp.asarray(n).dtype
        assert np.asarray(found).tobytes() == expected.tobytes() or n != n


@native
def test_beside_arrays_by_name_and_in_containers(no_python):
    calls = [lambda: both(x, 2.0), lambda: both(x, n=2.0), lambda: both(n=3, a=x),
             lambda: inside({"a": x, "n": [2.0, None]}), lambda: inside({"a": x, "n": (True, 3)})]

    def all_facts():
        return [facts(each) for call in calls for found in [call()]
                for each in (found.values() if isinstance(found, dict) else [found])]

    for _ in range(3):
        expected = all_facts()
    no_python(both, inside)
    assert all_facts() == expected


def test_what_looks_like_a_number_but_is_another():
    for _ in range(4):
        assert facts(same_number(1)) != facts(same_number(True)) != facts(same_number(1.0))
        assert same_number(np.float64(0.1)).weak_type is False
        assert same_number(np.float32(2)).dtype == np.float32
        assert same_number(Level.low).tolist() == 2
        assert same_number(jnp.asarray(2.0, "float32")).weak_type is False
        for large in (2**31, -2**31 - 1, 2**63, 10**30):
            with pytest.raises(OverflowError):
                same_number(large)


def test_under_other_settings_and_in_transforms():
    function = jit(lambda n: n * 2)
    derivative = grad(jit(lambda n: n * n))
    for _ in range(4):
        assert function(0.1).dtype == np.float32
        with config.using(default_bits=64):
            assert function(0.1).tolist() == 0.2 and function(2**40).tolist() == 2**41
        with config.using(jit=False):
            assert np.asarray(function(3)).tolist() == 6
        assert derivative(3.0).tolist() == 6.0
        assert jit(lambda a: function(2.0) + a)(x).tolist() == [4.0, 5.0, 6.0]


@pytest.mark.filterwarnings("ignore:.*donated, but not used")
def test_numbers_beside_donated_arrays():
    function = jit(lambda a, n: a + n, donate_argnums=0)
    number = jit(lambda n, a: a + n, donate_argnums=0)
    for n in (1.0, 2.0, 3.0, 4.0):
        assert function(jnp.ones(4), n).tolist() == [1 + n] * 4
        assert number(n, x).tolist() == [n, 1 + n, 2 + n]


@native
def test_large_programs_hold_no_numbers():
    """They run without Python's lock, and hold the leaves that came in containers."""
    function = jit(lambda tree: tree["a"] * tree["n"])
    large = jnp.ones((1 << 20,))
    for n in (1.0, 2.0, 3.0, 4.0, 5.5):
        assert function({"a": large, "n": n})[-1].tolist() == n
