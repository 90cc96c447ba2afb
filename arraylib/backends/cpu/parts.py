"""A module handed on in parts while it is written, so that others compile what there is already.

A part is a module of its own: some functions, what they use of the module's globals, and
declarations of what is defined elsewhere. Its functions are hidden symbols, which the parts of one
program see when they are linked together. Where a part ends depends on the text alone, so that a
program is always the same parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from arraylib.backends.cpu.emitter import Function
from arraylib.backends.cpu.module import Module

ENOUGH = 32_000  # characters: some 20 ms of code generation, where a module by itself costs two
_NAMES = re.compile(r"@([\w.$-]+)")


class Parts:
    """What of a module has been handed on to `ready`, and what is still to come."""

    def __init__(self, module: Module, ready: Callable[[str], object]) -> None:
        self._module, self._ready = module, ready
        self._handed = False  # anything
        self._seen = 0  # functions of the module that are handed on, or wait to be
        self._open: list[Function] = []  # still being written
        self._texts: list[str] = []  # of functions that wait
        self._names: set[str] = set()  # of those

    def offer(self) -> None:
        """Hand on what is complete, if it is enough for a part."""
        self._collect()
        if sum(map(len, self._texts)) >= ENOUGH:
            self._hand_on()

    def finish(self) -> None:
        """Hand on the rest; everything is complete now."""
        self._collect()
        if not self._handed:
            self._ready(self._module.text())
        elif self._texts:
            self._hand_on()

    def _collect(self) -> None:
        functions = self._module.functions
        found = [*self._open, *functions[self._seen:]]
        self._seen = len(functions)
        self._open = [function for function in found if not function.is_complete]
        for function in found:
            if function.is_complete:
                self._texts.append(function.definition(apart=True))
                self._names.add(function.name)

    def _hand_on(self) -> None:
        needed = self._needed()
        self._ready("\n".join([*needed, *self._texts, *self._module.tail()]) + "\n")
        self._texts, self._names, self._handed = [], set(), True

    def _needed(self) -> list[str]:
        """Globals and declarations that the waiting functions use, and those that globals use."""
        module, found = self._module, dict[str, str]()
        texts = list(self._texts)
        while texts:
            for name in dict.fromkeys(_NAMES.findall(texts.pop())):
                if name in found or name in self._names:
                    continue
                if name in module.globals:
                    texts.append(module.globals[name])
                    found[name] = module.globals[name]
                elif name in module.named:
                    found[name] = module.named[name].declaration
                else:
                    found[name] = module.declarations[name]
        return list(found.values())
