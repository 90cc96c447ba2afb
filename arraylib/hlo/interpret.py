"""The reference meaning of a graph: NumPy, one node at a time."""

from collections.abc import Sequence
from typing import Any

from arraylib.hlo.ir import Graph, rebuild


def interpret(graph: Graph, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The outputs of `graph` for these NumPy arrays, one an input."""
    return rebuild(graph, arrays, lambda node, xs: node.op.evaluate(xs, node.attrs))
