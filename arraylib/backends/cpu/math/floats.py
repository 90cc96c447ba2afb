"""Steps that the functions share: formats, polynomials, whole numbers, powers of two.

Multiplying by a power of two and reading exponents is done on the bits of the format. Whole
numbers are found by adding a number so large that its last place is 1: the sum's low bits are then
the whole number itself, and subtracting the large number again gives it as a float.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from arraylib.backends.cpu.emitter import Reg, bits, lanes, like, scalar
from arraylib.backends.cpu.math.coefficients import Table
from arraylib.record import record


@record
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
    return series(x, table[scalar(x.type)])


def series(x: Reg, coefficients: Sequence[float]) -> Reg:
    """Horner's rule, highest power first."""
    total = constant(x, coefficients[0])
    for coefficient in coefficients[1:]:
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
    if _scale_instruction(x, register_lanes(x)):
        return in_registers(_scaled, x, exponent)
    # Two factors of about half the exponent: one alone may not be a normal number.
    format = format_of(x)
    biased = as_integer(exponent + (format.whole + 2 * format.bias))
    biased = biased & ((1 << (format.mantissa - 1)) - 1)
    half = biased.lshr(1)
    first = as_float(half << format.mantissa, x)
    second = as_float((biased - half) << format.mantissa, x)
    return x * first * second


def _scaled(x: Reg, exponent: Reg) -> Reg:
    """x * 2^exponent by the target's instruction, of one register."""
    name = _scale_instruction(x, lanes(x.type))
    assert name is not None, "the caller has asked"
    operands = [x, exponent, constant(x, 0.0),
                x.function.const(f"i{max(8, lanes(x.type))}", -1)]  # everywhere
    if bits(x.type) * lanes(x.type) == 512:
        operands.append(x.function.const("i32", 4))  # the current rounding mode
    found = x.function.call(name, x.type, operands)
    assert found is not None
    return found


def _scale_instruction(x: Reg, count: int) -> str | None:
    """The x86 intrinsic that scales a register of so many lanes, if the target has one."""
    width = bits(x.type) * count
    needed = {512: "avx512f", 256: "avx512vl", 128: "avx512vl"}.get(width)
    if needed not in x.function.module.features or count == 1:
        return None
    letter = "s" if scalar(x.type) == "float" else "d"
    return f"llvm.x86.avx512.mask.scalef.p{letter}.{width}"


def register_lanes(x: Reg) -> int:
    """How many lanes of x are in one register of the target."""
    return min(lanes(x.type), x.function.module.vector_bits // bits(x.type))


def in_registers(emission: Callable[..., Reg], *operands: Reg) -> Reg:
    """What `emission` makes of vectors wider than a register, register by register.

    For instructions that LLVM knows for one width only, and does not divide.
    """
    function, count, single = operands[0].function, lanes(operands[0].type), \
        register_lanes(operands[0])
    if count == single:
        return emission(*operands)
    parts = [emission(*(function.shuffle(x, None, range(start, start + single)) for x in operands))
             for start in range(0, count, single)]
    while len(parts) > 1:
        width = 2 * lanes(parts[0].type)
        parts = [function.shuffle(a, b, range(width)) for a, b in zip(parts[::2], parts[1::2])]
    return parts[0]


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
