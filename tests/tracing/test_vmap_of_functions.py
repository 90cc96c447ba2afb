"""vmap of control flow, indexing, linear algebra and random numbers: each is a loop over examples.

What every operation owes is in tests/hlo/test_ops.py; these are functions made of many of them.
"""

import itertools

import jax
import numpy as np
import pytest

import arraylib as al
import arraylib.numpy as jnp
from arraylib import grad, lax, nn, random, vmap

COUNT = 3
rng = np.random.default_rng(0)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


X, A, M = normal(COUNT, 4), normal(COUNT, 4, 4), normal(COUNT, 5, 3)
S = A @ A.transpose(0, 2, 1) + 4 * np.eye(4, dtype=np.float32)
AT = np.array([0, 3, 2], np.int32)
SEEDS = np.array([7, 1, 5], np.uint32)


def drawn(f):
    """A function of a seed, which is a number, and so has an axis of its own."""
    return lambda seed, *xs: f(random.key(seed), *xs)


def spread(x):
    return abs(x) + 0.1


def rejected(key, x):
    """Rejection sampling: every example has its own number of steps."""
    return random.gamma(key, spread(x)), random.beta(key, spread(x), 2.0)


FUNCTIONS = {
    "while": (lambda x, i: lax.while_loop(lambda c: c[0].sum() < 20 + i, lambda c: (
        c[0] * 1.3 + 1, c[1] + 1), (abs(x), 0)), X, AT),
    "fori": (lambda x, i: lax.fori_loop(0, i, lambda j, c: c * 1.1 + j, x), X, AT),
    "fori, gradient": (lambda x, i: grad(lambda x: lax.fori_loop(
        0, i, lambda j, c: c * 1.1 + jnp.sin(c), x, max_steps=5).sum())(x), X, AT),
    "cond": (lambda x, i: lax.cond(i > 1, jnp.sin, lambda x: x * 2, x), X, AT),
    "cond of what fails elsewhere": (lambda x, i: grad(lambda x: lax.cond(
        x[0] > 0, lambda x: jnp.log(x[0]) + i, lambda x: x[0], x))(x), X, AT),
    "switch": (lambda x, i: lax.switch(i, [jnp.sin, jnp.cos, lambda x: x, lambda x: -x], x), X, AT),
    "scan": (lambda x, a: lax.scan(lambda c, row: (jnp.tanh(row * c), c), x, a), X, A),
    "scan, gradient": (lambda x, a: grad(lambda x: lax.scan(
        lambda c, row: (jnp.tanh(row * c), c), x, a)[0].sum())(x), X, A),
    "associative_scan": (lambda x: lax.associative_scan(jnp.multiply, x), X),
    "map": (lambda x, i: lax.map(lambda v: v * i, x), X, AT),
    "sort": (lambda x, i: (jnp.sort(x) + i, jnp.argsort(x), jnp.lexsort((x, -x))), X, AT),
    "sort of pairs": (lambda x, y: lax.sort((x, y), num_keys=1), X, X[::-1].copy()),
    "top_k": (lambda x: lax.top_k(x, 2), X),
    "searchsorted": (lambda x, y: jnp.searchsorted(jnp.sort(x), y), X, X[::-1].copy()),
    "indexing": (lambda x, i: (jnp.asarray(x)[i], jnp.take(x, jnp.stack([i, 0 * i]))), X, AT),
    "updates": (lambda x, i: (jnp.asarray(x).at[i].set(1.0), jnp.asarray(x).at[i].multiply(2.0),
                              jnp.asarray(x).at[jnp.stack([i, i])].add(3.0)), X, AT),
    "slices": (lambda x, i: (lax.dynamic_slice(x, (i,), (2,)), lax.dynamic_update_slice(
        x, jnp.ones(2), (i,))), X, AT),
    "segment_sum": (lambda x, i: al.ops.segment_sum(x, jnp.stack([i, i, 0 * i, 0 * i]), 4), X, AT),
    "cholesky": (jnp.linalg.cholesky, S),
    "solve": (jnp.linalg.solve, S, X),
    "determinants": (lambda a: (jnp.linalg.det(a), jnp.linalg.slogdet(a)), A),
    "eigh": (lambda a: jnp.linalg.eigh(a)[0], S),
    "svd, qr": (lambda a: (jnp.linalg.svd(a)[1], abs(jnp.linalg.qr(a)[1]), jnp.linalg.pinv(a)), M),
    "triangular": (lambda a, b: al.scipy.linalg.solve_triangular(a, b, lower=True), S, X),
    "fft": (lambda x: (jnp.fft.fft(x).real, abs(jnp.fft.rfft(x))), X),
    "convolution": (lambda x, w: lax.conv(x[None, None], w[None, None], (1, 1), "SAME"), A,
                    normal(COUNT, 2, 2)),
    "windows": (lambda x: lax.reduce_window(x, -np.inf, lax.max, (2, 2), (1, 1), "VALID"), A),
    "einsum": (lambda x, y: jnp.einsum("ij,jk,k->i", x, x, y), A, X),
    "attention": (lambda q: nn.dot_product_attention(*[q[None, :, None, :]] * 3), A),
    "hessian": (lambda x: al.hessian(lambda x: (x ** 3).sum() * x[0])(x), X),
    "normal": (drawn(lambda key: random.normal(key, (3,))), SEEDS),
    "uniform, randint": (drawn(lambda key: (random.uniform(key, (3,)),
                                            random.randint(key, (3,), 0, 100))), SEEDS),
    "rejection": (drawn(rejected), SEEDS, X),
    "categorical": (drawn(random.categorical), SEEDS, X),
    "permutation": (drawn(lambda key, x: random.permutation(key, x)), SEEDS, X),
    "choice": (drawn(lambda key: random.choice(key, 5, (3,), replace=False)), SEEDS),
    "keys": (drawn(lambda key, i: (random.key_data(random.split(key, 2)), random.key_data(
        random.fold_in(key, i)))), SEEDS, AT),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_vmap_is_a_loop(name):
    """Over each operand alone, and over all: what does not vary is that of the second example."""
    f, *operands = FUNCTIONS[name]
    for has in itertools.product((True, False), repeat=len(operands)):
        if not any(has):
            continue
        given = [x if h else x[1] for x, h in zip(operands, has)]
        mapped = vmap(f, in_axes=tuple(0 if h else None for h in has))
        alone = [f(*[x[j] if h else x for x, h in zip(given, has)]) for j in range(COUNT)]
        for found, *wanted in zip(al.tree.leaves(mapped(*given)), *map(al.tree.leaves, alone),
                                  strict=True):
            assert found.dtype == wanted[0].dtype
            np.testing.assert_allclose(found, np.stack(wanted), rtol=3e-4, atol=3e-4)


def test_random_numbers_of_many_keys_are_jax_s():
    def draw(lib):
        f = lambda seed: (lib.random.normal(lib.random.key(seed), (3,)),
                          lib.random.bernoulli(lib.random.key(seed), 0.3, (4,)))
        return lib.vmap(f)(SEEDS)
    for found, wanted in zip(draw(al), draw(jax)):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
