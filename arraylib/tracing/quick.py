"""The native way into a jitted function: the signatures that are served without Python code.

A call whose arguments one of the entries recognises never reaches `Jitted.__call__`. All others
do; those whose leaves are Arrays, NumPy data or Python numbers come here, to be recognised the
next time.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from arraylib.array import Array
from arraylib.backends.cpu.on_demand import part
from arraylib.config import config
from arraylib.hlo.ir import Type
from arraylib.tracing.arguments import Static
from arraylib.tracing.stages import Entry
from arraylib.tree import Structure

_MOST = 64  # entries of a function; they are tried one after the other


class NativeCalls:
    """The entries of one function, by the words of their guards."""

    __slots__ = ("_entries", "_lock")

    def __init__(self) -> None:
        self._entries: dict[Any, Any] = {}
        self._lock = threading.RLock()

    def add(self, caller: Any, args: Sequence[Any], kwargs: dict[str, Any], structure: Structure,
            static: Static, types: Sequence[Type], entry: Entry, epoch: int) -> None:
        """Serve calls with arguments like these, whose leaves are Arrays, NumPy data or numbers.

        `structure` is that of the arguments that are not static: (positional, by name).
        """
        if len(self._entries) >= _MOST:
            return
        calls = part("calls.runtime")
        native = calls.runtime(Array, caller.__class__)
        if native is None:
            return
        entries = part("calls.entries")
        guard = entries.guard_of(_arguments(args, kwargs, structure, static), tuple(kwargs), types)
        with self._lock:
            key = guard.keywords, guard.count, *guard.words
            if key in self._entries or epoch != config.epoch:
                return
            made = self._entries[key] = entries.entry_of(
                native, guard, entry.executable, entry.captured, entry.output, epoch,
                entry.donated, entry.gone)
            if made is not None:
                calls.take_over(caller.__class__)
                entries.put_first(caller, made)
                caller.entry_point = native.call

    def clear(self, caller: Any) -> None:
        """Serve nothing."""
        if self._entries:
            with self._lock:
                caller.entries = 0
                self._entries.clear()


def _arguments(args: Sequence[Any], kwargs: dict[str, Any], structure: Structure,
               static: Static) -> list[Any]:
    """Each argument as it is passed, with its structure (None: static) and first leaf's number."""
    places = {place for place, _, _ in static}
    positional, words = structure.children
    found = []
    start, children = 0, iter(positional.children)
    for place, value in enumerate(args):
        child = None if place in places else next(children)
        found.append((value, child, start))
        start += child.num_leaves if child else 0
    by_name = {}
    for name, child in zip(words.metadata if words.children else (), words.children, strict=True):
        by_name[name] = child, start
        start += child.num_leaves
    return found + [(value, *by_name.get(name, (None, 0))) for name, value in kwargs.items()]
