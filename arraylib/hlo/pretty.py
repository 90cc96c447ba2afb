"""A graph as a short list of definitions, for people to read; never parsed.

    (a: f32[8,3], b: f32[3,4])
      c: f32[8,4] = dot_general a b {ab,bd->ad}
      d: f32[] = constant 0.0
      e: f32[8,4] = pad c d {low=(0,1) high=(0,-1) interior=(0,0)}
      return e

Braces hold the axis labels where they tell all, else the attributes; regions are indented below.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, mistake, what_is
from arraylib.hlo.ir import Graph, Node, Value
from arraylib.hlo.ops.constant import splat

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LONGEST = 6  # elements of a constant that are shown


def pretty(program: Any, sources: bool = False) -> str:
    """A graph, one node a line, or each function of a module under its name.

    With `sources` the user's line is next to each node.

    >>> print(hlo.pretty(arraylib.make_graph(lambda x: x * x)(1.0).graph))
    (a: f32[])
      b: f32[] = multiply a a
      return b
    """
    if isinstance(program, Graph):
        return "\n".join(_lines(program, _Names(), sources))
    if not hasattr(program, "functions"):
        raise mistake(ArgumentError, "pretty", f"takes a module or a graph, not {what_is(program)}")
    return "\n".join([f"@{function.name} {pretty(function.graph, sources)}\n"
                      for function in program.functions])


def signature(node: Node) -> str:
    """One node with types in the place of names: `f32[8,4] = dot_general f32[8,3] f32[3,4] ...`."""
    defined = ", ".join(str(v.type) for v in node.outputs)
    call = " ".join([node.op.name, *(str(v.type) for v in node.inputs), *_attributes(node)])
    return f"{defined} = {call}" if defined else call


class _Names:
    """Letters for values, in the order in which they are met: a, b, ..., z, ba, bb, ..."""

    def __init__(self) -> None:
        self._names: dict[Value, str] = {}
        self._count = 0  # of definitions: a function that is called twice defines its values twice

    def __getitem__(self, value: Value) -> str:
        return self._names[value]

    def define(self, value: Value) -> str:
        name = self._names[value] = _letters(self._count)
        self._count += 1
        return name


def _letters(number: int) -> str:
    high, low = divmod(number, len(_LETTERS))
    return (_letters(high) if high else "") + _LETTERS[low]


def _lines(graph: Graph, names: _Names, sources: bool) -> Iterator[str]:
    inputs = ", ".join(f"{names.define(v)}: {v.type}" for v in graph.inputs)
    yield f"({inputs})"
    for node in graph.nodes:
        yield from _node(node, names, sources)
    outputs = ", ".join(names[v] for v in graph.outputs)
    yield f"  return {outputs}"


def _node(node: Node, names: _Names, sources: bool) -> Iterator[str]:
    operands = [names[v] for v in node.inputs]
    defined = ", ".join(f"{names.define(v)}: {v.type}" for v in node.outputs)
    call = " ".join([node.op.name, *operands, *_attributes(node)])
    source = f"  # {node.where}" if sources else ""
    yield f"  {f'{defined} = ' if defined else ''}{call}{source}"
    for name, region in _regions(node):
        first, *rest = _lines(region, names, sources)
        yield f"    {name} {first}"
        for line in rest:
            yield f"    {line}"


def _regions(node: Node) -> Iterator[tuple[str, Graph]]:
    for name, value in node.attrs.items():
        if isinstance(value, Graph):
            yield name, value
        elif isinstance(value, tuple) and value and isinstance(value[0], Graph):
            yield from ((f"{name}[{i}]", graph) for i, graph in enumerate(value))


def _attributes(node: Node) -> Iterator[str]:
    """The attributes but for regions, empty ones, and what the result's type tells."""
    regions = {name.split("[")[0] for name, _ in _regions(node)}
    rest = {name: value for name, value in node.attrs.items() if name not in regions}
    labels = node.op.labels(node.types, node.attrs) if node.op.relabel else None
    if set(rest) == {"value"}:
        yield _show(rest["value"])
    elif labels:
        yield f"{{{labels}}}"
    else:
        shown = [f"{name}={_show(value)}" for name, value in rest.items()
                 if name not in ("shape", "dtype") and not _is_empty(value)]
        if shown:
            yield f"{{{' '.join(shown)}}}"


def _is_empty(value: Any) -> bool:
    return value is None or value is False or isinstance(value, (tuple, str)) and not value


def _show(value: Any) -> str:
    if isinstance(value, (np.ndarray, np.generic)):
        return _array(np.asarray(value))
    if isinstance(value, np.dtype):
        return dt.short_name(value)
    if isinstance(value, tuple):
        return f"({','.join(map(_show, value))})"
    return str(value)


def _array(array: np.ndarray[Any, Any]) -> str:
    """The one number, or the first few elements."""
    one = splat(array)
    if one is not None:
        return str(one)
    shown = " ".join(map(str, array.reshape(-1)[:_LONGEST]))
    return f"[{shown}{' ...' if array.size > _LONGEST else ''}]"
