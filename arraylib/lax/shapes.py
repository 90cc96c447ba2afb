"""The shapes of convolutions and windows, from numbers alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arraylib.errors import ShapeError, mistake
from arraylib.hlo.ops.window import dilated, window_count
from arraylib.lax.windows import (
    Padding,
    conv_dimension_numbers,
    enlarging_pads,
    padtype_to_pads,
)

Ints = Sequence[int]
Shape = tuple[int, ...]


def conv_shape_tuple(lhs_shape: Ints, rhs_shape: Ints, strides: Ints, pads: Padding,
                     batch_group_count: int = 1) -> Shape:
    """The shape of a convolution of NCHW with OIHW.

    >>> conv_shape_tuple((8, 3, 32, 32), (16, 3, 3, 3), (2, 2), "SAME")
    (8, 16, 16, 16)
    """
    sizes, window = tuple(lhs_shape[2:]), tuple(rhs_shape[2:])
    if isinstance(pads, str):
        pads = padtype_to_pads(sizes, window, strides, pads)
    batch = lhs_shape[0] // batch_group_count
    return (batch, rhs_shape[0], *reduce_window_shape_tuple(sizes, window, strides, pads))


def conv_general_permutations(dimension_numbers: Sequence[str]) -> tuple[Shape, Shape, Shape]:
    """Which axes letters name: (batch, feature, *spatial) of lhs, and so for rhs and the result.

    >>> conv_general_permutations(("NHWC", "HWIO", "NHWC"))
    ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
    """
    sizes = [(1,) * len(letters) for letters in dimension_numbers[:2]]
    found = conv_dimension_numbers(sizes[0], sizes[1], tuple(dimension_numbers))
    return found.lhs_spec, found.rhs_spec, found.out_spec


def conv_general_shape_tuple(lhs_shape: Ints, rhs_shape: Ints, window_strides: Ints,
                             padding: Padding, dimension_numbers: Any) -> Shape:
    """The shape of a convolution with these dimension numbers.

    >>> conv_general_shape_tuple((8, 32, 32, 3), (3, 3, 3, 16), (1, 1), "VALID",
    ...                          ("NHWC", "HWIO", "NHWC"))
    (8, 30, 30, 16)
    """
    numbers = conv_dimension_numbers(lhs_shape, rhs_shape, dimension_numbers)
    lhs, rhs = _taken(lhs_shape, numbers.lhs_spec), _taken(rhs_shape, numbers.rhs_spec)
    return _placed(conv_shape_tuple(lhs, rhs, window_strides, padding), numbers.out_spec)


def conv_transpose_shape_tuple(lhs_shape: Ints, rhs_shape: Ints, window_strides: Ints,
                               padding: Padding, dimension_numbers: Any) -> Shape:
    """The shape of `conv_transpose` with these dimension numbers.

    >>> conv_transpose_shape_tuple((8, 16, 16, 3), (3, 3, 3, 16), (2, 2), "SAME",
    ...                            ("NHWC", "HWIO", "NHWC"))
    (8, 32, 32, 16)
    """
    numbers = conv_dimension_numbers(lhs_shape, rhs_shape, dimension_numbers)
    lhs, rhs = _taken(lhs_shape, numbers.lhs_spec), _taken(rhs_shape, numbers.rhs_spec)
    if isinstance(padding, str):
        padding = [enlarging_pads(n, step, padding.upper())
                   for n, step in zip(rhs[2:], window_strides, strict=True)]
    sizes = [dilated(n, step) for n, step in zip(lhs[2:], window_strides, strict=True)]
    free = reduce_window_shape_tuple(sizes, rhs[2:], (1,) * len(sizes), padding)
    return _placed((lhs[0], rhs[0], *free), numbers.out_spec)


def reduce_window_shape_tuple(operand_shape: Ints, window_dimensions: Ints, window_strides: Ints,
                              padding: Sequence[tuple[int, int]],
                              base_dilation: Ints | None = None,
                              window_dilation: Ints | None = None) -> Shape:
    """How many windows there are along each axis; padding is a pair (low, high) for each.

    >>> reduce_window_shape_tuple((5, 6), (2, 3), (1, 3), [(0, 0), (1, 1)])
    (4, 2)

    Raises ShapeError where negative padding leaves less than nothing.
    """
    ones = (1,) * len(operand_shape)
    found = []
    for n, window, step, pair, base, apart in zip(
            operand_shape, window_dimensions, window_strides, padding, base_dilation or ones,
            window_dilation or ones, strict=True):
        if dilated(n, base) + sum(pair) < 0:
            raise mistake(ShapeError, "reduce_window_shape_tuple", f"padding {tuple(pair)} takes "
                          f"more than there is of an axis of {n}", hint="fewer negative ones")
        found.append(window_count(n, tuple(pair), base, window, apart, step))
    return tuple(found)


def _taken(shape: Ints, axes: Ints) -> Shape:
    return tuple(shape[axis] for axis in axes)


def _placed(shape: Ints, axes: Ints) -> Shape:
    """The sizes in the order in which `axes` names them."""
    return tuple(shape[axes.index(place)] for place in range(len(axes)))
