"""Activation functions: element by element, in the dtype of their argument (integers in floats)."""

import math
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib import numpy as jnp
from arraylib.errors import ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.numpy.promotion import promote_inexact

Array = Any


def _float(name: str, x: Any) -> Array:
    (x,) = promote_inexact(name, x)
    return x


def identity(x: Array) -> Array:
    """x."""
    return jnp.asarray(x)


def relu(x: Array) -> Array:
    """max(x, 0), with a derivative of 0 at 0; nan stays nan.

        >>> nn.relu(jnp.array([-1., 0., 2.]))
        Array([0., 0., 2.], dtype=float32)
    """
    return jnp.where(jnp.less_equal(x, 0), 0, x)


def relu6(x: Array) -> Array:
    """min(max(x, 0), 6). Howard et al., "MobileNets" (2017)."""
    return jnp.minimum(relu(x), 6)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    return ew.logistic(_float("sigmoid", x))


def log_sigmoid(x: Array) -> Array:
    """log(sigmoid(x)), exact where the sigmoid rounds to 0 or 1."""
    return -softplus(-_float("log_sigmoid", x))


def softplus(x: Array) -> Array:
    """log(1 + exp(x))."""
    return jnp.logaddexp(x, 0.0)


def sparse_plus(x: Array) -> Array:
    """0 below -1, x above 1, and ((x + 1) / 2) ** 2 between."""
    x = _float("sparse_plus", x)
    return jnp.where(x <= -1, 0, jnp.where(x >= 1, x, ((x + 1) * 0.5) ** 2))


def soft_sign(x: Array) -> Array:
    """x / (1 + |x|)."""
    x = _float("soft_sign", x)
    return x / (jnp.abs(x) + 1)


def silu(x: Array) -> Array:
    """x * sigmoid(x), also called swish. Elfwing et al. (2017)."""
    x = _float("silu", x)
    return x * ew.logistic(x)


swish = silu


def mish(x: Array) -> Array:
    """x * tanh(softplus(x)). Misra (2019)."""
    x = _float("mish", x)
    return x * jnp.tanh(softplus(x))


def gelu(x: Array, approximate: bool = True) -> Array:
    """x * Phi(x), Phi the normal distribution function; by default in the tanh approximation.

    The approximation is computed as x * sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3), which
    equals 0.5 x (1 + tanh(u)) but keeps its precision for negative x. Hendrycks and Gimpel (2016).

        >>> nn.gelu(jnp.array([-1., 0., 1.]))
        Array([-0.15880796,  0.        ,  0.841192  ], dtype=float32)
    """
    x = _float("gelu", x)
    if approximate:
        return x * ew.logistic(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x)))
    return 0.5 * x * ew.erfc(-math.sqrt(0.5) * x)


def elu(x: Array, alpha: Array = 1.0) -> Array:
    """x where positive, alpha * (exp(x) - 1) elsewhere. Clevert et al. (2015)."""
    x = _float("elu", x)
    positive = x > 0
    return jnp.where(positive, x, alpha * jnp.expm1(jnp.where(positive, 0, x)))


def celu(x: Array, alpha: Array = 1.0) -> Array:
    """x where positive, alpha * (exp(x / alpha) - 1) elsewhere. Barron (2017)."""
    x = _float("celu", x)
    return jnp.maximum(x, 0) + alpha * jnp.expm1(jnp.minimum(x, 0) / alpha)


def selu(x: Array) -> Array:
    """The self-normalising exponential linear unit. Klambauer et al. (2017)."""
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def leaky_relu(x: Array, negative_slope: Array = 0.01) -> Array:
    """x where not negative, negative_slope * x elsewhere."""
    x = _float("leaky_relu", x)
    return jnp.where(x >= 0, x, negative_slope * x)


def squareplus(x: Array, b: Array = 4) -> Array:
    """(x + sqrt(x^2 + b)) / 2. Barron (2021)."""
    x = _float("squareplus", x)
    return (x + jnp.sqrt(x * x + b)) / 2


def hard_tanh(x: Array) -> Array:
    """x limited to -1 .. 1."""
    return jnp.clip(_float("hard_tanh", x), -1, 1)


def hard_sigmoid(x: Array) -> Array:
    """min(max(x + 3, 0), 6) / 6."""
    return relu6(_float("hard_sigmoid", x) + 3) / 6


def hard_silu(x: Array) -> Array:
    """x * hard_sigmoid(x). Howard et al. (2019)."""
    x = _float("hard_silu", x)
    return x * hard_sigmoid(x)


hard_swish = hard_silu


def glu(x: Array, axis: int = -1) -> Array:
    """The first half along the axis times the sigmoid of the second. Dauphin et al. (2016).

    Raises ShapeError if the axis has an odd size.
    """
    size = type_of(x).shape[axis]
    if size % 2:
        raise mistake(ShapeError, "glu", f"axis {axis} has the odd size {size}", operands=[type_of(x)],
                      hint="the axis is cut in two halves")
    first, second = jnp.split(x, 2, axis)
    return first * sigmoid(second)


def one_hot(x: Array, num_classes: int, *, dtype: Any = None, axis: int = -1) -> Array:
    """1 at index x along a new axis of num_classes, 0 elsewhere; all 0 for x out of range.

        >>> nn.one_hot(jnp.array([0, 2]), 3)
        Array([[1., 0., 0.],
               [0., 0., 1.]], dtype=float32)
    """
    x = jnp.asarray(x)
    rank = len(x.shape) + 1
    axis %= rank
    classes = jnp.arange(num_classes, dtype=x.dtype)
    classes = classes.reshape([num_classes if i == axis else 1 for i in range(rank)])
    hot = jnp.equal(jnp.expand_dims(x, axis), classes)
    return hot.astype(dt.default_float() if dtype is None else dt.dtype(dtype, op="one_hot"))


def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return jnp.tanh(x)


def log1mexp(x: Array) -> Array:
    """log(1 - exp(-x)) for x > 0, by the branch that is exact. Maechler (2012)."""
    x = _float("log1mexp", x)
    return jnp.where(x < np.log(2.0), jnp.log(-jnp.expm1(-x)), jnp.log1p(-jnp.exp(-x)))
