"""scan: a loop with a known number of steps whose body is a graph.

The body maps (consts, carry, x) to (carry, y). The loop maps (consts, first carry, xs) to (last
carry, ys), where xs and ys have a leading axis of steps.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib.errors import ShapeError, Source, mistake
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Builder, Graph, Node, Type, Value, trace_graph, type_of
from arraylib.hlo.opdef import Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import zeros
from arraylib.hlo.ops.control import (
    Pairs,
    Pruned,
    batched_region,
    check_region,
    fill,
    fixed_point,
    keep,
    region_jvp,
    run_inside,
    scatter_back,
    while_,
    without_outputs,
)
from arraylib.hlo.ops.dynamic import dynamic_slice, dynamic_update_slice
from arraylib.hlo.ops.shape import repeat_leading
from arraylib.hlo.ops.structured import F32, reshape, transpose as transpose_axes
from arraylib.hlo.split import Split, dependents, needed, read_by, split


def _parts(items: Sequence[Any], attrs: Attrs) -> tuple[list[Any], list[Any], list[Any]]:
    n, k = attrs["consts"], attrs["consts"] + attrs["carry"]
    return list(items[:n]), list(items[n:k]), list(items[k:])


def _stacked(type: Type, attrs: Attrs) -> Type:
    return type.with_shape((attrs["length"], *type.shape))


def scan_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    consts, carry, xs = _parts(types, attrs)
    body: Graph = attrs["body"]
    for i, x in enumerate(xs):
        if not x.rank or x.shape[0] != attrs["length"]:
            raise mistake(ShapeError, "scan", f"xs {i} is {x}, but there are {attrs['length']} "
                          "steps", where=where, hint="the leading axis of xs counts the steps")
    check_region("scan", "the body", body,
                 [*consts, *carry, *(x.with_shape(x.shape[1:]) for x in xs)], where)
    outs = body.output_types
    if outs[:len(carry)] != tuple(carry):
        raise mistake(ShapeError, "scan", f"the body gives {outs[:len(carry)]} for a carry of "
                      f"{tuple(carry)}", where=where)
    return (*carry, *(_stacked(t, attrs) for t in outs[len(carry):]))


def _numpy(*arrays: Any, body: Graph, length: int, reverse: bool, **counts: int) -> tuple[Any, ...]:
    consts, carry, xs = _parts(arrays, counts)
    k = len(carry)
    ys = [np.zeros((length, *t.shape), t.dtype) for t in body.output_types[k:]]
    for i in reversed(range(length)) if reverse else range(length):
        outs = interpret(body, [*consts, *carry, *(x[i] for x in xs)])
        carry = list(outs[:k])
        for y, value in zip(ys, outs[k:]):
            y[i] = value
    return (*carry, *ys)


# -- derivatives -----------------------------------------------------------------------------------


Loop = Callable[..., Sequence[Any]]  # emits a loop with the operands and attributes of a scan


def scan_jvp(values: Loop, linear_loop: Loop, jvp: Any, node: Node, primals: Sequence[Any],
             tangents: Sequence[Any]) -> Pairs:
    """Two loops: one of values that also stacks what the other, linear one, reads."""
    attrs, body = node.attrs, node.attrs["body"]
    n, k = attrs["consts"], attrs["carry"]
    given = [t is not None for t in tangents]
    inner, outputs = _active(jvp, body, given, n, k)
    if not any(outputs):
        return [(x, None) for x in values(*primals, **attrs)]
    whole = region_jvp(jvp, body, inner, outputs)
    part = split(whole, [True] * len(body.inputs) + [False] * sum(inner))
    if not all(part.is_known[:len(body.outputs)]):
        return _joint_loop(values, node, primals, tangents, whole, inner, outputs)
    outs, fixed, stacked = _primal_loop(values, node, primals, whole, part)
    sizes = len(body.inputs), len(body.outputs), sum(inner[:n]), sum(inner[n:n + k])
    linear = _tangent_body(whole, part, sizes, fixed, stacked)
    const_ts, carry_ts, xs_ts = _parts(tangents, attrs)
    filled = [fill(t, type_of(x)) for x, t, a in
              zip(primals[n:n + k], carry_ts, inner[n:n + k]) if a]
    out_ts = linear_loop(
        *keep(const_ts, const_ts), *fixed.values(), *filled, *stacked.values(),
        *keep(xs_ts, xs_ts), body=linear, consts=sum(inner[:n]) + len(fixed), carry=len(filled),
        length=attrs["length"], reverse=attrs["reverse"])
    return list(zip(outs, scatter_back(out_ts, outputs)))


def _joint_loop(values: Loop, node: Node, primals: Sequence[Any], tangents: Sequence[Any],
                whole: Graph, inner: Sequence[bool], outputs: Sequence[bool]) -> Pairs:
    """One loop of values and tangents: the body has a `while`, whose values need its tangents."""
    attrs, body = node.attrs, node.attrs["body"]
    m, count = len(body.inputs), len(body.outputs)
    inside = scatter_back(whole.inputs[m:], inner)
    results = scatter_back(whole.outputs[count:], outputs)
    given = [fill(t, type_of(x)) if a else None for x, t, a in zip(primals, tangents, inner)]

    def together(xs: Sequence[Any], derivatives: Sequence[Any]) -> list[list[Any]]:
        return [[*x, *(t for t in ts if t is not None)]
                for x, ts in zip(_parts(xs, attrs), _parts(derivatives, attrs))]
    consts, carry, xs = together(primals, given)
    k = attrs["carry"]
    firsts = [*whole.outputs[:k], *(t for t in results[:k] if t is not None)]
    rest = [*whole.outputs[k:count], *(t for t in results[k:] if t is not None)]
    inputs = tuple(x for part in together(whole.inputs[:m], inside) for x in part)
    joint = Graph(inputs, whole.nodes, (*firsts, *rest))
    outs = values(*consts, *carry, *xs, **{**attrs, "body": joint, "consts": len(consts),
                                           "carry": len(carry)})
    last, ys = outs[:len(firsts)], outs[len(firsts):]
    ts = scatter_back([*last[k:], *ys[count - k:]], outputs)
    return list(zip([*last[:k], *ys[:count - k]], ts))


def _active(jvp: Any, body: Graph, given: Sequence[bool], n: int,
            k: int) -> tuple[list[bool], list[bool]]:
    """Which inputs and outputs of the body have tangents, once around the loop or more."""
    def outputs(carry: Sequence[bool]) -> list[bool]:
        with Builder() as b:
            marks = [*given[:n], *carry, *given[n + k:]]
            ts = [b.input(v.type) if m else None for v, m in zip(body.inputs, marks)]
            pairs = jvp(body, b.inputs_like(body.inputs), ts)
            b.closed = True
        return [t is not None for _, t in pairs]
    carry = fixed_point(lambda marks: outputs(marks)[:k], given[n:n + k])
    return [*given[:n], *carry, *given[n + k:]], [*carry, *outputs(carry)[k:]]


def _primal_loop(loop: Loop, node: Node, primals: Sequence[Any], whole: Graph,
                 part: Split) -> tuple[list[Any], dict[Value, Any], dict[Value, Any]]:
    """Run the loop of values.

    Returns its outputs, and where the linear loop finds each residual: `fixed` are the same in
    every step (computed once, outside), `stacked` have a leading axis of steps.
    """
    attrs, body = node.attrs, node.attrs["body"]
    n, k, m = attrs["consts"], attrs["carry"], len(body.inputs)
    consts, xs = whole.inputs[:n], whole.inputs[n + k:m]
    varying = dependents(whole, whole.inputs[n:m])
    outer = needed(Graph(consts, tuple(v for v in part.known.nodes
                                       if not any(o in varying for o in v.outputs)),
                         tuple(r for r in part.residuals if r not in varying)))
    fixed = dict(zip(outer.outputs, run_inside(outer, primals[:n])))
    whole_xs = dict(zip(xs, primals[n + k:]))
    stacked = {r: whole_xs[r] for r in part.residuals if r in whole_xs}
    saved = [r for r in part.residuals if r in varying and r not in stacked]
    values = Graph(whole.inputs[:m], part.known.nodes, (*whole.outputs[:len(body.outputs)], *saved))
    outs = loop(*primals, **{**attrs, "body": needed(values)})
    count = len(body.outputs)
    stacked.update(zip(saved, outs[count:]))
    return list(outs[:count]), fixed, stacked


def _tangent_body(whole: Graph, part: Split, sizes: tuple[int, int, int, int],
                  fixed: dict[Value, Any], stacked: dict[Value, Any]) -> Graph:
    """(tangents of consts, fixed, tangents of carry, stacked, tangents of xs) -> tangents."""
    inputs, outputs, const_count, carry_count = sizes
    tangents = whole.inputs[inputs:]
    of_consts, rest = tangents[:const_count], tangents[const_count:]
    copied = set(part.unknown.nodes)
    constants = [m for m in part.known.nodes if not m.inputs and m not in copied]
    return needed(Graph(
        (*of_consts, *fixed, *rest[:carry_count], *stacked, *rest[carry_count:]),
        (*constants, *part.unknown.nodes), whole.outputs[outputs:]))


def scan_transpose(loop: Loop, transpose: Any, node: Node, linear: Sequence[bool],
                   cotangents: Sequence[Any]) -> list[Any]:
    """The loop the other way round with the transposed body, which sums cotangents of consts."""
    attrs, body = node.attrs, node.attrs["body"]
    n, k = attrs["consts"], attrs["carry"]
    const_linear, _, xs_linear = _parts(linear, attrs)
    consts, carry, xs = _parts(node.inputs, attrs)
    given = [c is not None for c in cotangents[k:]]
    fixed = [x for x, m in zip(consts, const_linear) if not m]
    stacked = [x for x, m in zip(xs, xs_linear) if not m]
    sums = [zeros(type_of(x)) for x in keep(consts, const_linear)]
    first = [fill(c, type_of(x)) for c, x in zip(cotangents[:k], carry)]
    backward = _transposed_body(transpose, body, attrs, const_linear, xs_linear, given)
    outs = loop(*fixed, *sums, *first, *stacked, *keep(cotangents[k:], given), body=backward,
                consts=len(fixed), carry=len(sums) + k, length=attrs["length"],
                reverse=not attrs["reverse"])
    m = len(sums)
    results = iter(outs[:m]), iter(outs[m:m + k]), iter(outs[m + k:])
    family = [0] * n + [1] * k + [2] * len(xs)
    everything = [next(results[f]) if m or f == 1 else None
                  for f, m in zip(family, [*const_linear, *[True] * k, *xs_linear])]
    return keep(everything, linear)


def _transposed_body(transpose: Any, body: Graph, attrs: Attrs, const_linear: Sequence[bool],
                     xs_linear: Sequence[bool], given: Sequence[bool]) -> Graph:
    """(fixed, sums, cotangents of carry, stacked, of ys) -> (sums, of carry, of linear xs)."""
    k = attrs["carry"]
    consts, carry, xs = _parts(body.inputs, attrs)
    with Builder() as b:
        fixed = {v: b.input(v.type) for v, m in zip(consts, const_linear) if not m}
        sums = [b.input(v.type) for v in keep(consts, const_linear)]
        carry_ct = [b.input(v.type) for v in carry]
        stacked = {v: b.input(v.type) for v, m in zip(xs, xs_linear) if not m}
        ys_ct = [b.input(v.type) if g else None for v, g in zip(body.outputs[k:], given)]
        known = fixed | stacked
        linear = [v not in known for v in body.inputs]
        cts = transpose(body, linear, [known.get(v) for v in body.inputs], [*carry_ct, *ys_ct])
        count = len(sums)
        added = [s if c is None else ew.add(s, c) for s, c in zip(sums, cts)]
        types = [v.type for v in body.inputs if v not in known]
        rest = [fill(c, t) for c, t in zip(cts[count:], types[count:])]
        graph = b.build_closed([*added, *rest])
    return graph


# -- batching --------------------------------------------------------------------------------------


def _swap(x: Any) -> Any:
    """x with its two leading axes, steps and examples, exchanged."""
    return transpose_axes(x, permutation=(1, 0, *range(2, type_of(x).rank)))


def scan_batch(loop: Loop, batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    """The steps stay the leading axis; the batch axis goes just inside it."""
    attrs, body = node.attrs, node.attrs["body"]
    consts, carry, xs = _parts(pairs, attrs)
    has = [h for _, h in pairs]
    n, k = attrs["consts"], attrs["carry"]
    def around(marks: list[bool]) -> list[bool]:
        return batched_region(batch, body, [*has[:n], *marks, *has[n + k:]], size)[1][:k]
    marks = fixed_point(around, has[n:n + k])
    force = [*marks, *[False] * (len(body.outputs) - k)]
    graph, out_has = batched_region(batch, body, [*has[:n], *marks, *has[n + k:]], size, force)
    first = [x if h or not m else repeat_leading(x, size) for (x, h), m in zip(carry, marks)]
    outs = loop(*(x for x, _ in consts), *first, *(_swap(x) if h else x for x, h in xs),
                **{**attrs, "body": graph})
    ys = [(_swap(x) if h else x, h) for x, h in zip(outs[k:], out_has[k:])]
    return [*zip(outs[:k], marks), *ys]


# -- dead parts ------------------------------------------------------------------------------------


def scan_prune(node: Node, used: Sequence[bool]) -> Pruned | None:
    """Without outputs nobody reads, and without the part of the carry that only feeds itself."""
    attrs, body = node.attrs, node.attrs["body"]
    n, k = attrs["consts"], attrs["carry"]
    def around(marks: list[bool]) -> list[bool]:
        read = read_by(without_outputs(body, [*marks, *used[k:]]))
        return [v in read for v in body.inputs[n:n + k]]
    marks = fixed_point(around, used[:k])
    outputs = [*marks, *used[k:]]
    body = without_outputs(body, outputs)
    read = read_by(body)
    consts, _, xs = ([v in read for v in part] for part in _parts(body.inputs, attrs))
    inputs = [*consts, *marks, *xs]
    if all(inputs) and all(outputs):
        return None
    graph = Graph(tuple(keep(body.inputs, inputs)), body.nodes, body.outputs)
    return (keep(node.inputs, inputs),
            {**attrs, "body": graph, "consts": sum(consts), "carry": sum(marks)}, outputs)


# -- with a state that goes through it -------------------------------------------------------------


def _thread(thread: Any, node: Node, operands: Sequence[Any],
            state: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The state is carried, with the number of the step."""
    attrs, body = node.attrs, node.attrs["body"]
    consts, carry, xs = _parts(operands, attrs)
    n, s, k, length = len(consts), len(state), len(carry), attrs["length"]
    start, by = (length - 1, -1) if attrs["reverse"] else (0, 1)
    first = [*state, np.int64(start), *carry]
    def step(*values: Any) -> list[Any]:
        before, i, rest = values[n:n + s], values[n + s], values[n + s + 1:]
        outs, after = thread.turn(node, body, [*values[:n], *rest], before, i)
        return [*after, ew.add(i, np.int64(by)), *outs]
    types = [*map(type_of, (*consts, *first)),
             *(type_of(x).with_shape(type_of(x).shape[1:]) for x in xs)]
    outs = scan(*consts, *first, *xs, **{**attrs, "body": trace_graph(types, step),
                                         "carry": s + 1 + k})
    return outs[s + 1:], outs[:s]


# -- as a while loop -------------------------------------------------------------------------------


def _expand(*operands: Any, body: Graph, length: int, reverse: bool, consts: int,
            carry: int) -> Sequence[Any]:
    """A loop over a step number that reads its slice of xs and writes its slice of ys."""
    fixed, first, xs = operands[:consts], operands[consts:consts + carry], operands[consts + carry:]
    ys = [zeros(t.with_shape((length, *t.shape))) for t in body.output_types[carry:]]
    if not length:  # nor do the xs have a slice to read
        return [*first, *ys]
    start = [np.int32(0), *first, *ys]
    outer = [type_of(x) for x in (*fixed, *xs)]
    types = [type_of(x) for x in start]
    def more(i: Any, *rest: Any) -> list[Any]:
        return [ew.compare(i, np.int32(length), direction="LT")]
    def step(*values: Any) -> list[Any]:
        i, *rest = values[len(outer):]
        place = ew.subtract(np.int32(length - 1), i) if reverse else i
        here = [row_at(x, place) for x in values[consts:len(outer)]]
        outs = run_inside(body, [*values[:consts], *rest[:carry], *here])
        written = [put_row(y, place, out) for y, out in zip(rest[carry:], outs[carry:])]
        return [ew.add(i, np.int32(1)), *outs[:carry], *written]
    results = while_(*fixed, *xs, *start, cond=trace_graph(types, more),
                     body=trace_graph([*outer, *types], step), cond_consts=0,
                     body_consts=len(outer))
    return results[1:]  # type: ignore[no-any-return]


def row_at(x: Any, place: Any) -> Any:
    """The slice of x at a place on its leading axis."""
    shape = type_of(x).shape[1:]
    found = dynamic_slice(x, place, *[np.int32(0)] * len(shape), sizes=(1, *shape))
    return reshape(found, shape=shape)


def put_row(y: Any, place: Any, value: Any) -> Any:
    """y with the slice at a place on its leading axis replaced."""
    shape = type_of(value).shape
    return dynamic_update_slice(y, reshape(value, shape=(1, *shape)), place,
                                *[np.int32(0)] * len(shape))


_step = trace_graph([Type(F32, (3,)), Type(F32, (3,)), Type(F32, (3,))], lambda w, h, x: [
    ew.tanh(ew.add(ew.multiply(w, h), x)), ew.multiply(h, x)])

scan: OpDef = OpDef(
    "scan", "A loop over the leading axis of xs that carries values from step to step.",
    _numpy, results=scan_results, multiple=True, dialect="arraylib",
    jvp_node=lambda *given: scan_jvp(scan, scan, *given),
    transpose_node=lambda *given: scan_transpose(scan, *given),
    batch_node=lambda *given: scan_batch(scan, *given), prune=scan_prune,
    invariants=(("body", "consts"),),
    expand=_expand, thread=_thread,
    constraints=(
        "The operands are `consts` constants, `carry` values of the carry, then xs, whose leading "
        "axes are of size `length`.",
        "`body` takes the constants, the carry, and the xs without their leading axes.",
        "`body` gives values of the carry's types, then ys.",
        "The results are of the carry's types, then of those of the ys with a leading axis of "
        "`length`."),
    examples=(Example((Type(F32, (3,)), Type(F32, (3,)), Type(F32, (4, 3))),
                      {"body": _step, "consts": 1, "carry": 1, "length": 4, "reverse": False}),))
