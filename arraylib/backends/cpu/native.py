"""Which elementwise operations the CPU does in registers, and how.

`NATIVE` is the table: for each operation, one emission per kind of dtype (`b` bool, `i` signed and
`u` unsigned integers, `f` floats, `c` complex numbers). An emission takes the operands' registers,
and the attributes as keywords. float16 and bfloat16 are computed as float32 and rounded after each
operation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.backends.cpu import integers, narrow, representation
from arraylib.backends.cpu.complex import arithmetic, functions, inverse
from arraylib.backends.cpu.emitter import Function, Reg
from arraylib.backends.cpu.math import (
    arcs,
    bessel,
    exponential,
    gamma,
    logarithm,
    power,
    remainder,
    rounding,
    special,
    trigonometric,
)
from arraylib.backends.cpu.representation import load, register_type, store
from arraylib.dtypes import Dtype

__all__ = ["CONVERSIONS", "NATIVE", "emit_elementwise", "load", "register_type", "store",
           "supports"]

Emission = Callable[..., Reg]
Row = Mapping[str, Emission]


def _kinds(letters: str, emission: Emission) -> dict[str, Emission]:
    """The same emission for several kinds of dtype."""
    return dict.fromkeys(letters, emission)


def _floats(emission: Emission, of_complex: Emission | None = None) -> dict[str, Emission]:
    return {"f": emission} | ({"c": of_complex} if of_complex else {})


def _maximum(x: Reg, y: Reg) -> Reg:
    return x.function.maximum(x, y)


def _minimum(x: Reg, y: Reg) -> Reg:
    return x.function.minimum(x, y)


def _maximum_unsigned(x: Reg, y: Reg) -> Reg:
    return x.function.intrinsic("llvm.umax", x, y)


def _minimum_unsigned(x: Reg, y: Reg) -> Reg:
    return x.function.intrinsic("llvm.umin", x, y)


def _and(x: Reg, y: Reg) -> Reg:
    return x & y


def _or(x: Reg, y: Reg) -> Reg:
    return x | y


def _itself(x: Reg) -> Reg:
    return x


def _clamp(limit_below: Emission, limit_above: Emission) -> Emission:
    return lambda low, x, high: limit_above(limit_below(x, low), high)


def _select(mask: Reg, yes: Reg, no: Reg) -> Reg:
    return yes.function.select(mask, yes, no)


def _compare(prefix: str, not_equal: str = "ne") -> Emission:
    """Comparison with predicates `<prefix>lt`, ...; equality has no sign, but floats prefix it."""
    equal = "oeq" if prefix == "o" else "eq"
    predicates = {"EQ": equal, "NE": not_equal, **{
        name: prefix + name.lower() for name in ("LT", "LE", "GT", "GE")}}

    def emission(x: Reg, y: Reg, *, direction: str) -> Reg:
        return x.function.compare(predicates[direction], x, y)
    return emission


def _is_finite(x: Reg) -> Reg:
    return x.function.compare("olt", x.function.absolute(x), math.inf)


def _absolute(x: Reg) -> Reg:
    return x.function.absolute(x)


_NUMBERS = "iuf"
_INTEGERS = "iu"
_BITS = "biu"
_ALL = "biufc"

NATIVE: dict[str, Row] = {
    # arithmetic
    "add": {**_kinds(_NUMBERS, lambda x, y: x + y), "b": _or, "c": arithmetic.add},
    "subtract": {**_kinds(_NUMBERS, lambda x, y: x - y), "c": arithmetic.subtract},
    "multiply": {**_kinds(_NUMBERS, lambda x, y: x * y), "b": _and, "c": arithmetic.multiply},
    "divide": {"i": integers.divide_signed, "u": integers.divide_unsigned, "f": lambda x, y: x / y,
               "c": arithmetic.divide},
    "remainder": {"i": integers.remainder_signed, "u": integers.remainder_unsigned,
                  "f": remainder.remainder},
    "power": {"i": integers.power_signed, "u": integers.power_unsigned, "f": power.power,
              "c": functions.power},
    "maximum": {"i": _maximum, "u": _maximum_unsigned, "f": _maximum, "b": _or,
                "c": arithmetic.maximum},
    "minimum": {"i": _minimum, "u": _minimum_unsigned, "f": _minimum, "b": _and,
                "c": arithmetic.minimum},
    "negate": {**_kinds(_NUMBERS, lambda x: -x), "c": arithmetic.negate},
    "abs": {"i": integers.absolute, "u": _itself, "f": _absolute,
            "c": arithmetic.absolute},
    "sign": {"i": integers.sign_signed, "u": integers.sign_unsigned, "f": rounding.sign,
             "c": arithmetic.sign},
    "square": _floats(lambda x: x * x, arithmetic.square),
    # exponentials, powers
    "exponential": _floats(exponential.exponential, functions.exponential),
    "exponential_minus_one": _floats(exponential.exponential_minus_one,
                                     functions.exponential_minus_one),
    "log": _floats(logarithm.log, functions.log),
    "log_plus_one": _floats(logarithm.log_plus_one, functions.log_plus_one),
    "logistic": _floats(exponential.logistic, functions.logistic),
    "sqrt": _floats(power.sqrt, arithmetic.sqrt),
    "rsqrt": _floats(power.rsqrt, arithmetic.rsqrt),
    "cbrt": _floats(power.cbrt, functions.cbrt),
    # trigonometric and hyperbolic
    "sine": _floats(trigonometric.sine, functions.sine),
    "cosine": _floats(trigonometric.cosine, functions.cosine),
    "tan": _floats(trigonometric.tan, functions.tan),
    "asin": _floats(arcs.asin, inverse.asin),
    "acos": _floats(arcs.acos, inverse.acos),
    "atan": _floats(arcs.atan, inverse.atan),
    "atan2": _floats(arcs.atan2),
    "sinh": _floats(exponential.sinh, functions.sinh),
    "cosh": _floats(exponential.cosh, functions.cosh),
    "tanh": _floats(exponential.tanh, functions.tanh),
    "asinh": _floats(logarithm.asinh, inverse.asinh),
    "acosh": _floats(logarithm.acosh, inverse.acosh),
    "atanh": _floats(logarithm.atanh, inverse.atanh),
    # special functions
    "erf": _floats(special.erf),
    "erfc": _floats(special.erfc),
    "erf_inv": _floats(special.erf_inv),
    "lgamma": _floats(gamma.lgamma),
    "digamma": _floats(gamma.digamma),
    "trigamma": _floats(gamma.trigamma),
    "bessel_i0e": _floats(bessel.bessel_i0e),
    "bessel_i1e": _floats(bessel.bessel_i1e),
    # rounding
    "floor": _floats(rounding.floor),
    "ceil": _floats(rounding.ceil),
    "round_nearest_even": _floats(rounding.round_nearest_even),
    "round_nearest_afz": _floats(rounding.round_nearest_afz),
    "is_finite": _floats(_is_finite),
    # comparison and choice
    "compare": {"b": _compare("u"), "u": _compare("u"), "i": _compare("s"),
                "f": _compare("o", "une"), "c": arithmetic.compare},
    "select": _kinds(_ALL, _select),
    "clamp": {"i": _clamp(_maximum, _minimum), "f": _clamp(_maximum, _minimum),
              "u": _clamp(_maximum_unsigned, _minimum_unsigned)},
    # parts of complex numbers
    "complex": _floats(arithmetic.number),
    "real": _floats(_itself, lambda x: x.function.parts(x)[0]),
    "imag": _floats(lambda x: x.function.const(x.type, 0.0), lambda x: x.function.parts(x)[1]),
    "conj": _floats(_itself, arithmetic.conjugate),
    # logic and bits
    "and": _kinds(_BITS, _and),
    "or": _kinds(_BITS, _or),
    "xor": _kinds(_BITS, lambda x, y: x ^ y),
    "not": _kinds(_BITS, lambda x: ~x),
    "shift_left": _kinds(_INTEGERS, integers.shift_left),
    "shift_right_logical": _kinds(_INTEGERS, integers.shift_right_logical),
    "shift_right_arithmetic": _kinds(_INTEGERS, integers.shift_right_arithmetic),
    "popcnt": _kinds(_INTEGERS, integers.popcnt),
    "count_leading_zeros": _kinds(_INTEGERS, integers.count_leading_zeros),
}

# These depend on the dtypes themselves: they take the operand's and the result's before the
# attributes.
CONVERSIONS: dict[str, Emission] = {
    "convert": lambda x, source, result, **_: representation.convert(x, source, result),
    "bitcast_convert":
        lambda x, source, result, **_: representation.bitcast_convert(x, source, result),
    "reduce_precision":
        lambda x, source, result, **widths: representation.round_to(
            representation.reduce_precision(x, source, **widths), result),
}

# Results that are values of the operands' dtype already, and need no rounding to a narrow one.
_EXACT = frozenset({"maximum", "minimum", "negate", "abs", "sign", "select", "clamp", "compare",
                    "is_finite", "floor", "ceil", "round_nearest_even", "round_nearest_afz",
                    "remainder"})


# Of formats of 8 bits and less some have no zero, or none with a sign.
_CHOICES = frozenset({"maximum", "minimum", "select", "clamp"})


def supports(name: str, operands: Sequence[Dtype], result: Dtype) -> bool:
    """Whether the operation can be emitted for operands and a result of these dtypes."""
    return _supports(name, tuple(operands), result)


@functools.lru_cache(maxsize=4096)
def _supports(name: str, operands: tuple[Dtype, ...], result: Dtype) -> bool:
    if any(representation.kind(dtype) is None for dtype in (*operands, result)):
        return False
    if name == "bitcast_convert":
        return operands[0].itemsize == result.itemsize
    if name == "reduce_precision":
        return representation.kind(result) == "f" and result not in narrow.FLOATS
    # The last operand of a select is one of its values; of all others any operand would do.
    return name in CONVERSIONS or representation.kind(operands[-1]) in NATIVE.get(name, ())


def emit_elementwise(function: Function, name: str, dtype: Dtype, operands: Sequence[Reg],
                     attrs: Mapping[str, Any], result: Dtype) -> Reg:
    """The operation on registers: `dtype` is the operands' (of a select, its values').

    `result` is the result's dtype; the register returned has its register form.
    """
    assert all(operand.function is function for operand in operands), f"{name}: foreign register"
    if name in CONVERSIONS:
        return CONVERSIONS[name](operands[0], dtype, result, **attrs)
    letter = representation.kind(dtype)
    assert letter is not None, f"{name}: {dtype} has no register form"
    emission = NATIVE[name][letter]
    if dtype in narrow.INTEGERS and name in narrow.ON_BITS:
        return narrow.on_bits(name, emission, operands, dtype)
    value = emission(*operands, **attrs)
    exact = _CHOICES if result in narrow.FLOATS | narrow.INTEGERS else _EXACT
    if (dt.is_narrow_float(result) or dt.bits(result) < 8) and name not in exact:
        return representation.round_to(value, result)
    return value
