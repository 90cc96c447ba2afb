"""jax.api_util: functions of containers as functions of their leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arraylib import tree
from arraylib.as_jax.linear_util import Store, WrappedFun


def debug_info(traced_for: str, function: Callable[..., Any], *rest: Any, **options: Any) -> str:
    """A name for what is traced."""
    return f"{traced_for} of {getattr(function, '__name__', 'function')}"


def flatten_fun(f: WrappedFun, in_tree: Any) -> tuple[WrappedFun, Store]:
    """A function of (args, kwargs) as one of leaves; the second is the structure of its result."""
    return _flat(lambda args, kwargs: f.call_wrapped(*args, **kwargs), in_tree)


def flatten_fun_nokwargs(f: WrappedFun, in_tree: Any) -> tuple[WrappedFun, Store]:
    """A function of args as one of leaves; the second is the structure of its result."""
    return _flat(f.call_wrapped, in_tree)


def _flat(function: Callable[..., Any], structure: Any) -> tuple[WrappedFun, Store]:
    store = Store()

    def on_leaves(*leaves: Any) -> Any:
        found, store.val = tree.flatten(function(*tree.unflatten(structure, leaves)))
        return found
    return WrappedFun(on_leaves), store
