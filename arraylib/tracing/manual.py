"""Inside shard_map: the axes of the mesh along which values may differ from device to device.

With `check_vma` no value may be taken for the same on all devices where it differs, and derivatives
are those of one program of all devices; see shares.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from arraylib.hlo.ir import Builder, Value, current

# Labels and sizes of the axes; and the graphs that were being built when the first was met.
_checked: ContextVar[tuple[Mapping[str, int], tuple[Builder, ...]]] = ContextVar(
    "arraylib_check_vma", default=(MappingProxyType({}), ()))


@contextmanager
def checking_variation(axes: Mapping[str, int]) -> Iterator[None]:
    """Inside, values may not be taken for the same along these axes, too, where they differ."""
    before, outside = _checked.get()
    token = _checked.set(({**before, **axes}, outside if before else _open()))
    try:
        yield
    finally:
        _checked.reset(token)


def _open() -> tuple[Builder, ...]:
    """The graphs that are being built."""
    found, builder = [], current()
    while isinstance(builder, Builder):
        found.append(builder)
        builder = builder.outside
    return tuple(found)


def checked_axes() -> Mapping[str, int]:
    """The labels of the axes along which it is known what differs, with their sizes."""
    return _checked.get()[0]


def is_outside(value: Value) -> bool:
    """Whether a value was there before these axes: it is the same on all devices."""
    return any(value.builder is builder for builder in _checked.get()[1])
