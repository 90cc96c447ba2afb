"""Programs with checks: compiled so that a call looks at their state before it returns results."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from arraylib import dtypes as dt
from arraylib.array import Array
from arraylib.config import config
from arraylib.errors import Source, here
from arraylib.hlo.ir import Graph, Type, _where
from arraylib.hlo.ops.check import failure_at
from arraylib.hlo.passes.guard import Guarded, guard
from arraylib.on_demand import module

Names = Callable[[int], str]


def guarded(graph: Graph, argument: Names | None = None,
            result: Names | None = None) -> Guarded | None:
    """The graph with its checks as a state, and watched as `config` says; None if it has none."""
    if config.watched:
        watch = module("hlo.passes.watch")
        graph = watch.program(graph, config.watched, argument or _numbered("argument"),
                              result or _numbered("result"))
    return guard(graph)


def _numbered(what: str) -> Names:
    return lambda number: f"{what} {number}"


def results(checked: Guarded, outs: Sequence[Array]) -> list[Array]:
    """The results of a guarded program; raises the error that its state tells."""
    error = checked.error([np.asarray(x) for x in outs[checked.count:]])
    if error is not None:
        raise error
    return list(outs[:checked.count])


def check_finite(op: str, operands: Sequence[Type], found: Sequence[Array],
                 where: Source | None) -> None:
    """NotFiniteError if there is anything in these results that `config` watches for."""
    for x in found:
        if not dt.is_inexact(x.type.dtype):
            continue
        array = np.asarray(x)
        if dt.is_narrow_float(array.dtype):  # not NumPy's own
            array = array.astype(np.float32)
        for kind in config.watched:
            bad = np.isnan(array) if kind == "nan" else np.isinf(array)
            if bad.any():
                failure = failure_at(int(np.argmax(bad)), bad.shape, (), ())
                report = module("hlo.passes.watch").NotFinite(
                    kind, False, op, x.type, tuple(operands), where or _where.get() or here())
                raise report.error(failure)
