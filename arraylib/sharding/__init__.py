"""Meshes of devices, and how arrays are laid out over them.

    mesh = arraylib.make_mesh((4, 2), ("x", "y"))
    x = arraylib.device_put(x, NamedSharding(mesh, P("x", None)))

One process computes: the devices are virtual, each array is whole in its memory, and a sharding is
a fact about an array that programs carry along. What a program with meshes means does not depend
on where it runs.
"""

import importlib
from typing import Any

from arraylib.sharding.context import (
    get_abstract_mesh as get_abstract_mesh,
    get_mesh as get_mesh,
    set_mesh as set_mesh,
    use_abstract_mesh as use_abstract_mesh,
    use_mesh as use_mesh,
)
from arraylib.sharding.mesh import AbstractMesh, AxisType, Mesh, make_mesh
from arraylib.sharding.named import NamedSharding, Sharding, SingleDeviceSharding
from arraylib.sharding.spec import PartitionSpec

__all__ = ["AbstractMesh", "AxisType", "Mesh", "NamedSharding", "PartitionSpec", "Sharding",
           "SingleDeviceSharding", "get_abstract_mesh", "get_mesh", "make_mesh", "set_mesh",
           "use_abstract_mesh", "use_mesh"]

_ON_DEMAND = ("auto_axes", "explicit_axes", "reshard")  # they trace, and stand above arrays


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module 'arraylib.sharding' has no attribute {name!r}")
    found = getattr(importlib.import_module("arraylib.tracing.resharding"), name)
    globals()[name] = found
    return found
