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
from typing import TYPE_CHECKING

from arraylib import (
    errors as errors,
    hlo as hlo,
    numpy as numpy,
    ref as ref,
    tree as tree,
)
from arraylib.array import Array as Array
from arraylib.compile import run_compiled
from arraylib.config import config as config
from arraylib.device import (
    Device as Device,
    default_backend as default_backend,
    device_count as device_count,
    devices as devices,
    local_device_count as local_device_count,
    local_devices as local_devices,
    process_count as process_count,
    process_index as process_index,
)
from arraylib.dtypes import float0 as float0
from arraylib.hlo.runners import install_runner
from arraylib.ref import (
    Ref as Ref,
    empty_ref as empty_ref,
    free_ref as free_ref,
    freeze as freeze,
    new_ref as new_ref,
)
from arraylib.scopes import (
    checking_leaks as checking_leaks,
    debug_infs as debug_infs,
    debug_key_reuse as debug_key_reuse,
    debug_nans as debug_nans,
    default_matmul_precision as default_matmul_precision,
    disable_jit as disable_jit,
    enable_x64 as enable_x64,
    named_call as named_call,
    named_scope as named_scope,
    threads as threads,
)
from arraylib.sharding import (
    NamedSharding as NamedSharding,
    PartitionSpec as P,
    make_mesh as make_mesh,
    set_mesh as set_mesh,
)
from arraylib.tracing.callbacks import (
    io_callback as io_callback,
    pure_callback as pure_callback,
)
from arraylib.tracing.checkpoint import (
    checkpoint as checkpoint,
    checkpoint_policies as checkpoint_policies,
)
from arraylib.tracing.closures import (
    closure_convert as closure_convert,
    custom_gradient as custom_gradient,
)
from arraylib.tracing.core import (
    ShapeDtypeStruct as ShapeDtypeStruct,
    Tracer as Tracer,
    typeof as typeof,
)
from arraylib.tracing.custom import custom_jvp as custom_jvp, custom_vjp as custom_vjp
from arraylib.tracing.derivatives import (
    grad as grad,
    jvp as jvp,
    linear_transpose as linear_transpose,
    linearize as linearize,
    value_and_grad as value_and_grad,
)
from arraylib.tracing.eager import ensure_compile_time_eval as ensure_compile_time_eval
from arraylib.tracing.jacobians import hessian as hessian, jacfwd as jacfwd, jacrev as jacrev
from arraylib.tracing.jit import jit as jit
from arraylib.tracing.operations import install_operations
from arraylib.tracing.program import eval_shape as eval_shape, make_graph as make_graph
from arraylib.tracing.pullback import fwd_and_bwd as fwd_and_bwd, vjp as vjp
from arraylib.tracing.resharding import (
    make_array_from_callback as make_array_from_callback,
    make_array_from_single_device_arrays as make_array_from_single_device_arrays,
    reshard as reshard,
)
from arraylib.tracing.settings import serve
from arraylib.tracing.shard_map import shard_map as shard_map, smap as smap
from arraylib.tracing.vectorize import vmap as vmap
from arraylib.transfer import (
    block_until_ready as block_until_ready,
    device_get as device_get,
    device_put as device_put,
    effects_barrier as effects_barrier,
)
from arraylib.version import VERSION as __version__

# What modules use although it is defined above them.
install_runner("cpu", run_compiled)
numpy.programs.install_jit(jit, serve)
numpy.mapping.install_vmap(vmap)
install_operations()

make_jaxpr = make_graph
remat = checkpoint
jacobian = jacrev

_ON_DEMAND = (
    "ad", "ad_checkpoint", "cache", "checkify", "custom_batching", "custom_derivatives", "debug",
    "experimental", "export", "files", "flatten_util", "image", "lax", "memory", "nn", "ops",
    "optim", "profiler", "random", "scipy", "sharding", "stages", "test_util", "tree_util",
    "typing")
_OWN = {"ModuleType", "TYPE_CHECKING", "install_operations", "install_runner", "run_compiled",
        "serve"}
_PUBLIC = ("config", "errors", "numpy", "ref", "tree", *_ON_DEMAND)


if TYPE_CHECKING:
    from arraylib import (
        ad as ad,
        ad_checkpoint as ad_checkpoint,
        cache as cache,
        checkify as checkify,
        custom_batching as custom_batching,
        custom_derivatives as custom_derivatives,
        debug as debug,
        experimental as experimental,
        export as export,
        files as files,
        flatten_util as flatten_util,
        image as image,
        lax as lax,
        memory as memory,
        nn as nn,
        ops as ops,
        optim as optim,
        profiler as profiler,
        random as random,
        scipy as scipy,
        sharding as sharding,
        stages as stages,
        test_util as test_util,
        tree_util as tree_util,
        typing as typing,
    )
else:
    def __getattr__(name: str) -> ModuleType:
        """Modules that many programs do not use are imported when one first names them."""
        if name in _ON_DEMAND:
            return importlib.import_module(f"arraylib.{name}")
        raise AttributeError(f"module 'arraylib' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What programs use, for tab completion: not the modules that it is made of."""
    return sorted({*_PUBLIC, *(name for name, value in globals().items()
                               if not isinstance(value, ModuleType) and name not in _OWN)})
