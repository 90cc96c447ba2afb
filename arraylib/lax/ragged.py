"""Products whose axes come in groups of different sizes: `dot_general` with one more axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arraylib import numpy as jnp
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.lax.indexed import dynamic_slice_in_dim
from arraylib.lax.settings import RaggedDotDimensionNumbers
from arraylib.lax.structural import dot_general
from arraylib.numpy.promotion import Array, ArrayLike, operand as owned, shape_of
from arraylib.tracing.control import scan

Ints = Sequence[int]
_OP = "ragged_dot_general"


def ragged_dot_general(lhs: ArrayLike, rhs: ArrayLike, group_sizes: ArrayLike,
                       ragged_dot_dimension_numbers: RaggedDotDimensionNumbers,
                       precision: Any = None, preferred_element_type: Any = None,
                       group_offset: ArrayLike | None = None) -> Array:
    """`dot_general` where one axis of lhs comes in groups, in order, of these sizes.

    If lhs keeps the axis, rhs has an entry for each group, and each part of lhs meets its own:
    `[m, k], [g, k, n] -> [m, n]`. If the axis is summed, each group is a sum of its own:
    `[m, k], [k, n] -> [g, m, n]`. If it is a batch axis, groups make no difference. Elements behind
    the last group give zeros; in a sum they are left out.

    Args:
        group_sizes: shape (g,), or (*batch, *outer, g) where the sizes differ along the batch axes
            and along the axes of lhs of the same kind that come before the ragged one.
        group_offset: an array of one number, the group that the first entry of rhs belongs to.

    Raises ShapeError where shapes do not fit, ArgumentError for other than one ragged axis.

    >>> numbers = lax.RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), [0], [0])
    >>> x, y = jnp.ones((3, 2)), jnp.stack([jnp.ones((2, 1)), jnp.full((2, 1), 5.0)])
    >>> lax.ragged_dot_general(x, y, jnp.array([2, 1]), numbers)[:, 0]
    Array([ 2.,  2., 10.], dtype=float32)
    """
    x, y, sizes = owned(_OP, lhs), owned(_OP, rhs), jnp.asarray(group_sizes)
    numbers = ragged_dot_dimension_numbers
    (contracted, _), (batch, _) = numbers.dot_dimension_numbers
    if len(numbers.lhs_ragged_dimensions) != 1:
        raise mistake(ArgumentError, _OP, f"lhs_ragged_dimensions = "
                      f"{numbers.lhs_ragged_dimensions}", hint="the one axis that has groups")
    ragged, = numbers.lhs_ragged_dimensions
    if ragged in batch:
        return dot_general(x, y, numbers.dot_dimension_numbers, precision, preferred_element_type)
    kept = [axis for axis in range(len(shape_of(x))) if axis not in (*contracted, *batch)]
    peers = contracted if ragged in contracted else kept
    outer = [*batch, *peers[:peers.index(ragged)]]
    inside = _inside(x, sizes, ragged, outer)
    if ragged in contracted:
        return _summed(x, y, inside, numbers, ragged, precision, preferred_element_type)
    order = [*batch, *kept]
    return _chosen(x, y, inside, numbers, order, group_offset, precision, preferred_element_type)


def _inside(x: Array, sizes: Array, ragged: int, outer: Ints) -> Array:
    """For each group which elements are in it, with axes of size 1 where it makes no difference."""
    shape = shape_of(x)
    expected = tuple(shape[axis] for axis in outer)
    if len(sizes.shape) != 1 and sizes.shape[:-1] != expected or not sizes.shape:
        raise mistake(ShapeError, _OP, f"group_sizes has shape {sizes.shape}",
                      operands=[type_of(x), type_of(sizes)],
                      hint=f"(g,) or {(*expected, 'g')} for g groups")
    axes = outer if len(sizes.shape) > 1 else []
    ends = jnp.moveaxis(jnp.cumsum(sizes, -1), -1, 0)
    starts = ends - jnp.moveaxis(sizes, -1, 0)
    order = sorted(range(len(axes)), key=lambda n: axes[n])
    placed = [shape[axis] if axis in axes else 1 for axis in range(len(shape))]
    starts, ends = (jnp.reshape(jnp.transpose(v, (0, *[n + 1 for n in order])), (-1, *placed))
                    for v in (starts, ends))
    along = [-1 if axis == ragged else 1 for axis in range(len(shape))]
    places = jnp.reshape(jnp.arange(shape[ragged]), along)
    return (places >= starts) & (places < ends)


def _summed(x: Array, y: Array, inside: Array, numbers: RaggedDotDimensionNumbers, ragged: int,
            precision: Any, preferred: Any) -> Array:
    """A sum for each group: what is not in it is 0 in both operands, whatever it was."""
    (left, right), (left_batch, right_batch) = numbers.dot_dimension_numbers
    pairs = dict(zip((*left, *left_batch), (*right, *right_batch)))
    shape = shape_of(inside)[1:]
    there = [1] * len(shape_of(y))
    for mine, theirs in pairs.items():
        there[theirs] = shape[mine]
    axes = sorted(pairs, key=lambda axis: pairs[axis])
    rest = [axis for axis in range(len(shape)) if axis not in pairs]

    def group(_: None, mask: Array) -> tuple[None, Array]:
        same = jnp.reshape(jnp.transpose(mask, (*axes, *rest)), there)
        return None, dot_general(jnp.where(mask, x, 0), jnp.where(same, y, 0),
                                 numbers.dot_dimension_numbers, precision, preferred)

    return scan(group, None, inside)[1]  # type: ignore[no-any-return]


def _chosen(x: Array, y: Array, inside: Array, numbers: RaggedDotDimensionNumbers, order: Ints,
            offset: ArrayLike | None, precision: Any, preferred: Any) -> Array:
    """Each part of lhs with the entry of its group, so that no inf or nan reaches another's."""
    (left, right), (left_batch, right_batch) = numbers.dot_dimension_numbers
    if len(numbers.rhs_group_dimensions) != 1:
        raise mistake(ArgumentError, _OP, f"rhs_group_dimensions = {numbers.rhs_group_dimensions}",
                      hint="the axis of rhs that has an entry for each group")
    axis, = numbers.rhs_group_dimensions
    entries = jnp.moveaxis(y, axis, 0)
    count, groups = shape_of(entries)[0], shape_of(inside)[0]
    if count != groups and (offset is None or count > groups):
        raise mistake(ShapeError, _OP, f"rhs has {count} entries for {groups} groups",
                      operands=[type_of(x), type_of(y)], hint="one for each")
    if offset is not None:
        inside = dynamic_slice_in_dim(inside, jnp.reshape(offset, ()), count, 0)
    shifted = [[a - (a > axis) for a in axes] for axes in (right, right_batch)]
    dims = ((left, shifted[0]), (left_batch, shifted[1]))
    free = len(shape_of(entries)) - 1 - len(right) - len(right_batch)

    def product(entry: Array, mask: Array) -> Array:
        return dot_general(jnp.where(mask, x, 0), entry, dims, precision, preferred)

    def group(total: Array, part: tuple[Array, Array]) -> tuple[Array, None]:
        entry, mask = part
        kept = jnp.transpose(mask, (*order, *[a for a in range(len(shape_of(x)))
                                              if a not in order]))
        kept = jnp.reshape(kept, (*shape_of(kept)[:len(order)], *(1,) * free))
        return jnp.where(kept, product(entry, mask), total), None

    found = jnp.zeros_like(product(entries[0], inside[0])) if groups else None
    if found is None:
        raise mistake(ShapeError, _OP, "there are no groups", operands=[type_of(y)])
    return scan(group, found, (entries, inside))[0]  # type: ignore[no-any-return]
