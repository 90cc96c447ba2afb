"""Programs for x[places], whose rows are copied from an array, whatever its type.

Nothing is compiled for a type: there is one function for each width of integers, which finds in the
table that its context points to how long a row is and how many there are of each. The integers are
places on the first axis, counted from either end; the guard of a call sees to that.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np

from arraylib.backends.cpu import kept, target
from arraylib.backends.cpu.block import address_of
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.interface import Executable, place_results
from arraylib.hlo.ir import Type

_BITS = (32, 64)
DTYPES = frozenset(np.dtype(f"int{bits}") for bits in _BITS)


def gather(type: Type, places: Type) -> Executable:
    """The program for an array of a type, which has an axis, and places of one of DTYPES."""
    row = type.with_shape(type.shape[1:])
    result = type.with_shape((*places.shape, *row.shape))
    table = np.array([row.nbytes, places.size, type.shape[0]], np.int64)
    results, blocks = place_results([result], {})
    code = _library()[_name(places.dtype.itemsize * 8)]
    native: Any = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(code)
    native.keep = table
    return Executable((type, places), tuple(results), tuple(blocks), native, address_of(table),
                      code, True)


def _name(bits: int) -> str:
    return f"arraylib_gather{bits}"


@functools.cache
def _library() -> dict[str, int]:
    text = module(target.new_module()).text()
    return target.link([kept.compiled(text)], [_name(bits) for bits in _BITS])


def module(empty: Module) -> Module:
    """Fill an empty module with the functions: of the array, places, the result, the table."""
    empty.declare("llvm.memcpy.p0.p0.i64", "void", ["ptr", "ptr", "i64", "i1"])
    for bits in _BITS:
        _define(empty, bits)
    return empty


def _define(module: Module, bits: int) -> None:
    f = Function(module, _name(bits), [("ptr", "words")], internal=False)
    array, places, result, table = (
        f.load(f.gep(f.args[0], i, "i64"), "ptr") for i in range(4))
    length, count, size = (f.load(f.gep(table, i, "i64"), "i64") for i in range(3))

    def one(number: Reg, _: list[Reg]) -> None:
        given = f.load(f.gep(places, number, f"i{bits}"), f"i{bits}")
        wide = given if bits == 64 else f.cast("sext", given, "i64")
        place = f.select(wide < 0, wide + size, wide)
        target, source = (f.gep(base, at * length, "i8")
                          for base, at in ((result, number), (array, place)))
        f.emit(f"call void @llvm.memcpy.p0.p0.i64({target}, {source}, {length}, "
               f"{f.const('i1', 0)})")

    f.loop(0, count, 1, [], one)
    f.ret()
