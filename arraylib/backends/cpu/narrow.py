"""Numbers of 8 bits and less in registers: floats become float lanes, integers `i8` lanes.

A float of a narrow format is decoded and encoded by integer steps on its *code*, the bits that it
has in memory, in the low bits of an `i32`. Encoding rounds to nearest, ties to even (of
float8_e8m0fnu, which has no sign, zero or mantissa: away from zero); what is too large, nan and -0
become what `ml_dtypes` makes of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from arraylib import dtypes as dt
from arraylib.backends.cpu.emitter import Reg, like
from arraylib.dtypes import Dtype
from arraylib.record import record


@record
class Format:
    """A sign, exponent bits and mantissa bits, and what stands for the rest.

    `special` says what the largest exponent means: inf and nan (`ieee`), nan where all bits are set
    (`fn`), nothing but then -0 is nan (`fnuz`), or nothing at all (`finite`).
    """

    exponent: int
    mantissa: int
    bias: int
    special: str

    @property
    def sign(self) -> int:
        """The code of the sign bit."""
        return 1 << self.exponent + self.mantissa

    @property
    def largest(self) -> int:
        """The code of the largest finite number."""
        if self.special == "ieee":
            return self.infinity - 1
        return self.sign - 2 if self.special == "fn" else self.sign - 1

    @property
    def infinity(self) -> int:
        """The code of inf in a format that has it."""
        return self.sign - (1 << self.mantissa)

    @property
    def nan(self) -> int:
        """The code that nan becomes; a finite format has 0 instead, of the other sign."""
        return {"ieee": self.infinity | 1 << self.mantissa - 1, "fn": self.sign - 1,
                "fnuz": self.sign, "finite": 0}[self.special]

    @property
    def beyond(self) -> int:
        """The code of what is too large."""
        return {"ieee": self.infinity, "finite": self.largest}.get(self.special, self.nan)

    @property
    def smallest(self) -> float:
        """The smallest normal number."""
        return math.ldexp(1.0, 1 - self.bias)

    @property
    def shift(self) -> int:
        """How much further a mantissa is moved up in a float."""
        return 23 - self.mantissa


FORMATS = {
    dt.float8_e4m3fn: Format(4, 3, 7, "fn"), dt.float8_e5m2: Format(5, 2, 15, "ieee"),
    dt.float8_e4m3: Format(4, 3, 7, "ieee"), dt.float8_e3m4: Format(3, 4, 3, "ieee"),
    dt.float8_e4m3b11fnuz: Format(4, 3, 11, "fnuz"), dt.float8_e4m3fnuz: Format(4, 3, 8, "fnuz"),
    dt.float8_e5m2fnuz: Format(5, 2, 16, "fnuz"), dt.float4_e2m1fn: Format(2, 1, 1, "finite"),
    dt.float6_e2m3fn: Format(2, 3, 1, "finite"), dt.float6_e3m2fn: Format(3, 2, 3, "finite"),
}
FLOATS = frozenset({*FORMATS, dt.float8_e8m0fnu})
INTEGERS = frozenset({dt.int2, dt.int4, dt.uint2, dt.uint4})


# -- floats ----------------------------------------------------------------------------------------


def from_byte(raw: Reg, dtype: Dtype) -> Reg:
    """Bytes of memory as float lanes."""
    return decoded(raw.function.cast("zext", raw, like(raw.type, "i32")), dtype)


def to_byte(x: Reg, dtype: Dtype) -> Reg:
    """Float lanes, values of the format, as bytes of memory."""
    code = x.function.codes.get(x)
    if code is None:
        code = encoded(x, dtype) if dtype == dt.float8_e8m0fnu else _exact_code(x, FORMATS[dtype])
    return x.function.cast("trunc", code, like(x.type, "i8"))


def rounded(x: Reg, dtype: Dtype) -> Reg:
    """Float lanes rounded to values of a narrow format; their codes are known from then on."""
    code = encoded(x, dtype)
    found = decoded(code, dtype)
    x.function.codes[found] = code
    return found


def decoded(code: Reg, dtype: Dtype) -> Reg:
    """The numbers that codes stand for."""
    f, type = code.function, like(code.type, "float")
    if dtype == dt.float8_e8m0fnu:
        # 2^-127 is below the normal floats.
        bits = f.select(f.compare("eq", code, 0), 1 << 22, code << 23)
        return f.select(f.compare("eq", code, 255), math.nan, f.bitcast(bits, type))
    form = FORMATS[dtype]
    size = code & (form.sign - 1)
    moved = size << form.shift
    normal = f.bitcast(moved + (127 - form.bias << 23), type)
    # Below the normal numbers there is no leading 1: it is put there and subtracted.
    below = f.bitcast(moved + (128 - form.bias << 23), type) - form.smallest
    value = f.select(f.compare("ult", size, 1 << form.mantissa), below, normal)
    if form.special == "ieee":
        # The bits of a nan are kept: what is only moved stays as it is.
        limit = f.bitcast(moved | 0x7F800000, type)
        value = f.select(f.compare("uge", size, form.infinity), limit, value)
    elif form.special == "fn":
        value = f.select(f.compare("eq", size, form.nan), math.nan, value)
    elif form.special == "fnuz":
        value = f.select(f.compare("eq", code & (2 * form.sign - 1), form.nan), math.nan, value)
    sign = (code << 31 - form.exponent - form.mantissa) & -(1 << 31)
    return f.bitcast(f.bitcast(value, code.type) | sign, type)


def encoded(x: Reg, dtype: Dtype) -> Reg:
    """The codes of the nearest numbers."""
    f = x.function
    bits = f.bitcast(x, like(x.type, "i32"))
    size = bits & 0x7FFFFFFF
    if dtype == dt.float8_e8m0fnu:
        return _encoded_power(bits)
    form = FORMATS[dtype]
    last = size.lshr(form.shift) & 1
    start = (1 << form.shift - 1) - 1 - (127 - form.bias << 23)
    normal = (size + last + start).lshr(form.shift)
    code = _or_below_normal(x, form, normal)
    code = f.select(f.compare("ugt", code, form.largest), form.beyond, code)
    is_nan = f.compare("ugt", size, 0x7F800000)
    code = f.select(is_nan, form.nan, code)
    if form.special == "finite":
        return code | f.select(is_nan, _sign(bits, form) ^ form.sign, _sign(bits, form))
    return _with_sign(code, bits, form)


def _exact_code(x: Reg, form: Format) -> Reg:
    """The codes of values of the format, the bits of a nan among them."""
    f = x.function
    bits = f.bitcast(x, like(x.type, "i32"))
    size = bits & 0x7FFFFFFF
    code = _or_below_normal(x, form, (size - (127 - form.bias << 23)).lshr(form.shift))
    if form.special == "ieee":
        endless = size.lshr(form.shift) & form.sign - 1
        code = f.select(f.compare("uge", size, 0x7F800000), endless, code)
    elif form.special != "finite":
        code = f.select(f.compare("uge", size, 0x7F800000), form.nan, code)
    return _with_sign(code, bits, form)


def _or_below_normal(x: Reg, form: Format, normal: Reg) -> Reg:
    """The codes of sizes: those given, or of numbers below the normal ones their nearest.

    Added to a number whose last place is that of numbers below normal, x is rounded.
    """
    f = x.function
    place = f.const(x.type, form.smallest * 2.0 ** form.shift)
    below = f.bitcast(f.absolute(x) + place, normal.type) - f.bitcast(place, normal.type)
    return f.select(f.compare("olt", f.absolute(x), form.smallest), below, normal)


def _sign(bits: Reg, form: Format) -> Reg:
    """The sign of a float as a code."""
    return bits.lshr(31 - form.exponent - form.mantissa) & form.sign


def _with_sign(code: Reg, bits: Reg, form: Format) -> Reg:
    """The code of a size with the sign of a float; 0 has none in some formats."""
    signed = code | _sign(bits, form)
    if form.special != "fnuz":
        return signed
    return code.function.select(code.function.compare("eq", code, 0), 0, signed)


def _encoded_power(bits: Reg) -> Reg:
    """The exponent of the nearest power of two; 255, nan, for what is not positive."""
    f = bits.function
    code = (bits + (1 << 22)).lshr(23)
    # 2^-127, the least, is below the normal floats.
    code = f.select(f.compare("ule", bits, 1 << 22), 0, code)
    positive = f.compare("sgt", bits, 0) & f.compare("sle", bits, 0x7F800000)
    return f.select(positive, code, 255)


# -- integers --------------------------------------------------------------------------------------


def wrapped(x: Reg, dtype: Dtype) -> Reg:
    """`i8` lanes brought into the range of a narrow integer."""
    if dt.is_signed(dtype):
        return as_signed(x, dtype)
    return as_unsigned(x, dtype)


def as_signed(x: Reg, dtype: Dtype) -> Reg:
    """The low bits as a signed number."""
    free = 8 - dt.bits(dtype)
    return (x << free).ashr(free)


def as_unsigned(x: Reg, dtype: Dtype) -> Reg:
    """The low bits as an unsigned number, which is what memory holds."""
    return x & ((1 << dt.bits(dtype)) - 1)


# Operations on the bits themselves, and whether they see them as a signed number.
ON_BITS = {"shift_right_arithmetic": True, "shift_right_logical": False, "popcnt": False,
           "count_leading_zeros": False}


def on_bits(name: str, emission: Callable[..., Reg], operands: Sequence[Reg],
            dtype: Dtype) -> Reg:
    """An operation of `ON_BITS` on narrow integers, by that on bytes."""
    first = (as_signed if ON_BITS[name] else as_unsigned)(operands[0], dtype)
    found = emission(first, *operands[1:])
    if name == "count_leading_zeros":
        found = found - (8 - dt.bits(dtype))
    return wrapped(found, dtype)
