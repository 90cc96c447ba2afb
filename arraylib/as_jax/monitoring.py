"""jax.monitoring: events that libraries record, told to whoever listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Listener = Callable[..., None]

_kinds: dict[str, list[Listener]] = {"event": [], "duration": [], "scalar": [], "span": []}


def _tell(kind: str, *values: Any, **metadata: str | int) -> None:
    for listener in tuple(_kinds[kind]):
        listener(*values, **metadata)


def record_event(event: str, **metadata: str | int) -> None:
    """Tell the listeners that something happened."""
    _tell("event", event, **metadata)


def record_event_duration_secs(event: str, duration: float, **metadata: str | int) -> None:
    """Tell the listeners how many seconds something took."""
    _tell("duration", event, duration, **metadata)


def record_event_time_span(event: str, start_time: float, end_time: float,
                           **metadata: str | int) -> None:
    """Tell the listeners when something began and ended."""
    _tell("span", event, start_time, end_time, **metadata)


def record_scalar(event: str, value: float | int, **metadata: str | int) -> None:
    """Tell the listeners a number."""
    _tell("scalar", event, value, **metadata)


def register_event_listener(callback: Listener) -> None:
    """Call `callback(event, **metadata)` for each event from now on."""
    _kinds["event"].append(callback)


def register_event_duration_secs_listener(callback: Listener) -> None:
    """Call `callback(event, seconds, **metadata)` for each duration from now on."""
    _kinds["duration"].append(callback)


def register_event_time_span_listener(callback: Listener) -> None:
    """Call `callback(event, start, end, **metadata)` for each span from now on."""
    _kinds["span"].append(callback)


def register_scalar_listener(callback: Listener) -> None:
    """Call `callback(event, value, **metadata)` for each number from now on."""
    _kinds["scalar"].append(callback)


def unregister_event_listener(callback: Listener) -> None:
    """Undo `register_event_listener`."""
    _kinds["event"].remove(callback)


def unregister_event_duration_listener(callback: Listener) -> None:
    """Undo `register_event_duration_secs_listener`."""
    _kinds["duration"].remove(callback)


def unregister_event_time_span_listener(callback: Listener) -> None:
    """Undo `register_event_time_span_listener`."""
    _kinds["span"].remove(callback)


def unregister_scalar_listener(callback: Listener) -> None:
    """Undo `register_scalar_listener`."""
    _kinds["scalar"].remove(callback)


def clear_event_listeners() -> None:
    """Forget all listeners."""
    for listeners in _kinds.values():
        listeners.clear()
