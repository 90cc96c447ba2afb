"""Slices of a known size that begin where a traced integer says: `x[ds(i, 3)]`."""

from __future__ import annotations

from typing import Any

from arraylib.errors import ArgumentError, mistake
from arraylib.record import record


@record
class Slice:
    """`size` elements from `start` on, every `stride`-th; `start` may be traced."""

    start: Any
    size: int
    stride: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.stride, int) or self.stride < 1:
            raise mistake(ArgumentError, "ds", f"stride = {self.stride!r}", hint="1 or more")
        if not isinstance(self.size, int) or self.size < 0:
            raise mistake(ArgumentError, "ds", f"size = {self.size!r}",
                          hint="a Python integer from 0 up: the size decides the shape")


def dslice(start: Any, size: int | None = None, stride: int | None = None) -> slice | Slice:
    """An index for `size` elements from `start` on, or for the first `start` ones.

    A slice that would reach beyond the end is moved so that it does not, where `start` is traced;
    a known one raises OutOfBoundsError. `ds(None)` is `:`.

    >>> x = jnp.arange(6)
    >>> jit(lambda i: x[dslice(i, 2)])(3)
    Array([3, 4], dtype=int32)
    """
    if start is None and size is None:
        return slice(None, None, stride)
    stride = 1 if stride is None else stride
    if size is None:
        return Slice(0, start, stride)
    return Slice(0 if start is None else start, size, stride)


ds = dslice
