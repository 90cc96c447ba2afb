"""What type checkers are told of transforms: what functions take and return stays known."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from arraylib.tracing.stages import Lowered, Traced

Given = ParamSpec("Given")
Result = TypeVar("Result")
_Result = TypeVar("_Result", covariant=True)


class Compiling(Protocol[Given, _Result]):
    """A jitted function, which takes and returns what the function does."""

    def __call__(self, *args: Given.args, **kwargs: Given.kwargs) -> _Result: ...

    def __get__(self, instance: Any, owner: Any = None) -> Callable[..., _Result]: ...

    def __getattr__(self, name: str) -> Any: ...

    def lower(self, *args: Any, **kwargs: Any) -> Lowered: ...

    def trace(self, *args: Any, **kwargs: Any) -> Traced: ...
