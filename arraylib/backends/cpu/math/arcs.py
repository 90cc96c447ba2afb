"""asin, acos, atan and atan2."""

from __future__ import annotations

import math

from arraylib.backends.cpu.emitter import Reg, scalar
from arraylib.backends.cpu.math.coefficients import ARC_SINE, ARC_TANGENT
from arraylib.backends.cpu.math.floats import as_integer, constant, odd, polynomial

# What pi/2, correctly rounded, lacks.
_HALF_PI_REST = {"float": -4.371138828673793e-08, "double": 6.123233995736766e-17}


def _half_pi_minus(x: Reg) -> Reg:
    return (_HALF_PI_REST[scalar(x.type)] - x) + math.pi / 2


def asin(x: Reg) -> Reg:
    """An odd polynomial up to 1/2; beyond, pi/2 - 2 asin(sqrt((1 - |x|) / 2))."""
    function, fma = x.function, x.function.fma
    size = function.absolute(x)
    central = function.compare("olt", size, 0.5)
    square = function.select(central, x * x, (1.0 - size) * 0.5)
    base = function.select(central, size, function.intrinsic("llvm.sqrt", square))
    tail = base * square * polynomial(square, ARC_SINE)
    # pi/2 - 2 (base + tail), its largest parts first
    rest = fma(tail, constant(x, -2.0), _HALF_PI_REST[scalar(x.type)])
    whole = fma(base, -2.0, math.pi / 2)
    outside = whole + (fma(base, -2.0, math.pi / 2 - whole) + rest)
    return function.copysign(function.select(central, base + tail, outside), x)


def acos(x: Reg) -> Reg:
    """pi/2 - asin(x) in the middle; 2 asin(sqrt((1 - |x|) / 2)) and its complement outside."""
    function = x.function
    size = function.absolute(x)
    central = function.compare("olt", size, 0.5)
    square = function.select(central, x * x, (1.0 - size) * 0.5)
    root = function.select(central, x, function.intrinsic("llvm.sqrt", square))
    value = function.fma(root * square, polynomial(square, ARC_SINE), root)
    twice = value + value
    rest = 2 * _HALF_PI_REST[scalar(x.type)]
    outside = function.select(function.compare("olt", x, 0.0), (rest - twice) + math.pi, twice)
    return function.select(central, _half_pi_minus(value), outside)


def _arc_tangent_of_ratio(small: Reg, large: Reg, swapped: Reg) -> Reg:
    """atan(small / large) for 0 <= small <= large, or its complement to pi/2 where swapped."""
    value = odd(small / large, ARC_TANGENT)
    return small.function.select(swapped, _half_pi_minus(value), value)


def atan(x: Reg) -> Reg:
    """An odd polynomial up to 1; beyond, pi/2 - atan(1 / |x|)."""
    function = x.function
    size = function.absolute(x)
    swapped = function.compare("ogt", size, 1.0)
    small = function.select(swapped, 1.0, size)
    value = _arc_tangent_of_ratio(small, function.select(swapped, size, 1.0), swapped)
    return function.copysign(value, x)


def atan2(y: Reg, x: Reg) -> Reg:
    """The angle of the point (x, y), in (-pi, pi], for all signs of zero and inf."""
    function = x.function
    height, width = function.absolute(y), function.absolute(x)
    steep = function.compare("ogt", height, width)
    small, large = function.select(steep, width, height), function.select(steep, height, width)
    # 0 / 0 and inf / inf: the direction is that of (1, 0) and of (1, 1).
    large = function.select(function.compare("oeq", large, 0.0), 1.0, large)
    infinite = function.compare("oeq", small, math.inf)
    small = function.select(infinite, 1.0, small)
    large = function.select(infinite, 1.0, large)
    angle = _arc_tangent_of_ratio(small, large, steep)
    rest = 2 * _HALF_PI_REST[scalar(x.type)]
    leftwards = function.compare("slt", as_integer(x), 0)
    angle = function.select(leftwards, (rest - angle) + math.pi, angle)
    angle = function.copysign(angle, y)
    either_nan = function.compare("uno", x, y)
    return function.select(either_nan, x + y, angle)
