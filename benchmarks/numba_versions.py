"""The numeric loops as a Numba user would write them."""

from math import erf, exp, log, sqrt

import numpy as np
from numba import prange

F32, HALF, TWO = np.float32, np.float32(0.5), np.float32(2)


def black_scholes(s, k, t):
    call, put = np.empty_like(s), np.empty_like(s)
    for i in prange(s.size):
        spread = F32(0.25) * sqrt(t[i])
        d1 = (log(s[i] / k[i]) + F32(0.03 + 0.5 * 0.25**2) * t[i]) / spread
        discounted = k[i] * exp(F32(-0.03) * t[i])
        n1 = HALF + HALF * erf(d1 * F32(0.5**0.5))
        n2 = HALF + HALF * erf((d1 - spread) * F32(0.5**0.5))
        call[i] = s[i] * n1 - discounted * n2
        put[i] = call[i] - s[i] + discounted
    return call, put


def mandelbrot(cr, ci):
    count = np.empty((ci.size, cr.size), np.int32)
    for y in prange(ci.size):
        for x in range(cr.size):
            zr = zi = F32(0)
            n = 0
            while n < 50 and zr * zr + zi * zi <= F32(4):
                zr, zi = zr * zr - zi * zi + cr[x], TWO * zr * zi + ci[y]
                n += 1
            count[y, x] = n
    return count


def nbody(position, velocity, mass):
    new = np.empty_like(velocity)
    dt = F32(0.01)
    for i in prange(mass.size):
        ax = ay = az = F32(0)
        for j in range(mass.size):
            dx = position[j, 0] - position[i, 0]
            dy = position[j, 1] - position[i, 1]
            dz = position[j, 2] - position[i, 2]
            inverse = F32(1) / np.sqrt(dx * dx + dy * dy + dz * dz + F32(0.01))
            w = mass[j] * inverse * inverse * inverse
            ax, ay, az = ax + w * dx, ay + w * dy, az + w * dz
        new[i, 0] = velocity[i, 0] + dt * ax
        new[i, 1] = velocity[i, 1] + dt * ay
        new[i, 2] = velocity[i, 2] + dt * az
    return position + dt * new, new


def jacobi(u):
    u, new = u.copy(), u.copy()
    for _ in range(10):
        for i in prange(1, u.shape[0] - 1):
            for j in range(1, u.shape[1] - 1):
                new[i, j] = F32(0.25) * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])
        u, new = new, u
    return u


def chain(x):
    out = np.empty_like(x)
    for i in prange(x.size):
        a = x[i]
        inner = F32((2 / np.pi) ** 0.5) * (a + F32(0.044715) * a * a * a)
        gelu = HALF * a * (F32(1) + np.tanh(inner))
        out[i] = gelu / (F32(1) + np.exp(-a)) + np.sin(a)
    return out


KERNELS = {
    "numeric/black_scholes_4m": black_scholes,
    "numeric/mandelbrot_1024": mandelbrot,
    "numeric/nbody_1024": nbody,
    "numeric/jacobi_2048": jacobi,
    "elementwise/chain_64k": chain,
    "elementwise/chain_16m": chain,
}
