"""The memory that arrays take: how much there is, how much is used, giving back what is cached.

Memory of arrays that are gone is kept for those to come, since the first touch of fresh memory is
slow. The limit is `config.memory_limit`, or else what the machine and its control groups allow.
"""

from __future__ import annotations

from arraylib.backends.cpu import memory
from arraylib.backends.cpu.memory import Stats

__all__ = ["Stats", "limit", "stats", "trim"]


def stats() -> Stats:
    """Bytes obtained from the system, used by arrays, and cached; calls to the system.

        >>> arraylib.memory.stats().used >= 0
        True
    """
    return memory.stats()


def trim() -> int:
    """Give cached memory back to the system, in blocks of 2 MiB and more; how many bytes.

    >>> freed = arraylib.memory.trim()
    """
    before = memory.stats().mapped
    memory.trim()
    return before - memory.stats().mapped


def limit() -> int:
    """The bytes that arrays may take: beyond, OutOfMemoryError is raised before a program runs.

    >>> arraylib.memory.limit() > 2**20
    True
    """
    return memory.limit()
