"""Operations that Python computes: the program stops, calls a function, and goes on.

They are not in the table of operations: a function of this process has no text, and no derivative
or expansion is known of it. `function` takes the types of its results, then NumPy arrays, and
returns a tuple of arrays of these types; under vmap, `method` says how it meets a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import TraceError, mistake
from arraylib.hlo.ir import Node, Type, emit_like, type_of
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops.shape import repeat_leading
from arraylib.hlo.ops.structured import reshape
from arraylib.record import record

Pairs = list[tuple[Any, Any]]
Function = Callable[..., tuple[Any, ...]]

METHODS = ("sequential", "sequential_unrolled", "expand_dims", "broadcast_all", None)


@record
class _OneByOne:
    """The function on each example in turn."""

    function: Function
    has: tuple[bool, ...]
    size: int

    def __call__(self, results: tuple[Type, ...], *arrays: Any) -> tuple[Any, ...]:
        targets = tuple([np.empty(t.shape, t.dtype) for t in results])
        each = tuple([t.with_shape(t.shape[1:]) for t in results])
        for i in range(self.size):
            found = self.function(each, *[x[i] if h else x for x, h in zip(arrays, self.has)])
            for target, value in zip(targets, found, strict=True):
                target[i] = value
        return targets


def _batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    function, results, method = (node.attrs[k] for k in ("function", "results", "method"))
    if method is None:
        raise mistake(TraceError, node.op.name, "vmap does not know how this function meets a "
                      "batch", where=node.where, hint="vmap_method='sequential' to call it once "
                      "for each example, 'broadcast_all' if it takes a leading axis")
    xs, has = [x for x, _ in pairs], tuple([h for _, h in pairs])
    if method.startswith("sequential"):
        function = _OneByOne(function, has, size)
    elif method == "broadcast_all":
        xs = [x if h else repeat_leading(x, size) for x, h in pairs]
    else:
        xs = [x if h else reshape(x, shape=(1, *type_of(x).shape)) for x, h in pairs]
    batched = tuple([t.with_shape((size, *t.shape)) for t in results])
    outs = node.op(*xs, function=function, results=batched, method=method)
    return [(out, True) for out in outs]


def _jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """What has no float among its results has no derivative, either."""
    if any(dt.is_inexact(t.dtype) for t in node.attrs["results"]):
        raise mistake(TraceError, node.op.name, "the derivative of a Python function is not known",
                      where=node.where, hint="lax.stop_gradient on its operands, if none is meant")
    return [(out, None) for out in emit_like(node, list(primals))]


host_call = OpDef(
    "host_call", "What a Python function without side effects returns.",
    lambda *xs, function, results, method: function(results, *xs),
    results=lambda types, attrs, where: attrs["results"], multiple=True, opaque=True,
    dialect="arraylib", jvp_node=_jvp, batch_node=_batch)

host_effect = replace(
    host_call, name="host_effect", effect=True,
    doc="What a Python function returns, which is called once, in order, whoever reads that.")
