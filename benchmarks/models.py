"""Layers, losses and training steps of the workloads, written against a JAX-like namespace `xp`."""

import itertools
from functools import partial

import numpy as np

from benchmarks.data import integers, normal, tree_map, uniform


def layernorm(xp, x, scale, bias):
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * xp.lax.rsqrt(var + 1e-5) * scale + bias


def attention(xp, q, k, v):
    t, d = q.shape[-2:]
    scores = q @ k.swapaxes(-1, -2) * d**-0.5
    mask = xp.np.tril(xp.np.ones((t, t), bool))
    return xp.nn.softmax(xp.np.where(mask, scores, -1e30), axis=-1) @ v


def library_attention(xp, q, k, v):
    """The same by the library's own function."""
    q, k, v = (x.swapaxes(0, 1)[None] for x in (q, k, v))
    return xp.nn.dot_product_attention(q, k, v, is_causal=True)[0].swapaxes(0, 1)


def lstm(xp, wx, wh, b, xs):
    def step(carry, x):
        h, c = carry
        i, f, g, o = xp.np.split(x @ wx + h @ wh + b, 4, axis=-1)
        c = xp.nn.sigmoid(f) * c + xp.nn.sigmoid(i) * xp.np.tanh(g)
        h = xp.nn.sigmoid(o) * xp.np.tanh(c)
        return (h, c), h

    zeros = xp.np.zeros((xs.shape[1], wh.shape[0]), xs.dtype)
    return xp.lax.scan(step, (zeros, zeros), xs)[1]


def batch_norm(xp, x, scale, bias):
    """By the statistics of this batch."""
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) * xp.lax.rsqrt(var + 1e-5) * scale + bias


def conv3x3(xp, x, w):
    return xp.lax.conv_general_dilated(
        x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def resnet_block(xp, params, x):
    y = xp.nn.relu(batch_norm(xp, conv3x3(xp, x, params["w1"]), params["s1"], params["b1"]))
    y = batch_norm(xp, conv3x3(xp, y, params["w2"]), params["s2"], params["b2"])
    return xp.nn.relu(x + y)


def resnet_params(features):
    w = {f"w{i}": normal(3, 3, features, features, seed=i, scale=0.05) for i in (1, 2)}
    s = {f"s{i}": uniform(0.5, 1.5, features, seed=i) for i in (1, 2)}
    return w | s | {f"b{i}": normal(features, seed=i) for i in (1, 2)}


def cross_entropy(xp, logits, labels):
    logp = logits - xp.nn.logsumexp(logits, axis=-1, keepdims=True)
    return -xp.np.take_along_axis(logp, labels[..., None], -1).mean()


def mlp_loss(xp, params, x, y):
    for layer in params[:-1]:
        x = xp.nn.relu(x @ layer["w"] + layer["b"])
    return cross_entropy(xp, x @ params[-1]["w"] + params[-1]["b"], y)


def gpt_loss(xp, p, tokens):
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    b, t = inputs.shape
    heads = p["layers"][0]["wo"].shape[0]
    x = p["wte"][inputs] + p["wpe"]
    for layer in p["layers"]:
        h = layernorm(xp, x, layer["s1"], layer["b1"])
        q, k, v = (
            (h @ layer[w]).reshape(b, t, heads, -1).swapaxes(1, 2) for w in ("wq", "wk", "wv")
        )
        a = attention(xp, q, k, v).swapaxes(1, 2).reshape(b, t, -1)
        x = x + a @ layer["wo"].reshape(a.shape[-1], -1)
        h = layernorm(xp, x, layer["s2"], layer["b2"])
        x = x + xp.nn.gelu(h @ layer["up"] + layer["up_b"]) @ layer["down"] + layer["down_b"]
    x = layernorm(xp, x, p["s"], p["b"])
    return cross_entropy(xp, x @ p["wte"].T, targets)


def sgd_step(loss, xp, params, x, y):
    value, grads = xp.value_and_grad(partial(loss, xp))(params, x, y)
    return value, tree_map(lambda p, g: p - 0.1 * g, params, grads)


def adam_step(loss, xp, params, m, v, step, *batch):
    value, grads = xp.value_and_grad(partial(loss, xp))(params, *batch)
    m = tree_map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = tree_map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    c1, c2 = 1 - 0.9**step, 1 - 0.999**step
    params = tree_map(
        lambda p, m, v: p - 1e-3 * (m / c1) / (xp.np.sqrt(v / c2) + 1e-8), params, m, v
    )
    return value, params, m, v


def adamw(xp, params, m, v, step, grads):
    """An optimizer's update alone, with weight decay, as Optax and PyTorch define it."""
    m = tree_map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = tree_map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    c1, c2 = 1 - 0.9**step, 1 - 0.999**step
    params = tree_map(
        lambda p, m, v: p - 1e-3 * ((m / c1) / (xp.np.sqrt(v / c2) + 1e-8) + 0.01 * p), params, m, v
    )
    return params, m, v


def adamw_inputs():
    """Of the matrices and vectors of 16 layers and what is around them: 100 arrays."""
    layer = [(256, 256), (256, 1024), (1024, 256), (1024,), (256,), (256,)]
    shapes = [*layer * 16, (256, 256), (512, 256), (256,), (256,)]
    arrays = [
        [uniform(low, 1, *shape, seed=seed + i) for i, shape in enumerate(shapes)]
        for low, seed in ((-1, 0), (-1, 100), (0.1, 200), (-1, 300))
    ]
    params, m, v, grads = arrays
    return params, m, v, np.float32(10), grads


def mlp_params(*sizes):
    return [
        {"w": normal(i, o, seed=i + o, scale=i**-0.5), "b": normal(o, seed=o, scale=0.1)}
        for i, o in itertools.pairwise(sizes)
    ]


def mlp_batch(n):
    return normal(n, 784), integers(10, n)


def gpt_params(layers, d, heads, t, vocab):
    def layer(i):
        w = lambda j, a, b: normal(a, b, seed=100 * i + j, scale=a**-0.5)
        return {
            "wq": w(1, d, d),
            "wk": w(2, d, d),
            "wv": w(3, d, d),
            "wo": w(4, d, d).reshape(heads, d // heads, d),
            "up": w(5, d, 4 * d),
            "up_b": normal(4 * d, scale=0.1),
            "down": w(6, 4 * d, d),
            "down_b": normal(d, scale=0.1),
            **norm("s1", "b1"),
            **norm("s2", "b2"),
        }

    def norm(s, b):
        return {s: 1 + normal(d, seed=7, scale=0.1), b: normal(d, seed=8, scale=0.1)}

    return {
        "layers": [layer(i) for i in range(layers)],
        "wte": normal(vocab, d, seed=9, scale=0.05),
        "wpe": normal(t, d, seed=10, scale=0.05),
        **norm("s", "b"),
    }


def with_adam(params, *batch):
    m = tree_map(np.zeros_like, params)
    v = tree_map(lambda p: uniform(1e-6, 2e-6, *p.shape), params)
    return params, m, v, np.float32(10), *batch


def mlp_adam_inputs():
    return with_adam(mlp_params(784, 1024, 1024, 10), *mlp_batch(256))


def gpt_adam_inputs(layers, d, heads, t, vocab, batch):
    return with_adam(gpt_params(layers, d, heads, t, vocab), integers(vocab, batch, t + 1))
