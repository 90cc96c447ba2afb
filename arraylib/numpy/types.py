"""Dtypes as users name them, and questions about dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import type_of
from arraylib.numpy.creation import asarray
from arraylib.numpy.promotion import (
    Array,
    ArrayLike,
    common_dtype,
    is_operand,
    kind,
    own_type,
    shape_of,
)


class ndarray:
    """What these functions take and return: arrays, and the traced values that stand for them.

    It is there for `isinstance` and annotations; arrays are made by `jnp.array` and its like.

    >>> isinstance(jnp.ones(2), jnp.ndarray)
    True
    """

    __slots__ = ()


class ScalarType:
    """A dtype by its public name. Called, it makes an array: `jnp.float32(1)`.

    It equals the `np.dtype` it stands for, and may be given wherever a dtype is asked for.
    """

    __slots__ = ("dtype",)
    dtype: dt.Dtype

    def __init__(self, dtype: dt.Dtype) -> None:
        self.dtype = dtype

    def __call__(self, x: ArrayLike = 0) -> Array:
        return asarray(x, dtype=self.dtype)

    def __eq__(self, other: Any) -> bool:
        return bool(self.dtype == other)

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __repr__(self) -> str:
        return f"<dtype {dt.name(self.dtype)}>"


bool_ = ScalarType(dt.bool_)
int8, int16, int32, int64 = map(ScalarType, (dt.int8, dt.int16, dt.int32, dt.int64))
uint8, uint16, uint32, uint64 = map(ScalarType, (dt.uint8, dt.uint16, dt.uint32, dt.uint64))
int2, int4, uint2, uint4 = map(ScalarType, (dt.int2, dt.int4, dt.uint2, dt.uint4))
float4_e2m1fn, float6_e2m3fn, float6_e3m2fn = map(
    ScalarType, (dt.float4_e2m1fn, dt.float6_e2m3fn, dt.float6_e3m2fn))
float8_e4m3fn, float8_e5m2 = map(ScalarType, (dt.float8_e4m3fn, dt.float8_e5m2))
float8_e3m4, float8_e4m3, float8_e8m0fnu = map(
    ScalarType, (dt.float8_e3m4, dt.float8_e4m3, dt.float8_e8m0fnu))
float8_e4m3b11fnuz, float8_e4m3fnuz, float8_e5m2fnuz = map(
    ScalarType, (dt.float8_e4m3b11fnuz, dt.float8_e4m3fnuz, dt.float8_e5m2fnuz))
bfloat16, float16 = map(ScalarType, (dt.bfloat16, dt.float16))
float32, float64 = map(ScalarType, (dt.float32, dt.float64))
complex64, complex128 = map(ScalarType, (dt.complex64, dt.complex128))
single, double, csingle, cdouble = float32, float64, complex64, complex128

# The abstract kinds are NumPy's own; `issubdtype` knows that bfloat16 is a float.
generic, number, integer, signedinteger, unsignedinteger, inexact, floating, complexfloating = (
    np.generic, np.number, np.integer, np.signedinteger, np.unsignedinteger, np.inexact,
    np.floating, np.complexfloating)

character, flexible, object_ = np.character, np.flexible, np.object_  # of no dtype of ours
ComplexWarning = np.exceptions.ComplexWarning

# Names without a width, which are those of the default dtypes.
DEFAULTS = {"int_": dt.default_int, "uint": dt.default_unsigned, "float_": dt.default_float,
            "complex_": dt.default_complex}

_KINDS = {"b": np.bool_, "i": np.signedinteger, "u": np.unsignedinteger, "f": np.floating,
          "c": np.complexfloating}
_ABSTRACT = (generic, number, integer, signedinteger, unsignedinteger, inexact, floating,
             complexfloating, character, flexible, object_)


def dtype(specification: Any) -> dt.Dtype:
    """The `np.dtype` for a name, a scalar type or an array.

    >>> jnp.dtype("float32")
    dtype('float32')
    """
    return dt.dtype(specification)


def issubdtype(arg1: Any, arg2: Any) -> bool:
    """Whether the first dtype is the second, or of the abstract kind that the second is.

        jnp.issubdtype(jnp.bfloat16, jnp.floating)   # True

    >>> jnp.issubdtype(jnp.bfloat16, jnp.floating)
    True
    """
    if arg2 in _ABSTRACT:
        kind = arg1 if arg1 in _ABSTRACT else _KINDS[dt.kind(dt.dtype(arg1))]
        return issubclass(kind, arg2)
    if arg1 in _ABSTRACT:
        return False
    return dt.dtype(arg1) == dt.dtype(arg2)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind of the array API ("integral", "real floating", ...).

    >>> jnp.isdtype(jnp.float32, "real floating")
    True
    """
    kinds = {"bool": "b", "signed integer": "i", "unsigned integer": "u", "integral": "iu",
             "real floating": "f", "complex floating": "c", "numeric": "iufc"}
    given = kind if isinstance(kind, tuple) else (kind,)
    own = dt.dtype(dtype)
    return any(dt.kind(own) in kinds[k] if isinstance(k, str) and k in kinds
               else own == dt.dtype(k) for k in given)


def result_type(*operands: Any) -> dt.Dtype:
    """The dtype in which an operation on these arrays, numbers or dtypes is done.

    >>> jnp.result_type(jnp.ones(2, "float16"), 2.0)
    dtype('float16')
    """
    arrays = [x for x in operands if not isinstance(x, (str, type, np.dtype, ScalarType))]
    if len(arrays) == len(operands):
        return common_dtype("result_type", *operands)
    return dt.promote(*[kind("result_type", x) if own_type(x) is not None else
                        x.dtype if isinstance(x, ScalarType) else x for x in operands])


def promote_types(a: Any, b: Any) -> dt.Dtype:
    """The dtype that an operation on arrays of these two dtypes is done in.

    Python's own int, float and complex stand for Python numbers, which are weak.

    >>> jnp.promote_types("int32", "bfloat16")
    dtype(bfloat16)
    """
    return dt.promote(*[x if x is int or x is float or x is complex else dt.dtype(x)
                        for x in (a, b)], op="promote_types")


def finfo(dtype: Any) -> Any:
    """Limits of a floating-point dtype: eps, max, min, tiny, bits.

    >>> jnp.finfo("bfloat16").bits
    16
    """
    return dt.finfo(dt.dtype(dtype))


def iinfo(dtype: Any) -> Any:
    """Limits of an integer dtype: min, max, bits.

    >>> jnp.iinfo("int8").max
    127
    """
    return dt.iinfo(dt.dtype(dtype))


def can_cast(from_: Any, to: Any, casting: str = "safe") -> bool:
    """Whether NumPy's rules allow this conversion.

    >>> jnp.can_cast("int32", "float64")
    True
    """
    return bool(np.can_cast(dt.dtype(from_), dt.dtype(to), casting=casting))  # type: ignore[arg-type]


def iscomplexobj(x: Any) -> bool:
    """Whether the dtype of x, which may be a list or a dtype, is complex; None has none.

    >>> jnp.iscomplexobj(jnp.array([1j]))
    True
    """
    if isinstance(x, ScalarType):
        return dt.is_complex(x.dtype)
    if x is None or isinstance(x, (complex, str)):
        return isinstance(x, complex)
    return dt.is_complex(type_of(x if is_operand(x) else asarray(x)).dtype)


def isrealobj(x: Any) -> bool:
    """Whether the dtype of x is not complex.

    >>> jnp.isrealobj(jnp.array([1j]))
    False
    """
    return not iscomplexobj(x)


def isscalar(element: Any) -> bool:
    """Whether x is a number or an array without axes.

    >>> jnp.isscalar(1.5)
    True
    """
    is_array = own_type(element) is not None or isinstance(element, np.ndarray)
    return np.isscalar(element) or (is_array and not shape_of(element))
