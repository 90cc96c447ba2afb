"""Angles less the nearest multiple of pi: the first step of sin, cos and tan.

Small angles lose count * pi, with pi in parts (Cody and Waite's way). Of large ones the binary
digits of 1/pi that matter are looked up (Payne and Hanek's), which is right for every finite angle.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from arraylib.backends.cpu.emitter import Function, Reg, lanes, like, mangle, scalar, vector
from arraylib.backends.cpu.llvm_types import constant_text
from arraylib.backends.cpu.math.floats import (
    as_float,
    as_integer,
    constant,
    format_of,
    narrow,
    widen,
)
from arraylib.backends.cpu.math.pairs import Pair, ordered_sum, two_product, two_sum

# pi as a sum of numbers of the format, all positive, so that -0 stays -0. With fused multiply-add,
# subtracting a multiple of the first is exact, and the roundings after it stay below the last place
# of what is left.
_PI = {"float": (3.141592502593994, 1.5099578831723193e-07, 1.078060505991553e-14),
       "double": (3.141592653589793, 1.224646799147353e-16, 2.165713347843828e-32)}
_PIECE = 8  # lanes that are reduced in double at a time
# Up to here these parts are enough, and the count is found to its last bit.
LARGEST = {"float": 1e5, "double": 1e9}


def minus_multiple(x: Reg, count: Reg, fraction: float = 1.0) -> Reg:
    """x - count * fraction * pi, to within a place."""
    for part in _PI[scalar(x.type)]:
        x = x.function.fma(count, part * -fraction, x)
    return x


def minus_multiple_pair(x: Reg, count: Reg, fraction: float) -> Pair:
    """The same to nearly twice the precision."""
    fma = x.function.fma
    first, second, third = (constant(x, part * -fraction) for part in _PI[scalar(x.type)])
    product, low = two_product(count, second)
    total, error = two_sum(fma(count, first, x), product)
    return total, fma(count, third, error + low)


def for_all_angles(x: Reg, name: str, near: Callable[[Reg], Reg],
                   far: Callable[[Reg], Reg]) -> Reg:
    """`near(x)`, but `far(x)`, which computes in double, in the lanes that are too large for it.

    The far way is a function of its own, made once per module, so that the caller stays small. It
    goes over a wide vector piece by piece, for the same reason.
    Without fused multiply-add it is the only one.
    """
    function = x.function
    symbol = f"far_{name}_{mangle(x.type)}"
    if all(known.name != symbol for known in function.module.functions):
        _far_function(function, symbol, x.type, far)

    def call() -> Reg:
        found = function.call(symbol, x.type, [x])
        assert found is not None
        return found

    if "fma" not in function.module.features:
        return call()
    beyond = function.compare("ogt", function.absolute(x), LARGEST[scalar(x.type)])
    value = near(x)
    # Only the far lanes: a result must not depend on its neighbours.
    return function.conditional(
        function.any(beyond), lambda: [function.select(beyond, call(), value)], [value])[0]


def _far_function(caller: Function, symbol: str, type: str, far: Callable[[Reg], Reg]) -> None:
    function = Function(caller.module, symbol, [(type, "x")], result=type)
    (x,), element = function.args, scalar(type)

    def found(x: Reg) -> Reg:
        return far(x) if element == "double" else narrow(far(widen(x)))

    if lanes(type) <= _PIECE:
        function.ret(found(x))
        return
    room = function.alloca(type, align=64)
    function.store(x, room)

    def piece(index: Reg, _: list[Reg]) -> None:
        place = function.gep(room, index, element)
        function.store(found(function.load(place, vector(element, _PIECE))), place)

    function.loop(0, lanes(type), _PIECE, [], piece)
    function.ret(function.load(room, type))


# x = m 2^(16 j) with 2^16 <= m < 2^32: row j holds 2^(16 j) / pi, less the multiples of 2^37, each
# of which adds a whole number of turns to x / pi since m is a multiple of 2^-36.
_ROWS, _STEP, _FIRST, _PARTS = 64, 16, 16, 4
_TURNS = 37


@functools.cache
def _inverse_pi(places: int) -> int:
    """floor(2^places / pi), with pi by Machin's formula."""
    spare = places + 64

    def arc_tangent_of_inverse(n: int) -> int:
        term = total = (1 << spare) // n
        k = 1
        while term:
            term //= -n * n
            k += 2
            total += term // k
        return total

    pi = 16 * arc_tangent_of_inverse(5) - 4 * arc_tangent_of_inverse(239)
    return (1 << spare + places) // pi


def _row(j: int) -> list[float]:
    """2^(16 j) / pi modulo 2^37 as a sum of doubles."""
    places = 320
    rest = (_inverse_pi(places + _STEP * j)) % (1 << places + _TURNS)
    found = []
    for _ in range(_PARTS):
        shift = max(rest.bit_length() - 53, 0)
        part = rest >> shift << shift  # 53 bits, so that the float is exact
        found.append(math.ldexp(part >> shift, shift - places))
        rest -= part
    return found


def _table(function: Function) -> Reg:
    values = [value for j in range(_ROWS) for value in _row(j)]
    type = f"[{len(values)} x double]"
    text = ", ".join(f"double {constant_text('double', value)}" for value in values)
    function.module.add_global("inverse_pi", type, f"[{text}]", constant=True)
    return function.address("inverse_pi")


def _parts_of_inverse(x: Reg) -> tuple[Reg, list[Reg]]:
    """m and row j, in parts, for double lanes x."""
    function, format = x.function, format_of(x)
    exponent = (as_integer(x).lshr(format.mantissa) & 2 * format.bias + 1) \
        - (format.bias + _FIRST)
    row = function.maximum(exponent, 0).lshr(_STEP.bit_length() - 1)
    scale = as_float((format.bias - row * _STEP) << format.mantissa, x)
    table, first = _table(function), row * _PARTS
    places = [function.gep(table, first + k, "double") for k in range(_PARTS)]
    if lanes(x.type) == 1:
        return x * scale, [function.load(place, "double") for place in places]
    mask = function.const(like(x.type, "i1"), 1)
    return x * scale, [function.gather(place, x.type, mask) for place in places]


def _less_turns(x: Reg) -> Reg:
    """x less the nearest multiple of 2, exactly."""
    return x - 2.0 * x.function.intrinsic("llvm.rint", x * 0.5)


def half_turns(x: Reg) -> Pair:
    """x / pi less a multiple of 2, for double lanes of any size, to 2^-120 where it is tiny."""
    m, (first, second, third, fourth) = _parts_of_inverse(x)
    high, low = two_product(m, first)
    high, low = _less_turns(high), _less_turns(low)
    high_2, low_2 = two_product(m, second)
    high_3, low_3 = two_product(m, third)
    total, a = two_sum(high, low)
    total, b = two_sum(total, _less_turns(high_2))
    total = _less_turns(total)
    c, d = two_sum(low_2, high_3)
    middle, e = two_sum(a, b)
    middle, f = two_sum(middle, c)
    tail = (d + e) + f + (low_3 + m * fourth)
    total, g = two_sum(total, middle)
    return ordered_sum(total, g + tail)


def from_half_turns(turns: Pair, count: Reg) -> Pair:
    """(turns - count) pi."""
    fma = count.function.fma
    high, low = ordered_sum(turns[0] - count, turns[1])
    pi, rest, _ = _PI["double"]
    first, error = two_product(high, count.function.const(count.type, pi))
    return ordered_sum(first, error + fma(high, rest, low * pi))
