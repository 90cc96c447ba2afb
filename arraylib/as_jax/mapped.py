"""jax.pmap over the devices that there are."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from arraylib import tree
from arraylib.device import device_count
from arraylib.errors import ArgumentError, mistake
from arraylib.tracing.jit import jit
from arraylib.tracing.vectorize import vmap


def pmap(fun: Callable[..., Any], axis_name: Any = None, *, in_axes: Any = 0, out_axes: Any = 0,
         static_broadcasted_argnums: Any = (), axis_size: int | None = None,
         donate_argnums: Any = (), **options: Any) -> Callable[..., Any]:
    """A function on each of as many examples as there are devices; JAX's `pmap`.

    Raises: ArgumentError for more examples than devices.
    """
    mapped = jit(vmap(fun, in_axes, out_axes, axis_name=axis_name, axis_size=axis_size),
                 static_argnums=static_broadcasted_argnums, donate_argnums=donate_argnums)

    @wraps(fun)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if in_axes == 0 and (leaves := tree.leaves((args, kwargs))):
            count = leaves[0].shape[0]
            if count > device_count():
                raise mistake(ArgumentError, "pmap", f"{count} examples for {device_count()} "
                              "devices", hint="jit(vmap(f)) takes any number")
        return mapped(*args, **kwargs)
    return checked
