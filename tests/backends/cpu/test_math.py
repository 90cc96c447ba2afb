"""Every math function comes as close to the true value as `docs/math.md` says."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from elementwise_kernel import evaluate, kernel_text

from arraylib.backends.cpu import native, target

pytest.importorskip("scipy")
from accuracy import BINARY, INTERVALS, errors, measure, pairs
from true_values import REFERENCES, has_long_double, points

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

DOCUMENT = Path(__file__).parents[3] / "docs" / "math.md"
DTYPES = [np.float32, pytest.param(np.float64, marks=pytest.mark.skipif(
    not has_long_double(), reason="no wider format to compare with"))]
MOST, MOST_WITHOUT_FMA = 2.0, 2.5  # ulp


def _samples(name, dtype, count):
    if name in BINARY:
        return pairs(dtype, count)
    return (points(dtype, *INTERVALS.get(name, (-10, 10)), count),)


def _assert_close(name, xs, most):
    found = evaluate(name, *xs)
    error = errors(name, found, xs)
    worst = int(np.argmax(error))
    operands = ", ".join(repr(x[worst]) for x in xs)
    assert error[worst] <= most, f"{name}({operands}) is {error[worst]:.3g} ulp off"


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_accuracy(name, dtype):
    most = 0 if name == "remainder" else MOST
    _assert_close(name, _samples(name, dtype, 20_000), most)


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name in REFERENCES if name not in BINARY])
def test_accuracy_of_many_floats(name):
    """Every 37th of all float32 numbers."""
    assert measure(name, np.float32, 37)[0] <= MOST


@pytest.mark.parametrize("processor", ["avx2", "sse2"])
@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_accuracy_on_older_processors(name, dtype, processor, monkeypatch):
    """Without AVX-512 the same, without fused multiply-add nearly."""
    monkeypatch.setattr(target, "current", lambda: target.find(processor))
    _assert_close(name, _samples(name, dtype, 2_000), MOST_WITHOUT_FMA)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sine", "cosine", "tan"])
def test_every_size_of_angle(name, dtype):
    """Also the neighbours of multiples of pi/2, of which nearly nothing is left."""
    random, info = np.random.default_rng(5), np.finfo(dtype)
    sizes = 2.0 ** random.uniform(10, math.log2(float(info.max)) - 0.01, 30_000)
    multiples = np.rint(2.0 ** random.uniform(1, info.nmant + 6, 30_000)) * np.longdouble(np.pi) / 2
    # The double nearest to a multiple of pi/2 (Kahan).
    hard = [6381956970095103 * 2.0**797] if dtype is np.float64 else [16367173 * 2.0**72]
    x = np.concatenate([sizes, multiples, hard]).astype(dtype)
    _assert_close(name, (x * random.choice([-1, 1], x.size).astype(dtype),), MOST)


def test_a_result_does_not_depend_on_its_neighbours():
    near = np.linspace(-9, 9, 64).astype(np.float32)
    mixed = np.where(np.arange(64) % 3 == 0, np.float32(1e20), near)
    for name in ("sine", "cosine", "tan", "lgamma", "digamma", "trigamma"):
        kept = np.arange(64) % 3 != 0
        np.testing.assert_array_equal(evaluate(name, mixed)[kept], evaluate(name, near)[kept])


ODD = ["exponential_minus_one", "log_plus_one", "tanh", "sinh", "asinh", "atanh", "sine", "tan",
       "asin", "atan", "cbrt", "erf", "erf_inv", "bessel_i1e", "sign", "floor", "ceil",
       "round_nearest_even", "round_nearest_afz"]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_odd_functions_keep_the_sign_of_zero(name, dtype):
    found = evaluate(name, np.array([0.0, -0.0], dtype))
    assert (found == 0).all() and list(np.signbit(found)) == [False, True]


# The smallest number whose power is not 0, and one below it.
SMALLEST_POWERS = {np.float32: (-103.97207, -103.97209), np.float64: (-745.1332, -745.1333)}


@pytest.mark.parametrize("dtype", SMALLEST_POWERS)
@pytest.mark.parametrize("processor", ["", "avx2", "sse2"])
def test_powers_vanish_where_they_are_too_small(dtype, processor, monkeypatch):
    if processor:
        monkeypatch.setattr(target, "current", lambda: target.find(processor))
    last, next_one = SMALLEST_POWERS[dtype]
    low = math.floor(next_one)
    gone = [next_one, low, np.nextafter(dtype(low), dtype(-np.inf)), 2 * low, -1e9, -1e30,
            np.finfo(dtype).min, -np.inf]
    # Beside others, in all lanes of a register and in what is left over.
    x = np.array([last, 0, np.nan, *gone, *16 * [low - 1], *3 * [low - 9]], dtype)
    for name in ("exponential", "logistic"):
        found = evaluate(name, x)
        assert found[0] <= np.finfo(dtype).smallest_subnormal, name
        assert found[1] == (1 if name == "exponential" else 0.5) and np.isnan(found[2])
        assert (found[3:] == 0).all() and not np.signbit(found[3:]).any(), name
    assert evaluate("exponential", x)[0] > 0
    np.testing.assert_array_equal(evaluate("logistic", -x[3:]), 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lgamma_is_a_positive_zero_at_one_and_two(dtype):
    found = evaluate("lgamma", np.array([1, 2], dtype))
    assert (found == 0).all() and not np.signbit(found).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_remainder_is_exact(dtype):
    x, y = pairs(dtype, 5_000)
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


PROCESSORS = {"avx512": ("x86-64-v4", "x86_64-unknown-linux-gnu"),
              "avx2": ("x86-64-v3", "x86_64-unknown-linux-gnu"),
              "neon": ("generic-arm", "aarch64-unknown-linux-gnu")}
# One lane at a time: division, square root and what rounds or compares single numbers.
SCALAR = {"x86": r"\bv?(div|sqrt|mul|add|sub|ucomi|cvtt?)s[sd]",
          "aarch64": r"\bf(div|sqrt|mul|add|sub|cmp)\s+[sd]\d"}


@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vector_code_without_library_calls(name, dtype, processor):
    """Cross-compiled code calls nothing but functions of its own module, and no lane by itself."""
    target.llvm().initialize_all_targets()
    target.llvm().initialize_all_asmprinters()
    processor, triple = PROCESSORS[processor]
    machine = target.find(processor, triple)
    operands = (np.dtype(dtype),) * (2 if name in BINARY else 1)
    text = target.assembly(
        kernel_text(name, operands, operands[0], {}, machine, masked=False), machine)
    called = set(re.findall(r"^\s*(?:callq?|bl|jmp|b)\s+([a-z]\w*)", text, re.M))
    defined = set(re.findall(r"^(\w+):", text, re.M))
    assert called <= defined, called - defined
    assert not re.findall(SCALAR["aarch64" if "aarch64" in triple else "x86"], text)


def test_document_names_every_function():
    """With what was measured, which is never more than what is tested."""
    rows = {name: (single, double) for name, single, double in
            re.findall(r"^\| `(\w+)` \| (\S+) \| (\S+) \|", DOCUMENT.read_text(), re.M)}
    assert set(rows) == set(REFERENCES)
    assert set(rows) <= set(native.NATIVE)
    for name, figures in rows.items():
        for figure in figures:
            assert (0 if figure == "exact" else float(figure)) <= MOST, name


@pytest.mark.parametrize("x", [0.0, -0.0, 1.0, -1.0, 1.0000001, -1.5, np.inf, -np.inf, np.nan,
                               1e-45, -1e-38, 0.99999994, -0.99999994, 0.5, 0.70710677])
@pytest.mark.parametrize("count", [1, 3, 16, 40])
def test_the_inverse_of_erf_in_vectors_of_all_lengths(x, count):
    """Everywhere the same bits, at the ends of the interval and beyond what NumPy's says."""
    from scipy.special import erfinv

    found = evaluate("erf_inv", np.full(count, x, np.float32))
    with np.errstate(all="ignore"):
        want = np.float32(erfinv(np.float64(np.float32(x))))
    assert np.unique(found.view(np.uint32)).size == 1
    np.testing.assert_array_max_ulp(found, np.full(count, want), 2) if np.isfinite(want) \
        else np.testing.assert_array_equal(found, want)
    assert np.isnan(x) or np.isnan(want) or np.all(np.signbit(found) == np.signbit(np.float32(x)))
