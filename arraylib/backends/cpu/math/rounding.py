"""Rounding to whole numbers, and the sign."""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Reg


def floor(x: Reg) -> Reg:
    """The largest whole number not above x."""
    return x.function.intrinsic("llvm.floor", x)


def ceil(x: Reg) -> Reg:
    """The smallest whole number not below x."""
    return x.function.intrinsic("llvm.ceil", x)


def round_nearest_even(x: Reg) -> Reg:
    """The nearest whole number, ties to even."""
    return x.function.intrinsic("llvm.roundeven", x)


def round_nearest_afz(x: Reg) -> Reg:
    """The nearest whole number, ties away from zero."""
    function = x.function
    cut = function.intrinsic("llvm.trunc", x)
    # x - cut is exact, so adding 1/2 to x first, which may round up, is avoided.
    far = function.compare("oge", function.absolute(x - cut), 0.5)
    return function.copysign(function.select(far, cut + function.copysign(1.0, x), cut), x)


def sign(x: Reg) -> Reg:
    """-1 or 1 by the sign of x; zeros and nan give themselves."""
    function = x.function
    nonzero = function.compare("one", x, 0.0)
    return function.select(nonzero, function.copysign(1.0, x), x)
