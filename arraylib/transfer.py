"""Between containers of NumPy data and containers of Arrays."""

from functools import partial
from typing import Any

import numpy as np

from arraylib import tree
from arraylib.device import Device, devices
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import current
from arraylib.sharding.named import Sharding, SingleDeviceSharding
from arraylib.sharding.spec import PartitionSpec
from arraylib.tracing.core import as_operand
from arraylib.tracing.resharding import put, with_mesh


def device_put(container: Any, device: Any = None, *, src: Any = None, donate: bool = False,
               may_alias: bool | None = None) -> Any:
    """A container of numbers or NumPy data as one of Arrays, on a device or laid out over a mesh.

    Args:
        device: a device, a sharding, or a PartitionSpec for the mesh that is set; a container may
            stand for the container's. Without it Arrays stay as they are.
        src, donate, may_alias: accepted for JAX's sake.

    Raises: ShapeError where a sharding does not divide an axis or is for more axes than there are;
    ArgumentError for what is no device.

        >>> device_put({"w": np.ones(2)})
        {'w': Array([1., 1.], dtype=float32)}
    """
    leaves = tree.leaves_with_path(container)
    wanted = tree.broadcast_prefix(device, container, _is_place, op="device_put",
                                   names=("device", "container"))
    shardings = [_sharding(each) for each in wanted]
    found = []
    for (path, x), sharding in zip(leaves, shardings, strict=True):
        operand = as_operand(x, "device_put", partial(_path, path))
        found.append(put("device_put", current().own(operand), sharding))
    return tree.unflatten(tree.structure(container), found)


def _path(keys: Any) -> str:
    return tree.keystr(keys) or "it"


def _is_place(x: Any) -> bool:
    return x is None or isinstance(x, (Device, Sharding, PartitionSpec, str))


def _sharding(place: Any) -> Sharding | None:
    """A sharding from what a user says."""
    if place is None or isinstance(place, Sharding):
        return place
    if isinstance(place, PartitionSpec):
        return with_mesh("device_put", place)
    if place not in devices():
        raise mistake(ArgumentError, "device_put", f"{place!r} is not a device",
                      hint=f"one of {devices()}")
    return SingleDeviceSharding(place)


def device_get(container: Any) -> Any:
    """A container of Arrays as one of NumPy arrays, which share their memory and are read-only.

    >>> arraylib.device_get({"w": jnp.ones(2)})
    {'w': array([1., 1.], dtype=float32)}
    """
    return tree.map(np.asarray, container)


def block_until_ready(container: Any) -> Any:
    """The container itself: results are complete when a call returns.

    >>> arraylib.block_until_ready(jnp.ones(2) + 1)
    Array([2., 2.], dtype=float32)
    """
    return container


def effects_barrier() -> None:
    """Wait until what programs print and call has happened: it has when a call returns.

    >>> arraylib.effects_barrier()
    """
