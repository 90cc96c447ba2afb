"""Objects that make arrays when they are indexed: mgrid, r_, s_."""

from __future__ import annotations

from typing import Any

import numpy as np

from arraylib.errors import ArgumentError, mistake
from arraylib.numpy.creation import arange, linspace, meshgrid
from arraylib.numpy.layout import atleast_1d, concatenate, expand_dims, ndim, stack
from arraylib.numpy.promotion import Array
from arraylib.record import record

s_ = np.s_  # an index as an object: s_[1:3, ...]
index_exp = np.index_exp

# -- grids -----------------------------------------------------------------------------------------


def _axis(part: Any) -> Array:
    """The numbers start, start + step, ... before stop; `step` numbers if it is imaginary."""
    if not isinstance(part, slice):
        return atleast_1d(part)
    if part.stop is None:
        raise mistake(ArgumentError, "mgrid", f"{part} has no end",
                      hint="start:stop:step, or start:stop:numberj for a number of points")
    start = 0 if part.start is None else part.start
    if isinstance(part.step, complex):
        return linspace(start, part.stop, int(np.abs(part.step)))
    return arange(start, part.stop, part.step)


@record
class Grid:
    """`mgrid[0:2, 0:1:5j]`: the coordinates of a grid, whole or (`ogrid`) one axis each."""

    sparse: bool

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, tuple):
            return _axis(key)
        axes = meshgrid(*[_axis(part) for part in key], indexing="ij", sparse=self.sparse)
        return axes if self.sparse else stack(axes)


@record
class Joined:
    """`r_[0:3, x, 5]`: ranges, arrays and numbers joined along `axis`; `c_`: as columns."""

    columns: bool

    def __getitem__(self, key: Any) -> Array:
        parts = [_axis(part) for part in (key if isinstance(key, tuple) else (key,))]
        if self.columns:
            parts = [expand_dims(p, 1) if ndim(p) == 1 else p for p in parts]
        return concatenate(parts, axis=-1 if self.columns else 0)


mgrid, ogrid = Grid(sparse=False), Grid(sparse=True)
r_, c_ = Joined(columns=False), Joined(columns=True)
