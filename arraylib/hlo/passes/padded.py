"""A graph on arrays that are padded, so that one program serves many sizes.

    (x: f32[5,3]) -> reduce_add(x)     ->     (x: f32[8,3], n: i64[]) -> reduce_add(x below n)

Which axes vary is told by a twin: the same function traced for other sizes. Where a shape of the
one differs from that of the other, the axis is as long as one of the sizes, or a multiple of it,
and is padded; where a constant differs, it becomes an input. What lies behind the end of an axis
may be anything, and no element before it depends on that: `RULES` in padded_rules.py see to it.

The graph is right for the sizes that it was made of, whatever the twin says. Graphs made for other
sizes are mostly the same but for the values of their inputs, and then share a program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ArgumentError, mistake
from arraylib.hlo.ir import Builder, Graph, Node, Type, Value, rebuild, regions
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import constant, full_like, iota
from arraylib.hlo.ops.structured import broadcast_in_dim
from arraylib.hlo.passes.dce import dce
from arraylib.hlo.passes.inline import inline
from arraylib.hlo.passes.padded_rules import RULES, plain
from arraylib.hlo.passes.rewrite import everywhere, rewrite
from arraylib.record import field, record


@record
class Size:
    """A size that varies: in the graph, in its twin, and what it is padded to."""

    now: int
    other: int
    padded: int


@record
class Extent:
    """How far an axis is valid, `factor` times the size of this number, and how long it is."""

    number: int
    factor: int
    padded: int


Extents = tuple[Extent | None, ...]  # None: an axis that is not padded


@record(eq=False)
class PaddedGraph:
    """Inputs are the graph's own, padded, then the sizes as int64, then `numbers`."""

    graph: Graph
    numbers: tuple[Any, ...]  # NumPy arrays: the constants that vary


@record(frozen=False, eq=False)
class Site:
    """A node, its twin, and its operands in the padded graph: what a rule sees."""

    node: Node
    twin: Node
    inputs: list[Value]
    frame: Frame
    ins: list[Extents] = field(init=False)
    outs: list[Extents] = field(init=False)

    def __post_init__(self) -> None:
        pairs = [[self.frame.extents(v.type, w.type, self.node) for v, w in zip(ours, theirs)]
                 for ours, theirs in ((self.node.inputs, self.twin.inputs),
                                      (self.node.outputs, self.twin.outputs))]
        self.ins, self.outs = pairs

    def shape(self, number: int = 0) -> tuple[int, ...]:
        """The padded shape of a result."""
        return padded_shape(self.node.outputs[number].type.shape, self.outs[number])

    def masked(self, number: int, axes: Sequence[int], filler: Any) -> Value:
        """An operand with `filler` behind the end of those of these axes that are padded."""
        x = self.inputs[number]
        for axis in axes:
            extent = self.ins[number][axis]
            if extent is not None:
                x = ew.select(self.frame.inside(x.type.shape, axis, extent), x,
                              full_like(x, filler))
        return x

    def refuse(self, problem: str) -> Exception:
        return self.frame.refuse(self.node, problem)


@record(frozen=False, eq=False)
class Frame:
    """The padded graph while it is built."""

    sizes: Sequence[Size]
    builder: Builder
    counts: list[Value] = field(default_factory=list)
    numbers: list[Any] = field(default_factory=list)

    def extents(self, type: Type, twin: Type, node: Node | None = None) -> Extents:
        """Which axes of a value vary, by its type in the graph and in its twin."""
        if type.rank != twin.rank or type.dtype != twin.dtype:
            raise self.refuse(node, f"it gives {type} here, but {twin} for other sizes")
        return tuple([None if n == m else self._extent(n, m, node)
                      for n, m in zip(type.shape, twin.shape)])

    def _extent(self, n: int, m: int, node: Node | None) -> Extent:
        for number, size in enumerate(self.sizes):
            factor = n // size.now
            if factor and n == factor * size.now and m == factor * size.other:
                return Extent(number, factor, factor * size.padded)
        names = ", ".join(f"{size.now} and {size.other}" for size in self.sizes)
        raise self.refuse(node, f"an axis is {n} long, or {m}, which is no multiple of the sizes "
                          f"that are padded ({names})")

    def inside(self, shape: Sequence[int], axis: int, extent: Extent) -> Value:
        """Where an index along the axis is before the end."""
        dtype = dt.int32 if extent.padded <= dt.iinfo(dt.int32).max else dt.int64
        count = self.counts[extent.number]
        end = ew.convert(ew.multiply(count, full_like(count, extent.factor)), dtype=dtype)
        where: Value = ew.compare(
            iota(shape=tuple(shape), dimension=axis, dtype=dtype),
            broadcast_in_dim(end, shape=tuple(shape), broadcast_dimensions=()), direction="LT")
        return where

    def number(self, value: Any) -> Value:
        """An input for a constant that varies with the sizes."""
        self.numbers.append(np.asarray(value))
        return self.builder.input(Type(value.dtype, value.shape))

    def refuse(self, node: Node | None, problem: str) -> Exception:
        return mistake(
            ArgumentError, "jit(bucket=...)", f"{node.op.name if node else 'an input'} cannot be "
            f"computed on padded arrays: {problem}", where=node.where if node else None,
            operands=node.types if node else (),
            hint="leave this axis out of `bucket`; elementwise operations, reductions, matrix "
            "products, broadcasts and what moves whole axes are fine")


def padded_shape(shape: Sequence[int], extents: Extents) -> tuple[int, ...]:
    """The shape with padded axes in full length."""
    return tuple([n if e is None else e.padded for n, e in zip(shape, extents)])


def pad_axes(graph: Graph, twin: Graph, sizes: Sequence[Size]) -> PaddedGraph:
    """The graph on padded arrays; ArgumentError, naming the operation, where that cannot be."""
    graph, twin = (everywhere(_unshared)(everywhere(dce)(everywhere(inline)(each)))
                   for each in (graph, twin))
    graph, twin = _written_out(graph, twin)
    with Builder() as builder:
        frame = Frame(sizes, builder)
        inputs = [builder.input(_padded_type(v.type, frame.extents(v.type, w.type)))
                  for v, w in zip(graph.inputs, twin.inputs)]
        frame.counts += [builder.input(Type(dt.int64, ())) for _ in sizes]
        twins = iter(twin.nodes)
        outputs = rebuild(graph, inputs, lambda node, xs: _apply(
            Site(node, next(twins), xs, frame)))
        for v, w in zip(graph.outputs, twin.outputs):
            frame.extents(v.type, w.type)
        made, captured = builder.build(outputs)
    assert not captured, "the graph is closed"
    return PaddedGraph(dce(made), tuple(frame.numbers))


def _padded_type(type: Type, extents: Extents) -> Type:
    return type.with_shape(padded_shape(type.shape, extents))


def _apply(site: Site) -> Sequence[Value]:
    """The results of a node by its rule, which must be of the padded types."""
    op = site.node.op
    rule = RULES.get(op) or (plain if op.elementwise or not _varies(site.node, site.twin) else None)
    if rule is None:
        raise site.refuse("there is no rule for it")
    found = rule(site)
    for number, value in enumerate(found):
        if value.type.shape != site.shape(number):
            raise site.refuse(f"it gives {value.type} where {site.shape(number)} is needed")
    return found


def _varies(node: Node, twin: Node) -> bool:
    """Whether the type of an operand or result depends on the sizes."""
    return any(v.type is not w.type for v, w in zip((*node.inputs, *node.outputs),
                                                    (*twin.inputs, *twin.outputs)))


# -- the twin --------------------------------------------------------------------------------------


def _unshared(graph: Graph) -> Graph:
    """The graph in which every reader of a constant has one of its own.

    Which of them are one value depends on sizes that happen to be equal.
    """
    constants = {node.outputs[0]: node for node in graph.nodes if node.op is constant}
    nodes = list[Node]()

    def own(value: Value) -> Value:
        found = constants.get(value)
        if found is None:
            return value
        made = Value(value.type, value.builder)
        nodes.append(Node(found.op, (), found.attrs, (made,), found.where))
        return made

    for node in graph.nodes:
        if node.op is not constant:
            inputs = tuple(map(own, node.inputs))
            nodes.append(Node(node.op, inputs, node.attrs, node.outputs, node.where, node.notes))
    outputs = tuple(map(own, graph.outputs))
    return Graph(graph.inputs, tuple(nodes), outputs)


def _written_out(graph: Graph, twin: Graph) -> tuple[Graph, Graph]:
    """Both in terms of operations that have rules, as far as they can be written so."""
    while True:
        _check_alike(graph, twin)
        found = {i for i, (node, other) in enumerate(zip(graph.nodes, twin.nodes))
                 if node.op not in RULES and not node.op.elementwise and node.op.expand
                 and not regions(node) and _varies(node, other)}
        if not found:
            return graph, twin
        graph, twin = (everywhere(inline)(_expanded(each, found)) for each in (graph, twin))


def _expanded(graph: Graph, which: set[int]) -> Graph:
    """The graph with the nodes of these numbers written out."""
    numbers = iter(range(len(graph.nodes)))

    def rule(node: Node, rewriter: Builder) -> Sequence[Value] | None:
        if next(numbers) not in which or node.op.expand is None:
            return None
        outputs = node.op.expand(*node.inputs, **node.attrs)
        return tuple(outputs) if node.op.multiple else (outputs,)
    return rewrite(graph, rule)


def _check_alike(graph: Graph, twin: Graph) -> None:
    """ArgumentError unless the two have the same operations on the same operands."""
    numbers: dict[Value, Value] = dict(zip(graph.inputs, twin.inputs))
    count = len(graph.inputs) == len(twin.inputs) and len(graph.nodes) == len(twin.nodes)
    for node, other in zip(graph.nodes, twin.nodes):
        if node.op is not other.op or [numbers.get(v) for v in node.inputs] != list(other.inputs):
            raise _unlike(node)
        numbers.update(zip(node.outputs, other.outputs, strict=True))
    if not count or [numbers.get(v) for v in graph.outputs] != list(twin.outputs):
        raise _unlike(graph.nodes[-1] if graph.nodes else None)


def _unlike(node: Node | None) -> Exception:
    return mistake(
        ArgumentError, "jit(bucket=...)", "for other sizes the function is another program",
        where=node.where if node else None,
        hint="sizes that are padded must not decide which operations there are: leave such axes "
        "out of `bucket`")
