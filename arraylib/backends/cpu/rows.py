"""Programs for x[i], x[i, j] and x[i, j, k]: what stands at a place is copied, whatever the shape.

Nothing is compiled for a type: there is one function for each number of indices, which finds the
strides in the table that its context points to. Indices are 64-bit integers and within bounds.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np

from arraylib.backends.cpu import kept, target
from arraylib.backends.cpu.block import address_of
from arraylib.backends.cpu.emitter import Function, Module
from arraylib.backends.interface import Executable, place_results
from arraylib.hlo.ir import Type

MOST_INDICES = 3
MOST_BYTES = 1 << 16  # of what stands there: it is copied by one thread, under Python's lock
_INDEX = Type("int64", ())


def row(type: Type, indices: int) -> Executable:
    """The program for so many indices of an array of this type, which has as many axes or more."""
    result = type.with_shape(type.shape[indices:])
    strides = [type.with_shape(type.shape[i + 1:]).nbytes for i in range(indices)]
    table = np.array([result.nbytes, *strides], np.uint64)
    results, blocks = place_results([result], {})
    code = _library()[_name(indices)]
    native: Any = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(code)
    native.keep = table
    return Executable((type, *[_INDEX] * indices), tuple(results), tuple(blocks), native,
                      address_of(table), code, True)


def _name(indices: int) -> str:
    return f"arraylib_row{indices}"


@functools.cache
def _library() -> dict[str, int]:
    text = module(target.new_module()).text()
    return target.link([kept.compiled(text)], [_name(n + 1) for n in range(MOST_INDICES)])


def module(empty: Module) -> Module:
    """Fill an empty module with the functions: of the array, indices, the result, the table."""
    for indices in range(1, MOST_INDICES + 1):
        f = Function(empty, _name(indices), [("ptr", "words")], internal=False)
        array, *numbers, result, table = (
            f.load(f.gep(f.args[0], i, "i64"), "ptr") for i in range(indices + 3))
        place = array
        for i, number in enumerate(numbers, 1):
            stride = f.load(f.gep(table, i, "i64"), "i64")
            place = f.gep(place, f.load(number, "i64") * stride, "i8")
        f.module.declare("llvm.memcpy.p0.p0.i64", "void", ["ptr", "ptr", "i64", "i1"])
        f.emit(f"call void @llvm.memcpy.p0.p0.i64({result}, {place}, {f.load(table, 'i64')}, "
               f"{f.const('i1', 0)})")
        f.ret()
    return empty
