"""The native way into functions that are one program for each combination of their settings.

A call of such a function looks for its program in Python. What that does depends on the types of
the arrays and on the settings, which native code can compare: it enters the program at once where
it has seen both.
"""

from __future__ import annotations

import threading
from typing import Any

from arraylib.array import Array
from arraylib.backends.cpu.on_demand import part
from arraylib.config import config
from arraylib.numpy.programs import OneProgram
from arraylib.tracing.jit import Jitted
from arraylib.tracing.movement import is_fixed

_MOST = 64  # entries of a function; they are tried one after the other
_KNOWN = 4096  # calls whose uses are counted
_lock = threading.RLock()


class _Served:
    """The entries of a function under one configuration, and how often other calls came."""

    def __init__(self, epoch: int, often: int = 1) -> None:
        self.epoch, self.often = epoch, often
        self.entries: list[Any] = []
        self.uses: dict[Any, int] = {}


def serve(function: OneProgram, settings: Any, args: tuple[Any, ...],
          kwargs: dict[str, Any]) -> None:
    """Let native code take calls like this one, which a program has just taken."""
    types = [x.type for x in args if x.__class__ is Array]
    served = function.served
    if served is None or served.epoch != config.epoch:
        with _lock:
            function.entries = 0
            served = function.served = _Served(config.epoch)
    if len(served.uses) > _KNOWN:
        served.uses.clear()
    key = settings, *types
    uses = served.uses[key] = served.uses.get(key, 0) + 1
    if uses == served.often and not config.placing:
        _add(function, served, args, kwargs)


def _add(function: OneProgram, served: _Served, args: tuple[Any, ...],
         kwargs: dict[str, Any]) -> None:
    calls, entries = part("calls.runtime"), part("calls.entries")
    native = calls.runtime(Array, Jitted)
    guard, leaves = entries.fixed_guard(args, kwargs, Array, is_fixed, {})
    found = function.entry_of(args, kwargs, leaves)
    if native is None or found is None or not found.native:
        return
    entry = entries.entry_of(native, guard, found.executable, found.captured, found.output,
                             served.epoch)
    with _lock:
        if entry is None or served.epoch != config.epoch:
            return
        if len(served.entries) >= _MOST:  # of which some may be of no use any more
            function.entries = 0
            served = function.served = _Served(served.epoch, 2 * served.often)
        calls.take_over(function.__class__)
        served.entries.append(entry)
        entries.put_first(function, entry)
        function.entry_point = native.call
