"""jax.pmap over the devices that there are."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from functools import wraps
from typing import Any

import numpy as np

from arraylib import tree
from arraylib.device import device_count
from arraylib.errors import ArgumentError, mistake
from arraylib.tracing.arguments import parameters
from arraylib.tracing.jit import jit
from arraylib.tracing.vectorize import vmap


def pmap(fun: Callable[..., Any], axis_name: Any = None, *, in_axes: Any = 0, out_axes: Any = 0,
         static_broadcasted_argnums: Any = (), axis_size: int | None = None,
         donate_argnums: Any = (), **options: Any) -> Callable[..., Any]:
    """A function on each of as many examples as there are devices; JAX's `pmap`.

    Raises: ArgumentError for more examples than devices.
    """
    static = parameters(fun, static_broadcasted_argnums, None, None, None).static_positions

    @wraps(fun)
    def whole(*args: Any, **kwargs: Any) -> Any:
        def one(*examples: Any, **named: Any) -> Any:
            rest = iter(examples)
            return fun(*[x if i in static else next(rest) for i, x in enumerate(args)], **named)
        axes = in_axes if not isinstance(in_axes, (tuple, list)) else \
            tuple([axis for i, axis in enumerate(in_axes) if i not in static])
        return vmap(one, axes, out_axes, axis_name=axis_name, axis_size=axis_size)(
            *_without(args, static), **kwargs)

    mapped = jit(whole, static_argnums=static_broadcasted_argnums, donate_argnums=donate_argnums)

    @wraps(fun)
    def checked(*args: Any, **kwargs: Any) -> Any:
        leaves = tree.leaves((_without(args, static), kwargs))
        if in_axes == 0 and leaves and (shape := np.shape(leaves[0])):
            if shape[0] > device_count():
                raise mistake(ArgumentError, "pmap", f"{shape[0]} examples for {device_count()} "
                              "devices", hint="jit(vmap(f)) takes any number")
        return mapped(*args, **kwargs)
    return checked


def _without(args: Sequence[Any], static: Container[int]) -> tuple[Any, ...]:
    """The arguments that are arrays."""
    return tuple([x for i, x in enumerate(args) if i not in static])
