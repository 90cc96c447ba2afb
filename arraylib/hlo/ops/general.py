"""Reductions by any body and sorting by any comparator: regions over scalars say how."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import ShapeError, Source, mistake
from arraylib.hlo.ir import Graph, Node, Type, trace_graph, type_of
from arraylib.hlo.opdef import Attrs, Example, OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import iota
from arraylib.hlo.ops.control import run_inside
from arraylib.hlo.ops.lifted import (
    ARRAYS,
    VALUES,
    Medium,
    accumulators,
    check_signature,
    expansion,
    fold_axis,
    lift,
    single_op,
)
from arraylib.hlo.ops.numeric import in_order
from arraylib.hlo.ops.reduction import (
    reduce_and,
    reduce_maximum,
    reduce_minimum,
    reduce_multiply,
    reduce_or,
)
from arraylib.hlo.ops.shape import repeat_leading
from arraylib.hlo.ops.sort import take_along
from arraylib.hlo.ops.structured import F32, reduce_add

Pairs = list[tuple[Any, Any]]


def same_shape(op: str, types: Sequence[Type], where: Source | None) -> None:
    """ShapeError unless there is an operand, and all have the shape of the first."""
    if not types:
        raise mistake(ShapeError, op, "0 operands, but at least 1 is needed", where=where)
    for i, other in enumerate(types):
        if other.shape != types[0].shape:
            raise mistake(ShapeError, op, f"operand {i} has shape {other.shape} but operand 0 has "
                          f"{types[0].shape}", where=where, operands=types,
                          hint="all operands have one shape")


def with_inits(op: str, types: Sequence[Type],
               where: Source | None) -> tuple[list[Type], list[Type]]:
    """The types of operands and of their initial values, which are scalars of the same dtypes."""
    k = len(types) // 2
    xs, inits = list(types[:k]), list(types[k:])
    if len(inits) != k:
        raise mistake(ShapeError, op, f"{len(types)} operands, but there must be one initial value "
                      "for each array", where=where, operands=types,
                      hint="reduce(operand, init) or reduce((x, y), (init_x, init_y))")
    same_shape(op, xs, where)
    for i, (x, init) in enumerate(zip(xs, inits)):
        if init is not Type(x.dtype, ()):
            raise mistake(ShapeError, op, f"initial value {i} is {init}, not a scalar of "
                          f"{dt.name(x.dtype)}", where=where, operands=types,
                          hint="an initial value of the operand's dtype: np.float32(0)")
    return xs, inits


# -- reduce ----------------------------------------------------------------------------------------


def _reduce_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    xs, _ = with_inits("reduce", types, where)
    dimensions, rank = attrs["dimensions"], xs[0].rank
    if len(set(dimensions)) != len(dimensions) or any(not 0 <= d < rank for d in dimensions):
        raise mistake(ShapeError, "reduce", f"dimensions {dimensions} of {rank} axes", where=where,
                      operands=types, hint="each axis once, counted from 0")
    dtypes = accumulators("reduce", "the body", attrs["body"], xs, where)
    shape = _kept(xs[0].shape, dimensions)
    return tuple(Type(d, shape) for d in dtypes)


def _kept(shape: Sequence[int], dimensions: Sequence[int]) -> tuple[int, ...]:
    return tuple(n for d, n in enumerate(shape) if d not in dimensions)


# A body that applies one of these operations once is what its reduction is for.
_REDUCTIONS = {ew.add: reduce_add, ew.multiply: reduce_multiply, ew.maximum: reduce_maximum,
               ew.minimum: reduce_minimum, ew.and_: reduce_and, ew.or_: reduce_or}


def _reduction(body: Graph) -> OpDef | None:
    """The reduction that this body describes, if there is one."""
    op = single_op(body)
    found = None if op is None else _REDUCTIONS.get(op)
    kind = dt.kind(body.output_types[0].dtype)
    return found if found is not None and kind in found.dtypes else None


def _reduce(medium: Medium, *operands: Any, body: Graph,
            dimensions: tuple[int, ...]) -> Sequence[Any]:
    k = len(operands) // 2
    dtypes = [t.dtype for t in body.output_types]
    xs, inits = ([medium.convert(x, d) for x, d in zip(part, dtypes)]
                 for part in (operands[:k], operands[k:]))
    whole = type_of(xs[0]).shape
    shape = _kept(whole, dimensions)
    first = [medium.spread(x, shape) for x in inits]
    if any(whole[d] == 0 for d in dimensions):
        return first
    combine, reduction = medium.combine(body), _reduction(body)
    if reduction is not None:
        return combine(first, [medium.apply(reduction, xs[0], dimensions=dimensions)])
    for axis in sorted(dimensions, reverse=True):
        xs = list(fold_axis(xs, axis, combine, medium.cut))
    return combine(first, [medium.reshape(x, shape) for x in xs])


def differentiate_expansion(jvp: Any, node: Node, primals: Sequence[Any],
                            tangents: Sequence[Any]) -> Pairs:
    """The jvp_node of an operation whose derivative is that of what it expands to."""
    return jvp(expansion(node), primals, tangents)  # type: ignore[no-any-return]


def _reduce_batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    """One more axis that is kept; an initial value for each example is seen to by the expansion."""
    k = len(pairs) // 2
    if any(h for _, h in pairs[k:]):
        return batch(expansion(node), pairs, size)  # type: ignore[no-any-return]
    xs = [x if h else repeat_leading(x, size) for x, h in pairs[:k]]
    dimensions = tuple(d + 1 for d in node.attrs["dimensions"])
    outs = reduce(*xs, *(x for x, _ in pairs[k:]), body=node.attrs["body"], dimensions=dimensions)
    return [(x, True) for x in outs]


_scalar, _count = Type(F32, ()), Type(dt.int32, ())
add_body = trace_graph([_scalar] * 2, lambda x, y: [ew.add(x, y)])


def _later_largest(x: Any, i: Any, y: Any, j: Any) -> list[Any]:
    chosen = ew.compare(x, y, direction="GT")
    return [ew.select(chosen, x, y), ew.select(chosen, i, j)]


_largest_body = trace_graph([_scalar, _count] * 2, _later_largest)

reduce: OpDef = OpDef(
    "reduce", "The operands folded over `dimensions` by a body (accumulators, elements) -> "
    "accumulators, in order but grouped anyhow; the initial values come first.",
    partial(_reduce, ARRAYS), results=_reduce_results, dtypes=ew.ANY, mixed=True, multiple=True,
    jvp_node=differentiate_expansion, batch_node=_reduce_batch, expand=partial(_reduce, VALUES),
    tolerance=2e-6,
    constraints=(
        "The operands are arrays of one shape, then an initial value for each, a scalar of its "
        "dtype.",
        "`dimensions` are different axes of the arrays.",
        "`body` takes a scalar for each accumulator, then one for each element, and gives the "
        "accumulators; their dtypes are those of the arrays, or wider ones of their kinds.",
        "The results have the dtypes of the accumulators, and the shape without `dimensions`."),
    examples=(Example((Type(F32, (3, 5)), _scalar), {"body": add_body, "dimensions": (1,)}),
              Example((Type(F32, (3, 5, 2)), Type(dt.int32, (3, 5, 2)), _scalar, _count),
                      {"body": _largest_body, "dimensions": (2, 0)})))

# -- sort ------------------------------------------------------------------------------------------


def _sort_results(types: Sequence[Type], attrs: Attrs, where: Source | None) -> tuple[Type, ...]:
    same_shape("sort_with", types, where)
    axis, rank = attrs["dimension"], types[0].rank
    if not 0 <= axis < rank:
        raise mistake(ShapeError, "sort_with", f"dimension {axis} of {rank} axes", where=where,
                      operands=types, hint="an axis counted from 0")
    pairs = [Type(t.dtype, ()) for t in types for _ in range(2)]
    check_signature("sort_with", "the comparator", attrs["comparator"], pairs,
                    [Type(dt.bool_, ())], where)
    return tuple(types)


def _sort(*xs: Any, dimension: int, is_stable: bool, comparator: Graph) -> tuple[Any, ...]:
    """Sort a table of places, then move the operands."""
    rows = [np.moveaxis(x, dimension, -1) for x in xs]
    *outer, n = rows[0].shape
    rows = [np.reshape(x, (-1, n)) if x.size else np.empty((0, n), x.dtype) for x in rows]
    order = _known_order(rows, comparator)
    if order is None:
        order = _merge_sort(rows, comparator)
    sorted_rows = [np.take_along_axis(x, order, axis=1).reshape(*outer, n) for x in rows]
    return tuple(np.moveaxis(x, -1, dimension) for x in sorted_rows)


def _known_order(rows: Sequence[Any], comparator: Graph) -> Any:
    """The order by a plain < or > of one operand, which NumPy sorts by; None for another."""
    if len(comparator.nodes) != 1 or comparator.nodes[0].op is not ew.compare:
        return None
    (node,), places = comparator.nodes, {v: i for i, v in enumerate(comparator.inputs)}
    first, second = (places[v] for v in node.inputs)
    key, direction = in_order(rows[first // 2]), node.attrs["direction"]
    if first % 2 or second != first + 1 or direction not in ("LT", "GT") or key.dtype.kind == "c" \
            or set(node.attrs) != {"direction"} or np.any(key != key):
        return None
    if direction == "GT":
        key = -key if key.dtype.kind == "f" else ~key
    return np.argsort(key, axis=1, kind="stable")


def _merge_sort(rows: Sequence[Any], comparator: Graph) -> Any:
    """For each row the places of its elements in ascending order, equal ones in the order given.

    All pairs of runs of 1, 2, 4, ... elements are merged at once. A comparator that contradicts
    itself still gives an order of all places.
    """
    count, n = rows[0].shape
    order, flat, width = np.arange(count * n).reshape(count, n), [x.ravel() for x in rows], 1
    def before(a: Any, b: Any) -> Any:
        return lift(comparator, [x.take(places) for x in flat for places in (a, b)])[0]
    while width < n:
        order = _merged(order, width, before)
        width *= 2
    return order - np.arange(count)[:, None] * n


def _merged(order: Any, width: int, before: Any) -> Any:
    """The table of places with each run of `width` merged with the next.

    A binary search finds how many elements of the right run come before each of the left; those
    of the right fill the places left free.
    """
    n = order.shape[1]
    is_left = np.arange(n) // width % 2 == 0
    left, lines = np.flatnonzero(is_left), np.arange(len(order))[:, None] * n
    start = left // width * width + width  # of the right run
    mine = order[:, left]
    low, high = np.zeros_like(mine), np.empty_like(mine)
    high[...] = np.clip(n - start, 0, width)
    for _ in range(width.bit_length()):
        middle = (low + high) // 2
        probe = order.take(np.minimum(start + middle, n - 1) + lines)
        searching = low < high
        goes_first = searching & before(probe, mine)
        low = np.where(goes_first, middle + 1, low)
        high = np.where(searching & ~goes_first, middle, high)
    block = left // width * n  # the counts ascend in each run, whatever the comparator said
    low = np.maximum.accumulate(low + block, axis=1) - block
    merged, free = np.empty_like(order), np.ones(order.shape, bool)
    merged.put(left + low + lines, mine)
    free.put(left + low + lines, False)
    merged[free] = order[:, ~is_left].ravel()
    return merged


def _sort_jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    """Tangents go where their elements went, which a last operand that counts places tells."""
    attrs = node.attrs
    axis, comparator = attrs["dimension"], attrs["comparator"]
    places = iota(shape=type_of(primals[0]).shape, dimension=axis, dtype=dt.int32)
    blind = trace_graph([*comparator.input_types, _count, _count],
                        lambda *xs: run_inside(comparator, xs[:-2]))
    *outs, order = sort_with(*primals, places, **{**attrs, "comparator": blind})
    return [(out, None if t is None else take_along(t, order, axis))
            for out, t in zip(outs, tangents)]


def _sort_batch(xs: Sequence[Any], has: Sequence[bool], size: int, *, dimension: int,
                **attrs: Any) -> Any:
    whole = [x if h else repeat_leading(x, size) for x, h in zip(xs, has)]
    return sort_with(*whole, dimension=dimension + 1, **attrs)


_descending = trace_graph([_scalar] * 2, lambda x, y: [ew.compare(x, y, direction="GT")])
_by_remainder = trace_graph([_count, _count, _scalar, _scalar], lambda i, j, x, y: [
    ew.compare(ew.remainder(i, np.int32(3)), ew.remainder(j, np.int32(3)), direction="LT")])

sort_with: OpDef = OpDef(
    "sort_with", "The operands reordered together along an axis, so that the comparator (x1, y1, "
    "x2, y2, ...) -> bool holds for no later element and an earlier one; equal ones keep their "
    "order.",
    _sort, results=_sort_results, dtypes=ew.ANY, mixed=True, multiple=True, jvp_node=_sort_jvp,
    batch=_sort_batch, expensive=True,
    constraints=(
        "There is an operand at least, and all are of one shape.",
        "`dimension` is an axis of theirs.",
        "`comparator` takes two scalars for each operand, of its dtype, and gives one bool.",
        "The results are of the operands' types."),
    examples=(Example((Type(F32, (3, 5)),),
                      {"dimension": 1, "is_stable": True, "comparator": _descending}),
              Example((Type(dt.int32, (7, 2)), Type(F32, (7, 2))),
                      {"dimension": 0, "is_stable": True, "comparator": _by_remainder})))
