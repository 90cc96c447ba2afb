"""Programs that fold axes of small arrays: sums, extremes, whether any or all are true.

Nothing is compiled for a shape: there is one function for each kind and dtype, and a table says how
many lines there are, how long they are and how far apart their elements. Lines that lie side by
side in memory are folded in sixteen lanes, others from the first element to the last.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.backends.cpu import kept, target
from arraylib.backends.cpu.block import address_of
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.interface import Executable, place_results
from arraylib.hlo.ir import Type
from arraylib.hlo.opdef import Attrs, OpDef
from arraylib.hlo.ops.reduction import reduce_and, reduce_maximum, reduce_minimum, reduce_or
from arraylib.hlo.ops.structured import reduce_add

MOST_ELEMENTS = 1 << 14
_LANES = 8

_KINDS: dict[OpDef, str] = {reduce_add: "add", reduce_maximum: "max", reduce_minimum: "min",
                            reduce_and: "and", reduce_or: "or"}
_TYPES = {dt.float32: "float", dt.float64: "double", dt.int32: "i32", dt.int64: "i64"}
_LOGIC = {dt.bool_: "i8"}


def fold(op: OpDef, type: Type, attrs: Attrs, result: Type) -> Executable | None:
    """The program of a reduction; None if it is of another kind, or has several sorts of lines.

    `result` may have axes of size 1 more than what is left of the operand.
    """
    kind = _KINDS.get(op)
    if kind is None or not 0 < type.size <= MOST_ELEMENTS or type.dtype not in _types(kind):
        return None
    lines = _lines(type, attrs["dimensions"])
    if lines is None:
        return None
    table = np.array(lines, np.int64)
    results, blocks = place_results([result], {})
    code = _library()[_name(kind, type.dtype)]
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


def _types(kind: str) -> dict[Any, str]:
    return _LOGIC if kind in ("and", "or") else _TYPES


def _name(kind: str, dtype: Any) -> str:
    return f"arraylib_fold_{kind}_{dt.name(dtype)}"


@functools.cache
def _library() -> dict[str, int]:
    names = [_name(kind, dtype) for kind in _KINDS.values() for dtype in _types(kind)]
    code = kept.built([b"folds"], lambda: module(target.new_module()).text())
    return target.link([code], names)


def module(empty: Module) -> Module:
    """Fill an empty module with the functions: of the operand, the result, the table."""
    for kind in _KINDS.values():
        for dtype, type in _types(kind).items():
            _define(empty, kind, dtype, type)
    return empty


def _start(kind: str, dtype: Any) -> Any:
    """What folded with anything gives that."""
    if kind in ("add", "or", "and"):
        return int(kind == "and")
    if dt.is_float(dtype):
        return -math.inf if kind == "max" else math.inf
    return int(np.iinfo(dtype).min if kind == "max" else np.iinfo(dtype).max)


def _define(module: Module, kind: str, dtype: Any, type: str) -> None:
    f = Function(module, _name(kind, dtype), [("ptr", "words")], internal=False)
    source, result, table = (f.load(f.gep(f.args[0], i, "i64"), "ptr") for i in range(3))
    groups, length, lines = (f.load(f.gep(table, i, "i64"), "i64") for i in range(3))
    combine: Callable[[Reg, Reg], Reg] = {
        "add": lambda a, b: a + b, "max": f.maximum, "min": f.minimum,
        "and": lambda a, b: a & b, "or": lambda a, b: a | b}[kind]
    start = _start(kind, dtype)

    def read(place: Reg, as_type: str) -> Reg:
        return f.load(f.gep(source, place, type), as_type, dtype.itemsize)

    def dense(number: Reg, _: list[Reg]) -> None:
        first, wide = number * length, f"<{_LANES} x {type}>"
        whole = length.lshr(4) << 4
        sums = f.loop(0, whole, 2 * _LANES, [f.const(wide, start)] * 2, lambda i, carried: [
            combine(sum, read(first + i + _LANES * k, wide)) for k, sum in enumerate(carried)])
        total = f.horizontal(kind, combine(*sums))
        total, = f.loop(whole, length, 1, [total],
                        lambda i, carried: [combine(carried[0], read(first + i, type))])
        f.store(total, f.gep(result, number, type))

    def apart(number: Reg, _: list[Reg]) -> None:
        group = number.udiv(lines)
        first = group * (length - 1) * lines + number
        total, = f.loop(0, length, 1, [f.const(type, start)],
                        lambda i, carried: [combine(carried[0], read(first + i * lines, type))])
        f.store(total, f.gep(result, number, type))

    f.branch(f.compare("eq", lines, 1), lambda: _all(f, groups, dense))
    _all(f, groups * lines, apart)


def _all(f: Function, count: Reg, line: Callable[[Reg, list[Reg]], None]) -> None:
    """Fold every line, and return."""
    f.loop(0, count, 1, [], line)
    f.ret()
