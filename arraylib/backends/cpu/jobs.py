"""Work, such as making object files, done by this thread and, meanwhile, by others.

    with Jobs() as jobs:
        first = jobs.add(lambda: target.compile_object(text))
        ...                    # other threads are at it already
        jobs.finish()          # this one helps
        use(first.result)

The other threads live no longer than there is work for them, so a process that forks between two
compilations has none. What comes out does not depend on who made it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

from arraylib.backends.cpu import pool
from arraylib.config import config

_MOST_HELPERS = 7  # beside the caller; a program has few modules


T = TypeVar("T")


class Job(Generic[T]):
    """Work that somebody does once; its result, after `Jobs.finish`."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._result: T | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        """Do the work in this thread."""
        try:
            self._result = self._work()
        except Exception as error:  # raised in the thread that asks for the result
            self._error = error

    @property
    def result(self) -> T:
        """What the work gave; raises what it raised."""
        if self._error is not None:
            raise self._error
        assert self._result is not None, "the job has not been done yet"
        return self._result


class Jobs:
    """Jobs and the threads that do them; a context manager at whose end all threads have ended."""

    def __init__(self) -> None:
        threads = config.compile_threads or pool.threads()
        self._most = min(threads - 1, _MOST_HELPERS)
        self._waiting: deque[Job[Any]] = deque()
        self._helpers: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._waiting.clear()
        for helper in self._helpers:
            helper.join()

    def add(self, work: Callable[[], T]) -> Job[T]:
        """Let somebody do the work."""
        job = Job(work)
        self._waiting.append(job)
        self._helpers = [helper for helper in self._helpers if helper.is_alive()]
        if len(self._helpers) < self._most:
            self._start_helper()
        return job

    def finish(self) -> None:
        """Do what is left, and wait for the others."""
        self._work()
        for helper in self._helpers:
            helper.join()

    def _start_helper(self) -> None:
        helper = threading.Thread(target=self._work, name="arraylib-compile", daemon=True)
        try:
            helper.start()
        except RuntimeError:  # the system allows no more, or Python is about to end
            self._most = 0  # those there are, and `finish`, do it all
        else:
            self._helpers.append(helper)

    def _work(self) -> None:
        """Do jobs until none is waiting. Who comes just after that is done by `finish`."""
        while True:
            try:
                job = self._waiting.popleft()
            except IndexError:
                return
            job.run()
