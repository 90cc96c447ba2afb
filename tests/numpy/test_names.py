"""Functions that few programs use agree with NumPy: one table of calls."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

import arraylib
import arraylib.numpy as jnp
from arraylib import config, jit
from arraylib.errors import ArgumentError, DtypeError, ShapeError

INTS = np.array([[12, -8, 0, 7], [-(2 ** 31), 2 ** 31 - 1, 1, -1]], np.int32)
OTHERS = np.array([18, 12, 5, 0], np.int32)
BITS = np.random.default_rng(0).integers(0, 2, (3, 19)).astype(bool)
BYTES = np.random.default_rng(1).integers(0, 256, (3, 5)).astype(np.uint8)
TINY = np.finfo(np.float32).smallest_subnormal
FLOATS = np.array([0, -0.0, 1, -0.75, 3e38, -3e38, np.inf, -np.inf, np.nan, TINY, -3 * TINY, 1e-38],
                  np.float32)
RNG = np.random.default_rng(2)
X, Y = RNG.normal(size=12), RNG.normal(size=12)
POINTS = RNG.uniform(-1, 2, (40, 3))
WEIGHTS = RNG.uniform(0, 1, 40)

CALLS = [
    ("gcd", (INTS, OTHERS), {}), ("lcm", (INTS, OTHERS), {}),
    ("gcd", (INTS.astype(np.int8), OTHERS.astype(np.int8)), {}),
    ("lcm", (np.uint64(2 ** 40 + 2), np.array([6, 2 ** 20], np.uint64)), {}),
    ("gcd", (np.zeros((0, 2), int), 3), {}),
    ("packbits", (BITS,), {}), ("packbits", (BITS, 0), {}),
    ("packbits", (INTS, -1), {"bitorder": "little"}), ("packbits", (np.zeros(0, int),), {}),
    ("unpackbits", (BYTES,), {}), ("unpackbits", (BYTES, 0, 11), {}),
    ("unpackbits", (BYTES, 1, -3, "little"), {}), ("unpackbits", (BYTES, 1, 50), {}),
    ("frexp", (FLOATS,), {}), ("frexp", (FLOATS.astype(float) * 1e200,), {}),
    ("frexp", (FLOATS[[0, 1, 2, 3, 6, 8]].astype(np.float16),), {}), ("spacing", (FLOATS,), {}),
    ("i0", (X * 20,), {}), ("kaiser", (7, 5.0), {}), ("kaiser", (1, 5.0), {}),
    ("kaiser", (0, 5.0), {}),
    ("poly", (X[:4],), {}), ("poly", (X[:9].reshape(3, 3),), {}), ("poly", (np.zeros(0),), {}),
    ("polyfit", (X, Y, 3), {}), ("polyfit", (X, np.stack([X, Y], 1), 2), {"w": Y ** 2}),
    ("polyfit", (X, Y, 2), {"full": True}), ("polyfit", (X, Y, 2), {"cov": True}),
    ("polyfit", (X, np.stack([X, Y], 1), 2), {"cov": True}),
    ("polyfit", (X, Y, 2), {"cov": "unscaled"}),
    ("histogram2d", (POINTS[:, 0], POINTS[:, 1]), {}),
    ("histogram2d", (POINTS[:, 0], POINTS[:, 1], [-1.0, 0.0, 0.5, 2.0]), {"density": True}),
    ("histogram2d", (POINTS[:, 0], POINTS[:, 1], (3, 4)), {"weights": WEIGHTS}),
    ("histogramdd", (POINTS, 3), {"density": True}),
    ("histogramdd", (POINTS, [2, np.array([-1.0, 0, 2]), 4]), {"weights": WEIGHTS}),
    ("histogramdd", (POINTS, 2), {"range": [(-1, 1), None, (0, 2)]}),
    ("linalg.tensorsolve", (RNG.normal(size=(2, 3, 6)), RNG.normal(size=(2, 3))), {}),
    ("linalg.tensorsolve", (RNG.normal(size=(6, 2, 3)), RNG.normal(size=(2, 3))), {"axes": (0,)}),
    ("linalg.tensorinv", (RNG.normal(size=(2, 3, 6)),), {}),
    ("linalg.tensorinv", (RNG.normal(size=(6, 2, 3)), 1), {}),
    ("mask_indices", (4, np.tril, -1), {}), ("iterable", ([1],), {}), ("iterable", (1,), {}),
    ("unique_all", (INTS % 3,), {}), ("unique_counts", (FLOATS,), {}),
    ("unique_inverse", (INTS % 3,), {}), ("unique_values", (FLOATS,), {}),
    ("fromiter", (range(4), float), {}), ("fromstring", ("1, 2, 3", int), {"sep": ","}),
    ("frombuffer", (bytes(range(12)), np.int16, 3, 2), {}),
    ("frombuffer", (np.arange(3.0).tobytes(),), {}),
]


def _find(module, name):
    for part in name.split("."):
        module = getattr(module, part)
    return module


@pytest.mark.parametrize("name, args, words", CALLS, ids=[f"{i}-{c[0]}" for i, c in
                                                          enumerate(CALLS)])
def test_like_numpy(name, args, words):
    with config.using(default_bits=64), np.errstate(all="ignore"):
        found = _find(jnp, name)(*args, **words)
        wanted = _find(np, name)(*args, **words)
    found, wanted = ([x] if not isinstance(x, (tuple, list)) else x for x in (found, wanted))
    assert len(found) == len(wanted)
    for ours, theirs in zip(arraylib.tree.leaves(found), arraylib.tree.leaves(list(wanted))):
        theirs = np.asarray(theirs)
        kinds = {np.asarray(ours).dtype.kind, theirs.dtype.kind}
        assert len(kinds) == 1 or name.startswith("histogram")
        np.testing.assert_allclose(np.asarray(ours), theirs, 2e-9, 1e-12)
        if name in ("frexp", "spacing"):
            ours, theirs = (np.where(np.isnan(x), 1, x) for x in (np.asarray(ours), theirs))
            assert np.array_equal(np.signbit(ours), np.signbit(theirs))


def test_roots():
    for p in (X[:5], [0, 0, 1, -3, 2, 0], [2.0], [0.0, 0.0], [1, 2j, 3]):
        found = np.asarray(jnp.roots(np.asarray(p, np.complex128 if 2j in p else float)))
        np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(np.roots(p)), 2e-4)
    inside = arraylib.jit(lambda p: jnp.roots(p, strip_zeros=False))
    assert sorted(np.asarray(inside(jnp.array([1.0, -3, 2]))).real.tolist()) == [1, 2]
    assert np.isnan(np.asarray(inside(jnp.array([0.0, 1, 2])))).any()
    with pytest.raises(ArgumentError, match=r"strip_zeros=False"):
        arraylib.jit(jnp.roots)(jnp.ones(3))


def test_division_of_polynomials():
    u, v = jnp.array([1.0, 2, 3, 4]), jnp.array([2.0, 1])
    quotient, rest = jnp.polydiv(u, v)
    wanted = np.polydiv([1.0, 2, 3, 4], [2.0, 1])
    np.testing.assert_allclose(quotient, wanted[0])
    np.testing.assert_allclose(rest, np.pad(wanted[1], (3, 0)), 1e-6)
    assert jnp.polydiv(u, v, trim_leading_zeros=True)[1].shape == (1,)
    assert [x.tolist() for x in jnp.polydiv(jnp.array([1.0, 2]), jnp.ones(3))] == [[0], [1, 2]]
    assert [x.shape for x in jnp.polydiv(jnp.ones(1), jnp.ones(1))] == [(1,), (1,)]


def test_different_elements_under_jit():
    x = jnp.array([[3, 1], [3, 2]])
    found = arraylib.jit(lambda x: jnp.unique_all(x, size=4, fill_value=9))(x)
    assert found.values.tolist() == [1, 2, 3, 9] and found.counts.tolist() == [1, 1, 2, 0]
    assert found.indices.tolist() == [1, 3, 0, 1]
    assert found.inverse_indices.tolist() == [[2, 0], [2, 1]]
    assert jnp.unique(x, size=2).tolist() == [1, 2]
    assert jnp.unique_values(x, size=5).tolist() == [1, 2, 3, 1, 1]
    nans = jnp.array([np.nan, 1, np.nan])
    assert np.isnan(np.asarray(jnp.unique(nans, size=3))).tolist() == [False, True, False]
    assert np.isnan(np.asarray(jnp.unique_values(nans, size=3))).tolist() == [False, True, True]
    with pytest.raises(ArgumentError, match="size= is given, and axis="):
        jnp.unique(x, axis=0, size=2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_histograms_count_further_than_their_dtype(dtype):
    x = jnp.full(5000, 0.5, dtype)
    for options in ({}, {"weights": jnp.ones(5000, dtype)}):
        assert float(jnp.histogram(x, 2, (0, 1), **options)[0][1]) == float(jnp.array(5000, dtype))
        assert float(jnp.histogram2d(x, x, 1, **options)[0][0, 0]) == float(jnp.array(5000, dtype))


def test_reductions_of_bits_start_with_all_of_them():
    for dtype in ("uint8", "uint64", "int16"):
        assert jnp.bitwise_and.reduce(jnp.array([7, 3, 11], dtype)) == 3
        all_bits = jnp.bitwise_and.reduce(jnp.zeros(0, dtype))
        assert all_bits.dtype == dtype and ~all_bits == 0


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float8_e5m2"])
def test_sets_keep_their_dtype_and_their_order_with_nan(dtype):
    x = jnp.asarray([np.nan, 1, np.nan, 2 / 3, -0.0, 1], dtype)
    wide, y = np.asarray(x).astype(np.float64), x[2:5]
    few = np.asarray(y).astype(np.float64)
    found = [*jnp.unique(x, True, True, True), jnp.setdiff1d(x, y), jnp.intersect1d(x, y),
             jnp.setxor1d(x, y), jnp.union1d(x, y), *jnp.intersect1d(x, y, return_indices=True)]
    wanted = [*np.unique(wide, True, True, True), np.setdiff1d(wide, few),
              np.intersect1d(wide, few), np.setxor1d(wide, few), np.union1d(wide, few),
              *np.intersect1d(wide, few, return_indices=True)]
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(ours).astype(theirs.dtype), theirs)
        assert ours.dtype == (jnp.int32 if theirs.dtype.kind == "i" else dtype)
    assert jnp.unique(jnp.asarray([2 ** 40, 1], "int64")).tolist() == [1, 2 ** 40]


def test_places():
    assert jnp.place(*map(jnp.array, ([1, 2, 3, 4], [1, 0, 1, 1], [7, 8]))).tolist() == [7, 2, 8, 7]
    x, mask = RNG.integers(0, 9, (3, 5)), RNG.random((3, 5)) > 0.4
    wanted = x.copy()
    np.place(wanted, mask, [20, 21, 22])
    found = arraylib.jit(jnp.place)(jnp.array(x), jnp.array(mask), jnp.array([20, 21, 22]))
    assert np.asarray(found).tolist() == wanted.tolist()
    with pytest.raises(ShapeError, match="a mask of 2 elements for 3"):
        jnp.place(jnp.ones(3), jnp.ones(2), 1.0)
    with pytest.raises(ArgumentError, match="there are no values"):
        jnp.place(jnp.ones(1), True, jnp.ones(0))


def test_mistakes():
    for call in (lambda: jnp.gcd(1.0, 2), lambda: jnp.unpackbits(jnp.ones(2, int)),
                 lambda: jnp.packbits(jnp.ones(2)), lambda: jnp.frexp(1j)):
        with pytest.raises(DtypeError, match="takes|packbits"):
            call()
    for call in (lambda: jnp.roots(jnp.ones((2, 2))), lambda: jnp.poly(jnp.ones((2, 3))),
                 lambda: jnp.polyfit(jnp.ones(3), jnp.ones(2), 1),
                 lambda: jnp.linalg.tensorsolve(jnp.ones((2, 3)), jnp.ones(2)),
                 lambda: jnp.linalg.tensorinv(jnp.ones((2, 3)), 1),
                 lambda: jnp.histogramdd(jnp.ones(3)), lambda: jnp.polydiv(1.0, 2.0)):
        with pytest.raises(ShapeError):
            call()
    for call in (lambda: jnp.packbits(BITS, bitorder="none"), lambda: jnp.unpackbits(BYTES, 0, -99),
                 lambda: jnp.polyfit(X, Y, -1), lambda: jnp.polyfit(X[:2], Y[:2], 1, cov=True),
                 lambda: jnp.histogramdd(POINTS, [1, 2]), lambda: jnp.from_dlpack([1]),
                 lambda: jnp.frompyfunc(3, 1, 1)):
        with pytest.raises(ArgumentError):
            call()


def test_derivatives():
    x = jnp.array([3.0, 0.1, 1e-3], "float64")
    assert arraylib.vmap(arraylib.grad(lambda x: jnp.frexp(x)[0]))(x).tolist() == [0.25, 8, 512]
    slope = arraylib.grad(lambda p: jnp.polydiv(p, jnp.array([2.0, 1]))[0].sum())
    np.testing.assert_allclose(slope(jnp.array([1.0, 2, 3])), [0.25, 0.5, 0])
    slope = arraylib.grad(lambda b: jnp.kaiser(5, b)[1])(jnp.array(2.0))
    with config.using(default_bits=64):
        step = (np.kaiser(5, 2.001) - np.kaiser(5, 1.999))[1] / 0.002
    assert float(slope) == pytest.approx(step, 1e-3)
    assert float(arraylib.grad(lambda x: jnp.poly(jnp.stack([x, x]))[2])(3.0)) == 6
    fit = arraylib.grad(lambda y: jnp.polyfit(jnp.arange(4.0), y, 1)[0])(jnp.ones(4))
    np.testing.assert_allclose(fit, [-0.3, -0.1, 0.1, 0.3], 1e-4)
    assert arraylib.vmap(jnp.gcd)(jnp.array([4, 9]), jnp.array([6, 6])).tolist() == [2, 3]


def test_buffers_and_files(tmp_path):
    assert jnp.from_dlpack(np.arange(3, dtype=np.int16)).dtype == "int16"
    assert jnp.frombuffer(b"\x01\x00", "int16").tolist() == [1]
    assert jnp.fromiter(range(3), float).dtype == "float32"
    with open(tmp_path / "numbers", "wb") as file:
        file.write(np.arange(4, dtype=np.float32).tobytes())
    assert jnp.fromfile(tmp_path / "numbers", jnp.float32, offset=4).tolist() == [1, 2, 3]
    assert jnp.einsum_path("ij,jk,k->i", jnp.ones((2, 3)), jnp.ones((3, 4)), jnp.ones(4))[0] == [
        "einsum_path", (1, 2), (0, 1)]


def test_names_of_dtypes():
    assert (jnp.int_, jnp.uint, jnp.float_, jnp.complex_) == (
        jnp.int32, jnp.uint32, jnp.float32, jnp.complex64)
    with config.using(default_bits=64):
        assert (jnp.int_, jnp.float_) == (jnp.int64, jnp.float64)
    assert "float_" in dir(jnp) and not hasattr(jnp, "DEFAULTS_")
    assert jnp.zeros(2, jnp.int4).dtype == jnp.int4
    assert float(jnp.float8_e4m3(1.07)) == 1.125
    assert not jnp.issubdtype(jnp.float32, jnp.character)
    assert jnp.issubdtype(jnp.float4_e2m1fn, jnp.floating)


# -- universal functions ---------------------------------------------------------------------------

UFUNCS = ("add bitwise_and bitwise_or bitwise_xor logaddexp logaddexp2 logical_and logical_or "
          "logical_xor maximum minimum multiply subtract").split()
SMALL = RNG.integers(1, 9, (4, 3)).astype(np.int32)
MASK = np.array([[True], [False], [True], [True]])


@pytest.mark.parametrize("name", UFUNCS)
def test_methods_of_universal_functions(name):
    ours, theirs = getattr(jnp, name), getattr(np, name)
    x = SMALL > 4 if "logical" in name else SMALL
    start = name in ("maximum", "minimum", "subtract", "add") and 3
    for found, wanted in [
            (ours.reduce(x), theirs.reduce(x)),
            (ours.reduce(x, 1, keepdims=True), theirs.reduce(x, 1, keepdims=True)),
            (ours.reduce(x, where=MASK, initial=start or None),
             theirs.reduce(x, where=MASK, **({"initial": start} if start else {}))),
            (ours.reduceat(x, [0, 2, 1]), theirs.reduceat(x, [0, 2, 1])),
            (ours.accumulate(x, 1), theirs.accumulate(x, 1)),
            (ours.outer(x[0], x[1:, 1]), theirs.outer(x[0], x[1:, 1]))]:
        np.testing.assert_allclose(np.asarray(found), wanted, 1e-6)
        assert np.asarray(found).dtype.kind == wanted.dtype.kind
    if name not in ("logaddexp", "logaddexp2"):
        wanted = x.copy()
        theirs.at(wanted, np.array([0, 0, 2]), x[1])
        assert ours.at(x, [0, 0, 2], x[1]).tolist() == wanted.tolist()
    assert ours.identity == theirs.identity and (ours.nin, ours.nout, ours.nargs) == (2, 1, 3)


def test_universal_functions():
    assert isinstance(jnp.add, jnp.ufunc) and repr(jnp.add) == "<ufunc 'add'>"
    assert pickle.loads(pickle.dumps(jnp.add)) is jnp.add
    assert jnp.negative.at([1, 2], [0, 0, 1]).tolist() == [1, -2]
    assert jnp.maximum.reduce(jnp.ones((2, 0, 3)), axis=(0, 2)).shape == (0,)
    assert jnp.bitwise_or.reduce(jnp.array([[1, 2], [4, 8]]), axis=None) == 15
    assert jnp.add.reduce(jnp.ones(0)) == 0 and jnp.add.reduce([True, True]) == 2
    step = jnp.frompyfunc(lambda x, y: x * y + 1, 2, 1, identity=0)
    assert step.reduce(jnp.arange(4)) == 16 and step(jnp.arange(3), 2).tolist() == [1, 3, 5]
    assert arraylib.jit(step.accumulate)(jnp.array([1, 2, 3])).tolist() == [1, 3, 10]
    assert arraylib.grad(lambda x: jnp.subtract.reduce(x))(jnp.ones(3)).tolist() == [1, -1, -1]
    total = arraylib.vmap(lambda x: jnp.logaddexp.reduce(x))(jnp.zeros((2, 4)))
    np.testing.assert_allclose(total, np.log([4, 4]), 1e-6)
    for call, words in [(lambda: jnp.negative.reduce([1]), "takes 1 and returns 1"),
                        (lambda: jnp.subtract.reduce(jnp.ones(0)), "no elements are left"),
                        (lambda: jnp.maximum.reduce([1], where=[True]), "no identity"),
                        (lambda: jnp.add.at([1], [0]), "takes 2 arrays"),
                        (lambda: jnp.add.at([1], [0], 1, inplace=True), "cannot be changed")]:
        with pytest.raises((ArgumentError, ShapeError), match=words):
            call()


@settings(max_examples=8, deadline=None)
@given(arrays(np.int64, (2, 6), elements=st.integers(-2 ** 63, 2 ** 63 - 1)))
def test_divisors_of_wide_integers(x):
    a, b = (jnp.array(row, "int64") for row in x)
    assert np.asarray(jnp.gcd(a, b)).tolist() == np.gcd(*x).tolist()
    assert np.asarray(jnp.lcm(a, b)).tolist() == np.lcm(*x).tolist()


def test_dtypes_are_complex_or_not():
    assert jnp.iscomplexobj(jnp.complex64) and not jnp.iscomplexobj(jnp.float32)
    assert jnp.isrealobj(jnp.float32) and not jnp.isrealobj(jnp.complex64)
    assert jit(lambda x: x + jnp.iscomplexobj(jnp.complex64))(1) == 2
