"""Run a module: with the interpreter, or compiled by a backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib.errors import ArgumentError, DtypeError, ShapeError, TraceError, mistake
from arraylib.hlo.ir import Graph, Value
from arraylib.hlo.module import Module, graph_of
from arraylib.hlo.parallel import evaluate_parallel as run_parallel
from arraylib.hlo.passes.adopt import Functions, adopt, array_types, forms_for, functions_of
from arraylib.hlo.runners import RUNNERS


def evaluate(module: Module | Graph, *arrays: Any, backend: str = "reference",
             custom_calls: Functions | None = None) -> tuple[np.ndarray[Any, Any], ...]:
    """The results of a module's entry on these arrays, one an input; tokens have none.

    Dtypes must be those of the program; 64-bit ones stay what they are. `backend` is "reference",
    which interprets one operation after the other in NumPy, or "cpu", which compiles. Operations
    of other dialects are written in terms of ours first; `custom_calls` says by name what custom
    calls do, functions of NumPy arrays.

    Raises ShapeError and DtypeError for arrays that do not fit the inputs, ArgumentError for their
    number or an unknown backend, TraceError for operations without a meaning here and for values
    that are being traced, which would have no derivative.

        >>> program = "func.func @main(%x: tensor<2xi64>) -> tensor<2xi64> {\\n" \\
        ...     "  %0 = stablehlo.add %x, %x : tensor<2xi64>\\n  return %0 : tensor<2xi64>\\n}"
        >>> evaluate(parse(program), np.array([1, 2]))
        (array([2, 4]),)
    """
    graph = graph_of(module, "evaluate")
    run = RUNNERS.get(backend)
    if run is None:
        raise mistake(ArgumentError, "evaluate", f"no backend is called {backend!r}",
                      hint=" or ".join(RUNNERS))
    operands = _operands("evaluate", graph, arrays)
    ready = adopt(graph, forms_for(graph, operands), custom_calls, functions_of(module),
                  runs=True)
    return tuple(np.asarray(x) for x in run(ready, operands))


def evaluate_parallel(module: Module | Graph | Sequence[Sequence[Module | Graph]],
                      per_process_args: Sequence[Sequence[Any]], num_replicas: int | None = None,
                      num_partitions: int | None = None, custom_calls: Functions | None = None,
                      ) -> list[tuple[np.ndarray[Any, Any], ...]]:
    """What each process of a grid returns; its number is replica * num_partitions + partition.

    All processes run `module`, or each its own, `module[replica][partition]`, in lockstep with the
    interpreter: collective operations exchange values, and processes that would wait for one
    another for ever raise an error at once. Otherwise as `evaluate`.

    >>> module = hlo.parse(jit(lambda x: x + 1).lower(1).as_text())
    >>> hlo.evaluate_parallel(module, [[np.int32(1)], [np.int32(2)]], num_replicas=2)
    [(array(2, dtype=int32),), (array(3, dtype=int32),)]
    """
    def ready(program: Module | Graph) -> Graph:
        graph = graph_of(program, "evaluate_parallel")
        return adopt(graph, None, custom_calls, functions_of(program), runs=True)
    programs = (ready(module) if isinstance(module, (Module, Graph))
                else [[ready(program) for program in row] for row in module])
    return run_parallel(programs, per_process_args, num_replicas, num_partitions)


def _operands(op: str, graph: Graph, arrays: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    """The arrays, once it is sure that they fit the inputs."""
    types = array_types(graph)
    if len(arrays) != len(types):
        raise mistake(ArgumentError, op, f"{len(arrays)} arrays for {len(types)} inputs",
                      hint=", ".join(map(str, types)) or "the program takes none")
    if any(isinstance(x, Value) for x in arrays):
        raise mistake(TraceError, op, "takes arrays, not values that are being traced",
                      hint="export.load(file).call, which works under jit, grad and vmap")
    operands = [np.asarray(x) for x in arrays]
    for i, (x, type) in enumerate(zip(operands, types)):
        if type.dtype is not None and x.dtype != type.dtype:
            raise mistake(DtypeError, op, f"array {i} is {x.dtype}, but the input is {type}",
                          hint=f"convert it with .astype({type.dtype.name!r})")
        if type.shape is not None and not _fits(x.shape, type.shape):
            raise mistake(ShapeError, op, f"array {i} has shape {x.shape}, but the input is {type}")
    return operands


def _fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(n in (None, m) for m, n in zip(shape, wanted))
