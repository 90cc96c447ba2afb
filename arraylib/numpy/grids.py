"""Objects that make arrays when they are indexed: mgrid, r_, s_."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, mistake
from arraylib.numpy.creation import arange, asarray, linspace, meshgrid, zeros
from arraylib.numpy.layout import atleast_1d, concatenate, expand_dims, ndim, reshape, shape, stack
from arraylib.numpy.promotion import Array
from arraylib.record import record

s_ = np.s_  # an index as an object: s_[1:3, ...]
index_exp = np.index_exp

# -- grids -----------------------------------------------------------------------------------------


def _axis(part: Any) -> Array:
    """The numbers start, start + step, ... before stop; `step` numbers if it is imaginary."""
    if not isinstance(part, slice):
        return atleast_1d(asarray(part))
    start = 0 if part.start is None else part.start
    stop = start if part == slice(None) else part.stop  # a lone colon is no numbers, as in NumPy
    if stop is None:
        raise mistake(ArgumentError, "mgrid", f"{part} has no end",
                      hint="start:stop:step, or start:stop:numberj for a number of points")
    if isinstance(part.step, complex):
        return linspace(start, stop, int(np.abs(part.step)))
    return arange(start, stop, part.step)


@record
class Grid:
    """`mgrid[0:2, 0:1:5j]`: the coordinates of a grid, whole or (`ogrid`) one axis each."""

    sparse: bool

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, tuple):
            return _axis(key)
        axes = meshgrid(*[_axis(part) for part in key], indexing="ij", sparse=self.sparse)
        if self.sparse:
            return axes
        return stack(axes) if axes else zeros(0, dt.default_int())


# -- arrays joined ---------------------------------------------------------------------------------


@record
class Layout:
    """How parts are joined: along `axis`, with at least `rank` axes, their own from `place` on."""

    axis: int = 0
    rank: int = 1
    place: int = -1
    matrix: str = ""  # "r", or "c" if a vector is a column


def _layout(directive: str, usual: Layout) -> Layout:
    """The layout that a string in front names: "axis", "axis,rank", "axis,rank,place", "r", "c"."""
    if directive in ("r", "c"):
        return replace(usual, matrix=directive)
    numbers = directive.split(",")
    try:
        axis, rank, place = [int(n) for n in numbers] + [usual.rank, usual.place][len(numbers) - 1:]
        return Layout(axis, rank, place)
    except ValueError:
        raise mistake(ArgumentError, "r_", f"the directive {directive!r}",
                      hint="'axis', 'axis,rank', 'axis,rank,place', 'r' or 'c'") from None


def _raised(part: Array, layout: Layout) -> Array:
    """A part with as many axes as the layout asks for."""
    lack = layout.rank - ndim(part)
    if lack <= 0:
        return part
    behind = -layout.place - 1 if layout.place < 0 else lack - layout.place
    behind = sorted((0, behind, lack))[1]
    return reshape(part, (1,) * (lack - behind) + shape(part) + (1,) * behind)


@record
class Joined:
    """`r_[0:3, x, 5]`: ranges, arrays and numbers joined along an axis; `c_`: as columns.

    A string in front says how: the axis, how many axes the parts have at least, and which of these
    their own ones are, `r_["0,2", x, y]`; "r" and "c" are for matrices.
    """

    layout: Layout

    def __getitem__(self, key: Any) -> Array:
        given, layout = key if isinstance(key, tuple) else (key,), self.layout
        if given and isinstance(given[0], str):
            given, layout = given[1:], _layout(given[0], layout)
        joined = concatenate([_raised(_axis(part), layout) for part in given], axis=layout.axis)
        if not layout.matrix or ndim(joined) != 1:
            return joined
        return expand_dims(joined, 0 if layout.matrix == "r" else 1)


mgrid, ogrid = Grid(sparse=False), Grid(sparse=True)
r_, c_ = Joined(Layout()), Joined(Layout(axis=-1, rank=2, place=0))
