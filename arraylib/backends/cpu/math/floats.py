"""Steps that the functions share: formats, polynomials, whole numbers, powers of two.

Multiplying by a power of two and reading exponents is done on the bits of the format. Whole
numbers are found by adding a number so large that its last place is 1: the sum's low bits are then
the whole number itself, and subtracting the large number again gives it as a float.
"""

from __future__ import annotations

from dataclasses import dataclass

from arraylib.backends.cpu.emitter import Function, Reg, bits, lanes, like, mangle, scalar
from arraylib.backends.cpu.math.coefficients import Table


@dataclass(frozen=True)
class Format:
    """Layout and limits of a binary float."""

    integer: str  # the integer type of the same width
    mantissa: int  # stored bits of the significand
    bias: int
    smallest: float  # smallest normal number
    suffix: str  # of the C library's names

    @property
    def whole(self) -> float:
        """A number whose last place is 1, with room for negative whole numbers beside it."""
        return 1.5 * 2.0**self.mantissa


_FORMATS = {"float": Format("i32", 23, 127, 2.0**-126, "f"),
            "double": Format("i64", 52, 1023, 2.0**-1022, "")}


def format_of(x: Reg) -> Format:
    """The layout of x's lanes."""
    return _FORMATS[scalar(x.type)]


def constant(x: Reg, value: float) -> Reg:
    """`value` in every lane of x's type."""
    return x.function.const(x.type, value)


def polynomial(x: Reg, table: Table) -> Reg:
    """Horner's rule with the coefficients that `table` has for x's element type."""
    first, *rest = table[scalar(x.type)]
    total = constant(x, first)
    for coefficient in rest:
        total = x.function.fma(total, x, coefficient)
    return total


def odd(x: Reg, table: Table) -> Reg:
    """x + x^3 p(x^2): an odd function, exact for tiny x. Where p is negative, -0 gives 0."""
    square = x * x
    return x.function.fma(square * polynomial(square, table), x, x)


def at_most(x: Reg, high: float) -> Reg:
    """x, but no more than a constant; nan stays. One instruction where min is native."""
    return x.function.select(x.function.compare("olt", constant(x, high), x), high, x)


def at_least(x: Reg, low: float) -> Reg:
    """x, but no less than a constant; nan stays."""
    return x.function.select(x.function.compare("ogt", constant(x, low), x), low, x)


def square_error(x: Reg, square: Reg) -> Reg:
    """x^2 - square, where `square` is x * x rounded (Dekker 1971: no fused operation is needed)."""
    half = format_of(x).mantissa // 2 + 1
    high = as_float(as_integer(x) & -(1 << half), x)
    low = x - high
    return (high * high - square) + (high + high) * low + low * low


def as_integer(x: Reg) -> Reg:
    """The bits of x as an integer."""
    return x.function.bitcast(x, like(x.type, format_of(x).integer))


def as_float(x: Reg, model: Reg) -> Reg:
    """Bits as a float of the model's type."""
    return x.function.bitcast(x, model.type)


def whole(x: Reg, factor: float) -> tuple[Reg, Reg]:
    """The whole number nearest x * factor, and an integer whose low bits are that number's."""
    large = format_of(x).whole
    shifted = x.function.fma(x, constant(x, factor), constant(x, large))
    return shifted - large, as_integer(shifted)


def flip_sign(x: Reg, parity: Reg) -> Reg:
    """-x where the integer is odd."""
    sign = parity << (bits(x.type) - 1)
    return as_float(as_integer(x) ^ sign, x)


def multiply_power_of_two(x: Reg, exponent: Reg) -> Reg:
    """x * 2^exponent for a whole float exponent, rounded once, also where it is subnormal."""
    native = _scale_instruction(x)
    if native:
        everywhere = x.function.const(f"i{max(8, lanes(x.type))}", -1)
        zero = constant(x, 0.0)
        operands = [x, exponent, zero, everywhere]
        if bits(x.type) * lanes(x.type) == 512:
            operands.append(x.function.const("i32", 4))  # the current rounding mode
        found = x.function.call(native, x.type, operands)
        assert found is not None
        return found
    # Two factors of about half the exponent: one alone may not be a normal number.
    format = format_of(x)
    biased = as_integer(exponent + (format.whole + 2 * format.bias))
    biased = biased & ((1 << (format.mantissa - 1)) - 1)
    half = biased.lshr(1)
    first = as_float(half << format.mantissa, x)
    second = as_float((biased - half) << format.mantissa, x)
    return x * first * second


def _scale_instruction(x: Reg) -> str | None:
    """The x86 intrinsic that scales a register of this width, if the target has one."""
    width = bits(x.type) * lanes(x.type)
    needed = {512: "avx512f", 256: "avx512vl", 128: "avx512vl"}.get(width)
    if needed not in x.function.module.features or lanes(x.type) == 1:
        return None
    letter = "s" if scalar(x.type) == "float" else "d"
    return f"llvm.x86.avx512.mask.scalef.p{letter}.{width}"


def split_exponent(x: Reg, low: float) -> tuple[Reg, Reg]:
    """Positive normal x as (m, k), x = m * 2^k with low <= m < 2 low and k a float."""
    format = format_of(x)
    start = _bits_of(low, format)
    offset = as_integer(x) + ((format.bias << format.mantissa) - start)
    mantissa = as_float((offset & ((1 << format.mantissa) - 1)) + start, x)
    # The exponent becomes the low bits of a float whose last place is 1.
    base = 2.0**format.mantissa
    count = offset.lshr(format.mantissa) | _bits_of(base, format)
    exponent = as_float(count, x) - (base + format.bias)
    return mantissa, exponent


def _bits_of(value: float, format: Format) -> int:
    """Bits of a positive float constant, cut to the format (never rounded up)."""
    exponent, fraction = 0, value
    while fraction >= 2:
        fraction, exponent = fraction / 2, exponent + 1
    while fraction < 1:
        fraction, exponent = fraction * 2, exponent - 1
    return (exponent + format.bias << format.mantissa) + int((fraction - 1) * 2**format.mantissa)


def widen(x: Reg) -> Reg:
    """float lanes as double lanes."""
    return x.function.cast("fpext", x, like(x.type, "double"))


def narrow(x: Reg) -> Reg:
    """double lanes rounded to float lanes."""
    return x.function.cast("fptrunc", x, like(x.type, "float"))


def each_lane(name: str, *operands: Reg) -> Reg:
    """The C library's function on one lane after the other.

    The loop is a function of its own, made once per module, so that the caller stays small.
    """
    caller, type = operands[0].function, operands[0].type
    symbol = f"each_{name}_{mangle(type)}"
    if all(function.name != symbol for function in caller.module.functions):
        _each_lane_loop(caller, symbol, name + format_of(operands[0]).suffix, type, len(operands))
    found = caller.call(symbol, type, operands)
    assert found is not None
    return found


def _each_lane_loop(caller: Function, symbol: str, callee: str, type: str, arity: int) -> None:
    element = scalar(type)
    loop = Function(caller.module, symbol, [(type, f"x{i}") for i in range(arity)], result=type)
    cells = [loop.alloca(type, align=64) for _ in range(arity)]
    for cell, value in zip(cells, loop.args, strict=True):
        loop.store(value, cell)

    def body(index: Reg, _: list[Reg]) -> None:
        places = [loop.gep(cell, index, element) for cell in cells]
        value = loop.call(callee, element, [loop.load(place, element) for place in places])
        assert value is not None
        loop.store(value, places[0])

    loop.loop(0, lanes(type), 1, [], body)
    loop.ret(loop.load(cells[0], type))
