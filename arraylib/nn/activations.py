"""Nonlinear functions between layers; integers become floats, half types keep their width."""

from __future__ import annotations

import math
from typing import Any

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.numpy.creation import counting
from arraylib.numpy.elementwise import like
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    as_axis,
    broadcast,
    operand,
    promote_inexact,
    shape_of,
)


def _float(op: str, x: ArrayLike) -> Array:
    return promote_inexact(op, x)[0]


def _positive(x: Array) -> Array:
    return ew.compare(x, like(x, 0), direction="GT")


def identity(x: ArrayLike) -> Array:
    """x itself.

    >>> nn.identity(jnp.arange(3.0))
    Array([0., 1., 2.], dtype=float32)
    """
    return operand("identity", x)


@one_program()
def relu(x: ArrayLike) -> Array:
    """x where it is positive, 0 elsewhere; nan stays. The derivative at 0 is 0.

    >>> nn.relu(jnp.array([-1.0, 2.0]))
    Array([0., 2.], dtype=float32)
    """
    x = operand("relu", x)
    return ew.select(ew.compare(x, like(x, 0), direction="LE"), like(x, 0), x)


@one_program()
def relu6(x: ArrayLike) -> Array:
    """x limited to lie between 0 and 6; the derivative at both is 0.

    >>> nn.relu6(jnp.array([-1.0, 2.0, 8.0]))
    Array([0., 2., 6.], dtype=float32)
    """
    x = relu(_float("relu6", x))
    return ew.select(ew.compare(x, like(x, 6), direction="GE"), like(x, 6), x)


def sigmoid(x: ArrayLike) -> Array:
    """1 / (1 + exp(-x)).

    >>> nn.sigmoid(jnp.array([0.0, 1.0])).round(4)
    Array([0.5   , 0.7311], dtype=float32)
    """
    return ew.logistic(_float("sigmoid", x))


@one_program()
def log_sigmoid(x: ArrayLike) -> Array:
    """log(sigmoid(x)), exact also for very negative x.

    >>> nn.log_sigmoid(jnp.array([0.0, -100.0])).round(4)
    Array([  -0.6931, -100.    ], dtype=float32)
    """
    return ew.negate(softplus(ew.negate(_float("log_sigmoid", x))))


@one_program()
def softplus(x: ArrayLike) -> Array:
    """log(1 + exp(x)) without overflow.

    >>> nn.softplus(jnp.array([0.0, 100.0])).round(4)
    Array([  0.6931, 100.    ], dtype=float32)
    """
    x = _float("softplus", x)
    # selected, where abs and maximum would do, for derivatives of every order to be right at 0
    positive, zero = ew.compare(x, like(x, 0), direction="GE"), like(x, 0)
    rest = ew.log_plus_one(ew.exponential(ew.select(positive, ew.negate(x), x)))
    return ew.add(ew.select(positive, x, zero), rest)


@one_program()
def squareplus(x: ArrayLike, b: ArrayLike = 4) -> Array:
    """(x + sqrt(x^2 + b)) / 2, an algebraic softplus.

    >>> nn.squareplus(jnp.array([0.0, 3.0])).round(4)
    Array([1.    , 3.3028], dtype=float32)
    """
    x = _float("squareplus", x)
    return jnp.multiply(jnp.add(x, jnp.sqrt(jnp.add(ew.multiply(x, x), b))), 0.5)


@one_program()
def soft_sign(x: ArrayLike) -> Array:
    """x / (1 + |x|).

    >>> nn.soft_sign(jnp.array([-1.0, 3.0]))
    Array([-0.5 ,  0.75], dtype=float32)
    """
    x = _float("soft_sign", x)
    return ew.divide(x, ew.add(ew.abs(x), like(x, 1)))


@one_program()
def silu(x: ArrayLike) -> Array:
    """x * sigmoid(x), also called swish.

    >>> nn.silu(jnp.array([-1.0, 1.0])).round(4)
    Array([-0.2689,  0.7311], dtype=float32)
    """
    x = _float("silu", x)
    return ew.multiply(x, ew.logistic(x))


swish = silu


@one_program()
def mish(x: ArrayLike) -> Array:
    """x * tanh(softplus(x)).

    >>> nn.mish(jnp.array([-1.0, 1.0])).round(4)
    Array([-0.3034,  0.8651], dtype=float32)
    """
    x = _float("mish", x)
    return ew.multiply(x, ew.tanh(softplus(x)))


_GELU = 2 * math.sqrt(2 / math.pi)


@one_program()
def gelu(x: ArrayLike, approximate: bool = True) -> Array:
    """x times the share of normal numbers below x (Hendrycks and Gimpel, 2016).

    `approximate`: by a tanh of a cubic, written with the logistic function, which loses nothing
    where the tanh is near -1.

    >>> nn.gelu(jnp.array([-1.0, 1.0])).round(4)
    Array([-0.1588,  0.8412], dtype=float32)
    """
    x = _float("gelu", x)
    if approximate:
        inner = ew.add(ew.multiply(ew.multiply(x, x), like(x, _GELU * 0.044715)), like(x, _GELU))
        return ew.multiply(x, ew.logistic(ew.multiply(x, inner)))
    share = ew.erfc(ew.multiply(x, like(x, -math.sqrt(0.5))))
    return ew.multiply(ew.multiply(x, like(x, 0.5)), share)


@one_program()
def elu(x: ArrayLike, alpha: ArrayLike = 1.0) -> Array:
    """x where it is positive, alpha * (exp(x) - 1) elsewhere.

    >>> nn.elu(jnp.array([-1.0, 1.0])).round(4)
    Array([-0.6321,  1.    ], dtype=float32)
    """
    x = _float("elu", x)
    positive = _positive(x)
    # exp of what is not chosen must not overflow: its derivative would be nan
    below = ew.exponential_minus_one(ew.select(positive, like(x, 0), x))
    return ew.select(positive, x, broadcast("elu", jnp.multiply(below, alpha), shape_of(x)))


@one_program()
def celu(x: ArrayLike, alpha: ArrayLike = 1.0) -> Array:
    """x where it is positive, alpha * (exp(x / alpha) - 1) elsewhere: smooth at 0 for any alpha.

    >>> nn.celu(jnp.array([-1.0, 1.0])).round(4)
    Array([-0.6321,  1.    ], dtype=float32)
    """
    x = _float("celu", x)
    positive = _positive(x)
    below = jnp.expm1(jnp.divide(ew.select(positive, like(x, 0), x), alpha))
    return ew.select(positive, x, broadcast("celu", jnp.multiply(below, alpha), shape_of(x)))


@one_program()
def selu(x: ArrayLike) -> Array:
    """elu scaled so that normal inputs stay normal (Klambauer et al., 2017).

    >>> nn.selu(jnp.array([-1.0, 1.0])).round(4)
    Array([-1.1113,  1.0507], dtype=float32)
    """
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return jnp.multiply(elu(x, alpha), scale)


@one_program()
def leaky_relu(x: ArrayLike, negative_slope: ArrayLike = 1e-2) -> Array:
    """x where it is not negative, a small multiple elsewhere.

    >>> nn.leaky_relu(jnp.array([-1.0, 1.0]))
    Array([-0.01,  1.  ], dtype=float32)
    """
    x = _float("leaky_relu", x)
    below = broadcast("leaky_relu", jnp.multiply(x, negative_slope), shape_of(x))
    return ew.select(ew.compare(x, like(x, 0), direction="GE"), x, below)


@one_program()
def hard_tanh(x: ArrayLike) -> Array:
    """x limited to lie between -1 and 1.

    >>> nn.hard_tanh(jnp.array([-2.0, 0.5, 2.0]))
    Array([-1. ,  0.5,  1. ], dtype=float32)
    """
    x = _float("hard_tanh", x)
    high = ew.select(ew.compare(x, like(x, 1), direction="GT"), like(x, 1), x)
    return ew.select(ew.compare(x, like(x, -1), direction="LT"), like(x, -1), high)


@one_program()
def hard_sigmoid(x: ArrayLike) -> Array:
    """relu6(x + 3) / 6.

    >>> nn.hard_sigmoid(jnp.array([-4.0, 0.0, 4.0]))
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    x = _float("hard_sigmoid", x)
    return ew.divide(relu6(ew.add(x, like(x, 3))), like(x, 6))


@one_program()
def hard_silu(x: ArrayLike) -> Array:
    """x * hard_sigmoid(x).

    >>> nn.hard_silu(jnp.array([-4.0, 0.0, 4.0]))
    Array([-0.,  0.,  4.], dtype=float32)
    """
    x = _float("hard_silu", x)
    return ew.multiply(x, hard_sigmoid(x))


hard_swish = hard_silu


@one_program()
def sparse_plus(x: ArrayLike) -> Array:
    """0 below -1, x above 1, a parabola between.

    >>> nn.sparse_plus(jnp.array([-2.0, 0.0, 2.0]))
    Array([0.  , 0.25, 2.  ], dtype=float32)
    """
    x = _float("sparse_plus", x)
    raised = ew.add(x, like(x, 1))
    middle = ew.multiply(ew.multiply(raised, raised), like(x, 0.25))
    above = ew.select(ew.compare(x, like(x, 1), direction="GE"), x, middle)
    return ew.select(ew.compare(x, like(x, -1), direction="LE"), like(x, 0), above)


@one_program()
def sparse_sigmoid(x: ArrayLike) -> Array:
    """(x + 1) / 2 limited to lie between 0 and 1.

    >>> nn.sparse_sigmoid(jnp.array([-2.0, 0.0, 2.0]))
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    x = _float("sparse_sigmoid", x)
    return jnp.clip(ew.multiply(ew.add(x, like(x, 1)), like(x, 0.5)), 0.0, 1.0)


@one_program()
def log1mexp(x: ArrayLike) -> Array:
    """log(1 - exp(-x)), exact for small and for large x.

    >>> nn.log1mexp(jnp.array([1.0])).round(4)
    Array([-0.4587], dtype=float32)
    """
    x = _float("log1mexp", x)
    small = ew.compare(x, like(x, math.log(2)), direction="LT")
    near = ew.log(ew.negate(ew.exponential_minus_one(ew.negate(x))))
    return ew.select(small, near, ew.log_plus_one(ew.negate(ew.exponential(ew.negate(x)))))


@one_program()
def glu(x: ArrayLike, axis: int = -1) -> Array:
    """The first half along an axis times the sigmoid of the second.

    >>> nn.glu(jnp.array([3.0, 0.0]))
    Array([1.5], dtype=float32)
    """
    x = _float("glu", x)
    axis = as_axis("glu", axis, len(shape_of(x)))
    if shape_of(x)[axis] % 2:
        raise mistake(ShapeError, "glu", f"axis {axis} has the odd size {shape_of(x)[axis]}",
                      operands=[type_of(x)],
                      hint="the axis is cut into two halves: give it an even size")
    first, second = jnp.split(x, 2, axis)
    return ew.multiply(first, ew.logistic(second))


@one_program()
def one_hot(x: ArrayLike, num_classes: int, *, dtype: Any = None, axis: int = -1) -> Array:
    """Along a new axis, 1 at the place that each integer names and 0 elsewhere.

    An integer that names no place gives zeros; x may be a list.

    >>> nn.one_hot(jnp.array([0, 2]), 3)
    Array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    x = jnp.asarray(x)
    if not dt.is_inexact(type_of(x).dtype) and dt.bits(type_of(x).dtype) < 32:
        x = jnp.astype(x, dt.int32)  # in which all places can be counted
    shape = list(shape_of(x))
    axis = as_axis("one_hot", axis, len(shape) + 1)
    shape.insert(axis, num_classes)
    wide = broadcast("one_hot", jnp.expand_dims(x, axis), tuple(shape))
    places = counting(shape, axis, type_of(x).dtype)
    return jnp.astype(ew.compare(wide, places, direction="EQ"),
                      dt.default_float() if dtype is None else dtype)
