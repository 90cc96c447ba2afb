"""jax.pure_callback: what a Python function raises arrives as JAX's error of running programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arraylib.as_jax.errors import JaxRuntimeError
from arraylib.record import record
from arraylib.tracing.callbacks import pure_callback as _pure_callback


@record
class _Reporting:
    """A function whose errors are JaxRuntimeErrors, which name the class of what was raised."""

    function: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.function(*args, **kwargs)
        except Exception as error:
            name = type(error).__name__
            raise JaxRuntimeError(f"{self.__name__} failed: {name}: {error}") from error

    @property
    def __name__(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)


def pure_callback(callback: Callable[..., Any], result_shape_dtypes: Any, *args: Any,
                  sharding: Any = None, vmap_method: str | None = None, **kwargs: Any) -> Any:
    """`arraylib.pure_callback`, whose errors are JaxRuntimeErrors."""
    return _pure_callback(_Reporting(callback), result_shape_dtypes, *args,
                          vmap_method=vmap_method, **kwargs)
