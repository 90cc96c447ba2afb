"""Graphs of small arrays as chains of programs that are there for any shape: nothing is compiled.

Outside of jit every operation runs on its own. A function of several, or one of an operation that
has no program of its own, is traced once it has been used a few times; what it does is then done by
one call of native code, by programs that give the bits which the operations give one by one:
elementwise ones that are rounded correctly, moves of elements, sums and extremes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.backends.cpu.on_demand import part
from arraylib.backends.interface import Executable
from arraylib.config import config
from arraylib.hlo.ir import Graph, Node, Type, Value
from arraylib.hlo.ops import elementwise as ew, shape as sh, structured as st
from arraylib.hlo.ops.control import stop_gradient
from arraylib.hlo.ops.dynamic import dynamic_slice, dynamic_update_slice
from arraylib.hlo.split import needed
from arraylib.tracing.eager import of_any_length, quietly

_MOST_BYTES = 1 << 14  # of an array in a chain
_MOST_LINKS = 48

_EXACT = frozenset((
    ew.add, ew.subtract, ew.multiply, ew.divide, ew.remainder, ew.negate, ew.abs, ew.sign,
    ew.maximum, ew.minimum, ew.clamp, ew.sqrt, ew.floor, ew.ceil, ew.round_nearest_even,
    ew.round_nearest_afz, ew.is_finite, ew.compare, ew.select, ew.convert, ew.and_, ew.or_, ew.xor,
    ew.not_, ew.shift_left, ew.shift_right_logical, ew.shift_right_arithmetic, ew.popcnt,
    ew.count_leading_zeros, ew.bitcast_convert))
_SAME = frozenset((st.reshape, stop_gradient))  # whose result has the elements as they lie
_MOVES = frozenset((
    st.transpose, st.broadcast_in_dim, st.reshape, sh.slice_, sh.pad, sh.concatenate, sh.reverse))
# Moves whose last operands are where they start, with the number of the others.
_AT_STARTS = {dynamic_slice: 1, dynamic_update_slice: 2}


def chained(graph: Graph, results: Sequence[Type]) -> Executable | None:
    """The program of a graph, whose results are of these types; None if there is none."""
    chains = part("chains")
    graph = needed(graph)
    if not 0 < len(graph.inputs) <= chains.MOST_OPERANDS or len(graph.nodes) > _MOST_LINKS \
            or config.cpu_target:
        return None
    found = _Chain(graph)
    if not all(found.add(node) for node in graph.nodes):  # which stops at the first
        return None
    numbers = [found.returned(v) for v in graph.outputs]
    if None in numbers or len({*numbers}) < len(numbers):
        return None
    executable: Executable = chains.chain(
        [v.type for v in graph.inputs], found.links, found.used,
        list(zip(numbers, results, strict=True)))
    return executable if len(executable.blocks) == 1 else None


class _Chain:
    """What has been made of a graph so far: a number for each value, and the links."""

    def __init__(self, graph: Graph) -> None:
        self.links: list[Any] = []
        self._numbers = {v: i for i, v in enumerate(graph.inputs)}
        self._inputs = len(graph.inputs)
        self._made = self._inputs  # the next number
        self._constants: dict[Value, Any] = {}
        self.used: dict[int, Any] = {}  # the constants that the links read, by number

    def add(self, node: Node) -> bool:
        """Do what a node does as well; False if there is no program for it."""
        if len(node.outputs) != 1 or node.op.effect:
            return False
        value, = node.outputs
        if not 0 < value.type.nbytes <= _MOST_BYTES:
            return False
        if all([v in self._constants for v in node.inputs]):
            operands = [self._constants[v] for v in node.inputs]
            data = quietly(node.op.numpy, *operands, **node.attrs)
            self._constants[value] = np.ascontiguousarray(data).reshape(value.type.shape)
        elif node.op in _SAME or node.op is ew.convert \
                and value.type.dtype == node.types[0].dtype:
            self._numbers[value] = self._number(node.inputs[0])
        elif node.op in _AT_STARTS:
            count = _AT_STARTS[node.op]
            starts = [self._constants.get(v) for v in node.inputs[count:]]
            return all([x is not None for x in starts]) and self._link(
                _move(node, starts), node.inputs[:count], value)
        else:
            return self._link(_program(node), node.inputs, value)
        return True

    def returned(self, value: Value) -> int | None:
        """The number of a result, which a link has made; None if it is not."""
        number = self._number(value)
        if all(number != link.result for link in self.links):
            copy = part("moves").copy(value.type)
            if not self._link(copy, [value], value):
                return None
        return self._numbers[value]

    def _number(self, value: Value) -> int:
        if value not in self._numbers:
            self._numbers[value] = self._made
            self.used[self._made] = self._constants[value]
            self._made += 1
        return self._numbers[value]

    def _link(self, program: Executable | None, inputs: Sequence[Value], value: Value) -> bool:
        chains = part("chains")
        if program is None or not chains.fits(program):
            return False
        operands = tuple([self._number(v) for v in inputs])
        self.links.append(chains.Link(program, operands, self._made))
        self._numbers[value] = self._made
        self._made += 1
        return True


def _program(node: Node) -> Executable | None:
    """The program for one operation."""
    types, result = node.types, node.outputs[0].type
    if any([dt.is_complex(t.dtype) or not t.size or t.nbytes > _MOST_BYTES for t in types]):
        return None
    if node.op in _EXACT:
        return of_any_length(node.op, types, (False,) * len(types), node.attrs)
    if node.op in _MOVES:
        return _move(node)
    found: Executable | None = part("folds").fold(node.op, types[0], node.attrs, result)
    return found


def _move(node: Node, settings: Sequence[Any] = ()) -> Executable | None:
    """The program of an operation whose result has elements of its operands, but for the last ones,
    which are these arrays of NumPy's."""
    moves = part("moves")
    types = node.types[:len(node.types) - len(settings)]
    sizes = [t.size for t in types]
    if len(sizes) > moves.MOST_OPERANDS or max(t.nbytes for t in types) > _MOST_BYTES:
        return None
    starts = np.cumsum([0, *sizes])
    numbered = [np.arange(start, start + size).reshape(t.shape)
                for start, size, t in zip(starts, sizes, types, strict=False)]
    places = np.asarray(node.op.numpy(*numbered, *settings, **node.attrs)).ravel()
    operands = np.searchsorted(starts, places, "right") - 1
    found: Executable = moves.moves(types, operands, places - starts[operands],
                                    node.outputs[0].type)
    return found
