"""Windows as features, kernels that differ from place to place, products by groups of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from arraylib import dtypes as dt, numpy as jnp
from arraylib.errors import ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.lax.indexed import dynamic_slice
from arraylib.lax.structural import dot_general
from arraylib.lax.windows import Padding, conv_dimension_numbers, conv_general_dilated
from arraylib.numpy.promotion import Array, ArrayLike, operand as owned, shape_of
from arraylib.tracing.control import scan

Ints = Sequence[int]


def conv_general_dilated_patches(
        lhs: ArrayLike, filter_shape: Ints, window_strides: Ints, padding: Padding,
        lhs_dilation: Ints | None = None, rhs_dilation: Ints | None = None,
        dimension_numbers: Any = None, precision: Any = None,
        preferred_element_type: Any = None) -> Array:
    """The elements of each window, as features: what `conv_general_dilated` multiplies.

    The features of the result are those of `lhs`, each with the places of a window of
    `filter_shape` in row-major order. Arguments as for `conv_general_dilated`.

        >>> conv_general_dilated_patches(jnp.arange(4.0).reshape(1, 1, 4), (2,), (1,), "VALID")
        Array([[[0., 1., 2.],
                [1., 2., 3.]]], dtype=float32)
    """
    x = owned("conv_general_dilated_patches", lhs)
    window, places = tuple(filter_shape), math.prod(filter_shape)
    numbers = conv_dimension_numbers(shape_of(x), (1, 1, *window), dimension_numbers)
    features = shape_of(x)[numbers.lhs_spec[1]]
    each = jnp.eye(places, dtype=type_of(x).dtype).reshape(1, places, 1, *window)
    kernel = jnp.broadcast_to(each, (features, *each.shape[1:])).reshape(-1, 1, *window)
    kernel = jnp.moveaxis(kernel, tuple(range(kernel.ndim)), numbers.rhs_spec)
    return conv_general_dilated(x, kernel, window_strides, padding, lhs_dilation, rhs_dilation,
                                numbers, feature_group_count=features,
                                preferred_element_type=preferred_element_type)


def conv_general_dilated_local(
        lhs: ArrayLike, rhs: ArrayLike, window_strides: Ints, padding: Padding,
        filter_shape: Ints, lhs_dilation: Ints | None = None, rhs_dilation: Ints | None = None,
        dimension_numbers: Any = None, precision: Any = None) -> Array:
    """A convolution whose kernel differs from place to place.

    `rhs` has the axes of the dimension numbers' kernel: for each place of the result the products'
    factors, its input features being those of `conv_general_dilated_patches`.

    Raises: ShapeError where `rhs` does not have the places or features of the patches.

    >>> x, filters = jnp.ones((1, 1, 4)), jnp.ones((1, 2, 3))
    >>> lax.conv_general_dilated_local(x, filters, (1,), "VALID", (2,))
    Array([[[2., 2., 2.]]], dtype=float32)
    """
    op = "conv_general_dilated_local"
    kernel = owned(op, rhs)
    patches = conv_general_dilated_patches(lhs, filter_shape, window_strides, padding,
                                           lhs_dilation, rhs_dilation, dimension_numbers)
    numbers = conv_dimension_numbers(shape_of(lhs), (1, 1, *filter_shape), dimension_numbers)
    (batch, feature, *free), (_, inner, *kernel_free) = numbers.out_spec, numbers.rhs_spec
    pairs = sorted(zip(free, kernel_free))
    places, kernel_places = [a for a, _ in pairs], [b for _, b in pairs]
    contracted, shared = ((feature,), (inner,)), (places, kernel_places)
    for a, b in [(feature, inner), *pairs]:
        if patches.shape[a] != shape_of(kernel)[b]:
            raise mistake(ShapeError, op, f"axis {b} of rhs has {shape_of(kernel)[b]} for "
                          f"{patches.shape[a]}", operands=[type_of(patches), type_of(kernel)],
                          hint="an axis for each place of the result, one for all of a window")
    found = dot_general(patches, kernel, (contracted, shared), precision)  # *places, batch, out
    return jnp.moveaxis(found, (-2, -1), (batch, feature))


def ragged_dot(lhs: ArrayLike, rhs: ArrayLike, group_sizes: ArrayLike, precision: Any = None,
               preferred_element_type: Any = None,
               group_offset: ArrayLike | None = None) -> Array:
    """Rows times one matrix for each group of them: as in a mixture of experts.

    Args:
        lhs: (m, k), rows in the order of their groups. rhs: (g, k, n), a matrix for each group.
        group_sizes: how many rows each group has. Rows behind the last give zeros.
        group_offset: an array of one number, the group that the first matrix belongs to.
        preferred_element_type: the dtype of the result, if not that of the operands.

    Raises: ShapeError where these do not fit.

        >>> ragged_dot(jnp.ones((3, 1)), jnp.array([[[2.0]], [[5.0]]]), jnp.array([1, 2]))
        Array([[2.],
               [5.],
               [5.]], dtype=float32)
    """
    op = "ragged_dot"
    x, matrices, sizes = owned(op, lhs), owned(op, rhs), jnp.asarray(group_sizes)
    shapes = shape_of(x), shape_of(matrices), sizes.shape
    if [len(shape) for shape in shapes] != [2, 3, 1] or shapes[0][1] != shapes[1][1] \
            or shapes[1][0] > shapes[2][0]:
        raise mistake(ShapeError, op, f"shapes {', '.join(map(str, shapes))}",
                      operands=[type_of(x), type_of(matrices), type_of(sizes)],
                      hint="(m, k), (g, k, n) and a size for each of g groups")
    ends = jnp.cumsum(sizes)
    starts = ends - sizes
    if group_offset is not None or shapes[1][0] < shapes[2][0]:
        first = 0 if group_offset is None else jnp.reshape(group_offset, ())
        starts, ends = (dynamic_slice(v, (first,), (shapes[1][0],)) for v in (starts, ends))
    wanted = type_of(x).dtype if preferred_element_type is None \
        else dt.dtype(preferred_element_type, op=op)
    rows = jnp.arange(shapes[0][0])[:, None]

    def group(total: Array, part: tuple[Array, Array, Array]) -> tuple[Array, None]:
        matrix, start, end = part
        inside = (rows >= start) & (rows < end)
        # Chosen before the product and after it, so that no group's inf and nan reach another.
        product = dot_general(jnp.where(inside, x, 0), matrix, (((1,), (0,)), ((), ())), precision,
                              wanted)
        return jnp.where(inside, product, total), None

    zeros = jnp.zeros((shapes[0][0], shapes[1][2]), wanted)
    return scan(group, zeros, (matrices, starts, ends))[0]
