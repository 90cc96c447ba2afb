"""Discrete Fourier transforms: `jnp.fft`.

Integers and half-precision numbers are transformed as float32. `n` or `s` cut an axis or fill it up
with zeros first; `norm` says where the division by the number of elements goes: into the inverse
("backward", or None), into the transform ("forward"), or its root into both ("ortho").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, DtypeError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.linalg import fft as fft_op
from arraylib.hlo.ops.shape import pad
from arraylib.numpy.elementwise import conj, divide, like
from arraylib.numpy.layout import cut, moveaxis
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axes,
    convert,
    inexact,
    literal,
    operand,
    shape_of,
)
from arraylib.numpy.rearrange import roll
from arraylib.numpy.tables import named

__all__ = ["fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn",
           "ifftshift", "ihfft", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn"]

_MOST = 3  # axes that one operation transforms
_SWAPPED = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}

# -- what all transforms share ---------------------------------------------------------------------


def transformable(op: str, x: ArrayLike, real: bool) -> Array:
    """x in a dtype that has transforms: float32 or float64, or the complex numbers of them."""
    x = operand(op, x)
    own = type_of(x).dtype
    if real and dt.is_complex(own):
        raise mistake(DtypeError, op, f"takes real numbers, not {dt.name(own)}",
                      operands=[type_of(x)], hint="fft, or x.real")
    dtype = inexact(own)
    dtype = dt.float32 if dt.bits(dtype) < 32 else dtype
    return convert(x, dtype if real else dt.to_complex(dtype))


def _swapped(op: str, norm: str | None) -> str:
    """The norm with which transform and inverse change places; ArgumentError for no norm."""
    if norm not in _SWAPPED:
        raise mistake(ArgumentError, op, f"norm = {norm!r}", hint="backward, ortho or forward")
    return _SWAPPED[norm]


def _scale(op: str, norm: str | None, inverse: bool, count: int) -> float:
    """What to multiply with; the operation itself divides by `count` if it is an inverse."""
    _swapped(op, norm)
    if norm == "ortho":
        return math.sqrt(count) if inverse else 1 / math.sqrt(count)
    if norm == "forward":
        return count if inverse else 1 / count
    return 1


def _sized(x: Array, axis: int, n: int) -> Array:
    """x with n elements along an axis: the first, or zeros after them."""
    sizes = shape_of(x)
    if sizes[axis] > n:
        return cut(x, axis, 0, n)
    if sizes[axis] == n:
        return x
    none = (0,) * len(sizes)
    return pad(x, np.zeros((), type_of(x).dtype), low=none, interior=none,
               high=(*none[:axis], n - sizes[axis], *none[axis + 1:]))


def _lengths(op: str, x: Array, s: Sequence[int] | None, axes: Sequence[int] | None,
             half: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of a transform, and how long each is where it is whole.

    With `half` the last axis of x holds the first half of a transform only.
    """
    rank = len(shape_of(x))
    if axes is None and s is not None:
        axes = tuple(range(max(0, rank - len(s)), rank))
    along = as_axes(op, axes, rank)
    if s is None:
        sizes = [shape_of(x)[a] for a in along]
        if half and sizes:
            sizes[-1] = 2 * (sizes[-1] - 1)
    else:
        sizes = [int(n) for n in s]
        if len(sizes) != len(along):
            raise mistake(ShapeError, op, f"{len(sizes)} lengths for {len(along)} axes",
                          operands=[type_of(x)], hint="one length for each axis")
    if not along:
        raise mistake(ShapeError, op, "no axes to transform", operands=[type_of(x)],
                      hint="x[None], or an axis for each number")
    if min(sizes) < 1:
        raise mistake(ShapeError, op, f"lengths {tuple(sizes)} must be positive",
                      operands=[type_of(x)], hint="n=1 or more; pad an empty array first")
    return along, tuple(sizes)


def _transform(op: str, kind: str, a: ArrayLike, s: Sequence[int] | None,
               axes: Sequence[int] | None, norm: str | None) -> Array:
    """The transform of a kind along axes, the last of which a real one halves."""
    x = transformable(op, a, real=kind == "RFFT")
    if s is None and kind in ("FFT", "IFFT") and 0 in shape_of(x):
        as_axes(op, axes, len(shape_of(x)))
        _scale(op, norm, False, 1)
        return x  # of no elements, which is complex
    along, lengths = _lengths(op, x, s, axes, half=kind == "IRFFT")
    for i, (axis, n) in enumerate(zip(along, lengths)):
        whole = kind != "IRFFT" or i < len(along) - 1
        x = _sized(x, axis, n if whole else n // 2 + 1)
    last = tuple(range(-len(along), 0))
    x = _last_axes(kind, moveaxis(x, along, last), lengths)
    scale = _scale(op, norm, kind.startswith("I"), math.prod(lengths))
    if scale != 1:
        x = ew.multiply(x, like(x, scale))
    return moveaxis(x, last, along)


def _last_axes(kind: str, x: Array, lengths: tuple[int, ...]) -> Array:
    """The transform along the last axes: at most three at once, those that are halved together."""
    if len(lengths) <= _MOST:
        return fft_op(x, fft_type=kind, fft_length=lengths)
    rest, inner = lengths[:-_MOST], lengths[-_MOST:]
    plain = "IFFT" if kind.startswith("I") else "FFT"
    front, behind = tuple(range(-len(lengths), -_MOST)), tuple(range(-len(rest), 0))
    def outer(x: Array) -> Array:
        return moveaxis(_last_axes(plain, moveaxis(x, front, behind), rest), behind, front)
    if kind == "IRFFT":  # back to real numbers comes last
        return fft_op(outer(x), fft_type=kind, fft_length=inner)
    return outer(fft_op(x, fft_type=kind, fft_length=inner))


# -- one axis --------------------------------------------------------------------------------------


def _along_one(name: str, kind: str, what: str) -> Callable[..., Array]:
    def function(a: ArrayLike, n: int | None = None, axis: int = -1,
                 norm: str | None = None) -> Array:
        return _transform(name, kind, a, None if n is None else (n,), (axis,), norm)
    return _program(function, name, f"{what} along an axis of n elements (all it has).")


def _program(function: Callable[..., Array], name: str, doc: str) -> Callable[..., Array]:
    return one_program()(named(function, name, doc))


_WHAT = {
    "fft": ("FFT", "The Fourier transform"), "ifft": ("IFFT", "The inverse Fourier transform"),
    "rfft": ("RFFT", "The first half of the Fourier transform of real numbers"),
    "irfft": ("IRFFT", "The real numbers that have this first half of a Fourier transform")}

fft = _along_one("fft", *_WHAT["fft"])
ifft = _along_one("ifft", *_WHAT["ifft"])
rfft = _along_one("rfft", *_WHAT["rfft"])
irfft = _along_one("irfft", *_WHAT["irfft"])


@one_program()
def hfft(a: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The real transform, n long, of numbers of which `a` is the first half: x[-i] = conj(x[i]).

    >>> jnp.fft.hfft(jnp.array([1.0, 2.0, 1.0])).round(4)
    Array([ 6.,  0., -2.,  0.], dtype=float32)
    """
    x = conj(transformable("hfft", a, real=False))
    return _transform("hfft", "IRFFT", x, None if n is None else (n,), (axis,),
                      _swapped("hfft", norm))


@one_program()
def ihfft(a: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of hfft: the first half of the inverse transform of real numbers.

    >>> jnp.fft.ihfft(jnp.array([6.0, 0.0, -2.0, 0.0])).round(4)
    Array([1.-0.j, 2.-0.j, 1.-0.j], dtype=complex64)
    """
    return conj(_transform("ihfft", "RFFT", a, None if n is None else (n,), (axis,),
                           _swapped("ihfft", norm)))


# -- several axes ----------------------------------------------------------------------------------


def _along_several(name: str, kind: str, what: str, default: Any) -> Callable[..., Array]:
    def function(a: ArrayLike, s: Sequence[int] | None = None, axes: Any = default,
                 norm: str | None = None) -> Array:
        if default is not None and axes is not None and len(axes) != 2:
            raise mistake(ShapeError, name, f"axes {tuple(axes)} are not two",
                          hint=f"{name.removesuffix('2')}n for any number of axes")
        return _transform(name, kind, a, s, axes, norm)
    along = "all axes, or those named" if default is None else "two axes"
    return _program(function, name, f"{what} along {along}; `s` are their lengths.")


fft2 = _along_several("fft2", *_WHAT["fft"], (-2, -1))
ifft2 = _along_several("ifft2", *_WHAT["ifft"], (-2, -1))
rfft2 = _along_several("rfft2", *_WHAT["rfft"], (-2, -1))
irfft2 = _along_several("irfft2", *_WHAT["irfft"], (-2, -1))
fftn = _along_several("fftn", *_WHAT["fft"], None)
ifftn = _along_several("ifftn", *_WHAT["ifft"], None)
rfftn = _along_several("rfftn", *_WHAT["rfft"], None)
irfftn = _along_several("irfftn", *_WHAT["irfft"], None)


# -- frequencies -----------------------------------------------------------------------------------


def _frequencies(op: str, numbers: Any, n: int, d: ArrayLike, dtype: Any) -> Array:
    if isinstance(d, (list, tuple)):
        raise mistake(ArgumentError, op, f"d = {d!r}", hint="one number")
    wanted = dt.default_float() if dtype is None else dt.dtype(dtype, op=op)
    return divide(literal(numbers.astype(wanted)), d * n)


def _count(op: str, n: Any) -> int:
    if not hasattr(n, "__index__") or n.__index__() < 1:
        raise mistake(ArgumentError, op, f"n = {n!r}", hint="a positive integer")
    return int(n.__index__())


def fftfreq(n: int, d: ArrayLike = 1.0, *, dtype: Any = None, device: Any = None) -> Array:
    """The frequency of each element of a transform of n samples that are d apart.

    >>> jnp.fft.fftfreq(4, d=0.5)
    Array([ 0. ,  0.5, -1. , -0.5], dtype=float32)
    """
    n = _count("fftfreq", n)
    numbers = np.concatenate([np.arange((n + 1) // 2), np.arange(-(n // 2), 0)])
    return _frequencies("fftfreq", numbers, n, d, dtype)


def rfftfreq(n: int, d: ArrayLike = 1.0, *, dtype: Any = None, device: Any = None) -> Array:
    """The frequency of each element of the half transform of n real samples that are d apart.

    >>> jnp.fft.rfftfreq(4, d=0.5)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    n = _count("rfftfreq", n)
    return _frequencies("rfftfreq", np.arange(n // 2 + 1), n, d, dtype)


@one_program()
def fftshift(x: ArrayLike, axes: int | Sequence[int] | None = None) -> Array:
    """x with frequency zero, which is the first element, in the middle of each axis.

    >>> jnp.fft.fftshift(jnp.arange(4))
    Array([2, 3, 0, 1], dtype=int32)
    """
    x = operand("fftshift", x)
    along = as_axes("fftshift", axes, len(shape_of(x)))
    return roll(x, tuple(shape_of(x)[a] // 2 for a in along), along) if along else x


@one_program()
def ifftshift(x: ArrayLike, axes: int | Sequence[int] | None = None) -> Array:
    """The inverse of fftshift.

    >>> jnp.fft.ifftshift(jnp.array([2, 3, 0, 1]))
    Array([0, 1, 2, 3], dtype=int32)
    """
    x = operand("ifftshift", x)
    along = as_axes("ifftshift", axes, len(shape_of(x)))
    return roll(x, tuple(-(shape_of(x)[a] // 2) for a in along), along) if along else x
