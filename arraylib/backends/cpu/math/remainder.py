"""The floating remainder, exactly: no step below rounds what it keeps."""

from __future__ import annotations

import math

from arraylib.backends.cpu.emitter import Function, Reg, mangle, scalar
from arraylib.backends.cpu.math.floats import (
    as_float,
    as_integer,
    constant,
    format_of,
    narrow,
    widen,
)
from arraylib.backends.cpu.math.pairs import two_product

# Below this a quotient in double is a whole number, but for its fraction.
_SHORT_QUOTIENT = 2.0**50


def remainder(x: Reg, y: Reg) -> Reg:
    """C's fmod: x - trunc(x / y) y, with the sign of x, computed in double.

    Where the quotient has more digits than a number can hold, it is found 50 bits at a time, by a
    function of its own, made once per module.
    """
    function, type = x.function, x.type
    symbol = f"long_remainder_{mangle(type)}"
    if all(known.name != symbol for known in function.module.functions):
        _long_remainder(function, symbol, type)
    numerator, divisor = _wide(x), _wide(y)
    quotient = function.intrinsic("llvm.trunc", numerator / divisor)
    rest = _narrow(_minus_product(numerator, quotient, divisor), type)
    # A smaller x is the remainder; the product would be nan for an infinite y.
    rest = function.select(function.compare("oeq", quotient, 0.0), x, rest)
    # The quotient may have been rounded up to a whole number: then the sign is wrong.
    overshot = function.compare("olt", _narrow(numerator, type) * rest, 0.0)
    rest = function.select(overshot, rest + function.copysign(function.absolute(y), x), rest)
    rest = function.copysign(rest, x)
    long = function.compare("oge", function.absolute(quotient), _SHORT_QUOTIENT)

    def with_long() -> list[Reg]:
        found = function.call(symbol, type, [x, y])
        assert found is not None
        return [function.select(long, found, rest)]
    return function.conditional(function.any(long), with_long, [rest])[0]


def _wide(x: Reg) -> Reg:
    return x if scalar(x.type) == "double" else widen(x)


def _narrow(x: Reg, type: str) -> Reg:
    return narrow(x) if scalar(type) == "float" else x


def _minus_product(x: Reg, a: Reg, b: Reg) -> Reg:
    """x - a b, which is known to be exact."""
    if "fma" in x.function.module.features:
        return x.function.fma(-a, b, x)
    # The halves of which the product is made may be above the largest number if it is just below.
    large = x.function.compare("ogt", x.function.absolute(x), 2.0**1000)
    scale, back = (x.function.select(large, constant(x, value), 1.0) for value in (0.25, 4.0))
    product, error = two_product(a * scale, b)
    return ((x * scale - product) - error) * back


def _long_remainder(caller: Function, symbol: str, type: str) -> None:
    """Define the way for quotients of any size; dividing by 0 and infinite dividends give nan."""
    function = Function(caller.module, symbol, [(type, "x"), (type, "y")], result=type)
    x, y = map(_wide, function.args)
    size, divisor = function.absolute(x), function.absolute(y)
    regular = function.compare("olt", size, math.inf) & function.compare("ogt", divisor, 0.0)
    size = function.select(regular, size, 0.0)
    divisor = function.select(regular, divisor, 1.0)

    def unfinished(carried: list[Reg]) -> Reg:
        return function.any(function.compare("oge", carried[0], divisor))

    def step(carried: list[Reg]) -> list[Reg]:
        (rest,) = carried
        multiple = divisor
        for _ in range(3):  # the quotient of the largest and the least number overflows twice
            multiple = multiple * _scale(rest / multiple)
        count = function.intrinsic("llvm.trunc", rest / multiple)
        rest = _minus_product(rest, count, multiple)
        negative = function.compare("olt", rest, 0.0)
        return [function.select(negative, rest + multiple, rest)]

    (rest,) = function.while_loop([size], unfinished, step)
    found = function.select(regular, function.copysign(rest, x), math.nan)
    function.ret(_narrow(found, type))


def _scale(quotient: Reg) -> Reg:
    """The power of two that leaves the quotient some 50 bits, at least 1."""
    format = format_of(quotient)
    exponent = as_integer(quotient).lshr(format.mantissa)
    # An infinite quotient, of a subnormal divisor, counts as the largest power.
    exponent = quotient.function.minimum(exponent, 2 * format.bias)
    exponent = quotient.function.maximum(exponent - 50, format.bias)
    return as_float(exponent << format.mantissa, quotient)
