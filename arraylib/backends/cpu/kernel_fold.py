"""Sums of a kernel's nests in registers: where they start, how two combine, how lanes do.

Each function takes and gives the registers of one reduction: one, or for argmax and argmin two, the
extreme value and its place. An extreme of floats is three where x86 has no instruction for it: what
its own makes of numbers, which forgets nan and the sign of zero, and the largest of the bits read
as signed and as unsigned, which tell about those at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from arraylib import dtypes as dt
from arraylib.backends.cpu import native
from arraylib.backends.cpu.emitter import Function, Reg, lanes, like
from arraylib.backends.cpu.representation import register_type
from arraylib.tile.ir import Dtype, Reduction, identity

_SIGN, _INFINITY = 1 << 31, 0x7F800000  # bits of a float
_PAIRS = {"argmax": ("maximum", "GT"), "argmin": ("minimum", "LT")}


def register_count(f: Function, reduction: Reduction) -> int:
    """How many registers a reduction has."""
    return 3 if _by_bits(f, reduction) else len(reduction.values)


def _by_bits(f: Function, reduction: Reduction) -> bool:
    return reduction.op in ("maximum", "minimum") and reduction.values[0].dtype == dt.float32 \
        and "sse4.1" in f.module.features


def lifted(f: Function, reduction: Reduction, values: Sequence[Reg]) -> list[Reg]:
    """What the values of one turn are in registers of the reduction."""
    if not _by_bits(f, reduction):
        return list(values)
    bits = f.bitcast(values[0], like(values[0].type, "i32"))
    return [values[0], bits, bits]


def settled(f: Function, reduction: Reduction, found: Sequence[Reg]) -> list[Reg]:
    """The results of a reduction whose registers hold these."""
    if not _by_bits(f, reduction):
        return list(found)
    value, signed, unsigned = found
    is_nan = f.compare("sgt", signed, _INFINITY) | f.compare("ugt", unsigned, _INFINITY - _SIGN)
    # Of zeros: for a maximum some sign is clear, for a minimum some is set.
    zero = f.select(f.compare("sge", signed if reduction.op == "maximum" else unsigned, 0),
                    f.const(value.type, 0.0), f.const(value.type, -0.0))
    value = f.select(f.compare("oeq", value, 0.0), zero, value)
    return [f.select(is_nan, f.const(value.type, math.nan), value)]


def identities(f: Function, reduction: Reduction, count: int) -> list[Reg]:
    """What combines with anything to that."""
    found = []
    for i, value in enumerate(reduction.values):
        op = reduction.op
        if op in _PAIRS:
            op = _PAIRS[op][0] if i == 0 else "minimum"
        found.append(f.const(register_type(value.dtype, count), identity(op, value.dtype)))
    if _by_bits(f, reduction):
        type = like(found[0].type, "i32")
        found += [f.const(type, -_SIGN), f.const(type, 0)]
    return found


def combine(f: Function, reduction: Reduction, a: Sequence[Reg], b: Sequence[Reg]) -> list[Reg]:
    """The two together, where all that went into `a` stands before `b` or beside it."""
    dtype = reduction.values[0].dtype
    if _by_bits(f, reduction):
        wins = f.compare("ogt" if reduction.op == "maximum" else "olt", a[0], b[0])
        return [f.select(wins, a[0], b[0]), f.intrinsic("llvm.smax", a[1], b[1]),
                f.intrinsic("llvm.umax", a[2], b[2])]
    if reduction.op not in _PAIRS:
        return [native.emit_elementwise(f, reduction.op, dtype, [a[0], b[0]], {}, dtype)]
    wins = _wins(f, reduction, a, b)
    return [f.select(wins, y, x) for x, y in zip(a, b)]


def _wins(f: Function, reduction: Reduction, a: Sequence[Reg], b: Sequence[Reg]) -> Reg:
    """Where b is more extreme than a, or as extreme at a lower place; nan is above all."""
    dtype, place = reduction.values[0].dtype, reduction.values[1].dtype
    better = _compare(f, dtype, _PAIRS[reduction.op][1], b[0], a[0])
    ties = _compare(f, dtype, "EQ", a[0], b[0])
    if dt.is_float(dtype):
        a_nan, b_nan = (_compare(f, dtype, "NE", x[0], x[0]) for x in (a, b))
        better = better | (b_nan & ~a_nan)
        ties = ties | (a_nan & b_nan)
    return better | (ties & _compare(f, place, "LT", b[1], a[1]))


def _compare(f: Function, dtype: Dtype, direction: str, a: Reg, b: Reg) -> Reg:
    return native.emit_elementwise(f, "compare", dtype, [a, b], {"direction": direction}, dt.bool_)


def kept_where(f: Function, reduction: Reduction, sofar: Sequence[Reg], new: Sequence[Reg],
               mask: Reg) -> list[Reg]:
    """Combine with a narrower vector under a mask: the lanes beyond it stay as they are."""
    narrow, wide = lanes(mask.type), lanes(sofar[0].type)
    nothing = identities(f, reduction, narrow)
    chosen = [f.select(mask, x, y) for x, y in zip(new, nothing)]
    filler = identities(f, reduction, narrow)
    widened = [f.shuffle(x, y, [i if i < narrow else narrow for i in range(wide)])
               for x, y in zip(chosen, filler)]
    return combine(f, reduction, sofar, widened)


def fold_lanes(f: Function, reduction: Reduction, vectors: Sequence[Reg]) -> list[Reg]:
    """All lanes combined, halves with each other until one is left, so that the order is fixed."""
    found, count = list(vectors), lanes(vectors[0].type)
    while count > 1:
        count //= 2
        low, high = ([_part(f, x, start, count) for x in found] for start in (0, count))
        found = combine(f, reduction, low, high)
    return found


def _part(f: Function, x: Reg, start: int, count: int) -> Reg:
    return f.extract(x, start) if count == 1 else f.shuffle(x, None, range(start, start + count))
