"""Transforms outside of jit trace every time, and emit what they drew before where it is the same.
"""

import numpy as np
import pytest

import arraylib.numpy as jnp
from arraylib import (
    grad,
    jacfwd,
    jacrev,
    jit,
    jvp,
    lax,
    linear_transpose,
    linearize,
    tree,
    value_and_grad,
    vjp,
    vmap,
)
from arraylib.config import config
from arraylib.hlo.ops.constant import constant
from arraylib.hlo.outline import outline
from arraylib.tracing.program import make_graph

TRANSFORMS = {
    "grad": lambda f: grad(lambda x: f(x).sum()),
    "value_and_grad": lambda f: lambda x: value_and_grad(lambda x: f(x).sum())(x)[1],
    "vmap": vmap,
    "vmap of grad": lambda f: vmap(grad(f)),
    "grad of grad": lambda f: grad(lambda x: grad(lambda x: f(x).sum())(x).sum()),
    "jvp": lambda f: lambda x: jvp(f, (x,), (x,))[1],
    "linearize": lambda f: lambda x: linearize(f, x)[1](x),
    "vjp": lambda f: lambda x: vjp(f, x)[1](x)[0],
    "jacfwd": jacfwd,
    "jacrev": jacrev,
}


def _bits(x):
    return np.asarray(x).tobytes()


@pytest.mark.parametrize("name", TRANSFORMS)
def test_results_are_the_same_however_often(name):
    def f(x):
        return jnp.where(x > 0, jnp.sin(x * 2.0), jnp.exp(x)) * jnp.cumsum(jnp.ones(3))[1] + 0.0

    x = jnp.array(np.random.default_rng(0).standard_normal(5).astype(np.float32))
    transform = TRANSFORMS[name](f)
    first = _bits(transform(x))
    assert all(_bits(transform(x)) == first for _ in range(4))
    np.testing.assert_allclose(transform(x), np.asarray(TRANSFORMS[name](f)(np.asarray(x))))


def test_what_a_function_reads_may_change():
    scale, steps = [2.0], [1]

    def f(x):
        for _ in range(steps[0]):
            x = x * scale[0]
        return x.sum()

    x, table = jnp.ones(3), np.ones(3, np.float32)
    for _ in range(3):
        assert np.asarray(grad(f)(x)).tolist() == [2.0] * 3
    scale[0] = -0.5
    assert np.asarray(grad(f)(x)).tolist() == [-0.5] * 3
    steps[0] = 2
    for _ in range(3):
        assert np.asarray(grad(f)(x)).tolist() == [0.25] * 3
    for value in (1.0, 2.0, 3.0, -0.0):
        table[:] = value
        assert _bits(grad(lambda x: (x * jnp.array(table)).sum())(x)) == table.tobytes()


def test_python_may_look_at_values():
    def f(x):
        return x * 3 if x > 0 else x * 5

    for _ in range(4):
        assert float(grad(f)(1.0)) == 3 and float(grad(f)(-1.0)) == 5


def test_captured_arrays_are_those_of_the_call():
    for value in (1.0, 2.0, 3.0, 4.0):
        held = jnp.full(4, value)
        assert np.asarray(grad(lambda x, held=held: (x * held).sum())(jnp.ones(4))).tolist() \
            == [value] * 4
        assert np.asarray(vmap(lambda x, held=held: x + held)(jnp.ones((2, 4)))).tolist() \
            == [[1 + value] * 4] * 2


def test_results_are_arrays_of_their_own():
    def f(x):
        return 2.0 * x[0]

    first, second, third = (grad(f)(jnp.ones(3)) for _ in range(3))
    third.delete()
    assert np.asarray(first).tolist() == np.asarray(second).tolist() == [2, 0, 0]
    assert np.asarray(grad(f)(jnp.ones(3))).tolist() == [2, 0, 0]
    x = jnp.arange(3.0)
    for _ in range(3):
        twice = vjp(lambda x: (x, x), x)[0]
        assert _bits(twice[0]) == _bits(twice[1]) == _bits(x)


def test_loops_and_settings():
    def f(x):
        return lax.scan(lambda c, _: (c * x, c), x, None, length=3)[0]

    for _ in range(3):
        assert float(grad(f)(2.0)) == 32
        with config.using(backend="reference"):
            assert float(grad(f)(2.0)) == 32


def test_outlines():
    def traced(value, dtype=np.float32):
        return make_graph(lambda x: x * np.full((), value, dtype))(jnp.ones(3)).graph

    assert outline(traced(1.0)) == outline(traced(1.0))
    for one, other in ((0.0, -0.0), (1.0, 2.0)):
        assert outline(traced(one)) != outline(traced(other))
    table = np.arange(1 << 12, dtype=np.float32)
    large = make_graph(lambda: constant(value=table))().graph
    assert large.nodes and outline(large) is None
    floats = [make_graph(lambda x, axis=axis: jnp.sum(x, axis))(jnp.ones((2, 3))).graph
              for axis in (0, 1, None)]
    assert len({outline(graph) for graph in floats}) == 3


@pytest.mark.parametrize("shape", [(), (5,), (3000,)], ids=str)
def test_numpy_data_is_read_when_it_is_given(shape):
    def filled(value):
        return np.full(shape, value, np.float32)

    def results(x, c, t):
        """What is made now, and what is made later, after all NumPy data has changed."""
        made = [vjp(lambda x: x, x)[0], *jvp(lambda x: x, (x,), (t,)), vjp(lambda x: c, x)[0],
                vmap(lambda x: (x, c))(x[None]), vmap(lambda y: y, None, None, axis_size=2)(x),
                vjp(lambda x: x, x)[1](t), linearize(lambda x: x, x)[1](t),
                grad(lambda x: ((x * c).sum(), (x, c)), has_aux=True)(x)]
        later = [(vjp(lambda x: x * x * c, x)[1], t), (linearize(lambda x: x * x * c, x)[1], t),
                 (linear_transpose(lambda x: x * c, x), t)]
        before = [*made, *[f(x) for f, x in later]]
        wanted = tree.map(lambda x: np.array(x).tolist(), before)
        for data in (x, c, t):
            data[...] = 9
        found = [*made, *[f(filled(4)) for f, _ in later]]
        return wanted, tree.map(lambda x: np.array(x).tolist(), found)

    for _ in range(3):
        wanted, found = results(filled(2), filled(3), filled(4))
        assert wanted == found


@pytest.mark.parametrize("transform", [lambda f: grad(lambda x: f(x).sum()), vmap,
                                       lambda f: lambda x: jvp(f, (x,), (x,))[1]])
def test_scalars_of_numpy_may_change(transform):
    """What is known of a program with the value before is not that with the one after."""
    first, second = np.array(7, np.float32), np.array(7, np.float32)
    data = first

    def f(x):
        return x * data

    x = jnp.ones(3)
    assert np.asarray(transform(f)(x)).tolist() == [7.0] * 3
    first[...], data = 8, second
    for _ in range(3):
        assert np.asarray(transform(f)(x)).tolist() == [7.0] * 3


def test_a_program_that_is_lowered_later_has_the_numbers_it_was_traced_with():
    data = np.array(2, np.float32)
    lowered = jit(lambda x: x * data).lower(1.0)
    data[...] = 3
    assert float(lowered.compile()(1.0)) == 2.0
