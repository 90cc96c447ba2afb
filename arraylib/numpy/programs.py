"""Functions of many operations that run as one program.

Outside all traces, `median` of ten numbers would run some thirty operations one by one. Marked
with `@one_program()` it is jitted instead: a few milliseconds when it first meets a type, and then
one call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper, wraps
from types import MethodType
from typing import Any, TypeVar

import numpy as np

from arraylib.backends.cpu.calls.layout import RAW, Caller
from arraylib.hlo.ir import _current
from arraylib.numpy.promotion import own_type

Function = TypeVar("Function", bound=Callable[..., Any])

_jit: list[Any] = []
_serve: list[Any] = []


def install_jit(jit: Any, serve: Any) -> None:
    """Make `jit` the one that compiles these functions; it is defined above them.

    `serve(function, settings, args, kwargs)` hears of each call that a program took, and
    lets native code take those that are like it.
    """
    _jit[:], _serve[:] = [jit], [serve]


class OneProgram(Caller):
    """A function of arrays and settings, of which each combination is a program of its own."""

    served: Any = None  # what native code takes; whoever serves makes it

    def __init__(self, function: Callable[..., Any], operands: int) -> None:
        update_wrapper(self, function)
        self._function, self._operands = function, operands
        self._programs: dict[Any, Any] = {}  # jitted functions
        self.otherwise = self.__call__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        count = self._operands
        arrays = args[:count]
        builder = _current.get(None)
        if len(arrays) < count or not (builder is None or _keeps_programs(builder)):
            return self._function(*args, **kwargs)
        for x in arrays:
            if own_type(x) is None:
                return self._function(*args, **kwargs)
        rest = (*args[count:], *kwargs.items()) if kwargs else args[count:]
        settings = _settings(rest)
        try:
            program = self._programs[settings]
        except KeyError:
            program = self._programs[settings] = _program(self._function, args[count:], kwargs)
        except TypeError:  # a setting that cannot be hashed
            return self._function(*args, **kwargs)
        result = program(*arrays)
        if RAW and builder is None:
            _serve[0](self, settings, args, kwargs)
        return result

    def entry_of(self, args: tuple[Any, ...], kwargs: dict[str, Any],
                 arrays: Sequence[Any]) -> Any:
        """What runs for these arguments, of which the arrays come first; None if it has not yet."""
        count = self._operands
        if len(arrays) != count or any([x is not y for x, y in zip(args, arrays, strict=False)]):
            return None
        program = self._programs.get(_settings((*args[count:], *kwargs.items())))
        return program.entry_of(arrays) if program else None

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<function {self._function.__qualname__}>"

    def __reduce__(self) -> str:
        return self._function.__qualname__


def _keeps_programs(builder: Any) -> bool:
    return getattr(builder, "keeps_programs", False)  # where operations run at once, there is none


def runs_programs() -> bool:
    """Whether a function that is one program is run, or stays one call, where we are."""
    builder = _current.get(None)
    return builder is None or _keeps_programs(builder)


def one_program(operands: int = 1) -> Callable[[Function], Function]:
    """Mark a function whose first arguments are arrays and whose others are settings.

    Each combination of settings is a program of its own. A call runs operation by operation where
    one of the `operands` is no array (a number would be a setting then), where a setting is one,
    and while tracing. Only for functions that do not look at the elements.
    """
    return lambda function: OneProgram(function, operands)  # type: ignore[return-value]


def _settings(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([_exactly(x) for x in values])


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
