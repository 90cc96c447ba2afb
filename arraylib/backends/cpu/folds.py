"""Programs that fold axes of small arrays: sums, extremes and their places, any and all.

Nothing is compiled for a shape: there is one function for each kind and dtype, and a table says how
many lines there are, how long they are and how far apart their elements. Lines that lie side by
side in memory are folded in sixteen lanes, others from the first element to the last.
"""

from __future__ import annotations

import ctypes
import functools
import math
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.backends.cpu import kept, target
from arraylib.backends.cpu.block import address_of
from arraylib.backends.interface import Executable, place_results
from arraylib.hlo.ir import Type
from arraylib.hlo.opdef import Attrs, OpDef
from arraylib.hlo.ops.reduction import (
    argmax,
    argmin,
    reduce_and,
    reduce_maximum,
    reduce_minimum,
    reduce_multiply,
    reduce_or,
)
from arraylib.hlo.ops.structured import reduce_add
from arraylib.on_demand import module

MOST_ELEMENTS = 1 << 14

KINDS: dict[OpDef, str] = {
    reduce_add: "add", reduce_multiply: "mul", reduce_maximum: "max", reduce_minimum: "min",
    reduce_and: "and", reduce_or: "or"}
PLACES: dict[OpDef, str] = {argmax: "argmax", argmin: "argmin"}
PLACE_TYPES = {dt.int32: "i32", dt.int64: "i64"}
_TYPES = {dt.float32: "float", dt.float64: "double", dt.int32: "i32", dt.int64: "i64"}
_LOGIC = {dt.bool_: "i8"}


def fold(op: OpDef, type: Type, attrs: Attrs, result: Type) -> Executable | None:
    """The program of a reduction; None if it is of another kind, or has several sorts of lines.

    `result` may have axes of size 1 more than what is left of the operand.
    """
    kind = KINDS.get(op) or PLACES.get(op)
    if kind is None or not 0 < type.size <= MOST_ELEMENTS or type.dtype not in types_of(kind) \
            or op in PLACES and result.dtype not in PLACE_TYPES:
        return None
    lines = _lines(type, attrs["dimensions"])
    if lines is None:
        return None
    table = np.array(lines, np.int64)
    results, blocks = place_results([result], {})
    code = _library()[name_of(kind, type.dtype, result.dtype if op in PLACES else None)]
    native: Any = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(code)
    native.keep = table
    return Executable((type,), tuple(results), tuple(blocks), native, address_of(table), code, True)


def _lines(type: Type, dimensions: tuple[int, ...]) -> tuple[int, int, int] | None:
    """How many groups of lines there are, the length of each, and how many are in a group.

    None if the axes that go are not neighbours; those of size 1 do not count.
    """
    gone = [i for i in dimensions if type.shape[i] != 1]
    first, last = (min(gone), max(gone) + 1) if gone else (type.rank, type.rank)
    if any(type.shape[i] != 1 and i not in gone for i in range(first, last)):
        return None
    return (math.prod(type.shape[:first]), math.prod(type.shape[first:last]),
            math.prod(type.shape[last:]))


def types_of(kind: str) -> dict[Any, str]:
    return _LOGIC if kind in ("and", "or") else _TYPES


def name_of(kind: str, dtype: Any, place: Any = None) -> str:
    """The name of a function; `place`: the dtype of places."""
    return f"arraylib_fold_{kind}_{dt.name(dtype)}" + (f"_{dt.name(place)}" if place else "")


@functools.cache
def _library() -> dict[str, int]:
    names = [name_of(kind, dtype) for kind in KINDS.values() for dtype in types_of(kind)]
    names += [name_of(kind, dtype, place) for kind in PLACES.values() for dtype in types_of(kind)
              for place in PLACE_TYPES]
    # Only who makes the code needs what writes it.
    code = kept.built([b"folds"], lambda: module("backends.cpu.fold_code").text())
    return target.link([code], names)
