"""How operations are computed on arrays that are padded along some axes: one rule each.

A rule gives the results of a node, in padded shapes, of operands whose elements behind the end of a
padded axis may be anything. Operations that work element by element need none, nor do those that
no padded array goes into or comes out of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Graph, Type, Value, current
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import control
from arraylib.hlo.ops.constant import constant, iota, same_bits, splat
from arraylib.hlo.ops.convolution import convolution
from arraylib.hlo.ops.cumulative import cumulative
from arraylib.hlo.ops.index_windows import of_gather, of_scatter, window_axes
from arraylib.hlo.ops.indexed import gather, scatter
from arraylib.hlo.ops.reduction import (
    argmax,
    argmin,
    dot_general,
    reduce_and,
    reduce_maximum,
    reduce_minimum,
    reduce_multiply,
    reduce_or,
)
from arraylib.hlo.ops.shape import concatenate, pad, reverse, slice_
from arraylib.hlo.ops.sort import sort
from arraylib.hlo.ops.structured import broadcast_in_dim, reduce_add, reshape, transpose
from arraylib.hlo.ops.window import reduce_window, select_and_scatter
from arraylib.hlo.same import same

if TYPE_CHECKING:
    from arraylib.hlo.passes.padded import Extents, Site

Rule = Callable[["Site"], Sequence[Value]]


def plain(site: Site) -> Sequence[Value]:
    """The operation itself, for results as long as the operands."""
    _fixed(site, *site.node.attrs)
    return _emitted(site, site.inputs)


def _emitted(site: Site, inputs: Sequence[Value], **changed: Any) -> Sequence[Value]:
    found: Sequence[Value] = current().emit(
        site.node.op, inputs, {**site.node.attrs, **changed}, site.node.where)
    return found


def _fixed(site: Site, *names: str) -> None:
    """Refuses attributes that vary with the sizes."""
    for name in names:
        now, other = site.node.attrs[name], site.twin.attrs.get(name)
        if not _equal(now, other):
            raise site.refuse(f"{name} varies with the sizes")


def _equal(x: Any, y: Any) -> bool:
    if isinstance(x, (np.ndarray, np.generic)):
        return same_bits(np.asarray(x), np.asarray(y))
    if isinstance(x, Graph):
        return isinstance(y, Graph) and same(x, y)
    if isinstance(x, tuple) and isinstance(y, tuple):
        return len(x) == len(y) and all(map(_equal, x, y))
    return bool(x == y)


def _whole(site: Site, axes: Sequence[int], number: int = 0) -> None:
    """Refuses if one of these axes of an operand is padded."""
    for axis in axes:
        if site.ins[number][axis] is not None:
            raise site.refuse(f"axis {axis} of operand {number} is padded")


# -- what makes arrays -----------------------------------------------------------------------------


def _constant(site: Site) -> Sequence[Value]:
    """A constant that varies becomes an input: a number, or an array that is padded."""
    value, other = site.node.attrs["value"], site.twin.attrs["value"]
    one, another = splat(value), splat(other)
    if one is None or another is None:
        if same_bits(value, other):
            return _emitted(site, ())
        full = np.zeros(site.shape(), value.dtype)
        full[tuple(map(slice, value.shape))] = value
        return [site.frame.number(full)]
    if same_bits(one, another):
        return [constant(value=np.broadcast_to(one, site.shape()))]
    return [_spread(site.frame.number(one), site.shape())]


def _spread(number: Value, shape: tuple[int, ...]) -> Value:
    found: Value = broadcast_in_dim(number, shape=shape, broadcast_dimensions=())
    return found if shape else number


def _shaped(site: Site) -> Sequence[Value]:
    """What is told its shape: the padded one."""
    _fixed(site, *site.node.attrs.keys() - {"shape"})
    return _emitted(site, site.inputs, shape=site.shape())


# -- reductions and products -----------------------------------------------------------------------


def _nothing(op: OpDef, dtype: np.dtype[Any]) -> Any:
    """What changes nothing in a reduction: what one of nothing gives; of floats added, -0."""
    if op is reduce_add and dt.is_float(dtype):
        return -0.0  # 0 would change the sign of -0
    return op.evaluate([np.zeros(0, dtype)], {"dimensions": (0,)})[0]


def _reduced_like(op: OpDef) -> Rule:
    """Behind the end stands what changes nothing in a reduction of the kind of `op`.

    The place of an extreme is the first: what stands behind the end is no greater, and later.
    """
    def rule(site: Site) -> Sequence[Value]:
        _fixed(site, *site.node.attrs)
        filler = _nothing(op, site.node.inputs[0].type.dtype)
        return _emitted(site, [site.masked(0, site.node.attrs["dimensions"], filler)])
    return rule


def _dot_general(site: Site) -> Sequence[Value]:
    """Zeros behind the end of what is summed, in both operands: 0 times nan is nan."""
    _fixed(site, *site.node.attrs)
    attrs = site.node.attrs
    return _emitted(site, [site.masked(0, attrs["lhs_contracting"], 0),
                           site.masked(1, attrs["rhs_contracting"], 0)])


def _convolution(site: Site) -> Sequence[Value]:
    """Batches go along, features are summed: zeros behind their end, as in a product."""
    _fixed(site, *site.node.attrs)
    attrs = site.node.attrs
    (batch, feature, *space), (_, inner, *window) = attrs["lhs_spec"], attrs["rhs_spec"]
    _whole(site, space)
    _whole(site, window, 1)
    if attrs["feature_group_count"] > 1 or attrs["batch_group_count"] > 1:
        _whole(site, (feature,) if attrs["batch_group_count"] == 1 else (batch, feature))
        _whole(site, attrs["rhs_spec"], 1)
    return _emitted(site, [site.masked(0, (feature,), 0), site.masked(1, (inner,), 0)])


_RUNNING = {"add": reduce_add, "multiply": reduce_multiply, "maximum": reduce_maximum,
            "minimum": reduce_minimum}


def _cumulative(site: Site) -> Sequence[Value]:
    """Forward, nothing comes from behind the end; backward, what changes nothing."""
    _fixed(site, *site.node.attrs)
    attrs = site.node.attrs
    if not attrs["reverse"]:
        return _emitted(site, site.inputs)
    filler = _nothing(_RUNNING[attrs["kind"]], site.node.inputs[0].type.dtype)
    return _emitted(site, [site.masked(0, (attrs["dimension"],), filler)])


# -- what moves elements ---------------------------------------------------------------------------


def _reshape(site: Site) -> Sequence[Value]:
    """Axes are merged and split in groups of as many elements; a padded one leads its group."""
    (x,), (out,) = site.node.inputs, site.node.outputs
    for before, after in _groups(x.type.shape, out.type.shape):
        _check_leads(site, x.type, site.ins[0], before)
        _check_leads(site, out.type, site.outs[0], after)
        if math.prod([site.inputs[0].type.shape[i] for i in before]) != \
                math.prod([site.shape()[i] for i in after]):
            raise site.refuse(f"axes {list(before)} of {x.type} become axes {list(after)} of "
                              f"{out.type} for these sizes only")
    return _emitted(site, site.inputs, shape=site.shape())


def _groups(x: Sequence[int], out: Sequence[int]) -> list[tuple[range, range]]:
    """The smallest groups of neighbouring axes with the same number of elements on both sides.

    There are no empty axes: arrays with such are not padded.
    """
    found = []
    i = j = 0
    while i < len(x) or j < len(out):
        start, left, right = (i, j), 1, 1
        while True:
            if left <= right and i < len(x) and (left < right or i == start[0]):
                left, i = left * x[i], i + 1
            elif j < len(out) and (right < left or j == start[1]):
                right, j = right * out[j], j + 1
            else:
                break
        found.append((range(start[0], i), range(start[1], j)))
    return found


def _check_leads(site: Site, type: Type, extents: Extents, group: range) -> None:
    longer = [axis for axis in group if type.shape[axis] > 1]
    for axis in longer[1:]:
        if extents[axis] is not None:
            raise site.refuse(f"axis {axis} of {type}, which is padded, is merged with an axis "
                              "before it, so that padding would lie between elements")


def _slice(site: Site) -> Sequence[Value]:
    """Padded axes are taken whole, or from their first elements as many as for all sizes."""
    node, twin = site.node.attrs, site.twin.attrs
    limits = list(node["limit"])
    _fixed(site, "start", "strides")
    for axis, extent in enumerate(site.ins[0]):
        if extent is None or node["limit"][axis] == twin["limit"][axis]:
            continue
        whole = node["limit"][axis] == site.node.inputs[0].type.shape[axis]
        if not whole or node["start"][axis] or node["strides"][axis] != 1:
            raise site.refuse(f"it takes a part of axis {axis}, which is padded")
        limits[axis] = extent.padded
    return _emitted(site, site.inputs, limit=tuple(limits))


def _pad(site: Site) -> Sequence[Value]:
    _fixed(site, *site.node.attrs)
    attrs = site.node.attrs
    _whole(site, [i for i in range(len(site.ins[0]))
                  if attrs["low"][i] or attrs["high"][i] or attrs["interior"][i]])
    return _emitted(site, site.inputs)


_ONE_BY_ONE = {"window_dimensions": 1, "window_strides": 1, "base_dilations": 1,
               "window_dilations": 1, "padding": (0, 0)}


def _windows(site: Site) -> Sequence[Value]:
    """Along padded axes windows are single elements."""
    _fixed(site, *site.node.attrs)
    for extents in site.ins:
        for axis, extent in enumerate(extents):
            if extent is not None and any(
                    site.node.attrs[name][axis] != single
                    for name, single in _ONE_BY_ONE.items() if name in site.node.attrs):
                raise site.refuse(f"its windows go along axis {axis}, which is padded")
    return _emitted(site, site.inputs)


def _along(attribute: str) -> Rule:
    """What works along an axis of all operands that must not be padded."""
    def rule(site: Site) -> Sequence[Value]:
        _fixed(site, *site.node.attrs)
        along = site.node.attrs[attribute]
        for number in range(len(site.inputs)):
            _whole(site, along if isinstance(along, tuple) else (along,), number)
        return _emitted(site, site.inputs)
    return rule


def _gather(site: Site) -> Sequence[Value]:
    """Places are found along axes that are not padded; all others go along whole."""
    _fixed(site, *site.node.attrs.keys() - {"slice_sizes"})
    w, sizes = of_gather(site.node.attrs), list(site.node.attrs["slice_sizes"])
    x = site.node.inputs[0].type
    _whole(site, w.index_map)
    _whole_vectors(site, w.vector_dim)
    for axis, extent in enumerate(site.ins[0]):
        if extent is not None and axis not in w.batching:
            if sizes[axis] != x.shape[axis]:
                raise site.refuse(f"it takes a part of axis {axis}, which is padded")
            sizes[axis] = extent.padded
    return _emitted(site, site.inputs, slice_sizes=tuple(sizes))


def _scatter(site: Site) -> Sequence[Value]:
    """Updates behind the end go nowhere: their indices are out of bounds."""
    _fixed(site, *site.node.attrs)
    w, (x, indices, updates) = of_scatter(site.node.attrs), site.node.inputs
    _whole(site, w.index_map)
    _whole_vectors(site, w.vector_dim)
    kept = dict(zip(window_axes(x.type.rank, w), w.window_dims))
    for axis, along in kept.items():
        part = updates.type.shape[along] != x.type.shape[axis]
        if site.ins[0][axis] != site.ins[2][along] or part and site.ins[0][axis] is not None:
            raise site.refuse(f"it changes a part of axis {axis}, and padding would count")
    outer = [axis for axis in range(indices.type.rank)
             if axis != w.vector_dim and axis not in w.indices_batching]
    if not dt.is_signed(indices.type.dtype) and any(site.ins[1][axis] for axis in outer):
        raise site.refuse("its indices have no sign, and so none that is out of bounds")
    return _emitted(site, [site.inputs[0], site.masked(1, outer, -1), site.inputs[2]])


def _whole_vectors(site: Site, axis: int) -> None:
    if axis < len(site.ins[1]):
        _whole(site, (axis,), 1)


RULES: dict[OpDef, Rule] = {
    constant: _constant,
    iota: _shaped,
    broadcast_in_dim: _shaped,
    **{op: _reduced_like(op) for op in (reduce_add, reduce_multiply, reduce_maximum,
                                        reduce_minimum, reduce_and, reduce_or)},
    argmax: _reduced_like(reduce_maximum),
    argmin: _reduced_like(reduce_minimum),
    dot_general: _dot_general,
    convolution: _convolution,
    reduce_window: _windows,
    select_and_scatter: _windows,
    cumulative: _cumulative,
    transpose: plain,
    control.optimization_barrier: plain,
    reshape: _reshape,
    slice_: _slice,
    pad: _pad,
    concatenate: _along("dimension"),
    sort: _along("dimension"),
    reverse: _along("dimensions"),
    gather: _gather,
    scatter: _scatter,
}
