"""Derivatives against finite differences and loops, in any order and nesting of transforms."""

from collections import namedtuple

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import grad, hessian, jacfwd, jacrev, jit, jvp, linearize, vjp, vmap
from arraylib.config import config
from arraylib.errors import ArgumentError, DtypeError, ShapeError, StructureError

rng = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def doubles():
    with config.using(default_bits=64):
        yield


def normal(*shape):
    return jnp.asarray(rng.standard_normal(shape), jnp.float64)


def difference(f, x, d, step=1e-6):
    """The directional derivative of a NumPy-valued function by central differences."""
    x, d = np.asarray(x), np.asarray(d)
    return (np.asarray(f(x + step * d)) - np.asarray(f(x - step * d))) / (2 * step)


FUNCTIONS = {
    "polynomial": lambda x: x ** 3 - 2 * x,
    "chain": lambda x: jnp.tanh(jnp.sin(x) * jnp.exp(-x * x)),
    "softmax": lambda x: jnp.exp(x - x.max()) / jnp.exp(x - x.max()).sum(),
    "matmul": lambda x: (x.reshape(3, 2) @ x.reshape(2, 3)).ravel(),
    "index": lambda x: x[1:5] * x[::-1][:4] + x[2],
    "concatenate": lambda x: jnp.concatenate([x, jnp.sin(x[:2]), x * x]),
    "where": lambda x: jnp.where(x > 0, x * x, jnp.sin(x)),
    "extremes": lambda x: jnp.stack([x.max(), x.min(), x.prod(), x.sum()]),
    "gather": lambda x: x[jnp.array([0, 3, 3, 5])] ** 2,
    "sort": lambda x: jnp.sort(x) * jnp.arange(6.0),
    "cumulative": lambda x: jnp.cumsum(x * x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_first_derivatives(name):
    f, x = FUNCTIONS[name], normal(6)
    d = normal(6)
    expected = difference(f, x, d)
    np.testing.assert_allclose(jvp(f, (x,), (d,))[1], expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(linearize(f, x)[1](d), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(jacfwd(f)(x) @ d, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(jacrev(f)(x) @ d, expected, rtol=1e-5, atol=1e-7)
    y, back = vjp(f, x)
    ct = normal(*y.shape)
    np.testing.assert_allclose(back(ct)[0] @ d, np.asarray(ct) @ expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivatives(name):
    weights = normal(20)

    def loss(x):
        y = FUNCTIONS[name](x)
        return (y * weights[:y.shape[0]]).sum()

    x, d = normal(6), normal(6)
    expected = difference(grad(loss), x, d)
    options = {"rtol": 1e-4, "atol": 1e-6}
    np.testing.assert_allclose(jvp(grad(loss), (x,), (d,))[1], expected, **options)
    np.testing.assert_allclose(grad(lambda x: grad(loss)(x) @ d)(x), expected, **options)
    np.testing.assert_allclose(grad(lambda x: jvp(loss, (x,), (d,))[1])(x), expected, **options)
    np.testing.assert_allclose(hessian(loss)(x) @ d, expected, **options)


WRAPPERS = {"jit": jit, "vmap": lambda f: lambda x: vmap(f)(x[None])[0],
            "checkpoint": arraylib.checkpoint, "identity": lambda f: f}


@pytest.mark.parametrize("outer", WRAPPERS)
@pytest.mark.parametrize("inner", WRAPPERS)
def test_nesting(outer, inner):
    def f(x):
        return (jnp.sin(x) * x).sum()

    x = normal(4)
    wrapped = WRAPPERS[outer](grad(WRAPPERS[inner](f)))
    np.testing.assert_allclose(wrapped(x), np.cos(x) * x + np.sin(x), rtol=1e-12)
    second = WRAPPERS[outer](hessian(WRAPPERS[inner](f)))
    np.testing.assert_allclose(second(x), np.diag(2 * np.cos(x) - np.sin(x) * x), atol=1e-12)


def test_perturbations_are_not_confused():
    inner = lambda x: grad(lambda y: x * y)(1.0)
    assert float(grad(lambda x: x * inner(x))(3.0)) == 6.0
    f = lambda x: x * grad(lambda y: x + y)(2.0)
    assert float(grad(f)(5.0)) == 1.0


def test_containers():
    Point = namedtuple("Point", "x y")
    f = lambda p: p["a"].x * p["a"].y + p["b"][0] ** 2
    g = grad(f)({"a": Point(2.0, 3.0), "b": [4.0, None]})
    assert g["a"] == Point(3.0, 2.0) and float(g["b"][0]) == 8.0 and g["b"][1] is None


def test_arguments_and_auxiliary_data():
    f = lambda x, y: (x * y * y, {"seen": y + 1})
    (value, aux), (gx, gy) = arraylib.value_and_grad(f, argnums=(0, 1), has_aux=True)(2.0, 3.0)
    assert [float(v) for v in (value, aux["seen"], gx, gy)] == [18.0, 4.0, 9.0, 12.0]
    gradient, aux = grad(f, has_aux=True)(2.0, 3.0)
    assert float(gradient) == 9.0 and float(aux["seen"]) == 4.0


def test_python_control_flow_sees_values_outside_jit():
    f = lambda x: x * x if x > 0 else -x
    assert float(grad(f)(3.0)) == 6.0 and float(grad(f)(-3.0)) == -1.0
    assert float(grad(grad(f))(3.0)) == 2.0


def test_checkpoint_computes_again():
    f = arraylib.checkpoint(lambda x: jnp.sin(jnp.sin(jnp.sin(x))))
    graph = str(arraylib.make_graph(grad(lambda x: f(x) ** 2))(1.0))
    assert graph.count("checkpoint") == 2  # values; and cotangents, with the values once more

    def plain(x):
        return jnp.sin(jnp.sin(jnp.sin(x)))

    expected = grad(lambda x: plain(x) ** 2)(1.0)
    np.testing.assert_allclose(jit(grad(lambda x: f(x) ** 2))(1.0), expected, rtol=1e-6)
    np.testing.assert_allclose(hessian(f)(1.0), hessian(plain)(1.0), rtol=1e-5)


def test_linear_transpose():
    a = normal(3, 2)
    two = arraylib.ShapeDtypeStruct((2,), "float64")
    transposed = arraylib.linear_transpose(lambda x: a @ x, two)
    ct = normal(3)
    np.testing.assert_allclose(transposed(ct)[0], np.asarray(a).T @ np.asarray(ct), rtol=1e-12)


def test_misfits_are_refused():
    x = normal(3)
    with pytest.raises(ShapeError, match="tangent of argument 0 has shape"):
        jvp(jnp.sin, (x,), (normal(4),))
    with pytest.raises(StructureError, match="the tangents has a tuple of 2"):
        jvp(jnp.sin, (x,), ((x, x),))
    with pytest.raises(ShapeError, match="cotangent of output 0 has shape"):
        vjp(jnp.sin, x)[1](normal(2))
    with pytest.raises(ArgumentError, match="argnums names argument 1"):
        grad(lambda x: x, argnums=1)(1.0)


def test_other_arguments_are_passed_on_as_they_are():
    """Settings and functions, as in JAX; and what jit takes for static inside."""
    def f(x, n, name, g, *, scale):
        assert type(n) is int and name == "cubes"
        return (g(x) ** n * scale).sum()

    x = jnp.arange(3.0)
    for derivative in (arraylib.grad, arraylib.jacfwd, arraylib.jacrev):
        found = derivative(f)(x, 3, "cubes", jnp.exp, scale=2)
        np.testing.assert_allclose(found, 6 * np.exp(3 * np.arange(3.0)), rtol=1e-5)
    jitted = arraylib.jit(lambda x, n: x ** n if n > 1 else x, static_argnums=1)
    assert arraylib.grad(jitted)(3.0, 2) == 6 and arraylib.grad(jitted)(3.0, 1) == 1
    shared = arraylib.vmap(lambda x, name, g: g(x) if name == "g" else x, in_axes=(0, None, None))
    assert shared(x, "g", jnp.negative).tolist() == [0, -1, -2]
    with pytest.raises(ArgumentError, match="names an argument twice"):
        arraylib.grad(lambda x, y: x * y, (0, -2))(1.0, 2.0)
    with pytest.raises(ArgumentError, match=r"argument 1\['w'\] is a str, which is no array"):
        arraylib.grad(lambda x, y: x, 1)(1.0, {"w": "a"})
    with pytest.raises(DtypeError, match=r"argument 1\['w'\] is int.., which has no gradient"):
        arraylib.grad(lambda x, y: x, 1)(1.0, {"w": 1})


@pytest.mark.parametrize("x", [0.5, 2.0, 3e-300])
def test_powers_with_an_exponent_of_zero_depend_on_it(x):
    """x ** y has slope y / x there, which is 0, but whose derivative in y is not."""
    def power(x, y):
        return x ** y
    assert grad(power)(x, 0.0) == 0
    for mixed in (grad(grad(power), argnums=1), grad(grad(power, argnums=1)),
                  jacfwd(grad(power), argnums=1)):
        np.testing.assert_allclose(mixed(x, 0.0), 1 / x)


def test_powers_of_zero_with_an_exponent_of_zero_have_slope_zero():
    for x in (0.0, 5e-324):
        assert grad(lambda x, y: x ** y)(x, 0.0) == 0
