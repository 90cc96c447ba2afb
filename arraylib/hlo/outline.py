"""What a graph is, as a key of a dict: equal for graphs that were traced in the same way.

A fingerprint is the same in every process and tells programs apart that are compiled. An outline
is made faster, of objects as they are, and knows the lines of the user's program as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from arraylib.hlo.ir import Graph, Type

Outline = tuple[Any, ...]

_MOST_BYTES = 1 << 12  # of a constant
_PLAIN = frozenset((bool, int, str, type(None)))


class _Unknown(Exception):
    """An attribute is an object of which nobody knows when it is equal to another."""


def outline(graph: Graph) -> Outline | None:
    """The outline of a graph and of the regions inside it; None if it has large constants, or
    attributes such as functions."""
    try:
        return _outline(graph)
    except _Unknown:
        return None


def _outline(graph: Graph) -> Outline:
    number = {value: i for i, value in enumerate(graph.inputs)}
    parts: list[Any] = [v.type for v in graph.inputs]
    for node in graph.nodes:
        attrs = [(name, _key(value)) for name, value in node.attrs.items()] if node.attrs else ()
        parts.append((node.op, node.where, *[number[v] for v in node.inputs], *attrs))
        for value in node.outputs:
            number[value] = len(number)
    parts.append(tuple([number[v] for v in graph.outputs]))
    return tuple(parts)


def _key(value: Any) -> Any:
    """What two attributes share if and only if they mean the same: 1 is neither True nor 1.0."""
    cls = value.__class__
    if cls in _PLAIN:
        return cls, value
    if cls is tuple:
        return tuple([x if x.__class__ is int else _key(x) for x in value])
    if isinstance(value, (np.ndarray, np.generic)):
        return _array_key(np.asarray(value))
    if isinstance(value, np.dtype) or cls is Type:
        return value
    if cls is float or cls is complex:
        return cls, repr(value)
    if cls is Graph:
        return _outline(value)
    raise _Unknown


def _array_key(array: Any) -> Any:
    if array.size and not any(array.strides):  # one number that is repeated
        return array.dtype, array.shape, array[(0,) * array.ndim].tobytes()
    if array.nbytes > _MOST_BYTES:
        raise _Unknown
    return array.dtype, array.shape, array.strides, array.tobytes()
