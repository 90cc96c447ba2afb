"""Windows of signals by name: weights that fall off to both sides of a segment.

They are periodic, as those of `scipy.signal.get_window`: of one point more than is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arraylib.errors import ArgumentError, ShapeError, mistake

__all__ = ["window_named"]

# Coefficients of sums of cosines, whose signs alternate (Harris 1978; Nuttall 1981; D'Antona 2006).
_COSINES: dict[str, tuple[float, ...]] = {
    "hann": (0.5, 0.5), "hamming": (0.54, 0.46), "blackman": (0.42, 0.5, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368)}


def _cosines(t: Any, *weights: float) -> Any:
    return sum((-1) ** k * w * np.cos(2 * np.pi * k * t) for k, w in enumerate(weights))


def _triangle(t: Any) -> Any:
    """0 only outside of the window, which is what tells it from Bartlett's."""
    n = len(t)
    return 1 - np.abs(np.arange(n) - (n - 1) / 2) / ((n + n % 2) / 2)


def _parzen(t: Any) -> Any:
    n = len(t)
    x = np.abs(np.arange(n) - (n - 1) / 2) / (n / 2)
    return np.where(x <= (n - 1) / 2 / n, 1 - 6 * x**2 + 6 * x**3, 2 * (1 - x)**3)


def _bohman(t: Any) -> Any:
    x = np.abs(2 * t - 1)
    inside = (1 - x) * np.cos(np.pi * x) + np.sin(np.pi * x) / np.pi
    return np.where((t == 0) | (t == 1), 0, inside)


def _tukey(t: Any, alpha: float = 0.5) -> Any:
    """Flat, with halves of a Hann window on its sides."""
    if alpha <= 0:
        return np.ones_like(t)
    edge = np.minimum(np.minimum(t, 1 - t) / (min(alpha, 1.0) / 2), 1)
    return 0.5 * (1 - np.cos(np.pi * edge))


def _gaussian(t: Any, std: float) -> Any:
    place = np.arange(len(t)) - (len(t) - 1) / 2
    return np.exp(-0.5 * (place / std) ** 2)


# By name: a function of places from 0 to 1, and of the numbers that come with the name.
_WINDOWS: dict[str, Callable[..., Any]] = {
    "boxcar": np.ones_like, "triang": _triangle, "parzen": _parzen, "bohman": _bohman,
    "bartlett": lambda t: 1 - np.abs(2 * t - 1),
    "barthann": lambda t: 0.62 - 0.48 * np.abs(t - 0.5) - 0.38 * np.cos(2 * np.pi * t),
    "cosine": lambda t: np.sin(np.pi * (np.arange(len(t)) + 0.5) / len(t)),
    "tukey": _tukey, "gaussian": _gaussian, "kaiser": lambda t, beta: np.kaiser(len(t), beta),
    "general_cosine": lambda t, weights: _cosines(t, *weights),
    "general_hamming": lambda t, alpha: _cosines(t, alpha, 1 - alpha)}
_OTHER_NAMES = {"hanning": "hann", "ham": "hamming", "box": "boxcar", "ones": "boxcar",
                "rect": "boxcar", "rectangular": "boxcar", "triangle": "triang", "tri": "triang",
                "black": "blackman", "flat": "flattop", "flt": "flattop", "par": "parzen",
                "gauss": "gaussian", "ksr": "kaiser"}


def window_named(op: str, window: str | tuple[Any, ...], n: int) -> Any:
    """n weights, f64, of the window with this name, or with a name and its numbers in a tuple.

    Raises ArgumentError where there is none of this name, or other numbers come with it.
    """
    given, *numbers = window if isinstance(window, tuple) else (window,)
    name = _OTHER_NAMES.get(given, given)
    known = ", ".join((*_COSINES, *_WINDOWS))
    if name not in _COSINES and name not in _WINDOWS:
        raise mistake(ArgumentError, op, f"window = {window!r}", hint=f"one of {known}")
    if n == 1:
        return np.ones(1)
    places = np.arange(n + 1) / n
    if name in _COSINES:
        return _cosines(places, *_COSINES[name])[:n]
    try:
        return _WINDOWS[name](places, *numbers)[:n]
    except TypeError:
        raise mistake(ArgumentError, op, f"window = {window!r}",
                      hint=f"other numbers after {given!r}, such as ('kaiser', 14.0)") from None


def window_of(op: str, window: Any, length: int | None, most: int) -> tuple[Any, int]:
    """The weights of a segment, f64 if they have a name, and how many there are.

    `length` is what the user said, None for 256 or what `window` has; a signal of `most` elements
    has no longer segments.
    """
    if isinstance(window, (str, tuple)):
        n = min(256 if length is None else length, most)
        return window_named(op, window, n), n
    shape = np.shape(window)
    if len(shape) != 1 or shape[0] > most or length not in (None, shape[0]):
        raise mistake(ShapeError, op, f"a window of shape {shape} for segments of {length} of "
                      f"{most} elements", hint="window[nperseg], not longer than the signal")
    return window, shape[0]
