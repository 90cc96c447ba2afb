"""Tangents and cotangents as users give and get them: of the dtype of what they belong to."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt, tree
from arraylib.errors import DtypeError, ShapeError, mistake
from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.ops.constant import zeros
from arraylib.hlo.ops.elementwise import convert
from arraylib.tracing.core import (
    argument_path,
    as_operand,
    flatten_arguments,
    has_no_tangent,
    owned,
)


def checked_tangents(name: str, primals: Any, tangents: Any) -> tuple[list[Any], list[Any], Any]:
    """The leaves of both, tangents converted to their primal's dtype; None for integer primals."""
    operands, structure = flatten_arguments(name, primals)
    given = tree.flatten_up_to(structure, tangents, op=name, names=("the primals", "the tangents"))
    tree.check_same(structure, tree.structure(tangents), op=name,
                    names=("the primals", "the tangents"))
    checked: list[Any] = []
    for i, (x, t) in enumerate(zip(operands, given, strict=True)):
        checked.append(_as_tangent(name, t, type_of(x), partial(_tangent_path, primals, i)))
    return operands, checked, structure


def _as_tangent(name: str, t: Any, type: Type, where: Callable[[], str]) -> Any:
    """A tangent or cotangent of something of this type: of its dtype; None where there are none."""
    if not has_no_tangent(t):
        t = as_operand(t, name, where, beside=type.dtype)
    shape = t.shape if has_no_tangent(t) else type_of(t).shape
    if shape != type.shape:
        raise mistake(ShapeError, name, f"{where()} has shape {shape}, but it has shape "
                      f"{type.shape}", hint="one tangent for each element")
    if has_no_tangent(t) != (not dt.is_inexact(type.dtype)):
        given = "float0" if has_no_tangent(t) else dt.name(type_of(t).dtype)
        raise mistake(DtypeError, name, f"{where()}, {dt.name(type.dtype)}, is of dtype {given}",
                      hint="integers and bools have tangents of dtype float0, without elements: "
                           "numpy.zeros(shape, arraylib.dtypes.float0)")
    return None if has_no_tangent(t) else _converted(name, t, type, where)


def _converted(name: str, t: Any, type: Type, where: Callable[[], str]) -> Any:
    """t in the dtype of its primal; complex numbers do not become real ones."""
    dtype = type_of(t).dtype
    if dt.is_complex(dtype) and not dt.is_complex(type.dtype):
        raise mistake(DtypeError, name, f"{where()} is {dt.name(dtype)}, but it is "
                      f"{dt.name(type.dtype)}", hint="take the real part")
    return owned([t])[0] if dtype == type.dtype else convert(t, dtype=type.dtype)


def no_change(type: Type) -> Any:
    """The tangent of what does not change: zeros, of dtype float0 for integers and bools."""
    return zeros(type) if dt.is_inexact(type.dtype) else np.zeros(type.shape, dt.float0)


def _tangent_path(primals: Any, leaf: int) -> str:
    return f"the tangent of {argument_path(primals, leaf)}"


def checked_cotangents(name: str, out: Any, cotangent: Any, linear: bool = False) -> list[Any]:
    """Its leaves in the outputs' dtypes; None for integers, unless the function is linear in them.
    """
    leaves, structure = tree.flatten(out)
    tree.check_same(structure, tree.structure(cotangent), op=name,
                    names=("the output", "the cotangent"))
    given = tree.flatten_up_to(structure, cotangent, op=name, names=("the output", "the cotangent"))
    checked: list[Any] = []
    for i, (x, ct) in enumerate(zip(leaves, given, strict=True)):
        if has_no_tangent(x):
            continue
        where = partial("the cotangent of output {}".format, i)
        if linear or dt.is_inexact(type_of(x).dtype):
            checked.append(_as_cotangent(name, ct, type_of(x), where))
        else:
            checked.append(None)
    return checked


def _as_cotangent(name: str, ct: Any, type: Type, where: Callable[[], str]) -> Any:
    ct = as_operand(ct, name, where, beside=type.dtype)
    if type_of(ct).shape != type.shape:
        raise mistake(ShapeError, name, f"{where()} has shape {type_of(ct).shape}, but it has "
                      f"shape {type.shape}",
                      hint="one cotangent for each element; jnp.ones_like(output) sums them")
    return _converted(name, ct, type, where)
