"""What is measured: each workload is one function to jit, and the NumPy arguments to call it with.

A workload's function takes `xp`, a namespace shaped like JAX (`xp.np`, `xp.lax`, `xp.nn`,
`xp.random`, `xp.jit`, `xp.grad`, `xp.vmap`, ...), then its arguments: NumPy arrays in dicts, lists
and tuples, made from fixed seeds, so that every library gets the same numbers. `workload.build(xp)`
returns `(callable, arguments)`. Everything is float32 unless its name says otherwise.
"""

from benchmarks.workloads import (
    arrays,
    calling,
    compiling,
    dtypes,
    fourier,
    indexing,
    numeric,
    products,
    training,
)
from benchmarks.workloads.workload import WORKLOADS, Missing, Workload

__all__ = ["WORKLOADS", "Missing", "Workload"]
