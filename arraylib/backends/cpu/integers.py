"""Integer operations where one instruction is not enough: division, shifts, powers.

Division follows XLA: x / 0 is -1 (all ones), x % 0 is x, and the smallest number / -1 is itself.
"""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Reg, bits, like


def _is_constant(x: Reg) -> bool:
    return not x.text.startswith("%")


def _nonzero_constant(x: Reg) -> bool:
    """A divisor that needs no guard: the same constant in all lanes, and neither 0 nor -1."""
    return _is_constant(x) and not x.text.startswith("<") \
        and x.text.removeprefix("splat (").removesuffix(")").split(" ")[-1] not in ("0", "-1")


def _quotient_of_floats(x: Reg, y: Reg, *, signed: bool) -> Reg:
    """The truncated quotient by way of float (16 bits) or double (32 bits), which is exact.

    Vector units divide floats only. Two numbers of n bits have a quotient that is whole or at least
    2^-n of its size away from the next whole number, and the float has more bits than n.
    """
    function = x.function
    widen, back = ("sitofp", "fptosi") if signed else ("uitofp", "fptoui")
    type = like(x.type, "float" if bits(x.type) <= 16 else "double")
    ratio = function.cast(widen, x, type) / function.cast(widen, y, type)
    whole = function.cast(back, ratio, like(x.type, "i32"))
    return function.cast("trunc", whole, x.type)


def divide_signed(x: Reg, y: Reg) -> Reg:
    """x / y, rounded towards zero."""
    function = x.function
    if _nonzero_constant(y):
        return x.sdiv(y)
    by_zero, by_minus_one = function.compare("eq", y, 0), function.compare("eq", y, -1)
    if bits(x.type) < 64:
        quotient = _quotient_of_floats(x, y, signed=True)
    else:
        quotient = x.sdiv(function.select(by_zero | by_minus_one, 1, y))
    quotient = function.select(by_minus_one, -x, quotient)
    return function.select(by_zero, -1, quotient)


def divide_unsigned(x: Reg, y: Reg) -> Reg:
    """x / y, rounded down."""
    function = x.function
    if _nonzero_constant(y):
        return x.udiv(y)
    by_zero = function.compare("eq", y, 0)
    if bits(x.type) < 64:
        quotient = _quotient_of_floats(x, y, signed=False)
    else:
        quotient = x.udiv(function.select(by_zero, 1, y))
    return function.select(by_zero, -1, quotient)


def remainder_signed(x: Reg, y: Reg) -> Reg:
    """What `divide_signed` leaves; it has the sign of x."""
    return x - divide_signed(x, y) * y


def remainder_unsigned(x: Reg, y: Reg) -> Reg:
    """What `divide_unsigned` leaves."""
    return x - divide_unsigned(x, y) * y


def shift_left(x: Reg, count: Reg) -> Reg:
    """x * 2^count; 0 when everything is shifted out."""
    return _inside(x, count, x << count, x ^ x)


def shift_right_logical(x: Reg, count: Reg) -> Reg:
    """Zeros come in from above."""
    return _inside(x, count, x.lshr(count), x ^ x)


def shift_right_arithmetic(x: Reg, count: Reg) -> Reg:
    """The sign comes in from above."""
    return _inside(x, count, x.ashr(count), x.ashr(bits(x.type) - 1))


def _inside(x: Reg, count: Reg, shifted: Reg, beyond: Reg) -> Reg:
    # A shift by the width or more is undefined; a select ignores what it does not choose.
    short = x.function.compare("ult", count, bits(x.type))
    return x.function.select(short, shifted, beyond)


def absolute(x: Reg) -> Reg:
    """|x|; the smallest number stays itself."""
    return x.function.intrinsic("llvm.abs", x, x.function.const("i1", 0), overloads=[x.type])


def sign_signed(x: Reg) -> Reg:
    """-1, 0 or 1."""
    return x.ashr(bits(x.type) - 1) | sign_unsigned(x)


def sign_unsigned(x: Reg) -> Reg:
    """0 or 1."""
    function = x.function
    return function.cast("zext", function.compare("ne", x, 0), x.type)


def popcnt(x: Reg) -> Reg:
    """How many bits are set."""
    return x.function.intrinsic("llvm.ctpop", x)


def count_leading_zeros(x: Reg) -> Reg:
    """How many zeros precede the highest set bit; the width for 0."""
    return x.function.intrinsic("llvm.ctlz", x, x.function.const("i1", 0), overloads=[x.type])


def power_unsigned(x: Reg, y: Reg) -> Reg:
    """x to the y by repeated squaring, until no lane has exponent bits left; wraps around."""
    function = x.function

    def body(carried: list[Reg]) -> list[Reg]:
        result, base, exponent = carried
        odd = function.compare("ne", exponent & 1, 0)
        return [function.select(odd, result * base, result), base * base, exponent.lshr(1)]

    def unfinished(carried: list[Reg]) -> Reg:
        return function.any(function.compare("ne", carried[2], 0))

    return function.while_loop([function.const(x.type, 1), x, y], unfinished, body)[0]


def power_signed(x: Reg, y: Reg) -> Reg:
    """x to the y; a negative y gives what 1 / x^-y truncates to."""
    function = x.function
    positive = power_unsigned(x, function.maximum(y, 0))
    parity = function.compare("eq", y & 1, 0)
    of_minus_one = function.select(parity, function.const(x.type, 1), -1)
    inverse = function.select(function.compare("eq", x, -1), of_minus_one, 0)
    inverse = function.select(function.compare("eq", x, 1), 1, inverse)
    return function.select(function.compare("slt", y, 0), inverse, positive)
