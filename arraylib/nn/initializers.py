"""First values of parameters: functions from (key, shape, dtype) to an array."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib import numpy as jnp
from arraylib import random
from arraylib.errors import ArgumentError, mistake

Array = Any
Initializer = Callable[..., Array]


def _dtype(dtype: Any) -> Any:
    return dt.default_float() if dtype is None else dt.dtype(dtype, op="initializer")


def zeros(key: Array, shape: Sequence[int], dtype: Any = None) -> Array:
    """All zeros; the key is not used."""
    return jnp.zeros(shape, _dtype(dtype))


def ones(key: Array, shape: Sequence[int], dtype: Any = None) -> Array:
    """All ones; the key is not used."""
    return jnp.ones(shape, _dtype(dtype))


def constant(value: Array, dtype: Any = None) -> Initializer:
    """An initializer that fills with one value."""
    return lambda key, shape, dtype=dtype: jnp.full(shape, value, _dtype(dtype))


def normal(stddev: float = 1e-2, dtype: Any = None) -> Initializer:
    """Normally distributed with mean 0."""
    return lambda key, shape, dtype=dtype: random.normal(key, shape, _dtype(dtype)) * stddev


def truncated_normal(stddev: float = 1e-2, dtype: Any = None, lower: float = -2.0,
                     upper: float = 2.0) -> Initializer:
    """Normally distributed between `lower` and `upper` standard deviations."""
    return lambda key, shape, dtype=dtype: random.truncated_normal(
        key, lower, upper, shape, _dtype(dtype)) * stddev


def uniform(scale: float = 1e-2, dtype: Any = None) -> Initializer:
    """Evenly distributed in [0, scale)."""
    return lambda key, shape, dtype=dtype: random.uniform(key, shape, _dtype(dtype)) * scale


# The standard deviation of a standard normal cut at two of them.
_CUT_DEVIATION = 0.87962566103423978


def variance_scaling(scale: float, mode: str, distribution: str, in_axis: int = -2,
                     out_axis: int = -1, batch_axis: Sequence[int] = (),
                     dtype: Any = None) -> Initializer:
    """Variance scale / n, where n counts a unit's inputs (fan_in), outputs (fan_out) or the mean.

    `distribution` is truncated_normal, normal or uniform. Raises ArgumentError for another mode or
    distribution.
    """
    if mode not in ("fan_in", "fan_out", "fan_avg"):
        raise mistake(ArgumentError, "variance_scaling", f"mode {mode!r}",
                      hint="'fan_in', 'fan_out' or 'fan_avg'")

    def initialize(key: Array, shape: Sequence[int], dtype: Any = dtype) -> Array:
        fan_in, fan_out = _fans(tuple(shape), in_axis, out_axis, batch_axis)
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
        deviation = math.sqrt(scale / max(1.0, count))
        if distribution == "normal":
            return random.normal(key, shape, _dtype(dtype)) * deviation
        if distribution == "truncated_normal":
            cut = random.truncated_normal(key, -2, 2, shape, _dtype(dtype))
            return cut * (deviation / _CUT_DEVIATION)
        if distribution == "uniform":
            limit = math.sqrt(3) * deviation
            return random.uniform(key, shape, _dtype(dtype), -1) * limit
        raise mistake(ArgumentError, "variance_scaling", f"distribution {distribution!r}",
                      hint="'normal', 'truncated_normal' or 'uniform'")
    return initialize


def _fans(shape: tuple[int, ...], in_axis: int, out_axis: int,
          batch_axis: Sequence[int]) -> tuple[float, float]:
    """Inputs and outputs of one unit: the other axes (a convolution's window) count in both."""
    if len(shape) < 2:
        raise mistake(ArgumentError, "variance_scaling", f"shape {shape} has no input and output "
                      "axes", hint="use initializers.normal or zeros for vectors")
    batch = math.prod(shape[i] for i in batch_axis)
    inputs, outputs = shape[in_axis], shape[out_axis]
    window = math.prod(shape) / (inputs * outputs * batch) if inputs * outputs * batch else 0
    return inputs * window, outputs * window


def _scaled(name: str, doc: str, scale: float, mode: str,
            distribution: str) -> Callable[..., Initializer]:
    def make(in_axis: int = -2, out_axis: int = -1, batch_axis: Sequence[int] = (),
             dtype: Any = None) -> Initializer:
        return variance_scaling(scale, mode, distribution, in_axis, out_axis, batch_axis, dtype)
    make.__name__, make.__doc__ = name, doc
    return make


glorot_uniform = _scaled("glorot_uniform", "Glorot and Bengio (2010), uniform.", 1.0, "fan_avg",
                         "uniform")
glorot_normal = _scaled("glorot_normal", "Glorot and Bengio (2010), normal.", 1.0, "fan_avg",
                        "truncated_normal")
lecun_uniform = _scaled("lecun_uniform", "LeCun et al. (1998), uniform.", 1.0, "fan_in", "uniform")
lecun_normal = _scaled("lecun_normal", "LeCun et al. (1998), normal.", 1.0, "fan_in",
                       "truncated_normal")
he_uniform = _scaled("he_uniform", "He et al. (2015), uniform.", 2.0, "fan_in", "uniform")
he_normal = _scaled("he_normal", "He et al. (2015), normal.", 2.0, "fan_in", "truncated_normal")
xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal
