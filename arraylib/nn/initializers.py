"""Initial values of parameters: functions of a key, a shape and a dtype.

    init = nn.initializers.he_normal()
    w = init(key, (784, 512))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import arraylib.numpy as jnp
from arraylib import dtypes as dt, random
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.numpy.promotion import Array, ArrayLike, Shape, as_shape

Axes = int | Sequence[int]


class Initializer(Protocol):
    """What the functions below return: `init(key, shape, dtype)` makes an array.

    >>> import typing
    >>> init: nn.initializers.Initializer = nn.initializers.he_normal()
    >>> init(random.key(0), (2, 3)).shape
    (2, 3)
    """

    def __call__(self, key: Array, shape: Shape, dtype: Any = None) -> Array: ...


def _dtype(given: Any) -> dt.Dtype:
    return dt.default_float() if given is None else dt.dtype(given)


def _scale(scale: ArrayLike, dtype: Any) -> Array:
    """A factor of initial values, which does not widen them."""
    return jnp.asarray(scale, _dtype(dtype))


def zeros(key: Any, shape: Shape, dtype: Any = None) -> Array:
    """Zeros; the key is not used.

    >>> nn.initializers.zeros(random.key(0), (2,))
    Array([0., 0.], dtype=float32)
    """
    return jnp.zeros(shape, _dtype(dtype))


def ones(key: Any, shape: Shape, dtype: Any = None) -> Array:
    """Ones; the key is not used.

    >>> nn.initializers.ones(random.key(0), (2,))
    Array([1., 1.], dtype=float32)
    """
    return jnp.ones(shape, _dtype(dtype))


def constant(value: ArrayLike, dtype: Any = None) -> Initializer:
    """One value everywhere.

    >>> nn.initializers.constant(0.5)(random.key(0), (2,))
    Array([0.5, 0.5], dtype=float32)
    """
    def init(key: Any, shape: Shape, dtype: Any = dtype) -> Array:
        return jnp.full(shape, value, _dtype(dtype))
    return init


def uniform(scale: ArrayLike = 1e-2, dtype: Any = None) -> Initializer:
    """Numbers from 0 to below `scale`, all equally likely.

    >>> nn.initializers.uniform(0.1)(random.key(0), (100,)).max() < 0.1
    Array(True, dtype=bool)
    """
    def init(key: Array, shape: Shape, dtype: Any = dtype) -> Array:
        return random.uniform(key, shape, _dtype(dtype)) * _scale(scale, dtype)
    return init


def normal(stddev: ArrayLike = 1e-2, dtype: Any = None) -> Initializer:
    """Normal numbers of this standard deviation.

    >>> nn.initializers.normal(0.1)(random.key(0), (1000,)).std().round(2)
    Array(0.1, dtype=float32)
    """
    def init(key: Array, shape: Shape, dtype: Any = dtype) -> Array:
        return random.normal(key, shape, _dtype(dtype)) * _scale(stddev, dtype)
    return init


def truncated_normal(stddev: ArrayLike = 1e-2, dtype: Any = None, lower: ArrayLike = -2.0,
                     upper: ArrayLike = 2.0) -> Initializer:
    """Normal numbers of this standard deviation between `lower` and `upper` deviations.

    >>> jnp.abs(nn.initializers.truncated_normal(1.0)(random.key(0), (100,))).max() < 3
    Array(True, dtype=bool)
    """
    def init(key: Array, shape: Shape, dtype: Any = dtype) -> Array:
        drawn = random.truncated_normal(key, lower, upper, shape, _dtype(dtype))
        return drawn * _scale(stddev, dtype)
    return init


# -- scaled by the number of inputs and outputs ----------------------------------------------------

_TRUNCATED_DEVIATION = 0.87962566103423978  # of normal numbers between -2 and 2
_COMPLEX_DEVIATION = 0.95311164380491208  # of complex normal numbers of a modulus below 2


def _fans(shape: tuple[int, ...], in_axis: Axes, out_axis: Axes,
          batch_axis: Axes) -> tuple[float, float]:
    """How many numbers each output is a sum of, and how many each input goes into."""
    if len(shape) < 2 and in_axis == -2:
        raise mistake(ShapeError, "variance_scaling", f"shape {shape} has no axis of inputs",
                      hint="a shape of two axes or more, or in_axis=...")
    size = lambda axes: math.prod(shape[a] for a in ((axes,) if isinstance(axes, int) else axes))
    inputs, outputs = size(in_axis), size(out_axis)
    field = math.prod(shape) / inputs / outputs / size(batch_axis)
    return inputs * field, outputs * field


_DENOMINATORS = {
    "fan_in": lambda inputs, outputs: inputs,
    "fan_out": lambda inputs, outputs: outputs,
    "fan_avg": lambda inputs, outputs: (inputs + outputs) / 2,
    "fan_geo_avg": lambda inputs, outputs: math.sqrt(inputs * outputs),
}


def variance_scaling(scale: float, mode: str, distribution: str, in_axis: Axes = -2,
                     out_axis: Axes = -1, batch_axis: Axes = (),
                     dtype: Any = None) -> Initializer:
    """Numbers of variance `scale` over the number of inputs, outputs or a mean of both.

    `mode`: fan_in, fan_out, fan_avg or fan_geo_avg; `distribution`: truncated_normal, normal or
    uniform.

    >>> init = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
    >>> init(random.key(0), (100, 50)).std().round(2)
    Array(0.14, dtype=float32)
    """
    if mode not in _DENOMINATORS or distribution not in ("truncated_normal", "normal", "uniform"):
        raise mistake(ArgumentError, "variance_scaling", f"mode {mode!r}, distribution "
                      f"{distribution!r}", hint=f"one of {', '.join(_DENOMINATORS)}; "
                      "truncated_normal, normal or uniform")

    def init(key: Array, shape: Shape, dtype: Any = dtype) -> Array:
        sizes, wanted = as_shape("variance_scaling", shape), _dtype(dtype)
        fans = _fans(sizes, in_axis, out_axis, batch_axis)
        variance = scale / max(_DENOMINATORS[mode](*fans), 1e-300)
        if dt.is_complex(wanted) and distribution != "normal":
            return _complex(key, sizes, wanted, distribution) * math.sqrt(variance)
        if distribution == "truncated_normal":
            deviation = math.sqrt(variance) / _TRUNCATED_DEVIATION
            return random.truncated_normal(key, -2.0, 2.0, sizes, wanted) * deviation
        if distribution == "normal":
            return random.normal(key, sizes, wanted) * math.sqrt(variance)
        return random.uniform(key, sizes, wanted, -1.0) * math.sqrt(3 * variance)
    return init


def _complex(key: Array, shape: tuple[int, ...], dtype: dt.Dtype, distribution: str) -> Array:
    """Complex numbers of variance 1: uniform in a disk, or normal with a modulus limited to 2."""
    radius_key, angle_key = random.split(key)
    share = random.uniform(radius_key, shape, dt.to_real(dtype))
    angle = 2 * math.pi * random.uniform(angle_key, shape, dt.to_real(dtype))
    if distribution == "uniform":
        radius = jnp.sqrt(2 * share)
    else:
        radius = jnp.sqrt(-jnp.log1p((math.exp(-4) - 1) * share)) / _COMPLEX_DEVIATION
    return (radius * jnp.exp(1j * angle)).astype(dtype)


def glorot_uniform(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (),
                   dtype: Any = None) -> Initializer:
    """Uniform, of variance 2 / (inputs + outputs) (Glorot and Bengio, 2010).

    >>> nn.initializers.glorot_uniform()(random.key(0), (100, 50)).std().round(2)
    Array(0.12, dtype=float32)
    """
    return variance_scaling(1.0, "fan_avg", "uniform", in_axis, out_axis, batch_axis, dtype)


def glorot_normal(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (),
                  dtype: Any = None) -> Initializer:
    """Truncated normal, of variance 2 / (inputs + outputs) (Glorot and Bengio, 2010).

    >>> nn.initializers.glorot_normal()(random.key(0), (100, 50)).std().round(2)
    Array(0.12, dtype=float32)
    """
    return variance_scaling(1.0, "fan_avg", "truncated_normal", in_axis, out_axis, batch_axis,
                            dtype)


def lecun_uniform(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (),
                  dtype: Any = None) -> Initializer:
    """Uniform, of variance 1 / inputs.

    >>> nn.initializers.lecun_uniform()(random.key(0), (100, 50)).std().round(2)
    Array(0.1, dtype=float32)
    """
    return variance_scaling(1.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


def lecun_normal(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (),
                 dtype: Any = None) -> Initializer:
    """Truncated normal, of variance 1 / inputs.

    >>> nn.initializers.lecun_normal()(random.key(0), (100, 50)).std().round(2)
    Array(0.1, dtype=float32)
    """
    return variance_scaling(1.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis,
                            dtype)


def he_uniform(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (),
               dtype: Any = None) -> Initializer:
    """Uniform, of variance 2 / inputs (He et al., 2015).

    >>> nn.initializers.he_uniform()(random.key(0), (100, 50)).std().round(2)
    Array(0.14, dtype=float32)
    """
    return variance_scaling(2.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


def he_normal(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (),
              dtype: Any = None) -> Initializer:
    """Truncated normal, of variance 2 / inputs (He et al., 2015).

    >>> nn.initializers.he_normal()(random.key(0), (100, 50)).std().round(2)
    Array(0.14, dtype=float32)
    """
    return variance_scaling(2.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis,
                            dtype)


xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal


# -- orthogonal ------------------------------------------------------------------------------------


def orthogonal(scale: ArrayLike = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """`scale` times a matrix with orthonormal columns or rows (Saxe and others, 2013).

    `column_axis` is that of the columns, all other axes together are the rows. Raises ShapeError,
    when called, for a shape of fewer than two axes.

    >>> q = nn.initializers.orthogonal()(random.key(0), (3, 3))
    >>> jnp.allclose(q @ q.T, jnp.eye(3), atol=1e-5)
    Array(True, dtype=bool)
    """
    def init(key: Array, shape: Shape, dtype: Any = dtype) -> Array:
        sizes, wanted = as_shape("orthogonal", shape), _dtype(dtype)
        if len(sizes) < 2:
            raise mistake(ShapeError, "orthogonal", f"shape {sizes}", hint="two axes or more")
        if not math.prod(sizes):
            return jnp.zeros(sizes, wanted)
        axis = range(len(sizes))[column_axis]
        columns, rest = sizes[axis], (*sizes[:axis], *sizes[axis + 1:])
        matrix = random.orthogonal(key, math.prod(rest), (), wanted, columns)
        return scale * jnp.moveaxis(matrix.reshape(*rest, columns), -1, axis)
    return init


def delta_orthogonal(scale: ArrayLike = 1.0, column_axis: int = -1,
                     dtype: Any = None) -> Initializer:
    """Kernels of convolutions that are `orthogonal` in their middle and 0 around it.

    Of shape (*window, inputs, outputs), no fewer outputs than inputs (Xiao and others, 2018).
    Raises ShapeError, when called, for others.

    >>> nn.initializers.delta_orthogonal()(random.key(0), (3, 3, 4, 4)).shape
    (3, 3, 4, 4)
    """
    def init(key: Array, shape: Shape, dtype: Any = dtype) -> Array:
        sizes, wanted = as_shape("delta_orthogonal", shape), _dtype(dtype)
        if len(sizes) not in (3, 4, 5) or sizes[-1] < sizes[-2]:
            raise mistake(ShapeError, "delta_orthogonal", f"shape {sizes}", hint="one to three axes"
                          " of the window, inputs, and as many outputs or more")
        matrix = orthogonal(scale, column_axis, wanted)(key, sizes[-2:])
        middle = tuple([(n - 1) // 2 for n in sizes[:-2]])
        return jnp.zeros(sizes, wanted).at[middle].set(matrix)
    return init
