"""The code of folds: a function for each kind and dtype; `folds` has what calls them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.backends.cpu import target
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.folds import KINDS, PLACE_TYPES, PLACES, name_of, types_of

_LANES = 8


def text() -> str:
    """The functions, each of the addresses of the operand, the result and the table."""
    module = target.new_module()
    for kind in KINDS.values():
        for dtype, type in types_of(kind).items():
            _define(module, kind, dtype, type)
    for kind in PLACES.values():
        for dtype, type in types_of(kind).items():
            for place, place_type in PLACE_TYPES.items():
                _define_place(module, name_of(kind, dtype, place), kind, type, place_type)
    return module.text()


def _start(kind: str, dtype: Any) -> Any:
    """What folded with anything gives that."""
    if kind in ("add", "mul", "or", "and"):
        return int(kind in ("mul", "and"))
    if dt.is_float(dtype):
        return -math.inf if kind == "max" else math.inf
    return int(np.iinfo(dtype).min if kind == "max" else np.iinfo(dtype).max)


def _define(module: Module, kind: str, dtype: Any, type: str) -> None:
    f = Function(module, name_of(kind, dtype), [("ptr", "words")], internal=False)
    source, result, table = (f.load(f.gep(f.args[0], i, "i64"), "ptr") for i in range(3))
    groups, length, lines = (f.load(f.gep(table, i, "i64"), "i64") for i in range(3))
    combine: Callable[[Reg, Reg], Reg] = {
        "add": lambda a, b: a + b, "mul": lambda a, b: a * b, "max": f.maximum, "min": f.minimum,
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


def _define_place(module: Module, name: str, kind: str, type: str, place_type: str) -> None:
    """Where the first of the largest or smallest stands in each line; the first nan if any."""
    f = Function(module, name, [("ptr", "words")], internal=False)
    source, result, table = (f.load(f.gep(f.args[0], i, "i64"), "ptr") for i in range(3))
    groups, length, lines = (f.load(f.gep(table, i, "i64"), "i64") for i in range(3))
    is_float = type in ("float", "double")
    order = ("o" if is_float else "s") + ("gt" if kind == "argmax" else "lt")

    def beats(x: Reg, best: Reg) -> Reg:
        found = f.compare(order, x, best)
        return found | f.compare("uno", x, x) & f.compare("ord", best, best) if is_float else found

    def line(number: Reg, _: list[Reg]) -> None:
        first = number.udiv(lines) * (length - 1) * lines + number

        def element(i: Reg, carried: list[Reg]) -> list[Reg]:
            best, place = carried
            x = f.load(f.gep(source, first + i * lines, type), type)
            better = beats(x, best)
            return [f.select(better, x, best), f.select(better, i, place)]

        start = f.load(f.gep(source, first, type), type)
        _best, place = f.loop(1, length, 1, [start, f.const("i64", 0)], element)
        f.store(f.cast("trunc", place, place_type), f.gep(result, number, place_type))

    _all(f, groups * lines, line)


def _all(f: Function, count: Reg, line: Callable[[Reg, list[Reg]], None]) -> None:
    """Fold every line, and return."""
    f.loop(0, count, 1, [], line)
    f.ret()
