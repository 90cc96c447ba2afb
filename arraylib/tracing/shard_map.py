"""shard_map: a function on the part of each device as a function on whole arrays.

Its meaning in one process: arguments are split as their specs say, with an axis in front for each
axis of the mesh that splits them; the function is batched over these axes, which collectives
inside name; and the results of all devices are joined as their specs say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from copy import copy
from functools import partial, wraps
from typing import Any

from arraylib import tree
from arraylib.config import config
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.batch import batch
from arraylib.hlo.ir import Builder, Graph, Value, current, is_tracing, run, type_of
from arraylib.hlo.ops.check import MeshAxis
from arraylib.hlo.ops.lifted import cut_slice
from arraylib.hlo.ops.shape import repeat_leading
from arraylib.hlo.ops.structured import reshape, transpose
from arraylib.hlo.passes.guard import settled
from arraylib.on_demand import module
from arraylib.record import record
from arraylib.sharding.context import get_abstract_mesh, get_mesh, use_abstract_mesh
from arraylib.sharding.layout import Layout
from arraylib.sharding.mesh import AbstractMesh, AxisType, Mesh
from arraylib.sharding.named import Dims, check_shape, check_spec
from arraylib.sharding.placed import place, placed
from arraylib.sharding.propagate import constrained
from arraylib.sharding.spec import PartitionSpec, axes_of
from arraylib.tracing.axis_names import binding
from arraylib.tracing.core import Flat, as_operand, call_path, must_call, trace
from arraylib.tracing.jit import jit
from arraylib.tracing.layouts import layout_at, variation_of
from arraylib.tracing.manual import checking_variation
from arraylib.tracing.variation import Variation

Function = Callable[..., Any]


def shard_map(f: Function | None = None, /, mesh: Any = None, in_specs: Any = None,
              out_specs: Any = None, *, axis_names: Any = (), check_vma: bool = True,
              check_rep: bool | None = None) -> Any:
    """`f`, which computes on the part of each device, as a function on whole arrays.

    Args:
        f: a function of the parts of positional arguments; in it `lax.psum` and other collectives
            name the axes of the mesh. Without it, a decorator.
        mesh: the mesh; by default the one that is set.
        in_specs: for each argument the PartitionSpec that splits it, which may stand for a
            container's; None: as explicit arguments lie.
        out_specs: how the results of all devices are joined. Along an axis of the mesh that a spec
            does not name, all devices have the same result.
        axis_names: the axes of the mesh along which arguments are split; all by default.
        check_vma: refuse a result that differs along an axis which its spec does not name; without
            it the first device's is taken.
        check_rep: the same, by an older name.

    Raises: ShapeError where a spec does not divide an argument or is too long; ArgumentError for
    specs that name axes which are none, or promise that a result is the same where it differs.

        >>> mesh = make_mesh((1,), ("x",))
        >>> shard_map(lambda x: lax.psum(x.sum(), "x"), mesh, P("x"), P())(jnp.arange(4.))
        Array(6., dtype=float32)
    """
    if f is None:
        return partial(shard_map, mesh=mesh, in_specs=in_specs, out_specs=out_specs,
                       axis_names=axis_names, check_vma=check_vma, check_rep=check_rep)
    function = f
    must_call("shard_map", function)
    check = check_vma if check_rep is None else check_rep

    @wraps(function)
    def mapped(*args: Any) -> Any:
        call = _Call(function, _mesh(mesh), axis_names, check)
        return call.run(args, in_specs, out_specs)

    @wraps(function)
    def watching(*args: Any) -> Any:
        whole = config.watched and config.jit and not is_tracing()
        return (jit(mapped) if whole else mapped)(*args)

    return watching


def smap(f: Function | None = None, /, *, in_axes: Any = 0, out_axes: Any = 0,
         axis_name: Any) -> Any:
    """shard_map along one axis of the mesh: of each argument and result the axis that it splits.

        >>> with set_mesh(make_mesh((1,), ("x",))):
        ...     smap(lambda x: x * 2, axis_name="x")(jnp.arange(2.))
        Array([0., 2.], dtype=float32)
    """
    if f is None:
        return partial(smap, in_axes=in_axes, out_axes=out_axes, axis_name=axis_name)

    def spec(axis: Any) -> PartitionSpec:
        if axis is not None and axis < 0:
            raise mistake(ArgumentError, "smap", f"axis {axis}", hint="the number of an axis from "
                          "the front, or None")
        return PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, axis_name)

    def specs(axes: Any) -> Any:
        return tree.map(spec, axes, is_leaf=lambda x: x is None)

    return shard_map(f, in_specs=specs(in_axes), out_specs=specs(out_axes),
                     axis_names={axis_name})


def _mesh(mesh: Any) -> Mesh | AbstractMesh:
    """The mesh of a call: the one that is given or set; nested, what is left of the outer one."""
    outer = get_abstract_mesh()
    if mesh is None:
        mesh = outer if outer.manual_axes or get_mesh().empty else get_mesh()
    if mesh.empty:
        raise mistake(ArgumentError, "shard_map", "there is no mesh",
                      hint="shard_map(f, mesh=mesh, ...), or with arraylib.set_mesh(mesh): ...")
    config.place()
    return mesh  # type: ignore[no-any-return]


def _is_spec(x: Any) -> bool:
    return x is None or isinstance(x, PartitionSpec)


@record(frozen=False)
class _Call:
    """One call of a function under shard_map."""

    function: Function
    mesh: Mesh | AbstractMesh
    names: Any
    check: bool

    def __post_init__(self) -> None:
        outer = set(get_abstract_mesh().manual_axes)
        wanted = {self.names} if isinstance(self.names, str) else set(self.names)
        unknown = [n for n in wanted if n not in self.mesh.axis_names]
        if unknown:
            raise mistake(ArgumentError, "shard_map", f"axis_names has {unknown[0]!r}, but the "
                          f"mesh has {', '.join(map(repr, self.mesh.axis_names))}",
                          hint="leave axis_names out for all axes of the mesh")
        self.axes = [n for n in self.mesh.axis_names
                     if n not in outer and (not wanted or n in wanted)]
        self.sizes = {n: self.mesh.shape[n] for n in self.axes}

    def run(self, args: tuple[Any, ...], in_specs: Any, out_specs: Any) -> Any:
        """Split the arguments, compute for all devices, join the results."""
        found, structure = tree.flatten(args)
        leaves = [current().own(as_operand(x, "shard_map", partial(call_path, args, {}, i)))
                  for i, x in enumerate(found)]
        specs = self._in_specs(in_specs, args, leaves)
        dims = [self._dims(spec, type_of(x).shape, call_path(args, {}, i))
                for i, (x, spec) in enumerate(zip(leaves, specs))]
        parts = [self._split(x, each) for x, each in zip(leaves, dims)]
        types = [type_of(x).with_shape(self._local(type_of(x).shape, each))
                 for x, each in zip(leaves, dims)]
        flat = Flat("shard_map", self.function, structure)
        split = [{n for names in each for n in names} for each in dims]
        graph, captured, labels = self._trace(flat, types, [
            (variation_of(x), names) for x, names in zip(leaves, split)])
        self.given = [*parts, *captured]
        outs = self._over_all(graph, self.given, [*split, *[set()] * len(captured)], labels)
        return self._results(outs, flat, out_specs)

    # -- arguments ---------------------------------------------------------------------------------

    def _in_specs(self, in_specs: Any, args: Any, leaves: Sequence[Any]) -> list[PartitionSpec]:
        if in_specs is None:
            return [self._as_it_lies(x) for x in leaves]
        if isinstance(in_specs, list):
            in_specs = tuple(in_specs)
        if isinstance(in_specs, tuple) and len(in_specs) != len(args):
            raise mistake(ArgumentError, "shard_map", f"in_specs has {len(in_specs)} entries, but "
                          f"the call has {len(args)} arguments", hint="one entry an argument")
        found = tree.broadcast_prefix(in_specs, args, _is_spec, op="shard_map",
                                      names=("in_specs", "arguments"))
        return [self._spec("in_specs", spec) for spec in found]

    def _as_it_lies(self, x: Any) -> PartitionSpec:
        layout = layout_at(x)
        if layout is None:
            return PartitionSpec()
        return PartitionSpec(*[tuple(n for n in names if n in self.axes)
                               for names in layout.dims])

    def _spec(self, what: str, spec: Any) -> PartitionSpec:
        """A spec that names axes of the mesh which are split here."""
        if not isinstance(spec, PartitionSpec):
            raise mistake(ArgumentError, "shard_map", f"{what} has {spec!r}, which is no "
                          "PartitionSpec", hint="P() for what all devices share")
        check_spec("shard_map", spec, self.mesh)
        if spec.unreduced or spec.reduced:
            raise mistake(ArgumentError, "shard_map", f"{what} has {spec}, but sums that are still "
                          "to be made are not known here", hint="lax.psum inside")
        other = [n for entry in spec for n in axes_of(entry) if n not in self.axes]
        if other:
            raise mistake(ArgumentError, "shard_map", f"{what} has {spec}, but the axis "
                          f"{other[0]!r} is not one of those split here: "
                          f"{', '.join(map(repr, self.axes))}", hint="axis_names")
        return spec

    def _dims(self, spec: PartitionSpec, shape: Sequence[int], what: str) -> Dims:
        check_shape("shard_map", shape, spec, self.mesh, what)
        return (*map(axes_of, spec), *((),) * (len(shape) - len(spec)))

    def _local(self, shape: Sequence[int], dims: Dims) -> list[int]:
        return [size // math.prod(self.sizes[n] for n in names)
                for size, names in zip(shape, dims)]

    def _split(self, x: Any, dims: Dims) -> Any:
        """x with an axis in front for each axis of the mesh that splits it."""
        shape = type_of(x).shape
        if not any(dims):
            return x
        sizes: list[int] = []
        at: dict[Any, int] = {}
        own = []
        for local, names in zip(self._local(shape, dims), dims):
            for name in names:
                at[name] = len(sizes)
                sizes.append(self.sizes[name])
            own.append(len(sizes))
            sizes.append(local)
        order = (*[at[n] for n in self.axes if n in at], *own)
        return transpose(reshape(x, shape=tuple(sizes)), permutation=order)

    # -- what each device computes -----------------------------------------------------------------

    def _trace(self, flat: Flat, types: Sequence[Any],
               differ: Sequence[tuple[Variation, set[Any]]]
               ) -> tuple[Graph, list[Any], dict[Any, MeshAxis]]:
        """The function of one device, the values it captures, and the labels of the axes.

        `differ` has for each argument the axes of a shard_map around along which it differs, and
        those that split it here.
        """
        manual = self.mesh.abstract_mesh.with_types(dict.fromkeys(
            [*self.axes, *get_abstract_mesh().manual_axes], AxisType.Manual))
        with ExitStack() as stack:
            labels = {n: MeshAxis(stack.enter_context(binding(n, self.sizes[n])))
                      for n in self.axes}
            stack.enter_context(use_abstract_mesh(manual))
            if self.check:
                stack.enter_context(checking_variation(
                    {label: self.sizes[n] for n, label in labels.items()}))
            graph, captured = trace(flat, types, alike=[
                None if outer is None else outer.union(str(labels[n]) for n in split)
                for outer, split in differ])
        if config.watched:
            graph = module("hlo.passes.watch").sources(graph, config.watched)
        return settled(graph), captured, labels

    def _over_all(self, graph: Graph, operands: Sequence[Any], split: Sequence[set[Any]],
                  labels: dict[Any, MeshAxis]) -> list[tuple[Any, list[Any]]]:
        """The results of all devices, and along which axes, in front, they differ."""
        varies: list[list[Any]] = [[] for _ in graph.outputs]
        if not self.axes:
            return list(zip(run(graph, operands), varies))
        for name in reversed(self.axes):
            size, last = self.sizes[name], name == self.axes[0]
            has = [name in each for each in split]

            def over(xs: Sequence[Any], graph: Graph = graph, has: Sequence[bool] = has,
                     size: int = size, label: MeshAxis = labels[name]) -> list[tuple[Any, bool]]:
                return batch(graph, list(zip(xs, has, strict=True)), size, label)

            if last:
                pairs = over([current().own(x) for x in operands])
            else:
                with Builder() as builder:
                    inputs = [builder.input(v.type.with_shape((size, *v.type.shape)) if h
                                            else v.type) for v, h in zip(graph.inputs, has)]
                    pairs = over(inputs)
                    graph = builder.build_closed([x for x, _ in pairs])
            varies = [[name, *before] if h else before for before, (_, h) in zip(varies, pairs)]
        return [(x, names) for (x, _), names in zip(pairs, varies)]

    # -- results -----------------------------------------------------------------------------------

    def _results(self, outs: Sequence[tuple[Any, list[Any]]], flat: Flat, out_specs: Any) -> Any:
        out, _ = flat.unflatten([x for x, _ in outs])
        specs = tree.broadcast_prefix(out_specs, out, _is_spec, op="shard_map",
                                      names=("out_specs", "results"))
        paths = tree.paths(tree.structure(out))
        joined = [self._join(x, names, self._spec("out_specs", spec), tree.keystr(path))
                  for (x, names), spec, path in zip(outs, specs, paths, strict=True)]
        return tree.unflatten(tree.structure(out), joined)

    def _join(self, x: Any, names: list[Any], spec: PartitionSpec, path: str) -> Any:
        """The whole result from those of all devices, which differ along the axes `names`."""
        local = type_of(x).shape[len(names):]
        what = f"result{path}"
        if len(spec) > len(local):
            raise mistake(ShapeError, "shard_map", f"{spec} has {len(spec)} entries, but {what} "
                          f"has {len(local)} axes on each device: its shape is {local}")
        dims = (*map(axes_of, spec), *((),) * (len(local) - len(spec)))
        wanted = {n for each in dims for n in each}
        for name in [n for n in names if n not in wanted]:
            if self.check:
                raise _differs(what, spec, name)
            x, names = _first(x, names.index(name)), [n for n in names if n != name]
        for name in [n for n in self.axes if n in wanted and n not in names]:
            x, names = repeat_leading(x, self.sizes[name]), [name, *names]
        order, sizes = [], []
        for axis, (own, size) in enumerate(zip(dims, local)):
            order += [names.index(n) for n in own] + [len(names) + axis]
            sizes.append(size * math.prod(self.sizes[n] for n in own))
        if names:
            x = reshape(transpose(x, permutation=tuple(order)), shape=tuple(sizes))
        return self._laid(x, dims)

    def _laid(self, x: Any, dims: Dims) -> Any:
        """The result, which lies on the mesh as its spec says."""
        if not isinstance(self.mesh, Mesh):
            return x
        layout = Layout(self.mesh, dims)
        if isinstance(x, Value):
            return constrained(x, layout)
        if placed(x) == layout.sharding:
            return x
        return place(copy(x) if any(x is given for given in self.given) else x, layout.sharding)


def _first(x: Any, axis: int) -> Any:
    """The first slice along an axis, without it."""
    shape = type_of(x).shape
    part = cut_slice(x, axis, 0, 1, 1)
    return reshape(part, shape=(*shape[:axis], *shape[axis + 1:]))


def _differs(what: str, spec: PartitionSpec, name: Any) -> Exception:
    return mistake(
        ArgumentError, "shard_map", f"{spec} says that {what} is the same along {name!r}, which "
        "it does not name, but it may differ from device to device",
        hint=f"lax.psum or lax.pmean over {name!r}, a spec that names it, or check_vma=False if "
             "you know that it is the same")
