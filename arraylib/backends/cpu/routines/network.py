"""Sorting few integers by a network of comparisons, many at a time in vectors.

Batcher's bitonic network, in the form in which all comparisons have one direction: runs of m / 2
are merged by comparing each element with its mirror image in the other run, then with those at
distances m / 4, m / 8, ... 1. Distances within a vector are done in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from arraylib.backends.cpu.emitter import Function, Module, Reg, bits, lanes, vector

LANES = 8
_VECTOR_BITS = 512


def network_lanes(element: str) -> int:
    """The fewest numbers that a network sorts."""
    return _VECTOR_BITS // bits(element)


def define_network(module: Module, name: str, element: str) -> None:
    """`name(a, n)`: n numbers without sign; n is a power of two that fills a vector at least."""
    f = Function(module, name, [("ptr", "a"), ("i64", "n")])
    network, n = _Network(f, element), f.args[1]
    count = network.count
    network.update(sorted_lanes)

    def merge(carried: list[Reg]) -> list[Reg]:
        (length,) = carried
        f.loop(0, n, length, [], lambda start, _: network.mirror(start, length))
        f.while_loop([length.lshr(2)], lambda c: c[0] >= count, lambda c: [network.halves(c[0])])
        network.update(_merged)
        return [length << 1]

    f.while_loop([f.const("i64", 2 * count)], lambda c: c[0] <= n, merge)
    f.ret()


class _Network:
    """The parts of a network over the array that a function is given."""

    def __init__(self, f: Function, element: str) -> None:
        self.f, self.element, self.count = f, element, network_lanes(element)
        self._backwards = list(range(self.count))[::-1]

    def _place(self, index: Reg) -> Reg:
        return self.f.gep(self.f.args[0], index, self.element)

    def _load(self, index: Reg) -> Reg:
        return self.f.load(self._place(index), vector(self.element, self.count))

    def _turned(self, x: Reg) -> Reg:
        return self.f.shuffle(x, None, self._backwards)

    def update(self, change: Callable[[Reg], Reg]) -> None:
        """Every vector changed."""
        def turn(i: Reg, _: list[Reg]) -> None:
            self.f.store(change(self._load(i)), self._place(i))

        self.f.loop(0, self.f.args[1], self.count, [], turn)

    def mirror(self, start: Reg, length: Reg) -> None:
        """Compare each element of a run with its mirror image in the next."""
        def turn(i: Reg, _: list[Reg]) -> None:
            front, back = start + i, start + length - i - self.count
            low, high = in_order(self._load(front), self._turned(self._load(back)))
            self.f.store(low, self._place(front))
            self.f.store(self._turned(high), self._place(back))

        self.f.loop(0, length.lshr(1), self.count, [], turn)

    def halves(self, distance: Reg) -> Reg:
        """Compare all at one distance; gives the next."""
        def block(start: Reg, _: list[Reg]) -> None:
            def pair(i: Reg, _: list[Reg]) -> None:
                here, there = start + i, start + i + distance
                low, high = in_order(self._load(here), self._load(there))
                self.f.store(low, self._place(here))
                self.f.store(high, self._place(there))

            self.f.loop(0, distance, self.count, [], pair)

        self.f.loop(0, self.f.args[1], distance << 1, [], block)
        return distance.lshr(1)


def in_order(a: Reg, b: Reg) -> tuple[Reg, Reg]:
    """The lesser and the greater of each pair of lanes."""
    f = a.function
    return f.intrinsic("llvm.umin", a, b), f.intrinsic("llvm.umax", a, b)


def exchanged(x: Reg, partner: Sequence[int]) -> Reg:
    """Each lane and its partner in order."""
    f, count = x.function, lanes(x.type)
    low, high = in_order(x, f.shuffle(x, None, partner))
    return f.shuffle(low, high, [i if i < p else count + i for i, p in enumerate(partner)])


def _at_distances(x: Reg, distance: int) -> Reg:
    while distance:
        x = exchanged(x, [i ^ distance for i in range(lanes(x.type))])
        distance //= 2
    return x


def _merged(x: Reg) -> Reg:
    """The lanes of a vector that is a bitonic run, in order."""
    return _at_distances(x, lanes(x.type) // 2)


def sorted_lanes(x: Reg) -> Reg:
    """The lanes of a vector in order."""
    length = 2
    while length <= lanes(x.type):
        x = exchanged(x, [i ^ (length - 1) for i in range(lanes(x.type))])
        x = _at_distances(x, length // 4)
        length *= 2
    return x
