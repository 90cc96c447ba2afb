"""Settings that hold in a `with` block, most of them JAX's, and names of parts of programs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from arraylib.config import config

Function = TypeVar("Function", bound=Callable[..., Any])


def threads(count: int) -> contextlib.AbstractContextManager[None]:
    """Inside the `with` block programs compute on so many threads; 0: on all there are.

    It holds for the whole process, as all of `config`: programs that other Python threads start
    meanwhile are concerned as well. Results do not depend on it, to the last bit.

        with arraylib.threads(1): ...
    """
    return config.using(cpu_threads=count)


def disable_jit(disable: bool = True) -> contextlib.AbstractContextManager[None]:
    """Inside the `with` block jitted functions run operation by operation, as plain Python."""
    return config.using(jit=not disable)


def enable_x64(enable: bool = True) -> contextlib.AbstractContextManager[None]:
    """Inside the `with` block Python numbers and NumPy data keep 64 bits.

    Only what has no dtype of its own is concerned: `dtype="float64"` holds everywhere.
    """
    return config.using(default_bits=64 if enable else 32)


def default_matmul_precision(precision: Any) -> contextlib.AbstractContextManager[None]:
    """Accepted for JAX's sake: products are computed in the precision of their dtype anyhow."""
    return contextlib.nullcontext()


class named_scope(contextlib.ContextDecorator):
    """Accepted for JAX's sake, as `with` block or decorator: a node names the user's line."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: Any) -> None:
        return None


def named_call(fun: Function, *, name: str | None = None) -> Function:
    """Accepted for JAX's sake: `fun` itself, for a node names the user's line."""
    return fun
