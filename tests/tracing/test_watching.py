"""debug.nans and debug.infs: the operation, element, step and example that a nan comes from."""

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import debug, grad, jit, lax, vmap
from arraylib.config import config
from arraylib.errors import NotFiniteError

x = jnp.array([4.0, 1.0, -1.0])


def root(x):
    return jnp.sqrt(x) * x


def found(function, *args, watch=debug.nans):
    """The first line of the error, and the text of the line that it names."""
    with watch(), pytest.raises(NotFiniteError) as caught:
        function(*args)
    first, where, *_ = str(caught.value).split("\n")
    return first, where.partition(":  ")[2]


ROOT = "return jnp.sqrt(x) * x"


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_the_line_and_the_element(backend):
    with config.using(backend=backend):
        for f in (root, jit(root), jit(lambda x: jit(root)(x) + 1), jit(lambda x: {"y": root(x)})):
            assert found(f, x) == ("sqrt: gives nan at [2] of f32[3]", ROOT)
            assert np.isnan(np.asarray(arraylib.tree.leaves(f(x))[0])[2])  # outside nobody looks
        with debug.nans():
            assert root(x[:2]).tolist() == jit(root)(x[:2]).tolist() == [8, 1]


def test_results_decide_what_is_looked_for():
    f = jit(lambda x: jnp.where(x > 0, root(x), 0.0))
    with debug.nans():
        assert f(x).tolist() == [8, 1, 0]
    assert found(jit(grad(lambda x: f(x).sum())), x * 0)[1] == ROOT


@pytest.mark.parametrize("transform", [lambda f: f, jit, lambda f: jit(lambda x: jit(f)(x))])
def test_the_example_of_vmap(transform):
    assert found(transform(vmap(root)), x) == (
        "sqrt: gives nan, for example 2 of vmap", ROOT)
    assert found(transform(vmap(vmap(root))), jnp.stack([x[::-1], x])) == (
        "sqrt: gives nan, for example [0, 0] of vmaps", ROOT)
    assert found(transform(vmap(root)), jnp.stack([x[:2], x[1:]])) == (
        "sqrt: gives nan at [1] of f32[2], for example 1 of vmap", ROOT)
    with debug.nans():
        assert transform(vmap(jnp.sinc))(jnp.zeros(2)).tolist() == [1, 1]


@pytest.mark.parametrize("transform", [lambda f: f, jit])
def test_the_step_of_a_loop(transform):
    def total(x):
        return lax.scan(lambda c, x: (c + root(x), None), 0.0, x)[0]

    assert found(transform(total), x) == ("sqrt: gives nan, in step 2 of scan", ROOT)
    rows = jnp.stack([abs(x), x])
    assert found(transform(vmap(total)), rows) == (
        "sqrt: gives nan, in step 2 of scan, for example 1 of vmap", ROOT)
    down = transform(lambda x: lax.while_loop(lambda x: x < 9, lambda x: root(x - 1), x))
    assert found(down, 1.5)[0] == "sqrt: gives nan, in step 1 of while"


@pytest.mark.parametrize("transform", [lambda f: f, jit])
def test_derivatives_name_the_line_they_come_from(transform):
    def guarded(x):
        y = root(x)
        return jnp.where(x > 0, y, 0.0)

    assert found(transform(grad(guarded)), 0.0)[1] == ROOT
    first, line = found(transform(vmap(grad(guarded))), abs(x) - 1)
    assert line == ROOT and first.endswith(", for example 1 of vmap")
    first, line = found(transform(grad(lambda x: vmap(guarded)(x).sum())), abs(x) - 1)
    assert line == ROOT and first.endswith("gives nan at [1] of f32[3]")
    loop = transform(grad(lambda x: lax.scan(lambda c, x: (c + guarded(x), None), 0.0, x)[0]))
    first, line = found(loop, abs(x) - 1)
    assert line == ROOT and first.endswith(", in step 2 of scan")
    assert found(transform(grad(arraylib.checkpoint(guarded))), 0.0)[1] == ROOT
    assert found(transform(arraylib.jacfwd(root)), 0.0)[1] == ROOT


def test_what_was_nan_before():
    bad = x * np.array([1, np.nan, 1], np.float32)
    f = jit(lambda d: d["x"] + 1)
    assert found(f, {"x": bad})[0] == (
        "argument 'd'['x'] of <lambda>: has nan at [1] of f32[3]")
    assert found(jit(lambda x: (x, x[0])), bad)[0].endswith("has nan at [1] of f32[3]")
    constant = jit(lambda x: jnp.where(x > 0, jnp.nan, x))
    assert found(constant, x)[0] == "select: gives nan at [0] of f32[3]"


def test_infinities():
    def inverse(x):
        return 1 / x

    for f in (inverse, jit(inverse)):
        assert found(f, x - 1, watch=debug.infs) == (
            "divide: gives inf at [1] of f32[3]", "return 1 / x")
        with debug.nans():
            assert np.isinf(f(x - 1)[1])
    assert found(jit(vmap(jnp.exp)), 100 * x, watch=debug.infs)[0] == (
        "exponential: gives inf, for example 0 of vmap")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "complex64", "complex128"])
def test_every_kind_of_float(dtype):
    zero = jnp.zeros((2, 2), dtype)
    for f in (lambda x: x / x, jit(lambda x: x / x)):
        assert found(f, zero.at[0, 0].set(1))[0].startswith("divide: gives nan at [0, 1] of")
        with debug.nans():
            assert f(zero[:0]).shape == (0, 2) and jit(lambda n: n + 1)(1) == 2


def test_often():
    """Neither counted nor compiled calls get past it."""
    hole = jnp.array([1.0, np.inf])
    with debug.nans():
        for _ in range(40):
            for f in (lambda: hole - hole, lambda: jnp.sin(hole)):
                with pytest.raises(NotFiniteError):
                    f()
    assert np.isnan((hole - hole)[1])


def test_settings():
    assert config.watched == () and not config.jax_debug_nans
    with arraylib.debug_nans(), arraylib.debug_infs():
        assert config.watched == ("nan", "inf") and config.jax_debug_nans
        with debug.nans(False):
            assert config.watched == ("inf",)
    config.update("jax_debug_nans", True)
    with pytest.raises(FloatingPointError):
        jnp.log(-1.0)
    config.update("jax_debug_nans", False)
    assert np.isnan(jnp.log(-1.0))
