"""A row of numbers that nothing goes along with, sorted as integers.

Numbers that are equal and yet differ are one integer. If there are any, what stands where zeros and
nans belong is afterwards written anew, in the order of the row.
"""

from __future__ import annotations

from arraylib import dtypes as dt
from arraylib.backends.cpu.emitter import Function, Module, Reg, vector
from arraylib.backends.cpu.routines import keys
from arraylib.backends.cpu.routines.network import network_lanes
from arraylib.backends.cpu.routines.sort_row import Own, Sort, array
from arraylib.backends.cpu.routines.vectors import append_exactly, counted, each_vector, store
from arraylib.backends.cpu.routines.wide import Slot, pointer, slot
from arraylib.dtypes import Dtype

_RANGE = [("ptr", "context"), ("i64", "first"), ("i64", "n")]


def define_row(module: Module, sort: Sort) -> None:
    """`sort_row(context)`, and what `wide` asks for."""
    dtype = sort.keys[0]
    _define_enter(module, dtype)
    _define_leave(module, dtype)
    if dt.is_float(dtype):
        _define_restore(module, dtype)
    f = Function(module, "sort_row", [("ptr", "context")])
    (context,) = f.args
    seen, out = pointer(f, context, Own.SEEN), array(f, context, 1, dtype.itemsize)
    f.store(f.const("i8", 0), seen)
    for which in (Slot.OUT, Slot.PIECES):
        f.store(out, f.gep(context, which, "ptr"))
    f.call("sort_words", "void", [context])

    def restore() -> None:
        f.call("restore", "void", [context])

    if dt.is_float(dtype):
        f.branch(f.compare("ne", f.load(seen, "i8"), 0), restore)
    f.ret()


def _define_enter(module: Module, dtype: Dtype) -> None:
    """`enter(context, first, n, target)`: the keys of n numbers."""
    f = Function(module, "enter", [*_RANGE, ("ptr", "target")])
    context, first, n, target = f.args
    element = keys.stored(dtype)
    x, count = array(f, context, 0, dtype.itemsize), network_lanes(element)
    seen = f.alloca("i1")
    f.store(f.const("i1", 0), seen)

    def enter(i: Reg, mask: Reg | None) -> None:
        raw = keys.load(f, x, first + i, dtype, count, mask)
        store(f, keys.sort_key(raw, dtype), f.gep(target, i, element), mask)
        if dt.is_float(dtype):
            f.store(f.load(seen, "i1") | f.any(keys.is_ambiguous(raw, dtype)), seen)

    def note() -> None:
        f.emit(f"store atomic i8 1, {pointer(f, context, Own.SEEN)} monotonic, align 1")

    each_vector(f, n, enter, count)
    f.branch(f.load(seen, "i1"), note)
    f.ret()


def _define_leave(module: Module, dtype: Dtype) -> None:
    """`leave(context, first, n)`: numbers again, of sorted keys."""
    f = Function(module, "leave", _RANGE)
    context, first, n = f.args
    element = keys.stored(dtype)
    out, count = f.gep(pointer(f, context, Slot.OUT), first, element), network_lanes(element)

    def leave(i: Reg, mask: Reg | None) -> None:
        key = keys.load(f, out, i, dtype, count, mask)
        raw = keys.raw_of(key) if dt.is_float(dtype) else keys.total_key(key, dtype)
        store(f, raw, f.gep(out, i, element), mask)

    each_vector(f, n, leave, count)
    f.ret()


def _define_restore(module: Module, dtype: Dtype) -> None:
    """`restore(context)`: zeros and nans as they are, in the order of the row."""
    f = Function(module, "restore", [("ptr", "context")])
    (context,) = f.args
    x, out = (array(f, context, i, dtype.itemsize) for i in range(2))
    n, element = slot(f, context, Slot.N), keys.stored(dtype)
    zeros, nans = (f.alloca("i64") for _ in range(2))
    count = network_lanes(element)
    key_of_zero = 1 << 8 * dtype.itemsize - 1

    def kinds(i: Reg, mask: Reg | None) -> tuple[Reg, list[Reg]]:
        raw = keys.load(f, x, i, dtype, count, mask)
        key = keys.sort_key(raw, dtype)
        lanes = mask or f.const(vector("i1", count), 1)
        return raw, [lanes & found for found in (
            f.compare("ult", key, key_of_zero), f.compare("eq", key, key_of_zero),
            f.compare("eq", key, -1))]

    def look(i: Reg, mask: Reg | None) -> None:
        below, _, last = kinds(i, mask)[1]
        f.store(f.load(zeros, "i64") + counted(f, below), zeros)
        f.store(f.load(nans, "i64") - counted(f, last), nans)

    def write(i: Reg, mask: Reg | None) -> None:
        raw, (_, equal, last) = kinds(i, mask)
        for place, chosen in ((zeros, equal), (nans, last)):
            at = f.load(place, "i64")
            append_exactly(f, raw, f.gep(out, at, element), chosen)
            f.store(at + counted(f, chosen), place)

    f.store(f.const("i64", 0), zeros)
    f.store(n, nans)
    each_vector(f, n, look, count)
    each_vector(f, n, write, count)
    f.ret()
