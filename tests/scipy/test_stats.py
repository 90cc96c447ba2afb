"""Densities and distribution functions agree with SciPy, on and off their supports."""

import numpy as np
import pytest
import scipy.stats

import arraylib
import arraylib.numpy as jnp
from arraylib.scipy import stats

POINTS = np.array([-3, -1, -0.5, 0, 0.25, 0.5, 1, 1.5, 2, 7, np.nan])
UNIT = np.array([0, 1e-6, 0.1, 0.5, 0.9, 1])
COUNTS = np.array([-1, 0, 0.5, 1, 2, 3, 8])

# distribution, functions, points, arguments
ROWS = [
    ("norm", "pdf logpdf cdf logcdf sf logsf", POINTS, (0.5, 2)),
    ("norm", "ppf isf", UNIT, (0.5, 2)),
    ("uniform", "pdf logpdf cdf", POINTS, (-1, 2)),
    ("uniform", "ppf", UNIT, (-1, 2)),
    ("expon", "pdf logpdf cdf sf logsf", POINTS, (0.5, 2)),
    ("expon", "ppf", UNIT, (0.5, 2)),
    ("laplace", "pdf logpdf cdf", POINTS, (0.5, 2)),
    ("logistic", "pdf logpdf cdf sf", POINTS, (0.5, 2)),
    ("logistic", "ppf isf", UNIT, (0.5, 2)),
    ("cauchy", "pdf logpdf cdf", POINTS, (0.5, 2)),
    ("cauchy", "ppf", UNIT[1:-1], (0.5, 2)),
    ("t", "pdf logpdf", POINTS, (3, 0.5, 2)),
    ("gamma", "pdf logpdf", POINTS, (2.5, 0.25, 2)),
    ("gamma", "logpdf", POINTS, (1,)),
    ("chi2", "pdf logpdf", POINTS, (3, 0.25, 2)),
    ("beta", "pdf logpdf", POINTS, (2.5, 1, -1, 2)),
    ("pareto", "pdf logpdf", POINTS, (2.5, -1, 1)),
    ("bernoulli", "pmf logpmf", COUNTS, (0.3,)),
    ("bernoulli", "cdf", COUNTS, (0.3,)),
    ("binom", "pmf logpmf", COUNTS, (5, 0.3)),
    ("geom", "pmf logpmf", COUNTS, (0.3,)),
    ("poisson", "pmf logpmf", COUNTS, (2.5,)),
]
CASES = [(name, function, points, arguments) for name, functions, points, arguments in ROWS
         for function in functions.split()]


@pytest.mark.parametrize("name, function, points, arguments", CASES,
                         ids=[f"{case[0]}-{case[1]}-{i}" for i, case in enumerate(CASES)])
def test_like_scipy(name, function, points, arguments):
    found = getattr(getattr(stats, name), function)(jnp.array(points, "float64"), *arguments)
    with np.errstate(all="ignore"):
        wanted = getattr(getattr(scipy.stats, name), function)(points, *arguments)
    np.testing.assert_allclose(np.asarray(found), wanted, 1e-9, 1e-12)


def test_dirichlet():
    alpha, point = np.array([0.5, 2, 3]), np.array([0.2, 0.3, 0.5])
    wanted = scipy.stats.dirichlet.logpdf(point, alpha)
    assert float(stats.dirichlet.logpdf(point, alpha)) == pytest.approx(wanted, 1e-5)
    assert float(stats.dirichlet.logpdf(point[:2], alpha)) == pytest.approx(wanted, 1e-5)
    assert float(stats.dirichlet.pdf(point + 0.1, alpha)) == 0


def test_derivatives_are_finite_off_the_support():
    for distribution, arguments in [(stats.gamma, (2.0,)), (stats.beta, (2.0, 3.0)),
                                    (stats.pareto, (2.0,)), (stats.expon, ())]:
        slope = arraylib.grad(lambda x, d=distribution, a=arguments: d.logpdf(x, *a))(-0.5)
        assert np.isfinite(float(slope)), distribution.__name__


def test_numbers_integers_and_batches():
    assert str(stats.norm.logpdf(1).dtype) == "float32"
    rows = arraylib.vmap(stats.norm.pdf, in_axes=(None, 0))(jnp.zeros(2), jnp.arange(3.0))
    np.testing.assert_allclose(np.asarray(rows)[:, 0], scipy.stats.norm.pdf(np.arange(3)), 1e-6)
