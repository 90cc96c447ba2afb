"""How results lie on a mesh, from how operands do: by the axis labels of each operation.

An axis of a result is split like the axes of operands that have its label; what is summed is in
no result. Where two operands disagree along an explicit axis of the mesh, the program must say
what it wants; along others the first one wins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakValueDictionary

from arraylib.errors import ShardingTypeError, Source, mistake
from arraylib.hlo.axes import parse
from arraylib.hlo.ir import Graph, Type
from arraylib.hlo.opdef import Attrs, OpDef
from arraylib.hlo.ops.placement import constrain
from arraylib.hlo.ops.structured import broadcast_in_dim, reshape
from arraylib.sharding.layout import Layout, divides, whole
from arraylib.sharding.mesh import AbstractMesh, AxisType, Mesh
from arraylib.sharding.named import Dims

Layouts = Sequence[Layout | None]

_lenient: ContextVar[bool] = ContextVar("arraylib_lenient_sharding", default=False)


def is_lenient() -> bool:
    """Whether operands may disagree here."""
    return _lenient.get()


@contextmanager
def leniently() -> Iterator[None]:
    """Inside, where operands disagree the first wins: somebody says afterwards what is wanted."""
    token = _lenient.set(True)
    try:
        yield
    finally:
        _lenient.reset(token)


def place_results(op: OpDef, types: Sequence[Type], attrs: Attrs, layouts: Layouts,
                  results: Sequence[Type], where: Source | None = None,
                  strict: bool = False) -> list[Layout | None]:
    """The layouts of an operation's results; None for all where no operand has one.

    Raises: ShardingTypeError if `strict` and operands disagree along explicit axes of the mesh.
    """
    mesh = next((each.mesh for each in layouts if each is not None), None)
    if op in _RULES:
        return [_RULES[op](types[0], layouts[0], attrs, mesh, results[0])]
    if mesh is None:
        return [None] * len(results)
    inner = [part for value in attrs.values()
             for part in (value if isinstance(value, tuple) else (value,))
             if isinstance(part, Graph)]
    if inner and op.multiple:
        return _through_regions(inner, types, layouts, results, mesh)
    labels = op.labels(types, attrs) if types else None
    check = strict and not _lenient.get()
    dims = [each.dims if each is not None else ((),) * t.rank for each, t in zip(layouts, types)]
    if labels is None:
        return [_kept(mesh, types, dims, result) for result in results]
    found = _by_labels(op, labels, types, dims, mesh, where if check else None, check)
    return [Layout(mesh, found)] * len(results)


# -- by labels -------------------------------------------------------------------------------------


def _by_labels(op: OpDef, labels: str, types: Sequence[Type], dims: Sequence[Dims],
               mesh: Mesh | AbstractMesh, where: Source | None, check: bool) -> Dims:
    operands, result = parse(labels)
    explicit = set(mesh.axes_of(AxisType.Explicit)) if check else set()
    chosen: dict[str, tuple[Any, ...]] = {}
    for own, split in zip(operands, dims):
        for label, names in zip(own, split):
            before = chosen.get(label, ())
            if not before:
                chosen[label] = names
            elif names and explicit.intersection(before + names):
                _check_agreement(op, label, result, before, names, types, dims, mesh, where)
    used: set[Any] = set()
    found = []
    for label in result:
        names = chosen.get(label, ())
        if used.intersection(names):
            if explicit.intersection(names):
                raise _ambiguous(op, f"two axes of the result would be split along "
                                 f"{_list(names)}", types, dims, mesh, where)
            names = ()
        used.update(names)
        found.append(names)
    return tuple(found)


def _check_agreement(op: OpDef, label: str, result: str, before: tuple[Any, ...],
                     names: tuple[Any, ...], types: Sequence[Type], dims: Sequence[Dims],
                     mesh: Mesh | AbstractMesh, where: Source | None) -> None:
    """ShardingTypeError where an axis of two operands is split in two ways, or summed."""
    if label not in result:
        raise _ambiguous(op, f"the axis {label}, over which it sums, is split along "
                         f"{_list(before)} in one operand and {_list(names)} in another, and it "
                         "is ambiguous how the result should be", types, dims, mesh, where)
    if before != names:
        raise _ambiguous(op, f"the axis {label} is split along {_list(before)} in one operand, but "
                         f"{_list(names)} in another", types, dims, mesh, where)


def _list(names: Sequence[Any]) -> str:
    return ", ".join(map(repr, names))


def _ambiguous(op: OpDef, problem: str, types: Sequence[Type], dims: Sequence[Dims],
               mesh: Mesh | AbstractMesh, where: Source | None) -> Exception:
    shown = [f"{t}  {Layout(mesh, d).sharding.spec}" for t, d in zip(types, dims)]
    return mistake(ShardingTypeError, op.name, problem, where=where, operands=shown,
                   hint="out_sharding=P(...) where the function takes it, or "
                        "arraylib.reshard(x, P(...)) for an operand")


# -- what labels cannot describe -------------------------------------------------------------------


def _kept(mesh: Mesh | AbstractMesh, types: Sequence[Type], dims: Sequence[Dims],
          result: Type) -> Layout:
    """Axes of the first operand that are in the result as they are keep their split."""
    if not types or types[0].rank != result.rank:
        return whole(mesh, result.rank)
    return Layout(mesh, tuple(
        names if before == after and divides(mesh, names, after) else ()
        for names, before, after in zip(dims[0], types[0].shape, result.shape)))


def _constrain(type: Type, layout: Layout | None, attrs: Attrs, mesh: Any,
               result: Type) -> Layout | None:
    wanted = _meshes.get(attrs["mesh"])
    if wanted is None:
        return layout
    names = wanted.axis_names
    return Layout(wanted, tuple(tuple(names[int(i)] for i in part.split(",") if i)
                                for part in attrs["axes"].split(";")) if type.rank else ())


_meshes: WeakValueDictionary[str, Mesh | AbstractMesh] = WeakValueDictionary()


def constrained(x: Any, layout: Layout) -> Any:
    """x, which lies on the mesh like this; emitted where operations go now."""
    mesh = layout.mesh
    name = f"mesh{abs(hash(mesh))}"
    while _meshes.setdefault(name, mesh) != mesh:
        name += "'"
    axes = ";".join(",".join(str(mesh.axis_names.index(n)) for n in names)
                    for names in layout.dims)
    return constrain(x, axes=axes, mesh=name)


def _broadcast(type: Type, layout: Layout | None, attrs: Attrs, mesh: Any,
               result: Type) -> Layout | None:
    if layout is None:
        return None
    dims: list[tuple[Any, ...]] = [()] * result.rank
    for names, before, axis in zip(layout.dims, type.shape, attrs["broadcast_dimensions"]):
        if before == result.shape[axis]:
            dims[axis] = names
    return layout.with_dims(dims)


def _reshape(type: Type, layout: Layout | None, attrs: Attrs, mesh: Any,
             result: Type) -> Layout | None:
    """The first axis of those that are joined or made of one has the split of the first."""
    if layout is None:
        return None
    dims: list[tuple[Any, ...]] = [()] * result.rank
    for before, after in _joint(type.shape, result.shape):
        for i, j in zip(before, after) if len(before) == len(after) else [(before[0], after[0])] \
                if before and after else []:
            names = layout.dims[i]
            if names and divides(layout.mesh, names, result.shape[j]):
                dims[j] = names
    return layout.with_dims(dims)


def _joint(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Groups of axes, in order, that hold the same elements before and after a reshape.

    Axes of size 1 are in no group.
    """
    if 0 in before:
        return []
    left = [i for i, n in enumerate(before) if n != 1]
    right = [i for i, n in enumerate(after) if n != 1]
    groups = []
    while left and right:
        own, other = [left.pop(0)], [right.pop(0)]
        while (a := math.prod(before[i] for i in own)) != (
                b := math.prod(after[i] for i in other)):
            if a < b:
                own.append(left.pop(0))
            else:
                other.append(right.pop(0))
        groups.append((own, other))
    return groups


_RULES: dict[OpDef, Callable[[Type, Layout | None, Attrs, Any, Type], Layout | None]] = {
    constrain: _constrain, broadcast_in_dim: _broadcast, reshape: _reshape}


# -- graphs ----------------------------------------------------------------------------------------


def propagate(graph: Graph, layouts: Layouts) -> list[Layout | None]:
    """The layouts of a graph's outputs from those of its inputs."""
    known: dict[Any, Layout | None] = dict(zip(graph.inputs, layouts, strict=True))
    for node in graph.nodes:
        found = place_results(node.op, node.types, node.attrs, [known[v] for v in node.inputs],
                              [v.type for v in node.outputs], node.where)
        known.update(zip(node.outputs, found, strict=True))
    return [known[v] for v in graph.outputs]


def _through_regions(inner: Sequence[Graph], types: Sequence[Type], layouts: Layouts,
                     results: Sequence[Type], mesh: Mesh | AbstractMesh) -> list[Layout | None]:
    """By the graph inside whose results are these, or slices of them along the first axis."""
    for graph in reversed(inner):
        if len(graph.outputs) == len(results) and len(graph.inputs) == len(types):
            given = [_inside(layout, outer, v.type)
                     for layout, outer, v in zip(layouts, types, graph.inputs)]
            found = propagate(graph, given)
            return [_outside(layout, v.type, result, mesh)
                    for layout, v, result in zip(found, graph.outputs, results)]
    return [whole(mesh, result.rank) for result in results]


def _inside(layout: Layout | None, outer: Type, inner: Type) -> Layout | None:
    if layout is None or outer is inner:
        return layout
    return layout.with_dims(layout.dims[1:]) if outer.shape[1:] == inner.shape else None


def _outside(layout: Layout | None, inner: Type, outer: Type,
             mesh: Mesh | AbstractMesh) -> Layout:
    if layout is not None and inner is outer:
        return layout
    if layout is not None and outer.shape[1:] == inner.shape:
        return layout.with_dims([(), *layout.dims])
    return whole(mesh, outer.rank)
