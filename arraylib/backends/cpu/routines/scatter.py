"""Single numbers written, or added and so on, to places of a vector: many of them.

The vector is divided into ranges, a chunk for each thread. A chunk looks at all places, a vector of
them at a time, lists those in its range, and applies their updates in order. So updates that meet
at one place are applied in their order, whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.backends.cpu import pool, representation
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.native import emit_elementwise, supports
from arraylib.backends.cpu.routines.call import Call, symbol
from arraylib.backends.cpu.routines.vectors import append, counted, define_entry
from arraylib.dtypes import Dtype
from arraylib.hlo.ir import Type

FEWEST = 1 << 12       # updates: fewer are left to a kernel
MOST_RANGES = 32       # all places are looked at for each
BLOCK = 1 << 11        # places that are looked at before updates are applied
AHEAD = 16             # updates between asking for a line and its use
WIDE = 16
_SINGLE = {"update_window_dims": (), "inserted_window_dims": (0,), "input_batching_dims": (),
           "scatter_dims_to_operand_dims": (0,)}

# -- what to call ----------------------------------------------------------------------------------


def call(attrs: dict[str, Any], operands: Sequence[Type], results: Sequence[Type]) -> Call | None:
    """The call for many single numbers that go to places of a vector."""
    x, indices, updates = operands
    if x.rank != 1 or any(attrs[name] != value for name, value in _SINGLE.items()) \
            or attrs["index_vector_dim"] != updates.rank or updates.size < FEWEST:
        return None
    kind = attrs["kind"]
    native = kind == "set" or supports(kind, [x.dtype] * 2, x.dtype)
    if not native or representation.kind(x.dtype) is None or not x.size \
            or not dt.is_integer(indices.dtype) or dt.bits(indices.dtype) < 8 \
            or x.size > dt.iinfo(indices.dtype).max or x.size >= 1 << 40:
        return None
    ranges = min(MOST_RANGES, pool.threads())
    length = -(-x.size // ranges // 64) * 64 + 64
    return Call(symbol("scatter", kind, dt.name(x.dtype), dt.name(indices.dtype)),
                (x.size, updates.size, length, 0, -(-x.size // length)), 0, 8.0 * updates.size,
                in_place=((0, 0),))


# -- the code --------------------------------------------------------------------------------------


def define(module: Module, symbol: str, kind: str, dtype: str, index: str) -> None:
    """The routine: for each range its part of the vector, then the updates of it."""
    _define_apply(module, kind, dt.dtype(dtype))
    f = Function(module, "rows", [("ptr", "args"), ("i64", "chunk")])
    pointers, numbers, _ = (f.load(f.gep(f.args[0], i, "ptr"), "ptr") for i in range(3))
    x, places, updates, out = (f.load(f.gep(pointers, i, "ptr"), "ptr") for i in range(4))
    size, count, length = (f.load(f.gep(numbers, i, "i64"), "i64") for i in range(3))
    element, item = f"i{8 * dt.dtype(dtype).itemsize}", f"i{8 * dt.dtype(index).itemsize}"
    low = f.args[1] * length
    own = f.minimum(length, size - low)
    x, out = f.gep(x, low, element), f.gep(out, low, element)
    f.branch(f.compare("ne", x, out), lambda: _copied(f, out, x, own * dt.dtype(dtype).itemsize))
    lists = [f.alloca("i32", BLOCK + WIDE + AHEAD, align=64) for _ in range(2)]

    def block(first: Reg, _: list[Reg]) -> None:
        rest = f.minimum(count - first, f.const("i64", BLOCK))
        found = _listed(f, f.gep(places, first, item), item, rest, (low, own), lists)
        f.call("apply", "void", [out, f.gep(updates, first, element), *lists, found])

    f.loop(0, count, BLOCK, [], block)
    f.ret()
    define_entry(module, symbol)


def _copied(f: Function, target: Reg, source: Reg, nbytes: Reg) -> None:
    f.call("llvm.memcpy.p0.p0.i64", "void", [target, source, nbytes, f.const("i1", 0)])


def _listed(f: Function, places: Reg, item: str, count: Reg, within: tuple[Reg, Reg],
            lists: list[Reg]) -> Reg:
    """How many of the places are in a range; where in it, and which, goes to the lists."""
    whole = count & -WIDE
    low, own = (f.splat(f.cast("trunc", x, item), WIDE) for x in within)
    every = f.const(f"<{WIDE} x i1>", 1)

    def look(i: Reg, found: Reg, mask: Reg) -> Reg:
        place = f.gep(places, i, item)
        type = f"<{WIDE} x {item}>"
        at = (f.load(place, type) if mask is every else f.masked_load(place, type, mask)) - low
        chosen = f.compare("ult", at, own) & mask
        narrow = f"<{WIDE} x i32>"
        at = f.cast("trunc" if item == "i64" else "zext", at, narrow) if item != "i32" else at
        number = f.splat(f.cast("trunc", i, "i32"), WIDE) + f.iota(narrow)
        for values, target in zip((at, number), lists, strict=True):
            append(f, values, f.gep(target, found, "i32"), chosen)
        return found + counted(f, chosen)

    (found,) = f.loop(0, whole, WIDE, [f.const("i64", 0)], lambda i, c: [look(i, c[0], every)])
    rest = count - whole
    mask = f.first_lanes(rest, WIDE)
    (found,) = f.conditional(f.compare("ne", rest, 0), lambda: [look(whole, found, mask)], [found])
    return found


def _define_apply(module: Module, kind: str, dtype: Dtype) -> None:
    """`apply(out, updates, places, numbers, count)`: the listed updates, one after the other."""
    f = Function(module, "apply", [("ptr", "out"), ("ptr", "updates"), ("ptr", "places"),
                                   ("ptr", "numbers"), ("i64", "count")])
    out, updates, places, numbers, count = f.args
    element = f"i{8 * dtype.itemsize}"

    def at(base: Reg, listed: Reg, j: Reg) -> Reg:
        place = f.cast("zext", f.load(f.gep(listed, j, "i32"), "i32"), "i64")
        return f.gep(base, place, element)

    def update(j: Reg, _: list[Reg]) -> None:
        f.prefetch(at(out, places, j + AHEAD), write=True)
        value = representation.load(f, at(updates, numbers, j), dtype, 1)
        target = at(out, places, j)
        if kind != "set":
            there = representation.load(f, target, dtype, 1)
            value = emit_elementwise(f, kind, dtype, [there, value], {}, dtype)
        representation.store(f, target, value, dtype, 1)

    f.loop(0, count, 1, [], update)
    f.ret()
