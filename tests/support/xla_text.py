"""XLA on the CPU as a second implementation, for StableHLO text written by a test itself."""

import functools

import jax
import numpy as np
from jax._src.lib import xla_client


@functools.cache
def _compiled(module):
    client = jax.devices("cpu")[0].client
    devices = xla_client.DeviceList(tuple(client.devices()[:1]))
    return client.compile_and_load(module, devices, xla_client.CompileOptions())


def run_text(module, arrays):
    """The outputs of a module that XLA compiles (once) and runs on these arrays."""
    program = _compiled(module)
    with jax.enable_x64(True):
        results = program.execute_sharded([jax.device_put(np.asarray(x)) for x in arrays])
    return [np.asarray(x[0]) for x in results.disassemble_into_single_device_arrays()]


def tensor(dtype, shape):
    """`tensor<2x3xf32>`"""
    return f"tensor<{'x'.join([*map(str, shape), dtype])}>"


def run_op(op, attributes, operands, results):
    """The outputs of one operation, in the generic form; `operands` are (hlo dtype, array)."""
    types = [tensor(dtype, x.shape) for dtype, x in operands]
    names = [f"%a{i}" for i in range(len(types))]
    outs = [f"%r{i}" for i in range(len(results))]
    arguments = ", ".join(f"{n}: {t}" for n, t in zip(names, types))
    inside = f'{", ".join(outs)} = "{op}"({", ".join(names)}) {{{attributes}}}'
    signature = f"({', '.join(types)}) -> ({', '.join(results)})"
    module = (f"func.func @main({arguments}) -> ({', '.join(results)}) {{\n  {inside} : "
              f"{signature}\n  return {', '.join(outs)} : {', '.join(results)}\n}}")
    return run_text(module, [x for _, x in operands])
