"""`out_sharding=` of functions that make or multiply arrays: how the result lies on a mesh."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from arraylib.config import config
from arraylib.errors import ArgumentError, mistake, what_is
from arraylib.hlo.ir import type_of
from arraylib.numpy.promotion import Array
from arraylib.sharding.context import get_mesh
from arraylib.sharding.layout import layout_of
from arraylib.sharding.named import NamedSharding
from arraylib.sharding.propagate import constrained, leniently
from arraylib.sharding.spec import PartitionSpec

Function = TypeVar("Function", bound=Callable[..., Any])


def laid_out(op: str, out_sharding: Any, function: Callable[..., Any], *args: Any,
             **settings: Any) -> Array:
    """The result of a call, which lies as `out_sharding` says, whatever its operands suggest.

    Raises: ArgumentError for what is no sharding; ShapeError where it does not divide an axis.
    """
    sharding = out_sharding
    if isinstance(sharding, PartitionSpec) and not get_mesh().empty:
        sharding = NamedSharding(get_mesh(), sharding)
    if not isinstance(sharding, NamedSharding):
        raise mistake(ArgumentError, op, f"out_sharding is {what_is(out_sharding)}",
                      hint="a NamedSharding, or a PartitionSpec where a mesh is set")
    if sharding.spec.unreduced or sharding.spec.reduced:
        raise mistake(ArgumentError, op, f"{sharding.spec} has sums that are still to be made, "
                      "which are not known here", hint="a spec without unreduced and reduced")
    config.place()
    with leniently():
        found = function(*args, **settings)
    shape = type_of(found).shape
    sharding.check(op, shape)
    layout = layout_of(sharding, len(shape))
    assert layout is not None, "a NamedSharding has a mesh"
    result: Array = constrained(found, layout)
    return result


def lays_out(function: Function) -> Function:
    """A function whose keyword `out_sharding` says how its result lies; it never sees one itself.

        >>> @lays_out
        ... def zeros(shape, *, out_sharding=None):
        ...     return jnp.zeros(shape)
    """
    @functools.wraps(function)
    def placing(*args: Any, **settings: Any) -> Any:
        where = settings.pop("out_sharding", None)
        if where is None:
            return function(*args, **settings)
        return laid_out(function.__name__, where, function, *args, **settings)

    return cast(Function, placing)
