"""Lanes of a transform brought from arrays into a buffer, and back.

All loads have one signature, all stores another, and are called by number:

    void load(ptr array, ptr buffer, i64 stride, i64 n, i64 valid, i64 swap)
    void store(ptr buffer, ptr array, i64 stride, i64 n, i64 valid, i64 swap, scale, ptr factors,
               ptr turns)

Lanes are neighbouring columns of an array, whose elements are `stride` bytes apart, or rows that
are so far apart. Only the first `valid` lanes exist. With `swap` real and imaginary parts change
places. A buffer has room for whole vectors of elements; those from n on may hold anything.
"""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.emitter import Function, Module, Reg, element_bytes
from arraylib.backends.cpu.fft.butterfly import Complex
from arraylib.backends.cpu.fft.passes import define_table
from arraylib.backends.cpu.fft.vectors import (
    ask,
    element_at,
    gather_vector,
    lanes_of,
    load_element,
    load_factor,
    load_vector,
    scatter_vector,
    store_element,
    store_vector,
    swap_mask,
    swapped_if,
)
from arraylib.backends.cpu.kernel_square import transposed

LOADS, STORES = "loads", "stores"
_LOADS = ["load_columns", "load_real_columns", "load_rows", "load_real_rows", "load_blocks"]
_STORES = ["store_columns", "store_real_columns", "store_rows", "store_real_rows", "store_turned",
           "store_turned_twice"]
COLUMNS, REAL_COLUMNS, ROWS, REAL_ROWS, BLOCKS, BLOCKS_TWICE = range(6)


def define_lines(module: Module, element: str) -> None:
    """The functions and the tables of them."""
    for real in (False, True):
        _define_load_columns(module, element, real)
        _define_load_rows(module, element, real)
        _define_store_columns(module, element, real)
        _define_store_rows(module, element, real)
    _load(module, "load_blocks", element).ret()  # they are read where they lie
    for twice in (False, True):
        _define_store_turned(module, element, twice)
    define_table(module, LOADS, _LOADS)
    define_table(module, STORES, _STORES)


def _load(module: Module, name: str, element: str) -> Function:
    return Function(module, name, [("ptr", "array"), ("ptr", "buffer"), ("i64", "stride"),
                                   ("i64", "n"), ("i64", "valid"), ("i64", "swap")])


def _store(module: Module, name: str, element: str) -> Function:
    return Function(module, name, [
        ("ptr", "buffer"), ("ptr", "array"), ("i64", "stride"), ("i64", "n"), ("i64", "valid"),
        ("i64", "swap"), (element, "scale"), ("ptr", "factors"), ("ptr", "turns")])


def whole_or_part(f: Function, valid: Reg, lanes: int, body: Callable[[Reg | None], None]) -> None:
    """`body(None)` where all lanes are valid, else `body(valid)`."""
    f.branch(valid >= lanes, lambda: body(None), lambda: body(valid))


# -- columns ---------------------------------------------------------------------------------------


def _define_load_columns(module: Module, element: str, real: bool) -> None:
    f = _load(module, _LOADS[REAL_COLUMNS if real else COLUMNS], element)
    array, buffer, stride, n, valid, swap = f.args
    turned = swap_mask(f, element, swap)

    def every(part: Reg | None) -> None:
        def one(j: Reg, _: list[Reg]) -> None:
            x = load_vector(f, f.gep(array, j * stride, "i8"), element, part, real)
            store_element(f, swapped_if(f, turned, x), buffer, j, element)

        f.loop(0, n, 1, [], one)

    whole_or_part(f, valid, lanes_of(module, element), every)
    f.ret()


def _define_store_columns(module: Module, element: str, real: bool) -> None:
    f = _store(module, _STORES[REAL_COLUMNS if real else COLUMNS], element)
    buffer, array, stride, n, valid, swap, scale, *_ = f.args
    turned, lanes = swap_mask(f, element, swap), lanes_of(module, element)
    factor = f.splat(scale, lanes)

    def every(part: Reg | None) -> None:
        def one(j: Reg, _: list[Reg]) -> None:
            x = swapped_if(f, turned, load_element(f, buffer, j, element)).scaled(factor)
            store_vector(f, x, f.gep(array, j * stride, "i8"), element, part, real)

        f.loop(0, n, 1, [], one)

    whole_or_part(f, valid, lanes, every)
    f.ret()


# -- rows ------------------------------------------------------------------------------------------


def _define_load_rows(module: Module, element: str, real: bool) -> None:
    """Squares of as many rows as there are lanes; rows that do not exist are the last again."""
    f = _load(module, _LOADS[REAL_ROWS if real else ROWS], element)
    array, buffer, stride, n, valid, swap = f.args
    turned, lanes = swap_mask(f, element, swap), lanes_of(module, element)
    size = element_bytes(element) * (1 if real else 2)
    starts = [f.gep(array, f.minimum(valid - 1, f.const("i64", k)) * stride, "i8")
              for k in range(lanes)]

    def square(j: Reg, part: Reg | None) -> None:
        rows = [load_vector(f, f.gep(start, j * size, "i8"), element, part, real)
                for start in starts]
        re = transposed(f, [row.re for row in rows])
        im = [row.im for row in rows] if real else transposed(f, [row.im for row in rows])
        for k, x in enumerate(map(Complex, re, im)):
            store_element(f, swapped_if(f, turned, x), buffer, j + k, element)

    every = f.const(f"<{lanes} x i1>", 1)
    places = f.splat(starts[0], lanes)
    for k, start in enumerate(starts[1:], 1):
        places = f.insert(places, start, k)

    def single(j: Reg) -> None:
        x = gather_vector(f, f.gep(places, j * size, "i8"), element, every, real)
        store_element(f, swapped_if(f, turned, x), buffer, j, element)

    _squares(f, n, lanes, square, single)
    f.ret()


def _define_store_rows(module: Module, element: str, real: bool) -> None:
    f = _store(module, _STORES[REAL_ROWS if real else ROWS], element)
    buffer, array, stride, n, valid, swap, scale, *_ = f.args
    turned, lanes = swap_mask(f, element, swap), lanes_of(module, element)
    size = element_bytes(element) * (1 if real else 2)
    factor = f.splat(scale, lanes)

    def square(j: Reg, part: Reg | None) -> None:
        if part is not None:
            _clear(f, buffer, j + part, j + lanes, element)
        found = [swapped_if(f, turned, load_element(f, buffer, j + k, element)).scaled(factor)
                 for k in range(lanes)]
        re = transposed(f, [x.re for x in found])
        im = re if real else transposed(f, [x.im for x in found])
        for k, x in enumerate(map(Complex, re, im)):
            def row(k: int = k, x: Complex = x) -> None:
                place = f.gep(array, f.const("i64", k) * stride + j * size, "i8")
                store_vector(f, x, place, element, part, real)

            f.branch(valid > k, row)

    exists = f.first_lanes(valid, lanes)
    offsets = f.iota(f"<{lanes} x i64>") * f.splat(stride, lanes)

    def single(j: Reg) -> None:
        x = swapped_if(f, turned, load_element(f, buffer, j, element)).scaled(factor)
        places = f.gep(array, offsets + f.splat(j * size, lanes), "i8")
        scatter_vector(f, x, places, element, exists, real)

    _squares(f, n, lanes, square, single)
    f.ret()


def _squares(f: Function, n: Reg, lanes: int, square: Callable[[Reg, Reg | None], None],
             single: Callable[[Reg], None]) -> None:
    """`square(first, None)` for whole vectors of elements; for the rest `square(first, count)`, or
    if it is short `single(element)` for each."""
    whole = n & -lanes
    rest = n - whole

    def singles() -> None:
        f.loop(whole, n, 1, [], lambda j, _: single(j))

    f.loop(0, whole, lanes, [], lambda j, _: square(j, None))
    f.branch(rest <= lanes // 2, singles, lambda: square(whole, rest))


# -- between the two parts of a split transform ----------------------------------------------------


def _define_store_turned(module: Module, element: str, twice: bool) -> None:
    """Elements times factors, lanes and elements in each other's place.

    Each vector of elements becomes as many elements of a buffer of its own, whose lanes they are;
    these buffers are `stride` bytes apart. The factors have the buffer's layout; with `twice` they
    are multiplied by one number more for each element, the `turns`.
    """
    f = _store(module, _STORES[BLOCKS_TWICE if twice else BLOCKS], element)
    buffer, array, stride, n, *_, factors, turns = f.args
    lanes = lanes_of(module, element)

    def turned(j: Reg) -> Complex:
        factor = load_element(f, factors, j, element)
        if twice:
            factor = factor * load_factor(f, turns, j, element)
        return load_element(f, buffer, j, element) * factor

    def square(j: Reg, _: list[Reg]) -> None:
        found = [turned(j + k) for k in range(lanes)]
        re = transposed(f, [x.re for x in found])
        im = transposed(f, [x.im for x in found])
        place = f.gep(array, j.udiv(lanes) * stride, "i8")
        for k, x in enumerate(map(Complex, re, im)):
            store_element(f, x, place, k, element)
            ask(f, element_at(f, place, lanes + k, element), x.re.type, write=True)

    _clear(f, buffer, n, (n + (lanes - 1)) & -lanes, element)
    f.loop(0, n, lanes, [], square)
    f.ret()


def _clear(f: Function, buffer: Reg, low: Reg, high: Reg, element: str) -> None:
    """Zeros in the place of anything: numbers that mean nothing may take long to compute with."""
    zero = f.const(f"<{lanes_of(f.module, element)} x {element}>", 0)
    f.loop(low, high, 1, [], lambda j, _: store_element(
        f, Complex(zero, zero), buffer, j, element))
