"""arraylib: NumPy-like functions, traced into graphs, differentiated, batched and compiled.

    import arraylib
    import arraylib.numpy as jnp

    @arraylib.jit
    def loss(w, x, y):
        return jnp.mean((jnp.tanh(x @ w) - y) ** 2)

    gradient = arraylib.jit(arraylib.grad(loss))
"""

from arraylib.array import Array as Array
from arraylib.config import config as config
from arraylib.tracing import eager as eager
from arraylib.tracing.core import ShapeDtypeStruct as ShapeDtypeStruct
from arraylib.tracing.core import Tracer as Tracer
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

make_jaxpr = make_graph
remat = checkpoint
