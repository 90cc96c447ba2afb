"""arraylib: NumPy-like functions, traced into graphs, differentiated, batched and compiled.

    import arraylib
    import arraylib.numpy as jnp

    @arraylib.jit
    def loss(w, x, y):
        return jnp.mean((jnp.tanh(x @ w) - y) ** 2)

    gradient = arraylib.jit(arraylib.grad(loss))
"""

import importlib
from types import ModuleType

from arraylib import errors as errors, numpy as numpy, tree as tree
from arraylib.array import Array as Array
from arraylib.config import config as config
from arraylib.tracing.core import ShapeDtypeStruct as ShapeDtypeStruct, Tracer as Tracer
from arraylib.tracing.derivatives import (
    grad as grad,
    jvp as jvp,
    linear_transpose as linear_transpose,
    linearize as linearize,
    value_and_grad as value_and_grad,
    vjp as vjp,
)
from arraylib.tracing.jacobians import hessian as hessian, jacfwd as jacfwd, jacrev as jacrev
from arraylib.tracing.jit import jit as jit
from arraylib.tracing.program import (
    checkpoint as checkpoint,
    eval_shape as eval_shape,
    make_graph as make_graph,
)
from arraylib.tracing.vectorize import vmap as vmap
from arraylib.transfer import (
    block_until_ready as block_until_ready,
    device_get as device_get,
    device_put as device_put,
    disable_jit as disable_jit,
)

make_jaxpr = make_graph
remat = checkpoint

_ON_DEMAND = ("lax", "nn", "random", "tree_util")


def __getattr__(name: str) -> ModuleType:
    """Modules that many programs do not use are imported when one first names them."""
    if name in _ON_DEMAND:
        return importlib.import_module(f"arraylib.{name}")
    raise AttributeError(f"module 'arraylib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_DEMAND})
