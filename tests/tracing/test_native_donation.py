"""Donated arguments in native calls: memory moves, later uses are refused, nothing leaks."""

import functools
import gc
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib.numpy as jnp
from arraylib import jit, tree
from arraylib.backends.cpu import memory
from arraylib.backends.cpu.calls.layout import RAW
from arraylib.config import config
from arraylib.errors import DonatedError

pytestmark = pytest.mark.filterwarnings("ignore::arraylib.errors.DonationWarning")
native = pytest.mark.skipif(not RAW, reason="calls stay in Python here")


@functools.cache
def maker(shape):
    return jit(lambda value: jnp.full(shape, value))


def fresh(shape=(4,), value=1.0):
    """An array that a program made: NumPy has not seen it."""
    return maker(shape)(value)


@native
def test_memory_moves(no_python):
    f = jit(lambda d, a: {k: v + a for k, v in d.items()}, donate_argnums=0)
    one = fresh()
    state = f(f({"a": fresh(), "b": fresh((700, 300))}, one[:1]), one[:1])
    no_python()
    for turn in range(3):
        places = {k: v.address for k, v in state.items()}
        before, old = memory.stats().used, state
        state = f(state, one[:1])
        assert {k: v.address for k, v in state.items()} == places
        assert memory.stats().used == before
        assert all(v.is_deleted() for v in old.values())
        np.testing.assert_array_equal(np.asarray(state["b"][5]), 4.0 + turn)


@native
def test_memory_that_no_result_takes_goes(no_python):
    f = jit(lambda a, b: b.sum(), donate_argnums=(0, 1))
    f(fresh((300, 400)), fresh((500,)))
    no_python()
    gc.collect()
    before = memory.stats().used
    for _ in range(5):
        a, b = fresh((300, 400)), fresh((500,))
        assert float(f(a, b)) == 500 and a.is_deleted() and b.is_deleted()
    del a, b
    gc.collect()
    assert memory.stats().used <= before


def test_later_uses_name_the_argument_and_the_line():
    f = jit(lambda params, x: tree.map(lambda v: v + x, params), donate_argnames="params")
    x = fresh()
    for _ in range(4):
        params = {"w": fresh(), "b": fresh()}
        f(params, x)  # the line
        with pytest.raises(DonatedError, match=r"'params'\['w'\] of <lambda>") as caught:
            x + params["w"]
        assert "f(params, x)  # the line" in str(caught.value)
        with pytest.raises(DonatedError, match=r"'params'\['b'\] of"):
            f(params, x)


def test_the_same_array_twice():
    f = jit(lambda a, b: (a + 1, b + a), donate_argnums=0)
    g = jit(lambda a, b: (a + 1, b + a), donate_argnums=(0, 1))
    kept = fresh()
    h = jit(lambda a: a + kept, donate_argnums=0)
    for _ in range(4):
        f(fresh(), fresh()), g(fresh(), fresh()), h(fresh())
        for call in (lambda a: f(a, a), lambda a: g(a, a)):
            a = fresh()
            with pytest.raises(DonatedError, match="the same array"):
                call(a)
            assert not a.is_deleted() and float(a[0]) == 1
        with pytest.raises(DonatedError, match="captured is the same array as argument 'a'"):
            h(kept)
        assert float(kept[0]) == 1


def test_what_numpy_sees_is_copied():
    f = jit(lambda a, b: a + b, donate_argnums=(0, 1))
    f(fresh(), fresh())
    for _ in range(3):
        a, b = fresh(), fresh()
        seen = np.asarray(b)
        np.testing.assert_array_equal(np.asarray(f(a, b)), 2)
        np.testing.assert_array_equal(seen, 1)
        assert a.is_deleted() and b.is_deleted()


def test_results_that_share_a_block_are_donated_one_by_one():
    make = jit(lambda a: (a + 1, a + 2, a + 3))
    f = jit(lambda a: a * 2, donate_argnums=0)
    x = fresh()
    for _ in range(4):
        first, second, third = make(x)
        found = f(second)
        del second
        np.testing.assert_array_equal(np.asarray(found), 6)
        np.testing.assert_array_equal(np.asarray(first), 2)
        del found
        np.testing.assert_array_equal(np.asarray(third), 4)


@native
def test_references(no_python):
    f = jit(lambda a, b: (a + b, b - a), donate_argnums=(0, 1))
    a, b = f(*f(fresh(), fresh()))
    no_python()
    gc.collect()
    counts = sys.getrefcount(None), sys.getrefcount(a.type), memory.stats().used
    for _ in range(2000):
        a, b = f(a, b)
    gc.collect()
    assert abs(sys.getrefcount(None) - counts[0]) < 100
    assert abs(sys.getrefcount(a.type) - counts[1]) < 100 and memory.stats().used == counts[2]


def test_donation_and_settings():
    f = jit(lambda a, n: a * n, donate_argnums=0, static_argnums=1)
    for n in (2, 3, 2, 3):
        for off in (False, True):
            with config.using(native_calls=not off):
                a = fresh()
                np.testing.assert_array_equal(np.asarray(f(a, n)), n)
                assert a.is_deleted()


@given(st.lists(st.sampled_from([(3,), (2, 2), (4,), (0,), ()]), min_size=1, max_size=5),
       st.data())
@settings(deadline=None, max_examples=15)
def test_any_leaves(shapes, data):
    donated = data.draw(st.sets(st.integers(0, len(shapes) - 1)))
    keep = data.draw(st.sets(st.integers(0, len(shapes) - 1)))
    f = jit(lambda *xs: [x * 3 for i, x in enumerate(xs) if i in keep],
            donate_argnums=tuple(donated))
    for _ in range(3):
        xs = [fresh(shape, 1.0 + i) for i, shape in enumerate(shapes)]
        for x in xs:
            assert x.address
        found = f(*xs)
        for value, i in zip(found, sorted(keep), strict=True):
            np.testing.assert_array_equal(np.asarray(value), np.full(shapes[i], 3.0 * (1 + i)))
        assert [x.is_deleted() for x in xs] == [i in donated for i in range(len(xs))]
