"""Between containers of NumPy data and containers of Arrays."""

from typing import Any

import numpy as np

from arraylib import tree
from arraylib.device import Device, devices
from arraylib.errors import ArgumentError, mistake
from arraylib.tracing.core import as_operand
from arraylib.tracing.eager import eager


def device_put(container: Any, device: Device | None = None) -> Any:
    """A container of numbers or NumPy data as one of Arrays; Arrays in it stay as they are.

    All arrays are on the one device there is, which may be named.

        >>> device_put({"w": np.ones(2)})
        {'w': Array([1., 1.], dtype=float32)}
    """
    if device is not None and device not in devices():
        raise mistake(ArgumentError, "device_put", f"{device!r} is not a device",
                      hint=f"one of {devices()}")
    return tree.map_with_path(
        lambda path, x: eager.own(as_operand(x, "device_put", lambda: tree.keystr(path) or "it")),
        container)


def device_get(container: Any) -> Any:
    """A container of Arrays as one of NumPy arrays, which share their memory and are read-only."""
    return tree.map(np.asarray, container)


def block_until_ready(container: Any) -> Any:
    """The container itself: results are complete when a call returns."""
    return container


def effects_barrier() -> None:
    """Wait until what programs print and call has happened: it has when a call returns."""
