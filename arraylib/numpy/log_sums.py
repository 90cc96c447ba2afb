"""Logarithms of sums of powers, which neither overflow nor lose the smaller one."""

from __future__ import annotations

import math
from collections.abc import Callable

from arraylib.hlo.ops import elementwise as ew
from arraylib.numpy.promotion import Array, like

Power = Callable[[Array], Array]


def log_of_sum(power: Power, unit: float, x: Array, y: Array) -> Array:
    """max + log(1 + exp(min - max)), which cannot overflow; the sum itself where x - y is nan.

    The larger is selected, not computed by `maximum`: so derivatives of every order are those of
    the smooth function also where x = y.
    """
    return _log_of_sum(power, unit, x, y, ew.compare(x, y, direction="GE"))


def log_of_complex_sum(power: Power, unit: float, x: Array, y: Array) -> Array:
    """The same of complex numbers: the one with the larger real part first, its angle to pi."""
    first = ew.compare(ew.real(x), ew.real(y), direction="GE")
    total = _log_of_sum(power, unit, x, y, first)
    angle = ew.imag(total)
    turn = like(angle, 2 * math.pi / unit)
    turns = ew.round_nearest_even(ew.divide(angle, turn))
    return ew.complex_(ew.real(total), ew.subtract(angle, ew.multiply(turns, turn)))


def _log_of_sum(power: Power, unit: float, x: Array, y: Array, first: Array) -> Array:
    """For powers of which x's is not smaller where `first` holds; `unit` is the log of the base."""
    larger, smaller = ew.select(first, x, y), ew.select(first, y, x)
    difference = ew.subtract(smaller, larger)
    infinite = ew.compare(difference, difference, direction="NE")  # or one of them is nan
    rest = ew.log_plus_one(power(ew.select(infinite, like(x, 0), difference)))
    total = ew.add(larger, rest if unit == 1 else ew.divide(rest, like(rest, unit)))
    return ew.select(infinite, ew.add(x, y), total)
