"""A container of arrays as one vector, and back."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import arraylib.numpy as jnp
from arraylib import tree
from arraylib.errors import ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.numpy.promotion import Array


def ravel_pytree(pytree: Any) -> tuple[Array, Callable[[Any], Any]]:
    """All elements of a container in one vector of their common dtype, and the way back.

    That gives every array the dtype it had; where all had one dtype, that of the vector.

        >>> flat, unravel = ravel_pytree({"b": 1.0, "w": jnp.ones(2)})
        >>> unravel(2 * flat)
        {'b': Array(2., dtype=float32), 'w': Array([2., 2.], dtype=float32)}
    """
    leaves, structure = tree.flatten(pytree)
    arrays = [jnp.asarray(x) for x in leaves]
    types = [type_of(x) for x in arrays]
    flat = jnp.concatenate([jnp.ravel(x) for x in arrays]) if arrays else jnp.zeros(0)
    ends = list(accumulate((t.size for t in types), initial=0))

    def unravel(vector: Any) -> Any:
        vector = jnp.asarray(vector)
        if type_of(vector).shape != (ends[-1],):
            raise mistake(ShapeError, "unravel", f"shape {type_of(vector).shape} for a container "
                          f"of {ends[-1]} elements", operands=[type_of(vector)],
                          hint="the vector that ravel_pytree returned, or one of its size")
        parts = [vector[a:b].reshape(t.shape) for a, b, t in zip(ends, ends[1:], types)]
        if len({t.dtype for t in types}) > 1:
            parts = [x.astype(t.dtype) for x, t in zip(parts, types)]
        return tree.unflatten(structure, parts)

    return flat, unravel
