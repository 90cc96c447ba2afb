"""What happened when, kept while someone records it: see `arraylib.profiler`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

from arraylib.config import config
from arraylib.record import field, record

Function = TypeVar("Function", bound=Callable[..., Any])


@record
class Span:
    """Something that took a while: seconds since the recording began, and how many."""

    name: str
    kind: str
    start: float
    seconds: float
    thread: str
    facts: dict[str, Any] = field(default_factory=dict)


@record(frozen=False)
class Recording:
    """What has happened since it began."""

    began: float = field(default_factory=time.perf_counter)
    spans: list[Span] = field(default_factory=list)


_now: list[Recording] = []  # the recording that is made, if one is


def begin() -> bool:
    """Record from now on; False if a recording is being made already."""
    if _now:
        return False
    _now.append(Recording())
    config.record(True)
    return True


def end() -> Recording | None:
    """Record no longer; what was recorded, or None if nothing was."""
    if not _now:
        return None
    config.record(False)
    return _now.pop()


def add(name: str, kind: str, start: float, **facts: Any) -> None:
    """Something that began at `start`, of time.perf_counter, and ends now."""
    for recording in _now:
        recording.spans.append(Span(name, kind, start - recording.began,
                                    time.perf_counter() - start,
                                    threading.current_thread().name, facts))


@contextmanager
def spanning(name: str, kind: str, **facts: Any) -> Iterator[None]:
    """What happens inside the block is one thing with this name."""
    start = time.perf_counter()
    try:
        yield
    finally:
        add(name, kind, start, **facts)


def spanned(function: Function, name: str, kind: str, **facts: Any) -> Function:
    """A function whose calls are recorded."""
    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        with spanning(name, kind, **facts):
            return function(*args, **kwargs)
    return called  # type: ignore[return-value]
