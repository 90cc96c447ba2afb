"""bfloat16 and float16 to and from float, in integer arithmetic: round to nearest, ties to even.

bfloat16 is the upper half of a float. float16 needs this only on x86 processors older than F16C;
the method is Fabian Giesen's `float_to_half_fast3_rtne`. NaN stays NaN, and becomes quiet.
"""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Reg, like

_FLOAT_INFINITY = 0xFF << 23
_FLOAT_NAN = 0x7FC00000
_HALF_OVERFLOW = (127 + 16) << 23     # the first float that is beyond all halves
_HALF_NORMAL = (127 - 14) << 23       # the smallest float that is a normal half
_HALF_ULP = ((127 - 15) + (23 - 10) + 1) << 23   # 0.5: its last place is a half's smallest number
_REBIAS = (127 - 15) << 23


def bfloat_to_float(f: Function, x: Reg) -> Reg:
    """`i16` lanes with the bits of bfloat16 as floats."""
    return f.bitcast(f.cast("zext", x, like(x.type, "i32")) << 16, like(x.type, "float"))


def float_to_bfloat(f: Function, x: Reg) -> Reg:
    """Floats as `i16` lanes with the bits of bfloat16."""
    raw = f.bitcast(x, like(x.type, "i32"))
    nearest = (raw + (raw.lshr(16) & 1) + 0x7FFF).lshr(16)
    quiet = raw.lshr(16) | 0x40
    kept = f.select(f.compare("uno", x, x), quiet, nearest)
    return f.cast("trunc", kept, like(x.type, "i16"))


def half_to_float(f: Function, x: Reg) -> Reg:
    """`i16` lanes with the bits of float16 as floats."""
    raw = f.cast("zext", x, like(x.type, "i32"))
    # As a float the exponent is too small by the difference of the biases: a product repairs
    # that for subnormal numbers too. Infinity and NaN get the largest exponent.
    small = f.bitcast((raw & 0x7FFF) << 13, like(x.type, "float"))
    finite = f.bitcast(small * 2.0**112, raw.type)
    special = (raw & 0x7FFF) >= 0x7C00
    magnitude = finite | f.select(special, f.const(raw.type, _FLOAT_INFINITY), 0)
    return f.bitcast(magnitude | ((raw & 0x8000) << 16), like(x.type, "float"))


def e4m3_to_float(f: Function, x: Reg) -> Reg:
    """`i8` lanes with the bits of float8_e4m3fn, which has no infinities, as floats."""
    raw = f.cast("zext", x, like(x.type, "i32"))
    size = raw & 0x7F
    finite = f.bitcast(f.bitcast(size << 20, like(x.type, "float")) * 2.0**120, raw.type)
    magnitude = f.select(f.compare("eq", size, 0x7F), f.const(raw.type, _FLOAT_NAN), finite)
    return f.bitcast(magnitude | ((raw & 0x80) << 24), like(x.type, "float"))


def float_to_half(f: Function, x: Reg) -> Reg:
    """Floats as `i16` lanes with the bits of float16."""
    raw = f.bitcast(x, like(x.type, "i32"))
    size = raw & 0x7FFFFFFF
    infinity = f.const(raw.type, 0x7C00)
    special = f.select(size > _FLOAT_INFINITY, f.const(raw.type, 0x7E00), infinity)
    # Adding 0.5 makes the float addition itself round at a half's last subnormal place.
    aligned = f.bitcast(size, x.type) + f.bitcast(f.const(raw.type, _HALF_ULP), x.type)
    subnormal = f.bitcast(aligned, raw.type) - _HALF_ULP
    normal = (size - _REBIAS + 0xFFF + (size.lshr(13) & 1)).lshr(13)
    finite = f.select(size < _HALF_NORMAL, subnormal, normal)
    magnitude = f.select(size < _HALF_OVERFLOW, finite, special)
    return f.cast("trunc", magnitude | (raw.lshr(16) & 0x8000), like(x.type, "i16"))
