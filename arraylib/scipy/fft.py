"""Discrete cosine transforms: `from arraylib.scipy import fft`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.numpy.fft import transformable
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import Array, ArrayLike, as_axes, as_axis, shape_of

__all__ = ["dct", "dctn", "idct", "idctn"]


def _sized(x: Array, n: int) -> Array:
    """The last axis cut, or filled up with zeros, to n elements."""
    size = shape_of(x)[-1]
    none = [(0, 0)] * (len(shape_of(x)) - 1)
    return x[..., :n] if n <= size else jnp.pad(x, [*none, (0, n - size)])


def _turned(n: int, sign: int, dtype: dt.Dtype) -> Array:
    """exp(sign i pi k / (2 n)) for k from 0 to n - 1."""
    angles = np.arange(n) * (math.pi / (2 * n))
    return jnp.asarray(np.exp(sign * 1j * angles), dt.to_complex(dtype))


def _second(x: Array, norm: str | None) -> Array:
    """DCT-II: the Fourier transform of the even elements and the odd ones backwards.

    Makhoul (1980).
    """
    n = shape_of(x)[-1]
    order = np.concatenate([np.arange(0, n, 2), np.arange(1, n, 2)[::-1]])
    spectrum = jnp.fft.fft(x[..., order])
    found = 2 * ew.real(spectrum * _turned(n, -1, type_of(x).dtype))
    if norm == "ortho":
        return found * _weights(n, math.sqrt(1 / (4 * n)), math.sqrt(1 / (2 * n)), x)
    return found / (2 * n) if norm == "forward" else found


def _third(x: Array, norm: str | None) -> Array:
    """DCT-III, which undoes DCT-II: the same steps backwards."""
    n = shape_of(x)[-1]
    if norm == "ortho":
        x = x * _weights(n, math.sqrt(1 / n), math.sqrt(1 / (2 * n)), x)
    else:
        x = x / (2 * n) if norm == "forward" else x
    dtype = type_of(x).dtype
    none = [(0, 0)] * (len(shape_of(x)) - 1)
    back = jnp.pad(jnp.flip(x[..., 1:], -1), [*none, (1, 0)])
    spectrum = ew.complex_(x, jnp.negative(back)) * _turned(n, 1, dtype)
    mixed = ew.real(jnp.fft.ifft(spectrum)) * n
    order = np.concatenate([np.arange(0, n, 2), np.arange(1, n, 2)[::-1]])
    return mixed[..., np.argsort(order)]


def _weights(n: int, first: float, others: float, x: Array) -> Array:
    weights = np.full(n, others)
    weights[0] = first
    return jnp.asarray(weights, type_of(x).dtype)


_KINDS: dict[int, Callable[[Array, str | None], Array]] = {2: _second, 3: _third}
_INVERSE = {2: 3, 3: 2}
_SWAPPED = {None: "forward", "backward": "forward", "forward": None, "ortho": "ortho"}


@one_program()
def _transform(x: ArrayLike, op: str, kind: int, n: int | None, axis: int, norm: str | None
               ) -> Array:
    if kind not in _KINDS or norm not in _SWAPPED:
        raise mistake(ArgumentError, op, f"type = {kind}, norm = {norm!r}",
                      hint="type 2 or 3; norm backward, ortho or forward")
    x = jnp.asarray(transformable(op, x, real=True))
    place = as_axis(op, axis, len(shape_of(x)))
    size = shape_of(x)[place] if n is None else int(n)
    if size < 1:
        raise mistake(ShapeError, op, f"{size} elements to transform", operands=[type_of(x)],
                      hint="n of 1 or more")
    rows = _sized(jnp.moveaxis(x, place, -1), size)
    return jnp.moveaxis(_KINDS[kind](rows, norm), -1, place)


def dct(x: ArrayLike, type: int = 2, n: int | None = None, axis: int = -1,
        norm: str | None = None) -> Array:
    """The discrete cosine transform of type 2 or 3 along an axis of real numbers.

    `n` cuts the axis or fills it up with zeros; `norm` is "backward" (or None), "ortho" or
    "forward". Raises ArgumentError for other types.

    >>> dct(jnp.array([1.0, 2.0]))
    Array([ 6.       , -1.4142135], dtype=float32)
    """
    return _transform(x, "dct", type, n, axis, norm)


def idct(x: ArrayLike, type: int = 2, n: int | None = None, axis: int = -1,
         norm: str | None = None) -> Array:
    """What `dct` of that type makes x of.

    >>> idct(dct(jnp.array([1.0, 2.0])))
    Array([1., 2.], dtype=float32)
    """
    return _transform(x, "idct", _INVERSE.get(type, type), n, axis, _SWAPPED.get(norm, norm))


def _several(one: Callable[..., Array], x: ArrayLike, type: int, s: Sequence[int] | None,
             axes: Sequence[int] | None, norm: str | None) -> Array:
    rank = len(shape_of(x))
    if axes is None and s is not None:
        axes = tuple(range(rank - len(s), rank))
    along = as_axes(one.__name__ + "n", axes, rank)
    sizes = [None] * len(along) if s is None else list(s)
    if len(sizes) != len(along):
        raise mistake(ShapeError, one.__name__ + "n", f"{len(sizes)} lengths for {len(along)} axes",
                      hint="one length for each axis")
    for axis, n in zip(along, sizes):
        x = one(x, type, n, axis, norm)
    return x


def dctn(x: ArrayLike, type: int = 2, s: Sequence[int] | None = None,
         axes: Sequence[int] | None = None, norm: str | None = None) -> Array:
    """`dct` along several axes, all unless given; `s` has the length of each.

    >>> scipy.fft.dctn(jnp.ones((2, 2))).round(4)
    Array([[16.,  0.],
           [ 0.,  0.]], dtype=float32)
    """
    return _several(dct, x, type, s, axes, norm)


def idctn(x: ArrayLike, type: int = 2, s: Sequence[int] | None = None,
          axes: Sequence[int] | None = None, norm: str | None = None) -> Array:
    """What `dctn` makes x of.

    >>> scipy.fft.idctn(scipy.fft.dctn(jnp.eye(2))).round(4)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    return _several(idct, x, type, s, axes, norm)
