"""Elementwise chains, reductions and normalisations, random numbers."""

import numpy as np

from benchmarks.data import normal
from benchmarks.models import layernorm
from benchmarks.workloads.workload import K, M, add

# Elementwise chains.


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

# Reductions and normalisations.

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

# Random numbers. Libraries with JAX's threefry must give JAX's numbers; others, the moments.

add(
    "random/bits_16m",
    lambda xp, seed: xp.random.bits(xp.random.key(seed), (16 * M,), xp.np.uint32),
    lambda: (np.int32(7),),
    bytes=64 * M,
    words=16 * M,
)
add(
    "random/normal_16m",
    lambda xp, seed: xp.random.normal(xp.random.key(seed), (16 * M,), xp.np.float32),
    lambda: (np.int32(7),),
    bytes=64 * M,
    words=16 * M,
)
