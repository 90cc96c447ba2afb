"""Complex numbers, and conversion to 8 bits and back."""

import ml_dtypes

from benchmarks.data import normal
from benchmarks.workloads.fourier import complex_normal
from benchmarks.workloads.workload import K, M, add


def mandelbrot(xp, c):
    """|z| after 20 steps z -> z^2 + c, of points that do not go far in so many."""
    z = c
    for _ in range(20):
        z = z * z + c
    return xp.np.abs(z)


add("dtypes/mandelbrot_c64_1M", mandelbrot, lambda: (complex_normal(M) * 0.05,), tol=1e-4,
    flops=20 * 8 * M, bytes=12 * M)
add("dtypes/multiply_add_c64_4M", lambda xp, x, y: x * y + x,
    lambda: (complex_normal(4 * M), complex_normal(4 * M)[::-1].copy()), flops=32 * M,
    bytes=96 * M)
add("dtypes/divide_c64_4M", lambda xp, x, y: x / y,
    lambda: (complex_normal(4 * M), complex_normal(4 * M)[::-1].copy()), flops=44 * M,
    bytes=96 * M)
for name in ("exp", "log", "sqrt", "tanh"):
    add(f"dtypes/{name}_c64_1M", lambda xp, x, name=name: getattr(xp.np, name)(x),
        lambda: (complex_normal(M),), tol=1e-4, exps=2 * M, bytes=16 * M)
add("dtypes/conjugate_transpose_c64_2048", lambda xp, x: xp.np.conj(x.T) * 2,
    lambda: (complex_normal(2 * K, 2 * K),), bytes=64 * M)
add("dtypes/bf16_to_f8_16M", lambda xp, x: x.astype(ml_dtypes.float8_e4m3fn).view("u1"),
    lambda: (normal(16 * M).astype(ml_dtypes.bfloat16),), bytes=48 * M)
add("dtypes/f8_to_bf16_16M",
    lambda xp, x: x.view(ml_dtypes.float8_e4m3fn).astype(ml_dtypes.bfloat16).view("u2"),
    lambda: (normal(16 * M).astype(ml_dtypes.float8_e4m3fn).view("u1"),), bytes=48 * M)
