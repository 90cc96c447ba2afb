"""Collectives: what all examples along a named axis of `vmap` compute together.

    vmap(lambda x: x / lax.psum(x, "i"), axis_name="i")(x)

Arguments are arrays in nested containers, each on its own. `axis_name` is the name that a vmap
outside gives, or several, of which the first varies slowest. `axis_index_groups` divides the
indices along the axis into groups of one size that go by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt, numpy as jnp, tree
from arraylib.errors import ArgumentError, DtypeError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import collective as co, elementwise as ew
from arraylib.hlo.ops.variation import vary
from arraylib.numpy.promotion import Array, as_axes, as_axis, convert, operand as owned, shape_of
from arraylib.tracing.axis_names import NamedAxis, find_axis
from arraylib.tracing.manual import checked_axes

AxisName = Hashable | Sequence[Hashable]
Groups = Sequence[Sequence[int]] | None


# -- axes ------------------------------------------------------------------------------------------


def _axes(op: str, axis_name: Any) -> list[NamedAxis]:
    """The axes with these names, which are bound and different."""
    names = list(axis_name) if isinstance(axis_name, (tuple, list)) else [axis_name]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise mistake(ArgumentError, op, f"the axis {twice!r} is named twice")
    return [find_axis(op, name) for name in names]


def _is_place(name: Any) -> bool:
    return isinstance(name, int) and not isinstance(name, bool)


def _split_names(axis_name: Any) -> tuple[list[Any], list[int]]:
    """Names of axes, and axes of the array by number, that one argument may mix."""
    names = list(axis_name) if isinstance(axis_name, (tuple, list)) else [axis_name]
    return [n for n in names if not _is_place(n)], [n for n in names if _is_place(n)]


def _size(axes: Sequence[NamedAxis], groups: Groups) -> int:
    return math.prod(axis.size for axis in axes) if groups is None else len(groups[0])


def _checked(op: str, axes: Sequence[NamedAxis], groups: Groups) -> Groups:
    """Groups that hold every index once, and are of one size."""
    if groups is None:
        return None
    if len(axes) != 1:
        raise mistake(ArgumentError, op, f"axis_index_groups along {len(axes)} axes",
                      hint="groups divide the indices along one axis")
    rows, size = [[int(i) for i in group] for group in groups], axes[0].size
    if sorted(i for row in rows for i in row) != list(range(size)):
        raise mistake(ArgumentError, op, f"axis_index_groups {rows} do not hold each of the "
                      f"{size} indices along {axes[0].name!r} once")
    if len({len(row) for row in rows}) != 1:
        raise mistake(ArgumentError, op, f"axis_index_groups {rows} are of different sizes")
    return rows


def _settings(axis: NamedAxis, groups: Groups) -> dict[str, Any]:
    """The attributes by which an operation names an axis."""
    return {"axis_name": axis.label, "axis_size": axis.size, "channel_id": 0,
            "replica_groups": tuple(map(tuple, groups or ()))}


def axis_size(axis_name: AxisName) -> int:
    """How many examples there are along a named axis, or along several together: a Python int.

    >>> vmap(lambda x: x * lax.axis_size("i"), axis_name="i")(jnp.arange(3))
    Array([0, 3, 6], dtype=int32)
    """
    return _size(_axes("axis_size", axis_name), None)


def axis_index(axis_name: AxisName) -> Array:
    """Which example this is along a named axis, from 0 on; along several, as if they were one.

    Raises: UnboundAxisError where no vmap around has the name.

        >>> vmap(lambda x: x + lax.axis_index("i"), axis_name="i")(jnp.zeros(3))
        Array([0., 1., 2.], dtype=float32)
    """
    index: Any = None
    for axis in _axes("axis_index", axis_name):
        own = convert(co.replica_id(axis_name=axis.label, axis_size=axis.size), dt.int32)
        index = own if index is None else jnp.add(jnp.multiply(index, axis.size), own)
    return np.int32(0) if index is None else index  # type: ignore[return-value]


# -- reductions ------------------------------------------------------------------------------------


def _reduce(op: str, combine: OpDef, along: Callable[..., Array], x: Any, axis_name: AxisName,
            groups: Groups) -> Any:
    names, places = _split_names(axis_name)
    axes = _axes(op, names)
    rows = _checked(op, axes, groups)

    def one(leaf: Any) -> Array:
        leaf = owned(op, leaf)
        if dt.is_bool(type_of(leaf).dtype) and combine is ew.add:
            leaf = convert(leaf, dt.default_int())
        if dt.is_complex(type_of(leaf).dtype) and combine is not ew.add:
            raise mistake(DtypeError, op, "complex numbers have no order",
                          operands=[type_of(leaf)])
        if places:
            leaf = along(leaf, as_axes(op, places, len(shape_of(leaf))))
        for axis in reversed(axes):
            (leaf,) = co.all_reduce(leaf, body=co.body_of(type_of(leaf).dtype, combine),
                                    use_global_device_ids=False, **_settings(axis, rows))
        return leaf

    return tree.map(one, x)


def psum(x: Any, axis_name: AxisName, *, axis_index_groups: Groups = None) -> Any:
    """The sum over all examples along a named axis; `axis_name` may name axes of x by number, too.

    Numbers that are no arrays stay such: `psum(1, "i")` is the size of the axis. Truth values are
    counted. Its transpose is again a sum: examples get the cotangents of all.

        >>> vmap(lambda x: x / lax.psum(x, "i"), axis_name="i")(jnp.array([1., 3.]))
        Array([0.25, 0.75], dtype=float32)
    """
    if _all_numbers(x):
        names, places = _split_names(axis_name)
        axes = _axes("psum", names)
        if not places:
            size = _size(axes, _checked("psum", axes, axis_index_groups))
            return tree.map(lambda leaf: leaf * size, x)
    return _reduce("psum", ew.add, _sum, x, axis_name, axis_index_groups)


def _sum(x: Array, axes: tuple[int, ...]) -> Array:
    return jnp.sum(x, axes, type_of(x).dtype)


def _all_numbers(x: Any) -> bool:
    return all(isinstance(leaf, (int, float, complex)) for leaf in tree.leaves(x))


def pmean(x: Any, axis_name: AxisName, *, axis_index_groups: Groups = None) -> Any:
    """The mean over all examples along a named axis; see `psum`.

        >>> vmap(lambda x: x - lax.pmean(x, "i"), axis_name="i")(jnp.array([1., 3.]))
        Array([-1.,  1.], dtype=float32)
    """
    total = psum(x, axis_name, axis_index_groups=axis_index_groups)
    def mean(leaf: Any, whole: Any) -> Any:
        names, places = _split_names(axis_name)
        shape = shape_of(leaf)
        count = _size(_axes("pmean", names), axis_index_groups) * math.prod(
            shape[d] for d in places)
        return whole / count if _all_numbers(whole) else jnp.true_divide(whole, count)
    return tree.map(mean, x, total)


def pmax(x: Any, axis_name: AxisName, *, axis_index_groups: Groups = None) -> Any:
    """The largest over all examples along a named axis; nan if one is.

    Its derivative is the mean over the examples that hold it. Raises DtypeError for complex
    numbers.

    >>> vmap(lambda x: lax.pmax(x, "i"), axis_name="i")(jnp.arange(3))
    Array([2, 2, 2], dtype=int32)
    """
    return _reduce("pmax", ew.maximum, jnp.max, x, axis_name, axis_index_groups)


def pmin(x: Any, axis_name: AxisName, *, axis_index_groups: Groups = None) -> Any:
    """The smallest over all examples along a named axis; see `pmax`.

    >>> vmap(lambda x: lax.pmin(x, "i"), axis_name="i")(jnp.arange(3))
    Array([0, 0, 0], dtype=int32)
    """
    return _reduce("pmin", ew.minimum, jnp.min, x, axis_name, axis_index_groups)


# -- gathering and scattering ----------------------------------------------------------------------


def all_gather(x: Any, axis_name: AxisName, *, axis_index_groups: Groups = None, axis: int = 0,
               tiled: bool = False) -> Any:
    """The values of all examples along a named axis, joined along a new axis of the result.

    With `tiled` they are joined along the axis `axis` that they have.

        >>> vmap(lambda x: lax.all_gather(x, "i"), axis_name="i", out_axes=None)(jnp.arange(3))
        Array([0, 1, 2], dtype=int32)
    """
    op, axes = "all_gather", _axes("all_gather", axis_name)
    rows = _checked(op, axes, axis_index_groups)

    def one(leaf: Any) -> Array:
        leaf = owned(op, leaf)
        place = as_axis(op, axis, len(shape_of(leaf)) + (not tiled))
        whole = leaf if tiled else jnp.expand_dims(leaf, place)
        for each in reversed(axes):
            (whole,) = co.all_gather(whole, all_gather_dim=place, use_global_device_ids=False,
                                     **_settings(each, rows))
        return whole

    return tree.map(one, x)


def all_gather_invariant(x: Any, axis_name: AxisName, *, axis: int = 0,
                         tiled: bool = False) -> Any:
    """all_gather, whose result is the same for all: shard_map need not join it.

    >>> gathered = vmap(lambda x: lax.all_gather_invariant(x, "i"), axis_name="i", out_axes=None)
    >>> gathered(jnp.arange(3))
    Array([0, 1, 2], dtype=int32)
    """
    whole = all_gather(x, axis_name, axis=axis, tiled=tiled)
    axes = _axes("all_gather_invariant", axis_name)
    return tree.map(lambda leaf: _counted(leaf, axes, same=True), whole)


def _counted(x: Any, axes: Sequence[NamedAxis], same: bool) -> Any:
    """x, which in shard_map counts as different along these axes, or as the same."""
    for axis in axes:
        if axis.label in checked_axes():
            x = vary(x, axis_name=axis.label, axis_size=axis.size, same=same)
    return x


def pcast(x: Any, axis_name: AxisName, *, to: str) -> Any:
    """x itself, taken as differing along a named axis: `to` is "varying".

    In shard_map, gradients in what differs are each device's own; in what is the same, those of all
    devices are added up.

    Raises: ArgumentError for another `to`; UnboundAxisError where no axis has the name.

    >>> vmap(lambda x: lax.pcast(x, "i", to="varying"), axis_name="i")(jnp.arange(3))
    Array([0, 1, 2], dtype=int32)
    """
    axes = _axes("pcast", axis_name)
    if to != "varying":
        raise mistake(ArgumentError, "pcast", f"to = {to!r} along "
                      f"{', '.join(repr(axis.name) for axis in axes)}", hint="to='varying'")
    return tree.map(lambda leaf: _counted(owned("pcast", leaf), axes, same=False), x)


def pvary(x: Any, axis_name: AxisName) -> Any:
    """The same as `pcast(x, axis_name, to="varying")`.

    >>> vmap(lambda x: lax.pvary(x, "i"), axis_name="i")(jnp.arange(3))
    Array([0, 1, 2], dtype=int32)
    """
    return pcast(x, axis_name, to="varying")


def pbroadcast(x: Any, axis_name: AxisName, source: int) -> Any:
    """The value of the example with the index `source` along a named axis, for all.

        >>> vmap(lambda x: lax.pbroadcast(x, "i", 1), axis_name="i")(jnp.arange(3))
        Array([1, 1, 1], dtype=int32)
    """
    count = axis_size(axis_name)
    if not 0 <= source < count:
        raise mistake(ArgumentError, "pbroadcast", f"source = {source}, but there are {count} "
                      f"examples along {axis_name!r}")
    return tree.map(lambda leaf: all_gather(leaf, axis_name)[source], x)


def psum_scatter(x: Any, axis_name: AxisName, *, scatter_dimension: int = 0,
                 axis_index_groups: Groups = None, tiled: bool = False) -> Any:
    """Of the sum over all examples, the slice at this example's index along `scatter_dimension`.

    That has the size of the named axis, and is not in the result; with `tiled` it has a multiple,
    and examples get blocks.

        >>> vmap(lambda x: lax.psum_scatter(x, "i"), axis_name="i")(jnp.ones((3, 3)))
        Array([3., 3., 3.], dtype=float32)
    """
    op, axes = "psum_scatter", _axes("psum_scatter", axis_name)
    rows = _checked(op, axes, axis_index_groups)

    def one(leaf: Any) -> Array:
        leaf = owned(op, leaf)
        if dt.is_bool(type_of(leaf).dtype):
            leaf = convert(leaf, dt.default_int())
        place = as_axis(op, scatter_dimension, len(shape_of(leaf)))
        _check_parts(op, leaf, place, "scatter_dimension", axes, _size(axes, rows), tiled)
        part = leaf
        for each in axes:
            part = co.reduce_scatter(
                part, scatter_dimension=place, body=co.body_of(type_of(leaf).dtype),
                use_global_device_ids=False, **_settings(each, rows))
        return part if tiled else jnp.squeeze(part, place)

    return tree.map(one, x)


def _check_parts(op: str, x: Array, place: int, what: str, axes: Sequence[NamedAxis], size: int,
                 tiled: bool) -> None:
    """ShapeError unless the array has a slice, or if `tiled` a block, for each example."""
    own, names = shape_of(x)[place], ", ".join(repr(axis.name) for axis in axes)
    blocks = "" if tiled or not size or own % size else "tiled=True, which gives each a block"
    if not size or (own % size if tiled else own != size):
        raise mistake(ShapeError, op, f"{what} {place} is of size {own}, which is "
                      f"{'no multiple of' if tiled else 'not'} the {size} examples along {names}",
                      operands=[type_of(x)], hint=blocks)


# -- exchanging ------------------------------------------------------------------------------------


def all_to_all(x: Any, axis_name: AxisName, split_axis: int, concat_axis: int, *,
               axis_index_groups: Groups = None, tiled: bool = False) -> Any:
    """Every example sends its slice at k along `split_axis` to example k.

    That axis has the size of the named one and is replaced by one of all senders, at `concat_axis`
    of the result. With `tiled` it has a multiple of that size, examples send blocks, and join what
    they get along the axis `concat_axis` that blocks have.

        >>> vmap(lambda x: lax.all_to_all(x, "i", 0, 0), axis_name="i")(jnp.arange(4).reshape(2, 2))
        Array([[0, 2],
               [1, 3]], dtype=int32)
    """
    op, axes = "all_to_all", _axes("all_to_all", axis_name)
    rows = _checked(op, axes, axis_index_groups)
    sizes = [_size([axis], rows) for axis in axes]
    count = math.prod(sizes)

    def one(leaf: Any) -> Array:
        leaf = owned(op, leaf)
        rank = len(shape_of(leaf))
        split, concat = as_axis(op, split_axis, rank), as_axis(op, concat_axis, rank)
        _check_parts(op, leaf, split, "split_axis", axes, count, tiled)
        shape = shape_of(leaf)
        block = (shape[split] // count,) if tiled else ()
        parts = jnp.reshape(leaf, (*shape[:split], count, *block, *shape[split + 1:]))
        parts = jnp.moveaxis(parts, split, 0)
        received = jnp.reshape(parts, (*sizes, *shape_of(parts)[1:]))
        for i, axis in enumerate(axes):
            (received,) = co.all_to_all(received, split_dimension=i, concat_dimension=i,
                                        split_count=sizes[i], **_settings(axis, rows))
        received = jnp.moveaxis(jnp.reshape(received, shape_of(parts)), 0, concat)
        if not tiled:
            return received
        own = shape_of(received)
        return jnp.reshape(received, (*own[:concat], -1 if own[concat + 1] else 0,
                                      *own[concat + 2:]))

    return tree.map(one, x)


def pswapaxes(x: Any, axis_name: AxisName, axis: int, *, axis_index_groups: Groups = None) -> Any:
    """The named axis and the axis `axis` of x, of the same size, exchanged.

        >>> vmap(lambda x: lax.pswapaxes(x, "i", 0), axis_name="i")(jnp.arange(4).reshape(2, 2))
        Array([[0, 2],
               [1, 3]], dtype=int32)
    """
    return all_to_all(x, axis_name, axis, axis, axis_index_groups=axis_index_groups)


def ppermute(x: Any, axis_name: AxisName, perm: Sequence[tuple[int, int]]) -> Any:
    """The value of the example from which a pair (source, target) leads here; zeros if none does.

    No index is in two pairs as source, or as target.

        >>> vmap(lambda x: lax.ppermute(x, "i", [(0, 1), (1, 2)]), axis_name="i")(jnp.arange(3) + 5)
        Array([0, 5, 6], dtype=int32)
    """
    op, axes = "ppermute", _axes("ppermute", axis_name)
    count, pairs = _size(axes, None), tuple((int(s), int(t)) for s, t in perm)
    names = ", ".join(repr(axis.name) for axis in axes)
    for what, ids in (("source", [s for s, _ in pairs]), ("target", [t for _, t in pairs])):
        if len(set(ids)) != len(ids):
            raise mistake(ArgumentError, op, f"perm {list(pairs)} has a {what} twice")
        beyond = [i for i in ids if not 0 <= i < count]
        if beyond:
            raise mistake(ArgumentError, op, f"perm has the {what} {beyond[0]}, but there are "
                          f"{count} examples along {names}")
    if len(axes) == 1:
        settings = _settings(axes[0], None)
        del settings["replica_groups"]
        return tree.map(lambda leaf: co.collective_permute(
            owned(op, leaf), source_target_pairs=pairs, **settings), x)
    return tree.map(lambda leaf: _by_index(owned(op, leaf), axis_name, pairs, count), x)


def _by_index(x: Array, axis_name: AxisName, pairs: Sequence[tuple[int, int]],
              count: int) -> Array:
    """ppermute along several axes: of all values, the one with the source's index."""
    sources = np.full(count, -1, np.int32)
    for source, target in pairs:
        sources[target] = source
    source = jnp.take(sources, axis_index(axis_name))  # type: ignore[assignment]
    found = jnp.take(all_gather(x, axis_name), jnp.maximum(source, 0), axis=0)
    return jnp.where(source >= 0, found, jnp.zeros_like(found))


def pshuffle(x: Any, axis_name: AxisName, perm: Sequence[int]) -> Any:
    """The values of the examples in another order: example i gets that of example perm[i].

        >>> vmap(lambda x: lax.pshuffle(x, "i", [2, 0, 1]), axis_name="i")(jnp.arange(3))
        Array([2, 0, 1], dtype=int32)
    """
    order = [int(i) for i in perm]
    if sorted(order) != list(range(len(order))):
        raise mistake(ArgumentError, "pshuffle", f"perm {order} is no permutation")
    if len(order) != axis_size(axis_name):
        raise mistake(ArgumentError, "pshuffle", f"perm has {len(order)} entries, but there are "
                      f"{axis_size(axis_name)} examples along {axis_name!r}")
    return ppermute(x, axis_name, [(source, target) for target, source in enumerate(order)])
