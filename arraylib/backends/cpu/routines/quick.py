"""Sorting integers of which equals are the same: quicksort in vectors (Hoare, 1961).

A part is divided by a pivot, the median of some of its numbers: those below go to the front of one
array, the others to the front of another, of which one holds the part already. Nothing is moved
back: a part lies in either array, and what the other array has free is its room. Few numbers are
sorted in registers, and written where they belong. Whenever pivots were bad for many divisions on
end, the part is sorted by its digits.
"""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Module, Reg, element_bytes, vector
from arraylib.backends.cpu.routines.network import network_lanes, sorted_lanes
from arraylib.backends.cpu.routines.radix import COUNTS_BYTES, define_radix
from arraylib.backends.cpu.routines.registers import MOST_ROWS, define_registers
from arraylib.backends.cpu.routines.vectors import (
    append,
    append_exactly,
    called,
    counted,
    taken,
)

SLACK = 64          # bytes behind an array that may be written too
_DIVISIONS = 2      # times the logarithm of the number: more and the pivots were bad
_PARTS = [("ptr", "x"), ("ptr", "a"), ("ptr", "b"), ("ptr", "out"), ("i64", "n")]


def few(element: str) -> int:
    """How many numbers are sorted in registers."""
    return MOST_ROWS * network_lanes(element)


def define_quick(module: Module, name: str, element: str) -> None:
    """`name(a, b, out, n)`: the n numbers at a go to out, in order.

    What is at a and b then is anything; behind each there is `SLACK`. `out` may be a.
    """
    define_registers(module, "few_numbers", element)
    define_radix(module, "radix_keys", element, range(0, 8 * element_bytes(element), 8))
    define_divide(module, element)
    _define_digits(module, element)
    _define_part(module, element)
    f = Function(module, name, [("ptr", "a"), ("ptr", "b"), ("ptr", "out"), ("i64", "n")])
    a, b, out, n = f.args
    zeros = f.intrinsic("llvm.ctlz", n, f.const("i1", 0), overloads=["i64"])
    f.call("quick_part", "void", [a, a, b, out, n, (64 - zeros) * _DIVISIONS])
    f.ret()


def copy(f: Function, target: Reg, source: Reg, count: Reg, element: str) -> None:
    """So many numbers, which may be there already."""
    f.call("llvm.memmove.p0.p0.i64", "void", [
        target, source, count * element_bytes(element), f.const("i1", 0)])


def define_divide(module: Module, element: str) -> None:
    """`divide(x, a, b, n, pivot)`: how many are below the pivot; these go to a, the others to b.

    x is a or b, or neither. A vector behind those at a, and behind those at b unless x is b, is
    overwritten.
    """
    f = Function(module, "divide", [*_PARTS[:3], ("i64", "n"), (element, "pivot")], result="i64")
    x, a, b, n, pivot = f.args
    count = network_lanes(element)
    wide, type = f.splat(pivot, count), vector(element, count)
    whole = n & -count

    def turn(i: Reg, carried: list[Reg]) -> list[Reg]:
        (below,) = carried
        found = f.load(f.gep(x, i, element), type)
        mask = f.compare("ult", found, wide)
        append(f, found, f.gep(a, below, element), mask)
        append(f, found, f.gep(b, i - below, element), ~mask)
        return [below + counted(f, mask)]

    def rest(below: Reg) -> list[Reg]:
        lanes = f.first_lanes(n - whole, count)
        found = f.masked_load(f.gep(x, whole, element), type, lanes)
        mask = f.compare("ult", found, wide)
        append_exactly(f, found, f.gep(a, below, element), mask & lanes)
        append_exactly(f, found, f.gep(b, whole - below, element), ~mask & lanes)
        return [below + counted(f, mask & lanes)]

    (below,) = f.loop(0, whole, count, [f.const("i64", 0)], turn)
    (below,) = f.conditional(f.compare("ne", n, whole), lambda: rest(below), [below])
    f.ret(below)


def _define_digits(module: Module, element: str) -> None:
    """`by_digits(x, a, b, out, n)`: a part whose pivots were bad."""
    f = Function(module, "by_digits", _PARTS)
    x, a, b, out, n = f.args
    counts = f.alloca("i8", COUNTS_BYTES, align=64)
    other = f.select(f.compare("eq", x, a), b, a)
    copy(f, out, called(f, "radix_keys", "ptr", [x, other, n, counts]), n, element)
    f.ret()


def _define_part(module: Module, element: str) -> None:
    """`quick_part(x, a, b, out, n, divisions)`: sort a part, which is at a or at b, with so many
    divisions at most."""
    f = Function(module, "quick_part", [*_PARTS, ("i64", "divisions")])
    x, a, b, out, n, divisions = f.args

    def sort_few() -> None:
        f.call("few_numbers", "void", [x, out, n])
        f.ret()

    def by_digits() -> None:
        f.call("by_digits", "void", [x, a, b, out, n])
        f.ret()

    def go_on(part: Reg, first: Reg, spare: Reg, count: Reg) -> None:
        f.call("quick_part", "void", [part, f.gep(a, first, element), spare,
                                      f.gep(out, first, element), count, divisions - 1])

    def done(part: Reg, count: Reg) -> None:
        copy(f, out, part, count, element)
        f.ret()

    def lowest() -> None:
        """None was below the pivot: of all, which are at b now, the equal ones come first."""
        f.branch(f.compare("eq", pivot, -1), lambda: done(b, n))
        count = called(f, "divide", "i64", [b, a, b, n, pivot + 1])
        copy(f, out, a, count, element)
        go_on(b, count, b, n - count)
        f.ret()

    f.branch(n <= few(element), sort_few)
    f.branch(divisions <= 0, by_digits)
    pivot = _median(f, x, n, element)
    below = called(f, "divide", "i64", [x, a, b, n, pivot])
    f.branch(f.compare("eq", below, 0), lowest)
    above = n - below
    go_on(a, f.const("i64", 0), f.gep(b, above, element), below)
    go_on(b, below, b, above)
    f.ret()


def _median(f: Function, x: Reg, n: Reg, element: str) -> Reg:
    """The middle of as many numbers as a vector holds, from all over the part."""
    count = network_lanes(element)
    places = f.iota(vector("i64", count)) * f.splat(n.udiv(count), count)
    return f.extract(sorted_lanes(taken(f, x, places, element, None)), count // 2)
