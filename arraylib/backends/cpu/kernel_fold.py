"""Sums of a kernel's nests in registers: where they start, how two combine, how lanes do.

Each function takes and gives the registers of one reduction: one, or for argmax and argmin two, the
extreme value and its place.
"""

from __future__ import annotations

from collections.abc import Sequence

from arraylib import dtypes as dt
from arraylib.backends.cpu import native
from arraylib.backends.cpu.emitter import Function, Reg, lanes
from arraylib.backends.cpu.representation import register_type
from arraylib.tile.ir import Dtype, Reduction, identity

_PAIRS = {"argmax": ("maximum", "GT"), "argmin": ("minimum", "LT")}


def identities(f: Function, reduction: Reduction, count: int) -> list[Reg]:
    """What combines with anything to that."""
    found = []
    for i, value in enumerate(reduction.values):
        op = reduction.op
        if op in _PAIRS:
            op = _PAIRS[op][0] if i == 0 else "minimum"
        found.append(f.const(register_type(value.dtype, count), identity(op, value.dtype)))
    return found


def combine(f: Function, reduction: Reduction, a: Sequence[Reg], b: Sequence[Reg]) -> list[Reg]:
    """The two together, where all that went into `a` stands before `b` or beside it."""
    dtype = reduction.values[0].dtype
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
