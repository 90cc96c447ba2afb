"""Functions of many operations run as one program outside of traces, and mean the same."""

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import nn
from arraylib.config import config
from arraylib.errors import OutOfBoundsError, ShapeError
from arraylib.numpy import programs
from arraylib.numpy.programs import one_program

x = jnp.array([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0]])


def counted():
    calls = []

    @one_program(2)
    def scaled(a, b, power=1, *, sign=1.0):
        """What it does."""
        calls.append(arraylib.hlo.ir.is_tracing())
        return sign * a * b ** power

    return scaled, calls


def test_traced_once_for_each_type_and_setting():
    scaled, calls = counted()
    for _ in range(2):
        assert scaled(x, x, 2).tolist() == (np.asarray(x) ** 3).tolist()
        assert scaled(x, x, 2, sign=-1.0).tolist() == (-np.asarray(x) ** 3).tolist()
        assert scaled(x[0], x[0], 2).shape == (3,)
    assert calls == [True] * 3
    assert scaled.__name__ == "scaled" and scaled.__doc__ == "What it does."


@pytest.mark.parametrize("call", [
    lambda f: f(x, 2.0), lambda f: f(2.0, x), lambda f: f(np.asarray(x), x),
    lambda f: f(x, b=x), lambda f: f(x, x, x), lambda f: f(x, x, sign=x)])
def test_operation_by_operation_where_an_operand_is_no_array_or_a_setting_is(call):
    scaled, calls = counted()
    assert call(scaled).shape == (2, 3) and calls == [False]


def test_inside_a_trace_it_is_the_function():
    scaled, calls = counted()
    arraylib.jit(lambda x: scaled(x, x))(x)
    arraylib.grad(lambda x: scaled(x, x).sum())(x)
    with arraylib.disable_jit():
        scaled(x, x)
    assert calls == [True, True, False]
    assert len(programs._jit) == 1


def test_settings_that_are_equal_but_not_the_same_have_programs_of_their_own():
    ints, floats, places = jnp.array([1, 2]), jnp.array([1.0, 2.0]), jnp.array([0, 7])
    for value in (1, 1.0, True, 0, 0.0, -0.0, False):
        for fill in ({"fill_value": value}, None):
            found = [jnp.take_along_axis(x, places, 0, "fill", **fill) if fill else
                     jnp.take_along_axis(x, places, 0, "fill", value) for x in (ints, floats)]
            assert [x.dtype.name for x in found] == ["int32", "float32"]
            assert found[0].tolist() == [1, value]
            assert np.signbit(found[1][1]) == np.signbit(float(value))


def test_settings_of_the_configuration_hold():
    assert jnp.var(x).dtype == "float32"
    with config.using(default_bits=64):
        assert jnp.mean(jnp.arange(3)).dtype == "float64"
    assert jnp.mean(jnp.array([1, 2])).dtype == "float32"


def test_mistakes_are_told_as_ever():
    for _ in range(2):
        with pytest.raises(ShapeError, match="axis 2 of an array with 2 axes"):
            nn.log_softmax(x, axis=2)
        with pytest.raises(OutOfBoundsError, match="index 3 is out of bounds for axis 1 of size 3"):
            jnp.take_along_axis(x, jnp.array([[0], [3]]), 1)
        with pytest.raises(OutOfBoundsError, match="take: index -4"):
            jnp.take(x, jnp.array([-4]), axis=1)
    with pytest.raises(ShapeError, match="matmul: axis 1 of operand 0 is 3 but axis 0"):
        x @ x


@pytest.mark.parametrize("name, arguments", [
    ("median", (x, 1)), ("quantile", (x, 0.3)), ("searchsorted", (x[0, ::-1], x)),
    ("cumsum", (x, 1)), ("var", (x, 0)), ("take_along_axis", (x, jnp.array([[-1], [0]]), 1)),
    ("hypot", (x, x)), ("outer", (x, x)), ("nan_to_num", (x,)), ("trace", (x,)),
    ("interp", (x, jnp.arange(7.0), jnp.arange(7.0) ** 2)), ("matmul", (x, x.T))])
def test_the_same_as_numpy_and_compiled(name, arguments):
    arrays = [np.asarray(a) if isinstance(a, arraylib.Array) else a for a in arguments]
    found = getattr(jnp, name)(*arguments)
    np.testing.assert_allclose(np.asarray(found), getattr(np, name)(*arrays), 1e-6)
    count = sum(isinstance(a, arraylib.Array) for a in arguments)
    compiled = arraylib.jit(lambda *xs: getattr(jnp, name)(*xs, *arguments[count:]))
    np.testing.assert_array_equal(np.asarray(compiled(*arguments[:count])), np.asarray(found))


@pytest.mark.parametrize("name, ends", [("linspace", (-3, 7.1)), ("logspace", (0, 2)),
                                        ("geomspace", (1, 50))])
def test_numbers_apart_have_the_precision_asked_for(name, ends):
    wanted = getattr(np, name)(*ends, 9)
    np.testing.assert_allclose(np.asarray(getattr(jnp, name)(*ends, 9, dtype="float64")), wanted,
                               1e-14)
    single = getattr(jnp, name)(*ends, 9)
    assert single.dtype == "float32"
    np.testing.assert_allclose(np.asarray(single), wanted, 2e-6)
    traced = arraylib.jit(lambda a, b: jnp.linspace(a, b, 9))(*map(jnp.float32, (-3, 7.1)))
    np.testing.assert_array_equal(np.asarray(traced), np.asarray(jnp.linspace(-3, 7.1, 9)))
