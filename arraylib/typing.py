"""Annotations: `from arraylib.typing import ArrayLike, DTypeLike`."""

from typing import TypeAlias

import numpy as np

from arraylib.numpy import ndarray
from arraylib.numpy.types import ScalarType

# Anything that functions take for an array, and anything that names a dtype.
ArrayLike: TypeAlias = (
    ndarray | np.ndarray | np.generic | bool | int | float | complex)  # type: ignore[type-arg]
DTypeLike: TypeAlias = str | type | np.dtype | ScalarType  # type: ignore[type-arg]
