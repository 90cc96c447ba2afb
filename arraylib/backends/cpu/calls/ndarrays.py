"""NumPy's arrays and scalars as arguments: recognised as they lie, read where they are.

Where an array's number of axes, sizes, dtype and flags are is known from NumPy's own interface of
compiled code, which has not moved them since 1.7; `layout_facts` compares it with what NumPy says.
A dtype is known by the word with its kind, its byte order and its number.

64-bit data where numbers have 32 bits is converted before the program runs, into a block that the
call gives up when it ends. What NumPy would warn of, and what does not fit, is left to Python.
"""

from __future__ import annotations

from ctypes import c_int32, c_int64, c_uint8, c_void_p
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.backends.cpu.calls.layout import HEADER

# Fields of an array behind the address of its elements, and of a dtype.
RANK, SIZES, DTYPE, FLAGS = HEADER + 8, HEADER + 16, HEADER + 40, HEADER + 48
IDENTITY = HEADER + 8  # the characters of kind, type and byte order, flags, and the type's number
DENSE = 0x101  # flags: row-major without gaps, and aligned

SCALARS = frozenset((
    np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
    np.float16, np.float32, np.float64, np.complex64, np.complex128))

# What is converted, by its dtype and the one that it gets: their numbers, the types of their parts
# in LLVM and how many parts there are.
_CONVERTED = {("float64", "float32"): (0, "double", "float", 1),
              ("complex128", "complex64"): (0, "double", "float", 2),
              ("int64", "int32"): (1, "i64", "i32", 1), ("uint64", "uint32"): (2, "i64", "i32", 1)}
_MOST_CONVERTED = 1 << 16  # elements; for more, Python's part of the time does not matter


def identity(dtype: dt.Dtype) -> int:
    """The word by which a dtype is recognised."""
    return c_int64.from_address(id(dtype) + IDENTITY).value


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

    sizes = word(c_void_p, sample, SIZES)
    characters = bytes((c_uint8 * 3).from_address(id(dtype) + IDENTITY))
    return {
        "a NumPy array's number of axes": word(c_int32, sample, RANK) == 2,
        "a NumPy array's sizes": (c_int64 * 2).from_address(sizes)[:] == [3, 3],
        "a NumPy array's dtype": word(c_void_p, flat, DTYPE) == id(flat.dtype),
        "a NumPy array's flags": word(c_int32, sample, FLAGS) == sample.flags.num
            and word(c_int32, flat, FLAGS) == flat.flags.num
            and [each.flags.num & DENSE == DENSE for each in (sample, flat)] == [False, True],
        "what a dtype is": characters == (dtype.kind + dtype.char + dtype.byteorder).encode()
            and word(c_int32, dtype, IDENTITY + 4) == dtype.num,
        "a NumPy scalar's value": word(c_int32, scalar, HEADER) == -12345,
    }  # fmt: skip
