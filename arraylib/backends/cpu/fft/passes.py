"""Transforms of many lanes at once: passes between two buffers (Stockham), and multiplications.

A buffer holds one vector of real and one of imaginary parts for each element, side by side. The
functions here, `core`, are called by number with one signature:

    void core(ptr from, ptr to, ptr table, i64 count, i64 stride, i64 step, i64 swap, scale,
              i64 ahead)

A pass of radix r takes elements q + stride (p + count k), k < r, for each p < count and q < stride
to q + stride (r p + k): their transform, times exp(-2 pi i p k / (r count)), which the table has
for k > 0 after one another for each p. After all passes, whose radices multiply to n, with strides
1, r1, r1 r2, ..., elements are in order. The last pass, with count 1, has nothing to multiply with.

The first pass may read columns of an array, whose elements are `step` bytes apart, and the last may
write them, scaled. With `swap` the parts of what is read or written change places. What is read or
written next is `ahead` bytes further on: memory is asked for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.fft.butterfly import Complex, dft
from arraylib.backends.cpu.fft.factors import RADICES
from arraylib.backends.cpu.fft.halves import define_halves
from arraylib.backends.cpu.fft.vectors import (
    ask,
    lanes_of,
    load_element,
    load_factor,
    load_vector,
    store_element,
    store_vector,
    swap_mask,
    swapped_if,
)

CORE = "cores"
MULTIPLY, MULTIPLY_SWAPPED, UNFOLD, FOLD, MIRROR = range(5)
# The passes between buffers, then those that do the same from or to an array.
_NAMES = ["multiply", "multiply_swapped", "unfold", "fold", "mirror",
          *(f"{kind}_{r}" for kind in ("pass", "last", "first", "final") for r in RADICES)]
TO_ARRAY = 2 * len(RADICES)   # from the number of the one to the number of the other


def _parameters(element: str) -> list[tuple[str, str]]:
    return [("ptr noalias", "from"), ("ptr noalias", "to"), ("ptr noalias", "table"),
            ("i64", "count"), ("i64", "stride"), ("i64", "step"), ("i64", "swap"),
            (element, "scale"), ("i64", "ahead")]


def pass_number(radix: int, last: bool) -> int:
    """The number of a pass among the cores."""
    return _NAMES.index(f"{'last' if last else 'pass'}_{radix}")


def define_cores(module: Module, element: str) -> None:
    """The functions and the table of them."""
    for swapped in (False, True):
        _define_multiply(module, element, swapped)
    define_halves(module, element, _parameters(element))
    for radix in RADICES:
        _define_pass(module, element, radix)
        _define_first(module, element, radix)
        for to_array in (False, True):
            _define_last(module, element, radix, to_array)
    define_table(module, CORE, _NAMES)


def define_table(module: Module, name: str, functions: list[str]) -> None:
    """A table of functions, to call them by number."""
    listed = ", ".join(f"ptr @{each}" for each in functions)
    module.add_global(name, f"[{len(functions)} x ptr]", f"[{listed}]", constant=True)


def call_numbered(f: Function, table: str, number: Reg, args: list[Reg]) -> None:
    """Call a function of a table."""
    place = f.gep(f.address(table), number, "ptr")
    f.call(f.load(place, "ptr"), "void", args)


def _define_pass(module: Module, element: str, radix: int) -> None:
    """A pass between buffers that is not the last."""
    f = Function(module, f"pass_{radix}", _parameters(element))
    source, target, table, count, stride, *_ = f.args

    def turn(p: Reg, q: Reg) -> None:
        start, step = p * stride + q, count * stride
        x = [load_element(f, source, start + step * k, element) for k in range(radix)]
        found = _times_table(table, p, dft(x), element)
        for k, each in enumerate(found):
            store_element(f, each, target, (p * radix + k) * stride + q, element)

    f.loop(0, count, 1, [], lambda p, _: f.loop(0, stride, 1, [], lambda q, _: turn(p, q)))
    f.ret()


def _define_first(module: Module, element: str, radix: int) -> None:
    """The first pass, out of columns of an array."""
    f = Function(module, f"first_{radix}", _parameters(element))
    array, target, table, count, _, step, swap, _, ahead = f.args
    turned = swap_mask(f, element, swap)

    def column(p: Reg, k: int) -> Complex:
        place = f.gep(array, (p + count * k) * step, "i8")
        x = load_vector(f, place, element, None)
        ask(f, f.gep(place, ahead, "i8"), x.re.type)
        return swapped_if(f, turned, x)

    def turn(p: Reg, _: list[Reg]) -> None:
        found = _times_table(table, p, dft([column(p, k) for k in range(radix)]), element)
        for k, each in enumerate(found):
            store_element(f, each, target, p * radix + k, element)

    f.loop(0, count, 1, [], turn)
    f.ret()


def _define_last(module: Module, element: str, radix: int, to_array: bool) -> None:
    """The last pass, to a buffer or to columns of an array."""
    f = Function(module, f"{'final' if to_array else 'last'}_{radix}", _parameters(element))
    source, target, _, _, stride, step, swap, scale, ahead = f.args
    turned, factor = swap_mask(f, element, swap), f.splat(scale, lanes_of(module, element))

    def turn(q: Reg, _: list[Reg]) -> None:
        x = [load_element(f, source, q + stride * k, element) for k in range(radix)]
        for k, each in enumerate(dft(x)):
            if to_array:
                place = f.gep(target, (q + stride * k) * step, "i8")
                store_vector(f, swapped_if(f, turned, each).scaled(factor), place, element, None)
                ask(f, f.gep(place, ahead, "i8"), each.re.type, write=True)
            else:
                store_element(f, each, target, q + stride * k, element)

    f.loop(0, stride, 1, [], turn)
    f.ret()


def _times_table(table: Reg, p: Reg, x: Sequence[Complex], element: str) -> list[Complex]:
    """The factors of place p are for all numbers but the first."""
    f, others = p.function, len(x) - 1
    return [x[0], *(each * load_factor(f, table, p * others + k, element)
                    for k, each in enumerate(x[1:]))]


def _define_multiply(module: Module, element: str, swapped: bool) -> None:
    """Elements below `count` times those of the table, zeros from there to `stride`.

    Swapped, real and imaginary parts change places: before and after a transform that makes it the
    inverse one.
    """
    f = Function(module, _NAMES[swapped], _parameters(element))
    source, target, table, count, total, *_ = f.args
    zero = f.const(f"<{lanes_of(module, element)} x {element}>", 0)

    def one(j: Reg, _: list[Reg]) -> None:
        x = load_element(f, source, j, element) * load_factor(f, table, j, element)
        store_element(f, Complex(x.im, x.re) if swapped else x, target, j, element)

    f.loop(0, count, 1, [], one)
    f.loop(count, total, 1, [],
           lambda j, _: store_element(f, Complex(zero, zero), target, j, element))
    f.ret()
