"""Functions that bring a derivative of their own, in place of that of what they do.

They are not in the table of operations: a derivative is drawn by a function of this process, when
it is first asked for, and has no text. To all but differentiation they are what their body does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import cached_property
from typing import Any

from arraylib.errors import Source, TraceError, mistake
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Builder, Graph, Node, Type, regions, type_of
from arraylib.hlo.opdef import Attrs, OpDef
from arraylib.hlo.ops.control import (
    Pairs,
    batched_region,
    check_region,
    differentiable,
    fill,
    keep,
    marked_region,
    run_inside,
    scatter_back,
)
from arraylib.hlo.ops.shape import repeat_leading
from arraylib.hlo.ops.structured import reduce_add
from arraylib.record import field, record

# Whether derivatives are taken forwards; where both rules are there, it says which one is meant.
_forwards: ContextVar[bool] = ContextVar("arraylib_forwards", default=False)


@contextmanager
def direction(forwards: bool) -> Iterator[None]:
    """Inside, derivatives are taken forwards, or to be transposed."""
    token = _forwards.set(forwards)
    try:
        yield
    finally:
        _forwards.reset(token)


Drawn = tuple[Graph, tuple[Any, ...]]  # a graph, and values for its last inputs, from outside


class Later:
    """What a function of this process draws when a transform asks for it: nothing to compiled code.
    """

    def __repr__(self) -> str:
        return "<drawn later>"


def has_rules(graph: Graph) -> bool:
    """Whether something in it, at any depth, has what is drawn later."""
    return any(isinstance(x, Later) for node in graph.nodes for x in node.attrs.values()) or any(
        has_rules(region) for node in graph.nodes for region in regions(node))


@record(eq=False, repr=False)
class Rule(Later):
    """A graph that is drawn when it is first needed."""

    draw: Callable[[], Drawn]
    nonzero: list[bool] = field(default_factory=list, kw_only=True)  # once it is drawn: which of
    # the tangents or cotangents it gives; empty for one that gives all

    @cached_property
    def drawn(self) -> Drawn:
        return self.draw()

    def __call__(self, *xs: Any) -> list[Any]:
        """Emit the graph."""
        graph, closed = self.drawn
        return run_inside(graph, [*xs, *closed])

    def spread(self, changes: Sequence[Any]) -> list[Any]:
        """Tangents or cotangents that it gave, with None for zeros."""
        return scatter_back(changes, self.nonzero) if self.nonzero else list(changes)

    @property
    def types(self) -> tuple[Type, ...]:
        """Those of the outputs."""
        return self.drawn[0].output_types

    def batched(self, batch: Any, has: Sequence[bool] | None, size: int,
                outs: Sequence[bool] = ()) -> Rule:
        """The rule over a leading axis of the inputs in `has` (None: all).

        Outputs have the axis too, but those that `outs`, which is of the first, leaves out.
        """
        def draw() -> Drawn:
            graph, closed = self.drawn
            own = [True] * (len(graph.inputs) - len(closed)) if has is None else has
            wanted = [*outs, *[True] * (len(graph.outputs) - len(outs))]
            varying = [*own, *[False] * len(closed)]
            found, marks = batched_region(batch, graph, varying, size, wanted)
            return marked_region(found, marks, wanted, size), closed
        return Rule(draw)


@record(eq=False)
class Masked(Later):
    """A rule that asks which operands have a tangent, or which outputs a cotangent.

    It has a rule for each set of them. With `tangents` its last inputs are those that there are, in
    place of all.
    """

    make: Callable[[tuple[bool, ...]], Any]
    tangents: bool = False
    made: dict[tuple[bool, ...], Any] = field(default_factory=dict)

    def given(self, mask: tuple[bool, ...]) -> Any:
        """The rule where these operands, of those that may have one, have a tangent."""
        if mask not in self.made:
            self.made[mask] = self.make(mask)
        return self.made[mask]

    def batched(self, batch: Any, has: Sequence[bool] | None, size: int,
                outs: Sequence[bool] = ()) -> Masked:
        """Each of the rules, as `Rule.batched` makes it."""
        def make(mask: tuple[bool, ...]) -> Rule:
            own = has
            if self.tangents and has is not None:
                count = len(has) - len(mask)
                own = [*has[:count], *keep(has[count:], mask)]
            rule = self.given(mask)
            found: Rule = replace(rule.batched(batch, own, size, outs), nonzero=rule.nonzero)
            return found
        return Masked(make, self.tangents)


def _given(rule: Rule | Masked, mask: tuple[bool, ...]) -> Any:
    return rule.given(mask) if isinstance(rule, Masked) else rule


def _mask(node: Node, tangents: Sequence[Any]) -> tuple[bool, ...]:
    """Which of the operands that may have a tangent do."""
    return tuple([t is not None for t, x in zip(tangents[:node.attrs["wrt"]], node.types)
                  if differentiable(x)])


def _results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    body: Graph = attrs["body"]
    check_region("custom derivative", "its body", body, types, where)
    return body.output_types


def _operands(node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    """What rules take: operands, then tangents of those that may have one."""
    wrt, closed = node.attrs["wrt"], node.attrs["closed"]
    if any(t is not None for t in tangents[wrt:]):
        raise mistake(TraceError, node.attrs["name"], "reads a value that has a derivative here, "
                      "but is no argument that its own derivative is in", where=node.where,
                      hint="pass the value as an argument, and not in nondiff_argnums; or "
                           "lax.stop_gradient it")
    moved = [fill(t, type_of(x)) for x, t in zip(primals[:wrt], tangents)
             if differentiable(type_of(x))]
    return [*primals[:len(primals) - closed], *moved]


def _with_moved(node: Node, pairs: Pairs) -> tuple[list[bool], list[bool]]:
    """Which operands, and which of their tangents, have an axis of examples."""
    wrt, closed = node.attrs["wrt"], node.attrs["closed"]
    has = [h for _, h in pairs]
    return has[:len(has) - closed], [h for h, x in zip(has[:wrt], node.types)
                                     if differentiable(x)]


def _batched_body(batch: Any, node: Node, pairs: Pairs, size: int) -> tuple[Graph, list[bool]]:
    """The body, and which outputs have an axis: all that may have a tangent, for that may vary."""
    body: Graph = node.attrs["body"]
    force = [differentiable(v.type) for v in body.outputs]
    return batched_region(batch, body, [h for _, h in pairs], size, force)


# -- forwards --------------------------------------------------------------------------------------


def _jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """By the rule: operands, then tangents of those with a derivative -> outputs, then theirs."""
    operands, mask = _operands(node, primals, tangents), _mask(node, tangents)
    rule = _given(node.attrs["rule"], mask)
    active, count = [differentiable(v.type) for v in node.outputs], len(node.outputs)
    if rule is not node.attrs["rule"]:
        own = len(operands) - len(mask)
        operands = [*operands[:own], *keep(operands[own:], mask)]
        active = rule.nonzero
    found = rule(*operands)  # which fills in what is not zero
    return list(zip(found[:count], scatter_back(found[count:], active)))


def _jvp_batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    has, moved = _with_moved(node, pairs)
    body, marks = _batched_body(batch, node, pairs, size)
    outs = custom_jvp(*[x for x, _ in pairs], **{
        **node.attrs, "body": body,
        "rule": node.attrs["rule"].batched(batch, [*has, *moved], size, marks)})
    return list(zip(outs, marks))


def _body_transpose(transpose: Any, node: Node, linear: Sequence[bool],
                    cotangents: Sequence[Any]) -> list[Any]:
    """What is transposed is the function itself, which may be linear, not its derivative."""
    known = [None if m else x for x, m in zip(node.inputs, linear)]
    found: list[Any] = transpose(node.attrs["body"], linear, known, cotangents)
    return found


# Attributes: body; rule; wrt, how many of the first operands may have a derivative; closed, how
# many of the last ones the body reads and the rule does not take; name, the function's.
custom_jvp = OpDef(
    "custom_jvp", "The outputs of a graph, whose tangents are computed by a graph of their own.",
    lambda *xs, body, **attrs: interpret(body, xs), results=_results, multiple=True, grouping=True,
    dialect="arraylib", jvp_node=_jvp, batch_node=_jvp_batch, transpose_node=_body_transpose,
    expand=lambda *xs, body, **attrs: run_inside(body, xs))

# -- backwards -------------------------------------------------------------------------------------


def _vjp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """Outputs and residuals by one rule; tangents by an operation that only goes backwards."""
    attrs, count = node.attrs, len(node.outputs)
    if _forwards.get() and "rule" in attrs:
        return _jvp(jvp, node, primals, tangents)
    operands = _operands(node, primals, tangents)
    own = len(primals) - attrs["closed"]
    mask = _mask(node, tangents)
    found = _given(attrs["forward"], mask)(*operands[:own])
    active = [differentiable(v.type) for v in node.outputs]
    out_ts = custom_tangent(
        *found[count:], *operands[own:], backward=_given(attrs["backward"], mask),
        name=attrs["name"], residuals=len(found) - count,
        results=tuple(keep([v.type for v in node.outputs], active)))
    return list(zip(found[:count], scatter_back(out_ts, active)))


def _vjp_batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    has, moved = _with_moved(node, pairs)
    body, marks = _batched_body(batch, node, pairs, size)
    pushed = {"rule": node.attrs["rule"].batched(batch, [*has, *moved], size, marks)} \
        if "rule" in node.attrs else {}
    outs = custom_vjp(*[x for x, _ in pairs], **{
        **node.attrs, **pushed, "body": body,
        "forward": node.attrs["forward"].batched(batch, has, size, marks),
        "backward": _batched_backward(batch, node.attrs["backward"], moved, size)})
    return list(zip(outs, marks))


def _batched_backward(batch: Any, backward: Rule | Masked, has: Sequence[bool],
                      size: int) -> Rule | Masked:
    """Cotangents of what all examples share are summed."""
    if isinstance(backward, Masked):
        return Masked(lambda mask: _batched_backward(batch, backward.given(mask), has, size),
                      backward.tangents)
    inner = backward.batched(batch, None, size)

    def draw() -> Drawn:
        graph, closed = inner.drawn
        own = keep(has, backward.nonzero) if backward.nonzero else has
        with Builder() as b:
            outs = run_inside(graph, b.inputs_like(graph.inputs))
            summed = b.build_closed([x if h else reduce_add(x, dimensions=(0,))
                                 for x, h in zip(outs, own, strict=True)])
        return summed, closed
    return Rule(draw, nonzero=backward.nonzero)


def _tangent_batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    attrs, count = node.attrs, len(pairs) - node.attrs["residuals"]
    whole = [x if h else repeat_leading(x, size) for x, h in pairs]
    outs = custom_tangent(*whole, **{
        **attrs, "backward": _batched_backward(batch, attrs["backward"], [True] * count, size),
        "results": tuple([t.with_shape((size, *t.shape)) for t in attrs["results"]])})
    return [(out, True) for out in outs]


def _no_value(*xs: Any, name: str, **attrs: Any) -> Any:
    raise mistake(TraceError, name, "has a derivative backwards only (custom_vjp)",
                  hint="grad, vjp or jacrev; or custom_jvp, which gives both")


def _tangent_transpose(transpose: Any, node: Node, linear: Sequence[bool],
                       cotangents: Sequence[Any]) -> list[Any]:
    count, mask = node.attrs["residuals"], tuple([ct is not None for ct in cotangents])
    rule = _given(node.attrs["backward"], mask)
    given = keep(cotangents, mask)
    if rule is node.attrs["backward"]:  # which asks for all of them
        given = [fill(ct, t) for ct, t in zip(cotangents, node.attrs["results"])]
    found = rule.spread(rule(*node.inputs[:count], *given))
    return keep(found, linear[count:])


# Attributes: body, wrt, closed, name as above; forward: operands -> outputs, then residuals;
# backward: residuals, then cotangents of outputs with a derivative -> those of operands with one
# (or a rule for each set of cotangents that there are);
# and perhaps rule, as that of custom_jvp, for derivatives that are taken forwards.
custom_vjp = OpDef(
    "custom_vjp", "The outputs of a graph, whose cotangents are computed by graphs of their own.",
    lambda *xs, body, **attrs: interpret(body, xs), results=_results, multiple=True, grouping=True,
    dialect="arraylib", jvp_node=_vjp, batch_node=_vjp_batch,
    expand=lambda *xs, body, **attrs: run_inside(body, xs))

# Operands: residuals, tangents.
custom_tangent = OpDef(
    "custom_tangent", "The tangents of a function of which only the transpose is known.",
    _no_value, results=lambda types, attrs, where: attrs["results"], multiple=True, opaque=True,
    dialect="arraylib", transpose_node=_tangent_transpose, batch_node=_tangent_batch,
    expand=_no_value)
