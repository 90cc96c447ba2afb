"""Minima are where SciPy finds them."""

import numpy as np
import pytest
import scipy.optimize

import arraylib
import arraylib.numpy as jnp
from arraylib.errors import ArgumentError, ShapeError
from arraylib.scipy import optimize

METHODS = ["BFGS", "l-bfgs-experimental-do-not-rely-on-this"]


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def steep(x):
    return (x ** 4 * 1e3).sum() + (x[0] - 2) ** 2 + abs(x[1] - 1) ** 1.5


@pytest.mark.parametrize("function, start", [
    (rosenbrock, [-1.2, 1.0, 0.5]), (himmelblau, [1.0, 1.0]), (steep, [30.0, -40.0])])
@pytest.mark.parametrize("method", METHODS)
def test_minima(method, function, start):
    wanted = scipy.optimize.minimize(function, np.array(start), method="BFGS", tol=1e-8)
    for dtype, near in (("float64", 2e-5), ("float32", 4e-3)):
        find = arraylib.jit(lambda x: optimize.minimize(function, x, method=method))
        found = find(jnp.asarray(start, dtype))
        assert bool(found.success) and found.x.dtype == found.fun.dtype == dtype
        np.testing.assert_allclose(found.x, wanted.x, near, near)
        assert float(found.fun) <= wanted.fun + near ** 2 * 1e3 and int(found.nit) < 100
        np.testing.assert_allclose(found.jac, arraylib.grad(function)(found.x), 1e-2, 1e-2)
        assert (found.hess_inv is None) == (method != "BFGS") and int(found.nfev) < 400


def test_results_are_those_of_a_quadratic_function():
    a, b = jnp.array([[3.0, 1.0], [1.0, 2.0]]), jnp.array([1.0, -1.0])
    found = optimize.minimize(lambda x, a, b: x @ a @ x / 2 - b @ x, jnp.ones(2), (a, b),
                              method="bfgs", tol=1e-6)
    np.testing.assert_allclose(found.x, np.linalg.solve(a, b), 1e-5)
    np.testing.assert_allclose(found.hess_inv, np.linalg.inv(a), 1e-2, 1e-2)
    many = arraylib.vmap(lambda b: optimize.minimize(
        lambda x: x @ a @ x / 2 - b @ x, jnp.ones(2), method="BFGS").x)(jnp.stack([b, 3 * b]))
    np.testing.assert_allclose(many, np.stack([found.x, 3 * found.x]), 1e-3, 1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_what_has_no_minimum(method):
    find = lambda f, x, **options: optimize.minimize(f, x, method=method, options=options)
    fall = arraylib.jit(lambda factor: find(lambda x: -(factor * x).sum(), jnp.ones(1), maxiter=3))
    falling = fall(1.0)
    assert int(falling.status) == 1 and not bool(falling.success) and int(falling.nit) == 3
    nowhere = fall(jnp.nan)
    assert int(nowhere.status) == 3 and not bool(nowhere.success) and nowhere.x.tolist() == [1]
    assert int(find(lambda x: (x ** 2).sum(), jnp.ones(1), maxiter=0).status) == 1
    rise = arraylib.jit(lambda x: find(lambda x: (x - jnp.log(x)).sum(), x))
    there = rise(jnp.array([1.0]))
    assert int(there.status) == 0 and int(there.nit) == 0 and bool(there.success)
    inside = rise(jnp.array([1e-3]))  # nan for what is too far
    np.testing.assert_allclose(inside.x, 1, 1e-3)


@pytest.mark.parametrize("call, error, text", [
    (lambda f: optimize.minimize(f, jnp.ones(2), method="simplex"), ArgumentError, "simplex"),
    (lambda f: optimize.minimize(f, jnp.ones(2), 3, method="BFGS"), ArgumentError, "args = 3"),
    (lambda f: optimize.minimize(f, jnp.ones(2), method="BFGS", options={"eps": 1}), ArgumentError,
     "options \\['eps'\\]"),
    (lambda f: optimize.minimize(f, jnp.ones((2, 2)), method="BFGS"), ShapeError, "no vector")])
def test_mistakes(call, error, text):
    with pytest.raises(error, match=text):
        call(lambda x: x.sum())
