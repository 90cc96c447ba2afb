"""Fourier transforms: many rows, real numbers, two axes, a prime length. (1M numbers: numeric.)"""

from math import log2

from benchmarks.data import normal
from benchmarks.workloads.workload import K, add


def complex_normal(*shape):
    return (normal(*shape) + 1j * normal(*shape, seed=1)).astype("c8")


def fourier(name, function, argument, count, n, nbytes):
    """A workload of `count` numbers, in transforms of n; for real numbers half as many count."""
    add(
        f"fourier/{name}",
        lambda xp, x: getattr(xp.np.fft, function)(x),
        lambda: (argument(),),
        flops=5 * count * log2(n),
        bytes=nbytes,
    )


fourier("fft_rows_1024", "fft", lambda: complex_normal(4 * K, K), 4 * K * K, K, 64 * K * K)
fourier("rfft_rows_1024", "rfft", lambda: normal(4 * K, K), 2 * K * K, K, 32 * K * K)
fourier("irfft_rows_1024", "irfft", lambda: complex_normal(4 * K, K // 2 + 1), 2 * K * K, K,
        32 * K * K)
fourier("fft2_2048", "fft2", lambda: complex_normal(2 * K, 2 * K), 4 * K * K, 4 * K * K,
        64 * K * K)
fourier("fft_prime_10007", "fft", lambda: complex_normal(10007), 10007, 10007, 16 * 10007)
fourier("fft_rows_1000", "fft", lambda: complex_normal(4 * K, 1000), 4000 * K, 1000, 64000 * K)
