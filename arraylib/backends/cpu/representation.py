"""How values of each dtype look in registers and in memory, and how one becomes another.

| dtype             | register lane                                | memory              |
|-------------------|----------------------------------------------|---------------------|
| bool              | `i1`                                         | one byte, 0 or 1    |
| integers          | `iN`                                         | the same            |
| float16, bfloat16 | `float`, always a value of the narrow dtype  | its two bytes       |
| float32, float64  | `float`, `double`                            | the same            |
| narrower integers | `i8`, extended by the sign or 0              | one byte, high bits 0 |
| narrower floats   | `float`, always a value of the narrow dtype  | one byte, high bits 0 |
| complex           | a pair: real parts, imaginary parts          | one beside the other |
"""

from __future__ import annotations

import math
import sys

import numpy as np

from arraylib import dtypes as dt
from arraylib.backends.cpu import narrow
from arraylib.backends.cpu.emitter import Function, Reg, bits, lanes, like, pair, scalar, vector
from arraylib.dtypes import Dtype

_LANES = {
    dt.bool_: "i1", dt.float16: "float", dt.bfloat16: "float", dt.float32: "float",
    dt.float64: "double", dt.int8: "i8", dt.int16: "i16", dt.int32: "i32", dt.int64: "i64",
    dt.uint8: "i8", dt.uint16: "i16", dt.uint32: "i32", dt.uint64: "i64",
    dt.complex64: pair("float"), dt.complex128: pair("double"),
    **dict.fromkeys(narrow.FLOATS, "float"), **dict.fromkeys(narrow.INTEGERS, "i8")}


def kind(dtype: Dtype) -> str | None:
    """`b`, `i`, `u`, `f` or `c` for a dtype that registers can hold, else None."""
    return dt.kind(dtype) if dtype in _LANES else None


def is_ordered(dtype: Dtype) -> bool:
    """Whether the bits in memory are those of an integer, or of a float that IEEE 754 has."""
    return dt.bits(dtype) >= 8 and not dt.is_complex(dtype) and not dt.is_float8(dtype)


def register_type(dtype: Dtype, count: int) -> str:
    """The type of a register that holds `count` elements."""
    return vector(_LANES[dtype], count)


def memory_type(dtype: Dtype, count: int) -> str:
    """The type as which `count` elements are loaded and stored; of complex numbers, their parts.

    Those without a register form can be copied as integers of their size.
    """
    if dt.is_complex(dtype):
        return vector(_LANES[dt.to_real(dtype)], 2 * count)
    if dtype.itemsize <= 2 or dtype not in _LANES:
        return vector(f"i{8 * dtype.itemsize}", count)
    return register_type(dtype, count)


def memory_element(dtype: Dtype) -> str:
    """A type of one element's size, for addresses."""
    return f"i{8 * dtype.itemsize}"


def number(function: Function, value: complex, dtype: Dtype) -> Reg:
    """A Python number in a register; without a register form, its bytes as `memory_type` says."""
    if dtype in _LANES:
        return function.const(register_type(dtype, 1), value)
    content = np.asarray(value, dtype).tobytes()
    return function.const(memory_type(dtype, 1), int.from_bytes(content, sys.byteorder))


def from_memory(raw: Reg, dtype: Dtype) -> Reg:
    """The register form of loaded elements."""
    function = raw.function
    if dtype == dt.bool_:
        return function.compare("ne", raw, 0)
    if dtype == dt.bfloat16:
        wide = function.cast("zext", raw, like(raw.type, "i32"))
        return function.bitcast(wide << 16, like(raw.type, "float"))
    if dtype == dt.float16:
        half = function.bitcast(raw, like(raw.type, "half"))
        return function.cast("fpext", half, like(raw.type, "float"))
    if dtype in narrow.FLOATS:
        return narrow.from_byte(raw, dtype)
    if dtype in narrow.INTEGERS:
        return narrow.wrapped(raw, dtype)
    if dt.is_complex(dtype):
        count = lanes(raw.type) // 2
        return function.pair(*(_lanes_from(raw, start, count) for start in (0, 1)))
    return raw


def _lanes_from(raw: Reg, start: int, count: int) -> Reg:
    """Every other lane."""
    if count == 1:
        return raw.function.extract(raw, start)
    return raw.function.shuffle(raw, None, range(start, 2 * count, 2))


def to_memory(value: Reg, dtype: Dtype) -> Reg:
    """The memory form of a register."""
    function, type = value.function, value.type
    if dtype == dt.bool_:
        return function.cast("zext", value, like(type, "i8"))
    if dtype == dt.bfloat16:
        raw = function.bitcast(value, like(type, "i32"))
        return function.cast("trunc", raw.lshr(16), like(type, "i16"))
    if dtype == dt.float16:
        half = function.cast("fptrunc", value, like(type, "half"))
        return function.bitcast(half, like(type, "i16"))
    if dtype in narrow.FLOATS:
        return narrow.to_byte(value, dtype)
    if dtype in narrow.INTEGERS:
        return narrow.as_unsigned(value, dtype)
    if dt.is_complex(dtype):
        return _interleaved(*function.parts(value))
    return value


def _interleaved(first: Reg, second: Reg) -> Reg:
    """The lanes of two registers in turn."""
    function, count = first.function, lanes(first.type)
    if count == 1:
        pair = Reg("poison", vector(first.type, 2), function)
        return function.insert(function.insert(pair, first, 0), second, 1)
    return function.shuffle(first, second, [half for i in range(count) for half in (i, count + i)])


def _for_parts(mask: Reg, dtype: Dtype) -> Reg:
    """A mask of elements as one of what they are in memory."""
    if not dt.is_complex(dtype):
        return mask
    if lanes(mask.type) == 1:
        return mask.function.splat(mask, 2)
    return mask.function.shuffle(mask, None, [i // 2 for i in range(2 * lanes(mask.type))])


def load(function: Function, pointer: Reg, dtype: Dtype, count: int,
         mask: Reg | None = None) -> Reg:
    """`count` elements from memory as a register; lanes outside the mask are zero."""
    type = memory_type(dtype, count)
    if mask is None:
        return from_memory(function.load(pointer, type), dtype)
    return from_memory(function.masked_load(pointer, type, _for_parts(mask, dtype)), dtype)


def store(function: Function, pointer: Reg, value: Reg, dtype: Dtype, count: int,
          mask: Reg | None = None, nontemporal: bool = False) -> None:
    """`count` elements to memory. `nontemporal` promises alignment to the whole vector."""
    raw = to_memory(value, dtype)
    if mask is not None:
        function.masked_store(raw, pointer, _for_parts(mask, dtype))
        return
    align = count * dtype.itemsize if nontemporal else None
    function.store(raw, pointer, align=align, nontemporal=nontemporal)


def gather(function: Function, pointers: Reg, dtype: Dtype, mask: Reg) -> Reg:
    """The element at the address that each lane has, where the mask is set."""
    count = lanes(pointers.type)
    if not dt.is_complex(dtype):
        return from_memory(function.gather(pointers, memory_type(dtype, count), mask), dtype)
    part = _LANES[dt.to_real(dtype)]
    return function.pair(*(
        function.gather(function.gep(pointers, i, part), vector(part, count), mask)
        for i in (0, 1)))


def scatter(function: Function, pointers: Reg, value: Reg, dtype: Dtype, mask: Reg) -> None:
    """Each lane to its own address where the mask is set, the lowest lane first."""
    if not dt.is_complex(dtype):
        function.scatter(to_memory(value, dtype), pointers, mask)
        return
    for i, part in enumerate(function.parts(value)):
        function.scatter(part, function.gep(pointers, i, scalar(part.type)), mask)


def round_to(x: Reg, dtype: Dtype) -> Reg:
    """Lanes rounded to the nearest value of a narrow dtype, ties to even; integers wrapped."""
    function = x.function
    if dtype in narrow.FLOATS:
        return narrow.rounded(x, dtype)
    if dtype in narrow.INTEGERS:
        return narrow.wrapped(x, dtype)
    if dtype == dt.bfloat16:
        raw = function.bitcast(x, like(x.type, "i32"))
        nearest = (raw + (raw.lshr(16) & 1) + 0x7FFF) & -0x10000
        # On the bits of a nan the sum could carry into the sign.
        is_nan = function.compare("uno", x, 0.0)
        return function.select(is_nan, math.nan, function.bitcast(nearest, x.type))
    if dtype == dt.float16:
        half = function.cast("fptrunc", x, like(x.type, "half"))
        return function.cast("fpext", half, x.type)
    return x


def convert(x: Reg, source: Dtype, result: Dtype) -> Reg:
    """x as another dtype; floats become integers by truncation, limited to the range, nan 0."""
    function = x.function
    from_kind, to_kind = kind(source), kind(result)
    if source == result:
        return x
    if dt.is_complex(source) or dt.is_complex(result):
        return _convert_complex(x, source, result)
    type = like(x.type, _LANES[result])
    if to_kind == "b":
        return function.compare("une" if from_kind == "f" else "ne", x, 0)
    if from_kind == "f":
        return _float_to_float(x, type, result) if to_kind == "f" \
            else _float_to_integer(x, type, dt.bits(result), signed=to_kind == "i")
    if to_kind == "f":
        opcode = "sitofp" if from_kind == "i" else "uitofp"
        return round_to(function.cast(opcode, x, type), result)
    if bits(type) <= bits(x.type):
        return round_to(function.cast("trunc", x, type), result)
    return round_to(function.cast("sext" if from_kind == "i" else "zext", x, type), result)


def _convert_complex(x: Reg, source: Dtype, result: Dtype) -> Reg:
    """To a real dtype the real part; from one, with the imaginary part 0."""
    inner, outer = dt.to_real(source), dt.to_real(result)
    parts = x.function.parts(x) if dt.is_complex(source) else (x,)
    if not dt.is_complex(result):
        return convert(parts[0], inner, outer)
    found = [convert(part, inner, outer) for part in parts]
    zero = x.function.const(found[0].type, 0.0)
    return x.function.pair(*found, *[zero] * (2 - len(found)))


def bitcast_convert(x: Reg, source: Dtype, result: Dtype) -> Reg:
    """The bytes of x read as a dtype of the same width."""
    if source == result:
        return x
    raw = to_memory(x, source)
    element = memory_type(result, 1)
    return from_memory(x.function.bitcast(raw, like(x.type, element)), result)


def _float_to_float(x: Reg, type: str, result: Dtype) -> Reg:
    function = x.function
    if bits(type) > bits(x.type):
        return function.cast("fpext", x, type)
    if bits(type) < bits(x.type):
        x = _narrow_to_odd(x, type) if dt.is_half(result) \
            else function.cast("fptrunc", x, type)
    return round_to(x, result)


def _narrow_to_odd(x: Reg, type: str) -> Reg:
    """double to float, inexact values to the neighbour with an odd last bit.

    Rounding that again, to a still narrower dtype, gives what one rounding would have given.
    """
    function = x.function
    nearest = function.cast("fptrunc", x, type)
    back = function.cast("fpext", nearest, x.type)
    raw = function.bitcast(nearest, like(type, "i32"))
    above = function.compare("ogt", function.absolute(back), function.absolute(x))
    toward_zero = raw - function.cast("zext", above, raw.type)
    inexact = function.compare("one", back, x)
    return function.bitcast(function.select(inexact, toward_zero | 1, raw), type)


def _float_to_integer(x: Reg, type: str, width: int, *, signed: bool) -> Reg:
    """Limited to the range of an integer of so many bits."""
    function = x.function
    if width < 32:
        wide = _float_to_integer(x, like(type, "i32"), 32, signed=True)
        low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
        limited = function.minimum(function.maximum(wide, low), high)
        return function.cast("trunc", limited, type)
    # Out of range the conversion is undefined; a select ignores what it does not choose.
    if not signed:
        value = function.cast("fptoui", x, type)
        value = function.select(function.compare("oge", x, 2.0**width), -1, value)
        return function.select(function.compare("ogt", x, 0.0), value, 0)
    value = function.cast("fptosi", x, type)
    limit = 1 << width - 1
    value = function.select(function.compare("oge", x, float(limit)), limit - 1, value)
    value = function.select(function.compare("olt", x, -float(limit)), -limit, value)
    return function.select(function.compare("uno", x, 0.0), 0, value)


def reduce_precision(x: Reg, dtype: Dtype, *, exponent_bits: int, mantissa_bits: int) -> Reg:
    """Rounded to a float of those widths: ties to even, overflow to inf.

    Where the exponent is narrower than the dtype's own, what is below normal becomes zero.
    """
    function, limits = x.function, dt.finfo(dtype)
    rounded = x
    if mantissa_bits < limits.nmant:
        raw = function.bitcast(to_memory(x, dtype), like(x.type, f"i{8 * dtype.itemsize}"))
        shift = limits.nmant - mantissa_bits
        half = (1 << shift - 1) - 1
        nearest = (raw + (raw.lshr(shift) & 1) + half) & -(1 << shift)
        rounded = from_memory(function.bitcast(nearest, memory_type(dtype, lanes(x.type))), dtype)
    if exponent_bits < limits.nexp:
        exponent = 2 ** (exponent_bits - 1) - 1
        size = function.absolute(rounded)
        smallest = function.compare("olt", size, 2.0 ** (1 - exponent))
        largest = function.compare("oge", size, 2.0 ** (exponent + 1))
        rounded = function.select(smallest, function.copysign(0.0, x), rounded)
        rounded = function.select(largest, function.copysign(math.inf, x), rounded)
    return function.select(function.compare("uno", x, 0.0), x, rounded)
