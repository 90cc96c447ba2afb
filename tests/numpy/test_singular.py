"""Singular values of Hermitian matrices, pseudo-inverses, conditions, ranks, least squares."""

import jax
import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib.errors import ArgumentError, ShapeError
from tests.support.agreement import assert_same

WAYS = pytest.mark.parametrize("way", [lambda f: f, arraylib.jit], ids=["eager", "jit"])


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


SQUARE = normal(2, 4, 4)
COMPLEX = (SQUARE + 1j * normal(2, 4, 4, seed=1)).astype(np.complex64)


@WAYS
@pytest.mark.parametrize("a", [SQUARE, COMPLEX], ids=["real", "complex"])
def test_hermitian_matrices(way, a):
    whole = (a + a.mT.conj()) / 2
    u, s, vh = way(lambda x: jnp.linalg.svd(x, hermitian=True))(jnp.array(a))
    assert_same(s, np.linalg.svd(whole, compute_uv=False), 1e-4, 1e-5)
    assert_same(jnp.matmul(u * s[:, None, :], vh), whole, 1e-4, 1e-5)
    assert_same(way(lambda x: jnp.linalg.pinv(x, hermitian=True))(jnp.array(a)),
                np.linalg.pinv(whole, hermitian=True), 1e-3, 1e-4)
    low = whole[..., :2] @ whole[..., :2].mT.conj()
    assert way(lambda x: jnp.linalg.matrix_rank(x, rtol=1e-4, hermitian=True))(
        jnp.array(low)).tolist() == [2, 2]


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)], ids=str)
def test_slopes_of_pseudo_inverses_where_singular_values_are_equal(shape):
    x, t = np.eye(*shape, dtype=np.float32), normal(*shape)
    assert_same(arraylib.jvp(jnp.linalg.pinv, (jnp.array(x),), (jnp.array(t),)),
                jax.jvp(jax.numpy.linalg.pinv, (x,), (t,)), 1e-4, 1e-5)
    loss = lambda m: lambda x: (m.linalg.pinv(x) * t.T).sum()
    assert_same(arraylib.jit(arraylib.grad(loss(jnp)))(jnp.array(x)),
                jax.grad(loss(jax.numpy))(x), 1e-4, 1e-5)


def test_phases_of_complex_determinants_have_slopes():
    x, t = COMPLEX[0].astype(np.complex128), COMPLEX[1].astype(np.complex128)
    found = arraylib.jvp(jnp.linalg.slogdet, (jnp.array(x),), (jnp.array(t),))[1]
    change = [np.linalg.slogdet(x + h * t) for h in (1e-6, -1e-6)]
    for i, slope in enumerate(found):
        np.testing.assert_allclose(slope, (change[0][i] - change[1][i]) / 2e-6, 1e-6)
    assert jnp.linalg.slogdet(jnp.zeros((2, 2), "complex64")).sign == 0
    assert jnp.linalg.slogdet(SQUARE, method="qr").sign.tolist() == np.linalg.slogdet(
        SQUARE)[0].tolist()
    with pytest.raises(ArgumentError, match="method = 'svd'"):
        jnp.linalg.slogdet(SQUARE, method="svd")


@pytest.mark.parametrize("p", [None, 2, -2, 1, -1, np.inf, -np.inf, "fro", "nuc"])
def test_conditions(p):
    for way in (lambda f: f, arraylib.jit):
        assert_same(way(lambda x: jnp.linalg.cond(x, p))(jnp.array(SQUARE)),
                    np.linalg.cond(SQUARE, p), 1e-3)


def test_conditions_of_singular_matrices():
    given = np.array([[[0, 0], [0, 0]], [[1, 2], [2, 4]], [[np.nan, 1], [1, 1]]], np.float32)
    assert jnp.isnan(jnp.linalg.cond(given, 1)).tolist() == [False, False, True]
    assert np.isinf(jnp.linalg.cond(given[0]))
    with pytest.raises(ShapeError, match="without elements"):
        jnp.linalg.cond(jnp.zeros((0, 2)))
    with pytest.raises(ShapeError):
        jnp.linalg.cond(jnp.ones((2, 3)), 1)


def test_ranks():
    x = np.diag(np.float32([4, 2, 1]))
    assert int(jnp.linalg.matrix_rank(x, tol=1.5)) == 2 and int(
        jnp.linalg.matrix_rank(x, rtol=0.3)) == 2 and int(jnp.linalg.matrix_rank(x, rtol=0.6)) == 1
    assert [int(jnp.linalg.matrix_rank(v)) for v in (jnp.zeros(3), jnp.ones(3))] == [0, 1]
    with pytest.raises(ArgumentError, match="both given"):
        jnp.linalg.matrix_rank(x, rtol=1.0, tol=1.0)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)], ids=str)
def test_least_squares_as_numpy_has_them(shape):
    a, b = normal(*shape), normal(shape[0], 2)
    assert_same(jnp.linalg.lstsq(a, b, numpy_resid=True), np.linalg.lstsq(a, b), 1e-3, 1e-4,
                dtype=False)
    low = a.copy()
    low[:, -1] = low[:, 0]
    found = jnp.linalg.lstsq(low, b, rcond=1e-4, numpy_resid=True)
    assert found[1].shape == (0,) and found[2] == min(shape[0], shape[1] - 1)
    zero = arraylib.jit(lambda x: jnp.linalg.lstsq(x, b, rcond=-1))(jnp.zeros(shape))
    assert zero[0].tolist() == np.zeros((shape[1], 2)).tolist() and zero[2] == 0


def test_norms_of_matrices_without_elements():
    for ord in (1, 2, np.inf, "fro", "nuc"):
        assert jnp.linalg.matrix_norm(jnp.zeros((3, 0, 2)), ord=ord).tolist() == [0, 0, 0]


def test_settings_of_products():
    a, b = normal(2, 3), normal(3, 4)
    assert_same(jnp.linalg.multi_dot([a, b], precision="highest"), a @ b)
    assert jnp.linalg.vecdot(jnp.ones(3, "bfloat16"), jnp.ones(3, "bfloat16"),
                             preferred_element_type="float32").dtype == "float32"
