"""Arrays in files, as text, and of what other libraries hold; the formats are NumPy's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy import get_printoptions, printoptions, set_printoptions

from arraylib import dtypes as dt
from arraylib.numpy.creation import array
from arraylib.numpy.promotion import Array, ArrayLike

__all__ = ["array_repr", "array_str", "frombuffer", "fromfile", "fromiter", "fromstring",
           "get_printoptions", "load", "printoptions", "save", "savez", "set_printoptions"]


def save(file: Any, arr: ArrayLike, allow_pickle: bool = True) -> None:
    """Write an array to a `.npy` file, given by its name or open for writing bytes.

    >>> import io
    >>> file = io.BytesIO()
    >>> jnp.save(file, jnp.arange(3))
    >>> jnp.load(io.BytesIO(file.getvalue()))
    Array([0, 1, 2], dtype=int32)
    """
    np.save(file, np.asarray(arr), allow_pickle)


def savez(file: Any, *args: ArrayLike, **kwds: ArrayLike) -> None:
    """Write several arrays to a `.npz` file: `savez("model", w=w, b=b)`.

    >>> import io
    >>> file = io.BytesIO()
    >>> jnp.savez(file, x=jnp.arange(3))
    >>> jnp.load(io.BytesIO(file.getvalue()))["x"]
    array([0, 1, 2], dtype=int32)
    """
    named: dict[str, Any] = {name: np.asarray(x) for name, x in kwds.items()}
    np.savez(file, *map(np.asarray, args), **named)


def load(file: Any, *args: Any, **kwargs: Any) -> Any:
    """The array in a `.npy` file; of a `.npz` file the mapping from names to NumPy arrays.

    The format has no name for bfloat16 and saves it as two bytes without a meaning, which are
    taken for bfloat16 here.

    >>> import io
    >>> file = io.BytesIO()
    >>> jnp.save(file, jnp.ones(2))
    >>> jnp.load(io.BytesIO(file.getvalue()))
    Array([1., 1.], dtype=float32)
    """
    found = np.load(file, *args, **kwargs)
    if not isinstance(found, np.ndarray):
        return found
    return array(found.view(dt.bfloat16) if found.dtype == np.dtype("V2") else found)


# -- from what is no array -------------------------------------------------------------------------


def _read(found: Any, dtype: Any) -> Array:
    """NumPy data in the dtype that was asked for; the default ones for Python's float and int."""
    return array(found, dt.dtype(dtype))


def _stored(dtype: Any) -> Any:
    """The dtype of the data: float and int stand for NumPy's, of 64 bits."""
    return np.dtype(dtype) if dtype in (float, int, complex, bool) else dt.dtype(dtype)


def frombuffer(buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0) -> Array:
    """The vector of numbers whose bytes are in a buffer, such as `bytes`, from an offset on.

    `count` of them, or all. For the dtype `float` the bytes are those of float64.

    >>> frombuffer(bytes([1, 0, 2, 0]), "int16")
    Array([1, 2], dtype=int16)
    """
    return _read(np.frombuffer(buffer, _stored(dtype), count, offset), dtype)


def fromfile(file: Any, dtype: Any = float, count: int = -1, sep: str = "", offset: int = 0
             ) -> Array:
    """The numbers in a file, as bytes, or as text between which `sep` stands.

    >>> import tempfile
    >>> file = tempfile.NamedTemporaryFile()
    >>> _ = file.write(bytes([1, 2, 3]))
    >>> file.flush()
    >>> jnp.fromfile(file.name, dtype="uint8")
    Array([1, 2, 3], dtype=uint8)
    """
    return _read(np.fromfile(file, _stored(dtype), count, sep, offset=offset), dtype)


def fromiter(iter: Iterable[Any], dtype: Any, count: int = -1) -> Array:
    """The vector of `count` numbers, or all, that an iterator gives.

    >>> fromiter((i * i for i in range(3)), int)
    Array([0, 1, 4], dtype=int32)
    """
    return _read(np.fromiter(iter, _stored(dtype), count), dtype)


def fromstring(string: str, dtype: Any = float, count: int = -1, *, sep: str) -> Array:
    """The numbers in a text, between which `sep` stands.

    >>> fromstring("1 2 3", int, sep=" ")
    Array([1, 2, 3], dtype=int32)
    """
    return _read(np.fromstring(string, _stored(dtype), count, sep=sep), dtype)


# -- as text ---------------------------------------------------------------------------------------


def array_repr(arr: Array, max_line_width: int | None = None, precision: int | None = None,
               suppress_small: bool | None = None) -> str:
    """`repr(arr)`; the other arguments are `set_printoptions`'s to set.

    >>> jnp.array_repr(jnp.arange(3))
    'Array([0, 1, 2], dtype=int32)'
    """
    return repr(arr)


def array_str(a: Array, max_line_width: int | None = None, precision: int | None = None,
              suppress_small: bool | None = None) -> str:
    """`str(a)`, in lines of this width, with this many digits.

    >>> jnp.array_str(jnp.arange(3))
    '[0 1 2]'
    """
    return np.array_str(np.asarray(a), max_line_width, precision, suppress_small)
