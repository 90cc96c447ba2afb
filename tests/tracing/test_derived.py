"""Transforms of jitted functions, which are compiled too: grad(jit(f)) and its relatives."""

import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import grad, hessian, jacfwd, jacrev, jit, tree, value_and_grad, vmap
from arraylib.backends.cpu.calls.layout import RAW
from arraylib.config import config
from arraylib.errors import ArgumentError, DtypeError, ShapeError, TraceError

X = np.linspace(-1.5, 2, 7)
SHIFT = jnp.asarray(np.linspace(0, 1, 7))


def loss(x, scale=1.5):
    return (jnp.sin(x * scale) * (x + SHIFT)).sum()


def with_data(params, x):
    y = params["w"] * x
    return (y ** 2).sum(), {"y": y}


TRANSFORMS = {
    "grad": (grad, loss),
    "gradients of both": (lambda f: grad(f, argnums=(0, 1)), lambda x, s=2.0: loss(x, s)),
    "value and grad": (value_and_grad, loss),
    "auxiliary data": (lambda f: grad(f, has_aux=True), lambda x: with_data({"w": x}, x)),
    "jacfwd": (jacfwd, jnp.cos), "jacrev": (jacrev, lambda x: x[:3] * x[3:6]),
    "hessian": (hessian, loss),
    "grad twice": (lambda f: grad(lambda x: grad(f)(x).sum()), loss),
    "vmap": (vmap, lambda x: x ** 3),
    "vmap to the last axis": (lambda f: vmap(f, out_axes=1), lambda x: jnp.stack([x, x * x])),
    "vmap of grad": (lambda f: vmap(grad(f)), lambda x: x ** 3),
    "grad of vmap": (lambda f: grad(lambda x: vmap(f)(x).sum()), lambda x: x ** 3),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_they_are_those_of_the_function(name):
    transform, function = TRANSFORMS[name]
    with config.using(default_bits=64):
        args = (jnp.asarray(X), jnp.asarray(2.0))[:2 if "both" in name else 1]
        expected = tree.leaves(transform(function)(*args))
        compiled = transform(jit(function))
        for f in (compiled, compiled, jit(compiled), transform(jit(jit(function)))):
            found = f(*args)
            assert tree.structure(found) == tree.structure(compiled(*args))
            for x, y in zip(tree.leaves(found), expected, strict=True):
                assert x.dtype == y.dtype and x.shape == y.shape
                np.testing.assert_allclose(np.asarray(x), np.asarray(y), 1e-12, 1e-12)


def test_they_are_traced_once():
    runs = []

    @jit
    def f(x):
        runs.append(x)
        return (x * x).sum()

    for x in (X, X + 1, jnp.asarray(X), np.float32(2) * X):
        np.testing.assert_allclose(np.asarray(grad(f)(x)), 2 * np.asarray(x), 1e-6)
        np.testing.assert_allclose(np.asarray(value_and_grad(f)(x)[1]), 2 * np.asarray(x), 1e-6)
    assert len(runs) == 1
    assert grad(f) is grad(f) and grad(f) is not grad(f, argnums=(0,))
    assert len(grad(f).compiles()) == 1
    f(X)
    f.clear_cache()
    grad(f)(X)
    assert len(runs) == 2


ENTERED = """
import arraylib, arraylib.numpy as jnp
x = jnp.arange(3.0)
f = arraylib.jit(lambda x: (x * x).sum())
f(x), f(x)
g = arraylib.grad(f)
g(x), g(x)
type(g).__call__ = None
print(g(x).tolist())
"""


@pytest.mark.skipif(not RAW, reason="calls stay in Python here")
def test_they_are_entered_by_native_code():
    """As jitted functions are: Python is not asked a second time."""
    found = subprocess.run([sys.executable, "-c", ENTERED], capture_output=True, text=True,
                           check=True)
    assert found.stdout == "[0.0, 2.0, 4.0]\n"


def test_other_functions_are_traced_at_every_call():
    factor = [1.0]
    f = grad(lambda x: x * factor[0])
    assert f(1.0) == 1
    factor[0] = 2.0
    assert f(1.0) == 2


def test_captured_arrays_numbers_and_names():
    f = grad(jit(loss))
    np.testing.assert_allclose(np.asarray(f(X, scale=0.0)), np.zeros(7), atol=1e-6)
    np.testing.assert_allclose(np.asarray(f(X, 0)), np.zeros(7), atol=1e-6)
    assert value_and_grad(jit(lambda x: x * x))(3.0) == (9.0, 6.0)


def test_static_and_donated_arguments():
    power = jit(lambda x, n: x ** n, static_argnums=1)
    assert grad(lambda x: power(x, 3))(2.0) == 12
    donates = jit(lambda x: (x * x).sum(), donate_argnums=0)
    x = jnp.asarray(X)
    grad(donates)(x)
    grad(donates)(x)
    assert not x.is_deleted()


def test_settings_are_followed():
    f = grad(jit(lambda x: (x ** 2).sum()))
    for settings in ({}, {"jit": False}, {"backend": "reference"}, {"default_bits": 64}, {}):
        with config.using(**settings):
            assert f(3.0) == 6 and f(3.0).dtype == (
                np.float64 if config.default_bits == 64 else np.float32)


def test_mistakes_are_those_of_the_transform():
    f = jit(lambda x: x)
    for transform in (grad, value_and_grad):
        with pytest.raises(ShapeError, match="not a scalar"):
            transform(f)(X)
        with pytest.raises(DtypeError, match="has no gradient"):
            transform(f)(3)
        with pytest.raises(ArgumentError, match="^grad: argument 0 is a str"):
            transform(f)("x")
        with pytest.raises(ArgumentError, match="positional arguments"):
            transform(f, argnums=3)(1.0)
    with pytest.raises(ShapeError, match="maps its axis 0"):
        vmap(f)(1.0)
    with pytest.raises(TraceError):
        grad(jit(lambda x: x if x > 0 else -x))(1.0)


def test_in_axes_that_cannot_be_hashed():
    f = vmap(jit(lambda tree: tree["x"] + tree["y"]), in_axes=({"x": 0, "y": None},))
    found = f({"x": jnp.arange(3.0), "y": 1.0})
    assert found.tolist() == [1, 2, 3]


def test_inside_another_trace_they_leave_no_call_of_their_own():
    f = jit(lambda x: (x * x).sum())
    assert arraylib.jit(grad(f))(X).tolist() == grad(f)(X).tolist()
    with pytest.raises(TraceError, match="traced"):
        leaked = []
        jit(lambda x: leaked.append(x) or x)(X)
        grad(f)(leaked[0])


@pytest.mark.parametrize("wrap", [lambda f: f, jit, arraylib.checkpoint],
                         ids=["plain", "jit", "checkpoint"])
@pytest.mark.parametrize("transform", [
    grad, lambda f: lambda x: arraylib.jvp(f, (x,), (x,)), lambda f: jit(grad(f)),
    lambda f: lambda x: arraylib.vjp(f, x)[1](1.0),
    lambda f: lambda x: arraylib.linearize(f, x)[1](x)],
    ids=["grad", "jvp", "jit of grad", "vjp", "linearize"])
def test_no_cache_holds_on_to_what_a_closure_captured(transform, wrap):
    def used():
        captured = jnp.asarray(np.arange(7.0))
        derivative = transform(wrap(lambda x: (jnp.sin(x) * captured).sum()))
        for _ in range(3):
            derivative(jnp.ones(7))
        return weakref.ref(captured)
    gone = used()
    gc.collect()
    assert gone() is None
