"""Programs as JAX prints them, with operands: the StableHLO that people bring."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def numbers(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def mlp(w1, w2, x, y):
    def loss(w1, w2):
        return ((jnp.tanh(x @ w1) @ w2 - y) ** 2).mean()
    return jax.value_and_grad(loss, (0, 1))(w1, w2)


def attention(q, k, v):
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / 3.0
    mask = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(jnp.where(mask, scores, -1e9)), v)


def resnet_block(x, kernel, scale):
    def conv(x):
        return lax.conv_general_dilated(x, kernel, (1, 1), "SAME",
                                        dimension_numbers=("NHWC", "HWIO", "NHWC"))
    def norm(x):
        return (x - x.mean((0, 1, 2))) * lax.rsqrt(x.var((0, 1, 2)) + 1e-5) * scale
    def block(x):
        pooled = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return (jax.nn.relu(norm(conv(jax.nn.relu(norm(conv(x))))) + x)).sum() + pooled.sum()
    return jax.value_and_grad(block)(x)


def rnn(w, h, xs):
    def step(h, x):
        h = jnp.tanh(w @ h + x)
        return h, h.sum()
    def loss(w):
        last, sums = lax.scan(step, h, xs)
        return last.sum() + sums.mean()
    return lax.scan(step, h, xs), jax.grad(lambda w: lax.scan(
        lambda h, x: (jnp.tanh(w @ h + x), h.sum()), h, xs)[1].sum())(w)


def sampling(seed):
    key = jax.random.key(seed)
    first, second = jax.random.split(key)
    return jax.random.normal(first, (5,)), jax.random.uniform(second, (3, 2)), \
        jax.random.randint(key, (4,), 0, 100), jax.random.permutation(first, 6)


def lapack(a, b):
    spd = a @ a.T + 4 * jnp.eye(a.shape[0])
    q, r = jnp.linalg.qr(a)
    return (jnp.linalg.cholesky(spd), jnp.linalg.solve(spd, b), q @ r, jnp.linalg.eigvalsh(spd),
            jnp.linalg.svd(a, compute_uv=False), jnp.linalg.det(a), jnp.linalg.inv(spd),
            jax.scipy.linalg.lu(a)[2], jnp.linalg.eigh(spd)[0])


def loops(x, n):
    total = lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * 1.1 + c[0]), (0, x))
    branch = lax.cond(n > 3, lambda x: jnp.sin(x), lambda x: -x, x)
    return total, branch, lax.switch(n, [jnp.abs, jnp.exp, lambda x: x * x], x), \
        lax.fori_loop(0, 4, lambda i, y: y + x[i], jnp.float32(0))


def orders(x, i):
    return (lax.top_k(x, 3), jnp.sort(x), jnp.argsort(x, axis=0), jnp.argmax(x, 1),
            jnp.argmin(x), lax.sort((i, x[0]), num_keys=2), jnp.cumsum(x, 0), jnp.median(x),
            lax.cumlogsumexp(x), jnp.unique(i, size=3), jnp.searchsorted(jnp.sort(x[0]), x[1]))


def transforms(x):
    return jnp.fft.fft(x), jnp.fft.rfft(x).real, jnp.fft.irfft(jnp.fft.rfft(x)), \
        jnp.fft.fft2(x)


def indexing(x, i, v):
    return (x[i], x.at[i].add(v), x.at[i].set(v), x[:, ::-1], jnp.take_along_axis(x, i[:, None], 1),
            x.at[i].max(v), lax.dynamic_slice(x, (i[0], i[1]), (2, 2)),
            jax.ops.segment_sum(v, i, 4), jnp.roll(x, 1, 0), jnp.kron(x[:2, :2], v[:2, :2]))


def special(x):
    return (lax.erf(x), lax.erfc(x), lax.erf_inv(x / 4), lax.lgamma(x), lax.digamma(x + 4),
            jnp.sinh(x), jnp.arcsinh(x), jnp.arctan2(x, x + 1), jnp.cbrt(x), jnp.expm1(x),
            lax.population_count(x.astype(int)), jnp.round(x), jax.nn.gelu(x),
            jnp.float8_e4m3fn(x).astype(float), x.astype(jnp.bfloat16), lax.clamp(-1.0, x, 1.0),
            lax.reduce_precision(x, 5, 10), jnp.logaddexp(x, -x), x.astype(jnp.int4).astype(int))


PROGRAMS = {
    "mlp": (mlp, [numbers(3, 4), numbers(4, 2), numbers(5, 3), numbers(5, 2)]),
    "attention": (attention, [numbers(2, 5, 2, 4, seed=i) for i in range(3)]),
    "resnet_block": (resnet_block, [numbers(2, 6, 6, 3), numbers(3, 3, 3, 3), numbers(3)]),
    "rnn": (rnn, [numbers(4, 4), numbers(4), numbers(6, 4)]),
    "sampling": (sampling, [np.int32(7)]),
    "lapack": (lapack, [numbers(4, 4), numbers(4)]),
    "loops": (loops, [numbers(4), np.int32(2)]),
    "orders": (orders, [numbers(4, 5), np.array([2, 0, 2, 1, 0], np.int32)]),
    "transforms": (transforms, [numbers(4, 8)]),
    "indexing": (indexing, [numbers(5, 4), np.array([1, 0, 3, 1, 2], np.int32), numbers(5, 4)]),
    "special": (special, [numbers(3, 7)]),
}


@functools.cache
def printed(name, debug=False):
    """The StableHLO of a program, with locations if `debug`."""
    function, arrays = PROGRAMS[name]
    return jax.jit(function).lower(*arrays).as_text(debug_info=debug)


@functools.cache
def results(name):
    """What JAX computes, as a list of arrays."""
    function, arrays = PROGRAMS[name]
    return [np.asarray(x) for x in jax.tree.leaves(jax.jit(function)(*arrays))]
