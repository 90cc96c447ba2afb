"""Sorting many integers by their digits, the last first.

Each pass distributes the numbers over 256 places by one byte, keeping the order of equals. Bytes
that are the same in all numbers are passed over. The counts for all passes are made in one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from arraylib.backends.cpu.emitter import Function, Module, Reg

DIGIT = 8
VALUES = 1 << DIGIT
COUNTS_BYTES = 8 * VALUES * 4  # of scratch, enough for all digits of 64 bits


def define_radix(module: Module, name: str, element: str, shifts: Sequence[int]) -> None:
    """`name(a, b, n, counts) -> a or b`: the n numbers at a sorted; the other holds anything."""
    f = Function(module, name, [("ptr", "a"), ("ptr", "b"), ("i64", "n"), ("ptr", "counts")],
                 result="ptr")
    a, b, n, counts = f.args
    places = f.alloca("ptr", 2)
    f.store(a, places)
    f.store(b, f.gep(places, 1, "ptr"))
    _count(f, element, shifts)
    for number, shift in enumerate(shifts):
        own = f.gep(counts, number * VALUES, "i32")
        first = _digit(f.load(a, element), shift)
        same = f.cast("zext", f.load(f.gep(own, first, "i32"), "i32"), "i64")
        f.branch(f.compare("ne", same, n), _pass(f, element, shift, own, places))
    f.ret(f.load(places, "ptr"))


def _digit(x: Reg, shift: int) -> Reg:
    f = x.function
    return f.cast("zext", f.cast("trunc", x.lshr(shift), f"i{DIGIT}"), "i64")


def _count(f: Function, element: str, shifts: Sequence[int]) -> None:
    """How often each value of each digit occurs."""
    a, _, n, counts = f.args
    f.call("llvm.memset.p0.i64", "void", [
        counts, f.const("i8", 0), f.const("i64", 4 * VALUES * len(shifts)), f.const("i1", 0)])

    def turn(index: Reg, _: list[Reg]) -> None:
        x = f.load(f.gep(a, index, element), element)
        for number, shift in enumerate(shifts):
            place = f.gep(f.gep(counts, number * VALUES, "i32"), _digit(x, shift), "i32")
            f.store(f.load(place, "i32") + 1, place)

    f.loop(0, n, 1, [], turn)


def _pass(f: Function, element: str, shift: int, counts: Reg, places: Reg) -> Callable[[], None]:
    """One distribution, after which the other array holds the numbers."""
    def run() -> None:
        n, other = f.args[2], f.gep(places, 1, "ptr")
        source, target = f.load(places, "ptr"), f.load(other, "ptr")

        def start(value: Reg, carried: list[Reg]) -> list[Reg]:
            place = f.gep(counts, value, "i32")
            count = f.load(place, "i32")
            f.store(carried[0], place)
            return [carried[0] + count]

        def move(index: Reg, _: list[Reg]) -> None:
            x = f.load(f.gep(source, index, element), element)
            place = f.gep(counts, _digit(x, shift), "i32")
            to = f.load(place, "i32")
            f.store(to + 1, place)
            f.store(x, f.gep(target, f.cast("zext", to, "i64"), element))

        f.loop(0, VALUES, 1, [f.const("i32", 0)], start)
        f.loop(0, n, 1, [], move)
        f.store(target, places)
        f.store(source, other)
    return run
