"""Do before a loop, for all steps at once, the products that do not wait for the step before.

    scan(w, h, xs) {(w, h, x) -> tanh(x w + h)}    ->    ps = xs w; scan(h, ps) {(h, p) -> ..}

A product of a step's part of xs with a constant (a matrix or a convolution's kernel), and what such
products are made of, moves: few rows in each step are many in all. It is worth it only if the
matrix is used for few rows of a step (`MOST_ROWS`), since many are fast on their own, and if there
are `LEAST_WORK` operations for every byte that is kept for the loop. All that is kept takes at most
`FREE_BYTES`, or `MORE` times what the xs and ys of the loop take. What is cheap and read in
the loop as well is computed in both places. Nothing with an effect moves.

It is sound since a row of a product does not depend on the other rows, and as the number of steps
is known: what moves is done as often as before. Sums may be rounded otherwise than before.
"""

from __future__ import annotations

from collections.abc import Sequence

from arraylib.hlo.ir import Graph, Node, Value, has_effect
from arraylib.hlo.passes.rewrite import Rewriter, is_pure, rewrite
from arraylib.hlo.passes.steps import (
    LEAST_WORK,
    Loop,
    all_steps,
    batches,
    is_scan,
    work_of,
)
from arraylib.hlo.split import dependents, needed


def ahead(graph: Graph) -> Graph:
    """`graph` with such products of its scans in front of them."""
    return rewrite(graph, _rule)


def _rule(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
    if not is_scan(node):
        return None
    loop = Loop(node)
    results = _products(loop)
    if not results:
        return None
    twice = set(_without(loop.body, results).nodes)
    results += [v for n in _behind(loop, results).nodes if n.op.expensive and n in twice
                for v in n.outputs if v in loop.varying]
    outer = dict(zip(loop.body.inputs, node.inputs))
    kept = all_steps(_behind(loop, results), {v: outer[v] for v in loop.consts},
                     {v: outer[v] for v in loop.xs}, loop.length)
    rest = _without(loop.body, results)
    return rewriter.emit(node.op, [*node.inputs, *kept], node.attrs | {"body": rest})


def _products(loop: Loop) -> list[Value]:
    """The results of the products that move."""
    early = dependents(loop.body, loop.xs) & _without_carry(loop)
    found: list[Value] = []
    for node in loop.body.nodes:
        (out, *_) = node.outputs or (None,)
        if out not in early or not loop.is_small_product(node):
            continue
        moved = _behind(loop, [*found, out])
        if work_of([node]) >= LEAST_WORK * out.type.nbytes \
                and loop.bytes_of(v for n in moved.nodes for v in n.outputs) <= loop.room:
            found.append(out)
    return found


def _without_carry(loop: Loop) -> set[Value]:
    """What can be computed for all steps before the first."""
    found = {*loop.consts, *loop.xs}
    for node in loop.body.nodes:
        if not node.inputs and is_pure(node) \
                or batches(node) and found.issuperset(node.inputs):
            found.update(node.outputs)
    return found


def _behind(loop: Loop, results: Sequence[Value]) -> Graph:
    """What computes these values."""
    nodes = tuple(node for node in loop.body.nodes if not has_effect(node))
    return needed(Graph((*loop.consts, *loop.xs), nodes, tuple(results)))


def _without(body: Graph, results: Sequence[Value]) -> Graph:
    """The body with these values as further inputs."""
    nodes = tuple(node for node in body.nodes if not set(results).intersection(node.outputs))
    return needed(Graph((*body.inputs, *results), nodes, body.outputs))
