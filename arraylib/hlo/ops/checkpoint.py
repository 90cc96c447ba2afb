"""Operations about what derivatives keep and what they compute again: checkpoint, named.

The body of a checkpoint gives, after its results, values that derivatives may keep: `saved` of
them. The graph of the tangents takes these in, and computes the rest of the body again.
"""

from collections.abc import Sequence
from typing import Any

from arraylib.errors import ShapeError, Source, mistake
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Builder, Graph, Node, Type, Value, emit_like, type_of
from arraylib.hlo.opdef import Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.control import (
    SQUARE,
    Pairs,
    Pruned,
    batched_region,
    body_results,
    keep,
    optimization_barrier,
    run_inside,
    scatter_back,
)
from arraylib.hlo.ops.derivative import has_rules
from arraylib.hlo.ops.structured import F32
from arraylib.hlo.split import needed, read_by


def _results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    found = body_results("checkpoint")(types, attrs, where)
    saved = attrs.get("saved", 0)
    if not 0 <= saved <= len(found):
        raise mistake(ShapeError, "checkpoint", f"saved is {saved}, but its body gives "
                      f"{len(found)} values", where=where)
    return found


def _jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """The values; the tangents by a graph that computes what is not saved again."""
    body, saved = node.attrs["body"], node.attrs.get("saved", 0)
    active = [t is not None for t in tangents]
    with Builder() as b:
        inputs = b.inputs_like(body.inputs)
        ts = [b.input(type_of(t)) if a else None for t, a in zip(tangents, active)]
        pairs = jvp(body, inputs, ts)
        kept = [p for p, _ in pairs[len(pairs) - saved:]]
        has = [t is not None for _, t in pairs]
        whole = b.build_closed([*keep([t for _, t in pairs], has), *kept, *[p for p, _ in pairs]])
    cut = len(whole.outputs) - len(pairs)
    outs = emit_like(node, primals, body=_values(body, whole, cut))
    graph = needed(Graph(whole.inputs, whole.nodes, whole.outputs[:cut]))
    graph, read = _from_saved(graph, saved)
    if not graph.outputs:
        return [(out, None) for out in outs]
    residuals = [outs[len(pairs) - saved + i] for i in read]
    results = checkpoint(*primals, *keep(tangents, active), *residuals, body=graph)
    return list(zip(outs, scatter_back(results, has)))


def _values(body: Graph, whole: Graph, cut: int) -> Graph:
    """The body as its tangents see it: `whole`'s results from `cut` on.

    A derivative that a user wrote gives values, too, whose own derivative is not that of the body.
    """
    if not has_rules(body):
        return body
    count = len(body.inputs)
    found = needed(Graph(whole.inputs, whole.nodes, whole.outputs[cut:]))
    if not read_by(found).isdisjoint(found.inputs[count:]):  # they are made of tangents
        return body
    return Graph(found.inputs[:count], found.nodes, found.outputs)


def _from_saved(graph: Graph, saved: int) -> tuple[Graph, list[int]]:
    """`graph` with its last outputs, those saved, as further inputs; and which of them it reads."""
    if not saved:
        return graph, []
    kept = graph.outputs[-saved:]
    with Builder() as b:
        known = dict(zip(graph.inputs, b.inputs_like(graph.inputs)))
        given = {v: b.input(v.type) for v in dict.fromkeys(kept) if v not in known}
        known.update(given)
        for node in graph.nodes:
            outs = emit_like(node, [known[v] for v in node.inputs])
            known.update({v: x for v, x in zip(node.outputs, outs) if v not in given})
        whole = needed(b.build_closed([known[v] for v in graph.outputs[:-saved]]))
    reads = read_by(whole)
    read = {v: x for v, x in given.items() if x in reads}
    return (Graph((*whole.inputs[:len(graph.inputs)], *read.values()), whole.nodes, whole.outputs),
            [kept.index(v) for v in read])


def _transpose(transpose: Any, node: Node, linear: Sequence[bool],
               cotangents: Sequence[Any]) -> list[Any]:
    """Again a checkpoint: what was computed again for the tangents is so for the cotangents."""
    body, given = node.attrs["body"], [c is not None for c in cotangents]
    others = [v for v, m in zip(node.inputs, linear) if not m]
    with Builder() as b:
        values = [None if m else b.input(v.type) for v, m in zip(body.inputs, linear)]
        cts = [b.input(v.type) if g else None for v, g in zip(body.outputs, given)]
        results = transpose(body, linear, values, cts)
        graph = b.build_closed([r for r in results if r is not None])
    outs = checkpoint(*others, *keep(cotangents, given), body=graph)
    return scatter_back(outs, [r is not None for r in results])


def _batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    graph, has = batched_region(batch, node.attrs["body"], [h for _, h in pairs], size)
    return list(zip(emit_like(node, [x for x, _ in pairs], body=graph), has))


def _prune(node: Node, used: Sequence[bool]) -> Pruned | None:
    """Without unused outputs, and operands that only these need; what is saved may be used yet."""
    body = node.attrs["body"]
    if all(used) or node.attrs.get("saved", 0):
        return None
    whole = needed(Graph(body.inputs, body.nodes, tuple(keep(body.outputs, used))))
    reads = read_by(whole)
    read = [v in reads for v in body.inputs]
    graph = Graph(tuple(keep(body.inputs, read)), whole.nodes, whole.outputs)
    return keep(node.inputs, read), {**node.attrs, "body": graph}, list(used)


def _expand(*xs: Any, body: Graph, saved: int = 0) -> Sequence[Value]:
    return run_inside(body, optimization_barrier(*xs))


checkpoint = OpDef(
    "checkpoint", "The outputs of a graph, computed again where derivatives need what is inside.",
    lambda *xs, body, saved=0: interpret(body, xs), results=_results,
    multiple=True, grouping=True, dialect="arraylib", jvp_node=_jvp, transpose_node=_transpose,
    batch_node=_batch, prune=_prune, expand=_expand,
    constraints=(
        "`body` takes values of the operands' types.",
        "The results are of the types that `body` gives; derivatives keep the last `saved`, of "
        "which there are not more than results."),
    examples=(Example((Type(F32, (3,)),), {"body": SQUARE}),
              Example((Type(F32, (3,)),), {"body": SQUARE, "saved": 1})))

named = OpDef(
    "named", "x, which policies of checkpoints know by its `name`.", lambda x, *, name: x,
    dtypes=ew.ANY, jvp=(lambda t, out, x, name: t,), transpose=(lambda ct, x, name: ct,),
    expand=lambda x, name: x, dialect="arraylib",
    constraints=("The result is of the operand's type.",),
    examples=(Example((Type(F32, (3,)),), {"name": "x"}),))
