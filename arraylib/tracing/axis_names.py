"""Axes of examples by name: which are bound while a function under vmap is traced."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from functools import wraps
from typing import Any

from arraylib.errors import Source, UnboundAxisError, here, mistake
from arraylib.record import record


@record
class NamedAxis:
    """An axis of examples: its name, what operations call it, and how many examples there are."""

    name: Hashable
    label: str
    size: int
    where: Source

    def __str__(self) -> str:
        place = f"{os.path.basename(self.where.file)}:{self.where.line}"
        return f"{self.name!r} of {self.size} examples ({place})"


_bound: ContextVar[tuple[NamedAxis, ...]] = ContextVar("arraylib_axes", default=())


def bound_axes() -> tuple[tuple[str, int], ...]:
    """What a traced function may depend on: the labels and sizes of the axes around it."""
    return tuple([(axis.label, axis.size) for axis in _bound.get()])


@contextmanager
def binding(name: Hashable, size: int) -> Iterator[str | None]:
    """Inside, collectives may name an axis; gives what operations call it, None without a name."""
    if name is None:
        yield None
        return
    outer = _bound.get()
    axis = NamedAxis(name, _label(name, outer), size, here())
    token = _bound.set((*outer, axis))
    try:
        yield axis.label
    finally:
        _bound.reset(token)


def _label(name: Hashable, outer: tuple[NamedAxis, ...]) -> str:
    """A text for a name; the same for the same name, and for no other that is bound."""
    label = name if isinstance(name, str) else repr(name)
    while any(axis.label == label and axis.name != name for axis in outer):
        label += "'"
    return label


def find_axis(op: str, name: Hashable) -> NamedAxis:
    """The innermost axis with this name; UnboundAxisError, saying which there are, if none has."""
    axes = _bound.get()
    for axis in reversed(axes):
        if axis.name == name:
            return axis
    others = ", ".join(map(str, reversed(axes)))
    close = get_close_matches(str(name), [str(axis.name) for axis in axes], 1)
    hint = f"vmap(f, axis_name={name!r}), and {op} inside f" if name is not None else \
        "the name that an outer vmap gives to its axis"
    raise mistake(UnboundAxisError, op, f"no axis {name!r} is bound here, "
                  + (f"but {others}" if others else "nor any other"),
                  hint=f"{close[0]!r}" if close else hint)


def within_axes(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with the axes that are bound now, whenever it is called."""
    axes = _bound.get()
    if not axes:
        return function

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        token = _bound.set(axes)
        try:
            return function(*args, **kwargs)
        finally:
            _bound.reset(token)
    return called
