"""Inverse trigonometric and hyperbolic functions of complex numbers.

They are Kahan's (1987, "Branch cuts for complex elementary functions"): real functions of the roots
of 1 - z and 1 + z, whose signs of zero say on which side of a branch cut z lies. Of large numbers
only the logarithm of twice their size is left. complex64 is computed in double.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from arraylib.backends.cpu.complex.arithmetic import (
    Parts,
    choose,
    is_infinite,
    is_nan,
    is_single,
    is_zero,
    largest_part,
    number,
    parts,
    root_of,
    unless,
)
from arraylib.backends.cpu.complex.functions import log_of
from arraylib.backends.cpu.emitter import Reg
from arraylib.backends.cpu.math import arcs, logarithm
from arraylib.backends.cpu.math.floats import at_least, constant, narrow, widen

_LARGE = 2.0**60  # beyond, 1 is nothing beside z


def _in_double(function: Callable[[Parts], Parts]) -> Callable[[Reg], Reg]:
    """A function of double parts as one of complex numbers."""
    def of_number(x: Reg) -> Reg:
        a, b = parts(x)
        if is_single(a):
            return number(*map(narrow, function((widen(a), widen(b)))))
        return number(*function((a, b)))
    return of_number


def _is_large(x: Parts) -> Reg:
    f = x[0].function
    infinite = is_infinite(x[0]) | is_infinite(x[1])
    return infinite | f.compare("ogt", largest_part(x), _LARGE)


def _log_of_twice(x: Parts) -> Reg:
    """log(2 |x|), not negative where it matters."""
    return log_of(x)[0] + math.log(2)


def _roots(x: Parts) -> tuple[Parts, Parts]:
    """The roots of 1 - z and 1 + z."""
    a, b = x
    return root_of((1.0 - a, -b)), root_of((a + 1.0, b))


def _asin(x: Parts) -> Parts:
    """The angle from the roots' product, the rest from their cross product."""
    f, (a, b) = x[0].function, x
    (c, d), (e, g) = _roots(x)
    found = arcs.atan2(a, c * e - d * g), logarithm.asinh(c * g - d * e)
    large = arcs.atan2(a, f.absolute(b)), f.copysign(_log_of_twice(x), b)
    real, imag = choose(_is_large(x), large, found)
    return f.select(is_zero(a), a, real), imag


def _asinh(x: Parts) -> Parts:
    """i asin(-i z)."""
    a, b = x
    real, imag = _asin((b, -a))
    return -imag, real


def _acos(x: Parts) -> Parts:
    """Twice the angle of the roots' real parts; the rest as of asin."""
    f, (a, b) = x[0].function, x
    (c, d), (e, g) = _roots(x)
    found = arcs.atan2(c, e) * 2.0, logarithm.asinh(e * d - g * c)
    large = arcs.atan2(f.absolute(b), a), f.copysign(_log_of_twice(x), -b)
    real, imag = choose(_is_large(x), large, found)
    return f.select(is_zero(a) & is_nan(b), math.pi / 2, real), imag


def _acosh(x: Parts) -> Parts:
    """As acos, by the roots of z - 1 and z + 1."""
    f, (a, b) = x[0].function, x
    (c, d), (e, g) = root_of((a - 1.0, b)), root_of((a + 1.0, b))
    found = logarithm.asinh(c * e + d * g), arcs.atan2(d, e) * 2.0
    large = _log_of_twice(x), arcs.atan2(b, a)
    real, imag = choose(_is_large(x), large, found)
    return real, f.select(is_zero(a) & is_nan(b), math.pi / 2, imag)


def _atanh(x: Parts) -> Parts:
    """log1p(4 |a| / ((1 - |a|)^2 + b^2)) / 4 with the sign of a, and half an angle."""
    f, (a, b) = x[0].function, x
    size = f.absolute(a)
    rest = 1.0 - size
    square = rest * rest + b * b
    real = logarithm.log_plus_one(size * 4.0 / square) * 0.25
    # At 1 the square of b is too small sooner than the logarithm of b is too large.
    pole = is_zero(rest) & f.compare("olt", f.absolute(b), 2.0**-100)
    (real,) = unless(~pole, [real], lambda: [
        (math.log(2) - logarithm.log(f.absolute(b))) * 0.5])
    imag = arcs.atan2(b * 2.0, rest * (size + 1.0) - b * b) * 0.5
    real, imag = choose(_is_large(x), _atanh_of_large(x), (f.copysign(real, a), imag))
    return f.select(is_zero(a), a, real), imag


def _atanh_of_large(x: Parts) -> Parts:
    """The real part of 1 / z, and a right angle."""
    f, (a, b) = x[0].function, x
    size = at_least(largest_part(x), 1.0)
    c, d = a / size, b / size
    infinite = is_infinite(a) | is_infinite(b)
    real = f.select(infinite, f.copysign(constant(a, 0.0), a), c / (c * c + d * d) / size)
    unknown = is_nan(b) | is_nan(a) & ~is_infinite(b)
    return real, f.select(unknown, math.nan, f.copysign(math.pi / 2, b))


def _atan(x: Parts) -> Parts:
    """-i atanh(i z)."""
    a, b = x
    imag, real = _atanh((-b, a))
    return real, -imag


asin, acos, atan = _in_double(_asin), _in_double(_acos), _in_double(_atan)
asinh, acosh, atanh = _in_double(_asinh), _in_double(_acosh), _in_double(_atanh)
