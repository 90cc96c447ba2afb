"""Compute what is written twice once.

    %1 = sine(%0); %2 = sine(%0)    ->    %1 = sine(%0), used for both

Two nodes are equal if operation, operands and attributes are: a barrier's results stay apart.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from arraylib.hlo.ir import Graph, Node, Value
from arraylib.hlo.ops.constant import splat
from arraylib.hlo.passes.rewrite import Rewriter, is_pure, rewrite

_COMPARED_BYTES = 1 << 12  # larger constants are the same only if they are one object


def cse(graph: Graph) -> Graph:
    """`graph` with each node that repeats an earlier one replaced by that."""
    seen: dict[Any, tuple[Value, ...]] = {}
    def rule(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
        key = (node.op, node.inputs, tuple([(k, _key(v)) for k, v in node.attrs.items()]))
        earlier = seen.setdefault(key, node.outputs)
        return None if earlier is node.outputs or not is_pure(node) else earlier
    return rewrite(graph, rule)


def _key(value: Any) -> Any:
    """Something hashable that is equal only for attributes that mean the same."""
    kind = value.__class__
    if kind is int or kind is str:
        return value
    if kind is tuple:
        return tuple(map(_key, value))
    if kind is np.ndarray or isinstance(value, np.generic):
        return _array_key(np.asarray(value))
    if kind is float:  # 0.0 == -0.0 and nan != nan, but not here
        return value.hex()
    return (kind, value) if isinstance(value, Hashable) else id(value)


def _array_key(array: np.ndarray[Any, Any]) -> Any:
    repeated = splat(array)
    if repeated is not None:
        return array.dtype, array.shape, repeated.tobytes()
    if array.nbytes > _COMPARED_BYTES:
        return id(array)
    return array.dtype, array.shape, array.tobytes()
