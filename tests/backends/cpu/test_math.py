"""Every math function comes as close to the true value as `docs/math.md` says."""

import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from elementwise_kernel import evaluate, kernel_text, ulps

from arraylib.backends.cpu import native, target

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

DOCUMENT = Path(__file__).parents[3] / "docs" / "math.md"
POINTS = 40_000


@dataclass(frozen=True)
class Check:
    """A more precise reference, where to look closely, and the bounds in ulp."""

    reference: Callable[..., np.ndarray]
    low: float
    high: float
    single: float
    double: float


def _slowly(function: Callable[[float], float]) -> Callable[[np.ndarray], np.ndarray]:
    """A Python function on every element, with the poles that raise as inf."""
    def safe(x: float) -> float:
        try:
            return function(float(x))
        except (ValueError, OverflowError):
            return math.inf
    return lambda x: np.vectorize(safe, otypes=[np.float64])(x).astype(x.dtype)


CHECKS = {
    "exponential": Check(np.exp, -110, 90, 1.0, 1.0),
    "exponential_minus_one": Check(np.expm1, -20, 20, 1.5, 2.0),
    "log": Check(np.log, 0, 10, 1.0, 1.0),
    "log_plus_one": Check(np.log1p, -1, 3, 1.5, 1.5),
    "logistic": Check(lambda x: 1 / (1 + np.exp(-x)), -100, 100, 2.5, 2.5),
    "tanh": Check(np.tanh, -10, 10, 3.0, 2.8),
    "sinh": Check(np.sinh, -90, 90, 2.0, 2.0),
    "cosh": Check(np.cosh, -90, 90, 1.5, 1.5),
    "asinh": Check(np.arcsinh, -10, 10, 2.0, 2.0),
    "acosh": Check(np.arccosh, 1, 10, 2.5, 2.5),
    "atanh": Check(np.arctanh, -1, 1, 2.0, 2.0),
    "sine": Check(np.sin, -1000, 1000, 2.0, 2.0),
    "cosine": Check(np.cos, -1000, 1000, 2.0, 2.6),
    "tan": Check(np.tan, -1000, 1000, 2.5, 2.5),
    "asin": Check(np.arcsin, -1, 1, 2.5, 2.5),
    "acos": Check(np.arccos, -1, 1, 1.5, 1.5),
    "atan": Check(np.arctan, -10, 10, 1.5, 2.0),
    "sqrt": Check(np.sqrt, 0, 10, 0.5, 0.5),
    "rsqrt": Check(lambda x: 1 / np.sqrt(x), 0, 10, 1.5, 1.5),
    "cbrt": Check(np.cbrt, -10, 10, 1.0, 1.0),
    "erf": Check(_slowly(math.erf), -4, 4, 1.5, 2.0),
    "erfc": Check(_slowly(math.erfc), -5, 9, 4.5, 5.0),
}


def points(dtype: type, low: float, high: float) -> np.ndarray:
    """Special values, an interval, all magnitudes, and random bits."""
    random, info = np.random.default_rng(7), np.finfo(dtype)
    special = [0, 1, 0.5, 2, info.tiny, info.smallest_subnormal, info.max, np.inf, math.pi,
               88.72, 88.73, 103.9, 104.1, 709.78, 745.1, 745.2, 1e5, 1e15, 1e30]
    integer = f"i{np.dtype(dtype).itemsize}"
    bits = random.integers(np.iinfo(integer).min, np.iinfo(integer).max, POINTS, dtype=integer)
    sizes = 10.0 ** random.uniform(-8, 1, POINTS) * random.choice([-1, 1], POINTS)
    return np.concatenate([
        np.array(special, dtype), -np.array(special, dtype), [dtype(np.nan)],
        random.uniform(low, high, POINTS).astype(dtype), sizes.astype(dtype), bits.view(dtype)])


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("dtype, wide", [(np.float32, np.float64), (np.float64, np.longdouble)])
def test_accuracy(name, dtype, wide):
    check = CHECKS[name]
    x = points(dtype, check.low, check.high)
    exact = check.reference(x.astype(wide))
    error = ulps(evaluate(name, x), exact)
    worst = int(np.argmax(error))
    bound = check.single if dtype is np.float32 else check.double
    assert error[worst] <= bound, f"{name}({x[worst]!r}) is {error[worst]:.3g} ulp off"


ODD = ["exponential_minus_one", "log_plus_one", "tanh", "sinh", "asinh", "atanh", "sine", "tan",
       "asin", "atan", "cbrt", "erf", "erf_inv", "sign", "floor", "ceil", "round_nearest_even",
       "round_nearest_afz"]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_odd_functions_keep_the_sign_of_zero(name, dtype):
    found = evaluate(name, np.array([0.0, -0.0], dtype))
    assert (found == 0).all() and list(np.signbit(found)) == [False, True]


@pytest.mark.parametrize("dtype, bound", [(np.float32, 2.0), (np.float64, 8.0)])
def test_erf_inv_undoes_erf(dtype, bound):
    """The error of the inverse, carried through erf in double precision."""
    x = np.concatenate([np.linspace(-1, 1, 3001), 1 - 10.0 ** np.linspace(-7, -1, 200)])
    x = x.astype(dtype)[np.abs(x.astype(dtype)) < 1]
    y = evaluate("erf_inv", x).astype(np.float64)
    slope = 2 / math.sqrt(math.pi) * np.exp(-y * y)
    near = _slowly(math.erf)(y) - x
    # Close to 1, erfc is what double precision resolves.
    tail = np.sign(x) * ((1 - np.abs(x.astype(np.float64))) - _slowly(math.erfc)(np.abs(y)))
    error = np.where(np.abs(x) < 0.5, near, tail) / slope
    place = np.spacing(np.maximum(np.abs(y), np.finfo(dtype).tiny).astype(dtype))
    assert np.abs(error / place).max() <= bound
    edges = evaluate("erf_inv", np.array([1, -1, 1.5, np.nan], dtype))
    assert edges[0] == np.inf and edges[1] == -np.inf and np.isnan(edges[2:]).all()


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 2e-7), (np.float64, 5e-14)])
@pytest.mark.parametrize("name, order", [("digamma", 0), ("trigamma", 1)])
def test_polygamma(name, order, dtype, tolerance):
    special = pytest.importorskip("scipy.special")
    x = np.concatenate([np.linspace(0.01, 50, 999), 10.0 ** np.linspace(2, 8, 50)]).astype(dtype)
    if order == 0:
        x = np.concatenate([x, np.linspace(-9.9, -0.1, 500).astype(dtype)])
    exact = special.polygamma(order, x.astype(np.float64)) if order else special.digamma(
        x.astype(np.float64))
    # Absolute near the zeros of digamma, relative elsewhere.
    error = np.abs(evaluate(name, x) - exact) / np.maximum(np.abs(exact), 1)
    assert error.max() <= tolerance
    poles = evaluate(name, np.array([0, -1, -2, np.nan], dtype))
    assert np.isnan(poles[3])
    # From both sides of a pole of trigamma it goes to inf; digamma goes to -inf and inf.
    assert (poles[:3] == np.inf).all() if order else np.isnan(poles[:3]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lgamma(dtype):
    x = np.concatenate([np.linspace(-5.3, 60, 997), [171.0, 1e5, 1e30]]).astype(dtype)
    exact = _slowly(math.lgamma)(x.astype(np.float64))
    np.testing.assert_allclose(evaluate("lgamma", x), exact, rtol=1e-6, atol=1e-6)
    edges = evaluate("lgamma", np.array([0, -1, np.inf, -np.inf, np.nan], dtype))
    assert (edges[:4] == np.inf).all() and np.isnan(edges[4])


def _pairs(dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of special values, then random ones."""
    special = np.array([0.0, 0.5, 1, 1.5, 2, 3, 1e10, 1e-10, 2**24 + 1, 1e38, 1e-40, np.inf], dtype)
    special = np.concatenate([special, -special, [dtype(np.nan)]])
    left, right = (grid.ravel() for grid in np.meshgrid(special, special))
    random = np.random.default_rng(3)
    x = 10.0 ** random.uniform(-3, 3, POINTS)
    y = random.uniform(-10, 10, POINTS)
    return (np.concatenate([left, x.astype(dtype)]), np.concatenate([right, y.astype(dtype)]))


@pytest.mark.parametrize("dtype, wide", [(np.float32, np.float64), (np.float64, np.longdouble)])
def test_power(dtype, wide):
    x, y = _pairs(dtype)
    found = evaluate("power", x, y)
    exact = np.power(x.astype(wide), y.astype(wide))
    error = ulps(found, exact)
    worst = int(np.argmax(error))
    assert error[worst] <= 1.0, f"{x[worst]!r} ** {y[worst]!r}: {error[worst]:.3g} ulp"
    zero = exact == 0
    np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(exact[zero]))


@pytest.mark.parametrize("dtype, wide", [(np.float32, np.float64), (np.float64, np.longdouble)])
def test_atan2(dtype, wide):
    y, x = _pairs(dtype)
    y = np.where(np.arange(y.size) % 2, -y, y)
    found, exact = evaluate("atan2", y, x), np.arctan2(y.astype(wide), x.astype(wide))
    error = ulps(found, exact)
    worst = int(np.argmax(error))
    assert error[worst] <= 2.5, f"atan2({y[worst]!r}, {x[worst]!r}): {error[worst]:.3g} ulp"
    zero = exact == 0
    np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(exact[zero]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_remainder_is_exact(dtype):
    x, y = _pairs(dtype)
    # Whole registers of one pair, so that none is served by the way of another lane.
    x, y = np.repeat(x, 16), np.repeat(y, 16)
    for divisor in (y, y * dtype(1e-3), x * dtype(0.3)):
        found, exact = evaluate("remainder", x, divisor), np.fmod(x, divisor)
        np.testing.assert_array_equal(found, exact)
        zero = exact == 0
        np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(exact[zero]))


ROUNDINGS = {"floor": np.floor, "ceil": np.ceil, "round_nearest_even": np.rint,
             "round_nearest_afz": lambda x: np.copysign(np.trunc(np.abs(x) + 0.5), x)}


@pytest.mark.parametrize("name", ROUNDINGS)
def test_rounding(name):
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997, -0.49999997, 1e9, 8388607.5, np.inf, -0.2],
                 np.float32)
    exact = ROUNDINGS[name](x.astype(np.float64))
    found = evaluate(name, x)
    np.testing.assert_array_equal(found, exact)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(exact))


VECTOR_ONLY = ["exponential", "exponential_minus_one", "log", "log_plus_one", "logistic", "tanh",
               "erf", "erfc", "erf_inv", "asin", "atan", "sinh", "cbrt", "power", "rsqrt"]


@pytest.mark.parametrize("processor", ["avx2", "x86-64-v4"])
@pytest.mark.parametrize("name", VECTOR_ONLY)
def test_no_library_call(name, processor):
    """Cross-compiled float32 code calls nothing, and has no scalar division or conversion."""
    machine = target.find(processor)
    float32 = np.dtype(np.float32)
    count = 2 if name == "power" else 1
    text = target.assembly(kernel_text(name, (float32,) * count, float32, {}, machine), machine)
    assert not re.search(r"\bcall", text)
    assert "divss" not in text and "divsd" not in text and "cvttss" not in text


@pytest.mark.parametrize("processor", ["avx2", "sse2"])
@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("dtype, wide", [(np.float32, np.float64), (np.float64, np.longdouble)])
def test_accuracy_on_older_processors(name, dtype, wide, processor, monkeypatch):
    """The same bounds hold without AVX-512, and without fused multiply-add."""
    monkeypatch.setattr(target, "current", lambda: target.find(processor))
    monkeypatch.setattr(sys.modules[__name__], "POINTS", POINTS // 8)
    check = CHECKS[name]
    x = points(dtype, check.low, check.high)
    error = ulps(evaluate(name, x), check.reference(x.astype(wide)))
    bound = check.single if dtype is np.float32 else check.double
    assert error.max() <= bound


def test_document_states_the_tested_bounds():
    """The table of docs/math.md names each function with the bounds that are tested here."""
    rows = {name: (single, double) for name, single, double in
            re.findall(r"^\| `(\w+)` \| (\S+) \| (\S+) \|", DOCUMENT.read_text(), re.M)}
    for name, check in CHECKS.items():
        assert rows[name] == (f"{check.single:g}", f"{check.double:g}"), name
    assert set(rows) <= set(native.NATIVE)
