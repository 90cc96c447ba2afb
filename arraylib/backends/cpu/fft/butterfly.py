"""Short transforms in registers, of complex numbers as pairs of vectors."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence

from arraylib.backends.cpu.emitter import Reg
from arraylib.record import record


@record
class Complex:
    """Lanes of complex numbers."""

    re: Reg
    im: Reg

    def __add__(self, other: Complex) -> Complex:
        return Complex(self.re + other.re, self.im + other.im)

    def __sub__(self, other: Complex) -> Complex:
        return Complex(self.re - other.re, self.im - other.im)

    def __mul__(self, other: Complex) -> Complex:
        f = self.re.function
        return Complex(f.fma(self.re, other.re, -(self.im * other.im)),
                       f.fma(self.re, other.im, self.im * other.re))

    def conjugate(self) -> Complex:
        return Complex(self.re, -self.im)

    def times_minus_i(self) -> Complex:
        return Complex(self.im, -self.re)

    def scaled(self, factor: Reg | float) -> Complex:
        return Complex(self.re * factor, self.im * factor)

    def rotated(self, turn: int, parts: int) -> Complex:
        """Times exp(-2 pi i turn / parts)."""
        eighths = 8 * turn % (8 * parts) / parts
        if eighths == 0:
            return self
        if eighths == 2:
            return self.times_minus_i()
        if eighths == 4:
            return Complex(-self.re, -self.im)
        if eighths == 1:
            return Complex(self.re + self.im, self.im - self.re).scaled(math.sqrt(0.5))
        if eighths == 3:
            return Complex(self.im - self.re, -(self.re + self.im)).scaled(math.sqrt(0.5))
        f, w = self.re.function, cmath.exp(-2j * cmath.pi * turn / parts)
        return Complex(f.fma(self.re, w.real, self.im * -w.imag),
                       f.fma(self.im, w.real, self.re * w.imag))


def dft(x: Sequence[Complex]) -> list[Complex]:
    """The transform of as many numbers, in order; by the smallest factor first."""
    n = len(x)
    first = next((d for d in (2, 3, 5, 7, 11, 13) if n % d == 0), n)
    if n <= 2:
        return [x[0] + x[1], x[0] - x[1]] if n == 2 else list(x)
    if first == n:
        return _odd(x)
    second = n // first
    columns = [dft(x[k::first]) for k in range(first)]
    rows = [dft([columns[j][k].rotated(j * k, n) for j in range(first)]) for k in range(second)]
    return [rows[k % second][k // second] for k in range(n)]


def _odd(x: Sequence[Complex]) -> list[Complex]:
    """The transform of an odd number: numbers that lie opposite are added and subtracted first."""
    n, f = len(x), x[0].re.function
    half = range(1, n // 2 + 1)
    sums = {j: x[j] + x[n - j] for j in half}
    differences = {j: x[j] - x[n - j] for j in half}
    found = [x[0]] * n
    for j in half:
        found[0] = found[0] + sums[j]
    for k in half:
        even, odd = x[0], None
        for j in half:
            w = cmath.exp(-2j * cmath.pi * (j * k % n) / n)
            even = Complex(f.fma(sums[j].re, w.real, even.re), f.fma(sums[j].im, w.real, even.im))
            d = differences[j]
            odd = d.scaled(w.imag) if odd is None else Complex(
                f.fma(d.re, w.imag, odd.re), f.fma(d.im, w.imag, odd.im))
        assert odd is not None, "an odd number above 1 has a half"
        turned = Complex(-odd.im, odd.re)
        found[k], found[n - k] = even + turned, even - turned
    return found
