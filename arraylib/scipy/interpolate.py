"""Values between those on a grid: `from arraylib.scipy import interpolate`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import arraylib.numpy as jnp
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.numpy.promotion import Array, ArrayLike, inexact, promote_inexact, shape_of
from arraylib.tracing.cells import is_traced

__all__ = ["RegularGridInterpolator"]

_METHODS = ("linear", "nearest")


class RegularGridInterpolator:
    """A function of points from its `values` on a grid, [n1, n2, .., ...].

    `points` are the grid's coordinates along each axis, ascending: f[n1], f[n2], .. `method` is
    "linear" (also between the corners of a cell) or "nearest". Outside of the grid the function is
    `fill_value`, or goes on as in the cell at its edge if that is None. Derivatives exist with
    regard to values and points. Raises ArgumentError for other methods, coordinates that do not
    ascend and `bounds_error`, ShapeError where values and points do not fit.

    >>> f = RegularGridInterpolator((jnp.array([0.0, 1.0]), jnp.array([0.0, 2.0])),
    ...                             jnp.array([[0.0, 2.0], [10.0, 12.0]]))
    >>> f(jnp.array([[0.5, 1.0], [1.0, 0.5]]))
    Array([ 6. , 10.5], dtype=float32)
    """

    def __init__(self, points: Sequence[ArrayLike], values: ArrayLike, method: str = "linear",
                 bounds_error: bool = False, fill_value: Any = math.nan) -> None:
        if bounds_error:
            raise mistake(ArgumentError, "RegularGridInterpolator", "bounds_error=True",
                          hint="which points are outside is not known while a program is compiled; "
                          "they are fill_value")
        _check_method(method)
        (found,) = promote_inexact("RegularGridInterpolator", values)
        self.values, self.method, self.fill_value = jnp.asarray(found), method, fill_value
        self.grid = tuple([_coordinates(x) for x in points])
        wanted = tuple([shape_of(x)[0] for x in self.grid])
        if not wanted or shape_of(self.values)[:len(wanted)] != wanted or 0 in wanted:
            raise mistake(ShapeError, "RegularGridInterpolator", f"values of shape "
                          f"{shape_of(self.values)} on a grid of {wanted}",
                          operands=[type_of(self.values)], hint="an axis for each vector of points")

    def __call__(self, xi: Any, method: str | None = None) -> Array:
        """The function at points f[..., d], or at a tuple of their d coordinates, which broadcast.

        The result has their shape, then the axes of values that are not of the grid.
        """
        how = _check_method(self.method if method is None else method)
        x = self._points(xi)
        cells = [_cell(grid, x[..., k]) for k, grid in enumerate(self.grid)]
        found = (self._linear if how == "linear" else self._nearest)(cells)
        extra = (1,) * (len(shape_of(found)) - len(shape_of(x)) + 1)
        reshaped = lambda mask: mask.reshape(*shape_of(mask), *extra)
        if self.fill_value is not None:
            ends = [(x[..., k] < grid[0]) | (x[..., k] > grid[-1])
                    for k, grid in enumerate(self.grid)]
            outside = jnp.stack(ends).any(0)
            found = jnp.where(reshaped(outside), self.fill_value, found).astype(
                type_of(found).dtype)
        return jnp.where(reshaped(jnp.isnan(x).any(-1)), jnp.nan, found).astype(
            type_of(found).dtype)

    def _points(self, xi: Any) -> Array:
        """f[..., d], d coordinates as the grid has axes; a vector is of points in a row."""
        count, several = len(self.grid), isinstance(xi, tuple)
        x = jnp.stack(jnp.broadcast_arrays(*xi), -1) if several else jnp.asarray(xi)
        x = x.astype(inexact(type_of(x).dtype))
        if len(shape_of(x)) == 1 and not several and shape_of(x)[0] % count == 0:
            x = x.reshape(-1, count)
        if shape_of(x)[-1:] != (count,):
            raise mistake(ShapeError, "RegularGridInterpolator", f"points of shape "
                          f"{shape_of(x)} in {count} dimensions", operands=[type_of(x)],
                          hint=f"f[..., {count}]")
        return x

    def _linear(self, cells: Sequence[tuple[Array, Array, Array]]) -> Array:
        """The corners of each cell, by how near they are."""
        total: Any = 0
        extra = (1,) * (len(shape_of(self.values)) - len(cells))
        for corner in itertools.product((0, 1), repeat=len(cells)):
            places = tuple([cell[side] for cell, side in zip(cells, corner)])
            weights = [cell[2] if side else 1 - cell[2] for cell, side in zip(cells, corner)]
            weight = math.prod(weights[1:], start=weights[0])
            total = total + self.values[places] * weight.reshape(*shape_of(weight), *extra)
        return total  # type: ignore[no-any-return]

    def _nearest(self, cells: Sequence[tuple[Array, Array, Array]]) -> Array:
        return self.values[tuple([jnp.where(part <= 0.5, low, high) for low, high, part in cells])]


def _check_method(method: str) -> str:
    if method not in _METHODS:
        raise mistake(ArgumentError, "RegularGridInterpolator", f"method = {method!r}",
                      hint="'linear' or 'nearest'")
    return method


def _coordinates(points: ArrayLike) -> Array:
    x = jnp.asarray(points)
    if len(shape_of(x)) != 1:
        raise mistake(ShapeError, "RegularGridInterpolator", f"coordinates of shape {shape_of(x)}",
                      operands=[type_of(x)], hint="a vector for each axis")
    if not is_traced(x) and not (np.diff(np.asarray(x)) > 0).all():
        raise mistake(ArgumentError, "RegularGridInterpolator", "coordinates do not ascend",
                      operands=[type_of(x)], hint="each larger than the one before")
    return x.astype(inexact(type_of(x).dtype))


def _cell(grid: Array, x: Array) -> tuple[Array, Array, Array]:
    """The places in a grid on both sides of x, and what part of the way x has gone."""
    last = shape_of(grid)[0] - 1
    low = jnp.clip(jnp.searchsorted(grid, x) - 1, 0, max(last - 1, 0))
    high = jnp.minimum(low + 1, last)
    width = grid[high] - grid[low]
    return low, high, jnp.where(width == 0, 0, (x - grid[low]) / jnp.where(width == 0, 1, width))
