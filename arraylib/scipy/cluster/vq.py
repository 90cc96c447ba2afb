"""Vector quantization: which of some vectors is nearest."""

from __future__ import annotations

import arraylib.numpy as jnp
from arraylib import dtypes as dt
from arraylib.errors import ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.numpy.programs import one_program
from arraylib.numpy.promotion import Array, ArrayLike, promote_inexact, shape_of

__all__ = ["vq"]


@one_program(2)
def vq(obs: ArrayLike, code_book: ArrayLike, check_finite: bool = True) -> tuple[Array, Array]:
    """Which row of `code_book`, [k, n], is nearest to each row of `obs`, [m, n]; how far it is.

    i32[m] and f[m]; the first one of those that are equally near. Both may also be vectors, of
    numbers. `check_finite` changes nothing. Raises ShapeError where the rows differ in length.

    >>> vq(jnp.array([[1.0, 1.0], [5.0, 4.0]]), jnp.array([[0.0, 1.0], [5.0, 5.0]]))
    (Array([0, 1], dtype=int32), Array([1., 1.], dtype=float32))
    """
    x, codes = (jnp.asarray(v) for v in promote_inexact("vq", obs, code_book))
    shapes = shape_of(x), shape_of(codes)
    if len(shapes[0]) != len(shapes[1]) or len(shapes[0]) not in (1, 2) \
            or shapes[0][1:] != shapes[1][1:] or not shapes[1][0]:
        raise mistake(ShapeError, "vq", f"obs has shape {shapes[0]} and code_book {shapes[1]}",
                      operands=[type_of(x), type_of(codes)], hint="[m, n] and [k, n], k at least 1")
    if len(shapes[0]) == 1:
        x, codes = x[:, None], codes[:, None]
    distances = jnp.linalg.norm(x[:, None] - codes, axis=-1)
    return jnp.argmin(distances, -1).astype(dt.int32), jnp.min(distances, -1)
