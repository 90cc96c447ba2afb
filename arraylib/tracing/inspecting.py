"""Looking at how arrays lie on a mesh: visualize_array_sharding, inspect_array_sharding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from arraylib import tree
from arraylib.array import Array
from arraylib.hlo.ir import type_of
from arraylib.sharding.drawing import drawn
from arraylib.sharding.named import Sharding
from arraylib.tracing.core import as_operand
from arraylib.tracing.eager import eager
from arraylib.tracing.layouts import layout_at


def _sharding(x: Any) -> Sharding:
    if x.__class__ is Array:
        return x.sharding  # type: ignore[no-any-return]
    layout = layout_at(x)
    return layout.sharding if layout is not None else eager.own(0.0).sharding


def inspect_array_sharding(value: Any, *, callback: Callable[[Sharding], None]) -> None:
    """Call `callback` with the sharding of each array; inside jit while the function is traced.

        >>> inspect_array_sharding(jnp.ones(2), callback=print)
        SingleDeviceSharding(device=CpuDevice(id=0), memory_kind=device)
    """
    for x in tree.leaves(value):
        callback(_sharding(as_operand(x, "inspect_array_sharding", lambda: "it")))


def visualize_sharding(shape: Sequence[int], sharding: Sharding, **style: Any) -> None:
    """Print which devices have which part of an array of this shape, of one or two axes.

    `style` is accepted for JAX's sake.

        >>> visualize_sharding((2,), jnp.ones(2).sharding)
        ┌───────┐
        │ CPU 0 │
        └───────┘
    """
    print(drawn(tuple(shape), sharding))


def visualize_array_sharding(arr: Any, **style: Any) -> None:
    """Print which devices have which part of an array; see `visualize_sharding`.

    >>> arraylib.debug.visualize_array_sharding(jnp.ones((2, 4)))
    ┌───────┐
    │ CPU 0 │
    └───────┘
    """
    x = as_operand(arr, "visualize_array_sharding", lambda: "it")
    visualize_sharding(type_of(x).shape, _sharding(x))
