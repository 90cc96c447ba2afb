"""What routines share: rows in parallel, vectors with a rest, elements taken and put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from arraylib.backends.cpu.emitter import Function, Module, Reg, bits, lanes, mangle, scalar, vector
from arraylib.backends.cpu.pool_code import PARFOR
from arraylib.backends.cpu.routines.network import LANES


def define_entry(module: Module, symbol: str) -> None:
    """The routine: `rows(args, chunk)` for all chunks, the fifth of the numbers.

    The args are those of the routine: pointers, numbers, scratch.
    """
    f = Function(module, symbol, [("ptr", "pointers"), ("ptr", "numbers"), ("ptr", "scratch")],
                 internal=False)
    args = f.alloca("ptr", 3)
    for i, value in enumerate(f.args):
        f.store(value, f.gep(args, i, "ptr"))
    chunks = f.load(f.gep(f.args[1], 4, "i64"), "i64")
    f.call(PARFOR, "void", [f.address("rows"), args, chunks])
    f.ret()


def called(f: Function, name: str, type: str, args: Sequence[Reg]) -> Reg:
    """The result of a function."""
    found = f.call(name, type, args)
    assert found is not None
    return found


def each_vector(f: Function, n: Reg, body: Callable[[Reg, Reg | None], None],
                count: int = LANES) -> None:
    """`body(index, mask)` for whole vectors of n elements, then for the rest."""
    whole = n & -count
    rest = n - whole
    f.loop(0, whole, count, [], lambda i, _: body(i, None))
    f.branch(f.compare("ne", rest, 0), lambda: body(whole, f.first_lanes(rest, count)))


def load(f: Function, place: Reg, type: str, mask: Reg | None) -> Reg:
    """A vector, or the lanes of it that the mask has."""
    return f.load(place, type) if mask is None else f.masked_load(place, type, mask)


def store(f: Function, x: Reg, place: Reg, mask: Reg | None) -> None:
    """A vector, or the lanes of it that the mask has."""
    if mask is None:
        f.store(x, place)
    else:
        f.masked_store(x, place, mask)


def taken(f: Function, base: Reg, places: Reg, element: str, mask: Reg | None) -> Reg:
    """Elements from places of an array."""
    count = lanes(places.type)
    mask = mask or f.const(f"<{count} x i1>", 1)
    return f.gather(f.gep(base, places, element), vector(element, count), mask)


def append(f: Function, x: Reg, place: Reg, chosen: Reg) -> None:
    """Store the chosen lanes one after the other; what is behind them holds anything."""
    count = lanes(x.type)
    if count * bits(x.type) > f.module.vector_bits:
        half = count // 2
        for part in (range(half), range(half, count)):
            mask = f.shuffle(chosen, None, part)
            append(f, f.shuffle(x, None, part), place, mask)
            place = f.gep(place, counted(f, mask), scalar(x.type))
        return
    other = Reg("poison", x.type, f)
    f.store(f.intrinsic("llvm.experimental.vector.compress", x, chosen, other), place)


def append_exactly(f: Function, x: Reg, place: Reg, chosen: Reg) -> None:
    """Store the chosen lanes one after the other, and nothing behind them."""
    name = f"llvm.masked.compressstore.{mangle(x.type)}"
    f.call(name, "void", [x, place, chosen])


def counted(f: Function, mask: Reg) -> Reg:
    """How many lanes a mask has."""
    packed = f.bitcast(mask, f"i{lanes(mask.type)}")
    return f.cast("zext", f.intrinsic("llvm.ctpop", packed), "i64")
