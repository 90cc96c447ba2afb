"""What is measured: each workload is one function to jit, and the NumPy arguments to call it with.

A workload's function takes `xp`, a namespace shaped like JAX (`xp.np`, `xp.lax`, `xp.nn`,
`xp.random`, `xp.jit`, `xp.grad`, `xp.vmap`, ...), then its arguments: NumPy arrays in dicts, lists
and tuples, made from fixed seeds, so that every library gets the same numbers. `workload.build(xp)`
returns `(callable, arguments)`. Everything is float32 unless its name says otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import ml_dtypes
import numpy as np

from benchmarks.data import integers, normal, shuffled, tree_map, uniform
from benchmarks.models import (
    adam_step,
    attention,
    gpt_adam_inputs,
    gpt_loss,
    layernorm,
    library_attention,
    lstm,
    mlp_adam_inputs,
    mlp_batch,
    mlp_loss,
    mlp_params,
    sgd_step,
)

K, M = 1 << 10, 1 << 20
WORKLOADS = {}


class Missing(Exception):
    """A library has no version of a workload."""


@dataclass(frozen=True)
class Workload:
    """A function to time, what it is called with, how exact it must be and what it costs at least.

    With `grad=n` it is the value and the gradients, in the first n arguments, of
    `sum(function(...) * last argument)`.
    """

    name: str  # "group/short_name"
    function: Callable  # (xp, *arguments) -> output
    arguments: Callable  # () -> tuple of NumPy pytrees
    grad: int = 0
    jit: bool = True
    tol: float = 2e-5  # allowed max|out - reference| / max|reference|, for each output array
    bad: float = 0.0  # fraction of elements that may break that (or differ, for integers)
    flops: float = 0  # floating-point operations that the algorithm needs
    bytes: float = 0  # compulsory memory traffic: inputs read once and outputs written once
    exps: float = 0  # transcendental evaluations, each counted as one exp
    bf16: bool = False  # flops are bfloat16 multiply-adds

    @property
    def group(self):
        return self.name.split("/")[0]

    def build(self, xp):
        f = partial(self.function, xp)
        if self.grad:
            f = xp.value_and_grad(
                lambda *a: (self.function(xp, *a[:-1]) * a[-1]).sum(), tuple(range(self.grad))
            )
        return (xp.jit(f) if self.jit else f), self.arguments()


def add(name, function, arguments, **facts):
    WORKLOADS[name] = Workload(name, function, arguments, **facts)


# 1. Dispatch: the cost of a call that computes almost nothing.

add("dispatch/add4", lambda xp, x: x + 1, lambda: (normal(4),))
add("dispatch/eager_add4", lambda xp, x: x + 1, lambda: (normal(4),), jit=False)
add(
    "dispatch/pytree100",
    lambda xp, t: {k: v * 2 + 1 for k, v in t.items()},
    lambda: ({f"p{i:02}": normal(8, seed=i) for i in range(100)},),
)
add("dispatch/eager_add4x4", lambda xp, x, y: x + y, lambda: (normal(4), normal(4)), jit=False)
add("dispatch/eager_mul4k", lambda xp, x: x * 2.5, lambda: (normal(4 * K),), jit=False)
add(
    "dispatch/in20_out1",
    lambda xp, t: t["layers"][0]["w"] + t["layers"][9]["b"],
    lambda: ({"layers": [{"b": normal(8), "w": normal(8, seed=i)} for i in range(10)]},),
)

# 2. Elementwise chains.


def chain(xp, x):
    return xp.nn.gelu(x) * xp.nn.sigmoid(x) + xp.np.sin(x)


for label, n in ("64k", 64 * K), ("16m", 16 * M):
    add(
        f"elementwise/axpy_{label}",
        lambda xp, x, y: 2 * x + y,
        lambda n=n: (normal(n), normal(n, seed=1)),
        bytes=12 * n,
    )
    add(
        f"elementwise/exp_{label}",
        lambda xp, x: xp.np.exp(x),
        lambda n=n: (normal(n),),
        bytes=8 * n,
        exps=n,
    )
    add(f"elementwise/chain_{label}", chain, lambda n=n: (normal(n),), bytes=8 * n, exps=3 * n)

# 3. Reductions and normalisations.

for op in "sum", "max", "var":
    for label, axis in ("rows", 1), ("cols", 0):
        add(
            f"reduce/{op}_{label}_4096",
            lambda xp, x, op=op, axis=axis: getattr(xp.np, op)(x, axis),
            lambda: (normal(4096, 4096),),
            bytes=4 * 16 * M,
        )


def layernorm_inputs():
    return normal(8192, 1024), normal(1024, seed=1), normal(1024, seed=2)


add(
    "reduce/logsumexp",
    lambda xp, x: xp.nn.logsumexp(x, axis=-1),
    lambda: (normal(8192, 1024),),
    bytes=32 * M,
    exps=8 * M,
)
add(
    "reduce/softmax",
    lambda xp, x: xp.nn.softmax(x, axis=-1),
    lambda: (normal(8192, 1024),),
    bytes=64 * M,
    exps=8 * M,
)
add("reduce/layernorm", layernorm, layernorm_inputs, bytes=64 * M)
add(
    "reduce/layernorm_grad",
    layernorm,
    lambda: (*layernorm_inputs(), normal(8192, 1024, seed=3)),
    grad=3,
    bytes=96 * M,
)

# 4. Matrix products.


def matmul(xp, a, b):
    return a @ b


def bias_relu(xp, x, w, b):
    return xp.np.maximum(x @ w + b, 0)


def matmul_inputs(m, k, n, *batch, dtype=np.float32):
    return normal(*batch, m, k).astype(dtype), normal(*batch, k, n, seed=1).astype(dtype)


for label, shape in (
    ("1024", (K, K, K)),
    ("2048", (2 * K, 2 * K, 2 * K)),
    ("skinny_8x4096x4096", (8, 4096, 4096)),
    ("batched_64x128", (128, 128, 128, 64)),
):
    m, k, n, batch = (*shape, 1)[:4]
    add(
        f"matmul/{label}",
        matmul,
        partial(matmul_inputs, *shape),
        flops=2 * m * k * n * batch,
        bytes=4 * batch * (m * k + k * n + m * n),
    )
add(
    "matmul/bf16_1024",
    matmul,
    partial(matmul_inputs, K, K, K, dtype=ml_dtypes.bfloat16),
    tol=1e-2,
    flops=2 * K**3,
    bytes=6 * M,
    bf16=True,
)
for m, k, n in (2048, 2048, 2048), (4096, 256, 256):
    add(
        f"matmul/bias_relu_{m}x{k}x{n}",
        bias_relu,
        lambda m=m, k=k, n=n: (*matmul_inputs(m, k, n), normal(n, seed=2)),
        flops=2 * m * k * n,
        bytes=4 * (m * k + k * n + m * n),
    )

# 5. Convolution (ResNet 3x3, NHWC).


def conv3x3(xp, x, w):
    return xp.lax.conv_general_dilated(
        x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def conv_inputs():
    return normal(8, 56, 56, 64), normal(3, 3, 64, 64, seed=1, scale=0.05)


CONV_FLOPS = 2 * 8 * 56 * 56 * 64 * 64 * 9
add("conv/forward", conv3x3, conv_inputs, flops=CONV_FLOPS)
add(
    "conv/forward_backward",
    conv3x3,
    lambda: (*conv_inputs(), normal(8, 56, 56, 64, seed=2)),
    grad=2,
    flops=3 * CONV_FLOPS,
)



def convolution(xp, x, w, stride, groups=1):
    return xp.lax.conv_general_dilated(
        x, w, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


# name: batch, pixels along an axis, features in each group, taps, results, stride, groups
for label, (n, size, c, taps, o, stride, groups) in {
    "28x128": (8, 28, 128, 3, 128, 1, 1),
    "14x256": (8, 14, 256, 3, 256, 1, 1),
    "7x512": (8, 7, 512, 3, 512, 1, 1),
    "stride_2": (8, 56, 128, 3, 128, 2, 1),
    "one_tap": (8, 56, 64, 1, 256, 1, 1),
    "one_tap_stride_2": (8, 56, 256, 1, 512, 2, 1),
    "first_layer": (8, 224, 3, 7, 64, 2, 1),
    "depthwise": (8, 56, 1, 3, 128, 1, 128),
}.items():
    inputs = lambda n=n, size=size, c=c, taps=taps, o=o, groups=groups: (
        normal(n, size, size, c * groups),
        normal(taps, taps, c, o, seed=1, scale=0.05),
    )
    cotangent = (n, size // stride, size // stride, o)
    flops = 2 * n * (size // stride) ** 2 * o * taps * taps * c
    function = partial(convolution, stride=stride, groups=groups)
    add(f"conv/{label}", function, inputs, flops=flops)
    add(
        f"conv/{label}_backward",
        function,
        lambda inputs=inputs, cotangent=cotangent: (*inputs(), normal(*cotangent, seed=2)),
        grad=2,
        flops=3 * flops,
    )


def pool(xp, x, kind):
    start = {"max": -np.inf, "add": 0.0}[kind]
    return xp.lax.reduce_window(
        x, np.float32(start), getattr(xp.lax, kind), (1, 3, 3, 1), (1, 2, 2, 1), "SAME"
    )


for label, kind in ("max_pool", "max"), ("sum_pool", "add"):
    add(f"conv/{label}", partial(pool, kind=kind), lambda: (normal(8, 112, 112, 64),),
        bytes=4 * 8 * 64 * (112 * 112 + 56 * 56))
    add(
        f"conv/{label}_backward",
        partial(pool, kind=kind),
        lambda: (normal(8, 112, 112, 64), normal(8, 56, 56, 64, seed=1)),
        grad=1,
        bytes=4 * 8 * 64 * (2 * 112 * 112 + 56 * 56),
    )

# 6. Causal attention over (..., time, head_dim).


def attention_inputs(n):
    return tuple(normal(8, 1024, 64, seed=i) for i in range(n))


ATTENTION_FLOPS = 2 * 2 * 8 * 1024 * 1024 * 64 / 2  # half is masked
for prefix, function in ("attention/", attention), ("attention/library_", library_attention):
    add(
        f"{prefix}forward",
        function,
        partial(attention_inputs, 3),
        flops=ATTENTION_FLOPS,
        exps=4 * M,
    )
    add(
        f"{prefix}forward_backward",
        function,
        partial(attention_inputs, 4),
        grad=3,
        flops=3 * ATTENTION_FLOPS,
        exps=4 * M,
    )

# 7. Training steps. Adam starts in mid-flight (step 10, second moment filled), where the update
#    depends smoothly on the gradient; the new first moment, 0.1 * gradient, is checked like every
#    other output.


MLP_FLOPS = 6 * 256 * (784 * 1024 + 1024 * 1024 + 1024 * 10)
MLP_FLOPS -= 2 * 256 * 784 * 1024  # no gradient for x
GPT_FLOPS = 6 * 2048 * (4 * 12 * 256 * 256 + 256 * 256) + 3 * 4 * 8 * 2 * 2 * 256**3 / 2
SMALL_GPT = partial(gpt_adam_inputs, 4, 256, 8, 256, 256, 8)
add(
    "train/mlp_sgd",
    partial(sgd_step, mlp_loss),
    lambda: (mlp_params(784, 1024, 1024, 10), *mlp_batch(256)),
    flops=MLP_FLOPS,
)
add("train/mlp_adam", partial(adam_step, mlp_loss), mlp_adam_inputs, flops=MLP_FLOPS, tol=1e-4)
add("train/gpt_adam", partial(adam_step, gpt_loss), SMALL_GPT, flops=GPT_FLOPS, tol=1e-4)



def adam_leaves(xp, params, m, v, grads):
    """An optimizer's update alone, of many arrays of all sizes."""
    m = tree_map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = tree_map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    return tree_map(lambda p, m, v: p - 1e-3 * m / (xp.np.sqrt(v) + 1e-8), params, m, v), m, v


def leaves_100(seed, largest):
    return {f"p{i:02}": uniform(0.1, 1, 8 + largest * i // 99, seed=seed + i) for i in range(100)}


for label, largest in ("small", 4 * K), ("large", 256 * K):
    add(
        f"train/adam_100_{label}",
        adam_leaves,
        lambda n=largest: tuple(leaves_100(100 * i, n) for i in range(4)),
        bytes=7 * 4 * sum(8 + largest * i // 99 for i in range(100)),
    )

# 8. Recurrence: an LSTM over 256 steps, batch 32, hidden 256.


def lstm_inputs():
    return (
        normal(256, 1024, scale=1 / 16),
        normal(256, 1024, seed=1, scale=1 / 16),
        normal(1024, seed=2, scale=0.1),
        normal(256, 32, 256, seed=3),
    )


LSTM_FLOPS = 2 * 256 * 32 * 512 * 1024
add("scan/lstm", lstm, lstm_inputs, flops=LSTM_FLOPS, exps=256 * 32 * 256 * 5)
add(
    "scan/lstm_grad",
    lstm,
    lambda: (*lstm_inputs(), normal(256, 32, 256, seed=4)),
    grad=3,
    flops=3 * LSTM_FLOPS,
    exps=256 * 32 * 256 * 5,
)



def decode(xp, queries, cache):
    """Attention to a cache that grows by a row at each step."""

    def step(carry, q):
        cache, t = carry
        cache = cache.at[:, t].set(q * 0.5)
        weights = xp.nn.softmax((cache * q[:, None, :]).sum(-1), axis=-1)
        return (cache, t + 1), (weights[..., None] * cache).sum(1)

    (cache, _), out = xp.lax.scan(step, (cache, xp.np.zeros((), xp.np.int32)), queries)
    return cache, out


add(
    "scan/kv_cache",
    decode,
    lambda: (normal(64, 8, 64), normal(8, 1024, 64, seed=1)),
    flops=64 * 4 * 8 * 1024 * 64,
)

# 9. Random numbers. Libraries with JAX's threefry must give JAX's numbers; others, the moments.

add(
    "random/bits_16m",
    lambda xp, seed: xp.random.bits(xp.random.key(seed), (16 * M,), xp.np.uint32),
    lambda: (np.int32(7),),
    bytes=64 * M,
)
add(
    "random/normal_16m",
    lambda xp, seed: xp.random.normal(xp.random.key(seed), (16 * M,), xp.np.float32),
    lambda: (np.int32(7),),
    bytes=64 * M,
)

# 10. Gather, scatter, sort.

add(
    "gather/embed",
    lambda xp, table, i: table[i],
    lambda: (normal(50_000, 256), integers(50_000, 8192)),
    bytes=16 * M,
)
add(
    "gather/embed_grad",
    lambda xp, table, i: table[i],
    lambda: (normal(50_000, 256), integers(50_000, 8192), normal(8192, 256, seed=1)),
    grad=1,
    bytes=8 * M + 50_000 * 256 * 4,
)
add(
    "gather/scatter_add_1m",
    lambda xp, x, i, y: x.at[i].add(y),
    lambda: (normal(M), integers(M, M), normal(M, seed=1)),
    bytes=16 * M,
)
add("gather/sort_1m", lambda xp, x: xp.np.sort(x), lambda: (shuffled(M),))
add("gather/argsort_1m", lambda xp, x: xp.np.argsort(x), lambda: (shuffled(M),))
add(
    "gather/cumsum_16m",
    lambda xp, x: xp.np.cumsum(x),
    lambda: (normal(16 * M),),
    bytes=128 * M,
    tol=1e-3,
)
add(
    "gather/top_k_64x50k",
    lambda xp, x: xp.lax.top_k(x, 50),
    lambda: (shuffled(64, 50_000),),
    bytes=64 * 200_000,
)
add(
    "gather/sort_rows_16kx64",
    lambda xp, x: xp.np.sort(x),
    lambda: (shuffled(16_384, 64),),
    bytes=8 * M,
)
add(
    "gather/cumsum_columns_4k",
    lambda xp, x: xp.np.cumsum(x, 0),
    lambda: (normal(4096, 4096),),
    bytes=128 * M,
    tol=1e-3,
)
add(
    "gather/searchsorted_1m",
    lambda xp, a, x: xp.np.searchsorted(a, x),
    lambda: (np.sort(normal(M)), normal(M, seed=1)),
)

# 11. Nested transformations.


def per_example_grads(xp, params, x, y):
    return xp.vmap(xp.grad(partial(mlp_loss, xp)), (None, 0, 0))(params, x, y)


def logistic_hessian(xp, w, x, y):
    loss = lambda w: xp.np.logaddexp(0, -y * (x @ w)).mean() + 0.01 * (w * w).sum()
    return xp.jacfwd(xp.jacrev(loss))(w)


add(
    "vmap/per_example_grads",
    per_example_grads,
    lambda: (mlp_params(784, 128, 10), *mlp_batch(256)),
    bytes=256 * 4 * (784 * 128 + 128 + 128 * 10 + 10),
)
add(
    "vmap/hessian_128",
    logistic_hessian,
    lambda: (normal(128, scale=0.1), normal(256, 128), np.sign(normal(256, seed=1))),
    flops=2 * 256 * 128 * 128,
)

# 12. Numeric loops.


def black_scholes(xp, s, k, t, r=0.03, sigma=0.25):
    cdf = lambda x: 0.5 + 0.5 * xp.lax.erf(x * 0.5**0.5)
    spread = sigma * xp.np.sqrt(t)
    d1 = (xp.np.log(s / k) + (r + 0.5 * sigma**2) * t) / spread
    discounted = k * xp.np.exp(-r * t)
    call = s * cdf(d1) - discounted * cdf(d1 - spread)
    return call, call - s + discounted


def mandelbrot(xp, cr, ci):
    cr, ci = cr[None, :], ci[:, None]
    zeros = xp.np.zeros((ci.shape[0], cr.shape[1]), cr.dtype)

    def body(_, state):
        zr, zi, count = state
        rr, ii = zr * zr, zi * zi
        inside = rr + ii <= 4
        return (
            xp.np.where(inside, rr - ii + cr, zr),
            xp.np.where(inside, 2 * zr * zi + ci, zi),
            count + inside,
        )

    return xp.lax.fori_loop(0, 50, body, (zeros, zeros, zeros.astype(xp.np.int32)))[2]


def nbody(xp, position, velocity, mass, dt=0.01):
    d = position[None, :] - position[:, None]
    inverse = xp.lax.rsqrt((d * d).sum(-1) + 0.01)
    velocity = velocity + dt * (d * (mass * inverse * inverse * inverse)[..., None]).sum(1)
    return position + dt * velocity, velocity


def jacobi(xp, u):
    def sweep(_, u):
        return u.at[1:-1, 1:-1].set(
            0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        )

    return xp.lax.fori_loop(0, 10, sweep, u)


def spd_matrix(n):
    a = normal(n, n)
    return a @ a.T / n + np.eye(n, dtype=np.float32)


def options(n):
    return uniform(50, 150, n), uniform(50, 150, n, seed=1), uniform(0.1, 2, n, seed=2)


add(
    "numeric/black_scholes_4m",
    black_scholes,
    lambda: options(4 * M),
    bytes=5 * 16 * M,
    exps=5 * 4 * M,
)
add(
    "numeric/mandelbrot_1024",
    mandelbrot,
    lambda: (
        np.linspace(-2, 0.6, K, dtype=np.float32),
        np.linspace(-1.3, 1.3, K, dtype=np.float32),
    ),
    bad=1e-3,
)
add(
    "numeric/nbody_1024",
    nbody,
    lambda: (normal(K, 3), normal(K, 3, seed=1), uniform(0.5, 1.5, K) / K),
    flops=20 * K * K,
)
add("numeric/jacobi_2048", jacobi, lambda: (normal(2 * K, 2 * K),), flops=4 * 4 * M * 10)
add(
    "numeric/fft_1m",
    lambda xp, x: xp.np.fft.fft(x),
    lambda: ((normal(M) + 1j * normal(M, seed=1)).astype("c8"),),
    flops=5 * M * 20,
    bytes=16 * M,
)
add(
    "numeric/cholesky_1024",
    lambda xp, a: xp.np.linalg.cholesky(a),
    lambda: (spd_matrix(K),),
    flops=K**3 / 3,
)
add(
    "numeric/solve_1024",
    lambda xp, a, b: xp.np.linalg.solve(a, b),
    lambda: (spd_matrix(K), normal(K, 16)),
    flops=2 * K**3 / 3,
    tol=1e-4,
)

# 13. Compile time: the first call (trace, compile, run), each time in a fresh process.


def unrolled(xp, x, turns=50):
    for i in range(turns):
        x = x + 0.2 * xp.np.cos(x + i)  # four operations
    return x


def layers(xp, x, weights):
    for w in weights:
        h = xp.np.tanh(x @ w)
        x = x + h - h.mean(-1, keepdims=True)
    return x


add("compile/add4", lambda xp, x: x + 1, lambda: (normal(4),))
add("compile/chain200", unrolled, lambda: (normal(4096),), tol=1e-4)
add("compile/chain_1000", partial(unrolled, turns=250), lambda: (normal(4096),), tol=1e-3)
add(
    "compile/layers_24",
    layers,
    lambda: (normal(8, 64), [normal(64, 64, seed=i, scale=1 / 8) for i in range(24)]),
    tol=1e-4,
)
add("compile/lstm_grad", lstm, lambda: (*lstm_inputs(), normal(256, 32, 256, seed=4)), grad=3)
add("compile/mlp_adam", partial(adam_step, mlp_loss), mlp_adam_inputs, tol=1e-4)
add("compile/gpt_adam", partial(adam_step, gpt_loss), SMALL_GPT, tol=1e-4)
add(
    "compile/gpt24_tiny",
    partial(adam_step, gpt_loss),
    partial(gpt_adam_inputs, 24, 32, 2, 16, 64, 2),
    tol=1e-3,
)
