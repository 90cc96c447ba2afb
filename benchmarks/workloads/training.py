"""Training steps, recurrence, nested transformations."""

from functools import partial

import numpy as np

from benchmarks.data import normal, tree_map, uniform
from benchmarks.models import (
    adam_step,
    adamw,
    adamw_inputs,
    gpt_adam_inputs,
    gpt_loss,
    lstm,
    mlp_adam_inputs,
    mlp_batch,
    mlp_loss,
    mlp_params,
    resnet_block,
    resnet_params,
    sgd_step,
)
from benchmarks.workloads.workload import K, add

# Training steps. Adam starts in mid-flight (step 10, second moment filled), where the update
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

# A residual block with batch normalisation: gradients of its parameters and of its input.

for label, features, size in (("resnet_block", 64, 56), ("resnet_block_14x256", 256, 14)):
    add(
        f"train/{label}",
        resnet_block,
        lambda features=features, size=size: (
            resnet_params(features),
            normal(8, size, size, features, seed=3),
            normal(8, size, size, features, seed=4),
        ),
        grad=2,
        flops=3 * 2 * 2 * 9 * 8 * size**2 * features**2,
        tol=1e-4,
        bad=1e-5,  # where relu is at its corner
    )


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

add(
    "train/adamw_100_mixed",
    adamw,
    adamw_inputs,
    state=3,
    bytes=7 * 4 * (16 * (9 * 256 * 256 + 1024 + 2 * 256) + 3 * 256 * 256 + 2 * 256),
)

# Recurrence: an LSTM over 256 steps, batch 32, hidden 256.


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

# Nested transformations.


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
