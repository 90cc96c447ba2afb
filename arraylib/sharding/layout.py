"""Layout: what is known of how one value lies on a mesh, while a program is traced or placed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from arraylib.dtypes import name
from arraylib.hlo.ir import Type
from arraylib.record import record
from arraylib.sharding.mesh import AbstractMesh, AxisType, Mesh
from arraylib.sharding.named import Dims, NamedSharding, Sharding
from arraylib.sharding.spec import PartitionSpec


@record
class Layout:
    """For each axis of a value the axes of a mesh that split it."""

    mesh: Mesh | AbstractMesh
    dims: Dims

    def with_dims(self, dims: Sequence[Sequence[Any]]) -> Layout:
        return Layout(self.mesh, tuple(map(tuple, dims)))

    @property
    def sharding(self) -> NamedSharding:
        """The same as users write it."""
        return NamedSharding(self.mesh, spec_of(self.dims))

    @property
    def typed(self) -> NamedSharding:
        """What of it is part of the type: the axes of the mesh that are explicit."""
        explicit = self.mesh.axes_of(AxisType.Explicit)
        dims = [[n for n in names if n in explicit] for names in self.dims]
        return NamedSharding(self.mesh.abstract_mesh, spec_of(dims))


def spec_of(dims: Sequence[Sequence[Any]]) -> PartitionSpec:
    """The spec with these axes of the mesh for each axis of an array."""
    return PartitionSpec(*[tuple(names) for names in dims])


def layout_of(sharding: Sharding | None, rank: int) -> Layout | None:
    """What a sharding says of an array with so many axes; None where there is no mesh."""
    if not isinstance(sharding, NamedSharding):
        return None
    return Layout(sharding.mesh, sharding.dims(rank))


def whole(mesh: Mesh | AbstractMesh, rank: int) -> Layout:
    """Every device has all."""
    return Layout(mesh, ((),) * rank)


def divides(mesh: Mesh | AbstractMesh, names: Sequence[Any], size: int) -> bool:
    """Whether an axis of this size can be split along these axes of the mesh."""
    return not size % math.prod(mesh.shape[n] for n in names)


@record
class PlacedType:
    """The dtype and shape of a value, and how it lies on a mesh: what `typeof` gives."""

    type: Type
    layout: Layout

    dtype = property(lambda self: self.type.dtype)
    shape = property(lambda self: self.type.shape)
    ndim = property(lambda self: len(self.type.shape))
    size = property(lambda self: self.type.size)
    sharding = property(lambda self: self.layout.typed)

    def __str__(self) -> str:
        axes = []
        for size, entry in zip(self.shape, self.layout.typed.dims(self.ndim)):
            names = str(entry[0]) if len(entry) == 1 else f"({','.join(map(str, entry))})"
            axes.append(f"{size}@{names}" if entry else str(size))
        return f"{name(self.dtype)}[{','.join(axes)}]"

    __repr__ = __str__
