"""The largest elements under the names of searches that may miss some: these here miss none."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.numpy.promotion import Array, ArrayLike
from arraylib.numpy.sorting import top_k


def approx_max_k(operand: ArrayLike, k: int, reduction_dimension: int = -1,
                 recall_target: float = 0.95, reduction_input_size_override: int = -1,
                 aggregate_to_topk: bool = True) -> tuple[Array, Array]:
    """The k largest along an axis in descending order, and their places: exact ones.

    That reaches every `recall_target`; the other arguments change nothing.

    >>> approx_max_k(jnp.array([1.0, 3.0, 2.0]), 2)
    (Array([3., 2.], dtype=float32), Array([1, 2], dtype=int32))
    """
    return top_k(operand, k, reduction_dimension)


def approx_min_k(operand: ArrayLike, k: int, reduction_dimension: int = -1,
                 recall_target: float = 0.95, reduction_input_size_override: int = -1,
                 aggregate_to_topk: bool = True) -> tuple[Array, Array]:
    """The k smallest along an axis in ascending order, and their places; see `approx_max_k`.

    >>> approx_min_k(jnp.array([1.0, 3.0, 2.0]), 2)
    (Array([1., 2.], dtype=float32), Array([0, 2], dtype=int32))
    """
    x = jnp.asarray(operand)
    turned = ew.negate if dt.is_float(type_of(x).dtype) else ew.not_  # which never overflows
    values, places = top_k(turned(x), k, reduction_dimension)
    return turned(values), places

