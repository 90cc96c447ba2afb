"""Operations that contain graphs: call, case, while; and barriers.

Their regions are closed: all they read comes in as operands. The rules of such an operation are
the transforms of its regions, which come in as arguments, so that rows import no pass.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ShapeError, Source, TraceError, mistake
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import (
    Builder,
    Graph,
    Node,
    Type,
    Value,
    current,
    regions,
    trace_graph,
    type_of,
)
from arraylib.hlo.opdef import Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import full_like, zeros
from arraylib.hlo.ops.reduction import reduce_or
from arraylib.hlo.ops.shape import first_leading, repeat_leading
from arraylib.hlo.ops.structured import F32, broadcast_in_dim
from arraylib.hlo.split import needed, read_by, split

Pairs = list[tuple[Any, Any]]
Pruned = tuple[list[Any], Attrs, list[bool]]  # operands, attributes, which outputs are left


def check_region(op: str, what: str, graph: Graph, types: Sequence[Type],
                 where: Source | None) -> None:
    """ShapeError unless the region takes values of these types."""
    if graph.input_types != tuple(types):
        raise mistake(ShapeError, op, f"{what} takes {graph.input_types}, but gets {tuple(types)}",
                      where=where)


def fill(value: Any, type: Type) -> Any:
    """A tangent or cotangent with None, which stands for zero, written out."""
    return zeros(type) if value is None else value


def unused(type: Type) -> Value:
    """A value for an input that a graph ignores."""
    builder = Builder()
    builder.closed = True
    return Value(type, builder)


def keep(values: Sequence[Any], mask: Sequence[Any]) -> list[Any]:
    """The values whose mark is true (or, for marks that are values, not None)."""
    return [v for v, m in zip(values, mask, strict=True) if m is not None and m is not False]


def scatter_back(values: Sequence[Any], mask: Sequence[bool]) -> list[Any]:
    """The inverse of `keep`: None where the mark is false."""
    rest = iter(values)
    return [next(rest) if m else None for m in mask]


def differentiable(type: Type) -> bool:
    return dt.is_inexact(type.dtype)


# -- identity-like ---------------------------------------------------------------------------------

stop_gradient = OpDef(
    "stop_gradient", "x, which derivatives take for a constant.", lambda x: x, dtypes=ew.ANY,
    jvp=(None,), expand=lambda x: x, dialect="arraylib")


def _barrier_jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    outs = optimization_barrier(*primals)
    some = [t for t in tangents if t is not None]
    return list(zip(outs, scatter_back(optimization_barrier(*some) if some else (),
                                       [t is not None for t in tangents])))


optimization_barrier: OpDef = OpDef(
    "optimization_barrier", "The operands, which no pass may see through.",
    lambda *xs: xs, results=lambda types, attrs, where: tuple(types), multiple=True, opaque=True,
    jvp_node=_barrier_jvp,
    transpose_node=lambda transpose, node, linear, cts: keep(cts, linear),
    batch_node=lambda batch, node, pairs, size: list(zip(
        optimization_barrier(*[x for x, _ in pairs]), [h for _, h in pairs])),
    constraints=("The results are of the operands' types.",),
    examples=(Example((Type(F32, (2,)), Type(F32, (3,))), {}),))

# -- a state that goes through regions: see passes/guard.py ---------------------------------------


def thread_expanded(thread: Any, node: Node, operands: Sequence[Any],
                    state: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The rule of operations whose expansion is of others that have one."""
    assert node.op.expand is not None
    with Builder() as b:
        outs = node.op.expand(*[b.input(t) for t in node.types], **node.attrs)
        written_out = b.build_closed(outs)
    found: tuple[list[Any], list[Any]] = thread.through(written_out, operands, state)
    return found


# -- call ------------------------------------------------------------------------------------------


def body_results(op: str) -> Callable[..., tuple[Type, ...]]:
    def results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
        check_region(op, "its body", attrs["body"], types, where)
        return attrs["body"].output_types  # type: ignore[no-any-return]
    return results


def _inside(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A rule that transforms the body where the call stands."""
    return lambda transform, node, *rest: rule(transform, node.attrs["body"], *rest)


SQUARE = trace_graph([Type(F32, (3,))], lambda x: [ew.multiply(x, ew.sine(x)), x])

call = OpDef(
    "call", "The outputs of a graph: what a function jitted inside another becomes.",
    lambda *xs, body, name="": interpret(body, xs), results=body_results("call"), multiple=True,
    grouping=True, dialect="arraylib",
    jvp_node=_inside(lambda jvp, body, primals, tangents: jvp(body, primals, tangents)),
    transpose_node=lambda transpose, node, linear, cts: transpose(
        node.attrs["body"], linear, [None if m else v for v, m in zip(node.inputs, linear)], cts),
    batch_node=_inside(lambda batch, body, pairs, size: batch(body, pairs, size)),
    expand=lambda *xs, body, name="": run_inside(body, xs),
    constraints=(
        "`body` takes values of the operands' types.",
        "The results are of the types that `body` gives."),
    examples=(Example((Type(F32, (3,)),), {"body": SQUARE}),))


def batched_region(batch: Any, body: Graph, has: Sequence[bool], size: int,
                   force: Sequence[bool] | None = None) -> tuple[Graph, list[bool]]:
    """A region over a leading axis on the inputs in `has`, and which outputs have it.

    Outputs marked in `force` get the axis even if they do not depend on it.
    """
    with Builder() as b:
        inputs = [b.input(v.type.with_shape((size, *v.type.shape)) if h else v.type)
                  for v, h in zip(body.inputs, has)]
        outs = batch(body, list(zip(inputs, has)), size)
        forced = force or [False] * len(outs)
        pairs = [(repeat_leading(x, size), True) if f and not h else (x, h)
                 for (x, h), f in zip(outs, forced)]
        graph = b.build_closed([x for x, _ in pairs])
    return graph, [h for _, h in pairs]


def marked_region(region: Graph, has: Sequence[bool], wanted: Sequence[bool], size: int) -> Graph:
    """A region whose outputs in `has` have a leading axis, with that on the outputs in `wanted`.

    Of an output that is to lose it, all examples are the same.
    """
    if list(has) == list(wanted):
        return region
    with Builder() as b:
        outs = run_inside(region, b.inputs_like(region.inputs))
        return b.build_closed([
            x if h == w else repeat_leading(x, size) if w else first_leading(x)
            for x, h, w in zip(outs, has, wanted, strict=True)])


# -- case ------------------------------------------------------------------------------------------


def _case_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    if types[0] is not Type(dt.int32, ()):
        raise mistake(ShapeError, "case", f"the index is {types[0]}, not a scalar int32",
                      where=where)
    branches: tuple[Graph, ...] = attrs["branches"]
    for i, branch in enumerate(branches):
        check_region("case", f"branch {i}", branch, types[1:], where)
        if branch.output_types != branches[0].output_types:
            raise mistake(ShapeError, "case", f"branch {i} gives {branch.output_types} but branch "
                          f"0 gives {branches[0].output_types}", where=where)
    return branches[0].output_types


def _case(index: Any, *xs: Any, branches: tuple[Graph, ...]) -> tuple[Any, ...]:
    inside = 0 <= int(index) < len(branches)
    return interpret(branches[int(index) if inside else -1], xs)


def _case_jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """One case of values and residuals, and one linear in the tangents.

    Every branch returns the residuals of all, zeros for those of the others.
    """
    index, *xs = primals
    ts = list(tangents[1:])
    active = [t is not None for t in ts]
    branches: tuple[Graph, ...] = node.attrs["branches"]
    outputs = tangent_outputs(jvp, branches, active)
    if not any(outputs):
        return [(x, None) for x in case(*primals, branches=branches)]
    wholes = [region_jvp(jvp, branch, active, outputs) for branch in branches]
    known = [True] * len(xs) + [False] * sum(active)
    parts = [split(whole, known) for whole in wholes]
    n = len(branches[0].outputs)
    if not all(k for part in parts for k in part.is_known[:n]):
        # a branch has a `while`, whose values need its tangents: one case of both
        outs = case(*primals, *keep(ts, active), branches=tuple(wholes))
        return list(zip(outs[:n], scatter_back(outs[n:], outputs)))
    kinds = [tuple(v.type for v in part.residuals) for part in parts]
    first = tuple(_first_branch(w, p, i, kinds, n, len(xs))
                  for i, (w, p) in enumerate(zip(wholes, parts)))
    outs = case(*primals, branches=first)
    second = tuple(_second_branch(w, i, kinds, n, len(xs), part)
                   for i, (w, part) in enumerate(zip(wholes, parts)))
    out_ts = case(index, *outs[n:], *keep(ts, active), branches=second)
    return list(zip(outs[:n], scatter_back(out_ts, outputs)))


def tangent_outputs(jvp: Any, graphs: Sequence[Graph], active: Sequence[bool]) -> list[bool]:
    """Which outputs of any of these graphs have a tangent when these inputs have."""
    found = [False] * len(graphs[0].outputs)
    for graph in graphs:
        with Builder() as b:
            xs = b.inputs_like(graph.inputs)
            ts = [b.input(v.type) if a else None for v, a in zip(graph.inputs, active)]
            found = [f or t is not None for f, (_, t) in zip(found, jvp(graph, xs, ts))]
            b.closed = True
    return found


def region_jvp(jvp: Any, body: Graph, active: Sequence[bool], outputs: Sequence[bool]) -> Graph:
    """Values, then active tangents -> values, then the tangents of the marked outputs."""
    with Builder() as b:
        xs = b.inputs_like(body.inputs)
        ts = [b.input(v.type) if a else None for v, a in zip(body.inputs, active)]
        pairs = jvp(body, xs, ts)
        out_ts = [fill(t, type_of(x)) for (x, t), wanted in zip(pairs, outputs) if wanted]
        graph = b.build_closed([*(x for x, _ in pairs), *out_ts])
    return graph


def _first_branch(whole: Graph, part: Any, i: int, kinds: Sequence[tuple[Type, ...]], n: int,
                  inputs: int) -> Graph:
    """Values, and the residuals of all branches: this one's own among zeros."""
    values = Graph(whole.inputs[:inputs], part.known.nodes,
                   (*whole.outputs[:n], *part.residuals))
    def branch(*xs: Any) -> list[Any]:
        outs = run_inside(values, xs)
        own = outs[n:]
        rest = [own if j == i else [zeros(t) for t in types] for j, types in enumerate(kinds)]
        return [*outs[:n], *(r for group in rest for r in group)]
    return trace_graph(values.input_types, branch)


def _second_branch(whole: Graph, i: int, kinds: Sequence[tuple[Type, ...]], n: int, inputs: int,
                   part: Any) -> Graph:
    """Residuals of all branches, then tangents -> tangents."""
    tangents = whole.inputs[inputs:]
    outputs = whole.outputs[n:]
    copied = set(part.unknown.nodes)
    constants = [m for m in part.known.nodes if not m.inputs and m not in copied]
    nodes = (*constants, *part.unknown.nodes)
    linear = Graph((*part.residuals, *tangents), nodes, outputs)
    start = sum(len(types) for types in kinds[:i])
    total = sum(len(types) for types in kinds)
    def branch(*xs: Any) -> Sequence[Any]:
        return run_inside(linear, [*xs[start:start + len(kinds[i])], *xs[total:]])
    types = [*(t for group in kinds for t in group), *(v.type for v in tangents)]
    return trace_graph(types, branch)


def run_inside(graph: Graph, xs: Sequence[Any]) -> list[Any]:
    """Emit `graph` into the graph being built."""
    env = dict(zip(graph.inputs, xs, strict=True))
    for node in graph.nodes:
        outs = current().emit(node.op, [env[v] for v in node.inputs], node.attrs, node.where)
        env.update(zip(node.outputs, outs))
    return [env[v] for v in graph.outputs]


def _case_transpose(transpose: Any, node: Node, linear: Sequence[bool],
                    cotangents: Sequence[Any]) -> list[Any]:
    index, *others = (v for v, m in zip(node.inputs, linear) if not m)
    inside, given = list(linear[1:]), [c is not None for c in cotangents]
    def transposed(branch: Graph) -> Graph:
        with Builder() as b:
            values = [None if m else b.input(v.type) for v, m in zip(branch.inputs, inside)]
            cts = [b.input(v.type) if g else None for v, g in zip(branch.outputs, given)]
            results = transpose(branch, inside, values, cts)
            wanted = [v.type for v, m in zip(branch.inputs, inside) if m]
            return b.build_closed([fill(r, t) for r, t in zip(results, wanted)])
    branches = tuple(map(transposed, node.attrs["branches"]))
    return list(case(index, *others, *keep(cotangents, given), branches=branches))


def _case_batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    """With one index a case of batched branches; with many, all branches and a choice.

    With one index, what no branch computes of examples stays without their axis.
    """
    (index, index_has), *rest = pairs
    branches = node.attrs["branches"]
    if index_has:
        rest = [(repeat_leading(x, size), True) if not h and differentiable(type_of(x)) else (x, h)
                for x, h in rest]
    xs, has = [x for x, _ in rest], [h for _, h in rest]
    found = [batched_region(batch, g, has, size) for g in branches]
    marks = [index_has or any(each) for each in zip(*[own for _, own in found])]
    graphs = tuple([marked_region(g, own, marks, size) for g, own in found])
    if not index_has:
        return list(zip(case(index, *xs, branches=graphs), marks))
    return list(zip(_choice(index, xs, graphs, [not asks_others(g) for g in branches]), marks))


def _choice(index: Any, xs: Sequence[Any], graphs: Sequence[Graph],
            alone: Sequence[bool]) -> list[Any]:
    """For each example what the graph gives that its index names, out of what all graphs give.

    To derivatives, what a graph reads of other examples is constant if it works on each `alone`:
    they multiply zeros by its derivative there, which may be infinite.
    """
    here = [ew.compare(index, full_like(index, i), direction="EQ")
            for i in range(len(graphs) - 1)]
    if not here:
        return run_inside(graphs[0], xs)
    here.append(ew.not_(reduce(ew.or_, here)))
    found = [run_inside(graph, [constant_unless(own, x, x) for x in xs] if lone else xs)
             for own, graph, lone in zip(here, graphs, alone, strict=True)]
    chosen = found[-1]
    for own, outs in zip(here[:-1], found):
        chosen = [choose(own, y, x) for x, y in zip(chosen, outs)]
    return chosen


def asks_others(graph: Graph) -> bool:
    """Whether an operation inside reads what other examples have, as `psum` does."""
    return any("axis_name" in node.attrs or any(map(asks_others, regions(node)))
               for node in graph.nodes)


def constant_unless(here: Any, x: Any, other: Any) -> Any:
    """x where `here` holds, else `other`, which is constant to derivatives."""
    if not differentiable(type_of(x)):
        return x if x is other else choose(here, x, other)
    return choose(here, x, stop_gradient(other))


def choose(predicate: Any, x: Any, y: Any) -> Any:
    """x where a predicate over the leading axes holds, y elsewhere."""
    shape, lead = type_of(x).shape, type_of(predicate).rank
    wide = broadcast_in_dim(predicate, shape=shape, broadcast_dimensions=tuple(range(lead)))
    return ew.select(wide, x, y)


def _case_prune(node: Node, used: Sequence[bool]) -> Pruned | None:
    branches = [without_outputs(g, used) for g in node.attrs["branches"]]
    read_in = [read_by(g) for g in branches]
    read = [any(g.inputs[i] in found for g, found in zip(branches, read_in))
            for i in range(len(node.inputs) - 1)]
    if all(used) and all(read):
        return None
    graphs = tuple(Graph(tuple(keep(g.inputs, read)), g.nodes, g.outputs) for g in branches)
    return keep(node.inputs, [True, *read]), {"branches": graphs}, list(used)


def without_outputs(graph: Graph, used: Sequence[bool]) -> Graph:
    """The graph with the marked outputs only, and what they need."""
    return needed(Graph(graph.inputs, graph.nodes, tuple(keep(graph.outputs, used))))


def _case_thread(thread: Any, node: Node, operands: Sequence[Any],
                 state: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The state goes in and out of whichever branch is taken."""
    index, *xs = operands
    types = [type_of(x) for x in (*xs, *state)]
    def threaded(branch: Graph) -> Graph:
        def both(*values: Any) -> list[Any]:
            outs, after = thread.through(branch, values[:len(xs)], values[len(xs):])
            return [*outs, *after]
        return trace_graph(types, both)
    branches = tuple(map(threaded, node.attrs["branches"]))
    outs = case(index, *xs, *state, branches=branches)
    return outs[:len(node.outputs)], outs[len(node.outputs):]


_branches = (SQUARE, trace_graph([Type(F32, (3,))], lambda x: [x, ew.add(x, x)]))

case = OpDef(
    "case", "The outputs of the branch that the index names; of the last if it names none.",
    _case, results=_case_results, multiple=True, jvp_node=_case_jvp,
    captures=lambda node: [(g, slice(1, None)) for g in node.attrs["branches"]],
    transpose_node=_case_transpose, batch_node=_case_batch, prune=_case_prune,
    thread=_case_thread,
    constraints=(
        "The index is a scalar of int32.",
        "Each of `branches` takes values of the types of the operands after the index.",
        "They all give values of the same types.",
        "The results are of the types that the branches give."),
    examples=(Example((Type(dt.int32, ()), Type(F32, (3,))), {"branches": _branches}),))

# -- while -----------------------------------------------------------------------------------------


def while_parts(items: Sequence[Any], attrs: Attrs) -> tuple[list[Any], list[Any], list[Any]]:
    n, m = attrs["cond_consts"], attrs["cond_consts"] + attrs["body_consts"]
    return list(items[:n]), list(items[n:m]), list(items[m:])


def _while_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    cond_consts, body_consts, carry = while_parts(types, attrs)
    check_region("while", "the condition", attrs["cond"], [*cond_consts, *carry], where)
    check_region("while", "the body", attrs["body"], [*body_consts, *carry], where)
    if attrs["cond"].output_types != (Type(dt.bool_, ()),):
        raise mistake(ShapeError, "while", f"the condition gives {attrs['cond'].output_types}, not "
                      "one bool", where=where)
    if attrs["body"].output_types != tuple(carry):
        raise mistake(ShapeError, "while", f"the body gives {attrs['body'].output_types} for a "
                      f"carry of {tuple(carry)}", where=where)
    return tuple(carry)


def _while(*arrays: Any, cond: Graph, body: Graph, **counts: int) -> tuple[Any, ...]:
    cond_consts, body_consts, carry = while_parts(arrays, counts)
    while interpret(cond, [*cond_consts, *carry])[0]:
        carry = list(interpret(body, [*body_consts, *carry]))
    return tuple(carry)


def _while_captures(node: Node) -> list[tuple[Graph, slice]]:
    n, m = node.attrs["cond_consts"], node.attrs["cond_consts"] + node.attrs["body_consts"]
    return [(node.attrs["cond"], slice(0, n)), (node.attrs["body"], slice(n, m))]


def fixed_point(step: Callable[[list[bool]], list[bool]], start: Sequence[bool]) -> list[bool]:
    """Marks on a carry that a loop's body does not extend any further."""
    marks = list(start)
    while (after := [m or n for m, n in zip(marks, step(marks))]) != marks:
        marks = after
    return marks


def _while_jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """One loop that carries values and tangents."""
    attrs, body = node.attrs, node.attrs["body"]
    _, const_ts, carry_ts = while_parts(tangents, attrs)
    const_active = [t is not None for t in const_ts]
    active = fixed_point(lambda a: tangent_outputs(jvp, [body], [*const_active, *a]),
                         [t is not None for t in carry_ts])
    if not any(active):
        return [(x, None) for x in while_(*primals, **attrs)]
    cond_consts, body_consts, carry = while_parts(primals, attrs)
    n, k = len(cond_consts), len(carry)
    cond = trace_graph([*map(type_of, cond_consts + carry), *map(type_of, keep(carry, active))],
                       lambda *xs: run_inside(attrs["cond"], xs[:n + k]))
    joint = region_jvp(jvp, body, [*const_active, *active], active)
    m, c = len(body_consts), sum(const_active)
    def step(*xs: Any) -> list[Any]:
        consts, const_tangents, values, value_tangents = (
            xs[:m], xs[m:m + c], xs[m + c:m + c + k], xs[m + c + k:])
        return run_inside(joint, [*consts, *values, *const_tangents, *value_tangents])
    filled = [fill(t, type_of(x)) for x, t, a in zip(carry, carry_ts, active) if a]
    operands = [*body_consts, *keep(const_ts, const_active), *carry, *filled]
    outs = while_(*cond_consts, *operands, cond=cond, cond_consts=n, body_consts=m + c,
                  body=trace_graph([type_of(x) for x in operands], step))
    return list(zip(outs[:k], scatter_back(outs[k:], active)))


NO_REVERSE = ("pass max_steps to lax.while_loop or lax.fori_loop, or use lax.scan; forward mode "
              "(jvp, jacfwd) works")


def _while_transpose(transpose: Any, node: Node, *rest: Any) -> list[Any]:
    raise mistake(TraceError, "while_loop", "reverse-mode differentiation of a loop whose number "
                  "of steps is not known", where=node.where,
                  hint=NO_REVERSE)


def _while_batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    """If examples stop at different steps, run until all have and freeze those that did."""
    attrs, cond, body = node.attrs, node.attrs["cond"], node.attrs["body"]
    cond_consts, body_consts, carry = while_parts(pairs, attrs)
    cond_has, body_has = [h for _, h in cond_consts], [h for _, h in body_consts]
    def step(marks: list[bool]) -> list[bool]:
        stops = batched_region(batch, cond, [*cond_has, *marks], size)[1][0]
        return [stops or h for h in
                batched_region(batch, body, [*body_has, *marks], size)[1]]
    marks = fixed_point(step, [h for _, h in carry])
    cond, (stops,) = batched_region(batch, cond, [*cond_has, *marks], size)
    body, _ = batched_region(batch, body, [*body_has, *marks], size, marks)
    values = [x if h or not m else repeat_leading(x, size) for (x, h), m in zip(carry, marks)]
    consts = [x for x, _ in cond_consts], [x for x, _ in body_consts]
    counts = {"cond_consts": len(consts[0]), "body_consts": len(consts[1])}
    if stops:
        cond, body, counts = _until_all_stop(cond, body, counts)
        consts = consts[0], [*consts[0], *consts[1]]
    outs = while_(*consts[0], *consts[1], *values, cond=cond, body=body, **counts)
    return list(zip(outs, marks))


def _until_all_stop(cond: Graph, body: Graph,
                    counts: dict[str, int]) -> tuple[Graph, Graph, dict[str, int]]:
    n, m = counts["cond_consts"], counts["body_consts"]
    def any_left(*xs: Any) -> list[Any]:
        return [reduce_or(run_inside(cond, xs)[0], dimensions=(0,))]
    def step(*xs: Any) -> list[Any]:
        carry = xs[n + m:]
        going = run_inside(cond, [*xs[:n], *carry])[0]
        after = run_inside(body, xs[n:])
        return [choose(going, new, old) for new, old in zip(after, carry)]
    types = [*cond.input_types[:n], *body.input_types]
    return (trace_graph(cond.input_types, any_left), trace_graph(types, step),
            {"cond_consts": n, "body_consts": n + m})


def _while_prune(node: Node, used: Sequence[bool]) -> Pruned | None:
    """Without the part of the carry that only feeds itself."""
    attrs, cond, body = node.attrs, needed(node.attrs["cond"]), node.attrs["body"]
    n, m = attrs["cond_consts"], attrs["body_consts"]
    asked = read_by(cond)
    def around(marks: list[bool]) -> list[bool]:
        read = read_by(without_outputs(body, marks))
        return [a in asked or b in read for a, b in zip(cond.inputs[n:], body.inputs[m:])]
    marks = fixed_point(around, used)
    body = without_outputs(body, marks)
    read = read_by(body)
    kept_cond = [*(v in asked for v in cond.inputs[:n]), *marks]
    kept_body = [*(v in read for v in body.inputs[:m]), *marks]
    if all(kept_cond) and all(kept_body):
        return None
    cond = Graph(tuple(keep(cond.inputs, kept_cond)), cond.nodes, cond.outputs)
    body = Graph(tuple(keep(body.inputs, kept_body)), body.nodes, body.outputs)
    return (keep(node.inputs, [*kept_cond[:n], *kept_body]),
            {"cond": cond, "body": body, "cond_consts": sum(kept_cond[:n]),
             "body_consts": sum(kept_body[:m])}, marks)


def _while_thread(thread: Any, node: Node, operands: Sequence[Any],
                  state: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The state is carried, with the number of the step; the loop stops at the first failure."""
    attrs, cond, body = node.attrs, node.attrs["cond"], node.attrs["body"]
    cond_consts, body_consts, carry = while_parts(operands, attrs)
    n, m, s, k = len(cond_consts), len(body_consts), len(state), len(carry)
    first = [*state, np.int64(0), *carry]
    def more(*xs: Any) -> list[Any]:
        going = run_inside(cond, [*xs[:n], *xs[n + s + 1:]])[0]
        return [ew.and_(going, thread.holds(xs[n:n + s]))]
    def step(*xs: Any) -> list[Any]:
        before, i, values = xs[m:m + s], xs[m + s], xs[m + s + 1:]
        outs, after = thread.turn(node, body, [*xs[:m], *values], before, i)
        return [*after, ew.add(i, np.int64(1)), *outs]
    types = [type_of(x) for x in first]
    outs = while_(*cond_consts, *body_consts, *first, cond_consts=n, body_consts=m,
                  cond=trace_graph([*map(type_of, cond_consts), *types], more),
                  body=trace_graph([*map(type_of, body_consts), *types], step))
    return outs[len(outs) - k:], outs[:s]


_carry = [Type(F32, (3,)), Type(dt.int32, ())]
_few = trace_graph(_carry, lambda x, i: [ew.compare(i, np.int32(3), direction="LT")])
_more = trace_graph(_carry, lambda x, i: [ew.sine(x), ew.add(i, np.int32(1))])

while_ = OpDef(
    "while", "The carry after as many steps of the body as the condition allows.", _while,
    results=_while_results, multiple=True, jvp_node=_while_jvp, transpose_node=_while_transpose,
    batch_node=_while_batch, prune=_while_prune, captures=_while_captures, thread=_while_thread,
    invariants=(("cond", "cond_consts"), ("body", "body_consts")),
    constraints=(
        "The operands are `cond_consts` values for `cond`, `body_consts` for `body`, then the "
        "carry: `cond` takes its own and the carry.",
        "`body` takes its own and the carry.",
        "`cond` gives one bool.",
        "`body` gives values of the carry's types.",
        "The results are of the carry's types."),
    examples=(Example(tuple(_carry), {"cond": _few, "body": _more, "cond_consts": 0,
                                      "body_consts": 0}),))
