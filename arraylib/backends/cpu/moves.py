"""Programs that move elements: each element of the result is one of an operand's, at a known place.

Slices, transposes, reshapes and joins of small arrays are all of this kind. Nothing is compiled for
them: a table says what goes where, and one of a few functions does what the table says. Where
neighbours stay neighbours they are moved together.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib.backends.cpu import kept, target
from arraylib.backends.cpu.block import address_of
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.interface import Executable, place_results
from arraylib.hlo.ir import Type

MOST_OPERANDS = 4
_WIDTHS = {1: "i8", 2: "i16", 4: "i32", 8: "i64", 16: "<2 x i64>"}  # of an element in bytes
_RUN = 4  # elements that move together on average, from which a table of runs is the shorter way

_Words = np.ndarray[Any, np.dtype[np.int64]]


def moves(types: Sequence[Type], operands: _Words, elements: _Words, result: Type) -> Executable:
    """The program for operands of these types, and what stands at each place of the result: the
    number of an operand and that of an element."""
    width = result.dtype.itemsize
    starts = np.flatnonzero((np.diff(operands, prepend=-1) != 0)
                            | (np.diff(elements, prepend=-2) != 1))
    if len(types) == 1 and len(starts) * _RUN > result.size:
        code, table = _library()[_elements(width)], [result.size, *(elements * width)]
    else:
        lengths = np.diff(starts, append=result.size)
        runs = np.stack([operands[starts], elements[starts] * width, lengths * width], axis=1)
        code, table = _library()[_runs(len(types))], [len(starts), *runs.ravel()]
    words = np.array(table, np.int64)
    results, blocks = place_results([result], {})
    native: Any = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(code)
    native.keep = words
    return Executable(tuple(types), tuple(results), tuple(blocks), native, address_of(words), code,
                      True)


def copy(type: Type) -> Executable:
    """The program that copies an array."""
    size = type.size
    return moves([type], np.zeros(size, np.int64), np.arange(size), type)


def _elements(width: int) -> str:
    return f"arraylib_move_elements{width}"


def _runs(operands: int) -> str:
    return f"arraylib_move_runs{operands}"


@functools.cache
def _library() -> dict[str, int]:
    text = module(target.new_module()).text()
    names = [*map(_elements, _WIDTHS), *(_runs(n + 1) for n in range(MOST_OPERANDS))]
    return target.link([kept.compiled(text)], names)


def module(empty: Module) -> Module:
    """Fill an empty module with the functions: of operands, the result, the table."""
    for width in _WIDTHS:
        _define_elements(empty, width)
    for operands in range(1, MOST_OPERANDS + 1):
        _define_runs(empty, operands)
    return empty


def _word(f: Function, table: Reg, number: Reg | int, type: str = "i64") -> Reg:
    return f.load(f.gep(table, number, "i64"), type)


def _define_elements(module: Module, width: int) -> None:
    """One operand, element by element; the table has their number and offsets in bytes."""
    f = Function(module, _elements(width), [("ptr", "words")], internal=False)
    source, result, table = (_word(f, f.args[0], i, "ptr") for i in range(3))
    kind = _WIDTHS[width]

    def element(number: Reg, _: list[Reg]) -> None:
        offset = _word(f, table, number + 1)
        f.store(f.load(f.gep(source, offset, "i8"), kind, 1), f.gep(result, number, kind), 1)

    f.loop(0, _word(f, table, 0), 1, [], element)
    f.ret()


def _define_runs(module: Module, operands: int) -> None:
    """Run by run; the table has their number and of each its operand, offset and length."""
    f = Function(module, _runs(operands), [("ptr", "words")], internal=False)
    words, = f.args
    table = _word(f, words, operands + 1, "ptr")
    f.module.declare("llvm.memcpy.p0.p0.i64", "void", ["ptr", "ptr", "i64", "i1"])

    def run(number: Reg, carried: list[Reg]) -> list[Reg]:
        row = f.gep(table, number * 3, "i64")
        place = f.gep(_word(f, words, _word(f, row, 1), "ptr"), _word(f, row, 2), "i8")
        length = _word(f, row, 3)
        f.emit(f"call void @llvm.memcpy.p0.p0.i64({carried[0]}, {place}, {length}, "
               f"{f.const('i1', 0)})")
        return [f.gep(carried[0], length, "i8")]

    f.loop(0, _word(f, table, 0), 1, [_word(f, words, operands, "ptr")], run)
    f.ret()
