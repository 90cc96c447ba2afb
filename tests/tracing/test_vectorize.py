"""vmap: axes in and out, containers, nesting, and what is refused."""

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import grad, jit, vmap
from arraylib.config import config
from arraylib.errors import ArgumentError, ShapeError, TraceError

rng = np.random.default_rng(2)


@pytest.fixture(autouse=True)
def doubles():
    with config.using(default_bits=64):
        yield


def normal(*shape):
    return jnp.asarray(rng.standard_normal(shape), jnp.float64)


def test_axes_in_and_out():
    x, y = normal(3, 5, 4), normal(4, 2)
    f = lambda x, y: x @ y
    for wrap in (lambda f: f, jit):
        expected = np.moveaxis(np.asarray(x), 1, 0) @ np.asarray(y)
        np.testing.assert_allclose(wrap(vmap(f, in_axes=(1, None)))(x, y), expected)
        np.testing.assert_allclose(wrap(vmap(f, in_axes=(1, None), out_axes=-1))(x, y),
                                   np.moveaxis(expected, 0, -1))
        both = wrap(vmap(vmap(lambda a, b: a * b, (0, None)), (None, 0)))
        np.testing.assert_allclose(both(y[:, 0], y[:, 1]), np.outer(y[:, 1], y[:, 0]))


def test_containers_and_keywords():
    tree = {"w": normal(4, 3), "b": normal(3)}
    f = lambda p, x, scale: (p["w"] @ x + p["b"].sum()) * scale
    xs, scales = normal(6, 3), normal(6)
    expected = [(np.asarray(tree["w"]) @ np.asarray(x) + np.asarray(tree["b"]).sum()) * s
                for x, s in zip(np.asarray(xs), np.asarray(scales))]
    np.testing.assert_allclose(vmap(f, in_axes=(None, 0))(tree, xs, scale=scales), expected)
    mapped = vmap(lambda p, x: p["w"] * x + p["b"], in_axes=({"w": 0, "b": None}, None))
    np.testing.assert_allclose(mapped(tree, 2.0), np.asarray(tree["w"]) * 2 + np.asarray(tree["b"]))


def test_shared_outputs():
    constant, same = vmap(lambda x: (jnp.ones(2), x), out_axes=(None, 0))(normal(3))
    assert constant.shape == (2,) and same.shape == (3,)
    assert vmap(lambda: jnp.zeros(2), axis_size=3)().shape == (3, 2)
    with pytest.raises(ArgumentError, match="differs from example to example"):
        vmap(lambda x: x, out_axes=None)(normal(3))


def test_per_example_gradients():
    w, xs = normal(3), normal(5, 3)
    loss = lambda w, x: jnp.tanh(x @ w) ** 2
    np.testing.assert_allclose(vmap(grad(loss), (None, 0))(w, xs),
                               np.stack([grad(loss)(w, x) for x in xs]), rtol=1e-10)


FUNCTIONS = {
    "dynamic slice": lambda x, i: jnp.take(x, i) + jnp.sum(x),
    "indexing": lambda x, i: x[i] * x[-1],
    "update": lambda x, i: x.at[i].add(1.0),
    "sort": lambda x, i: jnp.sort(x) + i,
    "argmax": lambda x, i: jnp.argmax(x) * i,
    "concatenate": lambda x, i: jnp.concatenate([x, jnp.ones(2)]) * i,
    "pad and reverse": lambda x, i: jnp.pad(x, 1)[::-1] * i,
    "cumsum": lambda x, i: jnp.cumsum(x) - i,
    "outer": lambda x, i: jnp.outer(x, x) + i,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_equals_a_loop(name):
    f, xs, i = FUNCTIONS[name], normal(3, 5), jnp.array([0, 4, 2])
    expected = np.stack([np.asarray(f(x, k)) for x, k in zip(xs, i)])
    np.testing.assert_allclose(vmap(f)(xs, i), expected, rtol=1e-6)
    np.testing.assert_allclose(jit(vmap(f))(xs, i), expected, rtol=1e-6)


def test_misfits_are_refused():
    with pytest.raises(ShapeError, match="has 4 examples, but argument 0 has 3"):
        vmap(jnp.add)(normal(3), normal(4))
    with pytest.raises(ShapeError, match="maps its axis 0"):
        vmap(jnp.sin)(1.0)
    with pytest.raises(ArgumentError, match="in_axes has 3 entries"):
        vmap(jnp.add, in_axes=(0, 0, 0))(normal(3), normal(3))
    with pytest.raises(ArgumentError, match="no argument has an axis"):
        vmap(jnp.sin, in_axes=None)(normal(3))
    with pytest.raises(TraceError, match="truth value"):
        vmap(lambda x: x if x > 0 else -x)(normal(3))


@pytest.mark.parametrize("settings, kind, words", [
    ({"in_axes": "0"}, ArgumentError, "in_axes has '0' for argument 0"),
    ({"in_axes": 1.0}, ArgumentError, "in_axes has 1.0 for argument 0"),
    ({"in_axes": True}, ArgumentError, "in_axes has True for argument 0"),
    ({"in_axes": 2}, ShapeError, r"argument 0 has shape \(3, 4\), but in_axes maps its axis 2"),
    ({"in_axes": -3}, ShapeError, "in_axes maps its axis -3"),
    ({"out_axes": 2}, ShapeError, r"output 0 has shape \(4,\) for each example, but out_axes puts "
     "examples at its axis 2\n.*\n  try: an axis from -2 to 1"),
    ({"out_axes": -3}, ShapeError, "out_axes puts examples at its axis -3"),
    ({"out_axes": "a"}, ArgumentError, "out_axes has 'a' for output 0"),
    ({"axis_size": 4}, ShapeError, "argument 0 has 3 examples, but axis_size has 4"),
    ({"axis_size": "3"}, ArgumentError, "axis_size = '3'"),
    ({"axis_size": -1}, ArgumentError, "axis_size = -1"),
    ({"axis_size": 3.0}, ArgumentError, "axis_size = 3.0"),
    ({"axis_name": ["i"]}, ArgumentError, "the axis_name .* is a list, which cannot be hashed"),
])
def test_settings_that_are_of_no_use(settings, kind, words):
    with pytest.raises(kind, match=words):
        vmap(jnp.sin, **settings)(normal(3, 4))


def test_what_is_no_function():
    with pytest.raises(ArgumentError, match="is a NoneType, not a function"):
        vmap(None)


def test_axes_may_be_counted_from_the_end_and_be_numpy_s():
    x = normal(3, 4, 5)
    mapped = vmap(lambda x: x.sum(0), in_axes=np.int64(-1), out_axes=np.int32(-1))
    np.testing.assert_allclose(mapped(x), np.asarray(x).sum(0), rtol=1e-12)
    assert vmap(jnp.sin, spmd_axis_name="data")(x).shape == x.shape
