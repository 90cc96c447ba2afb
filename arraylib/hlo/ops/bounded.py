"""Loops that stop early, of which the most steps are known: bounded_while, counted_scan.

That is enough for reverse mode: a bounded loop stacks what its derivative reads in as many rows as
it may take steps, and its derivative takes as many steps as it took. `bounded_while` counts them in
the first value of its carry.

They are not in the table of operations: all but differentiation and batches see the `while` loops
that they stand for.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ShapeError, Source, mistake
from arraylib.hlo.interpret import interpret
from arraylib.hlo.ir import Graph, Node, Type, trace_graph, type_of
from arraylib.hlo.opdef import Attrs, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import full_like, iota, zeros
from arraylib.hlo.ops.control import (
    Pairs,
    Pruned,
    asks_others,
    batched_region,
    check_region,
    choose,
    constant_unless,
    fixed_point,
    run_inside,
    thread_expanded,
    unused,
    while_,
    while_parts,
    without_outputs,
)
from arraylib.hlo.ops.loop import (
    Loop,
    put_row,
    row_at,
    scan_batch,
    scan_jvp,
    scan_prune,
    scan_results,
    scan_transpose,
)
from arraylib.hlo.ops.reduction import reduce_maximum, reduce_or
from arraylib.hlo.ops.shape import repeat_leading
from arraylib.hlo.ops.structured import transpose as transpose_axes

COUNT = Type(dt.int32, ())


def _rows(body: Graph, carry: int, length: int) -> list[Any]:
    return [zeros(t.with_shape((length, *t.shape))) for t in body.output_types[carry:]]


# -- a scan over the first rows --------------------------------------------------------------------


def _counted_results(types: Sequence[Type], attrs: Attrs,
                     where: Source | None) -> tuple[Type, ...]:
    if types[0] is not COUNT:
        raise mistake(ShapeError, "counted_scan", f"the number of steps is {types[0]}, not "
                      f"{COUNT}", where=where)
    return scan_results(types[1:], attrs, where)


def _counted(count: Any, *arrays: Any, body: Graph, length: int, reverse: bool, consts: int,
             carry: int) -> tuple[Any, ...]:
    fixed, values, xs = arrays[:consts], arrays[consts:consts + carry], arrays[consts + carry:]
    ys = [np.zeros((length, *t.shape), t.dtype) for t in body.output_types[carry:]]
    steps = range(min(int(count), length))
    for i in reversed(steps) if reverse else steps:
        outs = interpret(body, [*fixed, *values, *(x[i] for x in xs)])
        values = outs[:carry]
        for y, value in zip(ys, outs[carry:]):
            y[i] = value
    return (*values, *ys)


def _counted_expand(count: Any, *operands: Any, body: Graph, length: int, reverse: bool,
                    consts: int, carry: int) -> Sequence[Any]:
    """A loop over a step number that reads its rows of xs and writes its rows of ys."""
    fixed, first, xs = operands[:consts], operands[consts:consts + carry], operands[consts + carry:]
    ys = _rows(body, carry, length)
    if not length:
        return [*first, *ys]
    last = ew.minimum(count, np.int32(length))
    start = [np.int32(0), *first, *ys]
    outer = [last, *fixed, *xs]
    own = len(outer)

    def step(*values: Any) -> list[Any]:
        i, *rest = values[own:]
        place = ew.subtract(ew.subtract(values[0], np.int32(1)), i) if reverse else i
        here = [row_at(x, place) for x in values[1 + consts:own]]
        outs = run_inside(body, [*values[1:1 + consts], *rest[:carry], *here])
        written = [put_row(y, place, out) for y, out in zip(rest[carry:], outs[carry:])]
        return [ew.add(i, np.int32(1)), *outs[:carry], *written]

    types = [type_of(x) for x in start]
    cond = trace_graph([COUNT, *types], lambda last, i, *rest: [
        ew.compare(i, last, direction="LT")])
    outs = while_(last, *outer, *start, cond=cond, cond_consts=1, body_consts=own,
                  body=trace_graph([*map(type_of, outer), *types], step))
    return outs[1:]  # type: ignore[no-any-return]


def _counted_loop(count: Any) -> Loop:
    return partial(counted_scan, count)


def _own(node: Node) -> Node:
    """The node as that of a scan, without the number of steps."""
    return Node(node.op, node.inputs[1:], node.attrs, node.outputs, node.where)


def _counted_jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    loop = _counted_loop(primals[0])
    return scan_jvp(loop, loop, jvp, _own(node), primals[1:], tangents[1:])


def _counted_transpose(transpose: Any, node: Node, linear: Sequence[bool],
                       cotangents: Sequence[Any]) -> list[Any]:
    loop = _counted_loop(node.inputs[0])
    return scan_transpose(loop, transpose, _own(node), linear[1:], cotangents)


def _counted_batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    """If examples take different numbers of steps, as many as the most of them, with a choice."""
    (count, has), *rest = pairs
    attrs = node.attrs
    if has:
        n, k = attrs["consts"], attrs["carry"]
        alone = not asks_others(attrs["body"])
        mapped = [alone and (h or n <= i < n + k) for i, (_, h) in enumerate(rest)]
        rest = [(count, True), *rest, (iota(dimension=0, shape=(attrs["length"],),
                                            dtype=dt.int32), False)]
        attrs = {**attrs, "body": _choosing(attrs["body"], n, k, mapped), "consts": n + 1}
        count = _most(count)
    own = Node(node.op, node.inputs[1:], attrs, node.outputs, node.where)
    return scan_batch(_counted_loop(count), batch, own, rest, size)


def _choosing(body: Graph, consts: int, carry: int, mapped: Sequence[bool]) -> Graph:
    """(count, consts, carry, xs, step) -> what the body gives, or once the count is over zeros.

    What is `mapped` is constant to the derivatives of examples that are over.
    """
    def step(count: Any, *values: Any) -> list[Any]:
        *own, i = values
        going = ew.compare(i, count, direction="LT")
        outs = run_inside(body, [constant_unless(going, x, x) if has else x
                                 for x, has in zip(own, mapped)])
        before = [*own[consts:consts + carry], *(full_like(y, 0) for y in outs[carry:])]
        return [choose(going, new, old) for new, old in zip(outs, before)]
    return trace_graph([COUNT, *body.input_types, COUNT], step)


def _most(count: Any) -> Any:
    """The largest of the numbers of steps of all examples."""
    rank = type_of(count).rank
    return reduce_maximum(count, dimensions=tuple(range(rank))) if rank else count


def _counted_prune(node: Node, used: Sequence[bool]) -> Pruned | None:
    found = scan_prune(_own(node), used)
    return found and ([node.inputs[0], *found[0]], *found[1:])


# Operands: the number of steps, then those of a scan. Rows of ys of steps not taken are zeros; in
# reverse the loop begins with the last step that is taken.
counted_scan: OpDef = OpDef(
    "counted_scan", "A scan over the first rows of xs, as many as its first operand says.",
    _counted, results=_counted_results, multiple=True, dialect="arraylib",
    jvp_node=_counted_jvp, transpose_node=_counted_transpose, batch_node=_counted_batch,
    prune=_counted_prune, expand=_counted_expand, thread=thread_expanded)

# -- a while loop with a limit ---------------------------------------------------------------------


def _results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    cond_consts, body_consts, carry = while_parts(types, attrs)
    check_region("bounded_while", "the condition", attrs["cond"], [*cond_consts, *carry], where)
    check_region("bounded_while", "the body", attrs["body"], [*body_consts, *carry], where)
    outs: tuple[Type, ...] = attrs["body"].output_types
    return (*carry, *(t.with_shape((attrs["length"], *t.shape)) for t in outs[len(carry):]))


def _numpy(*arrays: Any, cond: Graph, body: Graph, length: int, **counts: int) -> tuple[Any, ...]:
    cond_consts, body_consts, carry = while_parts(arrays, counts)
    k = len(carry)
    ys = [np.zeros((length, *t.shape), t.dtype) for t in body.output_types[k:]]
    for i in range(length):
        if not interpret(cond, [*cond_consts, *carry])[0]:
            break
        outs = interpret(body, [*body_consts, *carry])
        carry = list(outs[:k])
        for y, value in zip(ys, outs[k:]):
            y[i] = value
    return (*carry, *ys)


def _expand(*operands: Any, cond: Graph, body: Graph, length: int,
            **counts: int) -> Sequence[Any]:
    """A loop with a step number, which limits it and says where rows of ys go."""
    cond_consts, body_consts, carry = while_parts(operands, counts)
    n, m, k = len(cond_consts), len(body_consts), len(carry)
    ys = _rows(body, k, length)
    if not length:
        return [*carry, *ys]
    start = [np.int32(0), *carry, *ys]
    types = [type_of(x) for x in start]

    def more(*values: Any) -> list[Any]:
        inside = ew.compare(values[n], np.int32(length), direction="LT")
        return [ew.and_(inside, run_inside(cond, [*values[:n], *values[n + 1:n + 1 + k]])[0])]

    def step(*values: Any) -> list[Any]:
        i, *rest = values[m:]
        outs = run_inside(body, [*values[:m], *rest[:k]])
        written = [put_row(y, i, out) for y, out in zip(rest[k:], outs[k:])]
        return [ew.add(i, np.int32(1)), *outs[:k], *written]

    outs = while_(*cond_consts, *body_consts, *start, **counts,
                  cond=trace_graph([*map(type_of, cond_consts), *types], more),
                  body=trace_graph([*map(type_of, body_consts), *types], step))
    return outs[1:]  # type: ignore[no-any-return]


def _jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """The loop of values counts its steps; that of tangents takes as many."""
    attrs, n = node.attrs, node.attrs["cond_consts"]
    carry = len(primals) - n - attrs["body_consts"]
    counted: list[Any] = []

    def values(*operands: Any, body: Graph, consts: int, length: int, **others: Any) -> Any:
        further = body.input_types[consts + carry:]
        cond = attrs["cond"]
        cond = Graph((*cond.inputs, *map(unused, further)), cond.nodes, cond.outputs)
        outs = bounded_while(*primals[:n], *operands, cond=cond, body=body, cond_consts=n,
                             body_consts=consts, length=length)
        counted.append(outs[0])
        return outs

    def linear(*operands: Any, **others: Any) -> Any:
        return counted_scan(_most(counted[-1]), *operands, **others)

    like = {"body": attrs["body"], "consts": attrs["body_consts"], "carry": carry,
            "length": attrs["length"], "reverse": False}
    own = Node(node.op, node.inputs[n:], like, node.outputs, node.where)
    return scan_jvp(values, linear, jvp, own, primals[n:], tangents[n:])


def _batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    """If examples stop at different steps, run until all have and freeze those that did."""
    attrs = node.attrs
    cond_pairs, body_pairs, carry = while_parts(pairs, attrs)
    k = len(carry)
    has = [[h for _, h in part] for part in (cond_pairs, body_pairs, carry)]

    def around(marks: list[bool]) -> list[bool]:
        stops = batched_region(batch, attrs["cond"], [*has[0], *marks], size)[1][0]
        found = batched_region(batch, attrs["body"], [*has[1], *marks], size)[1]
        return [stops or h for h in found[:k]]

    marks = fixed_point(around, has[2])
    cond, (stops,) = batched_region(batch, attrs["cond"], [*has[0], *marks], size)
    force = [*marks, *[stops] * (len(attrs["body"].outputs) - k)]
    body, out_has = batched_region(batch, attrs["body"], [*has[1], *marks], size, force)
    first = [x if h or not m else repeat_leading(x, size) for (x, h), m in zip(carry, marks)]
    consts = [x for x, _ in cond_pairs], [x for x, _ in body_pairs]
    if stops:
        consts = consts[0], [*consts[0], *first, *consts[1]]
        alone = not asks_others(attrs["body"])
        cond, body = _until_all_stop(cond, body, k, has[1], alone)
    outs = bounded_while(*consts[0], *consts[1], *first, cond=cond, body=body,
                         cond_consts=len(consts[0]), body_consts=len(consts[1]),
                         length=attrs["length"])
    ys = [(_examples_first(y) if h else y, h) for y, h in zip(outs[k:], out_has[k:])]
    return [*zip(outs[:k], marks), *ys]


def _examples_first(x: Any) -> Any:
    """x with its two leading axes, steps and examples, exchanged."""
    return transpose_axes(x, permutation=(1, 0, *range(2, type_of(x).rank)))


def _until_all_stop(cond: Graph, body: Graph, k: int, mapped: Sequence[bool],
                    alone: bool) -> tuple[Graph, Graph]:
    """A loop that freezes what has stopped.

    Of examples that have, the body sees the first carry, and neither that nor what is `mapped` of
    the constants has a derivative: it would be multiplied by zero, and may be infinite. But it has
    one where the body does not work on each example `alone`.
    """
    pick = constant_unless if alone else choose

    n = len(cond.inputs) - k

    def any_left(*xs: Any) -> list[Any]:
        return [reduce_or(run_inside(cond, xs)[0], dimensions=(0,))]

    def step(*xs: Any) -> list[Any]:
        first, rest, carry = xs[n:n + k], xs[n + k:-k], xs[-k:]
        going = run_inside(cond, [*xs[:n], *carry])[0]
        fixed = [pick(going, x, x) if has else x for x, has in zip(rest, mapped)]
        current = [pick(going, now, then) for now, then in zip(carry, first)]
        outs = run_inside(body, [*fixed, *current])
        before = [*carry, *(full_like(y, 0) for y in outs[k:])]
        return [choose(going, new, old) for new, old in zip(outs, before)]

    carry = body.input_types[-k:]
    types = [*cond.input_types[:n], *carry, *body.input_types]
    return trace_graph(cond.input_types, any_left), trace_graph(types, step)


def _prune(node: Node, used: Sequence[bool]) -> Pruned | None:
    """Without rows that nobody reads."""
    k = len(while_parts(node.inputs, node.attrs)[2])
    outputs = [*[True] * k, *used[k:]]
    if all(outputs):
        return None
    body = without_outputs(node.attrs["body"], outputs)
    return list(node.inputs), {**node.attrs, "body": body}, outputs


# Operands: as of a `while`; the first of the carry is i32[], 0 at first, and the body adds 1 to it.
# The body gives a carry, then ys; the rows of ys of steps not taken are zeros.
bounded_while: OpDef = OpDef(
    "bounded_while", "The carry after as many steps of the body as the condition and a limit "
    "allow, and what else the body gave in each.",
    _numpy, results=_results, multiple=True, dialect="arraylib", jvp_node=_jvp, batch_node=_batch,
    prune=_prune, expand=_expand, thread=thread_expanded)


def limited(*operands: Any, cond: Graph, body: Graph, limit: int, **counts: int) -> Sequence[Any]:
    """Emit a `while` that takes at most `limit` steps, with a derivative in reverse."""
    n, m = counts["cond_consts"], counts["body_consts"]

    def step(*xs: Any) -> list[Any]:
        return [ew.add(xs[m], np.int32(1)), *run_inside(body, [*xs[:m], *xs[m + 1:]])]

    counting = Graph((*cond.inputs[:n], unused(COUNT), *cond.inputs[n:]), cond.nodes, cond.outputs)
    types = [*body.input_types[:m], COUNT, *body.input_types[m:]]
    outs = bounded_while(*operands[:n + m], np.int32(0), *operands[n + m:], cond=counting,
                         body=trace_graph(types, step), length=limit, **counts)
    return outs[1:]  # type: ignore[no-any-return]
