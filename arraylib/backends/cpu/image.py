"""Machine code that lacks nothing but addresses, and putting it into memory without LLVM.

An image is two runs of bytes, each of whole pages in memory: code with its constants, which nobody
writes, and data. References inside an image are relative and already in it. What is absolute is
listed: places that hold the address of an imported symbol (`slots`), or of something in the image
itself (`bases`). `elf.py` makes images of object files.
"""

from __future__ import annotations

import ctypes
import functools
import json
import mmap
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

MAGIC = b"arraylib-image1\n"
PAGE = 1 << 12  # what protection can differ between, on x86-64

_LENGTH = struct.Struct("<Q")
_WORD = struct.Struct("<Q")
_MASK = (1 << 64) - 1


class Image(NamedTuple):
    """Code, and what it takes to run it; all numbers but addends are offsets or sizes in bytes."""

    content: bytes  # code and constants, then as much of the data as is not zero
    fixed: int  # where data begin, at a whole page
    size: int  # of everything in memory
    exports: Mapping[str, int]
    symbols: Sequence[str]  # imported
    slots: Sequence[tuple[int, int, int]]  # (place, number of the symbol, addend)
    bases: Sequence[tuple[int, int]]  # (place, what it points to)

    def to_bytes(self) -> bytes:
        """The image as a file, which `placed` understands."""
        facts = json.dumps([self.fixed, self.size, dict(self.exports), list(self.symbols),
                            [list(slot) for slot in self.slots],
                            [list(base) for base in self.bases]]).encode()
        return MAGIC + _LENGTH.pack(len(facts)) + facts + self.content


def is_image(content: bytes) -> bool:
    """Whether bytes are an image, rather than an object file."""
    return content.startswith(MAGIC)


def read(content: bytes) -> Image:
    """The image that `to_bytes` wrote."""
    start = len(MAGIC) + _LENGTH.size
    length, = _LENGTH.unpack_from(content, len(MAGIC))
    fixed, size, exports, symbols, slots, bases = json.loads(content[start:start + length])
    return Image(content[start + length:], fixed, size, exports, symbols, slots, bases)


def placed(content: bytes, imports: Mapping[str, int]) -> dict[str, int]:
    """Put an image into memory, for ever, and give the addresses of what it exports.

    Symbols that `imports` lacks are looked up in the process; RuntimeError for one that is nowhere.
    """
    image = read(content)
    addresses = [imports[name] if name in imports else in_process(name) for name in image.symbols]
    start = _mapped(image.size)
    ctypes.memmove(start, image.content, len(image.content))
    memory = (ctypes.c_char * image.size).from_address(start)
    for place, number, addend in image.slots:
        _WORD.pack_into(memory, place, (addresses[number] + addend) & _MASK)
    for place, target in image.bases:
        _WORD.pack_into(memory, place, start + target)
    _protect(start, image.fixed)
    return {name: start + offset for name, offset in image.exports.items()}


def in_process(name: str) -> int:
    """The address of a function or variable of libc, libm or CPython."""
    try:
        found = ctypes.cast(getattr(_process(), name), ctypes.c_void_p).value
    except AttributeError:
        found = None
    if not found:
        raise RuntimeError(f"code needs {name!r}, which this process does not have")
    return found


@functools.cache
def _process() -> Any:
    return ctypes.CDLL(None, use_errno=True)


@functools.cache
def _system_call(name: str) -> Callable[..., Any]:
    """mmap or mprotect, by which memory stays when Python ends: its own mappings go too early."""
    found = getattr(_process(), name)
    if name == "mmap":
        found.restype = ctypes.c_void_p
        found.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int,
                          ctypes.c_int, ctypes.c_int64]
    else:
        found.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    result: Callable[..., Any] = found
    return result


def _mapped(size: int) -> int:
    """New memory, zero, that can be written."""
    start = _system_call("mmap")(None, size, mmap.PROT_READ | mmap.PROT_WRITE,
                                 mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    if start in (None, _MASK):
        raise MemoryError(f"no memory for {size} bytes of code")
    return int(start)


def _protect(start: int, size: int) -> None:
    """From now on this memory can be run, and not written."""
    if _system_call("mprotect")(start, size, mmap.PROT_READ | mmap.PROT_EXEC):
        raise OSError(ctypes.get_errno(), "the system does not let generated code run")
