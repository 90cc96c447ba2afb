"""Shardings: which device has which part of an array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from arraylib.config import config
from arraylib.device import Device
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.record import record
from arraylib.sharding.mesh import AbstractMesh, Mesh
from arraylib.sharding.spec import PartitionSpec, axes_of

Index = tuple[slice, ...]
Dims = tuple[tuple[Any, ...], ...]  # for each axis of an array the axes of the mesh that split it


class Sharding:
    """Which device has which part of an array."""

    @property
    def device_set(self) -> set[Device]:
        """The devices that hold parts."""
        return set(self._devices())

    addressable_devices = property(lambda self: self.device_set)
    num_devices = property(lambda self: len(self._devices()))
    is_fully_addressable = property(lambda self: True)
    memory_kind = property(lambda self: "device")

    def _devices(self) -> Sequence[Device]:
        raise AttributeError(f"{type(self).__name__} has no devices")

    @property
    def is_fully_replicated(self) -> bool:
        """Whether each device has the whole array."""
        return True

    def devices_indices_map(self, shape: Sequence[int]) -> dict[Device, Index]:
        """Of each device the part of an array of this shape that it has."""
        whole = (slice(None),) * len(shape)
        return dict.fromkeys(self._devices(), whole)

    def addressable_devices_indices_map(self, shape: Sequence[int]) -> dict[Device, Index]:
        """The same of the devices of this process, which are all."""
        return self.devices_indices_map(shape)

    def shard_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of a part of an array of this shape."""
        return tuple(shape)

    def check(self, op: str, shape: Sequence[int]) -> None:
        """ShapeError unless an array of this shape can be laid out so."""

    def is_equivalent_to(self, other: Sharding, ndim: int) -> bool:
        """Whether both put the same parts of arrays of so many axes on the same devices."""
        probe = tuple(math.lcm(*own) for own in zip(self._parts(ndim), other._parts(ndim)))
        mine, theirs = (s.devices_indices_map(probe) for s in (self, other))
        return {d: _bounds(i, probe) for d, i in mine.items()} == {
            d: _bounds(i, probe) for d, i in theirs.items()}

    def _parts(self, ndim: int) -> tuple[int, ...]:
        """Into how many parts each of so many axes is split."""
        return (1,) * ndim


def _bounds(index: Index, shape: Sequence[int]) -> tuple[tuple[int, int, int], ...]:
    return tuple(s.indices(n) for s, n in zip(index, shape))


@record
class SingleDeviceSharding(Sharding):
    """The whole array on one device."""

    device: Device

    def _devices(self) -> Sequence[Device]:
        return (self.device,)

    def __repr__(self) -> str:
        return f"SingleDeviceSharding(device={self.device!r}, memory_kind=device)"


@record(eq=False)
class NamedSharding(Sharding):
    """An array split along the axes of a mesh as a PartitionSpec says.

    Raises: ArgumentError where the spec names an axis that the mesh lacks, or one twice.

        >>> mesh = make_mesh((1,), ("x",))
        >>> NamedSharding(mesh, PartitionSpec("x")).shard_shape((4, 2))
        (4, 2)
    """

    mesh: Any  # a Mesh or an AbstractMesh
    spec: PartitionSpec

    def __init__(self, mesh: Mesh | AbstractMesh, spec: PartitionSpec,
                 memory_kind: str | None = None) -> None:
        if not isinstance(spec, PartitionSpec):
            spec = PartitionSpec(*spec)
        object.__setattr__(self, "mesh", mesh)
        object.__setattr__(self, "spec", spec)
        check_spec("NamedSharding", spec, mesh)
        config.place()  # before the program is traced in which it may stand

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, NamedSharding) and self.spec == other.spec
                                 and self.mesh == other.mesh)

    def __hash__(self) -> int:
        return hash((self.mesh, self.spec))

    def __repr__(self) -> str:
        return f"NamedSharding(mesh={self.mesh!s}, spec={self.spec!r}, memory_kind=device)"

    def _devices(self) -> Sequence[Device]:
        if isinstance(self.mesh, AbstractMesh):
            raise mistake(ArgumentError, "NamedSharding", f"{self.mesh} has no devices",
                          hint="a Mesh")
        return self.mesh.device_list

    @property
    def is_fully_replicated(self) -> bool:
        return all(self.mesh.shape[n] == 1 for e in self.spec for n in axes_of(e))

    def dims(self, rank: int) -> Dims:
        """For each of so many axes of an array the axes of the mesh that split it."""
        return (*map(axes_of, self.spec), *((),) * (rank - len(self.spec)))

    def _parts(self, ndim: int) -> tuple[int, ...]:
        return tuple(math.prod(self.mesh.shape[n] for n in names) for names in self.dims(ndim))

    def check(self, op: str, shape: Sequence[int]) -> None:
        check_shape(op, shape, self.spec, self.mesh)

    def shard_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        self.check("shard_shape", shape)
        return tuple(n // k for n, k in zip(shape, self._parts(len(shape))))

    def devices_indices_map(self, shape: Sequence[int]) -> dict[Device, Index]:
        own = self.shard_shape(shape)
        parts, dims = self._parts(len(shape)), self.dims(len(shape))
        found: dict[Device, Index] = {}
        for number, device in enumerate(self._devices()):
            at = self._coordinates[number]
            places = [_place([at[n] for n in names], [self.mesh.shape[n] for n in names])
                      for names in dims]
            found[device] = tuple(
                slice(None) if k == 1 else slice(i * n, (i + 1) * n)
                for i, n, k in zip(places, own, parts))
        return found

    @cached_property
    def _coordinates(self) -> list[dict[Any, int]]:
        """Of each device where it is along each axis of the mesh."""
        sizes = self.mesh.axis_sizes
        found = []
        for number in range(self.mesh.size):
            at = {}
            for name, size in zip(reversed(self.mesh.axis_names), reversed(sizes)):
                number, at[name] = divmod(number, size)
            found.append(at)
        return found


def _place(at: Sequence[int], sizes: Sequence[int]) -> int:
    """One number for a place along several axes, of which the first varies slowest."""
    number = 0
    for i, size in zip(at, sizes):
        number = number * size + i
    return number


def check_spec(op: str, spec: PartitionSpec, mesh: Mesh | AbstractMesh) -> None:
    """ArgumentError where a spec names an axis that the mesh lacks, or one twice."""
    named = [n for entry in spec for n in axes_of(entry)]
    for name in (*named, *spec.unreduced, *spec.reduced):
        if name not in mesh.axis_names:
            raise mistake(ArgumentError, op, f"{spec} names the axis {name!r}, but the mesh has "
                          f"{', '.join(map(repr, mesh.axis_names)) or 'none'}",
                          hint="an axis of the mesh, or make_mesh with one of this name")
    for i, name in enumerate(named):
        if name in named[:i]:
            raise mistake(ArgumentError, op, f"{spec} names the axis {name!r} twice",
                          hint="each axis of the mesh splits one axis of an array at most")


def check_shape(op: str, shape: Sequence[int], spec: PartitionSpec, mesh: Mesh | AbstractMesh,
                what: str = "the array") -> None:
    """ShapeError where a spec is too long for a shape, or does not divide one of its axes."""
    if len(spec) > len(shape):
        raise mistake(ShapeError, op, f"{spec} has {len(spec)} entries, but {what} has "
                      f"{len(shape)} axes: its shape is {tuple(shape)}")
    for axis, (size, entry) in enumerate(zip(shape, spec)):
        parts = math.prod(mesh.shape[n] for n in axes_of(entry))
        if size % parts:
            names = ", ".join(f"{n!r} of {mesh.shape[n]}" for n in axes_of(entry))
            raise mistake(ShapeError, op, f"axis {axis} of {what} is of size {size}, which is no "
                          f"multiple of the {parts} parts that {spec} splits it into ({names})",
                          hint=f"pad it to {size + -size % parts}, or leave the axis whole: None")
