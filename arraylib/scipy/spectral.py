"""Spectra of signals: Fourier transforms of their segments, and averages of those (Welch 1967)."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axis,
    joint_shape,
    promote_inexact,
    shape_of,
)
from arraylib.record import record
from arraylib.scipy.trends import detrend as without_trend
from arraylib.scipy.windows import window_named, window_of

__all__ = ["csd", "istft", "stft", "welch"]

_BOUNDARIES = ("zeros", "even", "odd", "constant")


@record
class _Segments:
    """How a signal is cut: the weights of a segment, its length, how far apart two of them are."""

    window: Any
    length: int
    step: int
    points: int  # of a transform
    detrend: Any
    halved: bool  # whether the second half of a transform says nothing new

    def transforms(self, x: Array) -> Array:
        """Those of a signal's segments [..., segments, frequencies]."""
        count = (shape_of(x)[-1] - self.length) // self.step + 1
        places = np.arange(count)[:, None] * self.step + np.arange(self.length)
        cut = _detrended(jnp.take(x, places, -1), self.detrend) * self.window
        return jnp.fft.rfft(cut, self.points) if self.halved else jnp.fft.fft(cut, self.points)

    def frequencies(self, fs: ArrayLike, dtype: Any) -> Array:
        of = np.fft.rfftfreq if self.halved else np.fft.fftfreq
        return jnp.asarray(of(self.points), dtype) * jnp.asarray(fs, dtype)


def _detrended(segments: Array, detrend: Any) -> Array:
    if isinstance(detrend, str):
        return without_trend(segments, type=detrend)
    return detrend(segments) if callable(detrend) else segments


def _count(op: str, name: str, value: Any, least: int, most: int | None = None) -> int:
    found = operator.index(value)
    if found < least or (most is not None and found > most):
        raise mistake(ArgumentError, op, f"{name} = {found}",
                      hint=f"{least} or more" if most is None else f"from {least} to {most}")
    return found


def _segments(op: str, x: Array, window: Any, nperseg: Any, noverlap: Any, nfft: Any, detrend: Any,
              halved: bool) -> _Segments:
    """Checked settings for signals along the last axis; complex ones have no halves."""
    type = type_of(x)
    length = None if nperseg is None else _count(op, "nperseg", nperseg, 1)
    weights, length = window_of(op, window, length, type.shape[-1])
    overlap = length // 2 if noverlap is None else _count(op, "noverlap", noverlap, 0, length - 1)
    points = length if nfft is None else _count(op, "nfft", nfft, length)
    dtype = dt.to_complex(type.dtype) if jnp.iscomplexobj(weights) else type.dtype
    weights, halved = jnp.asarray(weights, dtype), halved and not dt.is_complex(dtype)
    return _Segments(weights, length, length - overlap, points, detrend, halved)


def _extended(op: str, x: Array, n: int, boundary: str | None) -> Array:
    """Signals with n elements more on each side."""
    if boundary is None:
        return x
    if boundary not in _BOUNDARIES:
        raise mistake(ArgumentError, op, f"boundary = {boundary!r}",
                      hint=f"None or one of {', '.join(_BOUNDARIES)}")
    widths = [(0, 0)] * (len(shape_of(x)) - 1) + [(n, n)]
    if boundary != "odd":
        mode = {"zeros": "constant", "constant": "edge"}.get(boundary, "reflect")
        return jnp.pad(x, widths, mode)
    turned = 2 * jnp.pad(x, widths, "edge") - jnp.pad(x, widths, "reflect")
    return jnp.concatenate([turned[..., :n], x, turned[..., shape_of(x)[-1] + n:]], -1)


def _behind(x: Array, n: int) -> Array:
    """Signals with n zeros behind."""
    return jnp.pad(x, [(0, 0)] * (len(shape_of(x)) - 1) + [(0, n)])


def _scale(op: str, cut: _Segments, fs: ArrayLike, scaling: str) -> Array:
    """What squares of transforms are multiplied by."""
    if scaling == "density":
        return 1 / (jnp.sum(cut.window * cut.window) * fs)
    if scaling == "spectrum":
        return 1 / jnp.sum(cut.window) ** 2
    raise mistake(ArgumentError, op, f"scaling = {scaling!r}", hint="'density' or 'spectrum'")


@one_program(1)
def stft(x: ArrayLike, fs: ArrayLike = 1.0, window: Any = "hann", nperseg: int | None = 256,
         noverlap: int | None = None, nfft: int | None = None, detrend: Any = False,
         return_onesided: bool = True, boundary: str | None = "zeros", padded: bool = True,
         axis: int = -1) -> tuple[Array, Array, Array]:
    """Frequencies, times, and the Fourier transform of each segment of signals along an axis.

    Segments are of `nperseg` elements (the whole signal, if that is shorter), of which `noverlap`
    (half of them) are in the next one too, and of `nfft` with zeros behind. `window` is a name
    ("hann", "hamming", "blackman", "boxcar", ..), a name with its number such as ("kaiser", 14.0),
    or an array f[nperseg]. `boundary` "zeros", "even", "odd" or "constant" extends the signal by
    half a segment on both sides, and `padded` by zeros to whole segments. Complex signals have
    transforms of all frequencies, real ones of those from 0 on unless `return_onesided` is false.
    The frequencies take the place of `axis`, the times come last. Raises ArgumentError for settings
    that do not fit, ShapeError for a signal without elements.

    >>> f, t, z = stft(jnp.ones(8), nperseg=4, noverlap=0, window="boxcar")
    >>> z.shape, t
    ((3, 3), Array([0., 4., 8.], dtype=float32))
    """
    x = _signal("stft", x, axis)
    cut = _segments("stft", x, window, nperseg, noverlap, nfft, detrend,
                    return_onesided and not dt.is_complex(type_of(x).dtype))
    x = _extended("stft", x, cut.length // 2, boundary)
    if padded:
        x = _behind(x, -(shape_of(x)[-1] - cut.length) % cut.step % cut.length)
    found = cut.transforms(x)
    scale = jnp.sqrt(_scale("stft", cut, fs, "spectrum"))
    real = dt.to_real(type_of(found).dtype)
    start = 0.0 if boundary is not None else cut.length / 2
    times = np.arange(shape_of(found)[-2]) * cut.step + start
    found = jnp.swapaxes(found, -1, -2) * scale.astype(type_of(found).dtype)
    return (cut.frequencies(fs, real), jnp.asarray(times, real) / jnp.asarray(fs, real),
            jnp.moveaxis(found, -2, axis % len(shape_of(x))))


def _signal(op: str, x: ArrayLike, axis: int) -> Array:
    """In floats, along the last axis."""
    (found,) = promote_inexact(op, x)
    found = jnp.asarray(found)
    if not type_of(found).rank or not type_of(found).size:
        raise mistake(ShapeError, op, "a signal without elements", operands=[type_of(found)],
                      hint="at least one element along the axis")
    return jnp.moveaxis(found, as_axis(op, axis, type_of(found).rank), -1)


@one_program(2)
def csd(x: ArrayLike, y: ArrayLike | None, fs: ArrayLike = 1.0, window: Any = "hann",
        nperseg: int | None = None, noverlap: int | None = None, nfft: int | None = None,
        detrend: Any = "constant", return_onesided: bool = True, scaling: str = "density",
        axis: int = -1, average: str = "mean") -> tuple[Array, Array]:
    """Frequencies, and the cross power spectral density of two signals by Welch's method.

    The transforms of x's segments, conjugated, times those of y's, averaged: by their `average`
    "mean" or "median". Without y it is x's own density, which is real. `scaling` "spectrum" gives
    the power of each frequency. Segments are cut as `stft` does it, of 256 elements unless
    `nperseg` says otherwise, and have no mean, or no trend where `detrend` is "linear". The shorter
    signal is followed by zeros. Raises ArgumentError for settings that do not fit, ShapeError for
    signals that do not.

    >>> f, p = csd(jnp.array([0.0, 1.0, 0.0, -1.0]), None, window="boxcar", nperseg=4)
    >>> p.round(4)
    Array([0., 2., 0.], dtype=float32)
    """
    op, alone = "csd", y is None
    xs = promote_inexact(op, x) if y is None else promote_inexact(op, x, y)
    signals = [_signal(op, each, axis) for each in xs]
    longest = max(shape_of(each)[-1] for each in signals)
    signals = [_behind(each, longest - shape_of(each)[-1]) for each in signals]
    lead = joint_shape(op, [shape_of(each)[:-1] for each in signals], list(map(type_of, signals)))
    halved = return_onesided and not dt.is_complex(type_of(signals[0]).dtype)
    cut = _segments(op, signals[0], window, nperseg, noverlap, nfft, detrend, halved)
    found = [cut.transforms(each) for each in signals]
    powers = jnp.conj(found[0]) * found[-1]
    if alone:
        powers = powers.real
    powers = powers * _scale(op, cut, fs, scaling).astype(type_of(powers).dtype)
    if cut.halved:
        powers = powers * jnp.asarray(_twice(cut.points), type_of(powers).dtype)
    frequencies = cut.frequencies(fs, dt.to_real(type_of(powers).dtype))
    return frequencies, jnp.moveaxis(_average(op, powers, average), -1, axis % (len(lead) + 1))


def _twice(points: int) -> Any:
    """Each frequency but 0 and, of an even number of points, the last one stands for two."""
    found = np.full(points // 2 + 1, 2)
    found[[0, *([] if points % 2 else [-1])]] = 1
    return found


def _average(op: str, powers: Array, average: str) -> Array:
    """Over segments; medians are divided by what they are of exponential variables (Allen 2005)."""
    if average not in ("mean", "median"):
        raise mistake(ArgumentError, op, f"average = {average!r}", hint="'mean' or 'median'")
    if average == "mean":
        return jnp.mean(powers, -2)
    n = shape_of(powers)[-2]
    odd = 2 * np.arange(1, (n - 1) // 2 + 1)
    bias = 1 + float(np.sum(1 / (odd + 1) - 1 / odd))
    if not dt.is_complex(type_of(powers).dtype):
        return jnp.median(powers, -2) / bias
    real, imaginary = (jnp.median(part, -2) for part in (jnp.real(powers), jnp.imag(powers)))
    return ew.complex_(real, imaginary) / bias


@one_program(1)
def welch(x: ArrayLike, fs: ArrayLike = 1.0, window: Any = "hann", nperseg: int | None = None,
          noverlap: int | None = None, nfft: int | None = None, detrend: Any = "constant",
          return_onesided: bool = True, scaling: str = "density", axis: int = -1,
          average: str = "mean") -> tuple[Array, Array]:
    """Frequencies, and the power spectral density of a signal by Welch's method (1967).

    The arguments are those of `csd`.

    >>> f, p = welch(jnp.array([0.0, 1.0, 0.0, -1.0]), window="boxcar", nperseg=4)
    >>> f, p.round(4)
    (Array([0.  , 0.25, 0.5 ], dtype=float32), Array([0., 2., 0.], dtype=float32))
    """
    return csd(x, None, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling,
               axis, average)


@one_program(1)
def istft(Zxx: ArrayLike, fs: ArrayLike = 1.0, window: Any = "hann", nperseg: int | None = None,
          noverlap: int | None = None, nfft: int | None = None, input_onesided: bool = True,
          boundary: bool = True, time_axis: int = -1, freq_axis: int = -2) -> tuple[Array, Array]:
    """Times, and the signal whose transforms `stft` gave with these settings.

    Segments are added where they overlap, and divided by the squares of the windows there. Without
    `boundary` the ends that `stft` had added are kept. Time goes where `time_axis` was. Raises
    ShapeError for fewer than two axes, ArgumentError for settings that do not fit.

    >>> x = jnp.array([1.0, 2.0, 3.0, 2.0, 1.0, 0.0, 1.0, 2.0])
    >>> istft(stft(x, nperseg=4)[2])[1].round(4)
    Array([1., 2., 3., 2., 1., 0., 1., 2.], dtype=float32)
    """
    op = "istft"
    (z,) = promote_inexact(op, Zxx)
    rank = len(shape_of(z))
    if rank < 2:
        raise mistake(ShapeError, op, f"{rank} axes", operands=[type_of(z)],
                      hint="frequencies and times")
    times, frequencies = as_axis(op, time_axis, rank), as_axis(op, freq_axis, rank)
    if times == frequencies:
        raise mistake(ArgumentError, op, f"time_axis and freq_axis are both {times}",
                      hint="two axes")
    z = jnp.moveaxis(jnp.asarray(z, dt.to_complex(type_of(z).dtype)), (times, frequencies),
                     (-2, -1))
    length, step, points = _lengths(op, shape_of(z)[-1], nperseg, noverlap, nfft, input_onesided)
    cut = (jnp.fft.irfft if input_onesided else jnp.fft.ifft)(z, points)[..., :length]
    x = _together(cut, _weights(op, window, length, type_of(cut).dtype), step)
    if boundary:
        x = x[..., length // 2:shape_of(x)[-1] - length // 2]
    real = dt.to_real(type_of(x).dtype)
    found = jnp.asarray(np.arange(shape_of(x)[-1]), real) / jnp.asarray(fs, real)
    return found, jnp.moveaxis(x, -1, times - (frequencies < times))


def _lengths(op: str, frequencies: int, nperseg: Any, noverlap: Any, nfft: Any, halved: bool
             ) -> tuple[int, int, int]:
    """Of segments, of steps from one to the next, of transforms."""
    usual = 2 * (frequencies - 1) if halved else frequencies
    length = usual if nperseg is None else _count(op, "nperseg", nperseg, 1)
    odd = halved and length == usual + 1
    points = usual + odd if nfft is None else _count(op, "nfft", nfft, length)
    overlap = length // 2 if noverlap is None else _count(op, "noverlap", noverlap, 0, length - 1)
    if points < length:
        raise mistake(ArgumentError, op, f"nperseg = {length}, longer than transforms of {points}",
                      hint=f"at most {points}")
    return length, length - overlap, points


def _weights(op: str, window: Any, length: int, dtype: Any) -> Array:
    if isinstance(window, (str, tuple)):
        return jnp.asarray(window_named(op, window, length), dtype)
    weights = jnp.asarray(window, dtype)
    if shape_of(weights) != (length,):
        raise mistake(ShapeError, op, f"a window of shape {shape_of(weights)} for segments of "
                      f"{length}", operands=[type_of(weights)], hint=f"window[{length}]")
    return weights


def _together(cut: Array, window: Array, step: int) -> Array:
    """The sum of segments [..., segments, length] at their places, by that of their weights."""
    *lead, count, length = shape_of(cut)
    places = np.arange(count)[:, None] * step + np.arange(length)
    size = (count - 1) * step + length
    zeros = jnp.zeros((*lead, size), type_of(cut).dtype)
    total = zeros.at[..., places].add(cut * window * jnp.sum(window))
    square = jnp.broadcast_to(window * window, (count, length))
    norm = jnp.zeros((size,), type_of(cut).dtype).at[places].add(square)
    return total / jnp.where(jnp.abs(norm) > 1e-10, norm, 1)
