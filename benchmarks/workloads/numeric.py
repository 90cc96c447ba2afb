"""Numeric loops, linear algebra, Fourier transforms."""

import numpy as np

from benchmarks.data import normal, uniform
from benchmarks.workloads.workload import K, M, add


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


def spd_matrix(n, *batch):
    a = normal(*batch, n, n)
    return a @ np.swapaxes(a, -1, -2) / n + np.eye(n, dtype=np.float32)


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
add(
    "numeric/slogdet_1024",
    lambda xp, a: xp.np.linalg.slogdet(a)[1],
    lambda: (normal(K, K),),
    flops=2 * K**3 / 3,
    tol=1e-3,
)
add(
    "numeric/qr_1024",
    lambda xp, a: xp.np.linalg.qr(a),
    lambda: (normal(K, K),),
    flops=8 * K**3 / 3,
    tol=1e-3,
)
add(
    "numeric/cholesky_10k_8x8",
    lambda xp, a: xp.np.linalg.cholesky(a),
    lambda: (spd_matrix(8, 10_000),),
    flops=10_000 * 8**3 / 3,
    bytes=8 * 10_000 * 64,
)
add(
    "numeric/solve_10k_8x8",
    lambda xp, a, b: xp.np.linalg.solve(a, b),
    lambda: (spd_matrix(8, 10_000), normal(10_000, 8, 1)),
    flops=10_000 * 2 * 8**3 / 3,
    bytes=4 * 10_000 * 80,
    tol=1e-4,
)
