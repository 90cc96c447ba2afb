"""checkify: errors as values, and the same ones as JAX finds."""

import jax
import numpy as np
import pytest
from jax.experimental import checkify as theirs

import arraylib
import arraylib.numpy as jnp
from arraylib import checkify as ours, grad, jit, lax, vmap
from arraylib.errors import CheckError, DivisionCheckError, NotFiniteError

VALUES = (-2.0, -1.0, 0.0, 0.5, 3.0)


def body(library, lax, check):
    def step(total, x):
        check(x < 3, "x is {}", x)
        return total + library.log(x + 1), 1 / x
    return lambda x: lax.scan(step, 0.0 * x[0], x)


PROGRAMS = {
    "check": lambda np, lax, check: lambda x: (check((x < 1).all(), "large"), x)[1],
    "log": lambda np, lax, check: lambda x: np.log(x) * 2,
    "divide": lambda np, lax, check: lambda x: np.sin(x) / x,
    "scan": body,
    "cond": lambda np, lax, check: lambda x: lax.cond(
        x.sum() > 0, np.log, lambda x: (check(x[0] > -2, "small"), 1 / x)[1], x),
    "while": lambda np, lax, check: lambda x: lax.while_loop(
        lambda x: x.sum() < 9, lambda x: (check(x[0] < 3, "large"), np.abs(x) + 1)[1], x),
    "grad": lambda np, lax, check: (jax if lax is jax.lax else arraylib).grad(
        lambda x: np.sqrt(x).sum()),
}


@pytest.mark.parametrize("errors", ["user_checks", "nan_checks", "div_checks", "all_checks"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_finds_what_jax_finds(program, errors):
    make = PROGRAMS[program]
    mine = jit(ours.checkify(make(jnp, lax, ours.check), errors=getattr(ours, errors)))
    known = jax.jit(theirs.checkify(make(jax.numpy, jax.lax, theirs.check),
                                    errors=getattr(theirs, errors)))
    for first in VALUES:
        x = np.array([first, 1.0, 2.5], np.float32)
        (error, found), (expected, wanted) = mine(x), known(x)
        assert (error.get() is None) == (expected.get() is None), (x, error.get(), expected.get())
        if error.get() is None:
            for a, b in zip(arraylib.tree.leaves(found), jax.tree.leaves(wanted)):
                np.testing.assert_allclose(np.asarray(a), np.asarray(b), 1e-6)


def test_what_is_thrown():
    log = ours.checkify(jnp.log, errors=ours.nan_checks)
    error, y = log(-1.0)
    assert np.isnan(y) and error.get().startswith("log: gives nan\n")
    with pytest.raises(NotFiniteError, match="gives nan"):
        error.throw()
    error, _ = log(1.0)
    assert error.get() is None and error.throw() is None
    error, _ = ours.checkify(lambda x: 1 // x, errors=ours.all_checks)(0)
    with pytest.raises(DivisionCheckError, match="the divisor is 0"):
        error.throw()
    assert issubclass(DivisionCheckError, ZeroDivisionError)
    assert ours.JaxRuntimeError is CheckError and issubclass(CheckError, RuntimeError)


def test_examples():
    def f(x):
        ours.check(x > 0, "x is {}", x)
        return x

    x = jnp.array([1.0, -2.0, -3.0])
    error, y = jit(vmap(ours.checkify(f)))(x)
    assert y.tolist() == x.tolist()
    first, second = (line for line in error.get().split("\n") if not line.startswith("  "))
    assert first == "at mapped index 1: check: x is -2.0"
    assert second == "at mapped index 2: check: x is -3.0"
    with pytest.raises(CheckError, match="x is -2.0, for example 1 of vmap"):
        error.throw()
    error, _ = jit(ours.checkify(vmap(f)))(x)
    assert error.get().startswith("check: x is -2.0, for example 1 of vmap")


def test_errors_inside_programs():
    safe = ours.checkify(lambda x: jnp.log(x), errors=ours.nan_checks)

    @jit
    def f(x):
        error, y = safe(x)
        ours.check_error(error)
        return y

    assert f(1.0) == 0
    with pytest.raises(NotFiniteError, match="gives nan"):
        f(-1.0)
    error, _ = ours.checkify(f, errors=ours.all_checks)(-1.0)
    assert error.get().startswith("log: gives nan")


def test_derivatives_of_checked_functions():
    def f(x):
        ours.check(x > 0, "x is {}", x)
        return x ** 2

    (slope, error) = grad(lambda x: ours.checkify(f)(x)[::-1], has_aux=True)(-3.0)
    assert slope == -6 and "x is -3.0" in error.get()
    assert grad(lambda x: ours.checkify(f)(x)[1])(2.0) == 4


def test_nothing_to_check():
    error, _ = ours.checkify(jnp.sin)(1.0)
    assert error.get() is None and error.throw() is None and repr(error) == "Error(none)"
    ours.check_error(error)
    error, _ = ours.checkify(lambda x: ours.check(x > 0, "x"), errors=ours.div_checks)(-1.0)
    assert error.get() is None


# -- indices ---------------------------------------------------------------------------------------

INDEXED = {
    "get": lambda np, x, i: x[i],
    "row": lambda np, x, i: x.reshape(3, 2)[i, 1],
    "array": lambda np, x, i: x[np.stack([i, i // 2])],
    "set": lambda np, x, i: x.at[i].set(0.0),
    "add": lambda np, x, i: x.at[np.stack([i, 0 * i])].add(1.0),
    "take": lambda np, x, i: np.take(x, i, mode=None if np is jnp else "fill"),
    "along": lambda np, x, i: np.take_along_axis(x, i[None], 0),
}


@pytest.mark.parametrize("program", INDEXED)
def test_indices_that_jax_finds(program):
    function = INDEXED[program]
    mine = jit(ours.checkify(lambda x, i: function(jnp, x, i), errors=ours.index_checks))
    known = jax.jit(theirs.checkify(lambda x, i: function(jax.numpy, x, i),
                                    errors=theirs.index_checks))
    x = np.arange(6, dtype=np.float32)
    for i in (-7, -6, -3, -1, 0, 2, 3, 5, 6, 2 ** 31 - 2, -2 ** 31):
        error, expected = mine(x, np.int32(i))[0], known(x, np.int32(i))[0]
        assert (error.get() is None) == (expected.get() is None), (i, expected.get())


def test_windows_that_stick_out():
    @jit
    def f(x, i):
        return ours.checkify(lambda: (lax.dynamic_slice(x, (i,), (3,)),
                                      lax.dynamic_update_slice(x, x[:2], (i,))),
                             errors=ours.index_checks)()[0]

    x = jnp.arange(5.0)
    assert [f(x, i).get() is None for i in (-6, -3, -2, 0, 2, 3, 4)] == [
        False, True, False, True, True, False, False]
    assert f(x, 3).get().startswith("dynamic_slice: index 3 is out of bounds for axis 0 of size 5")
