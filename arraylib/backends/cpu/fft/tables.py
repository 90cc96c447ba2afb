"""Roots of unity and other factors, computed in float64 and rounded once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib.backends.cpu.fft.factors import convolution_length

Array = np.ndarray[Any, Any]
_ALIGNMENT = 64


def roots(turns: Any, parts: int) -> Array:
    """exp(-2 pi i turns / parts) for integers `turns`.

    The angle is brought into the first eighth of a turn, where both functions are most exact.
    """
    turns = np.asarray(turns, np.int64) % parts
    flipped = 2 * turns > parts          # the conjugate of what lies opposite
    turns = np.where(flipped, parts - turns, turns)
    behind = 4 * turns > parts           # the mirror image at the imaginary axis
    turns = np.where(behind, parts - 2 * turns, 2 * turns)   # now in parts of half a turn
    steep = 4 * turns > parts
    turns = np.where(steep, parts - 2 * turns, 2 * turns)    # now in parts of a quarter
    angle = turns * (np.pi / 2 / parts)
    cos, sin = np.cos(angle), np.sin(angle)
    cos, sin = np.where(steep, sin, cos), np.where(steep, cos, sin)
    return np.where(behind, -cos, cos) + 1j * np.where(flipped, sin, -sin)


def pass_factors(radix: int, count: int) -> Array:
    """The factors of a pass: exp(-2 pi i p k / (radix count)) as [p, k - 1]."""
    return roots(np.arange(count)[:, None] * np.arange(1, radix), radix * count)


def between_factors(first: int, second: int, lanes: int) -> Array:
    """The factors between the two parts of a split transform, as real[item, element, 2, lane]."""
    items, elements = -(-second // lanes), -(-first // lanes) * lanes
    columns = np.arange(items * lanes).reshape(items, 1, lanes)
    return _in_blocks(roots(columns * np.arange(elements)[:, None], first * second))


def lane_factors(first: int, second: int, lanes: int) -> Array:
    """Those of the first item, as real[element, 2, lane]."""
    elements = np.arange(-(-first // lanes) * lanes)
    return _in_blocks(roots(elements[:, None] * np.arange(lanes), first * second))


def item_factors(first: int, second: int, lanes: int) -> Array:
    """What those of the other items are more: one number for each [item, element]."""
    starts = np.arange(-(-second // lanes)) * lanes
    elements = np.arange(-(-first // lanes) * lanes)
    return roots(starts[:, None] * elements, first * second)


def _in_blocks(x: Array) -> Array:
    return np.stack([x.real, x.imag], axis=-2)


def chirp(n: int) -> Array:
    """exp(-pi i j j / n): a transform is a convolution with its conjugate, times it, of what was
    multiplied by it (Bluestein)."""
    return roots(np.arange(n) ** 2, 2 * n)


def chirp_back(n: int) -> Array:
    """The conjugate chirp, for numbers whose parts are in each other's place."""
    return chirp(n).conj()


def half_roots(half: int) -> Array:
    """exp(-2 pi i k / (2 half)) for the pairs of a transform of real numbers."""
    return roots(np.arange(half // 2 + 1), 2 * half)


def chirp_transform(n: int) -> Array:
    """The transform of the conjugate chirp, wrapped round, over its length."""
    m, w = convolution_length(n), chirp(n).conj()
    wrapped = np.zeros(m, np.complex128)
    wrapped[:n] = w
    wrapped[m - n + 1:] = w[:0:-1]
    return np.fft.fft(wrapped) / m


class Tables:
    """Arrays one after the other, each found by its key."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype   # of real parts
        self._places: dict[Any, int] = {}
        self._arrays: list[Array] = []
        self._end = 0

    def place(self, key: tuple[Any, ...]) -> int:
        """Bytes from the start to the factors of a key: a function and its arguments."""
        if key not in self._places:
            made = key[0](*key[1:])
            if np.iscomplexobj(made):
                made = np.stack([made.real, made.imag], axis=-1)
            flat = made.astype(self.dtype).ravel()
            padded = np.zeros(-(-flat.nbytes // _ALIGNMENT) * _ALIGNMENT // self.dtype.itemsize,
                              self.dtype)
            padded[:flat.size] = flat
            self._places[key] = self._end
            self._arrays.append(padded)
            self._end += padded.nbytes
        return self._places[key]

    def joined(self) -> Array:
        """All of them."""
        empty: Sequence[Array] = [np.zeros(0, self.dtype)]
        return np.concatenate(self._arrays or empty)
