"""jax.core and jax.extend.core: what libraries ask of the inside of JAX, as far as we have it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.as_jax.jaxpr import (
    Atom as Atom,
    ClosedJaxpr as ClosedJaxpr,
    DropVar as DropVar,
    Jaxpr as Jaxpr,
    JaxprEqn as JaxprEqn,
    Literal as Literal,
    Var as Var,
    eval_jaxpr as eval_jaxpr,
    jaxpr_as_fun as jaxpr_as_fun,
    jaxprs_in_params as jaxprs_in_params,
    new_jaxpr_eqn as new_jaxpr_eqn,
    subjaxprs as subjaxprs,
)
from arraylib.as_jax.moving import find_top_trace as find_top_trace
from arraylib.as_jax.primitive import Primitive as Primitive
from arraylib.errors import TraceError, mistake
from arraylib.hlo.ir import Type, current, is_tracing, type_of
from arraylib.tracing.core import Tracer as Tracer, as_operand


class _Types(type):
    """The class of ShapedArray: our types are its instances, and what calling it makes."""

    def __instancecheck__(cls, x: object) -> bool:
        return isinstance(x, Type)

    def __call__(cls, shape: Sequence[int], dtype: Any, weak_type: bool = False,
                 **options: Any) -> Type:
        return Type(dt.dtype(dtype), tuple(shape))


class AbstractValue(metaclass=_Types):
    """What is known of a value while tracing: its `Type`, which is all there is."""


class ShapedArray(AbstractValue):
    """A dtype and shape: `ShapedArray((2, 3), "float32")` is our `Type`."""


def get_aval(x: Any) -> Type:
    """The dtype and shape of an array, a traced value or a number."""
    return type_of(as_operand(x, "get_aval", lambda: "its argument"))


class Trace:
    """What interpreters of JAX's are derived from; a program here is traced in one way only."""


class TraceTag:
    """What tells JAX's interpreters apart."""


def take_current_trace() -> Any:
    """Refused: the program being traced is no object that another can be put in place of."""
    raise mistake(TraceError, "take_current_trace", "traces are no objects here",
                  hint="make_jaxpr(f)(x), and walk through the equations")


def set_current_trace(trace: Any) -> Any:
    """Refused, as `take_current_trace` is."""
    return take_current_trace()


def raise_to_shaped(aval: Type, weak_type: bool | None = None) -> Type:
    """The type itself: there is nothing below it."""
    return aval


def get_opaque_trace_state(convention: str = "") -> Hashable:
    """Something that is equal in two places if they draw the same graph."""
    return id(current()) if is_tracing() else None


def trace_state_clean() -> bool:
    """Whether nothing is being traced."""
    return not is_tracing()


no_effects: frozenset[Any] = frozenset()


def valid_jaxtype(x: Any) -> bool:
    """Whether x can be an argument of a traced function."""
    try:
        get_aval(x)
    except TypeError:
        return False
    return True


def mapped_aval(size: int, axis: int, aval: Type) -> Type:
    """The type of one example among `size` along an axis."""
    if axis is None:
        return aval
    return aval.with_shape(aval.shape[:axis] + aval.shape[axis + 1:])


def unmapped_aval(size: int, axis: int, aval: Type, *names: Any) -> Type:
    """The type of `size` examples along a new axis."""
    if axis is None:
        return aval
    return aval.with_shape((*aval.shape[:axis], size, *aval.shape[axis:]))
