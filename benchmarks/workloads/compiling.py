"""Compile time: the first call (trace, compile, run), each time in a fresh process."""

import itertools
from functools import partial

from benchmarks.data import normal
from benchmarks.models import adam_step, gpt_adam_inputs, gpt_loss, lstm, mlp_adam_inputs, mlp_loss
from benchmarks.workloads.training import SMALL_GPT, lstm_inputs
from benchmarks.workloads.workload import add


def unrolled(xp, x, turns=50):
    for i in range(turns):
        x = x + 0.2 * xp.np.cos(x + i)  # four operations
    return x


def layers(xp, x, weights):
    for w in weights:
        h = xp.np.tanh(x @ w)
        x = x + h - h.mean(-1, keepdims=True)
    return x


def different(xp, x):
    """169 kernels, no two of them equal: each has two functions and a length of its own."""
    np = xp.np
    functions = [np.tanh, np.exp, np.sin, np.cos, np.abs, np.floor, np.square, np.sign, np.ceil,
                 np.arctan, lambda x: np.sqrt(np.abs(x)), lambda x: np.log1p(np.abs(x)),
                 lambda x: np.maximum(x, 0.25)]
    sums = []
    for i, (f, g) in enumerate(itertools.product(functions, functions)):
        row = x[: 1000 + i]
        sums.append((f(row) * 0.5 + g(row - 1)).sum())
    return sums


add("compile/add4", lambda xp, x: x + 1, lambda: (normal(4),))
add("compile/chain200", unrolled, lambda: (normal(4096),), tol=1e-4)
add("compile/chain_1000", partial(unrolled, turns=250), lambda: (normal(4096),), tol=1e-3)
add("compile/chain_10000", partial(unrolled, turns=2500), lambda: (normal(4096),), tol=1e-2)
add("compile/different_1000", different, lambda: (normal(2000),), tol=1e-4)
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
add(
    "compile/gpt_warm",
    partial(adam_step, gpt_loss),
    partial(gpt_adam_inputs, 4, 32, 2, 16, 64, 2),
    tol=1e-3,
    stored=True,
)
