"""Values between those on a grid, nearest vectors, and densities of samples agree with SciPy's."""

import numpy as np
import pytest
import scipy.cluster.vq
import scipy.interpolate
import scipy.stats

import arraylib
import arraylib.numpy as jnp
from arraylib import random
from arraylib.errors import ArgumentError, ShapeError
from arraylib.scipy.cluster.vq import vq
from arraylib.scipy.interpolate import RegularGridInterpolator
from arraylib.scipy.stats import gaussian_kde

RNG = np.random.default_rng(4)
GRID = [np.sort(RNG.uniform(0, 4, n)) for n in (3, 5)]
VALUES = RNG.normal(size=(3, 5, 2))
POINTS = np.concatenate([RNG.uniform(-1, 5, (30, 2)), [[g[0] for g in GRID], [g[-1] for g in GRID],
                                                       [np.nan, 1.0]]])


@pytest.mark.parametrize("fill", [np.nan, 7.0, None])
@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_between_points_of_a_grid(method, fill):
    for dtype, close in (("float64", 1e-12), ("float32", 2e-4)):
        theirs = scipy.interpolate.RegularGridInterpolator(
            [g.astype(dtype).astype(float) for g in GRID], VALUES, method, False, fill)
        mine = RegularGridInterpolator([jnp.asarray(g, dtype) for g in GRID],
                                       jnp.asarray(VALUES, dtype), method, fill_value=fill)
        x = jnp.asarray(POINTS, dtype)
        found = mine(x)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, theirs(np.asarray(x, "float64")), close, close)
        np.testing.assert_allclose(arraylib.jit(mine)(x), found, close, close)
        np.testing.assert_allclose(arraylib.vmap(mine)(x)[:, 0], found, close, close)
    pair = mine((x[:, 0], 1.0), "linear" if method == "nearest" else "nearest")
    assert pair.shape == (33, 2)


def test_grids_that_are_traced_and_of_one_axis():
    line = lambda g, v, x: RegularGridInterpolator((g,), v)(x)
    g, v, x = (jnp.array(each) for each in ([0.0, 1.0, 3.0], [1.0, 2.0, 6.0], [0.5, 2.0]))
    np.testing.assert_allclose(arraylib.jit(line)(g, v, x), [1.5, 4], 1e-6)
    slopes = arraylib.grad(lambda v, x: line(g, v, x).sum(), (0, 1))(v, x)
    np.testing.assert_allclose(slopes[0], [0.5, 1, 0.5], 1e-6)
    np.testing.assert_allclose(slopes[1], [1, 2], 1e-6)
    assert RegularGridInterpolator((g[:1],), jnp.array([5.0]))(jnp.zeros(1)).tolist() == [5]


@pytest.mark.parametrize("call, error, text", [
    (lambda g, v: RegularGridInterpolator((g,), v, "cubic"), ArgumentError, "method = 'cubic'"),
    (lambda g, v: RegularGridInterpolator((g,), v, bounds_error=True), ArgumentError, "bounds_er"),
    (lambda g, v: RegularGridInterpolator((-g,), v), ArgumentError, "do not ascend"),
    (lambda g, v: RegularGridInterpolator((g, g), v), ShapeError, "on a grid of \\(3, 3\\)"),
    (lambda g, v: RegularGridInterpolator((g[None],), v), ShapeError, "coordinates of shape"),
    (lambda g, v: RegularGridInterpolator((g, g), jnp.ones((3, 3)))(v), ShapeError, "2 dimensions"),
    (lambda g, v: vq(jnp.ones((2, 3)), jnp.ones((2, 2))), ShapeError, "code_book \\(2, 2\\)"),
    (lambda g, v: gaussian_kde(v[:1]), ShapeError, "a sample of shape"),
    (lambda g, v: gaussian_kde(v, "best"), ArgumentError, "bw_method = 'best'"),
    (lambda g, v: gaussian_kde(v * 1j), ArgumentError, "complex numbers"),
    (lambda g, v: gaussian_kde(v)(jnp.ones((2, 2))), ShapeError, "of 1 coordinates"),
    (lambda g, v: gaussian_kde(v).integrate_gaussian(g, v), ShapeError, "a mean of shape")])
def test_mistakes(call, error, text):
    with pytest.raises(error, match=text):
        call(jnp.arange(3.0), jnp.array([1.0, 2.0, 4.0]))


def test_nearest_vectors():
    for shapes in (((20, 3), (4, 3)), ((20,), (4,))):
        x, codes = (RNG.normal(size=shape) for shape in shapes)
        wanted = scipy.cluster.vq.vq(x, codes)
        for dtype in ("float64", "float32"):
            found = vq(jnp.asarray(x, dtype), jnp.asarray(codes, dtype))
            assert found[0].tolist() == wanted[0].tolist() and found[1].dtype == dtype
            np.testing.assert_allclose(found[1], wanted[1], 1e-5)


@pytest.mark.parametrize("shape, method", [
    ((20,), None), ((2, 20), "silverman"), ((20,), 0.4), ((2, 20), lambda kde: kde.n ** -0.3)])
def test_densities(shape, method):
    x, w = RNG.normal(size=shape), RNG.uniform(0.5, 2, 20)
    points = RNG.normal(size=(*shape[:-1], 7))
    theirs = scipy.stats.gaussian_kde(x, method, w)
    mine = gaussian_kde(jnp.asarray(x, "float64"), method, jnp.asarray(w, "float64"))
    at, d = jnp.asarray(points, "float64"), mine.d
    for found, wanted in (
            (mine.neff, theirs.neff), (mine.covariance, theirs.covariance),
            (mine.inv_cov, theirs.inv_cov), (mine(at), theirs(points)),
            (arraylib.jit(lambda kde, x: kde.logpdf(x))(mine, at), theirs.logpdf(points)),
            (mine.pdf(at[..., 0]), theirs.pdf(points[..., 0])),
            (mine.integrate_kde(mine), theirs.integrate_kde(theirs)),
            (mine.integrate_gaussian(jnp.zeros(d), 2 * jnp.eye(d)),
             theirs.integrate_gaussian(np.zeros(d), 2 * np.eye(d)))):
        np.testing.assert_allclose(found, wanted, 1e-6)
    np.testing.assert_allclose(mine(at), theirs(points), 1e-11)
    if d == 1:
        np.testing.assert_allclose(mine.integrate_box_1d(-0.5, 1.0),
                                   theirs.integrate_box_1d(-0.5, 1.0), 1e-6)
    else:
        with pytest.raises(ArgumentError, match="2 coordinates"):
            mine.integrate_box_1d(0.0, 1.0)
    narrow = gaussian_kde(jnp.asarray(x, "float32"), method, jnp.asarray(w, "float32"))
    assert narrow(jnp.asarray(points, "float32")).dtype == "float32"
    np.testing.assert_allclose(narrow(jnp.asarray(points, "float32")), theirs(points), 2e-4)


def test_points_drawn_from_a_density():
    kde = gaussian_kde(jnp.array([[0.0, 4.0, 4.0], [0.0, 1.0, 3.0]]))
    drawn = np.asarray(kde.resample(random.key(1), (100, 40)))
    assert drawn.shape == (2, 100, 40)
    np.testing.assert_allclose(drawn.mean((1, 2)), np.asarray(kde.dataset).mean(1), atol=0.2)
    wanted = np.cov(np.asarray(kde.dataset), bias=True) + np.asarray(kde.covariance)
    np.testing.assert_allclose(np.cov(drawn.reshape(2, -1)), wanted, atol=0.4)
    slope = arraylib.grad(lambda x: gaussian_kde(x).logpdf(jnp.array([0.5]))[0])
    assert np.isfinite(np.asarray(slope(jnp.array([0.0, 1.0, 3.0])))).all()
