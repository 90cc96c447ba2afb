"""Elementwise programs for arrays of any length, made of programs for two fixed lengths.

A compiled program is for one shape. One that works element by element is compiled for vectors of
`SMALL` and of `BIG` elements instead, and the code here runs these over arrays of any length:
blocks of the big one, on several threads where there are many, then of the small one; what is left
at the end goes through buffers.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib.backends.cpu import kept, pool, pool_code, target
from arraylib.backends.cpu.block import address_of
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.interface import Executable, place_results
from arraylib.hlo.ir import Type

SMALL, BIG = 64, 1024
_PER_CHUNK = 32             # big blocks: what a thread takes at a time
_PARALLEL = 1 << 17         # elements from which several threads are worth it
_QUICK = 1 << 15            # elements up to which Python's lock is kept
_MOST_BYTES = 16            # of an element
MOST_OPERANDS = 3

# The table that a span's context points to: the number of elements; code and context of the small
# and of the big program; then the bytes from element to element, operands first, 0 for a number.
_LENGTH, _SMALL, _BIG, _STRIDES = 0, 1, 3, 5


def span(small: Executable, big: Executable, types: Sequence[Type], result: Type) -> Executable:
    """The program for operands of these types, all of the result's shape or single numbers.

    `small` and `big` have one result, work in no memory of their own, and are `code`.
    """
    strides = [0 if t.shape != result.shape else t.dtype.itemsize for t in (*types, result)]
    table = np.array([result.size, small.code, small.context, big.code, big.context, *strides],
                     np.uint64)
    results, blocks = place_results([result], {})
    quick = result.size <= _QUICK
    code = _library()[_name(len(types))]
    prototype = ctypes.PYFUNCTYPE if quick else ctypes.CFUNCTYPE
    native: Any = prototype(None, ctypes.c_void_p)(code)
    native.keep = table, small, big
    return Executable(tuple(types), tuple(results), tuple(blocks), native, address_of(table), code,
                      quick)


def fits(executable: Executable) -> bool:
    """Whether a program can be a part of a span."""
    return bool(executable.code) and len(executable.blocks) == 1 == len(executable.results)


def _name(operands: int) -> str:
    return f"arraylib_span{operands}"


@functools.cache
def _library() -> dict[str, int]:
    text = module(target.new_module()).text()
    names = [_name(count) for count in range(1, MOST_OPERANDS + 1)]
    return target.link([kept.compiled(text)], names, pool.symbols())


def module(empty: Module) -> Module:
    """Fill an empty module with the code for each number of operands."""
    for operands in range(1, MOST_OPERANDS + 1):
        _define_part(empty, operands)
        _define_chunk(empty, operands)
        _define_span(empty, operands)
    return empty


def _get(f: Function, table: Reg, number: int, type: str = "i64") -> Reg:
    return f.load(f.gep(table, number, "i64"), type)


def _define_span(module: Module, operands: int) -> None:
    """The entry of a program: operands, the result's block, and the table, as words."""
    f = Function(module, _name(operands), [("ptr", "words")], internal=False)
    words, = f.args
    length = _get(f, _get(f, words, operands + 1, "ptr"), _LENGTH)
    chunks = (length + (BIG * _PER_CHUNK - 1)).lshr((BIG * _PER_CHUNK).bit_length() - 1)

    def on_threads() -> None:
        f.call(pool_code.PARFOR, "void", [f.address(f"chunk{operands}"), words, chunks])

    def here() -> None:
        f.call(f"part{operands}", "void", [words, f.const("i64", 0), length])

    f.branch(length >= _PARALLEL, on_threads, here)
    f.ret()


def _define_chunk(module: Module, operands: int) -> None:
    """One thread's chunk of many."""
    f = Function(module, f"chunk{operands}", [("ptr", "words"), ("i64", "number")])
    words, number = f.args
    length = _get(f, _get(f, words, operands + 1, "ptr"), _LENGTH)
    low = number * (BIG * _PER_CHUNK)
    high = f.minimum(low + BIG * _PER_CHUNK, length)
    f.call(f"part{operands}", "void", [words, low, high])
    f.ret()


def _define_part(module: Module, operands: int) -> None:
    """The elements from `low` to `high`; `low` is a multiple of a block."""
    f = Function(module, f"part{operands}", [("ptr", "words"), ("i64", "low"), ("i64", "high")])
    words, low, high = f.args
    table = _get(f, words, operands + 1, "ptr")
    strides = [_get(f, table, _STRIDES + i) for i in range(operands + 1)]
    own = f.alloca("i64", operands + 2)

    def blocks(low: Reg, high: Reg, program: int, size: int) -> Reg:
        """Run a program on whole blocks; where they end."""
        code, context = _get(f, table, program, "ptr"), _get(f, table, program + 1)

        def block(start: Reg, _: list[Reg]) -> None:
            for i, stride in enumerate(strides):
                place = f.gep(_get(f, words, i, "ptr"), start * stride, "i8")
                f.store(place, f.gep(own, i, "i64"))
            f.store(context, f.gep(own, operands + 1, "i64"))
            f.call(code, "void", [own])

        end = low + ((high - low) & -size)
        f.loop(low, end, size, [], block)
        return end

    end = blocks(blocks(low, high, _BIG, BIG), high, _SMALL, SMALL)
    f.branch(end < high, lambda: _rest(f, words, own, strides, end, high))
    f.ret()


def _rest(f: Function, words: Reg, own: Reg, strides: Sequence[Reg], low: Reg, high: Reg) -> None:
    """The last elements, fewer than a small block, through buffers."""
    table = _get(f, words, len(strides), "ptr")
    size = SMALL * _MOST_BYTES
    buffers = [f.alloca("i8", size, align=64) for _ in strides]
    for i, (stride, buffer) in enumerate(zip(strides, buffers, strict=True)):
        source = _get(f, words, i, "ptr")
        f.store(f.select(f.compare("eq", stride, 0), source, buffer), f.gep(own, i, "i64"))
        if i < len(strides) - 1:
            _fill(f, buffer, size)
            _copy(f, buffer, f.gep(source, low * stride, "i8"), (high - low) * stride)
    f.store(_get(f, table, _SMALL + 1), f.gep(own, len(strides), "i64"))
    f.call(_get(f, table, _SMALL, "ptr"), "void", [own])
    last, result = len(strides) - 1, _get(f, words, len(strides) - 1, "ptr")
    _copy(f, f.gep(result, low * strides[last], "i8"), buffers[last], (high - low) * strides[last])


def _fill(f: Function, place: Reg, nbytes: int) -> None:
    """Zeros, so that no operation meets what it should not."""
    for offset in range(0, nbytes, 64):
        f.store(f.const("<16 x float>", 0.0), f.gep(place, offset, "i8"))


def _copy(f: Function, target: Reg, source: Reg, nbytes: Reg) -> None:
    no = f.const("i1", 0)
    f.module.declare("llvm.memcpy.p0.p0.i64", "void", ["ptr", "ptr", "i64", "i1"])
    f.emit(f"call void @llvm.memcpy.p0.p0.i64({target}, {source}, {nbytes}, {no})")
