"""while_loop and fori_loop with max_steps: reverse mode of loops that stop early."""

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import checkpoint, grad, hessian, jacfwd, jacrev, jit, jvp, lax, make_graph, vmap
from arraylib.config import config
from arraylib.errors import ArgumentError, TraceError
from arraylib.hlo import interpret
from arraylib.test_util import check_grads

rng = np.random.default_rng(7)


@pytest.fixture(autouse=True)
def doubles():
    with config.using(default_bits=64):
        yield


W = rng.standard_normal((3, 3)) * 0.7
H = rng.standard_normal(3)


def grown(w, h, max_steps=12, wanted=30.0):
    """Steps until the norm is large: how many depends on the values."""
    return lax.while_loop(lambda s: (s[0] @ s[0] < wanted) & (s[1] < 9),
                          lambda s: (jnp.tanh(w @ s[0]) * 1.6 + s[0], s[1] + 1), (h, 0),
                          max_steps=max_steps)[0]


def grown_plain(w, h, max_steps=12, wanted=30.0):
    count = 0
    while h @ h < wanted and count < min(9, max_steps):
        h, count = jnp.tanh(w @ h) * 1.6 + h, count + 1
    return h


WRAPS = {"eager": lambda f: f, "jit": jit, "checkpoint": checkpoint}


@pytest.mark.parametrize("max_steps", [0, 1, 3, 12])
def test_derivatives_are_those_of_the_steps_that_were_taken(max_steps):
    f = lambda w, h: grown(w, h, max_steps)
    plain = lambda w, h: grown_plain(w, h, max_steps)
    np.testing.assert_allclose(jit(f)(W, H), plain(W, H), rtol=1e-12)
    for number in (0, 1):
        expected = jacrev(plain, number)(W, H)
        np.testing.assert_allclose(jit(jacrev(f, number))(W, H), expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(jit(jacfwd(f, number))(W, H), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_second_derivatives(wrap):
    total = lambda f: lambda h: (f(W, h) ** 2).sum()
    np.testing.assert_allclose(hessian(wrap(total(grown)))(H), hessian(total(grown_plain))(H),
                               rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(jacrev(grad(wrap(total(grown))))(H),
                               hessian(total(grown_plain))(H), rtol=1e-8, atol=1e-9)


def test_against_differences():
    check_grads(lambda w, h: grown(w, h), (jnp.asarray(W), jnp.asarray(H)), order=2, rtol=1e-3)


@pytest.mark.parametrize("f, h", [
    (grown, H), (grad(lambda w, h: grown(w, h).sum()), H),
    (vmap(grown, (None, 0)), np.stack([H, 20 * H, 0.1 * H]))], ids=["itself", "grad", "vmap"])
def test_the_interpreter_agrees(f, h):
    traced = make_graph(f)(W, h)
    (expected,) = interpret.interpret(traced.graph, [W, h, *traced.captured])
    np.testing.assert_allclose(jit(f)(W, h), expected, rtol=1e-12)


MANY = np.stack([H, 20 * H, 0.3 * H, 0.1 * H])  # the second stops at once


@pytest.mark.parametrize("wrap", [lambda f: f, jit], ids=["eager", "jit"])
def test_examples_that_stop_at_different_steps(wrap):
    value = lambda f: lambda w, h: (f(w, h) ** 2).sum()
    expected = [grad(value(grown_plain), (0, 1))(W, h) for h in MANY]
    each = wrap(vmap(grad(value(grown), (0, 1)), (None, 0)))(W, MANY)
    for found, wanted in zip(each, zip(*expected)):
        np.testing.assert_allclose(found, np.stack(wanted), rtol=1e-9)
    summed = wrap(grad(lambda w, hs: vmap(value(grown), (None, 0))(w, hs).sum(), (0, 1)))(W, MANY)
    np.testing.assert_allclose(summed[0], sum(np.asarray(w) for w, _ in expected), rtol=1e-9)
    np.testing.assert_allclose(summed[1], np.stack([h for _, h in expected]), rtol=1e-9)
    moved = wrap(vmap(lambda h: jvp(lambda h: grown(W, h), (h,), (H,))[1]))(MANY)
    np.testing.assert_allclose(moved, [jvp(lambda h: grown_plain(W, h), (h,), (H,))[1]
                                       for h in MANY], rtol=1e-9)


def test_two_axes_of_examples():
    hs = np.stack([MANY, MANY[::-1] * 1.5])
    value = lambda f: lambda h: f(W, h).sum()
    expected = [[grad(value(grown_plain))(h) for h in row] for row in hs]
    np.testing.assert_allclose(vmap(vmap(grad(value(grown))))(hs), expected, rtol=1e-9)
    np.testing.assert_allclose(vmap(grad(lambda h: vmap(value(grown))(h).sum()))(hs), expected,
                               rtol=1e-9)
    np.testing.assert_allclose(grad(lambda h: vmap(vmap(value(grown)))(h).sum())(hs), expected,
                               rtol=1e-9)


@pytest.mark.parametrize("order", ["grad of vmap", "vmap of grad"])
def test_an_infinite_slope_where_an_example_stopped_does_no_harm(order):
    """The square root has no slope at 0, which is where an example stops."""
    def f(x):
        return lax.while_loop(lambda x: x > 0.0, lambda x: jnp.sqrt(x) - 1.0 + (x - 1.0), x,
                              max_steps=5)
    xs = np.array([1.0, 2.0, 1.5])
    expected = [grad(f)(x) for x in xs]
    assert np.isfinite(expected).all()
    found = (vmap(grad(f))(xs) if order == "vmap of grad"
             else grad(lambda xs: vmap(f)(xs).sum())(xs))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_an_infinite_slope_where_an_example_takes_no_step_does_no_harm():
    """Neither that of what is carried, nor that of another operand, once and twice."""
    def carried(x, w, n):
        return lax.while_loop(lambda c: c[1] < n, lambda c: (jnp.sqrt(c[0] - c[1]) * w, c[1] + 1),
                              (x, 0), max_steps=3)[0]

    def read(x, w, n):
        return lax.while_loop(lambda c: c[1] < n, lambda c: (jnp.sqrt(x) * c[0] + w, c[1] + 1),
                              (w, 0), max_steps=3)[0]
    xs, ws, steps = np.array([0.0, 9.0, 4.0]), np.array([1.0, 2.0, 3.0]), np.array([0, 2, 1])
    for f in (carried, read):
        expected = [grad(f)(*each) for each in zip(xs, ws, steps)]
        assert np.isfinite(expected).all()
        found = grad(lambda xs, f=f: vmap(f)(xs, ws, steps).sum())(xs)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        np.testing.assert_allclose(vmap(grad(f))(xs, ws, steps), expected, rtol=1e-12)
    expected = [grad(grad(carried))(*each) for each in zip(xs, ws, steps)]
    found = grad(lambda xs: vmap(grad(carried))(xs, ws, steps).sum())(xs)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_inside_of_scans_branches_and_other_loops():
    def outer(f):
        def step(h, flag):
            inner = lax.cond(flag, lambda h: f(W, h), lambda h: h * 0.5, h)
            return inner * 0.3, inner.sum()
        return lambda h: lax.scan(step, h, np.array([True, False, True]))[1].sum()
    np.testing.assert_allclose(grad(outer(grown))(H), grad(outer_plain)(H), rtol=1e-9)

    def nested(h):
        return lax.while_loop(lambda h: h @ h < 300.0, lambda h: grown(W, h * 0.5) + h, h,
                              max_steps=4).sum()

    def nested_plain(h):
        for _ in range(4):
            if h @ h < 300.0:
                h = grown_plain(W, h * 0.5) + h
        return h.sum()
    np.testing.assert_allclose(jit(grad(nested))(H), grad(nested_plain)(H), rtol=1e-9)


def outer_plain(h):
    total = 0.0
    for flag in (True, False, True):
        inner = grown_plain(W, h) if flag else h * 0.5
        h, total = inner * 0.3, total + inner.sum()
    return total


def test_a_loop_without_a_limit_inside_goes_forwards_only():
    def f(x, max_steps):
        inner = lambda x: lax.while_loop(lambda y: y < 50.0, lambda y: y * y + 1.0, x)
        return lax.while_loop(lambda x: x < 10000.0, lambda x: inner(x) * x, x,
                              max_steps=max_steps)
    slope = (f(2.0 + 1e-6, None) - f(2.0 - 1e-6, None)) / 2e-6
    np.testing.assert_allclose(jvp(lambda x: f(x, 5), (2.0,), (1.0,))[1], slope, rtol=1e-6)
    with pytest.raises(TraceError, match="max_steps"):
        grad(lambda x: f(x, 5))(2.0)


@pytest.mark.parametrize("count", [-1, 0, 3, 8])
def test_fori_loops_with_bounds_of_the_program(count):
    def f(x, n):
        return lax.fori_loop(1, n, lambda i, x: jnp.sin(x) * i, x, max_steps=6)
    def plain(x):
        for i in range(1, min(count, 7)):
            x = jnp.sin(x) * i
        return x
    np.testing.assert_allclose(jit(f)(0.7, count), plain(0.7), rtol=1e-12)
    np.testing.assert_allclose(f(0.7, count), plain(0.7), rtol=1e-12)
    np.testing.assert_allclose(jit(grad(f))(0.7, count), grad(plain)(0.7), rtol=1e-12)


def test_without_a_limit_the_error_tells_of_it():
    with pytest.raises(TraceError, match="pass max_steps"):
        grad(lambda x: lax.while_loop(lambda x: x < 9.0, lambda x: x * x, x))(2.0)
    with pytest.raises(TraceError, match="pass max_steps"):
        jit(grad(lambda x, n: lax.fori_loop(0, n, lambda i, x: x * x, x)))(2.0, 3)
    for wrong in (-1, 2.0, True, 2 ** 31):
        with pytest.raises(ArgumentError, match="max_steps is"):
            lax.while_loop(lambda x: x < 9.0, lambda x: x * x, 2.0, max_steps=wrong)
