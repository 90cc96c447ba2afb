"""Cholesky factors and triangular systems agree with SciPy and JAX."""

import jax.numpy as theirs
import jax.scipy.linalg as their_linalg
import numpy as np
import pytest
import scipy.linalg
from agreement import agree, assert_same, numbers

import arraylib.numpy as jnp
from arraylib import grad, jit, vmap
from arraylib.errors import ArgumentError, ShapeError
from arraylib.scipy import linalg


def positive(shape, dtype=np.float32):
    a = numbers(shape, dtype)
    return (a @ a.conj().swapaxes(-1, -2) + 2 * np.eye(shape[-1])).astype(dtype)


A, C = positive((4, 4)), positive((4, 4), np.complex64)


@pytest.mark.parametrize("a", [A, C])
@pytest.mark.parametrize("lower", [False, True])
def test_factors(a, lower):
    assert_same(linalg.cholesky(a, lower), scipy.linalg.cholesky(a, lower), 1e-5, 1e-5)
    one_half = np.tril(a) if lower else np.triu(a)
    assert_same(linalg.cholesky(one_half, lower), linalg.cholesky(a, lower))
    for b in (numbers((4,), a.dtype), numbers((4, 2), a.dtype)):
        factor = linalg.cho_factor(a, lower)
        assert factor[1] is lower
        assert_same(linalg.cho_solve(factor, b), np.linalg.solve(a, b), 1e-4, 1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_factors_of_numpy(dtype):
    a = positive((2, 3, 3), dtype)
    a[1, 2, 0] += 0.5  # no longer symmetric
    for upper in (False, True):
        for symmetrize in (False, True):
            agree("linalg.cholesky", a, upper=upper, symmetrize_input=symmetrize, rtol=1e-5)
    agree("linalg.cholesky", np.int32([[4, 2], [2, 3]]))
    agree("linalg.cholesky", np.float32([[[1, 2], [2, 1]], [[2, 1], [1, 2]]]))


@pytest.mark.parametrize("trans", [0, 1, 2, "N", "T", "C"])
@pytest.mark.parametrize("lower, unit_diagonal", [(False, False), (True, True)])
def test_triangular_systems(trans, lower, unit_diagonal):
    for b in (numbers((4,)), numbers((4, 3))):
        for a in (A / 4, C / 4):
            mine = linalg.solve_triangular(a, b, trans, lower, unit_diagonal)
            expected = scipy.linalg.solve_triangular(a, b, trans, lower, unit_diagonal)
            assert_same(mine, expected, 1e-4, 1e-4)


def test_batches_broadcast():
    a, b = positive((2, 1, 3, 3)), numbers((5, 3, 2))
    mine = linalg.solve_triangular(a, b)
    assert mine.shape == (2, 5, 3, 2)
    for i, j in np.ndindex(2, 5):
        assert_same(mine[i, j], scipy.linalg.solve_triangular(a[i, 0], b[j]), 1e-4, 1e-5)
    factor = linalg.cho_factor(a)
    assert_same(linalg.cho_solve(factor, b), np.linalg.solve(a, b), 1e-4, 1e-4)
    row = numbers((3,))
    assert_same(linalg.cho_solve(factor, row), np.linalg.solve(a, row[:, None])[..., 0], 1e-4, 1e-4)


def test_transforms():
    def loss(jnp, linalg):
        def f(a, b):
            sym = a @ a.T + 3 * jnp.eye(4)
            x = linalg.cho_solve((linalg.cholesky(sym, lower=True), True), b)
            return (x * linalg.solve_triangular(sym, b, trans=1)).sum()
        return f

    b, many = numbers((4,)), np.stack([A / 9, C.real / 9])
    mine, expected = loss(jnp, linalg), loss(theirs, their_linalg)
    for a in many:
        want = np.asarray([expected(a, b)])
        assert_same(np.asarray([mine(a, b)]), want, 1e-4)
    from_jax = np.stack([np.asarray(expected(a, b)) for a in many])
    assert_same(jit(vmap(mine, (0, None)))(many, b), from_jax, 1e-4)
    step = numbers((4, 4), seed=5) * 1e-2
    wide = lambda a: mine(jnp.array(a, "float64"), jnp.array(b, "float64"))
    slope = (wide(many[0] + step) - wide(many[0] - step)) / 2
    found = (grad(mine)(jnp.array(many[0], "float64"), jnp.array(b, "float64")) * step).sum()
    assert float(found) == pytest.approx(float(slope), rel=1e-3)


def test_mistakes():
    with pytest.raises(ArgumentError, match="solve_triangular: trans = 3"):
        linalg.solve_triangular(A, A, 3)
    with pytest.raises(ShapeError, match=r"cho_solve: a has shape \(4, 3\), which ends in no"):
        linalg.cho_solve((A[:, :3], True), A)
    with pytest.raises(ShapeError, match=r"solve_triangular: a has 4 columns, but b has shape \(3"):
        linalg.solve_triangular(A, A[:3])
    with pytest.raises(ShapeError, match=r"cholesky: a has shape \(4,\), which ends in no square"):
        jnp.linalg.cholesky(A[0])


# -- LU --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trans", [0, 1, 2])
def test_lu_solves(trans):
    for b in (A[0], A[:, :3]):
        mine = linalg.lu_solve(linalg.lu_factor(A), b, trans)
        assert_same(mine, scipy.linalg.lu_solve(scipy.linalg.lu_factor(A), b, trans), 1e-3, 1e-4)


def test_lu_in_parts():
    for a in (A, A[:3], A[:, :3]):
        for permute_l in (False, True):
            for mine, wanted in zip(linalg.lu(a, permute_l), scipy.linalg.lu(a, permute_l),
                                    strict=True):
                assert_same(mine, wanted, 1e-4, 1e-5)


def test_what_numpy_has_too():
    b, positive = A[:, :2], A @ A.T + np.eye(len(A), dtype=A.dtype)
    assert_same(linalg.solve(positive, b, assume_a="pos"), linalg.solve(positive, b), 1e-3, 1e-3)
    assert_same(linalg.inv(A) @ A, np.eye(len(A), dtype=A.dtype), 1e-3, 1e-4)
    assert_same(linalg.det(A), np.linalg.det(A), 1e-4)
    for mode, columns in (("full", 4), ("economic", 3)):
        q, r = linalg.qr(A[:, :3], mode=mode)
        assert q.shape == (4, columns)
        assert_same(q @ r, A[:, :3], 1e-4, 1e-5)
    (w, _), only = linalg.eigh(positive), linalg.eigh(positive, eigvals_only=True)
    assert_same(w, only, 1e-4, 1e-5)
    assert_same(linalg.svd(A)[1], linalg.svd(A, compute_uv=False), 1e-4, 1e-5)
    for mode in ("full", "economic", "r"):
        wide = A[:3]
        ours, truth = (m.qr(wide, mode=mode, pivoting=True) for m in (linalg, scipy.linalg))
        assert_same(ours[-1], truth[-1].astype(np.int32))
        assert_same(ours[:-1], truth[:-1], 1e-4, 1e-5)
    with pytest.raises(ArgumentError, match="b is given"):
        linalg.eigh(A, A)
    with pytest.raises(ArgumentError, match="lu_solve: trans = 3"):
        linalg.lu_solve(linalg.lu_factor(A), A, 3)
