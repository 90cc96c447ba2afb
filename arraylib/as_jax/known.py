"""Our operations as JAX's primitives: `jax.lax.sin_p`, and what equations name."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from arraylib.hlo.ir import current, type_of
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import TABLE
from arraylib.hlo.ops.structured import broadcast_in_dim
from arraylib.tracing.core import as_operand

# JAX's names of primitives where they are not those of our operations.
JAX_NAMES = {
    "absolute": "abs", "bitcast_convert": "bitcast_convert_type", "call": "jit", "case": "cond",
    "concatenate": "concatenate", "convert": "convert_element_type",
    "convolution": "conv_general_dilated", "cosine": "cos", "count_leading_zeros": "clz",
    "divide": "div", "exponential": "exp", "exponential_minus_one": "expm1",
    "log_plus_one": "log1p", "maximum": "max", "minimum": "min", "multiply": "mul",
    "negate": "neg", "next_after": "nextafter", "popcnt": "population_count", "power": "pow",
    "reduce_add": "reduce_sum", "reduce_maximum": "reduce_max", "reduce_minimum": "reduce_min",
    "reduce_multiply": "reduce_prod", "remainder": "rem", "reverse": "rev", "select": "select_n",
    "sine": "sin", "subtract": "sub", "checkpoint": "remat", "all_reduce": "psum",
    "collective_permute": "ppermute",
}


class Known:
    """One of our operations under JAX's name; its settings are ours."""

    def __init__(self, op: OpDef) -> None:
        self.op, self.name = op, JAX_NAMES.get(op.name, op.name)
        self.multiple_results = op.multiple

    def __repr__(self) -> str:
        return self.name

    def get_bind_params(self, params: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Functions and settings with which `bind` repeats an equation."""
        return [], params

    def bind(self, *args: Any, **params: Any) -> Any:
        """Compute the operation, or draw it where a graph is being drawn."""
        operands = [as_operand(x, self.name, lambda: "an operand") for x in args]
        if self.op.elementwise:
            operands = _one_shape(operands)
        attrs = {name: _graphs(value) for name, value in params.items()}
        outs = current().emit(self.op, operands, attrs)
        return list(outs) if self.multiple_results else outs[0]


def _one_shape(operands: list[Any]) -> list[Any]:
    """Numbers among arrays, which literals may be, repeated to the shape of the others."""
    shapes = {type_of(x).shape for x in operands}
    if len(shapes) != 2 or () not in shapes:
        return operands
    (shape,) = shapes - {()}
    return [x if type_of(x).shape else broadcast_in_dim(x, shape=shape, dimensions=())
            for x in operands]


def _graphs(value: Any) -> Any:
    """A setting with jaxprs as graphs."""
    if isinstance(value, tuple) and value and hasattr(value[0], "graph"):
        return tuple([item.graph for item in value])
    return getattr(value, "graph", value) if not isinstance(value, np.ndarray) else value


known = cache(Known)


def __getattr__(name: str) -> Known:
    """`sin_p`: the primitive of this name."""
    wanted = name.removesuffix("_p")
    if name != wanted and not name.startswith("_"):
        for op in TABLE.values():
            if JAX_NAMES.get(op.name, op.name) == wanted:
                return known(op)
    raise AttributeError(name)
