"""Images in other sizes: `from arraylib import image`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.numpy.creation import arrays
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    Shape,
    as_axes,
    as_shape,
    promote_inexact,
    shape_of,
)

__all__ = ["ResizeMethod", "resize", "scale_and_translate"]


class ResizeMethod(Enum):
    """How elements between elements are found; `from_string` knows their names."""

    NEAREST = 0
    LINEAR = 1
    LANCZOS3 = 2
    LANCZOS5 = 3
    CUBIC = 4

    @staticmethod
    def from_string(s: str) -> ResizeMethod:
        """The method with this name: "linear" is also "bilinear", "trilinear" and "triangle"."""
        if s not in _NAMES:
            raise mistake(ArgumentError, "resize", f"method = {s!r}", hint=", ".join(_NAMES))
        return _NAMES[s]


_NAMES = {
    "nearest": ResizeMethod.NEAREST,
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), ResizeMethod.LINEAR),
    "lanczos3": ResizeMethod.LANCZOS3, "lanczos5": ResizeMethod.LANCZOS5,
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), ResizeMethod.CUBIC)}


def _lanczos(radius: int) -> Callable[[Array], Array]:
    return lambda x: jnp.where(x < radius, jnp.sinc(x) * jnp.sinc(x / radius), 0.0)


def _keys(x: Array) -> Array:
    """Keys's cubic convolution (1981) with a = -1/2."""
    near = ((1.5 * x - 2.5) * x) * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return jnp.where(x < 1, near, jnp.where(x < 2, far, 0.0))


_KERNELS: dict[ResizeMethod, Callable[[Array], Array]] = {
    ResizeMethod.LINEAR: lambda x: jnp.maximum(0.0, 1 - x), ResizeMethod.CUBIC: _keys,
    ResizeMethod.LANCZOS3: _lanczos(3), ResizeMethod.LANCZOS5: _lanczos(5)}


def _weights(n: int, m: int, scale: Array, shift: Array, kernel: Callable[[Array], Array],
             antialias: bool) -> Array:
    """What each of n elements adds to each of m: f[n, m], with columns that sum to 1."""
    dtype = type_of(scale).dtype
    step = 1 / scale
    width = jnp.maximum(step, 1) if antialias else jnp.ones_like(step)
    places = (jnp.arange(m, dtype=dtype) + 0.5) * step - shift * step - 0.5
    found = kernel(jnp.abs(places - jnp.arange(n, dtype=dtype)[:, None]) / width)
    total = jnp.sum(found, 0, keepdims=True)
    small = 1000 * float(dt.finfo(dtype).eps)
    found = jnp.where(jnp.abs(total) > small, found / jnp.where(total == 0, 1, total), 0)
    inside = (places >= -0.5) & (places <= n - 0.5)
    return jnp.where(inside, found, 0).astype(dtype)


def _method(method: str | ResizeMethod) -> ResizeMethod:
    return ResizeMethod.from_string(method) if isinstance(method, str) else method


def scale_and_translate(image: ArrayLike, shape: Shape, spatial_dims: Sequence[int],
                        scale: ArrayLike, translation: ArrayLike, method: str | ResizeMethod,
                        antialias: bool = True, precision: Any = None) -> Array:
    """The image stretched by `scale`, then moved by `translation`, along some of its axes.

    What lies outside of the image is 0. `scale` and `translation` have one number for each of
    `spatial_dims`, and derivatives; `shape` is that of the result, which keeps the other sizes.
    With `antialias` elements are averaged where the image shrinks. Raises ArgumentError for the
    method "nearest", ShapeError where numbers and axes do not fit.

    >>> scale_and_translate(jnp.arange(4.0), (2,), (0,), jnp.ones(1), -jnp.ones(1), "linear")
    Array([1., 2.], dtype=float32)
    """
    (x,) = promote_inexact("scale_and_translate", image)
    sizes, kind = as_shape("scale_and_translate", shape), _method(method)
    axes = as_axes("scale_and_translate", tuple(spatial_dims), len(shape_of(x)))
    x, factors, shifts = arrays("scale_and_translate", x, scale, translation)
    if kind not in _KERNELS:
        raise mistake(ArgumentError, "scale_and_translate", f"method = {kind.name.lower()}",
                      hint="linear, cubic, lanczos3 or lanczos5")
    kept = [i for i in range(len(shape_of(x))) if i not in axes]
    if len(sizes) != len(shape_of(x)) or any(sizes[i] != shape_of(x)[i] for i in kept) \
            or not shape_of(factors) == shape_of(shifts) == (len(axes),):
        raise mistake(ShapeError, "scale_and_translate", f"shape {sizes}, {len(axes)} axes, scale "
                      f"of shape {shape_of(factors)}", operands=[type_of(x)],
                      hint="scale[k] and translation[k] for k axes; the other sizes stay")
    return _stretched(x, sizes, axes, factors, shifts, kind, antialias)


def _stretched(x: Array, sizes: Sequence[int], axes: Sequence[int], factors: Array, shifts: Array,
               kind: ResizeMethod, antialias: bool) -> Array:
    dtype = type_of(x).dtype
    work = dt.to_real(dtype) if dt.bits(dt.to_real(dtype)) >= 32 else dt.float32
    for k, axis in enumerate(axes):
        weights = _weights(shape_of(x)[axis], sizes[axis], factors[k].astype(work),
                           shifts[k].astype(work), _KERNELS[kind], antialias)
        moved = jnp.tensordot(x, weights.astype(dtype), ((axis,), (0,)))
        x = jnp.moveaxis(moved, -1, axis)
    return x


def resize(image: ArrayLike, shape: Shape, method: str | ResizeMethod, antialias: bool = True,
           precision: Any = None) -> Array:
    """The image in another shape, with as many axes; those of equal size are left alone.

    `method`: "nearest", "linear", "cubic" (Keys 1981), "lanczos3" or "lanczos5", or a ResizeMethod.
    With `antialias` elements are averaged where the image shrinks. "nearest" keeps the dtype, for
    the others integers become floats. Raises ShapeError where the shape has another number of axes.

    >>> resize(jnp.arange(2.0), (4,), "linear")
    Array([0.  , 0.25, 0.75, 1.  ], dtype=float32)
    """
    x, sizes, kind = jnp.asarray(image), as_shape("resize", shape), _method(method)
    if len(sizes) != len(shape_of(x)):
        raise mistake(ShapeError, "resize", f"shape {sizes} has {len(sizes)} axes",
                      operands=[type_of(x)], hint="a size for each axis of the image")
    axes = [i for i, n in enumerate(sizes) if n != shape_of(x)[i]]
    if kind is ResizeMethod.NEAREST:
        for i in axes:
            n, m = shape_of(x)[i], sizes[i]
            places = np.floor((np.arange(m, dtype=np.float32) + np.float32(0.5))
                              * np.float32(n) / np.float32(max(m, 1))).astype(np.int32)
            x = jnp.take(x, places, i)
        return x
    (x,) = promote_inexact("resize", x)
    factors = [1.0 if not sizes[i] else sizes[i] / shape_of(x)[i] for i in axes]
    work = dt.float64 if dt.bits(dt.to_real(type_of(x).dtype)) == 64 else dt.float32
    scale = jnp.asarray(np.array(factors), work)
    return _stretched(jnp.asarray(x), sizes, axes, scale, jnp.zeros_like(scale), kind, antialias)
