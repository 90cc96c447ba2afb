"""The mesh that programs run under, where they name none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from arraylib.config import config
from arraylib.errors import ArgumentError, mistake, what_is
from arraylib.sharding.mesh import AbstractMesh, Mesh

EMPTY = Mesh(np.empty((), object), ())
_mesh: ContextVar[Mesh] = ContextVar("arraylib_mesh", default=EMPTY)
_abstract: ContextVar[AbstractMesh | None] = ContextVar("arraylib_abstract_mesh", default=None)


class set_mesh:  # a function to its users, whose result is a context manager
    """Make `mesh` the one that programs run under; in a `with` statement, for its block.

    Shardings may then be given by PartitionSpecs alone.

        with arraylib.set_mesh(mesh): ...
    """

    def __init__(self, mesh: Mesh | None) -> None:
        if mesh is not None and not isinstance(mesh, Mesh):
            raise mistake(ArgumentError, "set_mesh", f"{what_is(mesh)} is no Mesh",
                          hint="arraylib.make_mesh(...)")
        config.place()
        self._mesh = _mesh.set(EMPTY if mesh is None else mesh)
        self._abstract = _abstract.set(None)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: Any) -> None:
        _mesh.reset(self._mesh)
        _abstract.reset(self._abstract)


use_mesh = set_mesh
_entered: ContextVar[tuple[set_mesh, ...]] = ContextVar("arraylib_entered_meshes", default=())


def enter(mesh: Mesh) -> None:
    """`set_mesh` until `leave`: what a mesh does at the start of its own `with` block."""
    _entered.set((*_entered.get(), set_mesh(mesh)))


def leave() -> None:
    """Undo the last `enter`."""
    *rest, last = _entered.get()
    _entered.set(tuple(rest))
    last.__exit__()


@contextmanager
def use_abstract_mesh(mesh: AbstractMesh) -> Iterator[None]:
    """Inside the `with` block `get_abstract_mesh()` is this one.

    >>> mesh = arraylib.make_mesh((1,), ("x",)).abstract_mesh
    >>> with use_abstract_mesh(mesh):
    ...     print(get_abstract_mesh().axis_names)
    ('x',)
    """
    if not isinstance(mesh, AbstractMesh):
        raise mistake(ArgumentError, "use_abstract_mesh", f"{what_is(mesh)} is no AbstractMesh",
                      hint="mesh.abstract_mesh")
    config.place()
    token = _abstract.set(mesh)
    try:
        yield
    finally:
        _abstract.reset(token)


def get_mesh() -> Mesh:
    """The mesh that programs run under; one that is `empty` where none is set.

    >>> arraylib.sharding.get_mesh().empty
    True
    """
    return _mesh.get()


def current_mesh() -> Mesh | AbstractMesh:
    """The mesh that specs are for: the devices that are set, in the axes of the innermost mesh."""
    axes, mesh = get_abstract_mesh(), _mesh.get()
    if axes == mesh.abstract_mesh:
        return mesh
    if mesh.empty or axes.size != mesh.size:
        return axes
    return Mesh(mesh.devices.reshape(axes.axis_sizes), axes.axis_names, axes.axis_types)


def get_abstract_mesh() -> AbstractMesh:
    """The axes of the mesh that programs run under; inside shard_map those it maps are Manual.

    >>> arraylib.sharding.get_abstract_mesh().empty
    True
    """
    found = _abstract.get()
    return _mesh.get().abstract_mesh if found is None else found
