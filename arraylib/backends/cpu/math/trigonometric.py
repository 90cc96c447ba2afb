"""sin, cos, tan and their inverses."""

from __future__ import annotations

import math
from collections.abc import Callable

from arraylib.backends.cpu.emitter import Reg, scalar
from arraylib.backends.cpu.math.coefficients import ARC_SINE, ARC_TANGENT, SINE, TANGENT
from arraylib.backends.cpu.math.floats import (
    as_integer,
    constant,
    each_lane,
    flip_sign,
    odd,
    polynomial,
    whole,
)

# pi as a sum of numbers of the format, all positive, so that -0 stays -0. With fused multiply-add,
# subtracting a multiple of the first is exact, and the roundings after it stay below the last place
# of what is left.
_PI = {"float": (3.141592502593994, 1.5099578831723193e-07, 1.078060505991553e-14),
       "double": (3.141592653589793, 1.2246467991473532e-16)}
# Up to here these parts are enough. Larger angles go to the C library.
_LARGEST_ANGLE = 1e5
# What pi/2, correctly rounded, lacks.
_HALF_PI_REST = {"float": -4.371138828673793e-08, "double": 6.123233995736766e-17}


def _minus_multiple_of_pi(x: Reg, count: Reg, fraction: float = 1.0) -> Reg:
    """x - count * fraction * pi, to nearly full precision."""
    for part in _PI[scalar(x.type)]:
        x = x.function.fma(count, constant(x, -part * fraction), x)
    return x


def _or_library(x: Reg, name: str, near: Callable[[Reg], Reg]) -> Reg:
    """`near(x)`, but the C library's function in the lanes that are too large."""
    function = x.function
    largest = _LARGEST_ANGLE if "fma" in function.module.features else 0.0
    far = function.compare("ogt", function.absolute(x), largest)
    value = near(x)

    def with_library() -> list[Reg]:
        # Only the far lanes: a result must not depend on its neighbours.
        return [function.select(far, each_lane(name, x), value)]

    return function.conditional(function.any(far), with_library, [value])[0]


def _sine_near(x: Reg) -> Reg:
    count, parity = whole(x, 1 / math.pi)
    rest = _minus_multiple_of_pi(x, count)
    return flip_sign(x.function.copysign(odd(rest, SINE), rest), parity)


def _cosine_near(x: Reg) -> Reg:
    # The nearest zero is at (n + 1/2) pi, and cos(x) = sin(zero - x) there for even n.
    count, parity = whole(x - 0.5 * math.pi, 1 / math.pi)
    return flip_sign(odd(-_minus_multiple_of_pi(x, count + 0.5), SINE), parity)


def _tangent_near(x: Reg) -> Reg:
    function = x.function
    count, parity = whole(x, 2 / math.pi)
    value = odd(_minus_multiple_of_pi(x, count, 0.5), TANGENT)
    is_odd = function.compare("ne", parity & 1, 0)
    return function.select(is_odd, -1.0 / value, value)


def sine(x: Reg) -> Reg:
    """sin(x): the distance to the nearest multiple of pi, and an odd polynomial."""
    return _or_library(x, "sin", _sine_near)


def cosine(x: Reg) -> Reg:
    """cos(x), by the distance to its nearest zero."""
    return _or_library(x, "cos", _cosine_near)


def tan(x: Reg) -> Reg:
    """tan(x): an odd polynomial of the distance to the nearest multiple of pi/2."""
    return _or_library(x, "tan", _tangent_near)


def _half_pi_minus(x: Reg) -> Reg:
    return (_HALF_PI_REST[scalar(x.type)] - x) + math.pi / 2


def asin(x: Reg) -> Reg:
    """An odd polynomial up to 1/2; beyond, pi/2 - 2 asin(sqrt((1 - |x|) / 2))."""
    function = x.function
    size = function.absolute(x)
    central = function.compare("olt", size, 0.5)
    square = function.select(central, x * x, (1.0 - size) * 0.5)
    root = function.select(central, size, function.intrinsic("llvm.sqrt", square))
    value = function.fma(root * square, polynomial(square, ARC_SINE), root)
    return function.copysign(
        function.select(central, value, _half_pi_minus(value + value)), x)


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
