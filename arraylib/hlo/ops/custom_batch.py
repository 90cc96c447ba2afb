"""Functions that bring a batch of their own, in place of that of what they do.

As those with a derivative of their own they are not in the table of operations: what they do over
many examples is drawn by a function of this process, when it is first asked for, and has no text.
To all but vmap they are what their body does. Their derivatives are such functions again, whose
batches are the derivatives of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from arraylib.errors import Source, TraceError, mistake
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Builder, Graph, Node, Type
from arraylib.hlo.opdef import Attrs, OpDef
from arraylib.hlo.ops.control import (
    Pairs,
    check_region,
    fill,
    keep,
    region_jvp,
    run_inside,
    scatter_back,
    tangent_outputs,
)
from arraylib.hlo.ops.derivative import Later
from arraylib.hlo.ops.shape import repeat_leading
from arraylib.hlo.ops.structured import reduce_add
from arraylib.record import record

# A graph over a leading axis of some operands, values for its last inputs from outside, and which
# outputs have the axis.
Batched = tuple[Graph, tuple[Any, ...], list[bool]]
Mask = tuple[bool, ...]


@record(eq=False)
class BatchRule(Later):
    """What draws the batch, for a number of examples and the operands that have them."""

    draw: Callable[[int, Mask], Batched]


def _results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    body: Graph = attrs["body"]
    check_region("custom_vmap", "its body", body, types, where)
    return body.output_types


def _batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    own = len(pairs) - node.attrs["closed"]
    if any(h for _, h in pairs[own:]):
        raise mistake(TraceError, node.attrs["name"], "reads a value that differs from example to "
                      "example, but is no argument that its batching rule is given",
                      where=node.where, hint="pass the value as an argument")
    if not any(h for _, h in pairs[:own]):  # a collective inside makes it vary
        return batch(node.attrs["body"], pairs, size)  # type: ignore[no-any-return]
    graph, outer, has = node.attrs["rule"].draw(size, tuple([h for _, h in pairs[:own]]))
    outs = run_inside(graph, [*[x for x, _ in pairs[:own]], *outer])
    return list(zip(outs, has, strict=True))


# -- derivatives -----------------------------------------------------------------------------------


def _jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """The values by the function, their tangents by another, which has a batch of its own too."""
    attrs, body = node.attrs, node.attrs["body"]
    own = len(primals) - attrs["closed"]
    if any(t is not None for t in tangents[own:]):  # the rule does not take what the body reads
        return jvp(body, primals, tangents)  # type: ignore[no-any-return]
    active = [t is not None for t in tangents]
    outputs = tangent_outputs(jvp, [body], active)
    outs = custom_vmap(*primals, **attrs)
    if not any(outputs):
        return [(x, None) for x in outs]
    whole, count = region_jvp(jvp, body, active, outputs), len(primals)
    moved = Graph((*whole.inputs[:own], *whole.inputs[count:], *whole.inputs[own:count]),
                  whole.nodes, whole.outputs[len(outs):])
    rule = _tangent_rule(jvp, attrs["rule"], active[:own], outputs)
    out_ts = custom_vmap(*primals[:own], *keep(tangents, active), *primals[own:],
                         **{**attrs, "body": moved, "rule": rule})
    return list(zip(outs, scatter_back(out_ts, outputs)))


def _input(b: Builder, type: Type, has: bool, wide: bool, size: int) -> Any:
    """A value of a type, with examples if `wide`, from an input that may have none."""
    if wide and not has:
        return repeat_leading(b.input(type.with_shape(type.shape[1:])), size)
    return b.input(type)


def _tangent_rule(jvp: Any, rule: BatchRule, active: Sequence[bool],
                  outputs: Sequence[bool]) -> BatchRule:
    """Operands, then tangents of the active ones -> tangents of the outputs marked."""
    def draw(size: int, has: Mask) -> Batched:
        moved = scatter_back(has[len(active):], active)
        wide = tuple([h or bool(m) for h, m in zip(has, moved)])
        graph, outer, out_has = rule.draw(size, wide)
        with Builder() as b:
            xs = [_input(b, v.type, h, w, size) for v, h, w in zip(graph.inputs, has, wide)]
            ts = [None if m is None else _input(b, v.type, m, w, size)
                  for v, m, w in zip(graph.inputs, moved, wide)]
            fixed = b.inputs_like(graph.inputs[len(active):])
            pairs = jvp(graph, [*xs, *fixed], [*ts, *[None] * len(fixed)])
            outs = [fill(t, v.type) for (_, t), v in zip(pairs, graph.outputs)]
            return b.build_closed(keep(outs, outputs)), outer, keep(out_has, outputs)
    return BatchRule(draw)


def _transpose(transpose: Any, node: Node, linear: Sequence[bool],
               cotangents: Sequence[Any]) -> list[Any]:
    """Cotangents of linear operands by a function of the others and of what is given."""
    attrs, body = node.attrs, node.attrs["body"]
    own, given = len(linear) - attrs["closed"], [ct is not None for ct in cotangents]
    known = [None if m else v for v, m in zip(node.inputs, linear)]
    if any(linear[own:]):
        return transpose(body, linear, known, cotangents)  # type: ignore[no-any-return]
    with Builder() as b:
        xs = [None if m else b.input(v.type) for v, m in zip(body.inputs[:own], linear)]
        cts = [b.input(v.type) if g else None for v, g in zip(body.outputs, given)]
        found = transpose(body, linear, [*xs, *b.inputs_like(body.inputs[own:])], cts)
        graph = b.build_closed([fill(ct, v.type) for ct, v in
                                zip(found, keep(body.inputs, linear))])
    operands = [*[x for x in known[:own] if x is not None], *keep(cotangents, given), *known[own:]]
    rule = _transposed_rule(transpose, attrs["rule"], linear[:own], given)
    return list(custom_vmap(*operands, **{**attrs, "body": graph, "rule": rule}))


def _transposed_rule(transpose: Any, rule: BatchRule, linear: Sequence[bool],
                     given: Sequence[bool]) -> BatchRule:
    """Operands that are not linear, then the cotangents that are given -> those of the linear."""
    def draw(size: int, has: Mask) -> Batched:
        marks = iter(has)
        wide = tuple([m or next(marks) for m in linear])
        graph, outer, out_has = rule.draw(size, wide)

        def cotangent(type: Type, out: bool) -> Any:
            if out:
                return _input(b, type, next(marks), True, size)
            one = type.with_shape((size, *type.shape))  # what all share gets that of each
            return reduce_add(_input(b, one, next(marks), True, size), dimensions=(0,))

        with Builder() as b:
            own = graph.inputs[:len(linear)]
            xs = [None if m else b.input(v.type) for v, m in zip(own, linear)]
            cts = [cotangent(v.type, out) if g else None
                   for v, out, g in zip(graph.outputs, out_has, given)]
            fixed = b.inputs_like(graph.inputs[len(linear):])
            found = transpose(graph, [*linear, *[False] * len(fixed)], [*xs, *fixed], cts)
            drawn = b.build_closed([fill(ct, v.type) for ct, v in zip(found, keep(own, linear))])
        return drawn, outer, [True] * len(found)
    return BatchRule(draw)


# Attributes: body; rule; closed, how many of the last operands the body reads and the rule does
# not take; name, the function's.
custom_vmap = OpDef(
    "custom_vmap", "The outputs of a graph, whose batch is computed by a graph of its own.",
    lambda *xs, body, **attrs: interpret(body, xs), results=_results, multiple=True, grouping=True,
    dialect="arraylib", jvp_node=_jvp, transpose_node=_transpose, batch_node=_batch,
    expand=lambda *xs, body, **attrs: run_inside(body, xs))
