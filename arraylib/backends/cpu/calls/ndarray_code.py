"""The native code that recognises NumPy's data as arguments and converts it: `ndarrays.py`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from arraylib.backends.cpu.calls.layout import HEADER
from arraylib.backends.cpu.calls.ndarrays import DENSE, DTYPE, FLAGS, IDENTITY, RANK, SIZES
from arraylib.backends.cpu.calls.python import at, class_of, field, get, is_null, put
from arraylib.backends.cpu.calls.words import NODE_WORDS, Conversion, Entry
from arraylib.backends.cpu.emitter import Function, Module, Reg

_LANES = 8


def define_ndarrays(module: Module, numpy_class: str) -> None:
    """`ndarray` and `scalar` recognise arguments; `convert` is for those that are read otherwise.
    """
    _define_ndarray(module, numpy_class)
    _define_scalar(module)
    _define_convert(module)


def _function(module: Module, name: str) -> tuple[Function, Callable[[], None]]:
    """What notes an argument: its result is the position behind the node, or null."""
    f = Function(module, name, [("ptr", x) for x in ("value", "position", "words", "leaves")],
                 result="ptr")
    return f, lambda: f.ret(f.const("ptr", 0))


def _note(f: Function, place: Reg) -> None:
    value, position, words, leaves = f.args
    slot = get(f, position, 2, "i64")
    put(f, place, words, slot)
    put(f, value, leaves, slot)


def _define_ndarray(module: Module, numpy_class: str) -> None:
    f, miss = _function(module, "ndarray")
    value, position, _, _ = f.args
    f.branch(f.compare("ne", class_of(f, value), f.address(numpy_class)), miss)
    flags = f.load(at(f, value, FLAGS), "i32") & DENSE
    f.branch(f.compare("ne", flags, DENSE), miss)
    kind = f.load(at(f, field(f, value, DTYPE), IDENTITY), "i64")
    f.branch(f.compare("ne", kind, get(f, position, 1, "i64")), miss)
    rank = get(f, position, NODE_WORDS, "i64")
    f.branch(f.compare("ne", f.cast("sext", f.load(at(f, value, RANK), "i32"), "i64"), rank), miss)
    sizes, wanted = field(f, value, SIZES), f.gep(position, NODE_WORDS + 1, "i64")

    def one(number: Reg, _: list[Reg]) -> None:
        size = get(f, sizes, number, "i64")
        f.branch(f.compare("ne", size, get(f, wanted, number, "i64")), miss)

    f.loop(0, rank, 1, [], one)
    place = field(f, value, HEADER)
    f.branch(is_null(f, place), miss)
    _note(f, place)
    f.ret(f.gep(wanted, rank, "i64"))


def _define_scalar(module: Module) -> None:
    f, miss = _function(module, "scalar")
    value, position, _, _ = f.args
    f.branch(f.compare("ne", class_of(f, value), get(f, position, 1)), miss)
    _note(f, at(f, value, HEADER))
    f.ret(f.gep(position, NODE_WORDS, "i64"))


def _define_convert(module: Module) -> None:
    """`convert`: 64-bit leaves, whose addresses are among the words, to 32 bits in blocks.

    It is false if a number does not fit.
    """
    f = Function(module, "convert", [("ptr", x) for x in ("program", "words", "places")],
                 result="i1")
    entry, words, places = f.args
    rows = get(f, entry, Entry.CONVERSIONS)

    def one(number: Reg, _: list[Reg]) -> None:
        row = f.gep(rows, number * Conversion.SIZE, "i64")
        slot = get(f, row, Conversion.SLOT, "i64")
        target = get(f, places, get(f, row, Conversion.BLOCK, "i64"))
        parts = get(f, words, slot), target, get(f, row, Conversion.COUNT, "i64")
        kind = get(f, row, Conversion.KIND, "i64")
        for which, emit in enumerate((_floats, _integers("sext"), _integers("zext")), 1):
            f.branch(f.compare("eq", kind, which), partial(emit, f, *parts))
        put(f, target, words, slot)

    f.loop(0, get(f, entry, Entry.CONVERSION_COUNT, "i64"), 1, [], one)
    f.ret(f.const("i1", 1))


def _each(f: Function, count: Reg, convert: Callable[[Reg, str], Reg]) -> None:
    """Convert all numbers, by vectors and then one by one.

    Leave the function where the conversion of one was not right: `convert` says of which.
    """
    whole = count - (count & (_LANES - 1))
    lanes, = f.loop(0, whole, _LANES, [f.const(f"<{_LANES} x i1>", 0)],
                    lambda i, wrong: [wrong[0] | convert(i, f"<{_LANES} x {{}}>")])
    single, = f.loop(whole, count, 1, [f.any(lanes)],
                     lambda i, wrong: [wrong[0] | convert(i, "{}")])
    f.branch(single, lambda: f.ret(f.const("i1", 0)))


def _floats(f: Function, source: Reg, target: Reg, count: Reg) -> None:
    def several(number: Reg, kind: str) -> Reg:
        given = f.load(f.gep(source, number, "double"), kind.format("double"), 8)
        found = f.cast("fptrunc", given, kind.format("float"))
        f.store(found, f.gep(target, number, "float"), 4)
        infinite = [f.compare("oeq", f.absolute(x), float("inf")) for x in (found, given)]
        return infinite[0] & ~infinite[1]  # an overflow, of which NumPy warns

    _each(f, count, several)


def _integers(widen: str) -> Callable[..., None]:
    def emit(f: Function, source: Reg, target: Reg, count: Reg) -> None:
        def several(number: Reg, kind: str) -> Reg:
            given = f.load(f.gep(source, number, "i64"), kind.format("i64"), 8)
            found = f.cast("trunc", given, kind.format("i32"))
            f.store(found, f.gep(target, number, "i32"), 4)
            return f.compare("ne", f.cast(widen, found, kind.format("i64")), given)

        _each(f, count, several)
    return emit
