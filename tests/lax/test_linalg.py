"""Factors of matrices under the names that `lax.linalg` has them by: the results of JAX."""

import jax
import numpy as np
import pytest

from arraylib import lax
from arraylib.errors import ArgumentError
from tests.support.agreement import assert_same


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


COMPLEX = (normal(5, 3) + 1j * normal(5, 3, seed=1)).astype(np.complex64)


@pytest.mark.parametrize("x", [normal(5, 5), normal(2, 5, 3), normal(3, 5), COMPLEX], ids=str)
def test_lu_and_qr(x):
    assert_same(lax.linalg.lu(x), jax.lax.linalg.lu(x), 1e-3, 1e-4)
    for full in (True, False):
        assert_same(lax.linalg.qr(x, full_matrices=full),
                    jax.lax.linalg.qr(x, full_matrices=full), 1e-3, 1e-4)
    with pytest.raises(ArgumentError, match="pivoting is not supported"):
        lax.linalg.qr(x, pivoting=True)


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
