"""How much memory a graph's program needs, guessed in one walk over the graph.

Kernels keep what they compute in registers, unless it is read after the next step that is none: a
product, a sort, a loop. So what counts is what lives across such steps, or is made by them.
"""

from __future__ import annotations

from itertools import accumulate

from arraylib.hlo.ir import Graph, Node, Value
from arraylib.hlo.ops import indexed, reduction, structured
from arraylib.hlo.ops.constant import constant, iota
from arraylib.hlo.ops.control import optimization_barrier
from arraylib.hlo.ops.shape import concatenate, pad, reverse, slice_

# Operations whose results are where their operands are.
_VIEWS = frozenset({structured.transpose, structured.broadcast_in_dim, structured.reshape, slice_,
                    reverse, optimization_barrier})
# Others that join kernels, though they do not go element by element.
_JOIN = frozenset({
    structured.reduce_add, reduction.reduce_multiply, reduction.reduce_maximum,
    reduction.reduce_minimum, reduction.reduce_and, reduction.reduce_or, reduction.argmax,
    reduction.argmin, indexed.gather, concatenate, pad, constant, iota})


def guessed_bytes(graph: Graph) -> int:
    """About how many bytes the program of a graph needs at its peak."""
    homes = _homes(graph)
    own = {*graph.inputs, *(homes.get(v, v) for v in graph.outputs)}
    made, used, steps = _lives(graph, homes)
    change = [0] * (steps + 2)
    for value, start in made.items():
        end = used.get(value, 0)
        if value not in own and end > start:
            change[start] += value.type.nbytes
            change[end] -= value.type.nbytes
    fixed = sum(v.type.nbytes for values in (graph.inputs, set(graph.outputs)) for v in values)
    return fixed + max(accumulate(change))


def _homes(graph: Graph) -> dict[Value, Value]:
    """For each view, the value that it is a view of."""
    homes: dict[Value, Value] = {}
    for node in graph.nodes:
        if node.op in _VIEWS:
            homes.update((out, homes.get(v, v)) for out, v in zip(node.outputs, node.inputs))
    return homes


def _lives(graph: Graph,
           homes: dict[Value, Value]) -> tuple[dict[Value, int], dict[Value, int], int]:
    """From which step on each value is there, and up to which one; how many steps there are.

    What a kernel makes is there from the next step on, up to the last that comes before a reader.
    """
    made: dict[Value, int] = {}
    used: dict[Value, int] = {}
    steps = 0
    for node in graph.nodes:
        if node.op in _VIEWS:
            continue
        is_step = _is_step(node)
        used.update((homes.get(v, v), steps + is_step) for v in node.inputs)
        if node.op is not constant:
            made.update(dict.fromkeys(node.outputs, steps))
        if is_step:
            steps += 1
            used.update(dict.fromkeys(node.outputs, steps))
    return made, used, steps


def _is_step(node: Node) -> bool:
    return not node.op.elementwise and node.op not in _JOIN
