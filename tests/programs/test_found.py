"""Programs that once gave wrong results, each as small as it got."""

import jax
import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import lax, tree
from arraylib.config import config


def both(function, *arrays):
    """What a function gives compiled and interpreted; the arrays keep their dtypes."""
    arrays = [arraylib.Array(x, x.dtype) for x in map(np.asarray, arrays)]
    compiled = [np.asarray(x) for x in tree.leaves(arraylib.jit(function)(*arrays))]
    with config.using(backend="reference"):
        return compiled, [np.asarray(x) for x in tree.leaves(arraylib.jit(function)(*arrays))]


def assert_as_interpreted(function, *arrays):
    for mine, wanted in zip(*both(function, *arrays), strict=True):
        np.testing.assert_array_equal(mine, wanted)
        assert mine.dtype == wanted.dtype


def assert_as_jax(function, *arrays, rtol=1e-6):
    """`function` takes a library (ours or JAX) first."""
    compiled, interpreted = both(lambda *xs: function(arraylib, *xs), *arrays)
    wanted = jax.tree.leaves(jax.jit(lambda *xs: function(jax, *xs))(*arrays))
    for a, b, c in zip(compiled, interpreted, wanted, strict=True):
        assert a.dtype == b.dtype == c.dtype
        np.testing.assert_allclose(a, c, rtol=rtol, atol=1e-12)
        np.testing.assert_allclose(b, c, rtol=rtol, atol=1e-12)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64", "float64"])
@pytest.mark.parametrize("shape, axis", [((3,), 0), ((17,), 0), ((9, 15), 0), ((3, 40), 1)])
def test_counting_along_an_axis(dtype, shape, axis):
    numbers = np.zeros(shape, np.int8)
    assert_as_interpreted(lambda x: (lax.broadcasted_iota(dtype, shape, axis), x + 1), numbers)
    assert_as_interpreted(lambda x: jnp.sum(lax.broadcasted_iota(dtype, shape, axis), axis),
                          numbers)
    assert_as_interpreted(
        lambda x: lax.sort((x, lax.broadcasted_iota(dtype, shape, axis)), dimension=axis), numbers)


def test_places_as_int64():
    with config.using(default_bits=64):
        x = np.random.default_rng(0).integers(-9, 9, (3, 33)).astype(np.int8)
        for axis in (0, 1):
            assert_as_interpreted(lambda x, a=axis: (jnp.argmax(x, a), jnp.argsort(x, a)), x)


# -- indices ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16])
def test_small_integers_index_long_axes(dtype):
    x = np.arange(300, dtype=np.float32)
    i = np.array([0, 3, 127, 200 if dtype is np.uint8 else -1], dtype)
    wanted = x[i.astype(np.int64)]
    for read in (lambda x, i: x[i], lambda x, i: jnp.take_along_axis(x, i),
                 lambda x, i: jnp.stack([x[i[k]] for k in range(4)]),
                 lambda x, i: x.at[i].get(mode="fill"), lambda x, i: x.at[i].get(mode="wrap")):
        for found in both(read, x, i):
            np.testing.assert_array_equal(found[0], wanted)
    changed = x.copy()
    changed[i.astype(np.int64)] = 7
    for write in (lambda x, i: x.at[i].set(7), lambda x, i: x.at[i].set(7, mode="drop")):
        for found in both(write, x, i):
            np.testing.assert_array_equal(found[0], changed)


def test_unravelled_small_integers():
    places = np.array([0, 100, 127], np.int8)
    found, _ = both(lambda i: jnp.unravel_index(i, (2, 200)), places)
    np.testing.assert_array_equal(found, np.unravel_index(places, (2, 200)))


@pytest.mark.parametrize("mode", ["clip", "wrap", "fill"])
def test_take_out_of_bounds(mode):
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    i = np.array([1, -1, -5, 7], np.int32)
    assert_as_jax(lambda m, x, i: m.numpy.take(x, i, axis=0, mode=mode), x, i)
    assert_as_jax(lambda m, x, i: m.numpy.take(x, i[1], axis=1, mode=mode), x, i)


def test_take_where_there_is_one_place():
    x, i = np.array([[3.0, 4.0]], np.float32), np.array([0], np.int32)
    for read in (lambda x, i: (x * 2)[i], lambda x, i: (x * 2)[i[0]],
                 lambda x, i: jnp.take_along_axis(x * 2, i[:, None], axis=0),
                 lambda x, i: lax.dynamic_slice_in_dim(x * 2, i[0], 2, axis=1)):
        assert_as_interpreted(read, x, i)


# -- derivatives -----------------------------------------------------------------------------------


def _powers(m, x, n):
    """A loop with a number of steps that is known at run time only."""
    return m.lax.while_loop(lambda c: c[0] < n,
                            lambda c: (c[0] + 1, c[1], c[1] * m.numpy.sin(x)), (0, x, x * 2))[2]


HOLDERS = {
    "scan": lambda m, x, n: m.lax.scan(
        lambda c, y: (c * y, m.checkpoint(lambda x: _powers(m, x, n))(c)), x,
        m.numpy.ones((3,) + x.shape) * x),
    "cond": lambda m, x, n: m.lax.cond(n < 5, lambda x: _powers(m, x, n), lambda x: x * 3, x),
    "other branch": lambda m, x, n: m.lax.cond(n > 5, lambda x: _powers(m, x, n),
                                               lambda x: x * 3, x),
    "checkpoint": lambda m, x, n: m.checkpoint(lambda x: _powers(m, x, n))(x),
    "jit": lambda m, x, n: m.jit(lambda x: _powers(m, x, n))(x),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_forward_through_a_while_loop_in(name):
    f, x, n = HOLDERS[name], np.array([1.0, 2.0], np.float32), np.array(3, np.int32)
    assert_as_jax(lambda m, x, n: m.jvp(lambda x: f(m, x, n), (x,), (x,)), x, n)
    assert_as_jax(lambda m, x, n: m.vmap(
        lambda x: m.jvp(lambda x: f(m, x, n), (x,), (x,)))(x), x, n)


@pytest.mark.parametrize("name", HOLDERS)
def test_no_reverse_through_a_while_loop_in(name):
    with pytest.raises(arraylib.errors.TraceError, match="number of steps is not known"):
        arraylib.grad(lambda x: sum(map(jnp.sum, tree.leaves(HOLDERS[name](arraylib, x, 3)))))(
            jnp.asarray([1.0, 2.0]))


# -- no elements -----------------------------------------------------------------------------------


def test_joining_nothing_to_nothing():
    x = np.zeros((2, 7, 0), np.uint8)
    assert_as_jax(lambda m, x: m.numpy.concatenate([x, x, x[:, :1]], 1), x)
    assert_as_jax(lambda m, x: m.numpy.sort(m.numpy.stack([x, x], 1), axis=-2), x)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 2, 3)])
def test_sorting_nothing(shape):
    x = np.zeros(shape, np.float32)
    for axis in range(len(shape)):
        assert_as_jax(lambda m, x, a=axis: m.grad(
            lambda x: m.numpy.sum(m.numpy.sort(x, axis=a) ** 2))(x), x)
        assert_as_jax(lambda m, x, a=axis: m.numpy.take_along_axis(
            x, m.numpy.argsort(x, axis=a), axis=a), x)


@pytest.mark.parametrize("x", [0.0, -0.0, 1.0, -30.0])
def test_derivatives_of_smooth_functions_made_of_parts(x):
    x = np.array(x, np.float32)
    for f in (lambda m, x: m.nn.softplus(x), lambda m, x: m.numpy.logaddexp(x, m.numpy.zeros(())),
              lambda m, x: m.numpy.logaddexp2(x, x * 0), lambda m, x: m.nn.log_sigmoid(x)):
        assert_as_jax(f, x)
        assert_as_jax(lambda m, x, f=f: m.grad(lambda x: f(m, x))(x), x, rtol=1e-5)
        assert_as_jax(lambda m, x, f=f: m.grad(m.grad(lambda x: f(m, x)))(x), x, rtol=1e-5)


def test_scaling_by_powers_of_two():
    x = np.array([1e-30, 1e-45, 1e30, 0, np.inf, 1.5, -3], np.float32)
    for n in (130, 276, -240, 2**31 - 1, -2**31, 0, 1, -126, -149, 127):
        powers = np.full(7, n, np.int32)
        with np.errstate(over="ignore"):
            wanted = np.ldexp(x, powers)
        for found in both(jnp.ldexp, x, powers):
            np.testing.assert_array_equal(found[0], wanted)


def test_second_derivative_of_the_hypotenuse():
    x, y = np.array([0.0, -0.0, 3.0], np.float32), np.array([2.0, -2.0, 1.0], np.float32)
    wanted = y**2 / (x**2 + y**2) ** 1.5
    for f in (jnp.hypot, lambda x, y: jnp.hypot(y, x)):
        for found in both(arraylib.vmap(arraylib.grad(arraylib.grad(f))), x, y):
            np.testing.assert_allclose(found[0], wanted, rtol=1e-5)


def test_checkpoints_whose_results_have_no_tangents():
    def f(m, x, y):
        return m.checkpoint(lambda a, b: b)(x, m.numpy.sin(y))

    def second(m, x, y):
        g = m.checkpoint(m.grad(lambda x, y: m.numpy.sum(f(m, x, y)), argnums=(0, 1)))
        return m.grad(lambda x, y: sum(map(m.numpy.sum, g(x, y))), argnums=(0, 1))(x, y)

    def nothing(m, x):
        def loss(x):
            m.checkpoint(lambda x: ())(x)
            m.jit(lambda x: None)(x)
            return m.numpy.sum(x * x)
        return m.grad(m.checkpoint(loss))(x)

    x = np.ones(3, np.float32)
    assert_as_jax(second, x, x)
    assert_as_jax(nothing, x)


@pytest.mark.parametrize("saved", [None, "dots_saveable", "everything_saveable"])
def test_checkpoints_of_rules_whose_values_have_another_derivative(saved):
    """Derivatives of a derivative go through the values that a user's rule gives."""
    def f(m, x):
        g = m.custom_jvp(m.numpy.sin)
        g.defjvp(lambda xs, ts: (m.numpy.sin(*xs), ts[0] * 0.25))
        h = m.custom_vjp(m.numpy.sin)
        h.defvjp(lambda x: (m.numpy.sin(x), None), lambda _, ct: (ct * 0.25,))
        policy = saved and getattr(m.checkpoint_policies, saved)
        forwards = m.checkpoint(lambda x: m.jit(g)(x) + 1, policy=policy)
        backwards = m.checkpoint(lambda x: h(x) * 2, policy=policy)

        def second(f):
            return m.grad(lambda x: m.vjp(f, x)[0])(x), m.grad(m.grad(f))(x)
        return second(forwards), second(backwards), m.jvp(
            lambda x: m.jvp(forwards, (x,), (x,)), (x,), (x,))

    assert_as_jax(f, np.float32(0.5))


# -- branches --------------------------------------------------------------------------------------


def test_derivatives_of_branches_that_other_examples_take():
    """All branches are computed, on what is kept of others (zeros) too: no 0 * inf is left."""
    x, index = np.float32(0), np.array([-3, 0, 1, 2, 7])

    def power(m, x):
        def f(x, i):
            return m.lax.switch(i, [m.numpy.sin, lambda x: m.numpy.cos(x) / (x + 2),
                                    lambda x: (x * x + 0.5) ** 0.75], x)

        def g(x):
            return m.vmap(m.grad(f), (None, 0))(x, index)
        return m.vmap(f, (None, 0))(x, index), m.jacrev(g)(x), m.jacfwd(g)(x)

    def root(m, xs):
        def f(xs):
            return m.vmap(lambda x: m.lax.cond(x > 0, lambda: m.numpy.sqrt(x), lambda: 1.))(xs)
        return m.vjp(f, xs)[1](xs), m.jvp(f, (xs,), (xs,))

    assert_as_jax(power, x)
    assert_as_jax(power, x + np.float32(0.67))
    assert_as_jax(root, np.float32([-1, 0, 4]))


# -- fusion ----------------------------------------------------------------------------------------


def test_numbers_counted_in_place_and_in_memory():
    """What is counted is computed wherever it is read, but its reverse here reads memory."""
    def numbers():
        return (jnp.arange(7) % 5 + 1).reshape(7, 1).astype(jnp.float32)

    x = np.arange(7, dtype=np.float32)[:, None]
    assert_as_interpreted(lambda x: (x - jnp.sum(numbers(), 1, keepdims=True)) * numbers()
                          + jnp.flip(numbers(), (0, 1)) * numbers(), x)
    assert_as_interpreted(lambda x: jnp.flip(jnp.flip(numbers()) * numbers() * jnp.flip(x))
                          + numbers() * x, x)


@pytest.mark.parametrize("shape", [(8, 64, 128), (8, 8192), (64, 1024), (2, 3, 100000)])
def test_sums_over_as_many_rows_as_there_are_parts(shape):
    """A sum in two stages may have parts of one row each: there is nothing to fold in the first."""
    def f(x):
        y = x - x.mean(-1, keepdims=True)
        y = y * y.var(-1, keepdims=True)
        return y + 1, y.sum(0), y.max(0), y.sum((0, -1))

    x = np.random.default_rng(0).standard_normal(shape)
    y = x - x.mean(-1, keepdims=True)
    y = y * y.var(-1, keepdims=True)
    wanted = y + 1, y.sum(0), y.max(0), y.sum((0, -1))
    for found, value in zip(arraylib.jit(f)(x.astype(np.float32)), wanted):
        np.testing.assert_allclose(found, value, rtol=2e-5, atol=2e-2 if value.ndim < 2 else 2e-5)
