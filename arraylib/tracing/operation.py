"""An operator or function of arrays outside of jit, `x + y` or `jnp.exp(x)`, served by native code.

An operator starts in Python, where NumPy computes it. Once it has been used a few times with
operands of the same types, it is compiled, once for their dtypes, and these calls no longer reach
Python. That is for operations which are rounded correctly, and so give the same bits either way. A
function such as `exp`, whose last bit is anybody's, is compiled when it first meets a dtype, so
that it gives the same bits every time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

import numpy as np

from arraylib import dtypes as dt, numpy
from arraylib.array import Array
from arraylib.backends.cpu.calls.layout import RAW, Caller
from arraylib.backends.cpu.on_demand import part
from arraylib.backends.interface import Executable
from arraylib.config import config
from arraylib.hlo.ir import Graph, Type, is_tracing
from arraylib.launch import Launch, single_launcher
from arraylib.numpy.creation import asarray
from arraylib.tracing.core import trace
from arraylib.tracing.jit import Jitted
from arraylib.tracing.lengths import AnyLength, any_length
from arraylib.tree import LEAF, Structure

KNOWN = 4096  # signatures whose uses are counted
_MOST = 64  # entries of an operator; they are tried one after the other
_DATA = (np.ndarray, np.generic, bool, int, float)  # what is no array yet


class Operation(Caller):
    """An operator as a method of Array, or a function of arrays; `exact`: rounded correctly."""

    often = 16  # uses with operands of the same types after which native code takes over

    def __init__(self, method: Callable[..., Any], exact: bool = True) -> None:
        self._method = self.__wrapped__ = method
        self._exact = exact
        self.__name__, self.__doc__ = method.__name__, method.__doc__
        self.__qualname__, self.__module__ = method.__name__, numpy.__name__
        self._lock = threading.RLock()
        self._forget()
        self.otherwise = self.__call__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        epoch = config.epoch  # before the settings are read: others may change them meanwhile
        compiles = config.jit and config.backend == "cpu" and not kwargs and not config.observed
        if compiles and not self._exact and not is_tracing():
            return self._compiled(epoch, *args)
        result = self._method(*args, **kwargs)
        if compiles and self._exact and result.__class__ is Array:
            self._count(args, result.type, epoch)
        return result

    def __reduce__(self) -> str:
        return self.__name__

    def _compiled(self, epoch: int, *args: Any) -> Any:
        """The function of one array by compiled code, whatever the size; else as it is."""
        x = asarray(args[0]) if args and isinstance(args[0], _DATA) else args[0] if args else None
        if len(args) != 1 or x.__class__ is not Array or dt.is_complex(x.type.dtype):
            return self._method(*args)
        if self._epoch != config.epoch:
            self._forget()
        launches = self._launches
        launch = launches.get(x.type)
        if launch is None:
            made = self._program((x.type.dtype,), (False,))
            if made is None:
                return self._method(x)
            result = x.type.with_dtype(made.dtype)
            result = result.weakened if x.type.weak else result
            executable = made.at([x.type], result)
            if len(launches) > KNOWN:
                launches.clear()
            launch = launches[x.type] = single_launcher(executable)
            if RAW:
                self._serve([x.type], executable, epoch)
        return launch([x.address])

    def _count(self, args: tuple[Any, ...], result: Type, epoch: int) -> None:
        """Count the uses with operands like these; the last of many leads to native code."""
        if self._epoch != config.epoch:
            self._forget()
        if len(self._uses) > KNOWN:
            self._uses.clear()
        key = tuple([x.type if x.__class__ is Array else x.__class__ for x in args])
        uses = self._uses[key] = self._uses.get(key, 0) + 1
        if uses == self._often and not is_tracing():
            self._add(args, result, epoch)

    def _add(self, args: tuple[Any, ...], result: Type, epoch: int) -> None:
        """Serve operands like these by native code from now on, where it can."""
        dtypes = [x.type.dtype for x in args if x.__class__ is Array]
        if not dtypes or any(map(dt.is_complex, dtypes)):
            return  # products and quotients of complex numbers are rounded more than once
        operands = [_operand(x, dtypes[0], result) for x in args]
        if None in operands:
            return
        types = [x if isinstance(x, Type) else Type(x[1], ()) for x in operands]
        numbers = tuple([t.shape != result.shape for t in types])
        made = self._program(tuple([t.dtype for t in types]), numbers)
        if made is not None and made.dtype == result.dtype:
            self._serve(operands, made.at(types, result), epoch)

    def _serve(self, operands: Sequence[Any], executable: Executable, epoch: int,
               guard: Any = None, captured: Sequence[Array] = (), output: Structure = LEAF,
               given: bool = False) -> None:
        """Let native code run the program on operands like these, or what the guard recognises.

        `epoch` is that of the settings under which the program was made.
        """
        calls, entries = part("calls.runtime"), part("calls.entries")
        native = calls.runtime(Array, Jitted)
        guard = guard or entries.operand_guard(operands)
        if native is None or not guard.possible:
            return
        if len(self._entries) >= _MOST:
            self._start_again()
        entry = entries.entry_of(native, guard, executable, captured, output, epoch,
                                 given=given)
        with self._lock:
            if entry is not None and epoch == self._epoch == config.epoch:
                calls.take_over(self.__class__)
                self._entries.append(entry)
                entries.put_first(self, entry)
                self.entry_point = native.call

    def _program(self, dtypes: tuple[dt.Dtype, ...], numbers: tuple[bool, ...]) -> AnyLength | None:
        """The compiled operation; None if it cannot be compiled for any length."""
        key, programs = (dtypes, numbers), self._programs
        if key not in programs:
            def at(length: int) -> Graph | None:
                types = [Type(d, () if number else (length,))
                         for d, number in zip(dtypes, numbers, strict=True)]
                graph, captured = trace(lambda *xs: [self._method(*xs)], types)
                return None if captured else graph
            programs[key] = any_length(at, len(dtypes))
        return programs[key]

    def _forget(self) -> None:
        """Start anew: the settings have changed."""
        with self._lock:
            self._epoch, self._often = config.epoch, self.often
            self.entries = 0
            self._entries: list[Any] = []
            self._uses: dict[Any, int] = {}
            self._launches: dict[Type, Launch] = {}
            self._programs: dict[Any, AnyLength | None] = {}

    def _start_again(self) -> None:
        """Give up all entries, which may be of no use any more; new ones are harder to get."""
        with self._lock:
            self.entries, self._entries = 0, []
            self._uses, self._often = {}, 2 * self._often


def _operand(x: Any, other: dt.Dtype, result: Type) -> Any:
    """An operand as native code knows it: a type, or (class, dtype) of a number; None if not."""
    if x.__class__ is Array:
        return x.type if x.type.shape in (result.shape, ()) else None
    return (x.__class__, dt.promote(other, x.__class__)) if x.__class__ in (int, float) else None
