"""LAPACK's routines in programs of JAX: their derivatives are JAX's, and vmap takes batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.numpy import linalg
from jax.scipy.linalg import cho_factor, cho_solve, solve_triangular

import arraylib
from arraylib import export
from arraylib.errors import TraceError


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def positive(a):
    return a @ a.mT + 4 * jnp.eye(a.shape[-1])


def joined(x, y):
    """Complex numbers of real ones, as derivatives of both frameworks agree on."""
    return jax.lax.complex(x, y)


SQUARE, TALL, WIDE, BATCH = numbers(5, 5), numbers(6, 4), numbers(4, 6), numbers(2, 3, 3)
PAIR = numbers(4, 4), numbers(4, 4, seed=1)

CASES = {
    "cholesky": (lambda a: linalg.cholesky(positive(a)), SQUARE),
    "cho_solve": (lambda a, b: cho_solve(cho_factor(positive(a)), b), SQUARE, SQUARE[:, :2]),
    "upper": (lambda a: linalg.cholesky(positive(a), upper=True), SQUARE),
    "solve": (linalg.solve, SQUARE, numbers(5, 2, seed=2)),
    "triangular": (lambda a, b: solve_triangular(a, b, trans=1), SQUARE, SQUARE[0]),
    "lu": (lambda a: jax.lax.linalg.lu(a)[0], SQUARE),
    "lu tall": (lambda a: jax.lax.linalg.lu(a)[0], TALL),
    "lu wide": (lambda a: jax.lax.linalg.lu(a)[0], WIDE),
    "det of many": (linalg.det, BATCH),
    "qr": (linalg.qr, SQUARE),
    "qr tall": (linalg.qr, TALL),
    "eigh": (lambda a: [jnp.abs(x) for x in linalg.eigh(a + a.mT)], SQUARE),
    "eigvalsh": (lambda a: linalg.eigvalsh(a + a.mT), BATCH),
    "svd": (lambda a: [jnp.abs(x) for x in linalg.svd(a, full_matrices=False)], TALL),
    "svd wide": (lambda a: [jnp.abs(x) for x in linalg.svd(a, full_matrices=False)], WIDE),
    "svd values": (lambda a: linalg.svd(a, compute_uv=False), TALL),
    "complex solve": (lambda x, y: jnp.abs(linalg.solve(joined(x, y), joined(y, x))), *PAIR),
    "complex qr": (lambda x, y: jnp.abs(linalg.qr(joined(x, y))[1]), *PAIR),
    "complex eigh": (lambda x, y: linalg.eigh(joined(x + x.T, y - y.T))[0], *PAIR),
    "complex svd": (lambda x, y: linalg.svd(joined(x, y), full_matrices=False)[1], *PAIR),
}


def total(function):
    """A number made of all results, each with weights of its own."""
    def call(*args):
        outs = jax.tree.leaves(function(*args))
        return sum((o * numbers(*o.shape, seed=i + 9)).sum() for i, o in enumerate(outs))
    return call


def close(found, wanted, tolerance=2e-4):
    for a, b in zip(found, wanted, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        np.testing.assert_allclose(a, b, atol=tolerance * max(np.abs(b).max(), 1))


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_jax(name):
    function, *args = CASES[name]
    loaded = export.deserialize(jax.jit(function).lower(*args).as_text())
    places = tuple(range(len(args)))
    wanted = jax.jit(jax.value_and_grad(total(function), places))(*args)
    found = arraylib.jit(arraylib.value_and_grad(total(loaded.call), places))(*args)
    close([found[0], *found[1]], [wanted[0], *wanted[1]])


@pytest.mark.parametrize("name", ["solve", "qr", "eigh", "svd values"])
def test_second_derivatives_agree_with_differences_of_first(name):
    function, *args = CASES[name]
    loaded = export.deserialize(jax.jit(function).lower(*args).as_text())
    slope = arraylib.jit(arraylib.grad(total(loaded.call)))
    along, step = numbers(*args[0].shape, seed=5), 1e-2
    _, found = arraylib.jvp(lambda a: slope(a, *args[1:]), (args[0],), (along,))
    here, there = (np.asarray(slope(args[0] + d * along, *args[1:])) for d in (-step, step))
    np.testing.assert_allclose(found, (there - here) / (2 * step), rtol=0.05,
                               atol=0.02 * np.abs(found).max())


@pytest.mark.parametrize("name", ["solve", "lu", "qr", "svd values", "eigh"])
def test_vmap_takes_a_batch(name):
    function, *args = CASES[name]
    loaded = export.deserialize(jax.jit(function).lower(*args).as_text())
    batches = [numbers(3, *x.shape, seed=i) for i, x in enumerate(args)]
    found = arraylib.jit(arraylib.vmap(loaded.call))(*batches)
    each = [loaded.call(*xs) for xs in zip(*batches)]
    close(found, [np.stack([np.asarray(x) for x in column]) for column in zip(*each)])


def test_eigenvalues_of_any_matrix_have_a_derivative():
    function = jax.jit(lambda a: linalg.eigvals(a).real)
    loaded = export.deserialize(function.lower(SQUARE).as_text())
    close(np.sort(np.asarray(loaded.call(SQUARE)[0])), np.sort(np.linalg.eigvals(SQUARE).real))
    found = arraylib.grad(lambda a: (loaded.call(a)[0] ** 2).sum())(SQUARE)
    close(found, jax.grad(lambda a: (function(a) ** 2).sum())(SQUARE))


def test_routines_without_a_known_derivative_say_so():
    loaded = export.deserialize(jax.jit(lambda a: jax.lax.linalg.hessenberg(a)[0]).lower(
        SQUARE).as_text())
    with pytest.raises(TraceError, match="gehrd: the derivative of this routine of LAPACK"):
        arraylib.grad(lambda a: loaded.call(a)[0].sum())(SQUARE)
    whole = export.deserialize(jax.jit(linalg.svd).lower(TALL).as_text())
    with pytest.raises(TraceError, match="full_matrices=False"):
        arraylib.grad(lambda a: whole.call(a)[0].sum())(TALL)
