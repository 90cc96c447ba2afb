"""jax.experimental.layout: the order of elements in memory, which is row-major here."""

from __future__ import annotations

from typing import Any

from arraylib.errors import ArgumentError, mistake
from arraylib.record import record


@record
class Layout:
    """The axes from the slowest to the fastest."""

    major_to_minor: tuple[int, ...]


@record
class Format:
    """A layout and a sharding, each of which may be left open."""

    layout: Layout | None = None
    sharding: Any = None


def with_layout_constraint(x: Any, layout: Layout) -> Any:
    """x, whose elements are in row-major order: ArgumentError for another layout."""
    if tuple(layout.major_to_minor) != tuple(range(x.ndim)):
        raise mistake(ArgumentError, "with_layout_constraint", f"{layout} of {x.ndim} axes",
                      hint="arrays are row-major: jnp.transpose orders elements in another way")
    return x
