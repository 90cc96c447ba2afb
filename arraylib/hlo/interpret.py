"""The reference meaning of a graph: NumPy, one node at a time."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib.hlo.ir import Graph, Value, _where


def interpret(graph: Graph, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The outputs of `graph` for these NumPy arrays, one an input.

    An exception out of an operation's meaning has a note that names the operation and its line.
    """
    env: dict[Value, Any] = dict(zip(graph.inputs, arrays, strict=True))
    before, node = _where.set(None), None
    try:
        with np.errstate(all="ignore"):
            for node in graph.nodes:
                _where.set(node.where)
                found = node.op.numpy(*[env[v] for v in node.inputs], **node.attrs)
                if node.op.multiple:
                    env.update(zip(node.outputs, found, strict=True))
                else:
                    env[node.outputs[0]] = np.asarray(found)
    except Exception as error:
        if node is not None:
            error.add_note(f"in {node.op.name}, {node.where}")
        raise
    finally:
        _where.reset(before)
    return tuple([env[v] for v in graph.outputs])
