"""Arrays and traced values laid out over a mesh in another way: what they are does not change."""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import wraps
from typing import Any

import numpy as np

from arraylib import tree
from arraylib.array import Array, to_numpy, wrap
from arraylib.device import CPU
from arraylib.errors import ArgumentError, ShapeError, mistake, what_is
from arraylib.hlo.ir import Value, current, type_of
from arraylib.sharding.context import current_mesh, get_abstract_mesh, use_abstract_mesh
from arraylib.sharding.layout import layout_of
from arraylib.sharding.mesh import AxisType
from arraylib.sharding.named import NamedSharding, Sharding, SingleDeviceSharding
from arraylib.sharding.placed import place, placed
from arraylib.sharding.propagate import constrained, leniently
from arraylib.sharding.spec import PartitionSpec
from arraylib.tracing.core import as_operand


def put(op: str, x: Any, sharding: Sharding | None) -> Any:
    """An array or traced value that lies like this; itself where it does."""
    if sharding is None:
        return x
    shape = type_of(x).shape
    sharding.check(op, shape)
    if isinstance(sharding, NamedSharding) and (sharding.spec.unreduced or sharding.spec.reduced):
        raise mistake(ArgumentError, op, f"{sharding.spec} has sums that are still to be made, "
                      "which are not known here", hint="a spec without unreduced and reduced")
    if isinstance(x, Value):
        layout = layout_of(sharding, len(shape))
        return x if layout is None else constrained(x, layout)
    if sharding == (placed(x) or SingleDeviceSharding(CPU)):
        return x
    return place(wrap(to_numpy(x).copy()), sharding)


def with_mesh(op: str, spec: Any, mesh: Any = None) -> Sharding:
    """The sharding that a user means by a PartitionSpec under the mesh that is set."""
    if isinstance(spec, Sharding):
        return spec
    if not isinstance(spec, PartitionSpec):
        raise mistake(ArgumentError, op, f"{what_is(spec)} is neither a sharding nor a "
                      "PartitionSpec", hint="NamedSharding(mesh, P(...))")
    mesh = current_mesh() if mesh is None else mesh
    if mesh.empty:
        raise mistake(ArgumentError, op, f"{spec} is for a mesh, but none is set",
                      hint="with arraylib.set_mesh(mesh): ..., or NamedSharding(mesh, spec)")
    return NamedSharding(mesh, spec)


def _is_sharding(x: Any) -> bool:
    return x is None or isinstance(x, (Sharding, PartitionSpec))


def _laid(op: str, container: Any, shardings: Any) -> Any:
    leaves, structure = tree.flatten(container)
    wanted = tree.broadcast_prefix(shardings, container, _is_sharding, op=op,
                                   names=("shardings", "arrays"))
    return tree.unflatten(structure, [
        x if s is None else put(op, current().own(as_operand(x, op, lambda: "an argument")),
                                with_mesh(op, s))
        for x, s in zip(leaves, wanted, strict=True)])


def reshard(container: Any, out_shardings: Any) -> Any:
    """The same arrays, laid out over a mesh in another way.

    Args:
        out_shardings: a NamedSharding, or a PartitionSpec for the mesh that is set; a container of
            them may stand for the container's.

    Raises: ShapeError where a sharding does not divide an axis; ArgumentError where no mesh is set
    and none is named.

        >>> with set_mesh(make_mesh((1,), ("x",))):
        ...     print(typeof(reshard(jnp.ones(4), P("x"))))
        float32[4@x]
    """
    return _laid("reshard", container, out_shardings)


def with_sharding_constraint(x: Any, shardings: Any) -> Any:
    """The same arrays, of which a program says how they lie: see `reshard`.

        >>> mesh = make_mesh((1,), ("x",))
        >>> with_sharding_constraint(jnp.ones(2), NamedSharding(mesh, P("x"))).sharding.spec
        P('x',)
    """
    return _laid("with_sharding_constraint", x, shardings)


def with_shardings(function: Callable[..., Any], in_shardings: Any, out_shardings: Any,
                   static: Container[int] = ()) -> Callable[..., Any]:
    """`function`, whose arguments and results lie as is said; None says nothing.

    Nothing is said of positional arguments that are static, at the numbers in `static`.
    """
    @wraps(function)
    def laid(*args: Any, **kwargs: Any) -> Any:
        if in_shardings is not None:
            traced = tuple([x for i, x in enumerate(args) if i not in static])
            found = iter(_laid("jit", traced, in_shardings if isinstance(in_shardings, tuple)
                               else (in_shardings,) * len(traced)))
            args = tuple([x if i in static else next(found) for i, x in enumerate(args)])
        out = function(*args, **kwargs)
        return out if out_shardings is None else _laid("jit", out, out_shardings)
    return laid


def _retyped(function: Callable[..., Any], to: AxisType, axes: Any,
             out_sharding: Any) -> Callable[..., Any]:
    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        mesh = get_abstract_mesh()
        chosen = mesh.axis_names if axes is None else (axes,) if isinstance(axes, str) else axes
        given = kwargs.pop("out_sharding", out_sharding)
        with use_abstract_mesh(mesh.with_types(dict.fromkeys(chosen, to))), leniently():
            out = function(*args, **kwargs)
        return out if given is None else _laid("auto_axes", out, given)
    return called


def auto_axes(f: Any = None, *, axes: Any = None, out_sharding: Any = None) -> Any:
    """`f`, inside which these axes of the mesh (all by default) are Auto.

    The result lies as `out_sharding` says, here or in the call.
    """
    if f is None:
        return lambda function: auto_axes(function, axes=axes, out_sharding=out_sharding)
    return _retyped(f, AxisType.Auto, axes, out_sharding)


def explicit_axes(f: Any = None, *, axes: Any = None, in_sharding: Any = None) -> Any:
    """`f`, inside which these axes of the mesh are Explicit, and arguments lie as is said."""
    if f is None:
        return lambda function: explicit_axes(function, axes=axes, in_sharding=in_sharding)
    @wraps(f)
    def called(*args: Any, **kwargs: Any) -> Any:
        given = kwargs.pop("in_sharding", in_sharding)
        return _retyped(f, AxisType.Explicit, axes, None)(
            *(args if given is None else _laid(
                "explicit_axes", args, given if isinstance(given, tuple) else
                (given,) * len(args))), **kwargs)
    return called


def make_array_from_callback(shape: Any, sharding: Sharding,
                             data_callback: Callable[[Any], Any], dtype: Any = None) -> Array:
    """The array whose parts `data_callback` gives: for each device's index in it the elements.

        >>> mesh = make_mesh((1,), ("x",))
        >>> make_array_from_callback((3,), NamedSharding(mesh, P("x")), lambda i: np.arange(3)[i])
        Array([0, 1, 2], dtype=int32)
    """
    parts = [(index, data_callback(index))
             for index in sharding.devices_indices_map(tuple(shape)).values()]
    return _joined("make_array_from_callback", tuple(shape), sharding, parts, dtype)


def make_array_from_single_device_arrays(shape: Any, sharding: Sharding, arrays: Any,
                                         dtype: Any = None) -> Array:
    """The array whose parts are these: arrays that are on the devices of `sharding`.

    >>> mesh = arraylib.make_mesh((1,), ("x",))
    >>> whole = sharding.NamedSharding(mesh, sharding.PartitionSpec("x"))
    >>> arraylib.make_array_from_single_device_arrays((3,), whole, [jnp.arange(3)])
    Array([0, 1, 2], dtype=int32)
    """
    indices = sharding.devices_indices_map(tuple(shape))
    op = "make_array_from_single_device_arrays"
    if len(arrays) != len(indices):
        raise mistake(ArgumentError, op, f"{len(arrays)} arrays for {len(indices)} devices")
    by_device = {x.device: x for x in arrays}
    if set(by_device) != set(indices):
        raise mistake(ArgumentError, op, f"arrays are on {sorted(map(str, by_device))}, but the "
                      f"sharding has {sorted(map(str, indices))}",
                      hint="arraylib.device_put(x, device)")
    parts = [(index, by_device[device]) for device, index in indices.items()]
    return _joined(op, tuple(shape), sharding, parts, dtype)


def _joined(op: str, shape: tuple[int, ...], sharding: Sharding, parts: Any, dtype: Any) -> Array:
    """An array from its parts with their indices."""
    own = [(index, to_numpy(wrap(np.array(Array(part, dtype))))) for index, part in parts]
    wanted = sharding.shard_shape(shape)
    whole = np.empty(shape, own[0][1].dtype)
    for index, part in own:
        if part.shape != wanted or part.dtype != whole.dtype:
            raise mistake(ShapeError, op, f"a part is {type_of(part)}, but those of {shape} under "
                          f"{sharding} are {type_of(whole).with_shape(wanted)}")
        whole[index] = part
    return place(wrap(whole), sharding)
