"""NumPy's arrays and scalars as arguments: recognised as they lie, read where they are.

Where an array's number of axes, sizes, dtype and flags are is known from NumPy's own interface of
compiled code, which has not moved them since 1.7; `layout_facts` compares it with what NumPy says.
A dtype is known by the word with its kind, its byte order and its number.

64-bit data where numbers have 32 bits is converted before the program runs, into a block that the
call gives up when it ends. What NumPy would warn of, and what does not fit, is left to Python.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_int32, c_int64, c_uint8, c_void_p
from functools import partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.backends.cpu.calls.layout import HEADER
from arraylib.backends.cpu.calls.python import at, class_of, field, get, is_null, put
from arraylib.backends.cpu.calls.words import NODE_WORDS, Conversion, Entry
from arraylib.backends.cpu.emitter import Function, Module, Reg

# Fields of an array behind the address of its elements, and of a dtype.
_RANK, _SIZES, _DTYPE, _FLAGS = HEADER + 8, HEADER + 16, HEADER + 40, HEADER + 48
_IDENTITY = HEADER + 8  # the characters of kind, type and byte order, flags, and the type's number
_DENSE = 0x101  # flags: row-major without gaps, and aligned

SCALARS = frozenset((
    np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
    np.float16, np.float32, np.float64, np.complex64, np.complex128))

# What is converted, by its dtype and the one that it gets: their numbers, the types of their parts
# in LLVM and how many parts there are.
_CONVERTED = {("float64", "float32"): (0, "double", "float", 1),
              ("complex128", "complex64"): (0, "double", "float", 2),
              ("int64", "int32"): (1, "i64", "i32", 1), ("uint64", "uint32"): (2, "i64", "i32", 1)}
_LANES = 8
_MOST_CONVERTED = 1 << 16  # elements; for more, Python's part of the time does not matter


def identity(dtype: dt.Dtype) -> int:
    """The word by which a dtype is recognised."""
    return c_int64.from_address(id(dtype) + _IDENTITY).value


def conversion(given: dt.Dtype, wanted: dt.Dtype, size: int) -> tuple[int, int] | None:
    """The number of a conversion, 0 for none, and the count of numbers; None if there is none."""
    if given == wanted:
        return 0, 0
    found = _CONVERTED.get((given.name, wanted.name))
    return (found[0] + 1, size * found[3]) if found and size <= _MOST_CONVERTED else None


def layout_facts() -> dict[str, bool]:
    """Whether arrays, dtypes and scalars of NumPy's are laid out as this module believes."""
    sample, scalar = np.zeros((3, 5), np.int16)[:, ::2], np.int32(-12345)
    flat = np.zeros((2, 7), np.float32)
    dtype = np.dtype(np.int16)

    def word(kind: Any, value: Any, offset: int) -> Any:
        return kind.from_address(id(value) + offset).value

    sizes = word(c_void_p, sample, _SIZES)
    characters = bytes((c_uint8 * 3).from_address(id(dtype) + _IDENTITY))
    return {
        "a NumPy array's number of axes": word(c_int32, sample, _RANK) == 2,
        "a NumPy array's sizes": (c_int64 * 2).from_address(sizes)[:] == [3, 3],
        "a NumPy array's dtype": word(c_void_p, flat, _DTYPE) == id(flat.dtype),
        "a NumPy array's flags": word(c_int32, sample, _FLAGS) == sample.flags.num
            and word(c_int32, flat, _FLAGS) == flat.flags.num
            and [each.flags.num & _DENSE == _DENSE for each in (sample, flat)] == [False, True],
        "what a dtype is": characters == (dtype.kind + dtype.char + dtype.byteorder).encode()
            and word(c_int32, dtype, _IDENTITY + 4) == dtype.num,
        "a NumPy scalar's value": word(c_int32, scalar, HEADER) == -12345,
    }  # fmt: skip


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
    flags = f.load(at(f, value, _FLAGS), "i32") & _DENSE
    f.branch(f.compare("ne", flags, _DENSE), miss)
    kind = f.load(at(f, field(f, value, _DTYPE), _IDENTITY), "i64")
    f.branch(f.compare("ne", kind, get(f, position, 1, "i64")), miss)
    rank = get(f, position, NODE_WORDS, "i64")
    f.branch(f.compare("ne", f.cast("sext", f.load(at(f, value, _RANK), "i32"), "i64"), rank), miss)
    sizes, wanted = field(f, value, _SIZES), f.gep(position, NODE_WORDS + 1, "i64")

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
