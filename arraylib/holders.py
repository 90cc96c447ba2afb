"""Who keeps an object: for messages about traced values that outlive their function."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from types import CellType, FrameType, FunctionType, ModuleType
from typing import Any

_DEPTH = 4  # containers in containers
_OURS = __name__.partition(".")[0] + "."


def holder(value: Any) -> str:
    """`the global cache['w'] of train`: where a value is kept; empty if nobody knows."""
    return _holder(value, "", _DEPTH, {id(value)}) or ""


def _holder(value: Any, path: str, depth: int, seen: set[int]) -> str | None:
    """The best description of what holds a value: one that ends in a name, else any."""
    found = None
    referrers = gc.get_referrers(value)
    seen.add(id(referrers))  # which refers to what it lists
    for each in referrers:
        if id(each) in seen or isinstance(each, FrameType) or _is_ours(each):
            continue
        seen.add(id(each))
        if isinstance(each, dict):
            each = _owner(each) or each
        named = _named(each, value, path)
        if named:
            return named
        step = _step(each, value)
        if step is not None and depth:
            outer = _holder(each, step + path, depth - 1, seen)
            if outer:
                return outer
            if not isinstance(each, (tuple, dict)):  # else it may be one of Python's own
                found = found or _plain(each, step + path)
    return found


def _is_ours(each: Any) -> bool:
    """Whether an object is the library's own, or a container that one of these holds."""
    kind = type(each)
    if kind.__module__.startswith(_OURS) or each.__class__ is ModuleType:
        return True
    if isinstance(each, (tuple, list, dict)):
        return any(type(x).__module__.startswith(_OURS) and not hasattr(x, "builder")
                   for x in gc.get_referrers(each))
    return False


def _owner(attributes: dict[Any, Any]) -> Any:
    """The object whose attributes these are; None for an ordinary dict."""
    return next((x for x in gc.get_referrers(attributes)
                 if getattr(x, "__dict__", None) is attributes and not isinstance(x, ModuleType)),
                None)


def _named(each: Any, value: Any, path: str) -> str | None:
    """A variable, if that is what holds the value."""
    if isinstance(each, dict) and "__name__" in each and "__builtins__" in each:
        return f"the global {_key_of(each, value)}{path} of {each['__name__']}"
    if isinstance(each, CellType):
        for closure in gc.get_referrers(each):
            if not isinstance(closure, tuple):
                continue
            for function in gc.get_referrers(closure):
                if isinstance(function, FunctionType) and function.__closure__ is closure:
                    names = function.__code__.co_freevars
                    name = next(n for n, cell in zip(names, closure) if cell is each)
                    return f"the variable {name}{path}, which {function.__qualname__} reads"
    return None


def _step(each: Any, value: Any) -> str | None:
    """How a container leads to what is in it."""
    if isinstance(each, (list, tuple)):
        return f"[{_key_of(dict(enumerate(each)), value)}]"
    if isinstance(each, dict):
        return f"[{_key_of(each, value)!r}]"
    if isinstance(each, (set, frozenset)):
        return ""
    attributes = getattr(each, "__dict__", None)
    if isinstance(attributes, dict) and not isinstance(each, (type, FunctionType)):
        name = _key_of(attributes, value)
        return None if name is None else f".{name}"
    return None


def _plain(each: Any, path: str) -> str:
    name = type(each).__name__
    return f"{path} of {'an' if name[0] in 'aeioAEIO' else 'a'} {name}"


def _key_of(items: dict[Any, Any], value: Any) -> Any:
    return next((key for key, x in list(items.items()) if x is value), None)


def first_held(values: Sequence[Any]) -> tuple[Any, str] | None:
    """The first of the values that somebody else keeps, and where."""
    gc.collect()
    for value in values:
        where = _holder(value, "", _DEPTH, {id(value), id(values)})
        if where:
            return value, where
    return None
