"""Matrices of a known form, and functions of matrices, agree with SciPy: one table of calls."""

import numpy as np
import pytest
import scipy.linalg

import arraylib
import arraylib.numpy as jnp
from arraylib.errors import ArgumentError, ShapeError
from arraylib.scipy import linalg

RNG = np.random.default_rng(3)
C, R = RNG.normal(size=5), RNG.normal(size=3)
Z = C + 1j * RNG.normal(size=5)
SQUARE, OTHER = RNG.normal(size=(4, 4)), RNG.normal(size=(3, 3))
TALL = RNG.normal(size=(5, 3))

CALLS = [
    ("toeplitz", (C,), {}), ("toeplitz", (C, R), {}), ("toeplitz", (Z,), {}),
    ("hankel", (C,), {}), ("hankel", (C, R), {}), ("circulant", (Z,), {}),
    ("companion", (C,), {}), ("convolution_matrix", (C, 3), {}),
    ("convolution_matrix", (C, 3), {"mode": "same"}),
    ("convolution_matrix", (R, 6), {"mode": "same"}),
    ("convolution_matrix", (R, 6), {"mode": "valid"}), ("dft", (5,), {}), ("dft", (4, "n"), {}),
    ("dft", (3, "sqrtn"), {}), ("fiedler", (C,), {}), ("fiedler_companion", (C,), {}),
    ("fiedler_companion", (RNG.normal(size=8),), {}), ("fiedler_companion", (R[:2],), {}),
    ("hadamard", (8,), {}), ("helmert", (4,), {}), ("helmert", (4, True), {}),
    ("hilbert", (4,), {}), ("invhilbert", (5,), {}), ("pascal", (5,), {}),
    ("pascal", (4, "lower"), {}),
    ("invpascal", (5,), {}), ("invpascal", (4, "upper"), {}), ("leslie", (R, R[:2]), {}),
    ("block_diag", (SQUARE, R, 2.0, TALL), {}), ("expm", (SQUARE,), {}),
    ("expm", (30 * OTHER,), {}), ("expm", (1j * SQUARE,), {}), ("expm", (np.zeros((2, 2)),), {}),
    ("expm_frechet", (SQUARE, SQUARE.T.copy()), {}), ("polar", (TALL,), {}),
    ("polar", (TALL.T.copy(),), {"side": "left"}), ("polar", (SQUARE + 1j * SQUARE.T,), {}),
    ("solve_sylvester", (SQUARE, OTHER, RNG.normal(size=(4, 3))), {}),
    ("eigh_tridiagonal", (C, C[:4]), {"eigvals_only": True}),
    ("eigh_tridiagonal", (C, C[:4]), {"eigvals_only": True, "select": "i", "select_range": (1, 3)}),
]


@pytest.mark.parametrize("name, args, words", CALLS,
                         ids=[f"{i}-{call[0]}" for i, call in enumerate(CALLS)])
def test_like_scipy(name, args, words):
    given = [jnp.array(x, x.dtype) if isinstance(x, np.ndarray) else x for x in args]
    found = getattr(linalg, name)(*given, **words)
    wanted = getattr(scipy.linalg, name)(*args, **words)
    wide = any(isinstance(x, np.ndarray) for x in args)
    for ours, theirs in zip(*[x if isinstance(x, tuple) else (x,) for x in (found, wanted)]):
        scale = np.abs(theirs).max(initial=1e-300)
        np.testing.assert_allclose(np.asarray(ours) / scale, theirs / scale,
                                   *((1e-10, 1e-13) if wide else (1e-6, 1e-6)))


def test_products_with_an_orthogonal_factor():
    for mode, c in (("left", OTHER), ("right", TALL.T)):
        product, r = linalg.qr_multiply(jnp.array(TALL, "float64"), jnp.array(c, "float64"), mode)
        q = np.asarray(jnp.linalg.qr(jnp.array(TALL, "float64"))[0])
        np.testing.assert_allclose(product, q @ c if mode == "left" else c @ q, 1e-12)
        np.testing.assert_allclose(np.abs(q @ np.asarray(r)), np.abs(TALL), 1e-12)
    d, e = jnp.array(C, "float64"), jnp.array(C[:4], "float64")
    values, vectors = linalg.eigh_tridiagonal(d, e)
    whole = np.diag(C) + np.diag(C[:4], 1) + np.diag(C[:4], -1)
    values, vectors = np.asarray(values), np.asarray(vectors)
    np.testing.assert_allclose(whole @ vectors, vectors * values, 0, 1e-12)


def test_batches_and_derivatives():
    both = jnp.array(np.stack([SQUARE, 3 * SQUARE]), "float64")
    np.testing.assert_allclose(linalg.expm(both)[1], scipy.linalg.expm(3 * SQUARE), 1e-10)
    slope = arraylib.grad(lambda x: linalg.expm(x).sum())(both[0])
    step = 1e-5 * np.eye(1, 16).reshape(4, 4)
    wanted = (scipy.linalg.expm(SQUARE + step) - scipy.linalg.expm(SQUARE - step)).sum() / 2e-5
    assert float(slope[0, 0]) == pytest.approx(wanted, 1e-6)
    assert np.isnan(np.asarray(linalg.expm(jnp.full((1, 1), 1e8)))).all()
    assert arraylib.grad(lambda c: linalg.toeplitz(c).sum())(jnp.ones(3)).tolist() == [3, 4, 2]
    assert linalg.toeplitz(jnp.ones((2, 3))).shape == linalg.circulant(jnp.ones((2, 3))).shape


def test_mistakes():
    for call in (lambda: linalg.hadamard(6), lambda: linalg.dft(2, "half"),
                 lambda: linalg.pascal(2, "none"), lambda: linalg.hilbert(-1),
                 lambda: linalg.convolution_matrix(jnp.ones(2), 0),
                 lambda: linalg.convolution_matrix(jnp.ones((2, 0)), 3),
                 lambda: linalg.helmert(0), lambda: linalg.dft(2, dtype="float32"),
                 lambda: linalg.polar(jnp.ones((2, 2)), "top"),
                 lambda: linalg.qr_multiply(jnp.ones((2, 2)), jnp.ones(2), "middle"),
                 lambda: linalg.eigh_tridiagonal(jnp.ones(2), jnp.ones(1), select="v")):
        with pytest.raises(ArgumentError):
            call()
    for call in (lambda: linalg.companion(1.0), lambda: linalg.leslie(jnp.ones(2), jnp.ones(2)),
                 lambda: linalg.block_diag(jnp.ones((1, 1, 1))),
                 lambda: linalg.leslie(jnp.ones(1), jnp.ones(0)),
                 lambda: linalg.fiedler_companion(jnp.ones(0)),
                 lambda: linalg.convolution_matrix(1.0, 2),
                 lambda: linalg.expm_frechet(jnp.ones((1, 1)), jnp.ones((2, 2))),
                 lambda: linalg.solve_sylvester(*[jnp.ones((k, k)) for k in (1, 2, 1)]),
                 lambda: linalg.eigh_tridiagonal(jnp.ones(2), jnp.ones(2))):
        with pytest.raises(ShapeError):
            call()


def test_batches_of_matrices():
    c, r = RNG.normal(size=(2, 1, 3)), RNG.normal(size=(5, 4))
    both = np.asarray(linalg.hankel(c, r))
    assert both.shape == (2, 5, 3, 4)
    np.testing.assert_allclose(both[1, 2], scipy.linalg.hankel(c[1, 0], r[2]), 1e-6)
    assert linalg.hankel(jnp.ones(0), jnp.ones(4)).shape == (0, 4)
    assert linalg.invhilbert(0).shape == (0, 0)
    found = np.asarray(linalg.fiedler_companion(r))
    np.testing.assert_allclose(found[2], scipy.linalg.fiedler_companion(r[2]), 1e-5)
    assert linalg.fiedler_companion(jnp.ones((3, 1))).shape == (3, 0, 0)


def test_batches_of_sylvesters_equation():
    a, x = SQUARE, RNG.normal(size=(2, 4, 3))
    b = RNG.normal(size=(2, 1, 3, 3))
    found = linalg.solve_sylvester(*[jnp.array(v, "float64") for v in (a, b, a @ x + x @ b)])
    np.testing.assert_allclose(found, np.broadcast_to(x, (2, 2, 4, 3)), 1e-7)
    assert np.isnan(linalg.solve_sylvester(jnp.array(a), -jnp.array(a), jnp.ones((4, 4)),
                                           tol=1e-4)).all()


def test_products_with_factors_of_ordered_columns():
    q, r, order = scipy.linalg.qr(SQUARE[:, :3], pivoting=True, mode="economic")
    product, ours, own = linalg.qr_multiply(SQUARE[:, :3], SQUARE, pivoting=True)
    np.testing.assert_array_equal(own, order)
    np.testing.assert_allclose(product, SQUARE @ q, 1e-4, 1e-5)
    np.testing.assert_allclose(ours, r, 1e-4, 1e-5)
