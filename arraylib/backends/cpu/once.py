"""What is made once in a process, whichever of its threads ask for it first."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """A function without arguments that is called once; the others wait for what it gives.

    `functools.cache` would let two threads that come first both call it. Where it raises, the next
    one tries again.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._found: list[T] = []
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def __call__(self) -> T:
        if not self._found:
            with self._lock:
                if not self._found:
                    self._found.append(self._make())
        return self._found[0]

    def done(self) -> bool:
        """Whether it has been made."""
        return bool(self._found)

    def _renew(self) -> None:
        """A lock nobody holds: who held the old one at a fork is not in the child.

        A thread may come again while it is at it, from a handler of signals.
        """
        self._lock = threading.RLock()
