"""Transforms of many lanes at once: passes between two buffers (Stockham), and multiplications.

A buffer holds one vector of real and one of imaginary parts for each element, side by side. The
functions here, `core`, are called by number with one signature:

    void core(ptr from, ptr to, ptr table, i64 count, i64 stride)

A pass of radix r takes elements q + stride (p + count k), k < r, for each p < count and q < stride
to q + stride (r p + k): their transform, times exp(-2 pi i p k / (r count)), which the table has
for k > 0 after one another for each p. After all passes, whose radices multiply to n, with strides
1, r1, r1 r2, ..., elements are in order. The last pass, with count 1, has nothing to multiply with.
"""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Module, Reg, element_bytes
from arraylib.backends.cpu.fft.butterfly import Complex, dft
from arraylib.backends.cpu.fft.factors import RADICES

CORE = "cores"
MULTIPLY, MULTIPLY_SWAPPED = 0, 1
_NAMES = ["multiply", "multiply_swapped", *(f"pass_{r}" for r in RADICES),
          *(f"last_{r}" for r in RADICES)]
_PARAMETERS = (("ptr noalias", "from"), ("ptr noalias", "to"), ("ptr noalias", "table"),
               ("i64", "count"), ("i64", "stride"))


def pass_number(radix: int, last: bool) -> int:
    """The number of a pass among the cores."""
    return _NAMES.index(f"{'last' if last else 'pass'}_{radix}")


def lanes_of(module: Module, element: str) -> int:
    """Lanes of a vector of real parts."""
    return module.vector_bits // 8 // element_bytes(element)


def define_cores(module: Module, element: str) -> None:
    """The functions and the table of them."""
    for swapped in (False, True):
        _define_multiply(module, element, swapped)
    for radix in RADICES:
        _define_pass(module, element, radix, last=False)
        _define_pass(module, element, radix, last=True)
    define_table(module, CORE, _NAMES)


def define_table(module: Module, name: str, functions: list[str]) -> None:
    """A table of functions, to call them by number."""
    listed = ", ".join(f"ptr @{each}" for each in functions)
    module.add_global(name, f"[{len(functions)} x ptr]", f"[{listed}]", constant=True)


def call_numbered(f: Function, table: str, number: Reg, args: list[Reg]) -> None:
    """Call a function of a table."""
    place = f.gep(f.address(table), number, "ptr")
    f.call(f.load(place, "ptr"), "void", args)


def element_at(f: Function, base: Reg, index: Reg | int, element: str) -> Reg:
    """Where an element's vectors are in a buffer."""
    return f.gep(base, index, f"[{2 * lanes_of(f.module, element)} x {element}]")


def load_element(f: Function, base: Reg, index: Reg | int, element: str) -> Complex:
    """An element of a buffer."""
    count = lanes_of(f.module, element)
    place, type = element_at(f, base, index, element), f"<{count} x {element}>"
    return Complex(f.load(place, type), f.load(f.gep(place, 1, type), type))


def store_element(f: Function, x: Complex, base: Reg, index: Reg | int, element: str) -> None:
    """An element of a buffer, written."""
    place = element_at(f, base, index, element)
    f.store(x.re, place)
    f.store(x.im, f.gep(place, 1, x.re.type))


def load_factor(f: Function, table: Reg, index: Reg, element: str) -> Complex:
    """A number of a table, in all lanes."""
    count = lanes_of(f.module, element)
    place = f.gep(table, index * 2, element)
    re, im = f.load(place, element), f.load(f.gep(place, 1, element), element)
    return Complex(f.splat(re, count), f.splat(im, count))


def _define_pass(module: Module, element: str, radix: int, last: bool) -> None:
    f = Function(module, f"{'last' if last else 'pass'}_{radix}", _PARAMETERS)
    source, target, table, count, stride = f.args

    def turn(p: Reg, q: Reg) -> None:
        start = p * stride + q
        step = count * stride
        found = dft([load_element(f, source, start + step * k, element) for k in range(radix)])
        for k, x in enumerate(found):
            if k and not last:
                x = x * load_factor(f, table, p * (radix - 1) + (k - 1), element)
            store_element(f, x, target, (p * radix + k) * stride + q, element)

    def row(p: Reg, _: list[Reg]) -> None:
        f.loop(0, stride, 1, [], lambda q, _: turn(p, q))

    if last:
        row(f.const("i64", 0), [])
    else:
        f.loop(0, count, 1, [], row)
    f.ret()


def _define_multiply(module: Module, element: str, swapped: bool) -> None:
    """Elements below `count` times those of the table, zeros from there to `stride`.

    Swapped, real and imaginary parts change places: before and after a transform that makes it the
    inverse one.
    """
    f = Function(module, _NAMES[swapped], _PARAMETERS)
    source, target, table, count, total = f.args
    zero = f.const(f"<{lanes_of(module, element)} x {element}>", 0)

    def one(j: Reg, _: list[Reg]) -> None:
        x = load_element(f, source, j, element) * load_factor(f, table, j, element)
        store_element(f, Complex(x.im, x.re) if swapped else x, target, j, element)

    f.loop(0, count, 1, [], one)
    f.loop(count, total, 1, [],
           lambda j, _: store_element(f, Complex(zero, zero), target, j, element))
    f.ret()
