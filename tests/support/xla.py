"""XLA as the second implementation: it parses what we print, prints it back, and runs it."""

import itertools
import re

import jax
import numpy as np
from jax._src.interpreters import mlir
from jax._src.lib import lapack, xla_client
from jaxlib.mlir import ir

from arraylib.hlo import text

# Operations of StableHLO that are newer than the jaxlib we test with: a whole operation, or
# its form with several operands.
NEWER = {"collective_reduce", "collective_broadcast"}
# And one that XLA parses but cannot run on the CPU of one process.
NOT_RUN = NEWER | {"partition_id", "replica_id"}


def reprint(module):
    """StableHLO text as MLIR prints it, once parsed and verified."""
    context = mlir.make_ir_context()
    context.allow_unregistered_dialects = True
    with context:
        parsed = ir.Module.parse(module)
        parsed.operation.verify()
        return str(parsed)


def canonical(module):
    """The words of MLIR text, with values numbered in the order in which they are defined.

    A name is defined where `=` or a type follows it; names may be used again in another region.
    """
    numbers, count = {}, itertools.count()
    def renamed(found):
        name, defines = found.groups()
        if defines:
            numbers[name] = next(count)
        return f"%{numbers[name]}{defines or ''}"
    return re.sub(r"(%\w+)((?::\d+)? =|: )?", renamed, module).split()


def run(graph, arrays, level=None):
    """The outputs of a graph, printed by us, compiled and run by XLA.

    `level`: how much LLVM optimises the code, if not as usual; at 0 compiling takes half the time.
    """
    client = jax.devices("cpu")[0].client
    devices = xla_client.DeviceList(tuple(client.devices()[:1]))
    options = xla_client.CompileOptions()
    if level is not None:
        debug = options.executable_build_options.debug_options
        debug.xla_backend_optimization_level = level
    module = text(graph)
    if "@lapack_" in module:
        lapack.prepare_lapack_call("potrf", np.dtype(np.float32))  # loads SciPy's LAPACK
    program = client.compile_and_load(module, devices, options)
    with jax.enable_x64(True):
        results = program.execute_sharded([jax.device_put(np.asarray(x)) for x in arrays])
    return [np.asarray(x[0]) for x in results.disassemble_into_single_device_arrays()]
