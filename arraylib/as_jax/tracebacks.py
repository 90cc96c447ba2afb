"""Where JAX is told which files are a library's: tracebacks here leave out only our own lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_exclude_paths: list[str] = []


def register_exclusion(path: str) -> None:
    """Remember a library's folder; no line of it is left out of a traceback."""
    _exclude_paths.append(path)


def include_frame(frame: Any) -> bool:
    """Whether a traceback shows a frame: that of any library does."""
    return True


def api_boundary(function: F, **options: Any) -> F:
    """The function as it is."""
    return function
