"""debug.breakpoint, what errors print, and what is left after them."""

import sys
import traceback

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import debug, grad, io_callback, jit, lax, pure_callback, vmap
from arraylib.config import config
from arraylib.errors import ArgumentError, ShapeError

x = jnp.arange(3.0)


# -- breakpoint ------------------------------------------------------------------------------------


@pytest.fixture
def stops(monkeypatch):
    """What the debugger would see: file, line, and the variables x and y."""
    found = []

    def hook():
        frame = sys._getframe(1)
        names = {**frame.f_globals, **frame.f_locals}
        found.append((frame.f_code.co_filename, frame.f_lineno,
                      {name: np.asarray(names[name]).tolist() for name in "xy"}, names))
    monkeypatch.setattr(sys, "breakpointhook", hook)
    return found


def stopping(x):
    y = {"a": 2 * x}["a"]
    note = "kept"
    debug.breakpoint()
    return y + len(note)


LINE = stopping.__code__.co_firstlineno + 3


@pytest.mark.parametrize("transform", [lambda f: f, jit, grad, lambda f: jit(grad(f)),
                                       lambda f: jit(lambda x: jit(f)(x))])
def test_the_debugger_sees_the_values(stops, transform):
    for value in (1.0, 2.0):
        transform(stopping)(value)
        (file, line, values, names), = stops
        assert (file, line, values) == (__file__, LINE, {"x": value, "y": 2 * value})
        assert names["note"] == "kept" and names["stopping"] is stopping
        stops.clear()


def test_it_stops_for_each_example_and_step(stops):
    jit(vmap(stopping))(x)
    assert [values["x"] for _, _, values, _ in stops] == [0, 1, 2]
    stops.clear()
    jit(lambda x: lax.scan(lambda c, x: (stopping(x), None), 0.0, x))(x)
    assert [values["y"] for _, _, values, _ in stops] == [0, 2, 4]


def test_without_jit_it_stops_at_once(stops):
    with config.using(jit=False):
        jit(stopping)(3.0)
    assert [values["x"] for _, _, values, _ in stops] == [3.0]


def test_values_by_name(stops):
    jit(lambda a: debug.breakpoint(x=a, y=a + 1))(1.0)
    assert stops[0][2] == {"x": 1.0, "y": 2.0}


# -- what is printed -------------------------------------------------------------------------------


def mistaken(x):
    return x + jnp.ones(5)


def files(error):
    return [frame.filename for frame in traceback.extract_tb(error.__traceback__)]


@pytest.mark.parametrize("transform", [
    jit, vmap, lambda f: grad(lambda x: f(x).sum()), lambda f: jit(lambda x: jit(f)(x)),
    lambda f: jit(lambda x: lax.map(f, x)), lambda f: jit(vmap(grad(lambda x: f(x).sum())))])
def test_our_own_lines_are_left_out(transform):
    rows = jnp.ones((2, 3))
    counts = {}
    for setting in ("user", "full"):
        with config.using(tracebacks=setting), pytest.raises(ShapeError) as caught:
            transform(mistaken)(rows)
        found = files(caught.value)
        counts[setting] = len(found)
        assert (found[-1] == __file__) == (setting == "user")
    assert counts["user"] < counts["full"]


def test_errors_of_the_users_own():
    def f(x):
        raise KeyError("mine")

    with config.using(tracebacks="user"), pytest.raises(KeyError) as caught:
        jit(f)(x)
    assert files(caught.value)[-1] == __file__ and len(files(caught.value)) <= 3
    assert config.jax_traceback_filtering in ("auto", "remove_frames", "tracebackhide", "off")


# -- what is left ----------------------------------------------------------------------------------


class Mine(Exception):
    """Raised by callbacks here."""


def fails(value):
    if value > 1:
        raise Mine(float(value))
    return np.float32(value)


CALLS = {
    "pure": lambda x: pure_callback(fails, x, x, vmap_method="sequential"),
    "io": lambda x: io_callback(fails, x, x, ordered=True),
    "debug": lambda x: (debug.callback(fails, x, ordered=True), x)[1],
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("transform", [
    lambda f: f, jit, lambda f: jit(lambda x: lax.scan(lambda c, x: (c, f(x)), 0.0, x[None])[1][0]),
    lambda f: lambda x: jit(vmap(f))(x[None])[0]])
def test_exceptions_of_callbacks_are_the_users(name, transform):
    f = transform(CALLS[name])
    for _ in range(2):
        assert f(jnp.float32(1.0)) == 1
        with pytest.raises(Mine, match="2.0"):
            f(jnp.float32(2.0))
    assert jit(lambda x: x + 1)(x).tolist() == [1, 2, 3]


def test_a_donated_array_and_a_failing_callback():
    f = jit(lambda x: pure_callback(lambda x: 1 / 0, x, x) + 1, donate_argnums=0)
    with pytest.raises(ZeroDivisionError):
        f(jnp.ones(4))
    assert jit(lambda x: x * 2, donate_argnums=0)(jnp.ones(4)).tolist() == [2] * 4


@pytest.mark.parametrize("transform", [
    jit, vmap, grad, arraylib.checkpoint, lambda f: jit(lambda x: lax.map(f, x[None])[0])])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, Mine])
def test_the_next_call_after_an_interrupted_trace(transform, error):
    state = {"broken": True}

    def f(x):
        y = (x * 2).sum()
        if state["broken"]:
            raise error
        return y

    function, value = transform(f), x if transform is vmap else jnp.float32(3.0)
    with pytest.raises(error):
        function(value)
    state["broken"] = False
    np.testing.assert_array_equal(function(value), {vmap: [0, 2, 4], grad: 2}.get(transform, 6))
    assert (x + 1).tolist() == [1, 2, 3] and not arraylib.hlo.ir.is_tracing()


def test_print_refuses_what_it_cannot_format():
    with pytest.raises((ArgumentError, IndexError)):
        jit(lambda x: debug.print("{} {}", x))(1.0)
    assert jit(lambda x: x + 1)(1.0) == 2
