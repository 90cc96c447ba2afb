"""What a type checker sees of the library: run by mypy --strict, never by Python."""

from typing import Any, assert_type

import numpy as np

import arraylib
import arraylib.numpy as jnp
from arraylib import Array, lax, nn, optim, random, tree
from arraylib.scipy import linalg, special, stats
from arraylib.sharding import NamedSharding, PartitionSpec as P
from arraylib.typing import ArrayLike, DTypeLike

# Arrays: their making, attributes, operators, methods.
x = jnp.ones((2, 3))
assert_type(x, Array)
assert_type(jnp.array([[1, 2], [3, 4]], dtype=jnp.float32), Array)
assert_type(jnp.asarray(np.ones(3)), Array)
assert_type(jnp.zeros(3, dtype="int32"), Array)
assert_type(jnp.arange(4), Array)
jnp.linspace(0, 1, 5)
assert_type(jnp.eye(3), Array)
assert_type(jnp.full((2, 2), 7.0), Array)
assert_type(jnp.zeros_like(x), Array)
assert_type(x.shape, tuple[int, ...])
assert_type(x.ndim, int)
assert_type(x.size, int)
assert_type(x.T, Array)
assert_type(len(x), int)
assert_type(float(x[0, 0]), float)
assert_type(int(x[0, 0]), int)
assert_type(bool(x.any()), bool)
assert_type(x + 1, Array)
assert_type(1 + x, Array)
assert_type(2.0 * x, Array)
assert_type(x - x, Array)
assert_type(1 / x, Array)
assert_type(x // 2, Array)
assert_type(x % 2, Array)
assert_type(x**2, Array)
assert_type(2**x, Array)
assert_type(x @ x.T, Array)
assert_type(-x, Array)
assert_type(abs(x), Array)
assert_type(~(x > 0), Array)
assert_type(x < 1, Array)
assert_type(x == x, Array)
assert_type((x > 0) & (x < 1), Array)
assert_type(x[0], Array)
assert_type(x[:, None, ..., 1:], Array)
assert_type(x[x > 0], Array)
assert_type(x.at[0].set(1.0), Array)
assert_type(x.at[:, 1].add(x[:, 0]), Array)
assert_type(x.reshape(3, -1), Array)
assert_type(x.astype("int32"), Array)
assert_type(x.sum(axis=0, keepdims=True), Array)
assert_type(x.mean(), Array)
assert_type(x.max(axis=1), Array)
assert_type(x.argmax(), Array)
assert_type(x.transpose(1, 0), Array)
assert_type(x.ravel(), Array)
assert_type(x.squeeze(), Array)
assert_type(x.cumsum(axis=0), Array)
assert_type(x.sort(), Array)
assert_type(x.clip(0, 1), Array)
assert_type(x.round(2), Array)
assert_type(x.block_until_ready(), Array)
assert_type(isinstance(x, jnp.ndarray), bool)
for row in x:
    assert_type(row, Array)

# Functions of NumPy's names.
assert_type(jnp.sin(x), Array)
assert_type(jnp.exp(1.0), Array)
assert_type(jnp.sqrt(x), Array)
assert_type(jnp.add(x, 1), Array)
assert_type(jnp.maximum(x, 0), Array)
assert_type(jnp.logical_and(x > 0, x < 1), Array)
assert_type(jnp.abs(x), Array)
assert_type(jnp.power(x, 2), Array)
assert_type(jnp.clip(x, 0, 1), Array)
jnp.where(x > 0, x, 0.0)
assert_type(jnp.sum(x, axis=-1), Array)
assert_type(jnp.mean(x, axis=(0, 1), keepdims=True), Array)
assert_type(jnp.std(x, ddof=1), Array)
assert_type(jnp.max(x), Array)
assert_type(jnp.argmax(x, axis=1), Array)
assert_type(jnp.any(x > 0), Array)
assert_type(jnp.all(x > 0), Array)
assert_type(jnp.cumsum(x, axis=0), Array)
assert_type(jnp.sort(x), Array)
assert_type(jnp.argsort(x), Array)
assert_type(jnp.median(x), Array)
assert_type(jnp.concatenate([x, x], axis=1), Array)
assert_type(jnp.stack([x, x]), Array)
assert_type(jnp.expand_dims(x, 0), Array)
assert_type(jnp.squeeze(x), Array)
assert_type(jnp.reshape(x, (3, 2)), Array)
assert_type(jnp.transpose(x), Array)
assert_type(jnp.moveaxis(x, 0, 1), Array)
assert_type(jnp.broadcast_to(x, (4, 2, 3)), Array)
assert_type(jnp.repeat(x, 2, axis=0), Array)
assert_type(jnp.tile(x, 2), Array)
assert_type(jnp.roll(x, 1), Array)
assert_type(jnp.pad(x, 1), Array)
assert_type(jnp.dot(x, x.T), Array)
assert_type(jnp.matmul(x, x.T), Array)
assert_type(jnp.einsum("ij,kj->ik", x, x), Array)
assert_type(jnp.tensordot(x, x.T, axes=1), Array)
assert_type(jnp.outer(x[0], x[0]), Array)
assert_type(jnp.take_along_axis(x, jnp.zeros((2, 1), "int32"), axis=1), Array)
assert_type(jnp.interp(x, x[0], x[0]), Array)
assert_type(jnp.allclose(x, x), Array)
assert_type(jnp.linalg.norm(x), Array)
assert_type(jnp.linalg.solve(x @ x.T, x), Array)
assert_type(jnp.linalg.inv(x @ x.T), Array)
assert_type(jnp.fft.fft(x), Array)
assert_type(jnp.float32(1), Array)
assert_type(jnp.pi, float)

# Operations, activations, random numbers, SciPy.
lax.stop_gradient(x)
assert_type(lax.rsqrt(x), Array)
assert_type(lax.select(x > 0, x, x), Array)
assert_type(lax.dynamic_slice(x, (0, 0), (1, 2)), Array)
assert_type(nn.relu(x), Array)
assert_type(nn.gelu(x), Array)
assert_type(nn.softmax(x, axis=-1), Array)
assert_type(nn.log_softmax(x), Array)
assert_type(nn.one_hot(jnp.arange(3), 3), Array)
nn.logsumexp(x)
key = random.key(0)
assert_type(key, Array)
assert_type(random.split(key, 3), Array)
assert_type(random.normal(key, (2, 3)), Array)
assert_type(random.uniform(key), Array)
assert_type(random.randint(key, (3,), 0, 10), Array)
assert_type(random.permutation(key, 10), Array)
assert_type(special.erf(x), Array)
special.logsumexp(x)
assert_type(linalg.cholesky(x @ x.T), Array)
assert_type(linalg.solve(x @ x.T, x), Array)
assert_type(stats.norm.logpdf(x), Array)
assert_type(arraylib.scipy.special.expit(x), Array)


# Transforms keep what functions take; what they return is known where it can be.
Params = dict[str, Array]


def loss(params: Params, x: Array) -> Array:
    return jnp.mean(jnp.tanh(x @ params["w"] + params["b"]) ** 2)


params: Params = {"w": jnp.ones(3), "b": jnp.zeros(())}
assert_type(arraylib.jit(loss)(params, x), Array)
assert_type(arraylib.vmap(loss, in_axes=(None, 0))(params, x), Array)
assert_type(arraylib.checkpoint(loss)(params, x), Array)
assert_type(arraylib.grad(loss)(params, x), Any)
assert_type(arraylib.value_and_grad(loss)(params, x), tuple[Array, Any])
arraylib.jit(loss).lower(params, x)
arraylib.hessian(loss)(params, x)


@arraylib.jit
def step(params: Params, x: Array) -> tuple[Params, Array]:
    value, slopes = arraylib.value_and_grad(loss)(params, x)
    return tree.map(lambda p, g: p - 0.1 * g, params, slopes), value


params, value = step(params, x)
assert_type(value, Array)
optimiser = optim.chain(optim.clip_by_global_norm(1.0), optim.adam(1e-3))
state = optimiser.init(params)
assert_type(tree.leaves(params), list[Any])


def generic(x: ArrayLike, dtype: DTypeLike = "float32") -> Array:
    return jnp.asarray(x, dtype=dtype)


with arraylib.debug.nans():
    generic(1.0, np.float32)
mesh = arraylib.make_mesh((1,), ("x",))
arraylib.device_put(x, NamedSharding(mesh, P("x")))
arraylib.config.num_cpu_devices = 1
arraylib.config.default_bits = 32
