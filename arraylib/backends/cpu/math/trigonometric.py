"""sin, cos and tan: odd polynomials of the distance to the nearest zero or pole."""

from __future__ import annotations

import math

from arraylib.backends.cpu.emitter import Reg, scalar
from arraylib.backends.cpu.math.angles import (
    for_all_angles,
    from_half_turns,
    half_turns,
    minus_multiple,
    minus_multiple_pair,
)
from arraylib.backends.cpu.math.coefficients import SINE, TANGENT
from arraylib.backends.cpu.math.floats import (
    constant,
    flip_sign,
    polynomial,
    whole,
)
from arraylib.backends.cpu.math.pairs import Pair, ordered_sum


def sine(x: Reg) -> Reg:
    """sin(x): the distance to the nearest multiple of pi, and an odd polynomial."""
    return for_all_angles(x, "sin", _sine_near, _sine_far)


def cosine(x: Reg) -> Reg:
    """cos(x), by the distance to its nearest zero."""
    return for_all_angles(x, "cos", _cosine_near, _cosine_far)


def tan(x: Reg) -> Reg:
    """tan(x): an odd polynomial of the distance to the nearest multiple of pi/2."""
    return for_all_angles(x, "tan", _tangent_near, _tangent_far)


def sine_below_half_pi(x: Reg) -> Reg:
    """sin(x) up to pi/2. The cubic term is added last, which saves a rounding."""
    fma, (*higher, cubic) = x.function.fma, SINE[scalar(x.type)]
    square = x * x
    tail = constant(x, higher[0])
    for coefficient in higher[1:]:
        tail = fma(tail, square, coefficient)
    return fma(fma(square, constant(x, cubic), square * square * tail), x, x)


def sine_pair(angle: Pair) -> Pair:
    """sin of a pair up to pi/4 in size, to a tenth of a place."""
    high, low = angle
    square = high * high
    tail = square * polynomial(square, SINE) * high
    # The cosine, to few places, is what the lower part of the angle counts.
    return ordered_sum(high, high.function.fma(low, 1.0 - square * 0.5, tail))


def _sine_near(x: Reg) -> Reg:
    count, parity = whole(x, 1 / math.pi)
    rest = minus_multiple(x, count)
    return flip_sign(x.function.copysign(sine_below_half_pi(rest), rest), parity)


def _cosine_near(x: Reg) -> Reg:
    # The nearest zero is at (n + 1/2) pi, and cos(x) = sin(zero - x) there for even n.
    count, parity = whole(x - 0.5 * math.pi, 1 / math.pi)
    return flip_sign(sine_below_half_pi(-minus_multiple(x, count + 0.5)), parity)


def _tangent_near(x: Reg) -> Reg:
    count, parity = whole(x, 2 / math.pi)
    return _tangent_of(minus_multiple_pair(x, count, 0.5), parity)


def tangent_pair(angle: Pair) -> Pair:
    """tan of a pair up to pi/4 in size."""
    rest, low = angle
    fma = rest.function.fma
    square = rest * rest
    tail = square * polynomial(square, TANGENT) * rest
    value = rest + tail
    return value, fma(fma(value, value, 1.0), low, (rest - value) + tail)


def _tangent_of(angle: Pair, parity: Reg) -> Reg:
    """tan of a pair up to pi/4 in size, or -1 / tan where the integer is odd."""
    value, error = tangent_pair(angle)
    function, fma = value.function, value.function.fma
    inverse = -1.0 / value
    # -1 / (value + error), by one step of Newton's method
    inverse = fma(inverse, fma(inverse, error, fma(inverse, value, 1.0)), inverse)
    is_odd = function.compare("ne", parity & 1, 0)
    return function.select(is_odd, inverse, function.copysign(value + error, value))


def _sine_far(x: Reg) -> Reg:
    turns = half_turns(x)
    count, parity = whole(turns[0], 1.0)
    high, low = from_half_turns(turns, count)
    return _unless_tiny(x, flip_sign(sine_below_half_pi(high + low), parity))


def _cosine_far(x: Reg) -> Reg:
    turns = half_turns(x)
    count, parity = whole(turns[0] - 0.5, 1.0)
    high, low = from_half_turns(turns, count + 0.5)
    return flip_sign(sine_below_half_pi(-(high + low)), parity)


def _tangent_far(x: Reg) -> Reg:
    turns = half_turns(x)
    count, parity = whole(turns[0], 2.0)
    angle = ordered_sum(*from_half_turns(turns, count * 0.5))
    return _unless_tiny(x, _tangent_of(angle, parity))


def _unless_tiny(x: Reg, found: Reg) -> Reg:
    """`found`, but x where it is so small that the way there would lose its last digits, or -0."""
    function = x.function
    return function.select(function.compare("olt", function.absolute(x), 2.0**-60), x, found)
