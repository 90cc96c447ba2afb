"""Numbers as unevaluated sums of two registers, the second below the last place of the first.

The steps are Dekker's (1971) and Knuth's; each gives a rounded result and exactly what it lacks,
unless its text says how much is lost.
"""

from __future__ import annotations

import math

from arraylib.backends.cpu.emitter import Reg
from arraylib.backends.cpu.math.floats import as_float, as_integer, constant, format_of

Pair = tuple[Reg, Reg]


def two_sum(a: Reg, b: Reg) -> Pair:
    """a + b."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def ordered_sum(a: Reg, b: Reg) -> Pair:
    """a + b where |a| >= |b|, or a is 0."""
    total = a + b
    return total, b - (total - a)


def two_product(a: Reg, b: Reg) -> Pair:
    """a * b."""
    product = a * b
    if "fma" in a.function.module.features:
        return product, a.function.fma(a, b, -product)
    (x, y), (z, w) = _halves(a), _halves(b)
    return product, ((x * z - product) + x * w + y * z) + y * w


def _halves(x: Reg) -> Pair:
    """x rounded to the upper half of its bits, and the rest, which its sign makes a bit shorter."""
    cut = format_of(x).mantissa // 2 + 1
    raw, mask = as_integer(x), -(1 << cut)
    high = as_float(raw + (1 << cut - 1) & mask, x)
    finite = x.function.compare("olt", x.function.absolute(high), math.inf)
    high = x.function.select(finite, high, as_float(raw & mask, x))
    return high, x - high


def pair_times(a: Pair, b: Pair) -> Pair:
    """The product, to about twice the precision of one register."""
    fma = a[0].function.fma
    high, low = two_product(a[0], b[0])
    return ordered_sum(high, fma(a[0], b[1], fma(a[1], b[0], low)))


def pair_plus(a: Pair, b: Pair) -> Pair:
    """The sum where |a| >= |b|, to about twice the precision of one register."""
    high, low = ordered_sum(a[0], b[0])
    return ordered_sum(high, low + (a[1] + b[1]))


def quotient(a: Pair, b: Pair) -> Pair:
    """a / b, to about twice the precision of one register, with one division."""
    fma = a[0].function.fma
    inverse = 1.0 / b[0]
    first = a[0] * inverse
    product, error = two_product(first, b[0])
    rest = ((a[0] - product) - error) + fma(-first, b[1], a[1])
    return ordered_sum(first, rest * inverse)


def root(x: Pair) -> Pair:
    """The square root, to about twice the precision of one register; of 0 it is (0, nan)."""
    high = x[0].function.intrinsic("llvm.sqrt", x[0])
    square, error = two_product(high, high)
    return high, (((x[0] - square) - error) + x[1]) / (high + high)


def single(x: Reg) -> Pair:
    """A register as a pair."""
    return x, constant(x, 0.0)
