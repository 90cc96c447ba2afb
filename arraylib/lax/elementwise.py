"""Operations element by element, on operands of one dtype and shape: nothing is promoted.

A Python number takes the dtype and shape of the array beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np

from arraylib import dtypes as dt, tree
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import is_weak, type_of
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import (
    control as ct,
    elementwise as ew,
    elementwise_extra as ex,
    structured as st,
)
from arraylib.hlo.ops.bits import bitcast_regroup
from arraylib.lax.examples import EXAMPLES
from arraylib.numpy.elementwise import bitcast, like, power
from arraylib.numpy.promotion import (
    PYTHON_NUMBERS,
    Array,
    ArrayLike,
    beside_array,
    convert,
    converted,
    exactly,
    is_operand,
    literal,
    operand,
    own_type,
    shape_of,
)
from arraylib.numpy.tables import named


class RoundingMethod(Enum):
    """How `round` treats numbers half way between two whole ones.

    >>> lax.round(2.5, lax.RoundingMethod.AWAY_FROM_ZERO)
    Array(3., dtype=float32)
    """

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


def aligned(op: str, *xs: ArrayLike) -> list[Array]:
    """The operands as they are, Python numbers in the type of the first array among them.

    Raises: DtypeError where that would cut a number: 2.5 beside integers.
    """
    first = next((x for x in xs if not isinstance(x, PYTHON_NUMBERS)), None)
    if first is None:
        return [operand(op, x) for x in xs]
    dtype = type_of(first).dtype
    beside = next((own.dtype for own in map(own_type, xs) if own is not None), None)
    return [like(first, beside_array(op, x, dtype).item()) if isinstance(x, PYTHON_NUMBERS)
            else operand(op, x, beside) for x in xs]


def _function(name: str, op: OpDef) -> Callable[..., Array]:
    """An operation under the name and with the conversions that users expect."""
    def function(*operands: ArrayLike, **ignored: Any) -> Array:
        return op(*aligned(name, *operands))
    return named(function, name, op.doc, EXAMPLES)


def _comparison(name: str, direction: str) -> Callable[..., Array]:
    def function(x: ArrayLike, y: ArrayLike) -> Array:
        return ew.compare(*aligned(name, x, y), direction=direction)
    doc = f"Whether x stands to y as {direction} says, element by element."
    return named(function, name, doc, EXAMPLES)


abs = _function("abs", ew.abs)
acos = _function("acos", ew.acos)
acosh = _function("acosh", ew.acosh)
add = _function("add", ew.add)
asin = _function("asin", ew.asin)
asinh = _function("asinh", ew.asinh)
atan = _function("atan", ew.atan)
atan2 = _function("atan2", ew.atan2)
atanh = _function("atanh", ew.atanh)
bessel_i0e = _function("bessel_i0e", ex.bessel_i0e)
bessel_i1e = _function("bessel_i1e", ex.bessel_i1e)
bitwise_and = _function("bitwise_and", ew.and_)
bitwise_not = _function("bitwise_not", ew.not_)
bitwise_or = _function("bitwise_or", ew.or_)
bitwise_xor = _function("bitwise_xor", ew.xor)
cbrt = _function("cbrt", ew.cbrt)
ceil = _function("ceil", ew.ceil)
clz = _function("clz", ew.count_leading_zeros)
complex = _function("complex", ew.complex_)
cos = _function("cos", ew.cosine)
cosh = _function("cosh", ew.cosh)
digamma = _function("digamma", ew.digamma)
div = _function("div", ew.divide)
erf = _function("erf", ew.erf)
erf_inv = _function("erf_inv", ew.erf_inv)
erfc = _function("erfc", ew.erfc)
exp = _function("exp", ew.exponential)
expm1 = _function("expm1", ew.exponential_minus_one)
floor = _function("floor", ew.floor)
imag = _function("imag", ew.imag)
is_finite = _function("is_finite", ew.is_finite)
lgamma = _function("lgamma", ew.lgamma)
log = _function("log", ew.log)
log1p = _function("log1p", ew.log_plus_one)
logistic = _function("logistic", ew.logistic)
max = _function("max", ew.maximum)
min = _function("min", ew.minimum)
mul = _function("mul", ew.multiply)
mulhi = _function("mulhi", ex.mulhi)
neg = _function("neg", ew.negate)
nextafter = _function("nextafter", ex.next_after)
polygamma = _function("polygamma", ex.polygamma)
population_count = _function("population_count", ew.popcnt)
real = _function("real", ew.real)
rem = _function("rem", ew.remainder)
rsqrt = _function("rsqrt", ew.rsqrt)
shift_left = _function("shift_left", ew.shift_left)
shift_right_arithmetic = _function("shift_right_arithmetic", ew.shift_right_arithmetic)
shift_right_logical = _function("shift_right_logical", ew.shift_right_logical)
sign = _function("sign", ew.sign)
sin = _function("sin", ew.sine)
sinh = _function("sinh", ew.sinh)
sqrt = _function("sqrt", ew.sqrt)
sub = _function("sub", ew.subtract)
tan = _function("tan", ew.tan)
tanh = _function("tanh", ew.tanh)
zeta = _function("zeta", ex.zeta)

eq, ne = _comparison("eq", "EQ"), _comparison("ne", "NE")
lt, le = _comparison("lt", "LT"), _comparison("le", "LE")
gt, ge = _comparison("gt", "GT"), _comparison("ge", "GE")


def square(x: ArrayLike) -> Array:
    """x * x.

    >>> lax.square(jnp.array([2, -3]))
    Array([4, 9], dtype=int32)
    """
    x = operand("square", x)
    return ew.multiply(x, x)


def reciprocal(x: ArrayLike) -> Array:
    """1 / x.

    >>> lax.reciprocal(jnp.array([2.0, 4.0]))
    Array([0.5 , 0.25], dtype=float32)
    """
    x = operand("reciprocal", x)
    return ew.divide(like(x, 1), x)


def integer_pow(x: ArrayLike, y: int) -> Array:
    """x to a Python integer, by repeated multiplication.

    >>> lax.integer_pow(jnp.array([2.0, 3.0]), 3)
    Array([ 8., 27.], dtype=float32)
    """
    return power(operand("integer_pow", x), int(y))


def pow(x: ArrayLike, y: ArrayLike) -> Array:
    """x to the y; y may be integers where x is no integer.

    >>> lax.pow(jnp.array([2.0, 3.0]), jnp.array([3.0, 2.0]))
    Array([8., 9.], dtype=float32)
    """
    x, y = aligned("pow", x, y)
    return ew.power(x, convert(y, type_of(x).dtype))


def round(x: ArrayLike,
          rounding_method: RoundingMethod = RoundingMethod.AWAY_FROM_ZERO) -> Array:
    """The nearest whole number; half way between two, as the method says.

    >>> lax.round(jnp.array([0.5, 1.5]))
    Array([1., 2.], dtype=float32)
    >>> lax.round(jnp.array([0.5, 1.5]), lax.RoundingMethod.TO_NEAREST_EVEN)
    Array([0., 2.], dtype=float32)
    """
    away = rounding_method == RoundingMethod.AWAY_FROM_ZERO
    return (ew.round_nearest_afz if away else ew.round_nearest_even)(operand("round", x))


# -- choice ----------------------------------------------------------------------------------------


def select(pred: ArrayLike, on_true: ArrayLike, on_false: ArrayLike) -> Array:
    """`on_true` where the predicate holds, `on_false` elsewhere; one predicate may do for all.

    >>> lax.select(jnp.array([True, False]), jnp.array([1, 2]), jnp.array([10, 20]))
    Array([ 1, 20], dtype=int32)
    """
    x, y = aligned("select", on_true, on_false)
    return ew.select(_spread(operand("select", pred), x), x, y)


def _spread(choice: Array, x: Array) -> Array:
    if shape_of(choice) or not shape_of(x):
        return choice
    return st.broadcast_in_dim(choice, shape=shape_of(x), broadcast_dimensions=())


def select_n(which: ArrayLike, *cases: ArrayLike) -> Array:
    """The case whose number `which` gives, element by element; false is 0, true is 1.

    >>> lax.select_n(jnp.array([0, 1, 2]), *[jnp.full(3, n) for n in (7, 8, 9)])
    Array([7, 8, 9], dtype=int32)
    """
    which, xs = operand("select_n", which), aligned("select_n", *cases)
    if not xs:
        raise mistake(ArgumentError, "select_n", "no cases are given", hint="at least one array")
    which = _spread(which, xs[0])
    if dt.is_bool(type_of(which).dtype):
        if len(xs) > 2:
            raise mistake(ArgumentError, "select_n", f"{len(xs)} cases for a truth value",
                          hint="two cases; an integer chooses among more")
        return literal(xs[0]) if len(xs) == 1 else ew.select(which, xs[1], xs[0])
    result = xs[-1]
    for i in range(len(xs) - 2, -1, -1):
        result = ew.select(ew.compare(which, like(which, i), direction="LE"), xs[i], result)
    return result


def clamp(min: ArrayLike, x: ArrayLike, max: ArrayLike) -> Array:
    """x limited to lie between bounds, which may be scalars.

    >>> lax.clamp(0.0, jnp.array([-1.0, 0.5, 2.0]), 1.0)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    x = operand("clamp", x)
    own = type_of(x)
    low, high = (_spread(beside_array("clamp", b, own.dtype, is_weak(x)), x) for b in (min, max))
    return ew.clamp(low, x, high)


# -- conversion ------------------------------------------------------------------------------------


def convert_element_type(operand: ArrayLike, new_dtype: Any) -> Array:
    """As another dtype: floats to integers by truncation.

    >>> lax.convert_element_type(jnp.array([1.7, -1.7]), "int32")
    Array([ 1, -1], dtype=int32)
    """
    wanted = dt.dtype(new_dtype, op="convert_element_type")
    return literal(exactly(converted("convert_element_type", operand, wanted), wanted))


def bitcast_convert_type(operand: Array, new_dtype: Any) -> Array:
    """The bits read as another dtype.

    A narrower one has a last axis more, with the parts of an element, lowest bits first; a wider
    one takes them from the last axis.

    >>> lax.bitcast_convert_type(jnp.array([1.0]), "int32")
    Array([1065353216], dtype=int32)
    """
    wanted = dt.dtype(new_dtype, op="bitcast_convert_type")
    if dt.bits(wanted) == dt.bits(type_of(operand).dtype):
        return bitcast(operand, wanted)
    return bitcast_regroup(operand, dtype=wanted)


def reduce_precision(operand: Array, exponent_bits: int, mantissa_bits: int) -> Array:
    """Rounded to a float with these numbers of exponent and mantissa bits.

    >>> lax.reduce_precision(jnp.array([1 / 3]), exponent_bits=8, mantissa_bits=4)
    Array([0.328125], dtype=float32)
    """
    return ew.reduce_precision(operand, exponent_bits=exponent_bits, mantissa_bits=mantissa_bits)


def dtype(x: Any) -> dt.Dtype:
    """The dtype of an array or number; of a dtype by any of its names that dtype.

    >>> lax.dtype(jnp.ones(2, "float16"))
    dtype('float16')
    """
    if isinstance(x, (type, np.dtype)):
        return dt.dtype(x)
    own = own_type(x)
    return own.dtype if own is not None else dt.of(x)


# -- on containers ---------------------------------------------------------------------------------


def stop_gradient(x: Any) -> Any:
    """x, or each array of a container, which derivatives take for a constant.

    >>> grad(lambda x: x * lax.stop_gradient(x))(3.0)
    Array(3., dtype=float32)
    """
    def stop(leaf: Any) -> Any:
        inexact = is_operand(leaf) and dt.is_inexact(type_of(leaf).dtype)
        return ct.stop_gradient(operand("stop_gradient", leaf)) if inexact else leaf
    return tree.map(stop, x)


def optimization_barrier(operand: Any) -> Any:
    """The arrays of a container, which no optimisation may see through.

    >>> lax.optimization_barrier((jnp.array([1]), jnp.array([2])))
    (Array([1], dtype=int32), Array([2], dtype=int32))
    """
    leaves, structure = tree.flatten(operand)
    return tree.unflatten(structure, ct.optimization_barrier(*leaves) if leaves else ())
