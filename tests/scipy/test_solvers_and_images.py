"""Iterative solvers and elements between elements agree with SciPy."""

from functools import partial

import numpy as np
import pytest
import scipy.ndimage

import arraylib
import arraylib.numpy as jnp
from arraylib.errors import ArgumentError, ShapeError
from arraylib.scipy import ndimage
from arraylib.scipy.sparse import linalg

RNG = np.random.default_rng(5)
GENERAL = RNG.normal(size=(6, 6)) + 6 * np.eye(6)
POSITIVE = GENERAL @ GENERAL.T
RIGHT = RNG.normal(size=6)
IMAGE = RNG.normal(size=(4, 5))
PLACES = RNG.uniform(-6, 9, (2, 30))
MODES = {"constant": "grid-constant", "nearest": "nearest", "wrap": "grid-wrap", "mirror": "mirror",
         "reflect": "reflect"}


@pytest.mark.parametrize("method, matrix", [
    (linalg.cg, POSITIVE), (linalg.bicgstab, GENERAL), (linalg.gmres, GENERAL),
    (partial(linalg.gmres, restart=3), GENERAL)])
def test_solvers(method, matrix):
    a, b = jnp.array(matrix, "float64"), jnp.array(RIGHT, "float64")
    wanted = np.linalg.solve(matrix, RIGHT)
    found, nothing = method(a, b, tol=1e-12)
    assert nothing is None
    np.testing.assert_allclose(found, wanted, 1e-9)
    diagonal = jnp.diag(a)
    inside = arraylib.jit(lambda b: method(lambda x: a @ x, b, tol=1e-12, M=lambda x: x / diagonal))
    np.testing.assert_allclose(inside(b)[0], wanted, 1e-9)
    np.testing.assert_allclose(method(a, b, x0=jnp.array(wanted, "float64"))[0], wanted, 1e-12)
    slope = arraylib.grad(lambda b: method(a, b, tol=1e-12)[0].sum())(b)
    np.testing.assert_allclose(slope, np.linalg.solve(matrix.T, np.ones(6)), 1e-8)
    pair, _ = method(lambda x: {"u": 2 * x["u"], "v": 3 * x["v"]},
                     {"u": jnp.ones(2), "v": jnp.ones(())})
    assert float(pair["u"][1]) == pytest.approx(0.5) and float(pair["v"]) == pytest.approx(1 / 3)
    for call, error in [(lambda: method(jnp.ones((2, 3)), b), ArgumentError),
                        (lambda: method(a, b, x0=jnp.ones(2)), ShapeError)]:
        with pytest.raises(error):
            call()


@pytest.mark.parametrize("mode", MODES)
def test_elements_between_elements(mode):
    places = [jnp.array(x, "float64") for x in PLACES]
    for order in (0, 1):
        found = ndimage.map_coordinates(jnp.array(IMAGE, "float64"), places, order, mode, 2.5)
        wanted = scipy.ndimage.map_coordinates(IMAGE, PLACES, order=order, mode=MODES[mode],
                                               cval=2.5)
        np.testing.assert_allclose(found, wanted, 1e-10)
    whole = (10 * IMAGE).astype(np.int32)
    found = ndimage.map_coordinates(jnp.array(whole), places, 1, mode)
    wanted = scipy.ndimage.map_coordinates(whole.astype(float), PLACES, order=1, mode=MODES[mode])
    assert np.abs(np.asarray(found) - wanted).max() <= 0.5 + 1e-9 and found.dtype == "int32"


def test_slopes_and_mistakes_of_images():
    image = jnp.arange(4.0)
    slope = arraylib.grad(lambda c: ndimage.map_coordinates(image ** 2, [c], 1)[0])
    assert slope(jnp.array([1.5])).tolist() == [3]
    with pytest.raises(ArgumentError, match="order = 3"):
        ndimage.map_coordinates(image, [image], 3)
    with pytest.raises(ShapeError, match="2 arrays of coordinates for 1"):
        ndimage.map_coordinates(image, [image, image], 1)


@pytest.mark.parametrize("method", [linalg.cg, linalg.bicgstab, linalg.gmres])
def test_what_no_step_improves_is_nan_and_numpy_data_keeps_64_bits(method):
    matrix = jnp.array([[4.0, 1.0], [1.0, 3.0]])
    for bad in ([np.nan, 1.0], [1e25, 1.0]):  # the square of its size is no number
        assert np.isnan(np.asarray(method(matrix, jnp.array(bad))[0])).all()
    assert method(matrix, jnp.zeros(2))[0].tolist() == [0, 0]
    wide, b = np.array([[1 / 3, 0.1], [0.1, 0.7]]), np.array([1 / 3, 2])
    for operands in ((jnp.array(wide, "float64"), b), (wide, jnp.array(b, "float64"))):
        found = method(*operands, tol=1e-14)[0]
        np.testing.assert_allclose(found, np.linalg.solve(wide, b), 1e-12)


def test_minimal_residuals():
    """Complex numbers, many right sides at once, and a matrix of low degree, which ends early."""
    a = GENERAL + 1j * POSITIVE / 9
    x, b = jnp.asarray(a, "complex128"), jnp.asarray(RIGHT, "complex128")
    found = arraylib.jit(lambda b: linalg.gmres(x, b, tol=1e-12)[0])(b)
    np.testing.assert_allclose(found, np.linalg.solve(a, RIGHT), 1e-10)
    several = np.stack([RIGHT, 2 * RIGHT[::-1]])
    many = arraylib.vmap(lambda b: linalg.gmres(jnp.asarray(GENERAL, "float64"), b, tol=1e-12)[0])
    np.testing.assert_allclose(many(jnp.asarray(several, "float64")),
                               np.linalg.solve(GENERAL, several.T).T, 1e-9)
    identity = linalg.gmres(lambda v: 2 * v, jnp.arange(5.0))[0]
    np.testing.assert_allclose(identity, np.arange(5) / 2, 1e-6)
    singular = linalg.gmres(jnp.diag(jnp.array([1.0, 0.0])), jnp.ones(2))[0]
    np.testing.assert_allclose(singular, [1, 0], atol=1e-6)  # the smallest residual that there is
    with pytest.raises(ArgumentError, match="solve_method = 'other'"):
        linalg.gmres(x, b, solve_method="other")
