"""Operations without operands: constants and counting."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ShapeError, Source, mistake
from arraylib.hlo.ir import Builder, Type, _constant_op, current, type_of
from arraylib.hlo.opdef import Attrs, Example, OpDef


def _constant_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    value = attrs["value"]
    return (Type(value.dtype, value.shape),)


def _iota_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type]:
    shape, axis = attrs["shape"], attrs["dimension"]
    if not 0 <= axis < len(shape):
        raise mistake(ShapeError, "iota", f"dimension {axis} of a shape with {len(shape)} axes",
                      where=where, hint="an axis of the shape, counted from 0")
    return (Type(attrs["dtype"], shape),)


def _iota(*, shape: tuple[int, ...], dimension: int, dtype: np.dtype[Any]) -> Any:
    along = [1] * len(shape)
    along[dimension] = shape[dimension]
    return np.broadcast_to(np.arange(shape[dimension]).astype(dtype).reshape(along), shape).copy()


constant = OpDef(
    "constant", "An array written in the program; `value` is a NumPy array, strided if a splat.",
    lambda *, value: value, results=_constant_results,
    constraints=("The result has the dtype and shape of `value`.",),
    examples=(Example((), {"value": np.float32(2.5)}),
              Example((), {"value": np.arange(6, dtype=np.int32).reshape(2, 3)})))
iota = OpDef(
    "iota", "The index along `dimension`, in an array of `shape`.", _iota, results=_iota_results,
    constraints=(
        "`dimension` is one of the axes of `shape`.",
        "The result is of `dtype` and `shape`."),
    examples=(Example((), {"shape": (2, 3), "dimension": 1, "dtype": dt.int32}),
              Example((), {"shape": (4,), "dimension": 0, "dtype": dt.float32})))

_constant_op.append(constant)


def full(shape: Sequence[int], value: complex, dtype: np.dtype[Any]) -> Any:
    """An array of one number, kept as a splat: one element with strides of zero."""
    return number(value, dtype, tuple(shape))


def number(value: complex, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    """The same; a graph that is being built has one constant for all who ask for it."""
    target = current()
    if not isinstance(target, Builder) or not _is_key(value):
        return constant(value=repeated(value, dtype, shape))
    key = value, dtype, shape
    found = target.numbers.get(key)
    if found is None:
        data = _repeated(value, dtype, shape)
        found = target.numbers[key] = constant(value=data)
        target.shared[found] = data
    return found


def repeated(value: complex, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    """NumPy's view of one number that repeats it; not to be written to."""
    return (_repeated if _is_key(value) else _repeated.__wrapped__)(value, dtype, shape)


def _is_key(value: Any) -> bool:
    """Whether a number is equal to none that means another: 0.0 is to -0.0."""
    cls = value.__class__
    return cls is int or cls is bool or cls is float and (bool(value) or str(value) == "0.0")


@lru_cache(maxsize=1024)
def _repeated(value: complex, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    return np.broadcast_to(np.asarray(value).astype(dtype), shape)


def full_like(x: Any, value: complex) -> Any:
    """An array of one number with the dtype and shape of x."""
    type = type_of(x)
    return full(type.shape, value, type.dtype)


def zeros(type: Type) -> Any:
    """An array of zeros of this type."""
    return full(type.shape, 0, type.dtype)


def same_bits(x: Any, y: Any) -> bool:
    """Whether two constants' values are the same; two splats of any size are compared at once."""
    if x.dtype != y.dtype or x.shape != y.shape:
        return False
    one, other = splat(x), splat(y)
    if one is not None and other is not None:
        x, y = one, other
    return bool(x.tobytes() == y.tobytes())


def splat(array: Any) -> Any:
    """The one number a constant's value repeats, as a NumPy scalar array; None if it does not."""
    if array.size and all(s == 0 or n == 1 for s, n in zip(array.strides, array.shape)):
        return array[(0,) * array.ndim]
    return None
