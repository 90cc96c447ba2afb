"""The parts of arrays and jitted functions that native code reads: two base classes with raw words.

`Storage` is the base of arrays, `Caller` of what is called like a function. Where native calls are
wanted and CPython allows it, they are types made through its type-specification interface, whose
fields are at fixed offsets behind the object header; elsewhere (PyPy, free-threaded builds, or
with `config.native_calls` off from the start) they are plain Python classes with the same
attributes. No native code is needed to make them: `runtime.py` loads that at first use.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from arraylib.config import config

# Fields of an object start behind its header, whose last words are the number of references to it
# and its class.
HEADER = object.__basicsize__
COUNT, CLASS = HEADER - 16, HEADER - 8
TRACKED = -16  # before an object: a word that is 0 unless the collector of cycles knows of it

# Storage. `place` is the address of the elements, 0 where it is not known or the array is gone.
# `home` is the free list that the memory goes back to where the array owns it; its owner is None,
# or null, which Python sees as None.
PLACE, HOME, TYPE, OWNER, WEAK = (HEADER + 8 * i for i in range(5))

# Caller: the native entry or 0, the list of guarded programs, and who serves the other calls
# (nobody: the class's own `__call__`).
VECTORCALL, ENTRIES, OTHERWISE = (HEADER + 8 * i for i in range(3))

# From CPython's stable interface: kinds of members, slots and flags of type specifications.
_OBJECT_OR_NONE, _OBJECT, _WORD, _SIZE, _READ_ONLY = 6, 16, 18, 19, 1
_MEMBERS = 72
_DEFAULT, _BASE = 1 << 18, 1 << 10


class _Member(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("kind", ctypes.c_int), ("offset", ctypes.c_ssize_t),
                ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)]


class _Slot(ctypes.Structure):
    _fields_ = [("number", ctypes.c_int), ("content", ctypes.c_void_p)]


class _Specification(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("size", ctypes.c_int), ("item_size", ctypes.c_int),
                ("flags", ctypes.c_uint), ("slots", ctypes.POINTER(_Slot))]


_kept: list[Any] = []  # the interpreter keeps pointers into specifications


def why_not() -> str:
    """Why this interpreter cannot have native calls; empty if it can."""
    if sys.implementation.name != "cpython":
        return f"the interpreter is {sys.implementation.name}, not CPython"
    if "free-threading" in sys.version:
        return "this build of Python has no global lock"
    if hasattr(sys, "gettotalrefcount"):
        return "this is a debug build of Python, which keeps account of all references"
    if ctypes.sizeof(ctypes.c_void_p) != 8 or sys.byteorder != "little":
        return "pointers are not 64-bit little-endian words"
    return ""


def _raw_class(name: str, size: int, members: Sequence[tuple[bytes, int, int, int]]) -> Any:
    """A class whose instances have these members (name, kind, offset, flags) and `size` bytes."""
    fields = (_Member * (len(members) + 1))(*[_Member(*m, None) for m in members])
    slots = (_Slot * 2)(_Slot(_MEMBERS, ctypes.addressof(fields)))
    specification = _Specification(f"{__name__}.{name}".encode(), size, 0, _DEFAULT | _BASE, slots)
    _kept.append((fields, slots, specification))
    make = ctypes.pythonapi.PyType_FromSpec
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p]
    return make(ctypes.addressof(specification))


class Storage:
    """What an array is made of, in plain Python; nothing uses `home` then."""

    __slots__ = ("__weakref__", "home", "owner", "place", "type")
    place: int
    home: int
    type: Any
    owner: Any


class Caller:
    """What is called like a function, in plain Python: by the `__call__` of its class."""

    entry_point: int
    entries: int
    otherwise: Any


RAW = config.native_calls and not why_not()

if RAW and not TYPE_CHECKING:
    Storage = _raw_class("Storage", WEAK + 8, [
        (b"place", _WORD, PLACE, 0), (b"home", _WORD, HOME, 0), (b"type", _OBJECT, TYPE, 0),
        (b"owner", _OBJECT_OR_NONE, OWNER, 0), (b"__weaklistoffset__", _SIZE, WEAK, _READ_ONLY)])
    Caller = _raw_class("Caller", OTHERWISE + 8, [
        (b"__vectorcalloffset__", _SIZE, VECTORCALL, _READ_ONLY),
        (b"entry_point", _WORD, VECTORCALL, 0), (b"entries", _WORD, ENTRIES, 0),
        (b"otherwise", _OBJECT, OTHERWISE, 0)])
