"""Complex numbers in vectors: from a buffer, from an array, from a table.

A buffer holds one vector of real and one of imaginary parts for each element; in an array and in a
table the two parts of a number are neighbours.
"""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Module, Reg, element_bytes
from arraylib.backends.cpu.fft.butterfly import Complex


def lanes_of(module: Module, element: str) -> int:
    """Lanes of a vector of real parts."""
    return module.vector_bits // 8 // element_bytes(element)


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


def load_vector(f: Function, place: Reg, element: str, valid: Reg | None,
                real: bool = False) -> Complex:
    """Neighbouring numbers; those from `valid` on are zeros."""
    lanes = lanes_of(f.module, element)
    count = lanes if real else 2 * lanes
    type = f"<{count} x {element}>"
    if valid is None:
        x = f.load(place, type)
    else:
        x = f.masked_load(place, type, f.first_lanes(valid if real else valid * 2, count))
    if real:
        return Complex(x, f.const(type, 0))
    return Complex(f.shuffle(x, None, range(0, count, 2)), f.shuffle(x, None, range(1, count, 2)))


def store_vector(f: Function, x: Complex, place: Reg, element: str, valid: Reg | None,
                 real: bool = False) -> None:
    """Neighbouring numbers, those below `valid` only."""
    lanes = lanes_of(f.module, element)
    count = lanes if real else 2 * lanes
    joined = x.re if real else f.shuffle(
        x.re, x.im, [k // 2 + k % 2 * lanes for k in range(2 * lanes)])
    if valid is None:
        f.store(joined, place)
    else:
        f.masked_store(joined, place, f.first_lanes(valid if real else valid * 2, count))


def gather_vector(f: Function, places: Reg, element: str, mask: Reg, real: bool) -> Complex:
    """Numbers from places of their own."""
    lanes = lanes_of(f.module, element)
    type = f"<{lanes} x {element}>"
    if real:
        return Complex(f.gather(places, type, mask), f.const(type, 0))
    if element == "float":  # both parts at once
        pairs = f.bitcast(f.gather(places, f"<{lanes} x i64>", mask), f"<{2 * lanes} x float>")
        return Complex(f.shuffle(pairs, None, range(0, 2 * lanes, 2)),
                       f.shuffle(pairs, None, range(1, 2 * lanes, 2)))
    return Complex(f.gather(places, type, mask),
                   f.gather(f.gep(places, 1, element), type, mask))


def scatter_vector(f: Function, x: Complex, places: Reg, element: str, mask: Reg,
                   real: bool) -> None:
    """Numbers to places of their own, where the mask is set."""
    lanes = lanes_of(f.module, element)
    if not real and element == "float":
        pairs = f.shuffle(x.re, x.im, [k // 2 + k % 2 * lanes for k in range(2 * lanes)])
        f.scatter(f.bitcast(pairs, f"<{lanes} x i64>"), places, mask)
        return
    f.scatter(x.re, places, mask)
    if not real:
        f.scatter(x.im, f.gep(places, 1, element), mask)


def swap_mask(f: Function, element: str, swap: Reg) -> Reg:
    """A mask of all lanes or none, for a number that is not 0 or 0."""
    return f.splat(f.compare("ne", swap, 0), lanes_of(f.module, element))


def swapped_if(f: Function, swap: Reg, x: Complex) -> Complex:
    """Real and imaginary parts in each other's place, or as they are, by a mask."""
    return Complex(f.select(swap, x.im, x.re), f.select(swap, x.re, x.im))


def ask(f: Function, place: Reg, type: str, write: bool = False) -> None:
    """Ask for the lines of two vectors."""
    f.prefetch(place, write=write)
    f.prefetch(f.gep(place, 1, type), write=write)
