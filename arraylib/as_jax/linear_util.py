"""jax.extend.linear_util: functions of flat arguments that may keep what they find on the way."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any


class WrappedFun:
    """A function, and what is to be done around it: `call_wrapped` is the whole."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.f = self.call_wrapped = function
        self.__name__ = getattr(function, "__name__", "function")

    def wrap(self, generator: Callable[..., Any], *settings: Any) -> WrappedFun:
        """With a generator around it, which yields arguments and then the result."""
        inner = self.call_wrapped

        @wraps(inner)
        def outer(*args: Any, **kwargs: Any) -> Any:
            steps = generator(*settings, *args, **kwargs)
            positional, named = next(steps)
            return steps.send(inner(*positional, **named))
        return WrappedFun(outer)


class Store:
    """A place for one value that is known once a function has been called."""

    def __init__(self) -> None:
        self.val: Any = None

    def __call__(self) -> Any:
        return self.val


def wrap_init(f: Callable[..., Any], params: dict[str, Any] | None = None,
              **options: Any) -> WrappedFun:
    """A function as it is, to be wrapped."""
    return WrappedFun(partial(f, **params) if params else f)


def transformation(generator: Callable[..., Any]) -> Callable[..., Any]:
    """A generator that yields arguments and then the result, as a function of wrapped ones."""
    return lambda function, *settings: function.wrap(generator, *settings)


def transformation_with_aux(generator: Callable[..., Any]) -> Callable[..., Any]:
    """The same for one that yields (result, more); returns the function and where `more` will be.
    """
    def wrapping(function: WrappedFun, *settings: Any) -> tuple[WrappedFun, Store]:
        store = Store()

        def keeping(*args: Any, **kwargs: Any) -> Any:
            steps = generator(*settings, *args, **kwargs)
            result = yield next(steps)
            out, store.val = steps.send(result)
            yield out
        return function.wrap(keeping), store
    return wrapping
