"""Convolutions, trends and spectra of signals: `from arraylib.scipy import signal`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.lax.windows import conv_general_dilated
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import Array, ArrayLike, as_axes, promote_inexact, shape_of
from arraylib.scipy.spectral import csd, istft, stft, welch
from arraylib.scipy.trends import detrend

__all__ = ["convolve", "convolve2d", "correlate", "correlate2d", "csd", "detrend", "fftconvolve",
           "istft", "stft", "welch"]

_MODES = ("full", "same", "valid")
_BOUNDARIES = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}


def _pair(op: str, x: ArrayLike, y: ArrayLike, mode: str) -> tuple[Array, Array]:
    """The operands in their common float, the larger one first where it must be."""
    if mode not in _MODES:
        raise mistake(ArgumentError, op, f"mode = {mode!r}", hint="full, same or valid")
    x, y = (jnp.asarray(v) for v in promote_inexact(op, x, y))
    if len(shape_of(x)) != len(shape_of(y)) or 0 in (*shape_of(x), *shape_of(y)):
        raise mistake(ShapeError, op, f"shapes {shape_of(x)} and {shape_of(y)}",
                      operands=[type_of(x), type_of(y)],
                      hint="arrays of as many axes that are not empty")
    return x, y


def _smaller_first(op: str, x: Array, y: Array, axes: Sequence[int]) -> bool:
    """Whether "valid" needs the operands exchanged; ShapeError if neither fits into the other."""
    fits = [shape_of(x)[i] >= shape_of(y)[i] for i in axes]
    back = [shape_of(x)[i] <= shape_of(y)[i] for i in axes]
    if not all(fits) and not all(back):
        raise mistake(ShapeError, op, f"neither of {shape_of(x)} and {shape_of(y)} fits into the "
                      "other", operands=[type_of(x), type_of(y)], hint="mode='full' or 'same'")
    return not all(fits)


def _widths(n: int, m: int, mode: str) -> tuple[int, int]:
    """How many zeros go before and behind n elements to meet m at the places of the mode."""
    if mode == "valid":
        return 0, 0
    if mode == "full":
        return m - 1, m - 1
    start = (m - 1) // 2
    return m - 1 - start, start


def _direct(x: Array, y: Array, mode: str) -> Array:
    """Sums of products; of complex numbers by their parts."""
    if dt.is_complex(type_of(x).dtype):
        (a, b), (c, d) = ((ew.real(v), ew.imag(v)) for v in (x, y))
        both = lambda p, q: _direct(p, q, mode)
        return ew.complex_(both(a, c) - both(b, d), both(a, d) + both(b, c))
    rank = len(shape_of(x))
    if not rank:
        return x * y
    pads = [_widths(n, m, mode) for n, m in zip(shape_of(x), shape_of(y))]
    found = conv_general_dilated(x[None, None], jnp.flip(y)[None, None], (1,) * rank, pads)
    return found[0, 0]


def _method(op: str, method: str) -> None:
    if method not in ("auto", "direct", "fft"):
        raise mistake(ArgumentError, op, f"method = {method!r}", hint="auto, direct or fft")


@one_program(2)
def convolve(in1: ArrayLike, in2: ArrayLike, mode: str = "full", method: str = "auto",
             precision: Any = None) -> Array:
    """The convolution of two arrays of as many axes; integers become floats.

    `mode` "full": all sums; "same": those in the middle, as many as in1 has elements; "valid": only
    those without zeros around. `method` "fft" transforms, "auto" and "direct" multiply and add.

    >>> convolve(jnp.array([1.0, 2.0]), jnp.array([1.0, 1.0]))
    Array([1., 3., 2.], dtype=float32)
    """
    _method("convolve", method)
    if method == "fft":
        return fftconvolve(in1, in2, mode)
    x, y = _pair("convolve", in1, in2, mode)
    if mode == "valid" and _smaller_first("convolve", x, y, range(len(shape_of(x)))):
        x, y = y, x
    return _direct(x, y, mode)


@one_program(2)
def correlate(in1: ArrayLike, in2: ArrayLike, mode: str = "full", method: str = "auto",
              precision: Any = None) -> Array:
    """The correlation of two arrays: the convolution with in2 turned round and conjugated.

    >>> correlate(jnp.array([1.0, 2.0]), jnp.array([0.0, 1.0]))
    Array([1., 2., 0.], dtype=float32)
    """
    _method("correlate", method)
    x, y = _pair("correlate", in1, in2, mode)
    if mode == "valid" and _smaller_first("correlate", x, y, range(len(shape_of(x)))):
        return jnp.conj(jnp.flip(convolve(y, jnp.conj(jnp.flip(x)), mode, method)))
    return convolve(x, jnp.conj(jnp.flip(y)), mode, method)


@one_program(2)
def convolve2d(in1: ArrayLike, in2: ArrayLike, mode: str = "full", boundary: str = "fill",
               fillvalue: float = 0, precision: Any = None) -> Array:
    """The convolution of two matrices; `boundary` says what lies around the first.

    "fill": `fillvalue`; "wrap": the matrix again; "symm": the matrix mirrored.

    >>> convolve2d(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 1.0]]), "same")
    Array([[1., 3.]], dtype=float32)
    """
    x, y = _pair("convolve2d", in1, in2, mode)
    if len(shape_of(x)) != 2 or boundary not in _BOUNDARIES:
        raise mistake(ArgumentError, "convolve2d", f"{len(shape_of(x))} axes, boundary = "
                      f"{boundary!r}", operands=[type_of(x), type_of(y)],
                      hint="matrices; fill, wrap or symm")
    if mode == "valid":
        swapped = _smaller_first("convolve2d", x, y, (0, 1))
        return _direct(*((y, x) if swapped else (x, y)), "valid")
    if boundary == "fill" and not fillvalue:
        return _direct(x, y, mode)
    pads = [_widths(n, m, mode) for n, m in zip(shape_of(x), shape_of(y))]
    around = {"constant_values": fillvalue} if boundary == "fill" else {}
    return _direct(jnp.pad(x, pads, _BOUNDARIES[boundary], **around), y, "valid")


@one_program(2)
def correlate2d(in1: ArrayLike, in2: ArrayLike, mode: str = "full", boundary: str = "fill",
                fillvalue: float = 0, precision: Any = None) -> Array:
    """The correlation of two matrices; see `convolve2d`.

    >>> scipy.signal.correlate2d(jnp.ones((2, 2)), jnp.ones((2, 2)), mode="valid")
    Array([[4.]], dtype=float32)
    """
    x, y = _pair("correlate2d", in1, in2, mode)
    if mode == "valid" and len(shape_of(x)) == 2 and _smaller_first("correlate2d", x, y, (0, 1)):
        return jnp.conj(jnp.flip(convolve2d(y, jnp.conj(jnp.flip(x)), mode)))
    if mode != "same":
        return convolve2d(x, jnp.conj(jnp.flip(y)), mode, boundary, fillvalue)
    whole = convolve2d(x, jnp.conj(jnp.flip(y)), "full", boundary, fillvalue)
    first = [m // 2 for m in shape_of(y)]
    return whole[first[0]:first[0] + shape_of(x)[0], first[1]:first[1] + shape_of(x)[1]]


@one_program(2)
def fftconvolve(in1: ArrayLike, in2: ArrayLike, mode: str = "full",
                axes: Sequence[int] | None = None) -> Array:
    """The convolution along axes, all unless given, by Fourier transforms; others broadcast.

    >>> fftconvolve(jnp.array([1.0, 2.0]), jnp.array([1.0, 1.0])).round(5)
    Array([1., 3., 2.], dtype=float32)
    """
    x, y = _pair("fftconvolve", in1, in2, mode)
    along = as_axes("fftconvolve", None if axes is None else tuple(axes), len(shape_of(x)))
    if not along:
        return x * y
    if mode == "valid" and _smaller_first("fftconvolve", x, y, along):
        x, y = y, x
    sizes = [shape_of(x)[i] + shape_of(y)[i] - 1 for i in along]
    if dt.is_complex(type_of(x).dtype):
        product = jnp.fft.fftn(x, sizes, along) * jnp.fft.fftn(y, sizes, along)
        found = jnp.fft.ifftn(product, sizes, along)
    else:
        product = jnp.fft.rfftn(x, sizes, along) * jnp.fft.rfftn(y, sizes, along)
        found = jnp.fft.irfftn(product, sizes, along)
    cuts = [slice(None)] * len(shape_of(x))
    for i, whole in zip(along, sizes):
        n, m = shape_of(x)[i], shape_of(y)[i]
        first = {"full": 0, "same": (m - 1) // 2, "valid": m - 1}[mode]
        cuts[i] = slice(first, first + {"full": whole, "same": n, "valid": n - m + 1}[mode])
    return found[tuple(cuts)].astype(type_of(x).dtype)
