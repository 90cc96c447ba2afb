"""Matrix products, convolutions, attention."""

from functools import partial

import ml_dtypes
import numpy as np

from benchmarks.data import normal
from benchmarks.models import attention, library_attention
from benchmarks.workloads.workload import K, M, add

# Matrix products.


def matmul(xp, a, b):
    return a @ b


def bias_relu(xp, x, w, b):
    return xp.np.maximum(x @ w + b, 0)


def gelu_product(xp, h, w):
    return xp.nn.gelu(h) @ w


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
add(
    "matmul/c64_1024",
    matmul,
    lambda: [x + np.complex64(1j) * x.T for x in matmul_inputs(K, K, K)],
    flops=8 * K**3,
    bytes=24 * M,
)
for m, k, n in (2048, 2048, 2048), (4096, 256, 256):
    add(
        f"matmul/bias_relu_{m}x{k}x{n}",
        bias_relu,
        lambda m=m, k=k, n=n: (*matmul_inputs(m, k, n), normal(n, seed=2)),
        flops=2 * m * k * n,
        bytes=4 * (m * k + k * n + m * n),
    )

# Products of what is computed of an operand; the gradients are two products more.
for k, n in (K, 256), (2 * K, 2 * K):
    for ending, products in ("", 1), ("_grad", 3):
        add(
            f"matmul/gelu_2048x{k}x{n}{ending}",
            gelu_product,
            lambda k=k, n=n, products=products: (
                *matmul_inputs(2 * K, k, n),
                *[normal(2 * K, n, seed=2)] * (products == 3),
            ),
            grad=2 if products == 3 else 0,
            flops=products * 2 * 2 * K * k * n,
        )

# Convolution (ResNet 3x3, NHWC).


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
        x,
        w,
        (stride, stride),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
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
    add(
        f"conv/{label}",
        partial(pool, kind=kind),
        lambda: (normal(8, 112, 112, 64),),
        bytes=4 * 8 * 64 * (112 * 112 + 56 * 56),
    )
    add(
        f"conv/{label}_backward",
        partial(pool, kind=kind),
        lambda: (normal(8, 112, 112, 64), normal(8, 56, 56, 64, seed=1)),
        grad=1,
        bytes=4 * 8 * 64 * (2 * 112 * 112 + 56 * 56),
    )

# Causal attention over (..., time, head_dim).


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
