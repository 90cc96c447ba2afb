"""Arrays in files and as text; the formats and their settings are NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import get_printoptions, printoptions, set_printoptions

from arraylib import dtypes as dt
from arraylib.numpy.creation import array
from arraylib.numpy.promotion import Array, ArrayLike

__all__ = ["array_repr", "array_str", "get_printoptions", "load", "printoptions", "save", "savez",
           "set_printoptions"]


def save(file: Any, arr: ArrayLike, allow_pickle: bool = True) -> None:
    """Write an array to a `.npy` file, given by its name or open for writing bytes."""
    np.save(file, np.asarray(arr), allow_pickle)


def savez(file: Any, *args: ArrayLike, **kwds: ArrayLike) -> None:
    """Write several arrays to a `.npz` file: `savez("model", w=w, b=b)`."""
    named: dict[str, Any] = {name: np.asarray(x) for name, x in kwds.items()}
    np.savez(file, *map(np.asarray, args), **named)


def load(file: Any, *args: Any, **kwargs: Any) -> Any:
    """The array in a `.npy` file; of a `.npz` file the mapping from names to NumPy arrays.

    The format has no name for bfloat16 and saves it as two bytes without a meaning, which are
    taken for bfloat16 here.
    """
    found = np.load(file, *args, **kwargs)
    if not isinstance(found, np.ndarray):
        return found
    return array(found.view(dt.bfloat16) if found.dtype == np.dtype("V2") else found)


def array_repr(arr: Array, max_line_width: int | None = None, precision: int | None = None,
               suppress_small: bool | None = None) -> str:
    """`repr(arr)`; the other arguments are `set_printoptions`'s to set."""
    return repr(arr)


def array_str(a: Array, max_line_width: int | None = None, precision: int | None = None,
              suppress_small: bool | None = None) -> str:
    """`str(a)`, in lines of this width, with this many digits."""
    return np.array_str(np.asarray(a), max_line_width, precision, suppress_small)
