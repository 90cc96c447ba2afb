"""Floating-point numbers in decimal, digit by digit as LLVM's APFloat::toString writes them.

Six digits if they are exact; otherwise as many as tell the value from its neighbours; by its bits
what is not finite and what would look like an integer. LLVM rounds halves up and, where a number
has many digits, cuts some off before it rounds: so does this.
"""

from typing import Any

import numpy as np

from arraylib import dtypes as dt

_SHORT = 6


def float_text(x: Any) -> str:
    """A NumPy float as MLIR writes it: 1.000000e+00, 0.333333343, 3.33333325E-8, 0x7FC00000."""
    if not np.isfinite(x):
        return _bits(x)
    value = float(x)
    sign = "-" if np.signbit(x) else ""
    if value == 0:
        return f"{sign}0.000000e+00"
    short = sign + _scientific(*_digits(value, _SHORT), width=_SHORT)
    if np.array(float(short)).astype(x.dtype) == x:
        return short
    precision = 2 + (dt.finfo(x.dtype).nmant + 1) * 59 // 196
    long = sign + _shortest(*_digits(value, precision), precision)
    return long if "." in long else _bits(x)


def _bits(x: Any) -> str:
    unsigned = np.asarray(x).view(f"u{x.dtype.itemsize}")
    return f"0x{int(unsigned):0{2 * x.dtype.itemsize}X}"


def _digits(value: float, precision: int) -> tuple[str, int]:
    """At most `precision` significant digits, and the power of ten of the last one."""
    numerator, denominator = abs(value).as_integer_ratio()
    power = -(denominator.bit_length() - 1)  # n / 2 ** k is n * 5 ** k / 10 ** k
    significand = numerator * 5 ** -power
    surplus = significand.bit_length() - -(-precision * 196 // 59)
    cut = surplus * 59 // 196 if surplus > 0 else 0
    digits = str(significand // 10 ** cut)
    power += cut
    if len(digits) > precision:
        last = len(digits) - precision
        digits = str(int(digits[:precision]) + (digits[precision] >= "5"))
        power += last
    stripped = digits.rstrip("0")
    return stripped, power + len(digits) - len(stripped)


def _scientific(digits: str, power: int, width: int) -> str:
    """d.dddddde+xx with `width` decimals, and at least two digits of exponent."""
    return f"{digits[0]}.{digits[1:]:0<{width}}e{power + len(digits) - 1:+03d}"


def _shortest(digits: str, power: int, precision: int) -> str:
    """Without an exponent, unless that needs more than three zeros; then d.dddE-x."""
    first = power + len(digits) - 1  # the power of ten of the first digit
    if 0 <= power <= 3 and len(digits) + power <= precision:
        return digits + "0" * power
    if power < 0 <= first:
        return f"{digits[:first + 1]}.{digits[first + 1:]}"
    if -3 <= first < 0:
        return f"0.{'0' * (-first - 1)}{digits}"
    return f"{digits[0]}.{digits[1:] or '0'}E{first:+d}"
