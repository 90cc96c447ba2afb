"""Factors of matrices under the names that `lax.linalg` has them by: the results of JAX."""

import re
from functools import partial

import jax
import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import lax
from arraylib.errors import ArgumentError, DtypeError, ShapeError
from tests.support.agreement import assert_same

WAYS = pytest.mark.parametrize("way", [lambda f: f, arraylib.jit], ids=["eager", "jit"])


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


COMPLEX = (normal(5, 3) + 1j * normal(5, 3, seed=1)).astype(np.complex64)


@pytest.mark.parametrize("x", [normal(5, 5), normal(2, 5, 3), normal(3, 5), COMPLEX], ids=str)
def test_lu_and_qr(x):
    assert_same(lax.linalg.lu(x), jax.lax.linalg.lu(x), 1e-3, 1e-4)
    for full in (True, False):
        assert_same(lax.linalg.qr(x, full_matrices=full),
                    jax.lax.linalg.qr(x, full_matrices=full), 1e-3, 1e-4)
        *ours, order = lax.linalg.qr(x, pivoting=True, full_matrices=full)
        *truth, expected = jax.lax.linalg.qr(x, pivoting=True, full_matrices=full)
        assert_same(order, expected)
        assert_same(ours, truth, 1e-3, 1e-4)


@pytest.mark.parametrize("x", [normal(5, 3), normal(2, 40, 40), COMPLEX],
                         ids=lambda x: str(x.shape))
def test_products_of_reflections(x):
    vectors, taus = jax.numpy.linalg.qr(x, "raw")
    vectors = np.array(np.swapaxes(vectors, -1, -2))
    taus = np.array(taus)
    assert_same(lax.linalg.householder_product(vectors, taus),
                jax.lax.linalg.householder_product(vectors, taus), 1e-3, 1e-4)
    rows = x.shape[-2]
    for left in (True, False):
        c = normal(*x.shape[:-2], *((rows, 4) if left else (4, rows))).astype(x.dtype)
        for transpose in (True, False):
            assert_same(
                lax.linalg.ormqr(vectors, taus, c, left=left, transpose=transpose),
                jax.lax.linalg.ormqr(vectors, taus, c, left=left, transpose=transpose), 1e-3, 1e-4)


def test_pivots_as_an_order():
    pivots = np.int32([[2, 3, 2], [0, 1, 2]])
    assert_same(lax.linalg.lu_pivots_to_permutation(pivots, 5),
                jax.lax.linalg.lu_pivots_to_permutation(pivots, 5))


@WAYS
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int64", "uint64"])
def test_pivots_of_any_integers(way, dtype):
    order = way(partial(lax.linalg.lu_pivots_to_permutation, permutation_size=200))
    pivots = np.array([[2, 3, 127], [0, 1, 2]], dtype)
    assert_same(order(arraylib.numpy.array(pivots, dtype=pivots.dtype)),
                jax.lax.linalg.lu_pivots_to_permutation(pivots.astype(np.int32), 200))


@WAYS
@pytest.mark.parametrize("pivots, limited", [
    (np.int32([7, -3, 2]), [4, 0, 2]), (np.int32([10**6, 1, 2]), [4, 1, 2]),
    (np.int8([127, -128, 5]), [4, 0, 4]),
    (np.int32([2**31 - 1, -2**31, 0]), [4, 0, 0])], ids=str)
def test_pivots_that_are_no_rows_are_limited(way, pivots, limited):
    order = way(partial(lax.linalg.lu_pivots_to_permutation, permutation_size=5))
    assert_same(order(arraylib.numpy.array(pivots, dtype=pivots.dtype)),
                jax.lax.linalg.lu_pivots_to_permutation(np.int32(limited), 5))


@WAYS
@pytest.mark.parametrize("pivots, size, error, match", [
    (np.int32([0, 1, 2]), 2, ShapeError, "2 rows, but pivots of shape (3,)"),
    (np.int32([0]), -1, ShapeError, "-1 rows, but pivots of shape (1,)"),
    (np.int32(1), 4, ShapeError, "4 rows, but pivots of shape ()"),
    (np.float32([0, 1]), 4, DtypeError, "pivots of float32"),
    (np.array([True]), 4, DtypeError, "pivots of bool")], ids=str)
def test_what_is_no_pivots_is_refused(way, pivots, size, error, match):
    with pytest.raises(error, match=re.escape(match)):
        way(partial(lax.linalg.lu_pivots_to_permutation, permutation_size=size))(pivots)


@WAYS
@pytest.mark.parametrize("a, taus, problem", [
    ((3, 5), (3,), "a has 3 rows, fewer than its 5 columns"),
    ((5, 3), (4,), "a has shape (5, 3), but taus have shape (4,)"),
    ((5, 3), (), "a has shape (5, 3), but taus have shape ()"),
    ((5, 3), (2, 3), "a has shape (5, 3), but taus have shape (2, 3)"),
    ((2, 5, 3), (3,), "a has shape (2, 5, 3), but taus have shape (3,)"),
    ((2, 5, 3), (3, 3), "a has shape (2, 5, 3), but taus have shape (3, 3)")])
def test_products_of_what_is_no_reflections_are_refused(way, a, taus, problem):
    with pytest.raises(ShapeError, match=re.escape(problem)):
        way(lax.linalg.householder_product)(normal(*a), normal(*taus))


@WAYS
@pytest.mark.parametrize("a, taus, c, left, problem", [
    ((5, 3), (3,), (4, 2), True, "a has shape (5, 3), but c has shape (4, 2)"),
    ((5, 3), (3,), (5, 2), False, "a has shape (5, 3), but c has shape (5, 2)"),
    ((5, 3), (4,), (5, 2), True, "a has shape (5, 3), but taus have shape (4,)"),
    ((3, 5), (4,), (3, 2), True, "a has shape (3, 5), but taus have shape (4,)"),
    ((2, 5, 3), (3, 3), (2, 5, 2), True, "(2, 5, 3), but taus have shape (3, 3)"),
    ((2, 5, 3), (2, 3), (3, 5, 2), True, "(2, 5, 3), but c has shape (3, 5, 2)"),
    ((2, 5, 3), (2, 3), (5, 2), True, "(2, 5, 3), but c has shape (5, 2)"),
    ((5, 3), (3,), (2, 5, 2), True, "(5, 3), but c has shape (2, 5, 2)")])
def test_reflections_of_what_does_not_fit_are_refused(way, a, taus, c, left, problem):
    with pytest.raises(ShapeError, match=re.escape(problem)):
        way(partial(lax.linalg.ormqr, left=left))(normal(*a), normal(*taus), normal(*c))


@WAYS
@pytest.mark.parametrize("shape, count", [((3, 5), 3), ((5, 3), 2), ((2, 5, 3), 1)])
def test_fewer_reflections_than_columns(way, shape, count):
    vectors, taus = normal(*shape), 0.1 * normal(*shape[:-2], count)
    c = normal(*shape[:-2], shape[-2], 4)
    assert_same(way(lax.linalg.ormqr)(vectors, taus, c),
                jax.lax.linalg.ormqr(vectors, taus, c), 1e-3, 1e-4)
    if shape[-2] >= shape[-1]:
        assert_same(way(lax.linalg.householder_product)(vectors, taus),
                    jax.lax.linalg.householder_product(vectors, taus), 1e-3, 1e-4)


def test_eigenvalues_and_singular_values():
    x = normal(3, 4, 4)
    for lower in (True, False):
        v, w = lax.linalg.eigh(x, lower=lower, symmetrize_input=False)
        assert_same(w, jax.lax.linalg.eigh(x, lower=lower, symmetrize_input=False)[1], 1e-3, 1e-5)
        half = np.tril(x) if lower else np.triu(x)
        whole = half + np.swapaxes(half, -1, -2) - x * np.eye(4, dtype=np.float32)
        assert_same(whole @ np.array(v), v * w[:, None, :], 1e-3, 1e-4)
    u, s, vh = lax.linalg.svd(x, full_matrices=False)
    assert_same((u * s[:, None, :]) @ vh, x, 1e-3, 1e-4)
    assert_same(lax.linalg.svd(x, compute_uv=False), s, 1e-3, 1e-5)


def _tridiagonal(seed, batch=(), m=5, n=2):
    random = np.random.default_rng(seed)
    draw = [random.normal(size=(*batch, m)).astype(np.float32) for _ in range(3)]
    draw[0][..., :1] = draw[2][..., -1:] = 0
    return [*draw, random.normal(size=(*batch, m, n)).astype(np.float32)]


@pytest.mark.parametrize("batch, m, n", [((), 5, 2), ((2, 3), 4, 1), ((), 1, 2), ((2,), 0, 2)])
def test_tridiagonal_systems(batch, m, n):
    dl, d, du, b = _tridiagonal(m, batch, m, n)
    whole = sum(x[..., :, None] * np.eye(m, k=k) for x, k in ((dl, -1), (d, 0), (du, 1)))
    x = lax.linalg.tridiagonal_solve(dl, d, du, b)
    assert x.shape == b.shape and x.dtype == "float32"
    np.testing.assert_allclose(x, np.linalg.solve(whole.astype(float), b), rtol=2e-4, atol=2e-4)


def test_tridiagonal_systems_with_pivots_and_derivatives():
    dl, d, du, b = _tridiagonal(1)
    d[0] = 0.0  # which needs the row below
    for i in range(4):
        args = (dl, d, du, b)
        ours = arraylib.grad(lambda *xs: lax.linalg.tridiagonal_solve(*xs).sum(), i)(*args)
        truth = jax.grad(lambda *xs: jax.lax.linalg.tridiagonal_solve(*xs).sum(), i)(*args)
        inner = slice(1, None) if i == 0 else slice(None, -1) if i == 2 else slice(None)
        np.testing.assert_allclose(ours[inner], truth[inner], rtol=1e-3, atol=1e-3)
    dl[0] = du[-1] = np.nan  # not read
    assert np.isfinite(lax.linalg.tridiagonal_solve(dl, d, du, b)).all()
    with pytest.raises(ShapeError, match=r"\(\.\.\., m\) for"):
        lax.linalg.tridiagonal_solve(dl, d[:4], du, b)
    assert_same(lax.linalg.tridiagonal_solve(dl, d, du, b, perturb_singular=True),
                lax.linalg.tridiagonal_solve(dl, d, du, b), 1e-5)


@WAYS
def test_singular_tridiagonal_systems(way):
    zero, ones = jnp.zeros(3), jnp.ones((3, 1))
    assert not np.isfinite(way(lax.linalg.tridiagonal_solve)(zero, zero, zero, ones)).any()
    given = [jnp.array(x) for x in ([0.0, 1.0], [1.0, 3.0], [3.0, 0.0], [[1.0], [4.0]])]
    assert not np.isfinite(way(lax.linalg.tridiagonal_solve)(*given)).all()
    changed = way(lambda *xs: lax.linalg.tridiagonal_solve(*xs, perturb_singular=True))
    assert np.isfinite(changed(zero, zero, zero, ones)).all()
    x = np.asarray(changed(*given))
    assert np.isfinite(x).all() and (np.abs(x) > 1e6).all()


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("x", [normal(4, 4), normal(2, 3, 3), normal(1, 1),
                               normal(4, 4) + 1j * normal(4, 4, seed=1)],
                         ids=lambda x: str(x.shape))
def test_tridiagonal_forms(x, lower):
    assert_same(lax.linalg.tridiagonal(x, lower=lower),
                jax.lax.linalg.tridiagonal(x, lower=lower), 1e-3, 1e-4)


def test_products_and_updates_of_symmetric_matrices():
    a, c, w = normal(2, 3, 4), normal(2, 3, 3), normal(3)
    found = lax.linalg.symmetric_product(a, c, alpha=2.0, beta=0.5, symmetrize_output=True)
    expected = np.tril(2 * a @ a.mT + 0.5 * c)
    assert_same(found, expected + np.tril(expected, -1).mT, 1e-4)
    r, w = (np.asarray(x, np.float64) for x in (np.triu(c[0]), w))
    found = np.asarray(lax.linalg.cholesky_update(*(jnp.array(x, "float64") for x in (r, w))))
    np.testing.assert_allclose(found.T @ found, r.T @ r + np.outer(w, w), 1e-9)
    np.testing.assert_array_equal(found, np.triu(found))
    np.testing.assert_array_equal(lax.linalg.cholesky_update(jnp.zeros((2, 2)), jnp.zeros(2)), 0)
    with pytest.raises(ShapeError, match="c has shape"):
        lax.linalg.symmetric_product(a, c[0])
    with pytest.raises(ShapeError, match="of one size"):
        lax.linalg.cholesky_update(r, w[:2])


def test_some_of_the_singular_and_eigenvalues():
    x = normal(2, 5, 3)
    u, s, vt = lax.linalg.svd(x, full_matrices=False, subset_by_index=(1, 3),
                              algorithm=lax.linalg.SvdAlgorithm.QR)
    whole = lax.linalg.svd(x, full_matrices=False)
    assert_same([u, s, vt], [whole[0][..., 1:], whole[1][:, 1:], whole[2][:, 1:]])
    v, w = lax.linalg.eigh(x[:, :3], subset_by_index=(0, 2))
    whole = lax.linalg.eigh(x[:, :3])
    assert_same([v, w], [whole[0][..., :2], whole[1][:, :2]])
    with pytest.raises(ArgumentError, match="subset_by_index"):
        lax.linalg.svd(x, subset_by_index=(1, 3))
    with pytest.raises(ArgumentError, match="of 3 eigenvalues"):
        lax.linalg.eigh(x[:, :3], subset_by_index=(2, 4))
