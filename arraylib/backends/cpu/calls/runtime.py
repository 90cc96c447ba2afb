"""Native calls in this process: loaded at first use, tested, and given the classes to work for.

Two classes written in Python, of arrays and of jitted functions, become partly native in place:
arrays get a new deallocator, and callers the flags that make Python enter them by their own entry.
This writes to the class objects at offsets that CPython has kept since 3.8; `_check_layout`
compares what is there with what the interpreter says first. Whatever fails, calls stay in Python,
and one warning says why.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import warnings
from contextvars import Context
from ctypes import c_int64, c_ulong, c_void_p, pythonapi
from typing import Any

import numpy as np

from arraylib.backends.cpu import interrupt, kept, memory, target
from arraylib.backends.cpu.block import Block, address_of
from arraylib.backends.cpu.calls import layout, names, ndarrays
from arraylib.backends.cpu.calls.trial import try_call
from arraylib.backends.cpu.calls.words import Home
from arraylib.backends.cpu.on_demand import part
from arraylib.config import config, epoch_word
from arraylib.hlo.ir import _bottom, _current, building
from arraylib.record import record

# A class object: where its fields are, behind the header and the number of its members.
_FIELDS = layout.HEADER + 8
_SIZE, _DEALLOC, _VECTORCALL = _FIELDS + 8, _FIELDS + 3 * 8, _FIELDS + 4 * 8
_FLAGS = _FIELDS + 18 * 8
_HAS_VECTORCALL, _IS_METHOD = 1 << 11, 1 << 17
_DEALLOC_SLOT = 52  # its number in CPython's stable interface

_LARGEST = 1 << 18  # bytes of blocks that the free lists keep


@record
class Runtime:
    """Where the native code is, and its free lists by size class."""

    call: int
    dealloc: int
    example: int
    homes: int  # the free lists
    numbers: dict[int, int]  # of the list for each size of blocks

    def home(self, nbytes: int) -> int:
        """The address of the free list for blocks of this size; 0 where they are too large."""
        size = memory.class_size(nbytes)
        if size > _LARGEST:
            return 0
        number = self.numbers.setdefault(size, len(self.numbers))
        self._row(number)[Home.NBYTES] = size
        return self.homes + 8 * Home.SIZE * number

    def cached(self) -> int:
        """Bytes of all blocks in the free lists."""
        return sum(size * self._row(number)[Home.COUNT]
                   for size, number in list(self.numbers.items()))

    def _row(self, number: int) -> Any:
        return (c_int64 * Home.SIZE).from_address(self.homes + 8 * Home.SIZE * number)


_lock = threading.RLock()
_found: list[Runtime | None] = []


def runtime(array: type, caller: type) -> Runtime | None:
    """The native calls of this process, serving these two classes; None where there are none."""
    if not config.native_calls:
        return None
    if not _found:
        with _lock:
            if not _found:
                _found.append(_start(array, caller))
    return _found[0]


def _start(array: Any, caller: Any) -> Runtime | None:
    if not layout.RAW:
        _warn(layout.why_not() or "config.native_calls was off when arraylib was imported")
        return None
    before = _word(array, _DEALLOC).value
    try:
        _check_layout(array, caller)
        found = _link(array, caller)
        _word(array, _DEALLOC).value = found.dealloc
        take_over(caller)
        Context().run(try_call, found.call, found.example, found.home(64), array, caller)
    except Exception as error:  # whatever is wrong here, Python can do without
        _word(array, _DEALLOC).value = before
        _flags(caller).value &= ~(_HAS_VECTORCALL | _IS_METHOD)
        _warn(str(error))
        return None
    memory.also_cached(found.cached)
    return found


def _warn(reason: str) -> None:
    warnings.warn(f"calls stay in Python, which is slower: {reason}", RuntimeWarning, stacklevel=6)


# Classes

def take_over(caller: type) -> None:
    """Let Python enter instances of a subclass of Caller by their entry point, if they have one."""
    _flags(caller).value |= _HAS_VECTORCALL | _IS_METHOD


def _word(value: Any, offset: int) -> c_void_p:
    return c_void_p.from_address(id(value) + offset)


def _flags(cls: type) -> c_ulong:
    return c_ulong.from_address(id(cls) + _FLAGS)


def _check_layout(array: Any, caller: Any) -> None:
    """RuntimeError unless class objects and instances are laid out as this module believes."""
    slot = pythonapi.PyType_GetSlot
    slot.restype, slot.argtypes = c_void_p, [ctypes.py_object, ctypes.c_int]
    sample, parts = np.zeros(3), (object(), object(), object())
    cut = slice(*parts)
    facts = {
        "a class's size": _word(array, _SIZE).value == array.__basicsize__ == layout.WEAK + 8,
        "a class's deallocator": _word(array, _DEALLOC).value == slot(array, _DEALLOC_SLOT),
        "a class's flags": _flags(caller).value == caller.__flags__,
        "a class's entry": _word(caller, _VECTORCALL).value == layout.VECTORCALL,
        "a NumPy array's data":
            _word(sample, layout.HEADER).value == address_of(sample),
        "an object's number of references":
            _word(sample, layout.COUNT).value == sys.getrefcount(sample) - 1,
        "a slice's parts":
            (c_void_p * 3).from_address(id(cut) + layout.HEADER)[:] == [*map(id, parts)],
        "what is collected": _is_tracked(layout.TRACKED),
        "an object's class": _word(array, layout.CLASS).value == id(type(array)),
        **ndarrays.layout_facts(),
    }
    wrong = [name for name, right in facts.items() if not right]
    if wrong:
        raise RuntimeError(f"{' and '.join(wrong)} is not where it is expected in this Python")


def _is_tracked(offset: int) -> bool:
    """Whether a word before an object is 0 exactly where the collector of cycles ignores it."""
    sample: list[Any] = []
    before = _word(sample, offset).value
    pythonapi.PyObject_GC_UnTrack(ctypes.py_object(sample))
    after = _word(sample, offset).value
    pythonapi.PyObject_GC_Track(ctypes.py_object(sample))
    return bool(before) and not after


# Code

def _link(array: Any, caller: Any) -> Runtime:
    machine = target.current()
    image = kept.built([b"calls", str(layout.HEADER).encode()],
                       lambda: part("calls.code").module(machine.new_module()).text())
    slow = caller.__call__
    imports = {names.ARRAY: id(array), names.NUMPY: id(np.ndarray), names.SLOW: id(slow),
               names.BUILDER: id(_current), names.BUILDING: ctypes.addressof(building),
               names.EAGER: id(_bottom[0]),
               names.EPOCH: ctypes.addressof(epoch_word),
               names.REFILL: _address(_refill), names.LARGE: _address(_large),
               **interrupt.settling()}
    places = target.link([image], names.EXPORTS, imports)
    # Arrays may die after everything else, when the interpreter ends: the code stays until then.
    for needed in (array, caller, slow, *target.linked()):
        pythonapi.Py_IncRef(ctypes.py_object(needed))
    homes = ctypes.PYFUNCTYPE(c_void_p)(places[names.HOMES])()
    return Runtime(places[names.CALL], places[names.DEALLOC], places[names.EXAMPLE], homes, {})


def _address(function: Any) -> int:
    found = ctypes.cast(function, c_void_p).value
    assert found is not None
    return found


@ctypes.PYFUNCTYPE(c_void_p, c_void_p)
def _refill(home: int) -> int:
    """A block for a free list that is empty; 0 if there is no memory."""
    try:
        return memory.allocate(c_int64.from_address(home + 8 * Home.NBYTES).value)
    except MemoryError:
        return 0


@ctypes.PYFUNCTYPE(ctypes.py_object, c_int64, c_void_p)
def _large(nbytes: int, place: int) -> Block | None:
    """A block too large for the free lists, its address at `place`; 0 if there is no memory."""
    try:
        block = Block(nbytes)
    except MemoryError:
        c_void_p.from_address(place).value = 0
        return None
    c_void_p.from_address(place).value = block.address
    return block
