"""A row sorted through pairs of a key's word and a place, which are all different."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from arraylib import dtypes as dt
from arraylib.backends.cpu.emitter import Function, Module, Reg, vector
from arraylib.backends.cpu.routines import keys
from arraylib.backends.cpu.routines.network import LANES
from arraylib.backends.cpu.routines.sort_row import PAIR_BYTES, Own, Sort, array
from arraylib.backends.cpu.routines.vectors import each_vector, load, store, taken
from arraylib.backends.cpu.routines.wide import Slot, pointer, slot
from arraylib.dtypes import Dtype

_RANGE = [("ptr", "context"), ("i64", "first"), ("i64", "n")]


def define_row(module: Module, sort: Sort) -> None:
    """`sort_row(context)`, and what `wide` asks for."""
    _define_enter(module, sort)
    _define_takes(module, sort)
    _define_order(module, sort)
    _define_leave(module, sort)
    f = Function(module, "sort_row", [("ptr", "context")])
    (context,) = f.args
    out = f.select(f.compare("ne", slot(f, context, Own.IS_WIDE), 0),
                   pointer(f, context, Slot.PIECES), pointer(f, context, Slot.A))
    f.store(out, f.gep(context, Slot.OUT, "ptr"))

    def put(value: Reg, which: Own) -> None:
        f.store(value, f.gep(context, which, "i64"))

    for number in range(len(sort.words)):
        put(f.const("i64", number), Own.WORD)
        f.call("sort_words", "void", [context])
        order, spare = (pointer(f, context, which) for which in (Own.ORDER, Own.SPARE))
        put(spare, Own.ORDER)
        put(order, Own.SPARE)
    f.ret()


def _define_enter(module: Module, sort: Sort) -> None:
    """`enter(context, first, n, target)`: pairs of n elements, in the order so far."""
    f = Function(module, "enter", [*_RANGE, ("ptr", "target")])
    for number in range(len(sort.words)):
        f.branch(f.compare("eq", slot(f, f.args[0], Own.WORD), number),
                 partial(_enter, f, sort, number))
    f.ret()


def _enter(f: Function, sort: Sort, number: int) -> None:
    context, first, n, target = f.args
    key, word = sort.words[number]
    dtype = sort.keys[key]
    x, order = array(f, context, key, dtype.itemsize), pointer(f, context, Own.ORDER)

    def pairs(i: Reg, mask: Reg | None) -> None:
        if number == 0:
            raw = keys.load(f, x, first + i, dtype, LANES, mask)
        else:
            raw = taken(f, x, _places(f, order, first + i, mask), keys.stored(dtype), mask)
        found = keys.with_places(keys.word(keys.sort_key(raw, dtype), word), first + i)
        store(f, found, f.gep(target, i, "i64"), mask)

    each_vector(f, n, pairs)


def _places(f: Function, order: Reg, i: Reg, mask: Reg | None) -> Reg:
    """Places of an order, as indices."""
    found = load(f, f.gep(order, i, "i32"), vector("i32", LANES), mask)
    return f.cast("zext", found, vector("i64", LANES))


def pair_places(f: Function, pairs: Reg, i: Reg, mask: Reg | None) -> Reg:
    """The places in sorted pairs."""
    return keys.place_in(load(f, f.gep(pairs, i, "i64"), vector("i64", LANES), mask))


def _define_order(module: Module, sort: Sort) -> None:
    """`order0(pairs, before, order, n)`: the places in sorted pairs as the order so far.

    `order1` is for pairs whose places are those in an order before.
    """
    for number in range(min(2, len(sort.words) - 1)):
        f = Function(module, f"order{number}", [("ptr", "pairs"), ("ptr", "before"),
                                                ("ptr", "order"), ("i64", "n")])
        pairs, before, order, n = f.args
        each_vector(f, n, _write_order(f, number, pairs, before, order))
        f.ret()


def _write_order(f: Function, number: int, pairs: Reg, before: Reg,
                 order: Reg) -> Callable[[Reg, Reg | None], None]:
    def write(i: Reg, mask: Reg | None) -> None:
        places = pair_places(f, pairs, i, mask)
        if number:
            found = taken(f, before, places, "i32", mask)
        else:
            found = f.cast("trunc", places, vector("i32", LANES))
        store(f, found, f.gep(order, i, "i32"), mask)
    return write


def _define_takes(module: Module, sort: Sort) -> None:
    """`<way>(x, out, pairs, order, n)`: what an operand has in the order found, in each way."""
    for way in sorted({_way(sort, number) for number in range(len(sort.sizes))}):
        f = Function(module, way, [("ptr", "x"), ("ptr", "out"), ("ptr", "pairs"),
                                   ("ptr", "order"), ("i64", "n")])
        name, size = way.split("_")
        element, indirect = f"i{8 * int(size)}", len(sort.words) > 1
        if name == "key":
            each_vector(f, f.args[4], _key(f, sort.keys[0]))
        else:
            each_vector(f, f.args[4], _take(f, element, indirect, name == "places"))
        f.ret()


def _way(sort: Sort, number: int) -> str:
    """How an operand is put in order: from the keys that were sorted, from the places if those are
    what it has, or else taken from where it lies."""
    size = sort.sizes[number]
    if number in sort.counters:
        return f"places_{size}"
    return f"key_{size}" if number == 0 and len(sort.words) == 1 else f"take_{size}"


def _take(f: Function, element: str, indirect: bool,
          counted: bool) -> Callable[[Reg, Reg | None], None]:
    x, out, pairs, order, _ = f.args

    def take(i: Reg, mask: Reg | None) -> None:
        places = pair_places(f, pairs, i, mask)
        if indirect:
            places = f.cast("zext", taken(f, order, places, "i32", mask), places.type)
        found = f.cast("trunc", places, vector(element, LANES)) if counted \
            else taken(f, x, places, element, mask)
        store(f, found, f.gep(out, i, element), mask)
    return take


def _key(f: Function, dtype: Dtype) -> Callable[[Reg, Reg | None], None]:
    """The elements that keys come from, read again only where several have one key."""
    x, out, pairs, _, _ = f.args
    element = keys.stored(dtype)

    def write(i: Reg, mask: Reg | None) -> None:
        pair = load(f, f.gep(pairs, i, "i64"), vector("i64", LANES), mask)
        key = f.cast("trunc", pair.lshr(keys.WORD), vector("i32", LANES))
        raw = keys.element_of(key, dtype)
        if dt.is_float(dtype):
            unsure = keys.is_of_several(key)
            unsure = unsure if mask is None else unsure & mask
            (raw,) = f.conditional(f.any(unsure), lambda: [f.gather(
                f.gep(x, keys.place_in(pair), element), raw.type, unsure, raw)], [raw])
        store(f, raw, f.gep(out, i, element), mask)
    return write


def _define_leave(module: Module, sort: Sort) -> None:
    """`leave(context, first, n)`: of sorted pairs the order, or at last all operands in order."""
    f = Function(module, "leave", _RANGE)
    context, first, n = f.args
    pairs = f.gep(pointer(f, context, Slot.OUT), first * PAIR_BYTES, "i8")
    before, order = (pointer(f, context, which) for which in (Own.ORDER, Own.SPARE))
    word, last = slot(f, context, Own.WORD), len(sort.words) - 1

    def further(number: int) -> None:
        f.call(f"order{number}", "void", [pairs, before, f.gep(order, first, "i32"), n])

    def take() -> None:
        count = len(sort.sizes)
        for number, size in enumerate(sort.sizes):
            x, out = (array(f, context, which, size) for which in (number, count + number))
            f.call(_way(sort, number), "void", [x, f.gep(out, first * size, "i8"), pairs, before,
                                                n])

    if last > 0:
        f.branch(f.compare("eq", word, 0), lambda: further(0))
    if last > 1:
        f.branch((word > 0) & (word < last), lambda: further(1))
    f.branch(f.compare("eq", word, last), take)
    f.ret()
