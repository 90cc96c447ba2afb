"""What a graph costs: operations on numbers, bytes moved, and the memory it needs at its peak.

The numbers are read off types and attributes; no graph runs. An elementwise operation counts one a
number of its result, a sum of products two for each pair (a multiplication and an addition), a
reduction one for each combination, and what only moves numbers nothing. What the labels of an
operation's axes do not tell is in the table WORK below, or is counted in its expansion. Loops
count as often as their body runs; where that is only known at run time, once, and the sum is
marked as a lower bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from arraylib.hlo import axes as ax
from arraylib.hlo.ir import Graph, Node, regions
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import (
    checkpoint,
    control,
    convolution as conv,
    indexed,
    linalg,
    loop,
    sort as sorting,
)
from arraylib.hlo.ops.collective import all_reduce, group_size, reduce_scatter
from arraylib.hlo.ops.constant import constant, splat
from arraylib.hlo.ops.general import sort_with
from arraylib.hlo.ops.general_scatter import scatter_with
from arraylib.hlo.ops.lifted import expansion
from arraylib.hlo.ops.rooted import collective_reduce
from arraylib.record import record


@record
class Cost:
    """flops: operations on numbers; transcendentals: those of them that are functions like sine.

    bytes: of operands read and results written, as if nothing stayed in a cache. at_least: there
    is a loop whose number of steps is not known; one step is counted.
    """

    flops: int = 0
    transcendentals: int = 0
    bytes: int = 0
    at_least: bool = False

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.transcendentals + other.transcendentals,
                    self.bytes + other.bytes, self.at_least or other.at_least)

    def times(self, count: int) -> Cost:
        """The cost of doing it so often."""
        return Cost(self.flops * count, self.transcendentals * count, self.bytes * count,
                    self.at_least)


# -- what runs inside ------------------------------------------------------------------------------


@record
class _Runs:
    """The regions that an operation runs on whole arrays, how often, and whether that is exact."""

    graphs: Sequence[Graph]
    count: int = 1
    exact: bool = True


RUNS: dict[OpDef, Callable[[Node], _Runs]] = {
    control.call: lambda node: _Runs(regions(node)),
    checkpoint.checkpoint: lambda node: _Runs(regions(node)),
    control.case: lambda node: _Runs([max(regions(node), key=lambda g: cost(g).flops)]),
    control.while_: lambda node: _Runs(regions(node), exact=False),
    loop.scan: lambda node: _Runs(regions(node), node.attrs["length"]),
}

# -- operations ------------------------------------------------------------------------------------


def _body(node: Node, count: int) -> Cost:
    """The scalar body of an operation, so often."""
    (body,) = regions(node)
    inside = sum(map(_work, body.nodes), Cost())
    return Cost(inside.flops, inside.transcendentals).times(count)


def _convolution(node: Node) -> Cost:
    """Products with padding are counted as well."""
    (_, kernel), (out,) = node.types, node.outputs
    features = kernel.shape[node.attrs["rhs_spec"][0]]
    return Cost(2 * out.type.size * (kernel.size // max(features, 1)))


def _comparisons(node: Node) -> int:
    """How often a sort by merging compares."""
    x = node.types[0]
    n = x.shape[node.attrs["dimension"]]
    return x.size * math.ceil(math.log2(n)) if n > 1 else 0


def _scatter(node: Node) -> Cost:
    return Cost(0 if node.attrs["kind"] == "set" else node.types[2].size)


def _scatter_with(node: Node) -> Cost:
    return _body(node, node.types[-1].size)


def _cholesky(node: Node) -> Cost:
    n = node.types[0].shape[-1]
    return Cost(node.types[0].size * n // 3)


def _triangular_solve(node: Node) -> Cost:
    a, b = node.types
    return Cost(b.size * a.shape[-1])


def _fft(node: Node) -> Cost:
    """5 n log2(n) a transform, half of it where one side is real."""
    n = math.prod(node.attrs["fft_length"])
    size = max(node.types[0].size, node.outputs[0].type.size)
    whole = 5 * size * math.ceil(math.log2(n)) if n > 1 else 0
    return Cost(whole if node.types[0] is node.outputs[0].type else whole // 2)


def _group_reduction(node: Node) -> Cost:
    """As if each process reduced its results alone; groups of unknown size count as two."""
    size = group_size(node.attrs)
    others = 1 if size is None else size - 1
    return _body(node, others * sum(v.type.size for v in node.outputs))


WORK: dict[OpDef, Callable[[Node], Cost]] = {
    conv.convolution: _convolution,
    sorting.sort: lambda node: Cost(_comparisons(node) * node.attrs["num_keys"]),
    sort_with: lambda node: _body(node, _comparisons(node)),
    indexed.scatter: _scatter,
    scatter_with: _scatter_with,
    linalg.cholesky: _cholesky,
    linalg.triangular_solve: _triangular_solve,
    linalg.fft: _fft,
    all_reduce: _group_reduction,
    reduce_scatter: _group_reduction,
    collective_reduce: _group_reduction,
}


def _by_labels(node: Node, labels: str) -> Cost:
    """Sums over axes that the result lacks: of products, or, with one operand, of numbers."""
    operands, result = ax.parse(labels)
    sizes = {a: n for own, t in zip(operands, node.types) for a, n in zip(own, t.shape)}
    space, summed = math.prod(sizes.values()), not sizes.keys() <= set(result)
    if len(operands) > 1:
        return Cost(2 * space if summed else space)
    return Cost(space - node.outputs[0].type.size if summed else 0)


def _work(node: Node) -> Cost:
    """What a node computes, without the bytes."""
    if node.op.elementwise:
        size = node.outputs[0].type.size
        return Cost(size, size if node.op.expensive else 0)
    if node.op in WORK:
        return WORK[node.op](node)
    labels = node.op.labels(node.types, node.attrs)
    if labels is not None:
        return _by_labels(node, labels)
    if node.op.expand is None:
        return Cost()
    written = cost(expansion(node))
    return Cost(written.flops, written.transcendentals, at_least=written.at_least)


def cost(part: Node | Graph) -> Cost:
    """The cost of a node, with what runs inside it, or of all nodes of a graph."""
    if isinstance(part, Graph):
        return sum(map(cost, part.nodes), Cost())
    if part.op in RUNS:
        runs = RUNS[part.op](part)
        inside = sum(map(cost, runs.graphs), Cost()).times(runs.count)
        return inside + Cost(at_least=not runs.exact)
    moved = sum(t.nbytes for t in part.types) + sum(v.type.nbytes for v in part.outputs)
    return _work(part) + Cost(bytes=moved)


def flops(part: Node | Graph) -> int:
    """The operations on numbers of a node or graph."""
    return cost(part).flops


def bytes_moved(part: Node | Graph) -> int:
    """The bytes that a node or graph reads and writes."""
    return cost(part).bytes


# -- memory ----------------------------------------------------------------------------------------


def peak_memory(graph: Graph) -> int:
    """The most bytes that are live at once when the nodes run in their order.

    Inputs and constants are there from beginning to end (a constant that repeats one number is
    that number); any other value from the node that makes it to the last one that reads it, in
    memory of its own. A region adds what it needs besides its inputs, which are values outside.
    """
    last = {v: i for i, node in enumerate(graph.nodes) for v in node.inputs}
    held = {v: v.type.nbytes for v in graph.inputs}
    for node in graph.nodes:
        if node.op is constant:
            held[node.outputs[0]] = _stored(node)
    kept = set(graph.outputs).union(held)
    live = peak = sum(held.values())
    for i, node in enumerate(graph.nodes):
        made = [v for v in node.outputs if v not in held]
        live += sum(v.type.nbytes for v in made)
        peak = max(peak, live + _inside(node))
        ended = {v for v in (*node.inputs, *made) if last.get(v, i) == i and v not in kept}
        live -= sum(v.type.nbytes for v in ended)
    return peak


def _stored(node: Node) -> int:
    """The bytes of a constant."""
    value = node.attrs["value"]
    return int(value.dtype.itemsize if splat(value) is not None else value.nbytes)


def _inside(node: Node) -> int:
    """What the regions of a node need besides their inputs; one runs after another."""
    if node.op not in RUNS:
        return 0
    return max(peak_memory(g) - sum(v.type.nbytes for v in g.inputs) for g in regions(node))


# -- the table -------------------------------------------------------------------------------------


def _tally(graph: Graph, count: int, rows: dict[str, tuple[int, Cost]]) -> None:
    """Add each node to the row of its operation; one that runs a region is that region's nodes."""
    for node in graph.nodes:
        before, total = rows.get(node.op.name, (0, Cost()))
        if node.op in RUNS:
            runs = RUNS[node.op](node)
            rows[node.op.name] = before + count, total + Cost(at_least=not runs.exact)
            for region in runs.graphs:
                _tally(region, count * runs.count, rows)
        else:
            rows[node.op.name] = before + count, total + cost(node).times(count)


def table(graph: Graph) -> str:
    """The cost by operation, the most work first, and in all; with the peak of memory."""
    rows: dict[str, tuple[int, Cost]] = {}
    _tally(graph, 1, rows)
    order = sorted(rows.items(), key=lambda row: (-row[1][1].flops, -row[1][1].bytes, row[0]))
    total = sum((found for _, found in rows.values()), Cost())
    lines = [("operation", "count", "flops", "transcendentals", "bytes"),
             *(_line(name, count, found) for name, (count, found) in order),
             _line("total", sum(count for count, _ in rows.values()), total)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    text = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in lines]
    notes = ["at least: of a loop whose steps are not known, one is counted"] if total.at_least \
        else []
    return "\n".join([*text, f"peak memory  {peak_memory(graph):,} bytes", *notes])


def _line(name: str, count: int, found: Cost) -> tuple[str, ...]:
    return (name, *(f"{n:,}" for n in (count, found.flops, found.transcendentals, found.bytes)))
