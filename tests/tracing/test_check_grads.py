"""check_grads accepts what is right, and refuses what is wrong, in each mode and order."""

from functools import partial

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib.errors import ArgumentError
from arraylib.test_util import check_grads, check_jvp, check_vjp

X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 2)), dtype="float64")


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("modes", [("fwd", "rev"), "fwd", "rev"])
def test_what_is_right(dtype, modes):
    x = X.astype(dtype)
    check_grads(lambda x, p: {"y": jnp.sin(x) @ p["w"], "n": jnp.arange(3)},
                (x, {"w": x.T * 2, "i": 1}), order=2, modes=modes)


def test_integers_and_floats_of_several_widths():
    single = X.astype("float32")
    check_grads(jnp.sin, (single,), 1, atol={np.float32: 1e-2, np.float64: 1e-9}, rtol={})
    with pytest.raises(AssertionError):
        check_grads(jnp.sin, (single,), 1, atol={np.float32: 1e-9}, rtol={np.float32: 0.0})
    check_grads(lambda i: i + 1, (jnp.arange(3),), 1)
    i, x = jnp.arange(3, dtype="int64"), X[:, 0].astype("float32")
    check_grads(lambda i, x, y: jnp.sin(x * y) * i, (i, x, X[:, 1]), 2)
    check_grads(lambda x: 2 * x, (x.astype("float8_e4m3fn"),), 1, atol=10)


def wrong_forward():
    @arraylib.custom_jvp
    def f(x):
        return jnp.sin(x)
    f.defjvp(lambda primals, tangents: (f(*primals), 2 * jnp.cos(primals[0]) * tangents[0]))
    return f


def wrong_backward():
    @arraylib.custom_vjp
    def f(x):
        return jnp.sin(x)
    f.defvjp(lambda x: (jnp.sin(x), x), lambda x, ct: (2 * jnp.cos(x) * ct,))
    return f


@pytest.mark.parametrize("f, modes", [(wrong_forward(), "fwd"), (wrong_forward(), "rev"),
                                      (wrong_backward(), "rev")])
def test_what_is_wrong(f, modes):
    with pytest.raises(AssertionError, match="jvp of f" if modes == "fwd" else "vjp of f"):
        check_grads(f, (X,), order=1, modes=modes)


def test_a_wrong_second_derivative():
    """A rule of the first derivative that hides what it depends on."""
    @arraylib.custom_jvp
    def f(x):
        return jnp.sin(x)

    @f.defjvp
    def rule(primals, tangents):
        return f(*primals), jnp.cos(arraylib.lax.stop_gradient(primals[0])) * tangents[0]

    check_grads(f, (X,), order=1)
    with pytest.raises(AssertionError, match=r"jvp of jvp of f\[1\]"):
        check_grads(f, (X,), order=2, modes="fwd")


def test_wrong_values():
    with pytest.raises(AssertionError, match="value in jvp of f"):
        check_jvp(jnp.sin, partial(arraylib.jvp, jnp.cos), (X,))
    with pytest.raises(AssertionError, match="value in vjp of f"):
        check_vjp(jnp.sin, partial(arraylib.vjp, jnp.cos), (X,))


def test_settings():
    check_grads(jnp.sin, (X.astype("float32"),), 1, eps=1e-3, rtol=0.1, atol=0.1)
    with pytest.raises(AssertionError):
        check_grads(jnp.sin, (X.astype("float32"),), 1, rtol=1e-9, atol=0)
    with pytest.raises(ArgumentError, match="modes is"):
        check_grads(jnp.sin, (X,), 1, modes="forward")
    with pytest.raises(ArgumentError, match="order is 0"):
        check_grads(jnp.sin, (X,), 0)
