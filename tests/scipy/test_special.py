"""Special functions agree with SciPy, far out and at the edges, and so do their derivatives."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.special

import arraylib
import arraylib.numpy as jnp
from arraylib.errors import ArgumentError
from arraylib.scipy import special

LINE = np.linspace(-12, 12, 101)
UNIT = np.concatenate([[0, 1], np.logspace(-30, -1, 20), np.linspace(0.1, 1, 21)])
POSITIVE = np.linspace(0.1, 9, 40)
HALVES = np.array([-2.5, -1, -0.5, 0, 0.5, 1, 4])

ONE = [("erf", LINE), ("erfc", LINE), ("erfinv", 2 * UNIT - 1), ("ndtr", LINE),
       ("log_ndtr", np.linspace(-40, 9, 80)), ("ndtri", np.append(UNIT, [-0.1, 1.5])),
       ("gammaln", POSITIVE), ("digamma", POSITIVE), ("gamma", HALVES), ("gammasgn", HALVES),
       ("factorial", np.arange(-1, 12)), ("expit", LINE), ("logit", UNIT),
       ("entr", np.append(UNIT, -1)), ("log_softmax", LINE), ("softmax", LINE),
       ("logsumexp", LINE), ("i0", LINE / 2), ("i1", LINE / 2), ("i0e", LINE), ("i1e", LINE)]
TWO = [("betaln", POSITIVE[:, None], POSITIVE), ("beta", POSITIVE[:, None], POSITIVE),
       ("poch", POSITIVE[:, None], np.arange(4)), ("xlogy", HALVES[:, None], POSITIVE),
       ("xlogy", 0, np.array([0, 1, -1, np.inf, np.nan])), ("xlogy", 2, np.array([0, 1, -1])),
       ("xlog1py", 0, np.array([0, -1, -2, np.inf, np.nan])), ("xlog1py", 2, POSITIVE),
       ("rel_entr", np.array([0, 1, 2, -1]), np.array([[0], [1], [3], [-1]])),
       ("kl_div", np.array([0, 1, 2, -1]), np.array([[0], [1], [3], [-1]])),
       ("multigammaln", POSITIVE + 2, 3), ("polygamma", np.arange(4)[:, None], POSITIVE),
       ("zeta", np.array([[1.5], [2], [4]]), POSITIVE)]


@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-5), ("float64", 1e-11)])
@pytest.mark.parametrize("name, arguments", [(name, points) for name, *points in ONE + TWO],
                         ids=[f"{i}-{row[0]}" for i, row in enumerate(ONE + TWO)])
def test_like_scipy(name, arguments, dtype, tolerance):
    points = [x.astype(dtype) if isinstance(x, np.ndarray) else x for x in arguments]
    ours = [jnp.array(x, dtype) if isinstance(x, np.ndarray) else x for x in points]
    wide = [x.astype("float64") if isinstance(x, np.ndarray) else x for x in points]
    found = getattr(special, name)(*ours)
    assert found.dtype == dtype
    with np.errstate(all="ignore"):
        wanted = getattr(scipy.special, name)(*wide)
    np.testing.assert_allclose(np.asarray(found), wanted.astype(dtype), tolerance, tolerance)


@pytest.mark.parametrize("name, derivative", [
    ("log_ndtr", lambda x: np.exp(-x * x / 2 - scipy.special.log_ndtr(x)) / np.sqrt(2 * np.pi)),
    ("ndtr", lambda x: np.exp(-x * x / 2) / np.sqrt(2 * np.pi))])
def test_derivatives_on_the_line(name, derivative):
    points = np.array([-30, -20.1, -19.9, -10.1, -9.9, -1, 0, 1, 5, 9])
    found = arraylib.vmap(arraylib.grad(getattr(special, name)))(jnp.array(points, "float64"))
    np.testing.assert_allclose(np.asarray(found), derivative(points), 1e-8)


def test_derivative_of_ndtri():
    points = np.array([1e-20, 1e-3, 0.2, 0.5, 0.8, 0.999])
    found = arraylib.vmap(arraylib.grad(special.ndtri))(jnp.array(points, "float64"))
    density = np.exp(-scipy.special.ndtri(points) ** 2 / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(np.asarray(found), 1 / density, 1e-9)


def test_derivatives_of_xlogy_at_0():
    assert float(arraylib.grad(special.xlogy, 0)(0.0, 2.0)) == pytest.approx(np.log(2))
    assert float(arraylib.grad(special.xlogy, 1)(0.0, 0.0)) == 0
    assert float(arraylib.grad(special.entr)(0.5)) == pytest.approx(-np.log(0.5) - 1)


@pytest.mark.parametrize("name, slope", [
    ("i0", scipy.special.i1), ("i0e", lambda x: scipy.special.i1e(x) - scipy.special.i0e(x)),
    ("polygamma", lambda x: scipy.special.polygamma(3, x)),
    ("zeta", lambda x: -2.5 * scipy.special.zeta(3.5, x))])
def test_derivatives_of_special_functions(name, slope):
    leading = {"polygamma": (2.0,), "zeta": (2.5,)}.get(name, ())
    x = jnp.array(POSITIVE, "float64")
    found = arraylib.vmap(arraylib.grad(lambda x: getattr(special, name)(*leading, x)))(x)
    np.testing.assert_allclose(np.asarray(found), slope(POSITIVE), 1e-9)


def test_zeta_needs_q():
    with pytest.raises(ArgumentError, match=r"zeta: q is not given(.|\n)*try: zeta\(x, 1\)"):
        special.zeta(2.0)


def test_exact_factorials_are_refused():
    with pytest.raises(ArgumentError, match=r"factorial: exact=True"):
        special.factorial(3, exact=True)


EDGES = np.array([0, -0.0, 1e-30, 0.1, 1, 2, 30, 1e30, np.inf, np.nan, -1e-8, -1, -1.5, -np.inf])
FAR = [("log_ndtr", (np.array([-40, -10, 0, 1, 8, 12.0, np.inf, np.nan]),)),
       ("gammasgn", (EDGES,)), ("kl_div", (EDGES[EDGES < np.inf, None], EDGES)),
       ("rel_entr", (EDGES[:, None], EDGES)), ("boxcox", (EDGES[:, None], np.array([0, 1, -2]))),
       ("comb", (np.array([50, 100, 1000, 1e6, 52, 7.5, 0, 3]),
                 np.array([4, 3, 5, 2, 26, 2.5, 0, 4])))]


@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-5), ("float64", 1e-11)])
@pytest.mark.parametrize("name, arguments", FAR)
def test_far_out_and_at_edges_to_the_last_digits(name, arguments, dtype, tolerance):
    points = [x.astype(dtype) for x in arguments]
    with np.errstate(all="ignore"):
        wanted = getattr(scipy.special, name)(*[x.astype("float64") for x in points])
        found = getattr(special, name)(*[jnp.asarray(x) if dtype == "float32" else
                                         jnp.asarray(x, dtype) for x in points])
        np.testing.assert_allclose(found, wanted.astype(dtype), tolerance, 0)


def test_derivatives_where_pieces_meet():
    points = jnp.array([-20.0, 0.0], "float64")
    slopes = np.exp(-np.square(points) / 2 - scipy.special.log_ndtr(points)) / np.sqrt(2 * np.pi)
    found = arraylib.vmap(arraylib.grad(special.log_ndtr))(points)
    np.testing.assert_allclose(found, slopes, 1e-8)
    assert arraylib.grad(lambda n: special.comb(n, 2.0))(5.0) == 4.5  # although it is rounded


def test_fresnel_far_out():
    for x in (9999.125, 20000.3, 1e8 + 0.3, 1e12):
        angle = float(Fraction(x) ** 2 % 4) * np.pi / 2
        sine = 0.5 - np.cos(angle) / (np.pi * x) - np.sin(angle) / (np.pi ** 2 * x ** 3)
        cosine = 0.5 + np.sin(angle) / (np.pi * x) - np.cos(angle) / (np.pi ** 2 * x ** 3)
        np.testing.assert_allclose(special.fresnel(jnp.array(x, "float64")), (sine, cosine), 1e-15)
    assert special.fresnel(jnp.array(1e300, "float64"))[0] == 0.5
