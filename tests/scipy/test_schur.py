"""Schur's and Hessenberg's forms, and what is computed from them, agree with SciPy."""

from functools import partial

import numpy as np
import pytest
import scipy.linalg

import arraylib
import arraylib.numpy as jnp
from arraylib import lax
from arraylib.errors import ArgumentError, ShapeError, TraceError
from arraylib.hlo.schur import schur as host_schur
from arraylib.scipy import linalg

RNG = np.random.default_rng(8)


def kinds(n):
    """Matrices that are hard in different ways."""
    a = RNG.normal(size=(n, n))
    yield from (a, a + 1j * RNG.normal(size=(n, n)), a - a.T, np.round(a), np.triu(a), a + a.T)
    cycle = np.roll(np.eye(n), 1, 0)  # no shift moves it
    yield from (cycle, cycle.astype(complex), np.eye(n, k=1), np.zeros((n, n)))
    yield from (a * 1e300, a * 1e-300, np.exp(8 * a))


def check(a, t, z, tolerance):
    size = np.abs(a).max(initial=0) or 1
    assert np.abs(z @ (t / size) @ z.conj().T - a / size).max(initial=0) < tolerance
    assert np.abs(z.conj().T @ z - np.eye(len(a))).max(initial=0) < tolerance
    below = np.diag(t / size, -1)
    assert not np.tril(t, -2).any() and (t.dtype.kind == "f" or not below.any())
    for i in np.flatnonzero(below):  # a pair of complex eigenvalues
        assert t[i, i] == t[i + 1, i + 1] and np.sign(t[i, i + 1]) == -np.sign(t[i + 1, i])
        assert not i or not below[i - 1]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 7, 20])
def test_forms_on_the_host(n):
    for _ in range(3 if n < 10 else 1):
        for a in kinds(n):
            t, z, ended = host_schur(a)
            assert ended
            check(a, t, z, 1e-14 * max(n, 5))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_forms(dtype):
    a = RNG.normal(size=(2, 6, 6)) + (1j * RNG.normal(size=(2, 6, 6)) if dtype[0] == "c" else 0)
    a = a.astype(dtype)
    x, close = jnp.asarray(a, dtype), {"float32": 2e-5, "complex64": 2e-5}.get(dtype, 1e-13)
    for output in ("real", "complex"):
        find = partial(linalg.schur, output=output)
        for found in (find(x), arraylib.jit(arraylib.vmap(find))(x)):
            t, z = map(np.asarray, found)
            assert t.dtype == z.dtype == (np.result_type(dtype, np.complex64)
                                          if output == "complex" else dtype)
            for i in range(2):
                check(a[i], t[i], z[i], close)
    h, q = (np.asarray(v) for v in linalg.hessenberg(x, calc_q=True))
    wanted = np.stack([scipy.linalg.hessenberg(each) for each in a])
    np.testing.assert_allclose(h, wanted, atol=close)
    np.testing.assert_allclose(q @ h @ q.conj().swapaxes(-1, -2), a, atol=close)
    np.testing.assert_array_equal(arraylib.jit(linalg.hessenberg)(x), linalg.hessenberg(x))
    t, z = (np.asarray(v) for v in linalg.rsf2csf(*linalg.schur(x)))
    for i in range(2):
        check(a[i], t[i], z[i], close)
    alone = lax.linalg.schur(x, compute_schur_vectors=False)
    np.testing.assert_allclose(alone, linalg.schur(x)[0], atol=close)


def test_forms_without_elements_and_of_no_numbers():
    for n in (0, 1, 2):
        a = jnp.ones((3, n, n))
        assert linalg.schur(a)[1].shape == linalg.hessenberg(a, calc_q=True)[1].shape == a.shape
        assert linalg.sqrtm(a).shape == linalg.funm(a, jnp.exp).shape == a.shape
    bad = jnp.array([[[1.0, 2.0], [0.0, np.nan]], [[1.0, 2.0], [3.0, 4.0]]])
    t, z = linalg.schur(bad)
    for x in (t, z, linalg.sqrtm(bad)):
        assert np.isnan(np.asarray(x[0])).all() and np.isfinite(np.asarray(x[1])).all()


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_roots_and_functions(dtype):
    many = np.stack([a + 6 * np.eye(5) for a in list(kinds(5))[:4]])
    many = many.astype(dtype) if dtype[0] == "c" else many.real.astype(dtype)
    x, close = jnp.asarray(many, dtype), 1e-5 if dtype in ("float32", "complex64") else 1e-12
    found = linalg.sqrtm(x)
    assert found.dtype == np.result_type(dtype, np.complex64)
    wanted = np.stack([scipy.linalg.sqrtm(a.astype(complex)) for a in many])
    np.testing.assert_allclose(found, wanted, close, close * 9)
    np.testing.assert_allclose(arraylib.jit(linalg.sqrtm)(x), found, close, close * 9)
    for function, wanted in ((jnp.exp, scipy.linalg.expm), (jnp.log, scipy.linalg.logm)):
        found, error = arraylib.jit(partial(linalg.funm, func=function, disp=False))(x[:2])
        expected = np.stack([wanted(a) for a in many[:2].astype(complex)])
        np.testing.assert_allclose(found, expected, 50 * close, 50 * close * np.abs(expected).max())
        assert error.shape == (2,) and 0 < float(error.max()) < 1e4 * close


def test_roots_of_singular_matrices():
    a = np.diag([0.0, 0.0, 4.0]) + 0.0
    np.testing.assert_allclose(linalg.sqrtm(jnp.array(a)), np.sqrt(a), atol=1e-6)
    assert not np.isfinite(np.asarray(linalg.sqrtm(jnp.array([[0.0, 1.0], [0.0, 0.0]])))).all()
    turned = linalg.sqrtm(jnp.array([[-1.0, 0.0], [0.0, -4.0]]))
    np.testing.assert_allclose(turned, [[1j, 0], [0, 2j]], atol=1e-6)


@pytest.mark.parametrize("call, error, text", [
    (lambda a: linalg.schur(a, "other"), ArgumentError, "output = 'other'"),
    (lambda a: linalg.schur(a[0]), ShapeError, "schur"),
    (lambda a: linalg.rsf2csf(a, jnp.ones((2, 2))), ShapeError, "Z \\(2, 2\\)"),
    (lambda a: lax.linalg.schur(a, sort_eig_vals=True), ArgumentError, "cannot be sorted"),
    (lambda a: linalg.funm(a[:2], jnp.exp), ShapeError, "funm"),
    (lambda a: arraylib.grad(lambda a: linalg.schur(a)[0].sum())(a), TraceError, "gees")])
def test_mistakes(call, error, text):
    with pytest.raises(error, match=text):
        call(jnp.ones((3, 3)))
