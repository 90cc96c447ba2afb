"""Slices, transposes, joins and constants outside of jit: native code gives what NumPy gives."""

import gc
import inspect
import weakref

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import arraylib.numpy as jnp
from arraylib import grad, jit, lax, vmap
from arraylib.backends.cpu.calls.layout import RAW
from arraylib.config import config
from arraylib.errors import ArraylibError, DonatedError
from arraylib.tracing.movement import (
    CONSTANTS,
    EXACT_FUNCTIONS,
    EXACT_METHODS,
    FUNCTIONS,
    METHODS,
    Constant,
    Exact,
    Fold,
    Indexing,
    Movement,
)

TIMES = 12  # calls, of which native code serves the last
DTYPES = ["float32", "float64", "int8", "bool", "bfloat16", "complex64", "complex128", "int32"]
shapes = st.lists(st.integers(0, 5), min_size=1, max_size=3).map(tuple)
bounds = st.none() | st.integers(-7, 7)
parts = (st.builds(slice, bounds, bounds, st.none() | st.integers(-3, 3).filter(bool))
         | st.sampled_from([None, ...]) | st.integers(-1, 0))


def values(dtype, shape, first=0):
    data = (np.arange(np.prod(shape, dtype=int)) + first).reshape(shape) % 100
    return jnp.array(data.astype(jnp.dtype(dtype)), dtype)


def same(found, expected):
    assert found.dtype == expected.dtype and found.shape == expected.shape
    assert np.asarray(found).tobytes() == np.ascontiguousarray(expected).tobytes()


@given(st.sampled_from(DTYPES), shapes, st.lists(parts, min_size=1, max_size=4), st.booleans())
@settings(deadline=None, max_examples=150)
def test_slices(dtype, shape, index, in_tuple):
    item = tuple(index) if in_tuple or len(index) > 1 else index[0]
    x, y = values(dtype, shape), values(dtype, shape, 7)
    try:
        expected = [np.asarray(each)[item] for each in (x, y)]
    except IndexError:
        for _ in range(TIMES):
            with pytest.raises(IndexError):
                x[item]
        return
    for _ in range(TIMES):
        same(x[item], expected[0])
        same(y[item], expected[1])


PLACES = st.integers(-8, 8)


@given(st.sampled_from(DTYPES), shapes, st.lists(PLACES, max_size=4), st.sampled_from(
    ["int32", "int64", "uint8", "int8"]), st.booleans())
@settings(deadline=None, max_examples=50)
def test_rows_at_integers(dtype, shape, places, kind, matrix):
    x, index = values(dtype, shape), np.array(places).astype(kind)
    index = index.reshape(-1, 1) if matrix else index
    beyond = ((index >= shape[0]) | (index < -shape[0])).any()
    given = jnp.array(index, kind)
    for _ in range(3):
        if beyond:
            for wrong in (lambda: x[given], lambda: jnp.take(x, given, axis=0)):
                with pytest.raises(IndexError):
                    wrong()
        else:
            for found in (x[given], jnp.take(x, given, axis=0), x.take(given, 0)):
                same(found, np.asarray(x)[index])


@pytest.mark.parametrize("dtype", DTYPES)
def test_elements_where_a_mask_is_true(dtype):
    x = values(dtype, (3, 4), 1)
    for mask in (np.asarray(x) != 3, np.array([True, False, True]), np.zeros((3, 4), bool)):
        for _ in range(3):
            same(x[jnp.array(mask)], np.asarray(x)[mask])
    weak = jnp.asarray(2.0) + jnp.zeros(3, int) * 1.0
    assert weak[jnp.array([True, False, True])].weak_type == weak[:2].weak_type
    kept = x[jnp.ones((3, 4), bool)]
    x.delete()
    assert kept.shape == (12,)
    for wrong in (jnp.ones((4, 4), bool), jnp.ones((3, 4, 1), bool), jnp.ones(4, bool)):
        with pytest.raises(IndexError):
            values(dtype, (3, 4))[wrong]
    with pytest.raises(DonatedError):
        x[jnp.ones((3, 4), bool)]
    with pytest.raises(ArraylibError):
        jit(lambda a, m: a[m])(jnp.ones(3), jnp.ones(3, bool))


def test_places_beyond_the_bounds_are_refused_after_native_calls():
    x, y = jnp.arange(5.0), jnp.arange(10.0).reshape(5, 2)
    inside, beyond, below = (jnp.array(places) for places in ([0, -5, 4], [0, 5, 1], [-6, 0, 1]))
    for _ in range(TIMES):
        same(x[inside], np.float32([0, 0, 4]))
        same(y[inside], np.asarray(y)[[0, -5, 4]])
        same(y[jnp.array(-2)], np.asarray(y)[-2])
        for wrong in (beyond, below, jnp.array(5), jnp.array(-6)):
            for index in (lambda a, i: a[i], lambda a, i: a.take(i, axis=0)):
                with pytest.raises(IndexError):
                    index(x, wrong)
                with pytest.raises(IndexError):
                    index(y, wrong)
        assert jnp.take(y, inside).shape == (3,) and jnp.take(y.T, inside, axis=1).shape == (2, 3)
    graph = str(jit(lambda a, i: a[i]).lower(x, inside).as_text())
    assert "gather" in graph  # and no program of ours


UPDATES = {
    "set": lambda x, v: x.at[1].set(v), "add": lambda x, v: x.at[1:3].add(v),
    "min": lambda x, v: x.at[0, 1].min(v), "multiply": lambda x, v: x.at[:, 1].multiply(v),
    "strided": lambda x, v: x.at[::2].set(v), "reversed": lambda x, v: x.at[::-1, 0].add(v),
    "all": lambda x, v: x.at[...].mul(v), "masked": lambda x, v: x.at[x > 4].set(v),
    "at places": lambda x, v: x.at[jnp.array([2, 0, 2])].add(v),
    "max": lambda x, v: x.at[-1].max(v), "subtract": lambda x, v: x.at[1, ::2].subtract(v),
    "dropped": lambda x, v: x.at[7].set(v, mode="drop"), "slice": lambda x, v:
        lax.dynamic_update_slice(x, jnp.full((1, 2), v, x.dtype), (1, 1))}


@pytest.mark.parametrize("name", UPDATES)
def test_updates(name):
    update = UPDATES[name]
    for dtype in ("float32", "int32", "float64", "bfloat16"):
        x = values(dtype, (3, 4), 1)
        before = np.asarray(x).copy()
        for value in (2, jnp.array(3, dtype)):
            expected = np.asarray(jit(update)(x, value))
            for _ in range(TIMES):
                same(update(x, value), expected)
        same(x, before)
        same(update(x + x, 2), np.asarray(jit(update)(x + x, 2)))


def test_updates_that_are_wrong_stay_wrong_and_arrays_are_not_kept():
    x = jnp.arange(4.0)
    for _ in range(TIMES):
        x.at[3].set(1.0), x.at[1:].add(x[1:])
        with pytest.raises(IndexError):
            x.at[4].set(1.0)
        with pytest.raises(Exception, match="shape"):
            x.at[1:].add(x)
    y = x + 1
    kept = weakref.ref(y)
    for _ in range(TIMES):
        y.at[2].set(5.0), y[::2], jnp.flip(y)
    del y
    gc.collect()
    assert kept() is None
    assert grad(lambda a: a.at[1].set(0.0).sum())(x).tolist() == [1, 0, 1, 1]


MOVES = {
    "reshape": lambda a, x: a.reshape(x, (-1, 2)), "ravel": lambda a, x: a.ravel(x),
    "transpose": lambda a, x: a.transpose(x, (2, 0, 1)), "flip": lambda a, x: a.flip(x, axis=1),
    "swapaxes": lambda a, x: a.swapaxes(x, 0, 2), "moveaxis": lambda a, x: a.moveaxis(x, 0, -1),
    "squeeze": lambda a, x: a.squeeze(x[:1]), "expand_dims": lambda a, x: a.expand_dims(x, (0, 2)),
    "roll": lambda a, x: a.roll(x, -2, axis=1), "rot90": lambda a, x: a.rot90(x, 1, (1, 2)),
    "tile": lambda a, x: a.tile(x, (2, 1, 3)), "repeat": lambda a, x: a.repeat(x, 3, 1),
    "broadcast_to": lambda a, x: a.broadcast_to(x, (2, *x.shape)),
    "concatenate": lambda a, x: a.concatenate([x, x[1:], x], axis=0),
    "stack": lambda a, x: a.stack((x, x + x), axis=-1), "hstack": lambda a, x: a.hstack([x, x]),
    "vstack": lambda a, x: a.vstack([x, x]), "diagonal": lambda a, x: a.diagonal(x, 1, 0, 1),
    "method": lambda a, x: x.reshape(3, -1).T, "fliplr": lambda a, x: a.fliplr(x),
    "copy": lambda a, x: x.copy(), "flatten": lambda a, x: x.flatten(),
    "different dtypes": lambda a, x: a.concatenate([x, x.astype(bool)]).astype(x.dtype),
}


@pytest.mark.parametrize("name", MOVES)
def test_functions_and_methods(name):
    for dtype in DTYPES:
        for first in range(TIMES):
            x = values(dtype, (2, 3, 4), first)
            same(MOVES[name](jnp, x), MOVES[name](np, np.asarray(x)))


SETTINGS = {
    "zeros": lambda a: a.zeros((2, 3), a.int8), "ones": lambda a: a.ones(4, dtype="int16"),
    "full": lambda a: a.full((2,), -0.0, a.float32), "arange": lambda a: a.arange(2, 9, 3, a.int32),
    "eye": lambda a: a.eye(3, 4, k=1, dtype=a.float32), "identity": lambda a: a.identity(
        2, a.float32), "array": lambda a: a.array([[1.0, -0.0]], a.float32),
    "linspace": lambda a: a.linspace(0, 1, 5, dtype=a.float32),
    "like": lambda a: a.full_like(a.ones((2, 2), a.float32), 300),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_constants(name):
    for _ in range(TIMES):
        same(SETTINGS[name](jnp), SETTINGS[name](np))


def test_arguments_that_look_alike():
    def all_ways(size):
        return [jnp.full((2,), 0), jnp.full((2,), 0.0), jnp.full((2,), -0.0),
                jnp.full((2,), False), jnp.full((2,), float("nan")), jnp.zeros(size),
                jnp.zeros((size,)), jnp.zeros([size]), jnp.zeros(2, int), jnp.zeros(2, bool),
                jnp.zeros(2, "bool"), jnp.zeros(2, np.dtype("int8")), jnp.zeros(2, jnp.int8)]

    first = all_ways(3)
    for size in [*range(3, 3 + TIMES), *[int("300")] * TIMES]:
        for found, expected in zip(all_ways(size), first, strict=True):
            shape = (size,) if expected.shape == (3,) else expected.shape
            same(found, np.resize(np.asarray(expected), shape))


def test_what_depends_on_values_is_not_remembered():
    x = values("float32", (4,))
    for shift in [0] * TIMES + [1, 2, 3]:
        same(jnp.roll(x, jnp.array(shift)), np.roll(np.asarray(x), shift))
        same(jnp.full((3,), jnp.array(float(shift))), np.full(3, shift, np.float32))
        same(x[jnp.array([shift])], np.asarray(x)[[shift]])
        same(jnp.repeat(x[:1], jnp.array([shift + 1])), np.zeros(shift + 1, np.float32))
        given = [shift, shift + 1]
        same(jnp.array(given), np.array(given, np.int32))


def test_results_are_arrays_of_their_own():
    x = values("float32", (3, 4))
    for _ in range(TIMES):
        parts = x[1:], x.T, jnp.zeros(3), jnp.asarray([1.0, 2.0])
        for part in parts:
            part.delete()
        assert not x.is_deleted()
    gone = x[1:]
    gone.delete()
    for _ in range(TIMES):
        with pytest.raises(DonatedError):
            gone[0:1]
        same(jnp.zeros(3), np.zeros(3, np.float32))
        assert x.reshape(3, 4) is x and jnp.asarray(x) is x


def test_in_transforms_and_under_settings():
    def f(x):
        return (x[1:] * x.T[:, :-1].T * jnp.arange(3.0)).reshape(-1).sum()

    x = values("float32", (3, 3))
    expected = [np.asarray(g) for g in (f(x), jit(f)(x), grad(f)(x), vmap(f)(x[None]))]
    for _ in range(TIMES):
        for found, true in zip((f(x), jit(f)(x), grad(f)(x), vmap(f)(x[None])), expected,
                               strict=True):
            np.testing.assert_allclose(np.asarray(found), true, 1e-6)
        assert jnp.zeros(2).dtype == np.float32
        with config.using(default_bits=64):
            assert jnp.zeros(2).dtype == np.float64
    with config.using(backend="reference"):
        same(x[1:], np.asarray(x)[1:])


def test_mistakes_stay_mistakes():
    x = values("float32", (3, 4))
    for _ in range(TIMES):
        x.reshape(4, 3), jnp.zeros(3), x[:, 1]
        for wrong in (lambda: x.reshape(5, 3), lambda: jnp.zeros(-3), lambda: x[:, 4],
                      lambda: jnp.concatenate([x, x[0]]), lambda: x.reshape(4.0, 3)):
            with pytest.raises((ArraylibError, TypeError, IndexError)):
                wrong()


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "bfloat16", "float32"])
def test_joins_to_a_dtype_move_whatever_the_elements(dtype):
    zeros, x = jnp.zeros(300, dtype), values(dtype, (300,))
    expected = np.concatenate([np.asarray(x)[::-1], np.asarray(x)])
    for each in [zeros] * TIMES + [x]:
        found = jnp.concatenate([each[::-1], each], dtype=dtype)
        stacked = jnp.stack((each[::-1], each), dtype=dtype)
    same(found, expected)
    same(stacked.reshape(-1), expected)


def test_arrays_given_by_name():
    x = values("float32", (2, 3))
    for _ in range(TIMES):
        same(jnp.concatenate(arrays=[x, x]), np.concatenate([x, x]))
        same(jnp.reshape(a=x, shape=(3, 2)), np.asarray(x).reshape(3, 2))
        same(jnp.sum(a=x, axis=0), np.asarray(x).sum(0))
        same(jnp.full_like(a=x, fill_value=2), np.full((2, 3), 2, "float32"))


@pytest.mark.skipif(not RAW, reason="calls stay in Python here")
def test_native_code_serves_them(monkeypatch):
    x = values("float32", (2, 3))

    def everything():
        return (x[1:3], x[..., 0], x[:, None], x.T, x.reshape(3, 2), jnp.reshape(x, (3, 2)),
                jnp.concatenate([x, x]), jnp.stack((x, x), axis=1), jnp.zeros((2, 3)),
                jnp.arange(4), jnp.ones_like(x), jnp.array([1.0, 2.0]), jnp.zeros(int("1000")))

    with config.using(default_bits=32):  # as if for the first time
        for _ in range(TIMES):
            expected = everything()
        monkeypatch.setattr(Movement, "_note", None)
        monkeypatch.setattr(Indexing, "_note", None)
        for found, true in zip(everything(), expected, strict=True):
            same(found, np.asarray(true))


@pytest.mark.skipif(not RAW, reason="calls stay in Python here")
def test_ways_that_are_used_no_more_make_room(monkeypatch):
    x = values("float32", (200,))
    with config.using(default_bits=32):
        for i in range(100):
            for _ in range(TIMES):
                same(x[i:i + 2], np.asarray(x)[i:i + 2])
        for _ in range(2 * TIMES):
            x[150:160]
        monkeypatch.setattr(Indexing, "_note", None)
        same(x[150:160], np.asarray(x)[150:160])


CHOICES = {
    "max": lambda a, x: a.max(x), "min": lambda a, x: x.min(axis=1),
    "argmax": lambda a, x: a.argmax(x, axis=0).astype(a.int32),
    "argmin": lambda a, x: x.argmin().astype(a.int32),
    "any": lambda a, x: x.any(axis=(0, 1)), "all": lambda a, x: a.all(x),
    "where": lambda a, x: a.where(x > 1, x, a.zeros(3, x.dtype)),
    "where with numbers": lambda a, x: a.where(x > 1, x, 2).astype(x.dtype),
    "maximum": lambda a, x: a.maximum(x, x[::-1]), "minimum": lambda a, x: a.minimum(x, 3),
    "astype": lambda a, x: x.astype(a.float32), "astype by name": lambda a, x: x.astype("int8"),
    "clip": lambda a, x: x.clip(1, 4), "sign": lambda a, x: a.sign(x),
}


@pytest.mark.parametrize("name", CHOICES)
def test_choices(name, monkeypatch):
    monkeypatch.setattr(Exact, "often", 3)
    monkeypatch.setattr(Fold, "often", 3, raising=False)
    for dtype in ("float32", "float64", "int32", "int8"):
        with config.using(default_bits=32):
            for i in range(6):
                data = np.roll([[5, 0, 3], [1, 7, 2]], i).astype(dtype)
                same(CHOICES[name](jnp, jnp.array(data, dtype)), CHOICES[name](np, data))


@pytest.mark.skipif(not RAW, reason="calls stay in Python here")
def test_choices_are_served_by_native_code(monkeypatch):
    monkeypatch.setattr(Exact, "often", 3)
    monkeypatch.setattr(Fold, "often", 3, raising=False)
    x, i = values("float32", (2, 3)), values("int32", (2, 3))

    def everything():
        return (i.max(), jnp.min(i, axis=0), x.argmax(1), jnp.where(x, x, 0.0), jnp.clip(i, 1, 2),
                x.astype(jnp.int32), jnp.maximum(i, i), x.any(), jnp.all(x, keepdims=True))

    with config.using(default_bits=32):
        for _ in range(4):
            expected = everything()
        monkeypatch.setattr(Movement, "_note", None)
        for found, true in zip(everything(), expected, strict=True):
            same(found, np.asarray(true))


def test_special_values_are_chosen_alike(monkeypatch):
    monkeypatch.setattr(Exact, "often", 3)
    monkeypatch.setattr(Fold, "often", 3, raising=False)
    special = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -3.5]
    with config.using(default_bits=32):
        for f in (jnp.max, jnp.min, jnp.argmax, jnp.any, jnp.sign, lambda v: v.astype(jnp.int32),
                  lambda v: jnp.maximum(v, v[::-1]), lambda v: jnp.where(v, v, -0.0),
                  lambda v: jnp.clip(v, -1.0, 1.0)):
            for part in (special, special[:2], special[1::-1], special[3:], special[:1]):
                x = jnp.asarray(np.array(part, np.float32))
                first = np.asarray(f(x))
                for _ in range(6):
                    found = np.asarray(f(x))
                    np.testing.assert_array_equal(found, first)
                    np.testing.assert_array_equal(
                        np.signbit(found) & (found == 0), np.signbit(first) & (first == 0))


def test_results_do_not_depend_on_how_often(monkeypatch):
    """Of 0 and -0 native code takes the one that NumPy took before."""
    monkeypatch.setattr(Exact, "often", 3)
    monkeypatch.setattr(Fold, "often", 3, raising=False)
    zeros = [np.array(x, np.float32) for x in ([0, -0.0], [-0.0, 0])]
    for f in (lambda x, y: jnp.max(x), lambda x, y: jnp.min(x), jnp.maximum, jnp.minimum,
              lambda x, y: jnp.clip(x, 0.0, 1.0)):
        first = [np.signbit(np.asarray(f(jnp.asarray(x), jnp.asarray(-x)))) for x in zeros]
        for _ in range(6):
            f(jnp.ones(2, "float32"), jnp.zeros(2, "float32"))
        for x, signs in zip(zeros, first, strict=True):
            found = np.asarray(f(jnp.asarray(x), jnp.asarray(-x)))
            np.testing.assert_array_equal(np.signbit(found), signs)


def test_they_are_like_functions():
    for name in (*FUNCTIONS, *CONSTANTS, *EXACT_FUNCTIONS):
        function = getattr(jnp, name)
        assert function.__doc__ and inspect.signature(function).parameters
    for name in (*METHODS, *EXACT_METHODS):
        assert getattr(jnp.ndarray, name, None) or getattr(jnp.zeros(1), name)


@pytest.mark.skipif(not RAW, reason="calls stay in Python here")
def test_settings_that_another_thread_changes_meanwhile(monkeypatch):
    """What was made under the settings of before is not served under those of now."""
    made, before = Constant._made, config.default_bits

    def disturbed(*args):
        monkeypatch.setattr(Constant, "_made", made)
        found = made(*args)
        config.default_bits = 96 - before
        jnp.full(3, 7.5)  # which starts anew
        return found

    try:
        monkeypatch.setattr(Constant, "_made", disturbed)
        for _ in range(TIMES):
            jnp.full(3, 7.5)
        for _ in range(TIMES):
            assert jnp.full(3, 7.5).dtype == f"float{96 - before}"
    finally:
        config.default_bits = before


def test_an_index_by_name():
    x = jnp.arange(3.0)
    for _ in range(20):
        assert x.__getitem__(index=1) == 1.0
