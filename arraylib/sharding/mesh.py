"""Mesh: devices in a grid, whose axes have names."""

from __future__ import annotations

import enum
import math
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from arraylib.device import Device, devices as all_devices
from arraylib.errors import ArgumentError, mistake
from arraylib.on_demand import module


class AxisType(enum.Enum):
    """Who says how arrays lie along an axis of a mesh."""

    Auto = enum.auto()  # whoever runs the program, but for what it is told
    Explicit = enum.auto()  # the types of values
    Manual = enum.auto()  # the program itself: inside shard_map each device has its own part

    def __repr__(self) -> str:
        return self.name


class AbstractMesh:
    """The names, sizes and types of the axes of a mesh, without devices."""

    def __init__(self, axis_sizes: Sequence[int], axis_names: Sequence[Any],
                 axis_types: Any = None) -> None:
        self.axis_names: tuple[Any, ...] = _tuple(axis_names)
        self.axis_sizes: tuple[int, ...] = tuple(int(n) for n in axis_sizes)
        if len(self.axis_sizes) != len(self.axis_names):
            raise mistake(ArgumentError, "mesh", f"{len(self.axis_sizes)} sizes {self.axis_sizes} "
                          f"for {len(self.axis_names)} axes {self.axis_names}")
        self.axis_types = _axis_types(axis_types, self.axis_names)
        _check_names(self.axis_names)

    @property
    def shape(self) -> OrderedDict[Any, int]:
        """The size of each axis, by its name."""
        return OrderedDict(zip(self.axis_names, self.axis_sizes, strict=True))

    @property
    def shape_tuple(self) -> tuple[tuple[Any, int], ...]:
        return tuple(self.shape.items())

    @property
    def size(self) -> int:
        """How many devices there are; 0 of an empty mesh."""
        return math.prod(self.axis_sizes) if self.axis_names else 0

    @property
    def empty(self) -> bool:
        return self.size == 0

    @property
    def abstract_mesh(self) -> AbstractMesh:
        return self

    def axes_of(self, *types: AxisType) -> tuple[Any, ...]:
        """The names of the axes that are of one of these types."""
        return tuple(n for n, t in zip(self.axis_names, self.axis_types) if t in types)

    @property
    def manual_axes(self) -> tuple[Any, ...]:
        return self.axes_of(AxisType.Manual)

    @property
    def explicit_axes(self) -> tuple[Any, ...]:
        return self.axes_of(AxisType.Explicit)

    @property
    def auto_axes(self) -> tuple[Any, ...]:
        return self.axes_of(AxisType.Auto)

    def with_types(self, types: dict[Any, AxisType]) -> AbstractMesh:
        """The same axes, of which those that are named have other types."""
        return AbstractMesh(self.axis_sizes, self.axis_names, tuple(
            types.get(n, t) for n, t in zip(self.axis_names, self.axis_types)))

    def _key(self) -> tuple[Any, ...]:
        return self.axis_sizes, self.axis_names, self.axis_types

    def __eq__(self, other: object) -> bool:
        return self is other or (other.__class__ is self.__class__
                                 and self._key() == other._key())  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"AbstractMesh({axes_text(self)}axis_types={_types_text(self.axis_types)})"


class Mesh:
    """Devices in a grid with named axes; as a context manager the mesh of programs inside.

    Raises: ArgumentError where there is not a name for each axis of the grid, or one is there
    twice.
    """

    def __init__(self, devices: Any, axis_names: Any, axis_types: Any = None) -> None:
        grid = np.array(devices, dtype=object)
        names = _tuple(axis_names)
        if grid.ndim != len(names):
            raise mistake(ArgumentError, "Mesh", f"the grid of devices has {grid.ndim} axes "
                          f"{grid.shape}, but there are {len(names)} names {names}",
                          hint="np.array(devices).reshape(...) with an axis for each name")
        grid.flags.writeable = False
        self.devices = grid
        self.abstract_mesh = AbstractMesh(grid.shape, names, axis_types)
        self.axis_names, self.axis_types = names, self.abstract_mesh.axis_types
        self.axis_sizes = self.abstract_mesh.axis_sizes

    shape = property(lambda self: self.abstract_mesh.shape)
    shape_tuple = property(lambda self: self.abstract_mesh.shape_tuple)
    size = property(lambda self: self.abstract_mesh.size)
    empty = property(lambda self: self.abstract_mesh.empty)
    manual_axes = property(lambda self: self.abstract_mesh.manual_axes)
    explicit_axes = property(lambda self: self.abstract_mesh.explicit_axes)
    auto_axes = property(lambda self: self.abstract_mesh.auto_axes)
    local_mesh = property(lambda self: self)
    is_multi_process = property(lambda self: False)

    @cached_property
    def device_list(self) -> tuple[Device, ...]:
        """All devices, the last axis varying fastest."""
        return tuple(self.devices.flat)

    @property
    def device_ids(self) -> Any:
        """The numbers of the devices, in their grid."""
        return np.array([d.id for d in self.device_list], int).reshape(self.axis_sizes)

    local_devices = property(lambda self: list(self.device_list))

    def axes_of(self, *types: AxisType) -> tuple[Any, ...]:
        """The names of the axes that are of one of these types."""
        return self.abstract_mesh.axes_of(*types)

    def with_types(self, types: dict[Any, AxisType]) -> Mesh:
        """The same devices and axes, of which those that are named have other types."""
        return Mesh(self.devices, self.axis_names, self.abstract_mesh.with_types(types).axis_types)

    def __enter__(self) -> Mesh:
        module("sharding.context").enter(self)
        return self

    def __exit__(self, *error: Any) -> None:
        module("sharding.context").leave()

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Mesh)
                                 and self.abstract_mesh == other.abstract_mesh
                                 and self.device_list == other.device_list)

    def __hash__(self) -> int:
        return hash((self.abstract_mesh, self.device_list))

    def __repr__(self) -> str:
        return (f"Mesh(axis_sizes={self.axis_sizes}, axis_names={self.axis_names}, "
                f"axis_types={_types_text(self.axis_types)})")

    def __str__(self) -> str:
        return f"Mesh({axes_text(self.abstract_mesh)}axis_types={_types_text(self.axis_types)})"


def axes_text(mesh: AbstractMesh) -> str:
    """`'x': 4, 'y': 2, `: the axes with their sizes."""
    return "".join(f"{n!r}: {size}, " for n, size in mesh.shape.items()) or "(), "


def _types_text(types: Sequence[AxisType]) -> str:
    return f"({', '.join(map(repr, types))}{',' * (len(types) == 1)})"


def _tuple(names: Any) -> tuple[Any, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _axis_types(types: Any, names: Sequence[Any]) -> tuple[AxisType, ...]:
    if types is None:
        return (AxisType.Auto,) * len(names)
    found = (types,) * len(names) if isinstance(types, AxisType) else tuple(types)
    if len(found) != len(names) or not all(isinstance(t, AxisType) for t in found):
        raise mistake(ArgumentError, "mesh", f"axis_types {found} for {len(names)} axes "
                      f"{tuple(names)}", hint="an AxisType for each axis")
    return found


def _check_names(names: Sequence[Any]) -> None:
    twice = next((n for i, n in enumerate(names) if n in names[:i]), None)
    if twice is not None:
        raise mistake(ArgumentError, "mesh", f"two axes are named {twice!r}: {tuple(names)}")


def make_mesh(axis_shapes: Sequence[int], axis_names: Any, axis_types: Any = None, *,
              devices: Sequence[Device] | None = None) -> Mesh:
    """A mesh of the first devices there are, in order.

    Args:
        axis_shapes: how many devices there are along each axis.
        axis_names: the names of the axes.
        axis_types: for each axis who says how arrays lie along it; all are Explicit by default.
        devices: the devices to take instead of all.

    Raises: ArgumentError where there are too few devices, or not a name for each axis.

        >>> make_mesh((1, 1), ("x", "y"))
        Mesh(axis_sizes=(1, 1), axis_names=('x', 'y'), axis_types=(Explicit, Explicit))
    """
    sizes, names = tuple(int(n) for n in axis_shapes), _tuple(axis_names)
    if len(sizes) != len(names):
        raise mistake(ArgumentError, "make_mesh", f"{len(sizes)} sizes {sizes} for {len(names)} "
                      f"names {names}", hint="a name for each axis")
    if any(n < 1 for n in sizes):
        raise mistake(ArgumentError, "make_mesh", f"axes of the sizes {sizes}",
                      hint="one device or more along each axis")
    given = list(all_devices() if devices is None else devices)
    count = math.prod(sizes)
    if len(given) < count:
        raise mistake(ArgumentError, "make_mesh", f"a mesh of {sizes} needs {count} devices, but "
                      f"there are {len(given)}", hint="arraylib.config.update("
                      f"'num_cpu_devices', {count}), or ARRAYLIB_NUM_CPU_DEVICES={count}")
    types = (AxisType.Explicit,) * len(names) if axis_types is None else axis_types
    grid = np.empty(count, object)
    grid[:] = given[:count]
    return Mesh(grid.reshape(sizes), names, types)
