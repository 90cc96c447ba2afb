"""Operations that NumPy computes inside a native program.

The program calls one function, whatever the operation: it names itself (by the number in its
context), the call, and the addresses of operands and results. An exception cannot pass through
native code: it is kept, the program returns at once, and `guarded` raises it again.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from arraylib.backends.cpu.block import view
from arraylib.errors import Source
from arraylib.hlo.ir import Type
from arraylib.hlo.opdef import OpDef

SYMBOL = "arraylib_host"

_PROTOTYPE = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)


class HostCall(NamedTuple):
    """One operation of a program that runs in NumPy."""

    op: OpDef
    attrs: dict[str, Any]
    operands: tuple[Type, ...]
    results: tuple[Type, ...]
    where: Source | None = None

    def __call__(self, addresses: Sequence[int]) -> None:
        """Compute; `addresses` are those of operands, then results, all dense."""
        types = (*self.operands, *self.results)
        arrays = [view(a, t, None, writable=i >= len(self.operands))
                  for i, (a, t) in enumerate(zip(addresses, types, strict=True))]
        targets = arrays[len(self.operands):]
        found = self.op.evaluate(arrays[:len(self.operands)], self.attrs)
        for value, target, type in zip(found, targets, self.results, strict=True):
            value = np.asarray(value)
            assert Type(value.dtype, value.shape) is type, \
                f"{self.op.name} gave {value.dtype}{value.shape} where its type rule says {type}"
            np.copyto(target, value)


class HostCalls:
    """The host calls of one program, under the number by which native code knows it."""

    def __init__(self, calls: Sequence[HostCall]) -> None:
        self.calls = tuple(calls)
        self.number = next(_numbers)
        _programs[self.number] = self


_numbers = itertools.count(1)
_programs: weakref.WeakValueDictionary[int, HostCalls] = weakref.WeakValueDictionary()
_failed = threading.local()


def _call(program: int, number: int, words: int) -> int:
    """What native code calls: 0 when all went well."""
    try:
        call = _programs[program].calls[number]
        count = len(call.operands) + len(call.results)
        call(list((ctypes.c_uint64 * count).from_address(words)))
        return 0
    except BaseException as error:  # whatever it is, it goes round the native code
        _failed.error = error
        return 1


@functools.cache
def _callback() -> Any:
    return _PROTOTYPE(_call)


def symbols() -> dict[str, int]:
    """The address to import when a program with host calls is linked."""
    address = ctypes.cast(_callback(), ctypes.c_void_p).value
    assert address is not None
    return {SYMBOL: address}


def guarded(native: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The program's entry that raises what a host call raised."""
    def entry(words: bytes) -> None:
        native(words)
        error = vars(_failed).pop("error", None)
        if error is not None:
            raise error
    return entry
