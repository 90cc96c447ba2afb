"""Sorting integers of which equals are the same: quicksort in vectors (Hoare, 1961).

A part is divided by a pivot, the median of some of its numbers: those below stay in front, in one
go with the reading; the others are set aside and then put behind them. Few are sorted by a network.
Whenever pivots were bad for many divisions on end, the part is sorted by its digits.
"""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Module, Reg, element_bytes, vector
from arraylib.backends.cpu.routines.network import define_network, network_lanes, sorted_lanes
from arraylib.backends.cpu.routines.radix import define_radix
from arraylib.backends.cpu.routines.vectors import append, called, counted, taken

FEW = 1 << 9
_DIVISIONS = 2  # times the logarithm of the number: more and the pivots were bad
_PART = [("ptr", "a"), ("ptr", "b"), ("i64", "n")]


def define_quick(module: Module, name: str, element: str) -> None:
    """`name(a, b, n, counts)`: the n numbers at a in order; b and counts are room for them."""
    define_network(module, "few_keys", element)
    define_radix(module, "radix_keys", element, range(0, 8 * element_bytes(element), 8))
    _define_few(module, element)
    _define_divide(module, element)
    _define_part(module, element)
    f = Function(module, name, [*_PART, ("ptr", "counts")])
    a, b, n, counts = f.args
    zeros = f.intrinsic("llvm.ctlz", n, f.const("i1", 0), overloads=["i64"])
    f.call("quick_part", "void", [a, b, n, counts, (64 - zeros) * _DIVISIONS])
    f.ret()


def _define_few(module: Module, element: str) -> None:
    """`quick_few(a, n)`: up to FEW numbers, by a network that is filled up with what is last."""
    f = Function(module, "quick_few", [("ptr", "a"), ("i64", "n")])
    a, n = f.args
    size, fewest = element_bytes(element), network_lanes(element)
    room = f.alloca(element, FEW, align=64)
    zeros = f.intrinsic("llvm.ctlz", (n - 1) | (fewest - 1), f.const("i1", 0), overloads=["i64"])
    padded = f.const("i64", 1) << (64 - zeros)
    _copy(f, room, a, n * size)
    f.call("llvm.memset.p0.i64", "void", [
        f.gep(room, n, element), f.const("i8", -1), (padded - n) * size, f.const("i1", 0)])
    f.call("few_keys", "void", [room, padded])
    _copy(f, a, room, n * size)
    f.ret()


def _copy(f: Function, target: Reg, source: Reg, nbytes: Reg) -> None:
    f.call("llvm.memcpy.p0.p0.i64", "void", [target, source, nbytes, f.const("i1", 0)])


def _define_divide(module: Module, element: str) -> None:
    """`quick_divide(a, b, n, pivot)`: how many are below the pivot; these come first."""
    f = Function(module, "quick_divide", [*_PART, (element, "pivot")], result="i64")
    a, b, n, pivot = f.args
    count = network_lanes(element)
    wide, type = f.splat(pivot, count), vector(element, count)
    whole = n & -count

    def turn(i: Reg, carried: list[Reg]) -> list[Reg]:
        below, above = carried
        x = f.load(f.gep(a, i, element), type)
        mask = f.compare("ult", x, wide)
        append(f, x, f.gep(a, below, element), mask)
        append(f, x, f.gep(b, above, element), ~mask)
        below = below + counted(f, mask)
        return [below, i + count - below]

    def one(i: Reg, carried: list[Reg]) -> list[Reg]:
        x = f.load(f.gep(a, i, element), element)
        less = f.compare("ult", x, pivot)
        below, above = carried
        f.store(x, f.gep(b, above, element))
        f.store(x, f.select(less, f.gep(a, below, element), f.gep(b, above, element)))
        below = below + f.cast("zext", less, "i64")
        return [below, i + 1 - below]

    zero = f.const("i64", 0)
    found = f.loop(0, whole, count, [zero, zero], turn)
    below, above = f.loop(whole, n, 1, found, one)
    _copy(f, f.gep(a, below, element), b, above * element_bytes(element))
    f.ret(below)


def _define_part(module: Module, element: str) -> None:
    """`quick_part(a, b, n, counts, divisions)`: sort a part, with so many divisions at most."""
    f = Function(module, "quick_part", [*_PART, ("ptr", "counts"), ("i64", "divisions")])
    a, b, n, counts, divisions = f.args

    def few() -> None:
        f.call("quick_few", "void", [a, n])
        f.ret()

    def by_digits() -> None:
        found = called(f, "radix_keys", "ptr", [a, b, n, counts])
        f.branch(f.compare("ne", found, a),
                 lambda: _copy(f, a, found, n * element_bytes(element)))
        f.ret()

    def go_on(first: Reg, count: Reg) -> None:
        f.call("quick_part", "void", [f.gep(a, first, element), b, count, counts, divisions - 1])

    def lowest() -> None:
        """None is below the pivot: the equal ones come first, and are in order."""
        f.branch(f.compare("eq", pivot, -1), f.ret)
        equal = called(f, "quick_divide", "i64", [a, b, n, pivot + 1])
        go_on(equal, n - equal)
        f.ret()

    f.branch(n <= FEW, few)
    f.branch(divisions <= 0, by_digits)
    pivot = _median(f, a, n, element)
    below = called(f, "quick_divide", "i64", [a, b, n, pivot])
    f.branch(f.compare("eq", below, 0), lowest)
    go_on(f.const("i64", 0), below)
    go_on(below, n - below)
    f.ret()


def _median(f: Function, a: Reg, n: Reg, element: str) -> Reg:
    """The middle of as many numbers as a vector holds, from all over the part."""
    count = network_lanes(element)
    places = f.iota(vector("i64", count)) * f.splat(n.udiv(count), count)
    return f.extract(sorted_lanes(taken(f, a, places, element, None)), count // 2)
