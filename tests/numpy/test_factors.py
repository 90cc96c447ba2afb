"""Systems of equations, determinants, QR, eigenvalues: the results and the slopes of JAX."""

import jax
import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib.errors import ArgumentError, DtypeError, ShapeError
from tests.support.agreement import agree, assert_same

theirs = jax.numpy


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


A, MANY, TALL, WIDE = normal(5, 5), normal(3, 4, 4), normal(6, 4), normal(4, 6)
COMPLEX = (normal(4, 4) + 1j * normal(4, 4, seed=1)).astype(np.complex64)


@pytest.mark.parametrize("a, b", [
    (A, normal(5)), (A, normal(5, 2)), (MANY, normal(4)), (MANY, normal(3, 4, 2)),
    (MANY[:, None], normal(2, 4, 1)), (COMPLEX, normal(4, 3)), (normal(70, 70), normal(70))],
    ids=str)
def test_solve(a, b):
    agree("linalg.solve", a, b, rtol=1e-3, atol=1e-4)


def test_singular_systems_are_those_of_jax():
    for a in (np.zeros((4, 4)), np.ones((3, 3)), np.diag([1.0, 0.0, 2.0])):
        agree("linalg.solve", np.float32(a), np.ones(len(a), np.float32))


@pytest.mark.parametrize("a", [
    A, MANY, COMPLEX, normal(1, 1), normal(2, 2), normal(2, 3, 3), normal(40, 40),
    np.zeros((4, 4), np.float32), np.zeros((2, 0, 0), np.float32), np.int32([[1, 2], [3, 4]])],
    ids=lambda a: str(a.shape))
def test_determinants(a):
    agree("linalg.det", a, rtol=1e-3, atol=1e-5)
    agree("linalg.slogdet", a, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("a", [A, MANY, COMPLEX], ids=lambda a: str(a.shape))
def test_inverses_and_powers(a):
    agree("linalg.inv", a, rtol=1e-3, atol=1e-4)
    agree("linalg.matrix_power", a, -2, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("a", [A, MANY, TALL, WIDE, COMPLEX], ids=lambda a: str(a.shape))
def test_qr(a):
    for mode in ("reduced", "complete", "r"):
        agree("linalg.qr", a, mode, rtol=1e-3, atol=1e-5)
    q, r = jnp.linalg.qr(a)
    assert_same(q @ r, a, 1e-4, 1e-5)


def test_eigenvalues_of_symmetric_matrices():
    for a in (A, MANY, COMPLEX):
        agree("linalg.eigvalsh", a, rtol=1e-3, atol=1e-5)
        agree("linalg.eigvalsh", a, "U", symmetrize_input=False, rtol=1e-3, atol=1e-5)
        w, v = jnp.linalg.eigh(a)
        whole = (a + np.conj(np.swapaxes(a, -1, -2))) / 2
        assert_same(whole @ v, v * w[..., None, :], 1e-3, 1e-4)


def test_singular_values():
    for a in (A, MANY, TALL, WIDE, COMPLEX):
        agree("linalg.svdvals", a, rtol=1e-3, atol=1e-5)
        for full in (True, False):
            u, s, vh = jnp.linalg.svd(a, full_matrices=full)
            k = s.shape[-1]
            assert_same((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], a, 1e-3, 1e-4)


def test_what_singular_values_tell():
    low = TALL[:, :1] * TALL[:1]
    for a in (A, TALL, WIDE, low):
        agree("linalg.pinv", a, rtol=1e-3, atol=1e-4)
        agree("linalg.matrix_rank", a)
    agree("linalg.cond", A, rtol=1e-3)
    for ord in (2, -2, "nuc"):
        agree("linalg.norm", TALL, ord, rtol=1e-4)
        agree("linalg.norm", MANY, ord, (0, 2), True, rtol=1e-4)
    for b in (normal(6), normal(6, 2)):
        agree("linalg.lstsq", TALL, b, rtol=1e-3, atol=1e-5)
    agree("linalg.lstsq", WIDE, normal(4), rtol=1e-3, atol=1e-5)


SLOPES = {
    "solve": (lambda np_, a, b: np_.linalg.solve(a, b), A, normal(5, 2)),
    "solve many": (lambda np_, a, b: np_.linalg.solve(a, b), normal(9, 4, 4), normal(4)),
    "inv": (lambda np_, a: np_.linalg.inv(a), A),
    "det": (lambda np_, a: np_.linalg.det(a), A),
    "det of three rows": (lambda np_, a: np_.linalg.det(a), np.ones((3, 3), np.float32)),
    "slogdet": (lambda np_, a: np_.linalg.slogdet(a)[1], MANY),
    "qr": (lambda np_, a: np_.linalg.qr(a)[1], TALL),
    "eigh": (lambda np_, a: np_.linalg.eigvalsh(a), A),
    "svd": (lambda np_, a: np_.linalg.svd(a, compute_uv=False), WIDE),
    "pinv": (lambda np_, a: np_.linalg.pinv(a), TALL),
}


@pytest.mark.parametrize("name", SLOPES)
def test_derivatives_are_those_of_jax(name):
    function, *args = SLOPES[name]

    def total(np_):
        return lambda *xs: (np_.sin(function(np_, *xs)) * 0.5).sum()

    places = tuple(range(len(args)))
    mine = arraylib.grad(total(jnp), places)(*args)
    assert_same(mine, jax.grad(total(theirs), places)(*args), 1e-3, 1e-3)
    moved = [normal(*x.shape, seed=5) for x in args]
    assert_same(arraylib.jvp(total(jnp), args, moved)[1],
                jax.jvp(total(theirs), args, moved)[1], 1e-3, 1e-3)


def test_second_derivatives_of_systems():
    b = normal(5)
    assert_same(arraylib.hessian(lambda a: jnp.linalg.solve(a, b).sum())(A),
                jax.hessian(lambda a: theirs.linalg.solve(a, b).sum())(A), 1e-2, 1e-2)


def test_batches():
    found = arraylib.vmap(jnp.linalg.solve, (0, None))(MANY, MANY[0])
    assert_same(found, np.linalg.solve(MANY, np.broadcast_to(MANY[0], MANY.shape)), 1e-3, 1e-4)
    assert_same(arraylib.vmap(jnp.linalg.det)(MANY), np.linalg.det(MANY), 1e-3, 1e-5)


@pytest.mark.parametrize("call, error, message", [
    (lambda: jnp.linalg.solve(TALL, A), ShapeError, "ends in no square matrix"),
    (lambda: jnp.linalg.solve(A, normal(4)), ShapeError, "a is of size 5, but b has 4 rows"),
    (lambda: jnp.linalg.inv(A[0]), ShapeError, "inv: a has shape .5,., which ends in no square"),
    (lambda: jnp.linalg.qr(A[0]), ShapeError, "qr: 1 axes; a matrix has 2"),
    (lambda: jnp.linalg.qr(A, "full"), ArgumentError, "mode = 'full'"),
    (lambda: jnp.linalg.eigh(A, "X"), ArgumentError, "UPLO = 'X'"),
    (lambda: jnp.linalg.lstsq(A, normal(4)), ShapeError, "a has 5 rows, but b has shape"),
    (lambda: jnp.linalg.inv(A.astype(np.float16)), DtypeError, "no factors of float16")])
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


# -- eigenvalues of any square matrix --------------------------------------------------------------

SPREAD = np.diag(np.float32([1, 2, 3, 4])) + 0.3 * normal(4, 4)


def in_order(w, *vectors):
    order = np.lexsort((np.imag(w).round(3), np.real(w).round(3)), axis=-1)
    return (np.take_along_axis(w, order, -1),
            *(np.take_along_axis(np.array(v), order[..., None, :], -1) for v in vectors))


@pytest.mark.parametrize("a", [A, MANY, COMPLEX, normal(1, 1), np.zeros((2, 0, 0), np.float32)],
                         ids=lambda a: str(a.shape))
def test_eigenvalues(a):
    w, v = jnp.linalg.eig(a)
    assert w.dtype == v.dtype == np.complex64
    assert_same(a @ np.array(v), v * w[..., None, :], 1e-3, 1e-4)
    ours, = in_order(np.array(jnp.linalg.eigvals(a)))
    wanted, = in_order(np.linalg.eigvals(a.astype(np.complex128)))
    np.testing.assert_allclose(ours, wanted, rtol=1e-3, atol=1e-4)
    w, left, _ = arraylib.lax.linalg.eig(a)
    adjoint = np.conj(np.swapaxes(np.array(left), -1, -2))
    assert_same(adjoint @ a, w[..., None] * adjoint, 1e-3, 1e-4)


@pytest.mark.parametrize("a", [SPREAD, COMPLEX, np.stack([SPREAD, A[:4, :4]])],
                         ids=["real", "complex", "many"])
def test_derivatives_of_eigenvalues_and_vectors(a):
    """JAX's, which is asked for those of vectors; in one order of the eigenvalues."""
    t = normal(*a.shape, seed=3).astype(a.dtype)
    (w, left, right), (dw, dleft, dright) = arraylib.jvp(
        lambda x: tuple(arraylib.lax.linalg.eig(x)), (a,), (t,))
    theirs_w, theirs_t = jax.jvp(lambda x: tuple(jax.lax.linalg.eig(
        x, enable_eigvec_derivs=True)), (a,), (t,))
    mine = in_order(np.array(w), left, right, dleft, dright)
    wanted = in_order(np.array(theirs_w[0]), *theirs_w[1:], *theirs_t[1:])
    for x, y in zip(mine, wanted, strict=True):
        np.testing.assert_allclose(np.abs(x), np.abs(y), rtol=2e-2, atol=2e-3)
    np.testing.assert_allclose(np.sum(dw, -1), np.sum(np.array(theirs_t[0]), -1), rtol=1e-2,
                               atol=1e-3)


def test_gradients_of_eigenvalues():
    def total(np_):
        return lambda x: (np_.abs(np_.linalg.eigvals(x)) ** 2).sum()
    for a in (SPREAD, np.stack([SPREAD, A[:4, :4]])):
        np.testing.assert_allclose(arraylib.grad(total(jnp))(a), jax.grad(total(theirs))(a),
                                   rtol=1e-2, atol=1e-3)


def test_eigenvalues_of_what_is_no_number_are_nan():
    a = np.stack([SPREAD, np.full((4, 4), np.nan, np.float32)])
    assert np.isnan(jnp.linalg.eigvals(a)[1]).all() and np.isfinite(jnp.linalg.eigvals(a)[0]).all()
    assert np.isnan(jnp.linalg.eigvalsh(a)[1]).all()
    assert_same(jnp.linalg.eigvalsh(a)[0], np.linalg.eigvalsh((SPREAD + SPREAD.T) / 2), 1e-3, 1e-5)
    assert np.isnan(jnp.linalg.svdvals(a)[1]).all() and np.isfinite(jnp.linalg.svdvals(a)[0]).all()


# -- derivatives of determinants -------------------------------------------------------------------


def cofactors(a):
    """By determinants of what is left without a row and a column, in float64."""
    rows = range(len(a))
    return np.array([[(-1) ** (i + j) * np.linalg.det(
        np.delete(np.delete(a.astype("float64"), i, 0), j, 1)) for j in rows] for i in rows])


def of_rank(n, rank):
    return normal(n, rank) @ normal(rank, n, seed=1)


SINGULAR = {
    "regular": normal(5, 5), "zeros": np.zeros((4, 4), np.float32),
    "rank 4 of 5": of_rank(5, 4), "rank 3 of 5": of_rank(5, 3), "rank 1": np.ones((4, 4), "f"),
    "a column of zeros": normal(4, 4) * np.float32([0, 1, 1, 1]),
    "a row of zeros": normal(4, 4) * np.float32([[1], [0], [1], [1]]),
    "two equal rows": normal(4, 4)[[0, 1, 1, 3]], "shifts": np.eye(6, k=1, dtype="f"),
    "shifts by two": np.eye(6, k=2, dtype="f"), "integers": np.arange(16, dtype="f").reshape(4, 4),
    "a small column of zeros": normal(6, 6) * np.float32([0, *[1e-6] * 5]),
    "a large column of zeros": normal(6, 6) * np.float32([0, *[1e6] * 5])}


@pytest.mark.parametrize("name", SINGULAR)
def test_derivatives_of_determinants_of_singular_matrices(name):
    a = SINGULAR[name]
    wanted, size = cofactors(a), float(np.abs(a).max()) ** (len(a) - 1)
    np.testing.assert_allclose(arraylib.grad(jnp.linalg.det)(a), wanted, rtol=1e-3,
                               atol=3e-5 * size)
    t = normal(*a.shape, seed=9)
    np.testing.assert_allclose(arraylib.jvp(jnp.linalg.det, (a,), (t,))[1], (wanted * t).sum(),
                               rtol=1e-3, atol=1e-4 * size)


def test_derivatives_of_determinants_in_batches_and_twice():
    a = np.stack([SINGULAR[name] for name in ("a column of zeros", "rank 1", "zeros")])
    a = np.concatenate([a, normal(2, 4, 4)])
    found = arraylib.vmap(arraylib.grad(jnp.linalg.det))(a)
    np.testing.assert_allclose(found, [cofactors(x) for x in a], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        arraylib.hessian(jnp.linalg.det)(a[3]), jax.hessian(theirs.linalg.det)(a[3]), rtol=1e-2,
        atol=1e-3)
    complexes = arraylib.grad(jnp.linalg.det, holomorphic=True)(COMPLEX)
    np.testing.assert_allclose(complexes, jax.grad(theirs.linalg.det, holomorphic=True)(COMPLEX),
                               rtol=1e-3, atol=1e-4)
