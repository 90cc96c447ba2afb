"""Sorting, selecting, running sums and statistics agree with JAX's."""

import numpy as np
import pytest
from agreement import BFLOAT16, agree, assert_same, numbers

import arraylib.numpy as jnp
from arraylib import jit
from arraylib.errors import ArgumentError, DtypeError, OutOfBoundsError, ShapeError, TraceError
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Builder, type_of

M, V, W = numbers((3, 4)), numbers((9,), seed=2), numbers((5,), seed=3)
N = np.int32([3, 1, 3, 0, 1, 3, 2, 0])
NANS = np.float32([2, np.nan, -1, np.inf, 2, -np.inf])

CASES = [
    ("sort", M), ("sort", M, 0), ("sort", M, None), ("sort", NANS), ("sort", N), ("argsort", N),
    ("argsort", M, 0), ("argsort", NANS), ("argsort", M, None), ("lexsort", (N, N[::-1].copy())),
    ("searchsorted", np.sort(V), W), ("searchsorted", np.sort(V), np.float32(0.5)),
    ("searchsorted", np.sort(N), N, "right"), ("searchsorted", np.sort(N), N, "left"),
    ("searchsorted", np.sort(NANS), NANS), ("digitize", V, np.float32([-1, 0, 1])),
    ("median", V), ("median", M, 0), ("median", M, None), ("median", N),
    ("quantile", V, 0.3), ("quantile", M, np.float32([0.1, 0.9]), 1), ("quantile", M, 0.5, (0, 1)),
    ("percentile", V, 30.0), ("percentile", M, np.float32([10, 90]), 0), ("nanmedian", NANS),
    ("nanquantile", NANS, 0.5),
    ("cumsum", V), ("cumsum", M, 0), ("cumsum", M), ("cumsum", N), ("cumprod", M, 1),
    ("cumsum", V > 0), ("cumsum", V.astype(BFLOAT16)), ("nancumsum", NANS[:3]),
    ("cumsum", np.arange(1000, dtype=np.int32)), ("cumulative_sum", V), ("diff", V), ("diff", M, 2),
    ("diff", M, 1, 0), ("diff", V > 0), ("ediff1d", V), ("gradient", V), ("gradient", M),
    ("gradient", M, 2.0), ("trapezoid", V), ("trapezoid", V, np.sort(V)),
    ("unwrap", np.float32([0, 2, 5, 8, 1, -4])),
    ("where", M > 0, M, 0), ("where", M > 0, 1, 0), ("where", M > 0, N[:4], M), ("where", M > 0),
    ("select", [M > 1, M > 0], [M, M * 2], -1.0), ("nonzero", N), ("flatnonzero", M > 0),
    ("argwhere", M > 0), ("compress", np.array([True, False, True]), M, 0),
    ("extract", M > 0, M), ("take", M, np.int32([2, 0, -1]), 0), ("take", M, 5),
    ("take", M, np.int32([[0, 1], [2, 3]]), 1), ("unravel_index", N, (2, 3)),
    ("ravel_multi_index", (np.int32([0, 1]), np.int32([2, 0])), (2, 3)),
    ("take_along_axis", M, np.argsort(M, 1).astype(np.int32), 1),
    ("take_along_axis", M, np.int32([[0], [1], [-1]]), 1),
    ("take_along_axis", M, np.int32([[1, 0, 2, 1]]), 0),
    ("choose", np.int32([0, 2, 1]), [V[:3], V[3:6], V[6:]]),
    ("bincount", N), ("bincount", N, V[:8]), ("histogram", V), ("histogram", V, 4),
    ("histogram", V, np.float32([-2, 0, 1, 2])), ("interp", W, np.sort(V), V),
    ("convolve", V, W), ("convolve", V, W, "same"), ("convolve", V, W, "valid"),
    ("correlate", V, W), ("correlate", V, W, "full"), ("polyval", W, V),
    ("polymul", W, V), ("polyadd", W, V), ("polyder", W), ("polysub", W, V),
    ("polyint", W), ("polyint", W, 2),
    ("cov", M), ("cov", V), ("cov", M, M[::-1].copy()), ("corrcoef", M),
    ("unique", N), ("union1d", N, N + 2), ("intersect1d", N, N + 1), ("setdiff1d", N, N + 1),
    ("setxor1d", N, N + 1), ("isin", N, np.int32([1, 2])),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0])
def test_case(case):
    agree(*case, rtol=2e-2 if getattr(case[1], "dtype", 0) == BFLOAT16 else 2e-5, atol=1e-5)


def test_isin_of_many():
    """Sorted and searched; nan is among nothing, and the zeros are equal."""
    tests = np.concatenate([np.arange(200, 0, -2), [np.nan, -0.0, np.inf]]).astype(np.float32)
    x = np.float32([[0, 1, 2, 200], [201, np.nan, np.inf, -np.inf]])
    agree("isin", x, tests)
    agree("isin", x, tests, invert=True)
    agree("isin", x[:0], tests)
    agree("isin", N, np.arange(-100, 2, dtype=np.int32))


def test_options():
    agree("sort", V, descending=True)
    agree("argsort", N, descending=True)
    agree("unique", N, return_index=True, return_inverse=True, return_counts=True)
    agree("histogram", V, 4, density=True, rtol=1e-5)
    agree("histogram", V, 4, range=(-1.0, 1.0), weights=V * V, rtol=1e-5)
    agree("interp", W * 2, np.sort(V), V, left=-9.0, right=9.0, rtol=1e-4, atol=1e-5)
    agree("median", M, 1, keepdims=True)
    agree("quantile", M, np.float32([0.2, 0.7]), 1, keepdims=True, rtol=1e-5)
    agree("cumulative_sum", M, axis=1, include_initial=True, rtol=1e-5, atol=1e-5)
    agree("diff", V, prepend=0.0, append=np.float32([1, 2]), rtol=1e-5)
    agree("cov", M, rowvar=False, ddof=0, rtol=1e-5)


@pytest.mark.parametrize("method", ["linear", "lower", "higher", "nearest", "midpoint"])
def test_quantile_methods(method):
    agree("quantile", V, np.float32([0, 0.11, 0.5, 0.93, 1]), method=method, rtol=1e-5)


def test_lexsort_and_put():
    x = numbers((3, 4))
    places = np.int32([[0], [2], [1]])
    expected = x.copy()
    np.put_along_axis(expected, places, 7.0, 1)
    assert_same(jnp.put_along_axis(x, places, 7.0, 1), expected)
    assert_same(jnp.put(x, np.array([1, 5]), np.float32([8, 9])).ravel()[[1, 5]],
                np.float32([8, 9]))
    rows, columns = jnp.ix_(np.array([0, 2]), np.array([1, 3]))
    assert_same(jnp.asarray(x)[rows, columns], x[np.ix_([0, 2], [1, 3])])


def traced(function, *arrays):
    with Builder() as builder:
        result = function(*[builder.input(type_of(x)) for x in arrays])
        graph, captured = builder.build([result])
    return interpret(graph, [*arrays, *captured])[0]


def test_traced_with_a_static_size():
    mask = np.array([False, True, True, False, True])
    found = traced(lambda m: jnp.nonzero(m, size=4, fill_value=-1)[0], mask)
    assert_same(found, np.int32([1, 2, 4, -1]))
    found = traced(lambda r: jnp.repeat(W, r, total_repeat_length=6), np.int32([1, 0, 2, 0, 1]))
    assert_same(found, np.repeat(W, [1, 0, 2, 0, 3]))
    assert_same(traced(lambda s: jnp.roll(M, s, 1), np.int32(-3)), np.roll(M, -3, 1))
    assert_same(traced(lambda x: jnp.bincount(x, length=3), N), np.int32([2, 2, 1]))


def test_mistakes():
    with pytest.raises(TraceError, match="nonzero: how many elements are chosen is not known"):
        traced(lambda m: jnp.nonzero(m)[0], M > 0)
    with pytest.raises(OutOfBoundsError, match="index 9 is out of bounds for axis 0 of size 3"):
        jnp.take(M, np.array([0, 9]), 0)
    with pytest.raises(OutOfBoundsError, match="index 4 is out of bounds for axis 1 of size 4"):
        jnp.take_along_axis(M, np.int32([[4], [0], [1]]), 1)
    with pytest.raises(ShapeError, match="indices with 1 axes for an array with 2"):
        jnp.take_along_axis(M, np.int32([0]), 1)
    with pytest.raises(ArgumentError, match="side = 'middle'"):
        jnp.searchsorted(V, W, side="middle")
    with pytest.raises(ArgumentError, match="one of x and y is given"):
        jnp.where(M > 0, M)


@pytest.mark.parametrize("q", [-0.1, 1.5, np.nan])
def test_a_traced_share_that_is_none_gives_nan(q):
    assert np.isnan(jit(jnp.quantile)(jnp.arange(3.0), q))
    assert jit(jnp.quantile)(jnp.arange(3.0), 1.0) == 2.0


def test_quantiles_have_the_digits_of_their_operands():
    x = np.random.default_rng(0).standard_normal(101)
    ours = jnp.array(x, "float64")
    for find in (lambda lib, x: lib.quantile(x, 0.3), lambda lib, x: lib.percentile(x, 30),
                 lambda lib, x: lib.nanquantile(x, np.array([0.1, 0.77])),
                 lambda lib, x: lib.median(x), lambda lib, x: lib.nanmedian(x)):
        for found in (find(jnp, ours), jit(find, static_argnums=0)(jnp, ours)):
            assert found.dtype == "float64"
            np.testing.assert_allclose(found, find(np, x), rtol=1e-15)


@pytest.mark.parametrize("dtype, count", [("float16", 5000), ("float16", 70_000),
                                          ("bfloat16", 1001), ("float32", 70_001)])
def test_quantiles_of_more_numbers_than_their_dtype_can_count(dtype, count):
    x = jnp.array(np.random.default_rng(0).permutation(count) % 200, dtype)
    for q in (0, 0.123, 0.5, 0.9, 1):
        wanted = np.quantile(np.asarray(x, np.float64), q)
        np.testing.assert_allclose(np.asarray(jnp.quantile(x, q), np.float64), wanted, rtol=0.01)
    assert jnp.median(x) == np.median(np.asarray(x, np.float64)).astype(x.dtype)


def test_medians_of_the_largest_numbers():
    x = jnp.array([3e38, -3e38, 3e38, 2e38], "float32")
    assert jnp.median(x) == np.float32(2.5e38) and jnp.median(x[:3]) == np.float32(3e38)
    assert jit(jnp.nanmedian)(x[:3]) == np.float32(3e38)


def test_quantiles_at_infinity():
    x = np.float32([-np.inf, -np.inf, 1, 2, np.inf, np.inf])
    found = jnp.quantile(jnp.array(x), np.float32([0, 0.1, 0.4, 0.5, 0.6, 0.9, 1]))
    np.testing.assert_array_equal(found, [-np.inf, -np.inf, 1, 1.5, 2, np.inf, np.inf])
    assert np.isnan(jnp.quantile(jnp.array([-np.inf, np.inf]), 0.5))
    with pytest.raises(DtypeError, match="order"):
        jnp.median(jnp.array([1j, 2]))


def test_quantiles_of_nothing():
    assert np.isnan(jnp.median(jnp.zeros(0))) and np.isnan(jnp.nanquantile(jnp.zeros(0), 0.3))
    assert np.isnan(jnp.quantile(jnp.zeros((2, 0)), jnp.array([0.1, 1.0]), 1)).all()


@pytest.mark.parametrize("x", [M, N, np.uint8([3, 255, 0, 3]), M > 0, np.int8([-128, 127, 0, 5])])
@pytest.mark.parametrize("mode", ["largest", "smallest"])
def test_the_first_few_in_order(x, mode):
    values, places = jnp.top_k(x, 2, mode=mode)
    order = np.sort(x, -1)
    assert_same(values, order[..., :2] if mode == "smallest" else order[..., :-3:-1])
    assert_same(np.take_along_axis(x, np.asarray(places), -1), values)
    with pytest.raises(ArgumentError, match="mode = 'middle'"):
        jnp.top_k(x, 1, mode="middle")


@pytest.mark.parametrize("right", [False, True])
def test_bins_in_descending_order(right):
    x = np.float32([0.5, 1, 2, 2.5, 9, np.inf])
    for bins in ([3, 2, 1], [1, 2, 3], [2], [2, 2], []):
        edges = np.float32(bins)
        for function in (jnp.digitize, jit(lambda x, b: jnp.digitize(x, b, right, method="sort"))):
            words = {"right": right} if function is jnp.digitize else {}
            found = np.asarray(function(jnp.array(x), jnp.array(edges), **words))
            np.testing.assert_array_equal(found, np.digitize(x, edges, right))


def test_where_complex_numbers_belong():
    a = np.sort(np.array([1 + 2j, 1 - 1j, 0, 2j], np.complex64))
    v = np.array([1, 2j, 3, 1 - 1j], np.complex64)
    for side in ("left", "right"):
        found = np.asarray(jnp.searchsorted(a, v, side))
        np.testing.assert_array_equal(found, np.searchsorted(a, v, side))
    assert jnp.array(a).argsort().searchsorted(2, method="sort") == 2


@pytest.mark.parametrize("axis", [None, 0, (0, 1)])
def test_quantiles_by_weight(axis):
    weights = np.abs(M) + 1
    q = np.float32([0.1, 0.5, 1])
    for name, x in (("quantile", M), ("nanquantile", np.where(M > 1, np.float32(np.nan), M))):
        words = {"axis": axis, "method": "inverted_cdf", "weights": weights, "keepdims": True}
        found = getattr(jnp, name)(jnp.array(x), q, **words)
        np.testing.assert_array_equal(np.asarray(found), getattr(np, name)(x, q, **words))
    rows = jnp.percentile(jnp.array(M), 40.0, 0, method="inverted_cdf", weights=weights[:, 0])
    np.testing.assert_array_equal(np.asarray(rows), np.percentile(
        M, 40, 0, method="inverted_cdf", weights=weights[:, 0]))
    with pytest.raises(ArgumentError, match="method='inverted_cdf', which takes weights"):
        jnp.quantile(jnp.array(M), 0.5, weights=weights)
    assert np.isnan(jnp.quantile(V, 0.5, method="inverted_cdf", weights=-np.abs(V)))


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("sizes", [(2, 5), (3, 4), (5, 2), (4, 4)])
def test_vectors_of_any_length_moved_along_one_another(mode, sizes):
    a, v = (numbers((n,), seed=n) + 1j * numbers((n,), seed=n + 9) for n in sizes)
    for name in ("correlate", "convolve"):
        found = np.asarray(getattr(jnp, name)(a, v, mode, precision="highest"))
        np.testing.assert_allclose(found, getattr(np, name)(a, v, mode), rtol=1e-5, atol=1e-5)
    assert jnp.convolve(N, N, mode, preferred_element_type="float32").dtype == "float32"


def test_lines_beyond_their_ends():
    x, xp, fp = np.float32([-1, 0.3, 2.6, 7]), np.float32([0, 1, 2.5]), np.float32([3, 1, 2])
    for period in (2.0, -3.0, 5.5):
        found = jit(jnp.interp)(x, xp, fp, period=period)
        np.testing.assert_allclose(found, np.interp(x, xp, fp, period=period), rtol=1e-5)
    line = jnp.interp(x, xp, fp, left="extrapolate", right="extrapolate")
    np.testing.assert_allclose(line, [5, 2.4, 2 + 0.1 / 1.5, 5], rtol=1e-5)
    assert jnp.interp(0.5, xp, fp, left="extrapolate", right=9) == 2
    np.testing.assert_allclose(jnp.interp(x, xp, 1j * fp), np.interp(x, xp, 1j * fp), rtol=1e-5)
    with pytest.raises(ArgumentError, match="'extrapolate'"):
        jnp.interp(x, xp, fp, left="extend")
    with pytest.raises(DtypeError, match="takes floats, not complex64"):
        jnp.interp(1j * x, xp, fp)


def test_constants_of_integration_and_zeros_in_front():
    p = np.float32([3, 2, 1])
    for k in (None, 4, [5], [1, 2]):
        np.testing.assert_allclose(jnp.polyint(p, 2, k if k is None else np.float32(k)),
                                   np.polyint(p, 2, k), rtol=1e-6)
    with pytest.raises(ShapeError, match="constants of shape"):
        jnp.polyint(p, 2, np.ones(3))
    longer = np.float32([0, 0, 1, 2])
    np.testing.assert_array_equal(jnp.polymul(longer, p, trim_leading_zeros=True),
                                  np.polymul(longer, p))


def test_slopes_at_uneven_places():
    x, y = np.float32([0, 1, 3, 4.5]), np.float32([0, 2, 3])
    f = M.T  # 4 by 3
    for args, words in (((x,), {"axis": 0}), ((x, y), {}), ((2.0, y), {}), ((x, 0.5), {})):
        found, expected = jnp.gradient(f, *args, **words), np.gradient(f, *args, **words)
        for own, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-5)
    with pytest.raises(ShapeError, match="places of shape"):
        jnp.gradient(f, y, axis=0)
    with pytest.raises(ShapeError, match="has no slope"):
        jnp.gradient(f[:1])


def test_widths_of_trapezoids_may_differ():
    for widths in (np.float32([1, 2, 3]), np.abs(numbers((3, 3))) + 1):
        expected = np.trapezoid(M, dx=widths)
        np.testing.assert_allclose(jnp.trapezoid(M, dx=widths), expected, rtol=1e-5)
        found = jit(lambda y, dx: jnp.trapezoid(y, dx=dx))(M, widths)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("period", [4, 5, 2 * np.pi, 4.5])
def test_jumps_taken_out_of_integers(period):
    p = np.array([[1, 7, 3, 12, -9], [0, 2, 4, 6, 5]])
    for words in ({}, {"discont": 4}, {"axis": 0}):
        found, expected = (lib.unwrap(p, period=period, **words) for lib in (jnp, np))
        assert found.dtype.kind == expected.dtype.kind
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert jnp.unwrap(jnp.zeros((3, 0))).shape == (3, 0)


def test_no_differences_at_all():
    np.testing.assert_array_equal(jnp.diff(N, 0, prepend=1), np.diff(N, 0, prepend=1))
    with pytest.raises(ArgumentError, match="n = -1 is negative"):
        jnp.diff(N, -1)


def test_columns_of_one_row_are_variables():
    row, column = np.float32([[1, 4, 2]]), np.float32([[1], [4], [2]])
    assert jnp.cov(row, rowvar=False).shape == jnp.corrcoef(row, rowvar=False).shape == (3, 3)
    np.testing.assert_allclose(jnp.cov(column, rowvar=False), np.cov(column, rowvar=False))
    both = jnp.cov(column, column[::-1], rowvar=False)
    np.testing.assert_allclose(both, np.cov(column, column[::-1], rowvar=False), rtol=1e-6)


def test_single_elements_truth_values_and_nothing():
    assert jnp.lexsort((np.float32(1), np.float32(2))) == 0
    assert jnp.bincount(np.array([True, False, True])).tolist() == [1, 2]
    assert jnp.put(jnp.arange(3), np.array([0]), np.zeros(0)).tolist() == [0, 1, 2]
