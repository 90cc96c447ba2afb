"""Functions of many operations that run as one program.

Outside all traces, `median` of ten numbers would run some thirty operations one by one. Marked
with `@one_program()` it is jitted instead: a few milliseconds when it first meets a type, and then
one call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from arraylib.hlo.ir import _current
from arraylib.numpy.promotion import own_type

Function = TypeVar("Function", bound=Callable[..., Any])

_jit: list[Any] = []


def install_jit(jit: Any) -> None:
    """Make `jit` the one that compiles these functions; it is defined above them."""
    _jit[:] = [jit]


def one_program(operands: int = 1) -> Callable[[Function], Function]:
    """Mark a function whose first arguments are arrays and whose others are settings.

    Each combination of settings is a program of its own. A call runs operation by operation where
    one of the `operands` is no array (a number would be a setting then), where a setting is one,
    and while tracing. Only for functions that do not look at the elements.
    """
    def decorate(function: Function) -> Function:
        programs: dict[Any, Callable[..., Any]] = {}

        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            arrays = args[:operands]
            if _current.get(None) is not None or len(arrays) < operands:
                return function(*args, **kwargs)
            for x in arrays:
                if own_type(x) is None:
                    return function(*args, **kwargs)
            rest = (*args[operands:], *kwargs.items()) if kwargs else args[operands:]
            settings = tuple([_exactly(x) for x in rest])
            try:
                program = programs[settings]
            except KeyError:
                program = programs[settings] = _program(function, args[operands:], kwargs)
            except TypeError:  # a setting that cannot be hashed
                return function(*args, **kwargs)
            return program(*arrays)

        return run  # type: ignore[return-value]

    return decorate


def _exactly(setting: Any) -> Any:
    """A key that tells 1 from 1.0 and True, and 0.0 from -0.0."""
    cls = setting.__class__
    if cls is tuple:
        return tuple([_exactly(x) for x in setting])
    return cls, repr(setting) if isinstance(setting, (float, complex, np.inexact)) else setting


def _program(function: Callable[..., Any], rest: tuple[Any, ...],
             kwargs: dict[str, Any]) -> Callable[..., Any]:
    """The jitted function of the arrays alone."""
    @wraps(function)
    def of_arrays(*arrays: Any) -> Any:
        return function(*arrays, *rest, **kwargs)

    return _jit[0](of_arrays)  # type: ignore[no-any-return]
