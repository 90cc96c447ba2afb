"""debug.check: what it says, and where it is: in jit, derivatives, loops, branches, examples."""

import gc

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import debug, grad, hlo, jit, lax, vmap
from arraylib.config import config
from arraylib.errors import ArgumentError, CheckError, DtypeError
from arraylib.hlo.passes.guard import guard

x = jnp.array([1.0, 2.0, -1.0, -3.0])


def positive(x):
    debug.check(x > 0, "x is {x}", x=x)
    return 2 * x


def first_line(function, *args):
    with pytest.raises(CheckError) as caught:
        function(*args)
    assert "positive:  debug.check(x > 0" in str(caught.value)
    return str(caught.value).split("\n")[0]


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("transform", [
    lambda f: f, jit, grad, arraylib.checkpoint, lambda f: jit(grad(f)), lambda f: grad(jit(f)),
    lambda f: jit(lambda x: jit(f)(x) + 1), lambda f: jit(grad(arraylib.checkpoint(f))),
    lambda f: jit(grad(grad(lambda x: f(x) ** 3)))])
def test_wherever_the_program_gets_there(backend, transform):
    with config.using(backend=backend):
        f = transform(positive)
        for _ in range(2):
            f(1.0), f(3.0)
            assert first_line(f, -1.0) == "check: x is -1.0"


@pytest.mark.parametrize("transform", [lambda f: f, jit, lambda f: jit(lambda x: jit(f)(x))])
def test_the_example_of_vmap(transform):
    assert first_line(transform(vmap(positive)), x) == "check: x is -1.0, for example 2 of vmap"
    two = transform(vmap(vmap(positive), in_axes=1))
    assert first_line(two, x.reshape(2, 2)) == "check: x is -1.0, for example [0, 1] of vmaps"
    whole = transform(vmap(lambda x: debug.check(x > -2, "small")))
    with pytest.raises(CheckError, match=r"check: small at \[1\] of bool\[2\], for example 1 of"):
        whole(x.reshape(2, 2))


@pytest.mark.parametrize("transform", [lambda f: f, jit])
def test_the_step_of_loops(transform):
    def step(total, x):
        return total + positive(x), None

    f = transform(lambda x: lax.scan(step, 0.0, x)[0])
    assert f(x[:2]) == 6.0
    assert first_line(f, x) == "check: x is -1.0, in step 2 of scan"
    backwards = transform(lambda x: lax.scan(step, 0.0, x, reverse=True)[0])
    assert first_line(backwards, x) == "check: x is -3.0, in step 3 of scan"
    nested = transform(lambda x: lax.scan(lambda _, row: (f(row), None), 0.0, x)[0])
    assert first_line(nested, jnp.stack([jnp.abs(x), x])) == \
        "check: x is -1.0, in step 1 of scan, in step 2 of scan"
    slope = transform(grad(lambda x: lax.scan(step, 0.0, x)[0]))
    assert slope(x[:2]).tolist() == [2, 2]
    assert first_line(slope, x) == "check: x is -1.0, in step 2 of scan"
    examples = transform(vmap(f))
    assert first_line(examples, jnp.stack([jnp.abs(x), x])) == \
        "check: x is -1.0, in step 2 of scan, for example 1 of vmap"


def test_a_while_loop_ends_at_the_first_failure():
    def body(x):
        debug.check(x < 5, "x is {}", x)
        return x + 1

    for transform in (lambda f: f, jit):
        with pytest.raises(CheckError, match="x is 5, in step 3 of while"):
            transform(lambda x: lax.while_loop(lambda x: x > 0, body, x))(2)


@pytest.mark.parametrize("transform", [lambda f: f, jit])
def test_loops_with_a_limit(transform):
    def f(x):
        return lax.while_loop(lambda x: x < 9, lambda x: positive(x - 1.5), x, max_steps=8)

    for function in (f, grad(f)):
        transform(function)(4.0)
        assert first_line(transform(function), 2.0) == "check: x is -0.5, in step 1 of while"
    assert transform(vmap(f))(jnp.array([4.0, 10.0])).tolist() == [11, 10]


def test_only_the_branch_that_is_taken():
    def f(x):
        return lax.cond(x > 0, positive, lambda x: lax.cond(x > -2, lambda x: x, positive, x), x)

    for transform in (lambda f: f, jit, grad, lambda f: jit(grad(f))):
        transform(f)(1.0), transform(f)(-1.0)
        assert first_line(transform(f), -3.0) == "check: x is -3.0"
    assert vmap(f)(x[:3]).tolist() == [2, 4, -1]
    assert jit(vmap(f))(x[:3]).tolist() == [2, 4, -1]
    assert first_line(jit(vmap(f)), x) == "check: x is -3.0, for example 3 of vmap"


def test_examples_whose_loop_has_ended():
    def count(n):
        def body(i):
            debug.check(i < n, "{} of {}", i, n)
            return i + 1
        return lax.while_loop(lambda i: i < n, body, 0)

    for transform in (lambda f: f, jit):
        assert transform(vmap(count))(jnp.array([1, 5, 0])).tolist() == [1, 5, 0]


def test_the_first_of_several():
    @jit
    def f(x):
        debug.check(x < 10, "first")
        debug.check(x < 5, "second")
        debug.check(x < 10, "third")
        return x

    with pytest.raises(CheckError, match="second"):
        f(7)
    with pytest.raises(CheckError, match="first"):
        f(12)
    assert f(1) == 1


def test_nothing_is_lost_by_a_failure():
    double = jit(lambda x: (debug.check(x.sum() > 0, "sum"), 2 * x)[1], donate_argnums=0)
    with pytest.raises(CheckError):
        double(-jnp.ones(3))
    assert double(jnp.ones(3)).tolist() == [2, 2, 2]
    f = jit(lambda d: {"y": positive(d["x"]), "z": (d["x"], None)})
    found = f({"x": 1.0})
    assert found["y"] == 2 and found["z"][1] is None
    gc.collect()
    assert float(f({"x": 3.0})["y"]) == 6


def test_elements_of_every_kind():
    def f(x):
        debug.check(x == x, "no {}", x.sum())

    for dtype in ("float16", "bfloat16", "int8", "uint64", "complex64", "bool"):
        jit(f)(jnp.zeros((2, 3)).astype(dtype)), jit(f)(jnp.zeros((0, 3)).astype(dtype))
    with pytest.raises(CheckError, match=r"no nan at \[1, 2\] of bool\[2,3\]"):
        jit(f)(jnp.zeros((2, 3)).at[1, 2].set(np.nan))
    assert jit(vmap(f))(jnp.zeros((0, 3))) is None


def test_without_a_state():
    """Where nobody has made the checks a state, compiled code calls Python."""
    graph = arraylib.make_graph(positive)(1.0).graph
    for backend in ("reference", "cpu"):
        assert hlo.evaluate(graph, np.float32(1), backend=backend)[0] == 2
        with pytest.raises(CheckError, match="x is -1.0"):
            hlo.evaluate(graph, np.float32(-1), backend=backend)


def test_programs_without_checks_have_no_state():
    assert guard(arraylib.make_graph(jnp.sin)(1.0).graph) is None


def test_refusals():
    with pytest.raises(DtypeError, match=r"the predicate is i32\[\], not bool"):
        debug.check(1, "one")
    for message in ("{}", "{y}", "{0:z}", "{"):
        with pytest.raises(ArgumentError, match="cannot be formatted"):
            debug.check(True, message, x=1.0)
