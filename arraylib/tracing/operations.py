"""The operators of arrays outside of jit: `x + y` and the like, served by native code.

An operator starts in Python. Once it has been used a few times with operands of the same types, it
is compiled, once for their dtypes, and these calls no longer reach Python. Only operations are
here that give the same bits either way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import MethodType
from typing import Any

from arraylib import dtypes as dt
from arraylib.array import Array
from arraylib.backends.cpu.calls.layout import RAW, Caller
from arraylib.backends.cpu.on_demand import part
from arraylib.config import config
from arraylib.hlo.ir import Graph, Type, is_tracing
from arraylib.operators import Operators
from arraylib.tracing.core import trace
from arraylib.tracing.jit import Jitted
from arraylib.tracing.lengths import AnyLength, any_length
from arraylib.tree import LEAF

_OFTEN = 16  # uses with operands of the same types after which native code takes over
_KNOWN = 4096  # signatures whose uses are counted
_MOST = 64  # entries of an operator; they are tried one after the other
_NAMES = ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "and", "rand", "or",
          "ror", "xor", "rxor", "eq", "ne", "lt", "le", "gt", "ge", "neg")


class Operation(Caller):
    """An operator as a method of Array."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = self.__wrapped__ = method
        self.__name__, self.__doc__ = method.__name__, method.__doc__
        self._lock = threading.RLock()
        self._forget()
        self.otherwise = self.__call__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: Any) -> Any:
        result = self._method(*args)
        if result.__class__ is Array and config.jit and config.backend == "cpu":
            self._count(args, result.type)
        return result

    def _count(self, args: tuple[Any, ...], result: Type) -> None:
        """Count the uses with operands like these; the last of many leads to native code."""
        if self._epoch != config.epoch:
            self._forget()
        if len(self._uses) > _KNOWN:
            self._uses.clear()
        key = tuple([x.type if x.__class__ is Array else x.__class__ for x in args])
        uses = self._uses[key] = self._uses.get(key, 0) + 1
        if uses == _OFTEN and not is_tracing():
            self._add(args, result)

    def _add(self, args: tuple[Any, ...], result: Type) -> None:
        """Serve operands like these by native code from now on, where it can."""
        calls, entries = part("calls.runtime"), part("calls.entries")
        native = calls.runtime(Array, Jitted)
        operands = [_operand(x, args[0].type.dtype, result) for x in args]
        if native is None or None in operands or len(self._entries) >= _MOST:
            return
        guard = entries.operand_guard(operands)
        if not guard.possible:
            return
        types = [x if isinstance(x, Type) else Type(x[1], ()) for x in operands]
        numbers = tuple([t.shape != result.shape for t in types])
        made = self._program(tuple([t.dtype for t in types]), numbers)
        if made is None or made.dtype != result.dtype:
            return
        entry = entries.entry_of(native, guard, made.at(types, result), (), LEAF, self._epoch)
        with self._lock:
            if entry is not None and self._epoch == config.epoch:
                calls.take_over(Operation)
                self._entries.append(entry)
                entries.put_first(self, entry)
                self.entry_point = native.call

    def _program(self, dtypes: tuple[dt.Dtype, ...], numbers: tuple[bool, ...]) -> AnyLength | None:
        """The compiled operation; None if it cannot be compiled for any length."""
        key = dtypes, numbers
        if key not in self._programs:
            def at(length: int) -> Graph | None:
                types = [Type(d, () if number else (length,))
                         for d, number in zip(dtypes, numbers, strict=True)]
                graph, captured = trace(lambda *xs: [self._method(*xs)], types)
                return None if captured else graph
            self._programs[key] = any_length(at, len(dtypes))
        return self._programs[key]

    def _forget(self) -> None:
        """Start anew: the settings have changed."""
        with self._lock:
            self.entries, self._epoch = 0, config.epoch
            self._uses: dict[Any, int] = {}
            self._entries: list[Any] = []
            self._programs: dict[Any, AnyLength | None] = {}


def _operand(x: Any, other: dt.Dtype, result: Type) -> Any:
    """An operand as native code knows it: a type, or (class, dtype) of a number; None if not."""
    if x.__class__ is Array:
        return x.type if x.type.shape in (result.shape, ()) else None
    return (x.__class__, dt.promote(other, x.__class__)) if x.__class__ in (int, float) else None


def install_operations() -> None:
    """Give Array these operators, where native code can serve them."""
    for name in _NAMES if RAW else ():
        setattr(Array, f"__{name}__", Operation(getattr(Operators, f"__{name}__")))
