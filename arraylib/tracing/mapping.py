"""map: a function applied to one slice after the other, or to batches of slices."""

from collections.abc import Callable
from typing import Any

from arraylib import tree
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops.shape import concatenate, slice_
from arraylib.hlo.ops.structured import reshape
from arraylib.tracing.control import scan_as
from arraylib.tracing.core import flatten_arguments, must_call
from arraylib.tracing.vectorize import vmap

Function = Callable[..., Any]


def map_(f: Function, xs: Any, *, batch_size: int | None = None) -> Any:
    """f applied to each slice along the leading axis of xs, one after the other.

    With `batch_size` that many slices are done at once by `vmap`, which is faster and takes more
    memory; the last batch may be smaller.

    Raises: ShapeError where the leading axes of xs differ.

        >>> lax.map(lambda x: x ** 2, jnp.arange(3.))
        Array([0., 1., 4.], dtype=float32)
    """
    must_call("map", f)
    if batch_size is None:
        return scan_as("map", lambda _, x: (None, f(x)), None, xs, None)[1]
    if batch_size < 1:
        raise mistake(ArgumentError, "map", f"batch_size = {batch_size}", hint="1 or more")
    leaves, structure = flatten_arguments("map", (xs,))
    count = type_of(leaves[0]).shape[0] if leaves and type_of(leaves[0]).shape else 0
    whole = count // batch_size * batch_size
    if not whole:
        return vmap(f)(xs)
    def part(start: int, limit: int, *lead: int) -> Any:
        return tree.unflatten(structure, [_rows(x, start, limit, lead) for x in leaves])[0]
    batches = part(0, whole, whole // batch_size, batch_size)
    _, ys = scan_as("map", lambda _, x: (None, vmap(f)(x)), None, batches, None)
    ys = tree.map(lambda y: reshape(y, shape=(whole, *type_of(y).shape[2:])), ys)
    if whole == count:
        return ys
    rest = vmap(f)(part(whole, count, count - whole))
    return tree.map(lambda a, b: concatenate(a, b, dimension=0), ys, rest)


def _rows(x: Any, start: int, limit: int, lead: tuple[int, ...]) -> Any:
    """x[start:limit], its leading axis in the shape `lead`."""
    shape = type_of(x).shape
    part = slice_(x, start=(start, *[0] * (len(shape) - 1)), limit=(limit, *shape[1:]),
                  strides=(1,) * len(shape))
    return reshape(part, shape=(*lead, *shape[1:]))
