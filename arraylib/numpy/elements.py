"""x[index] and x.at[index] of small arrays outside of traces: NumPy's own indexing does it.

It means the same by what it takes (integers, slices, None, ..., arrays of integers, masks), if all
is in bounds. None is the answer to anything else: what is out of bounds or no index at all, for
errors are raised elsewhere; large arrays, which more than one thread should move.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from arraylib.config import config
from arraylib.hlo.ir import Type, Value, current, is_tracing, is_weak, weakened
from arraylib.numpy.promotion import own_type

_MOST_BYTES = 1 << 18  # that may be moved
_MOST_SET = 64  # places that are compared with one another

_AT: dict[str, Callable[[Any, Any, Any], None]] = {
    "set": operator.setitem, "add": np.add.at, "multiply": np.multiply.at}


def picked(x: Any, index: Any) -> Any:
    """x[index] where an array or mask is in the index."""
    type, found = own_type(x), _of_numpy(index)
    if type is None or found is None or not _small(x, type, found) \
            or not any([item.__class__ is np.ndarray for item in found]):
        return None
    try:
        made = current().own(np.asarray(x)[found])
    except IndexError:
        return None
    return weakened(made) if is_weak(x) else made


def updated(kind: str, x: Any, index: Any, values: Any) -> Any:
    """x with what stands at the index set, or combined with values of x's dtype or a number."""
    type, found = own_type(x), _of_numpy(index)
    if type is None or found is None or kind not in _AT or type.nbytes > _MOST_BYTES \
            or not _small(x, type, found):
        return None
    new = _as_values(type, values)
    if new is None or kind == "set" and new.ndim and not _all_different(found):
        return None
    out = np.array(np.asarray(x))
    try:
        if new.ndim > out[found].ndim:
            return None
        with np.errstate(all="ignore"):
            _AT[kind](out, found, new)
    except (IndexError, ValueError):
        return None
    made = current().own(out)
    return weakened(made) if is_weak(x) else made


def _of_numpy(index: Any) -> tuple[Any, ...] | None:
    """The index as NumPy takes it, if its arrays are known."""
    if is_tracing() or config.observed:
        return None
    items: list[Any] = []
    for item in index if index.__class__ is tuple else (index,):
        cls = item.__class__
        if cls is int or item is None or item is Ellipsis:
            items.append(item)
        elif cls is slice:
            bounds = item.start, item.stop, item.step
            if not all([n is None or n.__class__ is int for n in bounds]):
                return None
            items.append(item)
        else:
            array = _index_array(item)
            if array is None:
                return None
            items.append(array)
    return tuple(items)


def _index_array(item: Any) -> Any:
    if isinstance(item, Value) or own_type(item) is None and item.__class__ is not np.ndarray:
        return None
    array = np.asarray(item)
    # NumPy reads the largest numbers of 64 bits without a sign as negative ones
    if array.dtype.kind in "iu" and array.dtype.char not in "LQ":
        return array if array.ndim else int(array)
    return array if array.dtype.kind == "b" and array.ndim else None


def _small(x: Any, type: Type, index: tuple[Any, ...]) -> bool:
    """Whether little is moved, and x is an array that is known."""
    if isinstance(x, Value):
        return False
    picks = 1
    for item in index:
        if item.__class__ is np.ndarray:
            picks *= item.size
    if picks == 1:
        return type.nbytes <= _MOST_BYTES
    if not type.rank or not type.size:
        return False
    return picks * (type.nbytes // min(type.shape)) <= _MOST_BYTES


def _as_values(type: Type, values: Any) -> Any:
    """New values as an array of x's dtype, if they are of that dtype or plain numbers that fit."""
    if type.dtype.kind not in "biuf" or type.dtype.itemsize < 4 and type.dtype.kind == "f":
        return None  # rounded elsewhere
    own = own_type(values)
    if own is not None:
        known = own.dtype == type.dtype and not isinstance(values, Value)
        return np.asarray(values) if known else None
    number = values.__class__ is float or values.__class__ is int and abs(values) < 1 << 24
    return np.asarray(values, type.dtype) if number and type.dtype.kind == "f" else None


def _all_different(index: tuple[Any, ...]) -> bool:
    """Whether no place is named twice: one array of few integers that differ, or masks and slices.
    """
    arrays = [item for item in index if item.__class__ is np.ndarray]
    if not arrays:
        return True
    if len(arrays) > 1 or arrays[0].size > _MOST_SET:
        return False
    places, = arrays
    if places.dtype.kind == "b":
        return True
    return len(set(places.ravel().tolist())) == places.size and bool((places >= 0).all())
