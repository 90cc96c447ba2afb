"""Functions of complex numbers where NumPy's own lose digits or differ in a corner.

Each is the real function on real operands.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from arraylib import dtypes as dt


def _complex_or(real: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator: the function is of complex numbers, `real` is for all others."""
    def choose(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arrays: Any) -> Any:
            chosen = function if dt.is_complex(arrays[0].dtype) else real
            return chosen(*arrays)
        return wrapped
    return choose


def of_parts(real: Any, imag: Any, dtype: np.dtype[Any] | None = None) -> Any:
    """The complex numbers with these parts; arithmetic would mix them where one is infinite."""
    out = np.empty(np.shape(real), dtype or dt.to_complex(real.dtype))
    out.real, out.imag = real, imag
    return out


@_complex_or(np.exp)
def exponential(x: Any) -> Any:
    """As C99 has it (Annex G): of an infinite real part the size is known in any direction."""
    nowhere = ~np.isfinite(x.imag)
    far = of_parts(np.where(x.real < 0, 0, np.inf), np.where(x.real < 0, 0, np.nan), x.dtype)
    return np.where(nowhere & np.isinf(x.real), far, np.exp(x))


@_complex_or(np.expm1)
def exponential_minus_one(x: Any) -> Any:
    """The imaginary part is that of the exponential: 0 on the real axis, also beyond overflow."""
    whole = exponential(x)
    far = np.isinf(x.real) & ~np.isfinite(x.imag)
    return of_parts(np.where(far, whole.real - 1, np.expm1(x).real), whole.imag, x.dtype)


@_complex_or(np.divide)
def divide(x: Any, y: Any) -> Any:
    """Of zeros and infinities what C99 says (Annex G), where plain arithmetic may give nan."""
    a, b, c, d = x.real, x.imag, y.real, y.imag
    plain = x / y
    lost = np.isnan(plain.real) & np.isnan(plain.imag)
    large, small = (np.isinf(v.real) | np.isinf(v.imag) for v in (x, y))
    by_zero = (y == 0) & ~(np.isnan(a) & np.isnan(b))
    to_infinity = large & np.isfinite(c) & np.isfinite(d)
    to_zero = small & np.isfinite(a) & np.isfinite(b)
    a, b, c, d = (np.where(infinite, np.copysign(np.isinf(v).astype(v.dtype), v), v) for
                  infinite, v in ((to_infinity, a), (to_infinity, b), (to_zero, c), (to_zero, d)))
    factor = np.where(to_zero, 0, np.inf).astype(a.dtype)
    parts = factor * (a * c + b * d), factor * (b * c - a * d)
    pole = np.copysign(factor, c)
    whole = [np.where(by_zero, pole * v, part) for v, part in zip((x.real, x.imag), parts)]
    return np.where(by_zero | lost & (to_infinity | to_zero), of_parts(whole[0], whole[1], x.dtype),
                    plain)


@_complex_or(np.arctan2)
def arctan2(y: Any, x: Any) -> Any:
    """-i log((x + iy) / sqrt(x^2 + y^2)), which on real numbers is the angle (StableHLO, atan2)."""
    y, x = (np.asarray(v, np.complex128) for v in (y, x))
    return -1j * np.log((x + 1j * y) / np.sqrt(x * x + y * y))


@_complex_or(np.cbrt)
def cube_root(x: Any) -> Any:
    """The principal one: that of the absolute value, with a third of the angle."""
    wide = np.asarray(x, np.complex128)
    return np.cbrt(np.abs(wide)) * np.exp(1j * np.angle(wide) / 3)


@_complex_or(np.power)
def power(x: Any, y: Any) -> Any:
    """Computed in double precision: the logarithm's error grows with the power."""
    return np.power(x.astype(np.complex128), y).astype(x.dtype)


def _two_sum(x: Any, y: Any) -> tuple[Any, Any]:
    """The rounded sum and its error (Knuth)."""
    total = x + y
    part = total - x
    return total, (x - (total - part)) + (y - part)


def _two_square(x: Any) -> tuple[Any, Any]:
    """The rounded square and its error (Dekker, by Veltkamp's split into halves)."""
    scaled = x * 134217729.0
    high = scaled - (scaled - x)
    low = x - high
    square = x * x
    return square, ((high * high - square) + 2 * high * low) + low * low


def _squares_less_one(a: Any, b: Any) -> Any:
    """|1 + a + ib|**2 - 1 = 2a + a**2 + b**2, the parts of which may cancel."""
    (aa, error_a), (bb, error_b) = _two_square(a), _two_square(b)
    big, small = np.maximum(aa, bb), np.minimum(aa, bb)
    first, error_1 = _two_sum(2 * a, big)
    total, error_2 = _two_sum(first, small)
    return total + (error_1 + error_2 + error_a + error_b)


@_complex_or(np.log1p)
def log_plus_one(x: Any) -> Any:
    """Near |1 + x| = 1 the logarithm of its square less one; far from it that of the larger part.
    """
    a, b = x.real.astype(np.float64), x.imag.astype(np.float64)
    one = 1 + a
    large, small = np.maximum(np.abs(one), np.abs(b)), np.minimum(np.abs(one), np.abs(b))
    far = np.log(large) + 0.5 * np.log1p(np.square(small / large))
    real = np.where((large > 0.6) & (large < 1.8), 0.5 * np.log1p(_squares_less_one(a, b)), far)
    found = of_parts(real, np.arctan2(b, one), x.dtype)
    regular = np.isfinite(a) & np.isfinite(b) & (large > 0)
    return np.where(regular, found, np.log1p(x))
