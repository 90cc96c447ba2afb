"""Sorting few integers by a network of comparisons, many at a time in vectors.

Batcher's bitonic network, in the form in which all comparisons have one direction: runs of m / 2
are merged by comparing each element with its mirror image in the other run, then with those at
distances m / 4, m / 8, ... 1. Distances within a vector are done in registers.
"""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.emitter import Function, Module, Reg, vector

LANES = 8
NAME = "sort_few"


def define_network(module: Module) -> None:
    """`sort_few(a, n)`: n numbers of 64 bits without sign, n a power of two, at least 8."""
    f = Function(module, NAME, [("ptr", "a"), ("i64", "n")])
    n = f.args[1]
    f.loop(0, n, LANES, [], lambda i, _: _update(f, i, _sorted))

    def merge(carried: list[Reg]) -> list[Reg]:
        (length,) = carried
        f.loop(0, n, length, [], lambda start, _: _mirror(f, start, length))
        f.while_loop([length.lshr(2)], lambda c: c[0] >= LANES,
                     lambda c: [_halves(f, c[0])])
        f.loop(0, n, LANES, [], lambda i, _: _update(f, i, _merged))
        return [length << 1]

    f.while_loop([f.const("i64", 2 * LANES)], lambda c: c[0] <= n, merge)
    f.ret()


def _place(f: Function, index: Reg) -> Reg:
    return f.gep(f.args[0], index, "i64")


def _load(f: Function, index: Reg) -> Reg:
    return f.load(_place(f, index), vector("i64", LANES))


def _update(f: Function, index: Reg, change: Callable[[Reg], Reg]) -> None:
    f.store(change(_load(f, index)), _place(f, index))


def _in_order(a: Reg, b: Reg) -> tuple[Reg, Reg]:
    f = a.function
    return f.intrinsic("llvm.umin", a, b), f.intrinsic("llvm.umax", a, b)


def _exchanged(x: Reg, partner: list[int]) -> Reg:
    """Each lane and its partner in order."""
    f = x.function
    low, high = _in_order(x, f.shuffle(x, None, partner))
    return f.shuffle(low, high, [i if i < p else LANES + i for i, p in enumerate(partner)])


def _merged(x: Reg) -> Reg:
    """The lanes of a vector that is a bitonic run, in order."""
    for distance in (4, 2, 1):
        x = _exchanged(x, [i ^ distance for i in range(LANES)])
    return x


def _sorted(x: Reg) -> Reg:
    """The lanes of a vector in order."""
    for length in (2, 4, 8):
        x = _exchanged(x, [i ^ (length - 1) for i in range(LANES)])
        distance = length // 4
        while distance:
            x = _exchanged(x, [i ^ distance for i in range(LANES)])
            distance //= 2
    return x


def _mirror(f: Function, start: Reg, length: Reg) -> None:
    """Compare each element of a run with its mirror image in the next."""
    backwards = list(range(LANES))[::-1]

    def turn(i: Reg, _: list[Reg]) -> None:
        front, back = start + i, start + length - i - LANES
        low, high = _in_order(_load(f, front), f.shuffle(_load(f, back), None, backwards))
        f.store(low, _place(f, front))
        f.store(f.shuffle(high, None, backwards), _place(f, back))

    f.loop(0, length.lshr(1), LANES, [], turn)


def _halves(f: Function, distance: Reg) -> Reg:
    """Compare all at one distance; gives the next."""
    def block(start: Reg, _: list[Reg]) -> None:
        def pair(i: Reg, _: list[Reg]) -> None:
            low, high = _in_order(_load(f, start + i), _load(f, start + i + distance))
            f.store(low, _place(f, start + i))
            f.store(high, _place(f, start + i + distance))

        f.loop(0, distance, LANES, [], pair)

    f.loop(0, f.args[1], distance << 1, [], block)
    return distance.lshr(1)
